"""Adversarial adaptation of predictions: AdaptSegNet, AdvEnt, and a branch for every source (Russo et al., 2019)."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from itertools import product
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from mdseg.evaluation.evaluator import views_of
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.losses.unlabelled import check_weight
from mdseg.methods.adversary import Adversary, Scoreboard, Verdict, logits_of
from mdseg.methods.base import Loss, Method, Reads, StepBatch, StreamShape
from mdseg.methods.target_loss import TargetLossFunction
from mdseg.methods.verdicts import Verdicts
from mdseg.models.discriminator import SMALLEST, check_size
from mdseg.models.segmenter import Levels

ONE = "all"  # the branch of a label space that has none
Shown = tuple[Levels, tuple[int, int]]  # logits without a gradient, and the size of their images


class TwoPlayers(Method):
    """What a method with discriminators on the predictions of its segmenter is made of.

    The segmenter is told first, with discriminators that do not change, then they on predictions that do not; both move
    after that.

    Args:
        adversarial: weight of the adversarial loss by level, {high: 0.001, low: 0.0002}; what a network without a low
            head has none of is left out. All 0: no discriminators.
        sees, objective: see :class:`~mdseg.methods.adversary.Adversary`.
        share_discriminator: one discriminator per level for all branches.
        discriminator_width: channels of a discriminator's first layer.
        discriminator_optimizer: parameters → optimiser; its rate follows the schedule of the segmenter's.

    Raises:
        ValueError: an option that is out of range.
    """

    def __init__(
        self,
        adversarial: Any,
        sees: str,
        objective: str,
        share_discriminator: bool,
        discriminator_width: int,
        discriminator_optimizer: Callable[..., Optimizer],
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.automatic_optimization = False
        self.branches = {name: torch.tensor(own) for name, own in self.space.branches.items()} or {
            ONE: torch.arange(self.space.num_classes)
        }
        weights = {level: weight for level, weight in self.of_levels("adversarial", adversarial).items() if weight}
        self.adversary: Adversary | None = None
        if weights:
            self.adversary = Adversary(
                self.branches, weights, sees, objective, share_discriminator, discriminator_width, self.align_corners
            )
            self.scoreboard = Scoreboard(player(level, branch) for level, branch in self.adversary.pairs())
        self.build_discriminator_optimizer = discriminator_optimizer

    def of_levels(self, option: str, weights: Any) -> dict[str, float | int]:
        """Weights of the levels that the network has.

        Raises:
            ValueError: a level that is none, or a negative weight.
        """
        if not isinstance(weights, Mapping):
            raise ValueError(f"method.{option}: expected weights of high and low, got {weights!r}")
        for level, weight in weights.items():
            if level not in Levels._fields:
                raise ValueError(f"method.{option}: expected weights of high and low, got {level!r}")
            check_weight(f"method.{option}.{level}", weight)
        levels = Levels._fields[:1] if self.model.low_head is None else Levels._fields
        return {level: weights.get(level, 0) for level in levels}

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        super().read(streams)
        for name, shape in streams.items() if self.adversary is not None else ():
            for crop in shape.crops:
                check_size(crop, SMALLEST, f"crops of stream {name}")

    def configure_callbacks(self) -> list[pl.Callback]:
        others: Any = super().configure_callbacks()
        return [*others, *([Verdicts()] if self.panels and self.adversary is not None else [])]

    @cached_property
    def optimization(self) -> Any:
        optimizer, schedule = self.model_optimizer()
        if self.adversary is None:
            return [optimizer], [schedule]
        discriminators = self.build_discriminator_optimizer(self.adversary.parameters())
        build_schedule: Any = self.build_scheduler  # checked by `model_optimizer`
        return [optimizer, discriminators], [schedule, build_schedule(discriminators, steps=self.steps)]

    def players(self) -> tuple[list[Any], list[Any]]:
        """Optimisers and schedules of the segmenter and of the discriminators, where there are any."""
        optimizers, schedules = self.optimizers(), self.lr_schedulers()
        if isinstance(optimizers, list) and isinstance(schedules, list):
            return optimizers, schedules
        return [optimizers], [schedules]

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        optimizers, schedules = self.players()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.terms_of_step: dict[str, Tensor] = {}
        # What discriminators are shown of the step: by branch the sources' logits and image sizes, and the target's.
        self.shown: dict[str, list[Shown]] = {branch: [] for branch in self.branches}
        self.shown_target: Shown | None = None
        with self.averaged_once():
            if self.adversary is not None:
                self.adversary.requires_grad_(False)
            loss = self.train_segmenter(batch, step)
            if self.adversary is not None:
                self.adversary.requires_grad_(True)
                loss = loss + self.train_discriminators()
        for mover in (*optimizers, *schedules):
            mover.step()
        for name, value in self.terms_of_step.items():
            self.log(f"train/{name}", value)
        trainer: Any = self.trainer  # its annotations leave the interval of the log out
        if self.adversary is not None and (step + 1) % trainer.log_every_n_steps == 0:
            self.report()
        return loss

    def train_segmenter(self, batch: StepBatch, step: int) -> Float[Tensor, ""]:
        """Gradients of the segmenter, and what the discriminators are shown; the loss is returned without a graph."""
        raise NotImplementedError

    def domains(self, batch: StepBatch) -> dict[str, tuple[Tensor, Collection[str]]]:
        """Images of a step by their domain, and the branches whose discriminators see them."""
        raise NotImplementedError

    def backpropagate(self, loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Backward now, so that memory is that of one forward pass; the value is returned."""
        self.manual_backward(loss)
        return loss.detach()

    def fooling(self, levels: Levels, size: tuple[int, int]) -> Float[Tensor, ""]:
        """Weighted adversarial losses of target images in all branches; the discriminators will be shown them."""
        adversary: Any = self.adversary
        self.shown_target = detached(levels), size
        losses = []
        for (level, branch), loss in adversary.fooling(levels, size).items():
            self.add(f"adversarial/{level}", branch, loss)
            losses.append(adversary.weights[level] * loss)
        return torch.stack(losses).sum()

    def train_discriminators(self) -> Float[Tensor, ""]:
        """Gradients of the discriminators, on what the segmenter has just answered."""
        adversary: Any = self.adversary
        sources = {branch: shown for branch, shown in self.shown.items() if shown}
        self.verdicts: dict[tuple[str, str], Verdict] = adversary.telling(sources, self.shown_target)
        for (level, branch), verdict in self.verdicts.items():
            self.add(f"discriminator/{level}", branch, verdict.loss)
        return self.backpropagate(torch.stack([verdict.loss for verdict in self.verdicts.values()]).sum())

    def report(self) -> None:
        """Log how often the discriminators were right, in all ranks, and remark where one has won or lost."""
        for (level, branch), verdict in self.verdicts.items():
            both = torch.stack([verdict.source_accuracy, verdict.target_accuracy])
            source, target = self.trainer.strategy.reduce(both, reduce_op="mean").tolist()
            name = player(level, branch)
            self.log(f"discriminator_accuracy/{name}/source", source)
            self.log(f"discriminator_accuracy/{name}/target", target)
            self.scoreboard.take(name, source, target)

    def add(self, kind: str, branch: str, loss: Float[Tensor, ""]) -> None:
        """Count a loss among the terms of the step, several of a kind and branch together."""
        name, value = player(kind, branch), loss.detach()
        self.terms_of_step[name] = self.terms_of_step[name] + value if name in self.terms_of_step else value


class Adversarial(TwoPlayers):
    r"""A supervised loss on every source, and discriminators that the predictions on the target must pass.

    .. math:: L = \sum_k \sum_s \lambda_{seg,k} CE(P^s_k(x_s), y_s) + \lambda_{adv,k} L_{adv}(D^s_k(P^s_k(x_t)))

    Tsai et al., CVPR 2018 (AdaptSegNet) and Vu et al., CVPR 2019 (AdvEnt) with one source or one branch for all; Russo
    et al., ICIAP 2019 (eq. 1 to 4) with a branch for each in a branched label space. s are branches and k levels: the
    final head and, where the network has one, that on an earlier stage. One forward pass of the target serves all
    branches.

    Args:
        low_weight: of the supervised loss of the low head.
        target: (logits of a branch, image size) → loss of the predictions on the target, beside the adversary.
        target_weight: of that loss, by level.
        merges: name → how the branches' answers are merged, see :func:`~mdseg.evaluation.evaluator.views_of`; the
            first one is the headline. Nothing is merged where there is one branch.
        common: see :class:`TwoPlayers` and :class:`~mdseg.methods.base.Method`.

    Raises:
        ValueError: an option that is out of range.
    """

    reads: Mapping[str, Reads] = {"labelled": Reads("labelled", divided=True), "target": Reads("target")}

    def __init__(
        self,
        supervised: Loss,
        low_weight: float | int,
        target_weight: Any,
        merges: Any,
        space: LabelSpace,
        target: TargetLossFunction | None = None,
        **common: Any,
    ) -> None:
        super().__init__(space=space, views=views_of(space, merges), **common)
        check_weight("method.low_weight", low_weight)
        self.supervised, self.low_weight, self.target = supervised, low_weight, target
        self.target_weight = self.of_levels("target_weight", target_weight) if target is not None else {}
        self.learns_from_target = self.adversary is not None or any(self.target_weight.values())
        if not self.learns_from_target:
            self.reads = {"labelled": Reads("labelled", divided=True)}
        elif target is not None:
            target(torch.zeros(1, len(next(iter(self.branches.values()))), 1, 1), (1, 1))  # a wrong option shows here

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        streams = {name: shape for name, shape in streams.items() if self.learns_from_target or shape.role != "target"}
        super().read(streams)
        sources = streams[self.names_of["labelled"][0]].datasets
        self.feeds = {dataset: self.branches_of(dataset, sources) for dataset in sources}

    def branches_of(self, dataset: str, sources: tuple[str, ...]) -> list[str]:
        """The branches that learn from a source: its own, and those that are no source's and so for all."""
        return [branch for branch in self.branches if branch == dataset or branch not in sources]

    def train_segmenter(self, batch: StepBatch, step: int) -> Float[Tensor, ""]:
        total = torch.zeros((), device=self.device)
        for dataset, parts in batch["labelled"].items():
            for part in parts:  # micro-batches
                total = total + self.backpropagate(self.supervised_loss(dataset, part, batch["labelled"]))
        if self.learns_from_target:
            total = total + self.backpropagate(self.target_loss(batch["target"]["image"]))
        return total

    def domains(self, batch: StepBatch) -> dict[str, tuple[Tensor, Collection[str]]]:
        sources = {name: (part["image"], self.feeds[name]) for name, (part, *_) in batch["labelled"].items()}
        return {**sources, "target": (batch["target"]["image"], self.branches)}

    def supervised_loss(self, dataset: str, part: StepBatch, sources: Mapping[str, Any]) -> Float[Tensor, ""]:
        """Of a micro-batch of a source, in every branch that learns from it; of several a branch has the mean."""
        levels = self.model.levels(part["image"])
        losses = []
        for branch in self.feeds[dataset]:
            self.shown[branch].append((detached(levels), size_of(part["image"])))
            share = len(sources[dataset]) * sum(branch in self.feeds[other] for other in sources)
            labels = self.labels_in(branch, dataset, part)
            loss = self.supervised(levels.high, *labels) / share
            self.add("supervised", branch, loss)
            losses.append(loss)
            if levels.low is not None:
                low_loss = self.supervised(levels.low, *labels, perturb=False) / share
                self.add("supervised_low", branch, low_loss)
                losses.append(self.low_weight * low_loss)
        return torch.stack(losses).sum()

    def labels_in(self, branch: str, dataset: str, part: StepBatch) -> tuple[Tensor, Tensor]:
        """Masks and dataset indices of a source's images as a branch has them."""
        mask, index = part["mask"], part["dataset"]
        if branch in (ONE, dataset):
            return mask, index
        moved = mask.int() + int(self.branches[branch][0]) - int(self.branches[dataset][0])
        mask = torch.where(mask == IGNORE, IGNORE, moved).to(torch.uint8)
        return mask, torch.full_like(index, self.space.dataset_index(branch))

    def target_loss(self, image: Tensor) -> Float[Tensor, ""]:
        """Of target images in all branches: what the discriminators make of them, and the loss beside."""
        levels, size = self.model.levels(image), size_of(image)
        losses = [] if self.adversary is None else [self.fooling(levels, size)]
        if self.target is not None:
            weights = {level: weight for level, weight in self.target_weight.items() if weight}
            for (level, weight), (branch, channels) in product(weights.items(), self.branches.items()):
                loss = self.target(logits_of(levels, level)[:, channels.to(image.device)], size)
                self.add(f"target/{level}", branch, loss)
                losses.append(weight * loss)
        return torch.stack(losses).sum()


def player(kind: str, branch: str) -> str:
    """Name of a term, or of a discriminator by its level, in a branch; where there is but one that is not named."""
    return kind if branch == ONE else f"{kind}/{branch}"


def detached(levels: Levels) -> Levels:
    """The same logits without a gradient."""
    return Levels(levels.high.detach(), None if levels.low is None else levels.low.detach())


def size_of(image: Tensor) -> tuple[int, int]:
    """Height and width of images."""
    return image.shape[-2], image.shape[-1]
