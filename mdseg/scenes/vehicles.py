"""Cars, vans, lorries, buses, trams and whatever else has wheels and no saddle."""

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
_GLASS = (44, 54, 64)
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


_BODIES = {
    "sedan": _Body(4.5, 1.75, 0.92, 1.45, (-0.78, 0.42), (-0.45, 0.08), World.CAR),
    "hatchback": _Body(3.9, 1.7, 0.95, 1.52, (-0.98, 0.45), (-0.8, 0.08), World.CAR),
    "estate": _Body(4.6, 1.78, 0.95, 1.5, (-0.98, 0.4), (-0.86, 0.08), World.CAR),
    "suv": _Body(4.6, 1.9, 1.1, 1.8, (-0.97, 0.42), (-0.85, 0.12), World.CAR),
    "van": _Body(5.2, 1.98, 1.2, 2.35, (-0.99, 0.72), (-0.97, 0.45), World.VAN),
    "pickup": _Body(5.3, 1.9, 1.1, 1.8, (-0.15, 0.45), (-0.08, 0.2), World.PICKUP),
}


def car(canvas: Canvas, draws: Draws, x: float, z: float, heading: float, kind: str) -> None:
    """A passenger car or light van: sill, cabin with glass, wheels, lights, number plate."""
    body = _BODIES[kind]
    canvas.at(z)
    pose, color = Pose(x, z, heading), draws.choice(PAINTS)
    half, side, label = body.length / 2, body.width / 2, body.label
    _underside(canvas, pose, half, side, label)
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
    glass = canvas.ink(_GLASS, label, 1.0)
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
    _lights(canvas, lower, label)
    for name in ("left", "right"):
        if name in lower:
            _wheels(canvas, pose, (-0.62 * half, 0.62 * half), side if name == "right" else -side, 0.33, label)


def _underside(canvas: Canvas, pose: Pose, half: float, side: float, label: int, clear: float = 0.3) -> None:
    """The dark gap between body and ground belongs to the vehicle."""
    box(canvas, pose, 1.9 * half, 1.84 * side, 0.0, clear, (26, 26, 28), label)


def _lights(canvas: Canvas, faces: dict[str, Face], label: int) -> None:
    night = canvas.light.night
    if "rear" in faces:
        face = faces["rear"]
        canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.2), canvas.ink((48, 48, 50), label))
        red = canvas.lamp((235, 40, 30), label) if night else canvas.ink((190, 26, 24), label)
        canvas.fill(patch(face, 0.02, 0.18, 0.52, 0.9), red)
        canvas.fill(patch(face, 0.82, 0.98, 0.52, 0.9), red)
        canvas.fill(patch(face, 0.36, 0.64, 0.3, 0.5), canvas.ink((225, 222, 205), label))
        _halo(canvas, face, (120, 14, 8), 0.5)
    if "front" in faces:
        face = faces["front"]
        canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.18), canvas.ink((40, 40, 42), label))
        canvas.fill(patch(face, 0.26, 0.74, 0.35, 0.72), canvas.ink((34, 35, 38), label))
        white = canvas.lamp((255, 252, 235), label) if night else canvas.ink((238, 238, 230), label)
        canvas.fill(patch(face, 0.03, 0.22, 0.5, 0.82), white)
        canvas.fill(patch(face, 0.78, 0.97, 0.5, 0.82), white)
        canvas.fill(patch(face, 0.38, 0.62, 0.14, 0.32), canvas.ink((225, 222, 205), label))
        _halo(canvas, face, (150, 145, 120), 1.0)


def _halo(canvas: Canvas, face: Face, color: Color, size: float) -> None:
    if canvas.light.night:
        reach = abs(face[1][0] - face[0][0])
        for s in (0.1, 0.9):
            (x, y), _, _, _ = patch(face, s, s, 0.66, 0.66)
            canvas.glow(x, y, reach * size, color)


def _wheels(canvas: Canvas, pose: Pose, axles: tuple[float, ...], v: float, radius: float, label: int) -> None:
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


def truck(canvas: Canvas, draws: Draws, x: float, z: float, heading: float, decorated: bool = False) -> None:
    """A lorry with a box or open body behind its cab; ``decorated``: bright paint and stripes."""
    canvas.at(z)
    length, label = draws.uniform(6.5, 9.5), World.TRUCK
    pose, half, side = Pose(x, z, heading), length / 2, 1.22
    cargo = draws.choice(
        ((214, 214, 210), (236, 236, 232), (60, 84, 140), (150, 46, 40), (190, 150, 60), (70, 110, 80))
    )
    cab = (
        draws.choice(((230, 120, 30), (220, 180, 40), (170, 40, 40), (40, 90, 150)))
        if decorated
        else draws.choice(PAINTS)
    )
    _underside(canvas, pose, half, side, label, 0.9)
    tall = draws.uniform(2.7, 3.5)
    split = half - 2.2
    bodies = [
        (Ends(-half, split - 0.15, side, 0.9), Ends(-half, split - 0.15, side, tall), cargo, False),
        (Ends(split, half, side * 0.96, 0.5), Ends(split, half - 0.25, side * 0.94, min(tall, 2.7)), cab, True),
    ]
    if cos(heading) < 0:
        bodies.reverse()
    for low, high, color, is_cab in reversed(bodies):
        faces = frustum(canvas, pose, low, high, color, label)
        if is_cab:
            _cab(canvas, faces, label)
        else:
            _cargo(canvas, faces, color, label, decorated)
    for v in (-side, side):
        if _side_visible(canvas, pose, v):
            _wheels(canvas, pose, (-0.7 * half, -0.45 * half, 0.75 * half), v, 0.5, label)


def _side_visible(canvas: Canvas, pose: Pose, v: float) -> bool:
    x, _, z = pose.place(0, v, 0)
    normal = (cos(pose.heading) * v, -sin(pose.heading) * v)
    return x * normal[0] + z * normal[1] < 0


def _cab(canvas: Canvas, faces: dict[str, Face], label: int) -> None:
    glass = canvas.ink(_GLASS, label)
    if "front" in faces:
        canvas.fill(patch(faces["front"], 0.07, 0.93, 0.5, 0.9), glass)
        canvas.fill(patch(faces["front"], 0.2, 0.8, 0.16, 0.42), canvas.ink((38, 38, 40), label))
        _lights_low(canvas, faces["front"], label)
    for name in ("left", "right"):
        if name in faces:
            canvas.fill(patch(faces[name], 0.35, 0.9, 0.52, 0.88), glass)


def _lights_low(canvas: Canvas, face: Face, label: int) -> None:
    white = canvas.lamp((255, 250, 230), label) if canvas.light.night else canvas.ink((235, 235, 225), label)
    canvas.fill(patch(face, 0.03, 0.18, 0.08, 0.2), white)
    canvas.fill(patch(face, 0.82, 0.97, 0.08, 0.2), white)
    _halo(canvas, face, (140, 135, 110), 0.7)


def _cargo(canvas: Canvas, faces: dict[str, Face], color: Color, label: int, decorated: bool) -> None:
    dark = tuple(part * 0.8 for part in color)
    if "rear" in faces:
        face = faces["rear"]
        canvas.fill(patch(face, 0.485, 0.515, 0.05, 0.97), canvas.ink(dark, label))
        canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.06), canvas.ink((50, 50, 52), label))
        red = canvas.lamp((235, 40, 30), label) if canvas.light.night else canvas.ink((180, 30, 26), label)
        canvas.fill(patch(face, 0.02, 0.14, 0.02, 0.1), red)
        canvas.fill(patch(face, 0.86, 0.98, 0.02, 0.1), red)
        if decorated:
            for low, stripe in ((0.2, (240, 200, 40)), (0.42, (40, 130, 80)), (0.64, (200, 60, 50))):
                canvas.fill(patch(face, 0.06, 0.94, low, low + 0.14), canvas.ink(stripe, label))
    for name in ("left", "right"):
        if name in faces:
            shade = canvas.light.shade(1 if name == "right" else -1, 0)
            for start in (0.25, 0.5, 0.75):
                canvas.fill(patch(faces[name], start, start + 0.012, 0.03, 0.97), canvas.ink(dark, label, shade))


def bus(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A city bus: a long box with a band of windows, a lit line number, doors."""
    color = draws.choice(
        ((196, 40, 40), (230, 200, 60), (236, 236, 230), (60, 110, 160), (70, 130, 90), (210, 120, 50))
    )
    _carriage(canvas, Pose(x, z, heading), draws.uniform(9.5, 12), 1.27, 3.1, color, World.BUS)


def tram(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A tram on rails: two long carriages with a pantograph."""
    color = draws.choice(((235, 225, 200), (210, 60, 50), (70, 130, 150), (240, 240, 240)))
    step = 7.2 if cos(heading) > 0 else -7.2
    for offset in (step, -step):
        pose = Pose(x + offset * sin(heading), z + offset * cos(heading), heading)
        _carriage(canvas, pose, 14, 1.3, 3.5, color, World.TRAIN)
    x0, y0 = canvas.project(x, 3.5, z)
    reach = canvas.scale(z)
    canvas.line((x0, y0), (x0 + 0.6 * reach, y0 - 0.5 * reach), canvas.ink((60, 60, 62), World.TRAIN), 0.08 * reach)


def _carriage(canvas: Canvas, pose: Pose, length: float, side: float, tall: float, color: Color, label: World) -> None:
    canvas.at(pose.z)
    _underside(canvas, pose, length / 2, side, label, 0.4)
    faces = box(canvas, pose, length, 2 * side, 0.35, tall, color, label, roof=(190, 190, 190))
    glass = canvas.ink(_GLASS, label) if not canvas.light.night else canvas.lamp((225, 205, 150), label)
    for name, face in faces.items():
        if name in ("left", "right"):
            panes = int(length / 1.6)
            for pane in range(panes):
                canvas.fill(patch(face, (pane + 0.1) / panes, (pane + 0.92) / panes, 0.42, 0.82), glass)
            canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.12), canvas.ink(tuple(part * 0.55 for part in color), label))
        elif name != "top":
            canvas.fill(patch(face, 0.08, 0.92, 0.38 if name == "front" else 0.5, 0.8), glass)
            canvas.fill(patch(face, 0.25, 0.75, 0.85, 0.96), canvas.ink((30, 30, 32), label))
            canvas.fill(patch(face, 0.32, 0.68, 0.87, 0.94), canvas.lamp((240, 170, 40), label))
            lights = (200, 30, 26) if name == "rear" else (240, 238, 225)
            canvas.fill(patch(face, 0.04, 0.16, 0.12, 0.2), canvas.ink(lights, label))
            canvas.fill(patch(face, 0.84, 0.96, 0.12, 0.2), canvas.ink(lights, label))
            _halo(canvas, face, (120, 14, 8) if name == "rear" else (140, 135, 110), 0.6)
    if label != World.TRAIN:
        for v in (-side, side):
            if _side_visible(canvas, pose, v):
                _wheels(canvas, pose, (-0.3 * length, 0.32 * length), v, 0.48, label)


def caravan(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A white camping trailer with one window and a stripe."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.CARAVAN
    _underside(canvas, pose, 2.2, 1.0, label, 0.4)
    faces = frustum(canvas, pose, Ends(-2.3, 2.1, 1.1, 0.4), Ends(-2.1, 1.8, 1.05, 2.5), (238, 236, 228), label)
    stripe = canvas.ink(draws.choice(((150, 60, 50), (60, 90, 140), (120, 110, 90))), label)
    for name, face in faces.items():
        if name != "top":
            canvas.fill(patch(face, 0.0, 1.0, 0.3, 0.38), stripe)
            canvas.fill(patch(face, 0.2, 0.8, 0.52, 0.8), canvas.ink(_GLASS, label))
    for v in (-1.1, 1.1):
        if _side_visible(canvas, pose, v):
            _wheels(canvas, pose, (-0.2,), v, 0.33, label)


def trailer(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A low open trailer with a load."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.TRAILER
    _underside(canvas, pose, 1.5, 0.9, label, 0.45)
    box(canvas, pose, 2.9, 1.7, 0.45, 0.95, (92, 98, 104), label)
    box(
        canvas,
        pose,
        2.5,
        1.4,
        0.95,
        draws.uniform(1.1, 1.7),
        draws.choice(((60, 96, 130), (120, 92, 60), (70, 110, 60))),
        label,
    )
    for v in (-0.9, 0.9):
        if _side_visible(canvas, pose, v):
            _wheels(canvas, pose, (0.0,), v, 0.34, label)


def autorickshaw(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """Three wheels, green or black body, yellow canopy, open sides."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.AUTORICKSHAW
    body = draws.choice(((34, 92, 50), (30, 30, 32), (40, 110, 70), (36, 70, 44)))
    hood = draws.choice(((226, 186, 44), (236, 200, 70), (214, 170, 40)))
    _underside(canvas, pose, 1.25, 0.6, label, 0.3)
    lower = frustum(canvas, pose, Ends(-1.3, 1.3, 0.66, 0.28), Ends(-1.3, 0.95, 0.64, 0.95), body, label)
    upper = frustum(canvas, pose, Ends(-1.3, 0.85, 0.64, 0.95), Ends(-1.2, 0.5, 0.58, 1.75), hood, label)
    for name, face in upper.items():
        if name in ("left", "right"):
            canvas.fill(patch(face, 0.14, 0.92, 0.0, 0.74), canvas.ink((38, 36, 34), label))
        elif name == "front":
            canvas.fill(patch(face, 0.08, 0.92, 0.06, 0.72), canvas.ink(_GLASS, label))
        elif name == "rear":
            canvas.fill(patch(face, 0.22, 0.78, 0.35, 0.7), canvas.ink((54, 50, 44), label))
    _lights(canvas, {"rear": lower["rear"]} if "rear" in lower else {}, label)
    if "front" in lower:
        x0, y0 = patch(lower["front"], 0.5, 0.5, 0.55, 0.55)[0]
        canvas.disc(x0, y0, 0.13 * canvas.scale(z), canvas.ink((240, 238, 220), label))
    for v in (-0.62, 0.62):
        if _side_visible(canvas, pose, v):
            _wheels(canvas, pose, (-0.85,), v, 0.26, label)


def tractor(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """Tractor or digger: engine, glazed cabin, two very different wheels."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.OTHER_VEHICLE
    color = draws.choice(((212, 150, 30), (170, 36, 32), (50, 110, 50), (230, 170, 40)))
    _underside(canvas, pose, 1.5, 0.7, label, 0.6)
    box(canvas, Pose(x + 0.7 * sin(heading), z + 0.7 * cos(heading), heading), 1.9, 0.9, 0.6, 1.4, color, label)
    cabin = box(canvas, Pose(x - 0.7 * sin(heading), z - 0.7 * cos(heading), heading), 1.4, 1.3, 0.7, 2.5, color, label)
    for name, face in cabin.items():
        if name != "top":
            canvas.fill(patch(face, 0.1, 0.9, 0.4, 0.92), canvas.ink(_GLASS, label))
    for v in (-0.85, 0.85):
        if _side_visible(canvas, pose, v) or abs(sin(heading)) < 0.3:
            _wheels(canvas, pose, (-0.8,), v, 0.78, label)
            _wheels(canvas, pose, (1.1,), v, 0.45, label)


def boat(canvas: Canvas, draws: Draws, x: float, z: float) -> None:
    """A small motor boat or barge on the water, seen from the side."""
    canvas.at(z)
    m, (x0, y0) = canvas.scale(z), canvas.project(x, 0, z)
    hull = canvas.ink(draws.choice(((240, 240, 236), (60, 80, 110), (150, 60, 46))), World.BOAT)
    length = draws.uniform(4, 7)
    canvas.fill(
        [
            (x0 - length / 2 * m, y0 - 1.1 * m),
            (x0 + length / 2 * m, y0 - 1.1 * m),
            (x0 + length * 0.4 * m, y0),
            (x0 - length * 0.42 * m, y0),
        ],
        hull,
    )
    canvas.rect(x0 - 1.2 * m, y0 - 2.2 * m, x0 + 0.9 * m, y0 - 1.1 * m, canvas.ink((225, 222, 214), World.BOAT))
    canvas.rect(x0 - 0.9 * m, y0 - 1.9 * m, x0 + 0.6 * m, y0 - 1.5 * m, canvas.ink(_GLASS, World.BOAT))


def shadow_of(kind: str) -> tuple[float, float]:
    """Length and width of a vehicle's shadow on the ground, metres."""
    if kind in _BODIES:
        return _BODIES[kind].length, _BODIES[kind].width
    return {"truck": (8, 2.4), "bus": (11, 2.5), "tram": (28, 2.6), "autorickshaw": (2.6, 1.3)}.get(kind, (3.6, 1.8))


CARS = tuple(_BODIES)
