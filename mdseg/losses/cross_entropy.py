"""Softmax cross-entropy over all classes of the run, or over those of each image's dataset."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mdseg.labels.spaces import LabelSpace
from mdseg.losses.fused import PixelLoss, SupervisedLoss


def cross_entropy(logits: Float[Tensor, "k rows W"], target: Int64[Tensor, "rows W"]) -> Float[Tensor, "rows W"]:
    r"""Negative log-probability of each pixel's label.

    .. math:: \ell = \log \sum_k e^{O_k} - O_y
    """
    return -logits.log_softmax(dim=0).gather(0, target[None])[0]


def cross_entropy_gradient(
    logits: Float[Tensor, "k rows W"], target: Int64[Tensor, "rows W"]
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    r"""Cross-entropy and its derivative :math:`P_k - Y_k`."""
    log_probs = logits.log_softmax(dim=0)
    value = -log_probs.gather(0, target[None])[0]
    gradient = log_probs.exp_()
    return value, gradient.scatter_add_(0, target[None], -torch.ones_like(value)[None])


def softmax_losses(space: LabelSpace, scope: str, name: str) -> tuple[list[PixelLoss], Bool[Tensor, "d k"]]:
    """Cross-entropy per dataset, or one for all, with the classes whose labels it takes; for :func:`ce` and its kin.

    Raises:
        ValueError: for an unknown scope; it names the loss.
    """
    if scope not in ("all", "in_space"):
        raise ValueError(f"loss {name}: scope: expected 'all' or 'in_space', got '{scope}'")
    if scope == "all":
        return [PixelLoss(cross_entropy, cross_entropy_gradient)], torch.ones(1, space.num_classes, dtype=torch.bool)
    losses = [PixelLoss(cross_entropy, cross_entropy_gradient, row.nonzero()[:, 0]) for row in space.in_space]
    return losses, space.in_space


def ce(
    space: LabelSpace,
    *,
    scope: str = "all",
    align_corners: bool = True,
    reduction: str = "labelled",
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> SupervisedLoss:
    """Cross-entropy, the "multi-dataset (CE)" baseline of Kim et al., ECCV 2022 (arXiv:2202.14030), eq. 2.

    Args:
        scope: "all": one softmax over the run's classes, whoever annotates them; "in_space": a softmax over the classes
            of the image's dataset only, so that the others learn nothing from it; labels from outside it count as
            unlabelled.

    Raises:
        ValueError: for an unknown scope.
    """
    return SupervisedLoss(
        *softmax_losses(space, scope, name="ce"),
        align_corners=align_corners,
        reduction=reduction,
        global_pixel_mean=global_pixel_mean,
        band_bytes=band_bytes,
    )
