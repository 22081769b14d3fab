"""Checkpoints and run folders that a run cannot go on from."""

import shutil

import pytest
import torch
from mistakes import cut, refused

from mdseg.run import resume
from mdseg.runs.records import read_record
from mdseg.runs.trained import load_all, load_trained


@pytest.fixture
def unfinished(trained_run, tmp_path):
    """A copy of a finished run of UniSeg whose last stage has all its steps but is not done."""
    folder = shutil.copytree(trained_run, tmp_path / "run")
    (folder / "class_relational/done").unlink()
    return folder


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


def truncate(path):
    cut(path)
    return "is not a readable checkpoint (damaged or no checkpoint at all"


def malicious(path):
    torch.save({"state_dict": Malicious()}, path)
    return "is not a readable checkpoint (it holds more than tensors and plain values, which could run any code)"


def foreign(path):
    torch.save({"weight": torch.ones(2)}, path)
    return "is no checkpoint of mdseg: it lacks SegmentationDataModule, label_space, networks, state_dict"


def another_space(path):
    saved = torch.load(path, weights_only=True)
    saved["label_space"]["names"][0] = "zebra"
    torch.save(saved, path)
    return "was trained with 28 classes, this run has 28; they differ in ["


def another_network(path):
    saved = torch.load(path, weights_only=True)
    del saved["state_dict"]["model.head.weight"]
    torch.save(saved, path)
    return "holds another network than this run's model: it lacks head.weight"


def not_finite(path):
    saved = torch.load(path, weights_only=True)
    name = next(name for name in saved["state_dict"] if name.endswith("running_var"))
    saved["state_dict"][name][0] = torch.inf
    torch.save(saved, path)
    return "has weights that are not finite, in 1 of "


@pytest.mark.parametrize("stage", ["null_bce", "class_relational"], ids=["from", "resume"])
@pytest.mark.parametrize("spoil", [truncate, malicious, foreign, another_space, another_network, not_finite])
def test_checkpoints_that_cannot_be_continued_from_are_named(unfinished, stage, spoil, capsys):
    path = unfinished / stage / "checkpoints/last.ckpt"
    message = spoil(path)
    if stage == "null_bce":  # what a stage starts from is not needed once it has trained
        (unfinished / "class_relational/checkpoints/last.ckpt").unlink()
    before = sorted(unfinished.rglob("*"))
    with refused(f"{stage}/checkpoints/last.ckpt {message}"):
        resume(unfinished)
    assert "executed" not in capsys.readouterr().out
    assert sorted(unfinished.rglob("*")) == before


@pytest.mark.parametrize("target", ["os.makedirs", "mdseg.run.os.makedirs", "mdseg.models.small.torch.os.makedirs"])
@pytest.mark.parametrize("place", ["model", "data"])
def test_a_checkpoint_whose_configuration_calls_foreign_code_is_refused(trained_run, tmp_path, target, place):
    saved = torch.load(trained_run / "null_bce/checkpoints/last.ckpt", weights_only=True)
    saved["config"][place]["widths"] = [{"_target_": target, "name": str(tmp_path / "made")}]
    torch.save(saved, tmp_path / "last.ckpt")
    with refused(f"last.ckpt: its configuration names {target} to be called"):
        load_trained(tmp_path / "last.ckpt")
    assert not (tmp_path / "made").exists()


def test_a_checkpoint_whose_configuration_refers_to_foreign_code_is_refused(trained_run, tmp_path):
    saved = torch.load(trained_run / "null_bce/checkpoints/last.ckpt", weights_only=True)
    saved["config"] |= {"elsewhere": {"_target_": "os.makedirs", "name": str(tmp_path / "made")}}
    saved["config"]["model"]["widths"] = "${elsewhere}"
    torch.save(saved, tmp_path / "last.ckpt")
    with refused("last.ckpt: its configuration names ${elsewhere} to be called"):
        load_trained(tmp_path / "last.ckpt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda saved: saved.update(config=None), "it lacks config.align_corners, config.data, config.datasets"),
        (lambda saved: saved["config"].pop("streams"), "it lacks config.streams"),
        (lambda saved: saved.pop("views"), "it lacks views"),
        (lambda saved: saved.update(networks=[1]), "or of another version of mdseg: what it says of itself"),
        (lambda saved: saved["views"]["all"].pop("label_space"), "cannot be read (KeyError: 'label_space')"),
        (lambda saved: saved["views"].update(all=3), "cannot be read (TypeError: "),
        (lambda saved: saved.update(SegmentationDataModule={}), "cannot be read (KeyError: 'step')"),
        (lambda saved: saved["SegmentationDataModule"].update(step="3"), "step: expected a whole number, got '3'"),
        (lambda saved: saved["config"].update(datasets=None), "config.datasets: expected keys with values, got null"),
        (
            lambda saved: saved["config"].update(evaluation=None),
            "config.evaluation: expected keys with values",
        ),
        (
            lambda saved: saved["config"].update(evaluate={"seen": "bdd"}),
            "config.evaluate.seen: expected a list",
        ),
        (lambda saved: saved["config"].update(name=5), "config.name: expected text, got 5"),
        (lambda saved: saved["config"]["model"].update(widths="8"), "small: widths: expected a list of whole numbers"),
        (lambda saved: saved["config"]["model"].update(_target_="mdseg.models.small.smal"), "there is no smal in"),
        (
            lambda saved: saved["views"]["all"]["label_space"]["names"].__setitem__(0, "a\x1b[31m"),
            "a control character",
        ),
    ],
)
def test_checkpoints_that_say_something_else_of_themselves_are_named(trained_run, tmp_path, change, said):
    saved = torch.load(trained_run / "null_bce/checkpoints/last.ckpt", weights_only=True)
    change(saved)
    torch.save(saved, tmp_path / "last.ckpt")
    with refused(f"{tmp_path / 'last.ckpt'}", said):
        load_trained(tmp_path / "last.ckpt")


@pytest.mark.parametrize("text", ["stages: !!python/name:os.getcwd", "stages: 3", "[1]", "", "stages: [[]]"])
def test_a_run_folder_whose_configuration_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with refused(str(tmp_path / "config.yaml")):
        load_trained(tmp_path)


def test_of_several_models_those_that_can_be_read_are(trained_run, tmp_path, capsys):
    broken = tmp_path / "last.ckpt"
    broken.write_bytes(b"half of it")
    found, problems = load_all([trained_run / "null_bce", broken])
    assert [trained.stage for trained in found] == ["null_bce"]
    (problem,) = problems
    assert capsys.readouterr().err == f"mdseg: left out: {problem}\n"
    assert problem.startswith(f"{broken} is not a readable checkpoint")
    with refused("last.ckpt is not a readable checkpoint"):
        load_all([broken])


def test_a_resume_of_what_is_no_run_says_which_run_is_meant(unfinished, tmp_path):
    with refused("resume=", "nowhere: no such folder"):
        resume(tmp_path / "nowhere")
    with refused(f"it holds 1 runs; continue one of them, such as the newest: resume={unfinished}"):
        resume(tmp_path)
    with refused(f"it is a part of a run; continue that one: resume={unfinished}"):
        resume(unfinished / "null_bce")
    (tmp_path / "empty").mkdir()
    with refused("no run there"):
        resume(tmp_path / "empty")


def test_a_finished_run_is_resumed_without_work_and_shows_its_results_again(trained_run, tmp_path, capsys):
    folder = shutil.copytree(trained_run, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    resume(folder)
    assert "class_relational: done before" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"seed: 0\nstages: [fit]\nseed: 1\n", ", line 3: not readable YAML: key 'seed' twice"),
        (b"stages: !!python/object/apply:os.getcwd []", ", line 1: not readable YAML: could not determine"),
        (b"stages: " + b"[" * 3000, ": damaged, or no YAML at all (more than 50 levels)"),
        (b"log_every: 010", ", line 1: not readable YAML: 010 would be read as 8"),
        (b"\x89PNG\r\n", ": expected text in UTF-8, found other bytes"),
        (b"", ": expected YAML, found an empty file"),
        (b"- a\n- b\n", ", keys with values, found ['a', 'b']"),
    ],
    ids=["key twice", "tag", "deep", "number", "binary", "empty", "list"],
)
def test_a_configuration_that_cannot_be_read_is_named_in_the_same_words_by_all(tmp_path, content, said):
    (tmp_path / "config.yaml").write_bytes(content)
    (tmp_path / "command.txt").touch()
    for read in (resume, load_trained, read_record):
        with refused(f"{tmp_path / 'config.yaml'}", said):
            read(tmp_path)


@pytest.mark.parametrize(("name", "text"), [("config.yaml", "a: [1"), ("results.json", '{"stages"')])
def test_damaged_files_of_a_run_are_named(unfinished, name, text):
    (unfinished / name).write_text(text)
    with refused(str(unfinished / name)):
        resume(unfinished)
