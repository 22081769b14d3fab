"""Image-wise weighting of losses of unlabelled predictions: classes that an image shows little of weigh more."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mdseg.losses.fused import BandTargets, PixelLoss, fused_sum
from mdseg.losses.unlabelled import as_maps, one_of
from mdseg.pixels.argmax import restricted_argmax


def predicted_classes(
    maps: Float[Tensor, "n c h w"],
    size: tuple[int, int],
    valid: Bool[Tensor, "n H W"] | None,
    *,
    align_corners: bool,
    band_bytes: int | None,
) -> Tensor:
    """Arg-max of the upsampled logits [n H W], c where invalid; 8 bits a pixel unless there is nothing to upsample."""
    num_classes = maps.shape[1]
    if size == tuple(maps.shape[-2:]):
        predicted = maps.detach().argmax(dim=1)
    else:
        channels = torch.arange(num_classes)
        predicted = restricted_argmax(maps, size, channels, channels, align_corners, band_bytes)
    return predicted if valid is None else predicted.masked_fill_(~valid, num_classes)


def image_weights(counts: Int64[Tensor, "n c"], alpha: float, dtype: torch.dtype) -> Float[Tensor, "n c"]:
    r"""Weight of every class in every image, given how many of its pixels are predicted as that class.

    .. math:: w_c = \frac{1}{(N^c)^\alpha N^{1 - \alpha}}, \quad N^c := \max(N^c, 1)
    """
    counts = counts.double()
    pixels = counts.sum(dim=1, keepdim=True).clamp(min=1)
    return (counts.clamp(min=1).pow(-alpha) * pixels.pow(alpha - 1)).to(dtype)


def image_wise_mean(
    name: str,
    plain: PixelLoss,
    by_class: PixelLoss,
    logits: Float[Tensor, "n c h w"] | Float[Tensor, "n c"],
    size: tuple[int, int] | None,
    valid: Bool[Tensor, "n H W"] | Bool[Tensor, " n"] | None,
    normalisation: str,
    iw_index: str,
    alpha: float,
    *,
    align_corners: bool,
    band_bytes: int | None,
) -> Float[Tensor, ""]:
    """Sum of a per-pixel loss in which rarely predicted classes of an image weigh more; the mean over the images.

    Counts come from a first pass over the bands.

    Args:
        name: of the loss, for messages.
        plain: the loss of a pixel.
        by_class: that with a weight for every class, its one target.
        normalisation: `paper`, or `official`: divided by the number of classes.
        iw_index: whose weight a pixel gets: that of each class for its part of the loss (`channel`), or of the class
            predicted there (`argmax`).

    Raises:
        ValueError: for an unknown option or combination of options, or arguments whose shapes do not fit.
    """
    one_of(f"{name}: normalisation", normalisation, ("paper", "official"))
    one_of(f"{name}: iw_index", iw_index, ("channel", "argmax"))
    if normalisation == "official" and iw_index == "channel":
        raise ValueError(
            f"{name}: the official code weighs by the predicted class: normalisation 'official' goes with "
            "iw_index 'argmax', not 'channel' (for that take normalisation 'paper')"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name}: alpha: expected a number from 0 to 1, got {alpha}")
    maps, size, valid = as_maps(logits, size, valid)
    num_classes = maps.shape[1]
    predicted = predicted_classes(maps, size, valid, align_corners=align_corners, band_bytes=band_bytes)
    counts = [torch.bincount(image.flatten(), minlength=num_classes + 1)[:num_classes] for image in predicted]
    dtype = torch.promote_types(maps.dtype, torch.float32)
    weights = image_weights(torch.stack(counts), alpha, dtype)
    padded = torch.cat([weights, torch.zeros_like(weights[:, :1])], dim=1)  # with the weight of invalid pixels

    def of_predicted_class(image: int, rows: slice) -> BandTargets:
        return BandTargets(weight=padded[image, predicted[image, rows].int()])

    def of_every_class(image: int, rows: slice) -> BandTargets:
        counted = None if valid is None else valid[image, rows].to(dtype)
        return BandTargets((weights[image, :, None, None],), counted)

    loss, band_of = (plain, of_predicted_class) if iw_index == "argmax" else (by_class, of_every_class)
    options = {"align_corners": align_corners, "band_bytes": band_bytes}
    mean = fused_sum([loss] * len(maps), maps, size, band_of, **options) / len(maps)
    return mean / num_classes if normalisation == "official" else mean
