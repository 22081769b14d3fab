"""People in rooms, who stand or sit."""

from mdseg.scenes.canvas import toned
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.people import CLOTH, HAIR, SKIN, TROUSERS, Figure, standing
from mdseg.scenes.room import Room
from mdseg.scenes.view import Place, Spot


class _Upright(Figure):
    """Drawing in metres around a canvas position, towards the camera."""

    def __init__(self, room: Room, found: tuple[float, float, float]) -> None:
        self.canvas, (self.x, self.y, self.metre) = room.view.canvas, found


def person(room: Room, place: Place, size: Spot) -> None:
    """Somebody who stands."""
    spot = place.at(size[0] / 2, 0, size[2] / 2)
    found = room.view.point(spot)
    if found:
        figure = _Upright(room, found)
        figure.metre *= room.draws.uniform(0.92, 1.05)
        standing(figure, room.draws, Indoor.PERSON)


def seated(room: Room, place: Place, seat: float) -> None:
    """Somebody on a chair or sofa whose knees are at the front; seen as from there."""
    draws, view = room.draws, room.view
    found = view.point(place.at(0, 0, 0.15))
    if not found:
        return
    figure = _Upright(room, found)
    top, trousers, skin, hair = draws.choice(CLOTH), draws.choice(TROUSERS), draws.choice(SKIN), draws.choice(HAIR)
    label = Indoor.PERSON
    thigh = [place.at(u, seat + 0.1, v) for u, v in ((-0.2, 0.0), (-0.2, 0.5), (0.2, 0.5), (0.2, 0.0))]
    for side in (-0.12, 0.12):
        knee, foot = place.at(side, seat + 0.08, 0.48), place.at(side, 0.04, 0.5)
        view.line(place.at(side, seat + 0.08, 0.02), knee, trousers, label, 0.16)
        view.line(knee, foot, toned(trousers, 0.85), label, 0.13)
        view.ball(foot, 0.07, (34, 30, 30), label)
    view.face(thigh, trousers, label)
    base = seat + 0.06
    torso = ((-0.2, 0), (0.2, 0), (0.24, 0.5), (0.12, 0.58), (-0.12, 0.58), (-0.24, 0.5))
    figure.shape(tuple((dx, base + h) for dx, h in torso), top, label)
    for side in (-1, 1):
        figure.limb(
            ((0.24 * side, base + 0.46), (0.28 * side, base + 0.22), (0.1 * side, base + 0.12)),
            toned(top, 0.82),
            label,
            0.1,
        )
        figure.disc(0.1 * side, base + 0.12, 0.05, skin, label)
    figure.limb(((0, base + 0.54), (0, base + 0.68)), skin, label, 0.1)
    figure.disc(0, base + 0.78, 0.12, hair, label)
    if place.own(view.position[0], view.position[2])[1] > 0:
        figure.disc(0.01, base + 0.75, 0.095, skin, label)
