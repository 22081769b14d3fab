"""What self-training makes of a batch, as a picture."""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from mdseg.figures import training
from mdseg.methods.mixing import Mixed


class PseudoLabels(NamedTuple):
    """The most probable class of every pixel, a train id, and its probability."""

    label: UInt8[Tensor, "n H W"]
    confidence: Float[Tensor, "n H W"]


class Lesson(NamedTuple):
    """What a step learns from: the teacher's answers, the pixels pasted, the mixed images."""

    pseudo: PseudoLabels
    pasted: Tensor
    mixed: Mixed


class Lessons(Callback):
    """The first pairs of a batch before every validation: figures/lessons.png.

    Args:
        count: pairs.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, step: int) -> None:
        if not picture_is_due(trainer, step) or trainer.logger is None:
            return
        log: Any = trainer.logger  # the stage's, which takes pictures
        lesson, labelled, unlabelled = module.lesson, batch["labelled"], batch["unlabelled"]
        parts = (
            as_pictures(labelled["image"]), labelled["mask"], lesson.pasted, as_pictures(unlabelled["image"]),
            lesson.pseudo.label, lesson.pseudo.confidence, as_pictures(lesson.mixed.image), lesson.mixed.mask,
            lesson.mixed.weight,
        )  # fmt: skip
        rows = [
            training.LessonRow(*(part.cpu().numpy() for part in pair))
            for pair in zip(*(part[: self.count] for part in parts), strict=True)
        ]
        title = f"step {step + 1}: half of the classes of a labelled image, pasted onto an unlabelled one"
        figure = training.lessons(rows, module.space.names, module.space.colors, title)
        log.picture("lessons", figure)


def picture_is_due(trainer: pl.Trainer, step: int) -> bool:
    """Whether this process draws after this step: the main one, before every validation and at the end."""
    every = trainer.val_check_batch
    due = step + 1 == trainer.num_training_batches or (every is not None and (step + 1) % every == 0)
    return due and trainer.is_global_zero


def as_pictures(image: torch.Tensor) -> torch.Tensor:
    """Images [n 3 h w] in 0..255 as pictures [n h w 3] of bytes."""
    return image.detach().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
