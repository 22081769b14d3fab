"""One class for every dataset on disk: what differs is a list of files (a layout) and a label table."""

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
from mdseg.data.reading import LARGEST, read_header, read_image, read_raw_ids, read_size, turned
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.system.documents import read_json, shown
from mdseg.system.wording import Remark, excerpt, nearest, shortened

FARTHEST = 1_000_000  # pixels of a polygon's point from the picture's corner; Pillow draws beyond that what it likes
POLYGON_FILES = (
    "labelme's (imageWidth, imageHeight, shapes: label, shape_type, points) or IDD's (imgWidth, imgHeight, objects: "
    "label, polygon)"
)
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
        upright: whether image and mask are turned, each as its own EXIF orientation says; an image without mask is.
    """

    key: str
    image: Path
    mask: Path | None
    mask_size: tuple[int, int] | None = None
    entry: int | None = None
    upright: bool = False

    @property
    def shown_upright(self) -> bool:
        """Whether the image is read the right way up."""
        return self.upright or self.mask is None


class SegmentationDataset:
    """Images and masks of one split of a dataset; masks hold class indices of its table, 255 = ignore."""

    def __init__(self, name: str, samples: Sequence[Sample], table: LabelTable) -> None:
        self.name, self.samples, self.table = name, tuple(samples), table
        self._lookup = table.lookup()
        self._unknown = (~table.known()).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """RGB image: without mask the right way up, with one as stored unless its sample says otherwise.

        Raises:
            ValueError: it cannot be read, see :func:`mdseg.data.reading.read_image`.
        """
        sample = self.samples[index]
        return read_image(sample.image, sample.shown_upright)

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
            mask = self._class_indices(read_raw_ids(path, self.table.encoding), path)
            if self.samples[index].upright:
                mask = turned(mask, read_header(path).orientation)
        size = self.samples[index].mask_size
        return mask if size is None else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image, from the file's header only."""
        sample = self.samples[index]
        return read_size(sample.image, sample.shown_upright)

    def check_size(self, index: int, image: np.ndarray, mask: np.ndarray) -> None:
        """Refuse an image and a mask that differ in height or width.

        Raises:
            ValueError: it names both files.
        """
        if image.shape[:2] != mask.shape[:2]:
            raise ValueError(
                f"dataset '{self.name}': {sizes_differ(self.samples[index], image.shape[:2], mask.shape[:2])}"
            )

    def _class_indices(self, raw: np.ndarray, path: Path) -> UInt8[np.ndarray, "h w"]:
        if raw.dtype == np.uint8:  # cv2.LUT takes a third of np.take's time, and only 8 bits
            mask, unknown = cv2.LUT(raw, self._lookup), cv2.LUT(raw, self._unknown)
        else:
            mask, unknown = self._lookup[raw], self._unknown[raw]
        if unknown.any():
            _raise_unknown(np.unique(raw[unknown == 1]).tolist(), path, self.table)
        return mask


def sizes_differ(sample: Sample, size: tuple[int, ...], mask_size: tuple[int, ...]) -> str:
    """What to say of an image and a mask of other (height, width), and what to do about it."""
    advice = lying(sample, size, mask_size) or "resize one of them (the mask with nearest neighbour)"
    return f"sizes (height, width) differ, {size} of {sample.image} and {mask_size} of its mask {sample.mask}; {advice}"


def lying(sample: Sample, size: tuple[int, ...], mask_size: tuple[int, ...]) -> str:
    """What to do about an image and a mask of which one lies on its side, where resizing would spoil; or nothing."""
    if size != mask_size[::-1]:
        return ""
    try:
        orientation = read_header(sample.image).orientation
    except (OSError, ValueError):  # said when it is read
        orientation = 1
    if orientation > 4:
        fitting = "stored" if sample.shown_upright else "upright"
        return (
            f"the image has EXIF orientation {orientation}, and the mask fits its {fitting} pixels: set `orientation` "
            f"of the layout `folder` to `{fitting}`"
        )
    return "one of them lies on its side: turn it by 90 degrees, do not resize it"


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
            raw = read_raw_ids(path, "id")
        except ValueError:  # said when it is used
            continue
        if ((raw >= table.num_classes) & (raw != IGNORE)).any():
            return None
    last = table.num_classes - 1
    return (
        f"no mask has a raw id above {last}, so they seem to be mapped to 0..{last} already; if so, set the dataset's "
        f"`labels: {table.name}_train_ids`"
    )


def draw_polygons(path: Path, table: LabelTable) -> UInt8[np.ndarray, "h w"]:
    """Mask of a file of polygons, IDD's or labelme's: in order, later ones on top.

    IDD's as AutoNUE's tool does: a label ending in `group` falls back to the label without it; deleted polygons and
    those with fewer than three points are skipped; the background is 255. Drawn with Pillow, as there, so that borders
    come out alike. Of labelme's shapes polygons, rectangles and circles are drawn; the background is the class with the
    member `_background_`, as labelme calls it, or else 255.

    Raises:
        ValueError: the table has no labels of polygons, or the file is damaged, or has a label that the table does not
            know, a shape that is not drawn, or numbers that are no pixels.
    """
    if not any(table.members):
        raise ValueError(
            f"{path}: label table '{table.name}' has no `members`, so polygons cannot be drawn; write into it which "
            "labels each class has (`idd` is an example)"
        )
    class_of = {member: index for index, members in enumerate(table.members) for member in members}
    class_of |= dict.fromkeys(table.ignore_members, IGNORE)
    document = read_json(path)
    try:
        size, shapes = _labelme_shapes(document) if "shapes" in document else _idd_shapes(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: not a readable polygon file, {POLYGON_FILES} ({said})") from error
    canvas = Image.new("L", size, class_of.get("_background_", IGNORE) if "shapes" in document else IGNORE)
    draw = ImageDraw.Draw(canvas)
    drawn = {"polygon": draw.polygon, "rectangle": draw.rectangle, "circle": draw.ellipse}
    for kind, labels, points in shapes:
        if kind not in drawn:
            raise ValueError(
                f"{path}: the shape {excerpt(labels[0])} is a {kind}; {', '.join(drawn)} are drawn (a polygon "
                "has three points at least), make it one of these or delete it"
            )
        drawn[kind](points, fill=_polygon_class(labels, class_of, path, table))
    return np.array(canvas)


Points = list[tuple[float | int, ...]]
Shapes = list[tuple[str, tuple[str, ...], Points]]  # what it is, labels it may go by, its points


def _idd_shapes(document: Any) -> tuple[tuple[int, int], Shapes]:
    """(width, height) and polygons of IDD, or of Cityscapes."""
    shapes: Shapes = []
    for item in document["objects"]:
        if len(item["polygon"]) >= 3 and not item.get("deleted", 0):
            label = _label(item)
            shapes.append(("polygon", (label, label.removesuffix("group")), _points(label, item["polygon"])))
    return _size(document, "imgWidth", "imgHeight"), shapes


def _labelme_shapes(document: Any) -> tuple[tuple[int, int], Shapes]:
    """(width, height) and shapes of labelme; circles and rectangles as Pillow wants them, by their outer corners."""
    shapes: Shapes = []
    for item in document["shapes"]:
        label = _label(item)
        kind, points = item.get("shape_type") or "polygon", _points(label, item["points"])  # old files: polygons only
        if kind == "rectangle" and len(points) == 4:  # of newer releases, which turn them
            kind = "polygon"
        elif kind == "rectangle" and len(points) == 2:
            points = [tuple(min(axis) for axis in zip(*points, strict=True)), tuple(map(max, *points))]
        elif kind == "circle" and len(points) == 2:  # its centre and a point on it
            (x, y), radius = points[0], math.dist(*points)
            points = [(x - radius, y - radius), (x + radius, y + radius)]
        elif kind != "polygon" or len(points) < 3:
            kind = f"{excerpt(kind) if not isinstance(kind, str) else kind} ({len(points)} points)"
        shapes.append((kind, (label,), points))
    return _size(document, "imageWidth", "imageHeight"), shapes


def _size(document: Any, *keys: str) -> tuple[int, int]:
    width, height = (document[key] for key in keys)
    if not all(type(value) is int and value > 0 for value in (width, height)) or width * height > LARGEST:
        raise ValueError(
            f"{' and '.join(keys)}: expected whole numbers of pixels, at most {LARGEST / 1e6:.0f} megapixels, found "
            f"{excerpt(width)} and {excerpt(height)}"
        )
    return width, height


def _label(item: Any) -> str:
    if not isinstance(label := item["label"], str):
        raise ValueError(f"the label {excerpt(label)} is no text")
    return label


def _points(label: str, values: Any) -> Points:
    """Points of a shape, perhaps beside the picture, but not so far that drawing would count beyond its integers."""
    points = [tuple(point) for point in values]
    for point in points:
        numbers = all(isinstance(value, int | float) and abs(value) <= FARTHEST for value in point)  # NaN is not
        if len(point) != 2 or not numbers:
            raise ValueError(
                f"{excerpt(label)} has the point {excerpt(point)}, expected two numbers of pixels, at most {FARTHEST}"
            )
    return points


def _polygon_class(labels: Sequence[str], class_of: Mapping[str, int], path: Path, table: LabelTable) -> int:
    known = [label for label in labels if label in class_of]
    if not known and table.unknown_ids == "error":
        shown, meant = excerpt(labels[0]), nearest(labels[0], class_of)
        where = f"is not in label table '{table.name}' (`members`, `ignore_members`)"
        raise UnknownLabels(f"{path}: label {shown}{meant} {where}", [shown[1:-1]])
    return class_of[known[0]] if known else IGNORE


def _raise_unknown(raw_ids: list[int], path: Path, table: LabelTable) -> None:
    unknown = [table.show(raw_id) for raw_id in raw_ids]
    raise UnknownLabels(
        f"{path}: raw ids {shortened(unknown, 8)} are not in label table '{table.name}'; "
        f"{_better_encoding(path, table)}is it the right table (`labels`)? "
        f"Otherwise list them in `{table.ignore_key}` or set `unknown_ids: ignore`",
        unknown,
    )


def _better_encoding(path: Path, table: LabelTable) -> str:
    """What a file itself says about how its ids are to be read."""
    meant = {"L": "id", "1": "id", "P": "palette"}.get(read_header(path).mode)
    return f"is `encoding: {meant}` meant? Or " if table.encoding == "rgb" and meant else ""
