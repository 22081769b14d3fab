"""Cross-entropy of hard pixels: online hard example mining."""

import math
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.losses.cross_entropy import cross_entropy, softmax_losses
from mdseg.losses.fused import SupervisedLoss, Variation
from mdseg.pixels.bands import LOSS_BYTES, band_memory, banded


class HardPixels(SupervisedLoss):
    """A supervised loss of the pixels whose cross-entropy is high; see :func:`ohem_ce`.

    Args:
        threshold: the cross-entropy from which on a pixel is hard.
        min_pixels: how many pixels of a call are kept at least.
    """

    of_parts = False

    def __init__(self, *args: Any, threshold: float, min_pixels: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.threshold, self.min_pixels = threshold, min_pixels

    def select(
        self,
        logits: Float[Tensor, "n k h w"],
        mask: UInt8[Tensor, "n H W"],
        of_image: list[int],
        labelled: list[int],
        variation: Variation | None,
    ) -> tuple[UInt8[Tensor, "n H W"], list[int]]:
        if sum(labelled) <= self.min_pixels:
            return mask, labelled
        values = self._cross_entropies(logits, mask, of_image, variation)
        hard = values >= self.threshold
        if hard.sum() < self.min_pixels:
            hard = values >= values.flatten().kthvalue(values.numel() + 1 - self.min_pixels).values
        return mask.where(hard, IGNORE), hard.sum(dim=(1, 2)).tolist()

    @torch.no_grad()
    def _cross_entropies(
        self,
        logits: Float[Tensor, "n k h w"],
        mask: UInt8[Tensor, "n H W"],
        of_image: list[int],
        variation: Variation | None,
    ) -> Float[Tensor, "n H W"]:
        """Cross-entropy of every pixel, -1 where there is no label."""
        values = logits.new_empty(mask.shape, dtype=torch.promote_types(logits.dtype, torch.float32))
        band_bytes = band_memory(logits, self.band_bytes, LOSS_BYTES)
        channels = [self.pixel_losses[index].channels for index in of_image]
        for band in banded(logits, mask.shape[1:], self.align_corners, band_bytes, channels=channels):
            band_logits, here = band.upsample(), (band.image, band.rows)
            if variation is not None:
                band_logits = variation(band_logits, band.channels, band.rows.start, band.image)
            target = self.lookup[of_image[band.image]][mask[here].long()]
            valid = target != IGNORE
            values[here] = cross_entropy(band_logits, target.where(valid, 0)).where(valid, -1)
        return values


def ohem_ce(
    space: LabelSpace,
    *,
    probability: float | int = 0.7,
    min_pixels: float | int = 100_000,
    scope: str = "all",
    align_corners: bool = True,
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> SupervisedLoss:
    r"""Mean cross-entropy of the pixels whose label has a probability of at most `probability`.

    .. math:: L = \frac{1}{|H|} \sum_{i \in H} \ell_i, \quad H = \{i : p_{i, y_i} \le \max(\theta, p_{(m)})\}

    with the m-th lowest probability :math:`p_{(m)}` among the labelled pixels: `min_pixels` are kept in any case, and
    all of them where no more have a label. The labelled loss of U2PL (Wang et al., CVPR 2022, official code), the
    semi-supervised host of BLV; the idea is Shrivastava et al., CVPR 2016 (arXiv:1604.03540). Two passes over the
    bands; where the logits are perturbed, pixels are chosen by the perturbed ones, as the loss sees them.

    Args:
        min_pixels: of one call, that is of one rank's images.
        scope: as of :func:`mdseg.losses.cross_entropy.ce`.

    Raises:
        ValueError: for an unknown scope, a probability that is none, or a number of pixels that is none.
    """
    if not 0 < probability <= 1:
        raise ValueError(f"loss ohem_ce: probability: expected one above 0 and at most 1, got {probability!r}")
    if not isinstance(min_pixels, int) or min_pixels < 0:
        raise ValueError(f"loss ohem_ce: min_pixels: expected a whole number of at least 0, got {min_pixels!r}")
    return HardPixels(
        *softmax_losses(space, scope, name="ohem_ce"),
        threshold=-math.log(probability),
        min_pixels=min_pixels,
        align_corners=align_corners,
        global_pixel_mean=global_pixel_mean,
        band_bytes=band_bytes,
    )
