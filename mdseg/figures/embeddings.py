"""Label embeddings as pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mdseg.figures.drawing import colorize, legend
from mdseg.labels.tables import Color

Classes = tuple[Sequence[str], Sequence[Color]]  # names and colours


def similarities(
    cosine: np.ndarray, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], title: str
) -> Figure:
    """Cosine between the classes of two datasets; each row's largest is framed.

    Args:
        cosine: [rows, columns], nan where a class has no embedding.
        rows, columns: name of a dataset and of its classes.
    """
    figure = Figure(figsize=(3.0 + 0.2 * len(columns[1]), 1.8 + 0.2 * len(rows[1])), layout="constrained")
    axis = figure.subplots()
    picture = axis.imshow(cosine, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row, values in enumerate(cosine):
        if np.isfinite(values).any():
            column = int(np.nanargmax(values))
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.2))
    axis.set_xticks(range(len(columns[1])), columns[1], rotation=90, fontsize=7)
    axis.set_yticks(range(len(rows[1])), rows[1], fontsize=7)
    axis.set_xlabel(columns[0], fontsize=8)
    axis.set_ylabel(rows[0], fontsize=8)
    axis.set_title(title, fontsize=9)
    figure.colorbar(picture, ax=axis, shrink=0.6, label="cosine")
    return figure


@dataclass(frozen=True)
class EntropyRow:
    """An unlabelled image [h w 3] and what it looks like among label embeddings, in arrays [h w].

    Args:
        entropies: among the labels of every dataset, the image's own first, as a share of the highest possible one.
        nearest: index of the class of its own dataset whose label is nearest.
    """

    image: np.ndarray
    entropies: Mapping[str, np.ndarray]
    nearest: np.ndarray


def entropy_maps(blocks: Mapping[str, Sequence[EntropyRow]], classes: Mapping[str, Classes], title: str) -> Figure:
    """The images of every dataset below each other: the image, its entropies, the nearest label of its own dataset.

    All entropies share one colour scale; the classes that occur stand beside their dataset's first image.
    """
    lines = [(name, place, row) for name, rows in blocks.items() for place, row in enumerate(rows)]
    columns = 2 + max(len(row.entropies) for _, _, row in lines)
    heights = [row.image.shape[0] / row.image.shape[1] for _, _, row in lines]
    figure = Figure(figsize=(3.2 * columns + 1.2, 3.2 * sum(heights) + 0.3 * len(blocks) + 1.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, ((name, place, row), (left, *middle, right)) in enumerate(zip(lines, axes, strict=True)):
        names, colors = classes[name]
        left.imshow(row.image, aspect="auto", interpolation="nearest")
        right.imshow(colorize(row.nearest, colors), aspect="auto", interpolation="nearest")
        for axis, values in zip(middle, row.entropies.values(), strict=False):
            drawn = axis.imshow(values, aspect="auto", interpolation="nearest", vmin=0, vmax=1, cmap="viridis")
        if place > 0:
            continue
        left.set_title(name, fontsize=9)
        right.set_title(f"nearest label of {name}", fontsize=9)
        for axis, other in zip(middle, row.entropies, strict=False):
            mean = np.mean([each.entropies[other] for each in blocks[name]])
            axis.set_title(f"entropy among labels of {other}, mean {mean:.2f}", fontsize=8)
        occurring = set().union(*(np.unique(each.nearest).tolist() for each in blocks[name]))
        ncols = math.ceil(0.16 * len(occurring) / (3.2 * heights[number]))  # no taller than the picture beside it
        right.legend(
            handles=legend(occurring, names, colors), ncols=ncols,
            loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=7, frameon=False, borderaxespad=0, borderpad=0,
        )  # fmt: skip
    figure.colorbar(
        drawn, ax=axes, location="bottom", shrink=0.5, aspect=60, pad=0.02,
        label="entropy as a share of the highest: 0 decided for a label, 1 all labels alike",
    )  # fmt: skip
    return figure


@dataclass(frozen=True)
class NearestLabels:
    """Of a dataset's unlabelled pixels, how many are nearest to the label of each class.

    Args:
        nearest: shares in percent.
        labelled: the same of the labelled pixels behind the label embeddings; None where they are not known.
        looks: batches over which the first were counted.
    """

    dataset: str
    names: Sequence[str]
    colors: Sequence[Color]
    nearest: np.ndarray
    labelled: np.ndarray | None
    looks: int


def nearest_labels(bars: Sequence[NearestLabels], title: str) -> Figure:
    """A row per dataset: for every class the share of nearest pixels, beside that of labelled ones."""
    most = max(len(each.names) for each in bars)
    figure = Figure(figsize=(max(7, 0.45 * most), 2.9 * len(bars) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axis, each in zip(figure.subplots(len(bars), 1, squeeze=False)[:, 0], bars, strict=True):
        middles, both = np.arange(len(each.names)), each.labelled is not None
        width = 0.4 if both else 0.8
        fractions = np.array(each.colors) / 255
        times = "last row" if each.looks == 1 else f"last {each.looks} rows"
        outline: dict[str, Any] = {"edgecolor": "0.3", "linewidth": 0.5}
        axis.bar(middles - both * width / 2, each.nearest, width, color=fractions, **outline)
        handles = [
            Patch(facecolor="0.6", label=f"unlabelled pixels nearest to its label, {times} of the log", **outline)
        ]
        if each.labelled is not None:
            axis.bar(middles + width / 2, each.labelled, width, color="white", hatch="////", **outline)
            handles += [Patch(facecolor="white", hatch="////", label="labelled pixels", **outline)]
        axis.set_title(each.dataset, fontsize=9)
        axis.set_xticks(middles, each.names, rotation=40, ha="right", fontsize=8)
        axis.set_xlim(-0.6, len(each.names) - 0.4)
        axis.set_ylim(0, 1.25 * axis.get_ylim()[1])  # room for the legend
        axis.set_ylabel("% of the pixels", fontsize=8)
        axis.tick_params(axis="y", labelsize=8)
        axis.grid(axis="y", alpha=0.3)
        axis.set_axisbelow(True)
        axis.legend(handles=handles, fontsize=7, frameon=False, loc="upper right", ncols=2)
    return figure
