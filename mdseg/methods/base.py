"""What every method shares: evaluation, seeding, optimiser, the label space in the checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mdseg.label_space import IGNORE, EvaluationSpace, LabelSpace
from mdseg.metrics import ConfusionMatrix, iou

Batch = dict[str, dict[str, Any]]
SupervisedLoss = Callable[..., Tensor]


@dataclass(frozen=True)
class Evaluated:
    """A dataset that is evaluated: its part in the experiment (`seen`, `unseen`, `target`) and its class mapping."""

    role: str
    space: EvaluationSpace


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of everything random that happens on the device in one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


def without_unmapped(mask: UInt8[Tensor, "n h w"], space: EvaluationSpace) -> UInt8[Tensor, "n h w"]:
    """Mask whose classes without a channel are ignored: the model cannot answer them, and their IoU is undefined."""
    if not space.unmapped:
        return mask
    table = torch.arange(256, dtype=torch.uint8, device=mask.device)
    table[[space.names.index(name) for name in space.unmapped]] = IGNORE
    return table[mask.int()]


class Evaluator(pl.LightningModule):
    """A model and the IoU of its predictions on the evaluated datasets.

    Args:
        model: `features(image)`, `classify(features)`.
        evaluated: dataset name → its role and class mapping.
        align_corners: how logits are upsampled, in losses as in the evaluation.
        trained: optimiser steps that the model was trained for so far.
    """

    def __init__(
        self, model: nn.Module, evaluated: Mapping[str, Evaluated], align_corners: bool, trained: int = 0
    ) -> None:
        super().__init__()
        self.model, self.evaluated, self.align_corners = model, dict(evaluated), align_corners
        self.confusion = nn.ModuleDict(
            {name: ConfusionMatrix(len(dataset.space.names), align_corners) for name, dataset in self.evaluated.items()}
        )
        self.iou: dict[str, Tensor] = {}
        self.trained, self.evaluated_at = trained, 0

    def validation_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Count the batch into its dataset's confusion matrix; returns logits at head resolution for pictures."""
        logits = self.model(batch["image"])
        mapping = self.evaluated[batch["name"]].space
        mask = without_unmapped(batch["mask"], mapping)
        self.confusion[batch["name"]].update(logits, mask, mapping.channels, mapping.classes)
        return logits

    def on_validation_epoch_end(self) -> None:
        self.evaluated_at = self.trained
        values = {}
        for name, confusion in self.confusion.items():
            self.iou[name] = iou(confusion.compute())
            if not self.evaluated[name].space.has_rivals:
                self.iou[name] = torch.full_like(self.iou[name], torch.nan)
            confusion.reset()
            values[f"val/{name}/miou"] = self.iou[name].nanmean().item()
            for label, value in zip(self.evaluated[name].space.names, self.iou[name].tolist(), strict=True):
                values[f"val/{name}/iou/{label}"] = value
        for role in dict.fromkeys(dataset.role for dataset in self.evaluated.values()):
            values[f"val/mean_{role}_miou"] = self.mean_miou(role).item()
        # Not self.log: it would take the step of a fresh trainer, 0, when a finished fit is evaluated again.
        for logger in self.loggers:
            logger.log_metrics(values, step=self.trained)

    def mean_miou(self, role: str) -> Float[Tensor, ""]:
        """Mean mIoU of the datasets with this role; nan where there is none."""
        mious = [self.iou[name].nanmean() for name, dataset in self.evaluated.items() if dataset.role == role]
        return torch.stack(mious).nanmean() if mious else torch.tensor(torch.nan)


class Method(Evaluator):
    """Base of all methods.

    Args:
        optimizer: parameter groups → optimiser.
        scheduler: (optimiser, steps) → schedule, stepped once per optimiser step.
        head_lr_factor: learning rate of the classifiers relative to the rest.
        decay_norms: whether weight decay holds for normalisation layers too.
    """

    roles: tuple[str, ...] = ()

    def __init__(
        self,
        model: nn.Module,
        space: LabelSpace,
        evaluated: Mapping[str, Evaluated],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        head_lr_factor: float,
        decay_norms: bool,
        steps: int,
        seed: int,
        align_corners: bool,
    ) -> None:
        super().__init__(model, evaluated, align_corners)
        self.space = space
        self.build_optimizer, self.build_scheduler = optimizer, scheduler
        self.head_lr_factor, self.decay_norms = head_lr_factor, decay_norms
        self.steps, self.seed = steps, seed
        self.terms: dict[str, Tensor] = {}  # what the step under way has logged as train/<name>
        self.description: dict[str, Any] = {}  # what a checkpoint says of its origin, in plain types

    def configure_optimizers(self) -> dict[str, Any]:
        lr = self.build_optimizer.keywords["lr"]
        optimizer = self.build_optimizer(self.model.parameter_groups(lr, self.head_lr_factor, self.decay_norms))
        schedule = self.build_scheduler(optimizer, steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, step: int) -> None:
        torch.manual_seed(step_seed(self.seed, step, self.global_rank))
        self.terms = {}

    def log(self, name: str, value: Any, **options: Any) -> None:
        """Lightning's log, which also keeps what is logged of the training step."""
        if name.startswith("train/"):
            self.terms[name] = torch.as_tensor(value).detach()
        super().log(name, value, **options)

    def on_train_batch_end(self, outputs: Any, batch: Batch, step: int) -> None:
        self.trained = step + 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["label_space"] = self.space.state_dict()
        checkpoint.update(self.description)
