import json
import multiprocessing
import os
import re
import signal
import time
import warnings

import cv2
import numpy as np
import pytest
import yaml
from hydra.utils import instantiate
from PIL import Image

from mdseg import conf_dir
from mdseg.data.dataset import load_dataset
from mdseg.labels.tables import IGNORE
from mdseg.scenes import DATASETS, VERSION, annotate, generate, scene
from mdseg.scenes.annotation import table_of
from mdseg.system.wording import Remark

HEIGHT = 40
TREES = {name: record.reads or name for name, record in DATASETS.items()}
TREE_NAMES = sorted(set(TREES.values()))
CITIES = ("rome", "rio", "tokyo", "taipei")


def labelled(dataset):
    """A split with masks."""
    return "test" if dataset in CITIES else DATASETS[dataset].splits[0]


def counts_of(dataset):
    return {split: {"train": 5, "val": 3, "test": 2}[split] for split in DATASETS[dataset].splits}


def load(dataset, root, split, **options):
    descriptor = yaml.safe_load((conf_dir() / "dataset" / f"{dataset}.yaml").read_text())
    return load_dataset(dataset, instantiate(descriptor["layout"], **options), root, descriptor["labels"], split)


def open_ids(path):
    """Raw ids of a mask file; Pillow would drop the lower 8 bits of SYNTHIA's."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return pixels[..., 2] if pixels.dtype == np.uint16 else Image.open(path)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    return {dataset: generate(root, dataset, counts_of(dataset), height=HEIGHT) for dataset in TREE_NAMES}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_layouts_list_and_read_the_tree(trees, dataset):
    for split, number in counts_of(dataset).items():
        if TREES[dataset] in ("kitti", "wilddash2") and split == "val":
            number = 5  # train and val are the same files
        data = load(dataset, trees[TREES[dataset]], split)
        assert len(data) == number
        for index in range(number):
            image = data.image(index)
            assert image.shape[:2] == data.size(index)
            if data.samples[index].mask is not None:
                data.check_size(index, image, data.mask(index))


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_tree_is_where_its_descriptor_looks_for_it(trees, dataset):
    descriptor = yaml.safe_load((conf_dir() / "dataset" / f"{dataset}.yaml").read_text())
    place = trees[TREES[dataset]].relative_to(trees["kitti"].parent)
    assert descriptor["root"] == f"${{data.root}}/{place}"


@pytest.mark.parametrize("dataset", [tree for tree in TREE_NAMES if "test" in DATASETS[tree].splits])
def test_only_camvid_labelmefacade_sunrgbd_and_the_cities_label_their_test_split(trees, dataset):
    masks = {sample.mask for sample in load(dataset, trees[dataset], "test").samples}
    assert (masks == {None}) == (dataset not in ("camvid11", "camvid32", "labelmefacade", "sunrgbd", *CITIES))


@pytest.mark.parametrize("dataset", TREE_NAMES)
def test_the_masks_on_disk_are_the_annotated_scenes(trees, dataset):
    split = labelled(dataset)
    data = load(dataset, trees[dataset], split)
    found = sorted(data.mask(index).tobytes() for index in range(len(data)))
    number = len(data)
    written = [annotate(DATASETS[dataset].scene(split, index, HEIGHT)[1], dataset) for index in range(number)]
    same = {mask.tobytes() for mask in written} & set(found)
    assert len(same) >= number - 1  # the last row of the first image holds every ignored id


@pytest.mark.parametrize("dataset", TREE_NAMES)
def test_every_ignored_id_occurs(trees, dataset):
    table = table_of(dataset)
    if table.encoding == "rgb":
        pytest.skip("one colour, Void")
    data = load(dataset, trees[dataset], labelled(dataset))
    raw = np.concatenate([np.asarray(open_ids(sample.mask)).ravel() for sample in data.samples])
    assert set(table.ignore_ids) <= set(raw.tolist())


def test_encodings_are_those_of_the_real_files(trees):
    modes = {}
    for dataset in TREE_NAMES:
        with Image.open(load(dataset, trees[dataset], labelled(dataset)).samples[0].mask) as mask:
            modes[dataset] = mask.mode
    assert modes.pop("mapillary") == modes.pop("labelmefacade") == modes.pop("gta5") == "P"
    assert modes.pop("camvid32") == modes.pop("synthia") == "RGB"
    assert set(modes.values()) == {"L"}


def test_names_are_those_of_the_real_files(trees):
    names = {
        dataset: [sample.image.name for sample in load(dataset, trees[dataset], DATASETS[dataset].splits[0]).samples]
        for dataset in TREE_NAMES
    }
    patterns = {
        "cityscapes": r"[a-z]+_\d{6}_\d{6}_leftImg8bit\.(png|jpg)",
        "idd": r"(\d{6}|frame\d+)_leftImg8bit\.(png|jpg)",
        "bdd": r"[0-9a-f]{8}-[0-9a-f]{8}\.jpg",
        "mapillary": r"[\w-]{22}\.jpg",
        "wilddash": r"[a-z]{2}\d{4}_100000\.png",
        "kitti": r"\d{6}_10\.png",
        "labelmefacade": r"(static|spatial_envelope)_[a-z0-9_]+__[a-zA-Z_]+\d{4}\.jpg",
        "sunrgbd": r"img-\d{6}\.jpg",
        "gta5": r"\d{5}\.(png|jpg)",
        "synthia": r"\d{7}\.png",
        "taipei": r"pano_\d{5}_\d_\d+\.(png|jpg)",
        "camvid32": r"(0001TP_\d{6}|0006R0_f\d{5}|0016E5_\d{5}|Seq05VD_f\d{5})\.png",
    }
    for dataset, pattern in patterns.items():
        assert all(re.fullmatch(pattern, name) for name in names[dataset]), names[dataset]
    assert any(name.startswith("-") for name in names["mapillary"])
    assert {name.rsplit(".")[-1] for name in names["cityscapes"]} == {"png", "jpg"}


def test_mapillary_palette_and_configuration_agree(trees):
    config = json.loads((trees["mapillary"] / "config.json").read_text())["labels"]
    assert len(config) == 66
    assert config[65]["evaluate"] is False
    with Image.open(load("mapillary", trees["mapillary"], "train").samples[0].mask) as mask:
        palette = np.array(mask.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette[:66], [label["color"] for label in config])


def test_labelmefacade_palette_holds_the_original_colors(trees):
    table = table_of("labelmefacade")
    with Image.open(load("labelmefacade", trees["labelmefacade"], "val").samples[0].mask) as mask:
        palette = np.array(mask.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette[:9], [(0, 0, 0), *table.colors])


def test_labelmefacade_has_its_official_split_too(trees):
    def names(split):
        return {tuple(line.split()) for line in (root / f"{split}.txt").read_text().splitlines()}

    root = trees["labelmefacade"]
    train, test = names("train"), names("test")
    assert train < names("large_train")
    assert names("large_val") | names("large_test") < test
    assert train | test == names("large_train") | names("large_val") | names("large_test")
    assert not train & test
    assert len(load("labelmefacade", root, "train", lists="{split}.txt")) == len(train) == 1


def test_idd_polygons_say_what_the_level_3_files_say(trees):
    drawn = load("idd", trees["idd"], "train", annotation="polygons")
    stored = load("idd", trees["idd"], "train")
    for index in range(1, len(stored)):
        assert np.mean(drawn.mask(index) == stored.mask(index)) > 0.99


@pytest.mark.parametrize(("dataset", "variant"), [("bdd", "old"), ("mapillary", "v2.0"), ("camvid32", "original")])
def test_the_other_package_of_a_dataset_is_read_too(tmp_path, dataset, variant):
    root = generate(tmp_path, dataset, {"train": 3, "val": 2}, height=HEIGHT, variant=variant)
    for split, number in (("train", 3), ("val", 2)):
        data = load(dataset, root, split)
        assert len(data) == number
        data.mask(0)


@pytest.mark.filterwarnings("ignore:useless images")
@pytest.mark.parametrize("dataset", ["cityscapes", "idd", "mapillary", "camvid32", "gta5", "synthia"])
def test_traps_have_an_unknown_id(tmp_path, dataset):
    data = load(dataset, generate(tmp_path, dataset, {"train": 1}, height=HEIGHT, traps=True), "train")
    with pytest.raises(ValueError, match=re.escape(data.samples[0].mask.name)):
        data.mask(0)


def test_traps_of_bdd_have_files_without_a_partner(tmp_path):
    root = generate(tmp_path, "bdd", {"train": 2}, height=HEIGHT, traps=True)
    with pytest.warns(UserWarning, match="without"):
        assert len(load("bdd", root, "train")) == 2


def test_traps_of_gta5_are_a_pair_of_two_sizes_two_useless_images_and_a_stale_copy(tmp_path):
    root = generate(tmp_path, "gta5", {"train": 4, "val": 2}, height=HEIGHT, traps=True)
    assert (root / "labels" / "00001_labelTrainIds.png").is_file()
    with pytest.warns(Remark) as caught:
        data = load("gta5", root, "train")
    assert [str(remark.message).split(":")[0].split(",")[0] for remark in caught] == [
        "useless images left out",
        "1 pairs of different sizes",
    ]
    assert [sample.key for sample in data.samples] == ["00001", "00002", "00003", "00004"]
    assert data.samples[2].image.suffix == ".jpg"
    data.check_size(1, data.image(1), data.mask(1))
    with pytest.warns(Remark, match="left out"):
        assert len(load("gta5", root, "train", size_mismatch="skip")) == 3
    with pytest.warns(Remark, match="useless"):
        data = load("gta5", root, "train", size_mismatch="error")
    with pytest.raises(ValueError, match="sizes .* differ"):
        data.check_size(1, data.image(1), data.mask(1))


def test_sunrgbd_has_lists_of_all_of_test_and_of_val_and_the_rest(trees):
    names = ("split/val37.txt", "split/test37.txt", "test37.txt")
    val, rest, test = ((trees["sunrgbd"] / name).read_text().splitlines() for name in names)
    assert sorted(val + rest) == test
    assert test[0] == "image/test/img-000001.jpg depth/test/00000001.png label37/test/00000001.png"


def test_gta5_has_its_two_sizes_and_the_palette_of_its_classes(tmp_path):
    data = load("gta5", generate(tmp_path, "gta5", {"train": 12}, height=128), "train")
    assert {data.size(index) for index in range(12)} == {(128, 233), (127, 233)}
    table = table_of("gta5")
    with Image.open(data.samples[0].mask) as mask:
        palette = np.array(mask.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette[[ids[0] for ids in table.raw_ids]], table.colors)


def test_synthia_has_16_bits_with_the_class_in_red_and_the_instance_in_green(trees):
    data = load("synthia", trees["synthia"], "train")
    assert [sample.key for sample in data.samples] == [f"{number:07d}" for number in range(5)]
    assert load("synthia", trees["synthia"], "val").samples[0].key == "0009000"
    pixels = cv2.imread(str(data.samples[1].mask), cv2.IMREAD_UNCHANGED)
    blue, green, red = np.moveaxis(pixels, -1, 0)
    assert pixels.dtype == np.uint16
    assert not blue.any()
    things = np.isin(red, [8, 10, 11, 12, 17, 19])
    assert (green > 0).tolist() == things.tolist()
    with Image.open(data.samples[1].mask) as mask:
        assert not np.array(mask).any()  # what Pillow makes of it


def test_synthia_never_shows_the_classes_that_the_real_one_lacks(trees):
    found = set()
    for sample in load("synthia", trees["synthia"], "train").samples[1:]:
        found |= set(np.unique(open_ids(sample.mask)).tolist())
    assert not found & {13, 16, 18, 20}  # parking slot, terrain, truck, train
    assert 22 in found  # lane marking, which is ignored


def test_traps_of_the_cities_are_a_black_png_beside_a_jpeg_and_other_ids(tmp_path):
    root = generate(tmp_path, "rio", {"train": 2, "test": 3}, height=HEIGHT, traps=True)
    assert root == tmp_path / "NTHU_Datasets" / "Rio"
    train, test = load("rio", root, "train"), load("rio", root, "test")
    assert {sample.mask for sample in train.samples} == {None}
    assert (root / "Images" / "Test" / f"{test.samples[0].key}.png").is_file()
    assert [sample.image.suffix for sample in test.samples] == [".jpg", ".jpg", ".png"]
    assert test.image(0).any()
    assert (test.mask(0) == IGNORE).any()  # unknown ids of this dataset are ignored


@pytest.mark.parametrize("dataset", ["bdd", "gta5", "synthia", "tokyo"])
def test_clean_trees_raise_no_warning(trees, dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(dataset, trees[dataset], labelled(dataset))


def test_a_second_call_keeps_the_tree(trees):
    root = trees["kitti"]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert generate(root.parent, "kitti", counts_of("kitti"), height=HEIGHT) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_other_settings_are_refused(trees):
    with pytest.raises(ValueError, match=rf"'version': {VERSION}.*'seed': 0.*'seed': 1"):
        generate(trees["kitti"].parent, "kitti", counts_of("kitti"), height=HEIGHT, seed=1)


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "kitti").mkdir()
    with pytest.raises(ValueError, match="was not written by"):
        generate(tmp_path, "kitti", {"val": 1}, height=HEIGHT)


def test_wrong_splits_and_variants_are_errors(tmp_path):
    with pytest.raises(ValueError, match="no split 'train'"):
        generate(tmp_path, "wilddash", {"train": 1})
    with pytest.raises(ValueError, match="no variant 'old'"):
        generate(tmp_path, "kitti", {"val": 1}, variant="old")


def test_workers_write_the_same_files(tmp_path):
    one = generate(tmp_path / "one", "kitti", {"val": 10}, height=HEIGHT, workers=1)
    two = generate(tmp_path / "two", "kitti", {"val": 10}, height=HEIGHT, workers=2)
    files = sorted(path.relative_to(one) for path in one.rglob("*.png"))
    assert len(files) == 20
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_two_processes_end_with_one_whole_tree(tmp_path):
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path, "camvid11", {"train": 12}, HEIGHT)
    both = [context.Process(target=generate, args=arguments) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert os.listdir(tmp_path) == ["camvid"]
    assert len(load("camvid11", tmp_path / "camvid", "train")) == 12


def test_a_killed_run_leaves_nothing_that_passes_for_a_tree(tmp_path):
    process = multiprocessing.get_context("fork").Process(
        target=generate, args=(tmp_path, "camvid11", {"train": 5000}, HEIGHT)
    )
    process.start()
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert not (tmp_path / "camvid").exists()
    generate(tmp_path, "camvid11", {"train": 2}, height=HEIGHT)
    assert len(load("camvid11", tmp_path / "camvid", "train")) == 2


def test_opencv_reads_what_was_written(trees):
    sample = load("kitti", trees["kitti"], "val").samples[1]
    image, _ = scene("kitti", "train", 1, HEIGHT)
    np.testing.assert_array_equal(cv2.imread(str(sample.image))[..., ::-1], image)
