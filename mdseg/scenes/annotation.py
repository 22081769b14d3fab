"""What datasets say about the world: world class → raw id → class, and the class relations that follow."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Int64, UInt8

from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.scenes.datasets import record_of


@cache
def table_of(dataset: str) -> LabelTable:
    """Label table of a dataset that scenes can be written for.

    Raises:
        ValueError: for a dataset without scenes.
    """
    return LabelTable.load(record_of(dataset).labels)


@cache
def raw_ids(dataset: str) -> Int64[np.ndarray, "256"]:
    """World class → raw id in the dataset's mask files."""
    record, table = record_of(dataset), table_of(dataset)
    ids = np.zeros(256, np.int64)
    ids[: len(record.world)] = [record.raw_id(world, table) for world in record.world]
    return ids


@cache
def projection(dataset: str) -> Mapping[str, str | None]:
    """World class → name of the dataset's class, None where the dataset ignores it."""
    record, table = record_of(dataset), table_of(dataset)
    classes = _class_indices(dataset).tolist()[: len(record.world)]
    names = [None if index == IGNORE else table.names[index] for index in classes]
    return dict(zip((world.name for world in record.world), names, strict=True))


def annotate(world: UInt8[np.ndarray, "h w"], dataset: str) -> UInt8[np.ndarray, "h w"]:
    """Class indices of the dataset's label table, 255 where it ignores the world class."""
    return _class_indices(dataset)[world]


@cache
def _class_indices(dataset: str) -> UInt8[np.ndarray, "256"]:
    return table_of(dataset).lookup()[raw_ids(dataset)]


def occurring(dataset: str) -> frozenset[str]:
    """World classes that the dataset's images may contain."""
    record = record_of(dataset)
    return frozenset(record.world[index].name for index in record.domain.occurring())


def true_relations(run: Mapping[str, LabelTable] | LabelSpace) -> dict[str, dict[str, list[str]]]:
    """What one annotation implies about the others: {dataset: {primary: [secondary, ...]}}.

    Class c of dataset d implies class k iff every world class that occurs in d's images and that d calls c is called k
    by a dataset of the run. Channels of a disjoint space are not shared, so there c of d implies what another dataset's
    own channel says. Streets and rooms are different worlds, which imply nothing about each other.

    Raises:
        ValueError: for a dataset without scenes.
    """
    channels = _channels(run)
    calls = {dataset: _calls(dataset, channels[dataset]) for dataset in channels}
    relations: dict[str, dict[str, list[str]]] = {}
    for dataset in channels:
        implied: dict[str, set[str]] = {}
        same_world = [other for other in channels if record_of(other).world == record_of(dataset).world]
        for world in sorted(occurring(dataset)):
            primary = calls[dataset][world]
            if primary is None:
                continue
            answers = {calls[other][world] for other in same_world}
            others = {name for name in answers if name is not None and name != primary}
            implied[primary] = implied[primary] & others if primary in implied else others
        relations[dataset] = {primary: sorted(others) for primary, others in sorted(implied.items()) if others}
    return relations


def _channels(run: Mapping[str, LabelTable] | LabelSpace) -> dict[str, frozenset[str]]:
    if isinstance(run, LabelSpace):
        return {
            dataset: frozenset(name for name, inside in zip(run.names, row, strict=True) if inside)
            for dataset, row in zip(run.datasets, run.in_space.tolist(), strict=True)
        }
    return {dataset: frozenset(table.names) for dataset, table in run.items()}


def _calls(dataset: str, channels: frozenset[str]) -> dict[str, str | None]:
    """World class → the run's channel for it in images of a dataset (in a disjoint space `dataset/name`)."""
    found = {}
    for world, name in projection(dataset).items():
        own = f"{dataset}/{name}"
        found[world] = own if own in channels else name if name in channels else None
    return found
