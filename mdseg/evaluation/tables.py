"""Tables of results for people."""

import io
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def results_table(results: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent per evaluated dataset (rows) and stage (columns), and what the relations stage found.

    A stage that evaluated several networks has a column for each, its headline's first.
    """
    fits: dict[str, dict[str, Any]] = {}
    for name, stage in results["stages"].items():
        if "evaluation" in stage:
            networks = by_network(stage["evaluation"])
            fits |= {f"{name}, {network}" if network else name: node for network, node in networks.items()}
    title = f"{results['experiment']}: mIoU % (classes present), seed {results['seed']}"
    table = Table()
    table.add_column("dataset")
    table.add_column("role")
    for name in fits:
        table.add_column(name, justify="right")
    evaluations = list(fits.values())
    # A stage may evaluate other datasets than the others.
    datasets = {name: entry for node in evaluations for name, entry in node["datasets"].items()}
    for dataset, entry in datasets.items():
        entries = [node["datasets"].get(dataset, {}) for node in evaluations]
        table.add_row(dataset, entry["role"], *(shown(each["miou"]) if each else "–" for each in entries))
        reported = results.get("row") is not None or entry["role"] == "target"  # elsewhere no paper averages over them
        for subset in entry["subsets"] if reported else ():
            table.add_row(f"  {subset}", "", *(shown(each["subsets"][subset]) if each else "–" for each in entries))
    for role in dict.fromkeys(role for node in evaluations for role in node["mean_miou"]):
        table.add_row(
            "mean",
            role,
            *(shown(node["mean_miou"][role]) if role in node["mean_miou"] else "–" for node in evaluations),
            style="bold",
        )
    found = [_relations(stage) for stage in results["stages"].values() if "found" in stage]
    return "\n".join([title, render(table, width), *found])


def by_network(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results of every network by its name, the headline's first.

    A network without others beside it has the empty name.
    """
    others = {name: node for name, node in evaluation.items() if isinstance(node, dict) and "datasets" in node}
    return {evaluation.get("network", ""): evaluation, **others}


def evaluation_table(document: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent of every dataset of an `evaluation.json`, and how many of its classes the model answers."""
    network = f" ({document['network']})" if document["network"] else ""
    title = f"{document['experiment']}, {document['stage']}{network} after {document['steps']} steps"
    title += ": mIoU % (classes present)"
    table = Table()
    for column in ("dataset", "role", "split"):
        table.add_column(column)
    for column in ("images", "classes", "mIoU"):
        table.add_column(column, justify="right")
    datasets, means = document["evaluation"]["datasets"], document["evaluation"]["mean_miou"]
    for name, entry in datasets.items():
        total = len(entry["iou"])
        answered = f"{total - len(entry['no_channel'])} of {total}"
        table.add_row(name, entry["role"], entry["split"], str(entry["images"]), answered, shown(entry["miou"]))
    for role in means if len(datasets) > 1 else ():
        table.add_row("mean", role, "", "", "", shown(means[role]), style="bold")
    return f"{title}\n{render(table, width)}"


def class_table(document: dict[str, Any], name: str, width: int = 110) -> str:
    """IoU in percent of every class of one dataset of an `evaluation.json`."""
    entry = document["evaluation"]["datasets"][name]
    table = Table()
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for label, value in entry["iou"].items():
        missing = "no channel" if label in entry["no_channel"] else "absent"
        table.add_row(label, missing if value is None else shown(value))
    table.add_row("mean", shown(entry["miou"]), style="bold")
    for subset, value in entry["subsets"].items():
        table.add_row(f"mean of {subset}", shown(value))
    return f"{name}: IoU %\n{render(table, width)}"


def shown(value: float | None) -> str:
    """A share in percent; an undefined one as a word."""
    return "undefined" if value is None else percent([value])


def percent(values: Sequence[float]) -> str:
    """Mean of shares in percent, of several with their standard deviation; empty without any."""
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


def render(table: Table, width: int) -> str:
    """A table as text, without colours."""
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=False, markup=False, emoji=False, highlight=False).print(table)
    return text.getvalue().rstrip()
