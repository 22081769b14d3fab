"""What a run folder remembers of what its stages were planned with, and where configurations differ from that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, OmegaConf

from mdseg import conf_dir
from mdseg.config.keys import FREE, is_one_of, plain
from mdseg.system.documents import read_json

PLANNED = "planned.json"  # in a run folder: by stage what it was planned with
DAMAGED = "restore it, or delete it"
NOTHING = object()  # in the place of a value that is not there


class Change(NamedTuple):
    """A key whose value is another one now."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} from {_shown(self.before)} to {_shown(self.now)}"

    @property
    def is_free(self) -> bool:
        return is_one_of(self.key, FREE)


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}..."


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Where two resolved configurations of a stage differ.

    A key that the first one lacks counts as conf/run.yaml has it: an earlier version wrote it. `stage` is left out, it
    lies over the rest already.
    """
    defaults = plain(cast(DictConfig, OmegaConf.load(conf_dir() / "run.yaml")))
    before = {key: defaults[key] for key in now if key in defaults and key not in before} | dict(before)
    old, new = (_flat(json.loads(json.dumps(each))) for each in (before, now))  # as they are written
    return [
        Change(key, old.get(key, NOTHING), new.get(key, NOTHING))
        for key in {**new, **old}
        if old.get(key, NOTHING) != new.get(key, NOTHING) and key.partition(".")[0] != "stage"
    ]


def _flat(node: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Full key → value of everything that is no mapping; an empty one is a value."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{where}{key}.") if isinstance(value, Mapping) and value else {f"{where}{key}": value}
    return flat


def read_planned(path: Path) -> dict[str, Any]:
    """The record of :class:`mdseg.runs.changes.Begun`.

    Raises:
        OSError, ValueError: it cannot be read, or is something else.
    """
    try:
        found = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {DAMAGED}") from error
    try:
        for stage in found.values():
            dict(stage["config"])
            for images in stage["images"].values():
                [images[part] for part in ("dataset", "images", "names", "sizes", "labels")]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{path}: damaged, or of another version of mdseg ({said}); {DAMAGED}") from error
    return found
