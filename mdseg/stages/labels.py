"""Which labels a fit has learned from: none at all is an error, a class that never occurred gets a line."""

import warnings
from collections.abc import Collection, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.system.wording import Remark, shortened

ADVICE = "look at the masks (python -m mdseg.data browse), the table's `ignore_ids`, label_space and transform.crop"


class LabelledPixels(Callback):
    """Counts the labelled pixels of every class in all batches, over all ranks and the pieces of an interrupted run.

    The data loader counts them where it makes the batches; here they are added up where the batches are, and looked at
    when a row of the log or a checkpoint is due: looking makes the CPU wait for a GPU.

    Args:
        datasets: of the labelled streams.
        every: steps between rows of the log.
        steps: of the whole fit.
    """

    def __init__(self, stage: str, space: LabelSpace, datasets: Collection[str], every: int, steps: int) -> None:
        self.stage, self.space, self.datasets, self.every, self.steps = stage, space, datasets, every, steps
        self.pixels = torch.zeros(IGNORE, dtype=torch.int64)  # by train id, as of the last look
        self.new: Tensor | None = None  # of this rank since then
        self.before, self.said = 0, False  # labelled pixels until the last row; whether one without any was remarked
        self.trainer: pl.Trainer | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.trainer = trainer

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        for pixels in labelled_pixels(batch):
            counted = pixels[:, :IGNORE].sum(dim=0)
            self.new = counted if self.new is None else self.new + counted
        if (step + 1) % self.every == 0:
            self._look(step)
        if step + 1 == self.steps:
            self._end(trainer)

    def _look(self, step: int) -> None:
        total = self._total()
        if total == self.before and not self.said:
            self.said = True
            first = max(0, step + 1 - self.every)
            steps = f"steps {first} to {step}" if first < step else f"step {step}"
            warnings.warn(
                f"stage {self.stage}: no labelled pixel in {steps}, so the supervised loss is 0 there; {ADVICE}",
                Remark,
                stacklevel=2,
            )
        self.before = total

    def _end(self, trainer: pl.Trainer) -> None:
        if not self._total():
            if not trainer.is_global_zero:
                raise SystemExit(1)
            raise ValueError(
                f"stage {self.stage}: no labelled pixel in any of its {self.steps} steps: nothing was learned from "
                f"labels; {ADVICE}"
            )

    def _total(self) -> int:
        """All labelled pixels so far; all ranks ask together."""
        if self.trainer is not None and (self.new is not None or self.trainer.world_size > 1):
            new = torch.zeros(IGNORE, dtype=torch.int64) if self.new is None else self.new
            if self.trainer.world_size > 1:
                new = self.trainer.strategy.reduce(new.to(self.trainer.strategy.root_device), reduce_op="sum")
            self.pixels, self.new = self.pixels + new.cpu(), None
        return int(self.pixels.sum())

    @property
    def never_seen(self) -> list[str]:
        """Classes that the labelled datasets annotate and of which no pixel was in any batch, after the last step."""
        rows = [self.space.dataset_index(name) for name in self.datasets]
        absent = self.space.annotated[rows].any(dim=0) & (self.pixels[: self.space.num_classes] == 0)
        return [self.space.names[index] for index in absent.nonzero().flatten().tolist()]

    def results(self) -> dict[str, list[str]]:
        """For results.json; said, too, where there are such classes."""
        if names := self.never_seen:
            warnings.warn(
                f"stage {self.stage}: classes never seen in training: {shortened(names, 10)}; the model cannot know "
                "them",
                Remark,
                stacklevel=2,
            )
        return {"never_seen": names}

    def state_dict(self) -> dict[str, list[int]]:
        self._total()
        return {"pixels": self.pixels.tolist()}

    def load_state_dict(self, state: dict[str, list[int]]) -> None:
        self.pixels, self.new = torch.tensor(state["pixels"]), None
        self.before = int(self.pixels.sum())


def labelled_pixels(batch: Any) -> Iterator[Tensor]:
    """Pixels of every train id in every image, of all streams of a batch that have masks, and their parts."""
    if isinstance(batch, list):
        for part in batch:
            yield from labelled_pixels(part)
    elif "pixels" in batch:
        yield batch["pixels"]
    elif "image" not in batch:
        for part in batch.values():
            yield from labelled_pixels(part)
