"""Which classes a dataset annotates, and the label space in which one model answers for all of them.

Three words for ids: *raw id* (value in the file) → *class index* (position in the dataset's own class list) →
*train id* (index in the run's label space). 255 means "no annotation" in the last two.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from mdseg.labels.documents import Color
from mdseg.labels.remarks import remark_alike, remark_alone
from mdseg.labels.tables import IGNORE, LabelTable, check_classes
from mdseg.system.names import check_key, check_name, check_names
from mdseg.system.wording import Remark, nearest, shortened

MERGES = ("max", "mean")
MERGED = ("logits", "prob")


@dataclass(frozen=True, eq=False)
class Merge:
    """How several channels of one class become one score.

    Args:
        how: `max` or `mean` over the branches that answer for the class.
        scores: of their `logits`, or of their probabilities (`prob`), a softmax over all channels of a branch.
        branches: the channels of every branch.
    """

    how: str
    scores: str
    branches: tuple[Int64[Tensor, " _"], ...]


@dataclass(frozen=True, eq=False)
class EvaluationSpace:
    """The classes of an evaluation dataset and the channels of the model that answer for them.

    Output channel channels[i] counts as class index classes[i] of the evaluation dataset.

    Args:
        names, colors: the evaluation dataset's own.
        unmapped: classes for which the model has no channel.
        subsets: those of the dataset's table that the model answers in full; a mean over the rest of a subset would
            pass for the published one and be another number.
        merge: how channels become one answer where several count as one class; null: the largest logit decides.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    channels: Int64[Tensor, " m"]
    classes: Int64[Tensor, " m"]
    unmapped: tuple[str, ...]
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    merge: "Merge | None" = None

    @property
    def has_rivals(self) -> bool:
        """Whether at least two classes have channels: with a single one, every prediction is that class."""
        return len(self.names) - len(self.unmapped) > 1


@dataclass(frozen=True, eq=False)
class LabelSpace:
    """The channels of one model, and which of them each of its datasets annotates.

    Built by :func:`union`, :func:`disjoint`, :func:`listed` or :func:`branched`.

    Args:
        names: one per channel.
        classes: the class name behind each channel; it differs from names only in a disjoint or branched space.
        class_train_ids: per dataset, the train id of each class index.
        branches: the channels of every dataset that has a branch of its own, which may be more than it annotates.

    Attributes:
        in_space: entry [d, k] says whether dataset d annotates channel k, or has it in its branch.
        annotated: entry [d, k] says whether dataset d annotates channel k.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    classes: tuple[str, ...]
    class_train_ids: Mapping[str, tuple[int, ...]]
    branches: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    in_space: Bool[Tensor, "d k"] = field(init=False)
    annotated: Bool[Tensor, "d k"] = field(init=False)

    def __post_init__(self) -> None:
        where = f"label space of {', '.join(self.class_train_ids)}"
        check_classes(where, self.names)
        for name in dict.fromkeys([*self.names, *self.classes]):
            check_name(where, name)
        annotated = torch.zeros(len(self.class_train_ids), len(self.names), dtype=torch.bool)
        for row, train_ids in zip(annotated, self.class_train_ids.values(), strict=True):
            row[[train_id for train_id in train_ids if train_id != IGNORE]] = True
        in_space = annotated.clone()
        for dataset, channels in self.branches.items():
            in_space[self.dataset_index(dataset), list(channels)] = True
        object.__setattr__(self, "annotated", annotated)
        object.__setattr__(self, "in_space", in_space)

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.class_train_ids)

    def dataset_index(self, name: str) -> int:
        """Row of a dataset in `in_space`.

        Raises:
            ValueError: the space was not built from such a dataset.
        """
        if name not in self.class_train_ids:
            raise ValueError(f"dataset '{name}' is not in the label space; it was built from {list(self.datasets)}")
        return self.datasets.index(name)

    def channels_of(self, dataset: str) -> list[int]:
        """The channels of a dataset: its branch, or those that it annotates.

        Raises:
            ValueError: the space was not built from such a dataset.
        """
        return self.in_space[self.dataset_index(dataset)].nonzero().flatten().tolist()

    def train_ids(self, dataset: str) -> UInt8[np.ndarray, "256"]:
        """Class index → train id of one dataset; 255 stays 255, as do classes outside a listed space."""
        self.dataset_index(dataset)
        table = np.full(256, IGNORE, dtype=np.uint8)
        table[: len(self.class_train_ids[dataset])] = self.class_train_ids[dataset]
        return table

    def evaluation(
        self, table: LabelTable, dataset: str | None = None, channels: Collection[int] | None = None
    ) -> EvaluationSpace:
        """Channels that answer for the classes of another dataset, found by name and by the table's aliases.

        Per class: if it is among its own aliases, all of them that exist are merged into it; otherwise the class
        itself, or, where the space lacks it, its aliases. In a disjoint space a dataset that was trained on uses its
        own channels, and any other all channels of that name, of which the largest counts (a merge by the maximum).
        Classes without a channel are listed in a warning.

        Args:
            dataset: what the evaluated dataset is called in the run.
            channels: those that alone may answer; null: as above.

        Raises:
            ValueError: no class has a channel, or one channel would answer for two classes.
        """
        if channels is None:
            own = self.names != self.classes and dataset in self.class_train_ids
            channels = self.channels_of(dataset) if own and dataset else range(self.num_classes)
        channels_of: dict[str, list[int]] = {}
        for channel in channels:
            channels_of.setdefault(self.classes[channel], []).append(channel)
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
        if alone and not unmapped:
            warnings.warn(
                f"{where}: nothing competes with its only class, {table.names[0]}, whose IoU will be null",
                Remark,
                stacklevel=3,
            )
        if unmapped:
            warnings.warn(
                f"{where}: the model has no channel for {len(unmapped)} of its {table.num_classes} classes, whose IoU "
                f"will be null: {shortened(unmapped)}"
                + ("; nothing competes with the one that is left, whose IoU will be null too" if alone else ""),
                Remark,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """The space in plain types, for a checkpoint that loads with `weights_only=True`."""
        return {
            "names": list(self.names),
            "colors": [list(color) for color in self.colors],
            "classes": list(self.classes),
            "class_train_ids": {dataset: list(train_ids) for dataset, train_ids in self.class_train_ids.items()},
            "branches": {dataset: list(channels) for dataset, channels in self.branches.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "LabelSpace":
        """Inverse of :meth:`state_dict`."""
        return cls(
            names=tuple(state["names"]),
            colors=tuple(tuple(color) for color in state["colors"]),
            classes=tuple(state["classes"]),
            class_train_ids={dataset: tuple(train_ids) for dataset, train_ids in state["class_train_ids"].items()},
            branches={dataset: tuple(channels) for dataset, channels in state.get("branches", {}).items()},
        )


def union(tables: Mapping[str, LabelTable]) -> LabelSpace:
    """Classes of all datasets merged by exact name, sorted.

    Kim et al., ECCV 2022 (arXiv:2202.14030); their appendix lists the 70 classes of its four datasets in table A-3.
    """
    _check_tables(tables)
    remark_alike(tables)
    return _merged(tables, sorted({name for table in tables.values() for name in table.names}))


def disjoint(tables: Mapping[str, LabelTable]) -> LabelSpace:
    """Every dataset keeps channels of its own, named `dataset/class`: per-dataset heads as one classifier."""
    _check_tables(tables)
    remark_alone(tables)
    starts = np.cumsum([0, *(table.num_classes for table in tables.values())])
    train_ids = {
        dataset: tuple(range(int(start), int(start) + table.num_classes))
        for start, (dataset, table) in zip(starts, tables.items(), strict=False)
    }
    return LabelSpace(
        names=tuple(f"{dataset}/{name}" for dataset, table in tables.items() for name in table.names),
        colors=tuple(color for table in tables.values() for color in table.colors),
        classes=tuple(name for table in tables.values() for name in table.names),
        class_train_ids=train_ids,
        branches=train_ids,
    )


def listed(tables: Mapping[str, LabelTable], names: Any) -> LabelSpace:
    """The given classes, a list of names, in the given order; pixels of any other class are ignored.

    Classes that no dataset annotates are listed in a warning: a 19-class model trained on SYNTHIA alone has them, a
    misspelt name too.

    Raises:
        ValueError: the names are no list of such, or a dataset annotates none of them.
    """
    _check_tables(tables)
    check_names("label_space.names", names)
    check_classes("label_space.names", names)
    for dataset, table in tables.items():
        if not set(names) & set(table.names):
            raise ValueError(f"dataset '{dataset}' (label table '{table.name}') annotates none of {list(names)}")
    known = {name for table in tables.values() for name in table.names}
    absent = [name for name in names if name not in known]
    if absent:
        meant = nearest(absent[0], known - set(names)) if len(absent) == 1 else ""
        said = f"label space: none of the datasets {list(tables)} annotates {absent}{meant}"
        warnings.warn(said, Remark, stacklevel=2)
    return _merged(tables, names)


def branched(tables: Mapping[str, LabelTable], names: Any, joint: str | None = None) -> LabelSpace:
    """A branch of all the given classes for every dataset, named `dataset/class`; pixels of other classes are ignored.

    A branch has channels for classes too that its dataset does not annotate: its softmax runs over them, and they are
    never its label (Russo et al., ICIAP 2019).

    Args:
        joint: name of one branch more, for the images of all datasets; null: none.

    Raises:
        ValueError: a dataset annotates none of the classes, or is called as the branch for all.
    """
    if joint is not None:
        check_key("label_space.joint", joint)
    if joint in tables:
        raise ValueError(f"label_space.joint={joint}: a dataset is called so; give the branch for all another name")
    base = listed(tables, names)
    train_ids = dict(base.class_train_ids)
    if joint:
        together = {name for table in tables.values() for name in table.names}
        train_ids[joint] = tuple(index if name in together else IGNORE for index, name in enumerate(names))
    starts = {branch: position * len(names) for position, branch in enumerate(train_ids)}
    return LabelSpace(
        names=tuple(f"{branch}/{name}" for branch in starts for name in names),
        colors=base.colors * len(starts),
        classes=tuple(names) * len(starts),
        class_train_ids={
            branch: tuple(IGNORE if train_id == IGNORE else starts[branch] + train_id for train_id in own)
            for branch, own in train_ids.items()
        },
        branches={branch: tuple(range(start, start + len(names))) for branch, start in starts.items()},
    )


def joined(spaces: Mapping[str, LabelSpace]) -> LabelSpace:
    """The channels of several networks one after the other, each a branch, or with those that it has itself.

    A branch is called as the network's own, and as the network and it where another branch, or a network without
    branches, has the same name.

    Args:
        spaces: by the names of the networks.
    """
    branches: dict[str, tuple[str, ...]] = {member: tuple(space.branches) for member, space in spaces.items()}
    taken = [name for member, own in branches.items() for name in own or (member,)]
    start, names, train_ids, channels = 0, [], {}, {}
    for member, space in spaces.items():
        own = dict(space.branches) or {member: tuple(range(space.num_classes))}
        for branch, of_branch in own.items():
            called = branch if taken.count(branch) < 2 or not branches[member] else f"{member}_{branch}"
            annotated = space.annotated[space.dataset_index(branch)] if branches[member] else space.annotated.any(dim=0)
            names += [f"{called}/{space.classes[channel]}" for channel in of_branch]
            channels[called] = tuple(start + channel for channel in of_branch)
            train_ids[called] = tuple(start + channel if annotated[channel] else IGNORE for channel in of_branch)
        start += space.num_classes
    return LabelSpace(
        names=tuple(names),
        colors=tuple(color for space in spaces.values() for color in space.colors),
        classes=tuple(name for space in spaces.values() for name in space.classes),
        class_train_ids=train_ids,
        branches=channels,
    )


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
