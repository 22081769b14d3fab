"""The images that maps are drawn of: of a dataset, with their annotation, or any photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image, ImageOps

from mdseg.configuration import descriptor, open_labelled, prepare_data
from mdseg.label_space import LabelTable

PHOTOGRAPHS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Picture:
    """An image [h w 3] and, where it is annotated, its class indices [h w], both as stored."""

    image: np.ndarray
    mask: np.ndarray | None = None


def data_of_run(cfg: DictConfig, run: DictConfig, overrides: Sequence[str]) -> None:
    """Let a composed configuration read its datasets from where a run read them, unless the command says otherwise.

    Raises:
        ValueError: the command changes a value of `data` without choosing where data comes from.
    """
    keys = [override.partition("=")[0].lstrip("+") for override in overrides]
    if "data" in keys:
        return
    changed = [key for key in keys if key.startswith("data.")]
    if changed:
        raise ValueError(
            f"{changed[0]}: say data=scenes or data=disk too; without, data is what the run was trained on"
        )
    cfg.data = run.data
    for name in cfg.datasets:
        if name in run.datasets and not any(key.startswith(f"datasets.{name}.") for key in keys):
            cfg.datasets[name] = run.datasets[name]


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
        found = (
            sorted(file for file in path.glob("*") if file.suffix.lower() in PHOTOGRAPHS) if path.is_dir() else [path]
        )
        if not found or not found[0].exists():
            reason = f"no images ({', '.join(PHOTOGRAPHS)}) in it" if path.is_dir() else "no such file or folder"
            raise FileNotFoundError(f"images: {path}: {reason}")
        files += found
    return [Picture(_upright(file)) for file in files[:count]]


def _upright(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error
