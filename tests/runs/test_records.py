"""Files of run folders that are damaged, foreign or half-written: one message with the file, what was expected, what
came."""

import json
import os

import pytest

from mdseg.runs.records import read_record, read_results

ENTRY = {"role": "seen", "miou": 0.5, "miou_zero": 0.4, "subsets": {"tail": None}, "iou": {"road": 0.5, "sky": None}}
EVALUATION = {"mean_miou": {"seen": 0.5}, "datasets": {"a": ENTRY}}


def results(**changes):
    document = {"experiment": "x", "row": None, "scale": "demo", "seed": 0, "stages": {"fit": {}}}
    return document | changes


def evaluated(**changes):
    return results(stages={"fit": {"evaluation": EVALUATION | changes}})


def entry(**changes):
    return evaluated(datasets={"a": ENTRY | changes})


def test_what_a_newer_version_adds_is_left_alone(tmp_path):
    document = evaluated(uncertainty=3, teacher={**EVALUATION, "more": []}, network="student") | {"commit": "abc"}
    document["stages"]["later"] = {"new": [1]}
    (tmp_path / "results.json").write_text(json.dumps(document))
    assert read_results(tmp_path / "results.json") == document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected JSON, found an empty file"),
        (b"\xff\xfe{", "expected text in UTF-8, found other bytes (from byte 0 on)"),
        (b'{"stages": {"fit"', "damaged, or no JSON at all"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"seed": NaN}', "NaN is no number"),
        ([1, 2], "results of a run: expected names with values, got [1, 2]"),
        (results(seed="0"), "seed: expected a whole number, got '0'"),
        (results(seed=True), "seed: expected a whole number, got True"),
        (results(experiment=None), "experiment: expected a text without control characters, got nothing"),
        (results(experiment="\ud800"), "experiment: expected a text without control characters, got '\\ud800'"),
        (results(row=3), "row: expected a text"),
        (results(stages=["fit"]), "stages: expected names with values, got ['fit']"),
        (results(stages={"../fit": {}}), "stages: expected names as folders have them, got '../fit'"),
        (results(stages={"fit": 3}), "stages.fit: expected names with values, got 3"),
        (evaluated(mean_miou={"seen": "0.5"}), "evaluation.mean_miou.seen: expected a number from 0 to 1, got '0.5'"),
        (evaluated(mean_miou=[0.5]), "evaluation.mean_miou: expected names with values, got [0.5]"),
        (evaluated(datasets=None), "evaluation.datasets: expected names with values, got nothing"),
        (entry(miou=55.0), "datasets.a.miou: expected a number from 0 to 1 or null, got 55.0"),
        (entry(role=1), "datasets.a.role: expected a text"),
        (entry(iou={"road": "high"}), "datasets.a.iou.road: expected a number from 0 to 1 or null, got 'high'"),
        (evaluated(teacher={"datasets": 3}), "evaluation.teacher.mean_miou: expected names with values, got nothing"),
        (
            results(stages={"r": {"found": {}, "num_found": "4"}}),
            "stages.r.num_found: expected a whole number, got '4'",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_results_that_are_none_are_named_with_what_was_expected(tmp_path, content, said):
    path = tmp_path / "results.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ValueError, match=r"\S") as refused:
        read_results(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages: [fit\n", "line 2: not readable YAML"),
        ("stages: !!python/object/apply:os.getcwd []", "line 1: not readable YAML"),
        ("- fit", "expected the configuration of a run, keys with values, found ['fit']"),
        ("1: 2\nstages: [fit]", "a key: expected a text without control characters, got 1"),
        ("stages: fit", "stages: expected a list of names, got 'fit'"),
        ("stages: []", "stages: expected a list of names, got []"),
        ("stages: [1]", "stages: expected a text without control characters, got 1"),
        ("stages: [/etc]", "stages: expected names as folders have them, got '/etc'"),
        ("seed: 0\nstages: [fit]\nseed: 1", "line 3: not readable YAML: key 'seed' twice"),
        ("a: &a [1]\nb: &b {c: *a, d: *b}\nstages: [fit]", "more than 50 levels"),
        ("a: !!timestamp x", "damaged, or no YAML at all"),
    ],
)
def test_a_configuration_that_is_none_is_named_with_what_was_expected(tmp_path, text, said):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"\S") as refused:
        read_record(tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "config.yaml"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("python -m mdseg.run 'experiment=x", "no command that a shell would read (No closing quotation)"),
        ("make run", "expected the command of a run, python -m mdseg.run ..., found ['make', 'run']"),
        ("", "expected the command of a run"),
    ],
)
def test_a_command_that_is_none_is_named(tmp_path, text, said):
    (tmp_path / "command.txt").write_text(text)
    with pytest.raises(ValueError, match=r"\S") as refused:
        read_record(tmp_path)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["results.json", "config.yaml", "command.txt"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: expected a file, found a pipe or a device"):
        read_record(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"{name}: expected a file, found a folder"):
        read_record(tmp_path)


def test_a_byte_order_mark_is_no_damage(tmp_path):
    (tmp_path / "results.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(results()).encode())
    assert read_results(tmp_path / "results.json") == results()
