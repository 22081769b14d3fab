"""What rooms of several kinds have: windows and doors, pictures, desks and tables with chairs, things on the floor."""

from math import pi

from mdseg.scenes import room_furniture as furniture
from mdseg.scenes import room_people as people
from mdseg.scenes import room_seats as seats
from mdseg.scenes import room_shell as shell
from mdseg.scenes import room_things as things
from mdseg.scenes import room_tops as tops
from mdseg.scenes import room_walls as hung
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import Room
from mdseg.scenes.view import Place, Spot


def openings(room: Room, windows: int, dressed: bool = True) -> None:
    """Windows, with curtains or blinds, perhaps a radiator below; a door."""
    draws = room.draws
    outside = draws.weighted({"day": 5.0, "dusk": 0.6, "night": 1.2})
    for _ in range(windows):
        low, tall = draws.choice(((0.85, 1.25), (0.95, 1.1), (0.5, 1.7), (1.0, 1.2)))
        size = (draws.uniform(0.9, 2.2), tall)
        for wall in room.in_sight():
            left = room.space(wall, size[0] + 0.5, low, low + tall)
            if left is None:
                continue
            middle = left + size[0] / 2 + 0.25
            room.hang(size, low, shell.window, outside, walls=[wall], middle=middle)
            place = wall.place.moved(middle - size[0] / 2, 0)
            if outside != "night":
                room.reflections.append(shell.reflection(place, size, low))
            _dress(room, place, size, low, dressed)
            if low > 0.8 and draws.chance(0.35):
                room.hang((min(size[0], 1.2), 0.55), 0.12, hung.radiator, walls=[wall], middle=middle)
            break
    if draws.chance(0.6):
        room.hang((draws.uniform(0.85, 1.0), 2.05), 0.0, shell.door)


def _dress(room: Room, place: Place, size: tuple[float, float], low: float, dressed: bool) -> None:
    kind = room.draws.random()
    if kind < (0.3 if dressed else 0.6):
        room.on_walls.append(lambda: shell.blinds(room, place, size, low))
    if dressed and kind > 0.2:
        room.on_walls.append(lambda: shell.curtains(room, place, size, low))


def decorate(room: Room, pictures: float, posters: float = 0.1) -> None:
    """Pictures and sheets of paper on the walls, so many on average."""
    draws = room.draws
    for _ in range(draws.count(pictures)):
        size = draws.choice(((0.4, 0.5), (0.6, 0.45), (0.9, 0.6), (0.3, 0.4), (0.7, 0.9)))
        room.hang(size, draws.uniform(1.25, 1.5), hung.picture)
    for _ in range(draws.count(posters)):
        room.hang((draws.uniform(0.3, 0.9), 0.45), draws.uniform(1.1, 1.4), hung.poster)


def clutter(room: Room, bags: float = 0.25, boxes: float = 0.2, bins: float = 0.2, plants: float = 0.15) -> None:
    """What stands about on the floor."""
    draws = room.draws
    for _ in range(draws.count(bins)):
        room.stand((0.3, 0.32, 0.3), things.bin_)
    for _ in range(draws.count(plants)):
        room.stand((0.5, draws.uniform(0.8, 1.6), 0.5), things.plant)
    for _ in range(draws.count(bags)):
        room.anywhere((0.4, draws.uniform(0.38, 0.5), 0.3), things.floor_bag)
    for _ in range(draws.count(boxes)):
        room.stand((draws.uniform(0.35, 0.55), draws.uniform(0.3, 0.7), 0.4), things.floor_box)


def passers_by(room: Room, expected: float) -> None:
    """People who stand about, so many on average."""
    for _ in range(room.draws.count(expected)):
        room.anywhere((0.5, 1.7, 0.4), people.person)


def rug(room: Room, place: Place, size: Spot) -> None:
    """Something on the floor on which furniture may stand."""
    room.on_floor.append(lambda: shell.mat(room, place, size))


def desk_with_chair(room: Room, laid: str = "desk", kind: str = "swivel") -> None:
    """A desk against a wall, a chair before it, sometimes a shelf above."""
    draws = room.draws
    wide = draws.uniform(1.1, 1.6)
    stood = room.stand((wide, 0.74, 0.68), furniture.desk, laid)
    if stood is None:
        return
    wall, left = stood
    chair_at(room, wall.place.moved(left + wide * draws.uniform(0.4, 0.6), 0.72), kind)
    if draws.chance(0.35):
        size = (wide * 0.8, 0.32)
        room.on_walls.append(lambda: _wall_shelf(room, wall.place.moved(left, 0), size))


def _wall_shelf(room: Room, place: Place, size: tuple[float, float]) -> None:
    wide, tall = size
    room.view.box(place, (0, wide), (1.38, 1.41), (0, 0.24), room.style.wood, Indoor.SHELVES)
    room.view.box(place, (0, 0.03), (1.41, 1.41 + tall), (0, 0.24), room.style.wood, Indoor.SHELVES)
    tops.lay(room, place, (0.05, wide - 0.03), (0.05, 0.2), 1.41, "library")


def chair_at(room: Room, place: Place, kind: str = "", busy: float = 0.025) -> None:
    """A chair whose front is at a place, looking back at what is behind that."""
    turned = room.draws.uniform(-0.25, 0.25)
    wide, deep = 0.46, 0.46
    seat = place.moved(0, 0.1, pi + turned).moved(-wide / 2, -deep)
    room.put(seat, (wide, room.draws.uniform(0.84, 1.0), deep), seats.chair, kind, busy, gap=-0.12)


def table_with_chairs(room: Room, middle: Place, size: Spot, laid: str, kind: str, busy: float = 0.025) -> None:
    """Chairs along the table's sides, pushed in or not."""
    draws, (wide, _, deep) = room.draws, size
    if not room.put(middle.moved(-wide / 2, -deep / 2), size, furniture.table, laid):
        return
    number = max(1, round(wide / 0.65))
    for side in (0.0, pi):
        row = middle.moved(0, 0, side)
        for index in range(number):
            u = -wide / 2 + wide * (index + 0.5) / number
            if draws.chance(0.85):
                chair_at(room, row.moved(u, deep / 2 + draws.uniform(-0.1, 0.1)), kind, busy)
    if wide > 1.4 and draws.chance(0.5):
        chair_at(room, middle.moved(wide / 2, 0, -pi / 2), kind, busy)
