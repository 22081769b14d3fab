"""Which of the files that should be photographs are masks, by their names and what they show."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mdseg.data.reading import read_image, read_raw_ids
from mdseg.labels.tables import IGNORE

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")  # JPEG and most WebP invent ids between those of two classes
POLYGONS = (".json",)  # masks as files of polygons, where mask_ending says so
COLOURS = 64  # a mask has one for every class, a photograph hundreds
INVENTED = 0.1  # share of the pixels of a mask that was saved with loss, near borders, that have further ones
PIXELS = 100_000  # that are looked at
TRIED = 3  # files of a kind: a single photograph may be all black
PARTNERS = 8  # files that one is compared with: a thousand videos may have a frame of the same name
KINDS = 100  # pairs of folders and endings that are looked at


class Named(NamedTuple):
    """A file whose name is that of another one, but for something before and behind it."""

    path: Path
    before: str = ""
    behind: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.before and not self.behind


def mask_among(files: Sequence[Path], images: Sequence[Path]) -> tuple[Named, Named] | None:
    """One of the files that is the mask of an image, and this image; None where there is none.

    They are called alike, in two folders or formats, or but for something before or behind the name that is more than a
    number: `x_mask.png` and `x.jpg`, `x_label.png` and `x_image.jpg`, `x/mask.png` and `x/image.jpg`. And the one shows
    what a mask does, see :func:`seems_mask`.
    """
    parts = {
        path: [*within(path.stem), ("", f"{path.parent}/", path.stem)] for path in dict.fromkeys((*files, *images))
    }
    counts = Counter((before, behind) for found in parts.values() for before, _, behind in found)

    def is_common(before: str, behind: str) -> bool:
        """Whether it is what files of a kind have, `_label`, and not a part of a single name, `_0001_label`."""
        return counts[before, behind] > 1 and not any(map(str.isdigit, re.split(r"[\W_]+", f"{before}_{behind}")))

    called: dict[str, list[Named]] = defaultdict(list)
    for path in images:
        for before, name, behind in parts[path]:
            image = Named(path, before, behind)
            if image.is_whole or is_common(before, behind):
                called[name].append(image)
    kinds: dict[tuple[object, ...], list[tuple[Named, Named]]] = defaultdict(list)
    for path in files:
        for before, name, behind in parts[path]:
            mask = Named(path, before, behind)
            for image in islice(called.get(name, ()), PARTNERS):
                if image.path != path and (image.is_whole or mask.is_whole or is_common(before, behind)):
                    folders = {path.parent, image.path.parent}
                    where = (path.parent, image.path.parent) if len(folders) > 1 else ()
                    pairs = kinds[*where, path.suffix, *mask[1:], *image[1:]]
                    if len(pairs) < TRIED:
                        pairs.append((mask, image))
    for pairs in islice(kinds.values(), KINDS):
        if all(seems_mask(mask.path, image.path) for mask, image in pairs):
            return pairs[0]
    return None


def within(stem: str) -> Iterator[tuple[str, str, str]]:
    """The name itself, and names that it has more than a number added to: what is before it, the name, what behind."""
    yield "", stem, ""
    letters = [place for place, letter in enumerate(stem) if letter.isalpha()]
    for place in range(1, len(stem)) if letters else ():
        last, next_ = stem[place - 1], stem[place]
        if place <= letters[-1] and (not next_.isalnum() or (last.isdigit() and next_.isalpha())):
            yield "", stem[:place], stem[place:]
        if place > letters[0] and (not last.isalnum() or (last.isalpha() and next_.isdigit())):
            yield stem[:place], stem[place:], ""


def seems_mask(file: Path, photograph: Path) -> bool:
    """Whether a file is grey or has a palette where a photograph has colours, or shows far fewer of them."""
    try:
        lossless = file.suffix.lower() in LOSSLESS
        if lossless and not _has_colours(file) and _has_colours(photograph):
            return True
        few = _count_colours(file, 0.0 if lossless else INVENTED)
        return few <= COLOURS and 4 * few < _count_colours(photograph)
    except (OSError, ValueError, Image.DecompressionBombError):  # said where it is read
        return False


def values_of_masks(files: Sequence[Path]) -> list[int] | None:
    """Ids that some of these files hold, if all of those that are looked at hold little else; None where one does not.

    A grey photograph has more shades, a scanned text only black and white, a synthetic picture colours.
    """
    found: set[int] = set()
    for path in files[:: max(1, len(files) // TRIED)][:TRIED]:
        try:
            values = set(np.unique(read_raw_ids(path, "palette")).tolist())
        except (OSError, ValueError):  # in colours, or said where it is read
            return None
        if values <= {0, IGNORE} or len(values) == 1 or max(values - {IGNORE}) >= COLOURS:
            return None
        found |= values
    return sorted(found)


def _has_colours(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


def _count_colours(path: Path, but: float = 0.0) -> int:
    """How many colours there are, but for the rarest ones of a share of the pixels."""
    pixels = read_image(path)
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // PIXELS))
    packed = pixels[::step, ::step].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    counts = np.sort(np.unique(packed, return_counts=True)[1])[::-1]
    return int(np.searchsorted(np.cumsum(counts), (1 - but) * counts.sum())) + 1
