"""Kinds of rooms: how large they are and what furnishes them."""

from collections.abc import Callable
from typing import NamedTuple

from mdseg.scenes.room import Room
from mdseg.scenes.room_homes import bathroom, bedroom, dining, kitchen, living
from mdseg.scenes.room_public import classroom, corridor, library, meeting, office, shop, storage


class Kind(NamedTuple):
    """Ranges of a room's width and depth in metres, and what furnishes it."""

    furnish: Callable[[Room], None]
    width: tuple[float, float]
    depth: tuple[float, float]
    office: bool = False  # a ceiling of tiles with strip lights


KINDS = {
    "bedroom": Kind(bedroom, (3.0, 4.6), (3.4, 5.0)),
    "living": Kind(living, (3.8, 6.0), (4.0, 6.0)),
    "dining": Kind(dining, (3.4, 5.0), (4.0, 6.0)),
    "office": Kind(office, (3.0, 6.0), (3.6, 6.0), office=True),
    "meeting": Kind(meeting, (4.0, 6.0), (5.0, 7.5), office=True),
    "classroom": Kind(classroom, (5.5, 8.0), (6.0, 9.0), office=True),
    "kitchen": Kind(kitchen, (2.4, 4.0), (3.0, 4.5)),
    "bathroom": Kind(bathroom, (2.0, 3.0), (2.5, 3.7)),
    "library": Kind(library, (5.0, 8.0), (6.0, 9.0), office=True),
    "storage": Kind(storage, (2.6, 4.2), (3.0, 5.0)),
    "shop": Kind(shop, (6.0, 9.0), (6.0, 9.0), office=True),
    "corridor": Kind(corridor, (1.8, 2.6), (6.0, 11.0), office=True),
}
