"""Sky, horizon and everything flat: road, markings, pavements, grass, water, and the shadows on them."""

from math import pi

import cv2
import numpy as np

from mdseg.scenes.canvas import Canvas, Color, receding, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.textures import asphalt, clouds
from mdseg.scenes.world import World

FLATS: dict[World, Color] = {
    World.ROAD: (98, 98, 100),
    World.BIKE_LANE: (150, 80, 66),
    World.SERVICE_LANE: (116, 114, 110),
    World.PARKING_STRIP: (128, 124, 120),
    World.UNPAVED_SHOULDER: (166, 138, 106),
    World.SIDEWALK: (150, 146, 142),
    World.PEDESTRIAN_AREA: (176, 162, 146),
    World.CURB: (176, 174, 168),
    World.TERRAIN: (96, 118, 62),
    World.SAND: (206, 182, 138),
    World.SNOW: (226, 230, 236),
    World.WATER: (92, 118, 130),
    World.RAIL_TRACK: (112, 104, 98),
}


def sky(canvas: Canvas, draws: Draws, top: Color, low: Color, cover: float, cloud: Color) -> None:
    """A vertical gradient with clouds, down to a little below the horizon."""
    rows = min(int(canvas.camera.horizon + 0.06 * canvas.height) + 2, canvas.height)
    height, width = rows // 4 + 1, canvas.width // 4 + 1
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 0.8
    image = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(low, np.float32) * ramp
    x, y = draws.integer(0, 500), draws.integer(0, 300)
    shape = cv2.resize(clouds()[y : y + 200, x : x + 500], (width, height), interpolation=cv2.INTER_AREA)
    veil = np.minimum(shape * cover, 1)[..., None]
    image = np.clip(image + (np.asarray(cloud, np.float32) - image) * veil, 0, 255).astype(np.uint8)
    labelled = np.dstack([image, np.full((height, width), World.SKY, np.uint8)])
    canvas.pixels[:rows] = cv2.resize(labelled, (canvas.width, rows), interpolation=cv2.INTER_LINEAR)


def ridge(
    canvas: Canvas, draws: Draws, label: World, color: Color, z: float, heights: tuple[float, float], rough: int
) -> None:
    """A silhouette along the horizon: mountains, a wood, far houses."""
    canvas.at(z)
    metre, base = canvas.scale(z), canvas.camera.horizon + 0.02 * canvas.height
    steps = np.linspace(0, canvas.width, rough)
    tops, low, high = [], *heights
    tall = draws.uniform(low, high)
    for _ in range(rough):
        if label == World.VEGETATION:  # treetops side by side: a walk, not teeth
            tall = min(max(tall + draws.uniform(-0.16, 0.16) * (high - low), low), high)
        else:
            tall = draws.uniform(low, high)
        tops.append(tall)
    points = [(-1.0, base)]
    for x, tall in zip(steps, tops, strict=True):
        y = canvas.camera.horizon - tall * metre
        if label == World.BUILDING:
            points.append((float(x), points[-1][1]))
        points.append((float(x), y))
    canvas.fill_any([[*points, (canvas.width + 1.0, base)]], canvas.ink(color, label))


def strip(
    canvas: Canvas,
    x0: float,
    x1: float,
    label: World,
    color: Color | None = None,
    y: float = 0.0,
    z: tuple[float, float] = (0.0, 260.0),
) -> None:
    """A band of ground along the street, between x0 and x1."""
    near = max(z[0], 0.8 * canvas.ground_z(canvas.height), 0.7)
    if near >= z[1]:
        return
    zs = receding(near, z[1], 12) if canvas.camera.bend else np.array([near, z[1]])
    left, right = (
        canvas.project_all(np.float64(x0), np.float64(y), zs),
        canvas.project_all(np.float64(x1), np.float64(y), zs),
    )
    canvas.at(0)
    canvas.fill_any([np.concatenate([left, right[::-1]])], canvas.ink(color or FLATS[label], label))


def curb(
    canvas: Canvas, x: float, side: int, tall: float, label: World = World.CURB, z: tuple[float, float] = (0.0, 260.0)
) -> None:
    """Kerb stones: an upright face towards the road and a flat top."""
    near = max(z[0], 0.8 * canvas.ground_z(canvas.height), 0.7)
    if near >= z[1]:
        return
    zs = receding(near, z[1], 12) if canvas.camera.bend else np.array([near, z[1]])
    canvas.at(0)
    low, high = (
        canvas.project_all(np.float64(x), np.float64(0), zs),
        canvas.project_all(np.float64(x), np.float64(tall), zs),
    )
    canvas.fill_any([np.concatenate([low, high[::-1]])], canvas.ink(FLATS[World.CURB], label, 0.72))
    strip(canvas, x, x + side * 0.18, label, FLATS[World.CURB], tall, z)


def dashes(
    canvas: Canvas, x: float, dash: float, gap: float, color: Color = (226, 226, 220), wide: float = 0.14
) -> None:
    """A lane line: dashed, or solid when `gap` is 0."""
    if gap == 0:
        strip(canvas, x - wide / 2, x + wide / 2, World.LANE_MARKING, color)
        return
    start = np.arange(-gap, 120, dash + gap) + 2.0
    zs = np.stack([start, start, start + dash, start + dash], -1)
    quads = canvas.project_all(np.array([x - wide / 2, x + wide / 2, x + wide / 2, x - wide / 2]), np.float64(0), zs)
    canvas.at(0)
    canvas.fill_any(quads[start + dash > 0.8], canvas.ink(color, World.LANE_MARKING))


def zebra(canvas: Canvas, left: float, right: float, z: float, deep: float, label: World) -> None:
    """A crossing for pedestrians: bars (zebra) or two thin lines around plain ground."""
    canvas.at(0)
    if label == World.PLAIN_CROSSWALK:
        strip(canvas, left, right, label, (112, 108, 108), z=(z, z + deep))
        lines, color = np.array([z - 0.2, z + deep]), World.LANE_MARKING
        zs = np.stack([lines, lines, lines + 0.2, lines + 0.2], -1)
        quads = canvas.project_all(np.array([left, right, right, left]), np.float64(0), zs)
        canvas.fill_any(quads, canvas.ink((220, 220, 214), color))
        return
    starts = np.arange(left + 0.2, right - 0.4, 1.0)
    xs = np.stack([starts, starts + 0.5, starts + 0.5, starts], -1)
    quads = canvas.project_all(xs, np.float64(0), np.array([z, z, z + deep, z + deep]))
    canvas.fill_any(quads, canvas.ink((228, 228, 222), label))


def arrow(canvas: Canvas, x: float, z: float) -> None:
    """An arrow ahead painted on a lane."""
    canvas.at(0)
    shaft = [(x - 0.1, z), (x + 0.1, z), (x + 0.1, z + 2.6), (x - 0.1, z + 2.6)]
    head = [(x - 0.4, z + 2.6), (x + 0.4, z + 2.6), (x, z + 4.2)]
    ink = canvas.ink((226, 226, 220), World.LANE_MARKING)
    for part in (shaft, head):
        canvas.fill([canvas.project(px, 0, pz) for px, pz in part], ink)


def blot(canvas: Canvas, x: float, z: float, radius: float, label: World, color: Color, square: bool = False) -> None:
    """A round or square thing lying in the road: manhole, catch basin, pothole."""
    canvas.at(0)
    corners = 4 if square else 12
    angles = 2 * pi * (np.arange(corners) + 0.5) / corners
    for part, tone in ((1.0, 1.0), (0.72, 1.35)):
        ring = canvas.project_all(
            x + part * radius * np.cos(angles), np.float64(0), z + part * radius * 1.1 * np.sin(angles)
        )
        canvas.fill(ring, canvas.ink(toned(color, tone), label))


def rails(canvas: Canvas, x: float, bed: bool) -> None:
    """Tram or railway tracks: two rails in a bed of stones (or of paving), all labelled as track."""
    if bed:
        strip(canvas, x - 1.5, x + 1.5, World.RAIL_TRACK)
        start = np.arange(1.0, 60, 1.2)
        quads = canvas.project_all(
            np.array([x - 1.1, x + 1.1, x + 1.1, x - 1.1]),
            np.float64(0),
            np.stack([start, start, start + 0.3, start + 0.3], -1),
        )
        canvas.fill_any(quads, canvas.ink((84, 76, 70), World.RAIL_TRACK))
    else:
        strip(canvas, x - 0.95, x + 0.95, World.RAIL_TRACK, (104, 102, 102))
    for rail in (-0.72, 0.72):
        strip(canvas, x + rail - 0.06, x + rail + 0.06, World.RAIL_TRACK, (172, 174, 178) if bed else (66, 66, 70))


def finish(canvas: Canvas, draws: Draws, shadows: list[np.ndarray], wet: float) -> None:
    """Texture, shadows and haze of the ground, before anything stands on it; `wet` mirrors the sky."""
    first = max(int(canvas.camera.horizon) + 1, 0)
    height, width = canvas.height - first, canvas.width
    rows = np.arange(first, canvas.height, dtype=np.float32) + 0.5
    z = canvas.camera.focal * canvas.camera.above_ground / np.maximum(rows - canvas.camera.horizon, 0.5)
    keep = np.exp(-canvas.light.density * np.minimum(z, 400))
    factor: np.ndarray = np.full((height // 2 + 1, width // 2), 255, np.uint8)
    for polygon in shadows:
        cv2.fillPoly(factor, [(polygon * 0.5 - (0, first / 2)).astype(np.int32)], 0)
    strength = 0.3 + 0.3 * canvas.light.contrast
    factor = cv2.blur(factor, (5, 3)) * np.float32(strength / 255) + np.float32(1 - strength)
    if not canvas.light.flat:
        fade = 0.0075 * np.clip(1.3 - z[::2] / 60, 0.15, 1)[:, None]
        view = _seen_from_above(canvas, draws, first)[: len(fade)]
        factor[: len(fade)] *= 1 + (view - np.float32(128)) * fade
    factor = cv2.resize(factor[: height // 2], (width, height), interpolation=cv2.INTER_LINEAR)
    if canvas.light.night:  # our own headlights
        factor *= (1 + 1.6 * np.exp(-z / 11))[:, None]
    factor *= keep[:, None]
    haze = (1 - keep)[:, None, None] * np.asarray(canvas.light.haze, np.float32)
    ground = canvas.pixels[first:, :, :3] * factor[..., None] + haze
    if wet:
        mirror = canvas.pixels[max(first - height, 0) : first, :, :3][::-1]
        depth = len(mirror)
        image = cv2.blur(np.ascontiguousarray(mirror), (3, 15))
        ground[:depth] += (image - ground[:depth]) * wet
    canvas.pixels[first:, :, :3] = np.clip(ground, 0, 255)


def _seen_from_above(canvas: Canvas, draws: Draws, first: int) -> np.ndarray:
    """The asphalt texture as the camera sees it: image pixel → ground metres → texture pixel (12 per metre)."""
    camera, density = canvas.camera, 12.0
    # (2 column, 2 row + first) → (X, Z) in metres, up to the common factor 1 / (row - horizon)
    a, b = camera.above_ground, camera.focal * camera.above_ground
    to_texture = np.array(
        [
            [
                density * a,
                draws.uniform(80, 400),
                -density * a * camera.center + draws.uniform(80, 400) * (first - camera.horizon),
            ],
            [0, draws.uniform(0, 200), density * b + draws.uniform(0, 200) * (first - camera.horizon)],
            [0, 1, first - camera.horizon],
        ]
    )
    size = (canvas.width // 2, (canvas.height - first) // 2 + 1)
    halved = np.diag([2.0, 2.0, 1.0])
    view = cv2.warpPerspective(
        asphalt(),
        to_texture @ halved,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return view.astype(np.float32)
