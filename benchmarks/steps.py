"""Training steps of two checkouts of mdseg: seconds per step that runs of both report, side by side.

python -m benchmarks.steps OLD NEW

Both run at the same time, each with one thread on a core of its own, and change cores from round to round: whatever
else slows the machine slows both. Once as at `scale=demo`, and once with network and images in miniature, where the
difference of the two is nearly all that mdseg itself adds to a step. Linux only: it pins processes to cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.first_step import EXPERIMENT, spread
from benchmarks.same import checkout, environment

STEPS, ROUNDS = 100, 10
SMALL = ["stages=[null_bce]", f"stage.null_bce.steps={STEPS}", "evaluate.unseen=[]", "evaluate.seen=[cityscapes]"]
SMALL += ["data.workers=0", "panels=0", "trainer.enable_progress_bar=false"]
MINIATURE = ["model.widths=[8,8,8,8,8]", "transform.crop=[32,48]", "transform.short_side=40", "data.height=40"]
SIZES = {
    "demo": ["data.fraction=0.1"],
    "miniature": ["data.fraction=0.02", "evaluation.short_side=40", "streams.labelled.batch_size=4", *MINIATURE],
}


def round_of(paths: tuple[Path, ...], cores: tuple[int, ...], cache: Path, sizes: list[str]) -> list[float]:
    """Seconds per training step of a short run of every checkout, all at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for number, (path, core) in enumerate(zip(paths, cores, strict=True)):
            run = [sys.executable, "-m", "mdseg.run", EXPERIMENT, *SMALL, *sizes, f"runs={folder}/{number}"]
            command = ["taskset", "--cpu-list", str(core), *run]
            variables = environment(path, cache)
            processes.append(subprocess.Popen(command, cwd=path, env=variables, stdout=subprocess.DEVNULL))
        statuses = [process.wait() for process in processes]
        if any(statuses):
            sys.exit("a run failed; its message is above")
        results = [next(Path(folder, str(number)).glob("*/*/results.json")) for number in range(len(paths))]
        return [json.loads(path.read_text())["stages"]["null_bce"]["seconds"] / STEPS for path in results]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=checkout, metavar="OLD")
    parser.add_argument("new", type=checkout, metavar="NEW")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        parser.error("needs two cores")
    with tempfile.TemporaryDirectory() as cache:
        for name, sizes in SIZES.items():
            for path in (options.old, options.new):  # the cache of scenes is filled
                round_of((path,), (cores[0],), Path(cache), [*sizes, "stage.null_bce.steps=1"])
            rounds = [
                round_of((options.old, options.new), (cores[turn % 2], cores[1 - turn % 2]), Path(cache), sizes)
                for turn in range(ROUNDS)
            ]
            old, new = zip(*rounds, strict=True)
            ratio = statistics.geometric_mean(after / before for before, after in rounds)
            print(f"{name}: a step of OLD {spread(old)}, of NEW {spread(new)}, geometric mean NEW/OLD {ratio:.3f}")


if __name__ == "__main__":
    main()
