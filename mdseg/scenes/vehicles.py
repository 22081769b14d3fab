"""Lorries, buses, trams, trailers, autorickshaws, tractors and boats."""

from math import cos, sin

from mdseg.scenes.canvas import Canvas, Color, toned
from mdseg.scenes.cars import BODIES, GLASS, PAINTS, halo, lights, side_visible, underside, wheels
from mdseg.scenes.draws import Draws
from mdseg.scenes.solids import Ends, Face, Pose, box, frustum, patch
from mdseg.scenes.world import World


def truck(canvas: Canvas, draws: Draws, x: float, z: float, heading: float, decorated: bool = False) -> None:
    """A lorry with a box or open body behind its cab; `decorated`: bright paint and stripes."""
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
    underside(canvas, pose, half, side, label, 0.9)
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
        if side_visible(canvas, pose, v):
            wheels(canvas, pose, (-0.7 * half, -0.45 * half, 0.75 * half), v, 0.5, label)


def _cab(canvas: Canvas, faces: dict[str, Face], label: int) -> None:
    glass = canvas.ink(GLASS, label)
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
    halo(canvas, face, (140, 135, 110), 0.7)


def _cargo(canvas: Canvas, faces: dict[str, Face], color: Color, label: int, decorated: bool) -> None:
    dark = toned(color, 0.8)
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
    underside(canvas, pose, length / 2, side, label, 0.4)
    faces = box(canvas, pose, length, 2 * side, 0.35, tall, color, label, roof=(190, 190, 190))
    glass = canvas.ink(GLASS, label) if not canvas.light.night else canvas.lamp((225, 205, 150), label)
    for name, face in faces.items():
        if name in ("left", "right"):
            panes = int(length / 1.6)
            for pane in range(panes):
                canvas.fill(patch(face, (pane + 0.1) / panes, (pane + 0.92) / panes, 0.42, 0.82), glass)
            canvas.fill(patch(face, 0.0, 1.0, 0.0, 0.12), canvas.ink(toned(color, 0.55), label))
        elif name != "top":
            canvas.fill(patch(face, 0.08, 0.92, 0.38 if name == "front" else 0.5, 0.8), glass)
            canvas.fill(patch(face, 0.25, 0.75, 0.85, 0.96), canvas.ink((30, 30, 32), label))
            canvas.fill(patch(face, 0.32, 0.68, 0.87, 0.94), canvas.lamp((240, 170, 40), label))
            lights = (200, 30, 26) if name == "rear" else (240, 238, 225)
            canvas.fill(patch(face, 0.04, 0.16, 0.12, 0.2), canvas.ink(lights, label))
            canvas.fill(patch(face, 0.84, 0.96, 0.12, 0.2), canvas.ink(lights, label))
            halo(canvas, face, (120, 14, 8) if name == "rear" else (140, 135, 110), 0.6)
    if label != World.TRAIN:
        for v in (-side, side):
            if side_visible(canvas, pose, v):
                wheels(canvas, pose, (-0.3 * length, 0.32 * length), v, 0.48, label)


def caravan(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A white camping trailer with one window and a stripe."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.CARAVAN
    underside(canvas, pose, 2.2, 1.0, label, 0.4)
    faces = frustum(canvas, pose, Ends(-2.3, 2.1, 1.1, 0.4), Ends(-2.1, 1.8, 1.05, 2.5), (238, 236, 228), label)
    stripe = canvas.ink(draws.choice(((150, 60, 50), (60, 90, 140), (120, 110, 90))), label)
    for name, face in faces.items():
        if name != "top":
            canvas.fill(patch(face, 0.0, 1.0, 0.3, 0.38), stripe)
            canvas.fill(patch(face, 0.2, 0.8, 0.52, 0.8), canvas.ink(GLASS, label))
    for v in (-1.1, 1.1):
        if side_visible(canvas, pose, v):
            wheels(canvas, pose, (-0.2,), v, 0.33, label)


def trailer(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """A low open trailer with a load."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.TRAILER
    underside(canvas, pose, 1.5, 0.9, label, 0.45)
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
        if side_visible(canvas, pose, v):
            wheels(canvas, pose, (0.0,), v, 0.34, label)


def autorickshaw(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """Three wheels, green or black body, yellow canopy, open sides."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.AUTORICKSHAW
    body = draws.choice(((34, 92, 50), (30, 30, 32), (40, 110, 70), (36, 70, 44)))
    hood = draws.choice(((226, 186, 44), (236, 200, 70), (214, 170, 40)))
    underside(canvas, pose, 1.25, 0.6, label, 0.3)
    lower = frustum(canvas, pose, Ends(-1.3, 1.3, 0.66, 0.28), Ends(-1.3, 0.95, 0.64, 0.95), body, label)
    upper = frustum(canvas, pose, Ends(-1.3, 0.85, 0.64, 0.95), Ends(-1.2, 0.5, 0.58, 1.75), hood, label)
    for name, face in upper.items():
        if name in ("left", "right"):
            canvas.fill(patch(face, 0.14, 0.92, 0.0, 0.74), canvas.ink((38, 36, 34), label))
        elif name == "front":
            canvas.fill(patch(face, 0.08, 0.92, 0.06, 0.72), canvas.ink(GLASS, label))
        elif name == "rear":
            canvas.fill(patch(face, 0.22, 0.78, 0.35, 0.7), canvas.ink((54, 50, 44), label))
    lights(canvas, {"rear": lower["rear"]} if "rear" in lower else {}, label)
    if "front" in lower:
        x0, y0 = patch(lower["front"], 0.5, 0.5, 0.55, 0.55)[0]
        canvas.disc(x0, y0, 0.13 * canvas.scale(z), canvas.ink((240, 238, 220), label))
    for v in (-0.62, 0.62):
        if side_visible(canvas, pose, v):
            wheels(canvas, pose, (-0.85,), v, 0.26, label)


def tractor(canvas: Canvas, draws: Draws, x: float, z: float, heading: float) -> None:
    """Tractor or digger: engine, glazed cabin, two very different wheels."""
    canvas.at(z)
    pose, label = Pose(x, z, heading), World.OTHER_VEHICLE
    color = draws.choice(((212, 150, 30), (170, 36, 32), (50, 110, 50), (230, 170, 40)))
    underside(canvas, pose, 1.5, 0.7, label, 0.6)
    box(canvas, Pose(x + 0.7 * sin(heading), z + 0.7 * cos(heading), heading), 1.9, 0.9, 0.6, 1.4, color, label)
    cabin = box(canvas, Pose(x - 0.7 * sin(heading), z - 0.7 * cos(heading), heading), 1.4, 1.3, 0.7, 2.5, color, label)
    for name, face in cabin.items():
        if name != "top":
            canvas.fill(patch(face, 0.1, 0.9, 0.4, 0.92), canvas.ink(GLASS, label))
    for v in (-0.85, 0.85):
        if side_visible(canvas, pose, v) or abs(sin(heading)) < 0.3:
            wheels(canvas, pose, (-0.8,), v, 0.78, label)
            wheels(canvas, pose, (1.1,), v, 0.45, label)


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
    canvas.rect(x0 - 0.9 * m, y0 - 1.9 * m, x0 + 0.6 * m, y0 - 1.5 * m, canvas.ink(GLASS, World.BOAT))


def shadow_of(kind: str) -> tuple[float, float]:
    """Length and width of a vehicle's shadow on the ground, metres."""
    if kind in BODIES:
        return BODIES[kind].length, BODIES[kind].width
    return {"truck": (8, 2.4), "bus": (11, 2.5), "tram": (28, 2.6), "autorickshaw": (2.6, 1.3)}.get(kind, (3.6, 1.8))
