"""The classes of rooms, finer than SUN RGB-D's, and the name that its annotators give them."""

from enum import IntEnum
from typing import NamedTuple


class IndoorClass(NamedTuple):
    """One class of rooms; None means that it is none of SUN RGB-D's 37."""

    name: str
    color: tuple[int, int, int]
    sunrgbd: str | None


INDOOR = (
    IndoorClass("unlabeled", (0, 0, 0), None),
    IndoorClass("wall", (174, 199, 232), "wall"),
    IndoorClass("floor", (152, 223, 138), "floor"),
    IndoorClass("ceiling", (78, 71, 183), "ceiling"),
    IndoorClass("skirting", (120, 150, 190), "wall"),
    IndoorClass("window", (197, 176, 213), "window"),
    IndoorClass("door", (214, 39, 40), "door"),
    IndoorClass("curtain", (219, 219, 141), "curtain"),
    IndoorClass("blinds", (178, 127, 135), "blinds"),
    IndoorClass("picture", (196, 156, 148), "picture"),
    IndoorClass("mirror", (120, 185, 128), "mirror"),
    IndoorClass("whiteboard", (96, 207, 209), "whiteboard"),
    IndoorClass("cabinet", (31, 119, 180), "cabinet"),
    IndoorClass("wardrobe", (20, 90, 140), "cabinet"),
    IndoorClass("bookshelf", (148, 103, 189), "bookshelf"),
    IndoorClass("shelves", (100, 125, 154), "shelves"),
    IndoorClass("dresser", (100, 85, 144), "dresser"),
    IndoorClass("night stand", (110, 128, 143), "night_stand"),
    IndoorClass("bed", (255, 187, 120), "bed"),
    IndoorClass("pillow", (51, 176, 203), "pillow"),
    IndoorClass("chair", (188, 189, 34), "chair"),
    IndoorClass("sofa", (140, 86, 75), "sofa"),
    IndoorClass("table", (255, 152, 150), "table"),
    IndoorClass("desk", (247, 182, 210), "desk"),
    IndoorClass("counter", (23, 190, 207), "counter"),
    IndoorClass("sink", (213, 92, 176), "sink"),
    IndoorClass("fridge", (255, 127, 14), "fridge"),
    IndoorClass("toilet", (158, 218, 229), "toilet"),
    IndoorClass("bathtub", (44, 160, 44), "bathtub"),
    IndoorClass("shower curtain", (112, 128, 144), "shower_curtain"),
    IndoorClass("towel", (227, 119, 194), "towel"),
    IndoorClass("floor mat", (150, 53, 56), "floor_mat"),
    IndoorClass("lamp", (82, 84, 163), "lamp"),
    IndoorClass("tv", (202, 185, 52), "tv"),
    IndoorClass("books", (90, 119, 201), "books"),
    IndoorClass("paper", (236, 236, 200), "paper"),
    IndoorClass("box", (66, 188, 102), "box"),
    IndoorClass("bag", (172, 114, 82), "bag"),
    IndoorClass("clothes", (227, 80, 80), "clothes"),
    IndoorClass("person", (220, 20, 60), "person"),
    IndoorClass("monitor", (60, 60, 90), None),
    IndoorClass("plant", (70, 140, 40), None),
    IndoorClass("bin", (110, 110, 60), None),
    IndoorClass("appliance", (150, 150, 160), None),
    IndoorClass("small thing", (200, 150, 60), None),
    IndoorClass("radiator", (230, 230, 240), None),
)
# The rows' names and order once more, written out: only so a type checker finds a misspelt member.
Indoor = IntEnum("Indoor", [
    "UNLABELED", "WALL", "FLOOR", "CEILING", "SKIRTING", "WINDOW", "DOOR", "CURTAIN", "BLINDS", "PICTURE", "MIRROR",
    "WHITEBOARD", "CABINET", "WARDROBE", "BOOKSHELF", "SHELVES", "DRESSER", "NIGHT_STAND", "BED", "PILLOW", "CHAIR",
    "SOFA", "TABLE", "DESK", "COUNTER", "SINK", "FRIDGE", "TOILET", "BATHTUB", "SHOWER_CURTAIN", "TOWEL", "FLOOR_MAT",
    "LAMP", "TV", "BOOKS", "PAPER", "BOX", "BAG", "CLOTHES", "PERSON", "MONITOR", "PLANT", "BIN", "APPLIANCE",
    "SMALL_THING", "RADIATOR",
], start=0)  # fmt: skip
