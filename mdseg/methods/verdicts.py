"""What discriminators make of a step's predictions, as a picture."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from mdseg.figures.branches import verdicts
from mdseg.methods.adversary import logits_of
from mdseg.methods.lessons import as_pictures, picture_is_due


class Verdicts(Callback):
    """Before every validation and at the end, of an image of each domain: figures/discriminators.png."""

    def on_train_batch_end(self, trainer: pl.Trainer, method: Any, outputs: Any, batch: Any, step: int) -> None:
        if not picture_is_due(trainer, step) or trainer.logger is None or method.adversary is None:
            return
        log: Any = trainer.logger  # the stage's, which takes pictures
        parts = {name: part[0]["image"] for name, part in batch["labelled"].items()}
        parts["target"] = batch["target"]["image"]
        columns = {
            domain: (as_pictures(image[:1])[0].cpu().numpy(), self.maps(method, domain, image[:1]))
            for domain, image in parts.items()
        }
        log.picture("discriminators", verdicts(columns, f"step {step + 1}: what discriminators make of predictions"))

    @torch.no_grad()
    def maps(self, method: Any, domain: str, image: torch.Tensor) -> dict[str, Any]:
        """Probability of every patch of an image to be one of a source, by the discriminators that see its domain."""
        training = method.model.training
        method.model.eval()  # no further update of batch norm's statistics
        levels, size = method.model.levels(image), (image.shape[-2], image.shape[-1])
        method.model.train(training)
        branches = method.branches if domain == "target" else method.feeds[domain]
        return {
            f"{level}, {branch}": method.adversary.verdict(
                level, branch, method.adversary.maps(logits_of(levels, level), branch, size)
            )
            .sigmoid()[0, 0]
            .cpu()
            .numpy()
            for level, branch in method.adversary.pairs()
            if branch in branches
        }
