"""How many pixels of each class the images of a dataset have; counted once and kept."""

import hashlib
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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


def labelled_counts(
    datasets: Iterable[SegmentationDataset], space: LabelSpace, workers: int = 0
) -> Float64[np.ndarray, " k"]:
    """Pixels of every train id in all images of labelled datasets; 0 for a class that no image shows."""
    counts = (train_id_pixels(dataset, space, workers).sum(axis=0).astype(np.float64) for dataset in datasets)
    return sum(counts, start=np.zeros(space.num_classes))


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
        found = np.array(list(_counted(dataset, workers)), np.int64).reshape(len(dataset), -1)
        try:
            write_atomically(path, lambda file: np.save(file, found))
        except OSError as error:
            message = f"class counts of dataset '{dataset.name}' are not kept ({error}); set MDSEG_CACHE to a folder"
            warnings.warn(f"{message} that can be written to", Remark, stacklevel=3)
    return found


def _counted(dataset: SegmentationDataset, workers: int) -> Iterator[list[int]]:
    """Statistics of every mask, in order; decoding leaves Python's lock, so threads are enough."""

    def count(index: int) -> list[int]:
        mask = dataset.mask(index)
        return [*mask.shape, *count_classes(mask)[: dataset.table.num_classes].tolist()]

    began, silent = time.monotonic(), True
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for counted in pool.map(count, range(len(dataset))):
            if silent and time.monotonic() - began > PATIENCE:
                print(f"counting the classes of {dataset.name}, {len(dataset)} masks, once", flush=True)
                silent = False
            yield counted
    finally:
        pool.shutdown(cancel_futures=True)


def _folder() -> Path:
    return Path(os.environ.get("MDSEG_CACHE") or Path.home() / ".cache" / "mdseg") / "statistics"


def _fingerprint(dataset: SegmentationDataset) -> str:
    """Of whatever the counts depend on; not of the folder, since a dataset may move."""
    digest = hashlib.blake2b(repr((dataset.name, dataset.table)).encode(), digest_size=16)
    for sample in dataset.samples:
        state: tuple[Any, ...] = ()
        if sample.mask is not None and sample.mask.is_file():  # otherwise reading it will say so
            found = sample.mask.stat()
            state = sample.mask.name, found.st_size, found.st_mtime_ns
        digest.update(repr((replace(sample, image=Path(), mask=None), state)).encode())
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        found = np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or cut off by a full disk
        return None
    return found if found.shape == shape and found.dtype == np.int64 else None
