"""Boxes and frustums of any heading: the bodies of vehicles, houses and street furniture."""

from math import cos, sin
from typing import NamedTuple

from mdseg.scenes.canvas import Canvas, Color, Point

Face = tuple[Point, Point, Point, Point]  # bottom left, bottom right, top right, top left, seen from outside


class Pose(NamedTuple):
    """Where an object stands and where it faces; heading 0 looks away from the camera. u runs ahead, v to its right."""

    x: float
    z: float
    heading: float = 0.0
    base: float = 0.0

    def place(self, u: float, v: float, y: float) -> tuple[float, float, float]:
        """World coordinates of a point of the object."""
        s, c = sin(self.heading), cos(self.heading)
        return self.x + u * s + v * c, self.base + y, self.z + u * c - v * s


class Ends(NamedTuple):
    """A rectangle at one height of a frustum: rear and front along u, half width along v."""

    rear: float
    front: float
    half: float
    y: float


def frustum(
    canvas: Canvas, pose: Pose, bottom: Ends, top: Ends, color: Color, label: int, roof: Color | None = None
) -> dict[str, Face]:
    """Paint the visible faces of a frustum and return them by name: rear, front, left, right, top."""
    low = _corners(canvas, pose, bottom)
    high = _corners(canvas, pose, top)
    (a, b, c, d), (e, f, g, h) = low, high  # rear left, rear right, front right, front left
    faces = {
        "rear": (a, b, f, e),
        "front": (c, d, h, g),
        "left": (d, a, e, h),
        "right": (b, c, g, f),
        "top": (e, f, g, h),
    }
    s, k, light = sin(pose.heading), cos(pose.heading), canvas.light
    normals = {"rear": (-s, k), "front": (s, -k), "left": (-k, -s), "right": (k, s)}
    visible = {}
    for name, face in faces.items():
        if _faces_camera(face):
            shade = light.shade(0, 0, 1) if name == "top" else light.shade(*normals[name])
            canvas.fill(face, canvas.ink(roof if roof and name == "top" else color, label, shade))
            visible[name] = face
    return visible


def _corners(canvas: Canvas, pose: Pose, ends: Ends) -> tuple[Point, Point, Point, Point]:
    u0, u1, half, y = ends
    return (
        canvas.project(*pose.place(u0, -half, y)),
        canvas.project(*pose.place(u0, half, y)),
        canvas.project(*pose.place(u1, half, y)),
        canvas.project(*pose.place(u1, -half, y)),
    )


def _faces_camera(face: Face) -> bool:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = face
    return (cx - ax) * (dy - by) - (cy - ay) * (dx - bx) < -1.0


def patch(face: Face, left: float, right: float, low: float, high: float) -> Face:
    """A rectangle within a face, in fractions of its width and height."""
    return _on(face, left, low), _on(face, right, low), _on(face, right, high), _on(face, left, high)


def _on(face: Face, s: float, t: float) -> Point:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = face
    wa, wb, wc, wd = (1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t
    return wa * ax + wb * bx + wc * cx + wd * dx, wa * ay + wb * by + wc * cy + wd * dy


def box(
    canvas: Canvas,
    pose: Pose,
    length: float,
    width: float,
    low: float,
    high: float,
    color: Color,
    label: int,
    roof: Color | None = None,
) -> dict[str, Face]:
    """An upright box centred on its pose."""
    bottom, top = Ends(-length / 2, length / 2, width / 2, low), Ends(-length / 2, length / 2, width / 2, high)
    return frustum(canvas, pose, bottom, top, color, label, roof)
