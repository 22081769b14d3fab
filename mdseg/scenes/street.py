"""The plan of a street: lanes, strips beside them, and how its ground is painted."""

from dataclasses import dataclass, field

import numpy as np

from mdseg.scenes import ground
from mdseg.scenes.canvas import Canvas, toned
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws
from mdseg.scenes.weather import Weather
from mdseg.scenes.world import World

LANE = 3.3  # metres
KERB = 0.14


@dataclass
class Side:
    """One side of the street, seen from its edge outwards; `sign` is -1 left, 1 right."""

    sign: int
    edge: float  # x of the end of the carriageway
    strips: list[tuple[World, float]] = field(default_factory=list)  # class, width; from the edge outwards
    line: float = 0.0  # |x| where houses begin
    outer: World = World.TERRAIN

    def span(self, label: World) -> tuple[float, float] | None:
        """From and to (|x|) of the first strip of a class."""
        start = abs(self.edge)
        for kind, wide in self.strips:
            if kind == label:
                return start, start + wide
            start += wide
        return None

    @property
    def verge(self) -> float:
        """|x| where the strips end."""
        return abs(self.edge) + sum(wide for _, wide in self.strips)

    @property
    def pavement(self) -> tuple[float, float]:
        """From and to (|x|) of where people walk and things stand."""
        for label in (World.SIDEWALK, World.PEDESTRIAN_AREA, World.SNOW, World.UNPAVED_SHOULDER, World.TERRAIN):
            found = self.span(label)
            if found:
                return found
        return abs(self.edge) + 0.6, abs(self.edge) + 2.6


@dataclass
class Street:
    """The plan the painters share; x = 0 is the camera's place."""

    scenery: str
    sides: tuple[Side, Side]
    middle: float  # x of the line between the two directions
    same: tuple[float, ...]  # x of the lanes in our direction
    opposite: tuple[float, ...]
    crossing: tuple[float, float] | None  # near and far edge of a crossing street
    tracks: float | None  # x of tram rails
    marked: bool
    raised: bool  # pavements above the carriageway


def plan(domain: Domain, draws: Draws, weather: Weather) -> Street:
    """Draw the layout of a street."""
    scenery = draws.weighted(dict(domain.scenery))
    lanes = draws.integer(domain.lanes[0], domain.lanes[1] + 1)
    if scenery == "highway":
        lanes = max(lanes, 3)
    elif scenery in ("rural", "oldtown"):
        lanes = min(lanes, 2)
    keep = -1 if domain.left_hand else 1
    ours = max(1, (lanes + 1) // 2)
    lane = draws.integer(0, ours)
    shift = draws.uniform(-0.5, 0.5)
    middle = -keep * (lane + 0.5) * LANE + shift
    same = tuple(middle + keep * (k + 0.5) * LANE for k in range(ours))
    opposite = tuple(middle - keep * (k + 0.5) * LANE for k in range(max(lanes - ours, 0)))
    edges = middle + keep * ours * LANE, middle - keep * len(opposite) * LANE
    crossing = None
    if scenery in ("city", "suburb", "bazaar") and draws.chance(0.4):
        near = draws.uniform(12, 34)
        crossing = near, near + draws.uniform(7, 13)
    street = Street(
        scenery, (Side(-1, min(edges)), Side(1, max(edges))), middle, same, opposite, crossing,
        middle if draws.chance(domain.features["tram"] + domain.features["rails"]) and scenery in ("city",
        "oldtown", "bazaar", "suburb") else None,
        draws.chance(domain.features["lane_marking"]), scenery not in ("highway", "rural"),
    )  # fmt: skip
    for side in street.sides:
        _plan_side(side, street, domain, draws, weather)
    return street


def _plan_side(side: Side, street: Street, domain: Domain, draws: Draws, weather: Weather) -> None:
    features, scenery, strips = domain.features, street.scenery, side.strips
    chance = draws.chance
    if chance(features.get("bike_lane", 0) * (1.5 if street.raised else 0.3)):
        strips.append((World.BIKE_LANE, draws.uniform(1.4, 1.9)))
    if street.raised and chance(features["parking"]):
        strips.append((World.PARKING_STRIP, 2.3))
    elif chance(features.get("service_lane", 0) * (3 if scenery == "highway" else 1)):
        strips.append((World.SERVICE_LANE, draws.uniform(2.6, 3.2)))
    if chance(features.get("shoulder", 0)):
        strips.append((World.UNPAVED_SHOULDER, draws.uniform(1.5, 4.0)))
        kerbed = chance(0.3)
    else:
        kerbed = True
    if street.raised:
        if kerbed:
            strips.append((World.CURB, 0.18))
        if chance(0.2):
            strips.append((World.TERRAIN, draws.uniform(0.8, 2.0)))
        plaza = chance(features.get("pedestrian_area", 0) * (4 if scenery == "oldtown" else 1))
        if plaza:
            strips.append((World.PEDESTRIAN_AREA, draws.uniform(5, 10)))
        elif chance(0.93 if scenery != "bazaar" else 0.6):
            strips.append((World.SIDEWALK, draws.uniform(1.8, 4.2)))
        if scenery == "suburb" and chance(0.75):
            strips.append((World.TERRAIN, draws.uniform(2, 6)))
    elif chance(0.3):
        strips.append((World.SIDEWALK, draws.uniform(1.2, 2)))
    by_water = scenery == "waterfront" and side.sign == (1 if domain.left_hand else -1)
    by_water |= scenery == "rural" and chance(features.get("water", 0) * 3)
    if by_water and side.span(World.SIDEWALK) is None and side.span(World.PEDESTRIAN_AREA) is None:
        strips.append((World.TERRAIN, 3.0))  # what stands along the street stands on land
    side.line = side.verge
    if by_water:
        side.outer = World.WATER
    elif not street.raised:
        side.line += draws.uniform(4, 14)
        sandy = features.get("sand", 0)
        side.outer = World.SAND if chance(sandy * 3) else World.TERRAIN
    elif chance(features.get("sand", 0) * 0.5):
        side.outer = World.SAND
    if weather.snow and features.get("snow", 0) > 0:
        side.outer = World.SNOW if side.outer != World.WATER else side.outer
        side.strips = [(World.SNOW if label == World.TERRAIN else label, wide) for label, wide in strips]


def paint_ground(canvas: Canvas, street: Street, domain: Domain, draws: Draws, weather: Weather) -> None:
    """Carriageway, strips, crossing street and markings, without texture and shadows."""
    tone = draws.uniform(0.82, 1.18)
    gray = toned(domain.asphalt, tone)
    if weather.snow:
        r, g, b = toned(gray, 0.6)
        gray = (r + 80, g + 80, b + 80)
    paving, grass = draws.choice(domain.paving), draws.choice(domain.grass)
    for side in street.sides:
        ground.strip(canvas, side.edge, side.sign * 400, side.outer, grass if side.outer == World.TERRAIN else None)
    left, right = (side.edge for side in street.sides)
    ground.strip(canvas, left, right, World.ROAD, gray)
    for side in street.sides:
        _paint_strips(canvas, side, paving, grass)
    if street.crossing:
        near, far = street.crossing
        ground.strip(canvas, -400, 400, World.ROAD, gray, z=(near, far))
    worn = toned(gray, 0.93)
    for x in (*street.same, *street.opposite):
        for wheel in (-0.85, 0.85):
            ground.strip(canvas, x + wheel - 0.3, x + wheel + 0.3, World.ROAD, worn)
    if street.tracks is not None:
        ground.rails(canvas, street.tracks + 1.6, bed=False)
        ground.rails(canvas, street.tracks - 1.6, bed=False)
    elif street.scenery == "rural" and draws.chance(domain.features["rails"] * 4):
        ground.rails(canvas, draws.choice((-1, 1)) * (street.sides[1].line + 3), bed=True)
    _paint_markings(canvas, street, domain, draws)
    _paint_details(canvas, street, domain, draws)


def _paint_strips(canvas: Canvas, side: Side, paving: tuple, grass: tuple) -> None:
    start, raised = abs(side.edge), False
    tints = {World.SIDEWALK: paving, World.TERRAIN: grass}
    for label, wide in side.strips:
        x0, x1 = side.sign * start, side.sign * (start + wide)
        if label == World.CURB:
            ground.curb(canvas, x0, side.sign, KERB)
            raised = True
        else:
            reach = side.sign * (start + wide + (0.6 if label == World.SIDEWALK else 0))
            ground.strip(canvas, x0, reach, label, tints.get(label), KERB if raised else 0.0)
            if label == World.BIKE_LANE:
                ground.strip(canvas, x0, x0 + side.sign * 0.12, World.LANE_MARKING, (226, 226, 220))
            if label in (World.SIDEWALK, World.PEDESTRIAN_AREA):
                _slabs(canvas, x0, x1, KERB if raised else 0.0, label, tints.get(label, ground.FLATS[label]))
        start += wide


def _slabs(canvas: Canvas, x0: float, x1: float, y: float, label: World, color: tuple) -> None:
    """Joints of the paving."""
    joints = np.arange(2.0, 40.0, 1.5)
    zs = np.stack([joints, joints, joints + 0.09, joints + 0.09], -1)
    quads = canvas.project_all(np.array([x0, x1, x1, x0]), np.float64(y), zs)
    canvas.fill_any(quads, canvas.ink(toned(color, 0.86), label))
    ground.strip(canvas, (x0 + x1) / 2 - 0.03, (x0 + x1) / 2 + 0.03, label, toned(color, 0.88), y, (2.0, 40.0))


def _paint_markings(canvas: Canvas, street: Street, domain: Domain, draws: Draws) -> None:
    left, right = (side.edge for side in street.sides)
    features = domain.features
    if street.marked:
        center = (228, 190, 60) if domain.american else (226, 226, 220)
        if street.opposite and street.tracks is None:
            solid = draws.chance(0.4)
            for offset in (-0.13, 0.13) if solid and draws.chance(0.5) else (0.0,):
                ground.dashes(canvas, street.middle + offset, 3.0, 0 if solid else 4.0, center)
        for lanes in (street.same, street.opposite):
            for x in lanes[:-1]:
                ground.dashes(canvas, x + (lanes[1] - lanes[0]) / 2, 3.0, draws.choice((3.0, 6.0)))
        if street.scenery in ("highway", "rural") or draws.chance(0.35):
            for x in (left + 0.3, right - 0.3):
                ground.dashes(canvas, x, 1, 0)
        if draws.chance(0.25):
            ground.arrow(canvas, street.same[0], draws.uniform(6, 16))
    if street.raised:
        for feature, label in (("zebra", World.ZEBRA_CROSSING), ("plain_crosswalk", World.PLAIN_CROSSWALK)):
            if draws.chance(features[feature] * (1.6 if street.crossing else 0.6)):
                z = street.crossing[0] - 4.5 if street.crossing else draws.uniform(7, 22)
                ground.zebra(canvas, left + 0.2, right - 0.2, z, 3.2, label)
                if street.marked and draws.chance(0.6):
                    ground.strip(
                        canvas,
                        street.middle,
                        right if not domain.left_hand else left,
                        World.LANE_MARKING,
                        (224, 224, 218),
                        z=(z - 1.6, z - 1.2),
                    )
                break


def _paint_details(canvas: Canvas, street: Street, domain: Domain, draws: Draws) -> None:
    left, right = (side.edge for side in street.sides)
    features = domain.features
    for _ in range(draws.count(features["manhole"])):
        ground.blot(canvas, draws.uniform(left + 1, right - 1), draws.uniform(4, 22), 0.42, World.MANHOLE, (62, 58, 56))
    for _ in range(draws.count(features["pothole"])):
        ground.blot(
            canvas,
            draws.uniform(left + 1, right - 1),
            draws.uniform(4, 20),
            draws.uniform(0.35, 0.9),
            World.POTHOLE,
            (66, 60, 54),
        )
    for _ in range(draws.count(features["catch_basin"])):
        side = draws.choice(street.sides)
        ground.blot(
            canvas,
            side.edge - side.sign * 0.35,
            draws.uniform(4, 18),
            0.38,
            World.CATCH_BASIN,
            (48, 48, 50),
            square=True,
        )
    if street.raised and draws.chance(features["curb_cut"]):
        side = draws.choice(street.sides)
        curb = side.span(World.CURB)
        if curb:
            z = draws.uniform(6, 20)
            ground.strip(
                canvas,
                side.sign * curb[0],
                side.sign * (curb[1] + 0.9),
                World.CURB_CUT,
                (190, 186, 172),
                0.03,
                (z, z + 3.2),
            )
