"""What a composed configuration describes: stages, datasets, label spaces."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from mdseg import conf_dir
from mdseg.data.dataset import Sample, SegmentationDataset, load_dataset, load_table
from mdseg.data.streams import Stream
from mdseg.data.transforms import RandomCrop, strict
from mdseg.evaluation.evaluator import Evaluated
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import nearest, shortened

ROLES = ("seen", "unseen", "target")
STREAM = (
    "role",
    "datasets",
    "split",
    "batch_size",
    "mixing",
    "labelled",
    "exclude_labelled",
    "transform",
    "rare_class",
)
OPTIONAL = ("transform", "rare_class")  # of a stream; null where they are left out
DATASET = ("layout", "root", "labels", "evaluation_split")
AT_LEAST = {  # key → the least that it may be
    "log_every": 1,
    "val_every": 1,
    "checkpoint_every": 1,
    "evaluation.batch_size": 1,
    "evaluation.short_side": 1,
    "data.workers": 0,
    "panels": 0,
}


def check_keys(cfg: DictConfig) -> None:
    """Refuse keys that nothing reads: one misspelt in a YAML file, or added with + on the command line.

    Raises:
        ValueError: an unknown key, a stream or dataset without one that it needs, a name where a list belongs.
    """
    run = OmegaConf.load(conf_dir() / "run.yaml")
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    _check_known("", cfg, {*run, *groups, "datasets"} - {"defaults", "hydra"})
    for key in ("evaluate", "evaluation"):
        _check_known(f"{key}.", cfg[key], run[key])
    for kind, keys in (("streams", STREAM), ("datasets", DATASET)):
        for name, node in _present(cfg.get(kind, {})).items():
            _check_known(f"{kind}.{name}.", node, keys)
            needed = [key for key in keys if key not in OPTIONAL]
            may = f", and may have {' and '.join(OPTIONAL)}" if kind == "streams" else ""
            for missing in (key for key in needed if key not in node):
                raise ValueError(f"{kind}.{name}: key {missing} is missing; it needs {', '.join(needed)}{may}")
    lists = {f"streams.{name}.datasets": stream.datasets for name, stream in _present(cfg.streams).items()}
    lists |= {f"evaluate.{role}": cfg.evaluate[role] for role in ROLES} | {"stages": cfg.stages}
    for key, value in lists.items():
        if isinstance(value, str):
            raise ValueError(f"{key}: expected a list, [{value}], got {value}")


def _present(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a stage does without a stream by `streams.<name>: null`."""
    return {name: node for name, node in nodes.items() if node is not None}


def check_numbers(cfg: DictConfig) -> None:
    """Refuse counts that are none, in a run's configuration or one that has a part of its keys.

    Raises:
        ValueError: a number that is too small, or no whole number.
    """
    for key, least in AT_LEAST.items():
        value = OmegaConf.select(cfg, key)
        if key.partition(".")[0] not in cfg or (value is None and key == "evaluation.short_side"):
            continue
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{key}: expected a whole number of at least {least}, got {value}")


def _check_known(where: str, node: DictConfig, known: Iterable[str]) -> None:
    for key in node:
        if key not in known:
            raise ValueError(f"{where}{key}: there is no such key{nearest(str(key), known)}")


def stage_config(cfg: DictConfig, name: str) -> DictConfig:
    """Configuration of one stage: the run's, with the stage's own values over it.

    A node with a `_target_` replaces the run's node as a whole: options of one class are not those of another. Streams
    that are null, which the stage does without, are left out.

    Raises:
        ValueError: no such stage, or a key of the stage that the run does not have.
    """
    if name not in cfg.stage:
        raise ValueError(f"stages: no stage {name!r}; this family has {', '.join(cfg.stage)}")
    base, values = (OmegaConf.to_container(node) for node in (cfg, cfg.stage[name]))
    run = {"run": values.pop("run", None)}
    stage = _laid_over(base, values, f"stage.{name}") | run
    return OmegaConf.create(stage | {"streams": _present(stage["streams"])})


def _laid_over(base: dict[str, Any], values: dict[str, Any], where: str) -> dict[str, Any]:
    unknown = set(values) - set(base)
    if unknown:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; it sets what the run has, here {sorted(base)}")
    return base | {
        key: _laid_over(base[key], value, f"{where}.{key}")
        if isinstance(value, dict) and "_target_" not in value and isinstance(base[key], dict)
        else value
        for key, value in values.items()
    }


def build_transforms(cfg: DictConfig) -> dict[str, RandomCrop]:
    """What the images of each stream go through: the run's transform, with the stream's own values over it.

    Raises:
        ValueError: a stream sets what the transform does not have, or to what it cannot be.
    """
    base = OmegaConf.to_container(cfg.transform, resolve=True)
    transforms = {}
    for name, stream in _present(OmegaConf.to_container(cfg.streams, resolve=True)).items():
        own = stream.get("transform") or {}
        node = own if "_target_" in own else _laid_over(base, own, f"streams.{name}.transform")
        transforms[name] = strict(instantiate, node, _convert_="all")
    return transforms


def check_overrides(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a command-line value that the run or every stage would overrule without a word.

    Raises:
        ValueError: an override of what the run sets, or of a key that a stage sets itself, not written for that stage.
    """
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~").replace("/", ".")
        if key == "run_folder":
            raise ValueError(f"{override}: set by the run itself; runs=<folder> says where run folders are made")
        stages = {name: OmegaConf.to_container(cfg.stage[name]) for name in cfg.stages if name in cfg.stage}
        setting = [name for name, values in stages.items() if _sets(values, key.split("."))]
        if key.split(".")[0] != "stage" and setting:
            raise ValueError(
                f"{override}: the stages {', '.join(setting)} set {key} themselves; write it for the stage "
                f"that it is meant for, such as stage.{setting[0]}.{override.lstrip('+').replace('/', '.')}"
            )


def _sets(node: Any, path: list[str]) -> bool:
    """Whether a stage sets this key, or replaces an object that the key belongs to."""
    if not path or not isinstance(node, dict):
        return node is not None
    return "_target_" in node or (path[0] in node and _sets(node[path[0]], path[1:]))


def build(node: DictConfig, **objects: Any) -> Any:
    """Object of a node with arguments that are objects (instantiate would take a dataclass for configuration).

    Raises:
        ValueError: the class or function does not accept the node's arguments.
    """
    try:
        return bound(node)(**objects)
    except (TypeError, MisconfigurationException) as error:
        raise ValueError(f"{node['_target_']}: {error}") from error


def bound(node: DictConfig) -> partial:
    """Class or function of a node with the node's options, still to be called.

    Raises:
        ValueError: there is none, or it has no such option.
    """
    if "_target_" not in node:
        raise ValueError(f"options without a class or function that takes them: {OmegaConf.to_container(node)}")
    function = instantiate(node, _partial_=True, _convert_="all")
    _check_arguments(node, function)
    return function


def _check_arguments(node: DictConfig, function: partial) -> None:
    parameters = inspect.signature(function.func).parameters
    if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
        for key in function.keywords:
            if key not in parameters:
                takes = shortened([name for name in parameters if name != "self"], 12)
                raise ValueError(
                    f"{node['_target_']} has no argument {key}{nearest(key, parameters)}; it takes {takes}"
                )


def descriptor(cfg: DictConfig, name: str) -> DictConfig:
    """The part of the configuration that describes a dataset: layout, root, labels, evaluation_split."""
    if name not in cfg.get("datasets", {}):
        loaded = ",".join(cfg.get("datasets", {}))
        known = {*cfg.get("datasets", {}), *(path.stem for path in (conf_dir() / "dataset").glob("*.yaml"))}
        if name not in known and nearest(name, known):
            raise ValueError(f"there is no dataset {name!r}{nearest(name, known)}")
        raise ValueError(
            f"dataset {name!r} is used but not loaded; write dataset=[{loaded},{name}] (conf/dataset has them all)"
        )
    return cfg.datasets[name]


def open_dataset(cfg: DictConfig, name: str, split: str) -> SegmentationDataset:
    """A dataset of the configuration on one split."""
    described = descriptor(cfg, name)

    def layout(root: str, split: str) -> list[Sample]:
        return build(described.layout, root=root, split=split)

    return load_dataset(name, layout, described.root, labels(described), split)


def open_labelled(cfg: DictConfig, name: str, split: str) -> SegmentationDataset:
    """A dataset of the configuration on one split, which must have masks."""
    dataset = open_dataset(cfg, name, split)
    for sample in dataset.samples[:1]:
        if sample.mask is None:
            raise ValueError(f"dataset {name!r}, split {split!r}: it has no masks; choose a labelled split")
    return dataset


def labels(described: DictConfig) -> str | dict[str, Any]:
    """What a descriptor says of its label table: a name, a file, or the table itself."""
    return OmegaConf.to_container(described.labels) if isinstance(described.labels, DictConfig) else described.labels


def label_table(cfg: DictConfig, name: str) -> LabelTable:
    """Label table of a dataset of the configuration; errors name the dataset."""
    described = descriptor(cfg, name)
    try:
        return load_table(name, labels(described))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"dataset {name!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"dataset {name!r}: {error}") from error


def labelled_datasets(cfg: DictConfig) -> list[str]:
    """Names of the datasets in labelled streams, each once."""
    return list(
        dict.fromkeys(
            name for stream in _present(cfg.streams).values() if stream.role == "labelled" for name in stream.datasets
        )
    )


def build_label_space(cfg: DictConfig) -> LabelSpace:
    """The run's label space, from the tables of the datasets in labelled streams."""
    tables = {name: label_table(cfg, name) for name in labelled_datasets(cfg)}
    return instantiate(cfg.label_space, _convert_="all")(tables)


def evaluation_spaces(cfg: DictConfig, space: LabelSpace) -> dict[str, Evaluated]:
    """Role and class mapping of every evaluated dataset."""
    return {
        name: Evaluated(role, space.evaluation(label_table(cfg, name), name))
        for role in ROLES
        for name in cfg.evaluate[role]
    }


def count_steps(steps: int | str | None, streams: Sequence[Stream]) -> int:
    """Steps of a fit: a number, `"150 epochs"` of the first stream or `"200 epochs of unlabelled"`, another one.

    Rounded up; 0 where nothing is trained.
    """
    if steps is None:
        return 0
    units = ["epochs", *(f"epochs of {stream.name}" for stream in streams[1:])]
    per_epoch = {unit: len(stream) / stream.batch_size for unit, stream in zip(units, streams, strict=True)}
    number, *words = str(steps).split() or [""]
    unit = " ".join(words)
    try:
        count = math.ceil(float(number) * per_epoch[unit]) if unit else int(number)
    except (ValueError, KeyError):
        count = 0
    if count < 1:
        epochs = " or ".join(f'"<n> {unit}"' for unit in units)
        raise ValueError(f"steps: expected a positive number of steps or {epochs}, got {steps!r}")
    return count


def is_generated(cfg: DictConfig, name: str) -> bool:
    """Whether a dataset is read from the embedded data."""
    return cfg.data.generate is not None and _tree(cfg, name) in cfg.data.counts


def _tree(cfg: DictConfig, name: str) -> str:
    """A dataset's root relative to that of the data, such as NTHU_Datasets/Rome; the root itself elsewhere."""
    root, data = Path(descriptor(cfg, name).root), Path(cfg.data.root)
    return (root.relative_to(data) if root.is_relative_to(data) else root).as_posix()


def prepare_data(cfg: DictConfig) -> None:
    """Write the embedded data that the run's datasets read and that is not there yet."""
    for name in cfg.get("datasets", {}):
        if is_generated(cfg, name):
            counts = cfg.data.counts[_tree(cfg, name)]
            counts = {split: math.ceil(number * cfg.data.fraction) for split, number in counts.items()}
            instantiate(cfg.data.generate)(root=cfg.data.root, dataset=name, counts=counts)
