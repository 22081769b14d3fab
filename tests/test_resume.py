"""A run that is killed and resumed ends with the weights of one that was not."""

import functools
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from smoke import SMOKE, Forked

STEPS = 12
SMALL = [*SMOKE, "checkpoint_every=3", "seed=7"]
ADAPTED = [f"stage.source.steps={STEPS}", f"stage.adapt.steps={STEPS}"]
# What every fit of a run holds beside its network differs: nothing, two heads, a teacher, counters of classes, sigma,
# label embeddings that move.
RUNS = {
    "uniseg": [
        "experiment=uniseg_cib",
        "evaluate.unseen=[]",
        f"stage.null_bce.steps={STEPS}",
        f"stage.class_relational.steps={STEPS}",
    ],
    "iw_multi": ["experiment=gta5_cityscapes", "row=iw_multi", *ADAPTED],
    "daformer_blv_tv": [
        "experiment=gta5_cityscapes",
        "row=daformer_blv_tv",
        "loss.variation.counts.mixed=running",
        *ADAPTED,
    ],
    # Epochs of 2.5 steps: a checkpoint has sums of an epoch under way.
    "universal": [
        "experiment=universal_cityscapes_camvid",
        "method.theta=0.5",
        "model.feature_width=8",
        "embedding_dimension=8",
        "data.fraction=0.04",
        "streams.labelled.labelled=5",
        "streams.labelled.batch_size=2",
        "streams.unlabelled.batch_size=2",
        f"stage.alone.steps={STEPS}",
        f"stage.universal.steps={STEPS}",
    ],
    # Two optimisers, translators, images written in between, a merge of two networks.
    "multi_source_unit": [
        "experiment=multi_source_unit_cityscapes",
        "mean=own",
        "discriminator_width=4",
        "streams.target.batch_size=2",
        "stage.translator.transform.short_side=40",
        "stage.translator.transform.crop=[32,48]",
        "stage.translator.method.width=4",
        *(f"stage.{stage}.steps={STEPS}" for stage in ("translator", "source", "branches", "s_all")),
    ],
    # Two optimisers, a teacher, discriminators.
    "adaptsegnet_dacs": ["experiment=gta5_cityscapes", "row=adaptsegnet_dacs", "discriminator_width=4", *ADAPTED],
    "st_blv": ["experiment=cityscapes_semi", "row=st_blv", "streams.labelled.labelled=1/2", f"steps={STEPS}"],
}
FITS = {
    "uniseg": ["null_bce", "class_relational"],
    "multi_source_unit": ["gta5", "synthia", "source", "branches", "s_all"],
    "st_blv": ["fit"],
}
OVERRIDES = [*SMALL, *RUNS["uniseg"]]


def start(folder: Path, *arguments: str) -> Forked:
    return Forked(folder, *arguments)


def finish(process: Forked) -> str:
    assert process.wait() == 0, process.stdout + process.stderr
    return process.stdout


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Everything that the last stage trained: networks, and the counters of its losses."""
    stage = (run / "results.json").read_text()
    last = list(json.loads(stage)["stages"])[-1]
    return torch.load(run / last / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def only_run(folder: Path) -> Path:
    (run,) = folder.glob("runs/*/*")
    return run


def shows(path: Path, step: int) -> bool:
    return path.exists() and f"\n{step}," in path.read_text()


def stop_at(process: Forked, folder: Path, stage: str, step: int, number: int) -> int:
    """Send a signal once the log shows a step of a stage."""
    while process.poll() is None:
        if any(shows(log, step) for log in folder.glob(f"runs/*/*/{stage}/metrics.csv")):
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


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
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
    assert "continue with: python -m mdseg.run resume=" in process.stdout
    run = only_run(tmp_path)
    assert (run / "null_bce/checkpoints/last.ckpt").exists()
    finish(start(tmp_path, f"resume={run}"))
    assert same(weights(run), uninterrupted)
    rows = (run / "null_bce/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows if ",train/supervised," in row] == [str(step) for step in range(STEPS)]


@pytest.mark.slow
def test_a_signal_between_fits_ends_with_its_exit_code_and_loses_nothing(tmp_path, uninterrupted):
    process = start(tmp_path, *OVERRIDES)
    while not list(tmp_path.glob("runs/*/*/relations")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143
    assert "continue with: python -m mdseg.run resume=" in process.stdout
    finish(start(tmp_path, f"resume={only_run(tmp_path)}"))
    assert same(weights(only_run(tmp_path)), uninterrupted)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights at the end of an uninterrupted run, by the name of the run."""

    @functools.cache
    def trained(name: str) -> dict[str, torch.Tensor]:
        folder = tmp_path_factory.mktemp(name)
        finish(start(folder, *SMALL, *RUNS[name], "val_every=5"))
        return weights(only_run(folder))

    return trained


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RUNS if name != "universal"])
def test_killed_in_every_fit_at_a_random_step_and_resumed_ends_bit_equal(tmp_path, whole, name):
    chance = random.Random(name)
    arguments = [*SMALL, *RUNS[name], "val_every=5", "data.workers=2"]
    fits = FITS.get(name, ["source", "adapt"])
    for stage in fits:
        process = start(tmp_path, *arguments)
        assert stop_at(process, tmp_path, stage, chance.randrange(1, STEPS - 2), signal.SIGKILL) == -signal.SIGKILL
        arguments = [f"resume={only_run(tmp_path)}"]
    finish(start(tmp_path, *arguments))
    assert same(weights(only_run(tmp_path)), whole(name))


@pytest.mark.slow
def test_killed_in_mid_translation_and_resumed_ends_bit_equal(tmp_path, whole):
    process = start(tmp_path, *SMALL, *RUNS["multi_source_unit"], "val_every=5")
    while not list(tmp_path.glob("runs/*/*/translated/*/**/*.png")) and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    run = only_run(tmp_path)
    assert not (run / "translated/done").exists()
    finish(start(tmp_path, f"resume={run}"))
    assert same(weights(run), whole("multi_source_unit"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_in_every_stage_of_the_universal_method_and_resumed_ends_bit_equal(tmp_path, whole, workers):
    chance = random.Random(workers)
    arguments = [*SMALL, *RUNS["universal"], f"data.workers={workers}"]
    for stage in ("cityscapes", "camvid11", "embeddings", "universal"):
        process = start(tmp_path, *arguments)
        if stage == "embeddings":
            while not list(tmp_path.glob("runs/*/*/embeddings")) and process.poll() is None:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            process.kill()
            assert process.wait() == -signal.SIGKILL
        else:
            step = chance.randrange(7, STEPS - 2)  # the checkpoints after 6 and 9 steps lie within an epoch
            assert stop_at(process, tmp_path, stage, step, signal.SIGKILL) == -signal.SIGKILL
        run = only_run(tmp_path)
        assert not (run / stage / "done").exists()
        arguments = [f"resume={run}"]
    saved = torch.load(run / "universal/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert saved["module.counts"].sum() > 0, "an epoch is under way"
    finish(start(tmp_path, *arguments))
    assert same(weights(run), whole("universal"))


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(2))
@pytest.mark.parametrize("name", list(RUNS))
def test_killed_at_any_moment_again_and_again_ends_bit_equal(tmp_path, whole, name, attempt):
    """Also within validation, the relations stage, and while files are written."""
    chance = random.Random(attempt)
    arguments = [*SMALL, *RUNS[name], f"data.workers={2 * (attempt % 2)}", "val_every=5"]
    for _ in range(6):
        process = start(tmp_path, *arguments)
        while "run folder:" not in process.stdout and process.poll() is None:  # it has begun, however busy the machine
            time.sleep(0.01)
        try:
            process.wait(timeout=chance.uniform(0, 10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        arguments = [f"resume={only_run(tmp_path)}"]
    finish(start(tmp_path, *arguments))
    run = only_run(tmp_path)
    assert same(weights(run), whole(name))
    for log in run.glob("*/metrics.csv"):
        keys = [line.rsplit(",", 1)[0] for line in log.read_text().splitlines()]
        assert len(keys) == len(set(keys)), "no row of the log stands twice"


@pytest.mark.slow
def test_two_runs_at_once_share_the_scenes_and_nothing_else(tmp_path, uninterrupted):
    overrides = [*OVERRIDES, "data.fraction=0.022"]
    processes = [start(tmp_path, *overrides) for _ in range(2)]
    for process in processes:
        finish(process)
    first, second = (tmp_path / "runs/uniseg_cib").iterdir()
    assert same(weights(first), weights(second))
