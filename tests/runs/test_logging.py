import csv
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import segments
from smoke import SMOKE, command

from mdseg.runs.dashboard import Dashboard, WandB, has_key
from mdseg.runs.log import StageLog, read_metrics
from mdseg.system.signals import Stopped


def rows(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_rows_are_appended_under_one_header(tmp_path):
    log = StageLog(tmp_path)
    log.log_metrics({"train/supervised": 2.5, "epoch": 0}, step=0)
    StageLog(tmp_path).log_metrics({"val/a/iou/lane marking, general": 0.5}, step=1)
    assert rows(tmp_path / "metrics.csv") == [
        ["step", "name", "value"],
        ["0", "train/supervised", "2.5"],
        ["1", "val/a/iou/lane marking, general", "0.5"],
    ]


def test_a_resume_drops_the_rows_that_will_be_written_again(tmp_path):
    log = StageLog(tmp_path)
    for step in range(5):
        log.log_metrics({"loss": float(step)}, step)
    log.restart_at(3)
    assert [row[0] for row in rows(log.path)[1:]] == ["0", "1", "2"]


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path):
    log = StageLog(tmp_path)
    log.log_metrics({"loss": 1.0}, 0)
    with log.path.open("a") as file:
        file.write("1,lo")
    log.restart_at(9)
    log.log_metrics({"loss": 2.0}, 1)
    assert rows(log.path)[1:] == [["0", "loss", "1.0"], ["1", "loss", "2.0"]]


@pytest.mark.parametrize("text", ["", "step,na", "step,name,value\n"])
def test_a_log_whose_first_line_a_kill_cut_off_begins_anew(tmp_path, text):
    log = StageLog(tmp_path)
    log.path.write_text(text)
    log.restart_at(9)
    log.log_metrics({"loss": 2.0}, 1)
    assert rows(log.path) == [["step", "name", "value"], ["1", "loss", "2.0"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,loss,1.0\n1,loss,0.5\n", "expected step,name,value in the first line, found '0,loss,1.0'"),
        ("step,name,value\n0,loss,1.0\nten,loss,0.5\n", "line 3: expected step,name,value, found 'ten,loss,0.5'"),
        ("step,name,value\n0,loss,high\n", "line 2: expected step,name,value, found '0,loss,high'"),
        ("step,name,value\n0,loss\n", "line 2: expected step,name,value, found '0,loss'"),
        ("step,name,value\n\n0,loss,1.0\n", "line 2: expected step,name,value, found ''"),
    ],
)
def test_a_log_of_something_else_is_named_and_left_as_it_is(tmp_path, text, message):
    log = StageLog(tmp_path)
    log.path.write_text(text)
    for read in (lambda: log.restart_at(1), lambda: read_metrics(log.path)):
        with pytest.raises(ValueError, match=r"\S") as refused:
            read()
        assert str(refused.value).startswith(str(log.path))
        assert message in str(refused.value)
    assert log.path.read_text() == text


def test_absent_classes_write_no_row(tmp_path):
    log = StageLog(tmp_path)
    log.log_metrics({"val/a/iou/train": float("nan"), "val/a/miou": 0.5}, 0)
    assert [row[1] for row in rows(log.path)[1:]] == ["val/a/miou"]


def test_a_first_start_has_nothing_to_drop(tmp_path):
    StageLog(tmp_path).restart_at(0)
    assert not (tmp_path / "metrics.csv").exists()


def test_what_is_read_back_is_what_was_logged(tmp_path):
    log = StageLog(tmp_path)
    log.log_metrics({"train/supervised": 2.0, "val/a/iou/lane marking, general": 0.5}, 3)
    log.log_metrics({"train/supervised": 1.0}, 4)
    assert read_metrics(log.path) == {
        "train/supervised": {3: 2.0, 4: 1.0},
        "val/a/iou/lane marking, general": {3: 0.5},
    }


def test_the_mirror_gets_what_is_in_the_file(tmp_path):
    mirrored = []
    log = StageLog(tmp_path, SimpleNamespace(log=lambda values, step: mirrored.append((values, step))))
    log.log_metrics({"train/supervised": 2.0, "val/a/iou/train": float("nan"), "epoch": 0}, 3)
    assert mirrored == [({"train/supervised": 2.0}, 3)]


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    """W&B on a machine where nobody is logged in."""
    import wandb

    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_DATA_DIR", "")  # put back after the test
    yield WandB(project="tests", entity=None, group="all", name="one", tags=["a", "b"], offline=None)
    wandb.teardown()


def test_without_a_key_wandb_writes_an_offline_segment_into_the_run_folder(wandb, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with wandb.start(folder, {"seed": 3, "stages": ["first", "second"]}) as dashboard:
        dashboard.begin("first", steps_before=0)
        dashboard.log({"train/supervised": 2.5, "val/a/miou": 0.5, "val/a/iou/road": 0.9}, 7)
        dashboard.begin("second", steps_before=8)
        dashboard.log({"train/supervised": 1.5}, 0)
        dashboard.summarize({"val/best_mean_seen_miou": 0.25})
    first, second = segments.rows(folder)
    assert first["first/step"] == 7
    assert first["first/val/a/miou"] == 0.5
    assert not any("iou/road" in key for key in first), "single classes are left to the table"
    assert (second["second/step"], second["_step"]) == (0, 8)
    assert segments.summary(folder)["second/val/best_mean_seen_miou"] == 0.25
    config = segments.config(folder)
    assert (config["seed"], config["stages"]) == (3, ["first", "second"])
    run = segments.run(folder)
    assert (run.project, run.run_group, run.display_name, list(run.tags)) == ("tests", "all", "one", ["a", "b"])
    assert segments.exit_code(folder) == 0


def test_overlays_keep_class_indices_and_name_them(wandb, tmp_path):
    mask = np.full((300, 900), 255, np.uint8)
    mask[:, :450] = 1
    with wandb.start(tmp_path, {}) as dashboard:
        dashboard.begin("fit", steps_before=0)
        picture = {"image": np.zeros((30, 90, 3), np.uint8), "annotation": mask, "prediction": np.zeros_like(mask)}
        dashboard.overlays("a", [picture], ["road", "car"], step=5)
        dashboard.table("val/iou", ("class", "iou"), [("road", 0.5), ("car", None)], step=5)
    (row,) = segments.rows(tmp_path)
    assert (row["fit/val/a/panels/width"], row["fit/val/a/panels/height"]) == (512, 171)
    masks = [cv2.imread(str(path), -1) for path in tmp_path.glob("wandb/offline*/**/mask/fit/val/a/*.png")]
    assert sorted(np.unique(mask).tolist() for mask in masks) == [[0], [1, 255]]
    assert {"0": "road", "1": "car", "255": "ignored"} in segments.class_labels(tmp_path)
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/fit/val/*.json")
    assert json.loads(table.read_text())["data"] == [["road", 0.5], ["car", None]]


def test_a_later_start_continues_the_id(wandb, tmp_path):
    for _ in range(2):
        with wandb.start(tmp_path, {}):
            time.sleep(1.1)  # W&B names a segment by the second
    identity = (tmp_path / "wandb_id.txt").read_text().strip()
    found = list(tmp_path.glob("wandb/offline-run-*"))
    assert len(found) == 2
    assert all(path.name.endswith(identity) for path in found)


@pytest.mark.parametrize(("error", "code"), [(ValueError("no"), 1), (Stopped(143, "stopped"), 143)])
def test_the_run_ends_with_the_exit_code_of_the_process(wandb, tmp_path, error, code):
    with pytest.raises(type(error)), wandb.start(tmp_path, {}):
        raise error
    assert segments.exit_code(tmp_path) == code


def test_a_run_that_is_told_to_stop_does_not_wait_for_an_upload_that_hangs():
    code = """if True:
        import atexit, time
        import mdseg.runs.dashboard
        from mdseg.system.signals import Stopped

        class Hanging:
            def finish(self, exit_code):
                time.sleep(100)

        atexit.register(time.sleep, 100)  # as W&B waits at exit
        mdseg.runs.dashboard.GIVE_UP_STOPPED = 0.1
        with mdseg.runs.dashboard.Dashboard(Hanging()):
            raise Stopped(143, "stopped")
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 143
    assert "W&B has not uploaded everything" in ended.stderr


def test_when_wandb_s_service_dies_that_is_said_once_and_the_run_goes_on(wandb, tmp_path, capfd):
    with wandb.start(tmp_path, {}) as dashboard:
        dashboard.begin("fit", steps_before=0)
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
        )
        (service,) = [line.split()[0] for line in children.stdout.splitlines() if "wandb-core" in line]
        os.kill(int(service), signal.SIGKILL)
        for step in range(200):
            dashboard.log({"train/supervised": 1.0}, step)
    said = capfd.readouterr().err
    assert said.count("W&B failed, nothing more is sent to it") == 1
    assert "Traceback" not in said


def test_a_wandb_that_cannot_start_is_left_out(wandb, tmp_path, capfd):
    (tmp_path / "wandb").write_text("no folder")
    with wandb.start(tmp_path, {}) as dashboard:
        dashboard.begin("fit", steps_before=0)
        dashboard.log({"train/supervised": 1.0}, 0)
    said = capfd.readouterr().err
    assert "W&B does not start offline" in said
    assert "W&B is left out; the run folder has everything" in said


@pytest.mark.parametrize(
    ("values", "message"),
    [({"project": "a/b"}, "Invalid project name"), ({"tags": [""]}, "empty"), ({"offline": "maybe"}, "logger.offline")],
)
def test_what_wandb_does_not_take_is_refused_before_a_run_begins(values, message):
    given = {"project": "tests", "entity": None, "group": None, "name": "one", "tags": [], "offline": None} | values
    with pytest.raises(ValueError, match=message):
        WandB(**given).check()


def test_a_key_is_found_where_wandb_login_leaves_it(wandb, tmp_path, monkeypatch):
    assert not has_key()
    (tmp_path / "netrc").write_text("machine elsewhere.test login user password none\n")
    assert not has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://elsewhere.test")
    assert has_key()


def test_without_a_logger_wandb_is_not_imported():
    code = "import sys, mdseg.stages; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_run_a_dashboard_shows_nothing(tmp_path):
    with Dashboard() as dashboard:
        dashboard.begin("fit", steps_before=0)
        dashboard.log({"train/supervised": 1.0}, 0)
        dashboard.picture("curves", tmp_path / "none.png")


def test_every_job_of_a_sweep_has_a_wandb_run_with_pictures_tables_and_figures(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    steps = ["stages=[null_bce,relations]", "stage.null_bce.steps=2"]
    swept = command(tmp_path, "-m", "experiment=uniseg_cib", *SMOKE, *steps, "panels=1", "logger=wandb", "seed=1,2")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    folders = sorted((tmp_path / "runs/uniseg_cib").iterdir())
    assert [segments.run(folder).display_name for folder in folders] == ["uniseg_cib-s1", "uniseg_cib-s2"]
    groups = {segments.run(folder).run_group for folder in folders}
    assert len(groups) == 1
    assert groups.pop().startswith("sweep ")
    for folder in folders:
        assert segments.exit_code(folder) == 0
        assert segments.config(folder)["stage"]["null_bce"]["steps"] == 2
        keys = {key for row in segments.rows(folder) for key in row}
        assert {
            "null_bce/step",
            "null_bce/train/supervised",
            "null_bce/val/idd/miou",
            "null_bce/val/mean_seen_miou",
            "null_bce/val/idd/panels/filenames",
            "null_bce/val/iou/path",
            "null_bce/curves/path",
            "relations/idd/path",
        } <= keys
        summary = segments.summary(folder)
        assert {"null_bce/val/best_mean_seen_miou", "null_bce/steps", "relations/num_found"} <= summary.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}, "nothing of W&B beside the run folders"
