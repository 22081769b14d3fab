"""Self-training with discriminators on the student's predictions for the target; no paper has the two together."""

from collections.abc import Collection
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mdseg.methods.adversarial import ONE, TwoPlayers, detached, size_of
from mdseg.methods.base import StepBatch
from mdseg.methods.self_training import SelfTraining
from mdseg.models.segmenter import Levels


class AdversarialSelfTraining(TwoPlayers, SelfTraining):
    """DACS or its kin, whose student must also pass discriminators on the unlabelled images.

    These are not mixed for it, and pass through the student once more.

    Args:
        common: see :class:`~mdseg.methods.adversarial.TwoPlayers` and
            :class:`~mdseg.methods.self_training.SelfTraining`.
    """

    def train_segmenter(self, batch: StepBatch, step: int) -> Float[Tensor, ""]:
        total = self.backpropagate(self.learning_loss(batch))
        if self.adversary is not None:
            image = batch["unlabelled"]["image"]
            total = total + self.backpropagate(self.fooling(self.model.levels(image), size_of(image)))
        return total

    def domains(self, batch: StepBatch) -> dict[str, tuple[Tensor, Collection[str]]]:
        images = {"labelled": batch["labelled"]["image"], "target": batch["unlabelled"]["image"]}
        return {domain: (image, self.branches) for domain, image in images.items()}

    def supervised_levels(self, levels: Levels, image: Tensor) -> None:
        self.shown[ONE].append((detached(levels), size_of(image)))

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        loss: Any = super().training_step(batch, step)
        self.update_teacher(step)
        return loss
