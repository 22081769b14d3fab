"""What tests of a user's own folders share: small files of every kind."""

import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 32)  # height, width
COLOURS = np.array([[128, 64, 128], [70, 70, 70], [0, 0, 142]], np.uint8)


def draws(path: Path) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(str(path).encode()))


def saved(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photographs(root: Path, *names: str) -> None:
    """Noise in many colours."""
    for name in names:
        saved(draws(root / name).integers(0, 256, (*SIZE, 3), np.uint8), root / name)


def masks(root: Path, *names: str, colours: bool = False) -> None:
    """Ids 0 to 2, grey or in a colour for each."""
    for name in names:
        ids = draws(root / name).integers(0, 3, SIZE, np.uint8)
        saved(COLOURS[ids] if colours else ids, root / name)


def others(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")


# What is no regular file, though it may be called like one; opening some of these never ends.


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def broken(path: Path) -> None:
    path.symlink_to("nowhere.png")


IRREGULAR = {pipe: "a pipe", device: "a device", loop: "a link that leads nowhere", broken: "a link that leads nowhere"}
