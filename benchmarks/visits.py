"""How often a configuration climbs into the code that reads it, on its way to the first training step.

python -m benchmarks.visits OLD NEW

Counted by a trace of one run of each checkout: calls that enter a module which reads configurations (0.1: configuration
and stages; since then: config, and the stages room) from another module of mdseg, with a configuration among the
arguments.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.first_step import EXPERIMENT
from benchmarks.same import checkout, watched


def visits(checkout: Path, cache: Path) -> dict[str, dict[str, int]]:
    """Room → function → how often it was called so."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "visits"
        watched("visits", file, [EXPERIMENT, "data.fraction=0.05", "data.workers=0", f"runs={folder}"], checkout, cache)
        return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=checkout, metavar="OLD")
    parser.add_argument("new", type=checkout, metavar="NEW")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        for name, path in (("OLD", options.old), ("NEW", options.new)):
            for room, functions in visits(path, Path(cache)).items():
                calls = ", ".join(f"{function} {count}" for function, count in sorted(functions.items()))
                print(f"{name}, {room}: {sum(functions.values())} calls of {len(functions)} functions ({calls})")


if __name__ == "__main__":
    main()
