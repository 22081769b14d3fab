"""What every method shares: streams by role, seeding, one optimiser, evaluation, the origin of a checkpoint."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mdseg.evaluation.evaluator import Evaluated, Evaluator, View
from mdseg.labels.spaces import LabelSpace
from mdseg.losses.fused import SupervisedLoss
from mdseg.losses.variation import LogitVariation
from mdseg.models.segmenter import Levels
from mdseg.system.wording import nearest

StepBatch = dict[str, Any]  # by the names of `reads`
Loss = Callable[..., Tensor]


class Reads:
    """What a method reads as one entry of its batch: a stream of one of these roles, or several of them.

    Args:
        roles: `labelled`, `unlabelled` or `target`.
        several: any number of such streams, at least one; the batch then has them by name.
        divided: in a step there is a batch of every dataset, by its name, instead of one that mixes them.
    """

    def __init__(self, *roles: str, several: bool = False, divided: bool = False) -> None:
        self.roles, self.several, self.divided = roles, several, divided


@dataclass(frozen=True)
class StreamShape:
    """What a method may want to know of a stream before training.

    Args:
        batch_size: images per step.
        crops: height and width of the images of each of its parts; None where a transform does not say.
        datasets: whose images they are.
        epochs: where the stream is divided, for every dataset the epoch that a step lies in.
    """

    role: str
    batch_size: int
    crops: tuple[tuple[int, int] | None, ...] = ()
    datasets: tuple[str, ...] = ()
    epochs: Mapping[str, Callable[[int], int]] = field(default_factory=dict)

    @property
    def crop(self) -> tuple[int, int] | None:
        """Height and width of all its images; None where they differ, or are not known."""
        return self.crops[0] if len(set(self.crops)) == 1 else None


def parts_of(batch: StepBatch, count: int) -> Iterator[StepBatch]:
    """A batch cut along its images into parts of nearly equal size; every entry has the batch's as `whole`."""
    cut = {
        entry: {name: values.tensor_split(count) for name, values in tensors.items()}
        for entry, tensors in batch.items()
    }
    for number in range(count):
        yield {
            entry: {name: values[number] for name, values in tensors.items()} | {"whole": batch[entry]}
            for entry, tensors in cut.items()
        }


def why_no_parts(loss: Loss) -> str | None:
    """Why a supervised loss of a batch is not the sum of those of its parts; None where it is."""
    if not isinstance(loss, SupervisedLoss) or not loss.of_parts:
        return f"{type(loss).__name__} chooses the pixels that it learns from in the whole batch"
    if isinstance(loss.variation, LogitVariation) and loss.variation.counter.mode == "running":
        return "loss.variation.counts: running averages the classes of every batch"
    return None


def share_of(images: Mapping[str, Any]) -> float:
    """The share of the images of a batch that a part of it has; 1 for a batch that is not cut."""
    return len(images["image"]) / len(images.get("whole", images)["image"])


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of everything random that happens on the device in one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


class Method(Evaluator):
    """Base of all methods.

    `reads` says which streams a step reads: name in the batch → role. What stands in the class holds for all, an
    instance may have its own. A method without pictures, optimisers or networks of its own only writes `training_step`;
    others override :meth:`optimization`, Lightning's `configure_callbacks`, or hand other `networks` and `views` up.

    Args:
        model: the segmenter; null for a method that trains none.
        space: label space of the masks.
        optimizer: parameter groups → optimiser.
        scheduler: (optimiser, steps) → schedule, stepped once per optimiser step.
        head_lr_factor: learning rate of the classifiers relative to the rest.
        decay_norms: whether weight decay holds for normalisation layers too.
        steps: batches of the whole fit.
        panels: images per picture; 0 for no pictures.
        accumulate: parts that the batch of a step is cut into, see :meth:`in_parts`.
        networks: name → network whose answers are evaluated; null: the model alone.
        views, headline: see :class:`~mdseg.evaluation.evaluator.Evaluator`; null: all channels of the label space.
    """

    reads: Mapping[str, Reads] = {"labelled": Reads("labelled")}
    pseudo_labelled: ClassVar[str | None] = None  # which of these gets pseudo-labels
    takes: ClassVar[tuple[str, ...]] = ()  # what a stage may start from besides weights, see `start_from`
    model: Any  # a `Segmenter`, or a network that has of it what the method asks for; None where none is trained

    def __init__(
        self,
        model: nn.Module | None,
        space: LabelSpace,
        evaluated: Mapping[str, Evaluated],
        optimizer: Callable[..., Optimizer] | None,
        scheduler: Callable[..., LRScheduler] | None,
        head_lr_factor: float,
        decay_norms: bool,
        steps: int,
        seed: int,
        align_corners: bool,
        panels: int = 0,
        accumulate: int = 1,
        networks: Mapping[str, nn.Module] | None = None,
        views: Mapping[str, View] | None = None,
        headline: str | None = None,
    ) -> None:
        networks = networks if networks is not None else {} if model is None else {"model": model}
        super().__init__(networks, views or {"all": View(space)}, evaluated, align_corners, headline)
        self.model, self.space, self.panels, self.accumulate = model, space, panels, accumulate
        if accumulate > 1:
            self.automatic_optimization = False
        self.build_optimizer, self.build_scheduler = optimizer, scheduler
        self.head_lr_factor, self.decay_norms = head_lr_factor, decay_norms
        self.steps, self.seed = steps, seed
        self.names_of: dict[str, list[str]] = {}  # name in the batch of a step → streams
        self.terms: dict[str, Tensor] = {}  # what the step under way has logged as train/<name>
        self.together = False  # whether the log shows this step, and so the mean over several ranks
        self.description: dict[str, Any] = {}  # what a checkpoint says of its origin, in plain types

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        """Learn, before training, which streams there are.

        Raises:
            ValueError: a stream is missing, there are several where one is read, or one that is not read at all; it
                mixes datasets where the method takes a batch of each, or the other way round.
        """
        name = type(self).__name__
        given = ", ".join(f"{stream} ({shape.role})" for stream, shape in streams.items()) or "none"
        for entry, reads in self.reads.items():
            found = [stream for stream, shape in streams.items() if shape.role in reads.roles]
            if not found:
                raise ValueError(f"{name} needs a {' or '.join(reads.roles)} stream; streams has {given}")
            if len(found) > 1 and not reads.several:
                raise ValueError(
                    f"{name} reads one {' or '.join(reads.roles)} stream, but streams has {', '.join(found)}; put "
                    f"their datasets into one, or leave one out: streams.{found[-1]}=null"
                )
            for stream in found:
                if reads.divided and not streams[stream].epochs:
                    raise ValueError(
                        f"{name} takes one batch of every dataset in a step, but stream {stream} mixes them; set "
                        f"streams.{stream}.per_dataset={{}}"
                    )
                if streams[stream].epochs and not reads.divided:
                    raise ValueError(
                        f"{name} takes batches that mix datasets, but stream {stream} has one of each; set "
                        f"streams.{stream}.per_dataset=null"
                    )
            self.names_of[entry] = found
        unread = set(streams) - {stream for found in self.names_of.values() for stream in found}
        if unread:
            expected = ", ".join(role for reads in self.reads.values() for role in reads.roles)
            raise ValueError(
                f"{name} does not read stream {', '.join(sorted(unread))}; streams has {given}, and it reads {expected}"
                f": leave it out with streams.{min(unread)}=null, or choose a method that reads it"
            )

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """A training batch by the names that the step reads it by."""
        if not self.trainer.training:
            return batch
        return {
            entry: {name: batch[name] for name in found} if self.reads[entry].several else batch[found[0]]
            for entry, found in self.names_of.items()
        }

    def expect(self, parts: Collection[str]) -> None:
        """Learn, before training, what the stage starts from: networks by their attribute, or what is in `takes`.

        Raises:
            ValueError: the method has no such network and takes no such thing.
        """
        modules = dict(self.named_modules())
        for part in parts:
            if part not in self.takes and part not in modules:
                known = [name for name, _ in self.named_children() if name != "confusion"]
                raise ValueError(
                    f"from.{part}: {type(self).__name__} has no network and takes no result of this name"
                    f"{nearest(part, (*known, *self.takes))}"
                )

    def start(self) -> None:
        """Begin at step 0: called once the weights of `model` are those that the stage starts from."""

    def start_from(self, what: str, path: Path) -> None:
        """Take over the result of an earlier stage that is no network: one of `takes`, a folder or a file."""
        raise NotImplementedError(f"{type(self).__name__} starts from nothing but weights")

    @cached_property
    def optimization(self) -> Any:
        """Optimisers and schedules in the form that Lightning's `configure_optimizers` has, made once.

        A method with several optimisers returns their list and that of their schedules, sets
        `self.automatic_optimization = False`, and steps all of them itself in every `training_step`.
        """
        optimizer, schedule = self.model_optimizer()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def model_optimizer(self) -> tuple[Optimizer, LRScheduler]:
        """The configured optimiser of the parameter groups, and its schedule.

        Raises:
            ValueError: none is configured.
        """
        if not isinstance(self.build_optimizer, partial) or self.build_scheduler is None:
            raise ValueError(f"{type(self).__name__} trains by an optimizer, with its lr, and a scheduler: set both")
        optimizer = self.build_optimizer(self.parameter_groups())
        return optimizer, self.build_scheduler(optimizer, steps=self.steps)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the configured optimiser trains: the model; a method with more of its own adds groups.

        Raises:
            ValueError: there is no model.
        """
        if self.model is None:
            raise ValueError(
                f"{type(self).__name__} trains a network, and model is null; choose one, such as model=small"
            )
        lr = getattr(self.build_optimizer, "keywords", {}).get("lr")
        if lr is None:
            raise ValueError("optimizer.lr: the learning rate is missing")
        return self.model.parameter_groups(lr, self.head_lr_factor, self.decay_norms)

    def configure_optimizers(self) -> Any:
        return self.optimization

    def on_train_batch_start(self, batch: StepBatch, step: int) -> None:
        torch.manual_seed(step_seed(self.seed, step, self.global_rank))
        self.terms = {}
        trainer: Any = self._trainer  # none where a step is taken by hand
        self.together = trainer is not None and trainer.world_size > 1 and (step + 1) % trainer.log_every_n_steps == 0
        for variation in self.variations:
            variation.begin(step)
            if variation.varies:
                self.log("blv/sigma", variation.sigma)

    @cached_property
    def variations(self) -> list[LogitVariation]:
        """Those of the losses that are perturbed."""
        return [module for module in self.modules() if isinstance(module, LogitVariation)]

    def why_whole(self) -> str | None:
        """Why the batch of a step cannot be cut into parts; None where it can, see :meth:`in_parts`."""
        return f"{type(self).__name__} looks at the batch of a step as a whole"

    def in_parts(self, batch: StepBatch, loss_of: Callable[[StepBatch], Tensor]) -> Tensor:
        """A whole step of a method with one optimiser: the loss of its batch, or with `accumulate` of its parts.

        Every part goes forward and backward before the next one, so that memory is that of a part, and gradients add
        up to those of the batch: the loss of a part is divided by what there is in the batch, which each entry has as
        `whole`. Batch norm sees a part at a time.

        Args:
            loss_of: batch → loss; what it logs as `train/...` is added up over the parts, too.
        """
        if self.accumulate == 1:
            return loss_of(batch)
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        total = torch.zeros((), device=self.device)
        optimizer.zero_grad()
        with self.averaged_once():
            for part in parts_of(batch, self.accumulate):
                loss = loss_of(part)
                self.manual_backward(loss)
                total = total + loss.detach()
        optimizer.step()
        schedule.step()
        return total

    @contextmanager
    def averaged_once(self) -> Iterator[None]:
        """Backward passes whose gradients the ranks average together at the end, not after each of them.

        Each pass reaches other parameters, which DDP takes for an error.
        """
        if self.trainer.world_size == 1:
            yield
            return
        strategy: Any = self.trainer.strategy
        with strategy.block_backward_sync():
            yield
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        together = strategy.reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
        for gradient, mean in zip(gradients, together.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def supervise(self, supervised: Loss, labelled: Mapping[str, Any], low_weight: float, **options: Any) -> Tensor:
        r"""A supervised loss of labelled images, with that of a low head where the network has one.

        .. math:: L = \ell(high) + \lambda_{low} \, \ell(low)

        An auxiliary head's logits are never perturbed (see `losses.variation`).

        Args:
            options: what the loss of the final head is given besides logits, masks and datasets.
        """
        of_batch = {"whole": labelled["whole"]} if "whole" in labelled else {}
        high, low = levels = self.model.levels(labelled["image"])
        self.supervised_levels(levels, labelled["image"])
        loss = supervised(high, labelled["mask"], labelled["dataset"], **of_batch, **options)
        self.log("train/supervised", loss, prog_bar=True)
        if low is None:
            return loss
        low_loss = supervised(low, labelled["mask"], labelled["dataset"], perturb=False, **of_batch)
        self.log("train/supervised_low", low_loss)
        return loss + low_weight * low_loss

    def supervised_levels(self, levels: Levels, image: Tensor) -> None:
        """A chance to look at the logits that :meth:`supervise` has just computed of labelled images."""

    def log(self, name: str, value: Any, **options: Any) -> None:
        """Lightning's log, of the mean over all ranks; what is logged of the training step is also kept.

        The parts of a batch are terms of one sum.
        """
        if name.startswith("train/"):
            if self.accumulate > 1 and name in self.terms:
                value = self.terms[name] + value
            self.terms[name] = torch.as_tensor(value).detach()
            options = {"sync_dist": self.together, **options}
        super().log(name, value, **options)

    def on_train_batch_end(self, outputs: Any, batch: StepBatch, step: int) -> None:
        self.trained = step + 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning counts the steps of all optimisers, this project batches.
        trainer: Any = self.trainer  # its annotations leave the data module out
        checkpoint["global_step"] = trainer.datamodule.state_dict()["step"]
        checkpoint["label_space"] = self.space.state_dict()
        checkpoint.update(self.answering() | self.description)
