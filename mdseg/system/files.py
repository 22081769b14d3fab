"""Files written so that nobody ever sees half of one."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LONG_NAME = 100  # bytes; file systems take 255, some 143


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error that writing to it raises (a full disk, a quota)."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch.save covers it with its own
        if isinstance(cause, OSError) and cause.filename is None:
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def refuse_irregular(path: Path) -> None:
    """Refuse what is there, but is no regular file: reading a pipe or a device may never end, a link may lead nowhere.

    Raises:
        ValueError: it says what it is.
    """
    if os.path.isfile(path) or not os.path.lexists(path):  # unlike Path's, also of a name that is too long
        return
    kinds = {"a folder": path.is_dir, "a pipe": path.is_fifo, "a socket": path.is_socket}
    kind = next((kind for kind, is_one in kinds.items() if is_one()), None)
    if kind is None:
        kind = "a device" if path.exists() else "a link that leads nowhere"
    raise ValueError(f"{path} is {kind}, expected a regular file; take it away, or put the file in its place")


def output_file(output: str, example: str) -> Path:
    """The file that a command is to write; where one is there already, it must be called like what it is replaced by.

    Args:
        output: as the command has it.
        example: a name with the suffix of such files.

    Raises:
        ValueError: a folder, a pipe or a device is in its place, or a file of another kind, which would be lost.
    """
    path, suffix = Path(output).expanduser(), Path(example).suffix
    if path.is_dir():
        raise ValueError(f"output={output} is a folder; give a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"output={output} is a pipe or a device; give the name of a file")
    if path.exists() and path.suffix.lower() != suffix:
        raise ValueError(f"output={output} exists and is not called *{suffix}: give a new file, such as {example}")
    return path


def no_torch_file(path: Path) -> str | None:
    """Why a file cannot be one that `torch.save` wrote, from how it begins; null: it may be one."""
    with path.open("rb") as file:
        begin = file.read(24)
    if begin.startswith((b"PK", b"\x80")):  # a zip archive, or the pickle of older versions
        return None
    shown = f"it begins with {begin!r}" if begin else "it is empty"
    return f"{shown}: no file of torch.save, perhaps a page or a pointer that was downloaded in its place"


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one and nothing between.

    The temporary file lies in the same folder (a rename across file systems is not atomic) and is removed when writing
    fails.

    Raises:
        OSError: it cannot be written.
        ValueError: what is there is no regular file.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        refuse_irregular(path)  # a rename would put a file in the place of a device
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = temporary(path)
    try:
        with naming(path), unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        try:
            unfinished.replace(path)
        except OSError as error:  # which names the unfinished one
            raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def temporary(path: Path) -> Path:
    """What a file is called while it is written; of a long name its hash, so that it is no longer than others."""
    name = os.fsencode(path.name)
    short = path.name if len(name) <= LONG_NAME else hashlib.blake2b(name, digest_size=16).hexdigest()
    return path.with_name(f".{short}.{os.getpid()}.tmp")


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))
