"""Pictures of predictions."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from mdseg.evaluation.evaluator import Evaluator
from mdseg.figures import training as figures
from mdseg.pixels.argmax import restricted_argmax


class Panels(Callback):
    """Image, truth and prediction of the first images of every evaluated dataset, as one PNG per dataset."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.rows: dict[str, list[figures.PanelRow]] = {}

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.rows = {}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: Evaluator, logits: torch.Tensor, batch: Any, *args: Any
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

    def on_validation_end(self, trainer: pl.Trainer, module: Evaluator) -> None:
        if trainer.is_global_zero and self.count > 0:
            for name, rows in self.rows.items():
                space = module.evaluated[name].space
                miou = f"mIoU {100 * module.iou[name].nanmean().item():.1f} %" if space.has_rivals else "no mIoU"
                if space.unmapped:
                    miou += f" ({len(space.names) - len(space.unmapped)} of {len(space.names)} classes have channels)"
                title = f"{name} ({module.evaluated[name].role}), {miou}"
                figures.save(self.folder / f"{name}.png", figures.panels(rows, space.names, space.colors, title))
