"""What makes a dataset's images look like that dataset: a domain is a set of parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mdseg.scenes.canvas import Color
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


def _street(**changes: float) -> dict[str, float]:
    unknown = set(changes) - set(EMITS)
    if unknown:
        raise ValueError(f"unknown features {sorted(unknown)}")
    return {**_STREET, **changes}


DOMAINS = {
    domain.name: domain
    for domain in (
        Domain(
            "cityscapes", ((1, 2),), {"overcast": 5, "clear": 2}, {"city": 6, "oldtown": 2, "suburb": 1.5,
            "highway": 0.3},
            _street(bonnet=0.85, border=1.0, animal=0.0, water=0.0),
            camera_height=(1.25, 1.45), focal=(2.1, 2.25), horizon=(0.41, 0.46), greens=("dull", "summer"), green=0.35,
            warmth=0.05, saturation=(0.55, 0.75), exposure=(0.76, 0.98), contrast=(0.9, 1.05), noise=(1.5, 3.0),
        ),
        Domain(
            "idd", ((1, 16 / 9), (1, 16 / 9), (0.9, 1.6)), {"dusty": 5, "clear": 2, "overcast": 1},
            {"bazaar": 5, "suburb": 1.5, "highway": 1.5, "rural": 1.5},
            _street(
                lane_marking=0.35, zebra=0.04, bike_lane=0.0, service_lane=0.02, parking=0.15, shoulder=0.7,
                pothole=0.5,
                manhole=0.15, sand=0.15, tram=0.02, rails=0.06, wall=0.5, fence=0.3, guard_rail=0.15, hedge=0.1,
                barrier=0.15, utility_pole=0.7, street_light=0.5, traffic_light=0.15, sign=0.8, billboard=1.0,
                banner=0.25, car=2.6, parked=0.35, van=0.4, truck=0.8, bus=0.5, autorickshaw=1.5, other_vehicle=0.12,
                bicycle=0.3, motorcycle=0.8, bicyclist=0.4, motorcyclist=2.6, other_rider=0.03, person=4.5, animal=0.35,
                dog=0.25, bird=0.1, mailbox=0.02, phone_booth=0.02, bench=0.05, obstacle=0.6, cone=0.1, bridge=0.08,
                bonnet=0.25, border=0.25, curb_cut=0.05, mountain=0.12, junction_box=0.25, trash_can=0.2,
            ),
            camera_height=(1.2, 1.6), focal=(1.7, 2.2), horizon=(0.4, 0.5), facades="indian", greens=("dusty",
            "summer"), stray=0.35,
            lanes=(1, 3), left_hand=True, warmth=0.5, saturation=(0.8, 1.0), exposure=(0.95, 1.2), contrast=(0.8, 1.0),
            noise=(2.0, 4.5), extra_haze=0.004,
        ),
        Domain(
            "bdd", ((1, 16 / 9),), {"clear": 3, "overcast": 2, "night": 2, "rain": 1, "dusk": 1.2, "snowy": 0.4},
            {"city": 3, "suburb": 2, "highway": 3, "oldtown": 0.3},
            _street(
                zebra=0.3, bike_lane=0.06, snow=0.03, tram=0.03, rails=0.0, fence=0.4, guard_rail=0.25, gantry=0.2,
                utility_pole=0.4, traffic_light=1.0, sign=1.2, billboard=0.2, car=5.5, pickup=0.6, van=0.5, truck=0.35,
                bus=0.12, trailer=0.08, bicycle=0.25, bicyclist=0.2, motorcyclist=0.08, motorcycle=0.1, person=2.2,
                fire_hydrant=0.2, mailbox=0.12, dashboard=0.6, mount=0.1, animal=0.0, water=0.0, child=0.05,
            ),
            camera_height=(1.2, 1.5), focal=(1.6, 2.0), horizon=(0.42, 0.54), facades="american", greens=("summer",
            "bright"),
            lanes=(3, 6), american=True, warmth=0.05, saturation=(0.75, 1.05), exposure=(0.85, 1.15),
            contrast=(0.95, 1.2), noise=(2.0, 5.0), blur=(0.4, 0.9), vignetting=0.25, tags=("windscreen",),
        ),
        Domain(
            "mapillary", ((1, 4 / 3), (1, 1.5), (1, 16 / 9), (1.3, 1.0), (1.2, 1.6), (0.9, 1.6)),
            {"clear": 5, "overcast": 2, "dusk": 0.6, "snowy": 0.5, "rain": 0.4, "fog": 0.2, "night": 0.3},
            {"city": 3, "suburb": 2.5, "highway": 1.5, "rural": 1.5, "oldtown": 1.5, "waterfront": 0.7},
            _street(
                zebra=0.3, plain_crosswalk=0.12, bike_lane=0.2, service_lane=0.12, pothole=0.15, manhole=0.6,
                catch_basin=0.35, pedestrian_area=0.15, sand=0.08, snow=0.06, water=0.1, boat=1.3, rails=0.08,
                tram=0.06,
                tunnel=0.05, bridge=0.1, guard_rail=0.2, barrier=0.15, mountain=0.35, utility_pole=0.4,
                street_light=1.0,
                sign_back=0.6, gantry=0.12, billboard=0.35, banner=0.18, caravan=0.08, trailer=0.08, other_vehicle=0.08,
                stroller=0.12, motorcyclist=0.2, motorcycle=0.25, other_rider=0.04, animal=0.1, dog=0.08, bird=0.2,
                bench=0.2, bike_rack=0.15, trash_can=0.4, mailbox=0.14, phone_booth=0.12, fire_hydrant=0.12,
                junction_box=0.25, cctv=0.14, dashboard=0.15, bonnet=0.12, mount=0.12,
            ),
            camera_height=(1.2, 2.2), focal=(1.1, 1.9), horizon=(0.38, 0.55), facades="global",
            greens=("bright", "summer", "autumn", "dull"), lanes=(1, 5), saturation=(1.0, 1.3), exposure=(0.9, 1.15),
            contrast=(1.0, 1.2), noise=(0.8, 3.0), blur=(0.3, 0.6),
        ),
        Domain(
            "wilddash", ((1, 16 / 9),), {"fog": 2, "rain": 2, "night": 2, "snowy": 1.2, "clear": 1.5, "dusk": 1,
            "dusty": 0.6},
            {"city": 2.5, "suburb": 1.5, "highway": 2, "rural": 2, "oldtown": 0.6},
            _street(
                animal=0.25, snow=0.1, tunnel=0.12, bridge=0.08, pothole=0.2, dashboard=0.5, mount=0.12, mountain=0.3,
                guard_rail=0.3, barrier=0.2, autorickshaw=0.08, bicyclist=0.3, motorcyclist=0.3, utility_pole=0.4,
                sand=0.08,
            ),
            camera_height=(1.1, 2.0), focal=(1.1, 1.9), horizon=(0.36, 0.56), facades="global",
            greens=("summer", "dull", "autumn"), lanes=(1, 5), saturation=(0.6, 1.1), exposure=(0.7, 1.35),
            contrast=(0.8, 1.3), noise=(2.0, 6.0), blur=(0.4, 1.0), vignetting=0.35, distortion=(0.0, 0.0, 0.12, 0.28),
            tags=("windscreen",),
        ),
        Domain(
            "kitti", ((1, 3.31), (1, 3.3), (1.003, 3.301), (0.99, 3.27), (0.987, 3.264)), {"clear": 5, "overcast": 1},
            {"suburb": 5, "rural": 1.5, "city": 1, "highway": 0.6},
            _street(
                lane_marking=0.5, hedge=0.7, fence=0.4, person=1.0, bicyclist=0.3, tram=0.05, car=3.0, van=0.6,
                animal=0.0,
                zebra=0.1, billboard=0.05, banner=0.0, traffic_light=0.3,
            ),
            camera_height=(1.6, 1.7), focal=(1.85, 1.95), horizon=(0.44, 0.5), facades="suburb",
            greens=("bright", "summer"), lanes=(2, 3), bends=0.003, warmth=0.1, saturation=(0.85, 1.05),
            exposure=(1.05, 1.35), contrast=(1.05, 1.25), noise=(1.5, 3.5), blur=(0.3, 0.6),
        ),
        Domain(
            "camvid", ((1, 4 / 3),), {"dusk": 1.5, "overcast": 3, "clear": 2}, {"city": 3, "oldtown": 2, "suburb": 3},
            _street(
                lane_marking=0.9, person=4.0, child=0.5, bicyclist=0.7, bicycle=0.3, shoulder=0.08, archway=0.08,
                parking=0.25,
                luggage=0.2, cone=0.25, animal=0.03, tunnel=0.03, bridge=0.05, wall=0.35, zebra=0.12, tram=0.04,
                traffic_light=0.9, billboard=0.2, bike_lane=0.1, bonnet=0.05, stroller=0.15, water=0.0, other_rider=0.0,
            ),
            camera_height=(1.15, 1.35), focal=(1.3, 1.5), horizon=(0.42, 0.5), left_hand=True, lanes=(2, 3),
            greens=("dull", "summer"), warmth=0.2, saturation=(0.55, 0.8), exposure=(0.8, 1.1), contrast=(0.65, 0.82),
            noise=(2.0, 3.5), blur=(0.5, 0.85), vignetting=0.25,
        ),
        Domain(
            "labelmefacade", (*7 * ((1, 4 / 3),), (1, 1), (1, 1), (4 / 3, 1)),
            {"clear": 6, "overcast": 3, "dusk": 0.4}, {"city": 4, "oldtown": 5, "suburb": 0.6},
            _street(
                parked=0.65, car=2.4, van=0.4, truck=0.1, bus=0.05, person=2.0, bicyclist=0.2, bicycle=0.4, zebra=0.12,
                lane_marking=0.5, parking=0.4, archway=0.04, mountain=0.06, bridge=0.01, tunnel=0.0, tram=0.02,
                rails=0.0, water=0.0, sand=0.0, guard_rail=0.02, gantry=0.0, animal=0.0, other_rider=0.0,
            ),
            camera_height=(1.55, 1.75), focal=(1.0, 1.4), horizon=(0.52, 0.68), facades="plaster and brick",
            greens=("summer", "dull", "bright"), lanes=(1, 3), warmth=0.1, saturation=(0.8, 1.1), exposure=(0.95, 1.25),
            contrast=(0.95, 1.2), noise=(1.0, 3.0), blur=(0.3, 0.6), aside=0.2, on_pavement=0.6, across=0.65,
        ),
        Domain(
            "gta5", (*4 * ((1, 1914 / 1052),), (1046 / 1052, 1914 / 1052)),
            {"clear": 6, "dusk": 1.2, "dusty": 1.2, "overcast": 0.6},
            {"city": 4, "suburb": 2, "highway": 2.2, "rural": 0.8},
            _street(
                lane_marking=0.95, zebra=0.25, bike_lane=0.0, parking=0.15, manhole=0.3, tram=0.02, rails=0.02,
                bridge=0.08, wall=0.4, fence=0.4, guard_rail=0.2, mountain=0.55, utility_pole=0.5, street_light=0.9,
                traffic_light=1.0, sign=1.0, gantry=0.1, billboard=0.4, car=4.0, parked=0.35, van=0.6, pickup=0.7,
                truck=0.4, bus=0.14, bicycle=0.12, bicyclist=0.12, motorcycle=0.2, motorcyclist=0.2, person=2.6,
                child=0.0, dog=0.0, stroller=0.0, fire_hydrant=0.3, mailbox=0.15, trash_can=0.4, bonnet=0.4, border=0.0,
            ),
            camera_height=(1.2, 2.0), focal=(1.3, 1.8), horizon=(0.40, 0.54), facades="californian",
            greens=("dry", "rendered"), lanes=(3, 7), american=True, warmth=0.35, saturation=(1.1, 1.4),
            exposure=(0.75, 1.0), contrast=(1.05, 1.3), flat=True, extra_haze=0.003, aside=0.15, on_pavement=0.1,
            asphalt=(122, 118, 114), paving=((196, 188, 174), (184, 178, 168), (206, 198, 186)),
            grass=((128, 132, 66), (146, 134, 84), (108, 124, 56)), trees={"palm": 0.45},
        ),
        Domain(
            "synthia", ((1, 1280 / 760),), {"clear": 3, "overcast": 3, "dusk": 1.5, "rain": 0.5},
            {"city": 5, "oldtown": 3, "suburb": 1.5},
            _street(
                lane_marking=0.95, zebra=0.35, bike_lane=0.0, parking=0.0, manhole=0.05, catch_basin=0.0, tram=0.0,
                rails=0.0, tunnel=0.0, bridge=0.02, wall=0.12, fence=0.3, hedge=0.15, mountain=0.02, street_light=1.0,
                traffic_light=1.0, sign=1.6, billboard=0.05, car=4.0, parked=0.3, van=0.6, truck=0.0, bus=0.25,
                caravan=0.0, trailer=0.0, other_vehicle=0.0, bicycle=0.5, motorcycle=0.4, bicyclist=1.6,
                motorcyclist=0.5, person=10.0, child=0.0, dog=0.0, bird=0.0, barrier=0.2, cone=0.2, bonnet=0.0,
                trash_can=0.5, bench=0.3,
            ),
            camera_height=(1.2, 5.0), focal=(0.95, 1.4), horizon=(0.24, 0.56), facades="blocks", greens=("rendered",),
            lanes=(2, 5), warmth=-0.1, saturation=(0.85, 1.15), exposure=(0.7, 1.1), contrast=(1.1, 1.3), flat=True,
            aside=0.25, on_pavement=0.35, asphalt=(76, 76, 84), stray=0.5,
            paving=((150, 112, 96), (132, 118, 106), (164, 150, 134)), grass=((64, 104, 40), (84, 112, 48)),
        ),
        Domain(
            "rome", ((1, 2),), {"clear": 5, "overcast": 2, "dusk": 0.3}, {"oldtown": 5, "city": 4, "suburb": 1},
            _street(
                lane_marking=0.55, zebra=0.4, bike_lane=0.02, parking=0.45, archway=0.04, wall=0.35, fence=0.25,
                street_light=0.7, traffic_light=0.7, sign=1.8, car=3.6, parked=0.85, van=0.6, truck=0.15, bus=0.3,
                bicycle=0.25, bicyclist=0.2, motorcycle=1.1, motorcyclist=0.7, person=5.0, trash_can=0.6, bollard=0.5,
                tram=0.06, mountain=0.03,
            ),
            camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="roman",
            greens=("summer", "dull"), lanes=(1, 4), warmth=0.4, saturation=(0.8, 1.05), exposure=(0.9, 1.2),
            contrast=(1.0, 1.2), noise=(0.8, 2.5), blur=(0.35, 0.7), aside=0.15, asphalt=(92, 90, 90),
            paving=((122, 118, 114), (150, 144, 134), (136, 128, 120)), trees={"pine": 0.6, "palm": 0.04},
        ),
        Domain(
            "rio", ((1, 2),), {"clear": 5, "overcast": 2, "dusk": 0.3}, {"city": 5, "suburb": 2, "waterfront": 1.2},
            _street(
                lane_marking=0.75, zebra=0.25, bike_lane=0.08, pothole=0.2, tunnel=0.05, bridge=0.08, wall=0.55,
                fence=0.5, mountain=0.8, utility_pole=0.6, street_light=0.8, traffic_light=0.8, sign=1.3, car=4.0,
                parked=0.45, van=0.6, truck=0.3, bus=0.7, bicycle=0.35, bicyclist=0.35, motorcycle=0.3,
                motorcyclist=0.4, person=4.0, boat=0.3, water=0.02, sand=0.1, billboard=0.2, tram=0.01, rails=0.0,
            ),
            camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="brazilian",
            greens=("tropical", "bright"), lanes=(2, 5), warmth=0.2, saturation=(1.05, 1.3), exposure=(0.95, 1.25),
            contrast=(1.0, 1.25), noise=(0.8, 2.5), blur=(0.35, 0.7), aside=0.15, asphalt=(104, 102, 100),
            paving=((190, 184, 174), (168, 164, 158), (146, 142, 138)), trees={"palm": 0.4},
            paints=(*4 * ((232, 196, 40),), (205, 205, 208), (232, 232, 230), (60, 62, 66), (28, 29, 33), (168, 30, 32),
            (120, 124, 130), (34, 62, 128)),
        ),
        Domain(
            "tokyo", ((1, 2),), {"overcast": 4, "clear": 3}, {"city": 6, "suburb": 3, "highway": 0.3},
            _street(
                lane_marking=0.95, zebra=0.35, bike_lane=0.0, parking=0.05, wall=0.3, fence=0.35, guard_rail=0.9,
                hedge=0.3, utility_pole=0.9, street_light=0.5, traffic_light=1.1, sign=2.0, gantry=0.1, banner=0.06,
                car=3.2, parked=0.15, van=0.9, truck=0.5, bus=0.15, bicycle=1.1, bicyclist=0.7, motorcycle=0.3,
                motorcyclist=0.25, person=3.5, cone=0.3, mountain=0.02, bridge=0.08, tram=0.01, rails=0.01,
            ),
            camera_height=(2.3, 2.7), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="japanese",
            greens=("summer", "dull"), lanes=(1, 5), left_hand=True, warmth=-0.25, saturation=(0.7, 0.95),
            exposure=(0.95, 1.25), contrast=(0.95, 1.15), noise=(0.8, 2.5), blur=(0.35, 0.7), aside=0.15,
            asphalt=(88, 90, 96), paving=((160, 156, 152), (146, 142, 144), (172, 150, 132)),
            paints=((236, 236, 236), (236, 236, 236), (28, 29, 33), (28, 29, 33), (176, 178, 182), (60, 62, 66),
            (52, 92, 60), (34, 62, 128), (150, 30, 36)),
            tags=("signboards",),
        ),
        Domain(
            "taipei", ((1, 2),), {"overcast": 4, "clear": 2, "dusty": 1, "rain": 0.3}, {"city": 7, "suburb": 1.2},
            _street(
                lane_marking=0.95, zebra=0.45, bike_lane=0.0, parking=0.3, wall=0.25, fence=0.25, hedge=0.2,
                guard_rail=0.15, mountain=0.2, utility_pole=0.15, street_light=0.9, traffic_light=1.1, sign=1.4,
                gantry=0.12, billboard=0.35, banner=0.12, car=3.4, parked=0.45, van=0.6, truck=0.3, bus=0.45,
                bicycle=0.25, bicyclist=0.25, motorcycle=2.6, motorcyclist=3.0, person=3.2, cone=0.25, tram=0.01,
                rails=0.0,
            ),
            camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="taiwanese",
            greens=("tropical", "dull"), lanes=(2, 6), warmth=0.1, green=0.2, saturation=(0.8, 1.05),
            exposure=(0.9, 1.2), contrast=(0.85, 1.05), noise=(1.0, 3.0), blur=(0.4, 0.8), extra_haze=0.004, aside=0.15,
            asphalt=(96, 98, 100), paving=((158, 132, 116), (150, 148, 144), (138, 130, 126)), trees={"palm": 0.15},
            paints=(*4 * ((238, 190, 30),), (205, 205, 208), (232, 232, 230), (60, 62, 66), (28, 29, 33), (168, 30, 32),
            (120, 124, 130)),
            tags=("signboards",),
        ),
    )
}  # fmt: skip
