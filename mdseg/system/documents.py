"""YAML files of users, read strictly: nothing that stands in one is dropped, or taken for something else."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 200  # levels of lists and mappings in each other; the compiled parser would not survive many more
MERGE = "tag:yaml.org,2002:merge"
Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast where PyYAML was built with libyaml


class Strict(Base):
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
            said = f"{node.value} would be read as {number}; write {number}, or in quotes what is no number"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return number


Strict.add_constructor("tag:yaml.org,2002:int", Strict.construct_whole_number)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        ValueError: it is not readable as YAML, a key stands twice in a mapping, or it is nested too deeply; in one
            line, with the file and the line in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: no text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    if _depth(text) > DEEPEST:
        raise ValueError(f"{path}: lists and mappings in each other to more than {DEEPEST} levels")
    try:
        return yaml.load(text, Strict)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path}{line}: not readable YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable YAML: {' '.join(str(error).split())}") from error


def _depth(text: str) -> int:
    """At most so many levels of a document are in each other: brackets that are open, and what a line begins with."""
    most = opened = 0
    for line in text.splitlines():
        most = max(most, opened + len(line) - len(line.lstrip(" -?:")))
        for letter in line if "[" in line or "{" in line or "]" in line or "}" in line else "":
            opened = max(0, opened + (letter in "[{") - (letter in "]}"))
            most = max(most, opened)
    return most
