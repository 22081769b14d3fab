"""House fronts seen from across the street: windows, doors, shops, balconies, roofs."""

from dataclasses import dataclass
from math import cos, sin
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from mdseg.scenes.canvas import Canvas, Color, Point, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.houses import ROOFS, wall_color, window_label
from mdseg.scenes.world import World

Length = TypeVar("Length", float, np.ndarray)  # one, or many at once
_DEEP = 10.0  # metres of a house behind its front
_GLASS = ((50, 58, 68), (66, 76, 86), (40, 44, 50), (84, 96, 108))
_SHUTTERS = ((52, 84, 60), (94, 66, 46), (120, 130, 120), (60, 80, 100), (206, 202, 192))
_DOORS = ((92, 58, 40), (50, 70, 60), (60, 60, 66), (110, 40, 36), (120, 92, 62), (52, 62, 90))
_BOARDS = ((170, 44, 44), (40, 80, 140), (226, 200, 80), (60, 104, 70), (220, 220, 214), (60, 50, 50))


@dataclass(frozen=True)
class StreetAxes:
    """The street's own axes, u along it to the right and v across it, away from the camera; `turn` in radians."""

    canvas: Canvas
    turn: float

    def place(self, u: Length, v: Length) -> tuple[Length, Length]:
        """World x and z."""
        return u * cos(self.turn) + v * sin(self.turn), v * cos(self.turn) - u * sin(self.turn)

    def project(self, u: float, y: float, v: float) -> Point:
        """Canvas position of a point."""
        x, z = self.place(u, v)
        return self.canvas.project(x, y, z)

    def grid(
        self,
        u0: Float[np.ndarray, " m"],
        u1: Float[np.ndarray, " m"],
        y0: Float[np.ndarray, " n"],
        y1: Float[np.ndarray, " n"],
        v: float,
    ) -> Float[np.ndarray, "k 4 2"]:
        """Every combination of spans along the street and in height, upright at v."""
        us, ys = np.stack([u0, u1, u1, u0], -1)[:, None], np.stack([y0, y0, y1, y1], -1)[None]
        x, z = self.place(us, np.asarray(v, np.float64))
        return self.canvas.project_all(x, ys, z).reshape(-1, 4, 2)

    def sight(self, v: float) -> tuple[float, float]:
        """From and to where (u) the picture shows what lies at v."""
        camera, c, s = self.canvas.camera, cos(self.turn), sin(self.turn)
        borders = ((column - camera.center) / camera.focal for column in (0, self.canvas.width))
        left, right = (v * (border * c - s) / (c + border * s) for border in borders)
        return left, right

    def flat(self, u: tuple[float, float], v: tuple[float, float], y: float = 0.0) -> list[Point]:
        """A rectangle on the ground."""
        return [self.project(a, y, b) for a, b in ((u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1]))]


def front(
    view: StreetAxes, draws: Draws, span: tuple[float, float], v: float, tall: float, palette: str, raised: bool
) -> None:
    """A house whose front lies at v, between two places along the street; `raised`: a garden before it, no shops."""
    canvas, light = view.canvas, view.canvas.light
    canvas.at(v)
    left, right = view.sight(v)
    u0, u1 = max(span[0], left - 2.5), min(span[1], right + 2.5)
    color = wall_color(draws, palette)
    shade = 1.08 * max(light.shade(-sin(view.turn), cos(view.turn)), 0.72)  # the street lights a front in shadow
    wide = span[1] - span[0]
    roof = draws.weighted({"flat": 4.0, "eaves": 3.0, "gable": 2.5 if wide < 11 and tall < 12 else 0.0})
    rise = 0.0 if roof == "flat" else (_DEEP if roof == "eaves" else wide) * draws.uniform(0.24, 0.4)
    _side_wall(view, span, v, tall, rise if roof == "eaves" else 0.0, color)
    tiles = draws.choice(ROOFS)
    if roof == "eaves":
        slope = [(u0 - 0.3, tall, v - 0.35), (u1 + 0.3, tall, v - 0.35),
                 (u1 + 0.3, tall + rise, v + _DEEP / 2), (u0 - 0.3, tall + rise, v + _DEEP / 2)]  # fmt: skip
        _fill(view, slope, tiles, light.shade(-sin(view.turn), cos(view.turn) * 0.6, 0.7))
        _chimneys(view, draws, span, tall + rise, v + _DEEP / 2)
    elif roof == "gable":
        middle = (span[0] + span[1]) / 2
        _fill(view, [(span[0] - 0.4, tall - 0.2, v - 0.3), (span[1] + 0.4, tall - 0.2, v - 0.3),
                     (middle, tall + rise + 0.3, v - 0.3)], tiles, 0.8)  # fmt: skip
        _fill(view, [(span[0], tall - 0.2, v), (span[1], tall - 0.2, v), (middle, tall + rise - 0.15, v)], color, shade)
    _fill(view, [(u0, 0, v), (u1, 0, v), (u1, tall, v), (u0, tall, v)], color, shade)
    _details(view, draws, span, (u0, u1), v, tall, color, shade, raised)
    if roof != "gable":  # cornice or gutter
        for low, high, tone in ((tall - 0.45, tall, 0.8), (tall - 0.12, tall + 0.1, 1.06)):
            _fill(view, [(u0, low, v), (u1, low, v), (u1, high, v), (u0, high, v)],
                  toned(color, tone), shade)  # fmt: skip


def _fill(view: StreetAxes, corners: list[tuple[float, float, float]], color: Color, shade: float) -> None:
    view.canvas.fill([view.project(*corner) for corner in corners], view.canvas.ink(color, World.BUILDING, shade))


def _side_wall(view: StreetAxes, span: tuple[float, float], v: float, tall: float, rise: float, color: Color) -> None:
    """The wall that faces the camera's own perpendicular; lower neighbours and gaps leave it in sight."""
    if span[0] > 0:
        u, facing = span[0], -1
    elif span[1] < 0:
        u, facing = span[1], 1
    else:
        return
    corners = [(u, 0, v), (u, 0, v + _DEEP), (u, tall, v + _DEEP), (u, tall + rise, v + _DEEP / 2), (u, tall, v)]
    shade = view.canvas.light.shade(facing * cos(view.turn), facing * sin(view.turn))
    _fill(view, corners, toned(color, 0.92), shade)


def _chimneys(view: StreetAxes, draws: Draws, span: tuple[float, float], y: float, v: float) -> None:
    canvas = view.canvas
    for _ in range(draws.count(0.9)):
        u = draws.uniform(*span)
        pots = view.grid(np.array([u]), np.array([u + 0.8]), np.array([y - 0.8]), np.array([y + 1.1]), v)
        canvas.fill_any(pots, canvas.ink((128, 84, 68), World.BUILDING))


def _details(
    view: StreetAxes, draws: Draws, span: tuple[float, float], sight: tuple[float, float], v: float, tall: float,
    color: Color, shade: float, raised: bool,
) -> None:  # fmt: skip
    storey, shops = draws.uniform(2.9, 3.7), not raised and tall > 5.5 and draws.chance(0.25)
    rows = max(int(tall / storey), 1)
    columns = max(round((span[1] - span[0]) / draws.uniform(2.3, 4.2)), 2)
    step, share = (span[1] - span[0]) / columns, draws.uniform(0.24, 0.38)
    left = span[0] + step * (np.arange(columns) + (1 - share) / 2)
    shown = (left > sight[0] - 2) & (left + step * share < sight[1] + 2)
    entrance = draws.integer(0, columns)
    left = left[shown]
    right = left + step * share
    low = storey * (np.arange(1, rows) + draws.uniform(0.22, 0.34))
    high = low + storey * draws.uniform(0.4, 0.54)
    for y in storey * np.arange(1, rows):
        if draws.chance(0.3):
            _band(view, sight, y - 0.1, y + 0.12, v, toned(color, 1.1), shade)
    _panes(view, draws, left, right, low, high, v, color, shade)
    if rows > 1 and draws.chance(0.25):
        _balconies(view, draws, left, right, low, v, shade)
    _band(view, sight, 0.0, 0.5, v, toned(color, 0.78), shade)
    if shops:
        _shops(view, draws, span, sight, v, storey, shade)
        return
    place = span[0] + step * (entrance + 0.5)
    ground_floor = np.abs((left + right) / 2 - place) > 0.6 * step
    if rows > 1 or draws.chance(0.9):
        _panes(view, draws, left[ground_floor], right[ground_floor], np.array([storey * 0.3]),
               np.array([storey * 0.78]), v, color, shade)  # fmt: skip
    _door(view, draws, place, v, color, shade)


def _band(
    view: StreetAxes, sight: tuple[float, float], low: float, high: float, v: float, color: Color, shade: float
) -> None:
    _fill(view, [(sight[0], low, v), (sight[1], low, v), (sight[1], high, v), (sight[0], high, v)], color, shade)


def _panes(
    view: StreetAxes, draws: Draws, left: np.ndarray, right: np.ndarray, low: np.ndarray, high: np.ndarray, v: float,
    color: Color, shade: float,
) -> None:  # fmt: skip
    """Rows of windows, all of one make: shutters, frame, glass, the sky in it, a bar down the middle."""
    if len(left) == 0 or len(low) == 0:
        return
    canvas = view.canvas
    glass = view.grid(left, right, low, high, v)
    label, frame = window_label(canvas, glass), draws.choice(((228, 224, 214), (216, 212, 204), (110, 84, 62)))
    half = (right - left) / 2
    if draws.chance(0.3):
        shutters = canvas.ink(draws.choice(_SHUTTERS), World.BUILDING, shade)
        for a, b in ((left - half, left), (right, right + half)):
            canvas.fill_any(view.grid(a, b, low, high, v), shutters)
    elif draws.chance(0.6):  # surround of stone
        tone = draws.choice((0.86, 1.12))
        stone = canvas.ink(toned(color, tone), World.BUILDING, shade)
        canvas.fill_any(view.grid(left - 0.2, right + 0.2, low - 0.2, high + 0.28, v), stone)
    canvas.fill_any(view.grid(left - 0.07, right + 0.07, low - 0.07, high + 0.07, v), canvas.ink(frame, label, shade))
    pane = draws.choice(_GLASS)
    canvas.fill_any(glass, canvas.ink(pane, label))
    mirror = view.grid(left, right, (low + high) / 2, high, v)
    canvas.fill_any(mirror, canvas.ink(toned(pane, 1.35), label))
    curtains = [quad for quad in glass if draws.chance(0.2)]
    canvas.fill_any(curtains, canvas.ink((176, 172, 164), label, shade))
    if draws.chance(0.75):
        middle = (left + right) / 2
        canvas.fill_any(view.grid(middle - 0.04, middle + 0.04, low, high, v), canvas.ink(frame, label, shade))
        bar = low + draws.uniform(0.45, 0.7) * (high - low)
        canvas.fill_any(view.grid(left, right, bar - 0.04, bar + 0.04, v), canvas.ink(frame, label, shade))


def _balconies(
    view: StreetAxes, draws: Draws, left: np.ndarray, right: np.ndarray, low: np.ndarray, v: float, shade: float
) -> None:
    """Slabs with railings before every window of some storeys; outlines of windows do not follow the bars."""
    canvas = view.canvas
    labels = canvas.pixels[..., 3].copy()
    low = low[draws.integer(0, 2) :: draws.integer(1, 3)]
    if len(left) == 0 or len(low) == 0:
        return
    a, b = left - 0.35, right + 0.35
    canvas.fill_any(view.grid(a, b, low - 0.5, low - 0.3, v - 0.6), canvas.ink((150, 146, 140), World.BUILDING, shade))
    iron = canvas.ink((52, 52, 54), World.BUILDING)
    canvas.fill_any(view.grid(a, b, low + 0.45, low + 0.53, v - 0.6), iron)
    bars = (a[:, None] + (b - a)[:, None] * np.linspace(0, 0.97, 9)).ravel()
    canvas.fill_any(view.grid(bars, bars + 0.05, low - 0.3, low + 0.45, v - 0.6), iron)
    canvas.pixels[..., 3] = labels


def _shops(
    view: StreetAxes, draws: Draws, span: tuple[float, float], sight: tuple[float, float], v: float, storey: float,
    shade: float,
) -> None:  # fmt: skip
    """Glass from the plinth to the board above it, a door here and there, awnings."""
    canvas = view.canvas
    count = max(round((span[1] - span[0]) / draws.uniform(3.5, 6.5)), 1)
    step = (span[1] - span[0]) / count
    for start in span[0] + step * np.arange(count):
        a, b = start + 0.25, start + step - 0.25
        if b < sight[0] or a > sight[1]:
            continue
        jamb = draws.choice((0.0, 1.15))
        pane = view.grid(np.array([a]), np.array([b - jamb]), np.array([0.45]), np.array([storey * 0.74]), v)
        label = window_label(canvas, pane)
        canvas.fill_any(pane, canvas.ink(draws.choice(_GLASS), label, shade))
        for _ in range(2):  # what is on show
            u, wide = draws.uniform(a, b - jamb - 0.6), draws.uniform(0.3, 0.6)
            goods = view.grid(np.array([u]), np.array([u + wide]), np.array([0.6]), np.array([1.5]), v)
            canvas.fill_any(goods, canvas.ink(draws.choice(_BOARDS), label, 0.7))
        if jamb:
            _door(view, draws, b - jamb / 2, v, (120, 116, 110), shade)
        color = draws.choice(_BOARDS)
        board = view.grid(np.array([a]), np.array([b]), np.array([storey * 0.77]), np.array([storey * 0.97]), v)
        canvas.fill_any(board, canvas.ink(color, World.BUILDING, shade))
        if draws.chance(0.25):
            _fill(view, [(a, storey * 0.8, v), (b, storey * 0.8, v), (b, storey * 0.66, v - 1.1),
                         (a, storey * 0.66, v - 1.1)], draws.choice(_BOARDS), 1.0)  # fmt: skip


def _door(view: StreetAxes, draws: Draws, u: float, v: float, color: Color, shade: float) -> None:
    canvas, half, tall = view.canvas, draws.uniform(0.45, 0.7), draws.uniform(2.1, 2.5)
    frame = view.grid(
        np.array([u - half - 0.15]), np.array([u + half + 0.15]), np.array([0.0]), np.array([tall + 0.2]), v
    )
    canvas.fill_any(frame, canvas.ink(toned(color, 0.85), World.BUILDING, shade))
    leaf = view.grid(np.array([u - half]), np.array([u + half]), np.array([0.1]), np.array([tall]), v)
    paint, tone = draws.choice(_DOORS), draws.choice((0.6, 1.3))
    canvas.fill_any(leaf, canvas.ink(paint, World.DOOR, shade))
    panel = view.grid(np.array([u - half * 0.6]), np.array([u + half * 0.6]), np.array([tall * 0.55]),
                      np.array([tall * 0.85]), v)  # fmt: skip
    canvas.fill_any(panel, canvas.ink(toned(paint, tone), World.DOOR, shade))
