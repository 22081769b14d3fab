"""The queue of everything that stands in a street."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mdseg.scenes.canvas import Canvas
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws
from mdseg.scenes.street import Street
from mdseg.scenes.weather import Weather


class Cast:
    """Everything that stands on the ground, collected first because the nearest must be painted last."""

    def __init__(self, canvas: Canvas, street: Street, domain: Domain, draws: Draws, weather: Weather) -> None:
        self.canvas, self.street, self.domain, self.draws, self.weather = canvas, street, domain, draws, weather
        self.acts: list[tuple[int, float, Callable[[], None]]] = []
        self.gate = 1e9  # distance of a bridge or tunnel: it hides what lies beyond it
        self.shadows: list[np.ndarray] = []
        self.greens = draws.choice(domain.greens)
        self.taken: list[tuple[float, float, float]] = []  # x, z, reach of vehicles already placed

    def add(self, z: float, paint: Callable, *args: Any, **options: Any) -> None:
        """Queue an object at distance z."""
        self.acts.append((1, z, lambda: paint(self.canvas, *args, **options)))

    def add_behind(self, z: float, paint: Callable, *args: Any, **options: Any) -> None:
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
