import csv
import json
import shlex
import signal
import subprocess
import sys

import cv2
import pytest
import torch
from folders import IRREGULAR
from running import carry_out, new_folder
from smoke import SMOKE, command, forked

from mdseg import conf_dir
from mdseg.run import resume
from mdseg.runs.folders import locked

STEPS = ["stage.null_bce.steps=3", "stage.class_relational.steps=2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke run of UniSeg: its folder."""
    folder = tmp_path_factory.mktemp("run")
    done = command(folder, "experiment=uniseg_cibm", *SMOKE, *STEPS, "panels=1")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (folder / "runs/uniseg_cibm").iterdir()
    return run, done.stdout


def test_a_run_leaves_what_the_readme_lists(finished):
    run, _ = finished
    for name in (
        "config.yaml",
        "command.txt",
        "environment.txt",
        "planned.json",
        "results.json",
        "relations/relations.yaml",
        "relations/scores.npz",
    ):
        assert (run / name).is_file(), name
    for stage in ("null_bce", "class_relational"):
        for name in ("config.yaml", "metrics.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "done"):
            assert (run / stage / name).is_file(), f"{stage}/{name}"
        datasets = {"cityscapes", "idd", "bdd", "mapillary", "wilddash", "kitti", "camvid32_strict"}
        assert {picture.stem for picture in (run / stage / "figures").iterdir()} == datasets | {"curves"}
        height, width, _ = cv2.imread(str(run / stage / "figures/curves.png")).shape
        assert height > 300
        assert width > 1000
    assert {picture.stem for picture in (run / "relations/figures").iterdir()} == {
        "cityscapes",
        "idd",
        "bdd",
        "mapillary",
    }


def test_results_hold_every_dataset_and_class(finished):
    results = json.loads((finished[0] / "results.json").read_text())
    assert (results["experiment"], results["family"], results["seed"]) == ("uniseg_cibm", "uniseg", 0)
    fit = results["stages"]["class_relational"]
    assert fit["steps"] == 2
    assert {"seconds", "images_per_second", "peak_memory_mb"} <= fit.keys()
    mapillary = fit["evaluation"]["datasets"]["mapillary"]
    assert mapillary["role"] == "seen"
    assert len(mapillary["iou"]) == 65
    present = [value for value in mapillary["iou"].values() if value is not None]
    assert mapillary["miou"] == pytest.approx(sum(present) / len(present), abs=1e-4)
    truth = results["stages"]["relations"]["against_truth"]
    assert {"precision", "recall", "found", "true", "right"} <= truth.keys()


def test_the_log_has_every_step(finished):
    with (finished[0] / "null_bce/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["name"] == "train/supervised"] == ["0", "1", "2"]
    assert any(row["name"] == "val/mapillary/miou" for row in rows)


def test_checkpoints_hold_plain_types_and_the_label_space(finished):
    checkpoint = torch.load(finished[0] / "class_relational/checkpoints/last.ckpt", weights_only=True)
    assert len(checkpoint["label_space"]["names"]) == 70


def test_the_table_is_printed(finished):
    output = finished[1]
    assert "mapillary" in output
    assert "relations:" in output
    assert "Traceback" not in output


def test_runs_in_the_same_second_get_folders_of_their_own(composed, tmp_path):
    cfg = composed("experiment=uniseg_cibm", f"runs={tmp_path}")
    folders = {new_folder(cfg) for _ in range(5)}
    assert len(folders) == 5


def test_a_relation_file_can_be_given_instead_of_the_stage(composed, tmp_path):
    cfg = composed(
        "experiment=uniseg_cibm",
        *SMOKE,
        *STEPS,
        "stages=[null_bce,class_relational]",
        f"stage.class_relational.from.relations={conf_dir()}/relations/uniseg_cibm.yaml",
        f"runs={tmp_path}",
    )
    assert carry_out(cfg, new_folder(cfg)) >= 0


def test_a_plan_says_what_a_run_would_do_and_leaves_nothing_behind(tmp_path):
    shown = forked(tmp_path, "--plan", "experiment=uniseg_cib", *SMOKE, *STEPS)
    assert shown.returncode == 0, shown.stderr
    for part in (
        "uniseg_cib, demo, seed 0: 28 classes of cityscapes, idd, bdd",
        "null_bce: from scratch\n  trains UniSeg, ",
        " parameters, 3 steps",
        "stream labelled: labelled, 4 images per step of cityscapes (",
        "evaluates wilddash: unseen, 1 images, 19 classes",
        "class_relational: from model of null_bce, relations of relations",
        "class_relational/checkpoints/last.ckpt",
    ):
        assert part in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_plan_of_a_resumed_run_has_what_is_left(finished):
    shown = command(finished[0], "--plan", f"resume={finished[0]}")
    assert shown.returncode == 0, shown.stderr
    assert [line for line in shown.stdout.splitlines() if "done before" in line] == [
        f"{stage}: done before" for stage in ("null_bce", "relations", "class_relational")
    ]


def test_a_resumed_configuration_is_checked_like_a_new_one(composed, tmp_path):
    cfg = composed("experiment=uniseg_cib", *SMOKE, *STEPS, f"runs={tmp_path}")
    folder = new_folder(cfg)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("checkpoint_every:", "checkpoint_evry:"))
    with pytest.raises(ValueError, match=r"checkpoint_evry: there is no such key \(did you mean checkpoint_every\?\)"):
        resume(folder)


CHEAP = """
import sys
from mdseg import run
class Torch:
    def find_spec(self, name, *_):
        assert name != "torch", "torch is imported"
sys.meta_path.insert(0, Torch())
run.main()
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+transformm.crop=[1,1]"], "transformm: there is no such key"),
        (["panels=-1"], "panels: expected a whole number of at least 0, got -1"),
        (["stage.relations.from=nowhere"], "from=nowhere is none of the stages before it (null_bce)"),
        (["evaluate.unseen=[nowhere]"], "dataset 'nowhere' is used but not loaded"),
        (["stages=[null_bce,relation]"], "no stage 'relation'"),
    ],
)
def test_what_can_be_found_without_torch_is_found_before_it_is_imported(tmp_path, arguments, message):
    code = [sys.executable, "-c", CHEAP, "experiment=uniseg_cib", *arguments]
    refused = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "torch is imported" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_and_configuration_are_quick_to_start(tmp_path):
    for arguments in (["--help"], ["--cfg", "job", "experiment=uniseg_cibm"]):
        shown = command(tmp_path, *arguments)
        assert shown.returncode == 0, shown.stderr
    assert list(tmp_path.iterdir()) == [], "asking leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=uniseg_cibm", "steps=5"], "stage.null_bce.steps=5"),
        (["experiment=uniseg_cibm", "data=disk", "data.root=/nowhere"], "/nowhere"),
        (["experiment=uniseg_cibm", "stages=[null_bce,relation]"], "relation"),
        (["experiment=uniseg_cibm", "streams.labelled.mixing=shuffled", *SMOKE], "shuffled"),
        (["experiment=uniseg_cibm", "streams.labelled.labelled=100000", *SMOKE], "100000"),
        (["experiment=uniseg_cibm", "data=disk"], "data=disk needs data.root="),
        (["experiment=uniseg_cibm", "seed=abc"], "seed: expected"),
        (["experiment=uniseg_cibm", "hydra.searchpath=[file:///nowhere]"], "hydra.searchpath: /nowhere does not exist"),
        (["resume=nowhere"], "nowhere"),
        (["resume=nowhere", "seed=3"], "leave out seed=3"),
        (["-m", "experiment=uniseg_cibm", "trainer=ddp"], "under -m"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_get_one_message_and_no_traceback(tmp_path, arguments, message):
    refused = forked(tmp_path, *arguments)
    assert refused.returncode != 0
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_sweep_runs_every_job_in_its_own_folder(tmp_path):
    swept = forked(tmp_path, "-m", "experiment=multi_dataset_cibm", "loss/supervised=ce,null_bce", "steps=1", *SMOKE)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert len(list((tmp_path / "runs/multi_dataset_cibm").iterdir())) == 2


def test_a_sweep_that_ends_at_a_job_says_at_which(tmp_path):
    swept = forked(tmp_path, "-m", "experiment=multi_dataset_cibm", "seed=-1,0", "steps=1", *SMOKE)
    assert swept.returncode == 1
    assert "seed: expected a whole number of at least 0, got -1" in swept.stderr
    assert "That was job #0 of the sweep; those after it were not begun" in swept.stderr
    assert not (tmp_path / "runs/multi_dataset_cibm").exists()


def test_a_run_folder_is_carried_out_by_one_process_at_a_time(tmp_path):
    hold = "import sys, time; from pathlib import Path; from mdseg.runs.folders import locked\n"
    hold += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="another process is carrying out this run"), locked(tmp_path):
        pass
    other.kill()
    other.wait()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("put", IRREGULAR)
def test_a_lock_that_is_no_regular_file_is_named(tmp_path, put):
    put(tmp_path / "lock")
    with pytest.raises(ValueError, match=f"lock is {IRREGULAR[put]}, expected a regular file"), locked(tmp_path):
        pass


def test_what_a_lock_is_linked_to_stays(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0")
    (tmp_path / "lock").symlink_to("config.yaml")
    with locked(tmp_path):
        pass
    assert (tmp_path / "config.yaml").read_text() == "seed: 0"


def test_processes_started_from_outside_need_a_common_folder(composed, tmp_path, monkeypatch):
    cfg = composed("experiment=uniseg_cibm")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MDSEG_RUN_FOLDER", raising=False)
    with pytest.raises(ValueError, match="set MDSEG_RUN_FOLDER to one new folder"):
        new_folder(cfg)
    monkeypatch.setenv("MDSEG_RUN_FOLDER", str(tmp_path / "common"))
    assert new_folder(cfg) == tmp_path / "common"
    with pytest.raises(ValueError, match="common exists"):
        new_folder(cfg)


def test_the_command_of_a_run_can_be_pasted(composed, tmp_path):
    overrides = ["experiment=uniseg_cibm", "streams.labelled.mixing={idd:2,bdd:1}", "data.root=/my data"]
    folder = new_folder(composed("experiment=uniseg_cibm", f"runs={tmp_path}"), overrides)
    assert shlex.split((folder / "command.txt").read_text())[3:] == overrides


def test_where_hydra_searches_belongs_to_the_command(tmp_path):
    own = tmp_path / "own conf/experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - uniseg_cib\n  - _self_\n")
    searchpath = f"hydra.searchpath=['file://{own.parent}']"
    run = forked(tmp_path, "experiment=mine", searchpath, *SMOKE, "stages=[null_bce]", "stage.null_bce.steps=1")
    assert run.returncode == 0, run.stderr
    (text,) = tmp_path.glob("runs/mine/*/command.txt")
    words = shlex.split(text.read_text())
    assert words[-1] == searchpath
    assert "hydra.mode" not in text.read_text()
    assert command(tmp_path, "--cfg", "job", *words[3:]).returncode == 0, "the command can be pasted"


INTERRUPTED_IMPORT = """
import os, runpy, signal, sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
module = sys.argv.pop(1)
sys.meta_path.insert(0, CtrlC())
runpy.run_module("mdseg.run", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["hydra", "torch"])
def test_ctrl_c_while_modules_are_imported_gets_one_line(module):
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, module, "experiment=uniseg_cib"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert stopped.stderr == "mdseg: stopped\n"
    assert stopped.returncode in (130, -signal.SIGINT), "a shell shows 130 for both"
