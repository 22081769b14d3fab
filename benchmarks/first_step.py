"""How long two checkouts of mdseg take until the first training step has ended, and until the command line answers.

python -m benchmarks.first_step OLD NEW

They take turns, five runs each, with one thread. Scenes lie ready, and a run of each that is not counted comes first:
OLD's generates the scenes, and both write the byte code.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.same import checkout, environment, watched

EXPERIMENT = "experiment=uniseg_cibm"
ANSWERS = (["--help"], ["--cfg", "job", EXPERIMENT])
ROUNDS = 5


def first_step_seconds(checkout: Path, cache: Path) -> float:
    """From the start of the process to the end of its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "moment"
        start = time.monotonic()
        watched("first_step", file, [EXPERIMENT, f"runs={folder}"], checkout, cache)
        return float(file.read_text()) - start


def answer_seconds(arguments: list[str], checkout: Path, cache: Path) -> float:
    """From the start of the process to its end."""
    command = [sys.executable, "-m", "mdseg.run", *arguments]
    start = time.monotonic()
    subprocess.run(command, cwd=checkout, env=environment(checkout, cache), stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start


def spread(times: Sequence[float]) -> str:
    """Their median, and from where to where they reach."""
    return f"{statistics.median(times):.3g} s ({min(times):.3g} to {max(times):.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=checkout, metavar="OLD")
    parser.add_argument("new", type=checkout, metavar="NEW")
    options = parser.parse_args()
    cases = {f"first step of {EXPERIMENT}": first_step_seconds}
    for arguments in ANSWERS:
        cases[" ".join(arguments)] = lambda *where, arguments=arguments: answer_seconds(arguments, *where)
    with tempfile.TemporaryDirectory() as cache:
        for name, seconds in cases.items():
            times = [[seconds(path, Path(cache)) for path in (options.old, options.new)] for _ in range(ROUNDS + 1)]
            old, new = zip(*times[1:], strict=True)
            ratio = statistics.median(new) / statistics.median(old)
            print(f"{name}: OLD {spread(old)}, NEW {spread(new)}, NEW/OLD {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
