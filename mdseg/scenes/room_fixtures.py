"""What stands in kitchens and bathrooms; `size` is width, height, depth in metres."""

from math import cos, pi, sin

from mdseg.scenes import room_things as things
from mdseg.scenes import room_tops as tops
from mdseg.scenes.canvas import Color, toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import METAL, Room
from mdseg.scenes.view import Place, Spot

_WHITE: Color = (236, 236, 232)
_CIRCLE = tuple((cos(k * pi / 8), sin(k * pi / 8)) for k in range(16))
_TOPS: tuple[Color, ...] = (
    (70, 66, 64),
    (196, 186, 170),
    (150, 144, 138),
    (228, 226, 222),
    (120, 96, 76),
    (44, 44, 46),
)


def kitchen_row(room: Room, place: Place, size: Spot, sink: bool, stove: bool, above: bool) -> None:
    """Cabinets under a counter with a sink, a stove, things on it; cabinets above."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    front, top = room.style.wood, draws.choice(_TOPS)
    view.box(place, (0, wide), (0.1, high - 0.04), (0, deep - 0.04), front, Indoor.CABINET)
    view.upright(place, (0, wide), (0, 0.1), deep - 0.1, (40, 38, 36), Indoor.CABINET)
    number = max(1, round(wide / 0.5))
    stove_at = draws.integer(0, number) if stove else -1
    for index in range(number):
        u = (wide * index / number + 0.01, wide * (index + 1) / number - 0.01)
        if index == stove_at:
            _oven(room, place, u, high, deep)
        else:
            _doors(room, place, u, (0.12, high - 0.06), deep - 0.038, front)
    view.box(place, (-0.01, wide + 0.01), (high - 0.04, high), (0, deep), top, Indoor.COUNTER, toned(top, 1.1))
    view.upright(place, (0, wide), (high, high + 0.1), 0.01, top, Indoor.COUNTER)
    taken = stove_at
    if stove:
        u = (wide * stove_at / number + 0.03, wide * (stove_at + 1) / number - 0.03)
        view.level(place, u, (0.06, deep - 0.06), high + 0.004, (32, 32, 34), Indoor.APPLIANCE)
    if sink and number > 1:
        taken = (stove_at + 1 + draws.integer(0, number - 1)) % number if stove else draws.integer(0, number)
        basin(room, place, (wide * (taken + 0.08) / number, wide * (taken + 0.92) / number), (0.14, deep - 0.1), high)
    free = [index for index in range(number) if index not in (taken, stove_at)]
    for index in free:
        tops.lay(room, place, (wide * index / number, wide * (index + 1) / number), (0.08, deep - 0.1), high, "kitchen")
    if above:
        _wall_units(room, place, wide, front)


def _doors(room: Room, place: Place, u: tuple[float, float], y: tuple[float, float], v: float, color: Color) -> None:
    view = room.view
    view.upright(place, (u[0] - 0.01, u[1] + 0.01), (y[0] - 0.01, y[1] + 0.02), v, color, Indoor.CABINET, 0.6)
    split = y[1] - 0.16 if y[1] < 1 else y[0]
    for low, high in ((y[0], split - 0.012), (split, y[1])):
        if high - low > 0.1:
            view.upright(place, u, (low, high), v + 0.002, color, Indoor.CABINET)
            view.upright(
                place, (u[0] + 0.05, u[1] - 0.05), (low + 0.04, high - 0.04), v + 0.003, color, Indoor.CABINET, 0.93
            )
    middle = (u[0] + u[1]) / 2
    view.upright(place, (middle - 0.05, middle + 0.05), (y[1] - 0.09, y[1] - 0.07), v + 0.02, METAL, Indoor.CABINET)


def _oven(room: Room, place: Place, u: tuple[float, float], high: float, deep: float) -> None:
    view, body = room.view, room.draws.choice(((40, 40, 42), (226, 224, 220), (160, 162, 166)))
    view.upright(place, u, (0.08, high - 0.04), deep - 0.036, body, Indoor.APPLIANCE)
    view.upright(place, (u[0] + 0.06, u[1] - 0.06), (0.25, high - 0.26), deep - 0.034, (26, 26, 30), Indoor.APPLIANCE)
    view.upright(place, (u[0] + 0.04, u[1] - 0.04), (high - 0.2, high - 0.17), deep, METAL, Indoor.APPLIANCE)
    if room.draws.chance(0.35):
        color = room.draws.choice((room.style.fabric, room.style.pale))
        view.upright(place, (u[0] + 0.12, u[1] - 0.14), (high - 0.5, high - 0.17), deep + 0.01, color, Indoor.TOWEL)


def _wall_units(room: Room, place: Place, wide: float, color: Color) -> None:
    low, high, deep = 1.42, 2.12, 0.34
    room.view.box(place, (0, wide), (low, high), (0, deep), color, Indoor.CABINET)
    for index in range(number := max(1, round(wide / 0.5))):
        u = (wide * index / number + 0.01, wide * (index + 1) / number - 0.01)
        _doors(room, place, u, (low + 0.02, high - 0.02), deep + 0.002, color)


def basin(room: Room, place: Place, u: tuple[float, float], v: tuple[float, float], y: float) -> None:
    """A sink let into a counter, with its tap."""
    draws, view = room.draws, room.view
    steel = draws.chance(0.6)
    rim, inner = ((196, 198, 200), (128, 132, 136)) if steel else ((240, 240, 238), (204, 208, 210))
    view.level(place, u, v, y + 0.006, rim, Indoor.SINK)
    view.level(place, (u[0] + 0.04, u[1] - 0.04), (v[0] + 0.07, v[1] - 0.03), y + 0.007, inner, Indoor.SINK)
    view.level(place, (u[0] + 0.06, u[1] - 0.06), (v[0] + 0.07, v[0] + 0.16), y + 0.008, toned(inner, 0.8), Indoor.SINK)
    _tap(room, place, (u[0] + u[1]) / 2, v[0] + 0.03, y)


def _tap(room: Room, place: Place, u: float, v: float, y: float) -> None:
    view = room.view
    view.line(place.at(u, y, v), place.at(u, y + 0.22, v), (210, 212, 216), Indoor.SINK, 0.025)
    view.line(place.at(u, y + 0.22, v), place.at(u, y + 0.2, v + 0.14), (210, 212, 216), Indoor.SINK, 0.025)


def fridge(room: Room, place: Place, size: Spot) -> None:
    """Two doors, handles, sometimes notes and magnets."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    color = draws.choice(((234, 234, 230), (228, 226, 218), (172, 174, 178), (46, 46, 48)))
    view.box(place, (0, wide), (0.02, high), (0, deep), color, Indoor.FRIDGE)
    split = high * draws.choice((0.34, 0.66, 0.7))
    view.upright(place, (0, wide), (split - 0.012, split + 0.012), deep + 0.002, toned(color, 0.5), Indoor.FRIDGE)
    hinge = draws.choice((0.05, wide - 0.08))
    for low, top in ((split - 0.42, split - 0.06), (split + 0.06, min(split + 0.4, high - 0.08))):
        handle = draws.choice((METAL, toned(color, 0.7)))
        view.box(place, (hinge, hinge + 0.03), (low, top), (deep, deep + 0.04), handle, Indoor.FRIDGE)
    for _ in range(draws.choice((0, 0, 2, 5))):
        u, y = draws.uniform(0.14, wide - 0.3), draws.uniform(1.0, high - 0.25)
        view.upright(
            place, (u, u + 0.12), (y, y + 0.15), deep + 0.004, (242, 240, 230), Indoor.PAPER, draws.uniform(0.85, 1)
        )


def toilet(room: Room, place: Place, size: Spot) -> None:
    """Cistern, bowl, seat, the lid up or down."""
    draws, view, (wide, _, deep) = room.draws, room.view, size
    white = draws.choice((_WHITE, (228, 222, 206), (240, 240, 240)))
    middle, label = wide / 2, Indoor.TOILET
    view.box(place, (0, wide), (0.4, 0.78), (0, 0.19), white, label, toned(white, 1.04))
    view.box(place, (-0.01, wide + 0.01), (0.78, 0.81), (0, 0.2), white, label, toned(white, 1.06))
    view.box(place, (middle - 0.11, middle + 0.11), (0, 0.4), (0.12, deep - 0.2), white, label, tone=0.82)
    bowl = place.at(middle, 0, deep - 0.24)
    things.drum(room, bowl, (0.0, 0.18), (0.13, 0.12), white, label, tone=0.88)
    things.drum(room, bowl, (0.18, 0.4), (0.13, 0.2), white, label)

    def oval(a: float, b: float, y: float) -> list[Spot]:
        return [place.at(middle + a * c, y, deep - 0.27 + b * s) for c, s in _CIRCLE]

    view.face(oval(0.2, 0.25, 0.41), white, label, 0.94)
    if draws.chance(0.5):
        view.face(oval(0.13, 0.17, 0.415), (150, 158, 160), label)
        lid = [place.at(middle + 0.19 * c, 0.6 + 0.19 * s, 0.22) for c, s in _CIRCLE]
        view.face(lid, white, label, 0.9)
    else:
        view.face(oval(0.19, 0.24, 0.425), white, label, 1.04)


def bathtub(room: Room, place: Place, size: Spot, curtain: bool) -> None:
    """A tub along the wall; a curtain hangs before a part of it."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    white, label = draws.choice((_WHITE, (226, 216, 200), (206, 220, 216))), Indoor.BATHTUB
    view.box(place, (0, wide), (0, high), (0, deep), white, label, toned(white, 1.03))
    view.level(place, (0.08, wide - 0.08), (0.08, deep - 0.08), high + 0.001, toned(white, 0.8), label)
    view.level(place, (0.16, wide - 0.16), (0.2, deep - 0.08), high + 0.002, toned(white, 0.9), label)
    view.line(
        place.at(0.06, high + 0.02, deep / 2), place.at(0.16, high + 0.16, deep / 2), (210, 212, 216), label, 0.03
    )
    if curtain:
        shower_curtain(room, place, wide, deep)


def shower_curtain(room: Room, place: Place, wide: float, deep: float) -> None:
    """Hanging in folds from a rod, drawn part of the way."""
    draws, view = room.draws, room.view
    color = draws.choice((room.style.pale, (236, 236, 232), (120, 170, 190), (206, 140, 130), (180, 200, 150)))
    pattern = draws.choice((color, color, toned(color, 0.75), room.style.fabric))
    view.line(place.at(0, 2.0, deep), place.at(wide, 2.0, deep), METAL, Indoor.SHOWER_CURTAIN, 0.03)
    span = wide * draws.uniform(0.35, 0.9)
    left = draws.choice((0.0, wide - span))
    for fold in range(number := max(4, int(span / 0.1))):
        u = (left + span * fold / number, left + span * (fold + 1) / number)
        tone = (0.84, 1.0, 0.93)[fold % 3]
        view.upright(place, u, (0.2, 1.98), deep + 0.03, pattern if fold % 2 else color, Indoor.SHOWER_CURTAIN, tone)


def shower(room: Room, place: Place, size: Spot) -> None:
    """A tray with a curtain before it."""
    wide, _, deep = size
    room.view.box(place, (0, wide), (0, 0.12), (0, deep), _WHITE, Indoor.UNLABELED)
    shower_curtain(room, place, wide, deep)


def washstand(room: Room, place: Place, size: Spot) -> None:
    """A sink on a foot, or let into the counter of a cabinet."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    if wide > 0.75:
        front, top = draws.choice((room.style.wood, (226, 224, 220))), draws.choice(_TOPS)
        view.box(place, (0.02, wide - 0.02), (0, high - 0.04), (0, deep - 0.03), front, Indoor.CABINET)
        for index in range(number := max(2, round(wide / 0.45))):
            u = (wide * index / number + 0.03, wide * (index + 1) / number - 0.03)
            view.upright(place, u, (0.1, high - 0.1), deep - 0.028, front, Indoor.CABINET, 0.88)
        view.box(place, (0, wide), (high - 0.04, high), (0, deep), top, Indoor.COUNTER, toned(top, 1.08))
        middle = wide * draws.uniform(0.4, 0.6)
        view.face(_oval(place, middle, deep / 2 + 0.03, 0.22, 0.17, high + 0.004), (242, 242, 240), Indoor.SINK)
        view.face(_oval(place, middle, deep / 2 + 0.03, 0.18, 0.13, high + 0.006), (204, 208, 210), Indoor.SINK)
        _tap(room, place, middle, 0.07, high)
        tops.lay(room, place, (0.03, middle - 0.25), (0.06, deep - 0.06), high, "bath")
        return
    foot = place.at(wide / 2, 0, deep / 2)
    things.drum(room, foot, (0, high - 0.18), (0.1, 0.08), _WHITE, Indoor.SINK, tone=0.88)
    view.box(place, (0.04, wide - 0.04), (high - 0.16, high), (0.02, deep), _WHITE, Indoor.SINK, toned(_WHITE, 1.03))
    view.face(
        _oval(place, wide / 2, deep / 2 + 0.03, wide * 0.36, deep * 0.3, high + 0.003), (196, 202, 204), Indoor.SINK
    )
    _tap(room, place, wide / 2, 0.06, high)


def _oval(place: Place, u: float, v: float, wide: float, deep: float, y: float) -> list[Spot]:
    return [place.at(u + wide * c, y, v + deep * s) for c, s in _CIRCLE]
