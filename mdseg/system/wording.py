"""How messages name things: the nearest name that exists, values and lists that stay readable."""

import difflib
import reprlib
from collections.abc import Iterable, Sequence


class Remark(UserWarning):
    """What users should know of their data or configuration; commands print it as one line."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one probably means, if any is close."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is close."""
    close = closest(name, known)
    return f" (did you mean {close}?)" if close else ""


def shortened(names: Sequence[str], count: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - count
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:count])} and {more} more"


def printable(text: str) -> str:
    """A text for a terminal: names of files and what stands in them may hold what would command it, or turn a line."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def excerpt(value: object) -> str:
    """A value as it stands in YAML or nearly so: in one line, what cannot be seen escaped, cut where it is long."""
    return "null" if value is None else _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
