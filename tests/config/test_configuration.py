import pytest
from omegaconf import OmegaConf

from mdseg.config.building import count_steps
from mdseg.config.composition import settle
from mdseg.config.keys import check_keys, check_origins, check_overrides, origins, stage_config
from mdseg.data.streams import Stream


def config():
    return OmegaConf.create(
        {
            "lr": 1,
            "steps": None,
            "folder": "x",
            "loss": {"supervised": {"_target_": "a", "scope": "all"}, "target": None},
            "optimizer": None,
            "from": None,
            "evaluate": {"seen": [], "unseen": [], "target": []},
            "streams": {"labelled": {"role": "labelled"}, "target": {"role": "target"}},
            "stages": ["first", "second"],
            "stage": {
                "first": {"steps": 3, "loss": {"supervised": {"_target_": "b", "path": "${folder}/y"}}},
                "second": {"optimizer": {"_target_": "c"}},
            },
        }
    )


def test_a_stage_lays_its_values_over_the_run():
    stage = stage_config(config(), "first")
    assert stage.lr == 1
    assert stage.steps == 3
    assert stage_config(config(), "second").optimizer == {"_target_": "c"}


def test_an_object_of_a_stage_replaces_the_run_s_object_as_a_whole():
    assert stage_config(config(), "first").loss.supervised == {"_target_": "b", "path": "x/y"}


def test_interpolations_of_a_stage_follow_the_run():
    cfg = config()
    cfg.folder = "elsewhere"
    assert stage_config(cfg, "first").loss.supervised.path == "elsewhere/y"


def test_a_stage_may_go_without_evaluation_and_without_values_of_its_own():
    cfg = config()
    cfg.evaluate.seen = ["a"]
    cfg.stage.first = None
    cfg.stage.second.evaluate = None
    assert stage_config(cfg, "first").evaluate.seen == ["a"]
    assert stage_config(cfg, "second").evaluate == {"seen": [], "unseen": [], "target": []}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ("first", {"model": "first"}),
        ({"model": "first", "relations": "other"}, {"model": "first", "relations": "other"}),
        ({"model": None, "relations": "other"}, {"relations": "other"}),
    ],
)
def test_a_stage_starts_from_one_or_several_others(given, expected):
    cfg = config()
    cfg.stage.second["from"] = given
    assert origins(stage_config(cfg, "second")) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("frist", r"stage second: from=frist is none of the stages before it \(first\)"),
        ({"relations": "second"}, r"stage second: from\.relations=second is none of the stages before it"),
    ],
)
def test_a_start_from_nowhere_is_refused(given, message):
    cfg = config()
    cfg.stage.second["from"] = given
    with pytest.raises(ValueError, match=message):
        check_origins("second", stage_config(cfg, "second"), ["first"])


def test_a_part_that_starts_from_nothing_is_left_out_of_what_a_run_keeps():
    cfg = OmegaConf.create({"data": {"root": "x"}, "seed": 0, "name": "n", "row": None, "family": "f", "scale": "s"})
    cfg = OmegaConf.merge(cfg, config(), {"stage": {"second": {"from": {"model": None, "relations": "first"}}}})
    settle(cfg)
    assert cfg.stage.second["from"] == {"relations": "first"}


def test_stages_leave_the_run_s_configuration_alone():
    cfg = config()
    stage_config(cfg, "first")
    assert cfg == config()


def test_an_unknown_stage_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="'third'.*first, second"):
        stage_config(config(), "third")


@pytest.mark.parametrize(
    "override", ["steps=5", "+steps=5", "loss/supervised=ce", "loss.supervised.path=z", "optimizer.lr=1"]
)
def test_overrides_that_a_stage_would_overrule_are_refused(override):
    cfg = config()
    cfg.stage.second.optimizer.lr = 0.1
    with pytest.raises(ValueError, match=r"such as (\S+@)?stage\.(first|second)\."):
        check_overrides(cfg, [override])


def test_an_override_beside_one_for_the_stage_that_would_overrule_it_is_accepted():
    cfg = config()
    cfg.stage.second.optimizer.lr = 0.1
    check_overrides(cfg, ["optimizer.lr=1", "stage.second.optimizer.lr=2"])


def test_another_optimizer_of_which_stages_only_set_values_is_accepted():
    cfg = config()
    cfg.stage.second.optimizer.lr = 0.1
    check_overrides(cfg, ["optimizer=sgd"])
    for stage in (cfg.stage.first, cfg.stage.second):
        stage.optimizer = {"_target_": "x"}
    with pytest.raises(ValueError, match="optimizer=sgd: the stages first, second set optimizer themselves"):
        check_overrides(cfg, ["optimizer=sgd"])


@pytest.mark.parametrize(
    ("override", "instead"),
    [
        ("from=/runs/a/source", "stage.first.from=/runs/a/source"),
        ("loss/target=entropy", "loss/target@stage.first.loss.target=entropy"),
        ("optimizer=sgd", "optimizer@stage.first.optimizer=sgd"),
    ],
)
def test_what_is_said_to_write_for_a_stage_can_be_written(override, instead):
    cfg = config()
    own = {"from": "x", "loss": {"target": {"_target_": "x"}}, "optimizer": {"_target_": "x"}}
    cfg.stage.first, cfg.stage.second = own, own
    with pytest.raises(ValueError, match="themselves; write it for the stage") as refused:
        check_overrides(cfg, [override])
    assert str(refused.value).endswith(f"such as {instead}")


def test_a_stage_without_values_of_its_own_overrules_nothing():
    cfg = config()
    cfg.stage.first = None
    check_overrides(cfg, ["lr=2"])


def test_a_value_added_to_a_stage_that_is_none_is_refused():
    check_overrides(config(), ["+stage.first.new=9"])
    with pytest.raises(ValueError, match=r"no stage 'frist' \(did you mean first\?\); stages are first, second"):
        check_overrides(config(), ["+stage.frist.steps=9"])


def test_other_overrides_are_accepted():
    check_overrides(config(), ["lr=2", "stage.first.steps=9", "experiment=x", "+new.key=1", "loss/target=none"])


def test_a_key_that_nothing_of_the_run_refers_to_is_refused():
    cfg = config()
    cfg.passes, cfg.method = "joint", {"passes": "${passes}"}
    check_overrides(cfg, ["passes=per_dataset"])
    cfg.method = {}
    with pytest.raises(ValueError, match="passes=per_dataset: nothing in this run reads passes; leave it out"):
        check_overrides(cfg, ["passes=per_dataset"])


def a_stream(images=100, batch_size=8):
    return Stream("labelled", "labelled", ("a",), (images,), batch_size)


@pytest.mark.parametrize(("steps", "expected"), [(5, 5), ("7", 7), ("2 epochs", 25), ("0.5 epochs", 7), (None, 0)])
def test_steps_are_counted(steps, expected):
    assert count_steps(steps, [a_stream()]) == expected


def test_steps_may_be_epochs_of_another_stream():
    """U2PL repeats the labelled images until the unlabelled ones have been seen."""
    unlabelled = Stream("unlabelled", "unlabelled", ("a",), (2603,), 16)
    assert count_steps("200 epochs of unlabelled", [a_stream(372, 16), unlabelled]) == 32538
    with pytest.raises(ValueError, match='or "<n> epochs of unlabelled"'):
        count_steps("200 epochs of target", [a_stream(), unlabelled])


@pytest.mark.parametrize("first", [0, 1])
def test_an_epoch_of_several_datasets_is_that_of_the_one_that_takes_longest(first):
    """Kalluri's code repeats the shorter labelled set."""
    parts = [Stream(f"labelled/{name}", "labelled", (name,), (count,), 8) for name, count in (("a", 48), ("b", 100))]
    assert count_steps("2 epochs", [parts[first], parts[1 - first]]) == 25
    with pytest.raises(ValueError, match="got \"?'2 epochs of labelled/b") as refused:
        count_steps("2 epochs of labelled/b", parts)
    assert str(refused.value).count("epochs") == 2


def test_uniseg_s_150_epochs():
    assert count_steps("150 epochs", [a_stream(34968, 32)]) == 163913


@pytest.mark.parametrize("steps", [0, -3, "many", "2 weeks", "x epochs", "1 2 epochs"])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps: expected"):
        count_steps(steps, [a_stream()])


def test_streams_of_users_may_leave_out_what_may_be_null(composed):
    own = "{role:target,datasets:[cityscapes],split:train,batch_size:2,mixing:concat,labelled:all"
    check_keys(
        composed("experiment=supervised", "dataset=[cityscapes]", f"+streams.mine={own},exclude_labelled:null}}")
    )
    with pytest.raises(
        ValueError, match="exclude_labelled is missing.* and may have transform and rare_class and per_dataset"
    ):
        check_keys(composed("experiment=supervised", "dataset=[cityscapes]", f"+streams.mine={own}}}"))


@pytest.mark.parametrize("folder", ["labels", "experiment", "recipe", "dataset", "loss2"])
def test_a_folder_of_conf_is_not_a_key_of_the_configuration(composed, folder):
    with pytest.raises(ValueError, match=f"{folder}: there is no such key"):
        check_keys(composed("experiment=supervised", "dataset=[cityscapes]", f"+{folder}.x=1"))
