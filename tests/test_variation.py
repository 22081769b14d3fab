"""Runs with balancing logit variation: what they count, log and resume."""

import csv

import pytest
import torch
from running import carry_out, new_folder, planned
from smoke import SMOKE

from mdseg.config.building import prepare_data
from mdseg.data.statistics import labelled_counts
from mdseg.methods.uniseg import UniSeg
from mdseg.run import resume

STEPS = 7
SMALL = [
    *SMOKE,
    "experiment=uniseg_cib",
    "evaluate.seen=[bdd]",
    "evaluate.unseen=[]",
    "panels=0",
    "checkpoint_every=2",
    "seed=3",
]
SETTINGS = {
    "null_bce": ["stages=[null_bce]", f"stage.null_bce.steps={STEPS}", "loss.variation.counts.supervised=epoch"],
    "class_relational": [
        "stages=[class_relational]",
        "stage.class_relational.from=null",
        f"stage.class_relational.steps={STEPS}",
        "loss.variation.counts.supervised=running",
    ],
}


def run(composed, folder, *overrides):
    cfg = composed(*SMALL, *overrides, f"runs={folder}")
    made = new_folder(cfg)
    carry_out(cfg, made)
    return made


def state(folder, stage):
    return torch.load(folder / stage / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_that_broke_off_ends_bit_equal_with_counts_and_sigma(composed, tmp_path, monkeypatch, name):
    relations = tmp_path / "relations.yaml"
    relations.write_text("idd: {road: [sidewalk]}\n")
    overrides = ["loss/variation=blv_tv", *SETTINGS[name]]
    overrides.append(f"stage.class_relational.loss.supervised.relations={relations}")
    expected = run(composed, tmp_path / "whole", *overrides)
    whole = UniSeg.training_step

    def breaks(self, batch, step):
        if step == 5:
            raise Killed
        return whole(self, batch, step)

    monkeypatch.setattr(UniSeg, "training_step", breaks)
    with pytest.raises(Killed):
        run(composed, tmp_path / "broken", *overrides)
    monkeypatch.undo()
    (folder,) = (tmp_path / "broken").glob("*/*")
    resume(folder)
    first, second = state(folder, name), state(expected, name)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    observed, labelled = (second[f"supervised.variation.counter.{buffer}"] for buffer in ("observed", "labelled"))
    assert not torch.allclose(observed, labelled / labelled.sum()), "something has been observed"
    with (folder / name / "metrics.csv").open() as file:
        logged = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "blv/sigma"]
    assert logged == pytest.approx([6 * step / 5.25 if step < 5.25 else 6 * (7 - step) / 1.75 for step in range(STEPS)])


def stage_of(composed, tmp_path, *overrides):
    cfg = composed(*SMALL, f"stage.null_bce.steps={STEPS}", "loss/variation=blv", *overrides)
    prepare_data(cfg)
    return planned(cfg, tmp_path).stages["null_bce"]


def test_static_counts_are_the_pixels_of_the_labelled_streams(composed, tmp_path):
    stage = stage_of(composed, tmp_path)
    stage.measure()
    variation = stage.method.supervised.variation
    counts = variation.counter.counts().numpy()
    assert (counts == labelled_counts(stage.data.streams["labelled"].datasets, stage.space)).all()
    assert counts[stage.space.names.index("road")] == counts.max()
    assert variation.sigma == 6
    assert not variation.varies


def test_nothing_is_counted_while_the_configuration_is_checked(composed, monkeypatch):
    def counts(*arguments):
        raise AssertionError("counted")

    monkeypatch.setattr("mdseg.stages.fit.labelled_counts", counts)
    planned(composed(*SMALL, "loss/variation=blv"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.variation.sigma=-1"], "loss.variation.sigma: expected a number of at least 0, got -1"),
        (["+loss.variation.counts.target=static"], "loss.variation.counts: no such loss, 'target'"),
        (["loss.variation.counts_file=mine.yaml"], "mine.yaml does not exist"),
        (["+loss.variation.peak=6"], "has no argument peak"),
    ],
)
def test_mistakes_are_found_before_a_run_folder_is_made(composed, overrides, message):
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        planned(composed(*SMALL, "loss/variation=blv", *overrides))
    assert message in str(refused.value)
