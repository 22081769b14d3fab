"""Whether two checkouts of mdseg behave the same, to the last bit, on this machine.

python -m benchmarks.same OLD NEW

Both run every experiment, one after the other, 20 steps a stage on a twentieth of the scenes, which OLD generates.
Compared are the weights at the end of every stage, results.json, and which images every batch holds, in which order.
Numbers need not be the same on another machine, so none are stored.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

CASES = {  # name → what its command says, as NEW spells it
    "uniseg_cibm": ["experiment=uniseg_cibm", "stage.null_bce.steps=20", "stage.class_relational.steps=20"],
    "iw_multi": ["experiment=gta5_cityscapes", "row=iw_multi", "stage.source.steps=20", "stage.adapt.steps=20"],
    "daformer_blv_tv": [
        "experiment=gta5_cityscapes",
        "row=daformer_blv_tv",
        "stage.source.steps=20",
        "stage.adapt.steps=20",
    ],
    "blv_semi_cityscapes": ["experiment=blv_semi_cityscapes", "steps=20"],
    "supervised_camvid": ["experiment=supervised_camvid", "steps=20"],
}
WORKERS = (0, 2)
SETTINGS = ["data.fraction=0.05", "seed=0", "log_every=1", "panels=0", "trainer.enable_progress_bar=false"]

RENAMED: dict[str, str] = {}  # names of tensors, OLD's → NEW's
ON_ONE_SIDE: frozenset[str] = frozenset()  # names of tensors that only one checkout may have, as NEW spells them
COSTS = {"seconds", "images_per_second", "peak_memory_mb"}  # keys of results.json
WORDING = {"experiment", "row", "family", "scale"}  # keys of results.json that say what was run, at its top

WATCH = Path(__file__).resolve().parent / "watch.py"
SHOWN = 5  # differences per comparison


class Run(NamedTuple):
    """What is left of a run: its folder, and its batches as benchmarks.watch describes them."""

    folder: Path
    batches: list[dict[str, Any]]


class Comparison(NamedTuple):
    """What was compared, how much of it, and what differs."""

    what: str
    amount: str
    differences: list[str]


def environment(checkout: Path, cache: Path) -> dict[str, str]:
    """Variables of a process that runs a checkout: its package, one thread, and a cache of scenes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MDSEG_")}
    return inherited | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "MDSEG_CACHE": str(cache)}


def watched(what: str, file: Path, arguments: list[str], checkout: Path, cache: Path) -> None:
    """Run a checkout under benchmarks.watch, which writes the file; what a broken-off run leaves lies beside it.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    subprocess.run(
        [sys.executable, "-P", str(WATCH), what, str(file), *arguments],
        cwd=checkout,
        env=environment(checkout, cache) | {"TMPDIR": str(file.parent)},
        capture_output=True,
        text=True,
        check=True,
    )


def spelled(overrides: list[str], checkout: Path) -> list[str]:
    """The overrides in the words of a checkout: rows were once called sweeps."""
    if (checkout / "conf" / "row").is_dir():
        return overrides
    return [
        f"sweep={override.removeprefix('row=')}" if override.startswith("row=") else override for override in overrides
    ]


def carry_out(checkout: Path, case: str, workers: int, folder: Path, cache: Path) -> Run:
    """Run a case in a checkout; the class counts that another run has kept are counted anew.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    shutil.rmtree(cache / "statistics", ignore_errors=True)
    folder.mkdir()
    batches = folder / "batches.jsonl"
    overrides = [*spelled(CASES[case], checkout), *SETTINGS, f"data.workers={workers}", f"runs={folder / 'runs'}"]
    watched("batches", batches, overrides, checkout, cache)
    (results,) = (folder / "runs").glob("*/*/results.json")
    return Run(results.parent, [json.loads(line) for line in batches.read_text().splitlines()])


def compare(old: Run, new: Run) -> Iterator[Comparison]:
    """Every comparison of two runs."""
    paths = [path for run in (old, new) for path in run.folder.glob("*/checkpoints/last.ckpt")]
    trained = dict.fromkeys(path.parent.parent.name for path in sorted(paths, key=lambda path: path.stat().st_mtime))
    for stage in trained:
        yield compare_weights(stage, *(run.folder / stage / "checkpoints" / "last.ckpt" for run in (old, new)))
    if not trained:
        yield Comparison("weights", "", ["there is no checkpoint"])
    yield compare_results(old.folder / "results.json", new.folder / "results.json")
    for kind in ("training", "evaluation"):
        yield compare_batches(kind, *([batch for batch in run.batches if batch["kind"] == kind] for run in (old, new)))


def compare_weights(stage: str, old: Path, new: Path) -> Comparison:
    """The tensors of two checkpoints."""
    missing = [f"there is no {path}" for path in (old, new) if not path.exists()]
    if missing:
        return Comparison(stage, "", missing)
    before, after = (torch.load(path, map_location="cpu", weights_only=True)["state_dict"] for path in (old, new))
    renamed = {RENAMED.get(name, name): value for name, value in before.items()}
    if len(renamed) < len(before):
        raise ValueError("RENAMED gives two tensors one name")
    names = [name for name in {**renamed, **after} if name not in ON_ONE_SIDE or (name in renamed and name in after)]
    found = [difference(name, renamed, after) for name in names]
    return Comparison(stage, f"{len(names)} tensors", [text for text in found if text] if names else ["no tensors"])


def difference(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """In what an entry of two state dicts differs; empty where all bits are the same."""
    if name not in old or name not in new:
        return f"{name} only in {'NEW' if name in new else 'OLD'}"
    before, after = old[name], new[name]
    if not (isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)):
        return "" if repr(before) == repr(after) else f"{name} {before!r} → {after!r}"
    if (before.dtype, before.shape) != (after.dtype, after.shape):
        return f"{name} {before.dtype} {list(before.shape)} → {after.dtype} {list(after.shape)}"
    bits = [value.flatten().contiguous().view(torch.uint8) for value in (before, after)]
    return "" if torch.equal(*bits) else f"{name} by up to {(before.double() - after.double()).abs().max():.2g}"


def compare_results(old: Path, new: Path) -> Comparison:
    """Two results.json without what runs cost and what they are called."""
    values = []
    for path in (old, new):
        results = json.loads(path.read_text())
        values.append(dict(leaves({key: value for key, value in results.items() if key not in WORDING})))
    before, after = ({path: repr(value) for path, value in side.items()} for side in values)
    changes = [
        f"{'.'.join(path)} {before.get(path, '(none)')} → {after.get(path, '(none)')}"
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]
    return Comparison("results.json", f"{len(before)} values", changes)


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths and values of nested mappings and lists, costs left out; an empty one is a value."""
    inner = dict(enumerate(node)) if isinstance(node, list) else node
    if not isinstance(inner, dict) or not inner:
        yield path, node
        return
    for key, value in inner.items():
        if key not in COSTS:
            yield from leaves(value, (*path, str(key)))


def compare_batches(kind: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Comparison:
    """The images of two sequences of batches: their datasets, where both sides have the same names for them, and keys.

    The order within a batch counts unless a side groups the images of a stream.
    """
    if not old or not new:
        return Comparison(f"{kind} batches", "", [f"{len(old)} → {len(new)} batches"])
    grouped = any(batch["grouped"] for batch in (*old, *new))
    named = dataset_names(old) == dataset_names(new)
    before, after = ([contents(batch, named, grouped) for batch in side] for side in (old, new))
    changes = [f"batch {i} {b} → {a}" for i, (b, a) in enumerate(zip(before, after, strict=False), 1) if b != a]
    if len(old) != len(new):
        changes.append(f"{len(old)} → {len(new)} batches")
    without = [text for text, said in ((", keys alone", not named), (", in any order", grouped)) if said]
    return Comparison(f"{kind} batches", f"{len(old)} batches{''.join(without)}", changes)


def dataset_names(batches: list[dict[str, Any]]) -> set[type]:
    """How samples say which dataset they are of: by index, by name, not at all."""
    return {type(dataset) for batch in batches for stream in batch["streams"].values() for dataset, _ in stream}


def contents(batch: dict[str, Any], named: bool, grouped: bool) -> dict[str, list]:
    """The samples of every stream as they are compared."""
    streams = {
        name: [tuple(sample) if named else sample[1] for sample in stream] for name, stream in batch["streams"].items()
    }
    return {name: sorted(stream) for name, stream in streams.items()} if grouped else streams


def line(comparison: Comparison) -> str:
    """What a comparison found, in one line."""
    what, amount, differences = comparison
    if not differences:
        return f"{what}: {amount} equal"
    more = f"; {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
    return f"{what}: DIFFERENT, {len(differences)} of {amount or 'all'}: {'; '.join(differences[:SHOWN])}{more}"


def check(case: str, workers: int, checkouts: tuple[Path, Path], cache: Path) -> list[bool]:
    """Run and compare one case, with a line for every comparison; whether each found no difference."""
    title = f"{case}, workers={workers}"
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for side, checkout in zip(("OLD", "NEW"), checkouts, strict=True):
            try:
                runs.append(carry_out(checkout, case, workers, Path(folder) / side, cache))
            except subprocess.CalledProcessError as error:
                tail = "\n".join(error.stderr.splitlines()[-20:])
                print(f"{title}: {side} FAILED, exit status {error.returncode}\n{tail}", flush=True)
                return [False]
        comparisons = list(compare(*runs))
    for comparison in comparisons:
        print(f"{title}, {line(comparison)}", flush=True)
    return [not comparison.differences for comparison in comparisons]


def checkout(path: str) -> Path:
    """The folder of a checkout, for argparse."""
    folder = Path(path).resolve()
    if not (folder / "mdseg" / "run.py").is_file() or not (folder / "conf").is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no checkout of mdseg (there is no mdseg/run.py or no conf)")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=checkout, metavar="OLD")
    parser.add_argument("new", type=checkout, metavar="NEW")
    parser.add_argument("--only", action="append", choices=CASES, help="this experiment; may be repeated")
    parser.add_argument("--workers", action="append", type=int, choices=WORKERS, help="this number; may be repeated")
    options = parser.parse_args()
    equal = []
    with tempfile.TemporaryDirectory() as cache:
        for case in options.only or CASES:
            for workers in options.workers or WORKERS:
                equal += check(case, workers, (options.old, options.new), Path(cache))
    different = equal.count(False)
    print(f"{different} of {len(equal)} differ or failed" if different else f"the same: {len(equal)} comparisons")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
