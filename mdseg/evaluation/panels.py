"""Pictures of predictions."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from mdseg.evaluation.evaluator import Evaluator
from mdseg.figures import drawing, training


class Panels(Callback):
    """Image, truth and prediction of the first images of every evaluated dataset, as one PNG per dataset.

    Args:
        count: images per dataset.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.rows: dict[str, list[training.PanelRow]] = {}

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.rows = {}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: Evaluator, prediction: torch.Tensor, batch: Any, *args: Any
    ) -> None:
        rows = self.rows.setdefault(batch["name"], [])
        for i in range(min(self.count - len(rows), len(batch["image"]))):
            image = batch["image"][i].permute(1, 2, 0).cpu().numpy()
            rows.append(training.PanelRow(image, batch["mask"][i].cpu().numpy(), prediction[i].cpu().numpy()))

    def on_validation_end(self, trainer: pl.Trainer, module: Evaluator) -> None:
        if trainer.is_global_zero and self.count > 0:
            for name, rows in self.rows.items():
                space = module.space_of(name)
                miou = f"mIoU {100 * module.iou[name].nanmean().item():.1f} %" if space.has_rivals else "no mIoU"
                if space.unmapped:
                    miou += f" ({len(space.names) - len(space.unmapped)} of {len(space.names)} classes have channels)"
                title = f"{name} ({module.evaluated[name].role}), {miou}"
                figure = training.panels(rows, space.names, space.colors, title)
                drawing.save(self.folder / f"{name}.png", figure)
