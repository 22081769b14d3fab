"""Plain supervised training on any number of labelled datasets."""

from typing import Any

from torch import Tensor

from mdseg.losses.unlabelled import check_weight
from mdseg.methods.base import Loss, Method, StepBatch, why_no_parts


class Supervised(Method):
    """A supervised loss on one mixed batch of all labelled datasets.

    Args:
        low_weight: weight of the same loss on a network's auxiliary head, 0.4 for PSPNet (Zhao et al., CVPR 2017,
            arXiv:1612.01105) and its successors.
    """

    def __init__(self, supervised: Loss, low_weight: float | int = 0.4, **common: Any) -> None:
        super().__init__(**common)
        check_weight("method.low_weight", low_weight)
        self.supervised, self.low_weight = supervised, low_weight

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        return self.in_parts(batch, self.loss)

    def loss(self, batch: StepBatch) -> Tensor:
        return self.supervise(self.supervised, batch["labelled"], self.low_weight)

    def why_whole(self) -> str | None:
        return why_no_parts(self.supervised)
