"""Commands whose reader has ended, as `| head` does."""

import os
import subprocess
import sys

import pytest

MODULES = ["run", "evaluate", "predict", "report", "compare", "activations", "data", "scenes"]


def unread(folder, *arguments, also_stderr=False):
    """A command that nobody reads from the beginning; what it says on stderr, unless nobody reads that either."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=writer,
            stderr=writer if also_stderr else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize("module", MODULES)
def test_a_command_that_nobody_reads_ends_as_if_somebody_did(module, tmp_path):
    ended = unread(tmp_path, "-m", f"mdseg.{module}", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")


WORK = """
import sys
from pathlib import Path
from mdseg.system.output import outlive_readers
outlive_readers()
for number in range(3):
    print("line", flush=True)
    print("line", file=sys.stderr)
    Path(str(number)).touch()
"""


@pytest.mark.parametrize("also_stderr", [False, True])
def test_work_goes_on_when_its_reader_has_ended(tmp_path, also_stderr):
    ended = unread(tmp_path, "-c", WORK, also_stderr=also_stderr)
    assert ended.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
    assert ended.stderr == (None if also_stderr else "line\n" * 3)


def test_what_is_read_is_whole(tmp_path):
    code = "from mdseg.system.output import outlive_readers; outlive_readers(); print('é' * 100_000); exit('no')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("é" * 100_000 + "\n", "no\n", 1)
