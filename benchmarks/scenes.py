"""Scenes per second on one core: paint, annotate, encode and write, at 128 pixels of height."""

import argparse
import tempfile
import time
from pathlib import Path

import cv2

from mdseg.scenes import DATASETS, scene
from mdseg.scenes.writers import SPLITS, TREES, close_tree, write_scene


def measure(dataset: str, number: int) -> tuple[float, float]:
    """Images per second of processor time, and the share of it that is painting."""
    split = SPLITS[dataset][0]
    painting = 0.0
    with tempfile.TemporaryDirectory() as folder:
        scene(DATASETS[dataset][0], "warm up", 0)
        start = time.process_time()
        for index in range(number):
            before = time.process_time()
            image, world = scene(DATASETS[dataset][0], split, index)
            painting += time.process_time() - before
            write_scene(dataset, Path(folder), split, index, image, world)
        close_tree(dataset, Path(folder), {split: number})
        total = time.process_time() - start
    return number / total, painting / total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    number = parser.parse_args().number
    cv2.setNumThreads(0)
    for dataset in sorted(set(TREES.values())):
        speed, share = measure(dataset, number)
        print(f"{dataset:12s} {speed:6.1f} images/s, {100 * share:.0f} % painting")
