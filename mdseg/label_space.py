"""Which classes a dataset annotates, and the label space in which one model answers for all of them.

Three words for ids: *raw id* (value in the file) → *class index* (position in the dataset's own class list) →
*train id* (index in the run's label space). 255 means "no annotation" in the last two.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from mdseg import conf_dir
from mdseg.wording import Remark, nearest, shortened

IGNORE = 255
MAX_CLASSES = 255  # ids are 8-bit and 255 is taken
ENCODINGS = ("id", "palette", "rgb", "channel16")
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast where PyYAML was built with libyaml

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelTable:
    """The classes of one dataset and how its mask files encode them; position = class index.

    encoding: ``id`` (8-bit grey PNG), ``palette`` (indices of a palette PNG), ``rgb`` (a raw id is
    ``r << 16 | g << 8 | b``), ``channel16`` (red channel of a 16-bit RGB PNG). raw_ids: per class, the values that mean
    it. ignore_ids: raw ids ignored on purpose; any other raw id is an error unless unknown_ids is ``ignore``. members,
    ignore_members: label names in polygon files. aliases: for evaluation only, see :meth:`LabelSpace.evaluation`.
    subsets: classes over which papers average besides all of them, by the subset's name.
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
        _check_names(f"label table '{self.name}'", self.names)
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
            _check_names(where, names)
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
        """Position of a class; ValueError if the table has no such class."""
        if name not in self.names:
            raise ValueError(
                f"label table '{self.name}' has no class '{name}'{nearest(name, self.names)}; it has {list(self.names)}"
            )
        return self.names.index(name)

    def lookup(self) -> np.ndarray:
        """Raw id → class index, uint8, 255 for ignored and unknown raw ids; 256 entries, for ``rgb`` one per colour."""
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
        """Table from its name in ``conf/labels``, from a YAML file, or given inline as a mapping.

        Raises: FileNotFoundError if there is no such table; ValueError, naming the file, if it contradicts itself.
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
        try:
            return cls._parse(yaml.load(path.read_text(encoding="utf-8"), YAML_LOADER), path.stem)
        except (ValueError, yaml.YAMLError) as error:
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


@dataclass(frozen=True, eq=False)
class EvaluationSpace:
    """The classes of an evaluation dataset and the channels of the model that answer for them.

    Output channel channels[i] counts as class index classes[i] of the evaluation dataset. unmapped: classes for which
    the model has no channel. names, colors: the evaluation dataset's own. subsets: those of its table that the model
    answers in full; a mean over the rest of a subset would pass for the published one and be another number.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    channels: Int64[Tensor, " m"]
    classes: Int64[Tensor, " m"]
    unmapped: tuple[str, ...]
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def has_rivals(self) -> bool:
        """Whether at least two classes have channels: with a single one, every prediction is that class."""
        return len(self.names) - len(self.unmapped) > 1


@dataclass(frozen=True, eq=False)
class LabelSpace:
    """The channels of one model, and which of them each of its datasets annotates.

    names: one per channel. classes: the class name behind each channel; it differs from names only in a disjoint space.
    class_train_ids: per dataset, the train id of each class index. in_space[d, k]: dataset d annotates channel k.
    Built by :func:`union`, :func:`disjoint` or :func:`listed`.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    classes: tuple[str, ...]
    class_train_ids: Mapping[str, tuple[int, ...]]
    in_space: Bool[Tensor, "d k"] = field(init=False)

    def __post_init__(self) -> None:
        _check_names(f"label space of {', '.join(self.class_train_ids)}", self.names)
        in_space = torch.zeros(len(self.class_train_ids), len(self.names), dtype=torch.bool)
        for row, train_ids in zip(in_space, self.class_train_ids.values(), strict=True):
            row[[train_id for train_id in train_ids if train_id != IGNORE]] = True
        object.__setattr__(self, "in_space", in_space)

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.class_train_ids)

    def dataset_index(self, name: str) -> int:
        """Row of a dataset in ``in_space``."""
        if name not in self.class_train_ids:
            raise ValueError(f"dataset '{name}' is not in the label space; it was built from {list(self.datasets)}")
        return self.datasets.index(name)

    def train_ids(self, dataset: str) -> UInt8[np.ndarray, "256"]:
        """Class index → train id of one dataset; 255 stays 255, as do classes outside a listed space."""
        self.dataset_index(dataset)
        table = np.full(256, IGNORE, dtype=np.uint8)
        table[: len(self.class_train_ids[dataset])] = self.class_train_ids[dataset]
        return table

    def evaluation(self, table: LabelTable, dataset: str | None = None) -> EvaluationSpace:
        """Channels that answer for the classes of another dataset, found by name and by the table's aliases.

        Per class: if it is among its own aliases, all of them that exist are merged into it; otherwise the class
        itself, or, where the space lacks it, its aliases. In a disjoint space a dataset that was trained on uses its
        own channels, and any other all channels of that name. Classes without a channel are listed in a warning.

        Raises: ValueError if no class has a channel, or one channel would answer for two classes.
        """
        own = dataset if self.names != self.classes and dataset in self.class_train_ids else None
        allowed = self.in_space[self.dataset_index(own)].tolist() if own else [True] * self.num_classes
        channels_of: dict[str, list[int]] = {}
        for channel, name in enumerate(self.classes):
            if allowed[channel]:
                channels_of.setdefault(name, []).append(channel)
        pairs = [
            (channel, index)
            for index, name in enumerate(table.names)
            for channel in _answering(name, table.aliases.get(name, ()), channels_of)
        ]
        unmapped = tuple(name for index, name in enumerate(table.names) if index not in {index for _, index in pairs})
        where = f"evaluation dataset '{dataset or table.name}' (label table '{table.name}')"
        self._check_evaluation(where, table, pairs, unmapped)
        return EvaluationSpace(
            names=table.names,
            colors=table.colors,
            channels=torch.tensor([channel for channel, _ in pairs], dtype=torch.int64),
            classes=torch.tensor([index for _, index in pairs], dtype=torch.int64),
            unmapped=unmapped,
            subsets={subset: names for subset, names in table.subsets.items() if not set(names) & set(unmapped)},
        )

    def _check_evaluation(
        self, where: str, table: LabelTable, pairs: list[tuple[int, int]], unmapped: tuple[str, ...]
    ) -> None:
        if not pairs:
            raise ValueError(
                f"{where}: none of its classes ({shortened(table.names)}) is in the model's label space "
                f"({shortened(self.names)}); add aliases to the table or evaluate on another dataset"
            )
        owner: dict[int, int] = {}
        for channel, index in pairs:
            if channel in owner:
                both = [table.names[owner[channel]], table.names[index]]
                raise ValueError(
                    f"{where}: channel '{self.names[channel]}' would answer for {both}; change its aliases"
                )
            owner[channel] = index
        alone = len(unmapped) == table.num_classes - 1
        if unmapped:
            warnings.warn(
                f"{where}: the model has no channel for {len(unmapped)} of its {table.num_classes} classes, whose IoU "
                f"will be null: {shortened(unmapped)}"
                + ("; nothing competes with the one that is left, whose IoU will be null too" if alone else ""),
                Remark,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """The space in plain types, for a checkpoint that loads with ``weights_only=True``."""
        return {
            "names": list(self.names),
            "colors": [list(color) for color in self.colors],
            "classes": list(self.classes),
            "class_train_ids": {dataset: list(train_ids) for dataset, train_ids in self.class_train_ids.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "LabelSpace":
        """Inverse of :meth:`state_dict`."""
        return cls(
            names=tuple(state["names"]),
            colors=tuple(tuple(color) for color in state["colors"]),
            classes=tuple(state["classes"]),
            class_train_ids={dataset: tuple(train_ids) for dataset, train_ids in state["class_train_ids"].items()},
        )


def union(tables: Mapping[str, LabelTable]) -> LabelSpace:
    """Classes of all datasets merged by exact name, sorted. Kim et al., ECCV 2022."""
    _check_tables(tables)
    return _merged(tables, sorted({name for table in tables.values() for name in table.names}))


def disjoint(tables: Mapping[str, LabelTable]) -> LabelSpace:
    """Every dataset keeps channels of its own, named ``dataset/class``: per-dataset heads as one classifier."""
    _check_tables(tables)
    starts = np.cumsum([0, *(table.num_classes for table in tables.values())])
    return LabelSpace(
        names=tuple(f"{dataset}/{name}" for dataset, table in tables.items() for name in table.names),
        colors=tuple(color for table in tables.values() for color in table.colors),
        classes=tuple(name for table in tables.values() for name in table.names),
        class_train_ids={
            dataset: tuple(range(int(start), int(start) + table.num_classes))
            for start, (dataset, table) in zip(starts, tables.items(), strict=False)
        },
    )


def listed(tables: Mapping[str, LabelTable], names: Sequence[str]) -> LabelSpace:
    """The given classes in the given order; pixels of any other class are ignored.

    Raises: ValueError if a dataset annotates none of them. Classes that no dataset annotates are listed in a warning: a
    19-class model trained on SYNTHIA alone has them, a misspelt name too.
    """
    _check_tables(tables)
    for dataset, table in tables.items():
        if not set(names) & set(table.names):
            raise ValueError(f"dataset '{dataset}' (label table '{table.name}') annotates none of {list(names)}")
    absent = [name for name in names if not any(name in table.names for table in tables.values())]
    if absent:
        warnings.warn(f"label space: none of the datasets {list(tables)} annotates {absent}", Remark, stacklevel=2)
    return _merged(tables, names)


def _merged(tables: Mapping[str, LabelTable], names: Iterable[str]) -> LabelSpace:
    names = tuple(names)
    train_id = {name: index for index, name in enumerate(names)}
    return LabelSpace(
        names=names,
        colors=_merged_colors(tables, names),
        classes=names,
        class_train_ids={
            dataset: tuple(train_id.get(name, IGNORE) for name in table.names) for dataset, table in tables.items()
        },
    )


def _merged_colors(tables: Mapping[str, LabelTable], names: Sequence[str]) -> tuple[Color, ...]:
    """The colour of the dataset with most classes, moved on where another class has it already."""
    # Smaller tables first, so that larger ones overwrite; by name on a tie: the datasets' order must not matter.
    ordered = sorted(tables.items(), key=lambda item: (item[1].num_classes, item[0]))
    colors = {name: color for _, table in ordered for name, color in zip(table.names, table.colors, strict=True)}
    taken: dict[Color, str] = {}
    for name in names:
        color = colors.get(name, (90, 90, 90))
        while color in taken:
            color = ((color[0] + 37) % 256, (color[1] + 91) % 256, (color[2] + 53) % 256)
        taken[color] = name
    return tuple(taken)


def _answering(name: str, aliases: Sequence[str], channels_of: Mapping[str, list[int]]) -> list[int]:
    chosen = [name] if name in channels_of and name not in aliases else aliases
    return [channel for candidate in chosen for channel in channels_of.get(candidate, ())]


def _check_tables(tables: Mapping[str, LabelTable]) -> None:
    if not tables:
        raise ValueError("a label space needs at least one labelled dataset")


def _check_names(where: str, names: Sequence[str]) -> None:
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
