"""What a command prints, and who reads it."""

import io
import os
import stat
import sys


class Unread(io.FileIO):
    """A pipe that nobody may read any more: from then on what is written goes nowhere."""

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write as usual; once the reader is gone, pretend to."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def outlive_readers() -> None:
    """Let a command go on when what reads its output has ended, as `| head` does: work and files do not depend on it.

    Python would raise an error wherever the next line is printed, in the middle of a training too, and another at exit.
    Nor on what the output cannot show: a terminal of another encoding than UTF-8, the name of a file that is no text.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        if stream is None or stream is not getattr(sys, f"__{name}__") or not is_pipe(stream.fileno()):
            continue
        stream.flush()
        raw: io.RawIOBase = Unread(stream.fileno(), "wb", closefd=False)
        binary = io.BufferedWriter(raw)
        how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
        setattr(sys, name, io.TextIOWrapper(binary, stream.encoding, stream.errors, **how))


def is_pipe(descriptor: int) -> bool:
    """Whether something else reads what is written there."""
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode) or stat.S_ISSOCK(os.fstat(descriptor).st_mode)
