"""Noise, clouds and tree crowns, made once per process from fixed seeds."""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from mdseg.scenes.draws import Draws


def _octaves(height: int, width: int, cells: tuple[int, ...], seed: int) -> Float32[np.ndarray, "h w"]:
    """Sum of smooth noises; `cells` are their cell sizes in pixels, coarse ones weigh more; mean 0, deviation 1."""
    generator = np.random.Generator(np.random.PCG64(seed))
    total = np.zeros((height, width), np.float32)
    for cell in cells:
        grid = generator.standard_normal((height // cell + 2, width // cell + 2), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(cell**0.5)
    return (total - total.mean()) / total.std()


@cache
def grain() -> Float32[np.ndarray, "1024 2048"]:
    """White noise with a little blur: asphalt, plaster, sensor."""
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal((1024, 2048), np.float32)
    noise += cv2.GaussianBlur(noise, (0, 0), 0.8)
    noise /= noise.std()
    noise.flags.writeable = False
    return noise


@cache
def mottle() -> Float32[np.ndarray, "1024 2048"]:
    """Blotches of several sizes: leaves, dirt, worn walls."""
    noise = _octaves(1024, 2048, (2, 4, 9, 30), seed=2)
    noise.flags.writeable = False
    return noise


@cache
def asphalt() -> UInt8[np.ndarray, "512 512"]:
    """Ground seen from above, 128 = unchanged: stains, patches, cracks."""
    relief = 128 + 7 * _octaves(512, 512, (6, 20, 90), seed=3)
    draws = Draws("asphalt")
    for _ in range(9):
        x, y = draws.integer(0, 480), draws.integer(0, 480)
        size = draws.integer(12, 60), draws.integer(20, 90)
        relief[y : y + size[1], x : x + size[0]] += draws.uniform(-16, 10)
    ground = np.clip(relief, 0, 255).astype(np.uint8)
    for _ in range(10):
        path = [(draws.uniform(0, 512), draws.uniform(0, 512))]
        for _ in range(12):
            path.append((path[-1][0] + draws.uniform(-14, 14), path[-1][1] + draws.uniform(0, 18)))
        cv2.polylines(ground, [np.array(path, np.int32)], False, 96, 1)
    return ground


@cache
def clouds() -> Float32[np.ndarray, "512 1024"]:
    """Cloud cover in [0, 1], flattened towards the horizon by the painter."""
    cover = _octaves(512, 1024, (8, 20, 60, 140), seed=4)
    return np.clip(cover * 0.45 + 0.35, 0, 1).astype(np.float32)


@cache
def crowns() -> tuple[UInt8[np.ndarray, "128 128"], ...]:
    """Tree crowns: 0 = see through, otherwise brightness; lit from above left, with darker gaps."""
    return tuple(_crown(Draws("crown", number), number % 6) for number in range(18))


@cache
def flat_crowns() -> tuple[UInt8[np.ndarray, "128 128"], ...]:
    """The same crowns as a simple renderer shows them: a closed outline in three tones."""
    flat = []
    for crown in crowns():
        smooth = cv2.medianBlur(crown, 11)
        tones = np.select([smooth > 170, smooth > 110], [190, 140], 90).astype(np.uint8)
        flat.append(np.where(smooth > 0, tones, 0).astype(np.uint8))
    return tuple(flat)


def _crown(draws: Draws, shape: int) -> UInt8[np.ndarray, "128 128"]:
    crown = np.zeros((128, 128), np.uint8)
    if shape == 4:
        return _conifer(crown, draws)
    wide, tall = (44, 44) if shape < 3 else (34, 50)
    centers = []
    for _ in range(16):
        angle, reach = draws.uniform(0, 6.28), draws.random() ** 0.5
        centers.append((64 + wide * 0.75 * reach * np.cos(angle), 64 + tall * 0.75 * reach * np.sin(angle)))
    for x, y in centers:
        cv2.circle(crown, (int(x), int(y)), draws.integer(12, 19), 62, -1)
    centers.sort(key=lambda center: -center[1] - 0.4 * center[0])
    for x, y in centers:
        light = 95 + 100 * (1 - y / 128) + 25 * (1 - x / 128)
        for _ in range(34):
            leaf = (int(x + draws.uniform(-15, 15)), int(y + draws.uniform(-15, 13)))
            rise = (y - leaf[1]) * 2.2 + (x - leaf[0]) * 1.2
            cv2.circle(crown, leaf, draws.integer(2, 5), max(40, min(250, light + rise + draws.uniform(-28, 28))), -1)
    return crown


def _conifer(crown: UInt8[np.ndarray, "128 128"], draws: Draws) -> UInt8[np.ndarray, "128 128"]:
    for tier in range(9):
        y, half = 8 + tier * 12, 8 + tier * 4.6
        for part, light in ((1.0, 70), (0.6, 110), (0.25, 150)):
            points = [
                (64 - half * part - 6 * (1 - part), y + 22),
                (64, y - 8),
                (64 + half * part - 14 * (1 - part), y + 22),
            ]
            cv2.fillPoly(crown, [np.array(points, np.int32)], light + draws.uniform(-15, 15))
    return crown


@cache
def vignette(height: int, width: int) -> Float32[np.ndarray, "h w"]:
    """Squared distance to the centre, 1 in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
    return (x + y) / 2


@cache
def distortion(height: int, width: int, strength: float) -> Float32[np.ndarray, "h w 2"]:
    """Where a barrel distortion takes each pixel from."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    pull = (1 + strength * (x * x + y * y)) / (1 + 1.1 * strength)
    return np.stack([(x * pull + 1) * (width - 1) / 2, (y * pull + 1) * (height - 1) / 2], axis=-1).astype(np.float32)
