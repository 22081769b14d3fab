"""Walls, floor and ceiling of a room, and what is part of them or hangs on them."""

from math import cos, pi, sin

from mdseg.scenes.canvas import Color, toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import WOODS, Room
from mdseg.scenes.room_things import Size
from mdseg.scenes.view import Place, Spot

_FLOORS = ("planks", "planks", "tiles", "carpet", "carpet", "plain")
_TILES: tuple[Color, ...] = ((206, 200, 188), (176, 164, 146), (222, 220, 214), (150, 146, 140), (190, 150, 120))
_CARPETS: tuple[Color, ...] = (
    (134, 126, 112), (96, 102, 116), (150, 134, 108), (88, 86, 84), (116, 92, 78), (110, 118, 104), (170, 158, 138),
)  # fmt: skip


def paint_floor(room: Room, kind: str) -> bool:
    """Planks, tiles, carpet or plain; returns whether it is smooth enough to reflect."""
    draws, view = room.draws, room.view
    wide, deep = room.width, room.depth
    if kind in ("bathroom", "kitchen"):
        cover = draws.choice(("tiles", "tiles", "planks"))
    elif kind in ("office", "meeting", "classroom", "library"):
        cover = draws.choice(("carpet", "carpet", "plain", "tiles", "planks"))
    else:
        cover = draws.choice(_FLOORS)
    whole = ((0, 0, 0), (wide, 0, 0), (wide, 0, deep), (0, 0, deep))
    if cover == "planks":
        _planks(room, draws.choice(WOODS[:6]))
        return draws.chance(0.7)
    color = draws.choice(_CARPETS if cover == "carpet" else _TILES)
    view.face(whole, color, Indoor.FLOOR)
    if cover == "tiles":
        _grid(room, draws.choice((0.3, 0.33, 0.45, 0.6)), toned(color, draws.choice((0.78, 0.85, 1.12))))
    return cover != "carpet" and draws.chance(0.7)


def _planks(room: Room, wood: Color) -> None:
    draws, view = room.draws, room.view
    along_x, step = draws.chance(0.5), draws.uniform(0.1, 0.18)
    across, long = (room.depth, room.width) if along_x else (room.width, room.depth)
    start = 0.0
    while start < across:
        end, joint = min(start + step, across), draws.uniform(0, long)
        for low, high in ((0.0, joint), (joint, long)):
            tone = draws.uniform(0.86, 1.08)
            corners = [(start, low), (end, low), (end, high), (start, high)]
            view.face([(b, 0, a) if along_x else (a, 0, b) for a, b in corners], wood, Indoor.FLOOR, tone)
        start = end


def _grid(room: Room, step: float, color: Color) -> None:
    view = room.view
    for index in range(1, int(room.width / step) + 1):
        view.line((index * step, 0, 0), (index * step, 0, room.depth), color, Indoor.FLOOR, 0.012)
    for index in range(1, int(room.depth / step) + 1):
        view.line((0, 0, index * step), (room.width, 0, index * step), color, Indoor.FLOOR, 0.012)


def paint_ceiling(room: Room, office: bool) -> None:
    """White; in offices with tiles and strip lights."""
    draws, view = room.draws, room.view
    wide, deep, high = room.width, room.depth, room.height
    white = draws.choice(((232, 230, 224), (216, 214, 208), (240, 238, 236)))
    view.face(((0, high, 0), (wide, high, 0), (wide, high, deep), (0, high, deep)), white, Indoor.CEILING, 0.92)
    if office:
        grey = toned(white, 0.8)
        for index in range(1, int(wide / 0.6) + 1):
            view.line((index * 0.6, high, 0), (index * 0.6, high, deep), grey, Indoor.CEILING, 0.015)
        for index in range(1, int(deep / 0.6) + 1):
            view.line((0, high, index * 0.6), (wide, high, index * 0.6), grey, Indoor.CEILING, 0.015)
    for x in (wide * 0.3, wide * 0.7):
        for z in (deep * 0.35, deep * 0.75):
            if office:
                panel = ((x - 0.3, high, z - 0.6), (x + 0.3, high, z - 0.6), (x + 0.3, high, z + 0.6),
                         (x - 0.3, high, z + 0.6))  # fmt: skip
                _shine(room, panel, (255, 255, 250))


def _shine(room: Room, corners: tuple[Spot, ...], color: Color) -> None:
    points = room.view.seen(corners)
    if points:
        room.view.canvas.fill(points, room.view.canvas.lamp(color, Indoor.LAMP))


def paint_walls(room: Room, tiled: float = 0.0) -> None:
    """Upright bands, darker into the corners, over a skirting board; tiles up to a height."""
    draws, view, color = room.draws, room.view, room.style.wall
    skirting = draws.choice((0.0, 0.08, 0.1, 0.12))
    accent = draws.integer(0, 12)  # a wall in another colour, in every third room
    for number, wall in enumerate(room.walls):
        painted = room.style.fabric if number == accent else color
        place = wall.place
        for band in range(6):
            u = (wall.length * band / 6, wall.length * (band + 1) / 6 + 0.002)
            edge = abs(band - 2.5) / 2.5
            view.upright(place, u, (0, room.height), 0, painted, Indoor.WALL, 1.02 - 0.07 * edge)
        if tiled:
            view.upright(place, (0, wall.length), (0, tiled), 0.003, room.style.pale, Indoor.WALL)
            _wall_tiles(room, place, wall.length, tiled)
        if skirting:
            view.upright(place, (0, wall.length), (0, skirting), 0.004, room.style.trim, Indoor.SKIRTING, 0.95)


def _wall_tiles(room: Room, place: Place, long: float, high: float) -> None:
    if place.own(room.view.position[0], room.view.position[2])[1] <= 0:
        return
    grey, step = toned(room.style.pale, 0.86), room.draws.choice((0.15, 0.2, 0.3))
    for index in range(1, int(long / step) + 1):
        room.view.line(place.at(index * step, 0, 0.003), place.at(index * step, high, 0.003), grey, Indoor.WALL, 0.006)
    for index in range(1, int(high / step) + 1):
        room.view.line(place.at(0, index * step, 0.003), place.at(long, index * step, 0.003), grey, Indoor.WALL, 0.006)


def paint_corners(room: Room) -> None:
    """Less light reaches where walls, floor and ceiling meet."""
    wide, high, deep, reach = room.width, room.height, room.depth, 0.16
    strips: list[list[Spot]] = []
    for wall in room.walls:
        at, long = wall.place.at, wall.length
        if wall.place.own(room.view.position[0], room.view.position[2])[1] <= 0:
            continue
        strips.append([at(0, 0, reach), at(long, 0, reach), at(long, 0, 0), at(0, 0, 0)])
        strips.append([at(0, high - reach, 0), at(long, high - reach, 0), at(long, high, 0), at(0, high, 0)])
        strips.append([at(0, 0, 0), at(reach, 0, 0), at(reach, high, 0), at(0, high, 0)])
        strips.append([at(long - reach, 0, 0), at(long, 0, 0), at(long, high, 0), at(long - reach, high, 0)])
    scale = room.view.canvas.camera.focal / max(wide, deep, 1.0)
    room.view.darken(strips, 0.2, 0.12 * scale)


def window(room: Room, place: Place, size: Size, low: float, outside: str) -> None:
    """A frame with panes, and daylight or night behind."""
    draws, view, (wide, tall) = room.draws, room.view, size
    frame = draws.choice(((238, 238, 236), (226, 222, 214), (120, 84, 56), (70, 72, 76)))
    view.upright(place, (0, wide), (low, low + tall), 0.005, frame, Indoor.WINDOW)
    border, panes = 0.06, max(1, round(wide / draws.uniform(0.5, 0.9)))
    split = draws.choice((None, None, 0.5, 0.72))
    for pane in range(panes):
        u = (border + (wide - border) * pane / panes, (wide - border) * (pane + 1) / panes)
        heights = [(low + border, low + tall - border)]
        if split:
            middle = low + split * tall
            heights = [(low + border, middle - 0.02), (middle + 0.02, low + tall - border)]
        for y in heights:
            _outside(room, place, u, y, outside)
    view.box(place, (-0.04, wide + 0.04), (low - 0.04, low), (0, 0.1), room.style.trim, Indoor.WINDOW)


def reflection(place: Place, size: Size, low: float) -> list[Spot]:
    """Where a smooth floor shows a window."""
    wide, tall = size
    edges = ((0.1, low), (wide - 0.1, low), (wide - 0.1, low + tall), (0.1, low + tall))
    return [place.at(u, -y, 0) for u, y in edges]


def _outside(room: Room, place: Place, u: Size, y: Size, outside: str) -> None:
    """Night, or a bright sky over trees or houses; overexposed, as indoor cameras see it."""
    view, draws, canvas = room.view, room.draws, room.view.canvas
    if place.own(view.position[0], view.position[2])[1] <= 0:
        return
    sky: Color = {"night": (24, 26, 40), "dusk": (150, 160, 190), "day": (236, 244, 252)}[outside]

    def pane(low: float, high: float, color: Color) -> None:
        corners = (place.at(u[0], low, 0.008), place.at(u[1], low, 0.008), place.at(u[1], high, 0.008),
                   place.at(u[0], high, 0.008))  # fmt: skip
        points = view.seen(corners)
        if points:
            canvas.fill(points, canvas.lamp(color, Indoor.WINDOW))

    pane(y[0], y[1], sky)
    if outside != "night" and draws.chance(0.75):
        green = draws.choice(((150, 178, 130), (176, 190, 170), (190, 186, 178), (128, 156, 108)))
        horizon = y[0] + (y[1] - y[0]) * draws.uniform(0.2, 0.6)
        pane(y[0], horizon, green if outside == "day" else toned(green, 0.5))
        pane(y[0], y[0] + (horizon - y[0]) * 0.5, toned(green, 0.85 if outside == "day" else 0.4))


def blinds(room: Room, place: Place, size: Size, low: float) -> None:
    """Slats before a window, drawn down some way; some stand upright."""
    draws, view, (wide, tall) = room.draws, room.view, size
    pale = draws.choice(((232, 230, 222), (214, 206, 190), (190, 196, 204), (238, 236, 234)))
    if place.own(view.position[0], view.position[2])[1] <= 0.04:
        return
    if draws.chance(0.25):
        for slat in range(number := max(4, int(wide / 0.12))):
            u = (wide * slat / number, wide * (slat + 0.86) / number)
            view.upright(place, u, (low, low + tall), 0.04, pale, Indoor.BLINDS, draws.uniform(0.84, 1.0))
        return
    bottom = low + tall * draws.choice((0.0, 0.0, 0.3, 0.5))
    view.upright(place, (0, wide), (bottom, low + tall), 0.03, pale, Indoor.BLINDS)
    for slat in range(1, number := max(6, int((low + tall - bottom) / 0.06))):
        height = bottom + (low + tall - bottom) * slat / number
        view.line(place.at(0, height, 0.032), place.at(wide, height, 0.032), toned(pale, 0.76), Indoor.BLINDS, 0.018)


def curtains(room: Room, place: Place, size: Size, low: float) -> None:
    """Cloth on both sides of a window, or drawn over it, in folds."""
    draws, view, (wide, tall) = room.draws, room.view, size
    color = draws.choice((room.style.fabric, room.style.second_fabric, room.style.pale, room.style.pale))
    foot, head = draws.choice((0.04, 0.04, low - 0.1)), low + tall + 0.12
    drawn, reach = draws.chance(0.2), draws.uniform(0.2, 0.34) * wide
    parts = [(-0.2, wide + 0.2)] if drawn else [(-0.25, reach), (wide - reach, wide + 0.25)]
    view.line(place.at(-0.35, head, 0.1), place.at(wide + 0.35, head, 0.1), (90, 78, 66), Indoor.CURTAIN, 0.03)
    for left, right in parts:
        for fold in range(number := max(3, int((right - left) / 0.09))):
            u = (left + (right - left) * fold / number, left + (right - left) * (fold + 1) / number)
            tone = (0.78, 1.0, 0.9)[fold % 3] * draws.uniform(0.94, 1.04)
            view.upright(place, u, (foot, head), 0.09, color, Indoor.CURTAIN, tone)


def door(room: Room, place: Place, size: Size, low: float) -> None:
    """A leaf with panels, glass or plain, in a frame."""
    draws, view, (wide, tall) = room.draws, room.view, size
    color = draws.choice((room.style.wood, room.style.second_wood, (226, 222, 212), (198, 190, 176), (150, 110, 76)))
    view.upright(place, (0, wide), (low, tall), 0.006, room.style.trim, Indoor.DOOR, 0.9)
    leaf = (0.07, wide - 0.07)
    view.upright(place, leaf, (low, tall - 0.07), 0.008, color, Indoor.DOOR)
    kind = draws.choice(("panels", "panels", "plain", "glass"))
    if kind == "panels":
        for u in ((0.16, wide / 2 - 0.04), (wide / 2 + 0.04, wide - 0.16)):
            for y in ((0.2, 0.9), (1.05, tall - 0.25)):
                view.upright(place, u, y, 0.009, color, Indoor.DOOR, 0.84)
                view.upright(place, (u[0] + 0.03, u[1] - 0.02), (y[0] + 0.02, y[1] - 0.04), 0.01, color, Indoor.DOOR)
    elif kind == "glass":
        view.upright(place, (wide * 0.3, wide * 0.7), (1.0, tall - 0.25), 0.009, (120, 132, 138), Indoor.DOOR)
    knob = wide - 0.14 if draws.chance(0.5) else 0.14
    view.ball(place.at(knob, 1.0, 0.05), 0.035, (196, 186, 150), Indoor.DOOR)


def mat(room: Room, place: Place, size: Spot) -> None:
    """A rug with a border."""
    draws, view, (wide, _, deep) = room.draws, room.view, size
    color = draws.choice((room.style.fabric, room.style.second_fabric, (150, 60, 52), (196, 180, 150), (80, 90, 110)))
    border = draws.choice((toned(color, 0.7), room.style.pale, toned(color, 1.25)))
    if draws.chance(0.2):
        round_ = [place.at(wide / 2 + wide / 2 * a, 0.008, deep / 2 + deep / 2 * b) for a, b in _CIRCLE]
        view.face(round_, color, Indoor.FLOOR_MAT)
        return
    view.level(place, (0, wide), (0, deep), 0.008, border, Indoor.FLOOR_MAT)
    inset = 0.08 * min(wide, deep)
    view.level(place, (inset, wide - inset), (inset, deep - inset), 0.009, color, Indoor.FLOOR_MAT)
    for stripe in range(draws.choice((0, 0, 3, 5))):
        v = inset + (deep - 2 * inset) * (stripe + 0.3) / 5
        view.level(place, (inset, wide - inset), (v, v + 0.04 * deep), 0.01, border, Indoor.FLOOR_MAT)


_CIRCLE = tuple((cos(k * pi / 10), sin(k * pi / 10)) for k in range(20))
