"""Self-training with an EMA teacher and ClassMix, for domain adaptation and semi-supervised learning."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mdseg.losses.unlabelled import check_weight
from mdseg.methods.base import Loss, Method, Reads, StepBatch, StreamShape
from mdseg.methods.lessons import Lesson, Lessons, PseudoLabels
from mdseg.methods.mixing import Mixed, class_mask, mix
from mdseg.pixels.argmax import first_argmax
from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded


class SelfTraining(Method):
    r"""A student learns from labelled images and from mixed ones, whose other labels an average of itself predicts.

    .. math:: L = CE(f(x_s), y_s) + \frac{\lambda}{BHW} \sum w_m \, CE(f(x_m), y_m)

    Tranheden et al., WACV 2021 (DACS, arXiv:2007.08702); Hoyer et al., CVPR 2022 (the recipe of DAFormer,
    arXiv:2111.14887, without its ImageNet feature distance); with a stream of unlabelled images of the same dataset the
    self-training that BLV (Wang et al., CVPR 2023, arXiv:2306.02061) starts from. Pseudo-labels are made for the stream
    of the target or of unlabelled images; these are cropped as the labelled ones, and as many. The optimisers of these
    codes see two backward passes; one of the sum gives the same gradient. Where datasets have classes of their own, an
    unlabelled image's pseudo-labels are among those of its dataset, and `mixing: per_dataset` in both streams mixes it
    with a labelled image of the same dataset.

    Args:
        mixed: the loss of mixed images, a supervised loss that divides by all pixels: ignored ones stay in the
            denominator.
        decay: a of the average, which is reached gradually, see :func:`ramp`.
        teacher_bn: batch norm of the teacher: `batch` (statistics of the batch at hand, as DACS and DAFormer; its own
            running averages for the evaluation) or `copy` (the student's running averages).
        eval_model: whose results are the headline, `student` or `teacher`; the others stand beside.
        tau, confidence_scope: see :func:`confidence_weight`. With several devices a batch is one device's part.
        ignore_rows: shares of the height at the top and at the bottom where pseudo-labels do not count.
        mixed_weight: lambda.
        low_weight: weight of the supervised loss on a low head, where the network has one. It learns from labelled
            images only and is not perturbed, as U2PL's auxiliary head (Wang et al., CVPR 2022, official code).
        mix_ignore: see :func:`~mdseg.methods.mixing.class_mask`.
        augment: what mixed images go through; labels stay.

    Raises:
        ValueError: an option that is out of range.
    """

    reads: Mapping[str, Reads] = {"labelled": Reads("labelled"), "unlabelled": Reads("target", "unlabelled")}
    pseudo_labelled = "unlabelled"

    def __init__(
        self,
        supervised: Loss,
        mixed: Loss,
        decay: float | int,
        teacher_bn: str,
        eval_model: str,
        tau: float | int,
        confidence_scope: str,
        ignore_rows: Sequence[float | int],
        mixed_weight: float | int,
        low_weight: float | int,
        mix_ignore: bool,
        augment: Callable[[Tensor], Tensor],
        model: nn.Module,
        **common: Any,
    ) -> None:
        teacher = copy.deepcopy(model).requires_grad_(False)
        networks = {"student": model, "teacher": teacher}
        if eval_model not in networks:
            raise ValueError(f"method.eval_model: expected {' or '.join(networks)}, got {eval_model!r}")
        super().__init__(model=model, networks=networks, headline=eval_model, **common)
        for name, value in (("mixed_weight", mixed_weight), ("low_weight", low_weight)):
            check_weight(f"method.{name}", value)
        for name, value in (("decay", decay), ("tau", tau)):
            if not 0 <= value <= 1:
                raise ValueError(f"method.{name}: expected a number in [0, 1], got {value}")
        if teacher_bn not in ("batch", "copy"):
            raise ValueError(f"method.teacher_bn: expected batch or copy, got {teacher_bn!r}")
        if confidence_scope not in SCOPES:
            raise ValueError(f"method.confidence_scope: expected {', '.join(SCOPES)}, got {confidence_scope!r}")
        if len(ignore_rows) != 2 or min(ignore_rows) < 0 or sum(ignore_rows) > 1:
            raise ValueError(f"method.ignore_rows: expected two shares of the height, [top, bottom], got {ignore_rows}")
        self.supervised, self.mixed = supervised, mixed
        self.teacher, self.decay, self.teacher_bn = teacher, decay, teacher_bn
        self.tau, self.confidence_scope = tau, confidence_scope
        self.ignore_rows, self.mixed_weight, self.low_weight = tuple(ignore_rows), mixed_weight, low_weight
        self.mix_ignore, self.augment = mix_ignore, augment
        self.lesson: Lesson | None = None
        self.train()

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        super().read(streams)
        labelled, unlabelled = self.names_of["labelled"][0], self.names_of["unlabelled"][0]
        sizes = {f"streams.{name}.batch_size": streams[name].batch_size for name in (labelled, unlabelled)}
        if len(set(sizes.values())) > 1:
            given = " and ".join(f"{key}={size}" for key, size in sizes.items())
            raise ValueError(f"{given}: every unlabelled image is mixed with a labelled one; make them equal")
        if streams[labelled].crop != streams[unlabelled].crop:
            raise ValueError(
                f"transform.crop of stream {labelled} is {streams[labelled].crop} and of {unlabelled} "
                f"{streams[unlabelled].crop}: every unlabelled image is mixed with a labelled one; make them equal"
            )

    def configure_callbacks(self) -> list[pl.Callback]:
        return [Lessons(self.panels)] if self.panels else []

    def start(self) -> None:
        self.teacher.load_state_dict(self.model.state_dict())

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        return self.learning_loss(batch)

    def learning_loss(self, batch: StepBatch) -> Float[Tensor, ""]:
        """The loss of the student on labelled and on mixed images."""
        labelled, unlabelled = batch["labelled"], batch["unlabelled"]["image"]
        check_pairs(labelled["image"], unlabelled)
        with torch.no_grad():
            channels = self.channels_of(batch["unlabelled"]["dataset"])
            logits, size = self.teacher(unlabelled), tuple(unlabelled.shape[-2:])
            pseudo = pseudo_labels(logits, size, self.align_corners, channels=channels)
            weight = confidence_weight(pseudo.confidence, self.tau, self.confidence_scope)
            self.log("pseudo_labels/weight", weight.mean())
            weight = without_rows(weight, *self.ignore_rows)
            # Mixed before the student draws anything (dropout, noise): the mix depends on seed and step alone.
            pasted = class_mask(labelled["mask"], self.mix_ignore)
            certain = Mixed(labelled["image"], labelled["mask"], torch.ones_like(weight))
            mixed = mix(pasted, certain, Mixed(unlabelled, pseudo.label, weight))
            mixed = mixed._replace(image=self.augment(mixed.image))
        self.lesson = Lesson(pseudo, pasted, mixed)

        # Pseudo-labels are what losses count that balance classes (BLV), in both terms.
        loss = self.supervise(self.supervised, labelled, self.low_weight, counted=pseudo.label)
        # A mixed image is one of the labelled image's dataset: its classes are those that both may hold.
        logits, weight = self.model(mixed.image), mixed.weight
        mixed_loss = self.mixed(logits, mixed.mask, labelled["dataset"], weight, counted=pseudo.label)
        self.log("train/mixed", mixed_loss, prog_bar=True)
        return loss + self.mixed_weight * mixed_loss

    def channels_of(self, datasets: Int64[Tensor, " n"]) -> list[Int64[Tensor, " _"] | None]:
        """Channels that answer for an unlabelled image: those of its dataset's classes; None: all, as for a target."""
        rows = [None if index < 0 else self.space.in_space[index] for index in datasets.tolist()]
        return [None if row is None or row.all() else row.nonzero()[:, 0].to(datasets.device) for row in rows]

    def optimizer_step(self, epoch: int, step: int, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(epoch, step, *arguments, **options)
        # Here, not in on_train_batch_end: checkpoints are saved before that hook.
        self.update_teacher(step)

    @torch.no_grad()
    def update_teacher(self, step: int) -> None:
        """Average the parameters; integer buffers, and with `teacher_bn: copy` all, become the student's."""
        new = 1 - ramp(step, self.decay)
        averaged: list[Tensor] = list(self.teacher.parameters())
        student: list[Tensor] = list(self.model.parameters())
        if new == 1:
            torch._foreach_copy_(averaged, student)
        else:
            torch._foreach_lerp_(averaged, student, new)
        for buffer, of_student in zip(self.teacher.buffers(), self.model.buffers(), strict=True):
            if self.teacher_bn == "copy" or not buffer.is_floating_point():
                buffer.copy_(of_student)

    def train(self, mode: bool = True) -> "SelfTraining":
        """The teacher is in evaluation mode throughout; with `teacher_bn: batch` its batch norms follow the student."""
        super().train(mode)
        for module in self.teacher.modules():
            batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
            # Not eval(): layers that are frozen are in evaluation mode by then, in the student as in the teacher.
            module.training &= batch_norm and self.teacher_bn == "batch"
        return self


def ramp(step: int, decay: float | int) -> float:
    r"""Share of the old average that the teacher keeps after a step: a plain mean of all students first.

    .. math:: a_t = \min(1 - 1 / (t + 1), a)

    After step 0 the teacher is a copy, as in DACS; DAFormer's code updates at the start of the next step and so keeps
    the initial weights in its first average.
    """
    return min(1 - 1 / (step + 1), float(decay))


def pseudo_labels(
    logits: Float[Tensor, "n k h w"],
    size: tuple[int, int],
    align_corners: bool,
    band_bytes: int | None = None,
    channels: Sequence[Int64[Tensor, " _"] | None] | None = None,
) -> PseudoLabels:
    r"""Arg-max and maximum of the softmax of upsampled logits, without a gradient; evaluated in bands.

    .. math:: \hat y = \arg\max_k p_k, \quad conf = \max_k p_k, \quad p = \mathrm{softmax}(\mathrm{upsample}(logits))

    Args:
        band_bytes: memory of one band of upsampled logits; None: by device.
        channels: those of each image that take part in softmax and arg-max; None: all.
    """
    label = torch.empty(len(logits), *size, dtype=torch.uint8, device=logits.device)
    confidence = torch.empty_like(label, dtype=torch.promote_types(logits.dtype, torch.float32))
    memory = band_memory(logits, band_bytes, PREDICTION_BYTES)
    for band in banded(logits, size, align_corners, memory, channels=channels):
        band_logits, here = band.upsample(), (band.image, band.rows)
        best = first_argmax(band_logits)
        label[here] = best if band.channels is None else band.channels[best.long()].to(torch.uint8)
        confidence[here] = (band_logits.amax(dim=0) - band_logits.logsumexp(dim=0)).exp()
    return PseudoLabels(label, confidence)


SCOPES = ("batch", "image", "pixel")


def confidence_weight(
    confidence: Float[Tensor, "n h w"], tau: float | int, scope: str = "batch"
) -> Float[Tensor, "n h w"]:
    r"""Weight of every pseudo-label: the share of confident pixels in its batch or image, or whether it is confident.

    .. math:: q = \frac{\#\{conf \ge \tau\}}{BHW}

    Args:
        scope: `batch` (Tranheden et al., WACV 2021, and DAFormer), `image`, or `pixel` (0 or 1, the option `threshold`
            of the DACS code).
    """
    confident = (confidence >= tau).to(confidence.dtype)
    if scope == "pixel":
        return confident
    return confident.mean(dim=(0, 1, 2) if scope == "batch" else (1, 2), keepdim=True).expand_as(confident)


def without_rows(weight: Float[Tensor, "n h w"], top: float | int, bottom: float | int) -> Float[Tensor, "n h w"]:
    """Zero in the upper and lower rows, given as shares of the height.

    DAFormer (Hoyer et al., CVPR 2022) leaves out 15 and 120 rows of 512, where Cityscapes shows the edge of the
    rectified image and the car's bonnet. The share of confident pixels still counts them.
    """
    height = weight.shape[1]
    weight = weight.clone()
    weight[:, : round(top * height)] = 0
    weight[:, height - round(bottom * height) :] = 0
    return weight


def check_pairs(labelled: Tensor, unlabelled: Tensor) -> None:
    """Refuse batches that cannot be mixed image by image.

    Raises:
        ValueError: labelled and unlabelled images differ in number or size.
    """
    if labelled.shape != unlabelled.shape:
        raise ValueError(
            "self-training mixes image by image: the labelled and the unlabelled stream need the same transform.crop, "
            f"got {tuple(labelled.shape)} and {tuple(unlabelled.shape)}"
        )
