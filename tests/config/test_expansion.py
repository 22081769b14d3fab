"""Stages that a run has once per dataset, and what the configuration of one of them is."""

import pytest
from omegaconf import OmegaConf

from mdseg.config.expansion import expand
from mdseg.config.keys import check_overrides, check_run, restricted, stage_config
from mdseg.run import show_plan


def config(datasets=("a", "b"), stages=("alone", "together"), **stage):
    streams = {
        "labelled": {"role": "labelled", "datasets": list(datasets)},
        "unlabelled": {"role": "unlabelled", "datasets": [*datasets, "other"]},
    }
    nodes = {"alone": {"each": "dataset", "steps": 3}, "together": {"from": {"model": "alone"}}, **stage}
    return OmegaConf.create({"streams": streams, "stages": list(stages), "stage": nodes})


def test_a_stage_for_each_dataset_is_called_like_it_and_restricted_to_it():
    cfg = config()
    expand(cfg)
    assert cfg.stages == ["a", "b", "together"]
    assert cfg.stage.a == {"steps": 3, "only": "a"}
    assert cfg.stage.b == {"steps": 3, "only": "b"}
    assert "alone" not in cfg.stage


def test_a_stage_for_each_pair_is_restricted_to_the_first_and_starts_from_the_other():
    pair = {"each": "pair", "from": {"model.backbone": "alone"}}
    cfg = config(datasets=("a", "b", "c"), stages=("alone", "pair"), pair=pair)
    expand(cfg)
    pairs = [f"{one}_from_{other}" for one in "abc" for other in "abc" if other != one]
    assert cfg.stages == ["a", "b", "c", *pairs]
    assert cfg.stage.b_from_c == {"from": {"model.backbone": "c"}, "only": "b"}


def test_what_starts_from_the_stages_of_all_datasets_names_each():
    cfg = config(together={"from": "alone"}, later={"from": "elsewhere"}, stages=("alone", "together", "later"))
    expand(cfg)
    assert cfg.stage.together["from"] == {"a": "a", "b": "b"}
    assert cfg.stage.later["from"] == "elsewhere"


def test_a_stage_for_each_dataset_may_start_from_one_that_all_share():
    cfg = config(alone={"each": "dataset", "from": "first"}, first={"steps": 1}, stages=("first", "alone"))
    expand(cfg)
    assert cfg.stage.a["from"] == cfg.stage.b["from"] == "first"


def test_stages_that_the_run_leaves_out_are_not_expanded():
    cfg = config(stages=("together",), together={})
    expand(cfg)
    assert (cfg.stages, list(cfg.stage)) == (["together"], ["together"])


def test_a_run_without_such_stages_is_left_alone():
    cfg = config(stages=("together",), alone={"steps": 1})
    cfg.streams = {"mine": {}}  # what is wrong with it is said later
    before = cfg.copy()
    expand(cfg)
    assert cfg == before


def test_stages_are_expanded_once():
    cfg = config()
    expand(cfg)
    again = cfg.copy()
    expand(again)
    assert again == cfg


def test_a_stage_called_like_a_dataset_is_in_the_way():
    with pytest.raises(ValueError, match=r"stage\.alone: its stage b would have the name of another; rename that one"):
        expand(config(b={"steps": 1}))


@pytest.mark.parametrize("value", ["datasets", None])
def test_another_value_of_each_is_refused(value):
    with pytest.raises(ValueError, match=rf"stage\.alone\.each: expected dataset or pair, got {value!r}"):
        expand(config(alone={"each": value}))


# What a restricted stage has


def a_stage(**values):
    stream = {
        "role": "labelled",
        "datasets": ["a", "b"],
        "batch_size": 8,
        "mixing": "concat",
        "labelled": 100,
        "transform": None,
        "per_dataset": {},
        "micro_batches": None,
    }
    evaluate = {"seen": ["a", "b"], "unseen": ["c"], "target": []}
    return OmegaConf.create({"streams": {"labelled": stream | values}, "evaluate": evaluate})


def test_a_restricted_stage_has_one_dataset_in_its_streams_and_evaluations():
    stage = restricted(a_stage(), "b")
    assert stage.streams.labelled.datasets == ["b"]
    assert stage.streams.labelled.per_dataset is None
    assert stage.evaluate == {"seen": ["b"], "unseen": [], "target": []}


def test_values_for_the_dataset_become_the_stream_s():
    own = {"batch_size": 2, "labelled": 50, "micro_batches": 3, "transform": {"crop": [4, 6]}}
    stage = restricted(a_stage(per_dataset={"b": own}, transform={"short_side": 9}, micro_batches="auto"), "b")
    stream = stage.streams.labelled
    assert (stream.batch_size, stream.labelled, stream.micro_batches) == (2, 50, None)
    assert stream.transform == {"short_side": 9, "crop": [4, 6]}
    other = restricted(a_stage(per_dataset={"b": own}, transform={"short_side": 9}), "a").streams.labelled
    assert (other.batch_size, other.labelled, other.transform) == (8, 100, {"short_side": 9})


def test_values_by_dataset_are_told_apart():
    stage = restricted(a_stage(labelled={"a": 5, "b": "1/2"}, mixing={"a": 1, "b": 3}), "b")
    assert (stage.streams.labelled.labelled, stage.streams.labelled.mixing) == ("1/2", "concat")


def test_streams_without_the_dataset_are_left_out():
    stage = a_stage()
    stage.streams.target = {"datasets": ["a"], "labelled": "all", "mixing": "concat"}
    assert list(restricted(stage, "b").streams) == ["labelled"]


# The family universal


UNIVERSAL = "experiment=universal_cityscapes_camvid"


def test_a_network_per_dataset_comes_before_embeddings_and_the_universal_one(composed):
    cfg = composed(UNIVERSAL)
    check_run(cfg)
    assert cfg.stages == ["cityscapes", "camvid11", "embeddings", "universal"]
    alone = stage_config(cfg, "camvid11")
    assert list(alone.streams) == ["labelled"]
    assert alone.streams.labelled.datasets == alone.evaluate.seen == ["camvid11"]
    assert alone.streams.labelled.labelled == 25
    assert stage_config(cfg, "embeddings")["from"] == {"cityscapes": "cityscapes", "camvid11": "camvid11"}


def test_fine_tuning_starts_from_the_other_dataset_s_encoder(composed):
    cfg = composed(UNIVERSAL, "row=fine_tune")
    check_run(cfg)
    assert cfg.stages == ["cityscapes", "camvid11", "cityscapes_from_camvid11", "camvid11_from_cityscapes"]
    tuned = stage_config(cfg, "camvid11_from_cityscapes")
    assert tuned["from"] == {"model.backbone": "cityscapes"}
    assert tuned.streams.labelled.datasets == ["camvid11"]


def test_a_dataset_has_its_own_size_at_paper_scale(composed):
    cfg = composed(UNIVERSAL, "scale=paper")
    check_run(cfg)
    assert stage_config(cfg, "camvid11").streams.labelled.transform == {"short_side": 360, "crop": [360, 480]}
    assert stage_config(cfg, "cityscapes").streams.labelled.transform is None


def test_the_number_of_unlabelled_batches_is_one_value_of_the_command(composed):
    for given, expected in (("3", 3), ("auto", "auto")):
        stage = stage_config(composed(UNIVERSAL, f"unlabelled_per_step={given}"), "universal")
        assert stage.streams.unlabelled.micro_batches == expected
        assert stage.streams.labelled.get("micro_batches") is None


def test_values_for_a_dataset_that_there_is_not_are_refused_with_the_nearest_name(composed):
    cfg = composed(UNIVERSAL, "+streams.labelled.per_dataset.camvid1.batch_size=2")
    with pytest.raises(
        ValueError, match=r"streams\.labelled\.per_dataset\.camvid1: there is no such.*camvid11.*has city"
    ):
        check_run(cfg)


def test_a_size_for_a_dataset_that_there_is_not_is_refused(composed):
    with pytest.raises(ValueError, match=r"evaluation\.short_sides\.camvid1: there is no such dataset .*camvid11"):
        check_run(composed(UNIVERSAL, "evaluation.short_sides={camvid1:360}"))


def test_values_for_a_dataset_of_other_experiments_are_left_alone(composed):
    check_run(composed(UNIVERSAL, "+streams.labelled.per_dataset.idd.batch_size=2"))


# Options of an object that some stages replace


def test_an_option_of_an_object_that_only_one_stage_replaces_is_accepted(composed):
    """The networks of single datasets replace the method; the universal one has the run's."""
    cfg = composed(UNIVERSAL)
    check_overrides(cfg, ["method.alpha=0.5", "+method.alpha=0.5"])
    assert stage_config(composed(UNIVERSAL, "method.alpha=0.5"), "universal").method.alpha == 0.5


def test_an_option_of_an_object_that_all_stages_replace_is_refused(composed):
    cfg = composed(UNIVERSAL, "row=supervised")
    with pytest.raises(ValueError, match=r"the stages cityscapes, camvid11 set method\.alpha themselves"):
        check_overrides(cfg, ["method.alpha=0.5"])


def test_an_option_that_a_stage_sets_in_the_object_it_replaces_is_refused():
    cfg = OmegaConf.create(
        {"stages": ["one", "two"], "stage": {"one": {"method": {"_target_": "x", "rate": 1}}, "two": {}}}
    )
    with pytest.raises(ValueError, match=r"method\.rate=2: the stages one set method\.rate themselves"):
        check_overrides(cfg, ["method.rate=2"])


@pytest.mark.parametrize("name", ["universal", "embeddings"])
def test_a_dataset_called_like_a_stage_of_the_family_is_refused(tmp_path, name):
    (tmp_path / "dataset").mkdir()
    described = "layout: {_target_: mdseg.data.layouts.folder, _partial_: true}\nroot: x\nlabels: cityscapes\n"
    path = tmp_path / f"dataset/{name}.yaml"
    path.write_text(f"# @package datasets.{name}\n{described}evaluation_split: val\n")
    with pytest.raises(ValueError, match=f"its stage {name} would have the name of another; rename that one"):
        show_plan(["experiment=universal", f"dataset=[{name},camvid11]", f"hydra.searchpath=[file://{tmp_path}]"])
