"""Processes that make batches: how they begin and how they end."""

import multiprocessing
import os
import signal
import socket
import tempfile
import weakref
from typing import Any, ClassVar

import cv2
from torch.utils.data import DataLoader

from mdseg.system.signals import SIGNALS


def start_worker(_: int) -> None:
    """Workers leave signals to the main process, which saves first, and OpenCV's threads off."""
    cv2.setNumThreads(0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Loader(DataLoader):
    """A loader whose workers are ended by :func:`end_workers`, wherever an error has left its iterator."""

    iterators: ClassVar[weakref.WeakSet] = weakref.WeakSet()

    def __iter__(self) -> Any:
        """As usual, remembered while workers are at it."""
        if self.num_workers:
            check_handing_on()
        iterator = super().__iter__()
        if self.num_workers:
            self.iterators.add(iterator)
        return iterator


def check_handing_on() -> None:
    """Try what workers hand on batches by, a socket in a folder of its own among temporary files.

    Python only prints that there cannot be one, and whoever waits for the batch waits forever.

    Raises:
        ValueError: there cannot be one: the folder's path is too long, or its file system has none.
    """
    at = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory(prefix="pymp-") as folder, socket.socket(socket.AF_UNIX) as handing_on:
            handing_on.bind(os.path.join(folder, "listener-12345678"))
    except OSError as error:
        raise ValueError(
            f"temporary files lie in {at}, where workers cannot hand on batches ({error.strerror or error}); set "
            "TMPDIR to a folder with a short path on a disk of this machine, such as TMPDIR=/tmp, or data.workers=0"
        ) from error


def end_workers() -> None:
    """What an error leaves of a loader: they ignore SIGTERM, so at exit Python would wait for them forever.

    They are asked first, as PyTorch does it: one that is killed may hold the lock of the event by which they are asked,
    and whoever ends its loader afterwards would wait for that. And it would leave its temporary folder.
    """
    for iterator in list(Loader.iterators):
        iterator._shutdown_workers()
    # PyTorch's handler would raise in whatever comes next, such as the next job of a sweep.
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def cores() -> int:
    """Cores that this process may use; with more workers than that, PyTorch warns. Batches do not depend on it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
