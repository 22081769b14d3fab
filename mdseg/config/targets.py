"""The classes and functions that a configuration names with `_target_`, found before anything is built."""

import importlib
import os
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from mdseg.system.wording import nearest


def check_targets(node: Any, leave_out: str = "") -> None:
    """Refuse names of classes and functions that are not there.

    Args:
        node: a resolved configuration in plain types.
        leave_out: a key of it below which nothing is looked at.

    Raises:
        ValueError: it names the key, and where code of one's own must lie.
    """
    for key, target in _targets(node):
        if not key.startswith(f"{leave_out}."):
            try:
                locate(target)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error


def locate(target: Any) -> Any:
    """The class or function of a name with dots.

    Raises:
        ValueError: there is none, or its module cannot be imported.
    """
    parts = target.split(".") if isinstance(target, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"expected the full name of a class or function, such as mine.Method, got {target!r}")
    found: Any = _imported(parts[0], target)
    if found is None:
        raise ValueError(
            f"{target}: Python finds no module {parts[0]}. It looks into the folder where the command is typed, here "
            f"{os.getcwd()}, and into those of PYTHONPATH: set PYTHONPATH=<folder of {parts[0]}.py>"
        )
    for place, part in enumerate(parts[1:], 1):
        above, name = found, ".".join(parts[: place + 1])
        if isinstance(above, ModuleType) and hasattr(above, "__path__") and not hasattr(above, part):
            found = _imported(name, target)
        else:
            found = getattr(above, part, None)
        if found is None:
            where = ".".join(parts[:place])
            raise ValueError(f"{target}: there is no {part} in {where}{nearest(part, vars(above))}")
    if not callable(found):
        raise ValueError(f"{target}: expected a class or function, found {type(found).__name__}")
    return found


def _imported(name: str, target: str) -> ModuleType | None:
    """A module; None where there is none of this name.

    Raises:
        ValueError: it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever the code of others does where it is imported
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return None
        said = " ".join([f"{type(error).__name__}:", *str(error).split()])
        raise ValueError(f"{target}: module {name} cannot be imported ({said})") from error


def _targets(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Key and value of every `_target_` below a node."""
    if isinstance(node, Mapping | list):
        for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            full = f"{where}.{key}" if where else str(key)
            if key == "_target_":
                yield full, value
            yield from _targets(value, full)
