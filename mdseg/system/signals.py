"""Being told to stop: SIGTERM from a scheduler, SIGINT from Ctrl-C."""

import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Stopped(SystemExit):
    """The run was told to stop; `code` is 128 + the signal's number."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(128 + number)
        self.what = what


class StopSignals:
    """Turns the first signal into `Stopped`: at once, or after the training step under way, when that has been saved.

    A second signal ends the process at once. Lightning alone would leave with exit code 0 and nothing saved.
    """

    def __init__(self) -> None:
        self.received: int | None = None
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
        return {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}

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

    def leave(self, what: str) -> None:
        """Raise `Stopped`."""
        raise Stopped(self.received or signal.SIGTERM, what)


def without_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What `sys.excepthook` may be in a command: Ctrl-C gets a line, everything else its traceback."""
    if issubclass(kind, KeyboardInterrupt):
        print("mdseg: stopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
