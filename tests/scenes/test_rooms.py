"""Rooms: each kind has what it is known by, and a camera sees things the right way round."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from mdseg.scenes import DATASETS, scene
from mdseg.scenes.canvas import Camera, Canvas, Light
from mdseg.scenes.indoor import INDOOR, Indoor
from mdseg.scenes.room_kinds import KINDS
from mdseg.scenes.view import Place, RoomView

INTERIOR = DATASETS["sunrgbd"].domain
KNOWN_BY = {
    "bedroom": (Indoor.BED, Indoor.PILLOW), "living": (Indoor.SOFA,), "dining": (Indoor.TABLE, Indoor.CHAIR),
    "office": (Indoor.DESK, Indoor.MONITOR), "meeting": (Indoor.TABLE, Indoor.CHAIR),
    "classroom": (Indoor.WHITEBOARD, Indoor.CHAIR), "kitchen": (Indoor.COUNTER, Indoor.CABINET),
    "bathroom": (Indoor.TOILET, Indoor.SINK), "library": (Indoor.BOOKSHELF, Indoor.BOOKS),
    "storage": (Indoor.SHELVES, Indoor.BOX), "shop": (Indoor.SOFA, Indoor.CABINET), "corridor": (Indoor.DOOR,),
}  # fmt: skip


def classes(kind, number=12):
    """The classes in each of some rooms of a kind."""
    only = replace(INTERIOR, kinds={kind: 1.0})
    return [set(np.unique(scene(only, "train", index, 64)[1]).tolist()) for index in range(number)]


def looking(yaw=0.0, pitch=0.0):
    """A camera at (2, 1.5, 0) of a canvas of 100 x 200."""
    canvas = Canvas(50, 100, Camera(100, 100, 50, 0.0), Light(haze=(0, 0, 0), density=0.0))
    return RoomView(canvas, (2.0, 1.5, 0.0), yaw, pitch, (0.0, 0.3))


def test_every_kind_has_what_it_is_known_by():
    assert KNOWN_BY.keys() == KINDS.keys() == INTERIOR.kinds.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_most_rooms_of_a_kind_show_what_it_is_known_by(kind):
    found = classes(kind)
    for label in KNOWN_BY[kind]:
        assert sum(label in room for room in found) >= 4, label.name


def test_every_class_occurs_in_a_few_hundred_rooms():
    found = set()
    for index in range(250):
        found |= set(np.unique(scene("sunrgbd", "train", index, 48)[1]).tolist())
    assert found == set(Indoor)


def test_nearly_all_of_a_room_is_labelled():
    shares = [(scene("sunrgbd", "train", index, 48)[1] == Indoor.UNLABELED).mean() for index in range(30)]
    assert np.mean(shares) < 0.02


def test_the_ceiling_is_above_the_floor():
    for index in range(40):
        _, world = scene("sunrgbd", "train", index, 48)
        rows = np.arange(world.shape[0])[:, None] * np.ones_like(world)
        if (world == Indoor.CEILING).any() and (world == Indoor.FLOOR).any():
            assert rows[world == Indoor.CEILING].mean() < rows[world == Indoor.FLOOR].mean()


def test_the_four_sensors_differ_in_size():
    sizes = {scene("sunrgbd", "train", index, 441)[1].shape for index in range(10)}
    assert sizes <= {(427, 561), (530, 730), (531, 681), (441, 591)}
    assert len(sizes) > 2


def test_indoor_members_are_the_rows_of_the_table_in_their_order():
    assert [member.name for member in Indoor] == [row.name.replace(" ", "_").upper() for row in INDOOR]
    assert len({row.color for row in INDOOR}) == len(INDOOR)


def test_a_point_straight_ahead_is_in_the_middle():
    assert looking().point((2.0, 1.5, 4.0)) == pytest.approx((100, 50, 25))
    assert looking(yaw=pi / 2).point((6.0, 1.5, 0.0)) == pytest.approx((100, 50, 25))
    assert looking().point((2.0, 1.5, -1.0)) is None


def test_who_looks_down_sees_what_is_ahead_higher_up():
    _, row, _ = looking(pitch=0.2).point((2.0, 1.5, 4.0))
    assert row < 50


def test_a_face_that_reaches_behind_the_camera_is_cut():
    view = looking()
    view.face(((0, 0, -2), (4, 0, -2), (4, 0, 5), (0, 0, 5)), (9, 9, 9), Indoor.FLOOR)
    assert view.canvas.pixels[-1, 100, 3] == Indoor.FLOOR
    assert not view.canvas.pixels[50, :, 3].any()
    view.face(((0, 0, -2), (4, 0, -2), (4, 0, -1), (0, 0, -1)), (9, 9, 9), Indoor.BED)
    assert not (view.canvas.pixels[..., 3] == Indoor.BED).any()


def test_a_place_and_its_own_coordinates_are_inverse():
    place = Place(1.0, 2.0, 0.7)
    x, _, z = place.at(0.4, 0.0, -0.3)
    assert place.own(x, z) == pytest.approx((0.4, -0.3))


def test_a_front_is_not_seen_from_behind():
    view = looking()
    view.upright(Place(3.0, 3.0, 0.0), (0, 2), (0, 2), 0.0, (9, 9, 9), Indoor.DOOR)  # faces away from the camera
    assert not view.canvas.pixels[..., 3].any()
    view.upright(Place(1.0, 3.0, pi), (0, 2), (0, 2), 0.0, (9, 9, 9), Indoor.DOOR)
    assert (view.canvas.pixels[..., 3] == Indoor.DOOR).any()
