import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from folders import device, pipe
from PIL import Image

from mdseg.data import __main__ as commands
from mdseg.data import layouts
from mdseg.data.check import UNKNOWN, check_dataset, count_classes
from mdseg.data.check_report import EXAMPLES, as_json, as_text
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.scenes import generate

REAL = Path(__file__).parents[3] / "shared" / "data"
CLASSES = LabelTable(
    "streets", ("road", "sky", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), "id", ((0,), (1,), (2,)), (255,)
)


def write(root: Path, split: str, *names: str) -> None:
    """Images 6 × 4 of their own, their left half road and their right half sky."""
    mask = np.repeat([[0, 0, 0, 1, 1, 1]], 4, axis=0).astype(np.uint8)
    for folder in (root / split, root / f"{split}annot"):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        value = sum(f"{split}{name}".encode()) % 200
        cv2.imwrite(str(root / split / f"{name}.png"), np.full((4, 6, 3), (value, value + 5, value + 10), np.uint8))
        cv2.imwrite(str(root / f"{split}annot" / f"{name}.png"), mask)


@pytest.fixture
def tree(tmp_path):
    """A small tree in CamVid's layout without a test split."""
    write(tmp_path, "train", "a", "b", "c")
    write(tmp_path, "val", "d")
    return tmp_path


def check(root, table=CLASSES, evaluation_split="val", **options):
    return check_dataset("streets", layouts.camvid, root, table, evaluation_split, **options)


def problems(report):
    errors = report.errors
    return {
        (problem.split, problem.what.split(" (")[0]): [file.name for file, _ in problem.files] for problem in errors
    }


def test_an_orderly_tree_is_usable_and_an_absent_class_is_only_a_warning(tree):
    report = check(tree)
    assert report.errors == []
    assert [(problem.split, problem.what) for problem in report.warnings] == [
        ("train, val", "classes that never occur: car")
    ]


def test_pixels_images_and_sizes_are_counted(tree):
    train = check(tree).splits["train"]
    assert (train.images, train.labelled, train.ignored) == (3, 3, 0)
    assert train.sizes == {(4, 6): 3}
    assert train.shares.tolist() == [0.5, 0.5, 0]
    assert train.class_images[:3].tolist() == [3, 3, 0]


def test_mean_and_deviation_are_those_of_all_pixels(tree):
    cv2.imwrite(str(tree / "train/a.png"), np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8))
    cv2.imwrite(str(tree / "trainannot/a.png"), np.zeros((9, 13), np.uint8))
    train = check(tree).splits["train"]
    pixels = np.concatenate([np.array(Image.open(path)).reshape(-1, 3) for path in (tree / "train").iterdir()])
    assert train.mean == pytest.approx(pixels.mean(axis=0))
    assert train.deviation == pytest.approx(pixels.std(axis=0))


def test_classes_are_counted_exactly_in_large_masks():
    mask = np.ones((5000, 4001), np.uint8)
    mask[0, :3] = IGNORE
    counts = count_classes(mask)
    assert (counts[1], counts[IGNORE], counts.sum()) == (mask.size - 3, 3, mask.size)


@pytest.mark.parametrize("workers", [1, 3])
def test_one_bad_file_does_not_hide_the_next(tree, workers):
    (tree / "train/a.png").write_bytes((tree / "train/a.png").read_bytes()[:40])
    (tree / "train/b.png").write_bytes(b"")
    (tree / "trainannot/c.png").write_bytes(b"no image")
    assert problems(check(tree, workers=workers)) == {
        ("train", "image that cannot be read"): ["a.png", "b.png"],
        ("train", "mask that cannot be read"): ["c.png"],
    }


def test_files_without_a_partner_are_listed_and_the_pairs_read_on(tree):
    (tree / "trainannot/a.png").unlink()
    (tree / "train/b.png").unlink()
    cv2.imwrite(str(tree / "trainannot/c.png"), np.full((4, 6), 7, np.uint8))
    assert problems(check(tree)) == {
        ("train", "image without mask"): ["a.png"],
        ("train", "mask without image"): ["b.png"],
        ("train", "mask with raw ids that are not in the label table: 7 in 1"): ["c.png"],
        ("train", "no pixel of any class: all masks are ignored throughout"): [],
    }


def test_unknown_raw_ids_are_counted_per_file_and_the_rest_of_the_mask_too(tree):
    for name, values in (("a", (7, 9)), ("b", (7, 0))):
        cv2.imwrite(str(tree / f"trainannot/{name}.png"), np.repeat([[0, *values, 1, 2, 2]], 4, 0).astype(np.uint8))
    report = check(tree)
    (problem,) = report.errors
    assert problem.what.startswith("mask with raw ids that are not in the label table: 7 in 2, 9 in 1 (")
    assert [detail for _, detail in problem.files] == ["7, 9", "7"]
    assert report.splits["train"].class_pixels[:3].tolist() == [4 + 8 + 12, 4 + 4 + 12, 16]


@pytest.mark.parametrize(
    ("encoding", "pixels", "found"),
    [
        ("id", Image.new("P", (6, 4)), "palette PNG"),
        ("id", Image.new("RGB", (6, 4)), "uint8 of shape"),
        ("id", Image.new("I;16", (6, 4)), "uint16 of shape"),
        ("palette", Image.new("RGB", (6, 4)), "found mode RGB"),
        ("palette", Image.new("I;16", (6, 4)), "found mode I;16"),
    ],
)
def test_a_mask_in_another_encoding_is_named_with_what_it_is(tree, encoding, pixels, found):
    pixels.save(tree / "valannot/d.png")
    table = LabelTable("streets", CLASSES.names, CLASSES.colors, encoding, CLASSES.raw_ids, (255,))
    (problem,) = [problem for problem in check(tree, table).errors if problem.split == "val"]
    ((file, detail),) = problem.files
    assert (problem.what, file.name) == ("mask that cannot be read", "d.png")
    assert found in detail


def test_sizes_that_differ_are_named(tree):
    cv2.imwrite(str(tree / "valannot/d.png"), np.zeros((4, 7), np.uint8))
    (problem,) = check(tree).errors
    assert (problem.what, problem.files[0][1]) == ("image and mask of different size", "6 × 4 and 7 × 4")


def test_a_mask_without_a_label_is_a_warning_and_a_split_of_them_an_error(tree):
    for name in ("train/a", "val/d"):
        cv2.imwrite(str(tree / f"{name.replace('/', 'annot/')}.png"), np.full((4, 6), IGNORE, np.uint8))
    report = check(tree)
    assert ("train", "mask in which every pixel is ignored") in {(p.split, p.what) for p in report.warnings}
    assert problems(report) == {("val", "no pixel of any class: all masks are ignored throughout"): []}


def test_an_image_in_training_and_evaluation_is_a_warning(tree):
    (tree / "val/d.png").write_bytes((tree / "train/b.png").read_bytes())
    (problem,) = [problem for problem in check(tree).warnings if problem.files]
    assert (problem.split, problem.what) == ("val", "image that is in train too")
    assert problem.files == ((tree / "val/d.png", str(tree / "train/b.png")),)


def test_only_the_split_that_is_asked_for_is_read_and_it_must_exist(tree):
    assert list(check(tree, split="val").splits) == ["val"]
    (problem,) = check(tree, split="test").errors
    assert problem.what.startswith("the split does not exist: no folder")


def test_the_evaluation_split_is_missed_and_the_test_split_not(tree):
    assert [problem.split for problem in check(tree).problems] == ["train, val"]
    assert "test" in [problem.split for problem in check(tree, evaluation_split="test").warnings]


def test_a_folder_that_does_not_exist_is_one_error(tmp_path):
    (problem,) = check(tmp_path / "nowhere").problems
    assert problem.error
    assert problem.split == "train, val, test"
    assert "nowhere" in problem.what


def test_an_empty_folder_is_not_usable(tmp_path):
    assert check(tmp_path).errors


def test_a_layout_may_list_nothing_for_a_split_that_there_is_not(tree):
    def listed(root, split):
        return [] if split == "test" else layouts.camvid(root, split)

    report = check_dataset("streets", listed, tree, CLASSES, "val")
    assert (report.errors, list(report.splits)) == ([], ["train", "val"])
    assert check_dataset("streets", listed, tree, CLASSES, "val", "test").errors[0].what == "its layout lists no images"


def test_a_class_that_is_ignored_throughout_is_asked_about(tree):
    for mask in tree.glob("*annot/*.png"):
        cv2.imwrite(str(mask), cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) * 255)
    (warning,) = check(tree).warnings
    assert "beside the only other one all pixels are ignored: is one of `ignore_ids` a class" in warning.what


def test_a_layout_that_lists_nothing_leaves_nothing_usable(tmp_path):
    (problem,) = check_dataset("streets", lambda root, split: [], tmp_path, CLASSES, "val").errors
    assert problem.what == "its layout lists no images"


def test_the_text_shows_the_first_files_and_the_json_all(tmp_path):
    names = [f"image{number}" for number in range(EXAMPLES + 3)]
    write(tmp_path, "train", *names)
    for name in names:
        (tmp_path / f"train/{name}.png").write_bytes(b"")
    report = check(tmp_path)
    text = as_text(report)
    assert f"train: {len(names)} × image that cannot be read" in text
    assert "train/image0.png: not a readable image" in text
    assert "and 3 more" in text
    document = json.loads(json.dumps(as_json(report)))
    assert document["usable"] is False
    assert len(document["problems"][0]["files"]) == len(names)
    assert document["splits"]["train"]["classes"]["road"] == {"pixels": 12 * len(names), "share": 0.5, "images": 8}


@pytest.mark.skipif(not REAL.is_dir(), reason="real images are not in this checkout")
def test_the_counts_of_real_camvid_are_those_of_its_readme():
    report = check_dataset("camvid11", layouts.camvid, REAL / "camvid", LabelTable.load("camvid11"), "test", "train", 4)
    assert report.problems == ()
    train = report.splits["train"]
    shares = [17.54, 24.21, 1.02, 32.96, 4.67, 10.12, 1.22, 1.17, 6.11, 0.67, 0.30]
    assert 100 * train.shares == pytest.approx(shares, abs=0.006)
    assert 100 * train.ignored == pytest.approx(3.95, abs=0.006)
    # The README's were taken before the images became JPEG.
    assert train.mean == pytest.approx([105.03, 108.41, 110.33], abs=0.2)
    assert train.deviation == pytest.approx([78.30, 79.46, 78.34], abs=0.2)


# The command

SMALL = ["data.height=40", "data.fraction=0.02", "data.workers=1"]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mdseg.data", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def test_embedded_data_is_usable(tmp_path, capsys):
    commands.check(["on=[idd,wilddash]", *SMALL, f"output={tmp_path}/check.json"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("usable: idd (")
    assert json.loads((tmp_path / "check.json").read_text())["idd"]["usable"] is True


def test_traps_are_found_and_the_exit_code_says_so():
    done = command("check", "on=[bdd,kitti]", *SMALL, "data.fraction=0.022", "+data.generate.traps=true")
    assert done.returncode == 1
    assert "mask with raw ids that are not in the label table: 19 in 1" in done.stdout
    assert "1 images without mask, the first is " in done.stdout
    assert done.stderr == "mdseg: not usable: bdd (2 errors), kitti (1 error)\n"


def test_sources_and_targets_of_adaptation_are_usable(tmp_path, capsys):
    commands.check(["on=[gta5,synthia,rome]", *SMALL, f"output={tmp_path}/check.json"])
    assert "usable: gta5" in capsys.readouterr().out
    report = json.loads((tmp_path / "check.json").read_text())
    assert {name: sorted(entry["splits"]) for name, entry in report.items()} == {
        "gta5": ["train", "val"],
        "synthia": ["train", "val"],
        "rome": ["test", "train"],
    }


def test_traps_of_a_source_are_counted_as_warnings(tmp_path):
    root = generate(tmp_path, "gta5", {"train": 3}, height=40, traps=True)
    report = check_dataset("gta5", layouts.gta5, root, LabelTable.load("gta5"), "val", "train")
    warned = [problem.what for problem in report.warnings]
    assert warned[0].startswith("useless images left out: 15188 (white), 17705 (black)")
    assert warned[1].startswith("1 pairs of different sizes")
    assert [problem.what.split(":")[0] for problem in report.errors] == [UNKNOWN]


def test_labels_of_nthu_that_look_mapped_already_are_a_warning(tmp_path):
    root = generate(tmp_path, "rio", {"test": 2}, height=40)
    for path in (root / "Labels" / "Test").iterdir():
        cv2.imwrite(str(path), np.minimum(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 12))
    report = check_dataset("rio", layouts.nthu, root, LabelTable.load("nthu13"), "test", "test")
    assert any("seem to be mapped to 0..12 already" in problem.what for problem in report.warnings)


def test_help_needs_no_torch():
    code = "import sys, mdseg.data.__main__ as m; sys.argv[1:] = ['check', '--help']; m.main(); "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_a_split_is_one_of_three():
    with pytest.raises(ValueError, match="split: expected train, val or test, got 'validation'"):
        commands.check(["on=[idd]", "split=validation"])


@pytest.mark.parametrize("command", [commands.check, commands.browse])
def test_a_folder_is_no_output(tmp_path, command):
    with pytest.raises(ValueError, match=r"output=.* is a folder; give a file in it"):
        command(["on=[idd]", *SMALL, f"output={tmp_path}"])


@pytest.mark.parametrize("command", [commands.check, commands.browse])
@pytest.mark.parametrize("name", ["config.yaml", "street.png", "command.txt", "done"])
def test_a_file_of_another_kind_is_not_replaced_by_an_output(tmp_path, command, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        ValueError, match=rf"output=.*/{name} exists and is not called \*\.(json|html): give a new file"
    ):
        command(["on=[idd]", *SMALL, f"output={tmp_path / name}"])
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("command", [commands.check, commands.browse])
@pytest.mark.parametrize("put", [pipe, device])
def test_a_pipe_or_a_device_is_no_output(tmp_path, command, put):
    put(tmp_path / "out")
    with pytest.raises(ValueError, match="output=.* is a pipe or a device; give the name of a file"):
        command(["on=[idd]", *SMALL, f"output={tmp_path / 'out'}"])


@pytest.mark.parametrize("size", ["data.height=100000", "data.fraction=1e12", "data.fraction=1e308"])
def test_scenes_that_no_memory_holds_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match="scenes of 'idd': .*data\\.(height|fraction)"):
        commands.check(["on=[idd]", f"data.root={tmp_path}", size])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek", "on=[idd]"], "no command 'chek' (did you mean check?)"),
        (["check"], "check needs datasets: on=[idd,bdd]"),
        (["check", "on=[iddd]"], "there is no dataset 'iddd' (did you mean idd?)"),
        (["check", "on=[idd]", "data=disk"], "data=disk needs data.root="),
        (["check", "on=[idd]", "outptu=x.json"], "outptu"),
    ],
)
def test_mistakes_get_one_message(arguments, message):
    refused = command(*arguments)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
