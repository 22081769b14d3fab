"""A run that is killed and resumed ends with the weights of one that was not."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from smoke import SMOKE

STEPS = 12
OVERRIDES = [
    *SMOKE,
    "experiment=uniseg_cib",
    "evaluate.unseen=[]",
    f"stage.null_bce.steps={STEPS}",
    f"stage.class_relational.steps={STEPS}",
    "checkpoint_every=3",
    "seed=7",
]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mdseg.run", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "class_relational/checkpoints/last.ckpt", weights_only=True)["state_dict"]


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs/uniseg_cib").iterdir()
    return run


def rows(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def stop_at(process: subprocess.Popen, folder: Path, stage: str, step: int, number: int) -> int:
    """Send a signal once the log shows a step of a stage."""
    while process.poll() is None:
        logs = list(folder.glob(f"runs/*/*/{stage}/metrics.csv"))
        if logs and rows(logs[0]) > step:
            process.send_signal(number)
            break
        time.sleep(0.005)
    return process.wait(timeout=120)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(start(folder, *OVERRIDES))
    return weights(only_run(folder))


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_in_every_stage_and_resumed_ends_bit_equal(tmp_path, uninterrupted, workers):
    chance = random.Random(workers)
    process = start(tmp_path, *OVERRIDES, f"data.workers={workers}")
    assert stop_at(process, tmp_path, "null_bce", chance.randrange(1, STEPS - 2), signal.SIGKILL) == -signal.SIGKILL
    run = only_run(tmp_path)
    process = start(tmp_path, f"resume={run}")
    assert (
        stop_at(process, tmp_path, "class_relational", chance.randrange(1, STEPS - 2), signal.SIGKILL)
        == -signal.SIGKILL
    )
    output = finish(start(tmp_path, f"resume={run}"))
    assert "null_bce: done before" in output
    assert same(weights(run), uninterrupted)
    assert only_run(tmp_path) == run, "a resume makes no new folder"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["scheduler", "ctrl-c"])
def test_a_signal_saves_the_step_under_way_and_ends_with_its_exit_code(tmp_path, uninterrupted, number, code):
    process = start(tmp_path, *OVERRIDES, "checkpoint_every=1000", "data.workers=2")
    assert stop_at(process, tmp_path, "null_bce", 4, number) == code
    assert "continue with: python -m mdseg.run resume=" in process.stdout.read()
    run = only_run(tmp_path)
    assert (run / "null_bce/checkpoints/last.ckpt").exists()
    finish(start(tmp_path, f"resume={run}"))
    assert same(weights(run), uninterrupted)


def test_a_signal_between_fits_ends_with_its_exit_code_and_loses_nothing(tmp_path, uninterrupted):
    process = start(tmp_path, *OVERRIDES)
    while not list(tmp_path.glob("runs/*/*/relations")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143
    assert "continue with: python -m mdseg.run resume=" in process.stdout.read()
    finish(start(tmp_path, f"resume={only_run(tmp_path)}"))
    assert same(weights(only_run(tmp_path)), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(4))
def test_killed_at_any_moment_again_and_again_ends_bit_equal(tmp_path, uninterrupted, attempt):
    """Also within validation, the relations stage, and while files are written."""
    chance = random.Random(attempt)
    arguments = [*OVERRIDES, f"data.workers={2 * (attempt % 2)}", "val_every=5"]
    for _ in range(6):
        process = start(tmp_path, *arguments)
        try:
            process.wait(timeout=chance.uniform(6, 16))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        runs = list(tmp_path.glob("runs/*/*/config.yaml"))
        arguments = [f"resume={runs[0].parent}"] if runs else arguments
    finish(start(tmp_path, f"resume={only_run(tmp_path)}"))
    run = only_run(tmp_path)
    assert same(weights(run), uninterrupted)
    lines = (run / "class_relational/metrics.csv").read_text().splitlines()
    keys = [line.rsplit(",", 1)[0] for line in lines]
    assert len(keys) == len(set(keys)), "no row of the log stands twice"


@pytest.mark.slow
def test_two_runs_at_once_share_the_scenes_and_nothing_else(tmp_path, uninterrupted):
    overrides = [*OVERRIDES, "data.fraction=0.022"]
    processes = [start(tmp_path, *overrides) for _ in range(2)]
    for process in processes:
        finish(process)
    first, second = (tmp_path / "runs/uniseg_cib").iterdir()
    assert same(weights(first), weights(second))
