"""Networks, and the IoU of their predictions on the evaluated datasets."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mdseg.evaluation.merging import merged_argmax
from mdseg.evaluation.metrics import ConfusionMatrix, miou_zero, protocol
from mdseg.labels.spaces import MERGED, MERGES, EvaluationSpace, LabelSpace, Merge
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.pixels.argmax import restricted_argmax
from mdseg.system.names import check_key, check_names
from mdseg.system.wording import Remark, nearest

CHOICES = {"merge": MERGES, "scores": MERGED}  # of a `View`
BESIDE = ("network", "datasets", "mean_miou", "iou", "miou")  # what stands beside answers in results and keys


@dataclass(frozen=True)
class Evaluated:
    """A dataset that is evaluated: its part in the experiment (`seen`, `unseen`, `target`) and its classes."""

    role: str
    table: LabelTable


@dataclass(frozen=True)
class View:
    """A way to read the logits of one forward pass: the label space of the channels, and which of them may answer.

    Args:
        branch: a dataset of the space, whose channels alone answer; null: all of them, merged where several share a
            class.
        merge: `max` or `mean` of the channels that share a class (Max Merge of Russo et al., ICIAP 2019).
        scores: what is merged, the `logits`, or probabilities (`prob`), a softmax over every branch.
        mask_missing: in a merge a branch does not answer for classes that it was never supervised on.
        merged: the branches that are merged, on every dataset; none named: all, except that a dataset with a branch of
            its own is answered by that one.

    Raises:
        ValueError: an unknown merge or branch.
    """

    space: LabelSpace
    branch: str | None = None
    merge: str = "max"
    scores: str = "logits"
    mask_missing: bool = True
    merged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
        if (self.merge, self.scores) != ("max", "logits") and not self.space.branches:
            raise ValueError(
                f"merge={self.merge} of {self.scores}: the label space has no branches that could be merged"
            )
        for name in self.merged:
            if name not in self.space.branches:
                raise ValueError(f"merged: expected some of {', '.join(self.space.branches)}, got {name!r}")

    def of(self, table: LabelTable, dataset: str | None = None) -> EvaluationSpace:
        """The channels that answer for the classes of a dataset; see :meth:`LabelSpace.evaluation`."""
        chosen = self.branch or self.merged or (self.space.branches and dataset not in self.space.branches)
        space = self.space.evaluation(table, dataset, self.channels if chosen else None)
        return replace(space, merge=self.combination)

    @property
    def options(self) -> dict[str, Any]:
        """All but the space, in plain types."""
        return {key.name: getattr(self, key.name) for key in fields(self) if key.name != "space"}

    @property
    def combination(self) -> Merge | None:
        """How branches become one answer; null: by the largest logit, or there is but one."""
        if self.branch is not None or not self.space.branches or (self.merge, self.scores) == ("max", "logits"):
            return None
        return Merge(self.merge, self.scores, tuple(torch.tensor(self.space.branches[name]) for name in self.of_merge))

    @property
    def of_merge(self) -> tuple[str, ...]:
        """The branches that are merged."""
        return self.merged or tuple(self.space.branches)

    @property
    def channels(self) -> list[int]:
        """The channels that may answer."""
        if self.branch is not None:
            return self.space.channels_of(self.branch)
        if not self.space.branches:
            return list(range(self.space.num_classes))
        rows = [self.space.dataset_index(name) for name in self.of_merge]
        answering = self.space.annotated if self.mask_missing else self.space.in_space
        return answering[rows].any(dim=0).nonzero().flatten().tolist()

    def all_classes(self) -> EvaluationSpace:
        """Every channel that may answer as a class of its own; in a merge those of one class together."""
        if self.merged:
            of_class = {self.space.classes[channel]: self.space.colors[channel] for channel in reversed(self.channels)}
            merged = tuple(name for name in dict.fromkeys(self.space.classes) if name in of_class)
            classes = torch.tensor([merged.index(self.space.classes[channel]) for channel in self.channels])
            colors = tuple(of_class[name] for name in merged)
            return EvaluationSpace(merged, colors, torch.tensor(self.channels), classes, (), merge=self.combination)
        names = tuple(self.space.names[channel] for channel in self.channels)
        colors = tuple(self.space.colors[channel] for channel in self.channels)
        return EvaluationSpace(names, colors, torch.tensor(self.channels), torch.arange(len(names)), ())


class Answer(NamedTuple):
    """What stands beside other answers in results: a network's logits, read in one view; both by name."""

    network: str
    view: str


def answers_of(networks: Mapping[str, Any], views: Mapping[str, Any]) -> dict[str, Answer]:
    """All that can be asked: every network in every view, called by what tells them apart."""
    pairs = [Answer(network, view) for network in networks for view in views]
    if len(views) == 1:
        return {pair.network: pair for pair in pairs}
    return {pair.view if len(networks) == 1 else f"{pair.network}/{pair.view}": pair for pair in pairs}


def views_of(space: LabelSpace, merges: Any) -> dict[str, View] | None:
    """Every merge of several branches, and each of them alone; null where a space has none.

    Args:
        merges: name → options of a :class:`View`, by name; whatever it is where there are no several branches.

    Raises:
        ValueError: a merge that is none, or is called as a branch.
    """
    views: dict[str, View] = {}
    if len(space.branches) > 1:
        check_merges(merges, space.branches)
        for name, options in merges.items():
            own: dict[str, Any] = {**options, "merged": tuple(options.get("merged") or space.branches)}
            try:
                views[name] = View(space, **own)
            except ValueError as error:
                raise ValueError(f"merges.{name}.{error}") from error
    return {**views, **{name: View(space, name) for name in space.branches}} or None


def check_merges(merges: Any, branches: Collection[str]) -> None:
    """Refuse merges that are none, as far as it shows without the networks.

    Raises:
        ValueError: it names the option.
    """
    known = [key.name for key in fields(View) if key.name not in ("space", "branch")]
    example = "{max: {merge: max, scores: logits}}"
    if not isinstance(merges, Mapping) or not merges:
        raise ValueError(f"merges: expected one or more by name, such as {example}, got {merges}")
    for name, options in merges.items():
        if not isinstance(options, Mapping):
            raise ValueError(f"merges.{name}: expected options as in {example}, got {options!r}")
        check_key("merges", name, BESIDE)
        if options.get("merged") is not None:
            check_names(f"merges.{name}.merged", options["merged"])
        if name in branches:
            raise ValueError(f"merges.{name}: a branch is called so; give the merge another name")
        for key in options:
            if key not in known:
                raise ValueError(f"merges.{name}.{key}: expected {', '.join(known)}{nearest(key, known)}")
        if not isinstance(options.get("mask_missing", True), bool):
            given = options["mask_missing"]
            raise ValueError(f"merges.{name}.mask_missing: expected true or false, got {given!r}")
        for key, values in CHOICES.items():
            if options.get(key, values[0]) not in values:
                raise ValueError(f"merges.{name}.{key}: expected {' or '.join(values)}, got {options[key]!r}")


def classes_at(
    logits: Float[Tensor, "n k h w"], size: tuple[int, int], space: EvaluationSpace, align_corners: bool
) -> UInt8[Tensor, "n H W"]:
    """The answer at every pixel: class index of the evaluation space, for logits upsampled to (height, width)."""
    if space.merge is not None:
        return merged_argmax(logits, size, space, align_corners)
    return restricted_argmax(logits, size, space.channels, space.classes, align_corners)


def without_unmapped(mask: UInt8[Tensor, "n h w"], space: EvaluationSpace) -> UInt8[Tensor, "n h w"]:
    """Mask whose classes without a channel are ignored: the model cannot answer them, and their IoU is undefined."""
    if not space.unmapped:
        return mask
    table = torch.arange(256, dtype=torch.uint8, device=mask.device)
    table[[space.names.index(name) for name in space.unmapped]] = IGNORE
    return table[mask.int()]


def subset_mious(values: Float[Tensor, " c"], space: EvaluationSpace) -> dict[str, float]:
    """mIoU of every subset of the classes that papers average over, from the IoU of each class."""
    return {subset: protocol(values, space.names, names).item() for subset, names in space.subsets.items()}


class Evaluator(pl.LightningModule):
    """Networks, each read in one or several views, and the IoU of their answers on the evaluated datasets.

    Args:
        networks: name → module whose output on images are logits at head resolution. Who owns them registers them.
        views: name → how these logits are read.
        evaluated: dataset name → its role and classes.
        align_corners: how logits are upsampled, in losses as in the evaluation.
        headline: the answer that stands for the model; null: the first. Of several networks in several views it is
            called `<network>/<view>`, else by the one that there are several of.
        trained: batches that the networks were trained on so far.

    Attributes:
        phase: what its numbers are logged below: `val`, or `test` of weights that were selected on other images.

    Raises:
        ValueError: there is no such answer.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        views: Mapping[str, View],
        evaluated: Mapping[str, Evaluated],
        align_corners: bool,
        headline: str | None = None,
        trained: int = 0,
    ) -> None:
        super().__init__()
        self.phase = "val"
        self.networks, self.views, self.evaluated = dict(networks), dict(views), dict(evaluated)
        self.align_corners, self.trained, self.evaluated_at = align_corners, trained, 0
        answers = answers_of(self.networks, self.views)
        self.headline = headline or next(iter(answers), "")
        if answers and self.headline not in answers:
            raise ValueError(f"headline: expected {' or '.join(answers)}, got {headline!r}")
        self.answers = {name: answers[name] for name in dict.fromkeys((self.headline, *answers)) if name in answers}
        self.spaces = {
            view: {name: read.of(dataset.table, name) for name, dataset in self.evaluated.items()}
            for view, read in self.views.items()
        }
        classes = {name: dataset.table.num_classes for name, dataset in self.evaluated.items()}
        self.confusion: Any = nn.ModuleList(  # torch does not say of what
            nn.ModuleDict({name: ConfusionMatrix(count) for name, count in classes.items()}) for _ in self.answers
        )
        self.iou_of: dict[str, dict[str, Tensor]] = {name: {} for name in self.answers}

    @property
    def iou(self) -> dict[str, Tensor]:
        """IoU of every class of every evaluated dataset, the headline's."""
        return self.iou_of[self.headline]

    def space_of(self, dataset: str) -> EvaluationSpace:
        """The classes of an evaluated dataset and the channels of the headline for them."""
        return self.spaces[self.answers[self.headline].view][dataset]

    def validation_step(self, batch: dict[str, Any], index: int) -> UInt8[Tensor, "n H W"]:
        """Count the batch into its dataset's confusion matrices; returns the headline's predictions for pictures."""
        dataset, size = batch["name"], tuple(batch["mask"].shape[-2:])
        logits = {name: network(batch["image"]) for name, network in self.networks.items()}
        finite = {name: of_network.isfinite().all() for name, of_network in logits.items()}
        predictions = {}
        for (name, answer), confusion in zip(self.answers.items(), self.confusion, strict=True):
            space = self.spaces[answer.view][dataset]
            predictions[name] = classes_at(logits[answer.network], size, space, self.align_corners)
            mask = without_unmapped(batch["mask"], space)
            confusion[dataset].update(predictions[name], mask, finite[answer.network])
        return predictions[self.headline]

    def on_validation_epoch_end(self) -> None:
        self.evaluated_at = self.trained
        values: dict[str, float] = {}
        for (answer, (_, view)), confusions in zip(self.answers.items(), self.confusion, strict=True):
            beside = "" if answer == self.headline else f"/{answer}"
            for name, confusion in confusions.items():
                space = self.spaces[view][name]
                self.iou_of[answer][name] = compute(confusion, space, name)
                values |= logged(f"{self.phase}/{name}{beside}", self.iou_of[answer][name], space)
        for role in dict.fromkeys(dataset.role for dataset in self.evaluated.values()):
            values[f"{self.phase}/mean_{role}_miou"] = self.mean_miou(role).item()
        # Not self.log: it would take the step of a fresh trainer, 0, when a finished fit is evaluated again.
        for logger in self.loggers:
            logger.log_metrics(values, step=self.trained)

    def answering(self) -> dict[str, Any]:
        """What a checkpoint says of the networks and the ways to read them, in plain types."""
        prefix_of = {id(module): name for name, module in self.named_modules()}
        return {
            "networks": {name: prefix_of[id(network)] for name, network in self.networks.items()},
            "views": {
                name: {"label_space": view.space.state_dict(), **view.options} for name, view in self.views.items()
            },
            "headline": self.headline,
        }

    def mean_miou(self, role: str) -> Float[Tensor, ""]:
        """Mean mIoU of the datasets with this role; nan where there is none."""
        mious = [self.iou[name].nanmean() for name, dataset in self.evaluated.items() if dataset.role == role]
        return torch.stack(mious).nanmean() if mious else torch.tensor(torch.nan)


def compute(confusion: ConfusionMatrix, space: EvaluationSpace, name: str) -> Float[Tensor, " c"]:
    """IoU from a confusion matrix, which starts anew.

    Args:
        name: of the dataset, for messages.

    Raises:
        ValueError: the network's answers were not finite.
    """
    try:
        values, counted = confusion.iou(), confusion.compute().any()
    except ValueError as error:
        raise ValueError(f"evaluation on {name}: {error}") from error
    confusion.reset()
    if not counted:
        warnings.warn(
            f"evaluation on {name}: no labelled pixel of a class that the model answers; its mIoU is undefined, and no "
            "mean has it",
            Remark,
            stacklevel=2,
        )
    return values if space.has_rivals else torch.full_like(values, torch.nan)


def logged(key: str, values: Float[Tensor, " c"], space: EvaluationSpace) -> dict[str, float]:
    """What goes into the log below a key: mIoU, also with absent classes as 0, those of subsets, IoU of every class."""
    mious = {"miou": values.nanmean().item(), "miou_zero": miou_zero(values).item()}
    mious |= {f"miou/{subset}": miou for subset, miou in subset_mious(values, space).items()}
    ious = {f"iou/{label}": value for label, value in zip(space.names, values.tolist(), strict=True)}
    return {f"{key}/{what}": value for what, value in (mious | ious).items()}
