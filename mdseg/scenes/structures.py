"""Houses, walls, fences, rails, bridges and tunnels along or across the street."""

import numpy as np
from jaxtyping import Float

from mdseg.scenes.canvas import Canvas, Color
from mdseg.scenes.draws import Draws
from mdseg.scenes.world import World

FACADES = {
    "european": ((196, 184, 160), (172, 150, 126), (160, 158, 152), (206, 198, 184), (150, 110, 88), (186, 160, 120), (140, 136, 130), (176, 178, 170)),
    "american": ((150, 92, 74), (170, 166, 160), (120, 118, 116), (196, 190, 178), (132, 84, 66), (100, 108, 118), (206, 200, 190)),
    "indian": ((226, 206, 160), (216, 170, 130), (190, 200, 190), (236, 222, 196), (200, 150, 110), (170, 190, 206), (222, 190, 190), (186, 176, 160)),
    "global": ((226, 190, 130), (200, 110, 90), (214, 210, 200), (150, 170, 190), (240, 226, 190), (130, 120, 116), (180, 90, 70), (196, 204, 180)),
    "suburb": ((230, 220, 200), (200, 180, 150), (214, 206, 196), (180, 120, 96), (236, 232, 224), (196, 170, 140)),
}  # fmt: skip
ROOFS = ((122, 66, 50), (92, 62, 54), (78, 80, 84), (104, 98, 92), (134, 78, 58))
_PANE, _FRAME = (58, 68, 78), (224, 220, 210)


def house(
    canvas: Canvas,
    draws: Draws,
    side: int,
    line: float,
    z: tuple[float, float],
    tall: float,
    palette: str,
    pitched: bool,
    deep: float = 11.0,
) -> None:
    """A building whose facade lies along the street at ``line`` metres from its middle, on one side of it."""
    near, far = max(z[0], 0.7), z[1]
    canvas.at(max(near, 4.0))
    color = tuple(draws.around(part, 0.08) for part in draws.choice(FACADES[palette]))
    x0, x1 = side * line, side * (line + deep)
    light = canvas.light
    front, facade = light.shade(0, 1), light.shade(-side, 0)
    if pitched:
        _roof(canvas, draws, x0, x1, near, far, tall, side)
    _wall(canvas, [(x0, 0, near), (x1, 0, near), (x1, tall, near), (x0, tall, near)], color, front)
    _wall(canvas, [(x0, 0, near), (x0, 0, far), (x0, tall, far), (x0, tall, near)], color, facade)
    if pitched:
        middle, rise = (x0 + x1) / 2, tall + deep * 0.32
        _wall(canvas, [(x0, tall, near), (x1, tall, near), (middle, rise, near)], color, front)
    storey = draws.uniform(2.9, 3.5)
    shops = draws.chance(0.45) and tall > 6
    if canvas.scale(near) * storey > 9:
        _facade_details(canvas, draws, x0, near, far, tall, storey, color, facade, shops, pitched)
        if z[0] > 1:
            _front_windows(canvas, draws, x0, x1, near, tall, storey, front)


def _wall(canvas: Canvas, corners: list[tuple[float, float, float]], color: Color, shade: float) -> None:
    canvas.fill([canvas.project(*corner) for corner in corners], canvas.ink(color, World.BUILDING, shade))


def _roof(canvas: Canvas, draws: Draws, x0: float, x1: float, near: float, far: float, tall: float, side: int) -> None:
    middle, rise, eave = (x0 + x1) / 2, tall + abs(x1 - x0) * 0.32, side * 0.4
    color = draws.choice(ROOFS)
    _wall(
        canvas,
        [(x0 - eave, tall - 0.1, near), (x0 - eave, tall - 0.1, far), (middle, rise, far), (middle, rise, near)],
        color,
        canvas.light.shade(-side * 0.6, 0, 0.7),
    )
    if draws.chance(0.5):
        z = near + 0.4 * (far - near)
        x, y = canvas.project(middle, rise, z)
        m = canvas.scale(z)
        canvas.rect(x - 0.4 * m, y - 1.0 * m, x + 0.4 * m, y + 0.6 * m, canvas.ink((120, 74, 60), World.BUILDING))


def _facade_details(
    canvas: Canvas,
    draws: Draws,
    x: float,
    near: float,
    far: float,
    tall: float,
    storey: float,
    color: Color,
    shade: float,
    shops: bool,
    pitched: bool,
) -> None:
    rows, columns = max(int(tall / storey), 1), max(int((far - near) / 2.6), 1)
    step = (far - near) / columns
    left = near + step * (np.arange(columns) + 0.24)
    right = near + step * (np.arange(columns) + 0.76)
    low = storey * (np.arange(1 if shops else 0, rows) + (0.32 if rows > 1 else 0.34))
    high = low + storey * draws.uniform(0.42, 0.52)
    if len(low):
        for grow, paint in (
            (0.12, canvas.ink(draws.choice((_FRAME, tuple(c * 0.8 for c in color))), World.BUILDING, shade)),
            (0.0, canvas.ink(_PANE, World.BUILDING)),
        ):
            panes = _grid(canvas, x, left - grow, right + grow, low - grow, high + grow)
            canvas.fill_any(panes, paint)
        if canvas.light.night:
            lit = [pane for pane in panes if draws.chance(0.28)]
            canvas.fill_any(
                lit, canvas.lamp(draws.choice(((236, 200, 120), (220, 190, 140), (190, 200, 210))), World.BUILDING)
            )
        else:
            halves = _grid(canvas, x, left, right, (low + high) / 2, high)
            canvas.fill_any(halves, canvas.ink((96, 112, 126), World.BUILDING))
    if shops:
        _shops(canvas, draws, x, near, far, storey, shade)
    elif not shops and draws.chance(0.8):
        z = near + draws.uniform(0.3, 0.6) * (far - near)
        door = _grid(canvas, x, np.array([z]), np.array([z + 1.1]), np.array([0.0]), np.array([2.1]))
        canvas.fill_any(
            door, canvas.ink(draws.choice(((92, 58, 40), (50, 70, 60), (60, 60, 66))), World.BUILDING, shade)
        )
    if not pitched:
        for h in (tall - 0.5, 0.0):
            band = _grid(canvas, x, np.array([near]), np.array([far]), np.array([h]), np.array([h + 0.5]))
            canvas.fill_any(band, canvas.ink(tuple(part * 0.72 for part in color), World.BUILDING, shade))
    if rows > 2 and draws.chance(0.3):
        balconies = _grid(canvas, x, left[::2] - 0.4, right[::2] + 0.4, low[::1] - 0.5, low[::1] + 0.35)
        canvas.fill_any(balconies, canvas.ink((120, 118, 116), World.BUILDING, shade))


def _shops(canvas: Canvas, draws: Draws, x: float, near: float, far: float, storey: float, shade: float) -> None:
    count = max(int((far - near) / 5), 1)
    step = (far - near) / count
    starts = near + step * np.arange(count)
    glass = _grid(canvas, x, starts + 0.3, starts + step - 0.3, np.array([0.3]), np.array([storey * 0.72]))
    night = canvas.light.night
    for pane in glass:
        canvas.fill_any(
            [pane],
            canvas.lamp((232, 206, 150), World.BUILDING)
            if night
            else canvas.ink(draws.choice(((50, 54, 60), (70, 76, 80), (90, 80, 70))), World.BUILDING, shade),
        )
    boards = _grid(canvas, x, starts + 0.1, starts + step - 0.1, np.array([storey * 0.74]), np.array([storey * 0.98]))
    for board in boards:
        color = draws.choice(
            ((180, 40, 40), (40, 80, 140), (230, 200, 70), (60, 110, 70), (220, 220, 214), (60, 50, 50))
        )
        canvas.fill_any([board], canvas.ink(color, World.BUILDING, shade))


def _front_windows(
    canvas: Canvas, draws: Draws, x0: float, x1: float, z: float, tall: float, storey: float, shade: float
) -> None:
    if draws.chance(0.35):
        return
    left = min(x0, x1) + 1.2 + 3.4 * np.arange(3)
    low = storey * (np.arange(max(int(tall / storey), 1)) + 0.32)
    xs = np.stack([left, left + 1.2, left + 1.2, left], -1)[:, None]
    ys = np.stack([low, low, low + 1.5, low + 1.5], -1)[None]
    canvas.fill_any(
        (canvas.project_all(xs, ys, np.float64(z)).reshape(-1, 4, 2)), canvas.ink(_PANE, World.BUILDING, shade)
    )


def _grid(
    canvas: Canvas, x: float, z0: np.ndarray, z1: np.ndarray, y0: np.ndarray, y1: np.ndarray
) -> Float[np.ndarray, "n 4 2"]:
    """Every combination of spans along the street and in height, on the plane at x."""
    places = np.empty((len(z0), len(y0), 4, 2), np.float32)
    camera = canvas.camera
    for edge, corners in ((z0, (0, 3)), (z1, (1, 2))):
        edge = np.maximum(edge, 0.6)
        scale = (camera.focal / edge)[:, None]
        across = camera.center + scale * x + camera.focal * camera.bend * edge[:, None]
        for corner, y in zip(corners, (y0, y1), strict=True):
            places[:, :, corner, 0] = across
            places[:, :, corner, 1] = camera.horizon + scale * (camera.above_ground - y)
    return places.reshape(-1, 4, 2)


def barrier_wall(canvas: Canvas, draws: Draws, x: float, z: tuple[float, float], tall: float) -> None:
    """A wall along the street with a coping."""
    color = draws.choice(((150, 140, 128), (130, 92, 76), (166, 162, 154), (120, 120, 118)))
    _along(canvas, x, z, 0, tall, color, World.WALL)
    _along(canvas, x, z, tall - 0.15, tall, tuple(part * 0.75 for part in color), World.WALL)
    canvas.at((z[0] + z[1]) / 2)
    joints = np.arange(z[0] + 2, z[1], 3.0)
    lines = _grid(canvas, x, joints, joints + 0.12, np.array([0.0]), np.array([tall - 0.15]))
    canvas.fill_any(lines, canvas.ink(tuple(part * 0.8 for part in color), World.WALL))


def _along(canvas: Canvas, x: float, z: tuple[float, float], low: float, high: float, color: Color, label: int) -> None:
    shade = canvas.light.shade(1 if x < 0 else -1, 0)
    edges = np.geomspace(max(z[0], 0.8), max(z[1], 1.0), 5)
    for start, end in zip(edges[:-1], edges[1:], strict=True):
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
    canvas.fill(top, canvas.ink(tuple(part * 1.2 for part in color), label))


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
    ink = canvas.ink(tuple(part * 0.72 for part in color), World.FENCE)
    canvas.fill_any((_grid(canvas, x, bars, bars + 0.1, np.array([0.0]), np.array([tall]))), ink)
    rails = np.array([tall * 0.25, tall * 0.92])
    canvas.fill_any((_grid(canvas, x, np.array([near]), np.array([far]), rails, rails + 0.09)), ink)


def guard_rail(canvas: Canvas, draws: Draws, x: float, z: tuple[float, float]) -> None:
    """A steel rail on short posts."""
    near, far = max(z[0], 1.0), z[1]
    canvas.at((near + far) / 2)
    posts = np.arange(near, far, 2.5)
    canvas.fill_any(
        (_grid(canvas, x, posts, posts + 0.14, np.array([0.0]), np.array([0.7]))),
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
        canvas.fill_any((canvas.project_all(xs, ys, np.float64(z)).reshape(-1, 4, 2)), canvas.ink(_PANE, label))
