"""Runs of adaptation by a loss on target predictions: stages, sweeps, exact resumes, weights of other runs."""

import json

import pytest
import torch
from running import carry_out, new_folder, planned
from smoke import SMOKE, forked

from mdseg.methods.target_loss import TargetLoss
from mdseg.run import resume

STEPS = 6
SMALL = [*SMOKE, "streams.target.batch_size=2", "experiment=maxsquare_gta5_cityscapes"]
SETTINGS = [
    *SMALL,
    "loss/target=max_square_iw",
    "loss/guidance=self_produced",
    "loss.guidance.threshold=0.05",
    "model.low_head=true",
    f"stage.source.steps={STEPS}",
    f"stage.adapt.steps={STEPS}",
    "val_every=2",
    "checkpoint_every=2",
    "seed=7",
]


def run(composed, folder, *overrides):
    cfg = composed(*SETTINGS, *overrides, f"runs={folder}")
    made = new_folder(cfg)
    carry_out(cfg, made)
    return made


@pytest.fixture(scope="module")
def adapted(composed, tmp_path_factory):
    """Folder of a finished smoke run of MaxSquare+IW+Multi; tests must not write into it."""
    return run(composed, tmp_path_factory.mktemp("adapted"))


def state(folder, stage):
    return torch.load(folder / stage / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def terms(folder, stage):
    lines = (folder / stage / "metrics.csv").read_text().splitlines()[1:]
    return {line.split(",")[1] for line in lines if ",train/" in line}


def test_the_source_stage_knows_nothing_of_the_target(adapted):
    assert terms(adapted, "source") == {"train/supervised", "train/supervised_low"}
    assert terms(adapted, "adapt") == {"train/supervised", "train/supervised_low", "train/target", "train/guidance"}


def test_the_best_target_miou_stands_beside_the_last_one_and_has_no_checkpoint(adapted):
    result = json.loads((adapted / "results.json").read_text())["stages"]["adapt"]
    assert result["best"]["target_step"] in (2, 4, 6)
    assert result["best"]["mean_target_miou"] >= result["evaluation"]["mean_miou"]["target"] - 1e-5
    assert not (adapted / "adapt/checkpoints/best.ckpt").exists()


class Killed(Exception):
    pass


def test_a_run_that_broke_off_in_each_stage_ends_bit_equal(adapted, composed, tmp_path, monkeypatch):
    whole, left = TargetLoss.training_step, {"source", "adapt"}

    def breaks(self, batch, step):
        stage = self.description["stage"]
        if step == 3 and stage in left:
            left.remove(stage)
            raise Killed
        return whole(self, batch, step)

    monkeypatch.setattr(TargetLoss, "training_step", breaks)
    with pytest.raises(Killed):
        run(composed, tmp_path)
    (folder,) = tmp_path.glob("*/*")
    with pytest.raises(Killed):
        resume(folder)
    resume(folder)
    for name in ("source", "adapt"):
        assert same(state(folder, name), state(adapted, name))


def test_a_sweep_over_target_losses_trains_each_from_the_same_source(tmp_path):
    steps = ["stage.source.steps=2", "stage.adapt.steps=2"]
    losses = "loss/target=none,max_square_iw"
    done = forked(tmp_path, "-m", *SMALL, *steps, losses)
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "runs/maxsquare_gta5_cityscapes").iterdir())
    sources, weights = ([state(folder, stage)["model.head.weight"] for folder in runs] for stage in ("source", "adapt"))
    assert torch.equal(*sources)
    assert not torch.equal(*weights)


@pytest.mark.parametrize("origin", ["", "source", "source/checkpoints/last.ckpt"], ids=["run", "stage", "checkpoint"])
def test_a_stage_starts_from_the_weights_of_another_run(adapted, composed, monkeypatch, origin):
    """A run folder stands for its last stage; a relative path holds when the run is resumed from elsewhere."""
    monkeypatch.chdir(adapted)
    cfg = composed(*SETTINGS, "stages=[adapt]", f"stage.adapt.from=./{origin}")
    monkeypatch.undo()
    model = planned(cfg).stages["adapt"].method.model
    weights = state(adapted, "source" if origin else "adapt")
    assert all(torch.equal(value, weights[f"model.{name}"]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["stage.adapt.from=nowhere"],
            r"from=nowhere is none of the stages before it \(none\), and there is no such run",
        ),
        (["stage.adapt.from=source"], r"starts from stage source, which is not in stages=\['adapt'\]; add it, or name"),
        (["stage.adapt.from=@/figures"], r"stage adapt: from=.*figures is no run folder"),
        (["stage.adapt.from=@/source", "label_space=union"], r"last\.ckpt was trained with 19 classes, this run has"),
        (["stage.adapt.from=@/source", "model.head=linear"], r"\(model\.head was cosine there and is linear here\)"),
        (
            ["stage.adapt.from=@/source", "model.low_head=false", "loss/guidance=none"],
            r"only it has low_head.* \(model\.low_head was True there and is False here\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_with_what_differs(adapted, composed, overrides, message):
    (adapted / "figures").mkdir(exist_ok=True)
    overrides = [override.replace("@", str(adapted)) for override in overrides]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        planned(composed(*[given for given in SETTINGS if "threshold" not in given], "stages=[adapt]", *overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*SMALL, "loss/guidance=self_produced"], r"model\.low_head=true, or loss/guidance=none"),
        ([*SMALL, "streams.target=null"], "TargetLoss needs a target stream; streams has labelled \\(labelled\\)"),
        ([*SMALL, "loss.target.normalisation=offical"], "offical"),
        ([*SMALL, "+loss.target.alpha=0.2"], "max_square has no argument alpha"),
        ([*SMALL, "loss/target=none", "+loss.target.alpha=0.2"], "loss.target: expected a class or function"),
        ([*SMALL, "method.weight=-1"], "method.weight: expected at least 0, got -1"),
        (
            ["experiment=uniseg_cib", *SMOKE, "loss/target=entropy"],
            "UniSeg has no use for loss/target; set loss/target=none",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_first_stage(composed, overrides, message):
    with pytest.raises(ValueError, match=message):
        planned(composed(*overrides))
