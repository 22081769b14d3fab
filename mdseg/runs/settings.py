"""Which runs have the same settings: what their configurations say, not how their commands are spelled."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from mdseg.config.keys import FREE, is_one_of
from mdseg.runs.records import COMMAND, Record
from mdseg.system.documents import shown
from mdseg.system.wording import visible

# What may differ between runs of one setting; `trainer` is the group.
NO_SETTINGS = ("experiment", "row", "scale", "seed", "val_every", "trainer", "hydra.*", *FREE)
GROUPS = {"dataset": "datasets"}  # groups whose choice lies at another key
# Each seed starts from weights of its own: where they lie is no setting, that they come from elsewhere is one.
FROM = re.compile(r"(stage\.[^.]+\.)?from(\.\w+)*")
# Where a dataset lies, what suits a device: settings where a command names them.
WHERE_NAMED = ("datasets.*.root", "trainer._target_", "trainer.precision", "trainer.sync_batchnorm")
OF_STAGE = re.compile(r"^stage\.[^.]+\.")
ELSEWHERE = "..."
UNKNOWN = f"settings unknown (no {COMMAND})"
MOST_SHOWN = 3  # keys in which settings differ whose commands do not tell them apart


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but their seeds.

    Args:
        words: what tells the setting from others: the words of its commands that all of them have.
        records: one for each seed.
        repeated: runs that are left out, each with the newer one of the same seed that counts.
    """

    words: tuple[str, ...]
    records: list[Record]
    repeated: list[tuple[Record, Record]]


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """The settings of runs of one experiment, in the order of their words."""
    groups: list[list[Record]] = []
    for record in records:
        alike = next((group for group in groups if not differences(record, group[0])), None)
        groups.append([record]) if alike is None else alike.append(record)
    found = [_setting(group) for group in groups]
    return sorted((_told_apart(setting, found) for setting in found), key=lambda setting: setting.words)


def differences(first: Record, second: Record) -> list[str]:
    """Keys in which the settings of two runs differ; a default and the same value given explicitly do not.

    A key that only one of two configurations has, and no command sets, came with another version of mdseg.
    """
    if first.config is None or second.config is None:
        if first.words is None or second.words is None:
            return [COMMAND]
        both = [dict(_words(record)) for record in (first, second)]
        return [key for key in dict.fromkeys([*both[0], *both[1]]) if both[0].get(key) != both[1].get(key)]
    given = {key for record in (first, second) for key, _ in _words(record)}
    one, other = (dict(_leaves(record.config)) for record in (first, second))
    found = []
    for key in dict.fromkeys([*one, *other]):
        if not _is_below(key, given) and (_is_no_setting(key) or is_one_of(key, WHERE_NAMED)):
            continue
        if key not in one or key not in other:
            if _is_below(key, given) or _is_below(key, {*one, *other} - {key}):  # or one of them has a value above it
                found.append(key)
        elif one[key] != other[key] and _value(first, key, one[key]) != _value(second, key, other[key]):
            found.append(key)
    return found


def _value(record: Record, key: str, value: Any) -> Any:
    """What counts of a value: what it refers to, and of a path to weights that there is one."""
    if isinstance(value, str) and "${" in value:
        with suppress(OmegaConfBaseException):  # what only a run has, as the environment: the words are compared
            value = record.resolved(key)
    return ELSEWHERE if FROM.fullmatch(key) and isinstance(value, str) and "/" in value else value


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Full key and value of everything below a node that is not a mapping itself."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from _leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def _is_no_setting(key: str) -> bool:
    return is_one_of(key, NO_SETTINGS) or is_one_of(OF_STAGE.sub("", key), FREE)


def _is_below(key: str, keys: set[str]) -> bool:
    """Whether a key, or one above it, is among others."""
    parts = key.split(".")
    return any(".".join(parts[:length]) in keys for length in range(1, len(parts) + 1))


def _words(record: Record) -> Iterator[tuple[str, str]]:
    """Keys that a command sets and that are settings, with the words that set them."""
    for word in () if record.words is None else record.words.values():
        given, _, value = word.partition("=")
        key = given.lstrip("+~").replace("/", ".")
        key = GROUPS.get(key, key)
        if is_one_of(key, WHERE_NAMED) or not _is_no_setting(key):
            yield key, f"{given}={ELSEWHERE}" if FROM.fullmatch(key) and "/" in value else word


def _setting(group: Sequence[Record]) -> Setting:
    newest: dict[Any, Record] = {}
    repeated = []
    for record in sorted(group, key=lambda record: (record.written, str(record.folder))):
        if (before := newest.get(_run(record))) is not None:
            repeated.append(before)
        newest[_run(record)] = record
    kept = [record for record in group if any(record is each for each in newest.values())]
    common = set.intersection(*({key for key, _ in _words(record)} for record in group))
    words = tuple(visible(word) for key, word in _words(kept[-1]) if key in common)
    if any(record.words is None for record in group):
        words = (UNKNOWN,)
    return Setting(words, kept, [(record, newest[_run(record)]) for record in repeated])


def _run(record: Record) -> tuple[Any, ...]:
    """What tells runs of a setting apart: the seed, and which weights they start from."""
    values = (record.words or {}).items() if record.config is None else _leaves(record.config)
    origins = [str((key, value)) for key, value in values if FROM.fullmatch(key.lstrip("+"))]
    return (None if record.results is None else record.results["seed"], *origins)


def _told_apart(setting: Setting, settings: Sequence[Setting]) -> Setting:
    """The setting with the keys in which it differs from others whose commands are the same."""
    alike = [each for each in settings if each is not setting and each.words == setting.words]
    first = setting.records[0]
    keys = list(dict.fromkeys(key for each in alike for key in differences(first, each.records[0])))[:MOST_SHOWN]
    values = dict(_leaves(first.config or {}))
    more = [f"{key}={shown(values[key]) if key in values else 'none'}" for key in keys]
    return Setting((*setting.words, *more), setting.records, setting.repeated)
