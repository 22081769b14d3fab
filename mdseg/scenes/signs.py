"""Traffic lights, traffic signs, sign frames, billboards and banners."""

from math import cos, pi, sin

from mdseg.scenes.canvas import Canvas, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.people import Figure
from mdseg.scenes.poles import STEEL, post
from mdseg.scenes.world import World


def traffic_light(canvas: Canvas, draws: Draws, x: float, z: float, base: float, overhead: bool) -> None:
    """Signal heads on a pole, or hanging from an arm over the road (overhead)."""
    state = draws.integer(0, 3)
    side = -1 if x > 0 else 1
    if overhead:
        figure = post(canvas, x, z, 6.2, 0.2, (96, 98, 96), World.POLE, base)
        reach = min(abs(x) * 0.9, 6) * side
        figure.limb(((0, 6.0), (reach, 6.2)), (96, 98, 96), World.POLE, max(0.14, 1.6 / figure.metre))
        for share in (0.55, 0.98):
            _signal(figure, reach * share, 5.2, state, 1.15)
        return
    figure = post(canvas, x, z, 3.4, 0.14, (88, 90, 88), World.POLE, base)
    _signal(figure, 0, 2.5, state, 1.0)


def _signal(figure: Figure, dx: float, low: float, state: int, size: float) -> None:
    canvas, label = figure.canvas, World.TRAFFIC_LIGHT
    half, tall = 0.2 * size, 1.0 * size
    figure.shape(
        ((dx - half, low), (dx + half, low), (dx + half, low + tall), (dx - half, low + tall)), (26, 28, 28), label
    )
    lamps = (((250, 50, 40), (70, 24, 22)), ((255, 190, 50), (74, 58, 24)), ((70, 235, 150), (22, 62, 44)))
    for place, (lit, dark) in enumerate(lamps):
        x, y = figure.point(dx, low + tall * (0.82 - 0.32 * place))
        on = place == state
        canvas.disc(x, y, 0.15 * size * figure.metre, canvas.lamp(lit, label) if on else canvas.ink(dark, label))
        if on and canvas.light.night:
            canvas.glow(x, y, 0.9 * figure.metre, toned(lit, 0.6))


def sign(canvas: Canvas, draws: Draws, x: float, z: float, base: float, american: bool, back: bool) -> None:
    """A traffic sign on a pole, from its face or from its grey back."""
    tall = draws.uniform(2.3, 2.9)
    figure = post(canvas, x, z, tall, 0.09, STEEL, World.POLE, base)
    kinds = (
        ("stop", "diamond", "speed_us", "triangle")
        if american
        else ("circle", "triangle", "blue", "stop", "panel", "priority", "circle")
    )
    _plate(figure, draws.choice(kinds), tall, back, 0.42)
    if draws.chance(0.3):
        _plate(figure, "panel" if not american else "speed_us", tall - 0.85, back, 0.3)


def _plate(figure: Figure, kind: str, tall: float, back: bool, r: float) -> None:
    label = World.SIGN_BACK if back else World.TRAFFIC_SIGN
    outline = _OUTLINES.get(kind, _OUTLINES["circle"])
    colors = _PLATES[kind]

    def points(part: float) -> tuple[tuple[float, float], ...]:
        lift = 0.12 * (1 - part) if kind == "triangle" else 0.0
        return tuple((dx * r * part, tall + (h * part + lift) * r) for dx, h in outline)

    if back:
        figure.shape(points(1.0), (146, 148, 148), label)
        figure.shape(points(0.7), (128, 130, 132), label)
        return
    figure.shape(points(1.0), colors[0], label)
    figure.shape(points(0.72), colors[1], label)
    if len(colors) > 2:
        figure.limb(((-0.4 * r, tall), (0.4 * r, tall)), colors[2], label, 0.28 * r)


def _polygon(corners: int, turn: float) -> tuple[tuple[float, float], ...]:
    return tuple((sin(turn + k * 2 * pi / corners), cos(turn + k * 2 * pi / corners)) for k in range(corners))


_OUTLINES = {
    "circle": _polygon(14, 0),
    "triangle": _polygon(3, 0),
    "stop": _polygon(8, pi / 8),
    "diamond": _polygon(4, 0),
    "priority": _polygon(4, 0),
    "panel": ((-1.1, -0.7), (1.1, -0.7), (1.1, 0.7), (-1.1, 0.7)),
    "speed_us": ((-0.75, -1), (0.75, -1), (0.75, 1), (-0.75, 1)),
}
_PLATES = {
    "circle": ((200, 28, 34), (244, 244, 242), (30, 30, 32)),
    "triangle": ((200, 28, 34), (244, 244, 240)),
    "stop": ((196, 24, 32), (196, 24, 32), (244, 244, 244)),
    "diamond": ((40, 38, 30), (240, 190, 30), (40, 38, 30)),
    "priority": ((244, 244, 240), (240, 190, 30)),
    "blue": ((240, 240, 242), (26, 76, 170), (240, 240, 244)),
    "panel": ((240, 240, 240), (30, 80, 160), (240, 240, 240)),
    "speed_us": ((30, 30, 32), (246, 246, 244), (30, 30, 32)),
}


def gantry(canvas: Canvas, draws: Draws, half_road: float, z: float, green: bool) -> None:
    """A sign frame across the road with direction panels."""
    canvas.at(z)
    m, tall = canvas.scale(z), draws.uniform(6.6, 7.2)
    ink = canvas.ink((134, 138, 140), World.SIGN_FRAME)
    reach = half_road + 1.2
    for side in (-1, 1):
        x0, y0 = canvas.project(side * reach, 0, z)
        x1, y1 = canvas.project(side * reach, tall, z)
        canvas.line((x0, y0), (x1, y1), ink, max(0.3 * m, 2))
    for h in (tall, tall - 0.8):
        canvas.line(canvas.project(-reach, h, z), canvas.project(reach, h, z), ink, max(0.16 * m, 1.6))
    back = draws.chance(0.2)
    for center in (-0.45 * half_road, 0.45 * half_road):
        half, label = draws.uniform(1.4, 2.2), World.SIGN_BACK if back else World.TRAFFIC_SIGN
        color = (142, 144, 144) if back else ((20, 104, 70) if green else (30, 74, 150))
        x0, y0 = canvas.project(center - half, tall + 0.5, z)
        x1, y1 = canvas.project(center + half, tall - 1.7, z)
        canvas.rect(x0, y0, x1, y1, canvas.ink(color, label))
        if not back:
            white = canvas.ink((236, 238, 236), label)
            for row in (0.25, 0.5, 0.75):
                y = y0 + row * (y1 - y0)
                canvas.line(
                    (x0 + 0.12 * (x1 - x0), y),
                    (x0 + draws.uniform(0.5, 0.88) * (x1 - x0), y),
                    white,
                    max((y1 - y0) * 0.1, 1),
                )


def billboard(canvas: Canvas, draws: Draws, x: float, z: float) -> None:
    """An advertising board on two posts."""
    low, tall, half = draws.uniform(2.6, 4.5), draws.uniform(2.2, 3.4), draws.uniform(2.0, 3.2)
    for dx in (-half * 0.6, half * 0.6):
        post(canvas, x + dx, z, low, 0.24, (92, 90, 88), World.POLE)
    figure = Figure(canvas, x, z)
    back, front = draws.choice(
        (
            ((226, 60, 50), (250, 240, 220)),
            ((40, 110, 180), (250, 250, 250)),
            ((250, 210, 50), (180, 30, 40)),
            ((240, 240, 236), (30, 60, 120)),
            ((60, 150, 90), (250, 246, 210)),
        )
    )
    label = World.BILLBOARD
    figure.shape(((-half, low), (half, low), (half, low + tall), (-half, low + tall)), (60, 60, 60), label)
    h0, h1 = low + 0.1, low + tall - 0.1
    figure.shape(((-half + 0.1, h0), (half - 0.1, h0), (half - 0.1, h1), (-half + 0.1, h1)), back, label)
    figure.disc(-half * 0.45, low + tall * 0.5, tall * 0.32, front, label)
    for row in (0.68, 0.45, 0.25):
        figure.limb(
            ((half * 0.1, low + tall * row), (half * draws.uniform(0.5, 0.85), low + tall * row)), front, label, 0.2
        )


def signboard(canvas: Canvas, draws: Draws, side: int, line: float, z: float, tall: float) -> None:
    """A tall board that sticks out of a facade over the pavement; it is annotated as part of the building."""
    canvas.at(z)
    low = draws.uniform(2.8, 4.5)
    high = min(low + draws.uniform(1.6, 5.0), max(tall, low + 1.2))
    x0, x1 = side * (line - draws.uniform(0.7, 1.3)), side * line
    back, front = draws.choice(
        (
            ((214, 44, 40), (250, 244, 230)),
            ((244, 244, 240), (190, 30, 36)),
            ((36, 84, 160), (250, 250, 250)),
            ((246, 206, 60), (40, 40, 46)),
            ((40, 130, 80), (250, 246, 220)),
            ((250, 250, 246), (40, 60, 130)),
        )
    )
    columns = canvas.project(x0, low, z)[0], canvas.project(x1, low, z)[0]
    left, right = min(columns), max(columns)
    top, bottom = canvas.project(x0, high, z)[1], canvas.project(x0, low, z)[1]
    canvas.rect(left, top, right, bottom, canvas.ink(back, World.BUILDING, canvas.light.shade(0, 1)))
    wide, letters = right - left, max(int((high - low) / 0.8), 1)
    if wide < 3:
        return
    ink, step = canvas.ink(front, World.BUILDING), (bottom - top) / letters
    for letter in range(letters):
        y = top + step * letter
        canvas.rect(left + 0.25 * wide, y + 0.2 * step, right - 0.25 * wide, y + 0.38 * step, ink)
        canvas.rect(left + 0.42 * wide, y + 0.2 * step, right - 0.42 * wide, y + 0.8 * step, ink)


def banner(canvas: Canvas, draws: Draws, half_road: float, z: float) -> None:
    """A cloth banner hung across the street."""
    canvas.at(z)
    color = draws.choice(((230, 60, 60), (250, 220, 80), (70, 120, 200), (240, 240, 240), (90, 180, 110)))
    h = draws.uniform(4.6, 5.8)
    left, right = canvas.project(-half_road * 0.75, h, z), canvas.project(half_road * 0.75, h, z)
    drop = 1.1 * canvas.scale(z)
    middle = ((left[0] + right[0]) / 2, left[1] + 0.25 * drop)
    for start, end in ((left, middle), (middle, right)):
        canvas.fill([start, end, (end[0], end[1] + drop), (start[0], start[1] + drop)], canvas.ink(color, World.BANNER))
    dark = canvas.ink(toned(color, 0.45), World.BANNER)
    canvas.line(
        (left[0] * 0.8 + right[0] * 0.2, middle[1] + 0.45 * drop),
        (left[0] * 0.2 + right[0] * 0.8, middle[1] + 0.45 * drop),
        dark,
        0.22 * drop,
    )
    for side, end in ((-1.4, left), (1.4, right)):
        canvas.wire([end, canvas.project(side * half_road, h + 0.8, z)], canvas.ink((70, 70, 72), World.BANNER))
