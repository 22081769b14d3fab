"""What lies on furniture and about the room: pillows, books, lamps, boxes, bags, clothes, plants, people."""

from math import cos, pi, sin

import cv2
import numpy as np

from mdseg.scenes.canvas import Color, toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import FABRICS, PALE, Room
from mdseg.scenes.view import Place, Spot

Size = tuple[float, float]
_CIRCLE = tuple((cos(k * pi / 6), sin(k * pi / 6)) for k in range(12))
_CARTONS: tuple[Color, ...] = ((176, 136, 92), (160, 120, 80), (196, 160, 116), (226, 222, 214), (90, 110, 150))
_SPINES: tuple[Color, ...] = ((140, 40, 38), (38, 60, 110), (50, 90, 60), (210, 200, 180), (30, 30, 34), (190, 130, 50))


def drum(room: Room, spot: Spot, y: tuple[float, float], radius: tuple[float, float], color: Color, label: int,
         top: Color | None = None, tone: float = 1.0) -> None:  # fmt: skip
    """A round upright body, wider or narrower above; y counts from the spot."""
    view, (x, base, z) = room.view, spot
    rings = []
    for height, wide in zip(y, radius, strict=True):
        rings.append(view.seen([(x + wide * a, base + height, z + wide * b) for a, b in _CIRCLE]))
    if not all(len(ring) >= 3 for ring in rings):
        return
    outline = cv2.convexHull(np.array(rings[0] + rings[1], np.float32))[:, 0]
    view.canvas.fill(outline, view.canvas.ink(color, label, tone * 0.92))
    if view.position[1] > base + y[1]:
        view.canvas.fill(rings[1], view.canvas.ink(top or color, label, tone * 1.06))


def pillow(
    room: Room, place: Place, u: float, y: float, v: float, wide: float, tall: float, bright: bool = False
) -> None:
    """Leaning backwards, with soft corners."""
    draws, view = room.draws, room.view
    color = draws.choice((*FABRICS, *PALE) if bright else (*PALE, (240, 238, 234), room.style.second_fabric))
    lean = 0.6 * tall

    def at(a: float, b: float) -> Spot:
        return place.at(u + wide * a, y + 0.82 * tall * b, v + lean * (1 - b))

    outline = [at(*p) for p in ((0.04, 0.1), (0.15, 0), (0.85, 0), (0.96, 0.1), (1, 0.9), (0.9, 1), (0.1, 1), (0, 0.9))]
    shade = view.shade(place.heading)
    view.face(outline, color, Indoor.PILLOW, 0.84 * shade)
    inner = [at(*p) for p in ((0.12, 0.2), (0.85, 0.2), (0.92, 0.86), (0.8, 0.95), (0.16, 0.95), (0.08, 0.86))]
    view.face(inner, color, Indoor.PILLOW, shade)
    if bright and draws.chance(0.4):
        view.face([at(0.3, 0.2), at(0.45, 0.2), at(0.45, 0.95), at(0.3, 0.95)], toned(color, 0.7), Indoor.PILLOW, shade)


def heap(room: Room, spot: Spot, wide: float) -> None:
    """Clothes thrown down."""
    draws, view, (x, y, z) = room.draws, room.view, spot
    for layer in range(draws.integer(2, 4)):
        color = draws.choice(FABRICS)
        reach, high = wide * draws.uniform(0.7, 1.1), 0.05 + 0.05 * layer
        middle = (x + draws.uniform(-0.1, 0.1), y, z + draws.uniform(-0.1, 0.1))
        drum(room, middle, (0, high), (reach, reach * 0.7), color, Indoor.CLOTHES)
        fold = ((x - reach * 0.6, y + high, z), (x + reach * 0.5, y + high, z + 0.05))
        view.line(*fold, toned(color, 0.7), Indoor.CLOTHES, 0.02)


def draped(room: Room, place: Place, u: tuple[float, float], y: float, v: float) -> None:
    """A jacket over a back."""
    color = room.draws.choice(FABRICS)
    room.view.box(place, u, (y - 0.42, y), (v - 0.1, v), color, Indoor.CLOTHES)


def bag(room: Room, spot: Spot, tall: float) -> None:
    """A rucksack or a shopping bag, turned to the camera."""
    draws, view, (x, y, z) = room.draws, room.view, spot
    place = Place(x, z, view.facing(x, z) + draws.uniform(-0.6, 0.6))
    color = draws.choice(
        ((40, 44, 60), (32, 32, 34), (150, 40, 44), (60, 100, 80), (176, 150, 110), (90, 60, 44), (200, 90, 120))
    )
    half = tall * draws.uniform(0.36, 0.46)
    view.box(place, (-half, half), (y, y + 0.8 * tall), (-0.08, 0.08), color, Indoor.BAG)
    crown = [place.at(half * a, y + tall * b, 0.08) for a, b in ((-1, 0.78), (1, 0.78), (0.7, 0.98), (-0.7, 0.98))]
    view.face(crown, color, Indoor.BAG, 0.95)
    view.upright(
        place, (-0.7 * half, 0.7 * half), (y + 0.1 * tall, y + 0.42 * tall), 0.085, toned(color, 1.3), Indoor.BAG
    )
    for side in (-0.35, 0.35):
        view.line(place.at(side * half, y + 0.95 * tall, 0.05), place.at(0, y + 1.15 * tall, 0.05), toned(color, 0.7),
                  Indoor.BAG, 0.025)  # fmt: skip


def floor_bag(room: Room, place: Place, size: Spot) -> None:
    """A bag on the floor."""
    bag(room, place.at(size[0] / 2, 0, size[2] / 2), size[1])


def box(room: Room, place: Place, size: Spot, base: float = 0.0) -> None:
    """A carton with tape, perhaps open; sometimes with another on top."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    color = draws.choice(_CARTONS)
    u, v = (-wide / 2, wide / 2), (-deep / 2, deep / 2)
    view.box(place, u, (base, base + high), v, color, Indoor.BOX, toned(color, 1.08))
    if view.position[1] > base + high:
        tape = toned(color, 0.78)
        view.level(place, (-0.03, 0.03), v, base + high + 0.001, tape, Indoor.BOX)
        if draws.chance(0.4):
            view.level(
                place,
                (u[0] + 0.03, u[1] - 0.03),
                (v[0] + 0.03, v[1] - 0.03),
                base + high,
                toned(color, 0.45),
                Indoor.BOX,
            )
            for edge, out in ((v[0], -0.12), (v[1], 0.12)):
                lifted = ((u[0], 0.0, edge), (u[1], 0.0, edge), (u[1], 0.06, edge + out), (u[0], 0.06, edge + out))
                flap = [place.at(a, base + high + up, b) for a, up, b in lifted]
                view.face(flap, color, Indoor.BOX, 0.96)
    view.upright(place, (u[0] + 0.2 * wide, u[0] + 0.6 * wide), (base + 0.3 * high, base + 0.6 * high), v[1] + 0.002,
                 toned(color, 0.8), Indoor.BOX)  # fmt: skip


def floor_box(room: Room, place: Place, size: Spot) -> None:
    """One or two boxes on the floor."""
    wide, high, deep = size
    middle = place.moved(wide / 2, deep / 2)
    if room.draws.chance(0.4):
        box(room, middle, (wide, 0.55 * high, deep))
        box(
            room,
            middle.moved(0.02, 0, room.draws.uniform(-0.3, 0.3)),
            (0.8 * wide, 0.4 * high, 0.8 * deep),
            0.55 * high,
        )
    else:
        box(room, middle, (wide, high * 0.7, deep))


def sheets(room: Room, place: Place, u: float, v: float, y: float) -> None:
    """Sheets of paper, not quite on one another."""
    draws, view = room.draws, room.view
    for index in range(draws.integer(1, 4)):
        at = place.moved(u + draws.uniform(-0.08, 0.08), v + draws.uniform(-0.06, 0.06), draws.uniform(-0.7, 0.7))
        view.level(at, (-0.11, 0.11), (-0.15, 0.15), y + 0.004 + 0.002 * index, (242, 240, 234), Indoor.PAPER,
                   draws.uniform(0.92, 1.02))  # fmt: skip
        for row in range(3):
            v_row = (-0.1 + 0.07 * row, -0.08 + 0.07 * row)
            view.level(at, (-0.08, 0.07), v_row, y + 0.007 + 0.002 * index, (150, 150, 156), Indoor.PAPER)


def floor_lamp(room: Room, place: Place, size: Spot) -> None:
    """A tall one."""
    wide, high, deep = size
    spot = place.at(wide / 2, 0, deep / 2)
    drum(room, spot, (0, 0.03), (0.13, 0.12), (60, 56, 54), Indoor.LAMP)
    drum(room, spot, (0.03, high - 0.3), (0.015, 0.015), (80, 76, 72), Indoor.LAMP)
    lampshade(room, spot, (high - 0.32, high), (0.2, 0.13))


def pendant(room: Room, place: Place, size: Spot) -> None:
    """A lamp that hangs from the ceiling; `size` has the height of its shade above the floor."""
    spot = place.at(0, 0, 0)
    room.view.line(place.at(0, room.height, 0), place.at(0, size[1] + 0.2, 0), (50, 48, 46), Indoor.LAMP, 0.015)
    lampshade(room, spot, (size[1], size[1] + 0.25), (0.22, 0.1))


def lampshade(room: Room, spot: Spot, y: tuple[float, float], radius: tuple[float, float]) -> None:
    """Narrower above; it shines or not."""
    draws, view = room.draws, room.view
    lit = draws.chance(0.45)
    color = (255, 240, 204) if lit else draws.choice(((224, 214, 194), (200, 196, 190), (150, 90, 70), (90, 96, 104)))
    found = view.point((spot[0], spot[1] + (y[0] + y[1]) / 2, spot[2]))
    if lit and found:
        view.canvas.glow(found[0], found[1], 0.8 * found[2], (70, 58, 34))
    drum(room, spot, y, radius, color, Indoor.LAMP, tone=1.1 if lit else 1.0)


def screen(room: Room, place: Place, u: Size, y: Size, v: float, label: Indoor) -> None:
    """A flat screen with its back at depth v."""
    draws, view = room.draws, room.view
    view.box(place, u, y, (v, v + 0.06), (26, 26, 28), label)
    inner, rows = (u[0] + 0.025, u[1] - 0.025), (y[0] + 0.03, y[1] - 0.025)
    lit = draws.chance(0.4 if label == Indoor.TV else 0.65)
    color = draws.choice(((70, 110, 170), (196, 206, 220), (96, 140, 96), (228, 228, 232))) if lit else (44, 46, 52)
    view.upright(place, inner, rows, v + 0.062, color, label)
    if lit:
        middle = (rows[0] + rows[1]) / 2
        band = draws.choice(((230, 200, 160), (50, 60, 80), (250, 250, 250)))
        view.upright(
            place, (inner[0] + 0.04, (inner[0] + inner[1]) / 2), (rows[0] + 0.03, middle), v + 0.064, band, label
        )


def plant(room: Room, place: Place, size: Spot) -> None:
    """In a pot on the floor."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    spot = place.at(wide / 2, 0, deep / 2)
    drum(room, spot, (0, 0.3), (0.13, 0.17), draws.choice(((160, 90, 60), (220, 216, 208), (70, 70, 74))), Indoor.PLANT)
    green = draws.choice(((70, 104, 52), (92, 124, 66), (60, 92, 62)))
    for _ in range(16):
        tip = (spot[0] + draws.uniform(-0.32, 0.32), draws.uniform(0.5, high), spot[2] + draws.uniform(-0.3, 0.3))
        view.line((spot[0], 0.3, spot[2]), tip, toned(green, 0.8), Indoor.PLANT, 0.015)
        view.ball(tip, draws.uniform(0.05, 0.1), toned(green, draws.uniform(0.75, 1.2)), Indoor.PLANT, squeeze=1.3)


def bin_(room: Room, place: Place, size: Spot) -> None:
    """For waste paper."""
    wide, high, deep = size
    color = room.draws.choice(((60, 64, 68), (40, 70, 120), (170, 172, 176), (90, 92, 88)))
    spot = place.at(wide / 2, 0, deep / 2)
    drum(room, spot, (0, high), (0.11, 0.15), color, Indoor.BIN, toned(color, 0.5))
