"""A user's own folders: what is an image, what a mask, what was left out, and who says so."""

import os
import re
import tracemalloc
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from folders import draws, masks, others, photographs, saved
from PIL import Image

from mdseg.data.check import check_dataset
from mdseg.data.dataset import SegmentationDataset
from mdseg.data.layouts import folder
from mdseg.data.likeness import mask_among
from mdseg.data.listing import IncompleteSplit, NoSplit
from mdseg.data.streams import labelled_subset
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark

TABLE = LabelTable("streets", ("road", "sky", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), "id", ((0,), (1,), (2,)))


def listing(root, samples):
    assert [sample.key for sample in samples] == sorted({sample.key for sample in samples})
    return [
        (str(sample.image.relative_to(root)), sample.mask and str(sample.mask.relative_to(root))) for sample in samples
    ]


def remarks(root, split="train", *options, **named):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder(root, split, *options, **named)
    assert all(issubclass(warning.category, Remark) for warning in caught)
    return [str(warning.message) for warning in caught]


# Images and masks in folders of their own


def test_pairs_are_told_by_the_path_below_the_split_and_by_endings(tmp_path):
    photographs(tmp_path, "rgb/train/a/1_img.jpg", "rgb/train/b/1_img.png")
    masks(tmp_path, "gt/train/a/1_mask.png", "gt/train/b/1_mask.png")
    options = {"image_dir": "rgb/{split}", "mask_dir": "gt/{split}", "image_ending": "_img", "mask_ending": "_mask"}
    samples = folder(tmp_path, "train", **options)
    assert [sample.key for sample in samples] == ["a/1", "b/1"]
    assert listing(tmp_path, samples) == [
        ("rgb/train/a/1_img.jpg", "gt/train/a/1_mask.png"),
        ("rgb/train/b/1_img.png", "gt/train/b/1_mask.png"),
    ]


def test_a_folder_without_masks_is_unlabelled(tmp_path):
    photographs(tmp_path, "images/a.jpg", "images/test/b.jpg")
    assert [sample.mask for sample in folder(tmp_path, "train", "images", None)] == [None, None]
    assert [sample.mask for sample in folder(tmp_path, "test", "images/{split}", "masks/{split}")] == [None]


def test_of_one_mask_folder_for_all_splits_those_of_the_split_are_taken(tmp_path):
    photographs(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    masks(tmp_path, "masks/a.png", "masks/b.png")
    found = listing(tmp_path, folder(tmp_path, "val", "images/{split}", "masks"))
    assert found == [("images/val/b.jpg", "masks/b.png")]
    photographs(tmp_path, "images/val/c.jpg")
    with pytest.raises(FileNotFoundError, match=r"1 images without mask, the first is .*c.jpg"):
        folder(tmp_path, "val", "images/{split}", "masks")


def test_a_mask_that_has_the_suffix_of_its_image_in_its_name_belongs_to_it(tmp_path):
    photographs(tmp_path, "images/a.jpg", "images/b.jpeg", "images/c.png")
    masks(tmp_path, "masks/a.jpg.png", "masks/b.jpeg.tif", "masks/c.png")
    assert [mask for _, mask in listing(tmp_path, folder(tmp_path, "train", "images", "masks"))] == [
        "masks/a.jpg.png",
        "masks/b.jpeg.tif",
        "masks/c.png",
    ]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp"])
@pytest.mark.parametrize("encoding", ["id", "palette", "rgb"])
def test_a_mask_holds_the_same_in_every_format(tmp_path, suffix, encoding):
    ids = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) % 3
    colours = np.array(TABLE.colors, np.uint8)
    image = Image.fromarray(colours[ids] if encoding == "rgb" else ids)
    if encoding == "palette":
        image.putpalette(colours.tobytes())
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / f"masks/a{suffix}")
    photographs(tmp_path, "images/a.jpg")
    raw_ids = ((0x010101,), (0x020202,), (0x030303,)) if encoding == "rgb" else TABLE.raw_ids
    table = LabelTable("streets", TABLE.names, TABLE.colors, encoding, raw_ids)
    assert (SegmentationDataset("mine", folder(tmp_path, "train", "images", "masks"), table).mask(0) == ids).all()


# A mask is never an image

NULL = {"image_dir": "data", "mask_dir": None}
SAME = {"image_dir": "data", "mask_dir": "data"}


def spaced_out(stem, mask_name, colours=False):
    """Four photographs and masks called after them."""

    def build(root):
        for number in range(4):
            photographs(root, f"data/{stem.format(number)}")
            masks(root, f"data/{mask_name.format(number)}", colours=colours)

    return build


@pytest.mark.parametrize(
    ("build", "options", "names", "advice"),
    [
        (spaced_out("{}.jpg", "{}.png"), SAME, "0.jpg 0.png", "image_ending: .jpg and mask_ending: .png"),
        (spaced_out("{}.JPG", "{}.tif"), SAME, "0.JPG 0.tif", "image_ending: .JPG and mask_ending: .tif"),
        (spaced_out("{}.jpg", "{}.png"), NULL, "0.jpg 0.png", "image_ending: .jpg"),
        (spaced_out("{}.png", "{}.bmp", colours=True), NULL, "0.png 0.bmp", "image_ending: .png"),
        (spaced_out("i/{}.jpg", "m/{}.png"), NULL, "data/i/0.jpg data/m/0.png", "mask_dir: data/m, or"),
        (spaced_out("{}.jpg", "masks/{}.png", colours=True), NULL, "0.jpg masks/0.png", "mask_dir: data/masks, or"),
        (spaced_out("{}.png", "{}_mask.png"), SAME, "0_mask.png", "mask_ending: _mask,"),
        (spaced_out("x{}.jpg", "x{}_mask.png"), NULL, "x0.jpg x0_mask.png", "mask_dir: data and mask_ending: _mask"),
        (spaced_out("{}.png", "{}_L.png", colours=True), NULL, "0.png 0_L.png", "mask_dir: data and mask_ending: _L"),
        (spaced_out("{}.png", "{}label.png"), NULL, "0.png 0label.png", "mask_ending: label"),
        (spaced_out("{}.jpg", "mask_{}.png"), NULL, "0.jpg mask_0.png", "move masks out"),
        (spaced_out("{}.jpg", "{}.jpg.png"), NULL, "0.jpg 0.jpg.png", "mask_ending: .jpg"),
        (spaced_out("x{}_i.jpg", "x{}_gt.png"), NULL, "x0_i.jpg x0_gt.png", "mask_ending: _gt and image_ending: _i,"),
        (
            spaced_out("c_0{}_19_leftImg8bit.png", "c_0{}_19_gtFine_color.png", colours=True),
            NULL,
            "c_00_19_gtFine_color.png c_00_19_leftImg8bit.png",
            "mask_ending: _gtFine_color and image_ending: _leftImg8bit",
        ),
        (spaced_out("img_{}.jpg", "mask_{}.png"), NULL, "img_0.jpg mask_0.png", "move masks out"),
        (spaced_out("i/img_{}.jpg", "m/mask_{}.png"), NULL, "i/img_0.jpg m/mask_0.png", "move masks out"),
        (spaced_out("{}_rgb.png", "{}.png"), NULL, "0_rgb.png 0.png", "image_ending: _rgb"),
        (spaced_out("{}/image.jpg", "{}/label.png"), NULL, "0/image.jpg 0/label.png", "mask_ending: label"),
        (spaced_out("{}.jpg", "{}_mask.jpg"), NULL, "0.jpg 0_mask.jpg", "never an image: move masks out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_be_a_mask_is_refused_with_both_names_and_what_to_set(tmp_path, build, options, names, advice):
    build(tmp_path)
    with pytest.raises(ValueError, match="mask") as refusal:
        folder(tmp_path, "train", **options)
    for part in (*(str(tmp_path / "data" / name.removeprefix("data/")) for name in names.split()), advice):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("build", "endings"),
    [
        (spaced_out("{}.jpg", "{}.png"), (".jpg", ".png")),
        (spaced_out("{}.png", "{}_mask.png"), ("", "_mask")),
        (spaced_out("{}_img.png", "{}.png"), ("_img", "")),
        (spaced_out("{}_rgb.png", "{}_rgb_gt.png"), ("_rgb", "_rgb_gt")),
        (spaced_out("{}.png", "{}_mask.png"), (".png", "_mask.png")),
        (spaced_out("{}.jpg", "{}.jpg.png"), (".jpg", ".png")),
    ],
    ids=lambda value: "" if callable(value) else " and ".join(value),
)
def test_in_one_folder_endings_tell_images_from_masks(tmp_path, build, endings):
    build(tmp_path)
    samples = folder(tmp_path, "train", "data", "data", image_ending=endings[0], mask_ending=endings[1])
    assert [sample.key for sample in samples] == ["0", "1", "2", "3"]
    pixels = [(np.array(Image.open(sample.image)).ndim, np.array(Image.open(sample.mask)).ndim) for sample in samples]
    assert pixels == [(3, 2)] * 4


@pytest.mark.parametrize("ending", ["_mask", "_mask.png", "_MASK"])
def test_without_masks_their_ending_leaves_them_out(tmp_path, ending):
    spaced_out("x{}.jpg", "x{}_mask.png")(tmp_path)
    with pytest.warns(Remark, match=rf"4 of 8 files were left out: 4 .png, .* but not in {ending}"):
        samples = folder(tmp_path, "train", "data", None, mask_ending=ending)
    assert [sample.image.suffix for sample in samples] == [".jpg"] * 4


def test_a_mask_folder_inside_that_of_the_images_holds_no_images(tmp_path):
    photographs(tmp_path, "train/a.png", "val/b.png")
    masks(tmp_path, "train/masks/a.png", "val/masks/b.png")
    found = listing(tmp_path, folder(tmp_path, "train", "{split}", "{split}/masks"))
    assert found == [("train/a.png", "train/masks/a.png")]


def test_nor_do_the_mask_folders_of_other_splits_and_linked_ones(tmp_path):
    photographs(tmp_path, "a.png")
    masks(tmp_path, "masks/train/a.png", "masks/val/b.png")
    (tmp_path / "also masks").symlink_to("masks/train")
    assert listing(tmp_path, folder(tmp_path, "train", ".", "masks/{split}")) == [("a.png", "masks/train/a.png")]
    assert listing(tmp_path, folder(tmp_path, "test", ".", "masks/{split}")) == [("a.png", None)]


def test_an_image_folder_inside_that_of_the_masks_holds_no_masks(tmp_path):
    photographs(tmp_path, "images/a.png")
    masks(tmp_path, "a.png")
    assert listing(tmp_path, folder(tmp_path, "train", "images", ".")) == [("images/a.png", "a.png")]


def test_a_mask_beside_an_image_that_has_another_one_elsewhere_is_not_taken_for_the_image(tmp_path):
    photographs(tmp_path, "images/a.jpg", "images/b.jpg")
    masks(tmp_path, "images/a.png", "masks/a.png", "masks/b.png")
    with pytest.raises(ValueError, match=r"images/a.png and .*images/a.jpg: an image and its mask, .*_ending: .jpg"):
        folder(tmp_path, "train", "images", "masks")
    samples = folder(tmp_path, "train", "images", "masks", image_ending=".jpg")
    assert [sample.image.name for sample in samples] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("mask_dir", ["masks/{split}", None])
def test_a_photograph_in_two_formats_is_refused_in_every_split(tmp_path, split, mask_dir):
    """Which of the two is looked at, and whether one is a mask, is told by no name; five alike hide a sixth."""
    for number in range(6):
        photographs(tmp_path, f"images/{split}/{number}.jpg", f"images/{split}/{number}.png")
        masks(tmp_path, f"masks/{split}/{number}.png")
    masks(tmp_path, f"images/{split}/5.png")
    with pytest.raises(ValueError, match=r"0.png and .*/0.jpg \(and 5 more\): an image and its mask, .*_ending: .jpg"):
        folder(tmp_path, split, "images/{split}", mask_dir)
    assert len(folder(tmp_path, split, "images/{split}", mask_dir, image_ending=".jpg")) == 6


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        ("a.jpg a.jpeg b.jpg", "set image_ending: .jpg to take that one, name it"),
        ("a.jpg a.webp b.webp", "set image_ending: .webp to take that one, name it"),
        ("a.jpg a.JPG", "one image twice? A mask is never an image: name it with its suffix in a list"),
        ("a.jpg a.png b.bmp", "one image twice? A mask is never an image: name it with its suffix in a list"),
    ],
)
def test_of_two_formats_an_ending_is_advised_only_where_it_leaves_every_image(tmp_path, names, advice):
    photographs(tmp_path, *(f"images/{name}" for name in names.split()))
    with pytest.raises(ValueError, match=re.escape(advice)):
        folder(tmp_path, "train", "images", None)


@pytest.mark.parametrize("names", ["a.png a.tif", "a.bmp a.png", "a.png a.jpg.png"])
def test_neither_is_one_of_two_masks_chosen(tmp_path, names):
    photographs(tmp_path, "images/a.jpg")
    masks(tmp_path, *(f"masks/{name}" for name in names.split()))
    with pytest.raises(ValueError, match=r"masks/a\S* and .*masks/a\S*: which is the mask\? Nothing is guessed"):
        folder(tmp_path, "train", "images", "masks")


@pytest.mark.parametrize(
    "names",
    [
        ("street.jpg", "street_2.jpg", "street_night.jpg"),
        ("street.png", "street_2.png", "street_night.png", "street (1).png"),
        ("frame_1.png", "frame_10.png", "frame_11.png"),
        ("city1/0001.png", "city2/0001.png", "city2/0002.png"),
        ("left/1.tif", "right/1.tif", "1_left.tif"),
    ],
    ids=lambda names: names[1],
)
@pytest.mark.parametrize("grey", [False, True], ids=["colours", "grey"])
def test_photographs_that_are_called_alike_are_no_masks(tmp_path, names, grey):
    photographs(tmp_path, *(f"data/{name}" for name in names))
    if grey:
        for name in names:
            saved(np.array(Image.open(tmp_path / "data" / name).convert("L")), tmp_path / "data" / name)
    assert len(folder(tmp_path, "train", "data", None)) == len(names)


@pytest.mark.parametrize("names", ["rgb/{}.png ir/{}.png", "{}_rgb.png {}_ir.png", "1/frame_{}.png 2/frame_{}.png"])
def test_grey_photographs_beside_coloured_ones_are_no_masks(tmp_path, names):
    for number in range(4):
        colour, grey = (f"data/{name.format(number)}" for name in names.split())
        photographs(tmp_path, colour, grey)
        saved(np.array(Image.open(tmp_path / grey).convert("L")), tmp_path / grey)
    assert len(folder(tmp_path, "train", "data", None)) == 8


def test_a_photograph_that_is_all_black_is_not_taken_for_a_mask_among_others(tmp_path):
    names = [f"data/{number}{more}.png" for number in range(3) for more in ("", "_night")]
    photographs(tmp_path, *names)
    saved(np.zeros((24, 32, 3), np.uint8), tmp_path / names[1])
    assert len(folder(tmp_path, "train", "data", None)) == 6


@pytest.mark.parametrize(
    ("values", "mode", "said"),
    [
        ((0, 1, 2), "L", "0, 1, 2"),
        ((0, 7, 255), "L", "0, 7, 255"),
        ((0, 15), "P", "0, 15"),
        ((0, 255), "L", None),  # a scanned text
        ((0, 128, 255), "L", None),  # a synthetic picture
        (range(20, 200), "L", None),
        (range(256), "P", None),
        ((3,), "L", None),
        ((0, 1, 2), "RGB", None),
    ],
)
def test_masks_alone_in_the_place_of_photographs_are_remarked(tmp_path, values, mode, said):
    (tmp_path / "images").mkdir()
    for name in "abcd":
        pixels = draws(tmp_path / name).choice(np.array(values, np.uint8), (24, 32))
        image = Image.fromarray(pixels).convert(mode) if mode == "RGB" else Image.fromarray(pixels)
        if mode == "P":
            image.putpalette(list(range(256)) * 3)
        image.save(tmp_path / f"images/{name}.png")
    masks(tmp_path, *(f"masks/{name}.png" for name in "abcd"))
    expected = [f"images such as {tmp_path}/images/a.png hold few values, {said}, as masks do"] if said else []
    for mask_dir in (None, "masks"):
        found = remarks(tmp_path, "train", "images", mask_dir)
        assert [remark.partition("; if they are masks, set image_dir")[0] for remark in found] == expected


@pytest.mark.parametrize(
    ("photograph", "mask"), [("rgb{}.png", "label{}.png"), ("{}.webp", "{}1.png"), ("1/x{}.png", "2/y{}.png")]
)
def test_so_are_masks_among_photographs_that_are_called_otherwise(tmp_path, photograph, mask):
    photographs(tmp_path, *(f"data/{photograph.format(name)}" for name in ("1", "20", "300")))
    masks(tmp_path, *(f"data/{mask.format(name)}" for name in ("4", "50", "600")))
    (remark,) = remarks(tmp_path, "train", "data", None)
    assert f"images such as {tmp_path / 'data' / mask.format('4')} hold few values, 0, 1, 2, as masks do" in remark


@pytest.mark.parametrize("hidden", [".masks/a.png", ".a.png", "._a.jpg", "sub/.thumbnails/a.jpg"])
def test_what_begins_with_a_dot_is_left_alone(tmp_path, hidden):
    photographs(tmp_path, "data/a.jpg", "data/b.jpg")
    masks(tmp_path, f"data/{hidden}")
    assert listing(tmp_path, folder(tmp_path, "train", "data", None)) == [("data/a.jpg", None), ("data/b.jpg", None)]
    assert remarks(tmp_path, "train", "data", None) == []


# Nothing is left out silently


def test_every_format_that_predict_reads_is_read_and_the_others_are_counted_once(tmp_path):
    names = ("a.jpg", "b.JPEG", "c.png", "d.bmp", "e.webp", "f.tif", "g.tiff")
    photographs(tmp_path, *(f"images/{name}" for name in names))
    others(tmp_path, "images/h.heic", "images/i.heic", "images/sub/notes.txt", "images/README")
    assert [sample.key for sample in folder(tmp_path, "train", "images", None)] == list("abcdefg")
    assert remarks(tmp_path, "train", "images", None) == [
        f"{tmp_path}/images: 4 of 11 files were left out: 2 .heic, 1 without suffix, 1 .txt, such as README; read is "
        "what ends in .png, .jpg, .jpeg, .bmp, .webp, .tif, .tiff"
    ]


@pytest.mark.parametrize(
    ("options", "files", "said"),
    [
        ({"image_ending": "_img"}, ["images/b.jpg"], "images: 1 of 2 {}: 1 .jpg, such as b.jpg; {} _img and .png, "),
        (
            {"mask_ending": "_id"},
            ["masks/a_color.png", "masks/a.json"],
            "masks: 2 of 3 {}: 1 .json, 1 .png, such as a.json; {} _id and .png, .tif, .tiff, .bmp",
        ),
        (
            {"mask_ending": "_id.png"},
            ["masks/a_color.png"],
            "masks: 1 of 2 {}: 1 .png, such as a_color.png; {} _id.png",
        ),
        ({}, ["masks/b.jpg"], "masks: 1 of 2 {}: 1 .jpg, such as b.jpg; {} .png, "),
        (
            {"mask_ending": "_id"},
            ["images/a_id.png"],
            "images: 1 of 2 {}: 1 .png, such as a_id.png; {} .png, .jpg, .jpeg, .bmp, .webp, .tif, .tiff, but not "
            "in _id",
        ),
    ],
    ids=["image ending", "mask ending", "with suffix", "JPEG masks", "a mask among images"],
)
def test_files_whose_names_end_otherwise_are_counted_too(tmp_path, options, files, said):
    photographs(tmp_path, f"images/a{options.get('image_ending', '')}.jpg")
    masks(tmp_path, f"masks/a{options.get('mask_ending', '').removesuffix('.png')}.png")
    others(tmp_path, *files)
    (remark,) = remarks(tmp_path, "train", "images", "masks", **options)
    assert said.format("files were left out", "read is what ends in") in remark


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/a.heic"], r"no files \* with suffix .png, .*images; there are 1 .heic, such as a.heic"),
        (["masks/a.jpg"], r"in .*masks; there are 1 .jpg, such as a.jpg \(masks are saved without loss; JPEG changes"),
        (["masks/a.npy", "masks/b.npy"], r"in .*masks; there are 2 .npy, such as a.npy$"),
    ],
)
def test_where_there_is_nothing_to_read_the_message_says_what_there_is(tmp_path, files, message):
    if "images" not in files[0]:
        photographs(tmp_path, "images/a.png")
    else:
        masks(tmp_path, "masks/a.png")
    others(tmp_path, *files)
    with pytest.raises(FileNotFoundError, match=message) as refusal:
        folder(tmp_path, "test" if "images" in files[0] else "train", "images", "masks")
    assert not isinstance(refusal.value, NoSplit)


def test_linked_folders_are_followed_and_loops_minded(tmp_path):
    photographs(tmp_path, "elsewhere/day/a.jpg", "images/b.jpg")
    (tmp_path / "images/day").symlink_to("../elsewhere/day")
    (tmp_path / "images/all").symlink_to("..")
    (tmp_path / "elsewhere/day/again").symlink_to("../../images")
    assert listing(tmp_path, folder(tmp_path, "train", "images", None)) == [
        ("images/b.jpg", None),
        ("images/day/a.jpg", None),
    ]


def linked(first, second):
    def build(root):
        (root / first).symlink_to(os.path.relpath(root / second, (root / first).parent))

    return build


@pytest.mark.parametrize(
    ("build", "first", "second"),
    [
        (linked("images/all", "images/day"), "images/all/a.jpg", "images/day/a.jpg"),
        (linked("images/again.jpg", "images/day/a.jpg"), "images/again.jpg", "images/day/a.jpg"),
        (linked("images/x", "more/day"), "images/x/b.jpg", "images/y/day/b.jpg"),
    ],
    ids=["a folder", "a file", "a folder and one in it"],
)
def test_images_that_links_lead_to_twice_are_remarked(tmp_path, build, first, second):
    photographs(tmp_path, "images/day/a.jpg", "more/day/b.jpg")
    linked("images/y", "more")(tmp_path)
    build(tmp_path)
    assert remarks(tmp_path, "train", "images", None) == [
        f"1 of 3 images are there once more, through links, such as {tmp_path / first} and {tmp_path / second}; each "
        "counts as an image of its own"
    ]


def test_images_and_masks_may_be_links_into_one_folder_but_no_image_a_link_to_a_mask(tmp_path):
    photographs(tmp_path, "store/a.jpg", "images/b.jpg")
    masks(tmp_path, "store/a.png", "masks/b.png")
    linked("images/a.jpg", "store/a.jpg")(tmp_path)
    linked("masks/a.png", "store/a.png")(tmp_path)
    assert [sample.key for sample in folder(tmp_path, "train", "images", "masks")] == ["a", "b"]
    linked("images/c.png", "masks/b.png")(tmp_path)
    with pytest.raises(ValueError, match=r"images/c.png is a link to the mask .*masks/b.png. A mask is never an image"):
        folder(tmp_path, "train", "images", "masks", without_mask="unlabelled")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_alike_composed_or_not(tmp_path, form):
    """A download by macOS has `e` and an accent where the list that came with it has `é`."""
    composed, other = (unicodedata.normalize(each, "café") for each in ("NFC", form))
    photographs(tmp_path, f"images/{composed}.jpg")
    masks(tmp_path, f"masks/{other}.png")
    for line in (other, f"images/{other}.jpg"):
        (tmp_path / "train.txt").write_text(f"{line}\n")
        for lists in (None, "{split}.txt"):
            (sample,) = folder(tmp_path, "train", "images", "masks", lists=lists)
            assert (sample.key, sample.mask) == (composed, tmp_path / f"masks/{other}.png")
            assert labelled_subset([sample.key], str(tmp_path / "train.txt"), 0, "labelled", [sample.image]) == [0]


def test_many_folders_with_frames_of_the_same_names_are_compared_in_bounded_memory(tmp_path):
    files = [tmp_path / f"{number:04}/{frame:03}.png" for number in range(100) for frame in range(5)]
    tracemalloc.start()
    try:
        assert mask_among(files, files) is None  # there are no such files, so that what is read would be left out
        assert tracemalloc.get_traced_memory()[1] < 3e6  # all pairs of files of one name are 50 000
    finally:
        tracemalloc.stop()


def test_one_folder_for_all_splits_is_answered_with_lists(tmp_path):
    photographs(tmp_path, "images/a.jpg")
    with pytest.raises(NoSplit, match=r"no folder .*images has files and no folders: leave {split} out .* `lists`"):
        folder(tmp_path, "train", "images/{split}", "masks/{split}")


@pytest.mark.parametrize("image_dir", ["Images/{split}", "*/{split}", "images/city/{split}", "picture"])
def test_a_folder_that_there_is_not_is_answered_with_those_that_there_are(tmp_path, image_dir):
    photographs(tmp_path, "images/train/a.jpg")
    with pytest.raises(NoSplit, match=rf"no folder .*; {tmp_path}(/images has train|\S* has images)"):
        folder(tmp_path, "train", image_dir, None)


def test_splits_may_be_called_otherwise(tmp_path):
    photographs(tmp_path, "images/training/a.jpg", "images/valid/b.jpg")
    masks(tmp_path, "masks/training/a.png", "masks/valid/b.png")
    options = {"image_dir": "images/{split}", "mask_dir": "masks/{split}"}
    splits = {"train": "training", "val": "valid"}
    found = listing(tmp_path, folder(tmp_path, "train", **options, splits=splits))
    assert found == [("images/training/a.jpg", "masks/training/a.png")]
    found = listing(tmp_path, folder(tmp_path, "val", **options, splits=splits))
    assert found == [("images/valid/b.jpg", "masks/valid/b.png")]
    with pytest.raises(NoSplit, match=r"no folder .*/val .*images has training, valid, and `splits: {val: <name>}`"):
        folder(tmp_path, "val", **options)


def test_lists_may_be_called_otherwise(tmp_path):
    photographs(tmp_path, "images/a.jpg", "images/b.jpg")
    (tmp_path / "Train.txt").write_text("b\n")
    options = {"image_dir": "images", "mask_dir": None, "lists": "{split}.txt"}
    assert [sample.key for sample in folder(tmp_path, "train", **options, splits={"train": "Train"})] == ["b"]
    with pytest.raises(NoSplit, match=r"no list .*/train.txt .* has Train.txt"):
        folder(tmp_path, "train", **options)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ("valid", "splits: expected what each split is called, such as {val: valid}, got 'valid'"),
        (["train", "valid"], "splits: expected what each split is called"),
        ({"val": ["valid", "more"]}, "splits: expected what each split is called"),
        ({"valid": "val"}, "splits: split 'valid', expected one of ['train', 'val', 'test']"),
        ({"val": "valid"}, "splits: {split} is nowhere in data; write it where the names belong"),
    ],
)
def test_a_mapping_of_splits_that_is_none_is_refused(tmp_path, splits, message):
    photographs(tmp_path, "data/a.jpg")
    with pytest.raises(ValueError, match=re.escape(message)):
        folder(tmp_path, "train", "data", None, splits=splits)


def test_a_split_that_is_all_images_of_train_is_remarked(tmp_path):
    photographs(tmp_path, "images/a.jpg")
    masks(tmp_path, "masks/a.png")
    assert remarks(tmp_path, "train", "images", "masks") == []
    assert remarks(tmp_path, "val", "images", "masks") == [
        f"val is all images of {tmp_path}/images, as train is; lists tell them apart"
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("images/a.jpg masks/a.png\nb\n", "1 line names a mask"),
        ("a masks/a.png\nb masks/b.png\n", "2 lines name masks"),
        ("a\nb\n", None),
    ],
)
def test_masks_of_a_list_that_are_not_to_be_read_are_remarked(tmp_path, lines, said):
    photographs(tmp_path, "images/a.jpg", "images/b.jpg")
    masks(tmp_path, "masks/a.png", "masks/b.png")
    (tmp_path / "train.txt").write_text(lines)
    expected = [f"{said} in {tmp_path}/train.txt, which mask_dir: null leaves out; set mask_dir to the folder of masks"]
    assert remarks(tmp_path, image_dir="images", mask_dir=None, lists="{split}.txt") == (expected if said else [])


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"splits": {"train": "all", "val": "all"}}, "images/all"),
        ({"splits": {"train": "all", "val": "all"}, "lists": "list.txt"}, "list.txt"),
        (
            {"splits": {"train": "x", "val": "x"}, "image_dir": "images", "mask_dir": "masks", "lists": "{split}.txt"},
            "x.txt",
        ),
    ],
    ids=["folders", "a list for all", "lists called alike"],
)
def test_so_is_one_that_is_called_as_train(tmp_path, options, where):
    photographs(tmp_path, "images/all/a.jpg")
    masks(tmp_path, "masks/all/a.png")
    for name in ("list.txt", "x.txt"):
        (tmp_path / name).write_text("all/a\n" if name == "x.txt" else "a\n")
    options = {"image_dir": "images/{split}", "mask_dir": "masks/{split}"} | options
    assert remarks(tmp_path, "train", **options) == []
    assert remarks(tmp_path, "val", **options) == [
        f"val is all images of {tmp_path / where}, as train is; lists tell them apart"
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("images/{spilt}", "image_dir: 'images/{spilt}' has {spilt}, but only {split} is filled in"),
        ("images/{}", "image_dir: 'images/{}' has {}"),
        ("images/{split.x}", "has {split.x}, but only {split} is filled in"),
        ("images/{split", "image_dir: 'images/{split': expected '}' before end of string"),
        ("images/<split>", "images has train, and {split} in the layout's option stands for the split's name)"),
        ("images\\{split}", "folders are parted by /"),
    ],
)
def test_templates_of_a_layout_that_calls_this_one_are_checked_too(tmp_path, template, message):
    photographs(tmp_path, "images/train/a.jpg")
    with pytest.raises((ValueError, NoSplit), match=re.escape(message)):
        folder(tmp_path, "train", template, None)


# Photographs of which only some have masks


@pytest.fixture
def partly(tmp_path):
    photographs(tmp_path, *(f"images/{name}.jpg" for name in "abcde"))
    masks(tmp_path, "masks/b.png", "masks/d.png")
    return tmp_path


def test_images_without_mask_are_an_error_unless_they_are_to_be_unlabelled(partly):
    with pytest.raises(IncompleteSplit, match="3 images without mask"):
        folder(partly, "train", "images", "masks")
    with pytest.warns(Remark, match=r"3 of 5 images have no mask and count as unlabelled, the first is .*images/a.jpg"):
        samples = folder(partly, "train", "images", "masks", without_mask="unlabelled")
    assert [sample.key for sample in samples if sample.mask is None] == ["a", "c", "e"]
    with pytest.raises(ValueError, match=r"without_mask 'skip', expected one of \['error', 'unlabelled'\]"):
        folder(partly, "train", "images", "masks", without_mask="skip")


def test_masks_without_image_stay_an_error(partly):
    masks(partly, "masks/z.png")
    with pytest.raises(IncompleteSplit, match=r"^1 masks without image, the first is .*z.png; 2 pairs"):
        folder(partly, "train", "images", "masks", without_mask="unlabelled")


def test_masks_that_belong_to_no_image_at_all_are_called_otherwise(tmp_path):
    spaced_out("{}.jpg", "masks/{}_gt.png")(tmp_path)
    for without_mask in ("error", "unlabelled"):
        with pytest.raises(IncompleteSplit, match="4 images without mask.* 4 masks without.* 0 pairs.* mask_ending"):
            folder(tmp_path, "train", "data", "data/masks", without_mask=without_mask)


def test_a_split_without_any_mask_is_unlabelled_then(tmp_path):
    photographs(tmp_path, "images/train/a.jpg")
    options = {"image_dir": "images/{split}", "mask_dir": "masks/{split}"}
    with pytest.raises(FileNotFoundError, match="no folder .*masks/train"):
        folder(tmp_path, "train", **options)
    with pytest.warns(Remark, match=r"no folder .*masks/train: all images in .*images/train are unlabelled"):
        assert folder(tmp_path, "train", **options, without_mask="unlabelled")[0].mask is None


def test_a_mask_folder_that_is_empty_is_none(tmp_path):
    options = {"image_dir": "images/{split}", "mask_dir": "masks/{split}"}
    for split in ("train", "test"):
        photographs(tmp_path, f"images/{split}/a.jpg")
        (tmp_path / f"masks/{split}").mkdir(parents=True)
    assert folder(tmp_path, "test", **options)[0].mask is None
    with pytest.raises(FileNotFoundError, match="no files .*masks/train"):
        folder(tmp_path, "train", **options)
    with pytest.warns(Remark, match=r"no masks in .*masks/train: all images in .*images/train are unlabelled"):
        assert folder(tmp_path, "train", **options, without_mask="unlabelled")[0].mask is None
    for split in ("train", "test"):
        others(tmp_path, f"masks/{split}/a.npy")
        with pytest.raises(FileNotFoundError, match=r"no files .*; there are 1 .npy"):
            folder(tmp_path, split, **options, without_mask="unlabelled")


def test_a_mask_is_no_unlabelled_image_either(tmp_path):
    spaced_out("{}.jpg", "{}_overlay.png", colours=True)(tmp_path)
    masks(tmp_path, "masks/0.png")
    with pytest.raises(ValueError, match=r"data/0_overlay.png seems to be the mask of .*data/0.jpg"):
        folder(tmp_path, "train", "data", "masks", without_mask="unlabelled")


# The same is said by `check`


def checked(root, split="train", **options):
    def layout(at, wanted):
        return folder(at, wanted, **options)

    return check_dataset("mine", layout, root, TABLE, "val", split)


def test_check_counts_images_and_masks_and_repeats_what_is_left_out(partly):
    others(partly, "images/f.heic")
    report = checked(partly, image_dir="images", mask_dir="masks", without_mask="unlabelled")
    assert report.errors == []
    assert (report.splits["train"].images, report.splits["train"].labelled) == (5, 2)
    first, second = (problem.what for problem in report.warnings)
    assert "images: 1 of 6 files were left out: 1 .heic" in first
    assert "3 of 5 images have no mask and count as unlabelled" in second


def test_check_refuses_what_a_run_refuses(tmp_path):
    spaced_out("{}.jpg", "{}.png")(tmp_path)
    (problem,) = checked(tmp_path, **SAME).errors
    assert "0.jpg and" in problem.what
    assert "image_ending: .jpg and mask_ending: .png" in problem.what


def test_check_keeps_remarks_apart_from_what_makes_a_dataset_unusable(tmp_path):
    spaced_out("{}.jpg", "{}_mask.png")(tmp_path)
    others(tmp_path, "data/x.heic")
    report = checked(tmp_path, **NULL)
    assert ["seems to be the mask of" in problem.what for problem in report.errors] == [True]
    assert ["1 of 9 files were left out" in problem.what for problem in report.warnings] == [True]


def test_check_repeats_remarks_of_a_split_that_is_incomplete(partly):
    others(partly, "masks/a.jpg")
    report = checked(partly, image_dir="images", mask_dir="masks")
    assert [problem.what for problem in report.errors] == ["image without mask"]
    assert any("1 of 3 files were left out: 1 .jpg" in problem.what for problem in report.warnings)


def test_files_of_other_tools_beside_a_split_that_is_not_evaluated_are_counted(tmp_path):
    photographs(tmp_path, *(f"images/{split}/a.jpg" for split in ("train", "val", "test")))
    others(tmp_path, "images/test/b.heic")
    report = checked(tmp_path, split=None, image_dir="images/{split}", mask_dir=None)
    assert [problem.split for problem in report.warnings if "left out" in problem.what] == ["test"]


def test_a_relative_root_and_one_folder_written_in_two_ways_are_no_hindrance(tmp_path, monkeypatch):
    spaced_out("{}.jpg", "{}.png")(tmp_path)
    monkeypatch.chdir(tmp_path)
    samples = folder(Path("."), "train", "data", "data/.", image_ending=".jpg", mask_ending=".png")
    assert (str(samples[0].image), str(samples[0].mask)) == ("data/0.jpg", "data/0.png")
