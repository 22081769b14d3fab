"""Options of classes and functions of mdseg, held against what their annotations say."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mdseg.config.values import is_number, whole

PLAIN = (str, int, float, list, dict, type(None))  # what a configuration can hold
WORDS = {bool: "true or false", int: whole(0).expected, float: "a number", str: "text", Path: "text"}
WORDS[type(None)] = "null"


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options of another type than a function of mdseg, or the constructors of a class, are annotated with.

    Only plain values are looked at. Whole numbers are counts, of which none is below 0.

    Raises:
        ValueError: it names the function and the option.
    """
    hints = _hints(function) if function.__module__.startswith("mdseg.") else {}
    for key, value in options.items():
        expected = hints.get(key, Any)
        if isinstance(value, PLAIN) and not _fits(value, expected):
            name = f"{function.__module__}.{getattr(function, '__qualname__', function)}"
            raise ValueError(f"{name}: {key}: expected {_in_words(expected)}, got {value!r}")


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of the parameters; of a class that hands options up, those of the classes above it too."""
    if not isinstance(function, type):
        return get_type_hints(function)
    found: dict[str, Any] = {}
    for each in reversed(function.__mro__[:-1]):
        if "__init__" in vars(each):
            found |= get_type_hints(vars(each)["__init__"])
    return found


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    if hint in (int, float):
        return whole(0).fits(value) if hint is int else is_number(value)
    kind = origin or hint
    if kind is Path:
        return isinstance(value, str)
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return isinstance(value, dict)
    if inspect.isclass(kind) and issubclass(kind, Sequence):
        element = get_args(hint)[0] if get_args(hint) else Any
        return isinstance(value, list) and all(_fits(each, element) for each in value)
    return kind is Any or not inspect.isclass(kind) or isinstance(value, kind)


def _in_words(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        words = dict.fromkeys(map(_in_words, get_args(hint)))
        return " or ".join(word for word in words if (word, "a number" in words) != (WORDS[int], True))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    kind = get_origin(hint) or hint
    if inspect.isclass(kind) and issubclass(kind, Sequence) and kind is not str:
        elements: dict[Any, str] = {int: " of whole numbers", float: " of numbers", str: " of names"}
        return "a list" + elements.get(get_args(hint)[0] if get_args(hint) else None, "")
    return WORDS.get(kind, "keys with values")
