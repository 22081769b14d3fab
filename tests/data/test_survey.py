"""What the files of one's own folder say of themselves, before a run, a check or a page of samples uses them."""

import json
import warnings

import cv2
import numpy as np
import pytest
from files import png, tiff
from PIL import Image

from mdseg.data.check import check_dataset
from mdseg.data.dataset import load_dataset
from mdseg.data.layouts import folder, kitti
from mdseg.labels.tables import LabelTable

TABLE = LabelTable("streets", ("road", "sky"), ((1, 1, 1), (2, 2, 2)), "id", ((0,), (1,)), (255,))
LABELS = {
    "encoding": "id",
    "classes": [{"name": name, "raw_ids": [k], "color": [k, k, k]} for k, name in enumerate(TABLE.names)],
    "ignore_ids": [255],
}
UPRIGHT = np.zeros((6, 10), np.uint8)
UPRIGHT[:3, :4] = 1  # sky in a corner, so that no turned or mirrored copy looks alike
STORED = {1: UPRIGHT, 3: UPRIGHT[::-1, ::-1], 6: UPRIGHT.T[::-1], 8: UPRIGHT.T[:, ::-1]}


def photograph(path, orientation, pixels=None):
    exif = Image.Exif()
    if orientation != 1:
        exif[0x112] = orientation
    pixels = STORED[orientation] if pixels is None else pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.dstack([pixels * 200] * 3)).save(path, exif=exif, lossless=True)


def mask(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(pixels))


@pytest.fixture
def tree(tmp_path):
    """A photograph as it was taken, and three that programs turn, with masks drawn on what those show."""
    for number, orientation in enumerate((1, 3, 6, 8)):
        photograph(tmp_path / f"images/train/{number}.png", orientation)
        mask(tmp_path / f"masks/train/{number}.png", UPRIGHT)
    return tmp_path


def layout(**options):
    return lambda root, split: folder(root, split, "images/{split}", "masks/{split}", **options)


def load(root, **options):
    return load_dataset("mine", layout(**options), root, LABELS, "train")


def test_labelled_photographs_with_an_orientation_are_refused_and_named(tree):
    with pytest.raises(ValueError, match=r"3 of 4 labelled images have an EXIF orientation: 1\.png \(3\)") as refusal:
        load(tree)
    assert "`orientation` to `stored` or to `upright`; by the sizes it is `upright`" in str(refusal.value)


def test_where_sizes_tell_nothing_the_message_does_not_either(tmp_path):
    photograph(tmp_path / "images/train/0.png", 3)
    mask(tmp_path / "masks/train/0.png", UPRIGHT)
    with pytest.raises(ValueError, match="labelled images have an EXIF orientation") as refusal:
        load(tmp_path)
    assert "by the sizes" not in str(refusal.value)


def test_where_sizes_contradict_each_other_both_kinds_are_named(tmp_path):
    for name, pixels in (("a", STORED[6]), ("b", UPRIGHT)):
        photograph(tmp_path / f"images/train/{name}.png", 6)
        mask(tmp_path / f"masks/train/{name}.png", pixels)
    said = r"a.png has a mask of its stored pixels and b.png has a mask of its upright pixels, by the sizes: turn the"
    with pytest.raises(ValueError, match=said):
        load(tmp_path)


def test_a_mask_is_named_where_only_that_has_an_orientation(tmp_path):
    photograph(tmp_path / "images/train/0.jpg", 1)
    photograph(tmp_path / "masks/train/0.png", 3)
    with pytest.raises(ValueError, match=r"have an EXIF orientation: 0\.png \(3\)"):
        load(tmp_path)


def test_upright_turns_the_photographs_and_leaves_the_masks(tree):
    dataset = load(tree, orientation="upright")
    for index in range(4):
        assert (dataset.image(index)[..., 0] // 200 == UPRIGHT).all()
        assert (dataset.mask(index) == UPRIGHT).all()
        assert dataset.size(index) == UPRIGHT.shape


def test_stored_takes_both_as_they_lie_in_the_file(tmp_path):
    for number, orientation in enumerate(STORED):
        photograph(tmp_path / f"images/train/{number}.png", orientation)
        mask(tmp_path / f"masks/train/{number}.png", STORED[orientation])
    dataset = load(tmp_path, orientation="stored")
    for index, pixels in enumerate(STORED.values()):
        assert (dataset.image(index)[..., 0] // 200 == dataset.mask(index)).all()
        assert dataset.size(index) == pixels.shape


def test_upright_turns_a_mask_that_has_an_orientation_itself(tmp_path):
    photograph(tmp_path / "images/train/0.png", 6)
    path = tmp_path / "masks/train/0.png"
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(np.ascontiguousarray(STORED[6])).save(path, exif=exif)
    for way, expected in (("upright", UPRIGHT), ("stored", STORED[6])):
        dataset = load(tmp_path, orientation=way)
        assert (dataset.mask(0) == expected).all()
        assert (dataset.image(0)[..., 0] // 200 == expected).all()


@pytest.mark.parametrize("way", ["Upright", 6, True, ["upright"]])
def test_an_orientation_that_is_none_is_refused(tree, way):
    with pytest.raises(ValueError, match="orientation: expected stored, upright or null, got"):
        load(tree, orientation=way)


def test_photographs_without_masks_are_upright_whatever_the_layout(tree):
    samples = folder(tree, "train", "images/{split}", None)
    dataset = load_dataset("mine", lambda root, split: samples, tree, LABELS, "train")
    (tree / "testing").mkdir()
    (tree / "images/train").rename(tree / "testing/image_2")
    public = load_dataset("kitti", kitti, tree, LABELS, "test")
    for index in range(4):
        assert public.size(index) == UPRIGHT.shape
        assert (public.image(index)[..., 0] // 200 == UPRIGHT).all()
        assert dataset.samples[index].shown_upright


def test_a_wrong_choice_is_told_by_the_sizes_and_nobody_advised_to_resize(tree):
    with pytest.raises(ValueError, match=r"sizes \(height, width\) differ, \(10, 6\) of .*2\.png") as refusal:
        load(tree, orientation="stored")
    assert "mask fits its upright pixels: set `orientation` of the layout `folder` to `upright`" in str(refusal.value)
    assert "(and 1 more pairs)" in str(refusal.value)
    assert "resize" not in str(refusal.value)


def test_a_mask_on_its_side_beside_a_photograph_without_orientation(tmp_path):
    photograph(tmp_path / "images/train/0.png", 1)
    mask(tmp_path / "masks/train/0.png", UPRIGHT.T)
    with pytest.raises(ValueError, match="one of them lies on its side: turn it by 90 degrees, do not resize it"):
        load(tmp_path)


def test_sizes_that_differ_anywhere_are_found_by_the_headers(tmp_path):
    for number in range(5):
        photograph(tmp_path / f"images/train/{number}.png", 1)
        mask(tmp_path / f"masks/train/{number}.png", UPRIGHT if number < 4 else UPRIGHT[:, :9])
    with pytest.raises(ValueError, match=r"\(6, 10\) of .*4\.png and \(6, 9\) of its mask .*resize one of them"):
        load(tmp_path)


@pytest.mark.parametrize("image_data", [None, "A" * 100_000], ids=["alone", "with a copy of the picture"])
@pytest.mark.parametrize(("orientation", "said"), [(1, "turn it by 90 degrees"), (6, "by the sizes it is `upright`")])
def test_the_size_that_a_file_of_polygons_has_is_compared_too(tmp_path, image_data, orientation, said):
    """Without decoding it: labelme puts a copy of the photograph into it, before its size."""
    photograph(tmp_path / "0.png", orientation, STORED[6])
    document = {"shapes": [], "imageData": image_data, "imageHeight": 6, "imageWidth": 10}
    (tmp_path / "0.json").write_text(json.dumps(document, indent=2))
    with pytest.raises(ValueError, match=said):
        folder(tmp_path, "train", ".", ".", mask_ending=".json")
    document |= {"imageHeight": 10, "imageWidth": 6}
    (tmp_path / "0.json").write_text(json.dumps(document, indent=2))
    assert len(folder(tmp_path, "train", ".", ".", mask_ending=".json", orientation="stored")) == 1


def test_files_that_cannot_be_used_are_counted_before_anything_is_read(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"images/train/{number}.png", 1)
        mask(tmp_path / f"masks/train/{number}.png", UPRIGHT)
    (tmp_path / "images/train/1.png").write_text("<html>")
    png(tmp_path / "images/train/2.png", np.zeros((1, 1), np.uint8), 8, 0, size=(20000, 20000))
    with pytest.raises(ValueError, match=r"1\.png: not a readable image.*\(and 1 more files\)"):
        load(tmp_path)


def test_what_is_left_out_of_images_is_said_once_and_counted(tmp_path):
    photograph(tmp_path / "images/train/0.png", 1)
    cv2.imwrite(str(tmp_path / "images/train/1.png"), np.full((6, 10, 3), 999, np.uint16))
    first, second = (Image.fromarray(np.full((6, 10, 3), value, np.uint8)) for value in (3, 9))
    first.save(tmp_path / "images/train/2.png", save_all=True, append_images=[second])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder(tmp_path, "train", "images/{split}", None)
    said = [str(warning.message) for warning in caught]
    assert [text.split(":")[0] for text in said] == [
        "1 of 3 images have more than 8 bits per channel, of which the upper 8 are used",
        "1 of 3 images hold several pictures (pages, frames), of which the first is used",
    ]
    assert ["1.png" in said[0], "2.png" in said[1]] == [True, True]


# Commands


def problems(root, **options):
    report = check_dataset("mine", layout(**options), root, TABLE, "train", "train")
    return {(each.error, each.what): {file.name: detail for file, detail in each.files} for each in report.problems}


def test_check_lists_every_photograph_that_is_turned(tree):
    (found,) = [files for (error, what), files in problems(tree).items() if error and "EXIF orientation" in what]
    assert sorted(found) == ["1.png", "2.png", "3.png"]
    assert not any("EXIF" in what for _, what in problems(tree, orientation="upright"))


def test_check_reads_on_where_a_file_cannot_be_used_and_names_all(tree):
    png(tree / "images/train/0.png", np.zeros((1, 1), np.uint8), 8, 0, size=(20000, 20000))
    tiff(tree / "masks/train/1.png", np.float32(UPRIGHT), photometric=1)
    found = problems(tree, orientation="stored")
    assert "20000 × 20000 pixels are 400 megapixels" in found[True, "image that cannot be read"]["0.png"]
    assert "expected an 8-bit single-channel mask" in found[True, "mask that cannot be read"]["1.png"]
    assert "set `orientation`" in found[True, "image and mask of different size"]["2.png"]


def test_check_names_turned_photographs_of_other_layouts(tmp_path):
    photograph(tmp_path / "training/image_2/a.png", 3)
    mask(tmp_path / "training/semantic/a.png", UPRIGHT)
    report = check_dataset("kitti", kitti, tmp_path, TABLE, "val", "train")
    (warned,) = [each for each in report.warnings if "EXIF orientation is not applied" in each.what]
    assert [(file.name, detail) for file, detail in warned.files] == [("a.png", "orientation 3")]
    assert report.errors == []
