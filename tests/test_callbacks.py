from types import SimpleNamespace

import pytest
import torch
from smoke import SMOKE, command

from mdseg.callbacks import Finite, SaveBest
from mdseg.signals import Stopped, StopSignals


class Recorder:
    """Stands for a trainer: remembers what it was asked to save."""

    def __init__(self):
        self.saved = 0

    def save_checkpoint(self, path, weights_only):
        self.saved += 1


def evaluated(seen, unseen, trained):
    """Stands for a method: two evaluated datasets."""
    means = {"seen": torch.tensor(seen), "unseen": torch.tensor(unseen)}
    return SimpleNamespace(mean_miou=means.get, trained=trained)


def test_the_best_weights_are_those_with_the_highest_seen_miou(tmp_path):
    best, trainer = SaveBest(tmp_path / "best.ckpt"), Recorder()
    for step, (seen, unseen) in enumerate([(0.2, 0.1), (0.4, 0.1), (0.3, 0.9)]):
        best.on_validation_end(trainer, evaluated(seen, unseen, step))
    assert trainer.saved == 2
    assert best.state_dict() == {"miou": pytest.approx(0.4), "step": 1}


def test_a_resumed_best_is_never_replaced_by_a_worse_one(tmp_path):
    best, trainer = SaveBest(tmp_path / "best.ckpt"), Recorder()
    best.load_state_dict({"miou": 0.5, "step": 10})
    best.on_validation_end(trainer, evaluated(0.4, 0.1, 20))
    assert trainer.saved == 0
    best.on_validation_end(trainer, evaluated(0.6, 0.1, 30))
    best.load_state_dict({"miou": 0.5, "step": 10})
    assert best.step == 30


def test_a_signal_outside_a_step_stops_at_once_and_inside_it_waits():
    stop = StopSignals()
    stop.stepping = True
    with stop:
        stop._receive(15, None)
        assert stop.received == 15
    stop.stepping = False
    with pytest.raises(Stopped) as stopped, stop:
        stop._receive(2, None)
    assert stopped.value.code == 130


FIT = ["experiment=uniseg_cib", *SMOKE, "stages=[null_bce]", "stage.null_bce.steps=5"]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_term_step_and_images(tmp_path):
    stopped = command(tmp_path, *FIT, "stage.null_bce.optimizer.lr=1e30", "checkpoint_every=1")
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    assert "stage null_bce: train/supervised is nan at step 1." in stopped.stderr
    assert "Its batch: bdd " in stopped.stderr
    assert "a lower stage.null_bce.optimizer.lr (now 1e+30)" in stopped.stderr
    (last,) = tmp_path.glob("runs/*/*/null_bce/checkpoints/last.ckpt")
    assert f"is kept ({last})" in stopped.stderr
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())
    assert not list(tmp_path.glob("runs/*/*/null_bce/figures/*")), "nothing was evaluated"


@pytest.fixture
def guard():
    """A guard over a stream whose images are named after their step."""
    images = SimpleNamespace(trainer=SimpleNamespace(world_size=1), samples_at=lambda step: [("idd", f"image {step}")])
    return Finite("fit", images, every=4, advice=lambda: "lower it")


ALONE = SimpleNamespace(world_size=1, is_global_zero=True)


def test_no_checkpoint_is_made_of_weights_that_are_not_finite(guard):
    module = torch.nn.Linear(1, 1)
    module.device, module.terms = torch.device("cpu"), {"train/supervised": torch.tensor(1.0)}
    guard.on_train_batch_end(ALONE, module, {"loss": torch.tensor(1.0)}, None, 0)
    guard.on_save_checkpoint(ALONE, module, {})
    torch.nn.init.constant_(module.bias, torch.inf)
    with pytest.raises(
        ValueError, match=r"after the update of step 0 weights are not finite \(bias\).\nIts batch: idd"
    ):
        guard.on_save_checkpoint(ALONE, module, {})


def test_on_a_gpu_losses_are_looked_at_rarely_and_the_first_bad_step_is_named(guard):
    module = SimpleNamespace(device=torch.device("cuda"))
    losses = [(1.0, 2.0), (1.0, torch.inf), (torch.nan, torch.nan)]
    for step, (supervised, target) in enumerate(losses):
        module.terms = {"train/supervised": torch.tensor(supervised), "train/target": torch.tensor(target)}
        guard.on_train_batch_end(ALONE, module, {"loss": torch.tensor(supervised + target)}, None, step)
    with pytest.raises(ValueError, match=r"train/target is inf at step 1\.\nIts batch: idd image 1\.\nlower it"):
        guard.on_train_batch_end(ALONE, module, {"loss": torch.tensor(1.0)}, None, 3)


def test_a_loss_that_was_not_logged_is_guarded_too(guard):
    module = SimpleNamespace(device=torch.device("cpu"), terms={})
    with pytest.raises(ValueError, match="the loss is nan at step 7"):
        guard.on_train_batch_end(ALONE, module, {"loss": torch.tensor(torch.nan)}, None, 7)


def test_a_share_of_nothing_beside_a_finite_loss_goes_on(guard):
    module = SimpleNamespace(device=torch.device("cpu"), terms={"train/share": torch.tensor(torch.nan)})
    guard.on_train_batch_end(ALONE, module, {"loss": torch.tensor(1.0)}, None, 0)
