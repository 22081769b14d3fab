"""Entropy of a pixel's similarities to label embeddings, of which a class may have several."""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mdseg.losses.fused import PixelLoss
from mdseg.losses.minent import pixel_entropy, pixel_entropy_gradient
from mdseg.losses.unlabelled import as_maps, mean_over_images, one_of


def best_entropy(scores: Float[Tensor, "r rows W"], centroids: int) -> Float[Tensor, "rows W"]:
    """Entropy over classes, each of which has the score of its best embedding, in nats."""
    return pixel_entropy(scores.unflatten(0, (-1, centroids)).amax(dim=1))


def best_entropy_gradient(
    scores: Float[Tensor, "r rows W"], centroids: int
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "r rows W"]]:
    """`best_entropy` and its derivative, which only the best embedding of a class gets."""
    best, chosen = scores.unflatten(0, (-1, centroids)).max(dim=1)
    value, slope = pixel_entropy_gradient(best)
    gradient = torch.zeros_like(scores).unflatten(0, (-1, centroids))
    return value, gradient.scatter_(1, chosen[:, None], slope[:, None]).flatten(0, 1)


def similarity_entropy(
    scores: Float[Tensor, "n r h w"],
    size: tuple[int, int] | None = None,
    valid: Bool[Tensor, "n H W"] | None = None,
    *,
    rows: Int64[Tensor, " m"] | None = None,
    centroids: int = 1,
    multi_centroid: str = "flat",
    align_corners: bool = False,
    band_bytes: int | None = None,
) -> Float[Tensor, ""]:
    r"""Mean entropy, over all pixels, of the softmax of similarities to label embeddings.

    .. math:: H = -\frac{1}{N} \sum_n \sum_k p_{nk} \log p_{nk}, \quad p_n = \mathrm{softmax}_k \langle e_n, c_k \rangle

    Kalluri et al., ICCV 2019 (arXiv:1811.10323), equations 2 to 4, in nats. Both factors are differentiated.

    Args:
        scores: dot products of pixel and label embeddings at the resolution of the features; the upsampling is linear
            as they are, so it may follow.
        size: (height, width) the scores are upsampled to; None: not at all.
        valid: False where there is no image (padding).
        rows: the embeddings that take part, those of a class beside each other; None: all.
        centroids: embeddings of every class.
        multi_centroid: "flat": one softmax over all embeddings; "max": over classes, by their best embedding.

    Raises:
        ValueError: for an unknown option, or arguments whose shapes do not fit.
    """
    one_of("multi_centroid", multi_centroid, ("flat", "max"))
    maps, size, valid = as_maps(scores, size, valid)
    loss = PixelLoss(pixel_entropy, pixel_entropy_gradient, rows)
    if centroids > 1 and multi_centroid == "max":
        value = partial(best_entropy, centroids=centroids)
        loss = PixelLoss(value, partial(best_entropy_gradient, centroids=centroids), rows)
    return mean_over_images(loss, maps, size, valid, align_corners=align_corners, band_bytes=band_bytes)
