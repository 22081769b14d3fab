"""Which of the files that should be photographs are masks, by their names and what they show."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mdseg.data.reading import read_image

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")  # JPEG and most WebP invent ids between those of two classes
POLYGONS = (".json",)  # masks as files of polygons, where mask_ending says so
COLOURS = 64  # a mask has one for every class, a photograph hundreds
PIXELS = 100_000  # that are looked at
TRIED = 3  # files of a kind: a single photograph may be all black


def mask_among(files: Sequence[Path], images: Sequence[Path]) -> tuple[Path, Path] | None:
    """One of the files that is the mask of an image, and this image; None where there is none.

    It is called like the image, in another folder or format, or with something before or behind the name that is more
    than a number, `x_mask.png` beside `x.jpg`; and it shows what a mask does, see :func:`seems_mask`.
    """
    called = defaultdict(list)
    for path in images:
        called[path.stem].append(path)
    kinds: dict[tuple[Path, str, str], list[tuple[Path, Path]]] = defaultdict(list)
    for path in files:
        if path.suffix.lower() in LOSSLESS:
            for before, name, behind in within(path.stem):
                kinds[path.parent, before, behind] += [(path, other) for other in called.get(name, ()) if other != path]
    for pairs in kinds.values():
        if pairs and all(seems_mask(*pair) for pair in pairs[:TRIED]):
            return pairs[0]
    return None


def within(stem: str) -> Iterator[tuple[str, str, str]]:
    """The name itself, and names that it has more than a number added to: what is before it, the name, what behind."""
    yield "", stem, ""
    for place in range(1, len(stem)):
        first, second = stem[:place], stem[place:]
        if any(map(str.isalpha, second)) and (not second[0].isalnum() or (first[-1].isdigit() and second[0].isalpha())):
            yield "", first, second
        if any(map(str.isalpha, first)) and (not first[-1].isalnum() or (first[-1].isalpha() and second[0].isdigit())):
            yield first, second, ""


def seems_mask(file: Path, photograph: Path) -> bool:
    """Whether a file is grey or has a palette where a photograph has colours, or shows far fewer of them."""
    try:
        if not _has_colours(file) and _has_colours(photograph):
            return True
        few = _count_colours(file)
        return few <= COLOURS and 4 * few < _count_colours(photograph)
    except (OSError, ValueError, Image.DecompressionBombError):  # said where it is read
        return False


def _has_colours(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


def _count_colours(path: Path) -> int:
    pixels = read_image(path)
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // PIXELS))
    return len(np.unique(pixels[::step, ::step].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)))
