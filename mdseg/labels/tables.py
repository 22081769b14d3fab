"""Which classes a dataset annotates, and how its mask files encode them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdseg import conf_dir
from mdseg.system.documents import read_yaml
from mdseg.system.wording import nearest

IGNORE = 255

MAX_CLASSES = 255  # ids are 8-bit and 255 is taken

ENCODINGS = ("id", "palette", "rgb", "channel16")

Color = tuple[int, int, int]


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
        check_names(f"label table '{self.name}'", self.names)
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
            if not isinstance(raw_id, int) or not 0 <= raw_id < self._num_raw_ids:
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
            check_names(where, names)
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

    def show(self, raw_id: int) -> str:
        """A raw id as a person would look for it in the file."""
        return f"({raw_id >> 16}, {raw_id >> 8 & 255}, {raw_id & 255})" if self.encoding == "rgb" else str(raw_id)

    @classmethod
    def load(cls, labels: str | Path | Mapping[str, Any]) -> "LabelTable":
        """Table from its name in `conf/labels`, from a YAML file, or given inline as a mapping.

        Raises:
            FileNotFoundError: there is no such table.
            ValueError: it contradicts itself; the file is named.
        """
        if isinstance(labels, Mapping):
            return cls._parse(labels, str(labels.get("name", "inline")))
        path = Path(labels)
        if path.suffix not in (".yaml", ".yml"):
            path = conf_dir() / "labels" / f"{labels}.yaml"
        if not path.is_file():
            known = sorted(file.stem for file in (conf_dir() / "labels").glob("*.yaml"))
            raise FileNotFoundError(
                f"no label table '{labels}'{nearest(str(labels), known)} ({path} does not exist); give a YAML file or "
                f"one of {known}"
            )
        document = read_yaml(path)
        try:
            return cls._parse(document, path.stem)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def _parse(cls, document: Any, name: str) -> "LabelTable":
        where = f"label table '{name}'"
        _check_keys(
            where,
            document,
            required={"encoding", "classes"},
            optional={"name", "ignore_ids", "ignore_rgb", "ignore_members", "unknown_ids", "aliases", "subsets"},
        )
        ids, ignored = ("rgb", "ignore_rgb") if document["encoding"] == "rgb" else ("raw_ids", "ignore_ids")
        misplaced = {"ignore_rgb", "ignore_ids"} & set(document) - {ignored}
        if misplaced:
            raise ValueError(f"{where}: encoding '{document['encoding']}' goes with {ignored}, not {misplaced.pop()}")
        _check_list(f"{where}: classes", document["classes"])
        _check_list(f"{where}: {ignored}", document.get(ignored, []))
        for number, entry in enumerate(document["classes"]):
            _check_keys(f"{where}, class {number}", entry, required={"name", "color", ids}, optional={"members"})
            _check_list(f"{where}, class {number}: {ids}", entry[ids])
            if not isinstance(entry["name"], str):
                raise ValueError(f"{where}, class {number}: name {entry['name']!r} is not a string (quote it)")
        subsets = document.get("subsets", {})
        if not isinstance(subsets, Mapping):
            raise ValueError(f"{where}: subsets: expected a mapping of lists of class names, got {subsets!r}")
        for subset, names in subsets.items():
            _check_list(f"{where}: subsets.{subset}", names)
        classes = document["classes"]
        to_ids = _pack_colors if ids == "rgb" else tuple
        return cls(
            name=name,
            names=tuple(entry["name"] for entry in classes),
            colors=tuple(_color(where, entry["color"]) for entry in classes),
            encoding=document["encoding"],
            raw_ids=tuple(to_ids(entry[ids]) for entry in classes),
            ignore_ids=to_ids(document.get(ignored, ())),
            unknown_ids=document.get("unknown_ids", "error"),
            members=tuple(tuple(entry.get("members", ())) for entry in classes),
            ignore_members=tuple(document.get("ignore_members", ())),
            aliases={key: tuple(names) for key, names in document.get("aliases", {}).items()},
            subsets={key: tuple(names) for key, names in subsets.items()},
        )


def check_names(where: str, names: Sequence[str]) -> None:
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
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{where}: classes {repeated} occur more than once")


def _check_keys(where: str, mapping: Any, required: set[str], optional: set[str]) -> None:
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: expected a mapping with {sorted(required)}, got {mapping!r}")
    missing, unknown = required - set(mapping), set(mapping) - required - optional
    if missing or unknown:
        raise ValueError(f"{where}: missing keys {sorted(missing)}, unknown keys {sorted(unknown)}")


def _check_list(where: str, value: Any) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{where}: expected a list, got {value!r} (write [{value}])")


def _color(where: str, color: Any) -> Color:
    values = tuple(color) if isinstance(color, Sequence) else (color,)
    if len(values) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in values):
        raise ValueError(f"{where}: color {list(values)}, expected three numbers in 0..255")
    return values


def _pack_colors(colors: Iterable[Any]) -> tuple[int, ...]:
    return tuple(r << 16 | g << 8 | b for r, g, b in (_color("rgb", color) for color in colors))
