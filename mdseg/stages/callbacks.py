"""What happens around a training step: saving, stopping, timing, pictures."""

import math
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.trainer.states import TrainerFn

from mdseg.data.datamodule import SegmentationDataModule, count_images
from mdseg.evaluation.panels import Panels
from mdseg.methods.base import Method
from mdseg.runs.dashboard import Dashboard
from mdseg.system.ranks import lost_another_process
from mdseg.system.signals import StopSignals


class Save(Callback):
    """Writes `last.ckpt`: every so many steps, before a validation, after the last step, and when told to stop."""

    def __init__(self, path: Path, every: int, steps: int, val_every: int, stop: StopSignals) -> None:
        self.path, self.every, self.steps, self.val_every, self.stop = path, every, steps, val_every, stop

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        launcher = trainer.strategy.launcher
        self.stop.stepping = True
        self.stop.listen(None if launcher is None else launcher.kill)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Method, outputs: Any, batch: Any, step: int) -> None:
        trained = step + 1
        stop = self._told_to_stop(trainer)
        if stop or trained == self.steps or trained % self.every == 0 or trained % self.val_every == 0:
            trainer.save_checkpoint(self.path, weights_only=False)
        if stop:
            trainer._logger_connector.update_train_step_metrics()  # which Lightning would do next
            self.stop.leave(f"stopped after step {trained} of {self.steps}")

    def _told_to_stop(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return self.stop.told()
        return trainer.strategy.reduce_boolean_decision(self.stop.told(), all=False)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._pause(trainer)  # saved just before: nothing to wait for

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self._pause(trainer)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.stop.stepping = trainer.state.fn == TrainerFn.FITTING

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._pause(trainer)

    def _pause(self, trainer: pl.Trainer) -> None:
        self.stop.stepping = False
        if self.stop.told(trainer.world_size):
            self.stop.leave("stopped")

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self.stop.stepping = False


class SaveBest(Callback):
    """Keeps the weights with the highest mean seen mIoU as `best.ckpt`; only reported, never the headline.

    Of the highest mean target mIoU only value and step are noted. Official adaptation code keeps those weights, but
    whoever has an unlabelled target has no labels to choose them by.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.miou, self.step = path, -1.0, 0
        self.target_miou, self.target_step = -1.0, 0

    def on_validation_end(self, trainer: pl.Trainer, module: Method) -> None:
        if (miou := module.mean_miou("seen").item()) > self.miou:  # never where no seen dataset is evaluated: nan
            self.miou, self.step = miou, module.trained
            trainer.save_checkpoint(self.path, weights_only=True)
        if (miou := module.mean_miou("target").item()) > self.target_miou:
            self.target_miou, self.target_step = miou, module.trained

    def state_dict(self) -> dict[str, float | int]:
        return {
            "miou": self.miou,
            "step": self.step,
            "target_miou": self.target_miou,
            "target_step": self.target_step,
        }

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        if state["miou"] > self.miou:  # a validation that was repeated on resume counts already
            self.miou, self.step = state["miou"], int(state["step"])
        if state.get("target_miou", -1.0) > self.target_miou:
            self.target_miou, self.target_step = state["target_miou"], int(state["target_step"])

    def results(self) -> dict[str, float | int]:
        """For results.json: of roles that are evaluated."""
        seen = {"step": self.step, "mean_seen_miou": self.miou} if self.miou >= 0 else {}
        target = {"target_step": self.target_step, "mean_target_miou": self.target_miou}
        return seen | (target if self.target_miou >= 0 else {})


class Finite(Callback):
    """Stops the run when the loss is nan or infinite, or the weights are, before a checkpoint is made of them.

    A loss is looked at when a row of the log or a checkpoint is due, not before: looking makes the CPU wait for a GPU.
    On a CPU it is looked at after every step. Terms that are logged beside it (`train/...`) say where it comes from;
    one that is nan while the loss is finite, a share of nothing for example, does not stop the run.

    Args:
        every: steps between rows of the log.
        advice: what the user can do, the end of the message.
    """

    def __init__(self, stage: str, data: SegmentationDataModule, every: int, advice: Callable[[], str]) -> None:
        self.stage, self.data, self.every, self.advice = stage, data, every, advice
        self.unseen: list[tuple[int, torch.Tensor, dict[str, torch.Tensor]]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: Method, outputs: Any, batch: Any, step: int) -> None:
        self.unseen.append((step, loss_of(outputs, module), module.terms))
        self.step = step
        if module.device.type == "cpu" or (step + 1) % self.every == 0:
            self._stop_if(trainer, self._bad_loss())

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Method, checkpoint: dict[str, Any]) -> None:
        self._stop_if(trainer, self._bad_loss() or self._bad_weights(module))

    def _bad_loss(self) -> str | None:
        steps, self.unseen = self.unseen, []
        if not steps:
            return None
        losses = torch.stack([loss.float() for _, loss, _ in steps]).tolist()
        bad = next((number for number, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is None:
            return None
        step, _, terms = steps[bad]
        values = {name: value.item() for name, value in terms.items()}
        named = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        return f"{' and '.join(named) or f'the loss is {losses[bad]}'} at step {step}.\n{self._samples(step)}"

    def _bad_weights(self, module: Method) -> str | None:
        weights = {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
        finite = torch.stack([value.isfinite().all() for value in weights.values()]).tolist()
        bad = [name for name, well in zip(weights, finite, strict=True) if not well]
        if not bad:
            return None
        found = f"after the update of step {self.step} weights are not finite ({bad[0]})"
        return f"{found}.\n{self._samples(self.step)}"

    def _samples(self, step: int) -> str:
        ranks = self.data.trainer.world_size if self.data.trainer is not None else 1
        where = f" (this process's part, of {ranks})" if ranks > 1 else ""
        return f"Its batch{where}: {', '.join(f'{name} {key}' for name, key in self.data.samples_at(step))}."

    def _stop_if(self, trainer: pl.Trainer, problem: str | None) -> None:
        """Stop in all ranks when one has a problem, with its message in the main process."""
        problems = [problem]
        if trainer.world_size > 1:
            if not trainer.strategy.reduce_boolean_decision(problem is not None, all=False):
                return
            problems = [None] * trainer.world_size
            torch.distributed.all_gather_object(problems, problem)
        found = next((problem for problem in problems if problem is not None), None)
        if found is not None and not trainer.is_global_zero:
            raise SystemExit(1)
        if found is not None:
            raise ValueError(f"stage {self.stage}: {found}\n{self.advice()}")


def loss_of(outputs: Any, module: Method) -> torch.Tensor:
    """The loss of a step; of a method that steps its optimisers itself and returns none, the sum of its terms."""
    if isinstance(outputs, Mapping) and "loss" in outputs:
        return outputs["loss"].detach()
    if isinstance(outputs, torch.Tensor):
        return outputs.detach()
    return sum((value.float() for value in module.terms.values()), start=torch.zeros((), device=module.device))


class Timing(Callback):
    """Seconds spent in training steps and images seen, over all the pieces of an interrupted run."""

    def __init__(self) -> None:
        self.seconds, self.images = 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.mark = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, step: int) -> None:
        now = time.perf_counter()
        self.seconds, self.mark = self.seconds + now - self.mark, now
        self.images += count_images(batch) * trainer.world_size

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.mark = time.perf_counter()

    def state_dict(self) -> dict[str, float | int]:
        return {"seconds": self.seconds, "images": self.images}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        self.seconds, self.images = state["seconds"], int(state["images"])


class Bar(RichProgressBar):
    """Lightning's progress bar, named by the stage: there is only one epoch."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage

    def _get_train_description(self, current_epoch: int) -> str:
        return self.stage

    @property
    def validation_description(self) -> str:
        return f"{self.stage}: evaluating"


class Progress(Callback):
    """A line now and then, and after the last step, where there is no bar: in a log file, in a scheduler's output.

    Args:
        every: seconds between lines.
    """

    def __init__(self, stage: str, every: float = 60) -> None:
        self.stage, self.every = stage, every

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.steps, self.mark = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Method, outputs: Any, batch: Any, step: int) -> None:
        self.steps += 1
        seconds, left = time.perf_counter() - self.mark, trainer.num_training_batches - step - 1
        if not trainer.is_global_zero or (seconds < self.every and left > 0):
            return
        terms = [f"{name} {value.item():.4g}" for name, value in module.terms.items()]
        to_go = [f"about {duration(left * seconds / self.steps)} left"] if left else []
        speed = f"{seconds / self.steps:.2g} s/step"
        self._say(f"step {step + 1} of {trainer.num_training_batches}", *terms, speed, *to_go)
        self.steps, self.mark = 0, time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.begun = self.said = time.perf_counter()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int, *args: Any
    ) -> None:
        if trainer.is_global_zero and time.perf_counter() - self.said >= self.every:
            self._say("evaluating", f"batch {index + 1} of {sum(trainer.num_val_batches)}")
            self.said = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:  # no time of training
            self.mark += time.perf_counter() - self.begun

    def _say(self, *parts: str) -> None:
        print(f"{self.stage}: {', '.join(parts)}", flush=True)


class EndAlone(Callback):
    """Lets this process end by itself once it has noticed that another rank failed.

    Lightning's observer of the ranks that it started looks every five seconds and kills the main process as soon as one
    of them has failed, which would cut off what the main process has to say and to write.
    """

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if lost_another_process(exception):
            getattr(trainer.strategy.launcher, "procs", []).clear()


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def peak_memory_mb() -> float:
    """Highest memory so far: of the device if there is a GPU, else resident memory of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Mirror(Callback):
    """Sends what a validation shows to the dashboard: the panels' images and masks, IoU per class, the best so far."""

    def __init__(self, dashboard: Dashboard, panels: Panels, best: SaveBest) -> None:
        self.dashboard, self.panels, self.best = dashboard, panels, best

    def on_validation_end(self, trainer: pl.Trainer, module: Method) -> None:
        for name, rows in self.panels.rows.items():
            pictures = [{"image": row.image, "annotation": row.mask, "prediction": row.prediction} for row in rows]
            self.dashboard.overlays(name, pictures, module.space_of(name).names, module.trained)
        ious = [
            (name, dataset.role, label, None if math.isnan(value) else value)
            for name, dataset in module.evaluated.items()
            for label, value in zip(dataset.table.names, module.iou[name].tolist(), strict=True)
        ]
        self.dashboard.table("val/iou", ("dataset", "role", "class", "iou"), ious, module.trained)
        best = self.best.results()
        self.dashboard.summarize({f"val/best_{key}": best[key] for key in best if key.startswith("mean_")})
