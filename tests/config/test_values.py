"""Every key takes values of one kind, and references lead somewhere."""

import re

import pytest
import torch
from omegaconf import OmegaConf
from running import planned

from mdseg import conf_dir
from mdseg.config.building import bound, build
from mdseg.config.composition import compose_with_datasets, values
from mdseg.config.keys import FROM_GROUPS, STREAM, check_run
from mdseg.config.values import (
    COMMANDS,
    INSTEAD,
    KINDS,
    check_command,
    check_kinds,
    check_references,
    check_values,
    seconds_of,
)
from mdseg.evaluation.evaluator import check_merges

FIT = ["experiment=supervised_bdd", "data.fraction=0.02"]
TWO = ["experiment=uniseg_cib", "data.fraction=0.02"]


@pytest.fixture(scope="module")
def run(composed):
    return composed(*FIT)


def changed(cfg, *overrides):
    """A copy with other values, written as on the command line."""
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    for key, value in values(overrides).items():
        OmegaConf.update(cfg, key, value, merge=False)
    return cfg


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=abc", "seed: expected a whole number of at least 0, got 'abc'"),
        ("seed=-1", "seed: expected a whole number of at least 0, got -1"),
        ("seed=true", "seed: expected a whole number of at least 0, got true"),
        ("seed=1.5", "seed: expected a whole number of at least 0, got 1.5"),
        ("seed=null", "seed: expected a whole number of at least 0, got null"),
        ("name=2024", "name: expected text, got 2024"),
        ("name=' '", "name: expected text, got ' '"),
        ("runs=[a]", "runs: expected text, got ['a']"),
        ("align_corners=maybe", "align_corners: expected true or false, got 'maybe'"),
        ("decay_norms=1", "decay_norms: expected true or false, got 1"),
        ("head_lr_factor=nan", "head_lr_factor: expected a number of at least 0, got nan"),
        ("head_lr_factor=-1", "head_lr_factor: expected a number of at least 0, got -1"),
        ("batch_size=2.5", "batch_size: expected a whole number of at least 1 or null, got 2.5"),
        ("accumulate=0", "accumulate: expected a whole number of at least 1, got 0"),
        ("steps=-3", 'steps: expected a whole number of at least 1 or such as "150 epochs" or null, got -3'),
        ("steps=10000000000000", "steps: 10000000000000 is more than anything can be counted up to, 2147483647"),
        ("streams.labelled.batch_size=4294967296", "streams.labelled.batch_size: 4294967296 is more than anything"),
        ("steps=inf", "steps: expected a whole number"),
        ("steps=true", "steps: expected a whole number"),
        ("log_every=2.0", "log_every: expected a whole number of at least 1, got 2.0"),
        ("checkpoint_every='3'", "checkpoint_every: expected a whole number of at least 1, got '3'"),
        ("panels=[1]", "panels: expected a whole number of at least 0, got [1]"),
        ("optimizer.lr=abc", "optimizer.lr: expected a number above 0, got 'abc'"),
        ("optimizer.lr=0", "optimizer.lr: expected a number above 0, got 0"),
        ("optimizer.lr=inf", "optimizer.lr: expected a number above 0, got inf"),
        ("optimizer.weight_decay=-0.1", "optimizer.weight_decay: expected a number of at least 0, got -0.1"),
        (
            "optimizer.betas={a:1}",
            "optimizer.betas: expected [first, second] of two numbers from 0 to below 1, got {'a'",
        ),
        ("optimizer.betas=[0.9,1]", "optimizer.betas: expected [first, second] of two numbers from 0 to below 1"),
        (
            "streams.labelled.rare_class={temperature:cold}",
            "streams.labelled.rare_class.temperature: expected a number above 0, got 'cold'",
        ),
        ("streams.labelled.rare_class={attempts:1.5}", "streams.labelled.rare_class.attempts: expected a whole number"),
        (
            "loss.supervised=ce",
            "loss.supervised: expected a class or function (_target_) with its options or null, got 'ce'",
        ),
        (
            "transform={crop:[32,48]}",
            "transform: expected a class or function (_target_) with its options, got {'crop'",
        ),
        ("data.generate=[1,2]", "data.generate: expected a class or function (_target_) with its options or null"),
        ("model._target_=small", "model._target_: expected a class or function with its modules, such as torch.op"),
        ("loss.supervised._target_=null", "loss.supervised._target_: expected a class or function with its modules"),
        ("transform.augment=[{_target_:3}]", "transform.augment[0]._target_: expected a class or function with its"),
        ("optimizer._target_=[torch.optim.SGD]", "optimizer._target_: expected a class or function with its modules"),
        ("model._convert_=some", "model._convert_: expected none or partial or object or all, got 'some'"),
        ("label_space._partial_=3", "label_space._partial_: expected true or false, got 3"),
        ("+stage.fit.run=3", "stage.fit.run: expected a class or function (_target_) with its options or null, got 3"),
        ("loss=null", "loss: expected keys with values, got null"),
        ("data.workers=-1", "data.workers: expected a whole number of at least 0, got -1"),
        ("data.fraction=0", "data.fraction: expected a number above 0, got 0"),
        ("data.height=tall", "data.height: expected a whole number of at least 8, got 'tall'"),
        ("data.counts.bdd.train=-5", "data.counts.bdd.train: expected a whole number of at least 0, got -5"),
        ("datasets=7", "datasets: expected keys with values, got 7"),
        ("streams=3", "streams: expected keys with values, got 3"),
        ("streams.labelled=[bdd]", "streams.labelled: expected keys with values or null, got ['bdd']"),
        ("streams.labelled.datasets=bdd", "streams.labelled.datasets: expected a list of names, [bdd], got 'bdd'"),
        ("streams.labelled.datasets=[3]", "streams.labelled.datasets: expected a list of names, got [3]"),
        ("streams.labelled.batch_size=1.5", "streams.labelled.batch_size: expected a whole number of at least 1"),
        (
            "streams.labelled.mixing={bdd:many}",
            "streams.labelled.mixing.bdd: expected a number of at least 0, got 'm",
        ),
        (
            "streams.labelled.labelled=0.5",
            "streams.labelled.labelled: expected all, a number of images, a share such",
        ),
        ("streams.labelled.role=Labelled", "streams.labelled.role: expected labelled or unlabelled or target, got"),
        (
            "streams.labelled.datasets='[bdd]'",
            "expected a list of names, [bdd], got '[bdd]'",
        ),
        ("streams.labelled.split=1", "streams.labelled.split: expected text, got 1"),
        ("streams.labelled.micro_batches=0", "streams.labelled.micro_batches: expected a whole number of at least 1"),
        ("streams.labelled.alternate=2", "streams.labelled.alternate: expected true or false or null, got 2"),
        ("evaluate.seen=bdd", "evaluate.seen: expected a list of names, [bdd], got 'bdd'"),
        ("evaluate.seen=null", "evaluate.seen: expected a list of names, got null"),
        ("evaluation.short_side=-96", "evaluation.short_side: expected a whole number of at least 1 or null, got -96"),
        ("evaluation.short_sides={bdd:0}", "evaluation.short_sides.bdd: expected a whole number of at least 1 or null"),
        ("evaluation.score_at=middle", "evaluation.score_at: expected label or image, got 'middle'"),
        ("mean=median", "mean: expected network or own, got 'median'"),
        ("transform.short_side=abc", "transform.short_side: expected a whole number of at least 1 or null, got 'abc'"),
        ("transform.crop=[48,60.5]", "transform.crop: expected [height, width], got [48, 60.5]"),
        ("transform.scale=[1,inf]", "transform.scale: expected [lowest, highest] of two rising positive factors"),
        ("stages=fit", "stages: expected a list of names, [fit], got 'fit'"),
        ("stage=[fit]", "stage: expected keys with values, got ['fit']"),
        ("stage.fit=3", "stage.fit: expected keys with values or null, got 3"),
        ("+stage.fit.streams=3", "stage.fit.streams: expected keys with values, got 3"),
        ("+stage.fit.steps=-1", "stage.fit.steps: expected a whole number of at least 1"),
        ("+stage.fit.runs=here", "stage.fit.runs: runs is of the whole run; write it without the stage"),
        ("+stage.fit.time_limit=1:00:00", "stage.fit.time_limit: time_limit is of the whole run"),
        ("time_limit=11.5", 'time_limit: expected a time such as "11:30:00"'),
        ("time_limit=0:00:00", "time_limit: expected a time such as"),
        ("trainer.devices=0", "trainer.devices: expected a number of devices, -1 (all), auto, or a list"),
        ("+trainer.num_nodes=two", "trainer.num_nodes: expected a whole number of at least 1, got 'two'"),
        ("trainer.strategy=ddp_spawn", "trainer.strategy: expected auto or ddp or "),
        ("+trainer.sync_batchnorm=yes_please", "trainer.sync_batchnorm: expected true or false, got 'yes_please'"),
        ("trainer.precision=transformer-engine", "trainer.precision: expected 32-true or 16-mixed or bf16-mixed or "),
        ("trainer.precision=bf16-true", "trainer.precision: expected 32-true or 16-mixed or bf16-mixed or 64-true"),
        ("trainer.precision=16-true", "trainer.precision: expected 32-true or 16-mixed or bf16-mixed or 64-true"),
        ("trainer.precision=true", "trainer.precision: expected 32-true or 16-mixed or bf16-mixed or "),
        ("+trainer.gradient_clip_val=-1", "trainer.gradient_clip_val: expected a number of at least 0 or null, got -1"),
        ("+trainer.devicess=2", "trainer.devicess: there is no such key (did you mean devices?)"),
    ],
)
def test_values_of_another_kind_are_refused_by_their_key(run, override, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (the message is looked at below)
        check_values(changed(run, override))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", INSTEAD)
def test_options_that_mdseg_gives_to_lightning_s_trainer_itself_are_refused_with_what_to_write(run, key):
    with pytest.raises(ValueError, match=rf"^trainer\.{key}: mdseg sets this option .* use ") as refused:
        check_values(changed(run, f"+trainer.{key}=1"))
    assert str(refused.value).endswith(INSTEAD[key])


def test_without_a_plus_they_are_not_said_to_be_missing():
    with pytest.raises(ValueError, match=r"^trainer\.max_time=00:01:00: mdseg sets this option .* use time_limit"):
        compose_with_datasets("run", [*FIT, "trainer.max_time=00:01:00"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed='${panels}'", "panels='${seed}'"], r"^(seed|panels): \$\{(panels|seed)\}: it leads back to itself"),
        (["steps='${steps}'"], r"^steps: \$\{steps\}: it leads back to itself"),
        (["log_every='${log_evry}'"], r"^log_every: \$\{log_evry\}: .*'log_evry' not found"),
        (["streams.labelled.datasets=['${nowhere.a}']"], r"^streams\.labelled\.datasets\[0\]: \$\{nowhere\.a\}: "),
        (["name='${oc.env:MDSEG_NOT_SET}'"], r"^name: \$\{oc\.env:MDSEG_NOT_SET\}: .*MDSEG_NOT_SET"),
        (["name='${upper:a}'"], r"^name: \$\{upper:a\}: .*upper"),
    ],
    ids=["crossing", "itself", "no key", "in a list", "no variable", "no resolver"],
)
def test_references_that_lead_nowhere_are_named(run, overrides, message):
    with pytest.raises(ValueError, match=message) as refused:
        check_values(changed(run, *overrides))
    assert "\n" not in str(refused.value)


def test_references_of_a_stage_are_followed_in_its_own_configuration(composed):
    cfg = composed(*TWO)
    with pytest.raises(ValueError, match=r"^val_every: \$\{log_evry\}: "):
        check_run(changed(cfg, "stage.null_bce.val_every='${log_evry}'"))
    with pytest.raises(ValueError, match="^stage.null_bce.panels: expected a whole number"):
        check_run(changed(cfg, "stage.null_bce.panels='${stages}'"))


def test_a_run_without_stages_is_refused(composed):
    with pytest.raises(ValueError, match="stages: there is nothing to do; this family has fit"):
        check_run(changed(composed(*FIT), "stages=[]"))


def test_what_a_stage_replaces_may_be_referred_to_by_others():
    cfg = OmegaConf.create(
        {"method": {"_target_": "a.B", "dimension": 3}, "stage": {"a": {"steps": "${method.nothing}"}}}
    )
    check_values(cfg)
    with pytest.raises(ValueError, match=r"^stage\.a\.steps: "):
        check_references(cfg)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("11:30:00", 41400),
        ("0:00:05", 5),
        ("100:00:00", 360000),
        ("11.5 hours", 41400),
        ("90 minutes", 5400),
        ("1 hour", 3600),
        ("10seconds", 10),
        (41400, None),  # what YAML makes of 11:30:00 without quotes
        ("11:30", None),
        ("11:60:00", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_limit_of_time_is_written_out(limit, seconds):
    assert seconds_of(limit) == seconds


def test_every_key_of_a_run_and_of_a_stream_has_a_kind():
    run = OmegaConf.to_container(OmegaConf.load(conf_dir() / "run.yaml"))
    missing = {*run, *FROM_GROUPS} - {pattern.split(".")[0] for pattern in KINDS} - {"defaults", "hydra"}
    assert not missing
    assert {f"streams.*.{key}" for key in STREAM} <= set(KINDS)


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        ("evaluate", {"stage": [1, 2]}, "stage: expected text or null, got [1, 2]"),
        ("evaluate", {"evaluation": None}, "evaluation: expected keys with values, got null"),
        ("evaluate", {"data.root": 3.0}, "data.root: expected text or null, got 3.0"),
        ("evaluate", {"data": [1]}, "data: expected text or null, got [1]"),
        ("evaluate", {"classes": "all"}, "classes: expected true or false or null, got 'all'"),
        ("predict", {"overwrite": "yes please"}, "overwrite: expected true or false, got 'yes please'"),
        ("predict", {"checkpoint": 5}, "checkpoint: expected last or best, got 5"),
        ("compare", {"tsne.perplexity": True}, "tsne.perplexity: expected a number above 0, got true"),
        ("compare", {"seed": 2**32}, "seed: 4294967296 is more than anything can be counted up to, 2147483647"),
        (
            "evaluate",
            {"data.workers": 10**20},
            f"data.workers: {10**20} is more than anything can be counted up to, 2147483647",
        ),
        ("activations", {"count": 10**10}, f"count: {10**10} is more than anything can be counted up to, 2147483647"),
        ("compare", {"runs": [3]}, "runs: expected text or a list of paths, got [3]"),
        ("activations", {"classes": "road"}, "classes: expected a list of names or null, got 'road'"),
        ("browse", {"samples": 2.5}, "samples: expected a whole number of at least 1, got 2.5"),
        ("check", {"split": []}, "split: expected text or null, got []"),
    ],
)
def test_commands_take_values_of_one_kind_too(command, given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_command(command, given)


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_of_commands_are_of_their_kind(command):
    """Hydra composes them; here they are read as they are written."""
    written = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{command}.yaml"))
    flat = {f"tsne.{key}": value for key, value in written.get("tsne", {}).items()} | written
    given = {key: value for key, value in flat.items() if value != "???" and key not in ("data", "dataset")}
    check_command(command, given)


def test_a_command_that_shares_some_keys_has_others_of_the_same_name():
    check_kinds(OmegaConf.create({"stage": "adapt", "panels": 3}), only=["panels"])
    with pytest.raises(ValueError, match="panels: expected"):
        check_kinds(OmegaConf.create({"stage": "adapt", "panels": -3}), only=["panels"])


# Options of mdseg's own classes


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("methods.schedules.poly", {"power": "high"}, r"schedules\.poly: power: expected a number, got 'high'"),
        ("methods.schedules.poly", {"warmup": 2.5}, "warmup: expected a whole number of at least 0, got 2.5"),
        ("methods.schedules.poly", {"falls": True}, "falls: expected a whole number of at least 0 or null, got True"),
        ("methods.schedules.poly", {"warmup": -5}, "warmup: expected a whole number of at least 0, got -5"),
        ("losses.relational_bce.null_bce", {"band_bytes": -1}, "band_bytes: expected a whole number of at least 0 or"),
        ("losses.relational_bce.bce", {"align_corners": "abc"}, "align_corners: expected true or false, got 'abc'"),
        ("losses.relational_bce.class_relational_bce", {"relations": [1]}, r"relations: expected .*, got \[1\]"),
        ("models.small.small", {"widths": 8}, "widths: expected a list of whole numbers, got 8"),
        ("models.small.small", {"widths": [8, "a"]}, r"widths: expected a list of whole numbers, got \[8, 'a'\]"),
        ("models.small.small", {"low_head": 1}, "low_head: expected true or false, got 1"),
        (
            "methods.adversarial.Adversarial",
            {"discriminator_width": 1.5},
            "discriminator_width: expected a whole",
        ),
        ("methods.adversarial_self_training.AdversarialSelfTraining", {"mix_ignore": "no_way"}, "mix_ignore: expected"),
        ("methods.self_training.SelfTraining", {"tau": float("nan")}, "tau: expected a number, got nan"),
        (
            "methods.universal.Universal",
            {"centroids": "three"},
            "centroids: expected a whole number of at least 0, got 'three'",
        ),
        ("losses.cross_entropy.ce", {"global_pixel_mean": "sometimes"}, "global_pixel_mean: expected true or false"),
        ("data.layouts.folder", {"image_dir": 3}, "image_dir: expected text"),
        ("stages.relations.EstimateRelations", {"tau": "low"}, "tau: expected a number, got 'low'"),
    ],
)
def test_options_of_another_type_than_their_annotation_are_refused(target, options, message):
    with pytest.raises(ValueError, match=message):
        bound(OmegaConf.create({"_target_": f"mdseg.{target}", **options}))


def test_options_that_fit_are_taken():
    node = {"_target_": "mdseg.models.small.small", "widths": [8, 8, 8, 8, 8], "temperature": 20, "head": "linear"}
    assert build(OmegaConf.create(node), num_classes=3).head.weight.shape[0] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8, 8]}, r"model\.widths: expected 5 numbers from 1 to 4096, got \[8, 8\]"),
        ({"widths": [8, 8, 0, 8, 8]}, r"model\.widths: expected 5 numbers from 1 to 4096"),
        ({"blocks": [1, 1]}, r"model\.blocks: expected 4 numbers from 1 to 4096, got \[1, 1\]"),
        ({"blocks": [10**9, 1, 1, 1]}, r"model\.blocks: expected 4 numbers from 1 to 4096"),
        ({"blocks": [0, 1, 1, 1]}, r"model\.blocks: expected 4 numbers from 1 to 4096"),
        ({"feature_width": 0}, "model.feature_width: expected a number from 1 to 4096, got 0"),
        ({"temperature": -20}, "model.temperature is -20; expected a number above 0"),
    ],
)
def test_sizes_of_which_no_network_is_made_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(OmegaConf.create({"_target_": "mdseg.models.small.small", **options}), num_classes=3)


def test_a_stage_without_values_of_its_own_and_a_method_without_a_network_get_no_traceback(composed):
    cfg = changed(composed(*FIT), "model=null")
    cfg.stage.fit = None
    with pytest.raises(ValueError, match="Supervised trains a network, and model is null; choose one"):
        planned(cfg)


def test_an_option_of_a_merge_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(ValueError, match=r"merges\.max\.mask_missing: expected true or false, got 'no_way'"):
        check_merges({"max": {"mask_missing": "no_way"}}, ["a", "b"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power": -1.0}, "scheduler.power: expected at least 0, got -1.0"),
        ({"falls": 0}, "scheduler.falls: expected at least 1, got 0"),
    ],
)
def test_schedules_that_would_turn_the_rate_around_are_refused(options, message):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ValueError, match=message):
        build(OmegaConf.create({"_target_": "mdseg.methods.schedules.poly", **options}), optimizer=optimizer, steps=5)
