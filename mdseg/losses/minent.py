"""Entropy of the predictions on unlabelled images: MinEnt."""

from jaxtyping import Bool, Float
from torch import Tensor

from mdseg.losses.fused import PixelLoss
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
        normalisation: "paper" (sum over classes) or "official" (mean over classes, as in the authors' code).
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for an unknown normalisation, or arguments whose shapes do not fit.
    """
    one_of("entropy: normalisation", normalisation, ("paper", "official"))
    maps, size, valid = as_maps(logits, size, valid)
    loss = PixelLoss(pixel_entropy, pixel_entropy_gradient)
    mean = mean_over_images(loss, maps, size, valid, align_corners=align_corners, band_bytes=band_bytes)
    return mean / maps.shape[1] if normalisation == "official" else mean
