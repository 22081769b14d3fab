"""Descriptors of datasets, and the lists that name them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mdseg.config.building import layout_of
from mdseg.config.datasets import check_descriptor, check_given_names, check_lists, remark_unused
from mdseg.config.keys import descriptor, label_source
from mdseg.data import layouts
from mdseg.data.dataset import Sample

FOLDER = {"_target_": "mdseg.data.layouts.folder", "_partial_": True, "image_dir": "images/{split}", "mask_dir": None}
MINE = {"layout": FOLDER, "root": "/data/mine", "labels": "cityscapes", "evaluation_split": "val"}


def configured(described):
    return OmegaConf.create({"datasets": {"mine": described}})


def without(*keys):
    return {key: value for key, value in MINE.items() if key not in keys}


@pytest.mark.parametrize(
    "described",
    [
        MINE,
        MINE | {"labels": None},
        without("labels"),
        MINE | {"labels": {"encoding": "id", "classes": []}},
        MINE | {"layout": {key: value for key, value in FOLDER.items() if key != "_partial_"}},
        MINE | {"layout": FOLDER | {"image_dir": "{{old}}/{split}"}},
        MINE | {"layout": {"_target_": "mine.layout", "sizes": [1, 2], "image_dir": "{city}"}},
    ],
)
def test_a_descriptor_may_have_no_labels_and_a_layout_of_one_s_own(described):
    check_descriptor("mine", OmegaConf.create(described))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (None, "datasets.mine: expected layout, root, labels, evaluation_split (conf/dataset/folder.yaml), got null"),
        ([1, 2], "datasets.mine: expected layout, root, labels"),
        ("folder", "datasets.mine: expected layout, root, labels"),
        (without("root"), "datasets.mine: key root is missing; it is the dataset's folder, ${data.root}/<name>"),
        (without("layout"), "datasets.mine: key layout is missing; it is {_target_: mdseg.data.layouts.folder"),
        (without("evaluation_split"), "key evaluation_split is missing; it is train, val, test"),
        (MINE | {"rot": "x"}, "datasets.mine.rot: there is no such key (did you mean root?)"),
        (MINE | {"root": None}, "datasets.mine.root: expected the dataset's folder, ${data.root}/<name>; got null"),
        (MINE | {"root": ["/a"]}, "datasets.mine.root: expected the dataset's folder"),
        (MINE | {"root": "${data.rot}/x"}, "datasets.mine.root: Interpolation key 'data.rot' not found"),
        (MINE | {"root": "???"}, "datasets.mine: key root is missing"),
        (MINE | {"root": " "}, "datasets.mine.root: expected the dataset's folder"),
        (MINE | {"labels": [{"name": "road"}]}, "got [{'name': 'road'}]; a list of classes stands below `classes`"),
        (
            MINE | {"labels": {"encoding": "id", "classes": [{"name": "a ${seed}", "raw_ids": [0]}]}},
            "datasets.mine.labels: name 'a ${seed}' refers to another key and would be replaced by what stands there",
        ),
        (MINE | {"labels": 5}, "datasets.mine.labels: expected the name of a table in conf/labels, a YAML file"),
        (MINE | {"labels": True}, "or null where there are no masks; got True"),
        (MINE | {"evaluation_split": "valid"}, "evaluation_split: expected train, val, test; got 'valid'"),
        (MINE | {"evaluation_split": None}, "evaluation_split: expected train, val, test; got null"),
        (
            MINE | {"layout": None},
            "datasets.mine.layout: expected {_target_: mdseg.data.layouts.folder, _partial_: true",
        ),
        (MINE | {"layout": "folder"}, 'image_dir: "images/{split}", mask_dir: "masks/{split}"}; got \'folder\''),
        (MINE | {"layout": ["folder"]}, "got ['folder']"),
        (MINE | {"layout": {"image_dir": "x"}}, "got {'image_dir': 'x'}"),
        (MINE | {"layout": FOLDER | {"image_dir": None}}, "layout.image_dir: expected a text, got null"),
        (MINE | {"layout": FOLDER | {"image_dir": ""}}, "layout.image_dir: expected a text, got ''"),
        (MINE | {"layout": FOLDER | {"mask_dir": ["a"]}}, "layout.mask_dir: expected a text, or null, got ['a']"),
        (MINE | {"layout": FOLDER | {"lists": 5}}, "layout.lists: expected a text, or null, got 5"),
        (
            MINE | {"layout": FOLDER | {"image_dir": "images/{spilt}"}},
            "layout.image_dir: 'images/{spilt}' has {spilt}, but only {split} is filled in, such as 'images/{split}'",
        ),
        (MINE | {"layout": FOLDER | {"lists": "{subset}.txt"}}, "layout.lists: '{subset}.txt' has {subset}"),
        (MINE | {"layout": FOLDER | {"mask_dir": "masks/{}"}}, "layout.mask_dir: 'masks/{}' has {}"),
        (MINE | {"layout": FOLDER | {"mask_dir": "masks/{split"}}, "'masks/{split': expected '}' before end of string"),
        (MINE | {"layout": FOLDER | {"mask_dir": "{split.x}"}}, "has {split.x}, but only {split}"),
        (MINE | {"layout": FOLDER | {"mask_dir": "{split:>9}"}}, "has {split:>9}, but only {split} is filled in"),
        (MINE | {"layout": FOLDER | {"root": "/data"}}, "layout.root: root stands beside layout; leave it out"),
        (MINE | {"layout": FOLDER | {"split": "val"}}, "layout.split: a layout is asked for one split after the other"),
        (MINE | {"layout": FOLDER | {"image_ending": None}}, "layout.image_ending: expected a text, got null"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_descriptor_of_another_form_is_answered_with_the_right_one_wherever_it_is_read(described, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        descriptor(configured(described), "mine")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (
            FOLDER | {"_target_": "mdseg.data.layouts.foldr"},
            "mdseg.data.layouts.foldr: there is no foldr in mdseg.data.layouts (did you mean folder?); such as",
        ),
        (
            FOLDER | {"_target_": "no_such_module.layout"},
            "no_such_module.layout: Python finds no module no_such_module. ",
        ),
        (FOLDER | {"_target_": "folder"}, "got 'folder'; such as {_target_: mdseg.data.layouts.folder"),
        (FOLDER | {"mask_dirs": "x"}, "has no argument mask_dirs (did you mean mask_dir?)"),
        ({k: v for k, v in FOLDER.items() if k != "mask_dir"}, "missing a required argument: 'mask_dir'; such as"),
    ],
)
def test_a_layout_that_is_none_or_lacks_an_option_is_named(layout, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        layout_of(configured(MINE | {"layout": layout}), "mine")
    assert str(refused.value).startswith("datasets.mine.layout: ")


SAMPLE = Sample("a", Path("a.png"), None)
AS_TEXT = replace(SAMPLE)
object.__setattr__(AS_TEXT, "image", "a.png")  # what is checked in tests alone would refuse it earlier


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (None, "has listed null; a layout returns a list of mdseg.data.dataset.Sample"),
        (["a.png"], "has listed 'a.png'; a layout returns"),
        ([("a", Path("a.png"), None)], "a layout returns a list"),
        ([AS_TEXT], "whose files are of type pathlib.Path"),
        ([SAMPLE, replace(SAMPLE, image=Path("b.png"))], "has listed a more than once; every image needs a key"),
    ],
)
def test_a_layout_of_one_s_own_that_lists_something_else_is_named(monkeypatch, listed, message):
    monkeypatch.setattr(layouts, "mine", lambda root, split: listed, raising=False)
    layout = layout_of(configured(MINE | {"layout": {"_target_": "mdseg.data.layouts.mine"}}), "mine")
    with pytest.raises(ValueError, match=re.escape(message)):
        layout("/data", "val")


def test_a_layout_of_one_s_own_may_yield_samples(monkeypatch):
    monkeypatch.setattr(layouts, "mine", lambda root, split: iter([SAMPLE]), raising=False)
    layout = layout_of(configured(MINE | {"layout": {"_target_": "mdseg.data.layouts.mine"}}), "mine")
    assert layout("/data", "val") == [SAMPLE]


def test_a_table_is_optional():
    assert label_source(OmegaConf.create(without("labels"))) is None
    assert label_source(OmegaConf.create(MINE)) == "cityscapes"


# Lists


def run(evaluate=(), stages=("fit",), **datasets):
    roles = {"seen": [], "unseen": [], "target": []} | dict(evaluate)
    streams = {name: {"role": "labelled", "datasets": given} for name, given in datasets.items()}
    stage = {"fit": {"streams": {}}}
    return OmegaConf.create(
        {"name": "x", "streams": streams, "evaluate": roles, "stages": list(stages), "stage": stage}
    )


def test_a_dataset_may_be_in_several_streams():
    check_lists(run(labelled=["a", "b"], unlabelled=["a"], evaluate={"seen": ["a"], "unseen": ["c"]}))


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (run(labelled="cityscapes"), r"streams.labelled.datasets: expected a list, got 'cityscapes' \(write \[city"),
        (run(labelled=3), "streams.labelled.datasets: expected a list, got 3"),
        (run(labelled={"a": 1}), "streams.labelled.datasets: expected a list"),
        (run(labelled=None), "streams.labelled.datasets: expected a list, got null"),
        (run(labelled=["a", "b", "a"]), "streams.labelled.datasets: 'a' occur more than once"),
        (run(labelled=[True]), "streams.labelled.datasets: True is no text"),
        (run(labelled=["a"], evaluate={"seen": "a"}), "evaluate.seen: expected a list, got 'a'"),
        (run(labelled=["a"], evaluate={"seen": ["a", "a"]}), "evaluate.seen: 'a' occur more than once"),
        (run(stages=("fit", "fit")), "stages: 'fit' occur more than once"),
    ],
)
def test_lists_that_are_none_or_name_something_twice_are_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        check_lists(cfg)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {"my stream": None}}, "streams: name 'my stream' becomes part of keys"),
        ({"stage": {"a/b": None}}, "stage: name 'a/b' becomes part of keys"),
        ({"datasets": {"a\u202eb": None}}, "datasets: name .* cannot be seen"),
        ({"datasets": {"curves": None}}, "datasets: name 'curves' means something else"),
    ],
)
def test_names_that_cannot_name_keys_and_folders_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check_given_names(OmegaConf.merge(run(), change))


def test_a_chosen_dataset_that_nothing_names_is_remarked():
    cfg = run(labelled=["a"], evaluate={"seen": ["a"], "unseen": ["c"]})
    cfg.datasets = dict.fromkeys("abc")
    cfg.stage.fit.streams = {"more": {"datasets": ["d"]}}
    with pytest.warns(
        UserWarning, match=r"dataset=\[a, b,c\]: .* neither trains on nor evaluates b; add it to streams"
    ):
        remark_unused(cfg, ["seed=1", "dataset=[a, b,c]"])


@pytest.mark.filterwarnings("error")
def test_chosen_datasets_that_are_used_are_not():
    cfg = run(labelled=["a"])
    cfg.datasets = dict.fromkeys("ab")
    for overrides in (["dataset=[a]"], ["dataset=a"], [], ["dataset=[a,b]", "dataset=[a]"]):
        remark_unused(cfg, overrides)
