"""Pictures of what each branch answers, and which of them decides where they are merged."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from mdseg.evaluation.evaluator import Evaluator, View, classes_at
from mdseg.evaluation.merging import winning_branches
from mdseg.figures import branches as figures
from mdseg.labels.spaces import Merge


class BranchPanels(Callback):
    """Of the first images of every evaluated dataset what each branch and their merge answer, and who decides.

    A picture <dataset>_branches each in the log, of the headline where it is a merge; nothing else.

    Args:
        count: images per dataset.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows: dict[str, list[figures.BranchRow]] = {}

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.rows = {}

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: Evaluator, prediction: torch.Tensor, batch: Any, *args: Any
    ) -> None:
        network, view = merged_view(module)
        rows = self.rows.setdefault(batch["name"], [])
        wanted = self.count - len(rows)
        if view is None or wanted <= 0:
            return
        image, size = batch["image"][:wanted], (batch["mask"].shape[-2], batch["mask"].shape[-1])
        logits, space = network(image), module.space_of(batch["name"])
        branches = {name: torch.tensor(view.space.branches[name]) for name in view.of_merge}
        answers = {}
        for name in branches:
            alone = View(view.space, name).of(module.evaluated[batch["name"]].table, batch["name"])
            answers[name] = classes_at(logits, size, alone, module.align_corners).cpu().numpy()
        merge = Merge(view.merge, view.scores, tuple(branches.values()))
        winner = winning_branches(logits, prediction[:wanted], space, merge, module.align_corners).cpu().numpy()
        for number in range(len(image)):
            picture = image[number].clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
            own = {name: each[number] for name, each in answers.items()}
            rows.append(figures.BranchRow(picture, own, prediction[number].cpu().numpy(), winner[number]))

    def on_validation_end(self, trainer: pl.Trainer, module: Evaluator) -> None:
        log: Any = trainer.logger  # the stage's, which takes pictures
        for name, rows in self.rows.items() if trainer.is_global_zero else ():
            if rows:
                space = module.space_of(name)
                title = f"{name} ({module.evaluated[name].role}): each branch, and their merge ({module.headline})"
                log.picture(f"{name}_branches", figures.branch_panels(rows, space.names, space.colors, title))


def merged_view(module: Evaluator) -> tuple[Any, View | None]:
    """The network of the headline and its view, where that merges several branches."""
    if not module.answers:
        return None, None
    answer = module.answers[module.headline]
    view = module.views[answer.view]
    merges = view.branch is None and len(view.of_merge) > 1 and set(view.space.branches) <= set(module.views)
    return module.networks[answer.network], view if merges else None
