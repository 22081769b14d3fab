import json
import shlex
import subprocess
import sys

import pytest

from mdseg.report import results_table, summary_table


def results(seed=0, seen=0.5, unseen=0.25, **stages):
    evaluation = {
        "mean_miou": {"seen": seen, "unseen": unseen},
        "datasets": {"a": {"role": "seen", "miou": seen}, "b": {"role": "unseen", "miou": unseen}},
    }
    return {"experiment": "x", "scale": "demo", "seed": seed, "stages": {"fit": {"evaluation": evaluation}, **stages}}


def relations(**truth):
    return {"num_found": 4, "tau": -0.08, "score": "cosine", "found": {}, "against_truth": {"min_pixels": 9, **truth}}


def test_percentages_are_printed_per_dataset_and_role():
    table = results_table(results())
    assert "50.0" in table
    assert "25.0" in table
    assert "mean" in table


def test_relations_are_compared_with_the_truth():
    stage = relations(found=4, true=2, right=1, precision=0.25, recall=0.5)
    table = results_table(results(relations=stage))
    assert "precision 0.25 (1/4), recall 0.50 (1/2)" in table


def test_undefined_precision_is_said_so():
    table = results_table(results(relations=relations(found=0, true=0, right=0, precision=None, recall=None)))
    assert "precision undefined (0/0)" in table


def test_runs_are_averaged_over_seeds_and_told_apart_by_their_overrides(tmp_path):
    for name, override, seed, unseen in (("1", "ce", 0, 0.2), ("2", "ce", 1, 0.3), ("3", "null_bce", 0, 0.4)):
        run = tmp_path / "x" / name
        run.mkdir(parents=True)
        (run / "results.json").write_text(json.dumps(results(seed, unseen=unseen)))
        (run / "command.txt").write_text(f"python -m mdseg.run experiment=x loss/supervised={override} seed={seed}\n")
    table = summary_table(tmp_path)
    assert "25.0 ± 7.1" in table
    assert "40.0" in table
    assert "loss/supervised=null_bce" in table
    assert "seed=" not in table


def summary_of(folder, *overrides):
    """The table over one run with these overrides."""
    (folder / "results.json").write_text(json.dumps(results()))
    (folder / "command.txt").write_text(shlex.join(["python", "-m", "mdseg.run", "experiment=x", *overrides]))
    return summary_table(folder, width=200)


def test_lists_and_anything_else_in_brackets_are_shown_as_given(tmp_path):
    table = summary_of(tmp_path, "dataset=[gta5,idd]", "streams.labelled.mixing={gta5:1}", "name=[bold]:car:")
    assert "dataset=[gta5,idd] streams.labelled.mixing={gta5:1} name=[bold]:car:" in table


def test_where_files_lie_and_where_a_run_was_computed_is_no_setting(tmp_path):
    where = ["data.root=/a", "hydra.searchpath=[file://own]", "trainer=gpu", "runs=/b", "logger=wandb"]
    assert "=" not in summary_of(tmp_path, *where)


def test_the_title_of_a_small_table_is_one_line():
    first = results_table(results()).splitlines()[0]
    assert first == "x: mIoU % (classes present), seed 0"


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 1), (["--what"], 1), (["a", "b"], 1)])
def test_asking_for_help_is_no_mistake(arguments, code):
    asked = subprocess.run([sys.executable, "-m", "mdseg.report", *arguments], capture_output=True, text=True)
    assert asked.returncode == code
    assert "python -m mdseg.report runs/" in asked.stdout + asked.stderr


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no results.json below it"):
        summary_table(tmp_path)
