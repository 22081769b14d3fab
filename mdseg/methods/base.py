"""What every method shares: evaluation, seeding, optimiser, the label space in the checkpoint."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mdseg.evaluation.evaluator import STUDENT, Evaluated, Evaluator
from mdseg.labels.spaces import LabelSpace
from mdseg.losses.variation import LogitVariation

Batch = dict[str, dict[str, Any]]
SupervisedLoss = Callable[..., Tensor]


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of everything random that happens on the device in one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


class Method(Evaluator):
    """Base of all methods.

    Args:
        optimizer: parameter groups → optimiser.
        scheduler: (optimiser, steps) → schedule, stepped once per optimiser step.
        head_lr_factor: learning rate of the classifiers relative to the rest.
        decay_norms: whether weight decay holds for normalisation layers too.
        others, eval_model: see :class:`Evaluator`.
    """

    roles: tuple[str, ...] = ()

    def __init__(
        self,
        model: nn.Module,
        space: LabelSpace,
        evaluated: Mapping[str, Evaluated],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        head_lr_factor: float,
        decay_norms: bool,
        steps: int,
        seed: int,
        align_corners: bool,
        others: Mapping[str, nn.Module] | None = None,
        eval_model: str = STUDENT,
    ) -> None:
        super().__init__(model, evaluated, align_corners, others=others, eval_model=eval_model)
        self.space = space
        self.build_optimizer, self.build_scheduler = optimizer, scheduler
        self.head_lr_factor, self.decay_norms = head_lr_factor, decay_norms
        self.steps, self.seed = steps, seed
        self.terms: dict[str, Tensor] = {}  # what the step under way has logged as train/<name>
        self.description: dict[str, Any] = {}  # what a checkpoint says of its origin, in plain types

    def check_streams(self, streams: Mapping[str, Any]) -> None:
        """Say before training, once, which streams the method lacks, by their configuration.

        Raises:
            ValueError: there is no stream of a role that the method needs.
        """
        given = {name: stream["role"] for name, stream in streams.items()}
        for role in self.roles:
            if role not in given.values():
                raise ValueError(f"{type(self).__name__} needs a {role} stream; streams has {given or 'none'}")

    def configure_optimizers(self) -> dict[str, Any]:
        lr = self.build_optimizer.keywords["lr"]
        optimizer = self.build_optimizer(self.model.parameter_groups(lr, self.head_lr_factor, self.decay_norms))
        schedule = self.build_scheduler(optimizer, steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, step: int) -> None:
        torch.manual_seed(step_seed(self.seed, step, self.global_rank))
        self.terms = {}
        for variation in self.variations:
            variation.begin(step)
            if variation.varies:
                self.log("blv/sigma", variation.sigma)

    @cached_property
    def variations(self) -> list[LogitVariation]:
        """Those of the losses that are perturbed."""
        return [module for module in self.modules() if isinstance(module, LogitVariation)]

    def observe(self, label: UInt8[Tensor, "n h w"]) -> None:
        """Tell losses that count classes (BLV) of the labels or pseudo-labels that are trained on."""
        for variation in self.variations:
            variation.counter.observe(label)

    def log(self, name: str, value: Any, **options: Any) -> None:
        """Lightning's log, which also keeps what is logged of the training step."""
        if name.startswith("train/"):
            self.terms[name] = torch.as_tensor(value).detach()
        super().log(name, value, **options)

    def on_train_batch_end(self, outputs: Any, batch: Batch, step: int) -> None:
        self.trained = step + 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["label_space"] = self.space.state_dict()
        checkpoint.update(self.description)
