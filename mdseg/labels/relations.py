"""Class relations: which other classes a pixel is also a positive, a negative or no example of.

A relation table of a label space has one matrix per dataset: entry [d, c, k] says what class k learns from a pixel that
dataset d labels c: 1 positive, 0 negative, -1 nothing. Kim et al., ECCV 2022, arXiv:2202.14030, section 3.3.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from jaxtyping import Int8, Int64
from torch import Tensor

from mdseg import conf_dir
from mdseg.labels.spaces import LabelSpace
from mdseg.system.documents import read_yaml, shown
from mdseg.system.names import check_names
from mdseg.system.wording import nearest, shortened

Pairs = Mapping[str, Mapping[str, Sequence[str]]]


def plain(space: LabelSpace) -> Int8[Tensor, "d k k"]:
    """Plain BCE: every pixel is a negative example of all classes but its own."""
    return torch.eye(space.num_classes, dtype=torch.int8).repeat(len(space.datasets), 1, 1)


def null(space: LabelSpace) -> Int8[Tensor, "d k k"]:
    """Null BCE: as plain, but classes that the pixel's dataset does not annotate learn nothing from it."""
    relations = plain(space)
    unannotated = ~space.in_space[:, None, :] & (relations == 0)
    return relations.masked_fill(unannotated, -1)


def from_pairs(space: LabelSpace, pairs: Any) -> Int8[Tensor, "d k k"]:
    """Class-Relational BCE: as null, and per dataset a pixel of the primary class is a positive of its secondaries too.

    Args:
        pairs: `{dataset: {primary: [secondary, ...]}}`; datasets left out have none.

    Raises:
        ValueError: that is something else, or a pair names a dataset or class that the space lacks, or a primary that
            its dataset does not annotate.
    """
    _check(pairs)
    relations = null(space)
    for dataset, primaries in pairs.items():
        for primary, secondaries in (primaries or {}).items():
            row = space.dataset_index(dataset)
            check_names(f"class relations of '{dataset}'", [primary])
            secondaries = [] if secondaries is None else secondaries
            check_names(f"class relations of '{dataset}': '{primary}'", secondaries)
            classes = [_train_id(space, dataset, name) for name in (primary, *secondaries)]
            if not space.in_space[row, classes[0]]:
                raise ValueError(f"class relations: dataset '{dataset}' does not annotate '{primary}'")
            relations[row, classes[0], classes[1:]] = 1
    return relations


def across(space: LabelSpace, relations: Int8[Tensor, "d k k"]) -> Int8[Tensor, "d k k"]:
    """The relations without those of two classes that one dataset annotates both, since it tells them apart.

    Not in the paper, whose pairs are of one dataset in part, and some of these are true: what Mapillary labels lane
    marking is road, which it labels too.
    """
    annotated = space.annotated.long()
    told_apart = (annotated.T @ annotated > 0) & ~torch.eye(space.num_classes, dtype=torch.bool)
    return torch.where((relations == 1) & told_apart, null(space), relations)


def to_pairs(space: LabelSpace, relations: Int8[Tensor, "d k k"]) -> dict[str, dict[str, list[str]]]:
    """Inverse of :func:`from_pairs`; a class's relation to itself is left out."""
    positive = (relations == 1) & ~torch.eye(space.num_classes, dtype=torch.bool, device=relations.device)
    pairs: dict[str, dict[str, list[str]]] = {dataset: {} for dataset in space.datasets}
    for row, primary, secondary in positive.nonzero().tolist():
        pairs[space.datasets[row]].setdefault(space.names[primary], []).append(space.names[secondary])
    return pairs


def load(path: str | Path, space: LabelSpace) -> Int8[Tensor, "d k k"]:
    """Relations from a YAML file, or by name from `conf/relations`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not fit the space; the file is named.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in (".yaml", ".yml"):
        file = conf_dir() / "relations" / f"{path}.yaml"
    if not file.is_file():
        raise FileNotFoundError(
            f"no class relations '{path}' ({file} does not exist); stage relations of a UniSeg run writes one, "
            "again where its file `done` is deleted"
        )
    pairs = read_yaml(file)
    try:
        return from_pairs(space, pairs)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _check(pairs: Any) -> None:
    """Refuse what is no `{dataset: {primary: [secondary, ...]}}`; a dataset or a primary may have none."""
    form = "expected {dataset: {primary: [secondary, ...]}}"
    if not isinstance(pairs, Mapping):
        raise ValueError(f"{form}, got {shown(pairs)}")
    for dataset, primaries in pairs.items():
        if not isinstance(dataset, str) or not isinstance(primaries, Mapping | None):
            raise ValueError(f"{form}, got {shown(primaries)} for {shown(dataset)}")


def to_yaml(space: LabelSpace, relations: Int8[Tensor, "d k k"]) -> str:
    """The positives as YAML that a person can edit and :func:`load` reads."""
    return yaml.safe_dump(to_pairs(space, relations), sort_keys=False, default_flow_style=None, width=120)


def frequent_classes(space: LabelSpace, counts: Int64[Tensor, "d k"], min_pixels: int) -> dict[str, set[str]]:
    """Per dataset, the classes with at least so many pixels."""
    return {
        dataset: {space.names[index] for index in torch.nonzero(counts[row] >= min_pixels).flatten()}
        for row, dataset in enumerate(space.datasets)
    }


def compare_pairs(found: Pairs, truth: Pairs, primaries: Mapping[str, set[str]]) -> dict[str, Any]:
    """Precision and recall of (dataset, primary, secondary) triples among the given primaries, None where undefined."""
    found_triples, true_triples = (_triples(pairs, primaries) for pairs in (found, truth))
    right = found_triples & true_triples
    return {
        "found": len(found_triples),
        "true": len(true_triples),
        "right": len(right),
        "precision": len(right) / len(found_triples) if found_triples else None,
        "recall": len(right) / len(true_triples) if true_triples else None,
        "wrong": sorted(" / ".join(triple) for triple in found_triples - true_triples),
        "missed": sorted(" / ".join(triple) for triple in true_triples - found_triples),
    }


def _triples(pairs: Pairs, primaries: Mapping[str, set[str]]) -> set[tuple[str, str, str]]:
    return {
        (dataset, primary, secondary)
        for dataset, rows in pairs.items()
        for primary, secondaries in rows.items()
        if primary in primaries.get(dataset, ())
        for secondary in secondaries
    }


def _train_id(space: LabelSpace, dataset: str, name: str) -> int:
    if name not in space.names:
        raise ValueError(
            f"class relations of '{dataset}': the label space has no class {name!r}{nearest(name, space.names)}; it "
            f"has {shortened(space.names)}"
        )
    return space.names.index(name)
