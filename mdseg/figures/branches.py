"""Pictures of several branches' answers beside their merge, and of what discriminators make of predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mdseg.figures.drawing import colorize, fraction, legend
from mdseg.labels.tables import Color

# Of branches: what classes of streets rarely have.
PALETTE: tuple[Color, ...] = (
    (31, 119, 180),
    (255, 127, 14),
    (148, 103, 189),
    (227, 119, 194),
    (188, 189, 34),
    (23, 190, 207),
    (140, 86, 75),
    (127, 127, 127),
)


@dataclass(frozen=True)
class BranchRow:
    """An image [h w 3], class indices [H W] of each branch and of their merge, the number of the branch that won."""

    image: np.ndarray
    answers: Mapping[str, np.ndarray]
    merged: np.ndarray
    winner: np.ndarray


def branch_panels(rows: Sequence[BranchRow], names: Sequence[str], colors: Sequence[Color], title: str) -> Figure:
    """A row per image: the image, each branch's answer, the merge, and which branch it comes from."""
    branches = list(rows[0].answers)
    headings = ("image", *branches, "merged", "decided by")
    aspect = rows[0].image.shape[0] / rows[0].image.shape[1]
    figure = Figure(figsize=(3 * len(headings), 3 * aspect * len(rows) + 1.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(rows), len(headings), squeeze=False)
    palette = branch_colors(len(branches))
    for row, line in zip(rows, axes, strict=True):
        masks = (*row.answers.values(), row.merged)
        pictures = (row.image, *(colorize(mask, colors) for mask in masks), colorize(row.winner, palette))
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, aspect="auto", interpolation="nearest")
            axis.set_axis_off()
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading, fontsize=9)
    occurring = {
        index for row in rows for mask in (*row.answers.values(), row.merged) for index in np.unique(mask).tolist()
    }
    deciding = [
        Patch(facecolor=fraction(color), label=f"by {name}") for name, color in zip(branches, palette, strict=True)
    ]
    handles = [*legend(occurring, names, colors), *deciding]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, fontsize=6, frameon=False)
    return figure


def branch_colors(count: int) -> list[Color]:
    """A colour for each of so many branches."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    hues = colormaps["hsv"](np.arange(count) / count)[:, :3]
    return [(red, green, blue) for red, green, blue in (255 * hues).round().astype(int).tolist()]


def verdicts(columns: Mapping[str, tuple[np.ndarray, Mapping[str, Float[np.ndarray, "h w"]]]], title: str) -> Figure:
    """A column per domain: an image and, below, what each discriminator says of its patches.

    Args:
        columns: name of the domain → an image [h w 3] and, by the discriminators' names, the probability that a patch
            is one of a source.
    """
    players = list(dict.fromkeys(player for _, maps in columns.values() for player in maps))
    height, width = next(iter(columns.values()))[0].shape[:2]
    rows = 1 + len(players)
    figure = Figure(figsize=(4 * len(columns) + 1, 0.6 + 4 * height / width * rows), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    scale = Normalize(0, 1)
    for column, (domain, (image, maps)) in enumerate(columns.items()):
        axes[0, column].imshow(image, aspect="auto")
        axes[0, column].set_title(domain, fontsize=9)
        for row, player in enumerate(players, start=1):
            if player not in maps:
                continue
            axes[row, column].imshow(maps[player], norm=scale, cmap="coolwarm", aspect="auto", interpolation="nearest")
            axes[row, column].set_title(player, fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    bar = figure.colorbar(ScalarMappable(scale, "coolwarm"), ax=axes, shrink=0.6)
    bar.set_label("looks like: target (0) … source (1)", fontsize=8)
    return figure
