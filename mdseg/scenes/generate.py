"""Generating a tree of scenes once, so that a killed or a second process never leaves half of one."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress

from mdseg.scenes.annotation import DATASETS, table_of
from mdseg.scenes.painter import VERSION, scene
from mdseg.scenes.writers import FOLDERS, SHARED, SPLITS, TREES, VARIANTS, close_tree, write_scene

STAMP = "scenes.json"
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
    """Write ``counts`` (split → number) scenes of a dataset below root, in its own layout, unless they are there.

    The tree is written beside its place and renamed when complete; of two processes one discards its copy. height:
    nominal image height. traps: also a mask with an unknown id and, for BDD, files without a partner, which a
    loader must notice. variant: another package of the dataset (bdd ``old``, mapillary ``v2.0``,
    camvid32 ``original``).

    Raises:
        ValueError: for a dataset, split or variant that does not exist, or a tree that was made with other settings.
    """
    tree, numbers = _check(dataset, counts, variant)
    folder = Path(root) / FOLDERS.get(tree, tree)
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
    unfinished = Path(tempfile.mkdtemp(prefix=f".{tree}-", dir=folder.parent))
    try:
        _write_all(tree, unfinished, numbers, height, seed, traps, workers, variant)
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


def _check(dataset: str, counts: Mapping[str, int], variant: str) -> tuple[str, dict[str, int]]:
    table_of(dataset)
    tree = TREES[dataset]
    wrong = [split for split in counts if split not in SPLITS[tree]]
    if wrong:
        raise ValueError(f"scenes of {dataset!r}: no split {wrong[0]!r}; its splits are {', '.join(SPLITS[tree])}")
    if variant and variant not in VARIANTS.get(tree, ()):
        known = ", ".join(VARIANTS.get(tree, ())) or "none"
        raise ValueError(f"scenes of {dataset!r}: no variant {variant!r}; there are: {known}")
    numbers = {split: int(number) for split, number in counts.items() if number > 0}
    if tree in SHARED and "train" in numbers and "val" in numbers:
        numbers["train"] = max(numbers["train"], numbers.pop("val"))
    return tree, numbers


def _check_stamp(folder: Path, settings: Mapping) -> None:
    stamp = folder / STAMP
    if not stamp.is_file():
        raise ValueError(f"{folder} exists but has no {STAMP}: it was not written by mdseg.scenes; choose another root")
    found = json.loads(stamp.read_text(encoding="utf-8"))
    if found != settings:
        raise ValueError(
            f"{folder} was made with {found}, but {dict(settings)} is wanted: delete it or choose another root"
        )


def _write_all(
    tree: str, folder: Path, numbers: Mapping[str, int], height: int, seed: int, traps: bool, workers: int, variant: str
) -> None:
    tasks = [
        (split, start, min(start + _CHUNK, number))
        for split, number in numbers.items()
        for start in range(0, number, _CHUNK)
    ]
    write = partial(_write_chunk, tree, folder, height, seed, traps, variant)
    if workers <= 1 or len(tasks) <= 1:
        _show_progress(tree, map(write, tasks), sum(numbers.values()))
    else:
        # Forking is quick and safe here: the children only paint.
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        # All of them are forked at the first task, however many tasks there are.
        useful = min(workers, len(tasks), os.cpu_count() or 1)
        with ProcessPoolExecutor(useful, multiprocessing.get_context(method)) as pool:
            results = pool.map(
                write, tasks
            )  # submits all tasks, hence forks, before the progress bar starts its thread
            _show_progress(tree, results, sum(numbers.values()))
    close_tree(tree, folder, numbers, seed=seed, variant=variant, traps=traps)


def _show_progress(tree: str, written, total: int) -> None:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"painting {tree}", total=total)
        for number in written:
            progress.advance(task, number)


def _write_chunk(
    tree: str, folder: Path, height: int, seed: int, traps: bool, variant: str, task: tuple[str, int, int]
) -> int:
    cv2.setNumThreads(0)
    split, start, end = task
    for index in range(start, end):
        image, world = scene(DATASETS[tree][0], split, index, height, seed)
        write_scene(tree, folder, split, index, image, world, seed=seed, variant=variant, traps=traps)
    return end - start
