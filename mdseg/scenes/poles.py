"""Poles and what hangs on them: lamps, wires, cameras."""

from collections.abc import Sequence

from mdseg.scenes.canvas import Canvas, Color, Point
from mdseg.scenes.draws import Draws
from mdseg.scenes.people import Figure
from mdseg.scenes.world import World

STEEL = (132, 136, 138)


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


def utility_pole(canvas: Canvas, draws: Draws, x: float, z: float, previous: Sequence[Point] | None) -> Sequence[Point]:
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
    ends = [figure.point(dx, h) for dx, h in ((-0.9, tall - 0.4), (0.9, tall - 0.4), (0.9, tall - 1.3))]
    if previous is not None:
        for start, end in zip(previous, ends, strict=True):
            sag = 0.12 * abs(start[0] - end[0])
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + sag)
            canvas.wire([start, middle, end], canvas.ink((58, 58, 62), World.UNLABELED))
    return ends


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


def pole_group(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """Several poles so close together that they are labelled as one."""
    for dx in (-0.28, 0.0, 0.3):
        post(canvas, x + dx, z, draws.uniform(2.6, 4.2), 0.12, STEEL, World.POLE_GROUP, base)


def bollard(canvas: Canvas, x: float, z: float, base: float) -> None:
    """A knee-high post with a reflecting band."""
    figure = post(canvas, x, z, 0.95, 0.14, (90, 92, 94), World.POLE, base)
    figure.limb(((-0.07, 0.8), (0.07, 0.8)), (226, 224, 216), World.POLE, 0.1)
