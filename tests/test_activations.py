import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mdseg.activations import draw, quoted_names, run_labels
from mdseg.data.pictures import Picture, photographs
from mdseg.evaluation import maps
from mdseg.evaluation.evaluator import View
from mdseg.figures.maps import Row, map_figure
from mdseg.labels.spaces import disjoint, union
from mdseg.labels.tables import LabelTable
from mdseg.runs.trained import load_trained

TABLES = {name: LabelTable.load(name) for name in ("bdd", "idd")}


@pytest.fixture
def runs(trained_run):
    return f"runs=[{trained_run}/null_bce,{trained_run}]"


def test_activations_are_0_at_the_weakest_and_1_at_the_strongest_channel():
    logits = torch.tensor([[-2.0, 5.0], [0.0, 5.5], [2.0, 6.0]])
    assert maps.normalized(logits).tolist() == [[0, 0], [0.5, 0.5], [1, 1]]


def test_a_constant_and_a_factor_do_not_change_activations():
    logits = torch.randn(7, 20)
    torch.testing.assert_close(maps.normalized(3 * logits - 8), maps.normalized(logits))


def test_channels_that_are_all_equal_give_no_nan():
    assert maps.normalized(torch.ones(3, 2)).tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("align_corners", [True, False])
def test_bands_make_the_maps_of_the_whole_image(align_corners):
    logits = torch.randn(5, 6, 9)
    upsampled = functional.interpolate(logits[None], (23, 31), mode="bilinear", align_corners=align_corners)[0]
    expected = maps.normalized(upsampled)
    single, both, absent = maps.class_maps(logits, [[3], [0, 4], []], (23, 31), align_corners, band_bytes=2000)
    np.testing.assert_allclose(single, expected[3], atol=1e-5)
    np.testing.assert_allclose(both, expected[[0, 4]].amax(dim=0), atol=1e-5)
    assert absent is None


def test_a_class_has_a_channel_per_dataset_in_a_disjoint_space():
    space = disjoint(TABLES)
    assert len(maps.channels_of(View(space), "road")) == 2
    assert len(maps.channels_of(View(space), "idd/road")) == 1
    assert maps.channels_of(View(space, "idd"), "road") == maps.channels_of(View(space), "idd/road")


def test_outside_are_the_classes_that_the_table_has_neither_by_name_nor_as_alias():
    space = union(TABLES)
    names = maps.outside(View(space), TABLES["bdd"])
    assert "autorickshaw" in names
    assert not set(names) & set(TABLES["bdd"].names)
    assert "rider" not in maps.outside(View(space), LabelTable.load("camvid11"))
    assert maps.outside(View(space), None) == list(space.names)


def test_the_most_active_class_is_the_one_that_is_strong_somewhere():
    found = [{"small but clear": 0.9, "everywhere a little": 0.4}, {"small but clear": 0.8, "one run only": 0.86}]
    assert maps.most_active(found, 2) == ["one run only", "small but clear"]


def test_an_equal_activity_is_decided_by_name():
    assert maps.most_active([{"b": 0.5, "a": 0.5}], 1) == ["a"]


def test_activity_looks_at_the_highest_percent(trained_run):
    run = load_trained(trained_run).predictor(40)
    picture = Picture(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    activations = maps.normalized(run.logits(run.prepared(picture.image))[0])[run.view.space.names.index("curb")]
    few = activations.flatten().sort(descending=True).values[: round(0.01 * activations.numel())]
    assert maps.activity(run, picture, ["curb", "no such class"]) == {"curb": pytest.approx(few.mean().item())}


def test_runs_that_differ_only_in_the_checkpoint_are_told_apart(trained_run):
    paths = [trained_run / "null_bce", trained_run, trained_run / "class_relational/checkpoints/best.ckpt"]
    labels = run_labels([load_trained(path) for path in paths])
    assert labels[0] == "uniseg_cib\nnull_bce"
    assert labels[1].endswith("class_relational\nlast")
    assert labels[2].endswith("class_relational\nbest")


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_the_figure_has_a_cell_per_image_class_and_run():
    image, mask, values = np.zeros((4, 8, 3), np.uint8), np.array([[0, 255]] * 2, np.uint8), np.zeros((4, 8))
    rows = [Row(image, mask, [[values, values], [values, None]])] * 3
    figure = map_figure(rows, ["curb", "a (b)"], ["one\nce", "two\nbce"], TABLES["bdd"], "title")
    assert len(figure.axes) == 3 * (2 + 2 * 2) + 1  # the colour bar
    assert {"title", "curb", "a (b)", "one\nce", "two\nbce", "annotation"} <= set(texts(figure))
    assert [text.get_text() for axis in figure.axes for text in axis.texts] == ["no channel"] * 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["road", "not annotated"]


def test_without_annotation_there_is_no_column_for_it():
    image, values = np.zeros((9, 4, 3), np.uint8), np.zeros((9, 4))
    figure = map_figure([Row(image, None, [[values]])], ["curb"], ["one"], None, "title")
    assert len(figure.axes) == 2 + 1
    assert "annotation" not in texts(figure)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("classes=[lane marking - general,curb]", 'classes=["lane marking - general","curb"]'),
        ("classes=[traffic sign (back), curb]", 'classes=["traffic sign (back)","curb"]'),
        ("classes=traffic sign (back)", 'classes=["traffic sign (back)"]'),
        ("classes=['a, b',c]", "classes=['a, b',\"c\"]"),
        ("runs=[runs/lr=0.1/x]", 'runs=["runs/lr=0.1/x"]'),
        ("classes=null", "classes=null"),
        ("on=bdd", "on=bdd"),
    ],
)
def test_names_need_no_quotes_of_their_own(argument, expected):
    assert quoted_names(argument) == expected


def test_two_runs_are_drawn_side_by_side(runs, tmp_path, capsys):
    output = tmp_path / "new/maps.png"
    draw([runs, "on=bdd", "classes=autorickshaw,curb", "count=1", f"output={output}"])
    with Image.open(output) as picture:
        assert picture.width > picture.height
    assert capsys.readouterr().out == f"{output}: images 1, runs 2, classes autorickshaw, curb\n"
    assert [path.name for path in output.parent.iterdir()] == ["maps.png"]


def test_without_classes_the_most_active_ones_outside_the_dataset_are_drawn(runs, tmp_path, capsys):
    said = []
    for _ in range(2):
        draw([runs, "on=bdd", "count=1", f"output={tmp_path / 'maps.png'}"])
        said.append(capsys.readouterr().out.split("classes ")[1])
    names = said[0].removesuffix(" (the most active)\n").split(", ")
    assert said[0] == said[1]
    assert len(names) == 3
    assert not set(names) & set(TABLES["bdd"].names)


def test_photographs_of_any_kind_and_size_are_drawn(runs, tmp_path):
    folder = tmp_path / "my photos (2)"
    folder.mkdir()
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (60, 40)).save(folder / "a.jpg", exif=turned)
    Image.new("LA", (33, 21)).save(folder / "b.png")
    (folder / "notes.txt").write_text("no image")
    assert [picture.image.shape for picture in photographs([str(folder)], 9)] == [(60, 40, 3), (21, 33, 3)]
    output = tmp_path / "maps.png"
    draw([runs, f"images={folder}", "classes=[traffic sign]", f"output={output}"])
    assert output.is_file()


def test_photographs_of_subfolders_are_found_and_hidden_files_are_not(tmp_path):
    for name, width in (("b.png", 5), ("a/c.png", 6), ("._b.png", 7), (".cache/d.png", 8)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (width, 4)).save(tmp_path / name)
    assert [picture.image.shape[1] for picture in photographs([str(tmp_path)], 9)] == [6, 5]


@pytest.mark.parametrize("moved", [["data=disk", "data.root=nothing"], ["datasets.bdd.root=nothing/bdd"]])
def test_data_is_read_from_elsewhere_when_asked(runs, moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder .*nothing/bdd"):
        draw([runs, "on=bdd", *moved])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classes=[autoricksaw]"], r"no run has a channel 'autoricksaw' \(did you mean autorickshaw\?\)"),
        (["classes=[zzz]"], "no run has a channel 'zzz'; there are autorickshaw, "),
        (["classes=[]"], "name at least one"),
        (["count=0"], "count: expected a whole number of at least 1, got 0"),
        (["output=maps.jpg"], "expected the name of a PNG file"),
        (["images=photos"], "either on=<dataset> or images="),
        (["on=[bdd,idd]"], "one dataset at a time"),
        (["on=bbd"], r"no dataset 'bbd' \(did you mean bdd\?\)"),
        (["clases=[curb]"], r"no such key \(did you mean classes\?\)"),
        (["device=cuda:99"], "device=cuda:99: PyTorch sees"),
        (["runs=[]"], "runs=.* is required"),
    ],
)
def test_mistakes_are_named(runs, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        draw([runs, *(() if arguments[0].startswith("on=") else ["on=bdd"]), *arguments])
    assert not list(tmp_path.iterdir())


def test_a_run_that_does_not_exist_is_an_error():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        draw(["runs=[nowhere]", "on=bdd"])


def test_a_damaged_photograph_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.jpg: not a readable image"):
        photographs([str(tmp_path)], 4)


@pytest.mark.parametrize("images", ["photos", "photos/a.png", "link"])
def test_a_photograph_is_not_replaced_by_its_maps(runs, images, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / "photos/a.png")
    before = (tmp_path / "photos/a.png").read_bytes()
    with pytest.raises(ValueError, match=r"output=.*a\.png is one of the images; give a new file"):
        draw([runs, f"images={tmp_path / images}", f"output={tmp_path / 'photos/a.png'}"])
    assert (tmp_path / "photos/a.png").read_bytes() == before


def test_a_folder_without_photographs_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no images"):
        photographs([str(tmp_path)], 4)


def test_help_needs_no_torch():
    code = "import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module('mdseg.activations', run_name='__main__')"
    code += "; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "classes=[...]" in done.stdout
