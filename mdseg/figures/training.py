"""Pictures: prediction panels, the relation heatmap, lessons of self-training, curves."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mdseg.figures.drawing import colorize, legend
from mdseg.labels.tables import Color

FEW_POINTS = 10  # up to which a curve has markers


@dataclass(frozen=True)
class PanelRow:
    """One image [h w 3] with its true and predicted class indices [H W], 255 = ignore."""

    image: np.ndarray
    mask: np.ndarray
    prediction: np.ndarray


def panels(rows: Sequence[PanelRow], names: Sequence[str], colors: Sequence[Color], title: str) -> Figure:
    """A row per image: the image, its annotation, the prediction; below, the classes that occur.

    Predictions are shown where nothing is annotated as well: that is where they can surprise.
    """
    aspect = rows[0].image.shape[0] / rows[0].image.shape[1]
    figure = Figure(figsize=(12, 4 * aspect * len(rows) + 1.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        pictures = (row.image, colorize(row.mask, colors), colorize(row.prediction, colors))
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, aspect="auto", interpolation="nearest")
            axis.set_axis_off()
    for axis, heading in zip(axes[0], ("image", "annotation", "prediction"), strict=True):
        axis.set_title(heading, fontsize=9)
    occurring = set().union(*(np.unique(mask).tolist() for row in rows for mask in (row.mask, row.prediction)))
    figure.legend(
        handles=legend(occurring, names, colors), loc="outside lower center", ncols=8, fontsize=6, frameon=False
    )
    return figure


@dataclass(frozen=True)
class LessonRow:
    """What self-training makes of one pair of images: arrays [h w 3] and [h w]; masks hold train ids, 255 = ignore.

    Args:
        pasted: bool.
        confidence, weight: in [0, 1].
    """

    labelled: np.ndarray
    mask: np.ndarray
    pasted: np.ndarray
    unlabelled: np.ndarray
    pseudo_label: np.ndarray
    confidence: np.ndarray
    mixed: np.ndarray
    mixed_mask: np.ndarray
    weight: np.ndarray


def lessons(rows: Sequence[LessonRow], names: Sequence[str], colors: Sequence[Color], title: str) -> Figure:
    """A row per pair of images, and what a step of self-training made of them.

    Labelled image, its labels (those not pasted faded), unlabelled image, pseudo-labels, confidence, mixed image, its
    labels, their weights.
    """
    aspect = rows[0].labelled.shape[0] / rows[0].labelled.shape[1]
    figure = Figure(figsize=(20, 2.5 * aspect * len(rows) + 1.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(rows), 8, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        faded = np.where(row.pasted[..., None], colorize(row.mask, colors), 0.25 * colorize(row.mask, colors) + 175)
        pictures = (
            row.labelled, faded.astype(np.uint8), row.unlabelled, colorize(row.pseudo_label, colors), row.confidence,
            row.mixed, colorize(row.mixed_mask, colors), row.weight,
        )  # fmt: skip
        for axis, picture in zip(line, pictures, strict=True):
            drawn = axis.imshow(picture, aspect="auto", interpolation="nearest", vmin=0, vmax=1, cmap="viridis")
            axis.set_axis_off()
    headings = [
        *("labelled image", "labels; pasted ones in full colour", "unlabelled image", "pseudo-labels"),
        *("confidence", "mixed image", "mixed labels", "weight in the loss"),
    ]
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading, fontsize=9)
    figure.colorbar(drawn, ax=axes[:, -1], fraction=0.05)
    occurring = set().union(*(np.unique(mask).tolist() for row in rows for mask in (row.mask, row.pseudo_label)))
    figure.legend(
        handles=legend(occurring, names, colors), loc="outside lower center", ncols=12, fontsize=7, frameon=False
    )
    return figure


def curves(series: Mapping[str, Mapping[int, float]], title: str, headline: str | None = None) -> Figure:
    """Loss terms, the mIoU of every evaluated dataset, and what else was logged, over the steps of a fit.

    Args:
        series: name → step → value. `train/<term>` is a loss; `train/<kind>/<of what>` has axes of its kind.
            `val/<dataset>/miou` and `val/<dataset>/<network>/miou` are mIoUs; other names below `val/` are left out.
            All others (sigma of BLV, the weight of pseudo-labels) have axes of their own, those that differ only after
            their last `/` (`embedding_norm/<dataset>`) one together.
        headline: name of the network that `val/<dataset>/miou` is of, where there are others.
    """
    losses: dict[str, dict[str, Mapping[int, float]]] = {}
    for name, values in series.items():
        kind, _, of_what = name.removeprefix("train/").partition("/")
        if name.startswith("train/"):
            losses.setdefault(kind if of_what else "loss", {})[of_what or name] = values
    first, *further = losses.items() or [("loss", {})]
    others = {name: values for name, values in series.items() if not name.startswith(("train/", "val/", "test/"))}
    mious = {
        " ".join([*name.split("/")[1:-1], *([headline] if headline and name.count("/") == 2 else [])]): values
        for name, values in series.items()
        if name.startswith("val/") and name.endswith("/miou") and "/iou/" not in name  # a class may be called so
    }
    groups = {f"train/{kind}": members for kind, members in further}
    alike: dict[str, list[str]] = {}
    for name in others:
        alike.setdefault(name.rpartition("/")[0] or name, []).append(name)
    for group, names in alike.items():
        title_of_group = group if len(names) > 1 else names[0]
        groups[title_of_group] = {name.rpartition("/")[2]: others[name] for name in names}
    count = 2 + len(groups)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(6 * columns, 4 * rows), layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right, *last = figure.subplots(rows, columns, sharex=True, squeeze=False).flat
    for unused in last[len(groups) :]:
        unused.remove()
    last = last[: len(groups)]
    _lines(left, first[1])
    for axis, (group, members) in zip(last, groups.items(), strict=True):
        _lines(axis, members)
        axis.set_title(group, fontsize=9)
        if len(members) > 1:
            axis.legend(fontsize=8, frameon=False)
    for (dataset, values), marker in zip(mious.items(), itertools.cycle("osD^vP*X"), strict=False):
        steps, miou = _points(values)
        label = f"{dataset} {100 * miou[-1]:.1f}"
        right.plot(steps, 100 * miou, marker=marker, markersize=4, linewidth=1, label=label)
    left.set_title(first[0] if first[0] == "loss" else f"train/{first[0]}", fontsize=9)
    right.set_title("mIoU %, and its last value", fontsize=9)
    for axis in (left, right, *last):
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8, labelbottom=True)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    left.set_xlim(0, 1.02 * left.get_xlim()[1])  # no marker on the frame
    right.set_ylim(0, 1.08 * right.get_ylim()[1])
    if first[1]:
        left.legend(fontsize=8, frameon=False, loc="upper right")
    if mious:
        right.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _lines(axis: Axes, series: Mapping[str, Mapping[int, float]]) -> None:
    """Every series as a faint line under its running mean."""
    for name, values in series.items():
        steps, heights = _points(values)
        (line,) = axis.plot(steps, heights, linewidth=0.8, alpha=0.35)
        few = "o" if len(steps) <= FEW_POINTS else None  # one point alone is no line
        axis.plot(steps, _smoothed(heights), color=line.get_color(), label=name, marker=few, markersize=4)


def _points(values: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    steps = sorted(values)
    return np.array(steps), np.array([values[step] for step in steps])


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running mean over a twentieth of the values, narrower at the ends."""
    half = len(values) // 40
    sums = np.concatenate([[0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)
