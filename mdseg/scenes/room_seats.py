"""Sofas, chairs and stools; `size` is width, height, depth in metres."""

from math import cos, pi, sin

from mdseg.scenes import room_people as people
from mdseg.scenes import room_things as things
from mdseg.scenes.canvas import toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import METAL, Room
from mdseg.scenes.room_furniture import DARK, Part, assemble, legs
from mdseg.scenes.view import Place, Spot


def sofa(room: Room, place: Place, size: Spot) -> None:
    """Base, back, arms, seat cushions; throw pillows; sometimes somebody."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    color, arm = room.style.fabric, draws.uniform(0.12, 0.24)
    seat = draws.uniform(0.38, 0.46)
    view.box(place, (0, wide), (0.04, high), (0, 0.24), color, Indoor.SOFA, toned(color, 1.08))
    view.box(place, (0, wide), (0.04, seat - 0.12), (0.24, deep), color, Indoor.SOFA, tone=0.8)
    number = max(1, round((wide - 2 * arm) / 0.68))
    for index in range(number):
        u = (arm + (wide - 2 * arm) * index / number + 0.01, arm + (wide - 2 * arm) * (index + 1) / number - 0.01)
        view.box(place, u, (seat, high - 0.03), (0.2, 0.34), toned(color, 0.96), Indoor.SOFA, toned(color, 1.1))
        view.box(place, u, (seat - 0.14, seat), (0.26, deep - 0.02), color, Indoor.SOFA, toned(color, 1.12))
    eye = place.own(view.position[0], view.position[2])[0]
    arms = [(0.0, arm), (wide - arm, wide)]
    for u in sorted(arms, key=lambda side: -abs(eye - side[0])):
        view.box(place, u, (0.04, seat + 0.2), (0.02, deep), color, Indoor.SOFA, toned(color, 1.06))
    for index in range(number):
        if draws.chance(0.5):
            left = arm + (wide - 2 * arm) * (index + draws.uniform(0.1, 0.3)) / number
            things.pillow(room, place, left, seat, 0.42, draws.uniform(0.34, 0.44), 0.36, bright=True)
    if draws.chance(0.07) and number > 1:
        people.seated(room, place.moved(wide / 2, 0.45), seat)
    elif draws.chance(0.12):
        things.heap(room, place.at(wide * 0.7, seat, 0.5), 0.2)
    elif draws.chance(0.1):
        things.bag(room, place.at(wide * 0.4, seat, 0.5), 0.3)


def chair(room: Room, place: Place, size: Spot, kind: str = "", busy: float = 0.05) -> None:
    """Wooden, padded, of plastic, or on castors; `busy` is the chance that somebody sits on it."""
    draws, (wide, high, deep) = room.draws, size
    kind = kind or draws.choice(("wood", "padded", "plastic", "swivel"))
    seat, wood = 0.45, room.style.second_wood
    if kind == "swivel":
        _swivel(room, place, size)
    else:
        frame = wood if kind == "wood" else room.style.frame
        pad = {"wood": toned(wood, 1.1), "padded": room.style.fabric}.get(kind, room.style.seat)
        thick = 0.04 if kind == "wood" else 0.025
        parts = legs(wide, deep, seat, thick, frame)
        parts.append(((0, wide), (seat, seat + (0.07 if kind == "padded" else 0.035)), (0, deep), pad))
        if kind == "wood":
            parts += [((u, u + thick), (seat, high), (0, thick), frame) for u in (0, wide - thick)]
            parts += [((0, wide), (y, y + 0.07), (0.005, 0.03), frame) for y in (seat + 0.16, high - 0.1)]
            parts += [((u, u + 0.03), (seat, high - 0.1), (0.005, 0.025), frame) for u in (wide * 0.3, wide * 0.62)]
        else:
            parts.append(((0.01, wide - 0.01), (seat + 0.12, high), (0, 0.05), pad))
            parts += [((u, u + thick), (seat, seat + 0.2), (0, thick), frame) for u in (0.03, wide - 0.03 - thick)]
        assemble(room, place, parts, Indoor.CHAIR)
    if draws.chance(busy):
        people.seated(room, place.moved(wide / 2, 0.15), seat + 0.02)
    elif draws.chance(0.05):
        things.draped(room, place, (0.02, wide - 0.02), high + 0.02, 0.08)
    elif draws.chance(0.04):
        things.bag(room, place.at(wide / 2, seat + 0.03, deep / 2), 0.28)


def _swivel(room: Room, place: Place, size: Spot) -> None:
    draws, view, (wide, high, deep) = room.draws, room.view, size
    color = room.style.seat if draws.chance(0.5) else DARK
    middle_u, middle_v = wide / 2, deep / 2
    for spoke in range(5):
        angle = spoke * 2 * pi / 5
        end = place.at(middle_u + 0.26 * cos(angle), 0.05, middle_v + 0.26 * sin(angle))
        view.line(place.at(middle_u, 0.1, middle_v), end, DARK, Indoor.CHAIR, 0.04)
        view.ball(end, 0.035, (22, 22, 22), Indoor.CHAIR)
    view.line(place.at(middle_u, 0.08, middle_v), place.at(middle_u, 0.44, middle_v), (60, 60, 62), Indoor.CHAIR, 0.06)
    parts: list[Part] = [
        ((0, wide), (0.44, 0.52), (0, deep), color),
        ((0.03, wide - 0.03), (0.6, high), (0, 0.07), color),
    ]
    parts.append(((middle_u - 0.04, middle_u + 0.04), (0.5, 0.65), (0, 0.04), DARK))
    if draws.chance(0.6):
        parts += [((u, u + 0.05), (0.66, 0.7), (0.1, deep - 0.08), DARK) for u in (-0.04, wide - 0.01)]
        parts += [((u, u + 0.04), (0.5, 0.68), (0.2, 0.25), DARK) for u in (-0.04, wide)]
    assemble(room, place, parts, Indoor.CHAIR)


def stool(room: Room, place: Place, size: Spot) -> None:
    """Round, on three legs or a column."""
    wide, high, deep = size
    things.drum(room, place.at(wide / 2, 0, deep / 2), (0, high - 0.06), (0.03, 0.03), METAL, Indoor.CHAIR)
    things.drum(room, place.at(wide / 2, 0, deep / 2), (0, 0.03), (wide / 2, wide / 2), DARK, Indoor.CHAIR)
    color = room.style.fabric
    things.drum(room, place.at(wide / 2, 0, deep / 2), (high - 0.06, high), (wide / 2, wide / 2), color, Indoor.CHAIR)
