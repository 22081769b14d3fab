"""What papers publish for the rows of their tables: conf/references.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from mdseg import conf_dir

SUM = "sum"  # what stands for the dataset where a paper ranks by the sum of the mIoUs of all of them
OTHER_METHOD = ("family=", "method=", "loss/")  # what overrides begin with that leave a row only its name
OPTIONS = ("method.", "loss.")  # and those that make it another one, unless it was published, too


@dataclass(frozen=True)
class Published:
    """What a row of a published table says of a dataset, in percent.

    Args:
        values: `miou` or the name of a subset of the classes → mIoU.
        dataset: which one; `SUM`: the sum over all of the entry's, where it has several.
        host: the published network where the row has another one.
        network: which of the row's networks or branches, by its name; null: the method's.
    """

    values: dict[str, float]
    dataset: str
    host: str | None = None
    network: str | None = None


@cache
def document() -> dict[str, Any]:
    """All of conf/references.yaml."""
    return yaml.safe_load((conf_dir() / "references.yaml").read_text(encoding="utf-8"))


def rows(experiment: str) -> list[str]:
    """Rows of an experiment's table in the order of the papers; none where nothing is published."""
    return list(_table(experiment).get("rows", ()))


def published(experiment: str, row: str, overrides: Sequence[str] = ()) -> list[Published]:
    """What is published for a run: of the entries that hold for it, those that say most of what its command has.

    Nothing where an override chooses another method or loss than the row's, or sets an option of theirs that no entry
    is about.
    """
    if any(override.startswith(OTHER_METHOD) for override in overrides):
        return []
    entries = [entry for entry in _table(experiment).get("rows", {}).get(row, ()) if _holds(entry, overrides)]
    named = [len(set(overrides) & {*_words(entry, "given"), *_words(entry, "usual")}) for entry in entries]
    kept = [entry for entry, number in zip(entries, named, strict=True) if number == max(named)]
    return [published for entry in kept for published in _by_dataset(entry, _table(experiment).get("dataset"))]


def _holds(entry: dict[str, Any], overrides: Sequence[str]) -> bool:
    given, usual = _words(entry, "given"), _words(entry, "usual")
    keys = {override.partition("=")[0] for override in overrides}
    departs = any(override.startswith(OPTIONS) for override in overrides if override not in (*given, *usual))
    return (
        not departs
        and set(given) <= set(overrides)
        and all(word in overrides or word.partition("=")[0] not in keys for word in usual)
    )


def _words(entry: dict[str, Any], key: str) -> list[str]:
    words = entry.get(key, [])
    return [words] if isinstance(words, str) else words


def _by_dataset(entry: dict[str, Any], only: str | None) -> list[Published]:
    """What an entry says of the table's only dataset, or of each of its own and of all together."""
    values = {only: entry["values"]} if only else dict(entry["values"])
    if len(values) > 1:
        values[SUM] = {"miou": round(sum(of_dataset["miou"] for of_dataset in values.values()), 2)}
    return [Published(of, name, entry.get("host"), entry.get("network")) for name, of in values.items()]


def _table(experiment: str) -> dict[str, Any]:
    """The table of an experiment: its own, or that of the one which it is an alias of."""
    base = None if experiment in document()["experiments"] else alias_of(experiment)
    return _table(base) if base else document()["experiments"].get(experiment, {})


def alias_of(experiment: str) -> str | None:
    """The experiment that another one is with a default row and nothing else; None for all that are no such alias."""
    path = conf_dir() / f"experiment/{experiment}.yaml"
    match yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None:
        case {"defaults": [str(base), {"override /row": str()}], **others} if not others:
            return base
    return None
