"""The images that maps are drawn of: of a dataset, with their annotation, or any photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from mdseg.config.building import descriptor, open_labelled, prepare_data
from mdseg.data.dataset import read_photograph
from mdseg.labels.tables import LabelTable
from mdseg.predict import SUFFIXES


@dataclass(frozen=True)
class Picture:
    """An image [h w 3] and, where it is annotated, its class indices [h w], both as stored."""

    image: np.ndarray
    mask: np.ndarray | None = None


def annotated(cfg: DictConfig, name: str, count: int) -> tuple[list[Picture], LabelTable]:
    """The first images of a dataset's evaluation split, and the table of their classes."""
    prepare_data(cfg)
    dataset = open_labelled(cfg, name, descriptor(cfg, name).evaluation_split)
    pictures = []
    for index in range(min(count, len(dataset))):
        picture = Picture(dataset.image(index), dataset.mask(index))
        dataset.check_size(index, picture.image, picture.mask)
        pictures.append(picture)
    return pictures, dataset.table


def photographs(paths: Sequence[str], count: int) -> list[Picture]:
    """The first images among files and the files of folders, the right way up.

    Raises:
        FileNotFoundError: there is no such file or folder, or it holds no images.
        ValueError: a file is not a readable image.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(file for file in path.glob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not found or not found[0].exists():
            reason = f"no images ({', '.join(SUFFIXES)}) in it" if path.is_dir() else "no such file or folder"
            raise FileNotFoundError(f"images: {path}: {reason}")
        files += found
    return [Picture(read_photograph(file)) for file in files[:count]]
