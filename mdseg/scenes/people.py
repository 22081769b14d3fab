"""People, riders and their two-wheelers, animals: upright figures drawn in metres around a point of the ground."""

from itertools import pairwise
from math import pi, sin

from mdseg.scenes.canvas import Canvas, Color, Point, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.world import World

SKIN = ((224, 178, 150), (198, 146, 112), (150, 104, 76), (110, 74, 54), (236, 196, 172))
HAIR = ((40, 30, 24), (20, 18, 18), (92, 62, 38), (170, 140, 90), (120, 116, 112))
CLOTH = (
    (40, 46, 60), (30, 30, 34), (160, 34, 38), (60, 90, 130), (222, 220, 214), (96, 100, 92), (190, 160, 60), (60,
    110, 80),
    (120, 70, 110), (210, 130, 60), (84, 64, 52), (150, 170, 190),
)  # fmt: skip
TROUSERS = ((38, 44, 62), (28, 28, 30), (70, 66, 60), (100, 90, 74), (54, 66, 90))
_TYRE = (24, 24, 26)


class Figure:
    """Drawing in metres: dx to the right of a ground point, h above it."""

    def __init__(self, canvas: Canvas, x: float, z: float, base: float = 0.0) -> None:
        canvas.at(z)
        self.canvas, self.metre = canvas, canvas.scale(z)
        self.x, self.y = canvas.project(x, base, z)

    def point(self, dx: float, h: float) -> Point:
        """Canvas position."""
        return self.x + dx * self.metre, self.y - h * self.metre

    def shape(self, points: tuple[Point, ...], color: Color, label: int) -> None:
        """Fill a convex outline."""
        self.canvas.fill([self.point(*point) for point in points], self.canvas.ink(color, label))

    def limb(self, points: tuple[Point, ...], color: Color, label: int, thick: float) -> None:
        """A broken line with a thickness in metres."""
        ink, places = self.canvas.ink(color, label), [self.point(*point) for point in points]
        for start, end in pairwise(places):
            self.canvas.line(start, end, ink, thick * self.metre)

    def disc(self, dx: float, h: float, radius: float, color: Color, label: int, squeeze: float = 1.0) -> None:
        """A filled circle or ellipse."""
        x, y = self.point(dx, h)
        self.canvas.disc(x, y, radius * self.metre, self.canvas.ink(color, label), squeeze)

    def ring(
        self, dx: float, h: float, radius: float, color: Color, label: int, thick: float, squeeze: float = 1.0
    ) -> None:
        """A circle's outline."""
        x, y = self.point(dx, h)
        self.canvas.ring(x, y, radius * self.metre, self.canvas.ink(color, label), thick * self.metre, squeeze)


def person(canvas: Canvas, draws: Draws, x: float, z: float, child: bool = False, base: float = 0.0) -> None:
    """Someone standing or walking: legs, coat or dress, arms, head with hair, perhaps a bag."""
    figure = Figure(canvas, x, z, base)
    figure.metre *= draws.uniform(0.58, 0.75) if child else draws.uniform(0.92, 1.08)
    standing(figure, draws, World.CHILD if child else World.PERSON)


def standing(figure: Figure, draws: Draws, label: int) -> None:
    """The same, on a figure's spot."""
    top, legs, skin = draws.choice(CLOTH), draws.choice(TROUSERS), draws.choice(SKIN)
    stride, side = draws.uniform(0.04, 0.3), draws.choice((-1, 1))
    dress = draws.chance(0.25)
    for foot in (-1, 1):
        color = skin if dress and draws.chance(0.5) else legs
        figure.limb(((0.08 * foot, 0.85), (stride * foot * 0.7, 0.45), (stride * foot, 0.03)), color, label, 0.15)
        figure.limb(((stride * foot - 0.03, 0.03), (stride * foot + 0.1 * side, 0.03)), (30, 28, 28), label, 0.07)
    if dress:
        figure.shape(((-0.3, 0.5), (0.3, 0.5), (0.2, 1.0), (-0.2, 1.0)), top, label)
    figure.limb(((-0.22, 1.38), (-0.3, 1.1), (-0.24 + stride * 0.3, 0.85)), toned(top, 0.8), label, 0.1)
    figure.shape(((-0.2, 0.82), (0.2, 0.82), (0.25, 1.42), (-0.25, 1.42)), top, label)
    figure.shape(((0.02, 0.84), (0.18, 0.84), (0.23, 1.4), (0.06, 1.4)), toned(top, 0.85), label)
    figure.limb(((0.22, 1.38), (0.3, 1.1), (0.24 - stride * 0.3, 0.85)), toned(top, 0.72), label, 0.1)
    if draws.chance(0.3):
        figure.shape(((-0.15, 1.0), (0.15, 1.0), (0.15, 1.38), (-0.15, 1.38)), draws.choice(CLOTH), label)
    _head(figure, draws, 0.0, 1.6, skin, label)


def _head(
    figure: Figure, draws: Draws, dx: float, h: float, skin: Color, label: int, helmet: Color | None = None
) -> None:
    figure.limb(((dx, h - 0.16), (dx, h)), skin, label, 0.1)
    figure.disc(dx, h + 0.01, 0.12, skin, label)
    figure.disc(dx, h + 0.06, 0.12 if helmet is None else 0.15, helmet or draws.choice(HAIR), label)
    if helmet is None or draws.chance(0.5):
        figure.disc(dx + draws.uniform(-0.03, 0.03), h - 0.01, 0.08, skin, label)


def two_wheeler(
    canvas: Canvas,
    draws: Draws,
    x: float,
    z: float,
    across: bool,
    motor: bool,
    ridden: bool,
    towards: bool = False,
    base: float = 0.0,
) -> None:
    """A bicycle or motorcycle and, if ridden, its rider, perhaps with a pillion; the vehicle keeps its class."""
    figure = Figure(canvas, x, z, base)
    if draws.chance(0.5):
        figure = _Mirrored(figure)
    machine = World.MOTORCYCLE if motor else World.BICYCLE
    if across:
        (_motorcycle_across if motor else _bicycle_across)(figure, draws, machine)
    else:
        _along(figure, draws, machine, motor, towards)
    if ridden:
        label = World.MOTORCYCLIST if motor else World.BICYCLIST
        if across:
            _rider_across(figure, draws, label, motor)
        else:
            _rider_along(figure, draws, label, motor, towards)
            if motor and not towards and draws.chance(0.35):
                _rider_along(figure, draws, label, motor, towards)


class _Mirrored(Figure):
    """The same figure facing the other way."""

    def __init__(self, figure: Figure) -> None:
        self.canvas, self.metre, self.x, self.y = figure.canvas, figure.metre, figure.x, figure.y

    def point(self, dx: float, h: float) -> Point:
        return self.x - dx * self.metre, self.y - h * self.metre


def _bicycle_across(figure: Figure, draws: Draws, label: int) -> None:
    frame = draws.choice(((170, 40, 40), (40, 70, 130), (36, 36, 40), (210, 210, 206), (60, 120, 80), (200, 160, 50)))
    thin = max(0.05, 1.6 / figure.metre)
    for wheel in (-0.52, 0.52):
        figure.ring(wheel, 0.35, 0.33, _TYRE, label, thin * 1.3)
    figure.limb(((-0.52, 0.35), (-0.15, 0.35), (0.38, 0.82), (-0.22, 0.78), (-0.52, 0.35)), frame, label, thin)
    figure.limb(((-0.15, 0.35), (-0.26, 0.92)), frame, label, thin)
    figure.limb(((0.52, 0.35), (0.36, 0.98), (0.24, 1.04)), frame, label, thin)
    figure.limb(((-0.38, 0.93), (-0.14, 0.93)), (30, 28, 28), label, thin * 1.6)


def _motorcycle_across(figure: Figure, draws: Draws, label: int) -> None:
    paint = draws.choice(((170, 30, 34), (36, 36, 40), (40, 66, 130), (200, 200, 204), (60, 60, 64)))
    for wheel in (-0.62, 0.65):
        figure.disc(wheel, 0.31, 0.31, _TYRE, label)
        figure.disc(wheel, 0.31, 0.15, (130, 130, 134), label)
    figure.shape(((-0.45, 0.3), (0.35, 0.28), (0.4, 0.6), (-0.5, 0.62)), (66, 66, 70), label)
    figure.shape(((-0.8, 0.62), (-0.1, 0.58), (-0.1, 0.8), (-0.85, 0.82)), (34, 32, 32), label)
    figure.shape(((-0.15, 0.55), (0.42, 0.55), (0.4, 0.92), (-0.05, 0.9)), paint, label)
    figure.limb(((0.65, 0.31), (0.42, 0.95), (0.3, 1.1)), (90, 90, 94), label, 0.09)
    figure.disc(0.5, 0.86, 0.1, (236, 232, 210), label)


def _along(figure: Figure, draws: Draws, label: int, motor: bool, towards: bool) -> None:
    if not motor:
        figure.disc(0, 0.34, 0.34, _TYRE, label, 0.16)
        figure.limb(((0, 0.5), (0, 0.95)), (60, 60, 66), label, 0.08)
        figure.limb(((-0.28, 1.0), (0.28, 1.0)), (50, 50, 54), label, 0.06)
        return
    paint = draws.choice(((170, 30, 34), (50, 50, 56), (40, 66, 130), (190, 190, 194)))
    figure.disc(0, 0.31, 0.31, _TYRE, label, 0.34)
    figure.shape(((-0.2, 0.36), (0.2, 0.36), (0.24, 0.86), (-0.24, 0.86)), paint, label)
    figure.limb(((-0.38, 1.02), (0.38, 1.02)), (50, 50, 54), label, 0.07)
    figure.limb(((-0.34, 1.02), (-0.4, 1.2)), (90, 90, 94), label, 0.06)
    figure.limb(((0.34, 1.02), (0.4, 1.2)), (90, 90, 94), label, 0.06)
    lit = figure.canvas.lamp if figure.canvas.light.night else figure.canvas.ink
    x, y = figure.point(0, 0.74)
    color = (245, 240, 220) if towards else (210, 34, 28)
    figure.canvas.disc(x, y, 0.1 * figure.metre, lit(color, label))
    if figure.canvas.light.night:
        figure.canvas.glow(x, y, figure.metre * 0.8, (120, 115, 95) if towards else (90, 10, 6))


def _rider_across(figure: Figure, draws: Draws, label: int, motor: bool) -> None:
    top, legs, skin = draws.choice(CLOTH), draws.choice(TROUSERS), draws.choice(SKIN)
    seat = 0.82 if motor else 0.98
    figure.limb(((-0.25, seat), (0.12, 0.72 if motor else 0.7), (-0.02, 0.34)), legs, label, 0.17)
    figure.shape(((-0.42, seat - 0.08), (-0.12, seat - 0.08), (0.16, seat + 0.5), (-0.14, seat + 0.58)), top, label)
    figure.limb(((0.05, seat + 0.42), (0.32, 1.08)), toned(top, 0.8), label, 0.11)
    _head(figure, draws, 0.1, seat + 0.7, skin, label, _helmet(draws, motor))


def _rider_along(figure: Figure, draws: Draws, label: int, motor: bool, towards: bool) -> None:
    top, legs, skin = draws.choice(CLOTH), draws.choice(TROUSERS), draws.choice(SKIN)
    seat = 0.8 if motor else 0.95
    for foot in (-1, 1):
        figure.limb(((0.1 * foot, seat + 0.05), (0.24 * foot, 0.62), (0.2 * foot, 0.3)), legs, label, 0.16)
        figure.limb(
            ((0.2 * foot, seat + 0.5), (0.36 * foot, seat + 0.3), (0.3 * foot, 1.05)),
            toned(top, 0.8),
            label,
            0.1,
        )
    figure.shape(((-0.2, seat - 0.05), (0.2, seat - 0.05), (0.25, seat + 0.55), (-0.25, seat + 0.55)), top, label)
    _head(figure, draws, 0.0, seat + 0.74, skin, label, _helmet(draws, motor))


def _helmet(draws: Draws, motor: bool) -> Color | None:
    worn = draws.chance(0.6 if motor else 0.3)
    return draws.choice(((30, 30, 32), (200, 40, 40), (230, 230, 228), (50, 80, 140))) if worn else None


def rider_on_animal(canvas: Canvas, draws: Draws, x: float, z: float) -> None:
    """Someone on a horse."""
    animal(canvas, draws, x, z, horse=True)
    figure = Figure(canvas, x, z)
    top, skin = draws.choice(CLOTH), draws.choice(SKIN)
    figure.limb(((0.0, 1.5), (0.14, 1.2), (0.06, 0.85)), draws.choice(TROUSERS), World.OTHER_RIDER, 0.17)
    figure.shape(((-0.18, 1.4), (0.18, 1.4), (0.22, 2.0), (-0.22, 2.0)), top, World.OTHER_RIDER)
    figure.limb(((0.16, 1.9), (0.42, 1.6)), top, World.OTHER_RIDER, 0.1)
    _head(figure, draws, 0.0, 2.2, skin, World.OTHER_RIDER)


def animal(canvas: Canvas, draws: Draws, x: float, z: float, horse: bool = False, dog: bool = False) -> None:
    """A cow, horse or dog from the side."""
    figure, label = Figure(canvas, x, z), World.GROUND_ANIMAL
    if dog:
        figure.metre *= 0.45
    elif horse:
        figure.metre *= 1.15
    if draws.chance(0.5):
        figure = _Mirrored(figure)
    coat = draws.choice(((92, 64, 44), (214, 204, 190), (60, 48, 40), (150, 110, 76), (40, 38, 38)))
    dark = toned(coat, 0.75)
    for leg in (-0.62, -0.42, 0.4, 0.6):
        figure.limb(((leg, 0.75), (leg + draws.uniform(-0.06, 0.06), 0.02)), dark, label, 0.13)
    figure.shape(((-0.75, 0.7), (0.65, 0.68), (0.75, 1.1), (0.55, 1.3), (-0.6, 1.28), (-0.8, 1.1)), coat, label)
    figure.limb(((0.6, 1.1), (0.95, 1.45 if horse or dog else 1.25)), coat, label, 0.3)
    figure.limb(((0.92, 1.45 if horse or dog else 1.28), (1.2, 1.3 if horse or dog else 1.12)), coat, label, 0.22)
    figure.limb(((-0.76, 1.2), (-0.9, 0.6)), dark, label, 0.06)
    if not horse and not dog:
        figure.limb(((0.95, 1.38), (1.02, 1.56)), (226, 216, 190), label, 0.05)


def bird(canvas: Canvas, draws: Draws, x: float, y: float) -> None:
    """A bird in the sky, at a canvas position."""
    canvas.at(15)
    span = canvas.height * draws.uniform(0.02, 0.035)
    ink, lift = canvas.ink((46, 44, 48), World.BIRD), draws.uniform(0.2, 0.6)
    for side in (-1, 1):
        tip = (x + side * span, y - lift * span)
        canvas.fill(
            [(x, y - 0.25 * span), (x + side * span * 0.5, y - lift * span * 0.9), tip, (x, y + 0.25 * span)], ink
        )
    canvas.disc(x, y, span * 0.28, ink)


def stroller(canvas: Canvas, draws: Draws, x: float, z: float, base: float = 0.0) -> None:
    """A pram or a hand cart with somebody pushing it."""
    person(canvas, draws, x - 0.75, z, base=base)
    figure, label = Figure(canvas, x, z, base), World.WHEELED_SLOW
    color = draws.choice(((60, 64, 90), (150, 40, 50), (70, 110, 120), (40, 40, 44)))
    for wheel in (-0.3, 0.3):
        figure.disc(wheel, 0.15, 0.15, _TYRE, label)
    figure.shape(((-0.42, 0.3), (0.38, 0.3), (0.46, 0.72), (-0.42, 0.72)), color, label)
    hood = tuple((0.05 + 0.4 * sin(k * pi / 8 + pi / 2), 0.7 + 0.42 * sin(k * pi / 8)) for k in range(9))
    figure.shape(hood, toned(color, 0.8), label)
    figure.limb(((-0.4, 0.7), (-0.62, 1.0)), (90, 90, 94), label, 0.06)
