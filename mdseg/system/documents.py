"""JSON and YAML that somebody may have edited, damaged or copied in part: plain values, or a message with the file.

They are read strictly: nothing that stands in one is dropped, or taken for something else.
"""

import json
import reprlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from omegaconf import DictConfig, OmegaConf

SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast where PyYAML was built with libyaml
DEEPEST = 50  # levels of a YAML file; those of mdseg have at most ten
MERGE = "tag:yaml.org,2002:merge"
MOST = 1_000_000  # values of a YAML file, what its aliases stand for written out


class Strict(SAFE):
    """Safe YAML in which no key stands twice in a mapping, and numbers look like what they are."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} twice", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """A whole number.

        Raises:
            yaml.YAMLError: it is written so that it is read as another one.
        """
        number, digits = self.construct_yaml_int(node), node.value.replace("_", "")
        # YAML 1.1 reads 010 as 8 and 1:30 as 90.
        if ":" in digits or (digits.lstrip("+-").isdecimal() and int(digits) != number):
            meant = f"{number}, or in quotes what is no number" if ":" in digits else f"{int(digits)} or {number}"
            said = f"{node.value} would be read as {number}; write {meant}, whichever is meant"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return number


Strict.add_constructor("tag:yaml.org,2002:int", Strict.construct_whole_number)


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file, or not in UTF-8.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'a pipe or a device'}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8, found other bytes (from byte {error.start} on)") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError, ValueError: it cannot be read; see :func:`read_text`.
    """
    return _parsed(path, "JSON", lambda text: json.loads(text, parse_constant=_no_number, object_pairs_hook=_once))


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, in plain types: tags that would call something are refused.

    Raises:
        OSError, ValueError: it cannot be read; see :func:`read_text`.
    """
    return _parsed(path, "YAML", lambda text: _bounded(yaml.load(_shallow(text), Strict)))


def read_config(path: Path) -> DictConfig:
    """A configuration that was saved, with its references.

    Raises:
        OSError, ValueError: it cannot be read, or is none; see :func:`read_text`.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected a configuration, keys with values, found {shown(document)}")
    return _parsed(path, "configuration", OmegaConf.create)  # which reads 1e-3 as a number, as Hydra does


def shown(value: Any) -> str:
    """A value in a message: not all of a long one."""
    return "nothing" if value is None else reprlib.repr(value)


def _parsed(path: Path, kind: str, parse: Callable[[str], Any]) -> Any:
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{path}: expected {kind}, found an empty file")
    try:
        return parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path}{line}: not readable {kind}: {error.problem or error.context}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: damaged, or no {kind} that is meant here: it is nested too deeply") from error
    except Exception as error:  # constructors of PyYAML raise whatever a value makes them
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: damaged, or no {kind} at all ({said})") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return found


def _shallow(text: str) -> str:
    """The text, unless what it holds is nested too deeply: loaders call themselves for every level."""
    depth = 0
    for event in yaml.parse(text, SAFE):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
    return text


def _bounded(document: Any) -> Any:
    """The document, unless it is deeper or larger than what is written out can be: aliases may stand for themselves."""
    level, depth, count = [document], 0, 0
    while level:
        count += len(level)
        if depth > DEEPEST or count > MOST:
            raise ValueError(f"more than {DEEPEST} levels or {MOST} values")
        children = (node.values() if isinstance(node, Mapping) else node for node in level if _holds(node))
        level, depth = [child for nodes in children for child in nodes], depth + 1
    return document


def _holds(node: Any) -> bool:
    return isinstance(node, Mapping | list | tuple | set)
