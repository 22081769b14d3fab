"""Who and what is on the street: draws places and paints from far to near."""

from collections.abc import Callable
from math import pi

import numpy as np

from mdseg.scenes import furniture, people, structures, vehicles
from mdseg.scenes.canvas import Canvas
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws
from mdseg.scenes.furniture import GREENS
from mdseg.scenes.street import KERB, Side, Street
from mdseg.scenes.weather import Weather
from mdseg.scenes.world import World

FAR = 110.0


class Cast:
    """Everything that stands on the ground, collected first because the nearest must be painted last."""

    def __init__(self, canvas: Canvas, street: Street, domain: Domain, draws: Draws, weather: Weather) -> None:
        self.canvas, self.street, self.domain, self.draws, self.weather = canvas, street, domain, draws, weather
        self.acts: list[tuple[int, float, Callable[[], None]]] = []
        self.gate = 1e9  # distance of a bridge or tunnel: it hides what lies beyond it
        self.shadows: list[np.ndarray] = []
        self.greens = draws.choice(domain.greens)
        self.taken: list[tuple[float, float, float]] = []  # x, z, reach of vehicles already placed

    def add(self, z: float, paint: Callable, *args, **options) -> None:
        """Queue an object at distance z."""
        self.acts.append((1, z, lambda: paint(self.canvas, *args, **options)))

    def add_behind(self, z: float, paint: Callable, *args, **options) -> None:
        """Queue something along the plots: long things that only hide what is beyond the street's edge."""
        self.acts.append((0, z, lambda: paint(self.canvas, *args, **options)))

    def paint(self) -> None:
        """Paint the queue: beyond the gate first, then plots before street, far things before near ones."""
        for _, _, act in sorted(self.acts, key=lambda entry: (entry[1] <= self.gate, entry[0], -entry[1])):
            act()

    def number(self, feature: str) -> int:
        """How many of a feature this street has."""
        return self.draws.count(self.domain.features.get(feature, 0.0))

    def distance(self, near: float = 4.0, far: float = 60.0) -> float:
        """A distance: denser close by, where things are large enough to see."""
        share = self.draws.random()
        return near * (far / near) ** (share**0.85)

    def shade(self, x: float, z: float, wide: float, deep: float, tall: float = 0.0, base: float = 0.0) -> None:
        """A shadow on the ground: the footprint, stretched away from the sun for tall things."""
        light = self.canvas.light
        dx = -light.sun * tall * 0.6 if self.weather.shadows else 0.0
        dz = light.ahead * -tall * 0.4 if self.weather.shadows else 0.0
        xs = np.array([x - wide / 2, x + wide / 2, x + wide / 2 + dx, x - wide / 2 + dx])
        zs = np.array([z - deep / 2, z - deep / 2, z + deep / 2 + dz, z + deep / 2 + dz])
        if zs.min() < 0.8:
            return
        self.shadows.append(self.canvas.project_all(xs, np.float64(base), zs))

    def free(self, x: float, z: float, reach: float) -> bool:
        """Claim a place on the carriageway, unless something is there."""
        if any(abs(x - other) < 1.9 and abs(z - place) < reach + extent for other, place, extent in self.taken):
            return False
        self.taken.append((x, z, reach))
        return True


def cast_street(cast: Cast) -> None:
    """All objects of a street."""
    for side in cast.street.sides:
        _houses(cast, side)
        _edge(cast, side)
        _greenery(cast, side)
        _parked(cast, side)
    _traffic(cast)
    _poles(cast)
    _things(cast)
    _pedestrians(cast)
    _across(cast)


def _houses(cast: Cast, side: Side) -> None:
    street, draws, domain = cast.street, cast.draws, cast.domain
    if side.outer == World.WATER:
        for _ in range(cast.number("boat") + draws.integer(0, 2)):
            z = draws.uniform(14, 50)
            cast.add_behind(z, vehicles.boat, draws, side.sign * (side.line + draws.uniform(5, 20)), z)
        return
    density = {
        "city": 0.95,
        "oldtown": 0.98,
        "bazaar": 0.88,
        "suburb": 0.62,
        "highway": 0.06,
        "rural": 0.1,
        "waterfront": 0.9,
    }[street.scenery]
    storeys = {
        "city": (3, 8),
        "oldtown": (2, 5),
        "bazaar": (1, 4.5),
        "suburb": (1.3, 2.4),
        "highway": (2, 5),
        "rural": (1, 2.2),
        "waterfront": (2, 6),
    }[street.scenery]
    z = draws.uniform(-6, 2)
    while z < FAR:
        long = draws.uniform(8, 18) if street.scenery != "suburb" else draws.uniform(8, 13)
        blocked = street.crossing and z < street.crossing[1] + 2 and z + long > street.crossing[0] - 2
        if blocked:
            z = street.crossing[1] + 2.5
            continue
        if draws.chance(density):
            tall = 3.1 * draws.uniform(*storeys)
            line = side.line + (draws.uniform(0, 3) if street.scenery in ("suburb", "rural") else draws.uniform(0, 0.5))
            pitched = (
                draws.chance(0.75 if street.scenery in ("suburb", "rural", "oldtown") else 0.15)
                and domain.facades != "indian"
            )
            cast.add_behind(
                z + 0.5, structures.house, draws, side.sign, line, (z, z + long), tall, domain.facades, pitched
            )
            if cast.weather.shadows and cast.canvas.light.sun * side.sign > 0.25:
                cast.shade(side.sign * (line - min(tall * 0.32, 7)), z + long / 2, min(tall * 0.64, 14), long)
        elif draws.chance(0.5):
            cast.add_behind(
                z + long / 2,
                furniture.tree,
                draws,
                side.sign * (side.line + draws.uniform(2, 5)),
                z + long / 2,
                cast.greens,
            )
        z += long + (
            draws.uniform(2, 6)
            if street.scenery in ("suburb", "rural")
            else 0
            if draws.chance(0.85)
            else draws.uniform(1, 4)
        )


def _edge(cast: Cast, side: Side) -> None:
    """Fences, walls, hedges and rails between street and plots."""
    street, draws, features = cast.street, cast.draws, cast.domain.features
    x, z = side.sign * (side.line - 0.2), draws.uniform(2, 8)
    built = street.scenery in ("city", "oldtown", "waterfront")
    odds = {"wall": features["wall"], "fence": features["fence"], "hedge": features["hedge"]}
    while z < 70:
        long = draws.uniform(6, 16)
        gap = street.crossing and z < street.crossing[1] + 1 and z + long > street.crossing[0] - 1
        if not gap and draws.chance((0.18 if built else 0.75) * min(sum(odds.values()), 1)):
            kind, span = draws.weighted(odds), (z, z + long)
            # sorted by the near end: the wall hides what is behind it further along
            if kind == "wall":
                cast.add_behind(z + 0.3, structures.barrier_wall, draws, x, span, draws.uniform(1.0, 2.6))
            elif kind == "fence":
                cast.add_behind(z + 0.3, structures.fence, draws, x, span)
            else:
                cast.add_behind(z + 0.3, structures.hedge, draws, x, span, draws.choice(GREENS[cast.greens]))
        z += long + draws.uniform(0, 8)
    rail = features["guard_rail"] * (4.0 if street.scenery in ("highway", "rural") else 0.4)
    if draws.chance(rail) or side.outer == World.WATER:
        place = side.sign * (side.verge + 0.4 if not street.raised else side.line - 0.4)
        for start in np.geomspace(2, 50, 6):
            cast.add_behind(start + 0.2, structures.guard_rail, draws, place, (start, start * 1.95))


def _greenery(cast: Cast, side: Side) -> None:
    street, draws = cast.street, cast.draws
    rate = {"city": 5.0, "oldtown": 2.2, "bazaar": 4.5, "suburb": 8.0, "highway": 13.0, "rural": 13.0, "waterfront": 4.5}[
        street.scenery
    ]
    if side.outer == World.WATER:
        rate *= 0.3
    for _ in range(draws.count(rate)):
        z = cast.distance(7, 90)
        if street.raised:
            start, end = side.pavement
            x = side.sign * (start + 0.5 if draws.chance(0.6) else end + draws.uniform(0, 2))
        else:
            x = side.sign * (side.line + draws.uniform(-2, 18))
        place = cast.add_behind if abs(x) > side.line - 0.5 else cast.add
        place(z, furniture.tree, draws, x, z, cast.greens)
        cast.shade(x, z, 2.2, 2.2, 5.0)
    if not street.raised or street.scenery == "suburb":
        for _ in range(draws.count(2.5)):
            z = cast.distance(6, 40)
            cast.add_behind(z, furniture.bush, draws, side.sign * (side.line + draws.uniform(-0.5, 3)), z, cast.greens)


def _parked(cast: Cast, side: Side) -> None:
    street, draws, features = cast.street, cast.draws, cast.domain.features
    bay = side.span(World.PARKING_STRIP) or side.span(World.UNPAVED_SHOULDER)
    if street.scenery in ("highway", "rural") or not (bay or draws.chance(features["parked"] * 0.5)):
        return
    x = side.sign * ((bay[0] + min(bay[1] - bay[0], 2.6) / 2) if bay else abs(side.edge) - 0.9)
    z = draws.uniform(5, 10)
    odds = {
        kind: features[kind]
        for kind in ("van", "pickup", "autorickshaw", "caravan", "truck", "trailer")
        if features.get(kind)
    }
    odds["car"] = 4.0
    odds["motorcycle"] = features["motorcycle"]
    while z < 60:
        if draws.chance(0.58) and not _in_crossing(street, z, 4) and cast.free(x, z, 2.2):
            _vehicle(cast, draws.weighted(odds), x, z, 0.0 if draws.chance(0.6) else pi)
        z += draws.uniform(5.4, 7.5)


def _in_crossing(street: Street, z: float, margin: float) -> bool:
    return bool(street.crossing) and street.crossing[0] - margin < z < street.crossing[1] + margin


def _vehicle(cast: Cast, kind: str, x: float, z: float, heading: float) -> None:
    draws = cast.draws
    if kind == "car":
        kind = draws.choice(("sedan", "hatchback", "estate", "suv", "hatchback", "sedan"))
    if kind == "motorcycle":
        cast.add(z, people.two_wheeler, draws, x, z, False, True, False)
        return
    if kind in vehicles.CARS:
        cast.add(z, vehicles.car, draws, x, z, heading, kind)
    elif kind == "truck":
        cast.add(z, vehicles.truck, draws, x, z, heading, cast.domain.facades == "indian")
    else:
        paint = {"bus": vehicles.bus, "caravan": vehicles.caravan, "trailer": vehicles.trailer,
                 "autorickshaw": vehicles.autorickshaw, "other_vehicle": vehicles.tractor, "tram": vehicles.tram}[kind]  # fmt: skip
        cast.add(z, paint, draws, x, z, heading)
    long, wide = vehicles.shadow_of(kind)
    if abs(np.sin(heading)) > 0.7:
        long, wide = wide, long
    cast.shade(x, z, wide + 0.35, long + 0.3, 1.2)


def _traffic(cast: Cast) -> None:
    street, draws = cast.street, cast.draws
    if street.tracks is not None and draws.chance(min(cast.domain.features["tram"] * 8, 0.6)):
        away = draws.chance(0.5)
        x, z = street.tracks + (1.6 if away else -1.6), draws.uniform(26, 60)
        if cast.free(x, z, 16):
            _vehicle(cast, "tram", x, z, 0.0 if away else pi)
    reach = {"truck": 5.5, "bus": 7.0}
    for kind in ("bus", "truck", "car", "van", "pickup", "autorickshaw", "caravan", "trailer", "other_vehicle"):
        for _ in range(cast.number(kind)):
            away = draws.chance(0.6) or not street.opposite
            x = draws.choice(street.same if away else street.opposite) + draws.uniform(-0.4, 0.4)
            z = cast.distance(8.5 if kind not in reach else 14, 75)
            if kind in ("car", "van") and street.crossing and draws.chance(0.2):
                x, z = draws.uniform(-9, 9), draws.uniform(street.crossing[0] + 1.5, street.crossing[1] - 1.5)
                if cast.free(x, z, 3.5):
                    _vehicle(cast, kind, x, z, draws.choice((pi / 2, -pi / 2)))
            elif cast.free(x, z, reach.get(kind, 3.2)):
                wobble = 0.12 if cast.domain.facades == "indian" else 0.03
                _vehicle(cast, kind, x, z, (0.0 if away else pi) + draws.uniform(-wobble, wobble))
    for feature, motor in (("bicyclist", False), ("motorcyclist", True)):
        for _ in range(cast.number(feature)):
            z, across = cast.distance(6, 40), draws.chance(0.3)
            side = draws.choice(street.sides)
            lane = side.span(World.BIKE_LANE)
            x = (
                side.edge - side.sign * draws.uniform(0.5, 1.6)
                if not motor
                else draws.uniform(*(s.edge for s in street.sides))
            )
            if lane and not motor:
                x = side.sign * (lane[0] + 0.8)
            if cast.free(x, z, 0.6):
                cast.add(
                    z,
                    people.two_wheeler,
                    draws,
                    x,
                    z,
                    across,
                    motor,
                    True,
                    towards=x * (-1 if cast.domain.left_hand else 1) < street.middle,
                )
                cast.shade(x, z, 0.6, 1.6, 1.2)


def _poles(cast: Cast) -> None:
    street, draws, features, domain = cast.street, cast.draws, cast.domain.features, cast.domain
    base = KERB if street.raised else 0.0
    side = draws.choice(street.sides)
    if draws.chance(features["street_light"]):
        z, step = draws.uniform(7, 16), draws.uniform(16, 24)
        while z < 90:
            cast.add(z, furniture.street_light, draws, side.sign * (side.pavement[0] + 0.3), z, base)
            z += step
    if draws.chance(features["utility_pole"]):
        poles, side, previous = [], draws.choice(street.sides), [None]
        z = draws.uniform(9, 20)
        while z < 90:
            poles.append(z)
            z += draws.uniform(17, 24)

        def stand(canvas: Canvas, z: float) -> None:
            previous[0] = furniture.utility_pole(canvas, draws, side.sign * (side.pavement[1] - 0.3), z, previous[0])

        for z in poles:
            cast.add(z, stand, z)
    signals = features["traffic_light"] * (1.2 if street.crossing else 0.25)
    for _ in range(min(draws.count(signals * 1.6), 4)):
        side = draws.choice(street.sides)
        z = (
            street.crossing[0] - draws.uniform(0.5, 3)
            if street.crossing and draws.chance(0.5)
            else (street.crossing[1] + 1 if street.crossing else draws.uniform(9, 30))
        )
        cast.add(
            z,
            furniture.traffic_light,
            draws,
            side.sign * (abs(side.edge) + 0.7),
            z,
            base,
            draws.chance(0.6 if domain.american else 0.25),
        )
    for feature, back in (("sign", False), ("sign_back", True)):
        for _ in range(cast.number(feature)):
            side, z = draws.choice(street.sides), cast.distance(5, 35)
            cast.add(
                z,
                furniture.sign,
                draws,
                side.sign * (abs(side.edge) + draws.uniform(0.5, 1.0)),
                z,
                base,
                domain.american,
                back,
            )
    for feature, paint in (("pole_group", furniture.pole_group), ("cctv", furniture.cctv)):
        for _ in range(cast.number(feature)):
            side, z = draws.choice(street.sides), cast.distance(5, 25)
            cast.add(z, paint, draws, side.sign * (side.pavement[0] + 0.4), z, base)
    if draws.chance(features["bollard"]) and street.raised:
        side = draws.choice(street.sides)
        for z in np.arange(draws.uniform(5, 9), 26, 2.2):
            cast.add(float(z), furniture.bollard, side.sign * (side.pavement[0] + 0.3), float(z), base)


_THINGS: dict[str, Callable] = {
    "bench": furniture.bench, "bike_rack": furniture.bike_rack, "trash_can": furniture.trash_can,
    "phone_booth": furniture.phone_booth, "fire_hydrant": furniture.fire_hydrant, "junction_box": furniture.junction_box,
    "obstacle": furniture.obstacle, "luggage": furniture.luggage,
}  # fmt: skip


def _things(cast: Cast) -> None:
    street, draws, domain = cast.street, cast.draws, cast.domain
    base = KERB if street.raised else 0.0
    for feature, paint in _THINGS.items():
        for _ in range(cast.number(feature)):
            side, z = draws.choice(street.sides), cast.distance(5, 24)
            near, far = side.pavement
            x = side.sign * draws.uniform(near + 0.5, max(far - 0.3, near + 0.7))
            cast.add(z, paint, draws, x, z, base)
            cast.shade(x, z, 0.9, 0.9, 0.6)
    for _ in range(cast.number("mailbox")):
        side, z = draws.choice(street.sides), cast.distance(5, 20)
        cast.add(z, furniture.mailbox, draws, side.sign * (side.pavement[0] + 0.6), z, base, domain.american)
    for _ in range(cast.number("billboard")):
        side, z = draws.choice(street.sides), cast.distance(14, 60)
        cast.add_behind(z - 3, furniture.billboard, draws, side.sign * (side.line - draws.uniform(0.5, 1.5)), z)
    if draws.chance(domain.features["barrier"]):
        across, z = draws.chance(0.5), draws.uniform(7, 24)
        x = draws.choice(street.sides).edge * 0.85
        cast.add(z, structures.barriers, draws, x - 2 if across else x, z, across)
    if draws.chance(domain.features["cone"]):
        side = draws.choice(street.sides)
        for z in np.arange(draws.uniform(6, 12), 28, 3.5):
            x = side.edge - side.sign * draws.uniform(0.4, 1.2)
            if cast.free(x, float(z), 0.4):
                cast.add(float(z), furniture.cone, x, float(z))


def _pedestrians(cast: Cast) -> None:
    street, draws = cast.street, cast.draws
    base = KERB if street.raised else 0.0
    crowd = {"highway": 0.05, "rural": 0.2, "suburb": 0.6}.get(street.scenery, 1.15)
    for feature, child in (("person", False), ("child", True)):
        for _ in range(draws.count(cast.domain.features[feature] * crowd)):
            side, z, level = draws.choice(street.sides), cast.distance(5, 42), base
            near, far = side.pavement
            x = side.sign * draws.uniform(near + 0.3, far)
            if draws.chance(0.14 if cast.domain.facades != "indian" else 0.35):
                x, z, level = draws.uniform(*(s.edge for s in street.sides)), cast.distance(8, 40), 0.0
            cast.add(z, people.person, draws, x, z, child, level)
            cast.shade(x, z, 0.6, 0.5, 1.6, level)
    for _ in range(cast.number("stroller") if street.raised else 0):
        side, z = draws.choice(street.sides), cast.distance(6, 20)
        cast.add(z, people.stroller, draws, side.sign * (side.pavement[0] + 1.1), z, base)
    for feature, motor in (("bicycle", False), ("motorcycle", True)):
        for _ in range(cast.number(feature) if street.raised else 0):
            side, z = draws.choice(street.sides), cast.distance(5, 25)
            near, far = side.pavement
            for bike in range(draws.integer(1, 4)):
                x = side.sign * min(near + 0.6 + 0.3 * bike, far)
                cast.add(
                    z + bike * 0.7,
                    people.two_wheeler,
                    draws,
                    x,
                    z + bike * 0.7,
                    draws.chance(0.6),
                    motor,
                    False,
                    base=base,
                )
    for feature in ("animal", "dog"):
        for _ in range(cast.number(feature)):
            x, z = draws.uniform(*(s.edge for s in street.sides)) * 1.2, cast.distance(6, 26)
            cast.add(z, people.animal, draws, x, z, dog=feature == "dog")
            cast.shade(x, z, 1.4, 0.6, 0.8)
    for _ in range(cast.number("other_rider")):
        z = draws.uniform(8, 20)
        cast.add(z, people.rider_on_animal, draws, draws.choice(street.sides).edge * 0.7, z)


def _across(cast: Cast) -> None:
    """Bridges, tunnels, gantries and banners over the street."""
    street, draws, features = cast.street, cast.draws, cast.domain.features
    left, right = (side.edge for side in street.sides)
    wide = max(-left, right)
    walk = [side.sign * (side.line if street.raised else abs(side.edge) + 1.5) for side in street.sides]
    for feature, label, places in (
        ("bridge", World.BRIDGE, ("city", "suburb", "highway", "rural", "bazaar", "waterfront")),
        ("tunnel", World.TUNNEL, ("highway", "rural", "city", "suburb")),
        ("archway", World.ARCHWAY, ("city", "oldtown")),
    ):
        if street.scenery in places and draws.chance(
            features.get(feature, 0) * (2 if street.scenery == "highway" else 1)
        ):
            z = draws.uniform(24, 60)
            cast.add_behind(z, structures.overpass, draws, walk[0], walk[1], z, label)
            cast.gate = z
            cast.shade((walk[0] + walk[1]) / 2, z + 4, walk[1] - walk[0], 9)
            break
    if draws.chance(features["gantry"] * (5 if street.scenery == "highway" else 0.4)):
        z = draws.uniform(18, 45)
        cast.add(z, furniture.gantry, draws, wide, z, cast.domain.american)
    if street.raised and draws.chance(features["banner"]):
        z = draws.uniform(12, 30)
        cast.add(z, furniture.banner, draws, wide + 1, z)
