"""Networks, and the IoU of their predictions on the evaluated datasets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mdseg.evaluation.metrics import ConfusionMatrix, iou, protocol
from mdseg.labels.spaces import EvaluationSpace
from mdseg.labels.tables import IGNORE

STUDENT = "student"  # what the model that is trained is called beside others


@dataclass(frozen=True)
class Evaluated:
    """A dataset that is evaluated: its part in the experiment (`seen`, `unseen`, `target`) and its class mapping."""

    role: str
    space: EvaluationSpace


def without_unmapped(mask: UInt8[Tensor, "n h w"], space: EvaluationSpace) -> UInt8[Tensor, "n h w"]:
    """Mask whose classes without a channel are ignored: the model cannot answer them, and their IoU is undefined."""
    if not space.unmapped:
        return mask
    table = torch.arange(256, dtype=torch.uint8, device=mask.device)
    table[[space.names.index(name) for name in space.unmapped]] = IGNORE
    return table[mask.int()]


def subset_mious(values: Float[Tensor, " c"], space: EvaluationSpace) -> dict[str, float]:
    """mIoU of every subset of the classes that papers average over, from the IoU of each class."""
    return {subset: protocol(values, space.names, names).item() for subset, names in space.subsets.items()}


class Evaluator(pl.LightningModule):
    """A model, maybe others beside it, and the IoU of their predictions on the evaluated datasets.

    Args:
        model: `features(image)`, `classify(features)`; called `student` where there are others.
        evaluated: dataset name → its role and class mapping.
        align_corners: how logits are upsampled, in losses as in the evaluation.
        trained: optimiser steps that the model was trained for so far.
        others: networks that are evaluated beside the model, by name (`teacher`).
        eval_model: the network whose results are the headline, `student` or one of the others.

    Raises:
        ValueError: there is no such network.
    """

    def __init__(
        self,
        model: nn.Module,
        evaluated: Mapping[str, Evaluated],
        align_corners: bool,
        trained: int = 0,
        others: Mapping[str, nn.Module] | None = None,
        eval_model: str = STUDENT,
    ) -> None:
        super().__init__()
        self.model, self.evaluated, self.align_corners = model, dict(evaluated), align_corners
        self.others, self.eval_model = dict(others or {}), eval_model  # a plain dict: who owns them registers them
        if eval_model not in (STUDENT, *self.others):
            raise ValueError(f"method.eval_model: expected {' or '.join((STUDENT, *self.others))}, got {eval_model!r}")
        self.confusion = nn.ModuleDict(
            {network: self._confusion_matrices() for network in dict.fromkeys((eval_model, STUDENT, *self.others))}
        )
        self.iou_of: dict[str, dict[str, Tensor]] = {network: {} for network in self.confusion}
        self.trained, self.evaluated_at = trained, 0

    def _confusion_matrices(self) -> nn.ModuleDict:
        classes = {name: len(dataset.space.names) for name, dataset in self.evaluated.items()}
        return nn.ModuleDict({name: ConfusionMatrix(count, self.align_corners) for name, count in classes.items()})

    @property
    def iou(self) -> dict[str, Tensor]:
        """IoU of every class of every evaluated dataset, the headline's."""
        return self.iou_of[self.eval_model]

    def validation_step(self, batch: dict[str, Any], index: int) -> Tensor:
        """Count the batch into its dataset's confusion matrices; returns the headline's logits for pictures."""
        mapping = self.evaluated[batch["name"]].space
        mask = without_unmapped(batch["mask"], mapping)
        networks = {STUDENT: self.model, **self.others}
        logits = {name: network(batch["image"]) for name, network in networks.items()}
        for network, confusion in self.confusion.items():
            confusion[batch["name"]].update(logits[network], mask, mapping.channels, mapping.classes)
        return logits[self.eval_model]

    def on_validation_epoch_end(self) -> None:
        self.evaluated_at = self.trained
        values = {}
        for network, confusions in self.confusion.items():
            beside = "" if network == self.eval_model else f"/{network}"
            for name, confusion in confusions.items():
                values |= self._values(f"val/{name}{beside}", self._compute(network, name, confusion), name)
        for role in dict.fromkeys(dataset.role for dataset in self.evaluated.values()):
            values[f"val/mean_{role}_miou"] = self.mean_miou(role).item()
        # Not self.log: it would take the step of a fresh trainer, 0, when a finished fit is evaluated again.
        for logger in self.loggers:
            logger.log_metrics(values, step=self.trained)

    def _compute(self, network: str, name: str, confusion: ConfusionMatrix) -> Float[Tensor, " c"]:
        """A network's IoU on a dataset; its confusion matrix starts anew."""
        values = iou(confusion.compute())
        if not self.evaluated[name].space.has_rivals:
            values = torch.full_like(values, torch.nan)
        confusion.reset()
        self.iou_of[network][name] = values
        return values

    def _values(self, key: str, values: Float[Tensor, " c"], name: str) -> dict[str, float]:
        """What goes into the log below a key."""
        space = self.evaluated[name].space
        mious = {"miou": values.nanmean().item()}
        mious |= {f"miou/{subset}": miou for subset, miou in subset_mious(values, space).items()}
        ious = {f"iou/{label}": value for label, value in zip(space.names, values.tolist(), strict=True)}
        return {f"{key}/{what}": value for what, value in (mious | ious).items()}

    def mean_miou(self, role: str) -> Float[Tensor, ""]:
        """Mean mIoU of the datasets with this role; nan where there is none."""
        mious = [self.iou[name].nanmean() for name, dataset in self.evaluated.items() if dataset.role == role]
        return torch.stack(mious).nanmean() if mious else torch.tensor(torch.nan)
