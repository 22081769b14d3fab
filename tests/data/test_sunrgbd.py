"""SUN RGB-D: extracted packages, the download's tree, and MATLAB files that are not what they should be."""

import multiprocessing
import shutil

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mdseg.data import layouts
from mdseg.data.check import list_split
from mdseg.data.dataset import SegmentationDataset
from mdseg.data.listing import IncompleteSplit, NoSplit
from mdseg.labels.tables import IGNORE, LabelTable

TABLE = LabelTable.load("sunrgbd37")
SCENES = ("SUNRGBD/kv1/NYUdata/NYU0001", "SUNRGBD/xtion/sun3ddata/a/b", "SUNRGBD/kv2/kinect2data/000002_x")
MASK_FILE = "SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat"
MASKS = [np.full((6, 8), 0, np.uint8), np.full((5, 7), 37, np.uint8), np.full((4, 9), 12, np.uint8)]
for _mask in MASKS:
    _mask[0] = 1  # MATLAB stores columns first: a row must stay a row


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.ones((6, 8), np.uint8))


def text(root, name, *lines):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n")


def names_of(samples, root):
    return [(sample.key, str(sample.image.relative_to(root)), str(sample.mask.relative_to(root))) for sample in samples]


# Extracted


@pytest.fixture
def extracted(tmp_path):
    for split, number in (("train", 2), ("test", 3)):
        for index in range(1, number + 1):
            write(tmp_path, f"image/{split}/img-{index:06d}.jpg", f"label37/{split}/{index:08d}.png")

    def lines(split, *numbers):
        return [f"image/{split}/img-{n:06d}.jpg depth/{split}/{n:08d}.png label37/{split}/{n:08d}.png" for n in numbers]

    text(tmp_path, "train37.txt", *lines("train", 1, 2))
    text(tmp_path, "test37.txt", *lines("test", 1, 2, 3))
    text(tmp_path, "split/val37.txt", *lines("test", 2))
    text(tmp_path, "split/test37.txt", *lines("test", 1, 3))
    return tmp_path


def test_a_line_pairs_its_first_and_its_last_column(extracted):
    assert names_of(layouts.sunrgbd(extracted, "train"), extracted) == [
        ("img-000001", "image/train/img-000001.jpg", "label37/train/00000001.png"),
        ("img-000002", "image/train/img-000002.jpg", "label37/train/00000002.png"),
    ]


def test_lines_may_leave_out_depth(extracted):
    text(extracted, "train37.txt", "image/train/img-000002.jpg label37/train/00000002.png")
    assert [sample.key for sample in layouts.sunrgbd(extracted, "train")] == ["img-000002"]


def test_val_is_a_part_of_test_and_test_is_the_rest_of_it_where_a_list_says_so(extracted):
    assert [sample.key for sample in layouts.sunrgbd(extracted, "val")] == ["img-000002"]
    assert [sample.key for sample in layouts.sunrgbd(extracted, "test")] == ["img-000001", "img-000003"]
    (extracted / "split/test37.txt").unlink()
    assert len(layouts.sunrgbd(extracted, "test")) == 3


@pytest.mark.parametrize(
    ("name", "split"), [("train37.txt", "train"), ("split/val37.txt", "val"), ("test37.txt", "test")]
)
def test_a_missing_list_is_named_with_the_other_layout(extracted, name, split):
    (extracted / name).unlink()
    (extracted / "split/test37.txt").unlink()
    with pytest.raises(NoSplit, match=rf"no list .*{name} .*label37/.*layout.annotation=official"):
        layouts.sunrgbd(extracted, split)


def test_listed_files_that_are_missing_are_named_and_the_rest_is_kept(extracted):
    (extracted / "image/train/img-000001.jpg").unlink()
    with pytest.raises(IncompleteSplit, match=r"train37.txt names .*img-000001.jpg, which does not exist") as caught:
        layouts.sunrgbd(extracted, "train")
    assert [sample.key for sample in caught.value.found] == ["img-000002"]


def test_a_line_without_mask_is_an_error_that_shows_it(extracted):
    text(extracted, "train37.txt", "image/train/img-000001.jpg")
    with pytest.raises(ValueError, match=r"train37.txt: expected 'image depth label' in a line, got 'image/train"):
        layouts.sunrgbd(extracted, "train")


def test_images_that_are_numbered_through_are_test_up_to_5050(tmp_path):
    for number in (1, 5050, 5051, 10335):
        write(tmp_path, f"image/img-{number:06d}.jpg", f"label37/img-{number:06d}.png")
    text(tmp_path, "split/val37.txt", "image/test/img-005050.jpg depth/x.png label37/test/00005050.png")
    keys = {split: [sample.key for sample in layouts.sunrgbd(tmp_path, split)] for split in ("train", "val", "test")}
    assert keys == {"train": ["005051", "010335"], "val": ["005050"], "test": ["000001", "005050"]}


def test_numbered_images_of_one_split_only_are_no_other(tmp_path):
    write(tmp_path, "image/img-000001.jpg", "label37/00000001.png")
    with pytest.raises(NoSplit, match="no images of the train split: 1 to 5050 are test"):
        layouts.sunrgbd(tmp_path, "train")


def test_copies_with_smaller_ids_are_noticed_and_have_a_table(extracted):
    mask = np.full((6, 8), IGNORE, np.uint8)
    mask[0] = 36
    cv2.imwrite(str(extracted / "label37/train/00000001.png"), mask)
    samples = layouts.sunrgbd(extracted, "train")
    with pytest.raises(ValueError, match=r"raw ids .*255.* are not in label table 'sunrgbd37'"):
        SegmentationDataset("sunrgbd", samples, TABLE).mask(0)
    prepared = LabelTable.load("sunrgbd37_train_ids")
    assert prepared.names == TABLE.names
    assert prepared.names[SegmentationDataset("sunrgbd", samples, prepared).mask(0)[0, 0]] == "bag"


# The download


def write_masks(path, masks, struct="SUNRGBD2Dseg", field="seglabel"):
    """As MATLAB 7.3 does: 512 bytes of its own, then HDF5 with references to transposed arrays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        references = [file.create_dataset(f"#refs#/{index}", data=mask.T).ref for index, mask in enumerate(masks)]
        file.create_group(struct).create_dataset(field, data=np.array(references)[:, None], dtype=h5py.ref_dtype)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(126) + b"\x02IM")


def write_v5(path, variables):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables, do_compression=True)


@pytest.fixture
def official(tmp_path):
    far = [f"/n/fs/sun3d/data/{scene}" for scene in SCENES]
    paths = np.array([f"{scene}/image/shot.jpg" for scene in far], object)
    order = np.zeros(3, [("rgbpath", object), ("rgbname", object)])
    order["rgbpath"], order["rgbname"] = paths, "shot.jpg"
    write_v5(tmp_path / "SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat", {"SUNRGBDMeta": order})
    split = {"alltrain": np.array(far[::2], object), "alltest": np.array(far[1:2], object)}
    write_v5(tmp_path / "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat", split)
    write_masks(tmp_path / MASK_FILE, MASKS)
    for scene, mask in zip(SCENES, MASKS, strict=True):
        (tmp_path / scene / "image").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / scene / "image/shot.jpg"), np.zeros((*mask.shape, 3), np.uint8))
        names = np.array(["Floor mat", "garbage_bin", "bag"], object)
        write_v5(tmp_path / scene / "seg.mat", {"seglabel": mask.astype(float) % 3 + (mask == 12), "names": names})
    return tmp_path


def official_data(root, split="train", annotation="official"):
    return SegmentationDataset("sunrgbd", layouts.sunrgbd(root, split, annotation=annotation), TABLE)


def test_the_split_and_the_order_come_from_the_toolbox(official):
    data = official_data(official)
    assert [(sample.key, sample.entry) for sample in data.samples] == [
        ("kv1/NYUdata/NYU0001", 0),
        ("kv2/kinect2data/000002_x", 2),
    ]
    assert [sample.key for sample in official_data(official, "test").samples] == ["xtion/sun3ddata/a/b"]


def test_an_entry_is_read_the_right_way_round(official):
    data = official_data(official)
    for index, mask in enumerate((MASKS[0], MASKS[2])):
        data.check_size(index, data.image(index), data.mask(index))
        np.testing.assert_array_equal(data.mask(index), np.where(mask == 0, IGNORE, mask - 1))


def test_a_process_that_was_forked_after_a_read_reads_too(official):
    data = official_data(official)
    data.mask(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        shapes = pool.map(shape_of_mask, [(data, index) for index in (0, 1, 0, 1)])
    assert shapes == [(6, 8), (4, 9)] * 2


def shape_of_mask(task):
    data, index = task
    return data.mask(index).shape


def test_regions_of_a_scene_have_names_of_which_37_are_classes(official):
    mask = official_data(official, annotation="seg_mat").mask(0)
    assert TABLE.names[mask[0, 0]] == "floor_mat"
    assert (mask[1:] == IGNORE).all()  # region 0
    assert (official_data(official, "test", "seg_mat").mask(0)[0] == TABLE.class_index("floor_mat")).all()


@pytest.mark.parametrize("annotation", ["official", "seg_mat"])
def test_the_download_has_no_val(official, annotation):
    with pytest.raises(NoSplit, match="annotation=extracted"):
        layouts.sunrgbd(official, "val", annotation=annotation)


@pytest.mark.parametrize("annotation", ["official", "seg_mat"])
def test_missing_images_are_named_and_the_rest_is_kept(official, annotation):
    (official / SCENES[0] / "image/shot.jpg").unlink()
    samples, (problem,) = list_split(
        lambda root, split: layouts.sunrgbd(root, split, annotation=annotation), official, "train"
    )
    assert [sample.key for sample in samples] == ["kv2/kinect2data/000002_x"]
    assert problem.what == "of the train split, but missing"
    with pytest.raises(IncompleteSplit, match=rf"{SCENES[0]}/image/.*unpack SUNRGBD.zip into {official}"):
        layouts.sunrgbd(official, "train", annotation=annotation)


def test_masks_and_images_of_two_toolboxes_are_refused(official):
    write_masks(official / MASK_FILE, MASKS[:2])
    with pytest.raises(ValueError, match=r"SUNRGBD2Dseg.mat has 2 masks, .*SUNRGBDMeta.mat 3 images"):
        official_data(official)


# MATLAB files that are not what they should be: each message names the file and what to do

SPLIT_FILE = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
ORDER_FILE = "SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat"


@pytest.mark.parametrize("name", [SPLIT_FILE, ORDER_FILE, MASK_FILE])
def test_a_missing_matlab_file_is_named(official, name):
    (official / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no file .*{name} \(set data.root .*SUNRGBDtoolbox.zip"):
        official_data(official)


@pytest.mark.parametrize("name", [SPLIT_FILE, ORDER_FILE, MASK_FILE])
@pytest.mark.parametrize("kept", [0, 0.02, 0.5, 0.95])
def test_a_truncated_matlab_file_is_named(official, name, kept):
    content = (official / name).read_bytes()
    (official / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"{name}: (empty|truncated|no MATLAB file).* again from SUNRGBDtoolbox.zip"):
        official_data(official)


def test_a_file_that_was_damaged_inside_is_named_when_it_is_read(official):
    data = official_data(official)
    content = (official / MASK_FILE).read_bytes()
    (official / MASK_FILE).write_bytes(content[:608] + bytes(len(content) - 608))
    with pytest.raises(ValueError, match=rf"{MASK_FILE}: truncated or damaged \("):
        data.mask(0)


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        (MASK_FILE, SPLIT_FILE, "a MATLAB file of version 5, expected one of version 7.3"),
        (SPLIT_FILE, MASK_FILE, "a MATLAB file of version 7.3, expected one of version 5"),
        (ORDER_FILE, SPLIT_FILE, r"expected variable 'SUNRGBDMeta', found \['alltrain', 'alltest'\]"),
        (SPLIT_FILE, ORDER_FILE, r"expected variable 'alltrain', found \['SUNRGBDMeta'\]"),
    ],
)
def test_another_version_or_file_is_told_from_the_right_one(official, name, other, message):
    shutil.copy(official / other, official / name)
    with pytest.raises(ValueError, match=rf"{name}: {message}.*SUNRGBDtoolbox.zip"):
        official_data(official)


@pytest.mark.parametrize(
    ("struct", "field", "found"), [("SUNRGBDMeta", "seglabel", "SUNRGBDMeta"), ("SUNRGBD2Dseg", "labels", "labels")]
)
def test_other_names_in_the_mask_file_are_shown(official, struct, field, found):
    write_masks(official / MASK_FILE, MASKS, struct, field)
    with pytest.raises(
        ValueError, match=rf"{MASK_FILE}: expected references .*'SUNRGBD2Dseg/seglabel', found .*'{found}'"
    ):
        official_data(official)


def test_paths_of_another_kind_are_shown(official):
    write_v5(official / SPLIT_FILE, {"alltrain": np.array(["D:/kinect/1"], object), "alltest": "x"})
    with pytest.raises(ValueError, match=r"allsplit.mat: expected paths such as .*, found 'D:/kinect/1'"):
        official_data(official)


def test_a_scene_whose_regions_have_no_names_is_named(official):
    data = official_data(official, annotation="seg_mat")
    write_v5(official / SCENES[0] / "seg.mat", {"seglabel": np.full((6, 8), 4.0), "names": np.array(["bed"], object)})
    with pytest.raises(ValueError, match=r"NYU0001/seg.mat: region 4 of 'seglabel' has no name, there are 1"):
        data.mask(0)


def test_ids_that_are_none_are_an_error(official):
    write_masks(official / MASK_FILE, [mask.astype(float) - 3 for mask in MASKS])
    with pytest.raises(ValueError, match=r"SUNRGBD2Dseg.mat: expected masks of ids up to 255, found float64"):
        official_data(official).mask(0)


def test_an_unknown_annotation_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"annotation 'mat', expected one of \['extracted', 'official', 'seg_mat'\]"):
        layouts.sunrgbd(tmp_path, "train", annotation="mat")
