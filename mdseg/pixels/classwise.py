"""Sums and samples of upsampled features over the pixels of every class, without upsampling the features."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mdseg.pixels.bands import PREDICTION_BYTES, band_memory
from mdseg.pixels.upsample import bilinear


@torch.no_grad()
def class_sums(
    features: Float[Tensor, "d h w"], mask: Int64[Tensor, "H W"], num_classes: int, align_corners: bool
) -> tuple[Float[Tensor, "k d"], Int64[Tensor, " k"]]:
    r"""Sum of the features, upsampled to the size of the mask, over the pixels of every class; and their number.

    .. math:: s_k = \sum_{p: y_p = k} \sum_q U_{pq} f_q = \sum_q \Bigl( \sum_{p: y_p = k} U_{pq} \Bigr) f_q

    The adjoint of the upsampling is applied to the mask, which has few classes, not the upsampling to the features,
    which have many channels.

    Args:
        mask: class of every pixel; those outside 0..num_classes - 1 are left out.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    height, width = mask.shape
    source = (features.shape[1], features.shape[2])
    interpolation = bilinear(source, (height, width), align_corners, features.dtype, features.device)
    weights = features.new_zeros(num_classes, *source)
    classes = torch.arange(num_classes, device=mask.device)[:, None, None]
    row_bytes = max(1, num_classes * width * features.element_size())
    rows = max(1, band_memory(features, None, PREDICTION_BYTES) // row_bytes)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        there = (mask[None, start:stop] == classes).to(features.dtype)
        weights[:, interpolation.band(start, stop)[0]] += interpolation.adjoint(there, start)
    known = mask[(mask >= 0) & (mask < num_classes)]
    return weights.flatten(1) @ features.flatten(1).t(), torch.bincount(known, minlength=num_classes)


@torch.no_grad()
def features_at(
    features: Float[Tensor, "d h w"], pixels: Int64[Tensor, "m 2"], size: tuple[int, int], align_corners: bool
) -> Float[Tensor, "m d"]:
    """Features upsampled to (height, width), at some pixels (row, column) only."""
    height, width = size
    if align_corners:
        scale = torch.tensor([max(height - 1, 1), max(width - 1, 1)], device=pixels.device)
        places = 2 * pixels / scale - 1
    else:
        places = (2 * pixels + 1) / torch.tensor([height, width], device=pixels.device) - 1
    grid = places.flip(1).to(features.dtype)[None, None]
    sampled = F.grid_sample(features[None], grid, mode="bilinear", padding_mode="border", align_corners=align_corners)
    return sampled[0, :, 0].t()
