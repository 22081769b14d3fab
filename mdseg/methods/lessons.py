"""What self-training makes of a batch, as a picture."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from mdseg.figures import training as figures
from mdseg.methods.base import Method
from mdseg.methods.self_training import SelfTraining
from mdseg.runs.dashboard import Dashboard


class Lessons(Callback):
    """What self-training makes of the first pairs of a batch, before every validation: figures/lessons.png."""

    def __init__(self, path: Path, count: int, steps: int, val_every: int, dashboard: Dashboard) -> None:
        self.path, self.count, self.steps, self.val_every = path, count, steps, val_every
        self.dashboard = dashboard

    def on_train_batch_end(self, trainer: pl.Trainer, module: Method, outputs: Any, batch: Any, step: int) -> None:
        due = step + 1 == self.steps or (step + 1) % self.val_every == 0
        if not due or self.count == 0 or not trainer.is_global_zero or not isinstance(module, SelfTraining):
            return
        lesson, labelled, unlabelled = module.lesson, batch["labelled"], batch[module.unlabelled]
        parts = (
            _pictures(labelled["image"]), labelled["mask"], lesson.pasted, _pictures(unlabelled["image"]),
            lesson.pseudo.label, lesson.pseudo.confidence, _pictures(lesson.mixed.image), lesson.mixed.mask,
            lesson.mixed.weight,
        )  # fmt: skip
        rows = [
            figures.LessonRow(*(part.cpu().numpy() for part in pair))
            for pair in zip(*(part[: self.count] for part in parts), strict=True)
        ]
        title = f"step {step + 1}: half of the classes of a labelled image, pasted onto an unlabelled one"
        figures.save(self.path, figures.lessons(rows, module.space.names, module.space.colors, title))
        self.dashboard.picture("lessons", self.path)


def _pictures(image: torch.Tensor) -> torch.Tensor:
    """Images [n 3 h w] in 0..255 as pictures [n h w 3] of bytes."""
    return image.detach().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
