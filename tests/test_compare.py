import json
import math
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from mdseg.compare import captions, draw, miou_said
from mdseg.evaluate import evaluate
from mdseg.evaluation.answers import PixelDraw, ProbabilitySums, at_pixels
from mdseg.labels.spaces import EvaluationSpace


@pytest.fixture(scope="module")
def compared(trained_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    draw([*arguments(trained_run), "logits=5", f"output={folder}"])
    return folder


def arguments(trained_run):
    """Two stages of a run on one dataset, and their features of two."""
    runs = f"runs=[{trained_run}/null_bce,{trained_run}]"
    return [runs, "on=cityscapes", "count=1", "tsne.pixels=4", "tsne.datasets=[cityscapes,idd]"]


def test_pictures_and_numbers_of_two_models_lie_in_one_folder(compared):
    pictures = ["classes.png", "logits.png", "predictions.png", "tsne.png"]
    assert sorted(path.name for path in compared.iterdir()) == sorted([*pictures, "compare.json", "tsne.json"])
    assert all((compared / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    document = json.loads((compared / "compare.json").read_text())
    assert list(document["runs"]) == ["uniseg_cib, null_bce", "uniseg_cib, class_relational"]
    assert all(0 <= run["miou"] < 1 for run in document["runs"].values())


def test_features_are_of_the_datasets_named_and_the_same_every_time(compared, trained_run, tmp_path):
    draw([*arguments(trained_run), "logits=0", f"output={tmp_path}"])
    assert not (tmp_path / "logits.png").exists()
    for name in ("tsne.json", "tsne.png"):
        assert (tmp_path / name).read_bytes() == (compared / name).read_bytes()
    document = json.loads((compared / "tsne.json").read_text())
    assert list(document["pixels"]) == ["cityscapes", "idd"]
    assert list(document["runs"]) == ["uniseg_cib, null_bce", "uniseg_cib, class_relational"]
    for numbers in document["runs"].values():
        assert 0 < numbers["mixing"] < 2
        assert 0 <= numbers["matching"] <= 1
        assert "road" in numbers["classes"]["mixing"]


def test_without_being_asked_for_no_features_are_drawn(trained_run, tmp_path):
    draw([f"runs=[{trained_run}]", "on=cityscapes", "logits=0", f"output={tmp_path}"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.png", "compare.json", "predictions.png"]


def test_its_ious_are_those_of_an_evaluation(compared, trained_run, tmp_path):
    expected = evaluate([f"run={trained_run}", "on=cityscapes", f"output={tmp_path / 'evaluation'}"])
    found = json.loads((compared / "compare.json").read_text())["runs"]["uniseg_cib, class_relational"]
    assert found["iou"] == expected["evaluation"]["datasets"]["cityscapes"]["iou"]


def test_a_run_that_cannot_be_read_is_named_and_the_others_are_compared(trained_run, tmp_path, capsys):
    (tmp_path / "half.ckpt").write_bytes(b"PK")
    runs = f"runs=[{trained_run},{tmp_path}/half.ckpt]"
    with pytest.raises(SystemExit, match="mdseg: 1 of 2 runs could not be read"):
        draw([runs, "on=cityscapes", "count=1", "logits=0", f"output={tmp_path / 'out'}"])
    assert list(json.loads((tmp_path / "out/compare.json").read_text())["runs"]) == ["uniseg_cib, class_relational"]
    assert f"mdseg: left out: {tmp_path}/half.ckpt is not a readable checkpoint" in capsys.readouterr().err


@pytest.fixture
def labelled_as(tmp_path):
    """Arguments that add a dataset of two images of which every pixel has one raw id, by that id."""

    def dataset(raw_id):
        for kind, pixels in (
            ("images", np.zeros((40, 60, 3), np.uint8)),
            ("masks", np.full((40, 60), raw_id, np.uint8)),
        ):
            (tmp_path / kind / "val").mkdir(parents=True)
            for name in "ab":
                cv2.imwrite(str(tmp_path / kind / "val" / f"{name}.png"), pixels)
        layout = {"_target_": "mdseg.data.layouts.folder", "_partial_": True}
        layout |= {f"{kind}_dir": f"{kind}s/{{split}}" for kind in ("image", "mask")}
        classes = [{"name": name, "raw_ids": [number], "color": [number, 0, 0]} for number, name in enumerate(CLASSES)]
        labels = {"encoding": "id", "classes": classes, "ignore_ids": [255]}
        (tmp_path / "conf/dataset").mkdir(parents=True)
        (tmp_path / "conf/dataset/mine.yaml").write_text(
            f"# @package datasets.mine\nlayout: {json.dumps(layout)}\nroot: {tmp_path}\nevaluation_split: val\n"
            f"labels: {json.dumps(labels)}\n"
        )
        return [f"hydra.searchpath=[file://{tmp_path}/conf]", "on=mine", f"output={tmp_path / 'out'}"]

    return dataset


CLASSES = ("road", "sky", "zebra")


def test_a_dataset_of_whose_classes_the_model_has_none_is_said_to_have_no_miou(
    trained_run, labelled_as, tmp_path, capsys
):
    draw([f"runs=[{trained_run}]", "count=1", *labelled_as(CLASSES.index("zebra"))])
    assert "mIoU undefined: no labelled pixel of mine is of a class that the model tells" in capsys.readouterr().out
    (numbers,) = json.loads((tmp_path / "out/compare.json").read_text())["runs"].values()
    assert numbers["miou"] is None


def test_a_dataset_of_which_every_pixel_is_ignored_is_refused(trained_run, labelled_as, tmp_path):
    with pytest.raises(ValueError, match="dataset 'mine': none of its 2 masks has a pixel of a class that counts"):
        draw([f"runs=[{trained_run}]", "count=1", *labelled_as(255)])
    assert not (tmp_path / "out").exists()


def test_few_pixels_are_no_reason_to_fail(trained_run, labelled_as, tmp_path):
    draw([f"runs=[{trained_run}]", "count=1", "logits=1", *labelled_as(CLASSES.index("road"))])
    assert (tmp_path / "out/logits.png").is_file()


def test_mean_probability_is_over_the_annotated_pixels_predicted_as_the_class():
    logits = torch.log(torch.tensor([[[0.9, 0.6, 0.2, 0.5]], [[0.1, 0.4, 0.8, 0.5]]]))
    prediction, mask = torch.tensor([[0, 0, 1, 0]]).byte(), torch.tensor([[1, 0, 1, 255]]).byte()
    space = EvaluationSpace(("a", "b", "c"), ((0,) * 3,) * 3, torch.tensor([0, 1]), torch.tensor([0, 1]), ("c",))
    sums = ProbabilitySums(3)
    sums.update(logits, prediction, mask, space, align_corners=True)
    first, second, absent = sums.means()
    assert (first, second) == (pytest.approx(0.75), pytest.approx(0.8))
    assert math.isnan(absent)


def test_the_same_pixels_are_drawn_for_every_model_and_never_ignored_ones():
    mask = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.uint8)
    mask[mask == 3] = 255
    first, second = (PixelDraw(6, seed=1).pixels(mask, 2) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.bincount(mask[first[:, 0], first[:, 1]]).tolist() == [6, 6, 6]
    assert not np.array_equal(first, PixelDraw(6, seed=1).pixels(mask, 3))


def test_logits_of_a_pixel_are_those_of_its_cell():
    logits = torch.arange(6.0).view(1, 2, 3)
    places = np.array([[0, 0], [3, 5], [1, 2], [2, 4]])
    assert at_pixels(logits, places, (4, 6)).flatten().tolist() == [0, 5, 1, 5]


def loaded(path, network=None):
    """Stands for a model that has been read from a run folder below a path."""
    return SimpleNamespace(
        cfg=OmegaConf.create({"name": "gta5", "row": "dacs"}),
        stage="adapt",
        network=network,
        path=Path(path) / "adapt/checkpoints/last.ckpt",
    )


def test_labels_say_what_tells_the_models_apart():
    assert captions([loaded("a/1"), loaded("a/1", "teacher")]) == ["gta5, dacs, adapt", "gta5, dacs, adapt, teacher"]
    assert captions([loaded("a/1"), loaded("a/2")]) == ["gta5, dacs, adapt, 1, last", "gta5, dacs, adapt, 2, last"]
    first, second = captions([loaded("a/1"), loaded("b/1")])
    assert (first, second) == tuple(f"{Path(folder).resolve()}/1/adapt/checkpoints/last.ckpt" for folder in "ab")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["on=cityscapes"], r"runs=\[\.\.\.\] is required"),
        (["runs=[{run}]", "on=[cityscapes,idd]"], "name one dataset"),
        (["runs=[{run}]", "on=cityscapes", "count=0"], "count: expected a whole number of at least 1"),
        (
            ["runs=[{run}]", "on=cityscapes", "device=gpu"],
            "device: expected auto, cpu, cuda or cuda:<number>, got 'gpu'",
        ),
        (["runs=[{run}]", "on=cityscapes", "tsne.pixels=1"], r"tsne\.pixels: expected a whole number of at least 2"),
        (
            ["runs=[{run}]", "on=cityscapes", "tsne.pixels=3", "tsne.classes=road"],
            r"tsne\.classes: expected a list of names or null",
        ),
        (["runs=[{run}]", "on=cityscapes", "tsne.pixels=3", "tsne.datasets=[idd]"], "no class is in two of .* idd;"),
        (
            ["runs=[{run}]", "on=cityscapes", "tsne.pixels=3", "tsne.classes=[raod]"],
            r"'raod' is not a class of two of the datasets .*\(did you mean road\?\)",
        ),
        (["runs=[{run}/nowhere]", "on=cityscapes"], "no such run folder"),
        (["runs={run}", "on=[cityscapes,idd]"], "name one dataset"),
        (["runs=[{run},{run}/class_relational]", "on=cityscapes"], "class_relational.* stands there twice"),
        (["runs=[{run}]", "networks=[student,teacher]"], "networks: expected a list .* for each of 1 runs"),
        (["runs=[{run}]", "networks=[teacher]"], "has no teacher"),
    ],
)
def test_mistakes_are_named(trained_run, arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        draw([argument.replace("{run}", str(trained_run)) for argument in arguments])


@pytest.mark.parametrize(
    ("iou", "said"),
    [([math.nan], "mIoU undefined: no labelled pixel of d"), ([0.5, math.nan], "mIoU 50.0 %"), ([], "mIoU undefined")],
)
def test_a_mean_over_no_class_is_undefined(iou, said):
    assert miou_said(iou, "d").startswith(said)
