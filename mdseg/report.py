"""Tables of results: of one run, or of all runs below a folder, averaged over seeds.

python -m mdseg.report runs/

Runs that are rows of a published table, row=<row>, get a table for each experiment with the paper's values beside.

Runs are seeds of one setting where their configurations say the same, however their commands are spelled. Of several
with the same seed the newest counts. Below the tables stand those, and the runs that are not finished, which no table
has. A file that cannot be read is named; all others are shown, and the exit code is then 1.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from mdseg.config import references
from mdseg.config.expansion import alike
from mdseg.config.references import SUM, Published
from mdseg.evaluation.tables import ZERO, by_network, percent, render
from mdseg.runs.records import CONFIG, Record, read_records
from mdseg.runs.settings import Setting, settings_of
from mdseg.system.output import outlive_readers
from mdseg.system.wording import visible


@dataclass(frozen=True)
class Line:
    """A line of a row table: what the runs of a setting measured with one network on one dataset, or in `SUM` on all.

    Args:
        values: `miou` or the name of a subset of the classes → mIoU of every run.
        published: what a paper says of the same.
    """

    row: str
    words: tuple[str, ...]
    dataset: str
    network: str
    runs: int
    values: dict[str, list[float]]
    published: list[Published]


def summary(records: Sequence[Record], width: int = 130) -> str:
    """All runs: a table for each experiment whose runs are rows of a published one, one for the others; and remarks."""
    tables: dict[tuple[str, str], list[Record]] = defaultdict(list)
    others: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.results is not None and record.evaluations and not record.missing:
            kind = others if record.results.get("row") is None else tables
            kind[record.experiment, record.results["scale"]].append(record)
    rows = {key: row_settings(*key, group) for key, group in sorted(tables.items())}
    means = {key: settings_of(group) for key, group in sorted(others.items())}
    parts = [row_table(*key, settings, width) for key, settings in rows.items()]
    parts += [mean_table(means, width)] if means else []
    settings = [setting for group in (*rows.values(), *means.values()) for setting in group]
    return "\n\n".join([*parts, *filter(None, ["\n".join(remarks(records, settings))])])


def remarks(records: Sequence[Record], settings: Sequence[Setting]) -> Iterator[str]:
    """A line for every run that no table has, and for what is not known of one that is there."""
    for setting in settings:
        for left_out, counted in setting.repeated:
            newer = visible(counted.folder)
            yield f"left out: {visible(left_out.folder)}: settings and seed are those of {newer}, which is newer"
    for record in records:
        folder = visible(record.folder)
        if record.missing:
            yield f"left out: {folder}: not finished; {record.progress}"
        elif not record.evaluations:
            yield f"left out: {folder}: it has evaluated nothing"
        elif record.config is None:
            yield f"{folder}: there is no {CONFIG}, so it may lack stages"


def mean_table(settings: dict[tuple[str, str], list[Setting]], width: int = 130) -> str:
    """Mean mIoU in percent of every setting and stage: mean ± standard deviation over its runs.

    Args:
        settings: by experiment and scale.
    """
    lines = []
    for key, group in settings.items():
        for setting in group:
            stages: dict[str, list[dict[str, float]]] = defaultdict(list)
            for record in setting.records:
                for stage, evaluation in record.evaluations.items():
                    stages[stage].append(evaluation["mean_miou"])
            lines += [((*key, " ".join(setting.words), stage), means) for stage, means in stages.items()]
    roles = list(dict.fromkeys(role for _, group in lines for means in group for role in means))
    table = Table()
    for column in ("experiment", "scale", "setting", "stage"):
        table.add_column(column, overflow="fold")
    for column in ("runs", *roles):
        table.add_column(column, justify="right", no_wrap=True)
    for words, means in lines:
        values = (_over([mean[role] for mean in means if role in mean], len(means)) for role in roles)
        table.add_row(*words, str(len(means)), *values)
    return f"mean mIoU % (classes present), mean ± standard deviation over runs\n{render(table, width)}"


def row_settings(experiment: str, scale: str, records: Sequence[Record]) -> list[Setting]:
    """The settings of every row, rows in the order of the papers, then all others."""
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        rows[_row(record)].append(record)
    order = [*references.rows(experiment), *sorted(rows)]
    return [setting for row in sorted(rows, key=order.index) for setting in settings_of(rows[row])]


def _row(record: Record) -> str:
    return (record.results or {})["row"]


def row_table(experiment: str, scale: str, settings: Sequence[Setting], width: int = 130) -> str:
    """mIoU in percent after the last stage of runs of one experiment, in the order of the papers' rows.

    Over all classes and over every subset of them that the network answers in full: mean ± standard deviation over the
    runs of a setting. Where several networks are evaluated (student, teacher), each has a line; the first one's results
    are the method's, so what is published stands there unless it names another one. Several seen datasets have a line
    each, and one for the sum of their mIoUs, by which methods for them are ranked (Kalluri et al., ICCV 2019, section
    5).
    """
    common = [word for word in settings[0].words if all(word in setting.words for setting in settings)]
    lines = row_lines(experiment, settings)
    measures = list(dict.fromkeys(measure for line in lines for measure in line.values))
    published = {measure for line in lines for entry in line.published for measure in entry.values}
    if "miou_zero" not in published and all(line.values["miou_zero"] in ([], line.values["miou"]) for line in lines):
        measures.remove("miou_zero")  # no class is absent, and it is the same
    datasets = list(dict.fromkeys(line.dataset for line in lines))
    columns = [
        ("row", [line.row for line in lines]),
        ("setting", [" ".join(word for word in line.words if word not in common) for line in lines]),
        ("dataset", [line.dataset if len(datasets) > 1 else "" for line in lines]),
        ("network", [line.network for line in lines]),
        ("runs", [str(line.runs) for line in lines]),
    ]
    for measure in measures:
        heading = {"miou": "mIoU", "miou_zero": ZERO}.get(measure, measure)
        columns.append((heading, [_over(line.values[measure], line.runs) for line in lines]))
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


def row_lines(experiment: str, settings: Sequence[Setting]) -> list[Line]:
    """What the runs of an experiment's settings measured, by network and dataset."""
    lines = []
    for setting in settings:
        row = _row(setting.records[0])
        published = references.published(experiment, row, setting.words)
        measured: dict[tuple[int, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for record in setting.records:
            for network, entries in _last_results(record).items():
                for dataset, entry in entries.items():
                    measured[network][dataset].append(entry)
        for (position, name), by_dataset in sorted(measured.items()):
            for dataset, of_runs in by_dataset.items():
                line = Line(
                    row=row,
                    words=setting.words,
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


def _last_results(record: Record) -> dict[tuple[int, str], dict[str, dict[str, Any]]]:
    """Position and name of every network → dataset → what the last stage that evaluated it measured.

    Where that is one of several that a stage with `each: pair` stands for, their mean. With several seen datasets also
    the sum of their mIoUs, null where one of them is.
    """
    last = {dataset: stage for stage, evaluation in record.evaluations.items() for dataset in evaluation["datasets"]}
    found: dict[tuple[int, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for dataset, stage in last.items():
        nodes = [by_network(record.evaluations[name]) for name in alike(stage, dataset, record.evaluations)]
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
    names = first.get("subsets", {})
    subsets = {name: mean([entry.get("subsets", {}).get(name) for entry in entries]) for name in names}
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


def _over(values: Sequence[float], runs: int) -> str:
    """Mean ± standard deviation in percent; says so where it is undefined in some of the runs."""
    return percent(values) + (f" (of {len(values)})" if 0 < len(values) < runs else "")


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


def main() -> None:
    """The command line of `python -m mdseg.report`."""
    outlive_readers()
    usage = (__doc__ or "").strip()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage)
        return
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        got = "" if len(sys.argv) == 1 else f"\n\nmdseg: expected one folder, got {visible(' '.join(sys.argv[1:]))}"
        sys.exit(f"{usage}{got}")
    try:
        records, problems = read_records(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        sys.exit(f"mdseg: {visible(error)}")
    if text := summary(records):
        print(text, flush=True)
    for problem in problems:
        print(f"mdseg: left out: {visible(problem)}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
