"""Vehicles and riders, parked and moving."""

from math import pi

import numpy as np

from mdseg.scenes import people, vehicles
from mdseg.scenes.cars import CARS, PAINTS, car
from mdseg.scenes.cast import Cast
from mdseg.scenes.street import Side, Street
from mdseg.scenes.world import World


def park(cast: Cast, side: Side) -> None:
    """Vehicles at the kerb or in the bays of one side."""
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


def drive(cast: Cast) -> None:
    """Vehicles on the tracks and lanes, and riders."""
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


def _vehicle(cast: Cast, kind: str, x: float, z: float, heading: float) -> None:
    draws = cast.draws
    if kind == "car":
        kind = draws.choice(("sedan", "hatchback", "estate", "suv", "hatchback", "sedan"))
    if kind == "motorcycle":
        cast.add(z, people.two_wheeler, draws, x, z, False, True, False)
        return
    if kind in CARS:
        paints = PAINTS if kind in ("van", "pickup") else cast.domain.paints or PAINTS
        cast.add(z, car, draws, x, z, heading, kind, paints)
    elif kind == "truck":
        cast.add(z, vehicles.truck, draws, x, z, heading, cast.domain.facades == "indian")
    else:
        paint = {"bus": vehicles.bus, "caravan": vehicles.caravan, "trailer": vehicles.trailer,
                 "autorickshaw": vehicles.autorickshaw, "other_vehicle": vehicles.tractor,
                 "tram": vehicles.tram}[kind]  # fmt: skip
        cast.add(z, paint, draws, x, z, heading)
    long, wide = vehicles.shadow_of(kind)
    if abs(np.sin(heading)) > 0.7:
        long, wide = wide, long
    cast.shade(x, z, wide + 0.35, long + 0.3, 1.2)


def _in_crossing(street: Street, z: float, margin: float) -> bool:
    return street.crossing is not None and street.crossing[0] - margin < z < street.crossing[1] + margin
