"""Time of day and weather: light, haze and sky of one image."""

from dataclasses import dataclass, replace

from mdseg.scenes.canvas import Color, Light, toned
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws


@dataclass(frozen=True)
class Weather:
    """What the sky looks like and what it does to the street."""

    light: Light
    top: Color
    low: Color
    cloud: Color
    cover: tuple[float, float]
    wet: float = 0.0
    shadows: bool = False
    snow: bool = False
    rain: bool = False


_KINDS = {
    "clear": Weather(
        Light((1.06, 1.03, 0.97), (206, 216, 228), 0.003, contrast=0.9),
        (84, 134, 200),
        (190, 212, 232),
        (244, 246, 250),
        (0.0, 0.8),
        shadows=True,
    ),
    "overcast": Weather(
        Light((0.94, 0.95, 0.97), (206, 208, 210), 0.004, contrast=0.25),
        (190, 194, 200),
        (226, 228, 228),
        (242, 243, 243),
        (0.5, 1.0),
    ),
    "dusty": Weather(
        Light((1.06, 1.0, 0.9), (222, 210, 188), 0.009, contrast=0.55),
        (178, 190, 200),
        (232, 222, 202),
        (240, 234, 220),
        (0.2, 0.7),
        shadows=True,
    ),
    "dusk": Weather(
        Light((0.86, 0.72, 0.66), (214, 168, 140), 0.004, contrast=0.6),
        (92, 104, 150),
        (246, 190, 136),
        (214, 150, 130),
        (0.3, 0.9),
    ),
    "night": Weather(
        Light((0.36, 0.36, 0.41), (34, 34, 42), 0.006, contrast=0.3, night=True),
        (14, 15, 24),
        (48, 44, 48),
        (36, 36, 42),
        (0.2, 0.8),
        wet=0.12,
    ),
    "rain": Weather(
        Light((0.74, 0.77, 0.8), (176, 182, 186), 0.010, contrast=0.15),
        (150, 156, 164),
        (190, 194, 198),
        (170, 174, 180),
        (0.5, 1.0),
        wet=0.42,
        rain=True,
    ),
    "fog": Weather(
        Light((0.92, 0.93, 0.95), (204, 206, 208), 0.032, contrast=0.1),
        (200, 203, 206),
        (208, 210, 211),
        (206, 208, 210),
        (0.0, 0.2),
    ),
    "snowy": Weather(
        Light((0.92, 0.95, 1.0), (220, 224, 230), 0.010, contrast=0.2),
        (200, 206, 214),
        (226, 230, 234),
        (232, 234, 238),
        (0.4, 0.9),
        wet=0.1,
        snow=True,
    ),
}


def sample_weather(domain: Domain, draws: Draws) -> Weather:
    """Weather of one image: the domain's odds, its haze and a sun of random direction."""
    weather = _KINDS[draws.weighted(dict(domain.weather))]
    light = weather.light
    dim = draws.uniform(0.9, 1.08)
    light = replace(
        light,
        ambient=toned(light.ambient, dim),
        density=light.density * draws.uniform(0.7, 1.5) + domain.extra_haze,
        sun=draws.uniform(-1, 1),
        ahead=draws.uniform(-0.8, 0.8),
        contrast=min(light.contrast * draws.uniform(0.8, 1.2), 1.0),
        flat=domain.flat,
    )
    return replace(weather, light=light)
