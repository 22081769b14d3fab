"""Balancing logit variation: logits of rare classes are raised at random while training.

Wang et al., CVPR 2023 (arXiv:2306.02061); methods/blv.md. Nothing changes at inference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import yaml
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor, nn

from mdseg.label_space import LabelSpace
from mdseg.losses.fused import SupervisedLoss, Variation

SCALES = ("paper", "max_count", "pseudocode")
NOISES = ("paper", "pseudocode", "constant", "uniform", "beta", "exponential")
MODES = ("static", "epoch", "running")
DECAY = 0.999  # of running counts, per step
BLOCK_ROWS = 16  # rows that are drawn at a time, whatever the height of a band


def class_scales(
    counts: Float64[Tensor, " k"], present: Bool[Tensor, " k"], scale: str = "paper"
) -> Float64[Tensor, " k"]:
    r"""How far each class is raised at most: 1 for the rarest.

    .. math:: w_k = c_k / \max_i c_i, \quad c_k = \log \sum_j q_j - \log q_k

    Wang et al., CVPR 2023, section 3, and their corrected code. A class without pixels counts as one with a single one.
    Where no c is positive (a single class), all w are 0.

    counts: pixels q of every class.
    present: classes of the task; the others are not perturbed (w = 0) and count for nothing, although they have no
        pixels: nothing annotates them, so they are not rare but absent.
    scale: `paper`; `max_count`, with the largest count in place of the sum (first commit of the code);
        `pseudocode`, :math:`c_k = \log(\sum_j q_j - \log q_k)` (the supplement's misplaced parenthesis, for comparison
        only: w is close to 1 for all classes).
    """
    counts = counts.clamp(min=1).where(present, 0)
    logs = counts.log()
    if scale == "paper":
        coefficients = counts.sum().log() - logs
    elif scale == "max_count":
        coefficients = counts.max().log() - logs
    else:
        coefficients = (counts.sum() - logs).log()
    coefficients = coefficients.where(present, 0)
    largest = coefficients.max()
    return coefficients / largest.where(largest > 0, 1)


class ClassCounter(nn.Module):
    r"""Pixels of every class: those of the labels, mixed with those of labels that are observed while training.

    .. math:: q_k = N ((1 - s) l_k + s \, o_k)

    with the class fractions l of the labels and o of what was observed, N labelled pixels in all, and the share s.
    Wang et al., CVPR 2023 (BLV), count pseudo-labels every epoch in semi-supervised learning.

    Args:
        labelled: pixels of every class in the labels, all images.
        present: classes of the task; nothing else is counted.
        mode: `static`: labels only. `epoch`: what was observed in the epoch before; labels in the first one.
            `running`: an average that starts as l and keeps 0.999 of itself at every observation.
        share: images without labels among all, whose pseudo-labels are observed. 1 where all images have labels: then
            those of the crops that are trained on are observed.
        epoch: number of the epoch that a step lies in.

    All state is in buffers, the same on all ranks, so that a checkpoint has it.
    """

    labelled: Float64[Tensor, " k"]
    observed: Float64[Tensor, " k"]
    next: Float64[Tensor, " k"]
    present: Bool[Tensor, " k"]

    def __init__(
        self,
        labelled: Float64[Tensor, " k"],
        present: Bool[Tensor, " k"],
        mode: str,
        share: float = 1.0,
        epoch: Callable[[int], int] = lambda step: 0,
    ) -> None:
        super().__init__()
        self.mode, self.share, self.epoch = mode, share, epoch
        labelled = labelled.where(present, 0)
        self.register_buffer("present", present, persistent=False)
        self.register_buffer("labelled", labelled)
        self.register_buffer("observed", fractions(labelled))
        self.register_buffer("next", torch.zeros_like(labelled))

    def begin(self, step: int) -> None:
        """Start a step: in the first one of an epoch, what the last epoch has shown comes into force."""
        if self.mode == "epoch" and step > 0 and self.epoch(step) != self.epoch(step - 1):
            self.observed.copy_(fractions(self.next).where(self.next.sum() > 0, self.observed))
            self.next.zero_()

    def observe(self, train_ids: UInt8[Tensor, "n h w"]) -> None:
        """Count labels that a step trains on; ignored pixels and classes outside the task do not count.

        All ranks must call it alike, since their counts are added up.
        """
        if self.mode == "static":
            return
        seen = torch.bincount(train_ids.flatten(), minlength=256)[: len(self.labelled)] * self.present
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(seen)
        if self.mode == "epoch":
            self.next += seen
        else:
            new = DECAY * self.observed + (1 - DECAY) * fractions(seen.double())
            self.observed.copy_(new.where(seen.sum() > 0, self.observed))

    def counts(self) -> Float64[Tensor, " k"]:
        """Pixels q of every class."""
        if self.mode == "static":
            return self.labelled
        mixed = (1 - self.share) * fractions(self.labelled) + self.share * self.observed
        return self.labelled.sum() * mixed


def fractions(counts: Float64[Tensor, " k"]) -> Float64[Tensor, " k"]:
    """Share of every class; all 0 where there is nothing."""
    return counts / counts.sum().clamp(min=1)


def triangle(step: int, steps: int, peak: float, middle: float) -> float:
    r"""A sigma that rises linearly from 0 to its peak at step `middle * steps`, then falls to 0 at the end.

    Wang et al., CVPR 2023, supplement 3 ("+tv"): peak 6 at 30 k of 40 k steps. Their curve is only a figure; that its
    sides are straight is ours.
    """
    top = middle * steps
    return peak * (step / top if step <= top else (steps - step) / (steps - top))


def factors(
    noise: str, sigma: float, out: Float[Tensor, "k rows W"], generator: torch.Generator
) -> Float[Tensor, "k rows W"]:
    r"""Draw what w is multiplied by, in [0, 1], into `out`.

    .. math:: \min(|\delta|, 1), \quad \delta \sim N(0, \sigma^2)

    Its mean is 0.933663 for sigma 6 and 0.900781 for 4.
    """
    if noise == "paper":
        return out.normal_(std=sigma, generator=generator).abs_().clamp_(max=1)
    if noise == "pseudocode":
        return out.normal_(std=sigma, generator=generator).clamp_(0, 1)
    if noise == "exponential":
        return out.exponential_(generator=generator).clamp_(max=1)
    out.uniform_(generator=generator)
    return out if noise == "uniform" else out.mul_(math.pi / 2).sin_().square_()  # the arcsine law


class Offsets:
    """The noise of one call of a loss: `offsets(band, channels, first row, image)` adds it to a band, in place."""

    def __init__(self, noise: str, sigma: float, scales: Float[Tensor, " k"], seeds: list[list[int]]) -> None:
        self.noise, self.sigma, self.scales, self.seeds = noise, sigma, scales, seeds
        self.generator = torch.Generator(scales.device)
        self.drawn: tuple[int, int] | None = None  # image and block that lie in `block`
        self.block = scales

    def __call__(
        self, band: Float[Tensor, "k rows W"], channels: Int64[Tensor, " k"] | None, start: int, image: int
    ) -> Float[Tensor, "k rows W"]:
        scales = (self.scales if channels is None else self.scales[channels]).to(band.dtype)[:, None, None]
        if self.noise == "constant":
            return band.add_(scales)
        stop = start + band.shape[1]
        for number in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            top = number * BLOCK_ROWS
            first, last = max(start, top), min(stop, top + BLOCK_ROWS)
            drawn = self._drawn(image, number, len(band), band.shape[2])[:, first - top : last - top]
            band[:, first - start : last - start].addcmul_(drawn.to(band.dtype), scales)
        return band

    def _drawn(self, image: int, number: int, num_channels: int, width: int) -> Float[Tensor, "k rows W"]:
        """A block's factors; a block that two bands share is drawn once."""
        if self.drawn != (image, number):
            shape = (num_channels, BLOCK_ROWS, width)
            if self.block.shape != shape:
                self.block = self.scales.new_empty(shape)
            self.generator.manual_seed(self.seeds[image][number])
            factors(self.noise, self.sigma, self.block, self.generator)
            self.drawn = image, number
        return self.block


class LogitVariation(nn.Module):
    r"""Raises every logit at random, those of rare classes most.

    .. math:: \hat z_k = z_k + w_k \min(|\delta_k|, 1), \quad \delta_k \sim N(0, \sigma^2)

    Wang et al., CVPR 2023, eq. 3, drawn independently for every pixel and channel at the resolution of the labels. The
    noise has no gradient. In evaluation mode, and where sigma is 0, nothing is drawn and the logits stay as they are.

    A call draws the noise of one call of a loss: from torch's global CPU generator, seeds for fixed blocks of rows of
    every image, so that the noise depends neither on the height of bands nor on what the other images are.

    Args:
        noise: `paper`; `pseudocode`, :math:`\min(\max(\delta, 0), 1)` (the supplement: half as strong, half of the
            entries are 0); `constant`, 1. The distributions of the ablation stand for the factor itself and know no
            sigma (other than 0, which is no variation at all): `uniform` on [0, 1], `beta` = Beta(1/2, 1/2),
            `exponential` = Exp(1), which is cut at 1 as the normal noise is.
        scale: see :func:`class_scales`.
        sigma: standard deviation of delta, or `{peak, middle}` of a :func:`triangle` over the steps of the fit.
        steps: of the fit.

    Raises:
        ValueError: an unknown noise or scale, a sigma that is none.
    """

    def __init__(
        self,
        counter: ClassCounter,
        noise: str,
        scale: str,
        sigma: float | int | Mapping[str, float | int],
        steps: int,
    ) -> None:
        super().__init__()
        if noise not in NOISES:
            raise ValueError(f"loss.variation.noise: expected {', '.join(NOISES)}, got {noise!r}")
        if scale not in SCALES:
            raise ValueError(f"loss.variation.scale: expected {', '.join(SCALES)}, got {scale!r}")
        self.counter, self.noise, self.scale, self.steps = counter, noise, scale, steps
        self.schedule = sigma if isinstance(sigma, Mapping) else None
        self.sigma = 0.0 if self.schedule else float(sigma)

    @property
    def varies(self) -> bool:
        """Whether sigma changes over the fit."""
        return self.schedule is not None

    def begin(self, step: int) -> None:
        """Start a step of the fit."""
        self.counter.begin(step)
        if self.schedule is not None:
            self.sigma = triangle(step, self.steps, **self.schedule)

    def forward(self, images: int, rows: int) -> Variation | None:
        """The noise of one call of a loss on so many images with so many rows; None where there is none."""
        if not self.training or self.sigma == 0:
            return None
        scales = class_scales(self.counter.counts(), self.counter.present, self.scale)
        seeds = torch.randint(2**32, (images, -(-rows // BLOCK_ROWS))).tolist()
        return Offsets(self.noise, self.sigma, scales.float(), seeds)


def blv(
    losses: Mapping[str, SupervisedLoss | None],
    space: LabelSpace,
    labelled: Float64[Tensor, " k"],
    *,
    share: float,
    epoch: Callable[[int], int],
    steps: int,
    noise: str,
    scale: str,
    sigma: float | int | Mapping[str, float | int],
    counts: Mapping[str, str | None],
    counts_file: str | None,
) -> None:
    """Give every supervised loss that is to be perturbed a variation of its own.

    Args:
        losses: slot → loss, None where the slot is empty.
        labelled: pixels of every class in the labels.
        share, epoch: see :class:`ClassCounter`.
        steps, noise, scale, sigma: see :class:`LogitVariation`.
        counts: slot → mode of its :class:`ClassCounter`, or None: that loss is not perturbed. Empty slots may be named.
        counts_file: YAML or JSON file of class name → pixels, in place of `labelled`.

    Raises:
        ValueError, FileNotFoundError: an option or a file that is none, a slot or a class that is missing.
    """
    for slot in counts:
        if slot not in losses:
            raise ValueError(f"loss.variation.counts: no slot {slot!r}; expected {', '.join(losses)}")
    perturbed = {slot: loss for slot, loss in losses.items() if loss is not None and counts.get(slot) is not None}
    if not perturbed:
        filled = [slot for slot, loss in losses.items() if loss is not None]
        raise ValueError(
            f"loss.variation.counts: no loss is perturbed; give {' or '.join(filled)} a mode ({', '.join(MODES)}), or "
            "set loss/variation=none"
        )
    present = space.in_space.any(dim=0)
    if counts_file is not None:
        labelled = read_counts(Path(counts_file), space.names, present)
    for slot, loss in perturbed.items():
        if counts[slot] not in MODES:
            expected = f"{', '.join(MODES)} or null"
            raise ValueError(f"loss.variation.counts.{slot}: expected {expected}, got {counts[slot]!r}")
        counter = ClassCounter(labelled, present, counts[slot], share, epoch)
        loss.variation = LogitVariation(counter, noise, scale, sigma, steps)


def read_counts(path: Path, names: Sequence[str], present: Bool[Tensor, " k"]) -> Float64[Tensor, " k"]:
    """Pixels of every class of the task from a YAML or JSON file of class name → pixels; other names may be there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a class is missing, or its pixels are no number of pixels.
    """
    where = f"loss.variation.counts_file: {path}"
    if not path.is_file():
        raise FileNotFoundError(f"{where} does not exist")
    try:
        pixels = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{where} is no YAML: {error}") from error
    if not isinstance(pixels, Mapping):
        raise ValueError(f"{where}: expected class names with their pixels (road: 2036416525), got {type(pixels)}")
    wanted = [name for name, there in zip(names, present.tolist(), strict=True) if there]
    missing = [name for name in wanted if name not in pixels]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; it needs the pixels of {', '.join(wanted)}")
    for name in wanted:
        if not isinstance(pixels[name], int) or pixels[name] < 0:
            raise ValueError(f"{where}: {name}: expected a number of pixels, got {pixels[name]!r}")
    return torch.tensor([pixels[name] if name in wanted else 0 for name in names], dtype=torch.float64)
