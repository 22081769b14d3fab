"""Runs of self-training: the teacher in checkpoints, results and commands, and exact resumes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import carry_out, new_folder, planned
from smoke import SMOKE

from mdseg.compare import draw as compare
from mdseg.evaluate import evaluate
from mdseg.methods.self_training import SelfTraining
from mdseg.predict import predict
from mdseg.run import resume
from mdseg.runs.trained import load_trained

STEPS = 6
EVERYTHING = [*SMOKE, "checkpoint_every=2", "seed=7"]
SETTINGS = {
    # DAFormer's recipe with BLV: rare classes, running counts, batch statistics.
    "adapt": [
        "experiment=blv_gta5_cityscapes",
        "loss.variation.counts.mixed=running",
        "stage.source.steps=2",
        f"stage.adapt.steps={STEPS}",
    ],
    # Counts of an epoch, every step one of them; batch norms copied from the student.
    "fit": [
        "experiment=blv_semi_cityscapes",
        "streams.labelled.labelled=1/2",
        f"steps={STEPS}",
    ],
}


def run(composed, folder, *overrides):
    cfg = composed(*EVERYTHING, *overrides, f"runs={folder}")
    made = new_folder(cfg)
    carry_out(cfg, made)
    return made


@pytest.fixture(scope="module")
def runs(composed, tmp_path_factory):
    """Finished smoke runs by the name of their last stage; tests must not write into them."""
    return {name: run(composed, tmp_path_factory.mktemp(name), *overrides) for name, overrides in SETTINGS.items()}


def state(folder, stage):
    return torch.load(folder / stage / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class Killed(Exception):
    pass


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_run_that_broke_off_between_checkpoints_ends_bit_equal(runs, composed, tmp_path, monkeypatch, stage):
    """Teacher, batch norms' statistics and counters of classes included."""
    whole = SelfTraining.training_step

    def breaks(self, batch, step):
        if step == 3:
            raise Killed
        return whole(self, batch, step)

    monkeypatch.setattr(SelfTraining, "training_step", breaks)
    with pytest.raises(Killed):
        run(composed, tmp_path, *SETTINGS[stage])
    monkeypatch.undo()
    (folder,) = tmp_path.glob("*/*")
    resume(folder)
    expected = state(runs[stage], stage)
    assert {"teacher.head.weight", "mixed.variation.counter.observed"} <= set(expected)
    assert same(state(folder, stage), expected)


def test_the_teacher_of_a_finished_run_is_no_copy_of_the_student(runs):
    for stage, folder in runs.items():
        saved = state(folder, stage)
        assert not torch.equal(saved["teacher.head.weight"], saved["model.head.weight"])


def test_results_have_both_networks(runs):
    for stage, headline, other in (("adapt", "student", "teacher"), ("fit", "teacher", "student")):
        evaluation = json.loads((runs[stage] / "results.json").read_text())["stages"][stage]["evaluation"]
        assert evaluation["network"] == headline
        assert evaluation[other].keys() == evaluation.keys() - {"network", other}
        log = (runs[stage] / stage / "metrics.csv").read_text()
        assert f"{STEPS},val/cityscapes/miou,{evaluation['datasets']['cityscapes']['miou']:.4}"[:-1] in log
        assert f"{STEPS},val/cityscapes/{other}/miou," in log


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_run_s_networks_are_evaluated_by_name(runs, tmp_path, stage):
    results = json.loads((runs[stage] / "results.json").read_text())["stages"][stage]["evaluation"]
    expected = {results["network"]: results["mean_miou"]}
    expected |= {name: results[name]["mean_miou"] for name in ("student", "teacher") if name in results}
    for network, miou in expected.items():
        document = evaluate(
            [f"run={runs[stage]}", f"network={network}", f"output={tmp_path / network}", "trainer=cpu", "panels=0"]
        )
        assert (document["network"], document["evaluation"]["mean_miou"]) == (network, miou)


def test_the_headline_s_network_is_the_one_that_is_used(runs):
    assert load_trained(runs["adapt"]).network == "student"
    assert load_trained(runs["fit"]).network == "teacher"
    for name in ("student", "teacher"):
        expected = state(runs["fit"], "fit")[f"{'model' if name == 'student' else name}.head.weight"]
        assert torch.equal(load_trained(runs["fit"], network=name).model.head.weight, expected)


def test_photographs_are_predicted_by_the_teacher_if_wished(runs, tmp_path):
    (image,) = list(Path(load_trained(runs["fit"]).cfg.data.root).rglob("*leftImg8bit.png"))[:1]
    for name in ("student", "teacher"):
        predict([f"run={runs['adapt']}", f"network={name}", f"images={image}", f"output={tmp_path / name}"])
        assert f"network: {name}" in (tmp_path / name / "predict.yaml").read_text()


def test_student_and_teacher_of_a_run_are_compared_side_by_side(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare([f"runs=[{runs['adapt']},{runs['adapt']}]", "networks=[student,teacher]", "count=1", "logits=0"])
    (document,) = [json.loads(path.read_text()) for path in tmp_path.glob("compare/*/compare.json")]
    results = json.loads((runs["adapt"] / "results.json").read_text())["stages"]["adapt"]["evaluation"]
    student, teacher = document["runs"].values()
    assert [student["network"], teacher["network"]] == ["student", "teacher"]
    assert student["miou"] == pytest.approx(results["datasets"]["cityscapes"]["miou"], abs=1e-5)
    assert teacher["miou"] == pytest.approx(results["teacher"]["datasets"]["cityscapes"]["miou"], abs=1e-5)


def test_a_stage_without_a_teacher_says_so(runs):
    with pytest.raises(ValueError, match="has no teacher, stage 'source' trained a single network"):
        load_trained(runs["adapt"], stage="source", network="teacher")
    assert load_trained(runs["adapt"], stage="source").network is None
    with pytest.raises(ValueError, match="network: expected student or teacher, got 'pupil'"):
        load_trained(runs["adapt"], network="pupil")


def test_a_teacher_of_another_architecture_is_refused(runs, tmp_path):
    folder = shutil.copytree(runs["fit"], tmp_path / "run")
    (folder / "fit/done").unlink()
    file = folder / "fit/checkpoints/last.ckpt"
    saved = torch.load(file, weights_only=True)
    saved["state_dict"]["teacher.head.weight"] = saved["state_dict"]["teacher.head.weight"][:, :3]
    torch.save(saved, file)
    with pytest.raises(ValueError, match=r"last\.ckpt holds another teacher than this run's model: .*head\.weight"):
        resume(folder)
    with pytest.raises(ValueError, match="holds another teacher"):
        load_trained(file)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["streams.unlabelled.batch_size=2"], r"streams\.unlabelled\.batch_size=2: every unlabelled image is mixed"),
        (["loss/mixed=none"], "SelfTraining.* missing .*'mixed'"),
        (["streams.unlabelled.role=labelled"], "reads one labelled stream, but streams has labelled, unlabelled"),
        (["streams.unlabelled=null"], "needs a target or unlabelled stream"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(composed, overrides, message):
    cfg = composed(*EVERYTHING, "experiment=semi_cityscapes", "streams.labelled.labelled=1/2", "steps=1", *overrides)
    with pytest.raises(ValueError, match=message):
        planned(cfg)


def test_a_source_without_one_of_the_classes_trains(composed, tmp_path):
    """A model of 19 classes learns from SYNTHIA, which has 16: the others may be pseudo-labels and nothing else."""
    folder = run(
        composed,
        tmp_path,
        *("experiment=dacs_synthia_cityscapes", "label_space=cityscapes19", "loss/variation=blv"),
        *("stages=[adapt]", "stage.adapt.from=null", "stage.adapt.steps=2"),
    )
    saved = state(folder, "adapt")
    assert all(value.isfinite().all() for value in saved.values())


RECORDING = '''
import torch
from mdseg.methods.self_training import SelfTraining

class Recording(SelfTraining):
    """Writes what every rank holds after the last step."""

    def on_train_end(self):
        torch.save(self.state_dict(), f"rank{self.global_rank}.pt")
'''


@pytest.mark.slow
def test_two_ranks_hold_one_teacher(tmp_path):
    (tmp_path / "recording.py").write_text(RECORDING)
    overrides = [*SETTINGS["fit"], "method._target_=recording.Recording", "trainer.devices=2", "trainer.strategy=ddp"]
    overrides += ["data.fraction=0.04", "evaluation.batch_size=1"]
    done = subprocess.run(
        [sys.executable, "-m", "mdseg.run", *EVERYTHING, *overrides],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    differ = [name for name in first if not torch.equal(first[name], second[name])]
    assert not [name for name in differ if not name.endswith(("running_mean", "running_var"))]
