from pathlib import Path

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from mdseg import conf_dir
from mdseg.data import layouts
from mdseg.data.dataset import Sample
from mdseg.data.listing import SPLITS, IncompleteSplit, NoSplit
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark

REAL = Path(__file__).parents[3] / "shared" / "data"


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".png", ".jpg")):
            cv2.imwrite(str(root / name), np.zeros((8, 8), np.uint8))
        else:
            (root / name).write_text("{}")


def listing(root: Path, samples: list[Sample]) -> list[tuple[str, str, str | None]]:
    assert [sample.key for sample in samples] == sorted({sample.key for sample in samples})
    return [
        (sample.key, str(sample.image.relative_to(root)), sample.mask and str(sample.mask.relative_to(root)))
        for sample in samples
    ]


# Cityscapes


@pytest.fixture
def cityscapes(tmp_path):
    write(
        tmp_path,
        "leftImg8bit/train/bonn/bonn_000000_000019_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.jpg",
        "leftImg8bit/train/aachen/._aachen_000000_000019_leftImg8bit.png",
        "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png",
        "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png",
        "gtFine/train/aachen/aachen_000000_000019_gtFine_color.png",
        "gtFine/train/aachen/aachen_000000_000019_gtFine_polygons.json",
        "gtFine/train/bonn/bonn_000000_000019_gtFine_labelIds.png",
        "gtFine/train/bonn/bonn_000000_000019_gtFine_labelTrainIds.png",
        "gtFine/test/berlin/berlin_000000_000019_gtFine_labelIds.png",
    )
    return tmp_path


def test_cityscapes_pairs_by_city_and_frame_and_takes_jpeg_images(cityscapes):
    assert listing(cityscapes, layouts.cityscapes(cityscapes, "train")) == [
        (
            "aachen/aachen_000000_000019",
            "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.jpg",
            "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png",
        ),
        (
            "bonn/bonn_000000_000019",
            "leftImg8bit/train/bonn/bonn_000000_000019_leftImg8bit.png",
            "gtFine/train/bonn/bonn_000000_000019_gtFine_labelIds.png",
        ),
    ]


def test_cityscapes_test_is_unlabelled_though_it_has_files(cityscapes):
    assert [sample.mask for sample in layouts.cityscapes(cityscapes, "test")] == [None]


def test_cityscapes_train_ids_that_were_not_written_for_all_are_counted(cityscapes):
    with pytest.raises(
        FileNotFoundError, match=r"1 images without mask, the first is .*aachen_000000_000019_leftImg8bit.jpg"
    ):
        layouts.cityscapes(cityscapes, "train", annotation="train_ids")


def test_a_mask_without_image_is_named(cityscapes):
    write(cityscapes, "gtFine/train/bonn/bonn_000001_000019_gtFine_labelIds.png")
    with pytest.raises(
        FileNotFoundError, match=r"1 masks without image, the first is .*bonn_000001_000019_gtFine_labelIds"
    ):
        layouts.cityscapes(cityscapes, "train")


def test_an_unknown_annotation_is_refused(cityscapes):
    with pytest.raises(ValueError, match=r"annotation 'coarse', expected one of \['label_ids', 'train_ids'\]"):
        layouts.cityscapes(cityscapes, "train", annotation="coarse")


# Errors that all share


@pytest.mark.parametrize(
    "layout",
    [
        layouts.cityscapes,
        layouts.idd,
        layouts.bdd,
        layouts.mapillary,
        layouts.wilddash,
        layouts.wilddash2,
        layouts.kitti,
        layouts.camvid,
        layouts.camvid32,
        layouts.gta5,
        layouts.sunrgbd,
        layouts.synthia,
        lambda root, split: layouts.nthu(root, split if split != "val" else "test"),
        lambda root, split: layouts.folder(root, split, "images", "masks"),
    ],
)
def test_a_missing_root_an_empty_one_and_an_unknown_split_are_refused(layout, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere \(set data.root"):
        layout(tmp_path / "nowhere", "val")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        layout(tmp_path, "val")
    with pytest.raises(ValueError, match=r"split 'valid', expected one of \['train', 'val', 'test'\]"):
        layout(tmp_path, "valid")


def test_a_folder_without_images_is_named_with_what_was_looked_for(tmp_path):
    write(tmp_path, "training/image_2/readme.txt")
    with pytest.raises(FileNotFoundError, match=r"no files .* suffix .png, .jpg, .jpeg, .* in .*image_2"):
        layouts.kitti(tmp_path, "train")


# IDD


@pytest.fixture
def idd(tmp_path):
    for drive in ("10", "9"):
        write(
            tmp_path / "IDD_Segmentation",
            f"leftImg8bit/val/{drive}/005506_leftImg8bit.png",
            f"gtFine/val/{drive}/005506_gtFine_polygons.json",
            f"gtFine/val/{drive}/005506_gtFine_labelLevel3Ids.png",
            f"gtFine/val/{drive}/005506_gtFine_labelids.png",
            f"gtFine/val/{drive}/005506_gtFine_labelcsIds.png",
        )
    write(tmp_path / "IDD_Segmentation", "leftImg8bit/test/3/frame12_leftImg8bit.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("annotation", "ending"),
    [("level3", "labelLevel3Ids.png"), ("label_ids", "labelids.png"), ("polygons", "polygons.json")],
)
def test_idd_keys_include_the_drive_and_endings_match_in_any_case(idd, annotation, ending):
    for root in (idd, idd / "IDD_Segmentation"):
        samples = layouts.idd(root, "val", annotation=annotation)
        assert [sample.key for sample in samples] == ["10/005506", "9/005506"]
        assert [sample.mask.name for sample in samples] == [f"005506_gtFine_{ending}"] * 2
        assert [sample.mask.parent.name for sample in samples] == ["10", "9"]


def test_idd_test_is_unlabelled(idd):
    samples = layouts.idd(idd, "test")
    assert [(sample.key, sample.mask) for sample in samples] == [("3/frame12", None)]


# BDD100K


def test_bdd_reads_the_old_layout(tmp_path):
    write(
        tmp_path,
        "seg/images/train/0004a4c0-d4dff0ad.jpg",
        "seg/labels/train/0004a4c0-d4dff0ad_train_id.png",
        "seg/color_labels/train/0004a4c0-d4dff0ad_train_color.png",
        "seg/images/test/ffff0000-d4dff0ad.jpg",
    )
    assert listing(tmp_path, layouts.bdd(tmp_path, "train")) == [
        (
            "0004a4c0-d4dff0ad",
            "seg/images/train/0004a4c0-d4dff0ad.jpg",
            "seg/labels/train/0004a4c0-d4dff0ad_train_id.png",
        )
    ]
    assert layouts.bdd(tmp_path, "test")[0].mask is None


def test_bdd_uses_the_pairs_of_the_new_layout_and_counts_the_rest(tmp_path):
    write(tmp_path, *(f"bdd100k/images/10k/train/{key}-2564fb7e.jpg" for key in ("00000001", "00000002", "3d581db5")))
    write(
        tmp_path,
        *(f"bdd100k/labels/sem_seg/masks/train/{key}-2564fb7e.png" for key in ("00000001", "00000002", "99999999")),
    )
    with pytest.warns(
        UserWarning, match=r"1 images without mask, .*3d581db5.*1 masks without image, .*99999999.*2 pairs remain"
    ):
        samples = layouts.bdd(tmp_path, "train")
    assert [sample.key for sample in samples] == ["00000001-2564fb7e", "00000002-2564fb7e"]


def test_bdd_names_both_layouts_when_there_is_neither(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither .*10k \(new layout\) nor .*seg/images \(old layout\)"):
        layouts.bdd(tmp_path, "train")


# Mapillary


@pytest.mark.parametrize("labels", ["labels", "v1.2/labels"])
def test_mapillary_reads_both_packages_and_keys_that_begin_with_a_dash(tmp_path, labels):
    keys = ("-0000000000000000000-A", "_111111111111111111111", "zzzzzzzzzzzzzzzzzzzzzz")
    write(tmp_path, *(f"validation/images/{key}.jpg" for key in keys), "testing/images/-a.jpg")
    write(
        tmp_path,
        *(f"validation/{labels}/{key}.png" for key in keys),
        *(f"validation/v2.0/labels/{key}.png" for key in keys),
    )
    samples = layouts.mapillary(tmp_path, "val")
    assert [sample.key for sample in samples] == list(keys)
    assert all(sample.mask.parent == tmp_path / "validation" / labels for sample in samples)
    assert layouts.mapillary(tmp_path, "test")[0].mask is None


def test_mapillary_refuses_v2_labels(tmp_path):
    write(tmp_path, "training/images/a.jpg", "training/v2.0/labels/a.png")
    with pytest.raises(ValueError, match=r"only v2\.0 labels"):
        layouts.mapillary(tmp_path, "train")


# WildDash and KITTI


def test_wilddash_1_tells_images_from_masks_in_one_flat_folder(tmp_path):
    for name in ("au0000_100000", "zz0001_100000"):
        write(tmp_path, *(f"wd_val_01/{name}{ending}.png" for ending in ("", "_labelIds", "_instanceIds")))
    write(tmp_path, "wd_bench_01/aa0002_100000.png")
    assert listing(tmp_path, layouts.wilddash(tmp_path, "val")) == [
        (key, f"wd_val_01/{key}.png", f"wd_val_01/{key}_labelIds.png") for key in ("au0000_100000", "zz0001_100000")
    ]
    assert layouts.wilddash(tmp_path, "test")[0].mask is None
    with pytest.raises(NoSplit, match="no training split"):
        layouts.wilddash(tmp_path, "train")


@pytest.mark.parametrize("package", ["wd_public_02", "wd_public_v2p0"])
def test_wilddash_2_reads_both_names_of_its_package(tmp_path, package):
    write(tmp_path, f"{package}/images/a1.jpg", f"{package}/labels/a1.png", "wd_both_02/images/b1.jpg")
    expected = [("a1", f"{package}/images/a1.jpg", f"{package}/labels/a1.png")]
    assert listing(tmp_path, layouts.wilddash2(tmp_path, "train")) == expected
    assert listing(tmp_path, layouts.wilddash2(tmp_path, "val")) == expected
    assert listing(tmp_path, layouts.wilddash2(tmp_path, "test")) == [("b1", "wd_both_02/images/b1.jpg", None)]


def test_kitti_has_the_same_labelled_images_in_train_and_val(tmp_path):
    write(
        tmp_path, "training/image_2/000000_10.png", "training/semantic/000000_10.png", "testing/image_2/000000_10.png"
    )
    expected = [("000000_10", "training/image_2/000000_10.png", "training/semantic/000000_10.png")]
    assert listing(tmp_path, layouts.kitti(tmp_path, "train")) == expected
    assert listing(tmp_path, layouts.kitti(tmp_path, "val")) == expected
    assert listing(tmp_path, layouts.kitti(tmp_path, "test")) == [("000000_10", "testing/image_2/000000_10.png", None)]


# CamVid


def test_camvid_reads_folders_without_lists(tmp_path):
    write(tmp_path, "test/0001TP_008550.png", "testannot/0001TP_008550.png")
    assert listing(tmp_path, layouts.camvid(tmp_path, "test")) == [
        ("0001TP_008550", "test/0001TP_008550.png", "testannot/0001TP_008550.png")
    ]


def test_camvid_lists_count_by_their_last_two_components_and_images_may_be_jpeg(tmp_path):
    write(tmp_path, *(f"train/{key}.jpg" for key in "abc"), *(f"trainannot/{key}.png" for key in "abc"))
    lines = [f"/SegNet/CamVid/train/{key}.png /SegNet/CamVid/trainannot/{key}.png" for key in "ca"]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    assert listing(tmp_path, layouts.camvid(tmp_path, "train")) == [
        (key, f"train/{key}.jpg", f"trainannot/{key}.png") for key in "ac"
    ]


def test_a_listed_file_that_is_missing_is_named_with_its_list(tmp_path):
    write(tmp_path, "train/a.png", "trainannot/a.png")
    (tmp_path / "train.txt").write_text("train/b.png trainannot/b.png\n")
    with pytest.raises(FileNotFoundError, match=r"train.txt names .*train/b.png, which does not exist"):
        layouts.camvid(tmp_path, "train")


def test_camvid32_reads_the_repackaged_folders(tmp_path):
    write(tmp_path, "val/0016E5_07959.png", "val_labels/0016E5_07959_L.png", "class_dict.csv")
    assert listing(tmp_path, layouts.camvid32(tmp_path, "val")) == [
        ("0016E5_07959", "val/0016E5_07959.png", "val_labels/0016E5_07959_L.png")
    ]


@pytest.mark.parametrize("labels", ["LabeledApproved_full", "Labels32-RGB"])
def test_camvid32_splits_the_original_folders_by_lists_of_names_or_paths(tmp_path, labels):
    keys = ("0001TP_006690", "0006R0_f00930", "Seq05VD_f00000")
    write(
        tmp_path / "original",
        *(f"701_StillsRaw_full/{key}.png" for key in keys),
        *(f"{labels}/{key}_L.png" for key in keys),
    )
    (tmp_path / "original" / "train.txt").write_text("Seq05VD_f00000\n0001TP_006690.png\n")
    (tmp_path / "segnet").mkdir()
    (tmp_path / "segnet" / "test.txt").write_text("test/0006R0_f00930.jpg testannot/0006R0_f00930.png\n")
    train = layouts.camvid32(tmp_path / "original", "train")
    assert [(sample.key, sample.mask.name) for sample in train] == [(key, f"{key}_L.png") for key in keys[::2]]
    test = layouts.camvid32(tmp_path / "original", "test", lists=tmp_path / "segnet")
    assert [sample.key for sample in test] == [keys[1]]
    with pytest.raises(FileNotFoundError, match=r"no list .*val.txt .* set the layout's `lists`"):
        layouts.camvid32(tmp_path / "original", "val")
    (tmp_path / "original" / "val.txt").write_text("0001TP_999999\n")
    with pytest.raises(FileNotFoundError, match=r"val.txt names 1 files that .* lacks, the first is '0001TP_999999'"):
        layouts.camvid32(tmp_path / "original", "val")


# GTA5


def sized(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width), np.uint8))


def gta5_tree(root: Path, *keys: str) -> Path:
    write(root, *(f"{folder}/{key}.png" for key in keys for folder in ("images", "labels")))
    return root


def test_gta5_matches_names_exactly_beside_what_a_preparation_tool_wrote(tmp_path):
    gta5_tree(tmp_path, "00001", "00002")
    write(tmp_path, "labels/00001_labelTrainIds.png", "labels/00001_color.png", "images/00003.jpg", "labels/00003.png")
    assert listing(tmp_path, layouts.gta5(tmp_path, "train")) == [
        ("00001", "images/00001.png", "labels/00001.png"),
        ("00002", "images/00002.png", "labels/00002.png"),
        ("00003", "images/00003.jpg", "labels/00003.png"),
    ]


def test_gta5_without_lists_trains_on_all_images_and_says_where_its_val_comes_from(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "GTA5_VAL", 2)
    gta5_tree(tmp_path, "00001", "00002", "00003")
    assert len(layouts.gta5(tmp_path, "train")) == 3
    with pytest.warns(Remark, match="val is its first 2 images, which are in train too"):
        assert [sample.key for sample in layouts.gta5(tmp_path, "val")] == ["00001", "00002"]
    with pytest.raises(NoSplit, match="no test split without lists"):
        layouts.gta5(tmp_path, "test")


@pytest.mark.parametrize("lines", ["1\n3\n", "00001.png\n00003.png", "images/00001.png\n\nimages/00003.png\n"])
@pytest.mark.parametrize("own", [True, False])
def test_gta5_takes_lists_of_numbers_or_file_names_in_its_folder_or_elsewhere(tmp_path, lines, own):
    root = gta5_tree(tmp_path / "gta5", "00001", "00002", "00003")
    lists = root if own else tmp_path / "lists"
    lists.mkdir(exist_ok=True)
    (lists / "train.txt").write_text(lines)
    options = {} if own else {"lists": str(lists)}
    assert [sample.key for sample in layouts.gta5(root, "train", **options)] == ["00001", "00003"]
    with pytest.raises(NoSplit, match=r"no list .*val.txt"):
        layouts.gta5(root, "val", **options)
    (lists / "val.txt").write_text("4\n")
    with pytest.raises(FileNotFoundError, match=r"val.txt names 1 files that .* lacks, the first is '00004'"):
        layouts.gta5(root, "val", **options)


@pytest.mark.parametrize("listed", [True, False])
def test_gta5_leaves_the_two_useless_images_out_and_says_so(tmp_path, listed):
    gta5_tree(tmp_path, "15187", "15188", "17705")
    if listed:
        (tmp_path / "train.txt").write_text("15187\n15188\n17705\n")
    with pytest.warns(Remark, match=r"useless images left out: 15188 \(white\), 17705 \(black\)"):
        assert [sample.key for sample in layouts.gta5(tmp_path, "train")] == ["15187"]


def test_gta5_lists_may_name_useless_images_that_were_deleted(tmp_path):
    gta5_tree(tmp_path, "15187")
    (tmp_path / "train.txt").write_text("15187\n15188\n")
    assert [sample.key for sample in layouts.gta5(tmp_path, "train")] == ["15187"]


def test_gta5_pairs_of_different_sizes_are_resized_or_left_out_and_counted(tmp_path):
    for key, size in (("20800", (6, 10)), ("20801", (3, 5)), ("20802", (4, 7))):
        sized(tmp_path / f"images/{key}.png", 6, 10)
        sized(tmp_path / f"labels/{key}.png", *size)
    with pytest.warns(Remark, match=r"2 pairs of different sizes, the first is .*labels/20801.png: masks resized"):
        samples = layouts.gta5(tmp_path, "train")
    assert [sample.mask_size for sample in samples] == [None, (6, 10), (6, 10)]
    with pytest.warns(Remark, match=r"2 pairs of different sizes, the first is .*20801.png: left out"):
        samples = layouts.gta5(tmp_path, "train", size_mismatch="skip")
    assert [sample.key for sample in samples] == ["20800"]
    assert [sample.mask_size for sample in layouts.gta5(tmp_path, "train", size_mismatch="error")] == [None] * 3
    with pytest.raises(ValueError, match=r"size_mismatch 'crop', expected one of \['error', 'resize', 'skip'\]"):
        layouts.gta5(tmp_path, "train", size_mismatch="crop")


def test_gta5_labels_of_images_that_were_not_downloaded_are_counted(tmp_path):
    gta5_tree(tmp_path, "00001")
    write(tmp_path, "labels/00002.png", "labels/00003.png")
    with pytest.raises(IncompleteSplit, match=r"2 masks without image, the first is .*00002.png"):
        layouts.gta5(tmp_path, "train")


def test_files_without_a_numbered_name_are_not_gta5(tmp_path):
    write(tmp_path, "images/00001.png", "labels/00001_labelTrainIds.png")
    with pytest.raises(FileNotFoundError, match=r"no file in .*labels is named by 5 digits, such as 00001.png"):
        layouts.gta5(tmp_path, "train")


# SYNTHIA


def synthia_tree(root: Path, numbers: range | tuple[int, ...]) -> Path:
    for number in numbers:
        write(root, *(f"{folder}/{number:07d}.png" for folder in ("RGB", "GT/LABELS", "GT/COLOR", "Depth/Depth")))
    return root


@pytest.mark.parametrize("folder", ["RAND_CITYSCAPES", "SYNTHIA_RAND_CITYSCAPES", "."])
def test_synthia_is_found_under_both_names_of_its_folder_and_split_by_number(tmp_path, folder):
    synthia_tree(tmp_path / folder, (0, 8999, 9000, 9399))
    write(tmp_path / folder, "GT/LABELS/0000000_labelTrainIds.png")
    top = f"{folder}/" if folder != "." else ""
    assert listing(tmp_path, layouts.synthia(tmp_path, "train")) == [
        (key, f"{top}RGB/{key}.png", f"{top}GT/LABELS/{key}.png") for key in ("0000000", "0008999")
    ]
    assert [sample.key for sample in layouts.synthia(tmp_path / folder, "val")] == ["0009000", "0009399"]
    with pytest.raises(NoSplit, match="no test split"):
        layouts.synthia(tmp_path, "test")


@pytest.mark.parametrize(("images", "held_out"), [(2, 1), (47, 2), (48, 3)])
def test_of_a_smaller_copy_of_synthia_the_last_images_are_val(tmp_path, images, held_out):
    synthia_tree(tmp_path, range(images))
    train, val = layouts.synthia(tmp_path, "train"), layouts.synthia(tmp_path, "val")
    assert [int(sample.key) for sample in [*train, *val]] == list(range(images))
    assert len(val) == held_out


def test_a_copy_of_synthia_without_images_of_a_split_says_so(tmp_path):
    synthia_tree(tmp_path, (9000, 9001))
    assert len(layouts.synthia(tmp_path, "val")) == 2
    with pytest.raises(NoSplit, match=r"none of the 2 images in .*RGB is of the train split; set `lists`"):
        layouts.synthia(tmp_path, "train")


def test_synthia_has_copies_in_train_ids_beside_its_labels_or_in_a_folder_of_their_own(tmp_path):
    synthia_tree(tmp_path, (0, 9000))
    write(tmp_path, *(f"GT/LABELS/{key}_labelTrainIds.png" for key in ("0000000", "0009000")))
    write(tmp_path, *(f"synthia_mapped_to_cityscapes/{key}.png" for key in ("0000000", "0009000")))
    masks = {
        annotation: layouts.synthia(tmp_path, "val", annotation=annotation)[0].mask.relative_to(tmp_path).as_posix()
        for annotation in ("labels", "train_ids", "mapped")
    }
    assert masks == {
        "labels": "GT/LABELS/0009000.png",
        "train_ids": "GT/LABELS/0009000_labelTrainIds.png",
        "mapped": "synthia_mapped_to_cityscapes/0009000.png",
    }


def test_synthia_takes_lists(tmp_path):
    synthia_tree(tmp_path, (0, 1, 9000))
    (tmp_path / "train.txt").write_text("0\n1\n9000\n")
    (tmp_path / "val.txt").write_text("0000000.png\n")
    assert [sample.key for sample in layouts.synthia(tmp_path, "train")] == ["0000000", "0000001", "0009000"]
    assert [sample.key for sample in layouts.synthia(tmp_path, "val")] == ["0000000"]


# NTHU


@pytest.fixture
def rome(tmp_path):
    write(
        tmp_path,
        *(f"Images/Train/pano_0000{number}_2_180.jpg" for number in (1, 2, 3)),
        "Images/Test/pano_10001_2_180.png",
        "Images/Test/pano_10002_0_0.jpg",
        "Images/Test/pano_10002_0_0.png",
        "Labels/Test/pano_10001_2_180_eval.png",
        "Labels/Test/pano_10002_0_0_eval.png",
    )
    (tmp_path / "List").mkdir()
    (tmp_path / "List" / "train.txt").write_text("pano_00003_2_180\npano_00001_2_180\n")
    return tmp_path


def test_nthu_trains_without_labels_on_the_images_of_its_list(rome):
    assert listing(rome, layouts.nthu(rome, "train")) == [
        (f"pano_0000{number}_2_180", f"Images/Train/pano_0000{number}_2_180.jpg", None) for number in (1, 3)
    ]


def test_nthu_labels_its_test_split_and_takes_the_jpeg_where_there_are_two(rome):
    assert listing(rome, layouts.nthu(rome, "test")) == [
        ("pano_10001_2_180", "Images/Test/pano_10001_2_180.png", "Labels/Test/pano_10001_2_180_eval.png"),
        ("pano_10002_0_0", "Images/Test/pano_10002_0_0.jpg", "Labels/Test/pano_10002_0_0_eval.png"),
    ]
    (rome / "List" / "test.txt").write_text("pano_10002_0_0")
    assert [sample.key for sample in layouts.nthu(rome, "test")] == ["pano_10002_0_0"]


def test_nthu_says_where_the_labels_are_when_asked_for_val(rome):
    with pytest.raises(NoSplit, match="labelled images of a city are `test`"):
        layouts.nthu(rome, "val")


def test_nthu_names_a_listed_image_that_is_missing(rome):
    (rome / "List" / "train.txt").write_text("pano_00003_2_180\npano_00009_2_180\n")
    with pytest.raises(FileNotFoundError, match=r"train.txt names 1 files .* the first is 'pano_00009_2_180'"):
        layouts.nthu(rome, "train")


def test_the_four_cities_lie_in_one_folder(tmp_path):
    for city in ("rome", "rio", "tokyo", "taipei"):
        with initialize_config_dir(str(conf_dir()), version_base=None):
            cfg = compose(overrides=[f"+dataset={city}", f"+data.root={tmp_path}"])
        assert cfg.datasets[city].root == f"{tmp_path}/NTHU_Datasets/{city.capitalize()}"


# Descriptors


@pytest.mark.parametrize("name", sorted(file.stem for file in (conf_dir() / "dataset").glob("*.yaml")))
def test_a_descriptor_composes_into_a_layout_a_root_and_a_table(name, tmp_path):
    with initialize_config_dir(str(conf_dir()), version_base=None):
        cfg = compose(overrides=[f"+dataset={name}", f"+data.root={tmp_path}"])
    descriptor = cfg.datasets[name]
    assert LabelTable.load(descriptor.labels).num_classes > 0
    assert descriptor.evaluation_split in SPLITS
    with pytest.raises(FileNotFoundError, match=f"no folder {descriptor.root}"):
        instantiate(descriptor.layout)(descriptor.root, descriptor.evaluation_split)


@pytest.mark.parametrize(("name", "counts"), [("camvid11", (367, 101, 233)), ("labelmefacade", (645, 100, 200))])
def test_a_real_dataset_is_listed_in_full(name, counts):
    if not REAL.is_dir():
        pytest.skip("no real images beside this checkout")
    with initialize_config_dir(str(conf_dir()), version_base=None):
        descriptor = compose(overrides=[f"+dataset={name}", f"+data.root={REAL}"]).datasets[name]
    samples = [instantiate(descriptor.layout)(descriptor.root, split) for split in SPLITS]
    assert tuple(map(len, samples)) == counts
    assert all(sample.mask is not None for split in samples for sample in split)


# What is missing


def test_a_split_without_images_is_told_from_one_with_missing_masks(tmp_path):
    write(tmp_path, "train/a.png", "train/b.png", "trainannot/b.png", "trainannot/c.png")
    with pytest.raises(NoSplit, match="no folder .*val"):
        layouts.camvid(tmp_path, "val")
    with pytest.raises(IncompleteSplit) as caught:
        layouts.camvid(tmp_path, "train")
    assert [sample.key for sample in caught.value.found] == ["b"]
    assert caught.value.faults == {
        "image without mask": [tmp_path / "train/a.png"],
        "mask without image": [tmp_path / "trainannot/c.png"],
    }


def test_all_listed_files_that_are_missing_are_known(tmp_path):
    write(tmp_path, "train/a.png", "trainannot/a.png", "train/b.png")
    lines = "".join(f"x/train/{name}.png x/trainannot/{name}.png\n" for name in "abc")
    (tmp_path / "train.txt").write_text(lines)
    with pytest.raises(IncompleteSplit, match=r"trainannot/b.png, which does not exist .*\(and 2 more\)") as caught:
        layouts.camvid(tmp_path, "train")
    assert [sample.key for sample in caught.value.found] == ["a"]
    (missing,) = caught.value.faults.values()
    assert [path.name for path in missing] == ["b.png", "c.png", "c.png"]
