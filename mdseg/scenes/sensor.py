"""From the painted canvas to the photograph: lens, exposure, texture, noise; and the label that goes with it."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from mdseg.scenes.canvas import Canvas
from mdseg.scenes.domains import Domain, Interior
from mdseg.scenes.draws import Draws
from mdseg.scenes.textures import clouds, distortion, grain, mottle, vignette
from mdseg.scenes.weather import Weather
from mdseg.scenes.world import WORLD_CLASSES, World

# Brightness texture per class in grey values: fine grain, coarse blotches.
_TEXTURE = {
    World.ROAD: (4.0, 1.5), World.SIDEWALK: (4.0, 2.0), World.TERRAIN: (11.0, 8.0), World.VEGETATION: (9.0, 6.0),
    World.HEDGE: (12.0, 7.0), World.BUILDING: (3.0, 4.0), World.WALL: (6.0, 7.0), World.MOUNTAIN: (3.0, 9.0),
    World.UNPAVED_SHOULDER: (7.0, 8.0), World.SAND: (6.0, 5.0), World.SNOW: (3.0, 5.0), World.WATER: (2.0, 7.0),
    World.RAIL_TRACK: (10.0, 4.0), World.BRIDGE: (3.0, 6.0), World.TUNNEL: (4.0, 7.0), World.ARCHWAY: (3.0, 4.0),
    World.PEDESTRIAN_AREA: (5.0, 3.0), World.POTHOLE: (7.0, 6.0), World.BARRIER: (2.0, 2.0), World.CURB: (3.0, 2.0),
    World.PARKING_STRIP: (5.0, 2.0), World.SERVICE_LANE: (5.0, 2.0), World.BIKE_LANE: (4.0, 2.0),
    World.LANE_MARKING: (4.0, 4.0),
    World.ZEBRA_CROSSING: (4.0, 4.0), World.GROUND_ANIMAL: (5.0, 4.0), World.WINDOW: (3.0, 4.0),
    World.SMALL_WINDOW: (3.0, 4.0), World.DOOR: (3.0, 4.0),
}  # fmt: skip


def strengths(
    textures: Mapping[Any, tuple[float, float]], number: int, usual: tuple[float, float]
) -> UInt8[np.ndarray, "2 256"]:
    """Quarters of a grey value of grain and blotches per class, of which there are so many."""
    table = np.zeros((2, 256), np.uint8)
    table[:, :number] = [[round(4 * strength)] for strength in usual]
    for label, pair in textures.items():
        table[:, label] = [round(4 * strength) for strength in pair]
    return table


_STRENGTH = strengths({World.SKY: (0.0, 0.0), **_TEXTURE}, len(WORLD_CLASSES), (1.5, 1.5))


def develop(
    canvas: Canvas, domain: Domain, weather: Weather, draws: Draws
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Image and world mask of a painted canvas."""
    pixels: np.ndarray = canvas.pixels
    if domain.distortion:
        strength = draws.choice(domain.distortion)
        if strength:
            columns, rows = cv2.split(distortion(canvas.height, canvas.width, strength))
            pixels = cv2.remap(pixels, columns, rows, cv2.INTER_NEAREST)
    height, width = canvas.height // 2, canvas.width // 2
    mask = np.ascontiguousarray(pixels[1::2, 1::2, 3])
    image = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), (width, height), interpolation=cv2.INTER_AREA)
    film = image.astype(np.float32)
    if domain.flat:
        grade(film, domain, draws)
        return np.clip(film, 0, 255).astype(np.uint8), mask
    if not weather.light.night:
        film += texture(mask, _STRENGTH, draws)[..., None]
    else:
        film += 0.35 * texture(mask, _STRENGTH, draws)[..., None]
    _add_weather(film, weather, draws)
    if "windscreen" in domain.tags:
        _windscreen(film, draws)
    sigma = draws.uniform(*domain.blur) * (height / 128)
    film[:] = cv2.GaussianBlur(film, (0, 0), sigma)
    grade(film, domain, draws)
    if domain.vignetting:
        film *= (1 - domain.vignetting * vignette(height, width))[..., None]
    film += (draws.uniform(*domain.noise) * (1.5 if weather.light.night else 1.0)) * crop(
        grain(), height, width, draws
    )[..., None]
    return np.clip(film, 0, 255).astype(np.uint8), mask


def crop(field: np.ndarray, height: int, width: int, draws: Draws) -> np.ndarray:
    """A part of a large texture."""
    if height > field.shape[0] // 2 or width > field.shape[1] // 2:
        repeats = (2 * height // field.shape[0] + 1, 2 * width // field.shape[1] + 1)
        field = np.tile(field, repeats)
    y, x = draws.integer(0, field.shape[0] - height), draws.integer(0, field.shape[1] - width)
    return field[y : y + height, x : x + width]


def texture(mask: UInt8[np.ndarray, "h w"], strength: UInt8[np.ndarray, "2 256"], draws: Draws) -> np.ndarray:
    """Grain and blotches in grey values, as strong as each pixel's class has them."""
    height, width = mask.shape
    fine, coarse = cv2.LUT(mask, strength[0]), cv2.LUT(mask, strength[1])
    total = fine * crop(grain(), height, width, draws)
    total += coarse * crop(mottle(), height, width, draws)
    return total * 0.25


def _add_weather(film: np.ndarray, weather: Weather, draws: Draws) -> None:
    height, width = film.shape[:2]
    if weather.rain:
        streaks = np.zeros((height, width), np.uint8)
        for _ in range(60):
            x, y, long = draws.integer(0, width), draws.integer(0, height), draws.integer(height // 24, height // 9)
            cv2.line(streaks, (x, y), (x - long // 6, y + long), draws.integer(14, 44), 1)
        film += streaks[..., None] * np.float32(0.8)
    if weather.snow:
        flakes = np.zeros((height, width), np.uint8)
        for _ in range(110):
            center = draws.integer(0, width), draws.integer(0, height)
            cv2.circle(flakes, center, draws.integer(0, 2), draws.integer(60, 160), -1)
        veil = flakes[..., None] * np.float32(1 / 255)
        film += (235 - film) * veil


def _windscreen(film: np.ndarray, draws: Draws) -> None:
    """A faint reflection of the dashboard and dirt on the glass."""
    if draws.chance(0.5):
        return
    height, width = film.shape[:2]
    x, y = draws.integer(0, 600), draws.integer(0, 300)
    dirt = cv2.resize(clouds()[y : y + 128, x : x + 256], (width, height))
    low = np.linspace(0.2, 1, height, dtype=np.float32)[:, None] ** 2
    film += (dirt * low * draws.uniform(8, 30))[..., None]


def grade(film: np.ndarray, domain: Domain | Interior, draws: Draws) -> None:
    """Exposure, white balance, saturation and contrast."""
    exposure, contrast = draws.uniform(*domain.exposure), draws.uniform(*domain.contrast)
    warm, green = 0.08 * domain.warmth + draws.uniform(-0.02, 0.02), 0.06 * domain.green
    gain = np.array([1 + warm - green * 0.4, 1 + green + 0.3 * warm, 1 - warm - green * 0.4], np.float32) * exposure
    saturation = draws.uniform(*domain.saturation)
    mix = np.full((3, 3), (1 - saturation) / 3, np.float32) + saturation * np.eye(3, dtype=np.float32)
    matrix = np.hstack([(mix * gain[:, None]) * contrast, np.full((3, 1), 118 * (1 - contrast), np.float32)])
    film[:] = cv2.transform(film, matrix)
