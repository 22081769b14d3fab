"""What makes a dataset's images look like that dataset: a domain is a set of parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mdseg.scenes.canvas import Color
from mdseg.scenes.indoor import Indoor
from mdseg.scenes.world import World as W

# What each feature of a street can put into the picture besides the classes every street has.
ALWAYS = (
    W.ROAD, W.SKY, W.BUILDING, W.WINDOW, W.SMALL_WINDOW, W.DOOR, W.VEGETATION, W.SIDEWALK, W.CURB, W.TERRAIN, W.POLE,
    W.UNLABELED,
)  # fmt: skip
EMITS: Mapping[str, tuple[W, ...]] = {
    "lane_marking": (W.LANE_MARKING,),
    "zebra": (W.ZEBRA_CROSSING,),
    "plain_crosswalk": (W.PLAIN_CROSSWALK, W.LANE_MARKING),
    "bike_lane": (W.BIKE_LANE, W.LANE_MARKING),
    "service_lane": (W.SERVICE_LANE,),
    "parking": (W.PARKING_STRIP,),
    "shoulder": (W.UNPAVED_SHOULDER,),
    "pothole": (W.POTHOLE,),
    "manhole": (W.MANHOLE,),
    "catch_basin": (W.CATCH_BASIN,),
    "curb_cut": (W.CURB_CUT,),
    "pedestrian_area": (W.PEDESTRIAN_AREA,),
    "sand": (W.SAND,),
    "snow": (W.SNOW,),
    "water": (W.WATER,),
    "boat": (W.BOAT,),
    "rails": (W.RAIL_TRACK,),
    "tram": (W.TRAIN, W.RAIL_TRACK),
    "archway": (W.ARCHWAY,),
    "tunnel": (W.TUNNEL,),
    "bridge": (W.BRIDGE,),
    "wall": (W.WALL,),
    "fence": (W.FENCE,),
    "guard_rail": (W.GUARD_RAIL,),
    "barrier": (W.BARRIER,),
    "hedge": (W.HEDGE,),
    "mountain": (W.MOUNTAIN,),
    "pole_group": (W.POLE_GROUP,),
    "bollard": (),
    "utility_pole": (W.UTILITY_POLE,),
    "street_light": (W.STREET_LIGHT,),
    "traffic_light": (W.TRAFFIC_LIGHT,),
    "sign": (W.TRAFFIC_SIGN,),
    "sign_back": (W.SIGN_BACK,),
    "gantry": (W.SIGN_FRAME, W.TRAFFIC_SIGN, W.SIGN_BACK),
    "billboard": (W.BILLBOARD,),
    "banner": (W.BANNER,),
    "car": (W.CAR,),
    "parked": (W.CAR,),
    "van": (W.VAN,),
    "pickup": (W.PICKUP,),
    "caravan": (W.CARAVAN,),
    "trailer": (W.TRAILER,),
    "truck": (W.TRUCK,),
    "bus": (W.BUS,),
    "autorickshaw": (W.AUTORICKSHAW,),
    "other_vehicle": (W.OTHER_VEHICLE,),
    "stroller": (W.WHEELED_SLOW, W.PERSON),
    "bicycle": (W.BICYCLE,),
    "motorcycle": (W.MOTORCYCLE,),
    "bicyclist": (W.BICYCLIST, W.BICYCLE),
    "motorcyclist": (W.MOTORCYCLIST, W.MOTORCYCLE),
    "other_rider": (W.OTHER_RIDER, W.GROUND_ANIMAL),
    "person": (W.PERSON,),
    "child": (W.CHILD,),
    "animal": (W.GROUND_ANIMAL,),
    "dog": (W.GROUND_ANIMAL,),
    "bird": (W.BIRD,),
    "bench": (W.BENCH,),
    "bike_rack": (W.BIKE_RACK,),
    "trash_can": (W.TRASH_CAN,),
    "mailbox": (W.MAILBOX,),
    "phone_booth": (W.PHONE_BOOTH,),
    "fire_hydrant": (W.FIRE_HYDRANT,),
    "junction_box": (W.JUNCTION_BOX,),
    "cctv": (W.CCTV_CAMERA,),
    "cone": (W.TRAFFIC_CONE,),
    "obstacle": (W.OBSTACLE,),
    "luggage": (W.LUGGAGE,),
    "bonnet": (W.EGO_VEHICLE,),
    "dashboard": (W.EGO_VEHICLE,),
    "mount": (W.CAR_MOUNT,),
    "border": (W.IMAGE_BORDER, W.OUT_OF_VIEW),
}

# Expected number per image, or probability, in an ordinary European street.
_STREET: Mapping[str, float] = {
    "lane_marking": 0.85, "zebra": 0.2, "plain_crosswalk": 0.05, "bike_lane": 0.12, "service_lane": 0.04,
    "parking": 0.3,
    "pothole": 0.08, "manhole": 0.5, "catch_basin": 0.25, "curb_cut": 0.2, "pedestrian_area": 0.06, "sand": 0.03,
    "water": 0.02, "boat": 0.0, "rails": 0.05, "tram": 0.05, "tunnel": 0.02, "bridge": 0.05, "wall": 0.2, "fence": 0.35,
    "guard_rail": 0.08, "barrier": 0.08, "hedge": 0.3, "mountain": 0.1, "pole_group": 0.06, "bollard": 0.4,
    "utility_pole": 0.08, "street_light": 0.8, "traffic_light": 0.8, "sign": 1.6, "sign_back": 0.35, "gantry": 0.05,
    "billboard": 0.12, "banner": 0.04, "car": 3.4, "parked": 0.5, "van": 0.5, "pickup": 0.08, "caravan": 0.03,
    "trailer": 0.04, "truck": 0.25, "bus": 0.16, "other_vehicle": 0.03, "stroller": 0.06, "bicycle": 0.7,
    "motorcycle": 0.1, "bicyclist": 0.6, "motorcyclist": 0.08, "other_rider": 0.01, "person": 4.0, "child": 0.2,
    "animal": 0.01, "dog": 0.06, "bird": 0.06, "bench": 0.12, "bike_rack": 0.08, "trash_can": 0.3, "mailbox": 0.08,
    "phone_booth": 0.05, "fire_hydrant": 0.03, "junction_box": 0.18, "cctv": 0.05, "cone": 0.12, "obstacle": 0.15,
    "luggage": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Domain:
    """Camera, sky, houses, traffic and film of one dataset's images; ranges are (low, high), mappings are weights."""

    name: str
    sizes: tuple[tuple[float, float], ...]  # (height, width) in units of the requested height
    weather: Mapping[str, float]
    scenery: Mapping[str, float]
    features: Mapping[str, float]
    camera_height: tuple[float, float] = (1.3, 1.6)
    focal: tuple[float, float] = (2.0, 2.3)  # in image heights
    horizon: tuple[float, float] = (0.40, 0.48)  # fraction of the image height
    facades: str = "european"
    greens: tuple[str, ...] = ("summer", "dull")
    lanes: tuple[int, int] = (2, 4)
    left_hand: bool = False
    american: bool = False
    bends: float = 0.0012
    warmth: float = 0.0  # -1 blue .. 1 yellow
    green: float = 0.0
    saturation: tuple[float, float] = (0.8, 1.0)
    exposure: tuple[float, float] = (0.85, 1.1)
    contrast: tuple[float, float] = (0.9, 1.1)
    noise: tuple[float, float] = (1.5, 4.0)  # grey values
    blur: tuple[float, float] = (0.3, 0.6)  # image pixels
    vignetting: float = 0.15
    distortion: tuple[float, ...] = ()
    flat: bool = False  # synthetic sources: no texture, no noise, blur or vignetting
    extra_haze: float = 0.0  # per metre, beyond the weather's
    aside: float = 0.08  # how far the picture's middle may lie from straight ahead, in widths
    on_pavement: float = 0.0  # chance that the camera stands on the pavement, not in a lane
    across: float = 0.0  # chance that it looks across the street at the houses, not along it
    asphalt: Color = (98, 98, 100)
    paving: tuple[Color, ...] = ((150, 146, 142), (166, 158, 148), (136, 134, 134), (158, 140, 128))
    grass: tuple[Color, ...] = ((96, 118, 62), (110, 124, 70), (86, 108, 58), (128, 124, 78))
    paints: tuple[Color, ...] = ()  # of cars, where they are not the usual ones
    trees: Mapping[str, float] = field(
        default_factory=dict
    )  # palm, pine → share of the trees; the rest is of all kinds
    stray: float = 0.14  # chance that a pedestrian walks in the road
    tags: tuple[str, ...] = field(default=())  # windscreen, signboards

    def occurring(self) -> frozenset[W]:
        """World classes that images of this domain may contain."""
        present = set(ALWAYS)
        for feature, frequency in self.features.items():
            if frequency > 0:
                present.update(EMITS[feature])
        return frozenset(present)


@dataclass(frozen=True)
class Interior:
    """Cameras, kinds of rooms and film of a dataset of rooms; ranges are (low, high), mappings are weights."""

    name: str
    sensors: tuple[tuple[float, float, float], ...]  # height, width in units of the requested height; focal in heights
    kinds: Mapping[str, float]
    camera_height: tuple[float, float]  # metres
    pitch: tuple[float, float]  # radians downwards
    warmth: float = 0.0  # -1 blue .. 1 yellow
    green: float = 0.0
    saturation: tuple[float, float] = (0.8, 1.0)
    exposure: tuple[float, float] = (0.85, 1.1)
    contrast: tuple[float, float] = (0.9, 1.1)
    noise: tuple[float, float] = (1.5, 4.0)  # grey values
    blur: tuple[float, float] = (0.3, 0.6)  # image pixels
    vignetting: float = 0.15

    def occurring(self) -> frozenset[Indoor]:
        """Classes that its images may contain: those of its kinds of rooms together are all."""
        return frozenset(Indoor)


def street(**changes: float) -> dict[str, float]:
    """Frequencies of an ordinary European street, but for the changes.

    Raises:
        ValueError: there is no such feature.
    """
    unknown = set(changes) - set(EMITS)
    if unknown:
        raise ValueError(f"unknown features {sorted(unknown)}")
    return {**_STREET, **changes}
