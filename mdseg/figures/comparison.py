"""The figures: predictions side by side, every class as bars, logits and features in the plane."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt8
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE

from mdseg.figures.drawing import colorize, legend
from mdseg.labels.tables import Color

WIDTH = 12.0  # inches
MARKERS = "o^sDvPX*"  # of datasets
FEWEST = 4  # points that are worth a t-SNE


@dataclass(frozen=True)
class Answers:
    """One model on one dataset's evaluation split, per class of the dataset.

    Args:
        iou: nan where the class is absent.
        probability: mean of the largest probability over the pixels predicted as the class; nan where there are none.
        predicted, annotated: shares of the annotated pixels.
        predictions: class indices of the first images.
        logits, labels: of some annotated pixels.
    """

    iou: Float64[np.ndarray, " c"]
    probability: Float64[np.ndarray, " c"]
    predicted: Float64[np.ndarray, " c"]
    annotated: Float64[np.ndarray, " c"]
    predictions: list[UInt8[np.ndarray, "h w"]]
    logits: Float[np.ndarray, "m k"]
    labels: Int64[np.ndarray, " m"]


def prediction_figure(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    answers: Mapping[str, Answers],
    names: Sequence[str],
    colors: Sequence[Color],
    title: str,
) -> Figure:
    """A row per image: the image, its annotation, and every model's prediction."""
    columns, aspect = 2 + len(answers), images[0].shape[0] / images[0].shape[1]
    figure = Figure(figsize=(3.2 * columns, 3.2 * aspect * len(images) + 1.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(images), columns, squeeze=False)
    occurring: set[int] = set()
    for row, (image, mask) in enumerate(zip(images, masks, strict=True)):
        classes = [mask, *(answer.predictions[row] for answer in answers.values())]
        occurring.update(*(np.unique(each).tolist() for each in classes))
        for axis, picture in zip(axes[row], [image, *(colorize(each, colors) for each in classes)], strict=True):
            axis.imshow(picture, aspect="auto", interpolation="nearest")
            axis.set_axis_off()
    mious = [
        "no mIoU" if np.isnan(answer.iou).all() else f"mIoU {100 * np.nanmean(answer.iou):.1f} %"
        for answer in answers.values()
    ]
    headings = ["\n".join([*name.split(", "), miou]) for name, miou in zip(answers, mious, strict=True)]
    for axis, heading in zip(axes[0], ["image", "annotation", *headings], strict=True):
        axis.set_title(heading, fontsize=8)
    figure.legend(
        handles=legend(occurring, names, colors),
        loc="outside lower center", ncols=10, fontsize=7, frameon=False,
    )  # fmt: skip
    return figure


def class_figure(answers: Mapping[str, Answers], names: Sequence[str], title: str) -> Figure:
    """IoU of every class, mean probability of the pixels predicted as it, and how many these are; a bar per model.

    Classes are ordered by how often they are annotated, so that the tail is on the right.
    """
    first = next(iter(answers.values()))
    order = np.argsort(-first.annotated, kind="stable")
    figure = Figure(figsize=(max(WIDTH, 0.5 * len(names)), 8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(3, 1, sharex=True)
    width, middles = 0.8 / len(answers), np.arange(len(names))
    parts = (
        ("IoU %", [100 * answer.iou for answer in answers.values()]),
        ("mean probability\nwhere predicted (–: nowhere)", [answer.probability for answer in answers.values()]),
        ("% of the pixels predicted", [100 * answer.predicted for answer in answers.values()]),
    )
    for axis, (label, values) in zip(axes, parts, strict=True):
        for number, (name, heights) in enumerate(zip(answers, values, strict=True)):
            shift = (number - (len(answers) - 1) / 2) * width
            axis.bar(middles + shift, np.nan_to_num(heights[order]), width, label=name)
            for missing in np.flatnonzero(np.isnan(heights[order])):
                axis.text(middles[missing] + shift, 0, "–", ha="center", va="bottom", fontsize=7, color="0.5")
        axis.set_ylabel(label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(axis="y", alpha=0.3)
        axis.set_axisbelow(True)
    axes[1].set_ylim(0, 1)
    # Frequencies span four orders of magnitude; a tenth of a permille is as good as nothing.
    axes[2].set_ylim(1e-3, 100)  # before the scale, which would look for a positive value among them
    axes[2].set_yscale("log")
    axes[2].yaxis.set_major_formatter("{x:g}")  # no formula: they are drawn as they are written
    annotated = np.maximum(100 * first.annotated[order], 1e-3)
    edges = np.arange(len(names) + 1) - 0.5
    line = axes[2].stairs(annotated, edges, baseline=None, color="black", linewidth=1.5, label="annotated")
    axes[2].set_xticks(middles, [names[index] for index in order], rotation=40, ha="right", fontsize=8)
    models = axes[2].containers
    figure.legend(handles=[*models, line], loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def logit_figure(
    answers: Mapping[str, Answers], names: Sequence[str], colors: Sequence[Color], seed: int, title: str
) -> Figure:
    """Logits of the same pixels in the plane, one t-SNE per model (van der Maaten & Hinton, JMLR 2008)."""
    figure = Figure(figsize=(5 * len(answers), 6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(1, len(answers), squeeze=False)[0]
    for axis, (name, answer) in zip(axes, answers.items(), strict=True):
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
        if len(answer.logits) < FEWEST:
            axis.text(0.5, 0.5, f"only {len(answer.logits)} pixels", ha="center", color="0.5", transform=axis.transAxes)
            continue
        perplexity = min(30.0, (len(answer.logits) - 1) / 3)
        embedding = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(answer.logits)
        axis.scatter(*embedding.T, s=7, c=np.array(colors)[answer.labels] / 255, edgecolors="0.4", linewidths=0.15)
    occurring = np.unique(next(iter(answers.values())).labels).tolist()
    figure.legend(
        handles=legend(occurring, names, colors), loc="outside lower center", ncols=10, fontsize=7, frameon=False
    )
    return figure


@dataclass(frozen=True)
class SharedPixels:
    """Pixels of several datasets, of classes that at least two of them have.

    Args:
        labels: the class of each, a position among `names`.
        origins: the dataset of each, a position among `datasets`.
    """

    labels: Int64[np.ndarray, " m"]
    origins: Int64[np.ndarray, " m"]
    names: Sequence[str]
    colors: Sequence[Color]
    datasets: Sequence[str]


def feature_figure(
    features: Mapping[str, Float[np.ndarray, "m _"]], pixels: SharedPixels, perplexity: float, seed: int, title: str
) -> Figure:
    """Features of the same pixels in the plane, one t-SNE per model, side by side: colours are classes, marks datasets.

    The same features give the same picture; last bits (another device or number of threads) can move the points.

    Args:
        features: by the model's caption.
    """
    figure = Figure(figsize=(5.5 * len(features), 6.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(1, len(features), squeeze=False)[0]
    colors = np.array(pixels.colors) / 255
    # In shuffled portions: no dataset lies on top of the others.
    portions = np.array_split(np.random.default_rng(seed).permutation(len(pixels.labels)), 20)
    for axis, (caption, of_pixels) in zip(axes, features.items(), strict=True):
        fitting = min(float(perplexity), (len(of_pixels) - 1) / 3)
        embedding = TSNE(perplexity=fitting, init="pca", random_state=seed).fit_transform(of_pixels)
        for portion, origin in itertools.product(portions, range(len(pixels.datasets))):
            here = portion[pixels.origins[portion] == origin]
            axis.scatter(
                *embedding[here].T, s=16, marker=MARKERS[origin % len(MARKERS)], color=colors[pixels.labels[here]],
                edgecolors="0.2", linewidths=0.3,
            )  # fmt: skip
        axis.set_title(caption, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    marks = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS[number % len(MARKERS)],
            color="black",
            markerfacecolor="white",
            label=name,
        )
        for number, name in enumerate(pixels.datasets)
    ]
    classes = legend(np.unique(pixels.labels).tolist(), pixels.names, pixels.colors)
    figure.legend(handles=[*marks, *classes], loc="outside lower center", ncols=10, fontsize=8, frameon=False)
    return figure
