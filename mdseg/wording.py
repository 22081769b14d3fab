"""How messages name things: the nearest name that exists, and lists that stay readable."""

import difflib
from collections.abc import Iterable, Sequence


class Remark(UserWarning):
    """What users should know of their data or configuration; commands print it as one line."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def shortened(names: Sequence[str], count: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - count
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:count])} and {more} more"
