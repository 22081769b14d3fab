"""Class relations as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def relation_heatmap(
    scores: np.ndarray, relations: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str
) -> Figure:
    """Mean score of every channel (column) on the pixels of every class (row); found relations are framed.

    Args:
        scores: [rows, columns], nan where a class has no pixels.
        relations: bool [rows, columns].
    """
    figure = Figure(figsize=(2.2 + 0.17 * len(columns), 1.8 + 0.17 * len(rows)), layout="constrained")
    axis = figure.subplots()
    limit = np.nanmax(np.abs(scores)) if np.isfinite(scores).any() else 1.0
    picture = axis.imshow(scores, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.argwhere(relations):
        axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.2))
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=6)
    axis.set_yticks(range(len(rows)), rows, fontsize=6)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("channel", fontsize=8)
    axis.set_ylabel("annotated class", fontsize=8)
    figure.colorbar(picture, ax=axis, shrink=0.6, label="mean score")
    return figure
