from types import SimpleNamespace

import pytest
import torch

from mdseg.callbacks import SaveBest
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
