"""Which classes a dataset annotates, and how its mask files encode them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdseg import conf_dir
from mdseg.labels.documents import FORM, Color, fields_of
from mdseg.system.documents import read_yaml
from mdseg.system.files import refuse_irregular
from mdseg.system.names import check_name, repetitions
from mdseg.system.wording import excerpt, nearest

IGNORE = 255

OF_ALL = ("miou", "miou_zero")  # what stands beside subsets in reports
MAX_CLASSES = 255  # ids are 8-bit and 255 is taken

ENCODINGS = ("id", "palette", "rgb", "channel16")


@dataclass(frozen=True)
class LabelTable:
    """The classes of one dataset and how its mask files encode them; position = class index.

    Args:
        encoding: `id` (8-bit grey PNG), `palette` (indices of a palette PNG), `rgb` (a raw id is
            `r << 16 | g << 8 | b`) or `channel16` (red channel of a 16-bit RGB PNG).
        raw_ids: per class, the values that mean it.
        ignore_ids: raw ids ignored on purpose.
        unknown_ids: what any other raw id is: an `error`, or something to `ignore`.
        members, ignore_members: label names in polygon files.
        aliases: for evaluation only, see :meth:`LabelSpace.evaluation`.
        subsets: classes over which papers average besides all of them, by the subset's name.

    Raises:
        ValueError: the table contradicts itself.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    encoding: str
    raw_ids: tuple[tuple[int, ...], ...]
    ignore_ids: tuple[int, ...] = ()
    unknown_ids: str = "error"
    members: tuple[tuple[str, ...], ...] = ()
    ignore_members: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(
                f"label table '{self.name}': encoding '{self.encoding}', expected one of {list(ENCODINGS)}"
            )
        if self.unknown_ids not in ("error", "ignore"):
            raise ValueError(
                f"label table '{self.name}': unknown_ids '{self.unknown_ids}', expected 'error' or 'ignore'"
            )
        if self.names:  # a dataset without masks has none
            check_classes(f"label table '{self.name}'", self.names)
        for name in self.names:
            check_name(f"label table '{self.name}'", name)
        self._check_raw_ids()
        self._check_members()
        unknown = [name for name in self.aliases if name not in self.names]
        if unknown:
            raise ValueError(f"label table '{self.name}': aliases for {unknown}, which are not classes of the table")
        self._check_subsets()

    def _check_raw_ids(self) -> None:
        owner: dict[int, str] = {}
        claims = [*zip(self.names, self.raw_ids, strict=True), ("(ignored)", self.ignore_ids)]
        for name, raw_id in ((name, raw_id) for name, raw_ids in claims for raw_id in raw_ids):
            if isinstance(raw_id, bool) or not isinstance(raw_id, int) or not 0 <= raw_id < self._num_raw_ids:
                raise ValueError(
                    f"label table '{self.name}': raw id {raw_id} of '{name}' is not in 0..{self._num_raw_ids - 1}"
                )
            if raw_id in owner:
                shown = self.show(raw_id)
                raise ValueError(f"label table '{self.name}': '{owner[raw_id]}' and '{name}' both claim raw id {shown}")
            owner[raw_id] = name

    def _check_members(self) -> None:
        if not self.members:
            return
        owner: dict[str, str] = {}
        for name, members in [*zip(self.names, self.members, strict=True), ("(ignored)", self.ignore_members)]:
            for member in members:
                if member in owner:
                    raise ValueError(f"label table '{self.name}': '{owner[member]}' and '{name}' both claim '{member}'")
                owner[member] = name

    def _check_subsets(self) -> None:
        for subset, names in self.subsets.items():
            where = f"label table '{self.name}': subset '{subset}'"
            if subset in OF_ALL:
                raise ValueError(f"{where} is called as the mean over all classes; choose another name")
            check_classes(where, names)
            for name in names:
                if name not in self.names:
                    raise ValueError(
                        f"{where}: '{name}' is not a class of the table{nearest(name, self.names)}; "
                        f"it has {list(self.names)}"
                    )

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def ignore_key(self) -> str:
        """The key of the table's file that lists what is ignored."""
        return "ignore_rgb" if self.encoding == "rgb" else "ignore_ids"

    @property
    def _num_raw_ids(self) -> int:
        return 1 << 24 if self.encoding == "rgb" else 256

    def class_index(self, name: str) -> int:
        """Position of a class.

        Raises:
            ValueError: the table has no such class.
        """
        if name not in self.names:
            raise ValueError(
                f"label table '{self.name}' has no class '{name}'{nearest(name, self.names)}; it has {list(self.names)}"
            )
        return self.names.index(name)

    def lookup(self) -> np.ndarray:
        """Raw id → class index, uint8, 255 for ignored and unknown raw ids; 256 entries, for `rgb` one per colour."""
        table = np.full(self._num_raw_ids, IGNORE, dtype=np.uint8)
        for index, raw_ids in enumerate(self.raw_ids):
            table[list(raw_ids)] = index
        return table

    def known(self) -> np.ndarray:
        """Whether a raw id may occur, bool, of the same length as :meth:`lookup`."""
        table = np.full(self._num_raw_ids, self.unknown_ids == "ignore")
        for raw_ids in (*self.raw_ids, self.ignore_ids):
            table[list(raw_ids)] = True
        return table

    def palette(self) -> np.ndarray:
        """Colour of every raw id, uint8 [256, 3]: of the first one of a class its own, black elsewhere."""
        palette = np.zeros((256, 3), np.uint8)
        for raw_ids, color in zip(self.raw_ids, self.colors, strict=True):
            palette[list(raw_ids[:1])] = color
        return palette

    def show(self, raw_id: int) -> str:
        """A raw id as a person would look for it in the file."""
        return f"({raw_id >> 16}, {raw_id >> 8 & 255}, {raw_id & 255})" if self.encoding == "rgb" else str(raw_id)

    @classmethod
    def without_classes(cls, name: str) -> "LabelTable":
        """Table of a dataset without masks: every raw id is unknown."""
        return cls(name, names=(), colors=(), encoding="id", raw_ids=())

    @classmethod
    def load(cls, labels: Any) -> "LabelTable":
        """Table from its name in `conf/labels`, from a YAML file, or given inline as a mapping.

        Raises:
            FileNotFoundError: there is no such table.
            ValueError: it contradicts itself, or is none; the file is named.
        """
        if isinstance(labels, Mapping):
            check_name("label table", name := labels.get("name", "inline"))
            return cls(**fields_of(labels, name))
        if not isinstance(labels, str | Path):
            hint = "; a list of classes stands in it, below `classes`" if isinstance(labels, Sequence) else ""
            raise ValueError(
                f"labels: expected the name of a label table, a YAML file or a table, {FORM}, got "
                f"{excerpt(labels)}{hint}"
            )
        path = Path(labels).expanduser()
        if path.suffix.lower() not in (".yaml", ".yml"):
            path = conf_dir() / "labels" / f"{labels}.yaml"
        refuse_irregular(path)
        if not path.is_file():
            if Path(labels).expanduser().exists():
                raise ValueError(f"labels: {labels} is no YAML file; a label table is one, .yaml or .yml")
            known = sorted(file.stem for file in (conf_dir() / "labels").glob("*.yaml"))
            raise FileNotFoundError(
                f"no label table '{labels}'{nearest(str(labels), known)} ({path} does not exist); give a YAML file or "
                f"one of {known}"
            )
        document = read_yaml(path)
        try:
            return cls(**fields_of(document, path.stem))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def check_classes(where: str, names: Sequence[str]) -> None:
    """Refuse class names that cannot be numbered in 8 bits.

    Raises:
        ValueError: no names, too many of them, or one that occurs twice.
    """
    if not names:
        raise ValueError(f"{where}: no classes")
    if len(names) > MAX_CLASSES:
        raise ValueError(
            f"{where}: {len(names)} classes, at most {MAX_CLASSES} fit in 8 bits beside the ignore index; merge or "
            "ignore some"
        )
    if repeated := sorted(repetitions(names)):
        raise ValueError(f"{where}: classes {repeated} occur more than once")
