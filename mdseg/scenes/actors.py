"""Who and what is on the street, and where."""

from collections.abc import Callable, Sequence

import numpy as np

from mdseg.scenes import furniture, people, poles, signs, structures
from mdseg.scenes.canvas import Canvas, Point
from mdseg.scenes.cast import Cast
from mdseg.scenes.plots import line_edge, line_greenery, line_houses
from mdseg.scenes.street import KERB
from mdseg.scenes.traffic import drive, park
from mdseg.scenes.world import World


def cast_street(cast: Cast) -> None:
    """All objects of a street."""
    for side in cast.street.sides:
        line_houses(cast, side)
        line_edge(cast, side)
        line_greenery(cast, side)
        park(cast, side)
    drive(cast)
    _poles(cast)
    _things(cast)
    _pedestrians(cast)
    _across(cast)


def _poles(cast: Cast) -> None:
    street, draws, features, domain = cast.street, cast.draws, cast.domain.features, cast.domain
    base = KERB if street.raised else 0.0
    side = draws.choice(street.sides)
    if draws.chance(features["street_light"]):
        z, step = draws.uniform(7, 16), draws.uniform(16, 24)
        while z < 90:
            cast.add(z, poles.street_light, draws, side.sign * (side.pavement[0] + 0.3), z, base)
            z += step
    if draws.chance(features["utility_pole"]):
        places: list[float] = []
        previous: list[Sequence[Point] | None] = [None]
        side = draws.choice(street.sides)
        z = draws.uniform(9, 20)
        while z < 90:
            places.append(z)
            z += draws.uniform(17, 24)

        def stand(canvas: Canvas, z: float) -> None:
            previous[0] = poles.utility_pole(canvas, draws, side.sign * (side.pavement[1] - 0.3), z, previous[0])

        for z in places:
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
            signs.traffic_light,
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
                signs.sign,
                draws,
                side.sign * (abs(side.edge) + draws.uniform(0.5, 1.0)),
                z,
                base,
                domain.american,
                back,
            )
    for feature, paint in (("pole_group", poles.pole_group), ("cctv", poles.cctv)):
        for _ in range(cast.number(feature)):
            side, z = draws.choice(street.sides), cast.distance(5, 25)
            cast.add(z, paint, draws, side.sign * (side.pavement[0] + 0.4), z, base)
    if draws.chance(features["bollard"]) and street.raised:
        side = draws.choice(street.sides)
        for z in np.arange(draws.uniform(5, 9), 26, 2.2):
            cast.add(float(z), poles.bollard, side.sign * (side.pavement[0] + 0.3), float(z), base)


_THINGS: dict[str, Callable] = {
    "bench": furniture.bench, "bike_rack": furniture.bike_rack, "trash_can": furniture.trash_can,
    "phone_booth": furniture.phone_booth, "fire_hydrant": furniture.fire_hydrant,
    "junction_box": furniture.junction_box,
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
        cast.add_behind(z - 3, signs.billboard, draws, side.sign * (side.line - draws.uniform(0.5, 1.5)), z)
    if draws.chance(domain.features["barrier"]):
        across, z = draws.chance(0.5), draws.uniform(7, 24)
        x = draws.choice(street.sides).edge * 0.85
        if cast.free(x, z, 2.0):
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
            if draws.chance(cast.domain.stray):
                x, z, level = draws.uniform(*(s.edge for s in street.sides)), cast.distance(8, 40), 0.0
                if not cast.free(x, z, 0.4):
                    continue
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
        cast.add(z, signs.gantry, draws, wide, z, cast.domain.american)
    if street.raised and draws.chance(features["banner"]):
        z = draws.uniform(12, 30)
        cast.add(z, signs.banner, draws, wide + 1, z)
