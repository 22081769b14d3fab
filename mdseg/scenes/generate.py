"""Generating a tree of scenes once, so that a killed or a second process never leaves half of one."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mdseg.labels.tables import LabelTable
from mdseg.scenes.annotation import raw_ids, table_of
from mdseg.scenes.datasets import SceneDataset, record_of
from mdseg.scenes.painter import VERSION
from mdseg.scenes.writers import RGB, Mask, Scene, Tree

STAMP = "scenes.json"
HEIGHTS = range(8, 2161)  # pixels; a scene is painted at twice as much
MOST = 1_000_000  # scenes of a tree
_CHUNK = 8  # images per task


def generate(
    root: str | Path,
    dataset: str,
    counts: Mapping[str, int],
    height: int = 128,
    seed: int = 0,
    traps: bool = False,
    workers: int = 1,
    variant: str = "",
) -> Path:
    """Write scenes of a dataset below root, in its own layout, unless they are there.

    The tree is written beside its place and renamed when complete; of two processes one discards its copy.

    Args:
        counts: split → number of scenes.
        height: nominal height of an image.
        traps: also a mask with an unknown id and, for BDD, files without a partner, which a loader must notice.
        variant: another package of the dataset, one of its record's `variants`.

    Returns:
        The folder of the tree.

    Raises:
        ValueError: a dataset, split or variant that does not exist, sizes that nothing holds, or a tree that was made
            with other settings.
    """
    record, numbers = _check(dataset, counts, variant, height)
    folder = Path(root) / record.folder
    settings = {
        "version": VERSION,
        "counts": dict(counts),
        "height": height,
        "seed": seed,
        "traps": traps,
        "variant": variant,
    }
    if folder.exists():
        _check_stamp(folder, settings)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{record.name}-", dir=folder.parent))
    try:
        tree = Tree(unfinished, table_of(record.name), seed, variant, traps)
        _write_all(record, tree, numbers, height, workers)
        (unfinished / STAMP).write_text(json.dumps(settings), encoding="utf-8")
        unfinished.chmod(0o755)
        os.rename(unfinished, folder)
    except OSError:
        if not (folder / STAMP).is_file():
            raise
        _check_stamp(folder, settings)  # another process was faster
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _check(dataset: str, counts: Mapping[str, int], variant: str, height: int) -> tuple[SceneDataset, dict[str, int]]:
    """The dataset whose files are wanted, and how many images to write."""
    record = record_of(record_of(dataset).reads or dataset)
    wrong = [split for split in counts if split not in record.splits]
    if wrong:
        raise ValueError(f"scenes of {dataset!r}: no split {wrong[0]!r}; its splits are {', '.join(record.splits)}")
    if variant and variant not in record.variants:
        known = ", ".join(record.variants) or "none"
        raise ValueError(f"scenes of {dataset!r}: no variant {variant!r}; there are: {known}")
    if height not in HEIGHTS:
        raise ValueError(
            f"scenes of {dataset!r}: expected a height (data.height) of {HEIGHTS[0]} to {HEIGHTS[-1]} pixels, "
            f"got {height}"
        )
    if sum(counts.values()) > MOST:
        raise ValueError(
            f"scenes of {dataset!r}: more than {MOST} are wanted; lower data.fraction, or the dataset's data.counts"
        )
    numbers = {split: int(number) for split, number in counts.items() if number > 0}
    if record.train_is_val and "train" in numbers and "val" in numbers:
        numbers["train"] = max(numbers["train"], numbers.pop("val"))
    return record, numbers


def _check_stamp(folder: Path, settings: Mapping) -> None:
    stamp = folder / STAMP
    if not stamp.is_file():
        raise ValueError(f"{folder} exists but has no {STAMP}: it was not written by mdseg.scenes; choose another root")
    found = json.loads(stamp.read_text(encoding="utf-8"))
    if found != settings:
        raise ValueError(
            f"{folder} was made with {found}, but {dict(settings)} is wanted: delete it or choose another root"
        )


def _write_all(record: SceneDataset, tree: Tree, numbers: Mapping[str, int], height: int, workers: int) -> None:
    tasks = [
        (split, start, min(start + _CHUNK, number))
        for split, number in numbers.items()
        for start in range(0, number, _CHUNK)
    ]
    write = partial(_write_chunk, record, tree, height)
    if workers <= 1 or len(tasks) <= 1:
        _show_progress(record.name, map(write, tasks), sum(numbers.values()))
    else:
        # Forking is quick and safe here: the children only paint.
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        # All of them are forked at the first task, however many tasks there are.
        useful = min(workers, len(tasks), os.cpu_count() or 1)
        with ProcessPoolExecutor(useful, multiprocessing.get_context(method)) as pool:
            results = pool.map(write, tasks)  # submits all, hence forks, before the progress bar starts its thread
            _show_progress(record.name, results, sum(numbers.values()))
    if record.close:
        record.close(tree, numbers)


def _show_progress(dataset: str, written: Iterable[int], total: int) -> None:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"painting {dataset}", total=total)
        for number in written:
            progress.advance(task, number)


def _write_chunk(record: SceneDataset, tree: Tree, height: int, task: tuple[str, int, int]) -> int:
    cv2.setNumThreads(0)
    split, start, end = task
    for index in range(start, end):
        write_scene(record, tree, split, index, *record.scene(split, index, height, tree.seed))
    return end - start


def write_scene(record: SceneDataset, tree: Tree, split: str, index: int, image: RGB, world: Mask) -> None:
    """Write one image and, where the split is labelled, its mask."""
    raw = raw_ids(record.name)[world]
    if index == 0:
        ignored = tree.table.ignore_ids[: raw.shape[1]]
        raw[-1, : len(ignored)] = ignored  # every ignored value occurs at least once per split
        if tree.traps:
            raw[-3:-1, :2] = _unknown_id(tree.table)
    record.write(tree, Scene(split, index, image, world, raw))


def _unknown_id(table: LabelTable) -> int:
    """A raw id that the table does not list."""
    return int(np.flatnonzero(~replace(table, unknown_ids="error").known())[0])
