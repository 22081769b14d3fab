"""Rooms of a home, and what belongs into them."""

from math import pi

from mdseg.scenes import room_fixtures as fixtures
from mdseg.scenes import room_furniture as furniture
from mdseg.scenes import room_seats as seats
from mdseg.scenes import room_shell as shell
from mdseg.scenes import room_things as things
from mdseg.scenes import room_walls as hung
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import Room, Wall
from mdseg.scenes.room_parts import (
    clutter,
    decorate,
    desk_with_chair,
    openings,
    passers_by,
    rug,
    table_with_chairs,
)
from mdseg.scenes.view import Place


def bedroom(room: Room) -> None:
    """A bed between night stands, a wardrobe or dresser, a desk."""
    draws = room.draws
    wide = draws.choice((0.95, 1.0, 1.45, 1.6, 1.8))
    if draws.chance(0.1):
        room.stand((0.95, 1.7, 1.95), furniture.bunk)
    elif stood := room.stand((wide, draws.uniform(0.8, 1.25), 2.05), furniture.bed, walls=room.in_sight()):
        _beside_bed(room, *stood, wide)
    openings(room, draws.choice((0, 1, 1, 2)))
    if draws.chance(0.6):
        _dresser(room)
    if draws.chance(0.5):
        room.stand((draws.uniform(0.9, 1.8), 2.05, 0.58), furniture.cupboard, Indoor.WARDROBE)
    if draws.chance(0.35):
        desk_with_chair(room, "library")
    if draws.chance(0.2):
        room.stand((0.8, 1.7, 0.3), furniture.bookshelf)
    if draws.chance(0.25):
        room.hang((0.9, 0.75), 1.05, hung.hooks)
    if draws.chance(0.15):
        room.stand((draws.uniform(0.9, 1.3), 1.65, 0.5), furniture.rack)
    if draws.chance(0.25):
        room.stand((0.6, 0.8, 0.6), seats.chair, "padded")
    if draws.chance(0.2):
        room.stand((1.0, 0.5, 0.45), furniture.stand_with_tv)
    decorate(room, 2.1)
    clutter(room, bags=0.35, boxes=0.25)
    passers_by(room, 0.02)


def _beside_bed(room: Room, wall: Wall, left: float, wide: float) -> None:
    draws = room.draws
    for middle in (left - 0.3, left + wide + 0.3):
        if draws.chance(0.85):
            size = (draws.uniform(0.42, 0.52), draws.uniform(0.5, 0.65), 0.42)
            room.stand(size, furniture.cupboard, Indoor.NIGHT_STAND, "night", walls=[wall], middle=middle)
    if draws.chance(0.6):
        frame = draws.choice(((0.9, 0.6), (0.6, 0.5), (1.2, 0.5)))
        room.hang(frame, 1.45, hung.picture, walls=[wall], middle=left + wide / 2)
    if draws.chance(0.45):
        rug(room, wall.place.moved(left - 0.5, 1.2), (wide + 1.0, 0.01, 1.4))


def _dresser(room: Room) -> None:
    draws = room.draws
    wide = draws.uniform(0.9, 1.5)
    stood = room.stand((wide, draws.uniform(0.75, 1.05), 0.46), furniture.cupboard, Indoor.DRESSER, "dresser")
    if stood and draws.chance(0.75):
        wall, left = stood
        room.hang((wide * 0.7, 0.8), 1.1, hung.mirror, walls=[wall], middle=left + wide / 2)


def living(room: Room) -> None:
    """Sofas round a low table, television, shelves."""
    draws = room.draws
    wide = draws.choice((1.5, 1.9, 2.2))
    if stood := room.stand((wide, draws.uniform(0.78, 0.9), 0.9), seats.sofa):
        wall, left = stood
        if draws.chance(0.5):
            rug(room, wall.place.moved(left - 0.3, 0.7), (wide + 0.6, 0.01, 1.6))
        if draws.chance(0.7):
            low = (draws.uniform(0.8, 1.2), draws.uniform(0.38, 0.48), 0.6)
            room.put(wall.place.moved(left + wide / 2 - low[0] / 2, 1.3), low, furniture.table, "coffee")
        room.hang((0.9, 0.6), 1.4, hung.picture, walls=[wall], middle=left + wide / 2)
    openings(room, draws.choice((0, 1, 1, 2)))
    for _ in range(draws.choice((1, 1, 2, 2))):
        room.stand((draws.choice((0.9, 0.9, 1.6)), 0.85, 0.88), seats.sofa)
    if draws.chance(0.6):
        room.stand((draws.uniform(1.1, 1.7), 0.5, 0.45), furniture.stand_with_tv)
    elif draws.chance(0.4):
        room.hang((1.1, 0.64), 1.0, hung.television)
    if draws.chance(0.5):
        room.stand((draws.uniform(0.8, 1.6), draws.uniform(1.6, 2.1), 0.32), furniture.bookshelf)
    if draws.chance(0.3):
        room.stand((draws.uniform(0.9, 1.5), 0.8, 0.42), furniture.cupboard, Indoor.CABINET, "coffee")
    for _ in range(draws.choice((0, 1, 1))):
        room.stand((0.4, draws.uniform(1.4, 1.7), 0.4), things.floor_lamp)
    decorate(room, 2.0)
    clutter(room, plants=0.5, boxes=0.15)
    passers_by(room, 0.04)


def dining(room: Room) -> None:
    """A table with chairs round it, a lamp above."""
    draws = room.draws
    size = draws.choice(((1.6, 0.75, 0.9), (1.1, 0.75, 1.1), (2.0, 0.75, 1.0), (1.2, 0.75, 0.8)))
    x, z = room.width * draws.uniform(0.35, 0.65), room.depth * draws.uniform(0.5, 0.7)
    table_with_chairs(room, Place(x, z, draws.choice((0.0, pi / 2)) + draws.uniform(-0.1, 0.1)), size, "dining", "wood")
    if draws.chance(0.5):
        room.add_pendant(x, z, things.pendant)
    openings(room, draws.choice((0, 1, 2)))
    if draws.chance(0.6):
        room.stand(
            (draws.uniform(1.0, 1.7), draws.choice((0.85, 1.9)), 0.45), furniture.cupboard, Indoor.CABINET, "dresser"
        )
    if draws.chance(0.3):
        room.stand((0.9, 1.9, 0.32), furniture.bookshelf)
    decorate(room, 1.8)
    clutter(room, plants=0.3)
    passers_by(room, 0.04)


def kitchen(room: Room) -> None:
    """Counters along one or two walls, a fridge, a small table."""
    draws = room.draws
    walls = room.in_sight()
    if draws.chance(0.75):
        room.stand((0.7, draws.uniform(1.5, 1.85), 0.66), fixtures.fridge)
    openings(room, draws.choice((0, 0, 1)), dressed=draws.chance(0.5))
    for turn, wall in enumerate(walls[: draws.choice((1, 2, 2))]):
        for wide in (2.6, 2.0, 1.5, 1.0):
            size = (wide, 0.9, 0.6)
            above = draws.chance(0.7)
            if room.stand(size, fixtures.kitchen_row, turn == 0, draws.chance(0.7), above, walls=[wall]):
                break
    if draws.chance(0.4):
        size = draws.choice(((0.9, 0.75, 0.9), (1.2, 0.75, 0.7)))
        middle = Place(room.width / 2, room.depth * 0.55, draws.uniform(-0.2, 0.2))
        table_with_chairs(room, middle, size, "dining", draws.choice(("wood", "plastic")))
    elif draws.chance(0.5):
        rug(room, Place(room.width / 2 - 0.5, room.depth * 0.6, 0.0), (1.1, 0.01, 0.7))
    if draws.chance(0.3):
        room.hang((0.5, 0.5), 1.0, hung.towels)
    if draws.chance(0.3):
        room.stand((0.7, 1.6, 0.35), furniture.bookshelf, Indoor.SHELVES)
    decorate(room, 0.5, posters=0.2)
    clutter(room, bags=0.2, bins=0.6, boxes=0.25)
    passers_by(room, 0.03)


def _tub_or_shower(room: Room) -> None:
    draws = room.draws
    if draws.chance(0.65):
        room.stand((1.6, 0.55, 0.76), fixtures.bathtub, draws.chance(0.65))
    elif draws.chance(0.6):
        room.stand((0.95, 2.0, 0.85), fixtures.shower)


def bathroom(room: Room) -> None:
    """Toilet, washstand under a mirror, tub or shower, towels."""
    draws = room.draws
    if draws.chance(0.3):
        openings(room, 1, dressed=False)
    tub_first = draws.chance(0.6)
    if tub_first:
        _tub_or_shower(room)
    room.stand((0.44, 0.82, 0.72), fixtures.toilet)
    if not tub_first:
        _tub_or_shower(room)
    wide = draws.choice((0.55, 0.6, 0.9, 1.2))
    if stood := room.stand((wide, 0.84, 0.52), fixtures.washstand):
        wall, left = stood
        room.hang((min(wide, 1.0) * 0.9, 0.8), 1.1, hung.mirror, walls=[wall], middle=left + wide / 2)
    if draws.chance(0.75):
        room.hang((draws.uniform(0.4, 0.8), 0.6), 0.9, hung.towels)
    if draws.chance(0.2):
        room.hang((0.5, 2.05), 0.0, shell.door)
    if draws.chance(0.55):
        rug(room, Place(room.width * 0.4, room.depth * 0.5, draws.uniform(-0.2, 0.2)), (0.8, 0.01, 0.5))
    if draws.chance(0.25):
        room.stand((0.5, 0.9, 0.35), furniture.cupboard, Indoor.CABINET, "bath")
    if draws.chance(0.2):
        room.stand((0.5, 1.5, 0.3), furniture.bookshelf, Indoor.SHELVES)
    decorate(room, 0.4, posters=0.0)
    clutter(room, bags=0.06, boxes=0.05, bins=0.4, plants=0.05)
