"""Methods that the package does not have, written as a user would: nothing in mdseg knows the files in tests/toys."""

import csv
import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from smoke import SMOKE, forked
from test_resume import finish, only_run, same, start, stop_at, weights

TOYS = Path(__file__).parent / "toys"
SIZES = [override for override in SMOKE if not override.startswith("streams.")]
HERE = f"hydra.searchpath=[file://{TOYS}/conf]"
RUNS = {
    "toy_adversarial": ["batch_size=2", "steps=9", "checkpoint_every=2"],
    "toy_heads": ["data.fraction=0.1", "steps=9", "checkpoint_every=2"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished run of each toy, by name."""
    folders = {}
    for name, sizes in RUNS.items():
        folder = tmp_path_factory.mktemp(name)
        copy_code(folder)
        done = forked(folder, f"experiment={name}", HERE, *SIZES, *sizes)
        assert done.returncode == 0, done.stdout + done.stderr
        folders[name] = only_run(folder)
    return folders


def copy_code(folder):
    for path in TOYS.glob("*.py"):
        shutil.copy(path, folder)


def results(run):
    return json.loads((run / "results.json").read_text())["stages"]


def logged(run, stage, name):
    with (run / stage / "metrics.csv").open() as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}


def test_branches_and_their_merge_stand_beside_each_other(finished):
    evaluation = results(finished["toy_adversarial"])["adapt"]["evaluation"]
    assert evaluation["network"] == "merged"
    for branch in ("gta5", "synthia"):
        assert evaluation[branch]["datasets"]["cityscapes"]["miou"] is not None
    (console,) = [path.read_text() for path in finished["toy_adversarial"].glob("command.txt")]
    assert "toy_adversarial" in console


def test_steps_of_two_optimisers_are_counted_as_batches(finished):
    run = finished["toy_adversarial"]
    assert list(logged(run, "adapt", "train/discriminator")) == list(range(9))
    assert list(logged(run, "adapt", "val/cityscapes/miou")) == [9]
    saved = torch.load(run / "adapt/checkpoints/last.ckpt", weights_only=True)
    assert saved["SegmentationDataModule"]["step"] == saved["global_step"] == 9
    assert len(saved["optimizer_states"]) == 2
    assert results(run)["adapt"]["steps"] == 9


def test_a_stage_may_have_neither_a_segmenter_nor_an_evaluation(finished):
    run = finished["toy_adversarial"]
    assert results(run)["translate"].keys() == {
        *("steps", "seconds", "images_per_second", "peak_memory_mb", "never_seen")
    }
    terms = logged(run, "translate", "train/reconstruction")
    assert list(terms) == list(range(9))


def test_every_dataset_has_its_own_size_batch_and_micro_batches(finished):
    """2 + 3 labelled images, 2 x 2 + 3 x 2 unlabelled ones a step."""
    found = results(finished["toy_heads"])
    assert found["universal"]["steps"] == 9
    assert found["embeddings"]["embeddings"] == 19 + 11
    assert {
        name: len(node["datasets"]) for name, node in ((n, found[n]["evaluation"]) for n in ("cityscapes", "universal"))
    } == {
        "cityscapes": 1,
        "universal": 2,
    }
    log = finished["toy_heads"] / "universal"
    assert len((log / "labelled_cityscapes.txt").read_text().split()) == 6
    assert len((log / "labelled_camvid11.txt").read_text().split()) == 6


def test_a_stage_has_the_label_space_it_sets(finished):
    spaces = {
        stage: torch.load(finished["toy_heads"] / stage / "checkpoints/last.ckpt", weights_only=True)["label_space"]
        for stage in ("cityscapes", "universal")
    }
    assert len(spaces["cityscapes"]["names"]) == 19
    assert len(spaces["universal"]["names"]) == 30


def test_a_method_takes_what_a_stage_of_one_s_own_has_made(finished):
    made = torch.load(finished["toy_heads"] / "embeddings/embeddings.pt", weights_only=True)
    trained = torch.load(finished["toy_heads"] / "universal/checkpoints/last.ckpt", weights_only=True)
    assert torch.equal(trained["state_dict"]["embeddings"], made)
    assert made.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("toy_adversarial", ["adapt"]),
        pytest.param("toy_adversarial", ["translate", "adapt"], marks=pytest.mark.slow),
        pytest.param("toy_heads", ["universal"], marks=pytest.mark.slow),
    ],
)
def test_a_toy_is_resumed_to_the_bit(finished, tmp_path, name, stages):
    copy_code(tmp_path)
    arguments = [f"experiment={name}", HERE, *SIZES, *RUNS[name], "data.workers=2"]
    for stage in stages:
        process = start(tmp_path, *arguments)
        assert stop_at(process, tmp_path, stage, 2, signal.SIGKILL) == -signal.SIGKILL
        arguments = [f"resume={only_run(tmp_path)}"]
    finish(start(tmp_path, *arguments))
    assert same(weights(only_run(tmp_path)), weights(finished[name]))


def test_the_plan_of_a_toy_says_what_starts_from_what(tmp_path):
    copy_code(tmp_path)
    shown = forked(tmp_path, "--plan", "experiment=toy_heads", HERE, *SIZES, *RUNS["toy_heads"])
    assert shown.returncode == 0, shown.stderr
    assert "embeddings: from cityscapes of cityscapes, camvid11 of camvid11" in shown.stdout
    assert "universal: from embeddings of embeddings" in shown.stdout
    assert "label space of its own: 19 classes" in shown.stdout
    assert "stream unlabelled/camvid11: unlabelled, 6 images per step" in shown.stdout
    assert not (tmp_path / "runs").exists()
