"""Label embeddings as pictures."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


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
