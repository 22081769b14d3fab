"""What happens around a training step: saving, stopping, timing, pictures."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from mdseg import figures
from mdseg.methods.base import Method
from mdseg.metrics import restricted_argmax
from mdseg.signals import StopSignals


class Save(Callback):
    """Writes `last.ckpt`: every so many steps, before a validation, after the last step, and when told to stop."""

    def __init__(self, path: Path, every: int, steps: int, val_every: int, stop: StopSignals) -> None:
        self.path, self.every, self.steps, self.val_every, self.stop = path, every, steps, val_every, stop

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.stop.stepping = True

    def on_train_batch_end(self, trainer: pl.Trainer, module: Method, outputs: Any, batch: Any, step: int) -> None:
        trained = step + 1
        stop = self._told_to_stop(trainer)
        if stop or trained == self.steps or trained % self.every == 0 or trained % self.val_every == 0:
            trainer.save_checkpoint(self.path, weights_only=False)
        if stop:
            self.stop.leave(f"stopped after step {trained} of {self.steps}")

    def _told_to_stop(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return self.stop.received is not None
        return trainer.strategy.reduce_boolean_decision(self.stop.received is not None, all=False)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._pause()  # saved just before: nothing to wait for

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.stop.stepping = trainer.state.fn == TrainerFn.FITTING

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._pause()

    def _pause(self) -> None:
        self.stop.stepping = False
        if self.stop.received is not None:
            self.stop.leave("stopped")

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self.stop.stepping = False


class SaveBest(Callback):
    """Keeps the weights with the highest mean seen mIoU as `best.ckpt`; only reported, never the headline."""

    def __init__(self, path: Path) -> None:
        self.path, self.miou, self.step = path, -1.0, 0

    def on_validation_end(self, trainer: pl.Trainer, module: Method) -> None:
        seen = [module.iou[name].nanmean() for name, dataset in module.evaluated.items() if dataset.role == "seen"]
        if seen and (miou := torch.stack(seen).nanmean().item()) > self.miou:
            self.miou, self.step = miou, module.trained
            trainer.save_checkpoint(self.path, weights_only=True)

    def state_dict(self) -> dict[str, float]:
        return {"miou": self.miou, "step": self.step}

    def load_state_dict(self, state: dict[str, float]) -> None:
        if state["miou"] > self.miou:  # a validation that was repeated on resume counts already
            self.miou, self.step = state["miou"], state["step"]


class Timing(Callback):
    """Seconds spent in training steps and images seen, over all the pieces of an interrupted run."""

    def __init__(self) -> None:
        self.seconds, self.images = 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.mark = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, step: int) -> None:
        now = time.perf_counter()
        self.seconds, self.mark = self.seconds + now - self.mark, now
        self.images += sum(len(stream["image"]) for stream in batch.values()) * trainer.world_size

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.mark = time.perf_counter()

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds, "images": self.images}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.seconds, self.images = state["seconds"], state["images"]


def peak_memory_mb() -> float:
    """Highest memory so far: of the device if there is a GPU, else resident memory of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Panels(Callback):
    """Image, truth and prediction of the first images of every evaluated dataset, as one PNG per dataset."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.rows: dict[str, list[figures.PanelRow]] = {}

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.rows = {}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: Method, logits: torch.Tensor, batch: Any, *args: Any
    ) -> None:
        rows = self.rows.setdefault(batch["name"], [])
        chosen = list(range(min(self.count - len(rows), len(batch["image"]))))
        if not chosen:
            return
        space = module.evaluated[batch["name"]].space
        prediction = restricted_argmax(
            logits[chosen], batch["mask"].shape[-2:], space.channels, space.classes, module.align_corners
        )
        for i in chosen:
            image = batch["image"][i].permute(1, 2, 0).cpu().numpy()
            rows.append(figures.PanelRow(image, batch["mask"][i].cpu().numpy(), prediction[i].cpu().numpy()))

    def on_validation_end(self, trainer: pl.Trainer, module: Method) -> None:
        if trainer.is_global_zero and self.count > 0:
            for name, rows in self.rows.items():
                space = module.evaluated[name].space
                miou = module.iou[name].nanmean().item()
                title = f"{name} ({module.evaluated[name].role}), mIoU {100 * miou:.1f} %"
                figures.save(self.folder / f"{name}.png", figures.panels(rows, space.names, space.colors, title))
