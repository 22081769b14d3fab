import numpy as np
import pytest

from mdseg.labels.relations import from_pairs
from mdseg.labels.spaces import disjoint, union
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.scenes import DATASETS, annotate, projection, scene, true_relations
from mdseg.scenes.annotation import occurring, raw_ids, table_of

CIBM = ("cityscapes", "idd", "bdd", "mapillary")
TABLES = {name: LabelTable.load(name) for name in CIBM}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_raw_id_is_known_to_the_table(dataset):
    assert table_of(dataset).known()[raw_ids(dataset)[: len(DATASETS[dataset].world)]].all()


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_class_of_a_table_can_occur_in_its_domain(dataset):
    shown = {projection(dataset)[world] for world in occurring(dataset)}
    assert set(table_of(dataset).names) - shown == set()


@pytest.mark.parametrize(
    ("dataset", "world", "name"),
    [
        ("cityscapes", "bicyclist", "rider"),
        ("cityscapes", "lane marking", "road"),
        ("cityscapes", "sign back", None),
        ("idd", "sign back", "obs-str-bar-fallback"),
        ("idd", "ground animal", "person"),
        ("idd", "unpaved shoulder", "parking"),
        ("idd", "terrain", "rail track"),
        ("idd", "caravan", "vehicle fallback"),
        ("bdd", "motorcyclist", "rider"),
        ("bdd", "trash can", None),
        ("mapillary", "lane marking", "lane marking - general"),
        ("mapillary", "traffic sign", "traffic sign"),
        ("mapillary", "ego vehicle", "ego vehicle"),
        ("wilddash2", "van", "car"),
        ("wilddash2", "curb", "sidewalk"),
        ("camvid11", "lane marking", "road"),
        ("camvid11", "bus", "car"),
        ("camvid32", "bus", "Truck_Bus"),
        ("camvid32_strict", "bus", None),
        ("kitti", "rail track", None),
        ("gta5", "guard rail", None),
        ("gta5", "bicyclist", "rider"),
        ("synthia", "lane marking", None),
        ("synthia", "terrain", "vegetation"),
        ("synthia", "street light", "pole"),
        ("synthia", "traffic cone", None),
        ("rome", "fence", None),
        ("taipei", "motorcyclist", "rider"),
        ("labelmefacade", "window", "window"),
        ("labelmefacade", "small window", "building"),
        ("labelmefacade", "person", None),
        ("labelmefacade", "van", None),
        ("labelmefacade", "lane marking", "road"),
        ("sunrgbd", "wardrobe", "cabinet"),
        ("sunrgbd", "skirting", "wall"),
        ("sunrgbd", "monitor", None),
    ],
)
def test_annotation_follows_the_policies(dataset, world, name):
    assert projection(dataset)[world] == name


def test_a_mask_holds_class_indices_and_ignore():
    for dataset in DATASETS:
        _, world = DATASETS[dataset].scene("train", 0, 64)
        mask = annotate(world, dataset)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask).tolist()) <= {*range(table_of(dataset).num_classes), IGNORE}


def test_a_dataset_without_scenes_is_an_error():
    with pytest.raises(ValueError, match=r"no scenes for dataset 'sunrgbd37'.*cityscapes"):
        projection("sunrgbd37")


def test_true_relations_contain_the_obvious_ones():
    found = true_relations(TABLES)["mapillary"]
    for primary, secondary in [
        ("lane marking - general", "road"),
        ("bike lane", "road"),
        ("manhole", "road"),
        ("bicyclist", "rider"),
        ("motorcyclist", "rider"),
        ("pedestrian area", "sidewalk"),
        ("ground animal", "person"),
        ("trash can", "obs-str-bar-fallback"),
        ("traffic sign (back)", "obs-str-bar-fallback"),
        ("on rails", "train"),
        ("trailer", "vehicle fallback"),
        ("banner", "billboard"),
    ]:
        assert secondary in found[primary]


def test_classes_that_only_overlap_imply_nothing():
    relations = true_relations(TABLES)
    assert "rider" not in relations["cityscapes"]  # bicyclist or motorcyclist
    assert "road" not in relations["cityscapes"]  # road, lane marking, manhole, ...
    assert "parking" not in relations["mapillary"]  # parking in IDD as well, ignored by Cityscapes
    assert "rail track" not in relations["idd"]  # rails or terrain
    assert all(primary not in others for pairs in relations.values() for primary, others in pairs.items())


def test_windows_and_doors_are_buildings_in_all_other_streets():
    for dataset in DATASETS:
        if dataset not in ("labelmefacade", "sunrgbd"):
            names = {projection(dataset)[world].lower() for world in ("building", "window", "small window", "door")}
            assert names == {"building"}, dataset


def test_a_facade_window_implies_a_building_and_a_building_nothing():
    tables = {name: LabelTable.load(name) for name in ("camvid11", "labelmefacade")}
    relations = true_relations(tables)
    assert relations["labelmefacade"] == {"door": ["building"], "window": ["building"]}
    assert relations["camvid11"] == {}


def test_rooms_imply_nothing_about_streets_though_both_have_walls_and_doors():
    street = {name: LabelTable.load(name) for name in ("labelmefacade", "cityscapes")}
    rooms = {"sunrgbd": table_of("sunrgbd")}
    assert true_relations({**street, **rooms}) == {**true_relations(street), "sunrgbd": {}}


def test_alone_a_dataset_has_no_relations():
    assert true_relations({"mapillary": TABLES["mapillary"]}) == {"mapillary": {}}


def test_relations_depend_on_the_datasets_of_the_run():
    pair = {name: TABLES[name] for name in ("cityscapes", "mapillary")}
    assert "trash can" not in true_relations(pair)["mapillary"]
    assert true_relations(pair)["mapillary"]["bicyclist"] == ["rider"]


def test_relations_hold_in_every_pixel():
    relations = true_relations(TABLES)
    for dataset in CIBM:
        for index in range(12):
            _, world = scene(dataset, "train", index, 64)
            masks = {name: annotate(world, name) for name in CIBM}
            for primary, others in relations[dataset].items():
                own = masks[dataset] == TABLES[dataset].class_index(primary)
                for secondary in others:
                    said = [
                        masks[name] == TABLES[name].class_index(secondary)
                        for name in CIBM
                        if secondary in TABLES[name].names
                    ]
                    assert np.logical_or.reduce(said)[own].all(), (dataset, primary, secondary)


def test_relations_fit_the_label_spaces():
    space = union(TABLES)
    assert true_relations(space) == true_relations(TABLES)
    from_pairs(space, true_relations(space))
    own = disjoint({name: TABLES[name] for name in ("cityscapes", "idd")})
    pairs = true_relations(own)
    assert "idd/road" in pairs["cityscapes"]["cityscapes/road"]
    from_pairs(own, pairs)
