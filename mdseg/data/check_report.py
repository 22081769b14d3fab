"""A report on a dataset for people and for programs."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mdseg.data.check import Report, Split, show_size
from mdseg.system.wording import visible

EXAMPLES = 5  # files shown per problem; the JSON report has all


def as_json(report: Report) -> dict[str, Any]:
    """The report in plain types, with all files."""
    return {
        "usable": not report.errors,
        "root": str(report.root),
        "labels": report.table.name if report.table.names else None,
        "splits": {name: _split_as_json(split) for name, split in report.splits.items()},
        "problems": [
            {
                "severity": "error" if problem.error else "warning",
                "split": problem.split,
                "what": problem.what,
                "files": [{"file": str(file), "detail": detail} for file, detail in problem.files],
            }
            for problem in report.problems
        ],
    }


def _split_as_json(split: Split) -> dict[str, Any]:
    classes = zip(split.table.names, split.class_pixels, split.shares, split.class_images, strict=False)
    return {
        "images": split.images,
        "labelled": split.labelled,
        "sizes": {f"{width}x{height}": count for (height, width), count in split.sizes.most_common()},
        "mean": split.mean.round(3).tolist(),
        "deviation": split.deviation.round(3).tolist(),
        "ignored": round(split.ignored, 6),
        "unknown_raw_ids": dict(split.unknown),
        "classes": {
            name: {"pixels": int(pixels), "share": round(float(share), 6), "images": int(images)}
            for name, pixels, share, images in classes
        }
        if split.labelled
        else {},
    }


def as_text(report: Report, width: int = 120) -> str:
    """Tables of counts, then errors and warnings with their first files."""
    text = io.StringIO()
    console = Console(
        file=text, width=width, force_terminal=False, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
    labels = f"{report.table.num_classes} classes of label table '{report.table.name}'"
    labels = labels if report.table.names else "without labels"
    console.print(f"{report.name}: {report.root}, {labels}")
    if report.splits:
        console.print(_split_table(report))
    labelled = {name: split for name, split in report.splits.items() if split.labelled}
    if labelled:
        console.print(_class_table(report, labelled))
    for heading, problems in (("errors", report.errors), ("warnings", report.warnings)):
        if problems:
            console.print(heading)
        for problem in problems:
            count = f"{len(problem.files)} × " if problem.files else ""
            console.print(f"  {problem.split}: {count}{problem.what}")
            for file, detail in problem.files[:EXAMPLES]:
                console.print(f"      {_below(file, report.root)}{': ' * bool(detail)}{detail}")
            if len(problem.files) > EXAMPLES:
                console.print(f"      and {len(problem.files) - EXAMPLES} more")
    return visible(text.getvalue().rstrip(), lines=True)


def _split_table(report: Report) -> Table:
    table = Table()
    table.add_column("split")
    for column in ("images", "masks"):
        table.add_column(column, justify="right")
    for column in ("width × height", "mean RGB", "deviation"):
        table.add_column(column)
    table.add_column("ignored", justify="right")
    for name, split in report.splits.items():
        ignored = f"{100 * split.ignored:.2f} %" if split.labelled else ""
        colors = (" ".join(f"{value:.2f}" for value in values) for values in (split.mean, split.deviation))
        table.add_row(name, str(split.images), str(split.labelled), _sizes(split.sizes), *colors, ignored)
    return table


def _class_table(report: Report, labelled: dict[str, Split]) -> Table:
    table = Table(title="share of the labelled pixels, and images with the class", title_justify="left")
    table.add_column("class")
    for name in labelled:
        table.add_column(f"{name} %", justify="right")
        table.add_column("images", justify="right")
    for index, name in enumerate(report.table.names):
        cells = []
        for split in labelled.values():
            occurs = split.class_images[index] > 0
            cells += [f"{100 * split.shares[index]:.2f}" if occurs else "-", str(split.class_images[index])]
        table.add_row(name, *cells)
    return table


def _sizes(sizes: Counter) -> str:
    (commonest, count), *others = sizes.most_common() or [((0, 0), 0)]
    return show_size(commonest) + (f" ({count}), {len(others)} more" if others else "")


def _below(file: Path, root: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else file
