"""Datasets without masks, which need no label table, and label spaces in which nothing is told apart."""

import re

import cv2
import numpy as np
import pytest
import yaml
from mistakes import refused
from running import planned
from smoke import SMOKE

from mdseg.data import __main__ as commands
from mdseg.labels.tables import LabelTable

ONE_CLASS = {
    "encoding": "id",
    "classes": [{"name": "crack", "raw_ids": [1], "color": [9, 9, 9]}],
    "ignore_ids": [0],
}


@pytest.fixture
def tree(tmp_path):
    """A dataset `mine` of two photographs in a folder of one's own; its descriptor lies on the search path."""

    def write(labels=None, **layout):
        (tmp_path / "conf/dataset").mkdir(parents=True)
        for folder in ("images/train", "masks/train"):
            (tmp_path / "mine" / folder).mkdir(parents=True)
            for name in ("a", "b"):
                pixels = np.full((40, 60, 3) if folder[0] == "i" else (40, 60), ord(name) % 2, np.uint8)
                cv2.imwrite(str(tmp_path / "mine" / folder / f"{name}.png"), pixels)
        layout = {"_target_": "mdseg.data.layouts.folder", "image_dir": "images/{split}", "mask_dir": None} | layout
        text = {"layout": layout, "root": str(tmp_path / "mine"), "labels": labels, "evaluation_split": "train"}
        file = tmp_path / "conf/dataset/mine.yaml"
        file.write_text(f"# @package datasets.mine\n{yaml.safe_dump(text)}")
        return f"hydra.searchpath=[file://{tmp_path / 'conf'}]"

    return write


def test_the_table_of_a_dataset_without_masks_has_no_classes_and_knows_no_raw_id():
    table = LabelTable.without_classes("mine")
    assert (table.num_classes, table.known().any()) == (0, False)


def test_photographs_alone_are_usable(tree, capsys):
    commands.check(["on=[mine]", tree()])
    said = capsys.readouterr().out
    assert "mine: " in said
    assert "without labels" in said
    assert said.endswith("usable: mine\n")


def test_photographs_alone_can_be_looked_at(tree, tmp_path):
    commands.browse(["on=[mine]", tree(), "samples=1", "versions=1", f"output={tmp_path / 'page.html'}"])
    page = (tmp_path / "page.html").read_text()
    assert page.count("<section") == 1
    assert "training, 1" in page


def test_photographs_alone_are_looked_at_beside_labelled_ones(tree, tmp_path):
    small = ["samples=1", "versions=1", "data.height=40", "data.fraction=0.02", f"output={tmp_path / 'page.html'}"]
    commands.browse(["on=[mine,idd]", tree(), *small])
    assert re.findall(r"<h2>(\w+) ", (tmp_path / "page.html").read_text()) == ["idd", "mine"]


def test_photographs_alone_can_be_a_target(composed, tree):
    names = ["streams.target.datasets=[mine]", "evaluate.target=[]", "evaluate.seen=[gta5]", "dataset=[gta5,mine]"]
    small = [*SMOKE, "streams.target.batch_size=2", "stage.source.steps=2", "stage.adapt.steps=2"]
    plan = planned(composed("experiment=maxsquare_gta5_cityscapes", *small, *names, tree()))
    assert "mine (2 images, 0 classes)" in str(plan)


MASKS = {"mask_dir": "masks/{split}"}


@pytest.mark.parametrize(
    ("labels", "layout", "arguments", "part"),
    [
        (None, {}, ["experiment=supervised", "dataset=[mine]"], "datasets.mine.labels is null, so it can be neither"),
        (
            None,
            MASKS,
            ["experiment=supervised", "dataset=[mine]"],
            "datasets.mine.labels is null, so it can be neither",
        ),
        (ONE_CLASS, MASKS, ["experiment=supervised", "dataset=[mine]"], "label space of mine: crack is its only class"),
        ("missing.yaml", MASKS, ["experiment=supervised", "dataset=[mine]"], "no label table 'missing.yaml'"),
    ],
    ids=["no labels", "masks without a table", "one class", "missing table"],
)
def test_what_cannot_be_trained_on_is_said_when_the_run_is_planned(composed, tree, labels, layout, arguments, part):
    cfg = composed(*arguments, *SMOKE, tree(labels, **layout), "steps=1")
    with refused(part):
        planned(cfg)


def test_masks_without_a_table_are_said_when_data_is_checked(tree, capsys):
    with pytest.raises(SystemExit, match=r"not usable: mine \(1 error\)"):
        commands.check(["on=[mine]", tree(**MASKS)])
    assert "it has masks, but `labels` is null: name a label table" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "browse"])
@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"image_dir": "images/{spilt}"}, "datasets.mine.layout.image_dir: 'images/{spilt}' has {spilt}, but only"),
        ({"_target_": "mdseg.data.layouts.foldr"}, "datasets.mine.layout: mdseg.data.layouts.foldr: there is no foldr"),
    ],
)
def test_a_descriptor_is_refused_by_every_command_in_the_same_words(composed, tree, tmp_path, command, layout, message):
    path = tree("cityscapes", **MASKS | layout)
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        getattr(commands, command)(
            ["on=[mine]", path, *([f"output={tmp_path / 'x.html'}"] if command == "browse" else [])]
        )
    with refused(str(refusal.value)):
        planned(composed("experiment=supervised", "dataset=[mine]", *SMOKE, path))
