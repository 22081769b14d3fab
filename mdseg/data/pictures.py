"""The images that predictions and maps are made of: of a dataset, with their annotation, or any photographs."""

import os
import warnings
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdseg.data.dataset import SegmentationDataset
from mdseg.data.likeness import mask_among
from mdseg.data.listing import IMAGES, files_below
from mdseg.data.reading import read_image
from mdseg.system.files import refuse_irregular
from mdseg.system.wording import Remark


@dataclass(frozen=True)
class Picture:
    """An image [h w 3] and, where it is annotated, its class indices [h w], both as stored."""

    image: np.ndarray
    mask: np.ndarray | None = None


def annotated(dataset: SegmentationDataset, count: int) -> list[Picture]:
    """The first images of a dataset with their masks.

    Raises:
        ValueError: a file cannot be read, or an image and its mask differ in size.
    """
    pictures = []
    for index in range(min(count, len(dataset))):
        image, mask = dataset.image(index), dataset.mask(index)
        dataset.check_size(index, image, mask)
        pictures.append(Picture(image, mask))
    return pictures


def photographs(paths: Sequence[str], count: int) -> list[Picture]:
    """The first images among files and the files of folders, the right way up.

    Raises:
        FileNotFoundError: there is no such file or folder, or it holds no images.
        ValueError: a file is not a readable image.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"images: {path}: no such file or folder")
        found, _ = listed_images(path)
        if not found:
            raise FileNotFoundError(f"images: {path}: no images ({', '.join(IMAGES)}) in it")
        files += found
    return [Picture(read_image(file, upright=True)) for file in files[:count]]


def listed_images(path: Path, without: Collection[Path] = ()) -> tuple[list[Path], list[Path]]:
    """A file, or the images of a folder and its subfolders in order; and what there is that is none by its name.

    What may be no photograph for all its name is remarked, and is listed.

    Args:
        without: folders whose files are left out, as hidden files are.

    Raises:
        ValueError: what is called like an image is no regular file.
    """
    if not path.is_dir():
        refuse_irregular(path)
        return [path], []
    left_out = [os.path.realpath(folder) for folder in without]
    files = files_below(path)
    if left_out:
        inside = {folder: Path(os.path.realpath(folder)) for folder in {file.parent for file in files}}
        files = [file for file in files if not any(map(inside[file.parent].is_relative_to, left_out))]
    found = [file for file in files if file.suffix.lower() in IMAGES]
    for file in found:
        refuse_irregular(file)
    _remark_masks(found)
    return found, [file for file in files if file.suffix.lower() not in IMAGES]


def _remark_masks(files: Sequence[Path]) -> None:
    """Say which photographs may be masks, by the rules by which a dataset of one's own refuses them."""
    formats = defaultdict(list)
    for file in files:
        formats[file.with_suffix("")].append(file)
    several = [paths for paths in formats.values() if len(paths) > 1]
    if several:
        names, more = " and ".join(map(str, several[0])), f" (and {len(several) - 1} more)" if several[1:] else ""
        said = f"{names}{more}: an image and its mask, or one image twice? Each is taken for a photograph"
        warnings.warn(said, Remark, stacklevel=3)
    elif found := mask_among(files, files):
        said = f"{found[0].path} seems to be the mask of {found[1].path}; each is taken for a photograph"
        warnings.warn(said, Remark, stacklevel=3)
