import json

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


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no results.json below it"):
        summary_table(tmp_path)
