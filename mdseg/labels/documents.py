"""A label table as YAML says it, checked so that nothing of it is taken for something else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mdseg.system.names import check_list, check_name, check_names, repetitions
from mdseg.system.wording import excerpt

Color = tuple[int, int, int]

FORM = "{encoding: id, classes: [{name: road, raw_ids: [0], color: [128, 64, 128]}, ...], ignore_ids: [255]}"
OPTIONAL = ("name", "ignore_ids", "ignore_rgb", "ignore_members", "unknown_ids", "aliases", "subsets")


def fields_of(document: Any, name: str) -> dict[str, Any]:
    """What a label table is made of, by the fields of :class:`~mdseg.labels.tables.LabelTable`.

    Args:
        name: of the table, for messages.

    Raises:
        ValueError: the document is not of that form; the entry is named, and what was probably meant.
    """
    where = f"label table '{name}'"
    if isinstance(document, list):
        raise ValueError(f"{where}: expected a mapping, got a list; classes stand in it: {FORM}")
    _check_keys(where, document, required=("encoding", "classes"), optional=OPTIONAL)
    for key in ("encoding", "unknown_ids"):
        if not isinstance(document.get(key, ""), str):
            raise ValueError(f"{where}: {key}: expected a text, got {excerpt(document[key])}")
    colored = document["encoding"] == "rgb"
    ids, ignored = ("rgb", "ignore_rgb") if colored else ("raw_ids", "ignore_ids")
    misplaced = {"ignore_rgb", "ignore_ids"} & set(document) - {ignored}
    if misplaced:
        raise ValueError(f"{where}: encoding '{document['encoding']}' goes with {ignored}, not {misplaced.pop()}")
    raw_ids: Callable[[str, Any], tuple[int, ...]] = _packed_colors if colored else _whole_numbers
    check_list(f"{where}: classes", document["classes"])
    if not document["classes"]:
        raise ValueError(f"{where}: no classes")
    classes = []
    for number, entry in enumerate(document["classes"]):
        at = f"{where}, class {number}"
        _check_keys(at, entry, required=("name", "color", ids), optional=("members",))
        check_name(at, entry["name"])
        at = f"{at} ({entry['name']})"
        members = _texts(f"{at}: members", entry.get("members", ()))
        classes.append((entry["name"], _color(at, entry["color"]), raw_ids(f"{at}: {ids}", entry[ids]), members))
    names, colors, own_ids, members = zip(*classes, strict=True)
    return {
        "name": name,
        "names": names,
        "colors": colors,
        "encoding": document["encoding"],
        "raw_ids": own_ids,
        "ignore_ids": raw_ids(f"{where}: {ignored}", document.get(ignored, ())),
        "unknown_ids": document.get("unknown_ids", "error"),
        "members": members,
        "ignore_members": _texts(f"{where}: ignore_members", document.get("ignore_members", ())),
        "aliases": _lists(where, "aliases", document.get("aliases", {})),
        "subsets": _lists(where, "subsets", document.get("subsets", {})),
    }


def _check_keys(where: str, mapping: Any, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: expected a mapping with {', '.join(required)}, got {excerpt(mapping)}")
    missing = [key for key in required if key not in mapping]
    unknown = [key for key in mapping if key not in (*required, *optional)]
    wrong = [f"missing keys {missing}"] if missing else []
    wrong += [f"unknown keys {excerpt(unknown)}"] if unknown else []
    if {"layout", "labels"} <= set(unknown):
        raise ValueError(f"{where}: this describes a dataset; a label table is what stands below its `labels`")
    if wrong:
        raise ValueError(f"{where}: {', '.join(wrong)}; it has {', '.join((*required, *optional))}")


def _texts(where: str, values: Any) -> tuple[str, ...]:
    check_names(where, values)
    return tuple(values)


def _lists(where: str, key: str, mapping: Any) -> dict[str, tuple[str, ...]]:
    """Lists of class names, by class or subset."""
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: {key}: expected a mapping of lists of class names, got {excerpt(mapping)}")
    for name in mapping:
        check_name(f"{where}: {key}", name)
    return {name: _texts(f"{where}: {key}.{name}", names) for name, names in mapping.items()}


def _whole_numbers(where: str, values: Any) -> tuple[int, ...]:
    check_list(where, values)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{where}: {excerpt(value)} is no whole number{_meant(value)}")
    if repeated := repetitions(values):
        raise ValueError(f"{where}: {', '.join(map(str, repeated))} stand there more than once")
    return tuple(values)


def _meant(value: Any) -> str:
    """The number that was written in another way, as the end of a message."""
    plain = str(value).strip().removesuffix(".0")
    digits = isinstance(value, str | float) and plain.isdecimal()
    return f" (write {int(plain)}{', without quotes' if isinstance(value, str) else ''})" if digits else ""


def _packed_colors(where: str, colors: Any) -> tuple[int, ...]:
    """Raw ids of colours: r << 16 | g << 8 | b."""
    check_list(where, colors)
    if len(colors) == 3 and all(isinstance(value, int) for value in colors):
        raise ValueError(f"{where}: expected a list of colours of three numbers each, got {colors} (write [{colors}])")
    packed = [r << 16 | g << 8 | b for r, g, b in (_color(where, color) for color in colors)]
    if repeated := repetitions(packed):
        red, green, blue = repeated[0] >> 16, repeated[0] >> 8 & 255, repeated[0] & 255
        raise ValueError(f"{where}: [{red}, {green}, {blue}] stands there more than once")
    return tuple(packed)


def _color(where: str, color: Any) -> Color:
    values = tuple(color) if isinstance(color, Sequence) and not isinstance(color, str) else ()
    if len(values) != 3 or not all(type(value) is int and 0 <= value <= 255 for value in values):
        raise ValueError(f"{where}: color {excerpt(color)}, expected three numbers in 0..255")
    return values
