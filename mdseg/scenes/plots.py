"""What lines the street: houses, walls, hedges, rails, trees."""

from mdseg.scenes import houses, plants, signs, structures, vehicles
from mdseg.scenes.canvas import receding
from mdseg.scenes.cast import Cast
from mdseg.scenes.plants import GREENS
from mdseg.scenes.street import Side
from mdseg.scenes.world import World

FAR = 110.0


def line_houses(cast: Cast, side: Side) -> None:
    """Houses along one side of the street, boats where it is water."""
    street, draws, domain = cast.street, cast.draws, cast.domain
    if side.outer == World.WATER:
        for _ in range(cast.number("boat")):
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
        if street.crossing and z < street.crossing[1] + 2 and z + long > street.crossing[0] - 2:
            z = street.crossing[1] + 2.5
            continue
        if draws.chance(density):
            tall = 3.1 * draws.uniform(*storeys)
            line = side.line + (draws.uniform(0, 3) if street.scenery in ("suburb", "rural") else draws.uniform(0, 0.5))
            pitched = (
                draws.chance(0.75 if street.scenery in ("suburb", "rural", "oldtown") else 0.15)
                and domain.facades != "indian"
            )
            cast.add_behind(z + 0.5, houses.house, draws, side.sign, line, (z, z + long), tall, domain.facades, pitched)
            if "signboards" in domain.tags:
                for place in sorted(draws.uniform(z, z + long) for _ in range(draws.count(2.2))):
                    if place > 4:
                        cast.add(place, signs.signboard, draws, side.sign, line, place, tall)
            if cast.weather.shadows and cast.canvas.light.sun * side.sign > 0.25:
                cast.shade(side.sign * (line - min(tall * 0.32, 7)), z + long / 2, min(tall * 0.64, 14), long)
        elif draws.chance(0.5):
            cast.add_behind(
                z + long / 2,
                plants.tree,
                draws,
                side.sign * (side.line + draws.uniform(2, 5)),
                z + long / 2,
                cast.greens,
                domain.trees,
            )
        z += long + (
            draws.uniform(2, 6)
            if street.scenery in ("suburb", "rural")
            else 0
            if draws.chance(0.85)
            else draws.uniform(1, 4)
        )


def line_edge(cast: Cast, side: Side) -> None:
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
        for start in receding(2, 50, 6):
            cast.add_behind(start + 0.2, structures.guard_rail, draws, place, (start, start * 1.95))


def line_greenery(cast: Cast, side: Side) -> None:
    """Trees and bushes behind or on the pavement."""
    street, draws = cast.street, cast.draws
    rate = {
        "city": 5.0,
        "oldtown": 2.2,
        "bazaar": 4.5,
        "suburb": 8.0,
        "highway": 13.0,
        "rural": 13.0,
        "waterfront": 4.5,
    }[street.scenery]
    if side.outer == World.WATER:
        rate *= 0.3
    for _ in range(draws.count(rate)):
        z = cast.distance(7, 90)
        if side.outer == World.WATER:
            x = side.sign * (side.line - 0.6)
        elif street.raised:
            start, end = side.pavement
            x = side.sign * (start + 0.5 if draws.chance(0.6) else end + draws.uniform(0, 2))
        else:
            x = side.sign * (side.line + draws.uniform(-2, 18))
        place = cast.add_behind if abs(x) > side.line - 0.5 else cast.add
        place(z, plants.tree, draws, x, z, cast.greens, cast.domain.trees)
        cast.shade(x, z, 2.2, 2.2, 5.0)
    if side.outer != World.WATER and (not street.raised or street.scenery == "suburb"):
        for _ in range(draws.count(2.5)):
            z = cast.distance(6, 40)
            cast.add_behind(z, plants.bush, draws, side.sign * (side.line + draws.uniform(-0.5, 3)), z, cast.greens)
