"""How many pixels of each class the images of a dataset have; counted once and kept."""

import hashlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from mdseg.data.dataset import SegmentationDataset
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.system.files import write_atomically
from mdseg.system.wording import Remark

EXACT = 2**24  # OpenCV counts in float32
PATIENCE = 3  # seconds without a word


def class_pixels(dataset: SegmentationDataset, workers: int = 0) -> Int64[np.ndarray, "images classes"]:
    """Pixels of every class of the dataset's table in every mask, at the stored resolution; ignored ones do not count.

    Every mask is read, with `workers` threads, and the counts are kept in the folder `statistics` of `$MDSEG_CACHE` (or
    ~/.cache/mdseg). They are counted anew where the table, the samples, or a mask's size or time of change differ. Of
    several processes that count at once each writes a whole file, and the last one stays.

    Raises:
        ValueError: a sample without a mask, or a mask that cannot be read.
    """
    return _statistics(dataset, workers)[:, 2:]


def mask_sizes(dataset: SegmentationDataset, workers: int = 0) -> Int64[np.ndarray, "images 2"]:
    """Height and width of every mask; kept with the pixels of its classes."""
    return _statistics(dataset, workers)[:, :2]


def image_mean(dataset: SegmentationDataset, workers: int = 0) -> Float64[np.ndarray, "3"]:
    """Mean red, green and blue, in 0..255, over all pixels of a dataset's images; kept as the pixels of classes are.

    Raises:
        ValueError: an image that cannot be read.
    """
    path = _folder() / f"{dataset.name}-mean-{_fingerprint(dataset, 'image')}.npy"
    found = _read(path, (len(dataset), 4))
    if found is None:
        found = np.array(list(_each(dataset, _sums, workers, "averaging", "images")), np.int64).reshape(-1, 4)
        _keep(path, found, f"the mean of dataset '{dataset.name}' is")
    total = found.sum(axis=0)
    return total[1:] / max(1, total[0])


def _sums(dataset: SegmentationDataset, index: int) -> list[int]:
    """Pixels of an image, and the sums of its channels."""
    image = dataset.image(index)
    return [image.shape[0] * image.shape[1], *image.sum(axis=(0, 1), dtype=np.int64).tolist()]


def labelled_counts(
    datasets: Iterable[SegmentationDataset], space: LabelSpace, workers: int = 0, joint: Iterable[str] = ()
) -> Float64[np.ndarray, " k"]:
    """Pixels of every train id in all images of labelled datasets; 0 for a class that no image shows.

    Args:
        joint: branches of the space that learn from all datasets, see :func:`mdseg.labels.spaces.branched`.
    """
    each = (train_id_pixels(dataset, space, workers).sum(axis=0).astype(np.float64) for dataset in datasets)
    counts = sum(each, start=np.zeros(space.num_classes))
    classes, of_one = np.array(space.classes), counts.copy()
    for branch in joint:
        for channel in space.branches[branch]:
            counts[channel] = of_one[classes == classes[channel]].sum()
    return counts


def train_id_pixels(dataset: SegmentationDataset, space: LabelSpace, workers: int = 0) -> Int64[np.ndarray, "images k"]:
    """Pixels of every train id in every mask; classes that the label space lacks do not count."""
    counts = class_pixels(dataset, workers)
    # A column more for what is ignored, and several classes may share a train id.
    train_ids = space.train_ids(dataset.name)[: counts.shape[1]].astype(np.int64)
    pixels = np.zeros((len(counts), IGNORE + 1), np.int64)
    np.add.at(pixels.T, train_ids, counts.T)
    return pixels[:, : space.num_classes]


def count_classes(mask: UInt8[np.ndarray, "h w"]) -> Int64[np.ndarray, "256"]:
    """Pixels per class index, 256 counts."""
    bands = np.array_split(mask, math.ceil(mask.size / EXACT))
    counts = (cv2.calcHist([band], [0], None, [256], [0, 256]).ravel().astype(np.int64) for band in bands)
    return sum(counts, start=np.zeros(256, np.int64))


def _statistics(dataset: SegmentationDataset, workers: int) -> Int64[np.ndarray, "images _"]:
    """Per mask its height, its width and the pixels of its classes."""
    path = _folder() / f"{dataset.name}-{_fingerprint(dataset)}.npy"
    found = _read(path, (len(dataset), 2 + dataset.table.num_classes))
    if found is None:
        counted = _each(dataset, _counts, workers, "counting the classes of", "masks")
        found = np.array(list(counted), np.int64).reshape(len(dataset), -1)
        _keep(path, found, f"class counts of dataset '{dataset.name}' are")
    return found


def _keep(path: Path, found: np.ndarray, what: str) -> None:
    try:
        write_atomically(path, lambda file: np.save(file, found))
    except OSError as error:
        message = f"{what} not kept ({error}); set MDSEG_CACHE to a folder that can be written to"
        warnings.warn(message, Remark, stacklevel=4)


def _counts(dataset: SegmentationDataset, index: int) -> list[int]:
    """Height and width of a mask, and the pixels of its classes."""
    mask = dataset.mask(index)
    return [*mask.shape, *count_classes(mask)[: dataset.table.num_classes].tolist()]


def _each(
    dataset: SegmentationDataset,
    measure: Callable[[SegmentationDataset, int], list[int]],
    workers: int,
    doing: str,
    files: str,
) -> Iterator[list[int]]:
    """What is measured of every sample, in order; decoding leaves Python's lock, so threads are enough."""
    began, silent = time.monotonic(), True
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for counted in pool.map(partial(measure, dataset), range(len(dataset))):
            if silent and time.monotonic() - began > PATIENCE:
                print(f"{doing} {dataset.name}, {len(dataset)} {files}, once", flush=True)
                silent = False
            yield counted
    finally:
        pool.shutdown(cancel_futures=True)


def _folder() -> Path:
    return Path(os.environ.get("MDSEG_CACHE") or Path.home() / ".cache" / "mdseg") / "statistics"


def _fingerprint(dataset: SegmentationDataset, part: str = "mask") -> str:
    """Of whatever the numbers depend on; not of the folder, since a dataset may move.

    Args:
        part: `mask` or `image`, the files that are read.
    """
    digest = hashlib.blake2b(repr((dataset.name, dataset.table)).encode(), digest_size=16)
    for sample in dataset.samples:
        state: tuple[Any, ...] = ()
        path = getattr(sample, part)
        if path is not None and path.is_file():  # otherwise reading it will say so
            found = path.stat()
            state = path.name, found.st_size, found.st_mtime_ns
        digest.update(repr((replace(sample, image=Path(), mask=None), state)).encode())
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        found = np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or cut off by a full disk
        return None
    return found if found.shape == shape and found.dtype == np.int64 else None
