"""What stands along a street: poles, lamps, signals, signs, boxes, benches, trees."""

from math import cos, pi, sin

import numpy as np

from mdseg.scenes.canvas import Canvas, Color
from mdseg.scenes.draws import Draws
from mdseg.scenes.people import Figure
from mdseg.scenes.solids import Pose, box, frustum, patch, Ends
from mdseg.scenes.textures import crowns
from mdseg.scenes.world import World

_STEEL = (132, 136, 138)
GREENS = {
    "summer": ((74, 108, 44), (92, 124, 50), (60, 92, 44), (104, 128, 62), (80, 104, 58)),
    "dull": ((72, 92, 56), (84, 98, 62), (64, 80, 52), (92, 100, 66)),
    "dusty": ((98, 112, 62), (112, 116, 74), (84, 100, 56), (120, 122, 80)),
    "autumn": ((176, 112, 40), (190, 140, 50), (150, 80, 36), (110, 112, 50), (200, 150, 70)),
    "bright": ((96, 140, 50), (118, 156, 64), (84, 128, 48), (128, 160, 76)),
}


def post(
    canvas: Canvas, x: float, z: float, height: float, width: float, color: Color, label: int, base: float = 0.0
) -> Figure:
    """A vertical pole, lit on one side."""
    figure = Figure(canvas, x, z, base)
    half = max(width * figure.metre / 2, 0.9)
    top = figure.y - height * figure.metre
    canvas.rect(figure.x - half, top, figure.x + half, figure.y, canvas.ink(color, label, canvas.light.shade(0, 1)))
    if half > 1.8:
        canvas.rect(figure.x + half * 0.2, top, figure.x + half, figure.y, canvas.ink(color, label, 0.68))
    return figure


def street_light(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A lamp post leaning over the road; the lamp is its own class."""
    tall, side = draws.uniform(6.5, 8.5), -1 if x > 0 else 1
    figure = post(canvas, x, z, tall, 0.16, (104, 108, 108), World.POLE, base)
    arm = draws.uniform(1.0, 2.2) * side
    figure.limb(
        ((0, tall), (arm * 0.5, tall + 0.35), (arm, tall + 0.4)),
        (104, 108, 108),
        World.POLE,
        max(0.1, 1.6 / figure.metre),
    )
    x0, y0 = figure.point(arm, tall + 0.36)
    night = canvas.light.night
    ink = canvas.lamp((255, 226, 160), World.STREET_LIGHT) if night else canvas.ink((196, 196, 186), World.STREET_LIGHT)
    reach = max(0.5 * figure.metre, 2.5)
    canvas.fill(
        [
            (x0 - reach, y0 + 0.1 * reach),
            (x0 + reach, y0 + 0.1 * reach),
            (x0 + 0.7 * reach, y0 - 0.5 * reach),
            (x0 - 0.7 * reach, y0 - 0.5 * reach),
        ],
        ink,
    )
    if night:
        canvas.glow(x0, y0, 2.2 * figure.metre, (190, 150, 80))


def utility_pole(canvas: Canvas, draws: Draws, x: float, z: float, previous: tuple | None) -> tuple:
    """A wooden pole with cross arms; wires run to the previous one and carry no label."""
    tall = 8.5
    figure = post(canvas, x, z, tall, 0.28, (94, 76, 60), World.UTILITY_POLE)
    for h in (tall - 0.4, tall - 1.3):
        figure.limb(((-1.0, h), (1.0, h)), (84, 68, 54), World.UTILITY_POLE, max(0.14, 1.6 / figure.metre))
    if draws.chance(0.4):
        figure.shape(
            ((0.15, tall - 2.9), (0.6, tall - 2.9), (0.6, tall - 1.9), (0.15, tall - 1.9)),
            (130, 132, 132),
            World.UTILITY_POLE,
        )
    ends = tuple(figure.point(dx, h) for dx, h in ((-0.9, tall - 0.4), (0.9, tall - 0.4), (0.9, tall - 1.3)))
    if previous is not None:
        for start, end in zip(previous, ends, strict=True):
            sag = 0.12 * abs(start[0] - end[0])
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + sag)
            canvas.wire([start, middle, end], canvas.ink((58, 58, 62), World.UNLABELED))
    return ends


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
            canvas.glow(x, y, 0.9 * figure.metre, tuple(part * 0.6 for part in lit))


def sign(canvas: Canvas, draws: Draws, x: float, z: float, base: float, american: bool, back: bool) -> None:
    """A traffic sign on a pole, from its face or from its grey back."""
    tall = draws.uniform(2.3, 2.9)
    figure = post(canvas, x, z, tall, 0.09, _STEEL, World.POLE, base)
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
    points = lambda part: tuple(
        (dx * r * part, tall + (h * part + (0.12 * (1 - part) if kind == "triangle" else 0)) * r) for dx, h in outline
    )  # noqa: E731
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
    dark = canvas.ink(tuple(part * 0.45 for part in color), World.BANNER)
    canvas.line(
        (left[0] * 0.8 + right[0] * 0.2, middle[1] + 0.45 * drop),
        (left[0] * 0.2 + right[0] * 0.8, middle[1] + 0.45 * drop),
        dark,
        0.22 * drop,
    )
    for side, end in ((-1.4, left), (1.4, right)):
        canvas.wire([end, canvas.project(side * half_road, h + 0.8, z)], canvas.ink((70, 70, 72), World.BANNER))


def tree(canvas: Canvas, draws: Draws, x: float, z: float, palette: str) -> None:
    """Trunk and a leafy crown; both are vegetation, as the annotation policies say."""
    canvas.at(z)
    tall = draws.uniform(5.5, 12.0)
    m, (x0, y0) = canvas.scale(z), canvas.project(x, 0, z)
    number = draws.integer(0, 18)
    conifer = number % 6 == 4
    trunk = max(0.16 * m, 1)
    canvas.rect(x0 - trunk, y0 - tall * 0.5 * m, x0 + trunk, y0, canvas.ink((78, 62, 50), World.VEGETATION))
    half = tall * (0.26 if conifer else draws.uniform(0.36, 0.52))
    low = tall * (0.08 if conifer else draws.uniform(0.24, 0.36))
    crown = (x0 - half * m, y0 - tall * m, x0 + half * m, y0 - low * m)
    canvas.paste(crowns()[number], crown, leaf_colors(canvas, draws.choice(GREENS[palette]), World.VEGETATION))


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


def trash_can(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A litter bin or a wheeled bin."""
    canvas.at(z)
    color = draws.choice(((60, 66, 60), (44, 84, 56), (220, 130, 40), (70, 80, 96), (50, 60, 110)))
    pose, label = Pose(x, z, 0.3, base), World.TRASH_CAN
    wide = draws.uniform(0.5, 0.8)
    faces = frustum(
        canvas,
        pose,
        Ends(-wide / 2, wide / 2, wide * 0.42, 0.05),
        Ends(-wide * 0.56, wide * 0.56, wide * 0.5, 1.0),
        color,
        label,
    )
    frustum(
        canvas,
        pose,
        Ends(-wide * 0.6, wide * 0.6, wide * 0.54, 1.0),
        Ends(-wide * 0.5, wide * 0.5, wide * 0.4, 1.14),
        tuple(c * 0.6 for c in color),
        label,
    )
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.25, 0.75, 0.55, 0.8), canvas.ink((214, 214, 208), label))


def mailbox(canvas: Canvas, draws: Draws, x: float, z: float, base: float, american: bool) -> None:
    """A letter box: yellow on a foot, or blue with a round top."""
    canvas.at(z)
    color = (36, 62, 130) if american else draws.choice(((238, 198, 30), (200, 30, 36)))
    pose, label = Pose(x, z, 0.25, base), World.MAILBOX
    if not american:
        box(canvas, pose, 0.2, 0.2, 0.0, 0.7, (70, 70, 72), label)
    faces = box(canvas, pose, 0.5, 0.6, 0.2 if american else 0.6, 1.35, color, label)
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.15, 0.85, 0.72, 0.82), canvas.ink((24, 24, 26), label))
        canvas.fill(patch(faces["rear"], 0.35, 0.65, 0.3, 0.55), canvas.ink((236, 236, 230), label))


def phone_booth(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A glazed booth with a coloured frame."""
    canvas.at(z)
    color, label = draws.choice(((190, 26, 32), (200, 40, 120), (90, 94, 96))), World.PHONE_BOOTH
    faces = box(canvas, Pose(x, z, 0.2, base), 1.0, 1.0, 0.0, 2.4, color, label)
    for name, face in faces.items():
        if name != "top":
            for column in (0.12, 0.54):
                for row in (0.16, 0.38, 0.6):
                    canvas.fill(patch(face, column, column + 0.34, row, row + 0.19), canvas.ink((150, 170, 176), label))


def junction_box(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A grey or green switch cabinet."""
    canvas.at(z)
    color, label = draws.choice(((142, 146, 140), (110, 124, 108), (160, 158, 146))), World.JUNCTION_BOX
    faces = box(
        canvas, Pose(x, z, 0.15, base), 0.6, draws.uniform(0.8, 1.4), 0.0, draws.uniform(1.1, 1.5), color, label
    )
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.49, 0.52, 0.05, 0.95), canvas.ink((80, 82, 80), label))
        canvas.fill(patch(faces["rear"], 0.0, 1.0, 0.0, 0.08), canvas.ink((90, 90, 88), label))


def fire_hydrant(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A short hydrant with a cap and two nozzles."""
    figure, label = Figure(canvas, x, z, base), World.FIRE_HYDRANT
    color = draws.choice(((200, 40, 34), (236, 190, 40), (200, 60, 50)))
    figure.limb(((0, 0), (0, 0.7)), color, label, 0.3)
    figure.limb(((-0.26, 0.5), (0.26, 0.5)), tuple(c * 0.8 for c in color), label, 0.16)
    figure.disc(0, 0.74, 0.17, color, label)
    figure.limb(((-0.2, 0.06), (0.2, 0.06)), tuple(c * 0.7 for c in color), label, 0.12)


def bench(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A wooden bench with back rest."""
    figure, label = Figure(canvas, x, z, base), World.BENCH
    wood = draws.choice(((130, 90, 56), (110, 76, 52), (70, 96, 70)))
    for leg in (-0.75, 0.75):
        figure.limb(((leg, 0.0), (leg, 0.85)), (46, 46, 48), label, 0.1)
    for h, thick in ((0.45, 0.16), (0.64, 0.1), (0.82, 0.12)):
        figure.limb(((-0.9, h), (0.9, h)), wood, label, thick)


def bike_rack(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """Steel hoops in a row."""
    figure = Figure(canvas, x, z, base)
    for hoop in (-0.9, -0.3, 0.3, 0.9):
        figure.limb(
            ((hoop - 0.2, 0), (hoop - 0.2, 0.72), (hoop + 0.2, 0.72), (hoop + 0.2, 0)),
            (150, 156, 160),
            World.BIKE_RACK,
            max(0.07, 1.6 / figure.metre),
        )


def cctv(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A camera on a pole."""
    tall, side = draws.uniform(3.6, 5.0), -1 if x > 0 else 1
    figure = post(canvas, x, z, tall, 0.13, (150, 152, 150), World.POLE, base)
    figure.limb(((0, tall), (0.35 * side, tall)), (226, 226, 222), World.CCTV_CAMERA, 0.12)
    figure.shape(
        ((0.2 * side, tall - 0.2), (0.9 * side, tall - 0.3), (0.9 * side, tall + 0.05), (0.2 * side, tall + 0.12)),
        (226, 228, 226),
        World.CCTV_CAMERA,
    )
    figure.disc(0.88 * side, tall - 0.12, 0.12, (24, 24, 26), World.CCTV_CAMERA)


def cone(canvas: Canvas, x: float, z: float) -> None:
    """An orange cone with a white band."""
    figure, label = Figure(canvas, x, z), World.TRAFFIC_CONE
    figure.shape(((-0.28, 0), (0.28, 0), (0.28, 0.06), (-0.28, 0.06)), (200, 80, 20), label)
    figure.shape(((-0.2, 0.05), (0.2, 0.05), (0.04, 0.75), (-0.04, 0.75)), (240, 96, 26), label)
    figure.shape(((-0.13, 0.32), (0.13, 0.32), (0.09, 0.5), (-0.09, 0.5)), (240, 240, 236), label)


def obstacle(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A planter, a heap of stones or a stall: static things without a class of their own."""
    canvas.at(z)
    color = draws.choice(((150, 144, 132), (130, 96, 70), (110, 110, 114)))
    wide = draws.uniform(0.8, 1.6)
    box(
        canvas,
        Pose(x, z, draws.uniform(-0.4, 0.4), base),
        wide,
        wide,
        0,
        draws.uniform(0.5, 0.9),
        color,
        World.OBSTACLE,
    )


def luggage(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A suitcase or a bag left standing."""
    canvas.at(z)
    color = draws.choice(((40, 44, 70), (150, 40, 44), (60, 60, 62), (90, 120, 60)))
    box(canvas, Pose(x, z, 0.4, base), 0.3, 0.55, 0.05, 0.75, color, World.LUGGAGE)
    Figure(canvas, x, z, base).limb(
        ((-0.12, 0.74), (-0.12, 0.95), (0.12, 0.95), (0.12, 0.74)), (30, 30, 32), World.LUGGAGE, 0.06
    )


def pole_group(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """Several poles so close together that they are labelled as one."""
    for dx in (-0.28, 0.0, 0.3):
        post(canvas, x + dx, z, draws.uniform(2.6, 4.2), 0.12, _STEEL, World.POLE_GROUP, base)


def bollard(canvas: Canvas, x: float, z: float, base: float) -> None:
    """A knee-high post with a reflecting band."""
    figure = post(canvas, x, z, 0.95, 0.14, (90, 92, 94), World.POLE, base)
    figure.limb(((-0.07, 0.8), (0.07, 0.8)), (226, 224, 216), World.POLE, 0.1)
