"""Which keys a configuration has, and what can be said of their values before anything is imported or built."""

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from mdseg import conf_dir
from mdseg.config.datasets import check_descriptor, check_given_names, check_lists, remark_unused
from mdseg.config.roles import check_roles
from mdseg.config.values import check_kinds, check_references, check_values
from mdseg.evaluation.roles import EVALUATION_ROLES
from mdseg.system.names import check_names
from mdseg.system.wording import nearest

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
    "per_dataset",
    "micro_batches",
    "alternate",
)
OPTIONAL = (
    "transform",
    "rare_class",
    "per_dataset",
    "micro_batches",
    "alternate",
)  # of a stream; null where they are left out
FROM_GROUPS = ("data", "label_space", "logger", "method", "model", "optimizer", "scheduler", "trainer", "transform")
# Where and how fast a run computes, what it says, where things lie: keys that change nothing that it learns.
FREE = (
    *("name", "runs", "panels", "log_every", "checkpoint_every", "time_limit", "evaluation.batch_size"),
    *("logger", "logger.*", "data.root", "datasets.*.root", "data.workers", "data.generate.workers"),
    *(f"trainer.{key}" for key in ("accelerator", "devices", "num_nodes", "strategy", "strategy.*")),
    *(f"trainer.{key}" for key in ("enable_progress_bar", "benchmark", "deterministic", "detect_anomaly")),
)
FOR_OTHERS = (
    "blv_sigma",
    "discriminator_width",
    "embedding_dimension",
    "passes",
    "unlabelled_per_step",
)  # keys that do nothing themselves


def check_run(cfg: DictConfig) -> None:
    """Find all mistakes in a run's configuration that show without looking at data and without torch.

    Raises:
        ValueError: it names the key.
    """
    check_values(cfg)
    check_keys(cfg)
    check_given_names(cfg)
    for name in labelled_datasets(cfg):
        descriptor(cfg, name)
    if not labelled_datasets(cfg):
        raise ValueError(
            "no labelled stream has datasets; name them with dataset=[...] or streams.labelled.datasets=[...]"
        )
    if not cfg.stages:
        raise ValueError(f"stages: there is nothing to do; this family has {', '.join(cfg.stage)}")
    if not any(cfg.evaluate.values()):
        raise ValueError("evaluate: no dataset to evaluate on; set evaluate.seen=[...]")
    stages = {name: stage_config(cfg, name) for name in cfg.stages}
    for position, (name, stage) in enumerate(stages.items()):
        check_lists(stage)
        check_references(stage, leave_out=("stage",))
        check_kinds(stage, f"stage {name}: ")
        check_origins(name, stage, cfg.stages[:position])
        for dataset in (
            *labelled_datasets(stage),
            *(evaluated for role in EVALUATION_ROLES for evaluated in stage.evaluate[role]),
        ):
            descriptor(stage, dataset)
    check_roles(stages, {name: origins(stage).values() for name, stage in stages.items()})


def check_keys(cfg: DictConfig) -> None:
    """Refuse keys that nothing reads: one misspelt in a YAML file, or added with + on the command line.

    Raises:
        ValueError: an unknown key, one that is missing, a stream or dataset without one that it needs, a text where a
            list belongs.
    """
    run = cast(DictConfig, OmegaConf.load(conf_dir() / "run.yaml"))
    del run["defaults"], run["hydra"]
    _check_known("", cfg, {*run, *FROM_GROUPS})
    _check_there("", cfg, run)
    for key in ("evaluate", "evaluation"):
        _check_known(f"{key}.", cfg[key], run[key])
        _check_there(f"{key}.", cfg[key], run[key])
    for name, stream in present(cfg.streams).items():
        _check_known(f"streams.{name}.", stream, STREAM)
        needed = [key for key in STREAM if key not in OPTIONAL]
        for missing in (key for key in needed if key not in stream):
            raise ValueError(
                f"streams.{name}: key {missing} is missing; it needs {', '.join(needed)}, and may have "
                f"{' and '.join(OPTIONAL)}"
            )
    check_lists(cfg)
    for name, described in present(cfg.get("datasets") or {}).items():
        check_descriptor(name, described)
    for name, stream in present(cfg.streams).items():
        _check_parts(cfg, f"streams.{name}.per_dataset", stream.get("per_dataset"))
    _check_parts(cfg, "evaluation.short_sides", cfg.evaluation.short_sides)


def _check_parts(cfg: DictConfig, key: str, values: DictConfig | None) -> None:
    """Refuse values for a dataset that there is not; those for one that the run does not have serve other experiments.

    Raises:
        ValueError: it names the dataset that was probably meant.
    """
    known = {*cfg.get("datasets", {}), *(path.stem for path in (conf_dir() / "dataset").glob("*.yaml"))}
    for dataset in map(str, values or ()):
        if dataset not in known:
            has = ", ".join(cfg.get("datasets", {}))
            raise ValueError(f"{key}.{dataset}: there is no such dataset{nearest(dataset, known)}; the run has {has}")


def is_one_of(key: str, patterns: Iterable[str]) -> bool:
    """Whether a full key is among others, in which `*` stands for any part."""
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def plain(node: DictConfig, resolve: bool = False) -> dict[str, Any]:
    """A node of a configuration in plain types."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=resolve))


def present(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a stage does without a stream by `streams.<name>: null`."""
    return {name: node for name, node in nodes.items() if node is not None}


def _check_known(where: str, node: DictConfig, known: Iterable[str]) -> None:
    for key in map(str, node):
        if key not in known:
            raise ValueError(f"{where}{key}: there is no such key{nearest(key, known)}")


def _check_there(where: str, node: DictConfig, defaults: DictConfig) -> None:
    for key, default in plain(defaults).items():
        if key not in node:
            shown = json.dumps(default)
            raise ValueError(f"{where}{key}: the key is missing, as in a run of an earlier version; add {key}: {shown}")


def stage_config(cfg: DictConfig, name: str) -> DictConfig:
    """Configuration of one stage: the run's, with the stage's own values over it.

    A node with a `_target_` replaces the run's node as a whole: options of one class are not those of another. Streams
    that are null, which the stage does without, are left out; `evaluate: null` evaluates nothing; `run` is the stage's
    class where it is no fit, `only` the dataset that it is restricted to.

    Raises:
        ValueError: no such stage, or a key of the stage that the run does not have.
    """
    if name not in cfg.stage:
        raise ValueError(f"stages: no stage {name!r}; this family has {', '.join(cfg.stage)}")
    base = plain(cfg)
    values = plain(cfg.stage[name]) if cfg.stage[name] is not None else {}
    run, only = {"run": values.pop("run", None)}, values.pop("only", None)
    stage = laid_over(base, values, f"stage.{name}") | run
    stage["evaluate"] = stage["evaluate"] or {role: [] for role in EVALUATION_ROLES}
    # Other stages' values may refer to what this one has replaced.
    stage["stage"] = {other: base["stage"][name] if other == name else None for other in base["stage"]}
    own = OmegaConf.create(stage | {"streams": present(stage["streams"])})
    return own if only is None else restricted(own, only)


def restricted(stage: DictConfig, dataset: str) -> DictConfig:
    """A stage's configuration with the streams and evaluations of one dataset alone; streams of the target stay.

    A stream that is divided by datasets becomes one that is not, with what it has for this dataset.

    Raises:
        ValueError: a stream says of the others which images are labelled, but not of this one.
    """
    streams = plain(stage.streams, resolve=True)
    own_streams = {name: stream for name, stream in streams.items() if stream.get("role") != "target"}
    for name in [name for name, stream in own_streams.items() if dataset not in stream["datasets"]]:
        del streams[name], own_streams[name]
    for name, stream in own_streams.items():
        own = (stream.get("per_dataset") or {}).get(dataset) or {}
        transform = {**(stream.get("transform") or {}), **(own.get("transform") or {})} or None
        stream |= {**own, "datasets": [dataset], "transform": transform, "per_dataset": None}
        stream |= {"micro_batches": None, "alternate": None}
        if isinstance(stream["labelled"], Mapping):
            if dataset not in stream["labelled"]:
                raise ValueError(
                    f"streams.{name}.labelled: expected one value, or one for each dataset, {dataset} among them, "
                    f"got {stream['labelled']}"
                )
            stream["labelled"] = stream["labelled"][dataset]
        if isinstance(stream["mixing"], Mapping):
            stream["mixing"] = "concat"
    evaluate = {role: [name for name in names if name == dataset] for role, names in stage.evaluate.items()}
    stage.streams, stage.evaluate = streams, evaluate
    return stage


def origins(stage: DictConfig) -> dict[str, str]:
    """What a stage starts from: for every part of it (`model`, another network, what its method takes) where that is.

    `from: source` stands for `from: {model: source}`.
    """
    node = stage["from"]
    if node is None:
        return {}
    given = {"model": node} if isinstance(node, str) else plain(node, resolve=True)
    return {part: str(origin) for part, origin in given.items() if origin is not None}


def check_origins(name: str, stage: DictConfig, earlier: Sequence[str]) -> None:
    """Refuse a start from what is neither an earlier stage nor there.

    Raises:
        ValueError: it names the stages that there are.
    """
    for part, origin in origins(stage).items():
        key = "from" if isinstance(stage["from"], str) else f"from.{part}"
        if origin in earlier or (origin not in stage.stages and Path(origin).exists()):
            continue
        if origin in stage.stage and origin not in stage.stages:
            raise ValueError(
                f"stage {name} starts from stage {origin}, which is not in stages={list(stage.stages)}; add it, or "
                f"name another run's: stage.{name}.{key}=<run folder>/{origin}"
            )
        before = ", ".join(earlier) or "none"
        raise ValueError(
            f"stage {name}: {key}={origin} is none of the stages before it ({before}), and there is no such run folder "
            "or checkpoint"
        )


def laid_over(base: dict[str, Any], values: dict[str, Any], where: str) -> dict[str, Any]:
    """Values of a stage over those of the run, key by key; a node with a `_target_` is replaced as a whole.

    Args:
        where: the key of these values, for messages.

    Raises:
        ValueError: a key that the run does not have.
    """
    unknown = set(values) - set(base)
    if unknown:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; it sets what the run has, here {sorted(base)}")
    return base | {
        key: laid_over(base[key], value, f"{where}.{key}")
        if isinstance(value, dict) and "_target_" not in value and isinstance(base[key], dict)
        else value
        for key, value in values.items()
    }


def check_overrides(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse a command-line value that the run or a stage would overrule without a word.

    Raises:
        ValueError: an override of a key that a stage sets itself without one for that stage, of an object that all
            stages replace, or of a key that only others refer to and none does.
    """
    remark_unused(cfg, overrides)
    referring = OmegaConf.to_yaml(cfg)
    own = {name: cfg.stage[name] for name in cfg.stages if name in cfg.stage}
    stages = {name: {} if node is None else plain(node) for name, node in own.items()}
    given = [override.split("=", 1)[0].lstrip("+~").replace("/", ".") for override in overrides]
    for override, key in zip(overrides, given, strict=True):
        if key.split(".")[0] == "stage":
            _, *parts = key.split(".")
            if parts and override.startswith("+") and parts[0] not in stages:
                raise ValueError(
                    f"{override}: there is no stage {parts[0]!r}{nearest(parts[0], stages)}; stages are "
                    f"{', '.join(stages)}"
                )
            continue
        if key in FOR_OTHERS and f"${{{key}}}" not in referring:
            raise ValueError(f"{override}: nothing in this run reads {key}; leave it out")
        chosen = key in FROM_GROUPS  # over which a stage lays its values, unless it has an object of its own
        others = {name: values for name, values in stages.items() if f"stage.{name}.{key}" not in given}
        setting = [name for name, values in others.items() if not chosen and _sets(values, key.split("."))]
        path = [*key.split("."), "_target_"] if chosen else key.split(".")
        replacing = [name for name, values in stages.items() if _replaces(values, path)]
        if setting or (replacing and len(replacing) == len(stages)):
            names = setting or replacing
            option, _, value = override.lstrip("+").partition("=")
            of_stage = f"stage.{names[0]}.{key}"
            meant = f"{option}@{of_stage}" if (conf_dir() / option).is_dir() else of_stage
            raise ValueError(
                f"{override}: the stages {', '.join(names)} set {key} themselves; write it for the stage "
                f"that it is meant for, such as {meant}={value}"
            )


def _sets(node: Any, path: list[str]) -> bool:
    """Whether a stage sets this key."""
    if not path or not isinstance(node, dict):
        return node is not None
    return path[0] in node and _sets(node[path[0]], path[1:])


def _replaces(node: Any, path: list[str]) -> bool:
    """Whether a stage replaces an object that the key belongs to by one that has no such key."""
    if not path or not isinstance(node, dict):
        return False
    return "_target_" in node or (path[0] in node and _replaces(node[path[0]], path[1:]))


def descriptor(cfg: DictConfig, name: str) -> DictConfig:
    """The part of the configuration that describes a dataset: layout, root, labels, evaluation_split.

    Raises:
        ValueError: there is no such dataset, it is not loaded, or it is not described so.
    """
    if name not in cfg.get("datasets", {}):
        loaded = ",".join([*cfg.get("datasets", {}), name])
        known = {*cfg.get("datasets", {}), *(path.stem for path in (conf_dir() / "dataset").glob("*.yaml"))}
        if name not in known and nearest(name, known):
            raise ValueError(f"there is no dataset {name!r}{nearest(name, known)}")
        raise ValueError(
            f"dataset {name!r} is used but not loaded; write dataset=[{loaded}] (conf/dataset has them all)"
        )
    check_descriptor(name, cfg.datasets[name])
    return cfg.datasets[name]


def label_source(described: DictConfig) -> str | dict[str, Any] | None:
    """What a descriptor says of its label table: a name, a file, or the table itself; None: there are no masks."""
    labels = described.get("labels")
    return plain(labels, resolve=True) if isinstance(labels, DictConfig) else labels


def labelled_datasets(cfg: DictConfig) -> list[str]:
    """Names of the datasets in labelled streams, each once.

    Raises:
        ValueError: a stream has a text, or something else, where their list belongs.
    """
    streams = {name: stream for name, stream in present(cfg.streams).items() if stream.role == "labelled"}
    for name, stream in streams.items():
        check_names(f"streams.{name}.datasets", stream.datasets)
    return list(dict.fromkeys(name for stream in streams.values() for name in stream.datasets))


def short_side(evaluation: DictConfig, dataset: str) -> int | None:
    """Short side in pixels at which the images of a dataset are evaluated; None: their own.

    Args:
        evaluation: the node of this name.
    """
    return (evaluation.get("short_sides") or {}).get(dataset, evaluation.short_side)


def is_generated(cfg: DictConfig, name: str) -> bool:
    """Whether a dataset is read from the embedded data."""
    return cfg.data.generate is not None and tree(cfg, name) in cfg.data.counts


def tree(cfg: DictConfig, name: str) -> str:
    """A dataset's root relative to that of the data, such as NTHU_Datasets/Rome; the root itself elsewhere."""
    root, data = Path(descriptor(cfg, name).root), Path(cfg.data.root)
    return (root.relative_to(data) if root.is_relative_to(data) else root).as_posix()
