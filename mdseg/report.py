"""Tables of results: of one run, or of all runs below a folder, averaged over seeds.

python -m mdseg.report runs/

Runs that are rows of a published table, row=<row>, get a table for each experiment with the paper's values beside.
"""

import json
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from mdseg.config import references
from mdseg.config.expansion import alike
from mdseg.config.references import SUM, Published
from mdseg.evaluation.tables import ZERO, by_network, percent, render

# What differs between runs of the same setting: not part of a setting's name.
NOT_A_SETTING = (
    "experiment=",
    "row=",
    "seed=",
    "name=",
    "runs=",
    "trainer",
    "logger",
    "data.root=",
    "data.workers=",
    "panels=",
    "log_every=",
    "val_every=",
    "checkpoint_every=",
    "time_limit=",
    "hydra.",
    "hydra/",
)


@dataclass(frozen=True)
class Run:
    """What a run wrote, and what its command has besides experiment, row, seed and the like."""

    results: dict[str, Any]
    experiment: str
    overrides: tuple[str, ...]

    @property
    def setting(self) -> str:
        return " ".join(self.overrides)

    @property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """By stage."""
        stages = self.results["stages"].items()
        return {name: stage["evaluation"] for name, stage in stages if "evaluation" in stage}


@dataclass(frozen=True)
class Line:
    """A line of a row table: what the runs of a setting measured with one network on one dataset, or in `SUM` on all.

    Args:
        values: `miou` or the name of a subset of the classes → mIoU of every run.
        published: what a paper says of the same.
    """

    row: str
    overrides: tuple[str, ...]
    dataset: str
    network: str
    runs: int
    values: dict[str, list[float]]
    published: list[Published]


def summary_table(folder: Path, width: int = 130) -> str:
    """All runs below a folder: a table for each experiment whose runs are rows of a published one, one for the others.

    Raises:
        FileNotFoundError: there is no results.json below the folder.
    """
    paths = sorted(folder.rglob("results.json"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no results.json below it; give a folder of runs")
    tables: dict[tuple[str, str], list[Run]] = defaultdict(list)
    others = []
    for path in paths:
        results, words = json.loads(path.read_text()), _words(path.parent)
        chosen = words.get("experiment", "").partition("=")[2]  # `name` may call it otherwise in the results
        run = Run(results, chosen or results["experiment"], _overrides(words))
        if run.results.get("row") is None:
            others.append(run)
        elif run.evaluations:
            tables[run.experiment, run.results["scale"]].append(run)
    rows = [row_table(runs, width) for _, runs in sorted(tables.items())]
    return "\n\n".join([*rows, *([mean_table(others, width)] if others else [])])


def mean_table(runs: Sequence[Run], width: int = 130) -> str:
    """Mean mIoU in percent of every setting and stage: mean ± standard deviation over its runs."""
    groups: dict[tuple[str, ...], list[dict[str, float]]] = defaultdict(list)
    for run in runs:
        for stage, evaluation in run.evaluations.items():
            setting = (run.experiment, run.results["scale"], run.setting, stage)
            groups[setting].append(evaluation["mean_miou"])
    roles = list(dict.fromkeys(role for group in groups.values() for means in group for role in means))
    table = Table()
    for column in ("experiment", "scale", "setting", "stage"):
        table.add_column(column, overflow="fold")
    for column in ("runs", *roles):
        table.add_column(column, justify="right", no_wrap=True)
    for key, group in sorted(groups.items()):
        values = (percent([means[role] for means in group if role in means]) for role in roles)
        table.add_row(*key, str(len(group)), *values)
    return f"mean mIoU % (classes present), mean ± standard deviation over runs\n{render(table, width)}"


def row_table(runs: Sequence[Run], width: int = 130) -> str:
    """mIoU in percent after the last stage of runs of one experiment, in the order of the papers' rows.

    Over all classes and over every subset of them that the network answers in full: mean ± standard deviation over the
    runs of a setting. Where several networks are evaluated (student, teacher), each has a line; the first one's results
    are the method's, so what is published stands there unless it names another one. Several seen datasets have a line
    each, and one for the sum of their mIoUs, by which methods for them are ranked (Kalluri et al., ICCV 2019, section
    5).
    """
    experiment, scale = runs[0].experiment, runs[0].results["scale"]
    common = [word for word in runs[0].overrides if all(word in run.overrides for run in runs)]
    lines = row_lines(experiment, runs)
    measures = list(dict.fromkeys(measure for line in lines for measure in line.values))
    published = {measure for line in lines for entry in line.published for measure in entry.values}
    if "miou_zero" not in published and all(line.values["miou_zero"] in ([], line.values["miou"]) for line in lines):
        measures.remove("miou_zero")  # no class is absent, and it is the same
    datasets = list(dict.fromkeys(line.dataset for line in lines))
    columns = [
        ("row", [line.row for line in lines]),
        ("setting", [" ".join(word for word in line.overrides if word not in common) for line in lines]),
        ("dataset", [line.dataset if len(datasets) > 1 else "" for line in lines]),
        ("network", [line.network for line in lines]),
        ("runs", [str(line.runs) for line in lines]),
    ]
    for measure in measures:
        heading = {"miou": "mIoU", "miou_zero": ZERO}.get(measure, measure)
        columns.append((heading, [percent(line.values[measure]) for line in lines]))
        columns.append(("paper", [_as_published(line, measure) for line in lines]))
    columns = [(heading, cells) for heading, cells in columns if any(cells)]
    table = Table()
    for heading, _ in columns:
        words = heading in ("row", "setting", "dataset", "network")
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for cells in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*cells)
    where = datasets[0] if len(datasets) == 1 else "evaluated datasets"
    title = f"{experiment}, scale={scale}: mIoU % on {where}, mean ± standard deviation over runs"
    title += f"\nall with {' '.join(common)}" if common else ""
    return "\n".join([title, render(table, width), *_about_published(lines)])


def row_lines(experiment: str, runs: Sequence[Run]) -> list[Line]:
    """What runs of an experiment measured, by row and setting; rows as the papers order them, then all others."""
    groups: dict[tuple[str, tuple[str, ...]], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.results["row"], run.overrides].append(run)
    order = [*references.rows(experiment), *sorted(row for row, _ in groups)]
    lines = []
    for (row, overrides), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        published = references.published(experiment, row, overrides)
        # A run that is not done yet has not all of them.
        measured: dict[tuple[int, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for run in group:
            for network, entries in _last_results(run).items():
                for dataset, entry in entries.items():
                    measured[network][dataset].append(entry)
        for (position, name), by_dataset in sorted(measured.items()):
            for dataset, of_runs in by_dataset.items():
                line = Line(
                    row=row,
                    overrides=overrides,
                    dataset=dataset,
                    network=name,
                    runs=len(of_runs),
                    values=_mious(of_runs),
                    published=[each for each in published if each.dataset == dataset and is_of(each, position, name)],
                )
                lines.append(line)
    return lines


def is_of(published: Published, position: int, network: str) -> bool:
    """Whether a published value is that of a network: the one that it names, else the first, the method's."""
    return network == published.network if published.network else position == 0


def _last_results(run: Run) -> dict[tuple[int, str], dict[str, dict[str, Any]]]:
    """Position and name of every network → dataset → what the last stage that evaluated it measured.

    Where that is one of several that a stage with `each: pair` stands for, their mean. With several seen datasets also
    the sum of their mIoUs, null where one of them is.
    """
    last = {dataset: stage for stage, evaluation in run.evaluations.items() for dataset in evaluation["datasets"]}
    found: dict[tuple[int, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for dataset, stage in last.items():
        nodes = [by_network(run.evaluations[name]) for name in alike(stage, dataset, run.evaluations)]
        for place, network in enumerate(nodes[0]):
            found[place, network][dataset] = _mean_entry([node[network]["datasets"][dataset] for node in nodes])
    for entries in found.values():
        seen = [entry["miou"] for entry in entries.values() if entry["role"] == "seen"]
        if len(seen) > 1:
            entries[SUM] = {"miou": None if None in seen else sum(seen)}
    return found


def _mean_entry(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What several stages measured on a dataset, averaged; null where one of them has null."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    first = entries[0]
    subsets = {name: mean([entry["subsets"][name] for entry in entries]) for name in first.get("subsets", {})}
    mious = {measure: mean([entry.get(measure) for entry in entries]) for measure in ("miou", "miou_zero")}
    return {"role": first["role"], **mious, "subsets": subsets}


def _mious(entries: Iterable[dict[str, Any]]) -> dict[str, list[float]]:
    """mIoU of every run over the classes present, over all with absent ones as 0, and over subsets, where defined."""
    values: dict[str, list[float]] = defaultdict(list)
    for entry in entries:
        mious = {"miou": entry["miou"], "miou_zero": entry.get("miou_zero")}
        for measure, miou in (mious | entry.get("subsets", {})).items():
            values[measure] += [] if miou is None else [miou]
    return values


def _as_published(line: Line, measure: str) -> str:
    values = [(entry.values[measure], entry.host) for entry in line.published if measure in entry.values]
    return ", ".join(f"{value}{'' if host is None else '*'}" for value, host in values)


def _about_published(lines: Sequence[Line]) -> list[str]:
    """What the column `paper` is, where there is one."""
    published = [entry for line in lines for entry in line.published]
    hosts = dict.fromkeys(entry.host for entry in published if entry.host is not None)
    about = "paper: on real images at full scale (conf/references.yaml), not to be compared with scenes or other scales"
    others = [f"*: of another network, {', '.join(hosts)}"] if hosts else []
    return [about, *others] if published else []


def _words(run: Path) -> dict[str, str]:
    """What a run's command has after the module, by key: the last one that sets it."""
    command = run / "command.txt"
    words = shlex.split(command.read_text())[3:] if command.is_file() else []
    return {word.partition("=")[0]: word for word in words}


def _overrides(words: Mapping[str, str]) -> tuple[str, ...]:
    # Each seed starts from weights of its own: where they lie is no setting, that they come from elsewhere is one.
    from_elsewhere = re.compile(r"\+*(stage\.[^.]+\.)?from(\.\w+)*")
    shown = (f"{key}=..." if from_elsewhere.fullmatch(key) and "/" in word else word for key, word in words.items())
    return tuple(word for word in shown if not word.startswith(NOT_A_SETTING))


def main() -> None:
    """The command line of `python -m mdseg.report`."""
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
