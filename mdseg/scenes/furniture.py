"""What stands on a pavement: bins, boxes, booths, benches, racks, cones."""

from mdseg.scenes.canvas import Canvas, toned
from mdseg.scenes.draws import Draws
from mdseg.scenes.people import Figure
from mdseg.scenes.solids import Ends, Pose, box, frustum, patch
from mdseg.scenes.world import World


def trash_can(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A litter bin or a wheeled bin."""
    canvas.at(z)
    color = draws.choice(((60, 66, 60), (44, 84, 56), (220, 130, 40), (70, 80, 96), (50, 60, 110)))
    pose, label = Pose(x, z, 0.3, base), World.TRASH_CAN
    wide = draws.uniform(0.5, 0.8)
    faces = frustum(
        canvas,
        pose,
        Ends(-wide / 2, wide / 2, wide * 0.42, 0.05),
        Ends(-wide * 0.56, wide * 0.56, wide * 0.5, 1.0),
        color,
        label,
    )
    frustum(
        canvas,
        pose,
        Ends(-wide * 0.6, wide * 0.6, wide * 0.54, 1.0),
        Ends(-wide * 0.5, wide * 0.5, wide * 0.4, 1.14),
        toned(color, 0.6),
        label,
    )
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.25, 0.75, 0.55, 0.8), canvas.ink((214, 214, 208), label))


def mailbox(canvas: Canvas, draws: Draws, x: float, z: float, base: float, american: bool) -> None:
    """A letter box: yellow on a foot, or blue with a round top."""
    canvas.at(z)
    color = (36, 62, 130) if american else draws.choice(((238, 198, 30), (200, 30, 36)))
    pose, label = Pose(x, z, 0.25, base), World.MAILBOX
    if not american:
        box(canvas, pose, 0.2, 0.2, 0.0, 0.7, (70, 70, 72), label)
    faces = box(canvas, pose, 0.5, 0.6, 0.2 if american else 0.6, 1.35, color, label)
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.15, 0.85, 0.72, 0.82), canvas.ink((24, 24, 26), label))
        canvas.fill(patch(faces["rear"], 0.35, 0.65, 0.3, 0.55), canvas.ink((236, 236, 230), label))


def phone_booth(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A glazed booth with a coloured frame."""
    canvas.at(z)
    color, label = draws.choice(((190, 26, 32), (200, 40, 120), (90, 94, 96))), World.PHONE_BOOTH
    faces = box(canvas, Pose(x, z, 0.2, base), 1.0, 1.0, 0.0, 2.4, color, label)
    for name, face in faces.items():
        if name != "top":
            for column in (0.12, 0.54):
                for row in (0.16, 0.38, 0.6):
                    canvas.fill(patch(face, column, column + 0.34, row, row + 0.19), canvas.ink((150, 170, 176), label))


def junction_box(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A grey or green switch cabinet."""
    canvas.at(z)
    color, label = draws.choice(((142, 146, 140), (110, 124, 108), (160, 158, 146))), World.JUNCTION_BOX
    faces = box(
        canvas, Pose(x, z, 0.15, base), 0.6, draws.uniform(0.8, 1.4), 0.0, draws.uniform(1.1, 1.5), color, label
    )
    if "rear" in faces:
        canvas.fill(patch(faces["rear"], 0.49, 0.52, 0.05, 0.95), canvas.ink((80, 82, 80), label))
        canvas.fill(patch(faces["rear"], 0.0, 1.0, 0.0, 0.08), canvas.ink((90, 90, 88), label))


def fire_hydrant(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A short hydrant with a cap and two nozzles."""
    figure, label = Figure(canvas, x, z, base), World.FIRE_HYDRANT
    color = draws.choice(((200, 40, 34), (236, 190, 40), (200, 60, 50)))
    figure.limb(((0, 0), (0, 0.7)), color, label, 0.3)
    figure.limb(((-0.26, 0.5), (0.26, 0.5)), toned(color, 0.8), label, 0.16)
    figure.disc(0, 0.74, 0.17, color, label)
    figure.limb(((-0.2, 0.06), (0.2, 0.06)), toned(color, 0.7), label, 0.12)


def bench(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A wooden bench with back rest."""
    figure, label = Figure(canvas, x, z, base), World.BENCH
    wood = draws.choice(((130, 90, 56), (110, 76, 52), (70, 96, 70)))
    for leg in (-0.75, 0.75):
        figure.limb(((leg, 0.0), (leg, 0.85)), (46, 46, 48), label, 0.1)
    for h, thick in ((0.45, 0.16), (0.64, 0.1), (0.82, 0.12)):
        figure.limb(((-0.9, h), (0.9, h)), wood, label, thick)


def bike_rack(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """Steel hoops in a row."""
    figure = Figure(canvas, x, z, base)
    for hoop in (-0.9, -0.3, 0.3, 0.9):
        figure.limb(
            ((hoop - 0.2, 0), (hoop - 0.2, 0.72), (hoop + 0.2, 0.72), (hoop + 0.2, 0)),
            (150, 156, 160),
            World.BIKE_RACK,
            max(0.07, 1.6 / figure.metre),
        )


def cone(canvas: Canvas, x: float, z: float) -> None:
    """An orange cone with a white band."""
    figure, label = Figure(canvas, x, z), World.TRAFFIC_CONE
    figure.shape(((-0.28, 0), (0.28, 0), (0.28, 0.06), (-0.28, 0.06)), (200, 80, 20), label)
    figure.shape(((-0.2, 0.05), (0.2, 0.05), (0.04, 0.75), (-0.04, 0.75)), (240, 96, 26), label)
    figure.shape(((-0.13, 0.32), (0.13, 0.32), (0.09, 0.5), (-0.09, 0.5)), (240, 240, 236), label)


def obstacle(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A planter, a heap of stones or a stall: static things without a class of their own."""
    canvas.at(z)
    color = draws.choice(((150, 144, 132), (130, 96, 70), (110, 110, 114)))
    wide = draws.uniform(0.8, 1.6)
    box(
        canvas,
        Pose(x, z, draws.uniform(-0.4, 0.4), base),
        wide,
        wide,
        0,
        draws.uniform(0.5, 0.9),
        color,
        World.OBSTACLE,
    )


def luggage(canvas: Canvas, draws: Draws, x: float, z: float, base: float) -> None:
    """A suitcase or a bag left standing."""
    canvas.at(z)
    color = draws.choice(((40, 44, 70), (150, 40, 44), (60, 60, 62), (90, 120, 60)))
    box(canvas, Pose(x, z, 0.4, base), 0.3, 0.55, 0.05, 0.75, color, World.LUGGAGE)
    Figure(canvas, x, z, base).limb(
        ((-0.12, 0.74), (-0.12, 0.95), (0.12, 0.95), (0.12, 0.74)), (30, 30, 32), World.LUGGAGE, 0.06
    )
