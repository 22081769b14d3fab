"""Trees and shrubs, pasted from brightness sprites and coloured by season and light."""

from collections.abc import Mapping
from math import cos, pi, sin

import numpy as np
from jaxtyping import UInt8

from mdseg.scenes.canvas import Canvas, Color, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.textures import crowns, flat_crowns
from mdseg.scenes.world import World

GREENS = {
    "summer": ((74, 108, 44), (92, 124, 50), (60, 92, 44), (104, 128, 62), (80, 104, 58)),
    "dull": ((72, 92, 56), (84, 98, 62), (64, 80, 52), (92, 100, 66)),
    "dusty": ((98, 112, 62), (112, 116, 74), (84, 100, 56), (120, 122, 80)),
    "autumn": ((176, 112, 40), (190, 140, 50), (150, 80, 36), (110, 112, 50), (200, 150, 70)),
    "bright": ((96, 140, 50), (118, 156, 64), (84, 128, 48), (128, 160, 76)),
    "tropical": ((58, 112, 44), (76, 128, 48), (44, 96, 46), (96, 136, 56)),
    "dry": ((110, 118, 66), (128, 128, 78), (92, 104, 58), (138, 126, 80), (96, 112, 56)),
    "rendered": ((60, 92, 34), (72, 102, 40), (52, 84, 36), (86, 108, 48)),
}


def tree(
    canvas: Canvas, draws: Draws, x: float, z: float, palette: str, kinds: Mapping[str, float] | None = None
) -> None:
    """Trunk and a leafy crown; both are vegetation, as the annotation policies say."""
    canvas.at(z)
    if kinds:
        kind = draws.weighted({**kinds, "": max(1 - sum(kinds.values()), 0.0)})
        if kind:
            (_palm if kind == "palm" else _pine)(canvas, draws, x, z, palette)
            return
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
    canvas.paste(_crowns(canvas)[number], crown, leaf_colors(canvas, color, World.VEGETATION))


def _crowns(canvas: Canvas) -> tuple[UInt8[np.ndarray, "128 128"], ...]:
    return flat_crowns() if canvas.light.flat else crowns()


def _palm(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """A bare leaning trunk with a tuft of drooping fronds."""
    tall, m, (x0, y0) = draws.uniform(7, 15), canvas.scale(z), canvas.project(x, 0, z)
    lean = draws.uniform(-0.8, 0.8)
    top = (x0 + lean * m, y0 - tall * m)
    canvas.line(
        (x0, y0), (x0 + 0.4 * lean * m, y0 - 0.55 * tall * m), canvas.ink((112, 98, 80), World.VEGETATION), 0.34 * m
    )
    canvas.line(
        (x0 + 0.4 * lean * m, y0 - 0.55 * tall * m), top, canvas.ink((120, 106, 86), World.VEGETATION), 0.28 * m
    )
    color, long = draws.choice(GREENS[palette]), draws.uniform(1.7, 2.6)
    along = np.linspace(0, 1, 5)
    fronds = np.linspace(0.15, 2 * pi + 0.15, 11)[:-1] + draws.uniform(-0.2, 0.2)
    for number, angle in enumerate(fronds.tolist()):
        spread, droop = cos(angle), 0.35 + 0.75 * (0.5 - 0.5 * sin(angle))
        xs = top[0] + long * m * spread * along
        ys = top[1] - long * m * (0.55 * along * (0.4 + max(sin(angle), 0)) - droop * along**2)
        thick = 0.3 * m * np.sin(pi * (0.12 + 0.88 * along)) + 0.5
        blade = np.concatenate([np.stack([xs, ys - thick], -1), np.stack([xs, ys + thick], -1)[::-1]])
        canvas.fill_any([blade], canvas.ink(color, World.VEGETATION, (0.72, 1.0, 1.22)[number % 3]))


def _pine(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """An umbrella pine: a tall trunk below a wide, flat crown."""
    tall, m, (x0, y0) = draws.uniform(9, 15), canvas.scale(z), canvas.project(x, 0, z)
    trunk = max(0.2 * m, 1)
    canvas.rect(x0 - trunk, y0 - tall * 0.85 * m, x0 + trunk, y0, canvas.ink((104, 78, 62), World.VEGETATION))
    half, deep = tall * draws.uniform(0.3, 0.42), tall * draws.uniform(0.2, 0.28)
    crown = (x0 - half * m, y0 - tall * m, x0 + half * m, y0 - (tall - deep) * m)
    color = toned(draws.choice(GREENS[palette]), 0.8)
    canvas.paste(_crowns(canvas)[draws.choice((0, 1, 2, 6, 7, 8))], crown, leaf_colors(canvas, color, World.VEGETATION))


def bush(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """A round shrub."""
    canvas.at(z)
    m, (x0, y0) = canvas.scale(z), canvas.project(x, 0, z)
    half, tall = draws.uniform(0.5, 1.1), draws.uniform(0.7, 1.5)
    colors = leaf_colors(canvas, draws.choice(GREENS[palette]), World.HEDGE)
    canvas.paste(
        _crowns(canvas)[draws.choice((0, 1, 2, 6, 7, 8))],
        (x0 - half * m, y0 - tall * m, x0 + half * m, y0 + 0.2 * m),
        colors,
    )


def leaf_colors(canvas: Canvas, color: Color, label: int) -> np.ndarray:
    """Table brightness → colour and label: shadows bluish, lights yellowish."""
    level = np.arange(256, dtype=np.float32)[:, None] / 150
    lit = np.asarray(color, np.float32) * level * (0.92 + 0.12 * level * np.array([1.0, 1.0, 0.5], np.float32))
    table = np.empty((256, 4), np.uint8)
    table[:, :3] = np.clip(lit * np.asarray(canvas._keep, np.float32) + np.asarray(canvas._haze, np.float32), 0, 255)
    table[:, 3] = label
    return table
