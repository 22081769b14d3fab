"""A street seen across, from its other side: how people photograph houses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import numpy as np

from mdseg.scenes import furniture, ground, people, plants, poles, signs, vehicles
from mdseg.scenes.canvas import Canvas, Color, toned
from mdseg.scenes.cars import car
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws
from mdseg.scenes.fronts import StreetAxes, front
from mdseg.scenes.plants import GREENS
from mdseg.scenes.street import KERB
from mdseg.scenes.weather import Weather
from mdseg.scenes.world import World

_TURN = 0.6  # radians at most between the street and the picture


@dataclass(frozen=True)
class _Plan:
    """Distances v from the camera: near kerb, far kerb, end of the far pavement, houses."""

    near: float
    far: float
    end: float
    houses: float
    paved: bool  # a square without carriageway and kerbs
    garden: World | None  # what stands between pavement and garden


def paint_across(canvas: Canvas, domain: Domain, draws: Draws, weather: Weather) -> None:
    """Street, houses and everything before them; the sky is there already."""
    view, features = StreetAxes(canvas, draws.uniform(-_TURN, _TURN)), domain.features
    near, lanes, walk = draws.uniform(-4, 3.5), draws.uniform(5, 11), draws.uniform(1.5, 4)
    garden = None
    if draws.chance(0.22):
        garden = draws.weighted({World.HEDGE: features["hedge"], World.WALL: features["wall"],
                                 World.FENCE: features["fence"]})  # fmt: skip
    end = near + lanes + walk
    plan = _Plan(near, near + lanes, end, end + (draws.uniform(1.5, 5) if garden else 0), draws.chance(0.06), garden)
    greens = draws.choice(domain.greens)
    cast = _Cast(view, plan, draws)
    if not plan.paved:
        _park(cast, features)
    _furnish(cast, features, greens)
    if weather.shadows and canvas.light.ahead > 0.2:  # the sun stands behind the houses
        reach = (plan.houses - 9 * canvas.light.ahead, plan.houses)
        cast.shadows.append(np.array(view.flat(view.sight(plan.houses), reach)))
    _paint_ground(view, plan, draws)
    ground.finish(canvas, draws, cast.shadows, weather.wet)
    _paint_houses(view, plan, domain, draws, greens)
    cast.paint()


def _paint_ground(view: StreetAxes, plan: _Plan, draws: Draws) -> None:
    canvas = view.canvas
    canvas.at(0)

    def cover(v: float, y: float, label: World, color: Color) -> None:
        """All ground nearer than v."""
        if v > 1:
            left, right = view.sight(v)
            corners = [view.project(left, y, v), view.project(right, y, v)]
            canvas.fill([*corners, (canvas.width, canvas.height), (0, canvas.height)], canvas.ink(color, label))

    tone = draws.uniform(0.85, 1.25)
    asphalt = toned(ground.FLATS[World.ROAD], tone)
    paving = draws.choice(((150, 146, 142), (170, 160, 148), (136, 134, 134), (162, 142, 128)))
    stone = ground.FLATS[World.CURB]
    cover(150, 0, World.TERRAIN, ground.FLATS[World.TERRAIN])
    cover(plan.houses, KERB, World.TERRAIN if plan.garden else World.SIDEWALK, (98, 116, 68) if plan.garden else paving)
    cover(plan.end, KERB, World.SIDEWALK, paving)
    if not plan.paved:
        cover(plan.far + 0.2, KERB, World.CURB, stone)
        cover(plan.far, KERB, World.CURB, toned(stone, 0.7))
        cover(plan.far, 0, World.ROAD, asphalt)
        if draws.chance(0.4):
            middle = (plan.near + plan.far) / 2
            starts = np.arange(*view.sight(middle), 6.0)
            for u in starts:
                canvas.fill(
                    view.flat((u, u + 3), (middle, middle + 0.14)), canvas.ink((226, 226, 220), World.LANE_MARKING)
                )
        cover(plan.near, KERB, World.CURB, stone)
        cover(plan.near - 0.2, KERB, World.SIDEWALK, paving)
    joint = canvas.ink(toned(paving, 0.86), World.SIDEWALK)
    reach = plan.end if plan.paved else plan.near - 0.2
    for v in np.arange(1.5, reach, 1.2):
        canvas.fill(view.flat(view.sight(v), (v, v + 0.05), KERB), joint)


def _paint_houses(view: StreetAxes, plan: _Plan, domain: Domain, draws: Draws, greens: str) -> None:
    left, right = view.sight(plan.houses)
    u, plots = left - draws.uniform(0, 9), []
    storeys, open_row = draws.uniform(2, 6), draws.chance(0.3)
    while u < right:
        wide = draws.uniform(6.5, 17)
        if draws.chance(0.97):
            plots.append((u, u + wide))
        u += wide + (draws.uniform(1.5, 6) if open_row and draws.chance(0.5) else 0.0)
    # those at the sides first: their inner walls rise above lower neighbours
    for span in sorted(plots, key=lambda plot: -max(plot[0], -plot[1])):
        tall = 3.2 * max(draws.around(storeys, 0.35), 1.4)
        back = plan.houses + (draws.uniform(0, 0.6) if draws.chance(0.4) else 0.0)
        front(view, draws, span, back, tall, domain.facades, plan.garden is not None)
    if plan.garden:
        _fence(view, draws, plan, plan.garden, greens)


def _fence(view: StreetAxes, draws: Draws, plan: _Plan, label: World, greens: str) -> None:
    """Hedge, wall or railing between the pavement and the gardens, with a gap for the gate."""
    canvas, tall = view.canvas, draws.uniform(0.7, 1.6)
    canvas.at(plan.end)
    left, right = view.sight(plan.end)
    gate = draws.uniform(left, right)
    color = {
        World.HEDGE: draws.choice(GREENS[greens]),
        World.WALL: draws.choice(((150, 140, 128), (140, 96, 78), (176, 172, 164))),
        World.FENCE: draws.choice(((46, 48, 48), (110, 84, 60), (214, 212, 206))),
    }[label]
    shade = canvas.light.shade(-sin(view.turn), cos(view.turn))
    for a, b in ((left - 0.2, gate), (gate + 1.2, right + 0.2)):
        if b <= a:
            continue
        if label == World.FENCE:
            corners = [view.project(a, KERB, plan.end), view.project(b, KERB, plan.end),
                       view.project(b, tall, plan.end), view.project(a, tall, plan.end)]  # fmt: skip
            canvas.veil(corners, canvas.ink(color, label), 0.35)
            bars = np.arange(a, b, 0.3)
            canvas.fill_any(
                view.grid(bars, bars + 0.06, np.array([KERB]), np.array([tall]), plan.end), canvas.ink(color, label)
            )
            rails = np.array([tall * 0.3, tall * 0.9])
            canvas.fill_any(
                view.grid(np.array([a]), np.array([b]), rails, rails + 0.07, plan.end), canvas.ink(color, label)
            )
        else:
            for top, tone in ((tall, 1.12), (tall - 0.14, 1.0)):
                quad = view.grid(np.array([a]), np.array([b]), np.array([0.0]), np.array([top]), plan.end)
                canvas.fill_any(quad, canvas.ink(toned(color, tone), label, shade))


class _Cast:
    """What stands in the street, collected first because the nearest must be painted last, and its shadows."""

    def __init__(self, view: StreetAxes, plan: _Plan, draws: Draws) -> None:
        self.view, self.plan, self.draws = view, plan, draws
        self.acts: list[tuple[float, Callable[[], None]]] = []
        self.shadows: list[np.ndarray] = []

    def add(self, v: float, paint: Callable, *args: Any, u: float | None = None) -> None:
        """Queue an object at v and, unless u is given, anywhere along the street; not right before the camera."""
        u = self.draws.uniform(*self.view.sight(v)) if u is None else u
        x, z = self.view.place(u, v)
        if z > (5.0 if paint in (car, vehicles.truck) else 4.2):
            self.acts.append((z, lambda: paint(self.view.canvas, self.draws, x, z, *args)))

    def paint(self) -> None:
        """Far things before near ones."""
        for _, act in sorted(self.acts, key=lambda entry: -entry[0]):
            act()


def _park(cast: _Cast, features: Mapping[str, float]) -> None:
    """Cars in rows along the kerbs, a few of them driving."""
    draws, plan = cast.draws, cast.plan
    if draws.chance(features["parked"]):
        _line_up(cast, plan.far - 1.05, draws.uniform(0.15, 0.8), features["van"])
    if plan.far - plan.near > 6.5 and plan.near > 2.5 and draws.chance(features["parked"] * 0.2):
        _line_up(cast, plan.near + 1.05, draws.uniform(0.1, 0.6), features["van"])
    middle = (plan.near + plan.far) / 2
    if draws.count(features["car"] * 0.08):
        _line_up(cast, middle, 0.2, features["van"])
    if draws.chance(features["truck"] * 0.4):
        cast.add(middle, vehicles.truck, cast.view.turn + pi / 2)


def _line_up(cast: _Cast, v: float, chance: float, vans: float) -> None:
    view, draws = cast.view, cast.draws
    left, right = view.sight(v)
    u = left - draws.uniform(0, 4)
    while u < right + 2:
        if draws.chance(chance):
            heading = view.turn + draws.choice((pi / 2, -pi / 2))
            kinds = ("van",) if draws.chance(0.08 * vans) else ("sedan", "hatchback", "estate", "suv", "hatchback")
            cast.add(v, car, heading, draws.choice(kinds), u=u)
            cast.shadows.append(np.array(view.flat((u - 2.4, u + 2.4), (v - 1.1, v + 1.2))))
        u += draws.uniform(5.2, 6.6)


def _furnish(cast: _Cast, features: Mapping[str, float], greens: str) -> None:
    """Trees, people, bicycles and what stands on pavements."""
    draws, plan = cast.draws, cast.plan
    far_kerb, near_kerb = plan.far + 0.5, plan.near - 0.5
    for _ in range(draws.count(0.6)):
        cast.add(plan.end + 0.8 if plan.garden and draws.chance(0.6) else far_kerb + 0.3, plants.tree, greens)
    if plan.garden or draws.chance(0.15):
        for _ in range(draws.count(3.0)):
            cast.add(plan.houses - 0.7, plants.bush, greens)
    for _ in range(draws.count(features["person"] * 0.7)):
        walk = (far_kerb, plan.end - 0.2) if draws.chance(0.6) else (plan.near - 3, plan.far)
        v = draws.uniform(*walk)
        cast.add(v, people.person, False, 0.0 if plan.near < v < plan.far else KERB)
    for _ in range(draws.count(features["bicycle"])):
        cast.add(far_kerb + 0.4, people.two_wheeler, True, False, False)
    for feature, paint, share, args in (
        ("street_light", poles.street_light, 0.6, ()), ("trash_can", furniture.trash_can, 0.6, ()),
        ("junction_box", furniture.junction_box, 0.6, ()), ("bench", furniture.bench, 0.6, ()),
        ("sign", signs.sign, 0.4, (False, False)), ("traffic_light", signs.traffic_light, 0.2, (False,)),
    ):  # fmt: skip
        for _ in range(draws.count(features[feature] * share)):
            cast.add(draws.choice((far_kerb, far_kerb, near_kerb)), paint, KERB, *args)
