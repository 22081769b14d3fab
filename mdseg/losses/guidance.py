"""Self-produced guidance: hard pseudo-labels of two heads for the lower one ("Multi")."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mdseg.labels.tables import IGNORE
from mdseg.losses.cross_entropy import cross_entropy, cross_entropy_gradient
from mdseg.losses.fused import PixelLoss, SupervisedLoss
from mdseg.pixels.argmax import first_argmax
from mdseg.pixels.bands import LOSS_BYTES, band_memory, banded
from mdseg.pixels.upsample import upsample_rows


@torch.no_grad()
def guidance_labels(
    high: Float[Tensor, "n c h w"],
    low: Float[Tensor, "n c h2 w2"],
    size: tuple[int, int],
    threshold: float | int = 0.95,
    align_corners: bool = True,
    band_bytes: int | None = None,
) -> UInt8[Tensor, "n H W"]:
    r"""Pseudo-label of every pixel that at least one of the heads is sure of; 255 for the others.

    .. math:: l = \arg\max_c \tfrac12 (p^{high}_c + p^{low}_c) \quad \text{where} \quad
        \max_c p^{high}_c > \delta \text{ or } \max_c p^{low}_c > \delta

    Chen et al., ICCV 2019 (arXiv:1909.13589), section 3.4. Each head's own confidence counts, not that of their mean,
    which may be far below the threshold where they disagree.

    Args:
        high, low: logits of the two heads, each at its own resolution.
        size: (height, width) of the images.
        band_bytes: memory of one band of upsampled logits, of which there are a few; None: by device.
    """
    labels = torch.empty(len(high), *size, dtype=torch.uint8, device=high.device)
    for band in banded(high, size, align_corners, band_memory(high, band_bytes, LOSS_BYTES)):
        probs = band.upsample().softmax(dim=0)
        low_probs = upsample_rows(low[band.image], size, band.rows.start, band.rows.stop, align_corners).softmax(dim=0)
        sure = torch.maximum(probs.amax(dim=0), low_probs.amax(dim=0)) > threshold
        labels[band.image, band.rows] = first_argmax(probs.add_(low_probs)).where(sure, IGNORE)
    return labels


def self_produced_guidance(
    high: Float[Tensor, "n c h w"],
    low: Float[Tensor, "n c h2 w2"],
    size: tuple[int, int],
    *,
    threshold: float | int = 0.95,
    align_corners: bool = True,
    band_bytes: int | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of the low head against the pseudo-labels of both, the mean over the batch's selected pixels.

    Chen et al., ICCV 2019 (arXiv:1909.13589), section 3.4. The labels are constants: nothing reaches the high head.
    Where no pixel is selected the loss is 0 with zero gradients; the authors' mean over none is not a number.

    Args:
        high, low: logits of the two heads, each at its own resolution.
        size: (height, width) of the images.
        threshold: confidence above which a head's prediction selects a pixel.
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: a threshold that is no probability.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"loss.guidance.threshold: expected a number in [0, 1], got {threshold}")
    labels = guidance_labels(high, low, size, threshold, align_corners, band_bytes)
    loss = SupervisedLoss(
        [PixelLoss(cross_entropy, cross_entropy_gradient)],
        torch.ones(1, low.shape[1], dtype=torch.bool),
        align_corners=align_corners,
        band_bytes=band_bytes,
    ).to(low.device)
    return loss(low, labels, torch.zeros(len(low), dtype=torch.int64, device=low.device))
