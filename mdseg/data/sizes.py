"""The sizes at which a network is shown images: those that it takes, and those that blow images up."""

import os
import statistics
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from mdseg.data.reading import LARGEST
from mdseg.data.selection import LoadedStream
from mdseg.data.transforms import evaluation_size
from mdseg.system.wording import Remark, shortened

BLOWN_UP = 4  # times that images are enlarged, above which it is said
LOOKED_AT = 16  # images of a dataset, for their sizes

Size = tuple[int, int]
# Why a network does not take images of (height, width), and what it takes instead; null: it takes them. The second
# argument says how many images of a training step it sees at once; null: one that is evaluated.
Refusal = Callable[[Size, int | None], str | None]


def takes_any(size: Size, images: int | None) -> str | None:
    """The answer of a network that takes images of any size, or does not say which."""
    return None


def check_crop(loaded: LoadedStream, multiple: int, refusal: Refusal, images: int) -> None:
    """Refuse crops of a stream that the network does not take, and remark upon images that they blow up.

    Args:
        multiple: the sizes given to the network are multiples of this; crops of labelled images are padded to it.
        images: that the network sees at once, at most.

    Raises:
        ValueError: it says which crop, and one that fits.
    """
    name, transform = loaded.stream.name, loaded.transform
    if loaded.stream.role != "labelled":
        check_unpadded(name, transform.crop, multiple)
    height, width = (side + -side % multiple for side in transform.crop)
    check_memory(f"streams.{name}", images, (height, width), "batch_size, or transform.crop")
    if why := refusal((height, width), images):
        raise ValueError(f"streams.{name}: transform.crop={list(transform.crop)}: {why}")
    factors = {}
    for dataset in loaded.datasets:
        some = np.linspace(0, len(dataset) - 1, min(len(dataset), LOOKED_AT)).round().astype(int).tolist()
        factors[dataset.name] = [transform.enlargement(dataset.size(index)) for index in some]
    by = f"streams.{name}: transform.crop={list(transform.crop)} with short_side={transform.short_side}"
    remark_enlarged(factors, by, "for training")


def check_unpadded(name: str, crop: Size, multiple: int) -> None:
    """Refuse crops of images without masks that would have to be padded.

    Raises:
        ValueError: it says which crop fits.
    """
    fitting = tuple(max(1, round(side / multiple)) * multiple for side in crop)
    if crop != fitting:
        raise ValueError(
            f"streams.{name}: the network takes sides that are multiples of {multiple}, and crops of "
            f"{list(crop)} without masks are not padded, since nothing would mark the padding; a crop that fits is "
            f"transform.crop=[{fitting[0]},{fitting[1]}] (streams.{name}.transform sets it for this stream alone)"
        )


def check_memory(where: str, images: int, size: Size, smaller: str) -> None:
    """Refuse a batch whose images alone, as they leave the disk, are more than this machine's memory.

    Args:
        size: (height, width) of each.
        smaller: what to set lower.

    Raises:
        ValueError: it says how much it would be.
    """
    needed, there = 3 * images * size[0] * size[1], memory()
    if needed > there:
        raise ValueError(
            f"{where}: {images} images of {size[0]} × {size[1]} pixels at once are {needed / 1e9:.0f} GB, and this "
            f"machine has {there / 1e9:.0f} GB of memory; set {smaller} lower"
        )


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize


def check_evaluated(
    name: str, stored: Collection[Size], short_side: int | None, multiple: int, refusal: Refusal, images: int = 1
) -> None:
    """Refuse sizes at which the network would have to see a dataset's images.

    Args:
        stored: the sizes of the images.
        images: of a batch, at most.

    Raises:
        ValueError: it says which size, and one that fits.
    """
    option = f"evaluation.short_side={'null' if short_side is None else short_side}"
    for height, width in sorted({evaluation_size(size, short_side, multiple) for size in stored}):
        if height * width > LARGEST:
            raise ValueError(
                f"{option}: images of {name} would be seen at {height} × {width} (height × width), which is more than "
                f"the {LARGEST / 1e6:.0f} megapixels of an image that can be read; set it lower"
            )
        check_memory(f"evaluate: {name}", images, (height, width), "evaluation.batch_size or evaluation.short_side")
        if why := refusal((height, width), None):
            raise ValueError(f"{option}: images of {name} would be seen at {height} × {width} (height × width): {why}")


def remark_enlarged(factors: Mapping[str, Sequence[float]], by: str, where: str) -> None:
    """Remark upon images that are blown up before the network sees them.

    Args:
        factors: dataset → how many times some of its images are.
        by: what blows them up.
    """
    usual = {name: statistics.median(of_dataset) for name, of_dataset in factors.items()}
    blown_up = {name: factor for name, factor in usual.items() if factor > BLOWN_UP}
    if blown_up:
        images = shortened([f"{name} ({factor:.1f} times)" for name, factor in blown_up.items()])
        warnings.warn(
            f"{by} enlarges images {where} far beyond what they show: of {images}; a smaller value takes less time and "
            "memory",
            Remark,
            stacklevel=3,
        )
