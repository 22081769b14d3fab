"""What is called like a file, but is none that can be read: named, and never opened."""

import re

import pytest
from folders import IRREGULAR, masks, others, photographs

from mdseg.config.composition import compose_with_datasets
from mdseg.data import layouts
from mdseg.data.dataset import load_dataset
from mdseg.data.listing import IMAGES, files_below
from mdseg.data.pictures import listed_images
from mdseg.data.pictures import photographs as read_photographs
from mdseg.data.streams import labelled_subset
from mdseg.labels.tables import LabelTable
from mdseg.predict import find_images
from mdseg.system.files import refuse_irregular
from mdseg.system.wording import Remark


@pytest.fixture(params=IRREGULAR, ids=lambda make: make.__name__)
def irregular(request):
    """Puts something there, and returns what a message says of it."""

    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        request.param(path)
        return f"{path} is {IRREGULAR[request.param]}, expected a regular file"

    return make


@pytest.fixture
def tree(tmp_path):
    photographs(tmp_path, "images/a.jpg", "images/b.jpg")
    masks(tmp_path, "masks/a.png", "masks/b.png")
    (tmp_path / "train.txt").write_text("a\nb\n")
    return tmp_path


@pytest.mark.parametrize("place", ["images/b.jpg", "images/sub/c.tif", "masks/b.png", "masks/c.bmp", "train.txt"])
def test_a_user_s_folders_have_regular_files(tree, irregular, place):
    lists = "{split}.txt" if place == "train.txt" else None
    message = irregular(tree / place)

    def layout(root, split):
        return layouts.folder(root, split, "images", "masks", lists=lists)

    with pytest.raises(ValueError, match=message) as refusal:
        load_dataset("mine", layout, tree, "camvid11", "train")
    assert str(refusal.value).startswith("dataset 'mine', split 'train': ")


@pytest.mark.parametrize("line", ["extra/c.jpg masks/b.png", "a extra/c.png"])
def test_so_do_the_paths_of_a_list(tree, irregular, line):
    message = irregular(tree / "extra" / line.split("extra/")[1].split()[0])
    (tree / "train.txt").write_text(line)
    with pytest.raises(ValueError, match=message):
        layouts.folder(tree, "train", "images", "masks", lists="train.txt")


@pytest.mark.parametrize(
    ("layout", "place"),
    [
        (layouts.kitti, "training/image_2/0.png"),
        (layouts.kitti, "training/semantic/0.png"),
        (layouts.camvid, "train.txt"),
        (layouts.gta5, "val.txt"),
        (layouts.nthu, "List/train.txt"),
    ],
)
def test_so_do_public_datasets(tmp_path, irregular, layout, place):
    folders = ["training/image_2", "training/semantic", "train", "trainannot", "images", "labels", "Images/Train"]
    photographs(tmp_path, *(f"{folder}/00001.png" for folder in folders))
    message = irregular(tmp_path / place)
    with pytest.raises(ValueError, match=message):
        layout(tmp_path, "train")


def test_files_that_a_public_layout_does_not_read_may_be_anything(tmp_path, irregular):
    names = [f"leftImg8bit/train/bonn/{number}_leftImg8bit.png" for number in range(2)]
    names += [f"gtFine/train/bonn/{number}_gtFine_labelIds.png" for number in range(2)]
    photographs(tmp_path, *names)
    irregular(tmp_path / "gtFine/train/bonn/0_gtFine_color.png")
    assert len(layouts.cityscapes(tmp_path, "train")) == 2


def test_label_tables_and_lists_of_labelled_images_are_regular_files(tmp_path, irregular):
    with pytest.raises(ValueError, match=irregular(tmp_path / "table.yaml")):
        LabelTable.load(tmp_path / "table.yaml")
    with pytest.raises(ValueError, match=irregular(tmp_path / "mine.txt")):
        labelled_subset(["a"], str(tmp_path / "mine.txt"), 0, "x")


def test_so_are_descriptors(tmp_path, irregular):
    message = irregular(tmp_path / "dataset/mine.yaml")
    with pytest.raises(ValueError, match=message):
        compose_with_datasets("check", ["on=[mine]", f"hydra.searchpath=[file://{tmp_path}]"])


@pytest.mark.parametrize(
    "find",
    [lambda path: find_images(path, path.parent / "out"), lambda path: read_photographs([str(path)], 9)],
    ids=["predict", "activations"],
)
def test_photographs_are_regular_files(tree, irregular, find):
    message = irregular(tree / "images/sub/c.png")
    with pytest.raises(ValueError, match=message):
        find(tree / "images")


def test_a_photograph_that_is_named_itself_is_a_regular_file(tree, irregular):
    message = irregular(tree / "c.png")
    with pytest.raises(ValueError, match=message):
        find_images(tree / "c.png", tree / "out")


def test_what_is_not_called_like_a_photograph_is_left_out_and_named(tree, irregular, capsys):
    irregular(tree / "images/fifo")
    assert [path.name for path in find_images(tree / "images", tree / "out")] == ["a.jpg", "b.jpg"]
    assert "not images by their names: fifo" in capsys.readouterr().err
    with pytest.warns(Remark, match="1 of 3 files were left out: 1 without suffix, such as fifo"):
        layouts.folder(tree, "train", "images", "masks")


def test_a_folder_in_the_place_of_a_file_and_a_name_that_is_too_long(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ValueError, match=r"a.png is a folder, expected a regular file"):
        refuse_irregular(tmp_path / "a.png")
    refuse_irregular(tmp_path / ("x" * 5000))


# Folders


def test_predict_follows_linked_folders_and_leaves_its_own_outputs_out(tmp_path):
    photographs(tmp_path, "photos/a.jpg", "photos/.hidden/b.jpg", "photos/out/id/a.png", "elsewhere/c.webp")
    (tmp_path / "photos/linked").symlink_to("../elsewhere")
    (tmp_path / "photos/again").symlink_to(".")
    (tmp_path / "photos/results").symlink_to("out")
    found, no_images = listed_images(tmp_path / "photos", without=[tmp_path / "photos/out/id"])
    assert [path.relative_to(tmp_path / "photos").as_posix() for path in found] == ["a.jpg", "linked/c.webp"]
    assert no_images == []


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ("a.png", "a.jpg and {root}/a.png: an image and its mask, or one image twice? Each is taken for a photograph"),
        ("a_mask.png", "a_mask.png seems to be the mask of {root}/a.jpg; each is taken for a photograph"),
        ("masks/a.png", "masks/a.png seems to be the mask of {root}/a.jpg; each is taken for a photograph"),
    ],
)
def test_predict_says_what_may_be_no_photograph(tmp_path, mask, said):
    photographs(tmp_path, "a.jpg", "b.jpg")
    masks(tmp_path, mask)
    with pytest.warns(Remark, match=re.escape(said.format(root=tmp_path))):
        assert len(find_images(tmp_path, tmp_path / "out")) == 3


def test_two_folders_that_lead_into_each_other_end(tmp_path):
    others(tmp_path, "a/1", "b/2")
    (tmp_path / "a/to b").symlink_to("../b")
    (tmp_path / "b/to a").symlink_to("../a")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert found == ["a/1", "a/to b/2", "b/2", "b/to a/1"]


@pytest.mark.parametrize("levels", [1, 2, None])
def test_files_lie_at_the_depth_that_is_asked_for(tmp_path, levels):
    others(tmp_path, "1", "a/2", "a/b/3")
    (tmp_path / "c").symlink_to("a")
    found = {path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, levels)}
    assert found == {1: {"1"}, 2: {"a/2", "c/2"}, None: {"1", "a/2", "a/b/3", "c/2", "c/b/3"}}[levels]


def test_of_an_image_in_two_formats_public_layouts_say_which_is_taken(tmp_path):
    photographs(tmp_path, *(f"training/image_2/{name}" for name in ("0.png", "0.jpg", "1.jpg", "1.jpeg")))
    photographs(tmp_path, "training/semantic/0.png", "training/semantic/1.png")
    with pytest.warns(Remark, match=r"image_2: 0.png is taken, 0.jpg left out, and so on for 1 more"):
        assert [sample.image.name for sample in layouts.kitti(tmp_path, "train")] == ["0.png", "1.jpg"]


def test_png_comes_first_among_the_formats():
    assert IMAGES[0] == ".png"
