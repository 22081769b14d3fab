"""A camera that may turn and look down, and the faces and boxes that it sees: rooms are painted with these.

Metres: x and z along the room's sides, y up from the floor. A piece of furniture has coordinates of its own, its
:class:`Place`: u along its front, y up, v out of its back towards whoever stands before it.
"""

from collections.abc import Sequence
from math import atan2, cos, sin
from typing import NamedTuple

import cv2
import numpy as np

from mdseg.scenes.canvas import Canvas, Color, Point

Spot = tuple[float, float, float]  # x, y, z
_NEAR = 0.15  # metres; nothing closer is seen
_SHIFT = 3  # fractional bits of the drawing functions


class Place(NamedTuple):
    """Where a piece of furniture stands: the floor point of its back's left end, and its front's direction."""

    x: float
    z: float
    heading: float  # of v, from z towards x

    def at(self, u: float, y: float, v: float) -> Spot:
        """Room coordinates of a point of the furniture."""
        s, c = sin(self.heading), cos(self.heading)
        return self.x - u * c + v * s, y, self.z + u * s + v * c

    def moved(self, u: float, v: float, turned: float = 0.0) -> "Place":
        """A place within this one."""
        x, _, z = self.at(u, 0, v)
        return Place(x, z, self.heading + turned)

    def own(self, x: float, z: float) -> tuple[float, float]:
        """u and v of a point of the room."""
        s, c, dx, dz = sin(self.heading), cos(self.heading), x - self.x, z - self.z
        return dz * s - dx * c, dx * s + dz * c


class RoomView:
    """Paints what a camera at a position of the room sees, far things first.

    Args:
        yaw: radians from z towards x.
        pitch: radians downwards.
        light: where most light comes from, and how bright a face that turns away from it is.
    """

    def __init__(self, canvas: Canvas, position: Spot, yaw: float, pitch: float, light: tuple[float, float]) -> None:
        self.canvas, self.position = canvas, position
        self._yaw, self._pitch = (sin(yaw), cos(yaw)), (sin(pitch), cos(pitch))
        self._light = light
        self._focal, self._column, self._row = canvas.camera.focal, canvas.camera.center, canvas.camera.horizon

    def turned(self, x: float, y: float, z: float) -> Spot:
        """Metres to the right, up and ahead of the camera."""
        (sy, cy), (sp, cp) = self._yaw, self._pitch
        dx, up, dz = x - self.position[0], y - self.position[1], z - self.position[2]
        ahead = dx * sy + dz * cy
        return dx * cy - dz * sy, up * cp + ahead * sp, ahead * cp - up * sp

    def seen(self, corners: Sequence[Spot]) -> list[Point]:
        """Canvas positions of a polygon's corners, cut where it comes too near; empty where it lies behind."""
        points = [self.turned(*corner) for corner in corners]
        if all(point[2] < _NEAR for point in points):
            return []
        if any(point[2] < _NEAR for point in points):
            points = _cut(points)
        focal, column, row = self._focal, self._column, self._row
        return [(column + focal * right / ahead, row - focal * up / ahead) for right, up, ahead in points]

    def point(self, spot: Spot) -> tuple[float, float, float] | None:
        """Canvas position of a point and the pixels per metre there; None where it lies behind."""
        right, up, ahead = self.turned(*spot)
        if ahead < 2 * _NEAR:
            return None
        scale = self._focal / ahead
        return self._column + scale * right, self._row - scale * up, scale

    def distance(self, spot: Spot) -> float:
        """Metres to a point, seen from above."""
        return ((spot[0] - self.position[0]) ** 2 + (spot[2] - self.position[2]) ** 2) ** 0.5

    def shade(self, heading: float) -> float:
        """Brightness of an upright face whose normal has this heading."""
        towards = cos(heading - self._light[0])
        return 1 - self._light[1] * (0.5 - 0.5 * towards)

    def face(self, corners: Sequence[Spot], color: Color, label: int, shade: float = 1.0) -> None:
        """A flat convex face, whichever side is seen."""
        points = self.seen(corners)
        if points:
            self.canvas.fill(points, self.canvas.ink(color, label, shade))

    def shape(self, corners: Sequence[Spot], color: Color, label: int, shade: float = 1.0) -> None:
        """A flat face of any outline."""
        points = self.seen(corners)
        if points:
            self.canvas.fill_any([points], self.canvas.ink(color, label, shade))

    def veil(self, corners: Sequence[Spot], color: Color, label: int, opacity: float) -> None:
        """A face through which what lies behind shows."""
        points = self.seen(corners)
        if points:
            self.canvas.veil(points, self.canvas.ink(color, label), opacity)

    def line(self, start: Spot, end: Spot, color: Color, label: int, thick: float, shade: float = 1.0) -> None:
        """A bar, its thickness in metres."""
        ends = self.seen([start, end])
        middle = self.point(tuple((a + b) / 2 for a, b in zip(start, end, strict=True)))  # type: ignore[arg-type]
        if len(ends) >= 2 and middle:
            self.canvas.line(*_limited(ends[0], ends[1]), self.canvas.ink(color, label, shade), thick * middle[2])

    def ball(
        self, spot: Spot, radius: float, color: Color, label: int, shade: float = 1.0, squeeze: float = 1.0
    ) -> None:
        """A sphere, or a disc that turns to the camera."""
        found = self.point(spot)
        if found:
            self.canvas.disc(found[0], found[1], radius * found[2], self.canvas.ink(color, label, shade), squeeze)

    def upright(self, place: Place, u: tuple[float, float], y: tuple[float, float], v: float, color: Color, label: int,
                tone: float = 1.0) -> None:  # fmt: skip
        """A rectangle that faces the front, at depth v; unseen from behind."""
        if place.own(self.position[0], self.position[2])[1] <= v:
            return
        corners = (place.at(u[0], y[0], v), place.at(u[1], y[0], v), place.at(u[1], y[1], v), place.at(u[0], y[1], v))
        self.face(corners, color, label, tone * self.shade(place.heading))

    def level(self, place: Place, u: tuple[float, float], v: tuple[float, float], y: float, color: Color, label: int,
              tone: float = 1.0) -> None:  # fmt: skip
        """A horizontal rectangle."""
        corners = (place.at(u[0], y, v[0]), place.at(u[1], y, v[0]), place.at(u[1], y, v[1]), place.at(u[0], y, v[1]))
        self.face(corners, color, label, tone)

    def box(self, place: Place, u: tuple[float, float], y: tuple[float, float], v: tuple[float, float], color: Color,
            label: int, top: Color | None = None, tone: float = 1.0) -> None:  # fmt: skip
        """The visible faces of a box."""
        (u0, u1), (y0, y1), (v0, v1) = u, y, v
        own_u, own_v = place.own(self.position[0], self.position[2])
        eye, at, heading = self.position[1], place.at, place.heading
        if eye > y1:
            corners = (at(u0, y1, v0), at(u1, y1, v0), at(u1, y1, v1), at(u0, y1, v1))
            self.face(corners, top or color, label, tone * 1.04)
        elif eye < y0:
            self.face((at(u0, y0, v0), at(u1, y0, v0), at(u1, y0, v1), at(u0, y0, v1)), color, label, tone * 0.55)
        if own_u > u1:
            corners = (at(u1, y0, v1), at(u1, y0, v0), at(u1, y1, v0), at(u1, y1, v1))
            self.face(corners, color, label, tone * self.shade(heading - _QUARTER))
        elif own_u < u0:
            corners = (at(u0, y0, v0), at(u0, y0, v1), at(u0, y1, v1), at(u0, y1, v0))
            self.face(corners, color, label, tone * self.shade(heading + _QUARTER))
        if own_v > v1:
            corners = (at(u0, y0, v1), at(u1, y0, v1), at(u1, y1, v1), at(u0, y1, v1))
            self.face(corners, color, label, tone * self.shade(heading))
        elif own_v < v0:
            corners = (at(u1, y0, v0), at(u0, y0, v0), at(u0, y1, v0), at(u1, y1, v0))
            self.face(corners, color, label, tone * self.shade(heading + 2 * _QUARTER))

    def facing(self, x: float, z: float) -> float:
        """Heading from a point to the camera."""
        return atan2(self.position[0] - x, self.position[2] - z)

    def darken(self, polygons: Sequence[Sequence[Spot]], strength: float, blur: float) -> None:
        """Soft shadows on what is painted so far, light where `strength` is negative; `blur` in canvas pixels."""
        height, width = self.canvas.height // 4, self.canvas.width // 4
        shadow: np.ndarray = np.zeros((height, width), np.uint8)
        for polygon in polygons:
            points = self.seen(polygon)
            if points:
                corners = (np.array(points, np.float32) * (2 ** (_SHIFT - 2))).astype(np.int32)
                cv2.fillConvexPoly(shadow, corners, 255, cv2.LINE_8, _SHIFT)
        shadow = cv2.GaussianBlur(shadow, (0, 0), max(blur / 4, 0.6))
        keep = 255 - cv2.resize(shadow, (self.canvas.width, self.canvas.height)) * np.float32(strength)
        self.scale_light(keep / 255)

    def scale_light(self, factor: np.ndarray) -> None:
        """Multiply the colours painted so far, not the labels."""
        pixels = self.canvas.pixels
        whole = np.empty((*factor.shape, 4), np.float32)
        whole[..., :3], whole[..., 3] = factor[..., None], 1
        cv2.multiply(pixels, whole, dst=pixels, dtype=cv2.CV_8U)


_QUARTER = 1.5707963267948966


def _cut(points: list[Spot]) -> list[Spot]:
    """The part of a polygon that is not too near."""
    kept: list[Spot] = []
    for index, (right, up, ahead) in enumerate(points):
        before = points[index - 1]
        if (before[2] < _NEAR) != (ahead < _NEAR):
            share = (_NEAR - before[2]) / (ahead - before[2])
            kept.append((before[0] + share * (right - before[0]), before[1] + share * (up - before[1]), _NEAR))
        if ahead >= _NEAR:
            kept.append((right, up, ahead))
    return kept


def _limited(start: Point, end: Point) -> tuple[Point, Point]:
    """Ends that OpenCV's integers hold."""
    low, high = -16000.0, 16000.0
    return (
        (min(max(start[0], low), high), min(max(start[1], low), high)),
        (min(max(end[0], low), high), min(max(end[1], low), high)),
    )
