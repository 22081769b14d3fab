"""The datasets that scenes can be written for, one record each: all that is special about one is said here.

A new dataset is a new record, with a new function in `writers` if its files are laid out as no other's, and one in
`policies` if its annotators name things as no others do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mdseg.labels.tables import LabelTable
from mdseg.scenes import policies, writers
from mdseg.scenes.domains import Domain, Interior, street
from mdseg.scenes.indoor import INDOOR, IndoorClass
from mdseg.scenes.painter import paint_street
from mdseg.scenes.rooms import paint_room
from mdseg.scenes.world import WORLD, WorldClass
from mdseg.scenes.writers import RGB, Mask, Scene, Tree


@dataclass(frozen=True)
class SceneDataset:
    """What its images show, how its annotators label that, and the files both are written to."""

    name: str  # of its descriptor in conf/dataset
    labels: str  # label table in conf/labels
    raw_id: Callable[[Any, LabelTable], int]  # of a world class in the mask files
    folder: str  # below the data's root, as in the descriptor
    write: Callable[[Tree, Scene], None]
    domain: Domain | Interior  # image sizes, camera, traffic, weather, ...
    close: Callable[[Tree, Mapping[str, int]], None] | None = None  # writes what describes the whole tree
    splits: tuple[str, ...] = ("train", "val", "test")
    train_is_val: bool = False  # both splits are the same files, written once
    variants: tuple[str, ...] = ()  # other packages of the same data
    reads: str = ""  # the dataset whose files these are, under another label table
    paint: Callable[[Any, str, int, int, int], tuple[RGB, Mask]] = paint_street
    world: tuple[WorldClass, ...] | tuple[IndoorClass, ...] = WORLD  # what the values of the painter's masks mean

    def scene(self, split: str, index: int, height: int = 128, seed: int = 0) -> tuple[RGB, Mask]:
        """RGB image and world mask."""
        return self.paint(self.domain, split, index, height, seed)


_WILDDASH = Domain(
    "wilddash", ((1, 16 / 9),), {"fog": 2, "rain": 2, "night": 2, "snowy": 1.2, "clear": 1.5, "dusk": 1, "dusty": 0.6},
    {"city": 2.5, "suburb": 1.5, "highway": 2, "rural": 2, "oldtown": 0.6},
    street(
        animal=0.25, snow=0.1, tunnel=0.12, bridge=0.08, pothole=0.2, dashboard=0.5, mount=0.12, mountain=0.3,
        guard_rail=0.3, barrier=0.2, autorickshaw=0.08, bicyclist=0.3, motorcyclist=0.3, utility_pole=0.4, sand=0.08,
    ),
    camera_height=(1.1, 2.0), focal=(1.1, 1.9), horizon=(0.36, 0.56), facades="global",
    greens=("summer", "dull", "autumn"), lanes=(1, 5), saturation=(0.6, 1.1), exposure=(0.7, 1.35), contrast=(0.8, 1.3),
    noise=(2.0, 6.0), blur=(0.4, 1.0), vignetting=0.35, distortion=(0.0, 0.0, 0.12, 0.28), tags=("windscreen",),
)  # fmt: skip
_CAMVID = Domain(
    "camvid", ((1, 4 / 3),), {"dusk": 1.5, "overcast": 3, "clear": 2}, {"city": 3, "oldtown": 2, "suburb": 3},
    street(
        lane_marking=0.9, person=4.0, child=0.5, bicyclist=0.7, bicycle=0.3, shoulder=0.08, archway=0.08, parking=0.25,
        luggage=0.2, cone=0.25, animal=0.03, tunnel=0.03, bridge=0.05, wall=0.35, zebra=0.12, tram=0.04,
        traffic_light=0.9, billboard=0.2, bike_lane=0.1, bonnet=0.05, stroller=0.15, water=0.0, other_rider=0.0,
    ),
    camera_height=(1.15, 1.35), focal=(1.3, 1.5), horizon=(0.42, 0.5), left_hand=True, lanes=(2, 3),
    greens=("dull", "summer"), warmth=0.2, saturation=(0.55, 0.8), exposure=(0.8, 1.1), contrast=(0.65, 0.82),
    noise=(2.0, 3.5), blur=(0.5, 0.85), vignetting=0.25,
)  # fmt: skip
_CAMVID32 = SceneDataset(
    "camvid32",
    labels="camvid32",
    raw_id=policies.camvid32,
    folder="camvid32",
    variants=("original",),
    write=writers.camvid32,
    close=writers.camvid32_tables,
    domain=_CAMVID,
)


def _city(domain: Domain) -> SceneDataset:
    """One of the four cities of "No More Discrimination" (NTHU)."""
    return SceneDataset(
        domain.name,
        labels="nthu13",
        raw_id=policies.cityscapes,
        folder=f"NTHU_Datasets/{domain.name.capitalize()}",
        splits=("train", "test"),
        write=writers.nthu,
        close=writers.nthu_lists,
        domain=domain,
    )


_RECORDS = (
    SceneDataset(
        "cityscapes", labels="cityscapes", raw_id=policies.cityscapes, folder="cityscapes", write=writers.cityscapes,
        domain=Domain(
            "cityscapes", ((1, 2),), {"overcast": 5, "clear": 2},
            {"city": 6, "oldtown": 2, "suburb": 1.5, "highway": 0.3},
            street(bonnet=0.85, border=1.0, animal=0.0, water=0.0),
            camera_height=(1.25, 1.45), focal=(2.1, 2.25), horizon=(0.41, 0.46), greens=("dull", "summer"), green=0.35,
            warmth=0.05, saturation=(0.55, 0.75), exposure=(0.76, 0.98), contrast=(0.9, 1.05), noise=(1.5, 3.0),
        ),
    ),
    SceneDataset(
        "idd", labels="idd", raw_id=policies.idd, folder="idd", write=writers.idd,
        domain=Domain(
            "idd", ((1, 16 / 9), (1, 16 / 9), (0.9, 1.6)), {"dusty": 5, "clear": 2, "overcast": 1},
            {"bazaar": 5, "suburb": 1.5, "highway": 1.5, "rural": 1.5},
            street(
                lane_marking=0.35, zebra=0.04, bike_lane=0.0, service_lane=0.02, parking=0.15, shoulder=0.7,
                pothole=0.5, manhole=0.15, sand=0.15, tram=0.02, rails=0.06, wall=0.5, fence=0.3, guard_rail=0.15,
                hedge=0.1, barrier=0.15, utility_pole=0.7, street_light=0.5, traffic_light=0.15, sign=0.8,
                billboard=1.0, banner=0.25, car=2.6, parked=0.35, van=0.4, truck=0.8, bus=0.5, autorickshaw=1.5,
                other_vehicle=0.12, bicycle=0.3, motorcycle=0.8, bicyclist=0.4, motorcyclist=2.6, other_rider=0.03,
                person=4.5, animal=0.35, dog=0.25, bird=0.1, mailbox=0.02, phone_booth=0.02, bench=0.05, obstacle=0.6,
                cone=0.1, bridge=0.08, bonnet=0.25, border=0.25, curb_cut=0.05, mountain=0.12, junction_box=0.25,
                trash_can=0.2,
            ),
            camera_height=(1.2, 1.6), focal=(1.7, 2.2), horizon=(0.4, 0.5), facades="indian",
            greens=("dusty", "summer"), stray=0.35, lanes=(1, 3), left_hand=True, warmth=0.5, saturation=(0.8, 1.0),
            exposure=(0.95, 1.2), contrast=(0.8, 1.0), noise=(2.0, 4.5), extra_haze=0.004,
        ),
    ),
    SceneDataset(
        "bdd", labels="bdd", raw_id=policies.bdd, folder="bdd", variants=("old",), write=writers.bdd,
        close=writers.bdd_orphans,
        domain=Domain(
            "bdd", ((1, 16 / 9),), {"clear": 3, "overcast": 2, "night": 2, "rain": 1, "dusk": 1.2, "snowy": 0.4},
            {"city": 3, "suburb": 2, "highway": 3, "oldtown": 0.3},
            street(
                zebra=0.3, bike_lane=0.06, snow=0.03, tram=0.03, rails=0.0, fence=0.4, guard_rail=0.25, gantry=0.2,
                utility_pole=0.4, traffic_light=1.0, sign=1.2, billboard=0.2, car=5.5, pickup=0.6, van=0.5, truck=0.35,
                bus=0.12, trailer=0.08, bicycle=0.25, bicyclist=0.2, motorcyclist=0.08, motorcycle=0.1, person=2.2,
                fire_hydrant=0.2, mailbox=0.12, dashboard=0.6, mount=0.1, animal=0.0, water=0.0, child=0.05,
            ),
            camera_height=(1.2, 1.5), focal=(1.6, 2.0), horizon=(0.42, 0.54), facades="american",
            greens=("summer", "bright"), lanes=(3, 6), american=True, warmth=0.05, saturation=(0.75, 1.05),
            exposure=(0.85, 1.15), contrast=(0.95, 1.2), noise=(2.0, 5.0), blur=(0.4, 0.9), vignetting=0.25,
            tags=("windscreen",),
        ),
    ),
    SceneDataset(
        "mapillary", labels="mapillary", raw_id=policies.mapillary, folder="mapillary", variants=("v2.0",),
        write=writers.mapillary, close=writers.mapillary_config,
        domain=Domain(
            "mapillary", ((1, 4 / 3), (1, 1.5), (1, 16 / 9), (1.3, 1.0), (1.2, 1.6), (0.9, 1.6)),
            {"clear": 5, "overcast": 2, "dusk": 0.6, "snowy": 0.5, "rain": 0.4, "fog": 0.2, "night": 0.3},
            {"city": 3, "suburb": 2.5, "highway": 1.5, "rural": 1.5, "oldtown": 1.5, "waterfront": 0.7},
            street(
                zebra=0.3, plain_crosswalk=0.12, bike_lane=0.2, service_lane=0.12, pothole=0.15, manhole=0.6,
                catch_basin=0.35, pedestrian_area=0.15, sand=0.08, snow=0.06, water=0.1, boat=1.3, rails=0.08,
                tram=0.06, tunnel=0.05, bridge=0.1, guard_rail=0.2, barrier=0.15, mountain=0.35, utility_pole=0.4,
                street_light=1.0, sign_back=0.6, gantry=0.12, billboard=0.35, banner=0.18, caravan=0.08, trailer=0.08,
                other_vehicle=0.08, stroller=0.12, motorcyclist=0.2, motorcycle=0.25, other_rider=0.04, animal=0.1,
                dog=0.08, bird=0.2, bench=0.2, bike_rack=0.15, trash_can=0.4, mailbox=0.14, phone_booth=0.12,
                fire_hydrant=0.12, junction_box=0.25, cctv=0.14, dashboard=0.15, bonnet=0.12, mount=0.12,
            ),
            camera_height=(1.2, 2.2), focal=(1.1, 1.9), horizon=(0.38, 0.55), facades="global",
            greens=("bright", "summer", "autumn", "dull"), lanes=(1, 5), saturation=(1.0, 1.3), exposure=(0.9, 1.15),
            contrast=(1.0, 1.2), noise=(0.8, 3.0), blur=(0.3, 0.6),
        ),
    ),
    SceneDataset(
        "wilddash", labels="cityscapes", raw_id=policies.cityscapes, folder="wilddash", splits=("val", "test"),
        write=writers.wilddash, domain=_WILDDASH,
    ),
    SceneDataset(
        "wilddash2", labels="wilddash2", raw_id=policies.wilddash2, folder="wilddash2", train_is_val=True,
        write=writers.wilddash2, domain=_WILDDASH,
    ),
    SceneDataset(
        "kitti", labels="cityscapes", raw_id=policies.cityscapes, folder="kitti", train_is_val=True,
        write=writers.kitti,
        domain=Domain(
            "kitti", ((1, 3.31), (1, 3.3), (1.003, 3.301), (0.99, 3.27), (0.987, 3.264)), {"clear": 5, "overcast": 1},
            {"suburb": 5, "rural": 1.5, "city": 1, "highway": 0.6},
            street(
                lane_marking=0.5, hedge=0.7, fence=0.4, person=1.0, bicyclist=0.3, tram=0.05, car=3.0, van=0.6,
                animal=0.0, zebra=0.1, billboard=0.05, banner=0.0, traffic_light=0.3,
            ),
            camera_height=(1.6, 1.7), focal=(1.85, 1.95), horizon=(0.44, 0.5), facades="suburb",
            greens=("bright", "summer"), lanes=(2, 3), bends=0.003, warmth=0.1, saturation=(0.85, 1.05),
            exposure=(1.05, 1.35), contrast=(1.05, 1.25), noise=(1.5, 3.5), blur=(0.3, 0.6),
        ),
    ),
    SceneDataset(
        "camvid11", labels="camvid11", raw_id=policies.camvid11, folder="camvid", write=writers.camvid11,
        close=writers.camvid11_lists, domain=_CAMVID,
    ),
    _CAMVID32,
    replace(_CAMVID32, name="camvid32_merged", labels="camvid11_merged", reads="camvid32"),
    replace(_CAMVID32, name="camvid32_strict", labels="camvid11_strict", reads="camvid32"),
    SceneDataset(
        "labelmefacade", labels="labelmefacade", raw_id=policies.labelmefacade, folder="labelmefacade",
        write=writers.labelmefacade, close=writers.labelmefacade_lists,
        domain=Domain(
            "labelmefacade", (*7 * ((1, 4 / 3),), (1, 1), (1, 1), (4 / 3, 1)), {"clear": 6, "overcast": 3, "dusk": 0.4},
            {"city": 4, "oldtown": 5, "suburb": 0.6},
            street(
                parked=0.65, car=2.4, van=0.4, truck=0.1, bus=0.05, person=2.0, bicyclist=0.2, bicycle=0.4, zebra=0.12,
                lane_marking=0.5, parking=0.4, archway=0.04, mountain=0.06, bridge=0.01, tunnel=0.0, tram=0.02,
                rails=0.0, water=0.0, sand=0.0, guard_rail=0.02, gantry=0.0, animal=0.0, other_rider=0.0,
            ),
            camera_height=(1.55, 1.75), focal=(1.0, 1.4), horizon=(0.52, 0.68), facades="plaster and brick",
            greens=("summer", "dull", "bright"), lanes=(1, 3), warmth=0.1, saturation=(0.8, 1.1), exposure=(0.95, 1.25),
            contrast=(0.95, 1.2), noise=(1.0, 3.0), blur=(0.3, 0.6), aside=0.2, on_pavement=0.6, across=0.65,
        ),
    ),
    SceneDataset(
        "sunrgbd", labels="sunrgbd37", raw_id=policies.sunrgbd, folder="sunrgbd", write=writers.sunrgbd,
        close=writers.sunrgbd_lists, paint=paint_room, world=INDOOR,
        domain=Interior(
            "sunrgbd",
            (
                *2 * ((427 / 441, 561 / 441, 1.22),), *2 * ((530 / 441, 730 / 441, 1.0),),
                (531 / 441, 681 / 441, 1.3), *2 * ((1.0, 591 / 441, 1.29),),
            ),
            {
                "bedroom": 3, "living": 1.6, "dining": 1, "office": 2.2, "meeting": 1, "classroom": 1.2, "kitchen": 1.3,
                "bathroom": 2.1, "library": 1, "storage": 0.7, "shop": 1, "corridor": 0.4,
            },
            camera_height=(1.2, 1.7), pitch=(0.05, 0.42), warmth=0.25, saturation=(0.75, 1.05), exposure=(0.8, 1.2),
            contrast=(0.9, 1.15), noise=(1.0, 3.5), blur=(0.25, 0.5), vignetting=0.18,
        ),
    ),
    SceneDataset(
        "gta5", labels="gta5", raw_id=policies.cityscapes, folder="gta5", splits=("train", "val"), write=writers.gta5,
        close=writers.gta5_lists,
        domain=Domain(
            "gta5", (*4 * ((1, 1914 / 1052),), (1046 / 1052, 1914 / 1052)),
            {"clear": 6, "dusk": 1.2, "dusty": 1.2, "overcast": 0.6},
            {"city": 4, "suburb": 2, "highway": 2.2, "rural": 0.8},
            street(
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
    ),
    SceneDataset(
        "synthia", labels="synthia", raw_id=policies.synthia, folder="synthia", splits=("train", "val"),
        write=writers.synthia,
        domain=Domain(
            "synthia", ((1, 1280 / 760),), {"clear": 3, "overcast": 3, "dusk": 1.5, "rain": 0.5},
            {"city": 5, "oldtown": 3, "suburb": 1.5},
            street(
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
    ),
    _city(Domain(
        "rome", ((1, 2),), {"clear": 5, "overcast": 2, "dusk": 0.3}, {"oldtown": 5, "city": 4, "suburb": 1},
        street(
            lane_marking=0.55, zebra=0.4, bike_lane=0.02, parking=0.45, archway=0.04, wall=0.35, fence=0.25,
            street_light=0.7, traffic_light=0.7, sign=1.8, car=3.6, parked=0.85, van=0.6, truck=0.15, bus=0.3,
            bicycle=0.25, bicyclist=0.2, motorcycle=1.1, motorcyclist=0.7, person=5.0, trash_can=0.6, bollard=0.5,
            tram=0.06, mountain=0.03,
        ),
        camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="roman", greens=("summer", "dull"),
        lanes=(1, 4), warmth=0.4, saturation=(0.8, 1.05), exposure=(0.9, 1.2), contrast=(1.0, 1.2), noise=(0.8, 2.5),
        blur=(0.35, 0.7), aside=0.15, asphalt=(92, 90, 90), paving=((122, 118, 114), (150, 144, 134), (136, 128, 120)),
        trees={"pine": 0.6, "palm": 0.04},
    )),
    _city(Domain(
        "rio", ((1, 2),), {"clear": 5, "overcast": 2, "dusk": 0.3}, {"city": 5, "suburb": 2, "waterfront": 1.2},
        street(
            lane_marking=0.75, zebra=0.25, bike_lane=0.08, pothole=0.2, tunnel=0.05, bridge=0.08, wall=0.55, fence=0.5,
            mountain=0.8, utility_pole=0.6, street_light=0.8, traffic_light=0.8, sign=1.3, car=4.0, parked=0.45,
            van=0.6, truck=0.3, bus=0.7, bicycle=0.35, bicyclist=0.35, motorcycle=0.3, motorcyclist=0.4, person=4.0,
            boat=0.3, water=0.02, sand=0.1, billboard=0.2, tram=0.01, rails=0.0,
        ),
        camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="brazilian",
        greens=("tropical", "bright"), lanes=(2, 5), warmth=0.2, saturation=(1.05, 1.3), exposure=(0.95, 1.25),
        contrast=(1.0, 1.25), noise=(0.8, 2.5), blur=(0.35, 0.7), aside=0.15, asphalt=(104, 102, 100),
        paving=((190, 184, 174), (168, 164, 158), (146, 142, 138)), trees={"palm": 0.4},
        paints=(
            *4 * ((232, 196, 40),), (205, 205, 208), (232, 232, 230), (60, 62, 66), (28, 29, 33), (168, 30, 32),
            (120, 124, 130), (34, 62, 128),
        ),
    )),
    _city(Domain(
        "tokyo", ((1, 2),), {"overcast": 4, "clear": 3}, {"city": 6, "suburb": 3, "highway": 0.3},
        street(
            lane_marking=0.95, zebra=0.35, bike_lane=0.0, parking=0.05, wall=0.3, fence=0.35, guard_rail=0.9, hedge=0.3,
            utility_pole=0.9, street_light=0.5, traffic_light=1.1, sign=2.0, gantry=0.1, banner=0.06, car=3.2,
            parked=0.15, van=0.9, truck=0.5, bus=0.15, bicycle=1.1, bicyclist=0.7, motorcycle=0.3, motorcyclist=0.25,
            person=3.5, cone=0.3, mountain=0.02, bridge=0.08, tram=0.01, rails=0.01,
        ),
        camera_height=(2.3, 2.7), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="japanese", greens=("summer", "dull"),
        lanes=(1, 5), left_hand=True, warmth=-0.25, saturation=(0.7, 0.95), exposure=(0.95, 1.25),
        contrast=(0.95, 1.15), noise=(0.8, 2.5), blur=(0.35, 0.7), aside=0.15, asphalt=(88, 90, 96),
        paving=((160, 156, 152), (146, 142, 144), (172, 150, 132)),
        paints=(
            (236, 236, 236), (236, 236, 236), (28, 29, 33), (28, 29, 33), (176, 178, 182), (60, 62, 66), (52, 92, 60),
            (34, 62, 128), (150, 30, 36),
        ),
        tags=("signboards",),
    )),
    _city(Domain(
        "taipei", ((1, 2),), {"overcast": 4, "clear": 2, "dusty": 1, "rain": 0.3}, {"city": 7, "suburb": 1.2},
        street(
            lane_marking=0.95, zebra=0.45, bike_lane=0.0, parking=0.3, wall=0.25, fence=0.25, hedge=0.2,
            guard_rail=0.15, mountain=0.2, utility_pole=0.15, street_light=0.9, traffic_light=1.1, sign=1.4,
            gantry=0.12, billboard=0.35, banner=0.12, car=3.4, parked=0.45, van=0.6, truck=0.3, bus=0.45, bicycle=0.25,
            bicyclist=0.25, motorcycle=2.6, motorcyclist=3.0, person=3.2, cone=0.25, tram=0.01, rails=0.0,
        ),
        camera_height=(2.2, 2.6), focal=(1.1, 1.4), horizon=(0.42, 0.52), facades="taiwanese",
        greens=("tropical", "dull"), lanes=(2, 6), warmth=0.1, green=0.2, saturation=(0.8, 1.05), exposure=(0.9, 1.2),
        contrast=(0.85, 1.05), noise=(1.0, 3.0), blur=(0.4, 0.8), extra_haze=0.004, aside=0.15, asphalt=(96, 98, 100),
        paving=((158, 132, 116), (150, 148, 144), (138, 130, 126)), trees={"palm": 0.15},
        paints=(
            *4 * ((238, 190, 30),), (205, 205, 208), (232, 232, 230), (60, 62, 66), (28, 29, 33), (168, 30, 32),
            (120, 124, 130),
        ),
        tags=("signboards",),
    )),
)  # fmt: skip
DATASETS: Mapping[str, SceneDataset] = {record.name: record for record in _RECORDS}
DOMAINS: Mapping[str, Domain | Interior] = {record.domain.name: record.domain for record in _RECORDS}


def record_of(dataset: str) -> SceneDataset:
    """The record of a dataset.

    Raises:
        ValueError: a dataset without scenes.
    """
    if dataset not in DATASETS:
        raise ValueError(f"no scenes for dataset {dataset!r}; there are scenes for {', '.join(DATASETS)}")
    return DATASETS[dataset]


def scene(
    domain: str | Domain | Interior, split: str, index: int, height: int = 128, seed: int = 0
) -> tuple[RGB, Mask]:
    """RGB image and world mask of one scene, a function of its arguments and `VERSION` alone.

    Args:
        height: the nominal one; a domain whose images vary in size scales it.

    Raises:
        ValueError: an unknown domain.
    """
    if isinstance(domain, Domain):
        return paint_street(domain, split, index, height, seed)
    if isinstance(domain, Interior):
        return paint_room(domain, split, index, height, seed)
    if domain not in DOMAINS:
        raise ValueError(f"unknown domain {domain!r}; known: {', '.join(DOMAINS)}")
    record = next(record for record in DATASETS.values() if record.domain.name == domain)
    return record.scene(split, index, height, seed)
