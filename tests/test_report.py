import json
import shlex
import subprocess
import sys

import pytest

from mdseg.evaluation.tables import class_table, results_table
from mdseg.report import summary
from mdseg.runs.records import read_records


def summary_table(folder, width=130):
    """The tables of all runs below a folder."""
    return summary(read_records(folder)[0], width)


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


def row_run(
    folder, row, miou, *overrides, experiment="gta5_cityscapes", scale="demo", beside=None, zero=None, **subsets
):
    """A run that stands for a row of a table, as run.py leaves it.

    Args:
        beside: the networks' mIoUs by their names, where there are several; miou is the first one's.
        zero: mIoU with absent classes as 0; None: none is absent.
    """
    dataset = "synthia" if experiment == "multi_source_synthia" else "cityscapes"

    def evaluation(miou):
        entry = {"role": "target", "miou": miou, "miou_zero": zero or miou, "subsets": subsets, "iou": {}}
        return {"mean_miou": {"target": miou}, "datasets": {dataset: entry}}

    last = evaluation(miou)
    if beside is not None:
        first, *others = beside
        last = {"network": first, **last} | {name: evaluation(beside[name]) for name in others}
    stages = {"source": {"evaluation": evaluation(0.01)}, "adapt": {"evaluation": last}}
    number = len(list(folder.glob("*")))
    run = folder / str(number)
    run.mkdir(parents=True)
    document = {"experiment": experiment, "row": row, "scale": scale, "seed": number, "stages": stages}
    (run / "results.json").write_text(json.dumps(document))
    words = [f"experiment={experiment}", f"row={row}", f"seed={number}", *overrides]
    (run / "command.txt").write_text(shlex.join(["python", "-m", "mdseg.run", *words]))


def cells(table):
    """Words of every line between the rules, by the first one; a row of several lines has the cells of its first."""
    lines = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in table.splitlines() if "│" in line]
    return {line[0]: line[1:] for line in lines}


def headings(table):
    return next([cell.strip() for cell in line.strip("┃ ").split("┃")] for line in table.splitlines() if "┃" in line)


def test_rows_stand_in_the_paper_s_order_beside_its_values(tmp_path):
    for row, miou in (("iw", 0.31), ("source_only", 0.20), ("iw", 0.33), ("minent", 0.25), ("mine", 0.1)):
        row_run(tmp_path, row, miou, tail=miou / 2)
    table = summary_table(tmp_path)
    assert headings(table) == ["row", "runs", "mIoU", "paper", "tail"]
    assert list(cells(table)) == ["source_only", "minent", "iw", "mine"]
    assert cells(table)["iw"] == ["2", "32.0 ± 1.4", "45.2", "16.0 ± 0.7"]
    assert cells(table)["source_only"] == ["1", "20.0", "36.9, 38.6", "10.0"]
    assert cells(table)["mine"] == ["1", "10.0", "", "5.0"]
    assert "gta5_cityscapes, scale=demo: mIoU % on cityscapes" in table
    assert "paper: on real images at full scale" in table


def test_published_subsets_stand_beside_the_subsets(tmp_path):
    row_run(tmp_path, "iw", 0.3, experiment="synthia_cityscapes", synthia16=0.3, synthia13=0.35)
    table = summary_table(tmp_path)
    assert headings(table) == ["row", "runs", "mIoU", "synthia16", "paper", "synthia13", "paper"]
    assert cells(table)["iw"] == ["1", "30.0", "30.0", "40.4", "35.0", "46.9"]


def universal_run(folder, row, *overrides, **stages):
    """A run on two datasets: by stage the mIoU of each dataset that it evaluates."""

    def evaluation(mious):
        datasets = {name: {"role": "seen", "miou": miou, "subsets": {}, "iou": {}} for name, miou in mious.items()}
        return {"mean_miou": {"seen": sum(mious.values()) / len(mious)}, "datasets": datasets}

    number = len(list(folder.glob("*")))
    run = folder / str(number)
    run.mkdir(parents=True)
    document = {"experiment": "universal_cityscapes_camvid", "row": row, "scale": "demo", "seed": number}
    document["stages"] = {name: {"evaluation": evaluation(mious)} for name, mious in stages.items()}
    (run / "results.json").write_text(json.dumps(document))
    words = ["experiment=universal_cityscapes_camvid", f"row={row}", f"seed={number}", *overrides]
    (run / "command.txt").write_text(shlex.join(["python", "-m", "mdseg.run", *words]))


def lines_of(table):
    """Cells of every line between the rules below the headings."""
    return [[cell.strip() for cell in line.strip("│ ").split("│")] for line in table.splitlines() if "│" in line]


def test_of_several_datasets_each_has_a_line_and_the_sum_that_ranks(tmp_path):
    for miou in (0.4, 0.42):
        universal_run(tmp_path, "full", alone={"cityscapes": 0.1}, fit={"cityscapes": miou, "camvid11": 0.5})
    table = summary_table(tmp_path)
    assert headings(table) == ["row", "dataset", "runs", "mIoU", "paper"]
    assert lines_of(table) == [
        ["full", "cityscapes", "2", "41.0 ± 1.4", "44.12"],
        ["full", "camvid11", "2", "50.0 ± 0.0", "53.99"],
        ["full", "sum", "2", "91.0 ± 1.4", "98.11"],
    ]


def test_a_row_with_a_stage_per_dataset_has_the_last_one_of_each(tmp_path):
    stages = {"cityscapes": {"cityscapes": 0.1}, "camvid11": {"camvid11": 0.2}}
    tuned = {"cityscapes_from_camvid11": {"cityscapes": 0.3}, "camvid11_from_cityscapes": {"camvid11": 0.4}}
    universal_run(tmp_path, "fine_tune", "streams.labelled.labelled=50", **stages, **tuned)
    universal_run(tmp_path, "supervised", "streams.labelled.labelled=50", **stages)
    assert lines_of(summary_table(tmp_path)) == [
        ["supervised", "cityscapes", "1", "10.0", "34.42"],
        ["supervised", "camvid11", "1", "20.0", "39.38"],
        ["supervised", "sum", "1", "30.0", "73.8"],
        ["fine_tune", "cityscapes", "1", "30.0", "33.28"],
        ["fine_tune", "camvid11", "1", "40.0", "49.06"],
        ["fine_tune", "sum", "1", "70.0", "82.34"],
    ]


def test_of_several_pairs_that_end_on_a_dataset_the_mean_counts(tmp_path):
    stages = {"cityscapes": {"cityscapes": 0.1}, "camvid11": {"camvid11": 0.2}, "idd": {"idd": 0.2}}
    tuned = {
        "cityscapes_from_camvid11": 0.3,
        "cityscapes_from_idd": 0.5,
        "camvid11_from_idd": 0.4,
        "idd_from_camvid11": 0.1,
    }
    pairs = {stage: {stage.partition("_")[0]: miou} for stage, miou in tuned.items()}
    universal_run(tmp_path, "fine_tune", **stages, **pairs)
    assert {cells[1]: cells[3] for cells in lines_of(summary_table(tmp_path))} == {
        "cityscapes": "40.0",
        "camvid11": "40.0",
        "idd": "10.0",
        "sum": "90.0",
    }


def test_student_and_teacher_have_a_line_each_and_the_paper_one(tmp_path):
    row_run(tmp_path, "dacs", 0.3, beside={"student": 0.3, "teacher": 0.32})
    row_run(tmp_path, "dacs", 0.4, beside={"student": 0.4, "teacher": 0.36})
    table = summary_table(tmp_path)
    lines = [line for line in table.splitlines() if "dacs" in line]
    assert headings(table) == ["row", "network", "runs", "mIoU", "paper"]
    assert [line.split("│")[2:6] for line in lines] == [
        [" student ", "    2 ", " 35.0 ± 7.1 ", "  52.1 "],
        [" teacher ", "    2 ", " 34.0 ± 2.8 ", "       "],
    ]


def test_settings_of_a_row_are_told_apart_and_given_their_own_published_values(tmp_path):
    row_run(tmp_path, "st", 0.4, "streams.labelled.labelled=1/16", experiment="cityscapes_semi")
    row_run(tmp_path, "st", 0.5, "streams.labelled.labelled=1/8", "trainer=gpu", experiment="cityscapes_semi")
    lines = [line for line in summary_table(tmp_path).splitlines() if "│ st" in line]
    assert "labelled=1/16" in lines[0]
    assert lines[0].split("│")[5].strip() == "68.21"
    assert lines[1].split("│")[5].strip() == "72.01"


@pytest.mark.parametrize("key", ["stage.adapt.from", "from", "stage.adapt.from.embeddings", "+stage.adapt.from.model"])
def test_runs_from_weights_of_their_own_are_one_setting_that_says_so(tmp_path, key):
    for seed in range(2):
        row_run(tmp_path, "iw", 0.4, "stages=[adapt]", f"{key}=/runs/{seed}/source")
    row_run(tmp_path, "source_only", 0.3)
    assert cells(summary_table(tmp_path))["iw"][:3] == [f"stages=[adapt] {key}=...", "2", "40.0 ± 0.0"]


def test_what_all_runs_of_a_table_share_is_said_once(tmp_path):
    for row, alpha in (("maxsquare", []), ("iw", ["loss.target.alpha=0.5"])):
        row_run(tmp_path, row, 0.4, "data.height=96", *alpha)
    table = summary_table(tmp_path)
    assert "all with data.height=96" in table
    assert cells(table)["iw"][0] == "loss.target.alpha=0.5"
    assert cells(table)["maxsquare"][0] == ""


def test_values_of_another_network_are_marked(tmp_path):
    row_run(tmp_path, "daformer_blv", 0.4)
    table = summary_table(tmp_path)
    assert cells(table)["daformer_blv"] == ["1", "40.0", "59.0, 69.6*"]
    assert "*: of another network, DAFormer on MiT-B5" in table


def test_scales_and_experiments_have_tables_of_their_own_and_other_runs_the_usual_one(tmp_path):
    row_run(tmp_path, "maxsquare", 0.3)
    row_run(tmp_path, "maxsquare", 0.4, scale="paper")
    row_run(tmp_path, "maxsquare", 0.4, experiment="of_my_own")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text(json.dumps(results()))
    table = summary_table(tmp_path)
    titles = ["gta5_cityscapes, scale=demo", "gta5_cityscapes, scale=paper", "of_my_own, scale=demo", "mean mIoU %"]
    assert [table.index(title) for title in titles] == sorted(table.index(title) for title in titles)
    assert "paper" not in table[table.index("of_my_own") :]


def test_a_run_without_a_finished_stage_has_no_line(tmp_path):
    row_run(tmp_path, "maxsquare", 0.3)
    (tmp_path / "begun").mkdir()
    begun = {"experiment": "gta5_cityscapes", "row": "iw", "scale": "demo", "seed": 0, "stages": {}}
    (tmp_path / "begun" / "results.json").write_text(json.dumps(begun))
    assert list(cells(summary_table(tmp_path))) == ["maxsquare"]
    begun["scale"] = "medium"
    (tmp_path / "begun" / "results.json").write_text(json.dumps(begun))
    assert "medium" not in summary_table(tmp_path)


def test_runs_with_names_of_their_own_are_rows_of_their_experiment_s_table(tmp_path):
    for name in ("one", "two"):
        row_run(tmp_path, "maxsquare", 0.3, f"name={name}")
        results = tmp_path / str(len(list(tmp_path.iterdir())) - 1) / "results.json"
        results.write_text(json.dumps({**json.loads(results.read_text()), "experiment": name}))
    assert cells(summary_table(tmp_path))["maxsquare"] == ["2", "30.0 ± 0.0", "44.3"]


def test_of_a_key_that_a_command_has_twice_the_last_value_counts(tmp_path):
    row_run(tmp_path, "maxsquare", 0.3, "steps=1", "steps=2")
    row_run(tmp_path, "maxsquare", 0.3, "steps=2")
    assert cells(summary_table(tmp_path))["maxsquare"][0] == "2"


def test_published_values_of_branches_stand_beside_their_own(tmp_path):
    """Russo et al., ICIAP 2019; over 19 classes of which SYNTHIA has 16."""
    beside = {"max": 0.4, "mean": 0.4, "cityscapes": 0.3, "gta5": 0.2, "s_all": 0.35}
    row_run(tmp_path, "max_merge", 0.4, experiment="multi_source_synthia", zero=0.36, beside=beside)
    table = summary_table(tmp_path)
    assert headings(table) == ["row", "network", "runs", "mIoU", "absent as 0", "paper"]
    lines = [line.split("│") for line in table.splitlines() if line.startswith("│")]
    shown = {cells[2].strip(): (cells[5].strip(), cells[6].strip()) for cells in lines}
    assert shown == {
        "max": ("36.0", "37.52"),
        "mean": ("36.0", ""),
        "cityscapes": ("36.0", "35.25"),
        "gta5": ("36.0", "34.07"),
        "s_all": ("36.0", "36.37"),
    }


@pytest.mark.parametrize(("absent", "zero"), [(True, 0.25), (False, None)])
def test_a_mean_with_absent_classes_as_zero_is_shown_where_some_are(tmp_path, absent, zero):
    row_run(tmp_path, "maxsquare", 0.3, zero=zero)
    run = json.loads((tmp_path / "0" / "results.json").read_text())
    assert ("absent as 0" in results_table(run)) == ("absent as 0" in summary_table(tmp_path)) == absent


def test_subsets_of_a_target_are_printed_after_a_run(tmp_path):
    row_run(tmp_path, "maxsquare", 0.3, tail=0.125, synthia13=None)
    table = results_table(json.loads((tmp_path / "0" / "results.json").read_text()))
    assert cells(table)["tail"][1:] == ["12.5", "12.5"]
    assert cells(table)["synthia13"][1:] == ["undefined", "undefined"]


def test_a_table_of_classes_ends_with_means_of_subsets():
    entry = {"iou": {"road": 0.5, "train": None}, "no_channel": [], "miou": 0.5, "subsets": {"tail": None, "head": 0.5}}
    table = class_table({"evaluation": {"datasets": {"cityscapes": entry}}}, "cityscapes")
    assert cells(table) == {
        "road": ["50.0"],
        "train": ["absent"],
        "mean": ["50.0"],
        "mean of tail": ["undefined"],
        "mean of head": ["50.0"],
    }


def test_lists_and_anything_else_in_brackets_are_shown_as_given(tmp_path):
    table = summary_of(tmp_path, "dataset=[gta5,idd]", "streams.labelled.mixing={gta5:1}", "note=[bold]:car:")
    assert "dataset=[gta5,idd] streams.labelled.mixing={gta5:1} note=[bold]:car:" in table


def test_where_files_lie_and_where_a_run_was_computed_is_no_setting(tmp_path):
    where = ["data.root=/a", "hydra.searchpath=[file://own]", "trainer=gpu", "runs=/b", "logger=wandb", "panels=0"]
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
