"""Scenes per second on one core: paint, annotate, encode and write, at 128 pixels of height."""

import argparse
import tempfile
import time
from pathlib import Path

import cv2

from mdseg.scenes import DATASETS
from mdseg.scenes.annotation import table_of
from mdseg.scenes.generate import write_scene
from mdseg.scenes.writers import Tree


def measure(dataset: str, number: int) -> tuple[float, float]:
    """Images per second of processor time, and the share of it that is painting."""
    record = DATASETS[dataset]
    split = record.splits[0]
    painting = 0.0
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder), table_of(dataset))
        record.scene("warm up", 0)
        start = time.process_time()
        for index in range(number):
            before = time.process_time()
            image, world = record.scene(split, index)
            painting += time.process_time() - before
            write_scene(record, tree, split, index, image, world)
        if record.close:
            record.close(tree, {split: number})
        total = time.process_time() - start
    return number / total, painting / total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    number = parser.parse_args().number
    cv2.setNumThreads(0)
    for dataset in sorted(name for name, record in DATASETS.items() if not record.reads):
        speed, share = measure(dataset, number)
        print(f"{dataset:12s} {speed:6.1f} images/s, {100 * share:.0f} % painting")
