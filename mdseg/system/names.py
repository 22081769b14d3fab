"""What classes, datasets, stages and experiments may be called: names reach terminals, pictures, pages, files and keys.

And lists of names, which are no texts.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

from mdseg.system.wording import excerpt

LONGEST = 100  # characters of a name
MOST_MARKS = 4  # accents, vowels, tones on one letter
# What Unicode calls ignorable or shows as a blank, though Python calls it printable.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
WORDS = ("null", "none", "true", "false", "yes", "no", "on", "off")  # no texts in YAML, or on Hydra's command line


def check_name(where: str, name: Any) -> None:
    """Refuse a name that would not be shown as it is, or that could not be told from another one.

    Args:
        where: the file or key that has it, and what it is the name of.

    Raises:
        ValueError: no text, empty or too long, with blanks at an end or several in a row, with characters that cannot
            be seen (control and format characters, marks of direction, line breaks, other blanks than the usual one),
            or in another form of Unicode than NFC; marks that would be drawn over other letters or lines.
    """
    if not isinstance(name, str):
        raise ValueError(f"{where}: name {excerpt(name)} is not a string (quote it)")
    if not name.strip():
        raise ValueError(f"{where}: name {excerpt(name)} is empty")
    if len(name) > LONGEST:
        raise ValueError(f"{where}: name {excerpt(name)} has {len(name)} characters; it may have {LONGEST}")
    unseen = next((letter for letter in name if not letter.isprintable() or INVISIBLE.match(letter)), None)
    if unseen is not None:
        called = unicodedata.name(unseen, "a control character").lower()
        raise ValueError(
            f"{where}: name {name!a} has a character that cannot be seen, {called} (U+{ord(unseen):04X}); leave it out"
        )
    marks = "".join("x" if unicodedata.category(letter).startswith("M") else " " for letter in name)
    if marks.startswith("x") or "x" * (MOST_MARKS + 1) in marks:
        raise ValueError(
            f"{where}: name {excerpt(ascii(name))} has marks without a letter, or more than {MOST_MARKS} on one; leave "
            "them out"
        )
    if (usual := " ".join(name.split())) != name:
        raise ValueError(
            f"{where}: name {name!r} has a blank at an end, or several in a row; it would be another one than {usual!r}"
        )
    if (composed := unicodedata.normalize("NFC", name)) != name:
        raise ValueError(
            f"{where}: name {name!a} looks like {composed!a}, but has other characters; write that one "
            "(Unicode's form NFC)"
        )


def check_key(where: str, name: Any, taken: Collection[str] = ()) -> None:
    """Refuse a name that could not be part of keys and of files' names, as those of datasets, streams and stages are.

    Args:
        taken: what means something else where such names stand.

    Raises:
        ValueError: as :func:`check_name`; anything but letters, digits, `_` and `-`, or none of the first two in front;
            what YAML reads as something else than text; a name that is taken.
    """
    check_name(where, name)
    if not KEY.fullmatch(name):
        raise ValueError(
            f"{where}: name {name!r} becomes part of keys and of files' names; use letters (a to z), digits, _ and -, "
            "and begin with a letter or digit"
        )
    if name.lower() in WORDS or _is_number(name):
        raise ValueError(f"{where}: name {name!r} is read as another thing than a text in YAML; add a letter")
    if name in taken:
        raise ValueError(f"{where}: name {name!r} means something else in results or pictures; choose another one")


def check_path(where: str, name: Any) -> None:
    """Refuse a name that could not be a folder's, or those of folders in each other, parted by `/`.

    Raises:
        ValueError: as :func:`check_name` for each part, or one that begins with a dot or has a backslash.
    """
    for part in name.split("/") if isinstance(name, str) else [name]:
        check_name(where, part)
        if part.startswith(".") or "\\" in part:
            raise ValueError(
                f"{where}: name {name!r} becomes that of a folder; leave out dots in front and backslashes"
            )


def check_names(where: str, values: Any) -> None:
    """Refuse what is no list of names: a text would be taken letter by letter.

    Raises:
        ValueError: no list, something in it that is no text, or a name that stands there twice.
    """
    check_list(where, values)
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{where}: {excerpt(value)} is no text{' (quote it)' if is_scalar(value) else ''}")
    if repeated := repetitions(values):
        raise ValueError(f"{where}: {', '.join(map(repr, repeated))} occur more than once")


def check_list(where: str, values: Any) -> None:
    """Refuse what is no list.

    Raises:
        ValueError: it shows the list that was probably meant.
    """
    if not isinstance(values, Sequence) or isinstance(values, str):
        short = is_scalar(values) and str(values).isprintable() and len(str(values)) <= LONGEST
        meant = f"[{str(values).strip('[]')}]" if short else "[...]"  # '[a,b]' in quotes is a text
        meant = "[], or leave it out" if values is None else meant
        raise ValueError(f"{where}: expected a list, got {excerpt(values)} (write {meant})")


def repetitions(values: Sequence[Any]) -> list[Any]:
    """What stands more than once in a list, each once and in order."""
    return [value for place, value in enumerate(values) if value not in values[:place] and value in values[place + 1 :]]


def is_scalar(value: Any) -> bool:
    """Whether a value of YAML is neither a list nor a mapping nor null."""
    return isinstance(value, str | int | float)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
