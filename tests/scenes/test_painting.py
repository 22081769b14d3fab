import subprocess
import sys
import zlib

import numpy as np
import pytest

from mdseg.scenes import DATASETS, DOMAINS, VERSION, WORLD_CLASSES, WORLD_COLORS, Domain, annotate, contact_sheet, scene
from mdseg.scenes import __main__ as commands
from mdseg.scenes.world import World

HEIGHT = 64
# Checksums of the images and of the masks of eight training scenes, for VERSION 1.
FROZEN = {
    "cityscapes": (0x135A1020, 0x3EE7902F),
    "idd": (0xEA3DC06A, 0x5EC6F7E4),
    "bdd": (0xB1FF8112, 0x7F75B578),
    "mapillary": (0x33E877E6, 0x6AAE2F85),
    "wilddash": (0x40EA309A, 0x921AE994),
    "wilddash2": (0x40EA309A, 0x5A9FC8B8),
    "kitti": (0x44B9B111, 0x1B5D0027),
    "camvid11": (0x493F2677, 0x1EFC2F61),
    "camvid32": (0x493F2677, 0xC535AC75),
    "camvid32_merged": (0x493F2677, 0x1EFC2F61),
    "camvid32_strict": (0x493F2677, 0xAA274037),
    "labelmefacade": (0xD614C710, 0xABAECB7F),
    "sunrgbd": (0x935D8BFF, 0xF0E55625),
    "gta5": (0x5FCB1A70, 0x3214D52E),
    "synthia": (0x5425F2B9, 0x50B6225C),
    "rome": (0x051EDD81, 0x168D70BB),
    "rio": (0x7E93C466, 0x68464EAC),
    "tokyo": (0x49410E66, 0x974E3A8E),
    "taipei": (0x0151E1CF, 0xD6DEBE37),
}


def test_a_scene_is_a_function_of_its_arguments():
    for first, second in zip(scene("idd", "train", 3, HEIGHT), scene("idd", "train", 3, HEIGHT), strict=True):
        np.testing.assert_array_equal(first, second)


def test_every_dataset_is_frozen():
    assert FROZEN.keys() == DATASETS.keys()


@pytest.mark.parametrize("dataset", FROZEN)
def test_scenes_do_not_change_without_a_new_version(dataset):
    images = masks = 0
    for index in range(8):
        image, world = DATASETS[dataset].scene("train", index, HEIGHT)
        images, masks = zlib.crc32(image, images), zlib.crc32(annotate(world, dataset), masks)
    assert (VERSION, images, masks) == (1, *FROZEN[dataset])


@pytest.mark.parametrize("other", [("train", 4, 0), ("val", 3, 0), ("train", 3, 1)])
def test_another_index_split_or_seed_gives_another_scene(other):
    split, index, seed = other
    image, _ = scene("cityscapes", "train", 3, HEIGHT, seed=0)
    assert not np.array_equal(image, scene("cityscapes", split, index, HEIGHT, seed=seed)[0])


def test_another_process_paints_the_same_scene():
    code = f"import zlib; from mdseg.scenes import scene; print(zlib.crc32(scene('bdd', 'val', 5, {HEIGHT})[0]))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == zlib.crc32(scene("bdd", "val", 5, HEIGHT)[0])


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_shows_only_the_classes_it_says_may_occur(domain):
    occurring = DOMAINS[domain].occurring()
    for index in range(25):
        image, world = scene(domain, "train", index, HEIGHT)
        assert image.shape == (*world.shape, 3)
        assert image.dtype == world.dtype == np.uint8
        assert set(np.unique(world).tolist()) <= occurring


def test_the_usual_classes_of_a_street_are_in_most_pictures():
    present = [set(np.unique(scene("cityscapes", "train", index, HEIGHT)[1]).tolist()) for index in range(20)]
    for label in (World.ROAD, World.SKY, World.BUILDING, World.VEGETATION, World.CAR, World.SIDEWALK, World.POLE):
        assert sum(label in classes for classes in present) > 10, label.name


def test_every_world_class_occurs_in_some_domain():
    streets = [domain for domain in DOMAINS.values() if isinstance(domain, Domain)]
    assert set().union(*(domain.occurring() for domain in streets)) == set(World)


def test_the_sky_is_above_the_road():
    _, world = scene("kitti", "train", 0, HEIGHT)
    rows = np.arange(world.shape[0])[:, None] * np.ones_like(world)
    assert rows[world == World.SKY].mean() < rows[world == World.ROAD].mean()


def test_height_scales_the_picture():
    assert scene("cityscapes", "train", 0, 48)[0].shape == (48, 96, 3)
    assert scene("cityscapes", "train", 0, 97)[0].shape == (97, 194, 3)


def test_mapillary_and_kitti_vary_in_size_but_cityscapes_does_not():
    sizes = {
        domain: {scene(domain, "train", index, 40)[1].shape for index in range(12)}
        for domain in ("mapillary", "kitti", "cityscapes")
    }
    assert len(sizes["mapillary"]) > 3
    assert len(sizes["kitti"]) > 1
    assert len(sizes["cityscapes"]) == 1


def test_a_synthetic_style_has_no_noise():
    flat = {**vars(DOMAINS["cityscapes"]), "name": "synthetic", "flat": True}
    image, world = scene(Domain(**flat), "train", 0, HEIGHT)
    real, _ = scene(DOMAINS["cityscapes"], "train", 0, HEIGHT)
    assert image[world == World.ROAD].std() < real[world == World.ROAD].std() + 5
    assert len(np.unique(image.reshape(-1, 3), axis=0)) < len(np.unique(real.reshape(-1, 3), axis=0)) / 2


@pytest.mark.parametrize("domain", ["gta5", "synthia"])
def test_synthetic_sources_are_smooth_where_real_images_are_rough(domain):
    def roughness(name):
        """Median difference of neighbouring pixels of the road."""
        values = []
        for index in range(6):
            image, world = scene(name, "train", index, HEIGHT)
            step = np.abs(np.diff(image.astype(float).mean(-1), axis=1))
            values.append(step[(world == World.ROAD)[:, 1:]])
        return np.median(np.concatenate(values))

    assert roughness(domain) < 0.5 < 1.5 < roughness("cityscapes")


def test_tokyo_drives_on_the_left_and_taipei_on_many_motorcycles():
    assert DOMAINS["tokyo"].left_hand
    features = {name: domain.features for name, domain in DOMAINS.items() if isinstance(domain, Domain)}
    assert features["taipei"]["motorcyclist"] == max(feature["motorcyclist"] for feature in features.values())


def test_an_unknown_domain_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown domain 'mars'.*cityscapes"):
        scene("mars", "train", 0)


def test_world_classes_have_distinct_names_and_colors():
    assert len(set(WORLD_CLASSES)) == len(WORLD_CLASSES) == len(set(WORLD_COLORS)) == len(World)


def test_world_members_are_the_rows_of_the_table_in_their_order():
    assert [member.name for member in World] == [name.replace(" ", "_").upper() for name in WORLD_CLASSES]
    assert list(World) == list(range(len(WORLD_CLASSES)))


def test_a_contact_sheet_has_a_row_per_sample():
    one = contact_sheet(["cityscapes"], samples=1, height=HEIGHT)
    sheet = contact_sheet(["cityscapes", "idd"], samples=2, height=HEIGHT)
    assert sheet.shape[0] == 4 * one.shape[0]
    with pytest.raises(ValueError, match="depth"):
        contact_sheet(["idd"], columns=("depth",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "bdd", "--height", "1"], "--height: expected 8 to 2160 pixels, got 1"),
        (["a.png", "bdd", "--height", "100000"], "--height: expected 8 to 2160 pixels, got 100000"),
        (["a.png", "bdd", "--samples", "0"], "--samples: expected 1 to 100, got 0"),
        ([".", "bdd"], "output: expected the name of a PNG file, got ."),
        (["/dev/null", "bdd"], "output: expected the name of a PNG file, got /dev/null"),
        (["sheet.xyz", "bdd"], "output: expected the name of a PNG file, got sheet.xyz"),
    ],
)
def test_contact_sheets_that_cannot_be_made_are_one_message(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mdseg.scenes", *arguments])
    with pytest.raises(SystemExit):
        commands.main()
    assert message in capsys.readouterr().err
