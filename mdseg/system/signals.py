"""Being told to stop: SIGTERM of a scheduler, SIGINT of Ctrl-C, SIGHUP of a terminal that is gone, a limit of time."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OUT_OF_TIME = 124  # exit code, that of the command `timeout`


class Stopped(SystemExit):
    """The run was told to stop; `code` is 128 + the signal's number, or `OUT_OF_TIME`."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(code)
        self.what = what


class StopSignals:
    """Turns the first signal into `Stopped`: at once, or after the training step under way, when that has been saved.

    A second signal ends the process at once. Lightning alone would leave with exit code 0 and nothing saved. A limit of
    time stops in the same way, where somebody asks :meth:`told`.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.begun, self.seconds = time.monotonic(), float("inf")
        self.stepping = False
        self.forward: Callable[[int], None] | None = None

    def __enter__(self) -> "StopSignals":
        self.previous = self.listen()
        return self

    def listen(self, forward: Callable[[int], None] | None = None) -> dict[int, Any]:
        """Take the signals, also from who has put a handler of its own before this one; returns those there were.

        Lightning does so for SIGTERM when a fit begins, and leaves at the end of the step with exit code 0 where the
        signal comes after the last callback, while the log is written.

        Args:
            forward: hands SIGTERM on to processes that this one has started.
        """
        self.forward = forward
        outlives = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # started by nohup
        taken = [number for number in SIGNALS if number != signal.SIGHUP or not outlives]
        return {number: signal.signal(number, self._receive) for number in taken}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.received = number
        if self.forward is not None and number == signal.SIGTERM:
            self.forward(number)
        if not self.stepping:
            self.leave("stopped")

    def limit(self, seconds: float) -> None:
        """Stop so many seconds after this was made."""
        self.seconds = seconds

    def told(self, ranks: int = 1) -> bool:
        """Whether a signal has come, or the time is over.

        Args:
            ranks: processes of the run that do not ask each other: by their clocks one might leave the others alone.
        """
        late = time.monotonic() - self.begun > self.seconds
        return self.received is not None or (late and ranks == 1)

    def leave(self, what: str) -> None:
        """Raise `Stopped`."""
        if self.received is None and self.seconds < float("inf"):
            raise Stopped(OUT_OF_TIME, f"{what}, since time_limit is over")
        raise Stopped(128 + (self.received or signal.SIGTERM), what)


def without_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What `sys.excepthook` may be in a command: Ctrl-C gets a line, everything else its traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print("mdseg: stopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
