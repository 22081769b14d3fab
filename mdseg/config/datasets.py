"""What a configuration says of datasets: their descriptors, and the lists that name them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mdseg.config.values import raw, references
from mdseg.evaluation.roles import EVALUATION_ROLES
from mdseg.system.names import check_key, check_names
from mdseg.system.templates import check_template
from mdseg.system.wording import Remark, excerpt, nearest

DATASET = ("layout", "root", "labels", "evaluation_split")
NEEDED = tuple(key for key in DATASET if key != "labels")  # which a dataset without masks has not
SPLITS = ("train", "val", "test")
# What stands beside datasets in results and pictures.
TAKEN: tuple[str, ...] = ("mean", "sum", "network", "datasets", "mean_miou", "joined", "iou", "miou")
TAKEN += ("curves", "lessons", "discriminators", "entropy", "nearest_labels", "pairs")

LAYOUTS = "mdseg.data.layouts."
LAYOUT = f'{{_target_: {LAYOUTS}folder, _partial_: true, image_dir: "images/{{split}}", mask_dir: "masks/{{split}}"}}'
LABELS = (
    "the name of a table in conf/labels, a YAML file, a table of its own (encoding: id, classes: [{name: road, "
    "raw_ids: [0], color: [128, 64, 128]}, ...]), or null where there are no masks"
)
RIGHT = {  # what a descriptor's keys look like
    "layout": LAYOUT,
    "root": "the dataset's folder, ${data.root}/<name>",
    "labels": LABELS,
    "evaluation_split": ", ".join(SPLITS),
}
TEMPLATES = ("image_dir", "mask_dir", "lists")  # options of the layout `folder` in which {split} stands for the split
ENDINGS = ("image_ending", "mask_ending")


def check_descriptor(name: str, described: Any) -> None:
    """Refuse a descriptor that is none; whether it fits the files shows when they are listed.

    Raises:
        ValueError: it names the key and shows what it should look like.
    """
    where = f"datasets.{name}"
    check_key("datasets", name, TAKEN)
    if not isinstance(described, DictConfig):
        raise ValueError(f"{where}: expected {', '.join(DATASET)} (conf/dataset/folder.yaml), got {excerpt(described)}")
    for key in map(str, described):
        if key not in DATASET:
            raise ValueError(f"{where}.{key}: there is no such key{nearest(key, DATASET)}; it has {', '.join(DATASET)}")
    for key in DATASET:
        try:
            described.get(key)
        except OmegaConfBaseException as error:  # it refers to what is not there
            raise ValueError(f"{where}.{key}: {str(error).splitlines()[0]}") from error
    for key in NEEDED:
        if OmegaConf.is_missing(described, key) or key not in described:
            raise ValueError(f"{where}: key {key} is missing; it is {RIGHT[key]}")
    if not isinstance(described.root, str | Path) or not str(described.root).strip():
        raise _wrong(where, "root", described.root)
    if not isinstance(described.get("labels"), str | DictConfig | None) or described.get("labels") == "":
        raise _wrong(where, "labels", described.labels)
    if isinstance(described.get("labels"), DictConfig):
        for node, key in references(described.labels):
            if key == "name":
                raise ValueError(
                    f"{where}.labels: name {excerpt(raw(node, key))} refers to another key and would be replaced by "
                    "what stands there; names are written out"
                )
    if described.evaluation_split not in SPLITS:
        raise _wrong(where, "evaluation_split", described.evaluation_split)
    _check_layout(where, described.layout)


def _wrong(where: str, key: str, value: Any) -> ValueError:
    got = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    in_a_list = "; a list of classes stands below `classes`, beside `encoding`" if isinstance(got, list) else ""
    return ValueError(f"{where}.{key}: expected {RIGHT[key]}; got {excerpt(got)}{in_a_list if key == 'labels' else ''}")


def _check_layout(where: str, layout: Any) -> None:
    if not isinstance(layout, DictConfig) or not isinstance(layout.get("_target_"), str):
        raise _wrong(where, "layout", OmegaConf.to_container(layout) if OmegaConf.is_config(layout) else layout)
    if not layout["_target_"].startswith(LAYOUTS):
        return  # of the user's own, whose options we do not know
    for key in ("root", "split"):
        if key in layout:
            beside = "root stands beside layout" if key == "root" else "a layout is asked for one split after the other"
            raise ValueError(f"{where}.layout.{key}: {beside}; leave it out of layout")
    for key in (key for key in (*TEMPLATES, *ENDINGS, "annotation") if key in layout):
        value, at = layout[key], f"{where}.layout.{key}"
        empty = value is None and key in ("mask_dir", "lists")
        if not empty and (not isinstance(value, str) or (key in TEMPLATES and not value.strip())):
            null = ", or null" if key in ("mask_dir", "lists") else ""
            raise ValueError(f"{at}: expected a text{null}, got {excerpt(value)}")
        if key in TEMPLATES and value is not None and layout["_target_"] == f"{LAYOUTS}folder":
            check_template(at, value)


def check_lists(cfg: DictConfig) -> None:
    """Refuse what is no list of names, each once, where streams, evaluations and stages name others.

    Raises:
        ValueError: it names the key.
    """
    for name, stream in cfg.streams.items():
        if stream is not None:
            check_names(f"streams.{name}.datasets", stream.datasets)
    check_names("stages", cfg.stages)
    for role in EVALUATION_ROLES:
        check_names(f"evaluate.{role}", cfg.evaluate[role])


def remark_unused(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Remark datasets that the command line chooses, but no stream and no evaluation names: they do nothing."""
    chosen = [override.partition("=")[2] for override in overrides if override.partition("=")[0] == "dataset"]
    nodes = [cfg, *(stage for stage in cfg.stage.values() if stage is not None)]
    streams = [stream for node in nodes for stream in (node.get("streams") or {}).values() if stream is not None]
    lists = [stream.get("datasets") for stream in streams]
    lists += [names for node in nodes for names in (node.get("evaluate") or {}).values()]
    used = {name for names in lists if isinstance(names, ListConfig) for name in names}
    unused = [name for name in map(str.strip, "".join(chosen[-1:]).strip("[]").split(",")) if name not in used]
    if chosen and (unused := [name for name in unused if name in (cfg.get("datasets") or {})]):
        warnings.warn(
            f"dataset={chosen[-1]}: this experiment names its datasets itself, and neither trains on nor evaluates "
            f"{', '.join(unused)}; add it to streams.<name>.datasets=[...] or evaluate.<role>=[...]",
            Remark,
            stacklevel=3,
        )


def check_given_names(cfg: DictConfig) -> None:
    """Refuse names of streams, stages and datasets that could not be part of keys and of files' names.

    Raises:
        ValueError: it names the key.
    """
    for kind, taken in (("streams", ()), ("stage", ()), ("datasets", TAKEN)):
        for name in cfg.get(kind) or ():
            check_key(kind, name, taken)
