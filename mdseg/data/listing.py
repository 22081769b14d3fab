"""Files of one split on disk: found, listed, paired by key, and what is said where some are missing."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mdseg.data.dataset import Sample
from mdseg.system.wording import Remark

IMAGES = (".jpeg", ".jpg", ".png")  # many users convert to JPEG; where both exist the last one, PNG, is taken
SPLITS = ("train", "val", "test")

Files = dict[str, Path]


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


def check_option(option: str, value: str, allowed: Iterable[str]) -> None:
    """Raise ValueError for a value that an option does not have."""
    if value not in allowed:
        raise ValueError(f"{option} '{value}', expected one of {list(allowed)}")


def images_in(folder: Path, ending: str = "", suffixes: tuple[str, ...] = IMAGES, pattern: str = "*") -> Files:
    """The images of a split.

    Raises:
        NoSplit: there are none.
    """
    try:
        return files_in(folder, ending, suffixes, pattern)
    except FileNotFoundError as error:
        raise NoSplit(str(error)) from error


def files_in(folder: Path, ending: str = "", suffixes: tuple[str, ...] = IMAGES, pattern: str = "*") -> Files:
    """Key → file: name relative to the folder, without ending and suffix, both matched in any case.

    Where a name exists with several suffixes, the last of `suffixes` is taken.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} (set data.root or the dataset's root)")
    files: Files = {}
    found = [path for path in sorted(folder.glob(pattern)) if path.suffix.lower() in suffixes]
    for path in sorted(found, key=lambda path: suffixes.index(path.suffix.lower())):
        name = path.stem
        hidden = name.startswith(".")  # "._name.png" is what macOS leaves in archives
        if name.lower().endswith(ending.lower()) and not hidden:
            files[path.relative_to(folder).parent.joinpath(name[: len(name) - len(ending)]).as_posix()] = path
    if not files:
        raise FileNotFoundError(f"no files {pattern}{ending} with suffix {', '.join(suffixes)} in {folder}")
    return files


def numbered(files: Files, digits: int, folder: Path) -> Files:
    """Files whose whole name is a number of so many digits: other tools' files lie beside them."""
    numbered = {key: path for key, path in files.items() if re.fullmatch(rf"\d{{{digits}}}", key)}
    if not numbered:
        first = next(iter(files.values())).name
        raise FileNotFoundError(
            f"no file in {folder} is named by {digits} digits, such as {'1'.zfill(digits)}.png ({first})"
        )
    return numbered


def list_of(split: str, folder: Path, needed: bool) -> Path | None:
    """The list of a split, which must exist where `lists` is set or the folder has a list of another split."""
    if needed or any((folder / f"{other}.txt").is_file() for other in SPLITS):
        return folder / f"{split}.txt"
    return None


def names_of(list_file: Path) -> list[str]:
    """File names of a list without folder and suffix."""
    return [without_suffix(PurePosixPath(line).name) for line in lines_of(list_file)]


def paired(images: Files, masks: Files, lone: str = "error") -> list[Sample]:
    """Samples of a labelled split.

    Args:
        lone: what is done about files without a partner: `error`, or `warn` and leave them out.

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
            raise IncompleteSplit(f"{message}{len(keys)} pairs; both are needed in a labelled split", pairs, faults)
        warnings.warn(f"{message}left out, {len(keys)} pairs remain", Remark, stacklevel=3)
    return pairs


def _count(keys: list[str], files: Files, what: str) -> str:
    return f"{len(keys)} {what}, the first is {files[keys[0]]}; " if keys else ""


def unlabelled(images: Files) -> list[Sample]:
    """Samples of a split without masks."""
    return [Sample(key, path, None) for key, path in sorted(images.items())]


def select(files: Files, keys: list[str], list_file: Path) -> Files:
    """The files that a list names, by key.

    Raises:
        FileNotFoundError: some are missing.
    """
    missing = [key for key in keys if key not in files]
    if missing:
        folder = next(iter(files.values())).parent
        raise FileNotFoundError(
            f"{list_file} names {len(missing)} files that {folder} lacks, the first is '{missing[0]}'"
        )
    return {key: files[key] for key in keys}


def lines_of(list_file: Path) -> list[str]:
    """Lines of a list that are not blank.

    Raises:
        NoSplit: there is no such file.
        ValueError: it is empty.
    """
    if not list_file.is_file():
        raise NoSplit(f"no list {list_file} of the split's images; set the layout's `lists`")
    lines = [line.strip() for line in list_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{list_file} is empty")
    return lines


def columns_of(line: str, list_file: Path) -> list[str]:
    """A name, or an image and its mask; where paths contain blanks, a tab parts them.

    Raises:
        ValueError: there are more columns.
    """
    columns = line.split("\t") if "\t" in line else line.split()
    if len(columns) > 2:
        raise ValueError(f"{list_file}: expected a name or 'image mask' in a line, got '{line}'")
    return columns


def on_disk(path: Path, missing: list[Path]) -> Path:
    """The listed file, or the same image in another format; what does not exist is added to `missing`."""
    for candidate in (path, *(path.with_suffix(suffix) for suffix in reversed(IMAGES))):
        if candidate.is_file():
            return candidate
    missing.append(path)
    return path


def check_listed(list_file: Path, missing: list[Path], images: Files, masks: Files) -> None:
    """Raise :class:`IncompleteSplit` where :func:`on_disk` has missed files of a list."""
    if missing:
        listed = [Sample(key, images[key], masks[key]) for key in sorted(images.keys() & masks.keys())]
        found = [sample for sample in listed if not {sample.image, sample.mask} & set(missing)]
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise IncompleteSplit(
            f"{list_file} names {missing[0]}, which does not exist in any of {', '.join(IMAGES)}{more}",
            found,
            {f"named in {list_file.name}, but missing": missing},
        )


def without_suffix(name: str) -> str:
    """A name or path without the ending of an image, if it has one."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix.lower() in IMAGES else name
