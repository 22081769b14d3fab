"""What hangs on walls; `size` is width and height in metres, `low` its foot's height."""

from mdseg.scenes.canvas import toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import WOODS, Room
from mdseg.scenes.room_things import Size, screen
from mdseg.scenes.view import Place


def picture(room: Room, place: Place, size: Size, low: float) -> None:
    """A framed landscape, portrait, print or pattern."""
    draws, view, (wide, tall) = room.draws, room.view, size
    frame, rim = draws.choice((*WOODS, (30, 30, 32), (196, 170, 96))), 0.1 * min(wide, tall)
    view.box(place, (0, wide), (low, low + tall), (0, 0.025), frame, Indoor.PICTURE)
    u, y = (rim, wide - rim), (low + rim, low + tall - rim)
    if draws.chance(0.5):
        view.upright(place, u, y, 0.027, (238, 234, 226), Indoor.PICTURE)
        u, y = (u[0] + rim, u[1] - rim), (y[0] + rim, y[1] - rim)
    sky = draws.choice(((150, 186, 214), (226, 196, 150), (60, 70, 96), (206, 208, 200), (190, 90, 60)))
    view.upright(place, u, y, 0.028, sky, Indoor.PICTURE)
    ground = y[0] + (y[1] - y[0]) * draws.uniform(0.25, 0.5)
    color = draws.choice(((84, 108, 62), (130, 96, 60), (52, 74, 104), (90, 50, 50)))
    view.upright(place, u, (y[0], ground), 0.029, color, Indoor.PICTURE)
    if draws.chance(0.6):
        blob = draws.choice(((224, 178, 150), (230, 210, 90), (40, 56, 44), (190, 60, 50)))
        spot = place.at(draws.uniform(u[0] * 0.6 + u[1] * 0.4, u[1] * 0.7 + u[0] * 0.3), (y[0] + y[1]) / 2, 0.03)
        if place.own(view.position[0], view.position[2])[1] > 0.03:
            view.ball(spot, 0.22 * min(u[1] - u[0], y[1] - y[0]), blob, Indoor.PICTURE)


def mirror(room: Room, place: Place, size: Size, low: float) -> None:
    """It shows the pale rest of the room."""
    draws, view, (wide, tall) = room.draws, room.view, size
    frame = draws.choice((room.style.wood, (190, 190, 192), (226, 222, 214)))
    view.box(place, (0, wide), (low, low + tall), (0, 0.025), frame, Indoor.MIRROR)
    glass = toned(room.style.wall, 0.82)
    view.upright(place, (0.04, wide - 0.04), (low + 0.04, low + tall - 0.04), 0.027, glass, Indoor.MIRROR)
    left = draws.uniform(0.1, 0.4) * wide
    view.upright(
        place, (left, left + 0.3 * wide), (low + 0.04, low + tall * 0.6), 0.028, toned(glass, 0.72), Indoor.MIRROR
    )
    if place.own(view.position[0], view.position[2])[1] > 0.03:
        shine = [
            place.at(wide * a, low + tall * b, 0.029) for a, b in ((0.55, 0.1), (0.7, 0.1), (0.9, 0.9), (0.75, 0.9))
        ]
        view.veil(shine, (246, 250, 252), Indoor.MIRROR, 0.4)


def whiteboard(room: Room, place: Place, size: Size, low: float) -> None:
    """Writing in a few colours."""
    draws, view, (wide, tall) = room.draws, room.view, size
    view.box(place, (0, wide), (low, low + tall), (0, 0.03), (176, 178, 182), Indoor.WHITEBOARD)
    view.upright(place, (0.04, wide - 0.04), (low + 0.05, low + tall - 0.04), 0.032, (240, 242, 244), Indoor.WHITEBOARD)
    view.box(place, (0.2, wide - 0.2), (low - 0.02, low + 0.02), (0, 0.08), (160, 162, 166), Indoor.WHITEBOARD)
    if place.own(view.position[0], view.position[2])[1] <= 0.05:
        return
    for row in range(draws.integer(0, 7)):
        y = low + tall * (0.85 - 0.1 * row)
        left, pen = draws.uniform(0.1, 0.4) * wide, draws.choice(((40, 60, 150), (30, 30, 34), (170, 40, 44)))
        for word in range(draws.integer(1, 5)):
            start = left + word * 0.22
            if start + 0.16 < wide - 0.1:
                view.line(place.at(start, y, 0.034), place.at(start + 0.15, y + draws.uniform(-0.02, 0.02), 0.034), pen,
                          Indoor.WHITEBOARD, 0.02)  # fmt: skip


def television(room: Room, place: Place, size: Size, low: float) -> None:
    """A screen on the wall, dark or on."""
    screen(room, place, (0, size[0]), (low, low + size[1]), 0.0, Indoor.TV)


def poster(room: Room, place: Place, size: Size, low: float) -> None:
    """Sheets of paper on the wall."""
    draws, view, (wide, tall) = room.draws, room.view, size
    for column in range(number := draws.integer(1, 4)):
        u = (wide * column / number + 0.02, wide * (column + 0.9) / number)
        top = low + tall * draws.uniform(0.8, 1.0)
        view.upright(place, u, (low, top), 0.004, (240, 238, 230), Indoor.PAPER, draws.uniform(0.92, 1.0))
        if draws.chance(0.6):
            middle = (u[0] + 0.03, u[1] - 0.03)
            color = draws.choice(((90, 130, 190), (200, 90, 70), (120, 120, 124)))
            view.upright(place, middle, (low + 0.5 * (top - low), top - 0.03), 0.005, color, Indoor.PAPER)


def towels(room: Room, place: Place, size: Size, low: float) -> None:
    """On a rail."""
    draws, view, (wide, tall) = room.draws, room.view, size
    view.line(place.at(0, low + tall, 0.07), place.at(wide, low + tall, 0.07), (180, 182, 186), Indoor.UNLABELED, 0.02)
    left = 0.04
    while left < wide - 0.2:
        right = min(left + draws.uniform(0.22, 0.4), wide - 0.03)
        color = draws.choice((room.style.fabric, room.style.pale, (236, 234, 230), (206, 120, 110), (100, 140, 170)))
        foot = low + tall * draws.uniform(0, 0.35)
        view.upright(place, (left, right), (foot, low + tall), 0.08, color, Indoor.TOWEL)
        view.upright(place, (left, right), (foot + 0.08, foot + 0.12), 0.082, toned(color, 0.82), Indoor.TOWEL)
        left = right + 0.03


def hooks(room: Room, place: Place, size: Size, low: float) -> None:
    """Coats and shirts on hooks."""
    draws, view, (wide, tall) = room.draws, room.view, size
    for hook in range(number := max(1, int(wide / 0.3))):
        middle, color = (
            wide * (hook + 0.5) / number,
            draws.choice((room.style.fabric, (40, 44, 60), (150, 60, 56), (90, 96, 84))),
        )
        foot = low + tall * draws.uniform(0, 0.3)
        outline = ((0, 1.0), (0.11, 0.93), (0.14, 0.0), (-0.14, 0.0), (-0.11, 0.93))
        corners = [place.at(middle + u, foot + (low + tall - foot) * y, 0.08) for u, y in outline]
        if place.own(view.position[0], view.position[2])[1] > 0.08:
            view.face(corners, color, Indoor.CLOTHES, view.shade(place.heading))
            view.line(place.at(middle, low + tall, 0.08), place.at(middle + 0.02, foot, 0.08), toned(color, 0.7),
                      Indoor.CLOTHES, 0.02)  # fmt: skip


def radiator(room: Room, place: Place, size: Size, low: float) -> None:
    """Ribs under a window."""
    wide, tall = size
    room.view.box(place, (0, wide), (low, low + tall), (0.02, 0.1), (226, 226, 222), Indoor.RADIATOR)
    for rib in range(1, number := max(3, int(wide / 0.09))):
        gap, y = (wide * rib / number, wide * rib / number + 0.015), (low + 0.03, low + tall - 0.03)
        room.view.upright(place, gap, y, 0.102, (170, 170, 168), Indoor.RADIATOR)
