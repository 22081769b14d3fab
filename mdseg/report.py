"""Tables of results: of one run, or of all runs below a folder, averaged over seeds.

python -m mdseg.report runs/
"""

import io
import json
import shlex
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# What differs between runs of the same setting: not part of a setting's name.
NOT_A_SETTING = (
    "experiment=",
    "seed=",
    "runs=",
    "run_folder=",
    "trainer",
    "logger",
    "data.root=",
    "data.workers=",
    "hydra.",
    "hydra/",
)


def results_table(results: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent per evaluated dataset (rows) and stage (columns), and what the relations stage found."""
    fits = {name: stage for name, stage in results["stages"].items() if "evaluation" in stage}
    title = f"{results['experiment']}: mIoU % (classes present), seed {results['seed']}"
    table = Table()
    table.add_column("dataset")
    table.add_column("role")
    for name in fits:
        table.add_column(name, justify="right")
    evaluations = [stage["evaluation"] for stage in fits.values()]
    for dataset, entry in evaluations[-1]["datasets"].items() if evaluations else ():
        table.add_row(dataset, entry["role"], *(_shown(e["datasets"][dataset]["miou"]) for e in evaluations))
    for role in evaluations[-1]["mean_miou"] if evaluations else ():
        table.add_row("mean", role, *(_percent([e["mean_miou"][role]]) for e in evaluations), style="bold")
    found = [_relations(stage) for stage in results["stages"].values() if "found" in stage]
    return "\n".join([title, _render(table, width), *found])


def evaluation_table(document: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent of every dataset of an `evaluation.json`, and how many of its classes the model answers."""
    title = f"{document['experiment']}, {document['stage']} after {document['steps']} steps: mIoU % (classes present)"
    table = Table()
    for column in ("dataset", "role", "split"):
        table.add_column(column)
    for column in ("images", "classes", "mIoU"):
        table.add_column(column, justify="right")
    datasets, means = document["evaluation"]["datasets"], document["evaluation"]["mean_miou"]
    for name, entry in datasets.items():
        total = len(entry["iou"])
        answered = f"{total - len(entry['no_channel'])} of {total}"
        table.add_row(name, entry["role"], entry["split"], str(entry["images"]), answered, _shown(entry["miou"]))
    for role in means if len(datasets) > 1 else ():
        table.add_row("mean", role, "", "", "", _shown(means[role]), style="bold")
    return f"{title}\n{_render(table, width)}"


def class_table(document: dict[str, Any], name: str, width: int = 110) -> str:
    """IoU in percent of every class of one dataset of an `evaluation.json`."""
    entry = document["evaluation"]["datasets"][name]
    table = Table()
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for label, value in entry["iou"].items():
        missing = "no channel" if label in entry["no_channel"] else "absent"
        table.add_row(label, missing if value is None else _shown(value))
    table.add_row("mean", _shown(entry["miou"]), style="bold")
    return f"{name}: IoU %\n{_render(table, width)}"


def summary_table(folder: Path, width: int = 130) -> str:
    """Mean mIoU in percent of every setting and stage below a folder: mean ± standard deviation over its runs.

    Raises:
        FileNotFoundError: there is no results.json below the folder.
    """
    runs = sorted(folder.rglob("results.json"))
    if not runs:
        raise FileNotFoundError(f"{folder}: no results.json below it; give a folder of runs")
    groups: dict[tuple[str, ...], list[dict[str, float]]] = defaultdict(list)
    for path in runs:
        results = json.loads(path.read_text())
        for name, stage in results["stages"].items():
            if "evaluation" in stage:
                key = (results["experiment"], results["scale"], _setting(path.parent), name)
                groups[key].append(stage["evaluation"]["mean_miou"])
    roles = list(dict.fromkeys(role for group in groups.values() for means in group for role in means))
    table = Table()
    for column in ("experiment", "scale", "setting", "stage"):
        table.add_column(column, overflow="fold")
    for column in ("runs", *roles):
        table.add_column(column, justify="right", no_wrap=True)
    for key, group in sorted(groups.items()):
        values = (_percent([means[role] for means in group if role in means]) for role in roles)
        table.add_row(*key, str(len(group)), *values)
    return f"mean mIoU % (classes present), mean ± standard deviation over runs\n{_render(table, width)}"


def _setting(run: Path) -> str:
    command = run / "command.txt"
    words = shlex.split(command.read_text())[3:] if command.is_file() else []
    return " ".join(word for word in words if not word.startswith(NOT_A_SETTING))


def _shown(value: float | None) -> str:
    return "undefined" if value is None else _percent([value])


def _percent(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def _relations(stage: dict[str, Any]) -> str:
    line = f"relations: {stage['num_found']} found (tau {stage['tau']}, {stage['score']} scores)"
    if truth := stage.get("against_truth"):
        precision, recall = (
            "undefined" if truth[name] is None else f"{truth[name]:.2f}" for name in ("precision", "recall")
        )
        line += (
            f";\nagainst the known truth, primaries with at least {truth['min_pixels']} pixels: "
            f"precision {precision} ({truth['right']}/{truth['found']}), "
            f"recall {recall} ({truth['right']}/{truth['true']})"
        )
    return line


def _render(table: Table, width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=False, markup=False, emoji=False, highlight=False).print(table)
    return text.getvalue().rstrip()


def main() -> None:
    usage = (__doc__ or "").strip()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage)
        return
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(usage)
    try:
        print(summary_table(Path(sys.argv[1])))
    except FileNotFoundError as error:
        sys.exit(f"mdseg: {error}")


if __name__ == "__main__":
    main()
