"""What all pictures share: saving, colours of classes, legends."""

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text

from mdseg.labels.tables import IGNORE, Color
from mdseg.system.files import write_atomically
from mdseg.system.wording import Remark


def save(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically. Names are drawn as they are: what stands between dollars is no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    content = io.BytesIO()
    _render(figure, content)
    write_atomically(path, lambda file: file.write(content.getvalue()))


def _render(figure: Figure, file: IO[bytes]) -> None:
    """The picture of a figure; of letters that no font has, each of which matplotlib warns of, there is one remark."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
    lacking = [warning for warning in caught if "missing from font" in str(warning.message)]
    for warning in caught:
        if warning not in lacking:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if lacking:
        warnings.warn(
            "pictures: matplotlib's fonts here lack letters of some names and show boxes in their place; "
            "font.family in a matplotlibrc can name one that has them",
            Remark,
            stacklevel=3,
        )


def colorize(mask: np.ndarray, colors: Sequence[Color]) -> np.ndarray:
    """Colour picture of a mask of class indices; ignored pixels are black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    palette[IGNORE] = 0
    picture, bands = np.empty((*mask.shape, 3), np.uint8), len(mask) // 64 + 1
    for rows, drawn in zip(np.array_split(mask, bands), np.array_split(picture, bands), strict=True):
        drawn[:] = palette[rows]  # for which NumPy takes eight bytes per index
    return picture


def fraction(color: Color) -> tuple[float, float, float]:
    """A colour in 0..1, as matplotlib has them."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255


def legend(classes: Iterable[int], names: Sequence[str], colors: Sequence[Color]) -> list[Patch]:
    """A patch for each class index, in order; ignored pixels have none."""
    return [
        Patch(facecolor=fraction(colors[index]), edgecolor="0.5", linewidth=0.3, label=names[index])
        for index in sorted(set(classes) - {IGNORE})
    ]
