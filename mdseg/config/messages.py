"""What commands say: one message for what the user can mend, one line for a remark."""

import errno
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException

from mdseg.config.composition import TRACEBACKS, WANTED, composed
from mdseg.system.ranks import lost_another_process, main_process
from mdseg.system.wording import Remark, visible


@contextmanager
def mistakes_as_messages(unless: bool = False) -> Iterator[None]:
    """One message instead of a traceback for errors that name what the user can mend; tracebacks for all others."""
    composed()
    with warnings_as_lines():
        try:
            yield
        except KeyboardInterrupt:
            print("mdseg: stopped", file=sys.stderr)
            sys.exit(130)
        except (ValueError, OSError, InstantiationException, OmegaConfBaseException) as error:
            if unless or WANTED:
                raise
            notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
            said = visible(f"{_message(error)}{notes}", lines=True)
            sys.exit(f"mdseg: {said}\n({TRACEBACKS}=1 shows where)")
        except RuntimeError as error:
            if unless or WANTED or not lost_another_process(error):
                raise
            sys.exit("mdseg: another process of this run failed; it says why" if main_process() else 1)


def _message(error: Exception) -> str:
    # What Hydra wraps while it builds an object says it in its cause; a worker's error ends with the message.
    if isinstance(error, InstantiationException):
        if not isinstance(error.__cause__, ValueError | OSError):
            return " ".join(str(error).split())
        foreign = re.match(r"Error in call to target '(?!mdseg\.)([\w.]+)'", str(error))
        error = error.__cause__
        if foreign:  # whose messages name neither themselves nor, in several lines, where they come from
            return f"{foreign[1]}: {' '.join(str(error).split())}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f"{error.filename}: {error.strerror}" + ("; make room, or ask for more (quota, ulimit)" if full else "")
    message = str(error).rstrip()
    if "Original Traceback" in message:
        last = message.rpartition("Traceback (most recent call last):")[2]
        said = re.search(r"^[\w.]+: (.*)", last, re.MULTILINE | re.DOTALL)
        return said[1] if said else message
    return re.split(r"\n\s+full_key:", message)[0] if isinstance(error, OmegaConfBaseException) else message


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings of mdseg as one line each, once, in the main process; all others as Python shows them."""
    said: set[str] = set()
    show = warnings.showwarning

    def say(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, Remark):
            show(message, category, filename, lineno, file, line)
        elif str(message) not in said and main_process():
            said.add(str(message))
            print(f"mdseg: warning: {visible(str(message))}", file=sys.stderr, flush=True)

    warnings.showwarning = say
    try:
        yield
    finally:
        warnings.showwarning = show
