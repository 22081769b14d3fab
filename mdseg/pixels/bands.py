"""The loop over bands: images with few rows of upsampled logits at a time, so that they never exist as a whole.

Seventy classes on a megapixel take 280 MB per image, a band a few.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mdseg.pixels.upsample import Bilinear, bilinear


class BandBytes(NamedTuple):
    """Memory of one band of upsampled logits, by device."""

    cpu: int
    gpu: int


# Measured: with their gradients, bands that fit the level-2 cache are fastest on a CPU; a GPU wants few large launches.
LOSS_BYTES = BandBytes(cpu=2 << 20, gpu=64 << 20)
# On a CPU 2 to 16 MB are equally fast when it is idle; memory follows the size.
PREDICTION_BYTES = BandBytes(cpu=4 << 20, gpu=64 << 20)


def band_memory(logits: Tensor, band_bytes: int | None, default: BandBytes) -> int:
    """Bytes of one band of upsampled logits, as asked for; None: the default of the logits' device."""
    if band_bytes is not None:
        return band_bytes
    return default.cpu if logits.device.type == "cpu" else default.gpu


@dataclass(frozen=True, eq=False)
class Band:
    """Some rows of an upsampled image; nothing is computed before it is asked for, and no gradient passes.

    Args:
        image: its number in the batch.
        rows: of the upsampled image.
        logits: of the whole image, at their own resolution.
        channels: those that are upsampled, in this order; None: all.
        interpolation: from the logits' size to that of the image.
    """

    image: int
    rows: slice
    logits: Float[Tensor, "k h w"]
    channels: Int64[Tensor, " m"] | None
    interpolation: Bilinear

    @property
    def source_rows(self) -> slice:
        """Rows of the logits that this band reads."""
        return self.interpolation.band(self.rows.start, self.rows.stop)[0]

    @property
    def row_bytes(self) -> int:
        """Memory of one upsampled row."""
        channels = self.logits if self.channels is None else self.channels
        return len(channels) * self.interpolation.size[1] * self.interpolation.dtype.itemsize

    def source(self) -> Float[Tensor, "m sources w"]:
        """The logits that this band reads: its channels and source rows, in at least float32."""
        narrow = self.logits[:, self.source_rows]
        if self.channels is not None:
            narrow = narrow.index_select(0, self.channels)
        return narrow.to(self.interpolation.dtype)

    def upsample(self) -> Float[Tensor, "m rows W"]:
        """These rows of `F.interpolate(logits[channels], size)`, in at least float32; free to overwrite."""
        return self.interpolation.rows(self.source(), self.rows.start, self.rows.stop)

    def adjoint(self, gradient: Float[Tensor, "m rows W"]) -> Float[Tensor, "m sources w"]:
        """Gradient with respect to :meth:`source`, given that of the upsampled rows."""
        return self.interpolation.adjoint(gradient, self.rows.start)

    def split(self, height: int) -> Iterator["Band"]:
        """Bands of so many rows, from top to bottom; the last one may be lower."""
        for start in range(self.rows.start, self.rows.stop, height):
            yield replace(self, rows=slice(start, min(start + height, self.rows.stop)))

    def height_within(self, band_bytes: int) -> int:
        """How many upsampled rows that memory holds, at least one."""
        return max(1, band_bytes // max(1, self.row_bytes))


def banded(
    logits: Float[Tensor, "n k h w"],
    size: Sequence[int],
    align_corners: bool,
    band_bytes: int,
    *,
    channels: Sequence[Int64[Tensor, " _"] | None] | None = None,
    height: int | None = None,
) -> Iterator[Band]:
    """Go through the images of a batch in bands, image by image from top to bottom.

    Args:
        size: (height, width) of the images that the logits are upsampled to.
        band_bytes: memory of one band of upsampled logits.
        channels: those of each image that are upsampled; None: all.
        height: rows of a band, instead of as many as `band_bytes` hold.
    """
    size, dtype = (int(size[0]), int(size[1])), torch.promote_types(logits.dtype, torch.float32)
    interpolation = bilinear(tuple(logits.shape[-2:]), size, align_corners, dtype, logits.device)
    of_images = [None] * len(logits) if channels is None else channels
    for image, (own, chosen) in enumerate(zip(logits.detach(), of_images, strict=True)):
        whole = Band(image, slice(0, size[0]), own, chosen, interpolation)
        yield from whole.split(height or whole.height_within(band_bytes))
