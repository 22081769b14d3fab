"""Lists of a split's images: text files with a name per line, or an image and its mask."""

import codecs
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mdseg.data.dataset import Sample
from mdseg.data.listing import IMAGES, SPLITS, Files, IncompleteSplit, NoSplit, without_suffix
from mdseg.system.files import refuse_irregular
from mdseg.system.wording import Remark, shortened


def there(path: Path) -> bool:
    """Whether a file exists.

    Raises:
        ValueError: it is no regular file.
    """
    refuse_irregular(path)
    return os.path.isfile(path)


def text_of(list_file: Path) -> str:
    """What a list holds, in UTF-8, or UTF-16 as some programs of Windows write it; without a byte order mark.

    Raises:
        ValueError: it is no regular file, or no text.
    """
    refuse_irregular(list_file)
    content = list_file.read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
        if "\0" in text:  # UTF-16 that has no mark
            raise ValueError("null bytes")
    except ValueError as error:
        raise ValueError(f"{list_file}: expected a list of names in UTF-8, found something else ({error})") from error
    return text


def lines_of(list_file: Path) -> list[str]:
    """Lines of a list that are not blank.

    Raises:
        NoSplit: there is no such file.
        ValueError: it is empty, no regular file, or no text.
    """
    if not there(list_file):
        lists = sorted(path.name for path in list_file.parent.glob("*.txt"))
        has = f" ({list_file.parent} has {shortened(lists)})" if lists else ""
        raise NoSplit(f"no list {list_file} of the split's images{has}; set the layout's `lists`")
    lines = [line.strip() for line in text_of(list_file).splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{list_file} is empty")
    return lines


def list_of(split: str, folder: Path, needed: bool) -> Path | None:
    """The list of a split, which must exist where `lists` is set or the folder has a list of another split."""
    if needed or any(there(folder / f"{other}.txt") for other in SPLITS):
        return folder / f"{split}.txt"
    return None


def names_of(list_file: Path) -> list[str]:
    """File names of a list without folder and suffix."""
    return [without_suffix(PurePosixPath(line).name) for line in lines_of(list_file)]


def columns_of(line: str, list_file: Path) -> list[str]:
    """A name, or an image and its mask; where paths contain blanks, a tab parts them.

    Raises:
        ValueError: there are more columns.
    """
    columns = [column.strip() for column in line.split("\t")] if "\t" in line else line.split()
    if len(columns) > 2:
        raise ValueError(f"{list_file}: expected a name or 'image mask' in a line, got '{line}'")
    return columns


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
    remark_repeated(keys, list_file)
    return {key: files[key] for key in keys}


def remark_repeated(keys: Iterable[str], list_file: Path) -> None:
    """Say which images a list names more than once: each is one image all the same."""
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        images = "1 image" if len(repeated) == 1 else f"{len(repeated)} images"
        warnings.warn(
            f"{list_file} names {images} more than once, such as '{repeated[0]}'; each counts once",
            Remark,
            stacklevel=3,
        )


class Chosen:
    """The images that the lines of a list choose, and their masks.

    Args:
        root: of the dataset, which paths in the list are relative to.
    """

    def __init__(self, list_file: Path, root: Path) -> None:
        self.list_file, self.root = list_file, root
        self.images: Files = {}
        self.masks: Files = {}
        self._keys: list[str] = []
        self._missing: dict[Path, list[str]] = {}

    def file(self, name: str, formats: tuple[str, ...] = (), instead: Sequence[Path] = ()) -> Path:
        """The file of this name, or the same in another of these formats; :meth:`check` says what does not exist.

        Args:
            instead: what may be meant where it does not exist.

        Raises:
            ValueError: it lies outside the dataset, or is no regular file.
        """
        path = self.inside(name)
        if there(path):
            return path
        others = [other for suffix in formats if there(other := Path(without_suffix(str(path)) + suffix))]
        if len(others) > 1:
            names = ", ".join(other.name for other in others)
            raise ValueError(f"{self.list_file} names {name}, which may be {names}; write the suffix of the one")
        if others:
            return others[0]
        same = (Path(without_suffix(str(path)) + suffix) for suffix in IMAGES)
        self._missing[path] = [other.name for other in (*instead, *same) if os.path.exists(other)]
        return path

    def inside(self, name: str) -> Path:
        """The path that a name stands for.

        Raises:
            ValueError: it leads out of the dataset's folder.
        """
        if (path := self.below(name)) is None:
            raise ValueError(
                f"{self.list_file} names {name}, which leads out of the dataset's folder {self.root}; name files in it "
                "(a link in it may lead to another folder)"
            )
        return path

    def below(self, name: str) -> Path | None:
        """The path that a name stands for in the dataset's folder, which lists of VOC call `/`; None: it leads out."""
        for absolute in (os.path.abspath, os.path.realpath):
            path, root = Path(absolute(self.root / name)), absolute(self.root)
            if path.is_relative_to(root):
                return self.root / path.relative_to(root)
        stripped = name.lstrip("/")
        return self.below(stripped) if stripped != name and os.path.lexists(self.root / stripped) else None

    def add(self, key: str, image: Path, mask: Path | None = None) -> None:
        """Choose an image.

        Raises:
            ValueError: the list has another file of this key, or the image as its own mask.
        """
        if image == mask:
            raise ValueError(f"{self.list_file} names {image} as an image and as its mask")
        if key in self.images:
            for first, second in ((self.images[key], image), (self.masks.get(key), mask)):
                if first != second:
                    raise ValueError(
                        f"{self.list_file} names two files for '{key}', {first or 'none'} and {second or 'none'}; an "
                        "image needs a name of its own, or one folder (image_dir) that all images lie in"
                    )
        self._keys.append(key)
        self.images[key] = image
        if mask is not None:
            self.masks[key] = mask

    def check(self) -> None:
        """Remark what is named more than once.

        Raises:
            IncompleteSplit: the list names files that do not exist.
        """
        remark_repeated(self._keys, self.list_file)
        if not self._missing:
            return
        complete = self.images.keys() & self.masks.keys() if self.masks else self.images.keys()
        listed = [Sample(key, self.images[key], self.masks.get(key)) for key in sorted(complete)]
        found = [sample for sample in listed if not {sample.image, sample.mask} & self._missing.keys()]
        first, instead = next(iter(self._missing.items()))
        hint = f" (there is {', '.join(instead)}; a suffix in a list counts)" if instead else ""
        if not instead and set(str(first).removeprefix(str(self.root))) & set("\\,;\"'"):
            hint = " (a blank or a tab parts an image from its mask, / parts folders, and nothing is quoted)"
        more = f" (and {len(self._missing) - 1} more)" if len(self._missing) > 1 else ""
        raise IncompleteSplit(
            f"{self.list_file} names {first}, which does not exist{hint}{more}",
            found,
            {f"named in {self.list_file.name}, but missing{hint}": list(self._missing)},
        )
