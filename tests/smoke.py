"""Runs as small as they get."""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

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
import json, os, runpy, signal, sys
import albumentations, hydra, matplotlib.figure, pytorch_lightning, segmentation_models_pytorch
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, path in enumerate([os.devnull, *job["outputs"]]):
            os.dup2(os.open(path, os.O_RDWR), number)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(job["timeout"])
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.path[0] = job["folder"]
        sys.argv = ["mdseg.run", *job["arguments"]]
        runpy.run_module("mdseg.run", run_name="__main__", alter_sys=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
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


def forked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As :func:`command`, without the seconds that Python takes to import the libraries.

    Not for what ends with its process, as W&B does, or starts others (several devices).
    """
    with tempfile.TemporaryDirectory() as outputs:
        paths = [Path(outputs) / name for name in ("stdout", "stderr")]
        for path in paths:
            path.touch()
        job = {"arguments": arguments, "folder": str(folder), "environment": dict(os.environ), "timeout": TIMEOUT}
        process = server()
        process.stdin.write(json.dumps(job | {"outputs": [str(path) for path in paths]}) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        if code == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(arguments, TIMEOUT)
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in paths))
