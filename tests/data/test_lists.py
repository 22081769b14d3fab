"""Lists of images: what a line means, and what it names in vain, twice, or from elsewhere."""

import codecs
import re
import warnings

import pytest
from folders import masks, others, photographs

from mdseg.data import layouts
from mdseg.data.layouts import folder
from mdseg.data.listing import IncompleteSplit
from mdseg.data.streams import labelled_subset
from mdseg.system.wording import Remark

LISTED = {"image_dir": "images", "mask_dir": "masks", "lists": "{split}.txt"}


@pytest.fixture
def tree(tmp_path):
    names = ("a", "b", "street 1", "b.c")
    photographs(tmp_path, *(f"images/{name}.jpg" for name in names))
    masks(tmp_path, *(f"masks/{name}.png" for name in names))
    return tmp_path


def taken(root, *lines, options=LISTED, split="train"):
    (root / f"{split}.txt").write_text("\n".join(lines))
    samples = folder(root, split, **options)
    return [(sample.key, sample.image.name, sample.mask and sample.mask.name) for sample in samples]


@pytest.mark.parametrize(
    "lines",
    [
        ["street 1", "b.c"],
        ["street 1.jpg", "", "b.c.jpg\r"],
        ["images/street 1.jpg", "./images/b.c.jpg"],
        ["images/street 1", "{root}/images/b.c.jpg"],
        ["images/street 1.jpg\tmasks/street 1.png", "images/b.c.jpg masks/b.c.png"],
        ["images/street 1\tmasks/street 1", "b.c masks/b.c"],
    ],
)
def test_a_line_is_a_key_a_name_a_path_or_a_pair_of_paths(tree, lines):
    found = taken(tree, *(line.format(root=tree) for line in lines))
    assert found == [("b.c", "b.c.jpg", "b.c.png"), ("street 1", "street 1.jpg", "street 1.png")]


@pytest.mark.parametrize("names", ["s{}/rgb/1.png s{}/seg/1.png", "a{}.jpg a{}.png", "{}/image.png {}/label.png"])
def test_pairs_of_a_list_may_lie_anywhere(tmp_path, names):
    """Nothing but the list tells images from masks."""
    lines = [names.format(number, number) for number in range(3)]
    photographs(tmp_path, *(line.split()[0] for line in lines))
    masks(tmp_path, *(line.split()[1] for line in lines))
    anywhere = {"image_dir": ".", "mask_dir": ".", "lists": "{split}.txt"}
    found = [found[1:] for found in taken(tmp_path, *lines, options=anywhere)]
    assert found == [tuple(path.rpartition("/")[2] for path in line.split()) for line in lines]
    with pytest.raises(ValueError, match=r"which is the mask\?|would be an image and its own mask"):
        taken(tmp_path, lines[0], lines[1].split()[0].rpartition(".")[0], options=anywhere)
    with pytest.raises(ValueError, match=r"is the mask\?|own mask|are images|masks are saved without loss"):
        taken(tmp_path, lines[0], " ".join(reversed(lines[0].split())), options=anywhere)


# A suffix counts


@pytest.mark.parametrize("line", ["b.png", "images/b.png", "images/b.png masks/b.png", "b.tif"])
def test_a_suffix_that_the_file_does_not_have_is_named_with_what_there_is(tree, line):
    with pytest.raises(
        IncompleteSplit, match=r"train.txt names .*b\.\w+, which does not exist \(there is b.jpg; a suf"
    ):
        taken(tree, "a", line)


def test_a_name_without_a_file_is_missing(tree):
    with pytest.raises(IncompleteSplit, match=r"train.txt names .*/z, which does not exist \(and 1 more\)") as refusal:
        taken(tree, "a", "z", "y")
    assert [sample.key for sample in refusal.value.found] == ["a"]


def test_a_list_that_names_a_jpeg_never_takes_the_mask_beside_it(tmp_path):
    photographs(tmp_path, "data/a.jpg", "data/b.jpg")
    masks(tmp_path, "data/a.png", "data/b.png")
    options = {"image_dir": "data", "mask_dir": None, "lists": "{split}.txt"}
    assert taken(tmp_path, "a.jpg", "data/b.jpg", options=options) == [("a", "a.jpg", None), ("b", "b.jpg", None)]
    with pytest.raises(ValueError, match=r"data/a.png and .*data/a.jpg: an image and its mask"):
        taken(tmp_path, "a", options=options)


def test_a_list_says_which_of_two_formats_is_taken(tree):
    photographs(tree, "images/a.png")
    assert taken(tree, "a.jpg", "b") == [("a", "a.jpg", "a.png"), ("b", "b.jpg", "b.png")]
    assert taken(tree, "a.png", "b") == [("a", "a.png", "a.png"), ("b", "b.jpg", "b.png")]
    with pytest.raises(ValueError, match=r"a.png and .*a.jpg: an image and its mask, .* name it with its suffix"):
        taken(tree, "a", "b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("masks/a.png", "names masks/a.png as an image, but it is a mask"),
        ("images/a.jpg images/a.jpg", "as a mask; masks are saved without loss, as .png"),
        ("masks/more.png masks/more.png", "as an image, but it is a mask"),
        ("extra/c.png extra/c.png", "names {root}/extra/c.png as an image and as its mask"),
        ("images/a.jpg extra/c.jpg", "names {root}/extra/c.jpg as a mask; masks are saved without loss"),
        ("extra/c.heic", "names {root}/extra/c.heic; images are .png, .jpg, "),
        ("extra/c", "names extra/c, which may be c.png, c.jpg; write the suffix of the one"),
        ("a b c", "expected a name or 'image mask' in a line, got 'a b c'"),
    ],
)
def test_what_a_list_cannot_mean_is_refused(tree, line, message):
    masks(tree, "masks/more.png")
    photographs(tree, "extra/c.png", "extra/c.jpg")
    others(tree, "extra/c.heic")
    with pytest.raises(ValueError, match=re.escape(message.format(root=tree))):
        taken(tree, line)


# From elsewhere


@pytest.mark.parametrize(
    "line", ["../other/z.jpg", "images/../../other/z.jpg", "{above}/other/z.jpg", "a.jpg ../other/z.png"]
)
def test_a_path_that_leads_out_of_the_dataset_is_refused(tmp_path, line):
    photographs(tmp_path, "mine/images/a.jpg", "other/z.jpg")
    masks(tmp_path, "mine/masks/a.png", "other/z.png")
    with pytest.raises(ValueError, match=r"train.txt names .*z\.\w+, which leads out of the dataset's folder .*mine;"):
        taken(tmp_path / "mine", line.format(above=tmp_path))


def test_a_path_that_comes_back_or_follows_a_link_of_the_dataset_does_not_lead_out(tmp_path):
    photographs(tmp_path, "other/z.jpg", "mine/images/a.jpg")
    (tmp_path / "mine/images/linked").symlink_to("../../other")
    (tmp_path / "link").symlink_to("mine")
    options = {"image_dir": "images", "mask_dir": None, "lists": "{split}.txt"}
    lines = ["images/linked/z.jpg", f"{tmp_path}/mine/images/../images/a.jpg"]
    assert [key for key, *_ in taken(tmp_path / "link", *lines, options=options)] == ["a", "linked/z"]


@pytest.mark.parametrize("line", ["/images/a.jpg", "/images/a.jpg /more/a.png", "//images/a.jpg\t/more/a.png"])
def test_the_root_of_a_dataset_may_be_called_as_that_of_the_file_system(tmp_path, line):
    """As the longer lists of Pascal VOC do."""
    photographs(tmp_path, "mine/images/a.jpg")
    masks(tmp_path, "mine/masks/a.png", "mine/more/a.png")
    assert taken(tmp_path / "mine", line) == [("a", "a.jpg", "a.png")]
    with pytest.raises(ValueError, match=r"names /images/z.jpg, which leads out of the dataset's folder"):
        taken(tmp_path / "mine", "/images/z.jpg /more/a.png")


@pytest.mark.parametrize("line", ["../a.png trainannot/a.png", "train/a.png ../a.png"])
def test_lists_of_camvid_do_not_lead_out_either(tmp_path, line):
    masks(tmp_path, "a.png", "camvid/train/a.png", "camvid/trainannot/a.png")
    (tmp_path / "camvid/train.txt").write_text(line)
    with pytest.raises(ValueError, match="leads out of the dataset's folder"):
        layouts.camvid(tmp_path / "camvid", "train")


# Twice


def test_an_image_that_is_named_twice_counts_once_and_is_remarked(tree):
    with pytest.warns(Remark, match=r"train.txt names 2 images more than once, such as 'a'; each counts once"):
        assert len(taken(tree, "a", "b", "a.jpg", "images/b.jpg masks/b.png", "street 1", "b")) == 3


def test_an_image_with_two_masks_and_two_images_of_one_key_are_refused(tree):
    masks(tree, "masks/other.png")
    with pytest.raises(ValueError, match=r"two files for 'a', .*masks/a.png and .*masks/other.png; an image needs"):
        taken(tree, "a", "images/a.jpg masks/other.png")
    photographs(tree, "day/x.jpg", "night/x.jpg")
    with pytest.raises(ValueError, match=r"two files for 'x', .*day/x.jpg and .*night/x.jpg; .* \(image_dir\)"):
        taken(tree, "day/x.jpg masks/a.png", "night/x.jpg masks/b.png")


@pytest.mark.parametrize(
    ("layout", "files", "list_file", "lines"),
    [
        (layouts.camvid, ["train/a.png", "trainannot/a.png"], "train.txt", "train/a.png trainannot/a.png"),
        (layouts.gta5, ["images/00001.png", "labels/00001.png"], "train.txt", "1\n00001.png"),
        (layouts.nthu, ["Images/Train/a.png"], "List/train.txt", "a"),
        (layouts.sunrgbd, ["image/train/a.jpg", "label37/a.png"], "train37.txt", "image/train/a.jpg label37/a.png"),
    ],
)
def test_lists_of_public_datasets_remark_it_too(tmp_path, layout, files, list_file, lines):
    photographs(tmp_path, *files)
    (tmp_path / list_file).parent.mkdir(exist_ok=True)
    (tmp_path / list_file).write_text(f"{lines}\n{lines}\n")
    with pytest.warns(Remark, match="names 1 image more than once"):
        assert len(layout(tmp_path, "train")) == 1


def test_a_list_of_labelled_images_remarks_it_too(tmp_path):
    (tmp_path / "mine.txt").write_text("b\na\nb\n")
    with pytest.warns(Remark, match=r"mine.txt names 1 image more than once, such as 'b'"):
        assert labelled_subset(["a", "b", "c"], str(tmp_path / "mine.txt"), 0, "x") == [0, 1]


# Bytes


@pytest.mark.parametrize(
    "mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE], ids=["UTF-8", "UTF-16 LE", "UTF-16 BE"]
)
def test_a_byte_order_mark_is_no_part_of_the_first_name(tree, mark):
    encoding = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}.get(mark, "utf-16-be")
    (tree / "train.txt").write_bytes(mark + "a\r\nb\r\n".encode(encoding))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [sample.key for sample in folder(tree, "train", **LISTED)] == ["a", "b"]
    assert labelled_subset(["a", "b", "c"], str(tree / "train.txt"), 0, "x") == [0, 1]


@pytest.mark.parametrize("content", [b"\xe4bc", b"\x89PNG\r\n\x1a\n\x00\xff", "a.jpg".encode("utf-16-le")])
def test_a_list_that_is_no_text_is_named(tree, content):
    (tree / "train.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"train.txt: expected a list of names in UTF-8, found something else"):
        folder(tree, "train", **LISTED)
    with pytest.raises(ValueError, match=r"train.txt: expected a list of names in UTF-8, found something else"):
        labelled_subset(["a", "b", "c"], str(tree / "train.txt"), 0, "x")


@pytest.mark.parametrize(
    "line", ["images/a.jpg,masks/a.png", "a.jpg;a.png", '"images/a.jpg" "masks/a.png"', r"images\a.jpg"]
)
def test_lines_of_another_kind_are_answered_with_what_parts_names(tree, line):
    with pytest.raises(IncompleteSplit, match=r"which does not exist \(a blank or a tab parts .* nothing is quoted\)"):
        taken(tree, line)


@pytest.mark.parametrize("line", ["x" * 5000, "images/" + "y" * 300 + ".jpg"])
def test_a_line_that_can_be_no_file_is_missing(tree, line):
    with pytest.raises(IncompleteSplit, match="which does not exist"):
        taken(tree, line)
