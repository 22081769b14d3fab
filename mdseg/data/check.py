"""Whether a dataset is usable: every file of every split read and counted, every problem listed."""

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mdseg.data.dataset import MASKS_WITHOUT_TABLE, Sample, SegmentationDataset, UnknownLabels, lying, seem_mapped
from mdseg.data.listing import SPLITS, IncompleteSplit, NoSplit, UnusableSplit
from mdseg.data.reading import read_header
from mdseg.data.statistics import count_classes
from mdseg.data.survey import ORIENTED
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.system.wording import shortened

UNREADABLE_IMAGE = "image that cannot be read"
UNREADABLE_MASK = "mask that cannot be read"
SIZES_DIFFER = "image and mask of different size"
UNKNOWN = "mask with raw ids that are not in the label table"
NOTHING_LABELLED = "mask in which every pixel is ignored"
NOT_TURNED = "labelled image whose EXIF orientation is not applied; does its mask fit the pixels as they are stored?"


class Fault(NamedTuple):
    """What is wrong with one file."""

    what: str
    file: Path
    detail: str


@dataclass(frozen=True)
class Problem:
    """One kind of trouble in a split.

    Args:
        error: whether it makes the data unusable; else it is a warning.
        files: each with a detail, which may be empty.
    """

    error: bool
    split: str
    what: str
    files: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the files of one sample hold.

    Args:
        size: (height, width) of the image.
        mean, deviation: of its red, green and blue.
        histogram: pixels per class index.
        unknown: raw ids that the table does not know, as a person writes them.
        digest: hash of the image file.
    """

    sample: Sample
    faults: tuple[Fault, ...] = ()
    size: tuple[int, int] | None = None
    mean: np.ndarray = field(default_factory=lambda: np.zeros(3))
    deviation: np.ndarray = field(default_factory=lambda: np.zeros(3))
    histogram: np.ndarray | None = None
    unknown: tuple[str, ...] = ()
    digest: bytes = b""


@dataclass
class Split:
    """Counts over all samples of a split."""

    table: LabelTable
    images: int = 0
    labelled: int = 0
    sizes: Counter = field(default_factory=Counter)
    sums: np.ndarray = field(default_factory=lambda: np.zeros(3))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    class_pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    class_images: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    unknown: Counter = field(default_factory=Counter)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[bytes, Path] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """Count what the files of one sample hold."""
        for fault in reading.faults:
            self.faults[fault.what].append(fault)
        self.unknown.update(reading.unknown)
        if reading.size is not None:
            self.images += 1
            self.sizes[reading.size] += 1
            self.digests[reading.digest] = reading.sample.image
            pixels = reading.size[0] * reading.size[1]
            self.sums += pixels * reading.mean
            self.squares += pixels * (reading.deviation**2 + reading.mean**2)
        if reading.histogram is not None:
            self.labelled += 1
            self.class_pixels += reading.histogram
            self.class_images += reading.histogram > 0

    def _mean_of(self, sums: np.ndarray) -> np.ndarray:
        return sums / max(sum(height * width * count for (height, width), count in self.sizes.items()), 1)

    @property
    def mean(self) -> np.ndarray:
        """Of red, green and blue over all pixels, in 0..255."""
        return self._mean_of(self.sums)

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(np.maximum(self._mean_of(self.squares) - self.mean**2, 0))

    @property
    def shares(self) -> np.ndarray:
        """Share of every class among the pixels that are not ignored."""
        pixels = self.class_pixels[: self.table.num_classes]
        return pixels / max(pixels.sum(), 1)

    @property
    def ignored(self) -> float:
        """Share of ignored pixels among those of all masks."""
        return float(self.class_pixels[IGNORE] / max(self.class_pixels.sum(), 1))

    @property
    def absent(self) -> list[str]:
        """Classes that never occur."""
        return [name for name, share in zip(self.table.names, self.shares, strict=True) if share == 0]


@dataclass(frozen=True)
class Report:
    """What was found in a dataset."""

    name: str
    root: Path
    table: LabelTable
    splits: dict[str, Split]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.error]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.error]


def check_dataset(
    name: str,
    layout: Callable[[str | Path, str], list[Sample]],
    root: str | Path,
    table: LabelTable,
    evaluation_split: str,
    split: str | None = None,
    workers: int = 1,
) -> Report:
    """Read every file of a dataset, of one split or of all that it has; what is wrong goes into the report."""
    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot read is in the report
    listed, problems = {}, []
    for wanted in [split] if split else SPLITS:
        samples, found = list_split(layout, Path(root), wanted)
        missed = split is not None or wanted in ("train", evaluation_split)
        if samples is not None or missed or any(problem.error for problem in found):
            problems += found
        if samples is not None:
            listed[wanted] = samples
        if not table.names and any(sample.mask is not None for sample in samples or ()):
            problems.append(Problem(True, wanted, MASKS_WITHOUT_TABLE))
            listed[wanted] = [replace(sample, mask=None) for sample in listed[wanted]]
    if not listed and not any(problem.error for problem in problems):
        problems = [replace(problem, error=True) for problem in problems]
    splits = {wanted: Split(table) for wanted in listed}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"checking {name}", total=sum(map(len, listed.values())))
        for wanted, samples in listed.items():
            dataset = SegmentationDataset(name, samples, table)
            for reading in read_all(dataset, workers):
                splits[wanted].add(reading)
                progress.advance(task)
            if remark := seem_mapped(dataset):
                problems.append(Problem(False, wanted, remark))
    for wanted, counted in splits.items():
        if (ORIENTED, wanted) in {(problem.what, problem.split) for problem in problems}:
            counted.faults.pop(NOT_TURNED, None)  # said already
        problems += problems_of_content(wanted, counted)
    problems += duplicates(splits)
    return Report(name, Path(root), table, splits, tuple(merged(problems)))


def list_split(
    layout: Callable[[str | Path, str], list[Sample]], root: Path, split: str
) -> tuple[list[Sample] | None, list[Problem]]:
    """The samples that a layout finds, None where there is nothing to read, and what it complains of and remarks."""
    samples, problems = None, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            samples = layout(root, split) or None
            if samples is None:
                problems = [Problem(False, split, "its layout lists no images")]
        except NoSplit as error:
            problems = [Problem(False, split, f"the split does not exist: {error}")]
        except (IncompleteSplit, UnusableSplit) as error:
            faults = ((what, tuple((file, "") for file in files)) for what, files in error.faults.items() if files)
            samples, problems = error.found, [Problem(True, split, what, files) for what, files in faults]
        except (OSError, ValueError) as error:
            problems = [Problem(True, split, str(error))]
    remarks = dict.fromkeys(str(warning.message) for warning in caught)
    return samples, [*problems, *(Problem(False, split, remark) for remark in remarks)]


def read_all(dataset: SegmentationDataset, workers: int) -> Iterator[Reading]:
    """A reading of every sample, in order; decoding leaves Python's lock, so threads are enough."""
    lenient = SegmentationDataset(dataset.name, dataset.samples, replace(dataset.table, unknown_ids="ignore"))
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        yield from pool.map(partial(read, dataset, lenient), range(len(dataset)))
    finally:
        pool.shutdown(cancel_futures=True)


def read(dataset: SegmentationDataset, lenient: SegmentationDataset, index: int) -> Reading:
    """Read one sample.

    Args:
        lenient: the same dataset with unknown raw ids ignored, to count the rest of a mask that has some.
    """
    sample, unknown = dataset.samples[index], tuple[str, ...]()
    faults: list[Fault] = []
    image = mask = None
    try:
        image = dataset.image(index)
    except (ValueError, OSError, cv2.error) as error:
        faults.append(Fault(UNREADABLE_IMAGE, sample.image, _reason(error, sample.image)))
    if sample.mask is not None:
        try:
            try:
                mask = dataset.mask(index)
            except UnknownLabels as error:
                unknown = error.unknown
                mask = lenient.mask(index)
                faults.append(Fault(UNKNOWN, sample.mask, shortened(unknown, 8)))
        except (ValueError, OSError, cv2.error) as error:
            faults.append(Fault(UNREADABLE_MASK, sample.mask, _reason(error, sample.mask)))
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        sizes = " and ".join(show_size(shape[:2]) for shape in (image.shape, mask.shape))
        advice = lying(sample, image.shape[:2], mask.shape)
        faults.append(Fault(SIZES_DIFFER, sample.image, f"{sizes}; {advice}" if advice else sizes))
    if image is not None and not sample.shown_upright and (orientation := read_header(sample.image).orientation) > 1:
        faults.append(Fault(NOT_TURNED, sample.image, f"orientation {orientation}"))
    histogram = None if mask is None else count_classes(mask)
    if sample.mask is not None and histogram is not None and histogram[IGNORE] == histogram.sum():
        faults.append(Fault(NOTHING_LABELLED, sample.mask, ""))
    if image is None:
        return Reading(sample, tuple(faults), histogram=histogram, unknown=unknown)
    mean, deviation = (value.ravel() for value in cv2.meanStdDev(image))
    digest = hashlib.blake2b(sample.image.read_bytes(), digest_size=16).digest()
    return Reading(sample, tuple(faults), image.shape[:2], mean, deviation, histogram, unknown, digest)


def problems_of_content(name: str, split: Split) -> list[Problem]:
    """What the readings of a split say against it."""
    problems = []
    for what, faults in split.faults.items():
        if what == UNKNOWN:
            counts = [f"{raw_id} in {count}" for raw_id, count in split.unknown.most_common()]
            key = "ignore_members" if faults[0].file.suffix.lower() == ".json" else split.table.ignore_key
            otherwise = f"otherwise use `{key}` or `unknown_ids: ignore`"
            what = f"{what}: {shortened(counts, 8)} (the right table? {otherwise})"
        files = tuple((fault.file, fault.detail) for fault in faults)
        problems.append(Problem(faults[0].what not in (NOTHING_LABELLED, NOT_TURNED), name, what, files))
    if split.labelled and split.class_pixels[:IGNORE].sum() == 0:
        problems.append(Problem(True, name, "no pixel of any class: all masks are ignored throughout"))
    elif split.labelled and split.table.num_classes == 1:
        only = split.table.names[0]
        what = f"a single class, {only}: it cannot be trained on alone and its IoU is undefined; add what else there is"
        problems.append(Problem(False, name, what))
    elif split.labelled and split.absent:
        what = f"classes that never occur: {', '.join(split.absent)}"
        if np.count_nonzero(split.shares) == 1 and split.ignored:
            what += f"; beside the only other one all pixels are ignored: is one of `{split.table.ignore_key}` a class "
            what += "(255 may be one in masks of black and white)?"
        problems.append(Problem(False, name, what))
    return problems


def merged(problems: Sequence[Problem]) -> list[Problem]:
    """Errors first; what holds for several splits alike, such as a missing folder, is said once."""
    splits = defaultdict(list)
    for problem in sorted(problems, key=lambda problem: not problem.error):
        splits[replace(problem, split="")].append(problem.split)
    return [replace(problem, split=", ".join(names)) for problem, names in splits.items()]


def duplicates(splits: dict[str, Split]) -> list[Problem]:
    """Images whose files are the same in two splits."""
    problems = []
    names = list(splits)
    for position, name in enumerate(names):
        for other in names[:position]:
            common = splits[name].digests.keys() & splits[other].digests.keys()
            pairs = sorted((splits[name].digests[digest], str(splits[other].digests[digest])) for digest in common)
            if pairs:
                problems.append(Problem(False, name, f"image that is in {other} too", tuple(pairs)))
    return problems


def show_size(size: tuple[int, int]) -> str:
    """Width × height, as a person writes it."""
    return f"{size[1]} × {size[0]}"


def _reason(error: Exception, file: Path) -> str:
    return str(error).removeprefix(f"{file}: ").strip()
