"""What a composed configuration describes: stages, datasets, label spaces."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from mdseg.data.dataset import SegmentationDataset, load_dataset
from mdseg.data.streams import Stream
from mdseg.data.transforms import strict
from mdseg.label_space import LabelSpace, LabelTable
from mdseg.methods.base import Evaluated

ROLES = ("seen", "unseen", "target")


def stage_config(cfg: DictConfig, name: str) -> DictConfig:
    """Configuration of one stage: the run's, with the stage's own values over it.

    A node with a `_target_` replaces the run's node as a whole: options of one class are not those of another.
    """
    if name not in cfg.stage:
        raise ValueError(f"stages: no stage {name!r}; this family has {', '.join(cfg.stage)}")
    merged = cfg.copy()
    with open_dict(merged):
        _lay_over(merged, cfg.stage[name])
    return merged


def _lay_over(base: DictConfig, values: DictConfig) -> None:
    for key in values:
        value = values._get_node(key)
        old = base._get_node(key) if key in base else None
        if isinstance(value, DictConfig) and "_target_" not in value and isinstance(old, DictConfig):
            _lay_over(old, value)
        else:
            base._set_item_impl(key, value)


def check_overrides(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a command-line value that every stage would overrule without a word.

    Raises:
        ValueError: an override of a key that a stage sets itself, not written for that stage.
    """
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~").replace("/", ".")
        setting = [
            stage for stage in cfg.stages if stage in cfg.stage and OmegaConf.select(cfg.stage[stage], key) is not None
        ]
        if key.split(".")[0] != "stage" and setting:
            raise ValueError(
                f"{override}: the stages {', '.join(setting)} set {key} themselves; write it for the stage "
                f"that it is meant for, such as stage.{setting[0]}.{override.lstrip('+').replace('/', '.')}"
            )


def build(node: DictConfig, **objects: Any) -> Any:
    """Object of a node with arguments that are objects (instantiate would take a dataclass for configuration)."""
    return instantiate(node, _partial_=True, _convert_="all")(**objects)


def descriptor(cfg: DictConfig, name: str) -> DictConfig:
    """The part of the configuration that describes a dataset: layout, root, labels, evaluation_split."""
    if name not in cfg.get("datasets", {}):
        loaded = ",".join(cfg.get("datasets", {}))
        raise ValueError(
            f"dataset {name!r} is used but not loaded; write dataset=[{loaded},{name}] (conf/dataset has them all)"
        )
    return cfg.datasets[name]


def open_dataset(cfg: DictConfig, name: str, split: str) -> SegmentationDataset:
    """A dataset of the configuration on one split."""
    described = descriptor(cfg, name)
    layout = instantiate(described.layout, _convert_="all")
    return load_dataset(name, layout, described.root, labels(described), split)


def evaluation_dataset(cfg: DictConfig, name: str) -> SegmentationDataset:
    """A dataset of the configuration on its evaluation split."""
    return open_dataset(cfg, name, descriptor(cfg, name).evaluation_split)


def labels(described: DictConfig) -> str | dict[str, Any]:
    """What a descriptor says of its label table: a name, a file, or the table itself."""
    return OmegaConf.to_container(described.labels) if isinstance(described.labels, DictConfig) else described.labels


def label_table(cfg: DictConfig, name: str) -> LabelTable:
    return LabelTable.load(labels(descriptor(cfg, name)))


def build_label_space(cfg: DictConfig) -> LabelSpace:
    """The run's label space, from the tables of the datasets in labelled streams."""
    labelled = [dataset for stream in cfg.streams.values() if stream.role == "labelled" for dataset in stream.datasets]
    tables = {name: label_table(cfg, name) for name in dict.fromkeys(labelled)}
    return instantiate(cfg.label_space, _convert_="all")(tables)


def evaluation_spaces(cfg: DictConfig, space: LabelSpace) -> dict[str, Evaluated]:
    """Role and class mapping of every evaluated dataset."""
    return {
        name: Evaluated(role, space.evaluation(label_table(cfg, name), name))
        for role in ROLES
        for name in cfg.evaluate[role]
    }


def count_steps(steps: int | str | None, streams: Sequence[Stream]) -> int:
    """Steps of a fit: a number, or `"150 epochs"` of the first stream, rounded up; 0 where nothing is trained."""
    if steps is None:
        return 0
    words = str(steps).split()
    try:
        count = (
            int(words[0]) if len(words) == 1 else math.ceil(float(words[0]) * len(streams[0]) / streams[0].batch_size)
        )
    except ValueError:
        count = 0
    if count < 1 or len(words) > 2 or words[1:] not in ([], ["epochs"]):
        raise ValueError(f'steps: expected a positive number of steps or "<n> epochs", got {steps!r}')
    return count


def prepare_data(cfg: DictConfig) -> None:
    """Write the embedded data that the run's datasets read and that is not there yet."""
    if cfg.data.generate is None:
        return
    for name, descriptor in cfg.datasets.items():
        root = Path(descriptor.root)
        if root.parent == Path(cfg.data.root) and root.name in cfg.data.counts:
            counts = {
                split: math.ceil(number * cfg.data.fraction) for split, number in cfg.data.counts[root.name].items()
            }
            instantiate(cfg.data.generate)(root=cfg.data.root, dataset=name, counts=counts)


def check(cfg: DictConfig) -> None:
    """Find the mistakes in a configuration that can be found before anything is written.

    Raises:
        ValueError, FileNotFoundError: a stage, dataset, label table, split, transform, network or weight file that does
            not exist or does not fit.
    """
    for name in cfg.stages:
        stage_config(cfg, name)
    strict(instantiate, cfg.transform, _convert_="all")
    space = build_label_space(cfg)
    prepare_data(cfg)
    evaluation_spaces(cfg, space)
    build(cfg.model, num_classes=space.num_classes)
    for name, stream in cfg.streams.items():
        if not stream.datasets:
            raise ValueError(f"streams.{name}.datasets is empty")
        for dataset in stream.datasets:
            open_dataset(cfg, dataset, stream.split)
    for role in ROLES:
        for dataset in cfg.evaluate[role]:
            evaluation_dataset(cfg, dataset)
