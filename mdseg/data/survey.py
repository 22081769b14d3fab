"""What the headers of the files of one's own folder say, before any pixel is read."""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mdseg.data.dataset import Sample, sizes_differ
from mdseg.data.listing import UnusableSplit
from mdseg.data.reading import Header, read_headers, refuse_unusable
from mdseg.system.wording import Remark, shortened

ORIENTATIONS = ("stored", "upright")
ORIENTED = "labelled image with an EXIF orientation, of which nobody has said whether its mask follows it"
NO_HEADER = (".json", ".mat")  # suffixes of annotation that is no image
POLYGONS_SIZE = re.compile(rb'"(?:image|img)(Height|Width)"\s*:\s*(\d{1,9})\b')  # labelme's, IDD's
BLOCK = 1 << 14  # bytes

Headers = Mapping[Path, Header | ValueError]


def surveyed(samples: Sequence[Sample], orientation: Any = None) -> list[Sample]:
    """Samples whose files fit together, as far as their headers tell.

    Args:
        orientation: of labelled images that have one in EXIF: `stored` takes the pixels as they lie in the file,
            `upright` as they are shown. A mask is turned only where it has an orientation of its own.

    Raises:
        UnusableSplit: a file cannot be used, an image and its mask differ in size, or there are labelled images with an
            EXIF orientation and null as option.
        ValueError: an orientation that is none.
    """
    if orientation not in (None, *ORIENTATIONS):
        raise ValueError(f"orientation: expected stored, upright or null, got {orientation!r}")
    samples = [replace(each, upright=orientation == "upright" and each.mask is not None) for each in samples]
    masks = [each.mask for each in samples if each.mask is not None]
    files = [*(each.image for each in samples), *(mask for mask in masks if mask.suffix.lower() not in NO_HEADER)]
    headers = dict(zip(files, read_headers(files), strict=True))
    headers |= {mask: header for mask in masks if mask.suffix.lower() == ".json" and (header := polygons_header(mask))}
    check_usable(samples, headers)
    if orientation is None:
        check_oriented(samples, headers)
    check_sizes(samples, headers)
    for remark in remarks({each.image: headers[each.image] for each in samples}):
        warnings.warn(remark, Remark, stacklevel=3)
    return samples


def polygons_header(path: Path) -> Header | None:
    """What a file of polygons says of its picture's size near its beginning or end: a copy of that may lie between."""
    with path.open("rb") as file:
        text = file.read(BLOCK)
        file.seek(max(BLOCK, path.stat().st_size - BLOCK))
        found = dict(POLYGONS_SIZE.findall(text + file.read()))
    if len(found) < 2:  # said when it is read
        return None
    return Header((int(found[b"Height"]), int(found[b"Width"])), 1, "JSON", "", 8, False, False)


def check_usable(samples: Sequence[Sample], headers: Headers) -> None:
    """Refuse files that could not be read; `data check` reads all of them and lists those."""
    images, unusable = {each.image for each in samples}, []
    for path, header in headers.items():
        try:
            if isinstance(header, ValueError):
                raise header
            refuse_unusable(path, header if path in images else header._replace(mode=""))
        except ValueError as error:
            unusable.append(error)
    if unusable:
        raise UnusableSplit(f"{unusable[0]}{_more(unusable, 'files')}", samples)


def check_oriented(samples: Sequence[Sample], headers: Headers) -> None:
    """Refuse labelled images that are shown otherwise than they are stored: either may be what their masks fit."""
    found: dict[Path, Path] = {}  # image → the file that has an orientation
    fits: dict[str, Path] = {}  # what only the pixels of some images fit by their size → the first of them
    for image, mask in ((each.image, each.mask) for each in samples if each.mask is not None):
        header, mask_header = headers[image], headers.get(mask)
        if isinstance(header, Header) and (header.orientation, getattr(mask_header, "orientation", 1)) != (1, 1):
            found[image] = image if header.orientation != 1 else mask
            if isinstance(mask_header, Header):
                fitting = [
                    name
                    for name, upright in zip(ORIENTATIONS, (False, True), strict=True)
                    if header.shown(upright) == mask_header.shown(upright)
                ]
                if len(fitting) == 1:
                    fits.setdefault(fitting[0], image)
    if found:
        orientations = {path: getattr(headers[path], "orientation", 1) for path in found.values()}
        named = shortened([f"{path.name} ({orientation})" for path, orientation in orientations.items()])
        hint = f"; by the sizes it is `{next(iter(fits))}`" if len(fits) == 1 else ""
        if len(fits) > 1:
            each = " and ".join(f"{path.name} has a mask of its {name} pixels" for name, path in fits.items())
            hint = f"; {each}, by the sizes: turn the masks of one of the two kinds first"
        raise UnusableSplit(
            f"{len(found)} of {len(samples)} labelled images have an EXIF orientation: {named}. Were their masks drawn "
            "on the pixels as they are stored, or as programs show them? Look at one, and set the layout's "
            f"`orientation` to `stored` or to `upright`{hint}",
            samples,
            {ORIENTED: list(found)},
        )


def check_sizes(samples: Sequence[Sample], headers: Headers) -> None:
    """Refuse images and masks that differ in size; `data check` reads all of them and lists those."""
    differing = []
    for each in samples:
        header, mask_header = headers[each.image], None if each.mask is None else headers.get(each.mask)
        if isinstance(header, Header) and isinstance(mask_header, Header) and each.mask_size is None:
            sizes = header.shown(each.upright), mask_header.shown(each.upright)
            if sizes[0] != sizes[1]:
                differing.append((each, *sizes))
    if differing:
        raise UnusableSplit(f"{sizes_differ(*differing[0])}{_more(differing, 'pairs')}", samples)


def _more(found: Collection[object], what: str) -> str:
    return f" (and {len(found) - 1} more {what})" if len(found) > 1 else ""


def remarks(headers: Headers) -> list[str]:
    """What readers of images leave out of them without anything being wrong."""
    known = {path: header for path, header in headers.items() if isinstance(header, Header)}
    deep = [path.name for path, header in known.items() if header.bits > 8]
    several = [path.name for path, header in known.items() if header.several]
    found = []
    if deep:
        found.append(
            f"{len(deep)} of {len(headers)} images have more than 8 bits per channel, of which the upper 8 are used: "
            f"{shortened(deep)}; where they hold only a part of the range (12 of 16 bits), scale them to 8 bits first, "
            "or they come out nearly black"
        )
    if several:
        found.append(
            f"{len(several)} of {len(headers)} images hold several pictures (pages, frames), of which the first is "
            f"used: {shortened(several)}"
        )
    return found
