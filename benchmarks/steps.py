"""Training steps of two checkouts of mdseg: seconds per step that runs of both report, in turns.

python -m benchmarks.steps OLD NEW

Once as at `scale=demo`, and once with network and images in miniature, where the difference of the two is nearly all
that mdseg itself adds to a step.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.first_step import EXPERIMENT, spread
from benchmarks.same import checkout, environment

STEPS, ROUNDS = 100, 5
SMALL = ["stages=[null_bce]", f"stage.null_bce.steps={STEPS}", "evaluate.unseen=[]", "evaluate.seen=[cityscapes]"]
SMALL += ["data.workers=0", "panels=0", "trainer.enable_progress_bar=false"]
MINIATURE = ["model.widths=[8,8,8,8,8]", "transform.crop=[32,48]", "transform.short_side=40", "data.height=40"]
SIZES = {
    "demo": ["data.fraction=0.1"],
    "miniature": ["data.fraction=0.02", "evaluation.short_side=40", "streams.labelled.batch_size=4", *MINIATURE],
}


def step_seconds(path: Path, cache: Path, sizes: list[str]) -> float:
    """Seconds per training step of a short run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mdseg.run", EXPERIMENT, *SMALL, *sizes, f"runs={folder}"]
        subprocess.run(command, cwd=path, env=environment(path, cache), stdout=subprocess.DEVNULL, check=True)
        (results,) = Path(folder).glob("*/*/results.json")
        return json.loads(results.read_text())["stages"]["null_bce"]["seconds"] / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=checkout, metavar="OLD")
    parser.add_argument("new", type=checkout, metavar="NEW")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        for name, sizes in SIZES.items():
            rounds = [
                [step_seconds(path, Path(cache), sizes) for path in (options.old, options.new)]
                for _ in range(ROUNDS + 1)
            ]
            old, new = zip(*rounds[1:], strict=True)  # the first fills caches
            ratio = statistics.median(after / before for before, after in rounds[1:])
            print(f"{name}: a step of OLD {spread(old)}, of NEW {spread(new)}, median NEW/OLD of a round {ratio:.3f}")


if __name__ == "__main__":
    main()
