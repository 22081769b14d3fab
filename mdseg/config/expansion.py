"""Stages that a run has once per dataset, written out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mdseg.config.keys import labelled_datasets, plain

EACH = ("dataset", "pair")


def expand(cfg: DictConfig) -> None:
    """Write out the stages that a run has several times.

    `each: dataset` stands for a stage for every labelled dataset, called like it and restricted to it; `each: pair` for
    one for every dataset and another one before it, `<dataset>_from_<other>`, restricted to the first. What starts
    `from` such a stage starts from those of the same dataset, in a pair from those of the other one, elsewhere from all
    of them by the datasets' names.

    Raises:
        ValueError: another value of `each`, or a name that two stages would have.
    """
    each = {name: node.get("each") for name, node in cfg.stage.items() if node is not None and "each" in node}
    for name, value in each.items():
        if value not in EACH:
            raise ValueError(f"stage.{name}.each: expected {' or '.join(EACH)}, got {value!r}")
    if not each:
        return
    datasets = labelled_datasets(cfg)
    stages: list[str] = []
    nodes = {name: node for name, node in cfg.stage.items() if name not in each}
    for name in cfg.stages:
        if name not in each:
            stages.append(name)
            if nodes.get(name) is not None and (node := _from(nodes[name])) is not None:
                nodes[name]["from"] = _of_all(node, each, datasets)
            continue
        node = plain(cfg.stage[name])
        others = [None] if node.pop("each") == "dataset" else datasets
        for dataset in datasets:
            for other in (other for other in others if other != dataset):
                called = dataset if other is None else f"{dataset}_from_{other}"
                if called in nodes:
                    raise ValueError(
                        f"stage.{name}: its stage {called} would have the name of another; rename that one"
                    )
                start = {"from": _of_one(node["from"], each, other or dataset)} if node.get("from") else {}
                nodes[called] = OmegaConf.create(node | {"only": dataset} | start)
                stages.append(called)
    cfg.stage, cfg.stages = nodes, stages


def alike(stage: str, dataset: str, stages: Iterable[str]) -> list[str]:
    """Those of a run's stages that one with `each: pair` stands for on a dataset, where this one is among them."""
    start = f"{dataset}_from_"
    return [name for name in stages if name.startswith(start)] if stage.startswith(start) else [stage]


def _from(node: DictConfig) -> Any:
    return plain(node).get("from")


def _of_one(origin: Any, each: Mapping[str, str], dataset: str) -> Any:
    """What a stage starts from, with a stage of this dataset in place of one that each of them has."""
    if isinstance(origin, dict):
        return {part: _of_one(value, each, dataset) for part, value in origin.items()}
    return dataset if origin in each else origin


def _of_all(origin: Any, each: Mapping[str, str], datasets: Sequence[str]) -> Any:
    """The same where all datasets have one."""
    if isinstance(origin, dict):
        return origin
    return {name: name for name in datasets} if origin in each else origin
