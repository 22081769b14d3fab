"""Maximum squares loss of the predictions on unlabelled images, plain and image-wise weighted (IW)."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mdseg.losses.fused import PixelLoss
from mdseg.losses.image_wise import image_wise_mean
from mdseg.losses.unlabelled import as_maps, mean_over_images, one_of


def half_square(logits: Float[Tensor, "k rows W"]) -> Float[Tensor, "rows W"]:
    r"""Half the negative sum of squared probabilities, between -1/2 and -1/(2k).

    .. math:: -\tfrac12 S, \quad S = \sum_k p_k^2
    """
    return logits.softmax(dim=0).square().sum(dim=0) / -2


def half_square_gradient(
    logits: Float[Tensor, "k rows W"],
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    """`half_square` and its derivative -p_k (p_k - S)."""
    probs = torch.softmax(logits, dim=0)
    total = torch.mul(probs, probs, out=logits).sum(dim=0)
    return total / -2, torch.sub(total, probs, out=logits).mul_(probs)


def weighted_half_square(logits: Float[Tensor, "k rows W"], weight: Float[Tensor, "k 1 1"]) -> Float[Tensor, "rows W"]:
    r"""`half_square` with a weight for every class.

    .. math:: -\tfrac12 S, \quad S = \sum_k w_k p_k^2
    """
    return (weight * logits.softmax(dim=0).square()).sum(dim=0) / -2


def weighted_half_square_gradient(
    logits: Float[Tensor, "k rows W"], weight: Float[Tensor, "k 1 1"]
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    """`weighted_half_square` and its derivative -p_k (w_k p_k - S)."""
    probs = torch.softmax(logits, dim=0)
    weighted = torch.mul(probs, weight, out=logits)
    total = (weighted * probs).sum(dim=0)
    return total / -2, torch.sub(total, weighted, out=logits).mul_(probs)


def max_square(
    logits: Float[Tensor, "n c h w"] | Float[Tensor, "n c"],
    size: tuple[int, int] | None = None,
    valid: Bool[Tensor, "n H W"] | Bool[Tensor, " n"] | None = None,
    *,
    normalisation: str = "paper",
    align_corners: bool = True,
    band_bytes: int | None = None,
) -> Float[Tensor, ""]:
    r"""Maximum squares loss: the mean over each image's pixels, then over the images.

    .. math:: L_T = -\frac{1}{2N} \sum_n \sum_c p_{nc}^2

    Chen et al., ICCV 2019 (arXiv:1909.13589). Between -1/2 and -1/(2C).

    Args:
        logits: maps at any resolution, or a classifier's, whose batch counts as one image.
        size: (height, width) the maps are upsampled to; None: not at all.
        valid: False where there is no image (padding); an image without any valid pixel counts as 0.
        normalisation: "paper" (sum over classes) or "official" (mean over classes, as in the authors' code).
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for an unknown normalisation, or arguments whose shapes do not fit.
    """
    one_of("max_square: normalisation", normalisation, ("paper", "official"))
    maps, size, valid = as_maps(logits, size, valid)
    loss = PixelLoss(half_square, half_square_gradient)
    mean = mean_over_images(loss, maps, size, valid, align_corners=align_corners, band_bytes=band_bytes)
    return mean / maps.shape[1] if normalisation == "official" else mean


def max_square_iw(
    logits: Float[Tensor, "n c h w"] | Float[Tensor, "n c"],
    size: tuple[int, int] | None = None,
    valid: Bool[Tensor, "n H W"] | Bool[Tensor, " n"] | None = None,
    *,
    normalisation: str = "paper",
    iw_index: str = "channel",
    alpha: float = 0.2,
    align_corners: bool = True,
    band_bytes: int | None = None,
) -> Float[Tensor, ""]:
    r"""Maximum squares loss in which rarely predicted classes of an image weigh more; the mean over the images.

    .. math:: L_T = -\sum_n \sum_c \frac{p_{nc}^2}{2 (N^c)^\alpha N^{1 - \alpha}}

    Chen et al., ICCV 2019 (arXiv:1909.13589), eq. 13. :math:`N^c` counts the image's pixels that are predicted as class
    c; the weights are constants. An absent class counts as one pixel, so that its weight is bounded by
    :math:`N^{\alpha - 1}`. Counts come from a first pass over the bands.

    Args:
        logits: maps at any resolution, or a classifier's, whose batch counts as one image.
        size: (height, width) the maps are upsampled to; None: not at all.
        valid: False where there is no image (padding): those pixels leave N, N^c and the sum.
        normalisation: "paper", or "official", as in the authors' code: mean over classes and no 1/2 (2/C of the
            paper's). The official loss runs for single images only; here it is their value per image, then the mean.
        iw_index: whose weight a squared probability gets: its own class's ("channel", the paper) or that of the class
            predicted at the pixel ("argmax", the authors' code; the only one there is with "official").
        alpha: between 0 (the plain loss) and 1 (every predicted class weighs the same).
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for an unknown option or combination of options, or arguments whose shapes do not fit.
    """
    plain = PixelLoss(half_square, half_square_gradient)
    by_class = PixelLoss(weighted_half_square, weighted_half_square_gradient)
    options: dict[str, Any] = {"align_corners": align_corners, "band_bytes": band_bytes}
    mean = image_wise_mean(
        "max_square_iw", plain, by_class, logits, size, valid, normalisation, iw_index, alpha, **options
    )
    # The authors' code lacks the 1/2.
    return mean * 2 if normalisation == "official" else mean
