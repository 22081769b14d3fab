"""What the predictions of photographs are called, made to fit the file system before the first one is written."""

import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePath

from mdseg.system.files import temporary
from mdseg.system.wording import shortened

SUFFIXES = (".png", ".jpg")  # of the pictures that are made of a photograph


def output_names(files: Collection[Path], images: Path) -> dict[Path, str]:
    """What the outputs of each image are called: its path below the folder of images, without its suffix.

    Images that differ only in their suffix keep it: street.jpg and street.png become street.jpg.png, street.png.png. So
    do those whose outputs would be called as a folder of others.
    """
    folder = images if images.is_dir() else images.parent
    names = {path: str(path.relative_to(folder).with_suffix("")) for path in files}
    while True:
        counts, folders = Counter(map(alike, names.values())), folders_of(names.values())
        clashing = [
            path
            for path, name in names.items()
            if counts[alike(name)] > 1 or any(alike(name + suffix) in folders for suffix in SUFFIXES)
        ]
        kept = {path: str(path.relative_to(folder)) for path in clashing}
        if all(names[path] == name for path, name in kept.items()):
            return names
        names |= kept


def check_names(names: Mapping[Path, str], output: Path, folders: Sequence[str]) -> None:
    """Refuse outputs that the file system cannot hold beside each other.

    Args:
        names: what the outputs of each image are called.
        folders: in which they will lie below `output`.

    Raises:
        ValueError: names that are too long, that are those of folders too, or that are one to the file system; a file
            in place of a folder, or the other way round; a photograph that would be replaced.
    """
    output = output.resolve()
    longest_name, longest_path = limits(output)
    fits = {path: _fits(output, folders, name, longest_name, longest_path) for path, name in names.items()}
    if long := [str(path) for path, fit in fits.items() if not fit]:
        raise ValueError(
            f"{len(long)} of {len(names)} images have names that are too long for what is made of them in {output} "
            f"(at most {longest_name} bytes for a name, {longest_path} for a path): {shortened(long)}; rename them, or "
            "choose another output"
        )
    _check_what_is_there(names, output, folders)
    occupied = folders_of(names.values())
    if both := [
        f"{name}{suffix}" for name in names.values() for suffix in SUFFIXES if alike(name + suffix) in occupied
    ]:
        raise ValueError(
            f"what is made of {len(both)} images would be called as folders of others: {shortened(both)}; rename one "
            "of each"
        )
    counts = Counter(map(alike, names.values()))
    same = [str(path) for path, name in names.items() if counts[alike(name)] > 1]
    if same and not tells_cases_apart(output):
        raise ValueError(
            f"the file system of output={output} does not tell the names of these images apart, so that what is made "
            f"of them would overwrite each other: {shortened(same)}; rename them"
        )


def _check_what_is_there(names: Mapping[Path, str], output: Path, folders: Sequence[str]) -> None:
    """Refuse to replace what an earlier prediction has not written: folders, and the photographs themselves."""
    if no_folders := [str(output / folder) for folder in folders if os.path.isfile(output / folder)]:
        raise ValueError(
            f"there are files where folders of predictions would lie: {shortened(no_folders)}; choose another output"
        )
    made = [output / folder / f"{name}{suffix}" for name in names.values() for folder in folders for suffix in SUFFIXES]
    there = [path for path in made if os.path.lexists(path)]
    if occupied := [str(path) for path in there if path.is_dir()]:
        raise ValueError(
            f"there are folders where predictions would lie, which they cannot replace: {shortened(occupied)}; choose "
            "another output"
        )
    photographs = {_place(path) for path in names} | {os.path.realpath(path) for path in names} if there else set()
    if lost := [str(path) for path in there if _place(path) in photographs]:
        raise ValueError(
            f"predictions would replace the photographs themselves: {shortened(lost)}; choose another output"
        )


def _place(path: Path) -> str:
    """Where a file lies, links on the way followed; what is written in its place replaces a link itself."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def alike(name: str) -> str:
    """What is equal of names that some file system takes for the same: a and A, composed and decomposed accents."""
    return unicodedata.normalize("NFC", name).casefold()


def folders_of(names: Collection[str]) -> set[str]:
    """The folders that lie above names, as :func:`alike` has them."""
    return {alike(str(folder)) for name in names for folder in PurePath(name).parents}


def limits(folder: Path) -> tuple[int, int]:
    """Bytes that the file system of a folder takes for a name and for a path."""
    there = nearest_existing(folder)
    if not hasattr(os, "pathconf"):
        return 255, 4096
    return os.pathconf(there, "PC_NAME_MAX"), os.pathconf(there, "PC_PATH_MAX") - 1  # which counts the final zero


def nearest_existing(folder: Path) -> Path:
    """The folder, or the first above it that there is."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # Path.exists raises if it is long


def tells_cases_apart(folder: Path) -> bool:
    """Whether the file system of a folder tells a from A, as far as the names above it show."""
    there = nearest_existing(folder)
    for path in (there, *there.parents):
        other = path.with_name(path.name.swapcase()) if path.name else path
        if other != path:
            return not (other.exists() and other.samefile(path))
    return True


def _fits(output: Path, folders: Sequence[str], name: str, longest_name: int, longest_path: int) -> bool:
    longest = output / max(folders, key=len) / f"{name}{max(SUFFIXES, key=len)}"
    parts = PurePath(f"{name}{SUFFIXES[0]}").parts
    written = max(len(os.fsencode(path)) for path in (longest, temporary(longest)))
    return max(len(os.fsencode(part)) for part in parts) <= longest_name and written <= longest_path
