"""Entropy of the predictions on unlabelled images: MinEnt."""

import math
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from mdseg.losses.fused import PixelLoss
from mdseg.losses.image_wise import image_wise_mean
from mdseg.losses.unlabelled import as_maps, mean_over_images, one_of


def pixel_entropy(logits: Float[Tensor, "k rows W"]) -> Float[Tensor, "rows W"]:
    r"""Entropy of each pixel's prediction in nats, between 0 and log k.

    .. math:: H = -\sum_k p_k \log p_k
    """
    log_probs = logits.log_softmax(dim=0)
    return -(log_probs.exp() * log_probs).sum(dim=0)


def pixel_entropy_gradient(
    logits: Float[Tensor, "k rows W"],
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    r"""Entropy and its derivative :math:`-p_k (\log p_k + H)`.

    With the mean logit :math:`m = \sum_k p_k z_k` these are :math:`\log \sum_k e^{z_k} - m` and :math:`p_k (m - z_k)`:
    no logarithm per class.
    """
    logits.sub_(logits.amax(dim=0))
    probs = logits.exp()
    total = probs.sum(dim=0)
    probs.div_(total)
    mean = (probs * logits).sum(dim=0)
    return total.log_().sub_(mean), logits.sub_(mean).mul_(probs).neg_()


def weighted_pixel_entropy(
    logits: Float[Tensor, "k rows W"], weight: Float[Tensor, "k 1 1"]
) -> Float[Tensor, "rows W"]:
    r"""`pixel_entropy` with a weight for every class.

    .. math:: -\sum_k w_k p_k \log p_k
    """
    log_probs = logits.log_softmax(dim=0)
    return -(weight * log_probs.exp() * log_probs).sum(dim=0)


def weighted_pixel_entropy_gradient(
    logits: Float[Tensor, "k rows W"], weight: Float[Tensor, "k 1 1"]
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    r"""`weighted_pixel_entropy` and its derivative.

    .. math:: p_k (g_k - \sum_j p_j g_j), \quad g_k = -w_k (\log p_k + 1)
    """
    log_probs = logits.log_softmax(dim=0)
    probs = log_probs.exp()
    value = -(weight * probs * log_probs).sum(dim=0)
    slope = log_probs.add_(1).mul_(weight).neg_()
    return value, slope.sub_((probs * slope).sum(dim=0)).mul_(probs)


def entropy(
    logits: Float[Tensor, "n c h w"] | Float[Tensor, "n c"],
    size: tuple[int, int] | None = None,
    valid: Bool[Tensor, "n H W"] | Bool[Tensor, " n"] | None = None,
    *,
    normalisation: str = "paper",
    align_corners: bool = True,
    band_bytes: int | None = None,
) -> Float[Tensor, ""]:
    r"""Mean entropy of the predictions on unlabelled images: the mean over each image's pixels, then over the images.

    .. math:: L_T = -\frac{1}{N} \sum_n \sum_c p_{nc} \log p_{nc}

    MinEnt of Chen et al., ICCV 2019 (arXiv:1909.13589), in nats: between 0 and log C. ADVENT (arXiv:1811.12833) divides
    by log C.

    Args:
        logits: maps at any resolution, or a classifier's, whose batch counts as one image.
        size: (height, width) the maps are upsampled to; None: not at all.
        valid: False where there is no image (padding); an image without any valid pixel counts as 0.
        normalisation: "paper" (sum over classes), "official" (mean over classes, as in the authors' code) or "log" (a
            share of the highest entropy, log C, as in ADVENT).
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for an unknown normalisation, or arguments whose shapes do not fit.
    """
    one_of("entropy: normalisation", normalisation, ("paper", "official", "log"))
    maps, size, valid = as_maps(logits, size, valid)
    loss = PixelLoss(pixel_entropy, pixel_entropy_gradient)
    mean = mean_over_images(loss, maps, size, valid, align_corners=align_corners, band_bytes=band_bytes)
    classes = maps.shape[1]
    return mean / {"paper": 1, "official": classes, "log": math.log(max(classes, 2))}[normalisation]


def entropy_iw(
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
    r"""Entropy in which rarely predicted classes of an image weigh more; the mean over the images.

    .. math:: L_T = -\sum_n \sum_c \frac{p_{nc} \log p_{nc}}{(N^c)^\alpha N^{1 - \alpha}}

    In the authors' code of Chen et al., ICCV 2019 (arXiv:1909.13589), in none of its tables. Weights as those of
    :func:`~mdseg.losses.maximum_squares.max_square_iw`; with `alpha` 0 it is :func:`entropy`.

    Args:
        logits: maps at any resolution, or a classifier's, whose batch counts as one image.
        size: (height, width) the maps are upsampled to; None: not at all.
        valid: False where there is no image (padding): those pixels leave N, N^c and the sum.
        normalisation: "paper", or "official": the mean over classes.
        iw_index: whose weight a part of the entropy gets: its own class's ("channel") or that of the class predicted at
            the pixel ("argmax", the authors' code; the only one there is with "official").
        alpha: between 0 (the plain loss) and 1 (every predicted class weighs the same).
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for an unknown option or combination of options, or arguments whose shapes do not fit.
    """
    plain = PixelLoss(pixel_entropy, pixel_entropy_gradient)
    by_class = PixelLoss(weighted_pixel_entropy, weighted_pixel_entropy_gradient)
    options: dict[str, Any] = {"align_corners": align_corners, "band_bytes": band_bytes}
    return image_wise_mean(
        "entropy_iw", plain, by_class, logits, size, valid, normalisation, iw_index, alpha, **options
    )
