"""Pictures of translated images."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure


def pairs(columns: Mapping[str, Sequence[UInt8[np.ndarray, "_ _ 3"]]], title: str) -> Figure:
    """Images beside each other, a column per kind and a row per image.

    Args:
        columns: name → images; sizes may differ.
    """
    rows = min(len(images) for images in columns.values())
    height, width = next(iter(columns.values()))[0].shape[:2]
    figure = Figure(figsize=(4 * len(columns), 0.5 + 4 * rows * height / width), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (name, images) in enumerate(columns.items()):
        axes[0, column].set_title(name)
        for row in range(rows):
            axes[row, column].imshow(images[row])
            axes[row, column].axis("off")
    figure.suptitle(title)
    return figure
