"""Tables of results."""

import io
from typing import Any

from rich.console import Console
from rich.table import Table


def results_table(results: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent per evaluated dataset (rows) and stage (columns), and what the relations stage found."""
    fits = {name: stage for name, stage in results["stages"].items() if "evaluation" in stage}
    table = Table(
        title=f"{results['experiment']}: mIoU % (classes present), seed {results['seed']}", title_justify="left"
    )
    table.add_column("dataset")
    table.add_column("role")
    for name in fits:
        table.add_column(name, justify="right")
    evaluations = [stage["evaluation"] for stage in fits.values()]
    for dataset, entry in evaluations[-1]["datasets"].items() if evaluations else ():
        table.add_row(dataset, entry["role"], *(_percent(e["datasets"][dataset]["miou"]) for e in evaluations))
    for role in evaluations[-1]["mean_miou"] if evaluations else ():
        table.add_row("mean", role, *(_percent(e["mean_miou"][role]) for e in evaluations), style="bold")
    return "\n".join(
        [_render(table, width), *(_relations(stage) for stage in results["stages"].values() if "found" in stage)]
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _relations(stage: dict[str, Any]) -> str:
    line = f"relations: {stage['num_found']} found (tau {stage['tau']}, {stage['score']} scores)"
    if truth := stage.get("against_truth"):
        precision, recall = (
            "undefined" if truth[name] is None else f"{truth[name]:.2f}" for name in ("precision", "recall")
        )
        line += (
            f"; against the known truth, primaries with at least {truth['min_pixels']} pixels: "
            f"precision {precision} ({truth['right']}/{truth['found']}), "
            f"recall {recall} ({truth['right']}/{truth['true']})"
        )
    return line


def _render(table: Table, width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue().rstrip()
