"""One class for every dataset on disk: what differs is a list of files (a layout) and a label table."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from mdseg.data import sunrgbd
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.system.documents import read_json, shown
from mdseg.system.wording import Remark, shortened

GREY, PALETTE = 0, 3  # colour types in a PNG header
ORIGINALS = "originals.json"  # in a folder of images that stand for a dataset's own: what they were made of


class UnknownLabels(ValueError):
    """A mask holds raw ids, or a polygon file labels, that the table does not know.

    Args:
        unknown: these, as a person writes them; optional because the data loader builds an error of a worker anew from
            its message.
    """

    def __init__(self, message: str, unknown: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.unknown = tuple(unknown)


@dataclass(frozen=True)
class Sample:
    """The files of one image.

    Args:
        key: what the image is called in its split.
        mask: None in an unlabelled split.
        mask_size: (height, width) to which a mask of another size than its image is resized, None where they agree.
        entry: which of the masks in its file, None where that holds one.
    """

    key: str
    image: Path
    mask: Path | None
    mask_size: tuple[int, int] | None = None
    entry: int | None = None


class SegmentationDataset:
    """Images and masks of one split of a dataset; masks hold class indices of its table, 255 = ignore."""

    def __init__(self, name: str, samples: Sequence[Sample], table: LabelTable) -> None:
        self.name, self.samples, self.table = name, tuple(samples), table
        self._lookup = table.lookup()
        self._unknown = (~table.known()).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """RGB image, as stored: EXIF orientation is not applied, because masks match the stored pixels."""
        return read_image(self.samples[index].image)

    def mask(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """Class index of each pixel, 255 = ignore.

        Raises:
            ValueError: the sample has no mask, or its file is unreadable, not in the table's encoding, or has raw ids
                that the table does not know.
        """
        path, entry = self.samples[index].mask, self.samples[index].entry
        if path is None:
            raise ValueError(f"dataset '{self.name}': sample '{self.samples[index].key}' is unlabelled, it has no mask")
        if path.suffix.lower() == ".json":
            mask = draw_polygons(path, self.table)
        elif entry is not None:
            mask = self._class_indices(sunrgbd.read_mask(path, entry), path)
        elif path.suffix.lower() == ".mat":
            mask = sunrgbd.read_scene(path, self.table)
        else:
            mask = self._class_indices(_READERS[self.table.encoding](path), path)
        size = self.samples[index].mask_size
        return mask if size is None else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image, from the file's header only."""
        return read_size(self.samples[index].image)

    def check_size(self, index: int, image: np.ndarray, mask: np.ndarray) -> None:
        """Refuse an image and a mask that differ in height or width.

        Raises:
            ValueError: it names both files.
        """
        if image.shape[:2] != mask.shape[:2]:
            sample = self.samples[index]
            raise ValueError(
                f"dataset '{self.name}': sizes (height, width) differ, {image.shape[:2]} of {sample.image} and "
                f"{mask.shape[:2]} of its mask {sample.mask}; resize one of them (the mask with nearest neighbour)"
            )

    def _class_indices(self, raw: np.ndarray, path: Path) -> UInt8[np.ndarray, "h w"]:
        if raw.dtype == np.uint8:  # cv2.LUT takes a third of np.take's time, and only 8 bits
            mask, unknown = cv2.LUT(raw, self._lookup), cv2.LUT(raw, self._unknown)
        else:
            mask, unknown = self._lookup[raw], self._unknown[raw]
        if unknown.any():
            _raise_unknown(np.unique(raw[unknown == 1]).tolist(), path, self.table)
        return mask


def image_file(folder: Path, key: str) -> Path:
    """Where the image that stands for a dataset's own lies in a folder of such."""
    return folder / f"{key}.png"


def originals(dataset: SegmentationDataset) -> dict[str, int]:
    """The images of a dataset as a folder of others that stand for them remembers them: key → bytes of the file."""
    return {sample.key: sample.image.stat().st_size for sample in dataset.samples}


def with_images(dataset: SegmentationDataset, folder: Path) -> SegmentationDataset:
    """The same masks with other images, such as translated ones: `<key>.png` in a folder, for every image.

    Where the folder says what they were made of, see :func:`originals`, these must be the dataset's images.

    Raises:
        FileNotFoundError: there is no such folder, or an image is missing.
        ValueError: an image has another size than the dataset's own, or was made of another one.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"images of dataset '{dataset.name}': there is no folder {folder}")
    files = [image_file(folder, sample.key) for sample in dataset.samples]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"images of dataset '{dataset.name}' in {folder}: {len(missing)} of {len(files)} are missing, such as "
            f"{missing[0].relative_to(folder)}; they are called as the dataset's images, with .png"
        )
    for index, file in enumerate(files):
        if (found := read_size(file)) != (own := dataset.size(index)):
            raise ValueError(
                f"{file}: its size (height, width) is {found}, but the image that it stands for, "
                f"{dataset.samples[index].image}, has {own}; were these made of other images?"
            )
    if (record := folder / ORIGINALS).is_file():
        made_of, wanted = _sizes(record), originals(dataset)
        others = [key for key, size in wanted.items() if made_of.get(key) != size]
        if others:
            raise ValueError(
                f"images of dataset '{dataset.name}' in {folder}: {len(others)} of {len(wanted)} were made of other "
                f"images than those of the dataset now, such as {others[0]} ({record} has the sizes of the files); "
                "translate these ones"
            )
    samples = [replace(sample, image=file) for sample, file in zip(dataset.samples, files, strict=True)]
    return SegmentationDataset(dataset.name, samples, dataset.table)


def _sizes(record: Path) -> dict[str, int]:
    """What :func:`originals` wrote."""
    try:
        sizes = read_json(record)
        if not isinstance(sizes, dict):
            raise ValueError(f"{record}: found {shown(sizes)}")
    except ValueError as error:
        raise ValueError(
            f"{record}: expected the name and size of every original image, found something else "
            f"({str(error).removeprefix(f'{record}: ')}); without this file images are compared by name and size alone"
        ) from error
    return sizes


MASKS_WITHOUT_TABLE = (
    "it has masks, but `labels` is null: name a label table, or, if the masks are not wanted, set the layout's "
    "`mask_dir: null`"
)


def load_table(name: str, labels: Any) -> LabelTable:
    """Label table of a dataset; one that stands in the descriptor itself is called as the dataset.

    Null: the dataset has no masks, and its table no classes.
    """
    if labels is None:
        return LabelTable.without_classes(name)
    return LabelTable.load({"name": name, **labels} if isinstance(labels, Mapping) else labels)


def load_dataset(
    name: str,
    layout: Callable[[str | Path, str], list[Sample]],
    root: str | Path,
    labels: Any,
    split: str,
) -> SegmentationDataset:
    """Dataset from the fields of its descriptor, `conf/dataset/<name>.yaml`.

    Raises:
        FileNotFoundError: the split or the label table is missing.
        ValueError: layout or table do not fit the files; both name dataset and split.
    """
    try:
        dataset = SegmentationDataset(name, layout(root, split), load_table(name, labels))
        if labels is None and any(sample.mask is not None for sample in dataset.samples):
            raise ValueError(MASKS_WITHOUT_TABLE)
        if remark := seem_mapped(dataset):
            warnings.warn(f"dataset '{name}', split '{split}': {remark}", Remark, stacklevel=2)
        return dataset
    except FileNotFoundError as error:
        raise FileNotFoundError(f"dataset '{name}', split '{split}': {error}") from error
    except ValueError as error:
        raise ValueError(f"dataset '{name}', split '{split}': {error}") from error


def seem_mapped(dataset: SegmentationDataset) -> str | None:
    """A remark if masks whose unknown raw ids are ignored seem to hold 0..n-1 instead of the raw ids of the table.

    Copies of NTHU are in use whose labels were mapped already; they would be read as wrong classes without an error.
    Files are read until one settles it, which is the first one of a copy that was not mapped.
    """
    table = dataset.table
    largest = max((raw_id for raw_ids in table.raw_ids for raw_id in raw_ids), default=0)
    masks = [sample.mask for sample in dataset.samples if sample.mask is not None]
    if not masks or table.unknown_ids == "error" or table.encoding != "id" or largest < table.num_classes:
        return None
    for path in masks:
        try:
            raw = _read_id(path)
        except ValueError:  # said when it is used
            continue
        if ((raw >= table.num_classes) & (raw != IGNORE)).any():
            return None
    last = table.num_classes - 1
    return (
        f"no mask has a raw id above {last}, so they seem to be mapped to 0..{last} already; if so, set the dataset's "
        f"`labels: {table.name}_train_ids`"
    )


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file, from its header only.

    Raises:
        ValueError: it is not a readable image.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB image of any 8-bit file; grey and palette images are expanded, an alpha channel is dropped."""
    return _rgb(_decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION))


def read_photograph(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB image of any file that shows one, the right way up as its EXIF orientation says; 16 bits become 8."""
    return _rgb(_decode(path, cv2.IMREAD_COLOR))


def _rgb(bgr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)  # in place: a large photograph is there once


def draw_polygons(path: Path, table: LabelTable) -> UInt8[np.ndarray, "h w"]:
    """Mask of a file of polygons, IDD's or labelme's: in order, later ones on top.

    IDD's as AutoNUE's tool does: a label ending in `group` falls back to the label without it; deleted polygons and
    those with fewer than three points are skipped; the background is 255. Drawn with Pillow, as there, so that borders
    come out alike. Of labelme's shapes polygons, rectangles and circles are drawn; the background is the class with the
    member `_background_`, as labelme calls it, or else 255.

    Raises:
        ValueError: the table has no labels of polygons, or the file is damaged, or has a label that the table does not
            know or a shape that is not drawn.
    """
    if not any(table.members):
        raise ValueError(
            f"{path}: label table '{table.name}' has no `members`, so polygons cannot be drawn; write into it which "
            "labels each class has (`idd` is an example)"
        )
    class_of = {member: index for index, members in enumerate(table.members) for member in members}
    class_of |= dict.fromkeys(table.ignore_members, IGNORE)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        size, shapes = _labelme_shapes(document) if "shapes" in document else _idd_shapes(document)
        canvas = Image.new("L", size, class_of.get("_background_", IGNORE) if "shapes" in document else IGNORE)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: not a readable polygon file of labelme or IDD ({said})") from error
    draw = ImageDraw.Draw(canvas)
    drawn = {"polygon": draw.polygon, "rectangle": draw.rectangle, "circle": draw.ellipse}
    for kind, labels, points in shapes:
        if kind not in drawn:
            raise ValueError(
                f"{path}: the shape '{labels[0]}' is a {kind}; {', '.join(drawn)} are drawn, make it one of these or "
                "delete it"
            )
        drawn[kind](points, fill=_polygon_class(labels, class_of, path, table))
    return np.array(canvas)


Points = list[tuple[float | int, ...]]
Shapes = list[tuple[str, tuple[str, ...], Points]]  # what it is, labels it may go by, its points


def _idd_shapes(document: Any) -> tuple[tuple[int, int], Shapes]:
    """(width, height) and polygons of IDD, or of Cityscapes."""
    shapes: Shapes = [
        ("polygon", (item["label"], item["label"].removesuffix("group")), _points(item["polygon"]))
        for item in document["objects"]
        if len(item["polygon"]) >= 3 and not item.get("deleted", 0)
    ]
    return (document["imgWidth"], document["imgHeight"]), shapes


def _labelme_shapes(document: Any) -> tuple[tuple[int, int], Shapes]:
    """(width, height) and shapes of labelme; circles and rectangles as Pillow wants them, by their outer corners."""
    shapes: Shapes = []
    for item in document["shapes"]:
        kind, points = item.get("shape_type") or "polygon", _points(item["points"])  # old files have polygons only
        if kind == "rectangle" and len(points) == 4:  # of newer releases, which turn them
            kind = "polygon"
        elif kind == "rectangle" and len(points) == 2:
            points = [tuple(min(axis) for axis in zip(*points, strict=True)), tuple(map(max, *points))]
        elif kind == "circle" and len(points) == 2:  # its centre and a point on it
            (x, y), radius = points[0], math.dist(*points)
            points = [(x - radius, y - radius), (x + radius, y + radius)]
        elif kind != "polygon" or len(points) < 3:
            kind = f"{kind} ({len(points)} points)"
        shapes.append((kind, (item["label"],), points))
    return (document["imageWidth"], document["imageHeight"]), shapes


def _points(values: Any) -> Points:
    points: Points = [(x, y) for x, y in values]
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("a point is not finite")
    return points


def _polygon_class(labels: Sequence[str], class_of: Mapping[str, int], path: Path, table: LabelTable) -> int:
    known = [label for label in labels if label in class_of]
    if not known and table.unknown_ids == "error":
        message = f"{path}: label '{labels[0]}' is not in label table '{table.name}' (`members`, `ignore_members`)"
        raise UnknownLabels(message, labels[:1])
    return class_of[known[0]] if known else IGNORE


def _read_id(path: Path) -> np.ndarray:
    data = path.read_bytes()
    raw = _decode(path, cv2.IMREAD_UNCHANGED)
    depth, color_type = data[24:26] if data.startswith(b"\x89PNG") else (8, GREY)
    if color_type == PALETTE or raw.ndim != 2 or raw.dtype != np.uint8:
        found = "palette PNG" if color_type == PALETTE else f"{raw.dtype} of shape {raw.shape}"
        raise ValueError(
            f"{path}: expected an 8-bit single-channel mask, found {found}; set the table's `encoding`, or save it as "
            "8-bit grey"
        )
    # Lossless optimisers pack few grey levels into 1, 2 or 4 bits, which readers stretch to 0..255.
    return raw if depth == 8 else raw // (255 // (2**depth - 1))


def _read_palette(path: Path) -> np.ndarray:
    # OpenCV would expand the palette to colours.
    try:
        with Image.open(path) as image:
            if image.mode == "P":
                return np.array(image)
    except OSError as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error
    if image.mode == "L":
        return _read_id(path)
    raise ValueError(
        f"{path}: expected a palette PNG, found mode {image.mode}; its ids are lost if it was expanded to RGB"
    )


def _read_rgb(path: Path) -> np.ndarray:
    # Without ANYDEPTH, OpenCV would drop the lower 8 of 16 bits.
    pixels = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"{path}: expected 8 bits per colour, found {pixels.dtype}; set the table's `encoding`, or save it with 8"
        )
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    return pixels.view("<u4")[..., 0] & 0xFFFFFF  # bytes b g r a: r << 16 | g << 8 | b


def _read_channel16(path: Path) -> np.ndarray:
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.dtype != np.uint16:
        found = f"{pixels.dtype} of shape {pixels.shape}"
        raise ValueError(f"{path}: expected a 16-bit RGB PNG with the id in red, found {found}; {_lost_bits(pixels)}")
    return np.minimum(pixels[..., 2], IGNORE).astype(np.uint8)  # OpenCV's order is BGR


def _lost_bits(pixels: np.ndarray) -> str:
    """What became of the 16 bits of such a mask, and what to do."""
    if pixels.ndim == 3 and pixels.dtype == np.uint8:
        return (
            "either it lost its 16 bits when a program saved it again (Pillow keeps the upper 8: all ids become 0), "
            "then unpack GT/LABELS of the download again, or it is a picture of GT/COLOR, which cannot be decoded"
        )
    return (
        "a copy mapped to Cityscapes train ids needs `layout.annotation: train_ids` (or mapped) and "
        "`labels: cityscapes_train_ids`"
    )


_READERS = {"id": _read_id, "palette": _read_palette, "rgb": _read_rgb, "channel16": _read_channel16}


def _decode(path: Path, flags: int) -> np.ndarray:
    # From memory: cv2.imread returns the readable part of a truncated JPEG, imdecode refuses it.
    data = np.fromfile(path, dtype=np.uint8)
    try:
        pixels = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error as error:  # more pixels than OpenCV allows
        raise ValueError(f"{path}: not a readable image ({error})") from error
    if pixels is None:
        raise ValueError(
            f"{path}: not a readable image (empty, truncated, corrupt, or of a kind that OpenCV does not read, such as "
            "floating-point TIFF); replace it, or leave it out"
        )
    return pixels


def _raise_unknown(raw_ids: list[int], path: Path, table: LabelTable) -> None:
    unknown = [table.show(raw_id) for raw_id in raw_ids]
    raise UnknownLabels(
        f"{path}: raw ids {shortened(unknown, 8)} are not in label table '{table.name}'; "
        f"{_better_encoding(path, table)}is it the right table (`labels`)? "
        f"Otherwise list them in `{table.ignore_key}` or set `unknown_ids: ignore`",
        unknown,
    )


def _better_encoding(path: Path, table: LabelTable) -> str:
    """What a PNG itself says about how its ids are to be read."""
    with path.open("rb") as file:
        header = file.read(26)
    meant = {GREY: "id", PALETTE: "palette"}.get(header[25]) if header.startswith(b"\x89PNG") else None
    return f"is `encoding: {meant}` meant? Or " if table.encoding == "rgb" and meant else ""
