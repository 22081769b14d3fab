"""A run goes on as it began: what has changed since, in its configuration or on disk, is refused or named."""

import json
import shutil

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
from mdseg.runs.changes import PARTS, Begun, fingerprint
from mdseg.runs.planned import PLANNED, changes
from mdseg.system.wording import Remark

STEPS = ["stage.null_bce.steps=2", "stage.class_relational.steps=2"]


@pytest.fixture
def unfinished(trained_run, tmp_path):
    """A copy of a run of UniSeg whose last stage is trained but not done, and whose other stages are."""
    folder = shutil.copytree(trained_run, tmp_path / "run")
    (folder / "class_relational/done").unlink()
    return folder


@pytest.fixture(scope="module")
def trained_cfg(trained_run):
    return load_config(trained_run)


def edit(folder, **values):
    """Change keys of a run folder's configuration, `__` for a dot."""
    cfg = OmegaConf.load(folder / "config.yaml")
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, merge=False)
    OmegaConf.save(cfg, folder / "config.yaml")


def said(warned):
    """What was remarked of changes."""
    return [str(warning.message) for warning in warned if "changed since the run began" in str(warning.message)]


def keep(folder, planned):
    """A folder that was planned so, and has weights of some stage."""
    Begun(folder).keep(planned)
    (folder / "source").mkdir()
    (folder / "source/done").touch()


def plan_again(folder):
    return planned(load_config(folder), folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 1}, "seed from 0 to 1"),
        ({"stage__null_bce__steps": 9}, "steps from 3 to 9"),
        ({"streams__labelled__batch_size": 2}, "streams.labelled.batch_size from 4 to 2"),
        ({"streams__labelled__datasets": ["idd"]}, "streams.labelled.datasets from ["),
        ({"evaluate__seen": ["idd"]}, 'evaluate.seen from ["cityscapes", "idd", "bdd"] to ["idd"]'),
        ({"stage__null_bce__loss__supervised__reduction": "all_pixels"}, "loss.supervised.reduction from"),
        ({"model__head": "linear"}, 'model.head from "cosine" to "linear"'),
        ({"data__fraction": 0.04}, "data.fraction from 0.02 to 0.04"),
        ({"trainer__precision": "bf16-mixed"}, 'trainer.precision from "32-true" to "bf16-mixed"'),
        ({"accumulate": 2}, "accumulate from 1 to 2"),
        ({"stages": ["null_bce", "relations"]}, "stages from ["),
        ({"seed": 1, "align_corners": False}, "seed from 0 to 1, align_corners from true to false"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_means_something_else_than_what_was_trained_is_refused(
    trained_run, trained_cfg, values, message
):
    cfg = trained_cfg.copy()
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, merge=False)
    with refused(f"{trained_run / 'config.yaml'} has changed since stage null_bce was trained: {message}", "new run"):
        planned(cfg, trained_run)


def test_nothing_is_written_by_an_attempt_that_is_refused(unfinished):
    edit(unfinished, stage__class_relational__optimizer__lr=0.5)
    before = {path for path in unfinished.rglob("*") if path.name != "lock"}
    with refused("since stage class_relational was trained: optimizer.lr from 0.001 to 0.5", f"resume={unfinished}"):
        resume(unfinished)
    assert {path for path in unfinished.rglob("*") if path.name != "lock"} == before


def test_what_changes_no_result_is_accepted_and_named(unfinished):
    edit(unfinished, panels=2, log_every=7, checkpoint_every=3, runs="elsewhere", time_limit="1:00:00")
    edit(
        unfinished,
        data__workers=1,
        evaluation__batch_size=3,
        trainer__enable_progress_bar=True,
        trainer__accelerator="auto",
    )
    with pytest.warns(Remark) as warned:
        plan_again(unfinished)
    (line,) = said(warned)
    for part in ("panels from 0 to 2", "checkpoint_every from 200 to 3", 'time_limit from null to "1:00:00"'):
        assert part in line
    assert "\n" not in line


def test_an_untouched_run_is_planned_again_without_a_word(unfinished, recwarn):
    assert list(plan_again(unfinished).stages) == ["class_relational"]
    assert said(recwarn) == []


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
    keep(tmp_path, planned(cfg, tmp_path).planned)
    edit(tmp_path, stage__class_relational__steps=5)
    with pytest.warns(Remark, match="before the stage: steps from 2 to 5 in stage class_relational$"):
        assert plan_again(tmp_path).stages["class_relational"].steps == 5


def test_a_stage_that_is_done_is_compared_without_the_record_too(unfinished):
    (unfinished / PLANNED).unlink()
    edit(unfinished, stage__null_bce__steps=9)
    with refused("since stage null_bce was trained: steps from 3 to 9"):
        resume(unfinished)


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


def weights_alone(folder):
    checkpoints = folder / "class_relational/checkpoints"
    shutil.copy(checkpoints / "best.ckpt", checkpoints / "last.ckpt")


def without_results(folder):
    (folder / "results.json").unlink()


def without_a_stage(folder):
    write_results(folder, stages={"class_relational": {}})


def of_another_seed(folder):
    write_results(folder, seed=5)


def of_another_experiment(folder):
    write_results(folder, stages={"source": {}, "adapt": {}})


def write_results(folder, **values):
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (weights_alone, "last.ckpt holds weights alone, as best.ckpt does: without callbacks, "),
        (without_results, "results.json has nothing of what is done, null_bce, relations: put the file back, or"),
        (without_a_stage, "results.json has nothing of what is done, null_bce, relations: put the file back, or"),
        (of_another_seed, "config.yaml has seed 0 and results.json 5: one of them was changed after the run"),
        (of_another_experiment, "config.yaml has no stage source and results.json one: one of them was changed"),
    ],
)
def test_what_a_run_has_left_behind_must_be_its_own_and_all_of_it(unfinished, spoil, message):
    spoil(unfinished)
    with refused(message):
        resume(unfinished)


def test_a_finished_run_whose_results_are_gone_says_so(trained_run, tmp_path):
    folder = shutil.copytree(trained_run, tmp_path / "run")
    without_results(folder)
    with refused("has nothing of what is done, null_bce, relations, class_relational: put the file back"):
        resume(folder)


def test_class_relations_that_were_edited_while_a_stage_learns_them_are_refused(unfinished):
    path = unfinished / "relations/relations.yaml"
    path.write_text("idd: {car: [road]}\n")
    with refused("class_relational/checkpoints/last.ckpt was trained with other class relations"):
        resume(unfinished)


@pytest.mark.parametrize("text", ['{"null_bce": ', "[]", '{"null_bce": 3}', '{"null_bce": {"config": {}}}', ""])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / PLANNED).write_text(text)
    with refused(f"{tmp_path / PLANNED}: ", "; restore it, or delete it"):
        Begun(tmp_path)


# Images


@pytest.fixture
def own(composed, tmp_path):
    """A planned run on a copy of the scenes, which may be changed: its configuration."""
    overrides = ["experiment=supervised_bdd", *SMOKE, "data.fraction=0.03", "evaluate.unseen=[]", "steps=2"]
    cfg = composed(*overrides)
    prepare_data(cfg)
    shutil.copytree(cfg.data.root, tmp_path / "scenes")
    cfg = composed(*overrides, f"data.root={tmp_path / 'scenes'}")
    keep(tmp_path, planned(cfg, tmp_path).planned)
    return cfg


def test_an_image_that_is_gone_is_missed(own, tmp_path):
    image = sorted(tmp_path.glob("scenes/bdd/**/images/**/train/*.*"))[0]
    for path in tmp_path.glob(f"scenes/bdd/**/{image.stem}*"):
        path.unlink()
    with refused("stage fit, stream labelled of bdd: the names of the images of bdd changed since the run began ("):
        planned(own, tmp_path)


def seen(names="a b", sizes="1 2", labels="x"):
    return {"dataset": "d", "images": len(names.split()), "names": names, "sizes": sizes, "labels": labels}


@pytest.mark.parametrize(
    ("now", "moved", "message"),
    [
        (seen(), False, None),
        (seen(), True, None),
        (
            seen("a b c"),
            False,
            "the names of the images of d changed since the run began (2 images then, 3 now), and which",
        ),
        (
            seen("a c"),
            False,
            "the names of the images of d changed since the run began (2 images then, 2 now), and which",
        ),
        (seen(labels="y"), False, "the label table of d changed since the run began, and"),
        (seen(sizes="1 3"), True, "the sizes of files of d changed since the run began, and"),
        (None, False, "the names of the images of d changed since the run began (2 images then, 0 now), and which"),
    ],
)
def test_images_and_label_tables_are_those_that_a_run_began_with(tmp_path, now, moved, message):
    keep(tmp_path, {"fit": {"config": {}, "images": {"stream": seen()}}})
    begun = Begun(tmp_path)
    begun.free = {"datasets.d.root": None} if moved else {}
    now = {} if now is None else {"stream": now}
    if message is None:
        begun.check_images("fit", now)
    else:
        with refused(f"stage fit, stream: {message}"):
            begun.check_images("fit", now)
    begun.check_images("another", {})


def test_without_any_weights_a_run_begins_anew_and_is_remembered_so(tmp_path):
    Begun(tmp_path).keep({"fit": {"config": {}, "images": {"stream": seen()}}})
    again = {"fit": {"config": {}, "images": {"stream": seen("a")}}}
    begun = Begun(tmp_path)
    begun.check_images("fit", again["fit"]["images"])
    begun.keep(again)
    assert Begun(tmp_path).planned == again


def test_a_file_that_was_mended_is_remarked(tmp_path):
    keep(tmp_path, {"fit": {"config": {}, "images": {"stream": seen()}}})
    with pytest.warns(Remark, match="the sizes of files of d changed since the run began; that is right only where"):
        Begun(tmp_path).check_images("fit", {"stream": seen(sizes="1 3")})


def test_a_root_that_has_moved_must_have_the_same_files(own, tmp_path):
    (tmp_path / "scenes").rename(tmp_path / "moved")
    own.data.root = str(tmp_path / "moved")
    for node in own.datasets.values():
        node.root = node.root.replace("/scenes/", "/moved/")
    with pytest.warns(Remark, match='nothing that it learns: data.root from [^,]*moved"$'):
        planned(own, tmp_path)
    image = next((tmp_path / "moved/bdd").rglob("train/*.jpg"))
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, cv2.imread(str(image)).shape, np.uint8))
    with refused("the sizes of files of bdd changed since the run began, and others lie where they were"):
        planned(own, tmp_path)


def test_files_of_the_same_names_and_sizes_with_other_contents_are_told_apart(tmp_path):
    def remembered(folder, value):
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / f"{number}.bmp" for number in range(9)]
        for path in paths:
            cv2.imwrite(str(path), np.full((4, 6, 3), value, np.uint8))
        return fingerprint("d", [path.name for path in paths], paths, "labels")

    before, same, other = remembered("a", 1), remembered("b", 1), remembered("c", 2)
    assert before == same
    assert [part for part in PARTS if before[part] != other[part]] == ["contents"]
    keep(tmp_path, {"fit": {"config": {}, "images": {"stream": before}}})
    begun = Begun(tmp_path)
    with pytest.warns(Remark, match="the contents of files of d changed since the run began; that is right only where"):
        begun.check_images("fit", {"stream": other})
    begun.free = {"datasets.d.root": None}
    with refused("the contents of files of d changed since the run began, and others lie where they were"):
        begun.check_images("fit", {"stream": other})


def test_a_list_of_labelled_images_that_was_edited_is_refused(composed, tmp_path):
    cfg = composed(
        "experiment=supervised_bdd", *SMOKE, "evaluate.unseen=[]", "steps=2", "streams.labelled.batch_size=1"
    )
    samples = planned(cfg).stages["fit"].looks_at()["stream labelled of bdd"].samples
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{samples[0].key}\n{samples[1].key}\n")
    cfg.streams.labelled.labelled = str(listed)
    keep(tmp_path, planned(cfg, tmp_path).planned)
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
