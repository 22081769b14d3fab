"""Which runs a report counts: seeds of one setting, finished ones, and each of them once."""

import json
import os
import shlex
import sys

import pytest
import yaml
from omegaconf import OmegaConf

from mdseg.config.keys import plain, stage_config
from mdseg.report import main, summary
from mdseg.runs.records import read_records

STAGES = ["source", "adapt"]
CONFIG = {
    "name": "x",
    "seed": 0,
    "stages": STAGES,
    "stage": {"source": None, "adapt": {"from": "source"}},
    "batch_size": 4,
    "streams": {"labelled": {"datasets": ["a"], "batch_size": "${batch_size}"}, "target": None},
    "loss": {"supervised": {"_target_": "ce", "scope": "all"}, "variation": None},
    "datasets": {"a": {"root": "/a"}},
    "data": {"root": "/", "workers": 2},
    "optimizer": {"_target_": "sgd", "lr": 0.01},
    "time_limit": None,
    "evaluation": {"batch_size": 1},
    "trainer": {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "32-true"},
}


def changed(config, **values):
    """A copy of a configuration with other values, keys written with __ for dots."""
    config = json.loads(json.dumps(config))
    for key, value in values.items():
        *above, last = key.split("__")
        node = config
        for name in above:
            node = node[name]
        node[last] = value
    return config


@pytest.fixture
def run(tmp_path):
    """Write a run folder: stages with the seen mIoU that each has measured, the words of its command, its config."""

    def write(name, words=(), seed=0, row=None, done=("source", "adapt"), experiment="x", miou=0.5, age=0, **config):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for stage in done:
            (folder / stage).mkdir()
            (folder / stage / "done").touch()
        means = {} if miou is None else {"seen": miou}
        measured = {"mean_miou": means, "datasets": {"a": {"role": "seen", "miou": miou}}}
        stages = {stage: {"evaluation": measured} for stage in done}
        document = {"experiment": experiment, "row": row, "scale": "demo", "seed": seed, "stages": stages}
        if done:
            (folder / "results.json").write_text(json.dumps(document))
            os.utime(folder / "results.json", (1e9 - age, 1e9 - age))
        whole = changed(CONFIG, **{"seed": seed, **config})
        (folder / "config.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        command = ["python", "-m", "mdseg.run", f"experiment={experiment}", f"seed={seed}", *words]
        (folder / "command.txt").write_text(shlex.join(command))
        return folder

    return write


def lines(text):
    """Cells of every line of a table below its headings."""
    return [[cell.strip() for cell in line.strip("│ ").split("│")] for line in text.splitlines() if "│" in line]


def shown(folder, width=200):
    return summary(read_records(folder)[0], width)


@pytest.mark.parametrize(
    ("words", "config"),
    [
        (["optimizer.lr=0.01"], {}),
        (["streams.labelled.batch_size=4"], {"streams__labelled__batch_size": 4}),
        (["loss/supervised=ce"], {}),
        (["data.workers=8", "trainer=gpu", "data.root=/other"], {"data__workers": 8, "data__root": "/other"}),
        (["scale=demo"], {}),
        ([], {"datasets__a__root": "/elsewhere"}),
        ([], {"accumulate": 1}),
        (["time_limit='1 hour'"], {"time_limit": "1 hour"}),
        (["evaluation.batch_size=4"], {"evaluation__batch_size": 4}),
        (["trainer.devices=2", "trainer.strategy=ddp"], {"trainer__devices": 2, "trainer__strategy": "ddp"}),
        (["trainer=gpu"], {"trainer__accelerator": "gpu", "trainer__precision": "16-mixed"}),
        (["stage.adapt.panels=0"], {"stage__adapt": {"from": "source", "panels": 0}}),
    ],
    ids=[
        *("number", "reference", "group", "where it ran", "scale", "another machine", "key of another version"),
        *("limit of time", "batches of an evaluation", "devices", "precision of a GPU", "pictures of a stage"),
    ],
)
def test_a_default_given_explicitly_is_no_setting_of_its_own(tmp_path, run, words, config):
    run("1")
    run("2", words, seed=1, **config)
    assert [line[2:5] for line in lines(shown(tmp_path))] == [["", "source", "2"], ["", "adapt", "2"]]


@pytest.mark.parametrize(
    ("words", "config", "setting"),
    [
        (["optimizer.lr=0.1"], {"optimizer__lr": 0.1}, "optimizer.lr=0.1"),
        (["streams.target.role=x"], {"streams__target": {"role": "x"}}, "streams.target.role=x"),
        (["+optimizer.amsgrad=true"], {"optimizer__amsgrad": True}, "+optimizer.amsgrad=true"),
        (["~loss.supervised.scope"], {"loss__supervised": {"_target_": "ce"}}, "~loss.supervised.scope"),
        (["datasets.a.root=/b"], {"datasets__a__root": "/b"}, "datasets.a.root=/b"),
        (["trainer.precision=bf16-mixed"], {"trainer__precision": "bf16-mixed"}, "trainer.precision=bf16-mixed"),
        (["+trainer.gradient_clip_val=1"], {"trainer__gradient_clip_val": 1}, "+trainer.gradient_clip_val=1"),
        ([], {"optimizer__lr": 0.1}, "optimizer.lr=0.1"),
    ],
    ids=[
        *("number", "null", "added", "removed", "root", "precision", "clipping"),
        "a YAML file that was edited in between",
    ],
)
def test_what_differs_in_the_configuration_is_another_setting(tmp_path, run, words, config, setting):
    run("1")
    run("2", words, seed=1, **config)
    found = {line[2] for line in lines(shown(tmp_path))}
    assert setting in found
    assert len(found) == 2


def test_of_runs_with_one_seed_and_setting_the_newest_counts_and_a_line_says_so(tmp_path, run):
    run("new", miou=0.4)
    run("old", miou=0.2, age=100)
    run("other", seed=1, miou=0.4)
    text = shown(tmp_path)
    assert [line[4:] for line in lines(text)] == [["2", "40.0 ± 0.0"]] * 2
    assert f"left out: {tmp_path / 'old'}: settings and seed are those of {tmp_path / 'new'}, which is newer" in text


def test_runs_of_one_seed_from_different_weights_are_different_runs(tmp_path, run):
    for name in "ab":
        run(name, [f"stage.adapt.from=/runs/{name}"], stage__adapt__from=f"/runs/{name}")
    assert [line[2:5] for line in lines(shown(tmp_path))] == [
        ["stage.adapt.from=...", "source", "2"],
        ["stage.adapt.from=...", "adapt", "2"],
    ]


def test_a_run_that_is_linked_twice_counts_once(tmp_path, run):
    run("runs/1")
    (tmp_path / "runs/latest").symlink_to(tmp_path / "runs/1")
    (tmp_path / "runs/loop").symlink_to(tmp_path / "runs")
    records, problems = read_records(tmp_path)
    assert ([record.folder for record in records], problems) == ([tmp_path / "runs/1"], [])


def test_runs_in_linked_folders_are_found(tmp_path, run):
    run("elsewhere/1")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/x").symlink_to(tmp_path / "elsewhere")
    assert [record.folder for record in read_records(tmp_path / "runs")[0]] == [tmp_path / "runs/x/1"]


def test_stages_stand_in_the_order_of_the_run(tmp_path, run):
    folder = run("1")
    assert [line[3] for line in lines(shown(tmp_path))] == ["source", "adapt"]
    document = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(document, sort_keys=True))
    assert [line[3] for line in lines(shown(tmp_path))] == ["source", "adapt"]


@pytest.mark.parametrize("row", [None, "maxsquare"])
def test_a_run_that_is_not_finished_is_named_with_how_far_it_is_and_not_averaged(tmp_path, run, row):
    run("whole", row=row, miou=0.4, experiment="gta5_cityscapes")
    cut = run("cut", seed=1, row=row, miou=0.2, done=["source"], experiment="gta5_cityscapes")
    (cut / "adapt").mkdir()
    (cut / "adapt/metrics.csv").write_text("step,name,value\n19,loss,1.0\n39,loss,0.5\n40,lo")
    text = shown(tmp_path)
    assert f"left out: {cut}: not finished; 1 of 2 stages done, adapt: its log ends at step 39" in text
    assert "40.0" in text
    assert "±" not in "".join(cell for line in lines(text) for cell in line)


def test_a_run_that_failed_in_its_first_stage_is_named(tmp_path, run):
    run("whole")
    failed = run("failed", seed=1, done=())
    assert f"left out: {failed}: not finished; 0 of 2 stages done, source: not begun" in shown(tmp_path)


def test_runs_of_which_none_is_finished_are_named_without_a_table(tmp_path, run):
    failed = run("failed", done=())
    assert shown(tmp_path) == f"left out: {failed}: not finished; 0 of 2 stages done, source: not begun"


def test_results_of_a_stage_that_is_to_be_trained_anew_do_not_count(tmp_path, run):
    folder = run("1")
    (folder / "adapt/done").unlink()
    assert lines(shown(tmp_path)) == []
    assert f"{folder}: not finished; 1 of 2 stages done" in shown(tmp_path)


def test_a_mean_over_fewer_runs_than_there_are_says_so(tmp_path, run):
    for seed in range(3):
        run(str(seed), seed=seed, row="maxsquare", experiment="gta5_cityscapes", miou=None if seed else 0.5)
    (line,) = lines(shown(tmp_path))
    assert line[1:3] == ["3", "50.0 (of 1)"]


def test_results_without_a_command_are_no_setting_that_is_known(tmp_path, run):
    run("1")
    for name in ("2", "3"):
        folder = run(name, seed=int(name))
        (folder / "config.yaml").unlink()
        (folder / "command.txt").unlink()
    text = shown(tmp_path)
    assert [line[4] for line in lines(text)] == ["1"] * 6
    assert text.count("settings unknown (no command.txt)") == 4
    assert f"{tmp_path / '2'}: there is no config.yaml, so it may lack stages" in text


def spoil_results(folder):
    (folder / "results.json").write_text('{"stages": ')


def spoil_config(folder):
    (folder / "config.yaml").write_text("stages: !!python/object/apply:os.getcwd []")


def spoil_command(folder):
    (folder / "command.txt").write_text("python -m mdseg.run 'experiment=x")


def spoil_seed(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"seed": 7}))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"optimizer__lr": 0.1}, "stage source was trained: optimizer.lr from 0.01 to 0.1; put back what was there"),
        ({"stage__adapt__batch_size": 9}, "stage adapt was trained: batch_size from 4 to 9"),
        ({"data__workers": 7}, None),
        ({"time_limit": "1:00:00"}, None),
    ],
)
def test_settings_that_were_edited_after_the_run_are_not_reported(tmp_path, run, capsys, monkeypatch, change, line):
    run("0")
    more = {"evaluate": {"seen": ["a"], "unseen": []}, "from": None}  # of what a stage may set
    folder = run("1", seed=1, **more)
    config = OmegaConf.load(folder / "config.yaml")
    planned = {name: {"config": plain(stage_config(config, name), resolve=True), "images": {}} for name in STAGES}
    (folder / "planned.json").write_text(json.dumps(planned))
    (folder / "config.yaml").write_text(yaml.safe_dump(changed(CONFIG, seed=1, **more, **change)))
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == (0 if line is None else 1)
    said = capsys.readouterr().err
    assert said == "" if line is None else f"{folder / 'config.yaml'} has changed since {line}" in said


@pytest.mark.parametrize("spoil", [spoil_results, spoil_config, spoil_command, spoil_seed])
def test_a_run_that_cannot_be_read_gets_a_line_and_the_others_are_shown(tmp_path, run, spoil, monkeypatch, capsys):
    run("1")
    spoil(run("2", seed=1))
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert [line[4] for line in lines(printed.out)] == ["1", "1"]
    (line,) = printed.err.splitlines()
    assert line.startswith(f"mdseg: left out: {tmp_path / '2'}")


@pytest.mark.parametrize(("name", "said"), [("nowhere", "there is no such folder"), ("1/results.json", "is a file")])
def test_a_folder_that_is_none_is_named(tmp_path, run, name, said):
    run("1")
    with pytest.raises(FileNotFoundError, match=said):
        read_records(tmp_path / name)


@pytest.mark.parametrize("name", ["n" * 5000, "null\0byte", "nowhere"])
def test_a_name_that_is_no_folder_s_ends_with_a_message(name, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report", name])
    with pytest.raises(SystemExit, match="^mdseg: "):
        main()


def test_what_a_terminal_would_obey_is_shown_as_it_is_written(tmp_path, run, monkeypatch, capsys):
    run("1", ["note=\x1b[2J", "other=\u202ex"])
    run("cut\x1b[31m\nred", seed=1, done=())
    (run("spoilt\x1b[31m", seed=2) / "results.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert r"note=\x1b[2J other=\u202ex" in printed.out
    assert r"cut\x1b[31m\nred: not finished" in printed.out
    assert r"spoilt\x1b[31m/results.json: damaged" in printed.err
