"""Walls, fences, rails, bridges and tunnels along or across the street."""

from itertools import pairwise

import numpy as np

from mdseg.scenes.canvas import Canvas, Color, receding, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.houses import FACADES, PANE, grid
from mdseg.scenes.world import World


def barrier_wall(canvas: Canvas, draws: Draws, x: float, z: tuple[float, float], tall: float) -> None:
    """A wall along the street with a coping."""
    color = draws.choice(((150, 140, 128), (130, 92, 76), (166, 162, 154), (120, 120, 118)))
    _along(canvas, x, z, 0, tall, color, World.WALL)
    _along(canvas, x, z, tall - 0.15, tall, toned(color, 0.75), World.WALL)
    canvas.at((z[0] + z[1]) / 2)
    joints = np.arange(z[0] + 2, z[1], 3.0)
    lines = grid(canvas, x, joints, joints + 0.12, np.array([0.0]), np.array([tall - 0.15]))
    canvas.fill_any(lines, canvas.ink(toned(color, 0.8), World.WALL))


def _along(canvas: Canvas, x: float, z: tuple[float, float], low: float, high: float, color: Color, label: int) -> None:
    shade = canvas.light.shade(1 if x < 0 else -1, 0)
    edges = receding(max(z[0], 0.8), max(z[1], 1.0), 5)
    for start, end in pairwise(edges.tolist()):
        canvas.at((start + end) / 2)
        corners = [
            canvas.project(x, low, start),
            canvas.project(x, low, end),
            canvas.project(x, high, end),
            canvas.project(x, high, start),
        ]
        canvas.fill(corners, canvas.ink(color, label, shade))


def hedge(
    canvas: Canvas, draws: Draws, x: float, z: tuple[float, float], color: Color, label: int = World.HEDGE
) -> None:
    """A clipped hedge along the street: a dark face and a light top."""
    tall = draws.uniform(0.8, 1.7)
    _along(canvas, x, z, 0, tall, color, label)
    canvas.at((z[0] + z[1]) / 2)
    side = 1 if x > 0 else -1
    top = [
        canvas.project(x, tall, z[0]),
        canvas.project(x, tall, z[1]),
        canvas.project(x + side, tall, z[1]),
        canvas.project(x + side, tall, z[0]),
    ]
    canvas.fill(top, canvas.ink(toned(color, 1.2), label))


def fence(canvas: Canvas, draws: Draws, x: float, z: tuple[float, float]) -> None:
    """A fence one can see through: mesh, pickets or planks with posts; the whole area is labelled."""
    near, far = max(z[0], 1.0), z[1]
    tall = draws.uniform(1.1, 2.0)
    color = draws.choice(((120, 122, 120), (110, 84, 60), (60, 74, 62), (214, 212, 206)))
    canvas.at((near + far) / 2)
    corners = [
        canvas.project(x, 0, near),
        canvas.project(x, 0, far),
        canvas.project(x, tall, far),
        canvas.project(x, tall, near),
    ]
    canvas.veil(corners, canvas.ink(color, World.FENCE), draws.uniform(0.45, 0.75))
    bars = near + (far - near) * np.linspace(0, 1, max(int((far - near) / 0.7), 2)) ** 1.3
    ink = canvas.ink(toned(color, 0.72), World.FENCE)
    canvas.fill_any((grid(canvas, x, bars, bars + 0.1, np.array([0.0]), np.array([tall]))), ink)
    rails = np.array([tall * 0.25, tall * 0.92])
    canvas.fill_any((grid(canvas, x, np.array([near]), np.array([far]), rails, rails + 0.09)), ink)


def guard_rail(canvas: Canvas, draws: Draws, x: float, z: tuple[float, float]) -> None:
    """A steel rail on short posts."""
    near, far = max(z[0], 1.0), z[1]
    canvas.at((near + far) / 2)
    posts = np.arange(near, far, 2.5)
    canvas.fill_any(
        (grid(canvas, x, posts, posts + 0.14, np.array([0.0]), np.array([0.7]))),
        canvas.ink((104, 108, 110), World.GUARD_RAIL),
    )
    for low, high, color in ((0.4, 0.76, (176, 180, 182)), (0.54, 0.6, (112, 116, 120))):
        _along(canvas, x, (near, far), low, high, color, World.GUARD_RAIL)


def barriers(canvas: Canvas, draws: Draws, x: float, z: float, heading_across: bool) -> None:
    """Red and white road-work barriers, or concrete blocks, in a row."""
    canvas.at(z)
    concrete = draws.chance(0.4)
    for number in range(3):
        if heading_across:
            x0, x1, z0, z1 = x + number * 1.5, x + number * 1.5 + 1.35, z, z
        else:
            x0, x1, z0, z1 = x, x, z + number * 1.6, z + number * 1.6 + 1.45
        stripes = 1 if concrete else 5
        for stripe in range(stripes):
            s, t = stripe / stripes, (stripe + 1) / stripes
            color = (168, 164, 156) if concrete else ((220, 50, 40) if stripe % 2 == 0 else (240, 240, 238))
            a, b = (x0 + s * (x1 - x0), z0 + s * (z1 - z0)), (x0 + t * (x1 - x0), z0 + t * (z1 - z0))
            low = 0.0 if concrete else 0.45
            corners = [
                canvas.project(a[0], low, a[1]),
                canvas.project(b[0], low, b[1]),
                canvas.project(b[0], 0.95, b[1]),
                canvas.project(a[0], 0.95, a[1]),
            ]
            canvas.fill(corners, canvas.ink(color, World.BARRIER))
        for foot in (x0 + 0.15 * (x1 - x0), x1 - 0.15 * (x1 - x0)):
            m, (px, py) = canvas.scale(z0), canvas.project(foot, 0, (z0 + z1) / 2)
            canvas.rect(px - 0.06 * m, py - 0.5 * m, px + 0.06 * m, py, canvas.ink((90, 90, 92), World.BARRIER))


def overpass(canvas: Canvas, draws: Draws, left: float, right: float, z: float, label: World) -> None:
    """A bridge, a building with an archway, or a tunnel mouth across the street at distance z."""
    canvas.at(z)
    deck = {World.BRIDGE: draws.uniform(4.8, 5.6), World.ARCHWAY: 4.4, World.TUNNEL: 5.2}[label]
    thick = {
        World.BRIDGE: draws.uniform(1.2, 1.8),
        World.ARCHWAY: draws.uniform(5, 9),
        World.TUNNEL: draws.uniform(5, 8),
    }[label]
    color = (
        draws.choice(((150, 148, 144), (134, 126, 116), (120, 122, 124)))
        if label != World.ARCHWAY
        else draws.choice(FACADES["european"])
    )
    back, light = z + (7 if label == World.BRIDGE else 14), canvas.light
    for side, edge in ((-1, left), (1, right)):
        inner = [
            canvas.project(edge, 0, z),
            canvas.project(edge, 0, back),
            canvas.project(edge, deck, back),
            canvas.project(edge, deck, z),
        ]
        canvas.fill(inner, canvas.ink(color, label, light.shade(-side, 0) * 0.6))
        outer = edge + side * (1.6 if label == World.BRIDGE else 60)
        pier = [
            canvas.project(edge, 0, z),
            canvas.project(outer, 0, z),
            canvas.project(outer, deck, z),
            canvas.project(edge, deck, z),
        ]
        canvas.fill(pier, canvas.ink(color, label, light.shade(0, 1)))
    reach = 70 if label != World.ARCHWAY else 12
    if label == World.TUNNEL:
        mouth = [
            canvas.project(left, 0, z),
            canvas.project(right, 0, z),
            canvas.project(right, deck, z),
            canvas.project(left, deck, z),
        ]
        (x0, y0), (x1, y1) = mouth[3], mouth[1]
        canvas.rect(x0, y0, x1, y0 + 0.55 * (y1 - y0), canvas.ink((36, 34, 34), label))
    under = [
        canvas.project(left, deck, z),
        canvas.project(right, deck, z),
        canvas.project(right, deck, back),
        canvas.project(left, deck, back),
    ]
    canvas.fill(under, canvas.ink(color, label, 0.42))
    face = [
        canvas.project(-reach, deck, z),
        canvas.project(reach, deck, z),
        canvas.project(reach, deck + thick, z),
        canvas.project(-reach, deck + thick, z),
    ]
    canvas.fill(face, canvas.ink(color, label, light.shade(0, 1)))
    lip = [
        canvas.project(-reach, deck, z),
        canvas.project(reach, deck, z),
        canvas.project(reach, deck + 0.3, z),
        canvas.project(-reach, deck + 0.3, z),
    ]
    canvas.fill(lip, canvas.ink(color, label, 0.7))
    if label == World.ARCHWAY:
        columns = np.arange(-reach + 1, reach - 1, 2.4)
        xs = np.stack([columns, columns + 1.1, columns + 1.1, columns], -1)[:, None]
        low = deck + 1 + 2.8 * np.arange(int((thick - 1) / 2.8))
        ys = np.stack([low, low, low + 1.5, low + 1.5], -1)[None]
        canvas.fill_any((canvas.project_all(xs, ys, np.float64(z)).reshape(-1, 4, 2)), canvas.ink(PANE, label))
