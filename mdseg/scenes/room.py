"""An empty room, and where things may stand in it or hang on its walls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import pi
from typing import Any, NamedTuple

from mdseg.scenes.canvas import Color
from mdseg.scenes.draws import Draws
from mdseg.scenes.view import Place, RoomView, Spot

WOODS: tuple[Color, ...] = (
    (164, 116, 74), (120, 78, 48), (196, 158, 112), (88, 58, 42), (210, 182, 142), (142, 92, 52), (226, 222, 214),
    (66, 56, 52),
)  # fmt: skip
FABRICS: tuple[Color, ...] = (
    (72, 84, 112), (128, 52, 48), (146, 134, 118), (58, 62, 66), (178, 160, 128), (86, 108, 86), (196, 192, 184),
    (104, 74, 58), (60, 110, 130), (164, 120, 60), (40, 42, 52), (112, 84, 116),
)  # fmt: skip
PALE: tuple[Color, ...] = ((228, 226, 220), (206, 214, 224), (222, 206, 184), (190, 206, 196), (216, 190, 190))
METAL: Color = (168, 170, 174)


class Rectangle(NamedTuple):
    """Part of a wall: u from its left end, y from the floor."""

    left: float
    right: float
    low: float
    high: float


class Footprint(NamedTuple):
    """Part of the floor."""

    left: float
    right: float
    near: float
    far: float

    def meets(self, other: "Footprint", gap: float) -> bool:
        """Whether less than a gap is between them."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.near < other.far + gap
            and other.near < self.far + gap
        )


@dataclass
class Wall:
    """One side of the room: u runs along it to the right, v into the room."""

    place: Place
    length: float
    taken: list[Rectangle] = field(default_factory=list)

    def free(self, wanted: Rectangle) -> bool:
        """Whether nothing is there, and the wall is long enough."""
        return (
            wanted.left >= 0
            and wanted.right <= self.length
            and not any(
                wanted.left < other.right
                and other.left < wanted.right
                and wanted.low < other.high
                and other.low < wanted.high
                for other in self.taken
            )
        )


class Thing(NamedTuple):
    """Something that stands in the room, to be painted when what it may hide is there."""

    footprint: Footprint
    distance: float
    paint: Callable[[], None]


@dataclass
class Style:
    """What belongs together in one room."""

    wall: Color
    trim: Color
    wood: Color
    second_wood: Color
    fabric: Color
    second_fabric: Color
    pale: Color
    seat: Color  # of the chairs
    frame: Color  # of chairs and tables


class Room:
    """A box with walls at x = 0, x = width, z = 0, z = depth; filled first, painted when it is full."""

    def __init__(self, view: RoomView, draws: Draws, size: Spot, style: Style) -> None:
        self.view, self.draws, self.style = view, draws, style
        self.width, self.height, self.depth = size
        self.walls = (
            Wall(Place(0, self.depth, pi), self.width),
            Wall(Place(self.width, self.depth, -pi / 2), self.depth),
            Wall(Place(self.width, 0, 0), self.width),
            Wall(Place(0, 0, pi / 2), self.depth),
        )
        x, _, z = view.position
        self.taken = [Footprint(x - 0.55, x + 0.55, z - 0.55, z + 0.55)]  # nobody stands in the camera
        self.things: list[Thing] = []
        self.against: list[tuple[Wall, Rectangle]] = []  # of things that stand against a wall
        self.on_walls: list[Callable[[], None]] = []
        self.on_floor: list[Callable[[], None]] = []
        self.reflections: list[list[Spot]] = []  # of windows, in the floor

    def in_sight(self) -> list[Wall]:
        """Walls that the camera may see, the one most straight ahead first."""
        ahead = []
        for wall in self.walls:
            right, _, depth = self.view.turned(*wall.place.at(wall.length / 2, 1.2, 0))
            if depth > 0.4:
                ahead.append((abs(right) / depth, wall))
        return [wall for _, wall in sorted(ahead, key=lambda entry: entry[0])]

    def shown(self, spot: Spot, margin: float = 1.1) -> bool:
        """Whether a point is in the picture, or nearly so."""
        found, canvas = self.view.point(spot), self.view.canvas
        return (
            found is not None
            and abs(found[0] - canvas.width / 2) < margin * canvas.width / 2
            and abs(found[1] - canvas.height / 2) < (margin + 0.3) * canvas.height / 2
        )

    def space(self, wall: Wall, width: float, low: float, high: float, middle: float | None = None,
              out: float = 0.0) -> float | None:  # fmt: skip
        """u of the left end of a free part of a wall, at random or around a middle.

        Args:
            out: metres from the wall to the point that must be in the picture.
        """
        for _ in range(12 if middle is None else 1):
            left = self.draws.uniform(0.05, max(wall.length - width - 0.05, 0.06)) if middle is None else middle
            left = left if middle is None else middle - width / 2
            centre = wall.place.at(left + width / 2, (low + high) / 2, out)
            if wall.free(Rectangle(left, left + width, low, high)) and self.shown(centre):
                return left
        return None

    def hang(self, size: tuple[float, float], low: float, paint: Callable, *args: Any, walls: Sequence[Wall] = (),
             middle: float | None = None) -> bool:  # fmt: skip
        """Something flat on a wall; `paint(room, place, size, *args)` has v = 0 on the wall and y = 0 at its foot."""
        width, tall = size
        for wall in walls or self._shuffled(self.in_sight()):
            left = self.space(wall, width, low, low + tall, middle)
            if left is not None:
                wall.taken.append(Rectangle(left, left + width, low, low + tall))
                place = wall.place.moved(left, 0)
                self.on_walls.append(partial(paint, self, place, size, low, *args))
                return True
        return False

    def stand(self, size: Spot, paint: Callable, *args: Any, walls: Sequence[Wall] = (), middle: float | None = None,
              gap: float = 0.02) -> tuple[Wall, float] | None:  # fmt: skip
        """Something against a wall, `paint(room, place, size, *args)`; where it stands, None where it does not fit."""
        width, tall, deep = size
        for wall in walls or self._shuffled(self.in_sight()):
            left = self.space(wall, width, 0, tall, middle, deep / 2)
            if left is None:
                continue
            place = wall.place.moved(left, 0.01)
            footprint = _footprint(place, width, deep)
            if self._fits(footprint, gap):
                wall.taken.append(Rectangle(left, left + width, 0, tall))
                self.against.append((wall, wall.taken[-1]))
                self.add(footprint, paint, place, size, *args)
                return wall, left
        return None

    def put(self, place: Place, size: Spot, paint: Callable, *args: Any, gap: float = 0.05) -> bool:
        """Something that stands free; its place is the left end of its back."""
        footprint = _footprint(place, size[0], size[2])
        if not self._fits(footprint, gap):
            return False
        self.add(footprint, paint, place, size, *args)
        return True

    def anywhere(self, size: Spot, paint: Callable, *args: Any, gap: float = 0.1, tries: int = 8) -> bool:
        """Something that stands free somewhere in the picture, turned as it happens."""
        for _ in range(tries):
            x, z = self.draws.uniform(0.4, self.width - 0.4), self.draws.uniform(0.4, self.depth - 0.4)
            if self.shown((x, size[1] / 2, z), 0.95):
                place = Place(x, z, self.draws.uniform(-pi, pi)).moved(-size[0] / 2, -size[2] / 2)
                if self.put(place, size, paint, *args, gap=gap):
                    return True
        return False

    def add(self, footprint: Footprint, paint: Callable, place: Place, size: Spot, *args: Any) -> None:
        """Queue a thing, whether or not its place is free."""
        self.taken.append(footprint)
        middle = ((footprint.left + footprint.right) / 2, 0.0, (footprint.near + footprint.far) / 2)
        self.things.append(Thing(footprint, self.view.distance(middle), partial(paint, self, place, size, *args)))

    def add_pendant(self, x: float, z: float, paint: Callable) -> None:
        """A lamp over a spot, which takes no room on the floor."""
        distance = self.view.distance((x, 0.0, z)) - 0.3
        place, footprint = Place(x, z, 0.0), Footprint(x - 0.01, x + 0.01, z - 0.01, z + 0.01)
        low = self.draws.uniform(1.45, 1.7)
        self.things.append(Thing(footprint, distance, partial(paint, self, place, (0.0, low, 0.0))))

    def _fits(self, footprint: Footprint, gap: float) -> bool:
        inside = (
            footprint.left >= -0.001
            and footprint.near >= -0.001
            and footprint.right <= self.width + 0.001
            and footprint.far <= self.depth + 0.001
        )
        return inside and not any(footprint.meets(other, gap) for other in self.taken)

    def _shuffled(self, walls: list[Wall]) -> list[Wall]:
        return sorted(walls, key=lambda wall: self.draws.random())

    def shadows(self) -> list[list[Spot]]:
        """Where furniture keeps light from the floor and from the wall behind it."""
        grown, behind = 0.05, []
        for wall, (left, right, _, high) in self.against:
            if wall.place.own(self.view.position[0], self.view.position[2])[1] > 0:
                edges = ((left - grown, 0), (right + grown, 0), (right + grown, high + grown), (left - grown, high))
                behind.append([wall.place.at(u, y, 0.0) for u, y in edges])
        return behind + [
            [
                (thing.footprint.left - grown, 0, thing.footprint.near - grown),
                (thing.footprint.right + grown, 0, thing.footprint.near - grown),
                (thing.footprint.right + grown, 0, thing.footprint.far + grown),
                (thing.footprint.left - grown, 0, thing.footprint.far + grown),
            ]
            for thing in self.things
        ]

    def paint_things(self) -> None:
        """Everything that stands, what may be hidden first."""
        waiting = sorted(self.things, key=lambda thing: -thing.distance)
        while waiting:
            chosen = next((thing for thing in waiting if not self._hides_one_of(thing, waiting)), waiting[0])
            waiting.remove(chosen)
            chosen.paint()

    def _hides_one_of(self, thing: Thing, others: list[Thing]) -> bool:
        own = thing.footprint
        return any(
            other is not thing and self._may_hide(own, other.footprint) and not self._may_hide(other.footprint, own)
            for other in others
        )

    def _may_hide(self, front: Footprint, back: Footprint) -> bool:
        """False where a plane between them has the camera on the side of the one at the back."""
        x, _, z = self.view.position
        return not (
            (back.right <= front.left and x < front.left)
            or (front.right <= back.left and x > front.right)
            or (back.far <= front.near and z < front.near)
            or (front.far <= back.near and z > front.far)
        )


def _footprint(place: Place, width: float, deep: float) -> Footprint:
    corners = [place.at(u, 0, v) for u in (0, width) for v in (0, deep)]
    xs, zs = [corner[0] for corner in corners], [corner[2] for corner in corners]
    return Footprint(min(xs), max(xs), min(zs), max(zs))
