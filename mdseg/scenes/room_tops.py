"""What lies on desks, tables, counters and shelves."""

from mdseg.scenes.canvas import Color, toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.room import FABRICS, PALE, Room
from mdseg.scenes.room_things import bag, box, drum, lampshade, screen, sheets
from mdseg.scenes.view import Place

_SPINES: tuple[Color, ...] = ((140, 40, 38), (38, 60, 110), (50, 90, 60), (210, 200, 180), (30, 30, 34), (190, 130, 50))

# What lies on furniture, with its frequency per place.
_LAID: dict[str, dict[str, float]] = {
    "desk": {"monitor": 0.75, "laptop": 0.2, "sheets": 0.9, "books": 0.5, "lamp": 0.25, "cup": 0.6, "box": 0.12},
    "meeting": {"sheets": 0.7, "laptop": 0.4, "cup": 0.8, "books": 0.2, "bag": 0.15},
    "dining": {"cup": 1.6, "bowl": 0.8, "sheets": 0.15, "vase": 0.4, "box": 0.1},
    "coffee": {"books": 0.6, "cup": 0.8, "vase": 0.3, "sheets": 0.4, "remote": 0.5, "box": 0.12},
    "dresser": {"lamp": 0.4, "cup": 1.0, "books": 0.25, "box": 0.4, "vase": 0.3, "bag": 0.1},
    "night": {"lamp": 0.85, "books": 0.35, "cup": 0.4},
    "shelf": {"box": 0.6, "vase": 0.4, "books": 0.2},
    "kitchen": {"cup": 1.8, "bowl": 0.6, "box": 0.5, "microwave": 0.35, "roll": 0.3, "sheets": 0.1},
    "library": {"books": 1.0, "sheets": 0.7, "laptop": 0.3, "bag": 0.2, "lamp": 0.2},
    "shop": {"sheets": 0.3, "vase": 0.5, "cup": 0.6, "lamp": 0.3},
    "bath": {"cup": 1.6, "box": 0.1, "towel": 0.5},
}


def lay(room: Room, place: Place, u: tuple[float, float], v: tuple[float, float], y: float, kind: str) -> None:
    """Things on a surface, side by side, the farther ones first."""
    draws, chosen = room.draws, []
    for name, expected in _LAID[kind].items():
        chosen += [name] * draws.count(expected)
    slots = max(1, int((u[1] - u[0]) / 0.3))
    order = sorted(range(slots), key=lambda slot: draws.random())[: len(chosen)]
    laid = []
    for slot, name in zip(order, chosen, strict=False):
        middle = u[0] + (u[1] - u[0]) * (slot + 0.5) / slots
        depth = v[0] + (v[1] - v[0]) * (0.25 if name in ("monitor", "lamp", "microwave") else draws.uniform(0.3, 0.8))
        laid.append((middle, depth, name))
    for middle, depth, name in sorted(laid, key=lambda item: -room.view.distance(place.at(item[0], 0, item[1]))):
        _LAY[name](room, place, middle, depth, y)


def _books(room: Room, place: Place, u: float, v: float, y: float) -> None:
    """A pile, or a row."""
    draws, view = room.draws, room.view
    if draws.chance(0.6):
        for index in range(draws.integer(1, 5)):
            at = place.moved(u, v, draws.uniform(-0.4, 0.4))
            low = y + 0.035 * index
            view.box(at, (-0.1, 0.1), (low, low + 0.034), (-0.13, 0.13), draws.choice(_SPINES), Indoor.BOOKS)
        return
    for index in range(draws.integer(3, 7)):
        left = u - 0.12 + 0.04 * index
        tall, color = draws.uniform(0.18, 0.26), draws.choice(_SPINES)
        view.box(place, (left, left + 0.037), (y, y + tall), (v - 0.08, v + 0.08), color, Indoor.BOOKS)


def lamp(room: Room, place: Place, u: float, v: float, y: float) -> None:
    """A foot, a stem and a shade that shines or not."""
    draws, tall = room.draws, room.draws.uniform(0.36, 0.52)
    spot = place.at(u, y, v)
    foot = draws.choice(((180, 150, 90), (60, 56, 54), (220, 216, 208), (90, 120, 140)))
    drum(room, spot, (0, 0.03), (0.08, 0.07), foot, Indoor.LAMP)
    drum(room, spot, (0.03, 0.55 * tall), draws.choice(((0.06, 0.02), (0.02, 0.02), (0.07, 0.05))), foot, Indoor.LAMP)
    lampshade(room, spot, (0.52 * tall, tall), (0.16, 0.1))


def monitor(room: Room, place: Place, u: float, v: float, y: float) -> None:
    """A screen, a keyboard and a mouse."""
    draws, view, half = room.draws, room.view, room.draws.uniform(0.2, 0.28)
    view.box(place, (u - 0.1, u + 0.1), (y, y + 0.02), (v - 0.04, v + 0.14), (40, 40, 42), Indoor.MONITOR)
    view.box(place, (u - 0.03, u + 0.03), (y, y + 0.16), (v, v + 0.03), (40, 40, 42), Indoor.MONITOR)
    screen(room, place, (u - half, u + half), (y + 0.1, y + 0.1 + 1.25 * half), v + 0.03, Indoor.MONITOR)
    if place.own(view.position[0], view.position[2])[1] < v:  # its back
        view.box(
            place, (u - half, u + half), (y + 0.1, y + 0.1 + 1.25 * half), (v, v + 0.05), (44, 44, 46), Indoor.MONITOR
        )
    keys = draws.choice(((34, 34, 36), (216, 214, 208)))
    view.box(place, (u - 0.2, u + 0.2), (y, y + 0.02), (v + 0.26, v + 0.4), keys, Indoor.SMALL_THING)


def _laptop(room: Room, place: Place, u: float, v: float, y: float) -> None:
    color = room.draws.choice(((180, 182, 186), (40, 40, 44)))
    room.view.level(place, (u - 0.16, u + 0.16), (v, v + 0.23), y + 0.012, color, Indoor.SMALL_THING)
    room.view.box(place, (u - 0.16, u + 0.16), (y, y + 0.22), (v - 0.02, v), color, Indoor.MONITOR)
    room.view.upright(place, (u - 0.145, u + 0.145), (y + 0.02, y + 0.205), v + 0.002, (120, 150, 200), Indoor.MONITOR)


def _cup(room: Room, place: Place, u: float, v: float, y: float) -> None:
    draws = room.draws
    color = draws.choice(((230, 228, 222), (60, 110, 160), (170, 50, 46), (70, 110, 80), (40, 38, 36), (214, 190, 140)))
    tall = draws.choice((0.09, 0.1, 0.2, 0.27))
    wide = 0.04 if tall < 0.15 else 0.035
    drum(room, place.at(u, y, v), (0, tall), (wide, wide), color, Indoor.SMALL_THING)
    if tall > 0.15:
        drum(room, place.at(u, y, v), (tall, tall + 0.06), (0.015, 0.013), toned(color, 0.8), Indoor.SMALL_THING)


def _bowl(room: Room, place: Place, u: float, v: float, y: float) -> None:
    color = room.draws.choice(((232, 230, 226), (150, 170, 190), (170, 110, 70)))
    drum(room, place.at(u, y, v), (0, 0.07), (0.06, 0.13), color, Indoor.SMALL_THING, toned(color, 0.8))


def _vase(room: Room, place: Place, u: float, v: float, y: float) -> None:
    draws, spot = room.draws, place.at(u, y, v)
    drum(
        room,
        spot,
        (0, 0.18),
        (0.05, 0.04),
        draws.choice(((160, 180, 190), (140, 80, 60), (226, 224, 218))),
        Indoor.SMALL_THING,
    )
    bloom = draws.choice(((96, 130, 70), (200, 70, 80), (230, 200, 90), (200, 160, 200)))
    for _ in range(5):
        leaf = (spot[0] + draws.uniform(-0.1, 0.1), y + draws.uniform(0.22, 0.38), spot[2] + draws.uniform(-0.1, 0.1))
        room.view.ball(leaf, 0.045, draws.choice((bloom, (84, 112, 62))), Indoor.PLANT)


def _small_box(room: Room, place: Place, u: float, v: float, y: float) -> None:
    draws = room.draws
    size = (draws.uniform(0.14, 0.26), draws.uniform(0.08, 0.22), draws.uniform(0.1, 0.2))
    box(room, place.moved(u, v, draws.uniform(-0.4, 0.4)), size, y)


def _small_bag(room: Room, place: Place, u: float, v: float, y: float) -> None:
    bag(room, place.at(u, y, v), 0.26)


def _remote(room: Room, place: Place, u: float, v: float, y: float) -> None:
    room.view.level(place.moved(u, v, 0.5), (-0.03, 0.03), (-0.09, 0.09), y + 0.01, (30, 30, 32), Indoor.SMALL_THING)


def _microwave(room: Room, place: Place, u: float, v: float, y: float) -> None:
    body = room.draws.choice(((222, 220, 214), (40, 40, 42), (160, 162, 166)))
    room.view.box(place, (u - 0.24, u + 0.24), (y, y + 0.28), (v - 0.12, v + 0.22), body, Indoor.APPLIANCE)
    room.view.upright(place, (u - 0.2, u + 0.1), (y + 0.05, y + 0.24), v + 0.222, (30, 32, 36), Indoor.APPLIANCE)


def _roll(room: Room, place: Place, u: float, v: float, y: float) -> None:
    drum(room, place.at(u, y, v), (0, 0.24), (0.06, 0.06), (240, 238, 234), Indoor.PAPER)


def _folded(room: Room, place: Place, u: float, v: float, y: float) -> None:
    """Towels, folded."""
    for index in range(room.draws.integer(1, 4)):
        color = room.draws.choice((*FABRICS, *PALE))
        low = y + 0.05 * index
        room.view.box(place, (u - 0.14, u + 0.14), (low, low + 0.048), (v - 0.1, v + 0.1), color, Indoor.TOWEL)


_LAY = {
    "monitor": monitor, "laptop": _laptop, "sheets": sheets, "books": _books, "lamp": lamp, "cup": _cup, "bowl": _bowl,
    "vase": _vase, "box": _small_box, "bag": _small_bag, "remote": _remote, "microwave": _microwave, "roll": _roll,
    "towel": _folded,
}  # fmt: skip
