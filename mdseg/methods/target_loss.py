"""Adaptation to unlabelled target images by a loss on their predictions (Chen et al., ICCV 2019, arXiv:1909.13589)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mdseg.losses.unlabelled import check_weight
from mdseg.methods.base import Loss, Method, Reads, StepBatch, StreamShape, share_of, why_no_parts

TargetLossFunction = Callable[[Tensor, tuple[int, int]], Tensor]
GuidanceFunction = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]


class TargetLoss(Method):
    r"""A supervised loss on source images plus an unsupervised loss on target images.

    .. math:: L = CE(p^s) + \lambda_{low} CE(p^s_{low})
        + \lambda_T L_T(p^t) + \lambda_{low} \lambda_T CE(p^t_{low}, l)

    Chen et al., ICCV 2019, maximum squares loss. The target loss makes the method: entropy is MinEnt, squared
    probabilities MaxSquare, weighted by class and image +IW. The last term is +Multi: a low head that learns the
    pseudo-labels l of both heads. Without a target loss and guidance, training goes on with the source alone, and a
    stream of target images is left out.

    Source and target pass through the network one after the other, so that batch norm sees one domain at a time, as in
    the authors' code; it calls backward after each, which equals the one backward of the sum.

    Args:
        target: (logits of the final head, image size) → loss.
        guidance: (logits of the final head, of the low head, image size) → loss of the low head.
        weight: of target loss and guidance.
        low_weight: of what the low head learns, relative to the final head; nothing where there is no low head.

    Raises:
        ValueError: guidance of a network without a low head, a negative weight, an option that a loss does not take.
    """

    reads: Mapping[str, Reads] = {"labelled": Reads("labelled"), "target": Reads("target")}

    def __init__(
        self,
        supervised: Loss,
        weight: float | int,
        low_weight: float | int,
        target: TargetLossFunction | None = None,
        guidance: GuidanceFunction | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        for name, value in (("weight", weight), ("low_weight", low_weight)):
            check_weight(f"method.{name}", value)
        if guidance is not None and self.model.low_head is None:
            raise ValueError(
                "loss/guidance teaches a low head, which this network does not have: set model.low_head=true, or "
                "loss/guidance=none"
            )
        # A wrong option of a loss shows here, before anything is trained, and not when the first target image comes.
        logits = torch.zeros(1, self.space.num_classes, 1, 1)
        if target is not None:
            target(logits, (1, 1))
        if guidance is not None:
            guidance(logits, logits, (1, 1))
        if target is None and guidance is None:
            self.reads = {"labelled": Reads("labelled")}
        self.supervised, self.target, self.guidance = supervised, target, guidance
        self.weight, self.low_weight = weight, low_weight

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        learns = self.target is not None or self.guidance is not None
        super().read({name: shape for name, shape in streams.items() if learns or shape.role != "target"})

    def why_whole(self) -> str | None:
        if self.guidance is not None:
            return "loss/guidance divides by the pixels that it chooses in the whole batch"
        return why_no_parts(self.supervised)

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        return self.in_parts(batch, self.loss)

    def loss(self, batch: StepBatch) -> Tensor:
        loss = self.supervise(self.supervised, batch["labelled"], self.low_weight)
        if self.target is None and self.guidance is None:
            return loss

        image = batch["target"]["image"]
        size = tuple(image.shape[-2:])
        high, low = self.model.levels(image)
        if self.target is not None:
            target_loss = share_of(batch["target"]) * self.target(high, size)
            self.log("train/target", target_loss, prog_bar=True)
            loss = loss + self.weight * target_loss
        if self.guidance is not None:
            guidance = self.guidance(high, low, size)
            self.log("train/guidance", guidance)
            loss = loss + self.low_weight * self.weight * guidance
        return loss
