"""A run goes on as it began: what has changed in its configuration or on disk since is refused, or accepted and named."""

import shutil
import warnings

import cv2
import numpy as np
import pytest
import torch
from mistakes import refused
from omegaconf import OmegaConf
from running import planned
from smoke import SMOKE

from mdseg.config.building import prepare_data
from mdseg.run import load_config, resume
from mdseg.runs.changes import PLANNED, changes
from mdseg.system.wording import Remark

STEPS = ["stage.null_bce.steps=2", "stage.class_relational.steps=2"]


@pytest.fixture
def unfinished(trained_run, tmp_path):
    """A copy of a run of UniSeg whose last stage is trained but not done, and whose other stages are."""
    folder = shutil.copytree(trained_run, tmp_path / "run")
    (folder / "class_relational/done").unlink()
    return folder


def edit(folder, **values):
    """Change keys of a run folder's configuration, `__` for a dot."""
    cfg = OmegaConf.load(folder / "config.yaml")
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, merge=False)
    OmegaConf.save(cfg, folder / "config.yaml")


def plan_again(folder):
    return planned(load_config(folder), folder)


@pytest.mark.parametrize(
    ("values", "stage", "message"),
    [
        ({"seed": 1}, "null_bce", "seed from 0 to 1"),
        ({"stage__null_bce__steps": 9}, "null_bce", "steps from 3 to 9"),
        ({"stage__class_relational__steps": 9}, "class_relational", "steps from 2 to 9"),
        ({"stage__class_relational__optimizer__lr": 0.5}, "class_relational", "optimizer.lr from 0.001 to 0.5"),
        ({"streams__labelled__batch_size": 2}, "null_bce", "streams.labelled.batch_size from 4 to 2"),
        ({"streams__labelled__datasets": ["idd"]}, "null_bce", "streams.labelled.datasets from ["),
        ({"evaluate__seen": ["idd"]}, "null_bce", 'evaluate.seen from ["cityscapes", "idd", "bdd"] to ["idd"]'),
        ({"stage__null_bce__loss__supervised__reduction": "all_pixels"}, "null_bce", "loss.supervised.reduction from"),
        ({"transform__crop": [32, 32]}, "null_bce", "transform.crop from [32, 48] to [32, 32]"),
        ({"model__head": "linear"}, "null_bce", 'model.head from "cosine" to "linear"'),
        ({"data__fraction": 0.04}, "null_bce", "data.fraction from 0.02 to 0.04"),
        ({"trainer__precision": "bf16-mixed"}, "null_bce", 'trainer.precision from "32-true" to "bf16-mixed"'),
        ({"accumulate": 2}, "null_bce", "accumulate from 1 to 2"),
        ({"val_every": 1}, "null_bce", "val_every from 1000000 to 1"),
        ({"stages": ["null_bce", "class_relational"]}, "null_bce", "stages from ["),
        ({"seed": 1, "align_corners": False}, "null_bce", "seed from 0 to 1, align_corners from true to false"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_means_something_else_than_what_was_trained_is_refused(unfinished, values, stage, message):
    edit(unfinished, **values)
    before = sorted(unfinished.rglob("*"))
    with refused(f"{unfinished / 'config.yaml'} has changed since stage {stage} was trained: {message}", "start a new run"):
        resume(unfinished)
    assert sorted(path for path in unfinished.rglob("*") if path.name != "lock") == [p for p in before if p.name != "lock"]


def test_what_changes_no_result_is_accepted_and_named(unfinished):
    edit(unfinished, panels=2, log_every=7, checkpoint_every=3, runs="elsewhere", time_limit="1:00:00")
    edit(unfinished, data__workers=1, evaluation__batch_size=3, trainer__enable_progress_bar=True, trainer__accelerator="auto")
    with pytest.warns(Remark) as said:
        plan_again(unfinished)
    (line,) = [str(warning.message) for warning in said]
    for part in ("panels from 0 to 2", "checkpoint_every from 200 to 3", 'time_limit from null to "1:00:00"', "more"):
        assert part in line
    assert "\n" not in line


def test_an_untouched_run_is_planned_again_without_a_word(unfinished):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        assert list(plan_again(unfinished).stages) == ["class_relational"]


def test_a_value_that_is_taken_back_is_no_change(unfinished):
    edit(unfinished, seed=1)
    edit(unfinished, seed=0)
    plan_again(unfinished)


def test_a_run_of_a_version_that_kept_less_goes_on(unfinished):
    """Without the record; a key that the checkpoint's configuration lacks is as conf/run.yaml has it."""
    (unfinished / PLANNED).unlink()
    path = unfinished / "class_relational/checkpoints/last.ckpt"
    saved = torch.load(path, weights_only=True)
    del saved["config"]["accumulate"], saved["config"]["time_limit"]
    torch.save(saved, path)
    plan_again(unfinished)
    edit(unfinished, accumulate=2)
    with pytest.raises(ValueError, match="accumulate from 1 to 2"):
        plan_again(unfinished)


def test_a_stage_that_has_not_begun_takes_what_is_said_now(composed, tmp_path):
    cfg = composed("experiment=uniseg_cib", *SMOKE, *STEPS)
    OmegaConf.save(cfg, tmp_path / "config.yaml")
    (tmp_path / "command.txt").touch()
    plan = planned(cfg, tmp_path)
    plan.begun.keep(plan.planned)
    edit(tmp_path, stage__class_relational__steps=5)
    with pytest.warns(Remark, match="before the stage: steps from 2 to 5 in stage class_relational$"):
        assert plan_again(tmp_path).stages["class_relational"].steps == 5


def of_another_run(saved):
    saved["config"]["seed"] = 7
    return "seed from 7 to 0"


def of_another_stage(saved):
    saved["stage"] = "null_bce"
    return "is of stage null_bce, not of class_relational"


@pytest.mark.parametrize("change", [of_another_run, of_another_stage])
def test_a_checkpoint_from_elsewhere_is_refused(unfinished, change):
    path = unfinished / "class_relational/checkpoints/last.ckpt"
    saved = torch.load(path, weights_only=True)
    message = change(saved)
    torch.save(saved, path)
    with refused(message):
        resume(unfinished)


def test_class_relations_that_were_edited_while_a_stage_learns_them_are_refused(unfinished):
    path = unfinished / "relations/relations.yaml"
    path.write_text("idd: {car: [road]}\n")
    with refused("class_relational/checkpoints/last.ckpt was trained with other class relations"):
        resume(unfinished)


def test_a_damaged_record_is_named(unfinished):
    (unfinished / PLANNED).write_text('{"null_bce": ')
    with refused(f"{unfinished / PLANNED}: damaged"):
        resume(unfinished)


# Images


@pytest.fixture
def own(composed, tmp_path):
    """A planned run on a copy of the scenes, which may be changed: its configuration."""
    overrides = ["experiment=supervised_bdd", *SMOKE, "data.fraction=0.03", "evaluate.unseen=[]", "steps=2"]
    cfg = composed(*overrides)
    prepare_data(cfg)
    shutil.copytree(cfg.data.root, tmp_path / "scenes")
    cfg = composed(*overrides, f"data.root={tmp_path / 'scenes'}")
    plan = planned(cfg, tmp_path)
    plan.begun.keep(plan.planned)
    return cfg


def training_images(folder):
    return sorted(folder.glob("scenes/bdd/**/images/**/train/*.*"))


def add_one(folder):
    image = training_images(folder)[0]
    for path in folder.glob(f"scenes/bdd/**/{image.stem}*"):
        shutil.copy(path, path.with_name(path.name.replace(image.stem, f"{image.stem}9")))


def rename_one(folder):
    image = training_images(folder)[0]
    for path in folder.glob(f"scenes/bdd/**/{image.stem}*"):
        path.rename(path.with_name(path.name.replace(image.stem, f"{image.stem}9")))


def leave_one_out(folder):
    image = training_images(folder)[0]
    for path in folder.glob(f"scenes/bdd/**/{image.stem}*"):
        path.unlink()


@pytest.mark.parametrize("change", [add_one, rename_one, leave_one_out])
def test_other_images_than_a_run_began_with_are_refused(own, tmp_path, change):
    change(tmp_path)
    with refused("stage fit, stream labelled of bdd: the names of the images of bdd changed since the run began ("):
        planned(own, tmp_path)


def test_another_label_table_is_refused(own, tmp_path):
    own.datasets.bdd.labels = "cityscapes_train_ids"
    own.name = "x"
    begun = planned(own, tmp_path / "new").planned["fit"]["images"]["stream labelled of bdd"]
    own.datasets.bdd.labels = "bdd"
    plan = planned(own, tmp_path)
    with pytest.raises(ValueError, match="stream labelled of bdd: the label table of bdd changed"):
        plan.begun.check_images("fit", {**plan.planned["fit"]["images"], "stream labelled of bdd": begun})


def test_a_file_that_was_mended_is_remarked(own, tmp_path):
    image = training_images(tmp_path)[0]
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, cv2.imread(str(image)).shape, np.uint8))
    with pytest.warns(Remark, match="the sizes of files of bdd changed since the run began; go on only if"):
        planned(own, tmp_path)


def test_a_root_that_has_moved_must_have_the_same_files(own, tmp_path):
    (tmp_path / "scenes").rename(tmp_path / "moved")
    own.data.root = str(tmp_path / "moved")
    with pytest.warns(Remark, match="nothing that it learns: data.root from"):
        planned(own, tmp_path)
    image = next((tmp_path / "moved/bdd").rglob("train/*.jpg"))
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, cv2.imread(str(image)).shape, np.uint8))
    with refused("the sizes of files of bdd changed since the run began: which images a step sees"):
        planned(own, tmp_path)


def test_a_list_of_labelled_images_that_was_edited_is_refused(composed, tmp_path):
    cfg = composed("experiment=supervised_bdd", *SMOKE, "evaluate.unseen=[]", "steps=2", "streams.labelled.batch_size=1")
    samples = planned(cfg).stages["fit"].images()["stream labelled of bdd"].samples
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{samples[0].key}\n{samples[1].key}\n")
    cfg.streams.labelled.labelled = str(listed)
    plan = planned(cfg, tmp_path)
    plan.begun.keep(plan.planned)
    listed.write_text(f"{samples[0].key}\n{samples[2].key}\n")
    with refused("the names of the images of bdd changed since the run began (2 images then, 2 now)"):
        planned(cfg, tmp_path)


def test_configurations_are_compared_key_by_key():
    before = {"a": {"b": 1, "c": [1, 2]}, "gone": 1, "same": {}, "stage": {"x": 1}, "panels": 3}
    now = {"a": {"b": 2, "c": [1, 2]}, "new": {"y": None}, "same": {}, "stage": {"x": 2}, "panels": 3, "seed": 0}
    assert [str(change) for change in changes(before, now)] == [
        "a.b from 1 to 2",
        "new.y from nothing to null",
        "gone from 1 to nothing",
    ]
