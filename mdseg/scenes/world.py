"""The world's classes, finer than any dataset's, and how each dataset's annotators would name them."""

from enum import IntEnum
from typing import NamedTuple


class WorldClass(NamedTuple):
    """One world class and its name in each annotation policy; None means the policy leaves it unlabelled.

    Args:
        cityscapes, idd: names of the annotation tools' full lists, of which training keeps a part.
        wilddash2: the raw id of the WildDash 2 policy.
        labelmefacade: one of its eight classes; its annotators leave out windows that are too small in the picture to
            outline.
    """

    name: str
    color: tuple[int, int, int]
    cityscapes: str
    mapillary: str | None
    idd: str
    camvid32: str | None
    wilddash2: int
    labelmefacade: str | None = None


_OBSTACLE = "obs-str-bar-fallback"
WORLD = (
    # name, colour, Cityscapes, Mapillary, IDD, CamVid, WildDash 2, LabelMeFacade if it is one of its classes
    WorldClass("unlabeled", (0, 0, 0), "unlabeled", None, "unlabeled", None, 0),
    WorldClass("road", (128, 64, 128), "road", "road", "road", "Road", 7, "road"),
    WorldClass("lane marking", (255, 255, 255), "road", "lane marking - general", "road", "LaneMkgsDriv", 38, "road"),
    WorldClass(
        "zebra crossing", (200, 128, 128), "road", "lane marking - crosswalk", "road", "LaneMkgsNonDriv", 76, "road"
    ),
    WorldClass("plain crosswalk", (140, 140, 200), "road", "crosswalk - plain", "road", "Road", 75, "road"),
    WorldClass("bike lane", (128, 64, 255), "road", "bike lane", "road", "Road", 64, "road"),
    WorldClass("service lane", (110, 110, 110), "road", "service lane", "road", "Road", 79, "road"),
    WorldClass("parking strip", (250, 170, 160), "parking", "parking", "parking", "ParkingBlock", 9, "road"),
    WorldClass("unpaved shoulder", (181, 120, 81), "ground", "terrain", "drivable fallback", "RoadShoulder", 6),
    WorldClass("pothole", (70, 100, 150), "road", "pothole", "road", "Road", 43, "road"),
    WorldClass("manhole", (100, 128, 160), "road", "manhole", "road", "Road", 41, "road"),
    WorldClass("catch basin", (220, 128, 128), "road", "catch basin", "road", "Road", 74, "road"),
    WorldClass("curb", (196, 196, 196), "sidewalk", "curb", "curb", "Sidewalk", 52, "sidewalk"),
    WorldClass("curb cut", (170, 140, 200), "sidewalk", "curb cut", "sidewalk", "Sidewalk", 80, "sidewalk"),
    WorldClass("sidewalk", (244, 35, 232), "sidewalk", "sidewalk", "sidewalk", "Sidewalk", 8, "sidewalk"),
    WorldClass(
        "pedestrian area", (150, 60, 150), "sidewalk", "pedestrian area", "sidewalk", "Sidewalk", 70, "sidewalk"
    ),
    WorldClass(
        "terrain", (152, 251, 152), "terrain", "terrain", "non-drivable fallback", "VegetationMisc", 22, "vegetation"
    ),
    WorldClass("sand", (230, 160, 50), "ground", "sand", "non-drivable fallback", None, 69),
    WorldClass("snow", (190, 255, 255), "ground", "snow", "non-drivable fallback", None, 73),
    WorldClass("water", (0, 170, 130), "ground", "water", "non-drivable fallback", None, 68),
    WorldClass("rail track", (230, 150, 140), "rail track", "rail track", "rail track", None, 10),
    WorldClass("building", (70, 70, 70), "building", "building", "building", "Building", 11, "building"),
    WorldClass("archway", (110, 70, 50), "building", "building", "building", "Archway", 11, "building"),
    WorldClass("tunnel", (150, 120, 90), "tunnel", "tunnel", "tunnel", "Tunnel", 16),
    WorldClass("bridge", (150, 100, 100), "bridge", "bridge", "bridge", "Bridge", 15),
    WorldClass("wall", (102, 102, 156), "wall", "wall", "wall", "Wall", 12),
    WorldClass("fence", (190, 153, 153), "fence", "fence", "fence", "Fence", 13),
    WorldClass("guard rail", (180, 165, 180), "guard rail", "guard rail", "guard rail", "Fence", 14),
    WorldClass("barrier", (90, 120, 150), "static", "barrier", _OBSTACLE, "Fence", 56),
    WorldClass("vegetation", (107, 142, 35), "vegetation", "vegetation", "vegetation", "Tree", 21, "vegetation"),
    WorldClass("hedge", (70, 110, 20), "vegetation", "vegetation", "vegetation", "VegetationMisc", 21, "vegetation"),
    WorldClass("mountain", (64, 170, 64), "static", "mountain", "fallback background", None, 60),
    WorldClass("sky", (70, 130, 180), "sky", "sky", "sky", "Sky", 23, "sky"),
    WorldClass("pole", (153, 153, 153), "pole", "pole", "pole", "Column_Pole", 17),
    WorldClass("pole group", (133, 133, 143), "polegroup", "pole", "polegroup", "Column_Pole", 18),
    WorldClass("utility pole", (0, 0, 80), "pole", "utility pole", "pole", "Column_Pole", 46),
    WorldClass("street light", (210, 170, 100), "static", "street light", "pole", "Column_Pole", 37),
    WorldClass("traffic light", (250, 170, 30), "traffic light", "traffic light", "traffic light", "TrafficLight", 19),
    WorldClass("traffic sign", (220, 220, 0), "traffic sign", "traffic sign", "traffic sign", "SignSymbol", 20),
    WorldClass("sign back", (192, 192, 160), "static", "traffic sign (back)", _OBSTACLE, None, 54),
    WorldClass("sign frame", (128, 128, 100), "pole", "traffic sign frame", "pole", "Column_Pole", 45),
    WorldClass("billboard", (174, 64, 67), "static", "billboard", "billboard", "Misc_Text", 36),
    WorldClass("banner", (255, 255, 128), "static", "banner", "billboard", "Misc_Text", 66),
    WorldClass("car", (0, 0, 142), "car", "car", "car", "Car", 26, "car"),
    WorldClass("van", (0, 40, 120), "car", "car", "car", "SUVPickupTruck", 35),
    WorldClass("pickup", (40, 0, 100), "truck", "car", "car", "SUVPickupTruck", 34, "car"),
    WorldClass("caravan", (60, 60, 190), "caravan", "caravan", "caravan", "OtherMoving", 29),
    WorldClass("trailer", (0, 30, 90), "trailer", "trailer", "trailer", "OtherMoving", 30),
    WorldClass("truck", (0, 0, 70), "truck", "truck", "truck", "Truck_Bus", 27),
    WorldClass("bus", (0, 60, 100), "bus", "bus", "bus", "Truck_Bus", 28),
    WorldClass("train", (0, 80, 140), "train", "on rails", "train", "Train", 31),
    WorldClass("autorickshaw", (255, 204, 54), "dynamic", "other vehicle", "autorickshaw", "OtherMoving", 58),
    WorldClass("other vehicle", (128, 64, 64), "dynamic", "other vehicle", "vehicle fallback", "OtherMoving", 57),
    WorldClass("wheeled slow", (0, 0, 192), "dynamic", "wheeled slow", "vehicle fallback", "CartLuggagePram", 62),
    WorldClass("boat", (150, 0, 255), "dynamic", "boat", "vehicle fallback", "OtherMoving", 63),
    WorldClass("bicycle", (119, 11, 32), "bicycle", "bicycle", "bicycle", "Bicyclist", 33),
    WorldClass("motorcycle", (0, 0, 230), "motorcycle", "motorcycle", "motorcycle", "MotorcycleScooter", 32),
    WorldClass("bicyclist", (255, 60, 0), "rider", "bicyclist", "rider", "Bicyclist", 48),
    WorldClass("motorcyclist", (255, 0, 100), "rider", "motorcyclist", "rider", "MotorcycleScooter", 47),
    WorldClass("other rider", (255, 0, 200), "rider", "other rider", "rider", None, 49),
    WorldClass("person", (220, 20, 60), "person", "person", "person", "Pedestrian", 24),
    WorldClass("child", (220, 80, 110), "person", "person", "person", "Child", 24),
    WorldClass("ground animal", (0, 192, 0), "dynamic", "ground animal", "animal", "Animal", 51),
    WorldClass("bird", (165, 42, 42), "dynamic", "bird", "unlabeled", None, 50),
    WorldClass("bench", (250, 0, 30), "static", "bench", _OBSTACLE, None, 59),
    WorldClass("bike rack", (100, 140, 180), "static", "bike rack", _OBSTACLE, None, 44),
    WorldClass("trash can", (140, 140, 20), "static", "trash can", _OBSTACLE, None, 55),
    WorldClass("mailbox", (190, 140, 0), "static", "mailbox", _OBSTACLE, None, 40),
    WorldClass("phone booth", (142, 0, 0), "static", "phone booth", _OBSTACLE, None, 42),
    WorldClass("fire hydrant", (100, 170, 30), "static", "fire hydrant", _OBSTACLE, None, 71),
    WorldClass("junction box", (40, 80, 40), "static", "junction box", _OBSTACLE, None, 39),
    WorldClass("cctv camera", (222, 40, 40), "static", "cctv camera", _OBSTACLE, None, 72),
    WorldClass("traffic cone", (255, 120, 0), "static", None, _OBSTACLE, "TrafficCone", 4),
    WorldClass("obstacle", (169, 187, 214), "static", None, _OBSTACLE, None, 4),
    WorldClass("luggage", (111, 74, 0), "dynamic", None, _OBSTACLE, "CartLuggagePram", 5),
    WorldClass("ego vehicle", (120, 10, 10), "ego vehicle", "ego vehicle", "ego vehicle", None, 1),
    WorldClass("car mount", (52, 32, 32), "ego vehicle", "car mount", "ego vehicle", None, 67),
    WorldClass("image border", (30, 30, 60), "rectification border", None, "rectification border", None, 2),
    WorldClass("out of view", (50, 50, 50), "out of roi", None, "out of roi", None, 3),
    WorldClass("window", (60, 120, 220), "building", "building", "building", "Building", 11, "window"),
    WorldClass("small window", (40, 70, 120), "building", "building", "building", "Building", 11, "building"),
    WorldClass("door", (200, 140, 60), "building", "building", "building", "Building", 11, "door"),
)
WORLD_CLASSES = tuple(row.name for row in WORLD)
WORLD_COLORS = tuple(row.color for row in WORLD)
# The rows' names and order once more, written out: only so a type checker finds a misspelt member.
World = IntEnum("World", [
    "UNLABELED", "ROAD", "LANE_MARKING", "ZEBRA_CROSSING", "PLAIN_CROSSWALK", "BIKE_LANE", "SERVICE_LANE",
    "PARKING_STRIP", "UNPAVED_SHOULDER", "POTHOLE", "MANHOLE", "CATCH_BASIN", "CURB", "CURB_CUT", "SIDEWALK",
    "PEDESTRIAN_AREA", "TERRAIN", "SAND", "SNOW", "WATER", "RAIL_TRACK", "BUILDING", "ARCHWAY", "TUNNEL", "BRIDGE",
    "WALL", "FENCE", "GUARD_RAIL", "BARRIER", "VEGETATION", "HEDGE", "MOUNTAIN", "SKY", "POLE", "POLE_GROUP",
    "UTILITY_POLE", "STREET_LIGHT", "TRAFFIC_LIGHT", "TRAFFIC_SIGN", "SIGN_BACK", "SIGN_FRAME", "BILLBOARD", "BANNER",
    "CAR", "VAN", "PICKUP", "CARAVAN", "TRAILER", "TRUCK", "BUS", "TRAIN", "AUTORICKSHAW", "OTHER_VEHICLE",
    "WHEELED_SLOW", "BOAT", "BICYCLE", "MOTORCYCLE", "BICYCLIST", "MOTORCYCLIST", "OTHER_RIDER", "PERSON", "CHILD",
    "GROUND_ANIMAL", "BIRD", "BENCH", "BIKE_RACK", "TRASH_CAN", "MAILBOX", "PHONE_BOOTH", "FIRE_HYDRANT",
    "JUNCTION_BOX", "CCTV_CAMERA", "TRAFFIC_CONE", "OBSTACLE", "LUGGAGE", "EGO_VEHICLE", "CAR_MOUNT", "IMAGE_BORDER",
    "OUT_OF_VIEW", "WINDOW", "SMALL_WINDOW", "DOOR",
], start=0)  # fmt: skip
