"""Runs as small as they get."""

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Network, crops and datasets in miniature: whether the parts fit together, in seconds.
SMOKE = [
    "model.widths=[8,8,8,8,8]",
    "transform.crop=[32,48]",
    "transform.short_side=40",
    "evaluation.short_side=40",
    "streams.labelled.batch_size=4",
    "data.workers=0",
    "data.height=40",
    "data.fraction=0.02",
    "panels=0",
    "log_every=1",
    "trainer.enable_progress_bar=false",
    "trainer=cpu",
]
TIMEOUT = 300  # seconds


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m mdseg.run` with these arguments, in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "mdseg.run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


# Importing the libraries takes five seconds of CPU; mdseg itself is imported by every child anew.
SERVER = """
import faulthandler, json, os, runpy, signal, sys, tempfile
import albumentations, hydra, matplotlib.figure, pytorch_lightning, segmentation_models_pytorch
for line in sys.stdin:
    job = json.loads(line)
    if "ended" in job:
        pid, status = os.waitpid(job["ended"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
        continue
    child = os.fork()
    if child == 0:
        for number, path in enumerate([os.devnull, *job["outputs"]]):
            os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(job["timeout"])
        faulthandler.dump_traceback_later(job["timeout"] - 10)
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        tempfile.tempdir = None  # looked up anew, in this environment
        sys.path[0] = job["folder"]
        sys.argv = ["mdseg.run", *job["arguments"]]
        runpy.run_module("mdseg.run", run_name="__main__", alter_sys=True)
        sys.exit()
    print(child, flush=True)
"""


@functools.cache
def server() -> subprocess.Popen[str]:
    """A process that has imported the libraries and forks itself for every command."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    atexit.register(process.kill)
    return process


def ask(job: dict[str, Any]) -> int | None:
    """What the server answers."""
    process = server()
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


class Forked:
    """`python -m mdseg.run` under way, without the seconds of importing libraries; used like `subprocess.Popen`.

    Not for what ends with its process, as W&B does, or starts others (several devices).
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.arguments, self.returncode = arguments, None
        self.outputs = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, self.outputs, ignore_errors=True)
        paths = [self.outputs / name for name in ("stdout", "stderr")]
        for path in paths:
            path.touch()
        job = {"arguments": arguments, "folder": str(folder), "environment": dict(os.environ), "timeout": TIMEOUT}
        self.pid = ask(job | {"outputs": [str(path) for path in paths]})

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return (self.outputs / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.outputs / "stderr").read_text()

    def poll(self) -> int | None:
        """Its exit code, minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float = TIMEOUT) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.arguments, timeout)
            time.sleep(0.005)
        assert self.returncode != -signal.SIGALRM, f"{self.arguments} hangs: {self.stderr}"
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As :func:`command`, by :class:`Forked`."""
    process = Forked(folder, *arguments)
    code = process.wait(TIMEOUT + 10)
    return subprocess.CompletedProcess(arguments, code, process.stdout, process.stderr)
