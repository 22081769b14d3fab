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
        path: [*within(path.stem), ("", f"{path.parent.name}/", path.stem)] for path in dict.fromkeys((*files, *images))
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
    """Whether a file shows few colours, and is grey or has a palette where a photograph has none, or far more.

    A thermal or an infrared photograph is grey too, but in many shades.
    """
    try:
        lossless = file.suffix.lower() in LOSSLESS
        otherwise = lossless and not _has_colours(file) and _has_colours(photograph)
        few = _count_colours(file, 0.0 if lossless and not otherwise else INVENTED)
        return few <= COLOURS and (otherwise or 4 * few < _count_colours(photograph))
    except (OSError, ValueError, Image.DecompressionBombError):  # said where it is read
        return False


def masks_by_values(files: Sequence[Path]) -> tuple[Path, list[int]] | None:
    """The first file of a kind that seems to be masks, whatever these are called, and ids that they hold; or None.

    A kind lies in one folder and has one suffix, and names that differ in numbers alone where there are several such.
    A grey photograph has more shades than masks have ids, a scanned text black and white, a synthetic picture colours.
    """
    shapes = {path: (path.parent, path.suffix, re.sub(r"\d+", "0", path.stem)) for path in files}
    counts, kinds = Counter(shapes.values()), defaultdict(list)
    for path, shape in shapes.items():
        kinds[shape if counts[shape] > 1 else shape[:2]].append(path)
    for kind in islice((kind for kind in kinds.values() if len(kind) > 1 or len(kinds) == 1), KINDS):
        values = [_ids(path) for path in kind[:: max(1, len(kind) // TRIED)][:TRIED]]
        if all(values):
            return kind[0], sorted(set().union(*values))
    return None


def _ids(path: Path) -> set[int]:
    """The ids of a file without colours, where they are few and not black and white; of others none."""
    try:
        values = set() if _has_colours(path) else set(np.unique(read_raw_ids(path, "palette")).tolist())
    except (OSError, ValueError, Image.DecompressionBombError):  # said where it is read
        return set()
    few = len(values) > 1 and not values <= {0, IGNORE} and max(values - {IGNORE}) < COLOURS
    return values if few else set()


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
