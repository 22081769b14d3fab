"""Files of one split on disk: found, paired by key, and what is said where some are missing."""

import os
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mdseg.data.dataset import Sample
from mdseg.system.files import refuse_irregular
from mdseg.system.wording import Remark

# What is read as an image; of one that is there in several of these formats, the first is taken.
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
SPLITS = ("train", "val", "test")

Files = dict[str, Path]
Found = dict[str, list[Path]]


class NoSplit(FileNotFoundError):
    """The dataset has no images of this split; many have no labelled test split, some no training split."""


class IncompleteSplit(FileNotFoundError):
    """Files of a split are missing.

    Args:
        found: the samples that are complete.
        faults: what is wrong → with which files.
    """

    def __init__(self, message: str, found: list[Sample], faults: dict[str, list[Path]]) -> None:
        super().__init__(message)
        self.found, self.faults = found, faults


class UnusableSplit(ValueError):
    """No file of a split is missing, but some cannot be used as they are.

    Args:
        found: all samples, which `data check` reads one by one.
        faults: what is wrong → with which files, where reading them does not tell.
    """

    def __init__(
        self, message: str, found: Sequence[Sample], faults: Mapping[str, Sequence[Path]] | None = None
    ) -> None:
        super().__init__(message)
        self.found, self.faults = list(found), dict(faults or {})


def checked_root(root: str | Path, split: str) -> Path:
    """The root of a dataset, which exists, for a split that is one.

    Raises:
        FileNotFoundError, ValueError: it does not, or is none.
    """
    check_option("split", split, SPLITS)
    if not Path(root).is_dir():
        raise FileNotFoundError(f"no folder {root} (set data.root or the dataset's root)")
    return Path(root)


def descend(folder: Path, name: str) -> Path:
    """The folder of this name inside another one, or that itself where it has none."""
    return folder / name if (folder / name).is_dir() else folder


def check_option(option: str, value: object, allowed: Iterable[str]) -> None:
    """Raise ValueError for a value that an option does not have."""
    if value not in (values := list(allowed)):
        raise ValueError(f"{option} '{value}', expected one of {values}")


def files_below(folder: Path, levels: int | None = None) -> list[Path]:
    """All that lies in a folder and is none itself, in linked folders too, in the order of its paths.

    What begins with a dot is left out, with all below it; a link to a folder that it lies in is not followed.

    Args:
        levels: how deep the files lie, 1 in the folder itself, 2 in its subfolders; null: anywhere.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} (set data.root or the dataset's root)")
    return sorted(_below(folder, levels, [Path(os.path.realpath(folder))]))


def _below(folder: Path, levels: int | None, around: list[Path]) -> Iterator[Path]:
    """Args: around: the real paths of this folder and of those that led to it."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]  # "._name.png" comes from macOS
    for entry in visible:
        path = folder / entry.name
        if not _is_folder(entry):
            if levels in (None, 1):
                yield path
        elif levels != 1:
            real = Path(os.path.realpath(path)) if entry.is_symlink() else around[-1] / entry.name
            if not any(inner.is_relative_to(real) for inner in around):
                yield from _below(path, levels and levels - 1, [*around, real])


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; Path.is_dir would say no
        return False


def real_files(files: Iterable[Path]) -> dict[Path, Path]:
    """What files are, links followed, those of folders too; asked of the file system once per folder and link."""
    files = list(files)
    folders = {folder: Path(os.path.realpath(folder)) for folder in {path.parent for path in files}}
    return {
        path: Path(os.path.realpath(path)) if os.path.islink(path) else folders[path.parent] / path.name
        for path in files
    }


def by_key(files: Iterable[Path], folder: Path, ending: str, suffixes: tuple[str, ...]) -> Found:
    """Key → files whose names end so, that of the first suffix first.

    The key is the path relative to the folder, without ending and suffix, both matched in any case; accents count alike
    whether they are composed, as most systems write them, or not, as macOS does.

    Args:
        ending: before the suffix, or with it: `_mask`, `_mask.png`.

    Raises:
        ValueError: one of them is no regular file.
    """
    found: Found = defaultdict(list)
    for path in files:
        if (name := without_ending(path.name, ending, suffixes)) is not None:
            refuse_irregular(path)
            key = path.relative_to(folder).parent.joinpath(name).as_posix()
            found[unicodedata.normalize("NFC", key)].append(path)
    for paths in found.values():
        paths.sort(key=lambda path: suffixes.index(path.suffix.lower()))
    return dict(found)


def without_ending(name: str, ending: str, suffixes: tuple[str, ...]) -> str | None:
    """A file's name without ending and suffix, None where it does not end so."""
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in suffixes:
        return None
    whole = name if ending.lower().endswith(suffixes) else stem
    return whole[: len(whole) - len(ending)] if whole.lower().endswith(ending.lower()) else None


def without_suffix(name: str, suffixes: Sequence[str] = IMAGES) -> str:
    """A name, a path or an ending without one of the suffixes, if it has any."""
    suffix = next((suffix for suffix in suffixes if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def one_each(found: Found, folder: Path) -> Files:
    """One file per key; where there are several, the first, which is remarked."""
    several = [paths for paths in found.values() if len(paths) > 1]
    if several:
        taken, *others = (path.name for path in several[0])
        more = f", and so on for {len(several) - 1} more" if len(several) > 1 else ""
        warnings.warn(f"{folder}: {taken} is taken, {', '.join(others)} left out{more}", Remark, stacklevel=3)
    return {key: paths[0] for key, paths in found.items()}


def images_in(folder: Path, ending: str = "", suffixes: tuple[str, ...] = IMAGES, levels: int = 1) -> Files:
    """The images of a split.

    Raises:
        NoSplit: there are none.
    """
    try:
        return files_in(folder, ending, suffixes, levels)
    except FileNotFoundError as error:
        raise NoSplit(str(error)) from error


def files_in(folder: Path, ending: str = "", suffixes: tuple[str, ...] = IMAGES, levels: int = 1) -> Files:
    """One file of every key, see :func:`by_key`, in a folder or in its subfolders, see :func:`files_below`.

    Raises:
        FileNotFoundError: there are none.
    """
    found = by_key(files_below(folder, levels), folder, ending, suffixes)
    if not found:
        raise FileNotFoundError(no_files(folder, ending, suffixes))
    return one_each(found, folder)


def no_files(folder: Path, ending: str, suffixes: Sequence[str]) -> str:
    """What is missing in a folder."""
    return f"no files *{ending} with suffix {', '.join(suffixes)} in {folder}"


def numbered(files: Files, digits: int, folder: Path) -> Files:
    """Files whose whole name is a number of so many digits: other tools' files lie beside them."""
    numbered = {key: path for key, path in files.items() if re.fullmatch(rf"\d{{{digits}}}", key)}
    if not numbered:
        first = next(iter(files.values())).name
        raise FileNotFoundError(
            f"no file in {folder} is named by {digits} digits, such as {'1'.zfill(digits)}.png ({first})"
        )
    return numbered


def paired(images: Files, masks: Files, lone: str = "error", advice: str = "") -> list[Sample]:
    """Samples of a labelled split.

    Args:
        lone: what is done about files without a partner: `error`, or `warn` and leave them out.
        advice: what to do where no file has one.

    Raises:
        IncompleteSplit: there are such files, or nothing else.
    """
    keys = sorted(images.keys() & masks.keys())
    pairs = [Sample(key, images[key], masks[key]) for key in keys]
    without_mask, without_image = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    if without_mask or without_image:
        message = _count(without_mask, images, "images without mask") + _count(
            without_image, masks, "masks without image"
        )
        if lone == "error" or not keys:
            faults = {
                "image without mask": [images[key] for key in without_mask],
                "mask without image": [masks[key] for key in without_image],
            }
            none = "" if keys else advice
            raise IncompleteSplit(
                f"{message}{len(keys)} pairs; both are needed in a labelled split{none}", pairs, faults
            )
        warnings.warn(f"{message}left out, {len(keys)} pairs remain", Remark, stacklevel=3)
    return pairs


def _count(keys: list[str], files: Files, what: str) -> str:
    return f"{len(keys)} {what}, the first is {files[keys[0]]}; " if keys else ""


def unlabelled(images: Files) -> list[Sample]:
    """Samples of a split without masks."""
    return [Sample(key, path, None) for key, path in sorted(images.items())]
