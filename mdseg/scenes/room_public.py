"""Rooms of offices, schools, shops, and what belongs into them."""

from math import pi

from mdseg.scenes import room_furniture as furniture
from mdseg.scenes import room_seats as seats
from mdseg.scenes import room_shell as shell
from mdseg.scenes import room_things as things
from mdseg.scenes import room_walls as hung
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import Room
from mdseg.scenes.room_parts import (
    chair_at,
    clutter,
    decorate,
    desk_with_chair,
    openings,
    passers_by,
    rug,
    table_with_chairs,
)
from mdseg.scenes.view import Place


def office(room: Room) -> None:
    """Desks with screens, cabinets, shelves, a whiteboard."""
    draws = room.draws
    for _ in range(draws.choice((2, 2, 3, 4))):
        desk_with_chair(room)
    openings(room, draws.choice((0, 1, 1)), dressed=False)
    if draws.chance(0.5):
        room.hang((draws.uniform(1.2, 2.0), 1.0), 0.95, hung.whiteboard)
    if draws.chance(0.5):
        room.stand(
            (draws.uniform(0.8, 1.6), draws.choice((0.75, 1.3, 1.9)), 0.42), furniture.cupboard, Indoor.CABINET, "shelf"
        )
    if draws.chance(0.45):
        label = draws.choice((Indoor.BOOKSHELF, Indoor.SHELVES))
        room.stand((draws.uniform(0.8, 1.4), draws.uniform(1.2, 2.0), 0.34), furniture.bookshelf, label)
    if draws.chance(0.2):
        room.anywhere((0.55, 0.95, 0.55), seats.chair, "swivel")
    if draws.chance(0.15):
        room.hang((0.6, 0.8), 1.0, hung.hooks)
    decorate(room, 0.5, posters=0.8)
    clutter(room, bags=0.35, boxes=0.5, bins=0.6)
    passers_by(room, 0.04)


def meeting(room: Room) -> None:
    """A long table, chairs all round, a screen and a whiteboard."""
    draws = room.draws
    if draws.chance(0.7):
        room.hang((draws.uniform(1.6, 2.6), 1.1), 0.95, hung.whiteboard)
    if draws.chance(0.45):
        room.hang((1.3, 0.75), 1.1, hung.television)
    openings(room, draws.choice((0, 1)), dressed=False)
    size = (draws.uniform(1.8, 3.2), 0.74, draws.uniform(1.0, 1.3))
    middle = Place(room.width / 2, room.depth * draws.uniform(0.5, 0.62), draws.choice((0.0, pi / 2)))
    table_with_chairs(room, middle, size, "meeting", draws.choice(("swivel", "padded", "plastic")), busy=0.05)
    if draws.chance(0.4):
        room.stand((1.4, 0.8, 0.45), furniture.cupboard, Indoor.CABINET)
    decorate(room, 0.5, posters=0.4)
    clutter(room, bags=0.3, bins=0.4, boxes=0.1)
    passers_by(room, 0.07)


def classroom(room: Room) -> None:
    """Rows of tables with chairs behind them."""
    draws = room.draws
    room.hang((draws.uniform(2.0, 3.4), 1.15), 0.95, hung.whiteboard)
    openings(room, draws.choice((0, 1, 2)), dressed=False)
    kind, label = draws.choice(("plastic", "swivel", "padded")), draws.choice((furniture.table, furniture.desk))
    towards = draws.choice((0.0, pi))
    z = 1.5
    while z < room.depth - 1.0:
        x = draws.uniform(0.5, 0.9)
        while x < room.width - 1.4:
            size = (draws.uniform(1.2, 1.6), 0.74, 0.55)
            middle = Place(x + size[0] / 2, z, towards)
            if draws.chance(0.9) and room.put(middle.moved(-size[0] / 2, -0.3), size, label, "meeting"):
                for u in (-0.3, 0.3):
                    if draws.chance(0.8):
                        chair_at(room, middle.moved(u, 0.3), kind, 0.04)
            x += size[0] + draws.choice((0.1, 0.5))
        z += draws.uniform(1.35, 1.6)
    decorate(room, 0.3, posters=0.8)
    clutter(room, bags=0.8, boxes=0.1)
    passers_by(room, 0.1)


def library(room: Room) -> None:
    """Bookshelves along the walls and in rows, tables to read at."""
    draws = room.draws
    openings(room, draws.choice((0, 1)), dressed=False)
    for _ in range(draws.integer(5, 9)):
        room.stand((draws.uniform(0.9, 1.8), draws.uniform(1.8, 2.2), 0.34), furniture.bookshelf)
    for _ in range(draws.integer(1, 3)):
        middle = Place(
            room.width * draws.uniform(0.25, 0.75), room.depth * draws.uniform(0.4, 0.75), draws.uniform(-0.2, 0.2)
        )
        table_with_chairs(
            room, middle, (draws.uniform(1.3, 1.9), 0.74, 0.9), "library", draws.choice(("wood", "padded")), 0.03
        )
    if draws.chance(0.4):
        place = Place(room.width * draws.uniform(0.3, 0.7), room.depth * 0.7, draws.choice((0.0, pi / 2, -pi / 2)))
        room.put(place, (1.6, 1.5, 0.5), furniture.bookshelf)
    if draws.chance(0.3):
        room.stand((1.6, 0.8, 0.85), seats.sofa)
    decorate(room, 0.4, posters=0.5)
    clutter(room, bags=0.4, boxes=0.3)
    passers_by(room, 0.1)


def storage(room: Room) -> None:
    """Shelves of boxes, clothes on a rail, bags."""
    draws = room.draws
    if draws.chance(0.4):
        openings(room, 1, dressed=False)
    for _ in range(draws.integer(3, 6)):
        size = (draws.uniform(0.8, 1.6), draws.uniform(1.4, 2.1), draws.uniform(0.34, 0.5))
        room.stand(size, furniture.bookshelf, Indoor.SHELVES)
    if draws.chance(0.6):
        room.stand((draws.uniform(0.9, 1.6), 1.7, 0.55), furniture.rack)
    if draws.chance(0.4):
        room.hang((1.2, 0.8), 1.0, hung.hooks)
    if draws.chance(0.3):
        room.stand((0.9, 1.9, 0.5), furniture.cupboard)
    decorate(room, 0.1, posters=0.3)
    clutter(room, bags=1.0, boxes=2.0, plants=0.0)
    for _ in range(draws.integer(0, 3)):
        room.anywhere((0.45, 0.5, 0.4), things.floor_box)


def shop(room: Room) -> None:
    """Furniture for sale, in groups."""
    draws = room.draws
    for _ in range(draws.integer(4, 8)):
        kind = draws.random()
        if kind < 0.35:
            room.anywhere((draws.choice((0.9, 1.6, 2.1)), 0.85, 0.9), seats.sofa, gap=0.25)
        elif kind < 0.6:
            middle = Place(
                room.width * draws.uniform(0.2, 0.8), room.depth * draws.uniform(0.35, 0.8), draws.uniform(-1, 1)
            )
            table_with_chairs(room, middle, (1.4, 0.75, 0.85), "dining", draws.choice(("wood", "plastic", "padded")))
        elif kind < 0.8:
            room.anywhere((1.6, 1.0, 2.05), furniture.bed, gap=0.3)
        else:
            room.anywhere((1.0, 0.9, 0.46), furniture.cupboard, Indoor.DRESSER, "shop", gap=0.3)
    for _ in range(draws.integer(1, 4)):
        label = draws.choice((Indoor.CABINET, Indoor.DRESSER, Indoor.WARDROBE))
        room.stand((draws.uniform(0.8, 1.6), draws.uniform(0.8, 2.0), 0.45), furniture.cupboard, label, "shop")
    for _ in range(draws.integer(0, 3)):
        room.anywhere((0.4, 1.6, 0.4), things.floor_lamp)
    if draws.chance(0.5):
        room.anywhere((0.5, 0.65, 0.5), seats.stool)
    for _ in range(draws.integer(0, 2)):
        rug(room, Place(room.width * draws.uniform(0.2, 0.6), room.depth * 0.4, 0.2), (2.0, 0.01, 1.4))
    decorate(room, 2.0, posters=0.5)
    passers_by(room, 0.1)


def corridor(room: Room) -> None:
    """Doors on both sides, notices, a few things along the walls."""
    draws = room.draws
    for _ in range(draws.integer(2, 6)):
        room.hang((draws.uniform(0.85, 1.0), 2.05), 0.0, shell.door)
    if draws.chance(0.3):
        openings(room, 1, dressed=False)
    if draws.chance(0.3):
        room.stand((0.9, draws.choice((0.8, 1.9)), 0.4), furniture.cupboard)
    if draws.chance(0.25):
        room.stand((0.5, 0.85, 0.5), seats.chair, "plastic")
    decorate(room, 1.0, posters=1.5)
    clutter(room, bags=0.1, boxes=0.3, bins=0.3, plants=0.2)
    passers_by(room, 0.1)
