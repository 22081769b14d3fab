"""One scene: sky, horizon, street, cast, the car that carries the camera, photograph."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from mdseg.scenes import ground, people
from mdseg.scenes.across import paint_across
from mdseg.scenes.actors import cast_street
from mdseg.scenes.canvas import Camera, Canvas
from mdseg.scenes.cast import Cast
from mdseg.scenes.domains import Domain
from mdseg.scenes.draws import Draws
from mdseg.scenes.plants import GREENS
from mdseg.scenes.sensor import develop
from mdseg.scenes.street import KERB, Street, paint_ground, plan
from mdseg.scenes.weather import Weather, sample_weather
from mdseg.scenes.world import World

VERSION = 1  # raise with every change of the pictures: trees of another version are refused


def paint_street(
    domain: Domain, split: str, index: int, height: int, seed: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """RGB image and world mask of one street scene, a function of its arguments and `VERSION` alone."""
    draws = Draws(VERSION, seed, domain.name, split, index)
    tall, wide = draws.choice(domain.sizes)
    weather = sample_weather(domain, draws)
    canvas = Canvas(
        round(height * tall),
        round(height * wide),
        _camera(domain, draws, round(height * tall), round(height * wide)),
        weather.light,
    )
    if domain.across and draws.chance(domain.across):
        _paint_sky(canvas, domain, draws, weather, "city")
        paint_across(canvas, domain, draws, weather)
        return develop(canvas, domain, weather, draws)
    street = plan(domain, draws, weather)
    if domain.on_pavement and draws.chance(domain.on_pavement):
        _step_aside(canvas, draws, street)
    _paint_sky(canvas, domain, draws, weather, street.scenery)
    paint_ground(canvas, street, domain, draws, weather)
    cast = Cast(canvas, street, domain, draws, weather)
    cast_street(cast)
    ground.finish(canvas, draws, cast.shadows, weather.wet)
    cast.paint()
    _paint_carrier(canvas, domain, draws)
    return develop(canvas, domain, weather, draws)


def _camera(domain: Domain, draws: Draws, height: int, width: int) -> Camera:
    focal = draws.uniform(*domain.focal) * min(height, 0.75 * width)
    bend = draws.uniform(-1, 1) ** 3 * domain.bends * 0.5
    center = width * (0.5 + draws.uniform(-domain.aside, domain.aside))
    return Camera(
        2 * focal, 2 * center, 2 * height * draws.uniform(*domain.horizon), draws.uniform(*domain.camera_height), bend
    )


def _step_aside(canvas: Canvas, draws: Draws, street: Street) -> None:
    """From the lane onto the pavement."""
    side = draws.choice(street.sides)
    near, far = side.pavement
    canvas.camera = replace(
        canvas.camera,
        beside=side.sign * draws.uniform(near + 0.4, max(far - 0.9, near + 0.5)),
        above_ground=canvas.camera.above_ground + KERB,
    )


def _paint_sky(canvas: Canvas, domain: Domain, draws: Draws, weather: Weather, scenery: str) -> None:
    ground.sky(canvas, draws, weather.top, weather.low, draws.uniform(*weather.cover), weather.cloud)
    open_view = scenery in ("highway", "rural", "waterfront")
    if draws.chance(domain.features["mountain"] * (2.2 if open_view else 0.8)):
        for z, color in ((420, (86, 98, 104)), (300, (84, 96, 84))):
            rough = draws.integer(5, 12)
            near_light = replace(canvas.light, density=canvas.light.density * 0.3)
            canvas.light, keep = near_light, canvas.light
            ground.ridge(canvas, draws, World.MOUNTAIN, color, z, (0.05 * z, 0.22 * z), rough)
            canvas.light = keep
    if scenery in ("city", "bazaar", "oldtown") or draws.chance(0.3):
        ground.ridge(canvas, draws, World.BUILDING, (150, 146, 142), 200, (8, 38), 26)
    if not (scenery == "waterfront" and draws.chance(0.5)):
        ground.ridge(canvas, draws, World.VEGETATION, draws.choice(GREENS[domain.greens[0]]), 130, (3, 10), 110)
    if draws.chance(0.1):
        canvas.at(120)
        x = draws.uniform(0.1, 0.9) * canvas.width
        y = canvas.camera.horizon
        canvas.rect(
            x, y - 0.03 * canvas.height, x + 0.05 * canvas.width, y, canvas.ink((120, 120, 118), World.UNLABELED)
        )
    for _ in range(draws.count(domain.features["bird"])):
        for _ in range(draws.integer(1, 4)):
            people.bird(canvas, draws, draws.uniform(0, canvas.width), draws.uniform(0.03, 0.6) * canvas.camera.horizon)


def _paint_carrier(canvas: Canvas, domain: Domain, draws: Draws) -> None:
    """Bonnet, dashboard or camera mount at the lower border, and the border a rectified camera leaves."""
    width, height, features = canvas.width, canvas.height, domain.features
    canvas.at(0)
    angles = np.linspace(np.pi, 0, 24)
    if draws.chance(features.get("bonnet", 0)):
        rise, middle = draws.uniform(0.09, 0.13) * height, width * draws.uniform(0.47, 0.53)
        for part, color in ((1.0, (58, 60, 62)), (0.82, (78, 80, 82)), (0.5, (96, 98, 100))):
            xs, ys = middle + 0.62 * width * part**0.4 * np.cos(angles), height + 4 - rise * part * np.sin(angles)
            canvas.fill(np.stack([xs, ys], -1), canvas.ink(color, World.EGO_VEHICLE))
        star = (middle, height - rise)
        canvas.disc(star[0], star[1], 0.012 * height, canvas.ink((150, 152, 154), World.EGO_VEHICLE))
    elif draws.chance(features.get("dashboard", 0)):
        rise = draws.uniform(0.04, 0.12) * height
        xs, ys = width / 2 + 0.7 * width * np.cos(angles), height + 2 - rise * np.sin(angles) ** 0.4
        canvas.fill(np.stack([xs, ys], -1), canvas.ink((34, 34, 36), World.EGO_VEHICLE))
    if draws.chance(features.get("mount", 0)):
        x, y = width * draws.uniform(0.3, 0.7), 0.12 * height
        canvas.rect(x - 0.05 * width, 0, x + 0.05 * width, y, canvas.ink((24, 24, 26), World.CAR_MOUNT))
        canvas.disc(x, y, 0.04 * height, canvas.ink((20, 20, 22), World.CAR_MOUNT))
    if draws.chance(features.get("border", 0)):
        thick = max(2, round(0.008 * height))
        black = (4, 4, 5, int(World.IMAGE_BORDER))
        cv2.rectangle(canvas.pixels, (0, 0), (width - 1, height - 1), black, thick)
        canvas.rect(0, height - thick - 2, width, height, (6, 6, 6, int(World.OUT_OF_VIEW)))
