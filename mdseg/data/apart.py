"""Images and masks told apart, in one folder or several: a mask is never an image, and nothing is left out silently."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from mdseg.data.likeness import LOSSLESS, POLYGONS, mask_among, masks_by_values, within
from mdseg.data.listing import (
    IMAGES,
    Files,
    Found,
    NoSplit,
    by_key,
    files_below,
    no_files,
    real_files,
    without_ending,
    without_suffix,
)
from mdseg.system.wording import Remark, shortened


class Apart:
    """Which files below two folders are images, and which are masks, by key.

    What lies below a folder of masks, or ends as masks do, is no image; where a name ends as both do, the longer ending
    counts.

    Args:
        images_at, masks_at: the folders; they may be one, or one inside the other. Null: there are no masks.
        of_masks: folders of masks of any split.
        image_ending, mask_ending: see :func:`mdseg.data.listing.by_key`.

    Raises:
        NoSplit: there are no files for images.
        FileNotFoundError: none of them is an image.
    """

    def __init__(
        self, images_at: Path, masks_at: Path | None, of_masks: Iterable[Path], image_ending: str, mask_ending: str
    ) -> None:
        self.images_at, self.masks_at = images_at, masks_at
        self.image_ending, self.mask_ending = image_ending, mask_ending
        # By how much the ending of images is longer, suffixes aside; of `a.jpg.png` only `.png` is one.
        self.mask_formats = POLYGONS if mask_ending.lower().endswith(POLYGONS) else LOSSLESS
        self._longer = len(without_suffix(image_ending)) - len(without_suffix(mask_ending, self.mask_formats))
        here, there = files_below(images_at), [] if masks_at is None else files_below(masks_at)
        folders = {path.parent for path in (*here, *there)} | {images_at} | ({masks_at} if masks_at else set())
        # Links may lead from one to the other.
        self._real = {folder: Path(os.path.realpath(folder)) for folder in folders}
        around = self._real[images_at]
        self.one_place = masks_at is not None and self._real[masks_at] == around

        others = [Path(os.path.realpath(folder)) for folder in of_masks]
        others = [folder for folder in others if not around.is_relative_to(folder)]
        here = [path for path in here if not self._lies_in(path, others)]
        if masks_at is not None and not self._real[masks_at].is_relative_to(around):
            there = [path for path in there if not self._lies_in(path, [around])]
        self.images = by_key((path for path in here if not self.ends_as_mask(path)), images_at, image_ending, IMAGES)
        masks = [path for path in there if not (self._lies_in(path, [around]) and self._ends_as_image(path))]
        self.masks: Found = {} if masks_at is None else by_key(masks, masks_at, mask_ending, self.mask_formats)
        self.mask_files = {path for paths in self.masks.values() for path in paths}
        self._beside_images = [path for path in here if not (self.one_place and path in self.mask_files)]
        self.beside_masks = [] if self.one_place else there
        if not self.images:
            none = no_files(images_at, image_ending, IMAGES)
            raise FileNotFoundError(f"{none}; there are {_kinds(here)}") if here else NoSplit(none)

    def _lies_in(self, path: Path, folders: Collection[Path]) -> bool:
        return any(self._real[path.parent].is_relative_to(folder) for folder in folders)

    def ends_as_mask(self, path: Path) -> bool:
        """Whether a name has the ending of masks, and it is longer than that of images."""
        return self._longer < 0 and without_ending(path.name, self.mask_ending, self.mask_formats) is not None

    def _ends_as_image(self, path: Path) -> bool:
        return self._longer > 0 and without_ending(path.name, self.image_ending, IMAGES) is not None

    def refuse_both(self, images: Found, mask_files: Collection[Path]) -> None:
        """Refuse files that would be images and masks.

        Raises:
            ValueError: there are some; it says which, and what to set.
        """
        files = [path for paths in images.values() for path in paths]
        real = real_files([*files, *mask_files])
        masks = {real[path]: path for path in mask_files}
        linked = next((path for path in files if real[path] in masks and os.path.islink(path)), None)
        if linked is not None:
            raise ValueError(
                f"{linked} is a link to the mask {masks[real[linked]]}. A mask is never an image: take the link away"
            )
        both = {
            path: [other for other in paths if other != path]
            for paths in images.values()
            for path in paths
            if real[path] in masks
        }
        for mask, others in both.items():
            if others:
                raise ValueError(
                    f"{others[0]} and {mask}: which is the mask? A mask is never an image: set image_ending: "
                    f"{_with_suffix(self.image_ending, others[0])} and mask_ending: "
                    f"{_with_suffix(self.mask_ending, mask)}, or put "
                    "masks into a folder of their own (mask_dir)"
                )
        if both:
            stems = {path.stem for paths in self.images.values() for path in paths}
            endings = ((mask, behind) for mask in both for _, name, behind in within(mask.stem) if name in stems)
            known = ((mask, behind) for mask, behind in endings if behind)
            mask, ending = next(known, (next(iter(both)), "<what only masks end in>"))
            raise ValueError(
                f"{mask} would be an image and its own mask; set mask_ending: {ending}, or put masks into a folder of "
                "their own (mask_dir)"
            )

    def no_masks(self, folder: Path) -> str:
        """What there is instead of masks."""
        there = f"; there are {_kinds(self.beside_masks)}" if self.beside_masks else ""
        lossy = any(path.suffix.lower() in set(IMAGES) - set(LOSSLESS) for path in self.beside_masks)
        advice = " (masks are saved without loss; JPEG changes their ids)" if lossy else ""
        return f"{no_files(folder, self.mask_ending, self.mask_formats)}{there}{advice}"

    def remark_left_out(self) -> None:
        """Say how many files are neither images nor masks."""
        images = {path for paths in self.images.values() for path in paths}
        but = f", but not in {self.mask_ending}" if any(map(self.ends_as_mask, self._beside_images)) else ""
        _remark(self.images_at, self._beside_images, images, _formats(self.image_ending, IMAGES) + but)
        if self.masks_at is not None:
            _remark(self.masks_at, self.beside_masks, self.mask_files, _formats(self.mask_ending, self.mask_formats))

    def one_image_each(self, images: Found) -> Files:
        """The image of each key.

        Raises:
            ValueError: one is there in several formats: it may be an image and its mask.
        """
        question = "an image and its mask, or one image twice? A mask is never an image"
        return _one_each(images, question, "image_ending", self.image_ending)

    def one_mask_each(self, masks: Found) -> Files:
        """The mask of each key.

        Raises:
            ValueError: one is there in several formats.
        """
        return _one_each(masks, "which is the mask? Nothing is guessed", "mask_ending", self.mask_ending)


def _with_suffix(ending: str, path: Path) -> str:
    return ending if ending.lower().endswith(path.suffix.lower()) else f"{ending}{path.suffix}"


def _one_each(found: Found, question: str, option: str, ending: str) -> Files:
    """One file per key; which one of several is meant is not for a program to guess."""
    if several := [paths for paths in found.values() if len(paths) > 1]:
        names, more = " and ".join(map(str, several[0])), f" (and {len(several) - 1} more)" if several[1:] else ""
        kinds = [[path.suffix.lower() for path in paths] for paths in found.values()]
        one = [path.suffix for path in several[0] if all(each.count(path.suffix.lower()) == 1 for each in kinds)]
        one.sort(key=lambda suffix: suffix.lower() in LOSSLESS)  # of a JPEG and a PNG the latter may be the mask
        setting = f"set {option}: {ending}{one[0]} to take that one, " if one else ""
        advice = f"{setting}name it with its suffix in a list, or move the other one"
        raise ValueError(f"{names}{more}: {question}: {advice}")
    return {key: path for key, (path,) in found.items()}


def refuse_masks(files: Sequence[Path], images: Sequence[Path], root: Path) -> None:
    """Refuse files that are to be images without mask, but seem to be masks of other images.

    Raises:
        ValueError: it names both, and what to set.
    """
    if found := mask_among(files, images):
        mask, image = found
        at = mask.path.parent.relative_to(root) if mask.path.parent.is_relative_to(root) else mask.path.parent
        options = {"mask_dir": str(at), "mask_ending": mask.behind, "image_ending": image.behind}
        apart = mask.behind or image.behind or mask.path.parent != image.path.parent
        told = apart and not mask.before and not image.before and mask.path.suffix.lower() in LOSSLESS
        setting = " and ".join(f"{option}: {value}" for option, value in options.items() if value)
        raise ValueError(
            f"{mask.path} seems to be the mask of {image.path}, by its name and its colours. A mask is never an image: "
            f"{f'set {setting}, or ' if told else ''}move masks out of the images' folder"
        )


def remark_masks(images: Sequence[Path]) -> None:
    """Say that images seem to be masks that nothing is called like."""
    if found := masks_by_values(images):
        path, values = found
        said = shortened([str(value) for value in values])
        warnings.warn(
            f"images such as {path} hold few values, {said}, as masks do; if they are masks, set image_dir to the "
            "folder of the photographs",
            Remark,
            stacklevel=3,
        )


def _remark(folder: Path, files: Sequence[Path], read: Collection[Path], what: str) -> None:
    if left_out := [path for path in files if path not in read]:
        warnings.warn(
            f"{folder}: {len(left_out)} of {len(files)} files were left out: {_kinds(left_out)}; read is what ends in "
            f"{what}",
            Remark,
            stacklevel=4,
        )


def _formats(ending: str, suffixes: tuple[str, ...]) -> str:
    if ending.lower().endswith(suffixes):
        return ending
    return (f"{ending} and " if ending else "") + ", ".join(suffixes)


def _kinds(files: Sequence[Path]) -> str:
    kinds = Counter(path.suffix.lower() or "without suffix" for path in files)
    return shortened([f"{count} {kind}" for kind, count in kinds.most_common()]) + f", such as {files[0].name}"
