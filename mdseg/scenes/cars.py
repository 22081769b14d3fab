"""Passenger cars and light vans, and the parts every vehicle has: wheels, lamps, the dark gap below."""

from math import cos, pi, sin
from typing import NamedTuple

from mdseg.scenes.canvas import Canvas, Color
from mdseg.scenes.draws import Draws
from mdseg.scenes.solids import Ends, Face, Pose, box, frustum, patch
from mdseg.scenes.world import World

PAINTS = (
    (205, 205, 208), (232, 232, 230), (60, 62, 66), (28, 29, 33), (120, 124, 130), (168, 30, 32), (34, 62, 128),
    (62, 88, 120), (150, 152, 150), (96, 26, 30), (190, 176, 140), (40, 84, 64), (214, 214, 216), (24, 36, 66),
)  # fmt: skip
GLASS = (44, 54, 64)
_TYRE = (22, 22, 24)
_RIM = (120, 122, 126)


class _Body(NamedTuple):
    """Proportions of a car: metres; cabin ends as fractions of the half length (rear, front at sill and at roof)."""

    length: float
    width: float
    waist: float
    roof: float
    sill: tuple[float, float]
    top: tuple[float, float]
    label: World


BODIES = {
    "sedan": _Body(4.5, 1.75, 0.92, 1.45, (-0.78, 0.42), (-0.45, 0.08), World.CAR),
    "hatchback": _Body(3.9, 1.7, 0.95, 1.52, (-0.98, 0.45), (-0.8, 0.08), World.CAR),
    "estate": _Body(4.6, 1.78, 0.95, 1.5, (-0.98, 0.4), (-0.86, 0.08), World.CAR),
    "suv": _Body(4.6, 1.9, 1.1, 1.8, (-0.97, 0.42), (-0.85, 0.12), World.CAR),
    "van": _Body(5.2, 1.98, 1.2, 2.35, (-0.99, 0.72), (-0.97, 0.45), World.VAN),
    "pickup": _Body(5.3, 1.9, 1.1, 1.8, (-0.15, 0.45), (-0.08, 0.2), World.PICKUP),
}


def car(
    canvas: Canvas, draws: Draws, x: float, z: float, heading: float, kind: str, paints: tuple[Color, ...] = PAINTS
) -> None:
    """A passenger car or light van: sill, cabin with glass, wheels, lights, number plate."""
    body = BODIES[kind]
    canvas.at(z)
    pose, color = Pose(x, z, heading), draws.choice(paints)
    half, side, label = body.length / 2, body.width / 2, body.label
    underside(canvas, pose, half, side, label)
    rear, front = body.sill[0] * half, body.sill[1] * half
    lower = frustum(
        canvas,
        pose,
        Ends(-half, half, side, 0.28),
        Ends(-half * 0.98, half * 0.96, side * 0.97, body.waist),
        color,
        label,
    )
    cabin = frustum(
        canvas,
        pose,
        Ends(rear, front, side * 0.95, body.waist),
        Ends(body.top[0] * half, body.top[1] * half, side * 0.78, body.roof),
        color,
        label,
    )
    glass = canvas.ink(GLASS, label, 1.0)
    sky = canvas.ink((104, 120, 134), label, 1.0)
    for name, face in cabin.items():
        if name == "top" or (kind == "van" and name == "rear" and draws.chance(0.4)):
            continue
        if name in ("left", "right"):
            spans = (
                ((0.06, 0.47), (0.53, 0.94))
                if kind != "van"
                else (((0.05, 0.3),) if name == "right" else ((0.7, 0.95),))
            )
            for start, end in spans:
                canvas.fill(patch(face, start, end, 0.12, 0.88), glass)
        else:
            canvas.fill(patch(face, 0.06, 0.94, 0.1 if kind != "van" else 0.5, 0.9), glass)
            canvas.fill(patch(face, 0.3, 0.85, 0.55, 0.86), sky)
    lights(canvas, lower, label)
    for name in ("left", "right"):
        if name in lower:
            wheels(canvas, pose, (-0.62 * half, 0.62 * half), side if name == "right" else -side, 0.33, label)


def underside(canvas: Canvas, pose: Pose, half: float, side: float, label: int, clear: float = 0.3) -> None:
    """The dark gap between body and ground belongs to the vehicle."""
    box(canvas, pose, 1.9 * half, 1.84 * side, 0.0, clear, (26, 26, 28), label)


def lights(canvas: Canvas, faces: dict[str, Face], label: int) -> None:
    """Lamps and plates, at the end that is seen."""
    night = canvas.light.night
    if "rear" in faces:
        face = faces["rear"]
        canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.2), canvas.ink((48, 48, 50), label))
        red = canvas.lamp((235, 40, 30), label) if night else canvas.ink((190, 26, 24), label)
        canvas.fill(patch(face, 0.02, 0.18, 0.52, 0.9), red)
        canvas.fill(patch(face, 0.82, 0.98, 0.52, 0.9), red)
        canvas.fill(patch(face, 0.36, 0.64, 0.3, 0.5), canvas.ink((225, 222, 205), label))
        halo(canvas, face, (120, 14, 8), 0.5)
    if "front" in faces:
        face = faces["front"]
        canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.18), canvas.ink((40, 40, 42), label))
        canvas.fill(patch(face, 0.26, 0.74, 0.35, 0.72), canvas.ink((34, 35, 38), label))
        white = canvas.lamp((255, 252, 235), label) if night else canvas.ink((238, 238, 230), label)
        canvas.fill(patch(face, 0.03, 0.22, 0.5, 0.82), white)
        canvas.fill(patch(face, 0.78, 0.97, 0.5, 0.82), white)
        canvas.fill(patch(face, 0.38, 0.62, 0.14, 0.32), canvas.ink((225, 222, 205), label))
        halo(canvas, face, (150, 145, 120), 1.0)


def halo(canvas: Canvas, face: Face, color: Color, size: float) -> None:
    """The glow of two lamps at night."""
    if canvas.light.night:
        reach = abs(face[1][0] - face[0][0])
        for s in (0.1, 0.9):
            (x, y), _, _, _ = patch(face, s, s, 0.66, 0.66)
            canvas.glow(x, y, reach * size, color)


def wheels(canvas: Canvas, pose: Pose, axles: tuple[float, ...], v: float, radius: float, label: int) -> None:
    """Wheels on one side of a vehicle, an axle each; rims where they are large enough to be seen."""
    tall = radius * canvas.scale(pose.z)
    corners = 12 if tall > 8 else 8
    for u in axles:
        for part, color in ((1.0, _TYRE), (0.55, _RIM)):
            if part < 1 and tall < 4:
                continue
            rim = [
                canvas.project(
                    *pose.place(
                        u + part * radius * cos(k * 2 * pi / corners),
                        v * 1.01,
                        radius + part * radius * sin(k * 2 * pi / corners),
                    )
                )
                for k in range(corners)
            ]
            canvas.fill(rim, canvas.ink(color, label))


def side_visible(canvas: Canvas, pose: Pose, v: float) -> bool:
    """Whether the side of a vehicle at v faces the camera."""
    x, _, z = pose.place(0, v, 0)
    normal = (cos(pose.heading) * v, -sin(pose.heading) * v)
    return x * normal[0] + z * normal[1] < 0


CARS = tuple(BODIES)
