"""A perspective camera and the primitives that paint image and label in one call.

The canvas has four channels, RGB and world class: OpenCV fills them together, so a label can never be misaligned. World
coordinates in metres: x to the right, y up from the ground, z ahead of the camera. The canvas has twice the image's
height and width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Color = tuple[float, float, float]
Point = tuple[float, float]
_SHIFT = 3  # fractional bits of the drawing functions


@lru_cache(maxsize=128)
def receding(near: float, far: float, number: int) -> Float[np.ndarray, " n"]:
    """Distances from near to far at equal ratios; an image asks for the same ones again and again."""
    distances = np.geomspace(near, far, number)
    distances.flags.writeable = False
    return distances


def toned(color: Color, tone: float) -> Color:
    """The colour, darker or brighter by a factor."""
    r, g, b = color
    return r * tone, g * tone, b * tone


@dataclass(frozen=True)
class Camera:
    """Pinhole camera over a road that may bend; lengths in canvas pixels except `above_ground` (metres)."""

    focal: float
    center: float
    horizon: float
    above_ground: float
    bend: float = 0.0  # sideways drift in metres per squared metre ahead
    beside: float = 0.0  # the camera's own x


@dataclass(frozen=True)
class Light:
    """Colour of the light, what distance fades to, and how the sun falls on the sides of things."""

    ambient: Color = (1.0, 1.0, 1.0)
    haze: Color = (200, 205, 210)
    density: float = 0.004  # per metre
    sun: float = 0.0  # -1 left .. 1 right
    ahead: float = 0.0  # -1 behind the camera .. 1 in front
    contrast: float = 0.3  # 0 overcast .. 1 hard sun
    night: bool = False
    flat: bool = False  # synthetic sources: no textures

    def shade(self, right: float, towards: float, up: float = 0.0) -> float:
        """Brightness of a face whose normal points right, towards the camera, up."""
        facing = right * self.sun * 0.8 - towards * self.ahead * 0.6 + up * 0.6
        return max(1 - self.contrast * 0.42 + self.contrast * 0.6 * facing, 0.48)  # the sky lights the shaded side


class Canvas:
    """Painter's algorithm: whatever is painted later covers what is there."""

    def __init__(self, height: int, width: int, camera: Camera, light: Light) -> None:
        self.height, self.width = 2 * height, 2 * width
        self.pixels: UInt8[np.ndarray, "h w 4"] = np.zeros((self.height, self.width, 4), np.uint8)
        self.camera, self.light = camera, light
        self.at(1.0)

    def at(self, z: float) -> None:
        """Set the distance of what is painted next: haze hides far things."""
        keep = float(np.exp(-self.light.density * max(z, 0.0)))
        self._keep = toned(self.light.ambient, keep)
        self._haze = toned(self.light.haze, 1 - keep)

    def ink(self, color: Color, label: int, shade: float = 1.0) -> tuple[float, float, float, int]:
        """Colour and label to paint with, lit and faded."""
        (r, g, b), (kr, kg, kb), (hr, hg, hb) = color, self._keep, self._haze
        return (r * kr * shade + hr, g * kg * shade + hg, b * kb * shade + hb, int(label))

    def lamp(self, color: Color, label: int) -> tuple[float, float, float, int]:
        """Ink of something that shines by itself."""
        return (*color, int(label))

    def project(self, x: float, y: float, z: float) -> Point:
        """Canvas position of a world point; points behind the camera are pulled before it."""
        camera = self.camera
        z = z if z > 0.6 else 0.6
        scale = camera.focal / z
        return camera.center + scale * (x - camera.beside) + camera.focal * camera.bend * z, camera.horizon + scale * (
            camera.above_ground - y
        )

    def scale(self, z: float) -> float:
        """Canvas pixels per metre at distance z."""
        return self.camera.focal / max(z, 0.6)

    def project_all(
        self,
        x: Float[np.ndarray, "..."] | np.float64,
        y: Float[np.ndarray, "..."] | np.float64,
        z: Float[np.ndarray, "..."] | np.float64,
    ) -> Float[np.ndarray, "... 2"]:
        """`project` of arrays, which broadcast."""
        camera = self.camera
        z = np.maximum(z, 0.6)
        scale = camera.focal / z
        across = camera.center + scale * (x - camera.beside) + camera.focal * camera.bend * z
        down = camera.horizon + scale * (camera.above_ground - y)
        places = np.empty((*np.broadcast_shapes(across.shape, down.shape), 2), np.float32)
        places[..., 0], places[..., 1] = across, down
        return places

    def ground_z(self, row: float) -> float:
        """Distance of the ground seen in a canvas row below the horizon."""
        return self.camera.focal * self.camera.above_ground / max(row - self.camera.horizon, 1e-3)

    def fill(self, points: Sequence[Point] | np.ndarray, ink: tuple) -> None:
        """Fill a convex polygon."""
        corners = (np.array(points, np.float32) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(self.pixels, corners, ink, cv2.LINE_8, _SHIFT)

    def fill_any(self, polygons: Sequence[Sequence[Point] | np.ndarray] | np.ndarray, ink: tuple) -> None:
        """Fill polygons of any shape, which must not overlap one another."""
        if len(polygons) == 0:
            return
        if isinstance(polygons, np.ndarray):
            corners = list((polygons * (1 << _SHIFT)).astype(np.int32))
        else:
            corners = [(np.asarray(polygon, np.float32) * (1 << _SHIFT)).astype(np.int32) for polygon in polygons]
        cv2.fillPoly(self.pixels, corners, ink, cv2.LINE_8, _SHIFT)

    def rect(self, left: float, top: float, right: float, bottom: float, ink: tuple) -> None:
        """Fill an upright rectangle given in canvas pixels; at least one pixel wide."""
        cv2.rectangle(self.pixels, (int(left), int(top)), (max(int(right), int(left) + 1), int(bottom)), ink, -1)

    def disc(self, x: float, y: float, radius: float, ink: tuple, squeeze: float = 1.0) -> None:
        """Fill a circle, or an ellipse whose width is `squeeze` times its height."""
        if squeeze == 1.0:
            cv2.circle(self.pixels, (int(x), int(y)), max(int(radius), 0), ink, -1)
        else:
            cv2.ellipse(self.pixels, (int(x), int(y)), (max(int(radius * squeeze), 1), int(radius)), 0, 0, 360, ink, -1)

    def ring(self, x: float, y: float, radius: float, ink: tuple, thickness: float, squeeze: float = 1.0) -> None:
        """A circle's outline."""
        axes = (max(int(radius * squeeze), 0), int(radius))
        cv2.ellipse(self.pixels, (int(x), int(y)), axes, 0, 0, 360, ink, max(1, round(thickness)))

    def line(self, start: Point, end: Point, ink: tuple, thickness: float) -> None:
        """A straight line, at least one canvas pixel thick."""
        ends = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(self.pixels, *ends, ink, max(1, round(thickness)), cv2.LINE_8)

    def paste(
        self,
        sprite: UInt8[np.ndarray, "s s"],
        box: tuple[float, float, float, float],
        colors: UInt8[np.ndarray, "256 4"],
    ) -> None:
        """Scale a brightness sprite (0 = see through) into a box (left, top, right, bottom), coloured by a table."""
        left, top, right, bottom = (round(side) for side in box)
        across, down = right - left, bottom - top
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, self.width), min(bottom, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        size = sprite.shape[0]
        columns = ((np.arange(x0, x1) - left) * size // across).astype(np.intp)
        rows = ((np.arange(y0, y1) - top) * size // down).astype(np.intp)
        values = sprite[rows[:, None], columns]
        np.copyto(self.pixels[y0:y1, x0:x1], colors[values], where=(values > 0)[..., None])

    def veil(self, points: Sequence[Point], ink: tuple, opacity: float) -> None:
        """Fill a convex polygon through which what lies behind shows; the label is the polygon's."""
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        left, right = max(int(min(xs)) - 1, 0), min(int(max(xs)) + 2, self.width)
        top, bottom = max(int(min(ys)) - 1, 0), min(int(max(ys)) + 2, self.height)
        if left >= right or top >= bottom:
            return
        before = self.pixels[top:bottom, left:right, :3].copy()
        self.fill(points, ink)
        region = self.pixels[top:bottom, left:right, :3]
        region[:] = cv2.addWeighted(np.ascontiguousarray(region), opacity, before, 1 - opacity, 0)

    def wire(self, points: Sequence[Point], ink: tuple) -> None:
        """A thin line that leaves the label as it is: no dataset labels wires."""
        xs, ys = [int(point[0]) for point in points], [int(point[1]) for point in points]
        left, right = max(min(xs) - 2, 0), min(max(xs) + 3, self.width)
        top, bottom = max(min(ys) - 2, 0), min(max(ys) + 3, self.height)
        if left >= right or top >= bottom:
            return
        labels = self.pixels[top:bottom, left:right, 3].copy()
        for start, end in pairwise(points):
            self.line(start, end, ink, 1)
        self.pixels[top:bottom, left:right, 3] = labels

    def glow(self, x: float, y: float, radius: float, color: Color) -> None:
        """Add a halo around a lamp (canvas pixels) to what is painted so far; nearer things will hide it."""
        radius = min(radius, self.height / 6)
        left, top = max(int(x - radius), 0), max(int(y - radius), 0)
        right, bottom = min(int(x + radius) + 1, self.width), min(int(y + radius) + 1, self.height)
        if left >= right or top >= bottom or radius < 2:
            return
        dx = (np.arange(left, right, dtype=np.float32) - x) / radius
        dy = (np.arange(top, bottom, dtype=np.float32) - y) / radius
        fall = np.clip(1 - np.sqrt(dx[None] ** 2 + dy[:, None] ** 2), 0, 1) ** 2
        region = self.pixels[top:bottom, left:right, :3]
        region[:] = np.minimum(region + fall[..., None] * np.asarray(color, np.float32), 255)
