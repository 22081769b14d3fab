import os
import re
import signal
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.trainer.states import TrainerFn
from smoke import SMOKE, forked
from torch.utils.data import DataLoader

from mdseg.stages.callbacks import EndAlone, Finite, Progress, Save, SaveBest, duration
from mdseg.system.signals import Stopped, StopSignals


class Recorder:
    """Stands for a trainer: remembers what it was asked to save."""

    def __init__(self):
        self.saved = 0

    def save_checkpoint(self, path, weights_only):
        self.saved += 1


def evaluated(seen, unseen, trained, target=float("nan")):
    """Stands for a method: datasets of three roles that are evaluated; nan where there is none."""
    means = {"seen": torch.tensor(seen), "unseen": torch.tensor(unseen), "target": torch.tensor(target)}
    return SimpleNamespace(mean_miou=means.get, trained=trained)


def test_the_best_weights_are_those_with_the_highest_seen_miou(tmp_path):
    best, trainer = SaveBest(tmp_path / "best.ckpt"), Recorder()
    for step, (seen, unseen) in enumerate([(0.2, 0.1), (0.4, 0.1), (0.3, 0.9)]):
        best.on_validation_end(trainer, evaluated(seen, unseen, step))
    assert trainer.saved == 2
    assert best.results() == {"mean_seen_miou": pytest.approx(0.4), "step": 1}


def test_the_highest_target_miou_is_noted_and_no_weights_are_chosen_by_it(tmp_path):
    best, trainer = SaveBest(tmp_path / "best.ckpt"), Recorder()
    for step, target in enumerate([0.2, 0.4, 0.3]):
        best.on_validation_end(trainer, evaluated(float("nan"), float("nan"), step, target))
    assert trainer.saved == 0
    assert best.results() == {"mean_target_miou": pytest.approx(0.4), "target_step": 1}
    resumed = SaveBest(tmp_path / "best.ckpt")
    resumed.load_state_dict(best.state_dict())
    assert resumed.results() == best.results()


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


class Regression(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, step):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SignalWhileLogging(Logger):
    """Sends a signal to its own process while a row of the log is written, after the callbacks of the step."""

    name = version = None

    def __init__(self, step, number):
        super().__init__()
        self.step, self.number = step, number

    def log_metrics(self, metrics, step):
        if step == self.step:
            os.kill(os.getpid(), self.number)

    def log_hyperparams(self, *arguments):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_log_is_written_stops_after_the_next_step(tmp_path, number):
    """pytorch-lightning 2.6.6 ends such a fit with SIGTERMException, a SystemExit with code 0, and nothing saved."""
    stop = StopSignals()
    trainer = pl.Trainer(
        callbacks=[Save(tmp_path / "last.ckpt", 1000, 10, 1000, stop)],
        logger=SignalWhileLogging(3, number),
        log_every_n_steps=1,
        max_epochs=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    with pytest.raises(Stopped) as stopped, stop:
        trainer.fit(Regression(), DataLoader(torch.ones(10, 1)))
    assert (stopped.value.code, stopped.value.what) == (128 + number, "stopped after step 5 of 10")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 5


def test_what_nohup_has_started_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.told()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sigterm_is_handed_on_to_started_processes():
    handed = []
    with StopSignals() as stop:
        stop.stepping = True
        stop.listen(handed.append)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert handed == [signal.SIGTERM]


FIT = ["experiment=uniseg_cib", *SMOKE, "stages=[null_bce]", "stage.null_bce.steps=5"]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_term_step_and_images(tmp_path):
    stopped = forked(tmp_path, *FIT, "stage.null_bce.optimizer.lr=1e30", "checkpoint_every=1")
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


def training(steps):
    """Stands for the trainer of a fit with so many steps."""
    state = SimpleNamespace(fn=TrainerFn.FITTING)
    return SimpleNamespace(is_global_zero=True, num_training_batches=steps, num_val_batches=[7], state=state)


def progress_over(steps, every, first=0):
    """Carry a fit out that needs no time, from a step on."""
    progress, trainer = Progress("null_bce", every), training(steps)
    progress.on_train_start(trainer, None)
    for step in range(first, steps):
        progress.on_train_batch_end(
            trainer, SimpleNamespace(terms={"train/supervised": torch.tensor(1.23456)}), None, None, step
        )


def test_a_log_file_gets_a_line_now_and_then(capsys):
    progress_over(3, every=0)
    first, second, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"null_bce: step 1 of 3, train/supervised 1\.235, \S+ s/step, about 0 s left", first), (
        "how far, how well, how fast and how long still"
    )
    assert "step 2 of 3" in second
    assert last.startswith("null_bce: step 3 of 3, train/supervised 1.235, ")
    assert "left" not in last


def test_a_short_fit_gets_one_line_at_its_end_also_where_it_was_resumed(capsys):
    progress_over(30, every=60, first=20)
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["null_bce: step 30 of 30"]


def test_a_long_evaluation_gets_lines_and_is_no_time_of_training(capsys):
    progress, trainer = Progress("null_bce", every=0), training(3)
    progress.on_train_start(trainer, None)
    before = progress.mark
    progress.on_validation_start(trainer, None)
    progress.on_validation_batch_end(trainer, None, None, None, 4)
    progress.on_validation_end(trainer, None)
    assert capsys.readouterr().out == "null_bce: evaluating, batch 5 of 7\n"
    assert progress.mark > before


@pytest.mark.parametrize(("seconds", "text"), [(40.4, "40 s"), (180, "3 min"), (9000, "2.5 h")])
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_output_that_is_no_terminal_gets_lines_and_no_bars(trained_run, tmp_path):
    run = forked(tmp_path, *FIT, "trainer.enable_progress_bar=true")
    assert run.returncode == 0, run.stderr
    assert "null_bce: step 5 of 5, train/supervised" in run.stdout
    assert "━━━━ 5/5" not in run.stdout
    assert "Epoch" not in run.stdout


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (torch.distributed.DistBackendError("remote process exited"), []),
        (RuntimeError("Connection closed by peer [127.0.0.1]"), []),
        (RuntimeError("out of memory"), ["rank 1"]),
        (KeyboardInterrupt(), ["rank 1"]),
    ],
)
def test_the_main_process_is_not_watched_any_more_once_another_has_failed(error, left):
    launcher = SimpleNamespace(procs=["rank 1"])
    EndAlone().on_exception(SimpleNamespace(strategy=SimpleNamespace(launcher=launcher)), None, error)
    assert launcher.procs == left


def test_a_single_process_has_no_launcher_to_tell():
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    EndAlone().on_exception(trainer, None, RuntimeError("Connection reset by peer"))
