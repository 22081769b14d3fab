"""Bilinear upsampling of a band of rows, equal to the same rows of the upsampled image."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

# Output columns per matrix product: a block needs only the source columns below it, so small blocks do little work on
# zeros, and large ones launch less. Measured on a CPU with 1 MB of level-2 cache (32 to 128 are alike there).
CPU_BLOCK, GPU_BLOCK = 128, 256


class Taps(NamedTuple):
    """Where each output position reads: (1 - fraction) * source[lower] + fraction * source[upper]."""

    lower: Int64[Tensor, " size"]
    upper: Int64[Tensor, " size"]
    fraction: Float[Tensor, " size"]


def taps(source: int, size: int, align_corners: bool, dtype: torch.dtype = torch.float32) -> Taps:
    """The two source positions and the weight of every output position along one axis.

    Positions are rounded as `F.interpolate` rounds them: in float32 they are off by up to 6e-5 at 2048 columns; being
    more accurate would mean being different. (Its kernel for small images contracts the last product and subtraction,
    the one for large images does not, so it disagrees with itself by one rounding; this follows the latter.)
    """
    position = torch.arange(size, dtype=dtype)
    if align_corners:
        position = position * torch.tensor((source - 1) / (size - 1) if size > 1 else 0.0, dtype=dtype)
    else:
        position = ((position + 0.5) * torch.tensor(source / size, dtype=dtype) - 0.5).clamp(min=0)
    lower = position.long().clamp(max=source - 1)
    return Taps(lower, (lower + 1).clamp(max=source - 1), (position - lower).clamp(0, 1))


def weights(axis: Taps, start: int, stop: int) -> tuple[int, Float[Tensor, "outputs sources"]]:
    """First source position that outputs start..stop read, and their weights on the sources from there on."""
    first, last = int(axis.lower[start]), int(axis.upper[stop - 1])
    matrix = torch.zeros(stop - start, last + 1 - first, dtype=axis.fraction.dtype)
    lower, upper, fraction = (tap[start:stop, None] for tap in axis)
    matrix.scatter_add_(1, lower - first, 1 - fraction)
    matrix.scatter_add_(1, upper - first, fraction)
    return first, matrix


class Bilinear:
    """Bilinear interpolation from one size to another as two products with banded matrices, and its adjoint.

    Products are faster than gathering and blending: the adjoint needs no scattered additions, which also makes it
    deterministic on a GPU.
    """

    def __init__(
        self,
        source: tuple[int, int],
        size: tuple[int, int],
        align_corners: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.source, self.size, self.dtype, self.device = source, size, dtype, device
        self.vertical = taps(source[0], size[0], align_corners, dtype)
        self.horizontal = taps(source[1], size[1], align_corners, dtype)
        width = CPU_BLOCK if device.type == "cpu" else GPU_BLOCK
        self.columns = []
        for start in range(0, size[1], width):
            stop = min(start + width, size[1])
            first, matrix = weights(self.horizontal, start, stop)
            self.columns.append((slice(first, first + matrix.shape[1]), slice(start, stop), matrix.to(device)))
        self.bands: dict[tuple[int, int], tuple[slice, Tensor]] = {}

    def band(self, start: int, stop: int) -> tuple[slice, Float[Tensor, "rows sources"]]:
        """Source rows that output rows start..stop read, and their weights."""
        if (start, stop) not in self.bands:
            first, matrix = weights(self.vertical, start, stop)
            self.bands[start, stop] = slice(first, first + matrix.shape[1]), matrix.to(self.device)
        return self.bands[start, stop]

    def rows(self, narrow: Float[Tensor, "*batch sources w"], start: int, stop: int) -> Float[Tensor, "*batch rows W"]:
        """Output rows start..stop, given the source rows that they read."""
        _, matrix = self.band(start, stop)
        flat = narrow.reshape(-1, self.source[1])
        wide = flat.new_empty(len(flat), self.size[1])
        with float32_products(self.device):
            for columns, outputs, block in self.columns:
                torch.mm(flat[:, columns], block.t(), out=wide[:, outputs])
            return matrix @ wide.view(*narrow.shape[:-1], self.size[1])

    def adjoint(self, gradient: Float[Tensor, "*batch rows W"], start: int) -> Float[Tensor, "*batch sources w"]:
        """Gradient with respect to the source rows of this band, given that of output rows start onwards."""
        _, matrix = self.band(start, start + gradient.shape[-2])
        with float32_products(self.device):
            wide = matrix.t() @ gradient
            flat = wide.reshape(-1, self.size[1])
            narrow = flat.new_zeros(len(flat), self.source[1])
            for columns, outputs, block in self.columns:
                narrow[:, columns].addmm_(flat[:, outputs], block)
        return narrow.view(*wide.shape[:-1], self.source[1])


@contextmanager
def float32_products(device: torch.device) -> Iterator[None]:
    """Keep autocast and reduced-precision products from rounding the factors: logits would move by parts in 1000."""
    backend = torch.backends.cuda.matmul if device.type == "cuda" else getattr(torch.backends.mkldnn, "matmul", None)
    # torch 2.9 renamed the switch, and reading the old name fails once the new one has been set.
    switch, exact = ("fp32_precision", "ieee") if hasattr(backend, "fp32_precision") else ("allow_tf32", False)
    configured = getattr(backend, switch, None)
    with torch.autocast(device.type, enabled=False):
        if configured in (None, exact):
            yield
            return
        setattr(backend, switch, exact)
        try:
            yield
        finally:
            setattr(backend, switch, configured)


@lru_cache(maxsize=32)
def bilinear(
    source: tuple[int, int], size: tuple[int, int], align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Bilinear:
    """The interpolation between two sizes, made once."""
    if min(*source, *size) < 1:
        raise ValueError(f"cannot resize {source} to {size}: sizes are (height, width) and at least 1")
    return Bilinear(source, size, align_corners, dtype, device)


class _UpsampleRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, interpolation: Bilinear, start: int, stop: int) -> Tensor:
        ctx.interpolation, ctx.start, ctx.stop, ctx.shape = interpolation, start, stop, logits.shape
        source, _ = interpolation.band(start, stop)
        return interpolation.rows(logits[..., source, :], start, stop)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        source, _ = ctx.interpolation.band(ctx.start, ctx.stop)
        result = gradient.new_zeros(ctx.shape)
        result[..., source, :] = ctx.interpolation.adjoint(gradient, ctx.start)
        return result, None, None, None


def upsample_rows(
    logits: Float[Tensor, "*batch h w"], size: tuple[int, int], start: int, stop: int, align_corners: bool
) -> Float[Tensor, "*batch rows W"]:
    """Rows start..stop of `F.interpolate(logits, size, mode="bilinear", align_corners=align_corners)`.

    Any ratio of sizes. Half-precision logits give float32 rows.

    Raises:
        ValueError: if the rows do not lie inside the output.
    """
    if not 0 <= start < stop <= size[0]:
        raise ValueError(f"rows {start}..{stop} are not inside an output of {size[0]} rows")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    interpolation = bilinear(tuple(logits.shape[-2:]), tuple(size), align_corners, dtype, logits.device)
    return _UpsampleRows.apply(logits.to(dtype), interpolation, start, stop)
