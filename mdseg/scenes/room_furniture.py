"""Beds, seats, tables and cupboards, each in several styles; `size` is width, height, depth in metres."""

from collections.abc import Sequence

from mdseg.scenes import room_things as things
from mdseg.scenes import room_tops as tops
from mdseg.scenes.canvas import Color, toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import FABRICS, METAL, Room
from mdseg.scenes.view import Place, Spot

Part = tuple[tuple[float, float], tuple[float, float], tuple[float, float], Color]  # u, y, v, colour
DARK: Color = (34, 32, 32)


def assemble(room: Room, place: Place, parts: Sequence[Part], label: int) -> None:
    """Boxes of one piece, the farther ones first and then the higher ones."""
    view = room.view

    def order(part: Part) -> float:
        (u0, u1), (y0, y1), (v0, v1), _ = part
        return -view.distance(place.at((u0 + u1) / 2, 0, (v0 + v1) / 2)) + 0.4 * (y0 + y1)

    for u, y, v, color in sorted(parts, key=order):
        view.box(place, u, y, v, color, label)


def legs(wide: float, deep: float, high: float, thick: float, color: Color, low: float = 0.0) -> list[Part]:
    """Four upright ones."""
    return [((u, u + thick), (low, high), (v, v + thick), color) for u in (0, wide - thick) for v in (0, deep - thick)]


def bed(room: Room, place: Place, size: Spot) -> None:
    """Headboard, mattress, blanket, pillows; perhaps clothes or a bag on it."""
    draws, view, (wide, head, deep) = room.draws, room.view, size
    wood, cover = room.style.wood, draws.choice((room.style.fabric, room.style.pale, *FABRICS[:4]))
    sheet = draws.choice(((236, 234, 230), room.style.pale, (214, 220, 230)))
    view.box(place, (0, wide), (0, head), (0, 0.07), wood, Indoor.BED)
    view.box(place, (0.02, wide - 0.02), (0.08, 0.3), (0.07, deep), wood, Indoor.BED, tone=0.8)
    view.box(place, (0, wide), (0.3, 0.52), (0.07, deep), sheet, Indoor.BED)
    for row in range(draws.choice((1, 1, 2))):
        number = 1 if wide < 1.1 else 2
        for index in range(number):
            span = wide / number
            things.pillow(room, place, span * (index + 0.08), 0.53, 0.18 + 0.2 * row, 0.84 * span, 0.34 - 0.08 * row)
    start = draws.uniform(0.55, 0.85)
    hem = draws.choice((0.12, 0.3))
    view.box(place, (-0.03, wide + 0.03), (hem, 0.57), (start, deep + 0.03), cover, Indoor.BED, toned(cover, 1.05))
    if draws.chance(0.5):
        fold = draws.choice((toned(cover, 1.3), sheet))
        view.level(place, (-0.03, wide + 0.03), (start, start + 0.25), 0.575, fold, Indoor.BED)
    if draws.chance(0.5):
        for stripe in range(6):
            v = start + 0.3 + (deep - start - 0.4) * stripe / 6
            view.level(place, (-0.03, wide + 0.03), (v, v + 0.06), 0.576, toned(cover, 0.82), Indoor.BED)
    _on_bed(room, place, wide, deep)


def _on_bed(room: Room, place: Place, wide: float, deep: float) -> None:
    draws = room.draws
    u, v = draws.uniform(0.25, max(wide - 0.4, 0.3)), draws.uniform(1.1, deep - 0.4)
    kind = draws.random()
    if kind < 0.25:
        things.heap(room, place.at(u, 0.58, v), 0.26)
    elif kind < 0.36:
        things.bag(room, place.at(u, 0.58, v), 0.34)
    elif kind < 0.44:
        things.sheets(room, place, u, v, 0.58)
    elif kind < 0.5:
        things.box(room, place.moved(u, v, draws.uniform(-1, 1)), (0.35, 0.22, 0.28), 0.58)


def bunk(room: Room, place: Place, size: Spot) -> None:
    """Two beds, one above the other."""
    draws, (wide, high, deep) = room.draws, size
    wood = room.style.wood
    for low, top in ((0.25, 0.5), (1.15, 1.4)):
        cover = draws.choice(FABRICS)
        room.view.box(place, (0, wide), (low, low + 0.08), (0, deep), wood, Indoor.BED)
        room.view.box(place, (0.03, wide - 0.03), (low + 0.08, top), (0.03, deep - 0.03), cover, Indoor.BED)
        things.pillow(room, place, 0.1, top, 0.15, 0.6, 0.2)
    assemble(room, place, legs(wide, deep, high, 0.06, wood), Indoor.BED)


def table(room: Room, place: Place, size: Spot, laid: str = "") -> None:
    """On four legs, or round on a column; laid with what is on tables of this kind of room."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    wood = draws.choice((room.style.wood, room.style.wood, room.style.second_wood))
    if abs(wide - deep) < 0.05 and draws.chance(0.6):
        middle = place.at(wide / 2, 0, deep / 2)
        things.drum(room, middle, (0, 0.04), (wide * 0.3, wide * 0.28), toned(wood, 0.7), Indoor.TABLE)
        things.drum(room, middle, (0.04, high - 0.04), (0.06, 0.06), toned(wood, 0.7), Indoor.TABLE)
        things.drum(room, middle, (high - 0.04, high), (wide / 2, wide / 2), wood, Indoor.TABLE)
        span = ((0.25 * wide, 0.75 * wide), (0.25 * deep, 0.75 * deep))
    else:
        frame = draws.choice((toned(wood, 0.85), room.style.frame))
        assemble(room, place, legs(wide, deep, high - 0.04, 0.06, frame), Indoor.TABLE)
        view.box(place, (0, wide), (high - 0.04, high), (0, deep), wood, Indoor.TABLE, toned(wood, 1.08))
        span = ((0.08, wide - 0.08), (0.08, deep - 0.08))
    if laid:
        tops.lay(room, place, span[0], span[1], high, laid)


def desk(room: Room, place: Place, size: Spot, laid: str = "desk") -> None:
    """A top on panels or legs, perhaps drawers, and work on it."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    wood = draws.choice((room.style.wood, room.style.wood, (214, 212, 206), (196, 170, 130)))
    side = draws.choice((METAL, toned(wood, 0.9), DARK))
    parts: list[Part] = [((u, u + 0.04), (0, high - 0.04), (0.03, deep - 0.05), side) for u in (0.02, wide - 0.06)]
    parts.append(((0.05, wide - 0.05), (0.3, high - 0.04), (0.03, 0.05), toned(side, 0.9)))
    if draws.chance(0.6):
        left = draws.choice((0.06, wide - 0.46))
        parts.append(((left, left + 0.4), (0.05, high - 0.05), (0.05, deep - 0.06), toned(wood, 0.95)))
        assemble(room, place, parts, Indoor.DESK)
        for drawer in range(3):
            y = (0.08 + drawer * 0.2, 0.26 + drawer * 0.2)
            view.upright(place, (left + 0.02, left + 0.38), y, deep - 0.058, toned(wood, 0.86), Indoor.DESK)
    else:
        assemble(room, place, parts, Indoor.DESK)
    view.box(place, (0, wide), (high - 0.04, high), (0, deep), wood, Indoor.DESK, toned(wood, 1.08))
    tops.lay(room, place, (0.06, wide - 0.06), (0.06, deep - 0.06), high, laid)


def cupboard(room: Room, place: Place, size: Spot, label: Indoor = Indoor.CABINET, laid: str = "") -> None:
    """Doors or drawers; what it is called depends on where it stands."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    wood = draws.choice((room.style.wood, room.style.second_wood, (228, 226, 220)))
    if label == Indoor.CABINET and draws.chance(0.3):
        wood = draws.choice(((168, 170, 172), (120, 124, 122), (196, 190, 176)))  # of steel
    view.box(place, (0, wide), (0, high), (0, deep), wood, label, toned(wood, 1.06))
    drawers = label in (Indoor.DRESSER, Indoor.NIGHT_STAND) or (high < 1.4 and draws.chance(0.4))
    columns = max(1, round(wide / draws.uniform(0.45, 0.7)))
    rows = max(1, round(high / draws.uniform(0.2, 0.28))) if drawers else (1 if high < 1.5 else draws.choice((1, 2)))
    knob = draws.choice((METAL, (60, 50, 44), (196, 170, 96)))
    for column in range(columns):
        for row in range(rows):
            u = (wide * column / columns + 0.015, wide * (column + 1) / columns - 0.015)
            y = (0.05 + (high - 0.07) * row / rows + 0.012, 0.05 + (high - 0.07) * (row + 1) / rows - 0.012)
            view.upright(
                place, (u[0] - 0.012, u[1] + 0.012), (y[0] - 0.01, y[1] + 0.01), deep + 0.001, wood, label, 0.62
            )
            view.upright(place, u, y, deep + 0.002, wood, label, 0.97)
            spot = (
                (u[0] + u[1]) / 2 if drawers else u[column % 2 == 0] + (0.05, -0.05)[column % 2 == 0],
                (y[0] + y[1]) / 2,
            )
            view.upright(
                place, (spot[0] - 0.025, spot[0] + 0.025), (spot[1] - 0.02, spot[1] + 0.02), deep + 0.02, knob, label
            )
    if laid:
        tops.lay(room, place, (0.04, wide - 0.04), (0.04, deep - 0.04), high, laid)


def bookshelf(room: Room, place: Place, size: Spot, label: Indoor = Indoor.BOOKSHELF) -> None:
    """Boards full of books, or with boxes, binders and things where it is called shelves."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    wood = (
        room.style.wood if label == Indoor.BOOKSHELF else draws.choice((METAL, room.style.second_wood, (226, 224, 220)))
    )
    view.box(place, (0, wide), (0, high), (0, deep), wood, label)
    inner = toned(wood, 0.5)
    view.upright(place, (0.03, wide - 0.03), (0.06, high - 0.03), deep + 0.001, inner, label)
    boards = max(2, round(high / draws.uniform(0.3, 0.38)))
    for board in range(boards):
        low = 0.06 + (high - 0.08) * board / boards
        room_above = (high - 0.08) / boards - 0.04
        _fill_board(room, place, (0.035, wide - 0.035), low + 0.02, room_above, deep, label)
        view.box(place, (0.02, wide - 0.02), (low, low + 0.025), (deep - 0.01, deep + 0.004), wood, label)
    if draws.chance(0.3) and high < 2.1:
        tops.lay(room, place, (0.05, wide - 0.05), (0.04, deep - 0.04), high, "shelf")


def _fill_board(
    room: Room, place: Place, u: tuple[float, float], low: float, tall: float, v: float, label: Indoor
) -> None:
    draws, view = room.draws, room.view
    left = u[0] + draws.uniform(0, 0.06)
    books = draws.chance(0.85 if label == Indoor.BOOKSHELF else 0.22)
    while left < u[1] - 0.04:
        if books:
            right = min(left + draws.uniform(0.025, 0.06), u[1])
            color, height = draws.choice(_SPINES), tall * draws.uniform(0.62, 0.95)
            view.upright(place, (left, right), (low, low + height), v + 0.002, color, Indoor.BOOKS)
            if height > 0.15:
                band = low + height * draws.uniform(0.6, 0.8)
                view.upright(place, (left, right), (band, band + 0.02), v + 0.003, toned(color, 1.5), Indoor.BOOKS)
            left = right + (draws.uniform(0.05, 0.3) if draws.chance(0.06) else 0.002)
        else:
            right = min(left + draws.uniform(0.12, 0.36), u[1])
            kind = draws.weighted(_ON_SHELVES)
            color = draws.choice({
                Indoor.BOX: _CARTONS, Indoor.PAPER: ((236, 234, 228), (220, 222, 226)), Indoor.BAG: FABRICS,
                Indoor.CLOTHES: FABRICS, Indoor.TOWEL: FABRICS, Indoor.BOOKS: _SPINES,
            }.get(kind, ((150, 120, 90), (90, 120, 130), (200, 200, 196))))  # fmt: skip
            view.upright(place, (left, right), (low, low + tall * draws.uniform(0.4, 0.85)), v + 0.002, color, kind)
            left = right + draws.uniform(0.02, 0.12)


_SPINES: tuple[Color, ...] = (
    (140, 40, 38), (38, 60, 110), (50, 90, 60), (210, 200, 180), (30, 30, 34), (190, 130, 50), (96, 52, 84),
    (60, 120, 140), (228, 226, 220), (110, 80, 56), (200, 80, 50), (80, 84, 92),
)  # fmt: skip
_CARTONS: tuple[Color, ...] = ((176, 136, 92), (160, 120, 80), (196, 160, 116), (226, 222, 214))
_ON_SHELVES = {
    Indoor.BOX: 4.0, Indoor.SMALL_THING: 3.0, Indoor.PAPER: 1.0, Indoor.BOOKS: 1.5, Indoor.BAG: 0.4,
    Indoor.CLOTHES: 0.6, Indoor.TOWEL: 0.3,
}  # fmt: skip


def rack(room: Room, place: Place, size: Spot) -> None:
    """Clothes on a rail."""
    draws, view, (wide, high, deep) = room.draws, room.view, size
    middle = deep / 2
    for u in (0.02, wide - 0.02):
        view.line(place.at(u, 0, middle), place.at(u, high, middle), METAL, Indoor.UNLABELED, 0.03)
    view.line(place.at(0, high, middle), place.at(wide, high, middle), METAL, Indoor.UNLABELED, 0.03)
    for index in range(number := max(3, int(wide / 0.09))):
        u = 0.06 + (wide - 0.14) * index / number
        color, foot = draws.choice(FABRICS), high - draws.uniform(0.6, 1.0)
        view.upright(
            place, (u, u + 0.1), (foot, high - 0.05), middle + 0.15, color, Indoor.CLOTHES, draws.uniform(0.8, 1.05)
        )


def stand_with_tv(room: Room, place: Place, size: Spot) -> None:
    """A low cupboard with a television on it."""
    cupboard(room, place, size, Indoor.CABINET)
    wide, high, deep = size
    screen_wide = min(wide * 0.85, room.draws.uniform(0.8, 1.2))
    left = (wide - screen_wide) / 2
    base = (left + screen_wide * 0.35, left + screen_wide * 0.65)
    room.view.box(place, base, (high, high + 0.05), (deep * 0.3, deep * 0.7), DARK, Indoor.TV)
    things.screen(
        room, place, (left, left + screen_wide), (high + 0.05, high + 0.05 + 0.58 * screen_wide), deep * 0.45, Indoor.TV
    )
