"""The sizes at which a network is shown images: those that it takes, and those that blow images up."""

import statistics
import warnings
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from mdseg.data.selection import LoadedStream
from mdseg.data.transforms import evaluation_factor, evaluation_size
from mdseg.system.wording import Remark

BLOWN_UP = 4  # times that images are enlarged, above which it is said
TRIED = 16  # sizes, or images whose sizes are looked at

Size = tuple[int, int]


class Refusal(Protocol):
    """Why a network does not take images of (height, width), and what it takes instead; null: it takes them.

    Args:
        images: how many of a training step it sees at once; null: one that is evaluated.
    """

    def __call__(self, size: Size, images: int | None = None) -> str | None: ...


def takes_any(size: Size, images: int | None = None) -> str | None:
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
    if why := refusal((height, width), images):
        raise ValueError(f"streams.{name}: transform.crop={list(transform.crop)}: {why}")
    for dataset in loaded.datasets:
        sizes = [dataset.size(index) for index in _spread(range(len(dataset)))]
        remark_enlarged(
            f"streams.{name}: images of {dataset.name}",
            sizes,
            [transform.enlargement(size) for size in sizes],
            f"transform.crop={list(transform.crop)} and short_side={transform.short_side}",
        )


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


def check_evaluated(
    name: str, stored: Collection[Size], short_side: int | None, multiple: int, refusal: Refusal
) -> None:
    """Refuse sizes at which the network would have to see a dataset's images, and remark where they are blown up.

    Args:
        stored: the sizes of the images.

    Raises:
        ValueError: it says which size, and one that fits.
    """
    sizes = sorted(stored)
    option = f"evaluation.short_side={'null' if short_side is None else short_side}"
    for height, width in _spread(sorted({evaluation_size(size, short_side, multiple) for size in sizes})):
        if why := refusal((height, width)):
            raise ValueError(f"{option}: images of {name} would be seen at {height} × {width} (height × width): {why}")
    remark_enlarged(f"images of {name}", sizes, [evaluation_factor(size, short_side) for size in sizes], option)


def remark_enlarged(images: str, sizes: Sequence[Size], factors: Sequence[float], by: str) -> None:
    """Remark upon images that are blown up before the network sees them."""
    if (usual := statistics.median(factors)) > BLOWN_UP:
        height, width = sizes[0]
        warnings.warn(
            f"{images}, such as {height} × {width} (height × width), are enlarged about {usual:.1f} times by {by}, "
            "to sizes at which they show nothing more; smaller values train and evaluate faster and no worse",
            Remark,
            stacklevel=3,
        )


def _spread(items: Sequence) -> list:
    """Some items, or all, evenly over a sequence."""
    return [items[index] for index in np.linspace(0, len(items) - 1, min(len(items), TRIED)).round().astype(int)]
