"""A trained model, evaluated again or on datasets that its run never saw."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from mdseg.config.composition import compose_as_in_run
from mdseg.evaluate import compose, evaluate, role_of
from mdseg.labels.tables import LabelTable
from mdseg.runs.log import read_metrics
from mdseg.runs.trained import load_trained

QUICK = ["trainer=cpu", "data.workers=0", "panels=0", "trainer.enable_progress_bar=false"]
MINE = """# @package datasets.mine
layout: {_target_: mdseg.data.layouts.folder, _partial_: true, image_dir: "images/{split}", mask_dir: "masks/{split}"}
root: ${data.root}/mine
labels:
  encoding: id
  classes:
    - {name: NAME, raw_ids: [0], color: [128, 64, 128]}
    - {name: swing, raw_ids: [1], color: [9, 9, 9]}
evaluation_split: val
"""


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "mdseg.evaluate", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def of_results(document):
    """What results.json says, too."""
    datasets = {
        name: {key: entry[key] for key in ("role", "miou", "miou_zero", "subsets", "iou")}
        for name, entry in document["evaluation"]["datasets"].items()
    }
    return {"mean_miou": document["evaluation"]["mean_miou"], "datasets": datasets}


@pytest.fixture
def mine(tmp_path):
    """Search path of a dataset that no run knows, with two images in `mine` below tmp_path."""

    def write(name="road"):
        for split, folder in ((split, folder) for split in ("val", "test") for folder in ("images", "masks")):
            (tmp_path / "mine" / folder / split).mkdir(parents=True)
            picture = np.zeros((30, 50) if folder == "masks" else (30, 50, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "mine" / folder / split / "a.png"), picture)
        (tmp_path / "conf/dataset").mkdir(parents=True)
        (tmp_path / "conf/dataset/mine.yaml").write_text(MINE.replace("NAME", name))
        return [f"hydra.searchpath=[file://{tmp_path}/conf]", "on=[mine]", "data=disk", f"data.root={tmp_path}"]

    return write


def test_a_run_evaluated_again_gives_its_results_to_the_digit(trained_run, tmp_path):
    document = evaluate([f"run={trained_run}", f"output={tmp_path / 'new'}", *QUICK])
    results = json.loads((trained_run / "results.json").read_text())
    assert of_results(document) == results["stages"]["class_relational"]["evaluation"]


def test_subsets_are_means_over_their_classes_in_results_evaluation_and_log(trained_run, tmp_path):
    document = evaluate([f"run={trained_run}", "on=[cityscapes,bdd]", f"output={tmp_path / 'new'}", *QUICK])
    entry = document["evaluation"]["datasets"]["cityscapes"]
    table = LabelTable.load("cityscapes")
    means = {
        subset: np.mean([entry["iou"][name] for name in names if entry["iou"][name] is not None])
        for subset, names in table.subsets.items()
    }
    assert entry["subsets"] == pytest.approx(means, abs=2e-5)
    assert set(means) == {"synthia16", "synthia13", "tail"}
    logged = read_metrics(trained_run / "class_relational" / "metrics.csv")
    assert logged["val/cityscapes/miou/tail"][2] == pytest.approx(means["tail"], abs=2e-5)
    assert document["evaluation"]["datasets"]["bdd"]["subsets"] == {}


def test_a_stage_can_be_chosen(trained_run, tmp_path):
    document = evaluate([f"run={trained_run}", "stage=null_bce", f"output={tmp_path / 'new'}", *QUICK])
    results = json.loads((trained_run / "results.json").read_text())
    assert of_results(document) == results["stages"]["null_bce"]["evaluation"]
    assert (document["stage"], document["steps"]) == ("null_bce", 3)


def test_on_alone_evaluates_a_dataset_that_the_run_did_not(trained_run, tmp_path, capsys):
    document = evaluate([f"run={trained_run}", "on=[camvid11]", f"output={tmp_path / 'new'}", *QUICK])
    (entry,) = document["evaluation"]["datasets"].values()
    assert (entry["role"], entry["split"]) == ("unseen", "test")
    assert "bicyclist" in capsys.readouterr().out, "one dataset: its classes are printed"


def test_classes_without_a_channel_are_told_from_absent_ones(trained_run, tmp_path, capsys):
    arguments = ["on=[labelmefacade]", f"output={tmp_path / 'new'}", *QUICK]
    with pytest.warns(UserWarning, match="no channel for 2 of its 8 classes.*door, window"):
        document = evaluate([f"run={trained_run}", *arguments])
    entry = document["evaluation"]["datasets"]["labelmefacade"]
    assert entry["no_channel"] == ["door", "window"]
    assert entry["iou"]["window"] is None
    assert "no channel" in capsys.readouterr().out


def test_results_lie_in_a_new_folder_below_the_run(trained_run, tmp_path):
    run = shutil.copytree(trained_run, tmp_path / "run")
    arguments = [f"run={run / 'null_bce'}", "on=[bdd]", *QUICK, "panels=1"]
    documents = [evaluate(arguments) for _ in range(2)]
    folders = sorted((run / "evaluations").iterdir())
    assert len(folders) == 2
    for folder, document in zip(folders, documents, strict=True):
        assert json.loads((folder / "evaluation.json").read_text()) == document
        assert {path.name for path in folder.rglob("*.*")} == {
            "evaluation.json",
            "evaluation.yaml",
            "environment.txt",
            "bdd.png",
        }
    repeat = (folders[0] / "evaluation.yaml").read_text()
    assert "python -m mdseg.evaluate run=" in repeat.splitlines()[0]
    assert OmegaConf.create(repeat).evaluation.short_side == 40


def test_a_checkpoint_alone_is_evaluated_wherever_one_is(trained_run, tmp_path, monkeypatch):
    shutil.copy(trained_run / "null_bce/checkpoints/best.ckpt", tmp_path / "model.ckpt")
    monkeypatch.chdir(tmp_path)
    document = evaluate(["run=model.ckpt", "on=[bdd]", *QUICK])
    assert document["steps"] == 3
    assert len(list(tmp_path.glob("evaluations/*/evaluation.json"))) == 1


def test_another_dataset_is_found_on_the_search_path(trained_run, tmp_path, mine):
    document = evaluate([f"run={trained_run}", *mine(), "split=test", f"output={tmp_path / 'new'}", *QUICK])
    entry = document["evaluation"]["datasets"]["mine"]
    assert (entry["split"], entry["images"], entry["no_channel"]) == ("test", 1, ["swing"])


def test_no_class_with_a_channel_is_one_error_and_leaves_nothing(trained_run, tmp_path, mine):
    with pytest.raises(ValueError, match="none of its classes"):
        evaluate([f"run={trained_run}", *mine("slide"), f"output={tmp_path / 'new'}", *QUICK])
    assert not (tmp_path / "new").exists()


def test_a_mask_that_cannot_be_read_leaves_nothing(trained_run, tmp_path, mine):
    arguments = mine()
    (tmp_path / "mine/masks/val/a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"a\.png"):
        evaluate([f"run={trained_run}", *arguments, f"output={tmp_path / 'new'}", *QUICK])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("panels", [0, 1])
def test_results_that_cannot_be_written_are_shown(trained_run, tmp_path, panels):
    arguments = [f"run={trained_run}", "on=[bdd]", f"output={tmp_path / 'new'}", *QUICK, f"panels={panels}"]
    code = "import resource, mdseg.evaluate as e; resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)); e.main()"
    failed = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert f"{tmp_path / 'new'}" in failed.stderr
    assert "make room" in failed.stderr
    assert "bicycle" in failed.stdout, "the table of the dataset's classes"
    assert not (tmp_path / "new").exists()


def test_what_does_not_fit_is_said_before_a_folder_is_made(trained_run, tmp_path):
    run = shutil.copytree(trained_run, tmp_path / "run")
    with pytest.raises(ValueError, match="batches for 64 devices"):
        evaluate([f"run={run}", "on=[bdd]", "trainer.devices=64", *QUICK])
    assert not (run / "evaluations").exists()


def test_a_failure_leaves_no_empty_folder_of_evaluations(trained_run, tmp_path, mine):
    run = shutil.copytree(trained_run, tmp_path / "run")
    arguments = mine()
    for folder in ("images", "masks"):
        shutil.copy(tmp_path / f"mine/{folder}/val/a.png", tmp_path / f"mine/{folder}/val/b.png")
    (tmp_path / "mine/masks/val/b.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"b\.png"):
        evaluate([f"run={run}", *arguments, *QUICK])
    assert not (run / "evaluations").exists()


def test_settings_say_what_results_depend_on(trained_run, tmp_path):
    document = evaluate([f"run={trained_run}", "on=[bdd]", f"output={tmp_path / 'new'}", *QUICK])
    assert document["settings"].keys() == {"short_side", "short_sides", "batch_size", "score_at", "precision", "device"}
    assert (document["settings"]["precision"], document["settings"]["device"]) == ("32-true", "cpu")


def test_a_dataset_that_the_weights_have_seen_is_not_called_unseen(trained_run):
    trained, cfg = compose([f"run={trained_run}", "on=[bdd,kitti,camvid11]"])
    assert trained.trained_on == ["bdd", "cityscapes", "idd"]
    assert {name: role_of(name, trained, cfg) for name in cfg.on} == {
        "bdd": "seen",
        "kitti": "unseen",
        "camvid11": "unseen",
    }
    before = replace(trained, trained_on=[*trained.trained_on, "kitti"])
    assert role_of("kitti", before, cfg) == "seen", "an earlier stage, whatever the run says"


def test_a_dataset_under_another_name_is_recognised_by_its_images(trained_run):
    trained, cfg = compose([f"run={trained_run}", "on=[bdd,camvid11]"])
    cfg.datasets.camvid11 = {**cfg.datasets.bdd, "labels": "cityscapes"}
    with pytest.warns(UserWarning, match="camvid11 has the images of bdd, which the model was trained on: seen"):
        assert role_of("camvid11", trained, cfg) == "seen"


def test_a_gpu_is_taken_if_there_is_one(trained_run):
    _, cfg = compose([f"run={trained_run}"])
    assert (cfg.trainer.accelerator, cfg.trainer.precision) == ("auto", "32-true")


def test_the_data_may_lie_in_a_folder_called_run(trained_run):
    cfg = compose_as_in_run("evaluate", ["run=x", "data=disk", "data.root=run"], load_trained(trained_run).cfg, ["bdd"])
    assert (cfg.data.root, cfg.datasets.bdd.root) == (os.path.abspath("run"), os.path.abspath("run/bdd"))


@pytest.mark.parametrize("how", ["data", "dataset"])
def test_the_run_s_data_may_have_moved(trained_run, tmp_path, how):
    saved = OmegaConf.load(trained_run / "config.yaml").data.root
    shutil.copytree(Path(saved) / "bdd", tmp_path / "moved/bdd")
    moved = {
        "data": [f"data.root={tmp_path / 'moved'}"],
        "dataset": [f"datasets.bdd.root={tmp_path / 'moved/bdd'}"],
    }[how]
    document = evaluate([f"run={trained_run}", "on=[bdd]", *moved, f"output={tmp_path / 'new'}", *QUICK])
    results = json.loads((trained_run / "results.json").read_text())["stages"]["class_relational"]["evaluation"]
    assert of_results(document)["datasets"]["bdd"] == results["datasets"]["bdd"]
    used = OmegaConf.load(tmp_path / "new/evaluation.yaml")
    assert used.datasets.bdd.root == str(tmp_path / "moved/bdd")


def test_a_dataset_of_the_run_is_read_as_in_the_run_unless_conf_is_asked_for(trained_run, tmp_path):
    saved = OmegaConf.load(trained_run / "config.yaml")
    cfg = OmegaConf.create({"datasets": {"idd": {**saved.datasets.idd, "labels": "changed"}}, "data": saved.data})
    for arguments, labels in ((["on=[idd]"], "changed"), (["on=[idd]", "dataset=[idd]"], "idd")):
        assert compose_as_in_run("evaluate", [f"run={tmp_path}", *arguments], cfg, []).datasets.idd.labels == labels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["on=[camvid]"], r"no dataset 'camvid' \(did you mean camvid\d\d\?\)"),
        (["data=disk"], "data=disk needs data.root="),
        (["dataset=[camvid11]"], r"dataset=camvid11: what is read is named by on=\[...\], here \['cityscapes',"),
        (["on=[idd]", "dataset=[bdd]"], r"dataset=bdd: what is read is named by on=\[...\], here \['idd'\]"),
        (["evaluation.shortside=3"], "did you mean evaluation.short_side"),
        (["datasets.bdd.rot=x"], "did you mean root"),
        (["evaluation.batch_size=0"], "evaluation.batch_size: expected a whole number of at least 1, got 0"),
        (["on=[bdd,idd,bdd]"], "on: 'bdd' occur more than once"),
        (["stage=nul_bce"], "no checkpoint of a stage 'nul_bce'"),
        (["output=OUTPUT"], "exists; give a new folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_named(trained_run, tmp_path, arguments, message):
    arguments = [argument.replace("OUTPUT", str(tmp_path)) for argument in arguments]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        evaluate([f"run={trained_run}", *arguments, *QUICK])


@pytest.mark.parametrize("module", ["evaluate", "predict"])
def test_help_and_configuration_need_no_torch(module):
    code = f"import sys; sys.argv[1:] = %s; import mdseg.{module} as m; m.main(); sys.exit('torch' in sys.modules)"
    for arguments in (["--help"], ["--cfg", "job", "run=x=1"]):
        shown = subprocess.run([sys.executable, "-c", code % arguments], capture_output=True, text=True, check=False)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "run" in shown.stdout


def test_the_command_line_answers_mistakes_in_a_message(tmp_path):
    refused = command("run=nowhere", "on=[bdd]", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("mdseg: run=nowhere: there is no such run folder or checkpoint")
    assert "Traceback" not in refused.stderr
