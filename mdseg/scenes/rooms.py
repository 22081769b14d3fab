"""One room: shell, what belongs to its kind, and the photograph that a depth camera's colour sensor takes of it."""

from math import atan2

import cv2
import numpy as np
from jaxtyping import UInt8

from mdseg.scenes import room_shell as shell
from mdseg.scenes.canvas import Camera, Canvas, Color, Light
from mdseg.scenes.domains import Interior
from mdseg.scenes.draws import Draws
from mdseg.scenes.indoor import INDOOR, Indoor
from mdseg.scenes.painter import VERSION
from mdseg.scenes.room import FABRICS, METAL, PALE, WOODS, Room, Style
from mdseg.scenes.room_kinds import KINDS
from mdseg.scenes.sensor import crop, grade, strengths, texture
from mdseg.scenes.textures import grain, vignette
from mdseg.scenes.view import RoomView

_WALLS: tuple[Color, ...] = (
    (226, 220, 206), (214, 206, 190), (232, 230, 226), (206, 212, 216), (220, 204, 176), (196, 206, 188),
    (186, 196, 210), (228, 208, 190), (200, 184, 160), (216, 216, 208), (176, 172, 164),
)  # fmt: skip
_SEATS: tuple[Color, ...] = ((200, 60, 50), (60, 110, 160), (230, 230, 226), (70, 74, 78), (90, 140, 80), (38, 38, 42))
_LIGHTS: tuple[Color, ...] = ((1.06, 1.0, 0.84), (1.04, 1.0, 0.92), (1.0, 1.0, 1.0), (0.95, 1.0, 1.04))
# Brightness texture per class in grey values: fine grain, coarse blotches.
_TEXTURE = {
    Indoor.FLOOR: (3.0, 3.5), Indoor.WALL: (1.0, 2.5), Indoor.CEILING: (0.8, 1.5), Indoor.BED: (2.0, 4.0),
    Indoor.SOFA: (3.0, 5.0), Indoor.FLOOR_MAT: (7.0, 5.0), Indoor.CURTAIN: (2.0, 4.0), Indoor.CLOTHES: (3.0, 7.0),
    Indoor.TOWEL: (5.0, 4.0), Indoor.PICTURE: (3.0, 8.0), Indoor.COUNTER: (4.0, 4.0), Indoor.PLANT: (6.0, 7.0),
    Indoor.WINDOW: (1.0, 6.0), Indoor.PILLOW: (2.0, 4.0), Indoor.MIRROR: (1.0, 6.0), Indoor.LAMP: (0.5, 1.0),
    Indoor.PERSON: (2.0, 4.0), Indoor.BOX: (2.0, 4.0), Indoor.FRIDGE: (0.5, 1.5), Indoor.TOILET: (0.5, 1.0),
}  # fmt: skip


_STRENGTH = strengths(_TEXTURE, len(INDOOR), (1.5, 2.5))


def paint_room(
    interior: Interior, split: str, index: int, height: int, seed: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """RGB image and mask of `Indoor` classes, a function of its arguments and `VERSION` alone."""
    draws = Draws(VERSION, seed, interior.name, split, index)
    tall, wide, focal = draws.choice(interior.sensors)
    rows, columns = round(height * tall), round(height * wide)
    light = Light(draws.choice(_LIGHTS), (0, 0, 0), 0.0)
    canvas = Canvas(rows, columns, Camera(2 * focal * rows, columns, rows, 0.0), light)
    kind = draws.weighted(dict(interior.kinds))
    room = _empty_room(canvas, interior, draws, kind)
    KINDS[kind].furnish(room)
    _paint(room, kind)
    return _develop(canvas, interior, draws)


def _empty_room(canvas: Canvas, interior: Interior, draws: Draws, kind: str) -> Room:
    (low, high), (near, far) = KINDS[kind].width, KINDS[kind].depth
    wide, deep = draws.uniform(low, high), draws.uniform(near, far)
    x, z = wide * draws.uniform(0.2, 0.8), min(deep * draws.uniform(0.06, 0.3), 1.6)
    aim = atan2(wide * draws.uniform(0.05, 0.95) - x, deep * draws.uniform(0.75, 1.0) - z)
    position = (x, draws.uniform(*interior.camera_height), max(z, 0.25))
    light = (draws.uniform(-3.14, 3.14), draws.uniform(0.22, 0.45))
    view = RoomView(canvas, position, aim, draws.uniform(*interior.pitch), light)
    style = Style(
        wall=draws.choice(_WALLS),
        trim=draws.choice(((236, 234, 228), (226, 220, 208), draws.choice(WOODS))),
        wood=draws.choice(WOODS),
        second_wood=draws.choice(WOODS),
        fabric=draws.choice(FABRICS),
        second_fabric=draws.choice(FABRICS),
        pale=draws.choice(PALE),
        seat=draws.choice((*_SEATS, draws.choice(FABRICS))),
        frame=draws.choice((METAL, (34, 32, 32), draws.choice(WOODS))),
    )
    return Room(view, draws, (wide, draws.uniform(2.35, 3.0), deep), style)


def _paint(room: Room, kind: str) -> None:
    if shell.paint_floor(room, kind):
        room.view.darken(room.reflections, -0.22, 0.06 * room.view.canvas.camera.focal)
    shell.paint_ceiling(room, KINDS[kind].office)
    shell.paint_walls(room, room.draws.choice((1.3, 2.0, 2.4)) if kind == "bathroom" else 0.0)
    shell.paint_corners(room)
    for paint in (*room.on_floor, *room.on_walls):
        paint()
    scale = room.view.canvas.camera.focal / 3
    room.view.darken(room.shadows(), 0.5, 0.09 * scale)
    room.paint_things()


def _develop(
    canvas: Canvas, interior: Interior, draws: Draws
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    height, width = canvas.height // 2, canvas.width // 2
    mask = np.ascontiguousarray(canvas.pixels[1::2, 1::2, 3])
    rgb = cv2.cvtColor(canvas.pixels, cv2.COLOR_RGBA2RGB)
    film = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    film += texture(mask, _STRENGTH, draws)[..., None]
    film[:] = cv2.GaussianBlur(film, (0, 0), draws.uniform(*interior.blur) * (height / 128))
    grade(film, interior, draws)
    film *= (1 - interior.vignetting * vignette(height, width))[..., None]
    film += (draws.uniform(*interior.noise) * crop(grain(), height, width, draws))[..., None]
    return np.clip(film, 0, 255).astype(np.uint8), mask
