"""What losses of unlabelled predictions share: their arguments as maps, and the mean over each image's valid pixels."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mdseg.losses.fused import BandTargets, PixelLoss, fused_sum


def one_of(option: str, value: str, expected: Mapping[str, object] | tuple[str, ...]) -> None:
    """Refuse a value of an option that is not among the expected ones.

    Raises:
        ValueError: it names the option.
    """
    if value not in expected:
        raise ValueError(f"{option}: expected {' or '.join(repr(each) for each in expected)}, got {value!r}")


def check_weight(option: str, value: object) -> None:
    """Refuse a weight that is no number of at least 0.

    Raises:
        ValueError: it names the option.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{option}: expected at least 0, got {value}")


def as_maps(
    logits: Float[Tensor, "n c h w"] | Float[Tensor, "n c"],
    size: tuple[int, int] | None,
    valid: Bool[Tensor, "n H W"] | Bool[Tensor, " n"] | None,
) -> tuple[Float[Tensor, "m c h2 w2"], tuple[int, int], Bool[Tensor, "m H W"] | None]:
    """Logits as maps with the size they are upsampled to; those of a classifier become one image of n pixels.

    Raises:
        ValueError: for a size beside logits without height and width, or if `valid` has another shape.
    """
    if logits.dim() == 2:
        if size is not None:
            raise ValueError(f"logits {tuple(logits.shape)} of a classifier are not upsampled, but size is {size}")
        maps, size = logits.t()[None, :, None], (1, len(logits))
        expected: tuple[int, ...] = (len(logits),)
    else:
        maps, (height, width) = logits, logits.shape[-2:] if size is None else size
        size = (height, width)
        expected = (len(logits), height, width)
    if valid is None:
        return maps, size, None
    if tuple(valid.shape) != expected:
        raise ValueError(f"valid: expected {expected}, got {tuple(valid.shape)}")
    return maps, size, valid.view(len(maps), *size)


def mean_over_images(
    loss: PixelLoss,
    maps: Float[Tensor, "n c h w"],
    size: tuple[int, int],
    valid: Bool[Tensor, "n H W"] | None,
    *,
    align_corners: bool,
    band_bytes: int | None,
) -> Float[Tensor, ""]:
    """Mean of a per-pixel loss over the valid pixels of each image, then over the images; 0 for one without any."""
    options: dict[str, Any] = {"align_corners": align_corners, "band_bytes": band_bytes}
    losses, images = [loss] * len(maps), len(maps)
    if valid is None:
        return fused_sum(losses, maps, size, **options) / (images * size[0] * size[1])
    share = 1 / valid.sum(dim=(1, 2)).clamp(min=1).to(torch.promote_types(maps.dtype, torch.float32))

    def band_of(image: int, rows: slice) -> BandTargets:
        return BandTargets(weight=valid[image, rows] * share[image])

    return fused_sum(losses, maps, size, band_of, **options) / images
