"""Arg-max of upsampled logits, without upsampling them all."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from mdseg.pixels.bands import PREDICTION_BYTES, Band, band_memory, banded
from mdseg.pixels.upsample import Taps

# A pixel by itself costs several times what it costs in a full band: worth it up to this share of them.
MAX_UNDECIDED = 0.4
UNSURE = 255  # no channel: there are at most 255


def first_argmax(logits: Float[Tensor, "m *pixels"]) -> UInt8[Tensor, "*pixels"]:
    """Index of the first largest channel (the last one where there is a NaN); at most 255 channels.

    `logits.argmax(0)`, several times faster on a CPU, where maxima over the first dimension vectorise and arg-max does
    not.
    """
    count = len(logits)
    code = torch.arange(count, 0, -1, dtype=torch.uint8, device=logits.device).view(-1, *[1] * (logits.dim() - 1))
    largest = (logits >= logits.amax(dim=0)).view(torch.uint8)
    return count - largest.mul_(code).amax(dim=0).clamp_(min=1)


def decided(winner: UInt8[Tensor, "h w"], logits: Float[Tensor, "m h w"]) -> Tensor:
    """Cells (by their upper left corner) inside which the arg-max is known to be that of their corners.

    Inside a cell every channel is interpolated with the same weights, none of them negative. If one channel is the
    largest at all four corners, by at least d, it is so inside, by at least d. In rounded arithmetic a small lead could
    become a tie and go to an earlier channel: an interpolated value takes two products and two sums per axis, so it is
    off by at most 2 eps times the largest magnitude, and a difference by 4 eps; 16 is ample. Cells with a smaller lead,
    ties included, are left to the full evaluation, as is everything in a band with a NaN or an infinity.
    """
    runner_up = logits.scatter(0, winner.long()[None], -torch.inf).amax(dim=0)
    margin = logits.amax(dim=0) - runner_up
    clear = margin > 16 * torch.finfo(logits.dtype).eps * logits.abs().max()
    # A cell on the last row or column has no further corners: positions beyond the last source pixel read it alone.
    right, below = torch.cat([winner[:, 1:], winner[:, -1:]], 1), torch.cat([winner[1:], winner[-1:]], 0)
    same_right, same_below = right == winner, below == winner
    row = same_right & clear & torch.cat([clear[:, 1:], clear[:, -1:]], 1)
    return row & same_below & torch.cat([row[1:], row[-1:]], 0)


def argmax_at(
    logits: Float[Tensor, "m h w"],
    rows: Int64[Tensor, " p"],
    columns: Int64[Tensor, " p"],
    vertical: Taps,
    horizontal: Taps,
    limit: int,
) -> UInt8[Tensor, " p"]:
    """Arg-max of the interpolated logits at single output pixels.

    Args:
        limit: how many pixels are evaluated at a time.
    """
    width = logits.shape[2]
    table = logits.permute(1, 2, 0).flatten(0, 1).contiguous()  # the channels of a pixel side by side: one read each
    prediction = []
    for row, column in zip(rows.split(limit), columns.split(limit), strict=True):
        upper, lower, down = (tap[row] for tap in vertical)
        left, right, across = (tap[column] for tap in horizontal)
        top, bottom = (
            table.index_select(0, side * width + left).lerp_(
                table.index_select(0, side * width + right), across[:, None]
            )
            for side in (upper, lower)
        )
        prediction.append(first_argmax(top.lerp_(bottom, down[:, None]).t()))
    return torch.cat(prediction)


def rows_argmax(band: Band, band_bytes: int) -> UInt8[Tensor, "rows W"]:
    """Arg-max of the rows of a band; as many pixels are evaluated in full at a time as `band_bytes` hold."""
    logits, interpolation = band.source(), band.interpolation
    upper, lower, down = (tap[band.rows].to(logits.device) for tap in interpolation.vertical)
    vertical = Taps(upper - band.source_rows.start, lower - band.source_rows.start, down)
    horizontal = Taps(*(tap.to(logits.device) for tap in interpolation.horizontal))

    winner = first_argmax(logits)
    answer = winner.where(decided(winner, logits), UNSURE)
    prediction = answer.index_select(1, horizontal.lower).index_select(0, vertical.lower)
    unsure = prediction == UNSURE
    if unsure.sum() > MAX_UNDECIDED * unsure.numel():
        return torch.cat([first_argmax(part.upsample()) for part in band.split(band.height_within(band_bytes))])
    rows, columns = unsure.nonzero(as_tuple=True)
    if len(rows):
        pixel_bytes = len(logits) * logits.element_size()
        limit = max(1, band_bytes // (4 * pixel_bytes))  # several tables of that size are in use at once
        prediction[rows, columns] = argmax_at(logits, rows, columns, vertical, horizontal, limit)
    return prediction


def restricted_argmax(
    logits: Float[Tensor, "n k h w"],
    size: tuple[int, int],
    channels: Int64[Tensor, " m"],
    classes: Int64[Tensor, " m"],
    align_corners: bool,
    band_bytes: int | None = None,
) -> UInt8[Tensor, "n H W"]:
    """Class of the largest among the given channels at each pixel of the upsampled logits; earlier channels win ties.

    Equal to `classes[F.interpolate(logits[:, channels], size).argmax(1)]` where rounding does not decide.

    Channels of other classes do not compete even if they are higher, as in the code of Kim et al., ECCV 2022.

    Args:
        classes: what each channel counts as; several may count as one.
        band_bytes: memory of one band of upsampled logits; None: by device.

    Raises:
        ValueError: for more than 255 channels: their numbers do not fit 8 bits.
    """
    if len(channels) > 255:
        raise ValueError(f"arg-max of {len(channels)} channels: expected at most 255")
    size, band_bytes = (int(size[0]), int(size[1])), band_memory(logits, band_bytes, PREDICTION_BYTES)
    source_row = len(channels) * logits.shape[3] * torch.promote_types(logits.dtype, torch.float32).itemsize
    # Small logits of a large photograph: the pixels that are left to `argmax_at` are listed, 16 bytes each.
    height = max(1, min(band_bytes // source_row * size[0] // logits.shape[2], band_bytes // 4 // size[1]))
    channels, classes = channels.to(logits.device), classes.to(logits.device, torch.uint8)
    prediction = torch.empty(len(logits), *size, dtype=torch.uint8, device=logits.device)
    for band in banded(logits, size, align_corners, band_bytes, channels=[channels] * len(logits), height=height):
        winner = rows_argmax(band, band_bytes)
        prediction[band.image, band.rows] = classes.index_select(0, winner.flatten().int()).view_as(winner)
    return prediction
