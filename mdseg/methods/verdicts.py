"""What discriminators make of a step's predictions, as a picture."""

from collections.abc import Collection
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
        columns = {
            domain: (as_pictures(image[:1])[0].cpu().numpy(), self.maps(method, image[:1], branches))
            for domain, (image, branches) in method.domains(batch).items()
        }
        log.picture("discriminators", verdicts(columns, f"step {step + 1}: what discriminators make of predictions"))

    @torch.no_grad()
    def maps(self, method: Any, image: torch.Tensor, branches: Collection[str]) -> dict[str, Any]:
        """How far every patch of an image looks like a source's, by the discriminators of some branches.

        Between 0 and 1: a probability where the objective is the vanilla one.
        """
        training = method.model.training
        method.model.eval()  # no further update of batch norm's statistics
        levels, size = method.model.levels(image), (image.shape[-2], image.shape[-1])
        method.model.train(training)
        adversary, looks = method.adversary, {}
        for level, branch in adversary.pairs():
            if branch in branches:
                verdict = adversary.verdict(level, branch, adversary.maps(logits_of(levels, level), branch, size))
                likeness = verdict.sigmoid() if adversary.objective == "vanilla" else verdict.clamp(0, 1)
                looks[f"{level}, {branch}"] = likeness[0, 0].float().cpu().numpy()
        return looks
