"""Trees and shrubs, pasted from brightness sprites and coloured by season and light."""

import numpy as np

from mdseg.scenes.canvas import Canvas, Color
from mdseg.scenes.draws import Draws
from mdseg.scenes.textures import crowns
from mdseg.scenes.world import World

GREENS = {
    "summer": ((74, 108, 44), (92, 124, 50), (60, 92, 44), (104, 128, 62), (80, 104, 58)),
    "dull": ((72, 92, 56), (84, 98, 62), (64, 80, 52), (92, 100, 66)),
    "dusty": ((98, 112, 62), (112, 116, 74), (84, 100, 56), (120, 122, 80)),
    "autumn": ((176, 112, 40), (190, 140, 50), (150, 80, 36), (110, 112, 50), (200, 150, 70)),
    "bright": ((96, 140, 50), (118, 156, 64), (84, 128, 48), (128, 160, 76)),
}


def tree(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """Trunk and a leafy crown; both are vegetation, as the annotation policies say."""
    canvas.at(z)
    tall = draws.uniform(5.5, 12.0)
    m, (x0, y0) = canvas.scale(z), canvas.project(x, 0, z)
    number = draws.integer(0, 18)
    if z < 16 and number % 6 == 4:
        number += 1  # close by, a conifer shows how it was drawn
    conifer = number % 6 == 4
    trunk = max(0.16 * m, 1)
    canvas.rect(x0 - trunk, y0 - tall * 0.5 * m, x0 + trunk, y0, canvas.ink((78, 62, 50), World.VEGETATION))
    half = tall * (0.26 if conifer else draws.uniform(0.36, 0.52))
    low = tall * (0.08 if conifer else draws.uniform(0.24, 0.36))
    crown = (x0 - half * m, y0 - tall * m, x0 + half * m, y0 - low * m)
    color = draws.choice(GREENS["dull" if conifer and palette == "autumn" else palette])
    canvas.paste(crowns()[number], crown, leaf_colors(canvas, color, World.VEGETATION))


def bush(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """A round shrub."""
    canvas.at(z)
    m, (x0, y0) = canvas.scale(z), canvas.project(x, 0, z)
    half, tall = draws.uniform(0.5, 1.1), draws.uniform(0.7, 1.5)
    colors = leaf_colors(canvas, draws.choice(GREENS[palette]), World.HEDGE)
    canvas.paste(
        crowns()[draws.choice((0, 1, 2, 6, 7, 8))], (x0 - half * m, y0 - tall * m, x0 + half * m, y0 + 0.2 * m), colors
    )


def leaf_colors(canvas: Canvas, color: Color, label: int) -> np.ndarray:
    """Table brightness → colour and label: shadows bluish, lights yellowish."""
    level = np.arange(256, dtype=np.float32)[:, None] / 150
    lit = np.asarray(color, np.float32) * level * (0.92 + 0.12 * level * np.array([1.0, 1.0, 0.5], np.float32))
    table = np.empty((256, 4), np.uint8)
    table[:, :3] = np.clip(lit * np.asarray(canvas._keep, np.float32) + np.asarray(canvas._haze, np.float32), 0, 255)
    table[:, 3] = label
    return table
