"""Parts of datasets in a run that contradict each other."""

import warnings

import pytest
from omegaconf import OmegaConf

from mdseg.config.choices import dataset_names
from mdseg.config.keys import check_run
from mdseg.config.roles import check_roles


def stream(*datasets, role="labelled", split="train", exclude=None):
    return {"role": role, "datasets": list(datasets), "split": split, "exclude_labelled": exclude}


def folder(root, **layout):
    return {"root": root, "layout": {"_target_": "folder", "image_dir": "images", **layout}}


DATASETS = {
    "a": folder("/a"),
    "same_as_a": folder("/a/../a", mask_dir="other masks"),
    "other_images_of_a": folder("/a", image_dir="night"),
    "b": folder("/b"),
    "from_above": {
        "root": "/",
        "layout": {"_target_": "folder", "_partial_": True, "image_dir": "a/./images", "lists": None},
    },
}


def checked(*stages, starts=None):
    """Check stages that are given as streams and evaluated datasets."""
    roles = {"seen": [], "unseen": [], "target": []}
    configs = {
        name: OmegaConf.create({"streams": streams, "evaluate": roles | evaluate, "datasets": DATASETS})
        for name, streams, evaluate in stages
    }
    check_roles(configs, {name: (starts or {}).get(name, ()) for name in configs})


@pytest.mark.parametrize(
    ("streams", "evaluate", "message"),
    [
        ({"labelled": stream("a")}, {"seen": ["a"], "unseen": ["b", "a"]}, "a stands in seen and in unseen; leave it"),
        ({"labelled": stream("a")}, {"unseen": ["b"], "target": ["b"]}, "b stands in unseen and in target; leave it"),
        (
            {"labelled": stream("a")},
            {"unseen": ["a"]},
            "evaluate.unseen: a: the run trains on it; write evaluate.seen, or leave it out of the streams",
        ),
        (
            {"labelled": stream("a"), "target": stream("b", role="target")},
            {"unseen": ["b"]},
            "evaluate.unseen: b: the run trains on it; write evaluate.target",
        ),
        (
            {"labelled": stream("a")},
            {"unseen": ["same_as_a"]},
            "evaluate.unseen: same_as_a: it has the images of a, which the run trains on; write evaluate.seen",
        ),
        (
            {"labelled": stream("a")},
            {"unseen": ["from_above"]},
            "evaluate.unseen: from_above: it has the images of a, which the run trains on",
        ),
        (
            {"labelled": stream("a", "b"), "target": stream("b", role="target")},
            {},
            "streams.target.datasets: b is in streams.labelled with its labels, too: source and target at once",
        ),
    ],
)
def test_roles_that_contradict_each_other_are_refused(streams, evaluate, message):
    with pytest.raises(ValueError, match=r"\S") as refused:
        checked(("fit", streams, evaluate))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("streams", "evaluate"),
    [
        ({"labelled": stream("a")}, {"seen": ["a"], "unseen": ["b", "other_images_of_a"]}),
        ({"labelled": stream("a"), "unlabelled": stream("a", role="unlabelled")}, {"seen": ["a"]}),
        ({"labelled": stream("a"), "target": stream("a", role="target", exclude="labelled")}, {"target": ["a"]}),
        ({"labelled": stream("a"), "target": stream("a", role="target", split="val")}, {"target": ["a"]}),
        ({"labelled": stream("a")}, {"target": ["a"]}),
    ],
    ids=["unseen", "unlabelled rest", "disjoint images", "another split", "oracle"],
)
def test_roles_that_may_be_meant_are_not_remarked(streams, evaluate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked(("fit", streams, evaluate))


@pytest.mark.parametrize(
    ("streams", "evaluate", "message"),
    [
        ({"labelled": stream("a", "same_as_a")}, {}, "datasets a and same_as_a have the same images"),
        ({"labelled": stream("a")}, {"seen": ["a", "b"]}, "evaluate.seen: b: no stream trains on it, but it counts as"),
    ],
)
def test_what_may_be_on_purpose_is_remarked(streams, evaluate, message):
    with pytest.warns(UserWarning, match=message):
        checked(("fit", streams, evaluate))


def test_a_dataset_that_an_earlier_stage_trained_on_is_not_unseen():
    first, second = ("source", {"labelled": stream("a")}, {}), ("adapt", {"labelled": stream("b")}, {"unseen": ["a"]})
    checked(first, second)
    with pytest.raises(ValueError, match="evaluate.unseen: a: the run trains on it"):
        checked(first, second, starts={"adapt": ["source"]})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("evaluate.unseen=[kitti,bdd]", "bdd stands in seen and in unseen"),
        ("streams.labelled.datasets=[idd,bdd,idd]", "streams.labelled.datasets: 'idd' occur more than once"),
        ("stages=[null_bce,null_bce]", "stages: 'null_bce' occur more than once"),
    ],
)
def test_a_run_is_refused_before_anything_is_read(composed, overrides, message):
    with pytest.raises(ValueError, match=message):
        check_run(composed("experiment=uniseg_cib", overrides))


def test_a_command_that_names_a_dataset_twice_is_refused():
    assert dataset_names(["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match="on: 'a' occur more than once"):
        dataset_names(["a", "b", "a"])
