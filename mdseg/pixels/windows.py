"""Overlapping windows over an image that is too large to be looked at as a whole."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

CONTEXT = 8  # a window's sides divided by this: what it sees on each side of the part that it answers for


class Window(NamedTuple):
    """A part of an image.

    Args:
        seen: rows and columns of the image.
        core: those of them that the window answers for.
        inside: the core in rows and columns of the window.
    """

    seen: tuple[slice, slice]
    core: tuple[slice, slice]
    inside: tuple[slice, slice]


def windows(size: tuple[int, int], extent: tuple[int, int]) -> Iterator[Window]:
    """Windows of one size, from the upper left to the lower right, whose cores cover an image without overlap.

    Args:
        size: (height, width) of the image.
        extent: that of a window; where it is at least the image's, one window is all of it.
    """
    rows, columns = (list(_spans(*sides)) for sides in zip(size, extent, strict=True))
    for down in rows:
        for across in columns:
            seen, core, inside = zip(down, across, strict=True)
            yield Window(seen, core, inside)


def extent_within(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """Height and width of windows with at most so many pixels: squares, or longer where the image is narrow."""
    height, width = size
    side = math.isqrt(pixels)
    tall, wide = max(side, pixels // width), max(side, pixels // height)
    return max(1, min(height, tall)), max(1, min(width, wide))


def _spans(length: int, extent: int) -> Iterator[tuple[slice, slice, slice]]:
    """Seen, core and core inside what is seen, along one axis."""
    extent = min(extent, length)
    context = extent // CONTEXT
    # The first and the last window have nothing beyond the border to see.
    count = 1 if extent == length else math.ceil((length - 2 * context) / max(1, extent - 2 * context))
    starts = [round(number * (length - extent) / max(1, count - 1)) for number in range(count)]
    ends = [(start + extent + following) // 2 for start, following in pairwise(starts)]
    for start, begin, end in zip(starts, [0, *ends], [*ends, length], strict=True):
        yield slice(start, start + extent), slice(begin, end), slice(begin - start, end - start)
