"""The figure: a row per image, and for every class the maps of all runs side by side."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mdseg.figures.drawing import colorize, fraction
from mdseg.labels.tables import IGNORE, LabelTable


@dataclass(frozen=True)
class Row:
    """One image [h w 3] with its class indices, if annotated, and per class and run a map [h w] of values in 0..1.

    A map is None where the run has no channel for the class.
    """

    image: np.ndarray
    mask: np.ndarray | None
    maps: Sequence[Sequence[np.ndarray | None]]


# Most channels of a pixel lie around the middle of their range, and what matters lies near its top.
SCALE, COLORMAP, TICKS = PowerNorm(3, vmin=0, vmax=1), "viridis", (0, 0.5, 0.7, 0.8, 0.9, 1)
MEANING = "normalised activation: at every pixel 0 is the model's weakest channel, 1 its strongest (cubic scale)"
# Inches. Cells are placed by hand: maps to be compared touch, classes stand apart.
CELL, GAP, CLASS_GAP, MARGIN, LINE = 2.0, 0.05, 0.22, 0.12, 0.16


class Sheet:
    """A figure on which things are placed in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure, self.width, self.height = Figure(figsize=(width, height)), width, height

    def text(self, left: float, bottom: float, content: str, **options: Any) -> None:
        style: dict[str, Any] = {"va": "bottom", "ha": "center", "fontsize": 8}
        self.figure.text(left / self.width, 1 - bottom / self.height, content, **(style | options))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height), xticks=[], yticks=[]
        )


def map_figure(
    rows: Sequence[Row], classes: Sequence[str], runs: Sequence[str], table: LabelTable | None, title: str
) -> Figure:
    """A row per image: the image, its annotation where there is a table, and for each class the maps of all runs.

    All maps share one colour scale.
    """
    headings = ["image"] if table is None else ["image", "annotation"]
    group = len(runs) * (CELL + GAP) - GAP
    lefts = [MARGIN + i * (CELL + GAP) for i in range(len(headings))]
    starts = [lefts[-1] + CELL + CLASS_GAP + i * (group + CLASS_GAP) for i in range(len(classes))]
    names = [textwrap.fill(name, int(group / 0.085)) for name in classes]
    labels = ["\n".join(textwrap.fill(line, int(CELL / 0.065)) for line in label.splitlines()) for label in runs]
    name_lines, label_lines = (1 + max(text.count("\n") for text in texts) for texts in (names, labels))
    patches = annotation_legend(rows, table)
    heights = [CELL * min(1.5, row.image.shape[0] / row.image.shape[1]) for row in rows]

    width = starts[-1] + group + MARGIN
    legend_columns = int((width - 2 * MARGIN) / 1.5)
    head = MARGIN + LINE * (2.5 + 1.2 * name_lines + label_lines)
    foot = LINE * (4.5 + math.ceil(len(patches) / legend_columns))
    sheet = Sheet(width, head + sum(heights) + GAP * len(rows) + foot)
    sheet.text(MARGIN, MARGIN + LINE, title, ha="left", fontsize=11)
    above = head - 0.04
    for left, heading in zip(lefts, headings, strict=True):
        sheet.text(left + CELL / 2, above, heading)
    for start, name in zip(starts, names, strict=True):
        sheet.text(start + group / 2, above - LINE * (label_lines + 0.2), name, fontsize=10, weight="bold")
        for position, label in enumerate(labels):
            sheet.text(start + position * (CELL + GAP) + CELL / 2, above, label)

    top = head
    for row, height in zip(rows, heights, strict=True):
        shown = [row.image] if table is None or row.mask is None else [row.image, colorize(row.mask, table.colors)]
        for left, picture in zip(lefts, shown, strict=True):
            axis = sheet.axes(left, top, CELL, height)
            axis.imshow(picture, interpolation="nearest")
            axis.set_axis_off()
        for start, maps in zip(starts, row.maps, strict=True):
            for position, values in enumerate(maps):
                draw_map(sheet.axes(start + position * (CELL + GAP), top, CELL, height), values)
        top += height + GAP

    block = min(4.5, width - 2 * MARGIN)
    left = min(starts[0], width - MARGIN - block)
    bar = sheet.axes(left, top + LINE, block, 0.7 * LINE)
    sheet.figure.colorbar(ScalarMappable(SCALE, COLORMAP), cax=bar, orientation="horizontal", ticks=TICKS)
    bar.tick_params(labelsize=7)
    sheet.text(left, top + 3.8 * LINE, MEANING, ha="left", fontsize=7)
    sheet.figure.legend(handles=patches, loc="lower left", ncols=legend_columns, fontsize=7, frameon=False)
    return sheet.figure


def annotation_legend(rows: Sequence[Row], table: LabelTable | None) -> list[Patch]:
    """The classes that occur in the annotations, with their colours."""
    if table is None:
        return []
    occurring = sorted({int(index) for row in rows if row.mask is not None for index in np.unique(row.mask)})
    return [
        Patch(facecolor="black", label="not annotated")
        if index == IGNORE
        else Patch(facecolor=fraction(table.colors[index]), edgecolor="0.5", linewidth=0.3, label=table.names[index])
        for index in occurring
    ]


def draw_map(axis: Axes, values: np.ndarray | None) -> None:
    """A map, or an empty cell that says why."""
    if values is None:
        axis.set_facecolor("0.93")
        axis.spines[:].set_visible(False)
        axis.text(0.5, 0.5, "no channel", ha="center", va="center", transform=axis.transAxes, fontsize=8, color="0.4")
    else:
        axis.imshow(values, cmap=COLORMAP, norm=SCALE)
        axis.set_axis_off()
