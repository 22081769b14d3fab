"""Paths of a configuration in full: a run may be resumed from another folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mdseg.config.datasets import LAYOUTS

FILES = (".yaml", ".yml", ".json", ".txt", ".pth", ".pt", ".ckpt", ".safetensors", ".npz")
OF_PROCESS = ("${oc.env:", "${hydra:", "${now:")  # what another process would resolve to something else


def write_in_full(cfg: DictConfig) -> None:
    """Write paths as seen from the folder where the command was typed, `~` as the home.

    These are the roots of data and datasets, folders of lists, and every text that names a file that is there. What
    refers to another key goes on doing so where that makes a full path.
    """
    described = [node for node in (cfg.get("datasets") or {}).values() if isinstance(node, DictConfig)]
    rooted = cfg.get("data") is not None and cfg.data.get("root") is not None  # else what lies below it has no root yet
    for node in (cfg.data, *described) if rooted else ():
        if isinstance(node, DictConfig):
            _replace(node, "root")
    for node in described:
        layout = _value(node, "layout")
        if isinstance(layout, DictConfig) and _lists_from_here(layout):
            _replace(layout, "lists")
    _write_files(cfg)


def _lists_from_here(layout: DictConfig) -> bool:
    """Whether a layout has lists that are not looked for below its dataset's root."""
    target = str(layout.get("_target_"))
    return "lists" in layout and target.startswith(LAYOUTS) and target != f"{LAYOUTS}folder"


def _write_files(node: DictConfig | ListConfig) -> None:
    """All files that are named in a node; options of layouts are left alone, many of them count from a root."""
    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        if key in ("hydra", "layout") or OmegaConf.is_missing(node, key):
            continue
        value = _value(node, key)
        if isinstance(value, DictConfig | ListConfig):
            if not OmegaConf.is_interpolation(node, key):
                _write_files(value)
        elif isinstance(value, str) and value.lower().endswith(FILES) and Path(value).expanduser().is_file():
            _replace(node, key)


def _value(node: DictConfig | ListConfig, key: Any) -> Any:
    """A value; None where it is missing or refers to what is: that is said where it is used."""
    try:
        return node[key] if key in node or isinstance(node, ListConfig) else None
    except OmegaConfBaseException:
        return None


def _replace(node: DictConfig | ListConfig, key: Any) -> None:
    """Write a path in full."""
    value = _value(node, key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return  # said to be none where it is used
    written: Any = OmegaConf.to_container(node)
    full = os.path.abspath(Path(str(value)).expanduser())
    if full != value or any(part in str(written[key]) for part in OF_PROCESS):
        node[key] = full


def origin_in_full(origin: Any, stages: Sequence[str]) -> Any:
    """What a stage starts from, paths in full."""
    if isinstance(origin, DictConfig):
        return {part: origin_in_full(value, stages) for part, value in origin.items() if value is not None}
    if not isinstance(origin, str) or origin in stages or not Path(origin).expanduser().exists():
        return origin
    return str(Path(origin).expanduser().resolve())
