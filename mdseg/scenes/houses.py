"""Buildings along the street: facades with windows, doors, shops and roofs."""

import numpy as np
from jaxtyping import Float

from mdseg.scenes.canvas import Canvas, Color, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.world import World

FACADES = {
    "european": ((196, 184, 160), (172, 150, 126), (160, 158, 152), (206, 198, 184), (150, 110, 88), (186, 160,
    120), (140, 136, 130), (176, 178, 170)),
    "american": ((150, 92, 74), (170, 166, 160), (120, 118, 116), (196, 190, 178), (132, 84, 66), (100, 108, 118),
    (206, 200, 190)),
    "indian": ((226, 206, 160), (216, 170, 130), (190, 200, 190), (236, 222, 196), (200, 150, 110), (170, 190, 206),
    (222, 190, 190), (186, 176, 160)),
    "global": ((226, 190, 130), (200, 110, 90), (214, 210, 200), (150, 170, 190), (240, 226, 190), (130, 120, 116),
    (180, 90, 70), (196, 204, 180)),
    "plaster and brick": ((206, 188, 152), (214, 196, 170), (188, 152, 104), (216, 178, 120), (150, 92, 72),
    (132, 82, 66), (168, 108, 84), (176, 172, 164), (206, 204, 198), (226, 220, 204), (150, 142, 132), (190, 134, 108),
    (128, 140, 148)),
    "californian": ((232, 214, 184), (240, 234, 222), (214, 180, 140), (222, 196, 176), (188, 200, 204),
    (226, 204, 150), (168, 118, 92), (150, 158, 164), (236, 222, 206)),
    "blocks": ((132, 92, 74), (158, 142, 122), (112, 104, 98), (176, 160, 132), (96, 78, 70), (140, 128, 120),
    (124, 108, 84)),
    "roman": ((214, 158, 98), (226, 178, 124), (200, 122, 84), (232, 204, 160), (190, 104, 76), (238, 220, 190),
    (206, 148, 112)),
    "brazilian": ((236, 232, 224), (214, 206, 190), (226, 200, 150), (176, 178, 176), (200, 214, 216), (232, 190, 170),
    (190, 162, 130)),
    "japanese": ((222, 220, 214), (196, 194, 190), (236, 234, 228), (170, 158, 144), (150, 150, 154), (206, 196, 180)),
    "taiwanese": ((178, 174, 164), (196, 182, 166), (204, 178, 166), (150, 148, 142), (186, 190, 182), (166, 146, 128)),
    "suburb": ((230, 220, 200), (200, 180, 150), (214, 206, 196), (180, 120, 96), (236, 232, 224), (196, 170, 140)),
}  # fmt: skip
ROOFS = ((122, 66, 50), (92, 62, 54), (78, 80, 84), (104, 98, 92), (134, 78, 58))
PANE, _FRAME = (58, 68, 78), (224, 220, 210)
OUTLINED = 0.055  # width of a window that is worth outlining, in shorter sides of the picture


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
    """A building whose facade lies along the street at `line` metres from its middle, on one side of it."""
    near, far = max(z[0], 0.7), z[1]
    canvas.at(max(near, 4.0))
    color = wall_color(draws, palette)
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


def wall_color(draws: Draws, palette: str) -> Color:
    """A colour of the palette, no two houses quite the same."""
    r, g, b = draws.choice(FACADES[palette])
    return draws.around(r, 0.08), draws.around(g, 0.08), draws.around(b, 0.08)


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
        label = window_label(canvas, grid(canvas, x, left, right, low[:1], high[:1]))
        for grow, paint in (
            (0.12, canvas.ink(draws.choice((_FRAME, toned(color, 0.8))), label, shade)),
            (0.0, canvas.ink(PANE, label)),
        ):
            panes = grid(canvas, x, left - grow, right + grow, low - grow, high + grow)
            canvas.fill_any(panes, paint)
        if canvas.light.night:
            lit = [pane for pane in panes if draws.chance(0.28)]
            canvas.fill_any(lit, canvas.lamp(draws.choice(((236, 200, 120), (220, 190, 140), (190, 200, 210))), label))
        else:
            halves = grid(canvas, x, left, right, (low + high) / 2, high)
            canvas.fill_any(halves, canvas.ink((96, 112, 126), label))
    if shops:
        _shops(canvas, draws, x, near, far, storey, shade)
    elif not shops and draws.chance(0.8):
        z = near + draws.uniform(0.3, 0.6) * (far - near)
        door = grid(canvas, x, np.array([z]), np.array([z + 1.1]), np.array([0.0]), np.array([2.1]))
        canvas.fill_any(door, canvas.ink(draws.choice(((92, 58, 40), (50, 70, 60), (60, 60, 66))), World.DOOR, shade))
    if not pitched:
        for h in (tall - 0.5, 0.0):
            band = grid(canvas, x, np.array([near]), np.array([far]), np.array([h]), np.array([h + 0.5]))
            canvas.fill_any(band, canvas.ink(toned(color, 0.72), World.BUILDING, shade))
    if rows > 2 and draws.chance(0.3):
        balconies = grid(canvas, x, left[::2] - 0.4, right[::2] + 0.4, low[::1] - 0.5, low[::1] + 0.35)
        canvas.fill_any(balconies, canvas.ink((120, 118, 116), World.BUILDING, shade))


def _shops(canvas: Canvas, draws: Draws, x: float, near: float, far: float, storey: float, shade: float) -> None:
    count = max(int((far - near) / 5), 1)
    step = (far - near) / count
    starts = near + step * np.arange(count)
    glass = grid(canvas, x, starts + 0.3, starts + step - 0.3, np.array([0.3]), np.array([storey * 0.72]))
    night = canvas.light.night
    for pane in glass:
        label = window_label(canvas, pane[None])
        canvas.fill_any(
            [pane],
            canvas.lamp((232, 206, 150), label)
            if night
            else canvas.ink(draws.choice(((50, 54, 60), (70, 76, 80), (90, 80, 70))), label, shade),
        )
    boards = grid(canvas, x, starts + 0.1, starts + step - 0.1, np.array([storey * 0.74]), np.array([storey * 0.98]))
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
    panes = canvas.project_all(xs, ys, np.float64(z)).reshape(-1, 4, 2)
    canvas.fill_any(panes, canvas.ink(PANE, window_label(canvas, panes), shade))


def window_label(canvas: Canvas, panes: Float[np.ndarray, "n 4 2"]) -> World:
    """A window, or a small one where no pane that the picture shows whole is worth an annotator's outline."""
    left, right = panes[:, :, 0].min(axis=1), panes[:, :, 0].max(axis=1)
    smallest = OUTLINED * min(canvas.height, canvas.width)
    outlined = (right - left > smallest) & (left > 0) & (right < canvas.width)
    return World.WINDOW if outlined.any() else World.SMALL_WINDOW


def grid(
    canvas: Canvas, x: float, z0: np.ndarray, z1: np.ndarray, y0: np.ndarray, y1: np.ndarray
) -> Float[np.ndarray, "n 4 2"]:
    """Every combination of spans along the street and in height, on the plane at x."""
    places = np.empty((len(z0), len(y0), 4, 2), np.float32)
    camera = canvas.camera
    for edge, corners in ((z0, (0, 3)), (z1, (1, 2))):
        edge = np.maximum(edge, 0.6)
        scale = (camera.focal / edge)[:, None]
        across = camera.center + scale * (x - camera.beside) + camera.focal * camera.bend * edge[:, None]
        for corner, y in zip(corners, (y0, y1), strict=True):
            places[:, :, corner, 0] = across
            places[:, :, corner, 1] = camera.horizon + scale * (camera.above_ground - y)
    return places.reshape(-1, 4, 2)
