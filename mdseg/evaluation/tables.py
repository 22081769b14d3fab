"""Tables of results for people."""

import io
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

ZERO = "absent as 0"  # what a mean over all classes is called in which those count that do not occur
MOST_COLUMNS = 6  # networks beside each other; more go below each other


def results_table(results: dict[str, Any], width: int = 110) -> str:
    """mIoU in percent per evaluated dataset (rows) and stage (columns), and what the relations stage found.

    A stage that evaluated several networks, or merged their answers, has a column for each, its headline's first; where
    there are many, rows and columns change places.
    """
    fits: dict[str, dict[str, Any]] = {}
    for name, stage in results["stages"].items():
        if "evaluation" in stage:
            networks = by_network(stage["evaluation"])
            fits |= {f"{name}, {network}" if network else name: node for network, node in networks.items()}
    title = f"{results['experiment']}: mIoU % (classes present), seed {results['seed']}"
    evaluations, rows = list(fits.values()), []
    # A stage may evaluate other datasets than the others.
    datasets = {name: entry for node in evaluations for name, entry in node["datasets"].items()}
    for dataset, entry in datasets.items():
        entries = [node["datasets"].get(dataset, {}) for node in evaluations]
        rows.append((dataset, entry["role"], [shown(each["miou"]) if each else "–" for each in entries]))
        reported = results.get("row") is not None or entry["role"] == "target"  # elsewhere no paper averages over them
        if reported and any(each.get("miou_zero", each["miou"]) != each["miou"] for each in entries if each):
            rows.append((f"  {ZERO}", "", [shown(each.get("miou_zero")) if each else "–" for each in entries]))
        for subset in entry.get("subsets", {}) if reported else ():
            of_subset = [each.get("subsets", {}).get(subset) for each in entries]
            cells = [shown(of) if each else "–" for of, each in zip(of_subset, entries, strict=True)]
            rows.append((f"  {subset}", "", cells))
    for role in dict.fromkeys(role for node in evaluations for role in node["mean_miou"]):
        means = [shown(node["mean_miou"][role]) if role in node["mean_miou"] else "–" for node in evaluations]
        rows.append(("mean", role, means))
    table = _upright(list(fits), rows) if len(fits) <= MOST_COLUMNS else _turned(list(fits), rows)
    found = [_relations(stage) for stage in results["stages"].values() if "found" in stage]
    return "\n".join([title, render(table, width), *found])


Row = tuple[str, str, list[str]]  # dataset or mean, role, a value per network


def _upright(names: Sequence[str], rows: Sequence[Row]) -> Table:
    """A column per network."""
    table = Table()
    for heading in ("dataset", "role"):
        table.add_column(heading)
    for name in names:
        table.add_column(name, justify="right")
    for dataset, role, values in rows:
        table.add_row(dataset, role, *values, style="bold" if dataset == "mean" else None)
    return table


def _turned(names: Sequence[str], rows: Sequence[Row]) -> Table:
    """A row per network."""
    table = Table()
    table.add_column("network")
    for dataset, role, _ in rows:
        heading = f"mean {role}" if dataset == "mean" else dataset.strip()
        table.add_column(heading, justify="right", style="bold" if dataset == "mean" else None)
    for name, values in zip(names, zip(*(values for _, _, values in rows), strict=True), strict=True):
        table.add_row(name, *values)
    return table


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
    absent = "absent" if len(entry["iou"]) - len(entry["no_channel"]) > 1 else "undefined"  # nothing competes
    for label, value in entry["iou"].items():
        missing = "no channel" if label in entry["no_channel"] else absent
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
    if (across := stage.get("num_across")) is not None:
        only = "all" if stage.get("across_only") else str(across)
        line += f", {only} between classes that no dataset annotates both"
    if truth := stage.get("against_truth"):
        line += f";\nagainst the known truth, primaries with at least {truth['min_pixels']} pixels: {_compared(truth)}"
    for rule in ("with", "without"):
        if truth := stage.get(f"against_truth_{rule}_across_only"):
            line += f";\n{rule} across_only: {_compared(truth)}"
    return line


def _compared(truth: dict[str, Any]) -> str:
    precision, recall = (
        "undefined" if truth[name] is None else f"{truth[name]:.2f}" for name in ("precision", "recall")
    )
    return (
        f"precision {precision} ({truth['right']}/{truth['found']}), recall {recall} ({truth['right']}/{truth['true']})"
    )


def render(table: Table, width: int) -> str:
    """A table as text, without colours."""
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=False, markup=False, emoji=False, highlight=False).print(table)
    return text.getvalue().rstrip()
