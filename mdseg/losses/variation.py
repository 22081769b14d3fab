"""Balancing logit variation: logits of rare classes are raised at random while training.

Wang et al., CVPR 2023 (arXiv:2306.02061). Nothing changes at inference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor, nn

from mdseg.labels.spaces import LabelSpace
from mdseg.losses.fused import SupervisedLoss, Variation
from mdseg.system.documents import read_yaml

Sigma = float | int | Mapping[str, float | int]

SCALES = ("paper", "max_count", "pseudocode")
NOISES = ("paper", "pseudocode", "constant", "uniform", "beta", "exponential")
WITH_SIGMA = ("paper", "pseudocode")
MODES = ("static", "epoch", "running")
DECAY = 0.999  # of running counts, per step
CPU_BLOCK, GPU_BLOCK = 2**19, 2**23  # elements that are drawn at a time, whatever the height of a band
RARELY = 0.2  # share of elements below 1 up to which drawing only them is faster: sigma 4 and more


def class_scales(
    counts: Float64[Tensor, " k"], present: Bool[Tensor, " k"], scale: str = "paper"
) -> Float64[Tensor, " k"]:
    r"""How far each class is raised at most: 1 for the rarest.

    .. math:: w_k = c_k / \max_i c_i, \quad c_k = \log \sum_j q_j - \log q_k

    Wang et al., CVPR 2023, section 3, and their corrected code. A class without pixels counts as one with a single one.
    Where no c is positive (a single class), all w are 0.

    Args:
        counts: pixels q of every class.
        present: classes of the task; the others are not perturbed (w = 0) and count for nothing, although they have no
            pixels: nothing annotates them, so they are not rare but absent.
        scale: `paper`; `max_count`, with the largest count in place of the sum (first commit of the code);
            `pseudocode`, :math:`c_k = \log(\sum_j q_j - \log q_k)` (the supplement's misplaced parenthesis, for
            comparison only: w is close to 1 for all classes).
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

    All state is in buffers, the same on all ranks, so that a checkpoint has it.

    Args:
        labelled: pixels of every class in the labels, all images.
        present: classes of the task; nothing else is counted.
        mode: `static`: labels only. `epoch`: what was observed in the epoch before; labels in the first one.
            `running`: an average that starts as l and keeps 0.999 of itself at every observation.
        share: images without labels among all, whose pseudo-labels are observed. 1 where all images have labels: then
            those of the crops that are trained on are observed.
        epoch: number of the epoch that a step lies in.
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
        self.register_buffer("present", present, persistent=False)
        self.register_buffer("labelled", torch.zeros_like(labelled))
        self.register_buffer("observed", torch.zeros_like(labelled))
        self.register_buffer("next", torch.zeros_like(labelled))
        self.count(labelled)

    def count(self, labelled: Float64[Tensor, " k"]) -> None:
        """Start from these pixels of every class in the labels."""
        self.labelled.copy_(labelled.where(self.present, 0))
        self.observed.copy_(fractions(self.labelled))

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


def triangle(step: int, steps: int, peak: float | int, middle: float | int) -> float:
    r"""A sigma that rises linearly from 0 to its peak at step `middle * steps`, then falls to 0 at the end.

    Wang et al., CVPR 2023, supplement 3 ("+tv"): peak 6 at 30 k of 40 k steps. Their curve is only a figure; that its
    sides are straight is ours.
    """
    top = middle * steps
    return float(peak * (step / top if step <= top else (steps - step) / (steps - top)))


def draw_factors(
    noise: str, sigma: float, out: Float[Tensor, "k rows W"], generator: torch.Generator
) -> Float[Tensor, "k rows W"]:
    r"""Draw what the scales are multiplied by, in [0, 1], into `out`; the distributions are those of LogitVariation.

    .. math:: \min(|\delta|, 1), \quad \delta \sim N(0, \sigma^2)

    The mean of this one, `paper`, is 0.933663 for sigma 6, 0.900781 for 4.
    """
    if noise == "paper":
        below = math.erf(1 / (sigma * math.sqrt(2)))
        if out.device.type == "cpu" and below <= RARELY:
            return _mostly_one(below, sigma, out, generator)
        return out.normal_(std=sigma, generator=generator).abs_().clamp_(max=1)
    if noise == "pseudocode":
        return out.normal_(std=sigma, generator=generator).clamp_(0, 1)
    if noise == "exponential":
        return out.exponential_(generator=generator).clamp_(max=1)
    if noise == "beta":
        return out.uniform_(generator=generator).mul_(math.pi / 2).sin_().square_()  # the arcsine law
    return out.uniform_(generator=generator)


def _mostly_one(
    below: float, sigma: float, out: Float[Tensor, "k rows W"], generator: torch.Generator
) -> Float[Tensor, "k rows W"]:
    """The same as normal noise that is cut at 1, where few elements are below 1: only they are drawn.

    Random numbers are the cost of the variation on a CPU. Elements below 1 are found by their distances, which are
    geometric, and valued by the inverse of the distribution function, given that they are below 1.
    """
    elements, expected = out.numel(), below * out.numel()
    enough = math.ceil(expected + 8 * math.sqrt(expected)) + 8  # eight standard deviations: fewer do not happen
    # Two uniform numbers of each 64 random bits: half the cost of uniform_.
    words = torch.empty(enough, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    uniform = words.view(torch.int32).float().abs_().mul_(2**-31).view(2, enough)
    distances = uniform[0].clamp_(min=2**-32).log_().mul_(1 / math.log1p(-below)).floor_().add_(1)
    places = distances.cumsum(0).sub_(1).long()  # float32 counts exactly this far
    places = places[: int(torch.searchsorted(places, elements))]
    values = uniform[1, : len(places)].mul_(below).erfinv_().mul_(sigma * math.sqrt(2)).clamp_(max=1)
    out.fill_(1).view(-1).scatter_(0, places, values)
    return out


class Offsets:
    """The noise of one call of a loss: `offsets(band, channels, first row, image)` adds it to a band, in place.

    Blocks of an image's rows are drawn from seeds of their own: which rows a block holds depends on the number of
    channels and columns, and not on the band.

    Args:
        scales: w of every class.
        seeds: per image, one for each row; a block takes that of its first.
    """

    def __init__(self, noise: str, sigma: float, scales: Float[Tensor, " k"], seeds: list[list[int]]) -> None:
        self.noise, self.sigma, self.scales, self.seeds = noise, sigma, scales, seeds
        self.generator = torch.Generator(scales.device)
        self.elements = CPU_BLOCK if scales.device.type == "cpu" else GPU_BLOCK
        self.drawn: tuple[int, int] | None = None  # image and first row of what lies in `block`
        self.block = scales

    def __call__(
        self, band: Float[Tensor, "k rows W"], channels: Int64[Tensor, " k"] | None, start: int, image: int
    ) -> Float[Tensor, "k rows W"]:
        scales = (self.scales if channels is None else self.scales[channels]).to(band.dtype)[:, None, None]
        if self.noise == "constant":
            return band.add_(scales)
        height = max(1, self.elements // max(1, len(band) * band.shape[2]))
        stop = start + band.shape[1]
        for top in range(start - start % height, stop, height):
            block = self._block(image, top, height, len(band), band.shape[2])
            first, last = max(start, top), min(stop, top + height)
            drawn = block[:, first - top : last - top].to(band.dtype)
            band[:, first - start : last - start].addcmul_(drawn, scales)
        return band

    def _block(self, image: int, top: int, height: int, num_channels: int, width: int) -> Float[Tensor, "k rows W"]:
        """Factors of the block that begins at row `top`; where two bands share a block, it is drawn once."""
        if self.drawn != (image, top):
            shape = (num_channels, min(height, len(self.seeds[image]) - top), width)
            if self.block.shape != shape:
                self.block = self.scales.new_empty(shape)
            self.generator.manual_seed(self.seeds[image][top])
            draw_factors(self.noise, self.sigma, self.block, self.generator)
            self.drawn = image, top
        return self.block


class LogitVariation(nn.Module):
    r"""Raises every logit at random, those of rare classes most.

    .. math:: \hat z_k = z_k + w_k \min(|\delta_k|, 1), \quad \delta_k \sim N(0, \sigma^2)

    Wang et al., CVPR 2023, eq. 3, drawn independently for every pixel and channel at the resolution of the labels. The
    noise has no gradient. In evaluation mode, and where sigma is 0, nothing is drawn and logits stay as they are.

    Called, it answers the noise of one call of a loss, which follows from torch's global CPU generator: neither the
    height of bands nor what the other images show matters.

    Args:
        noise: the factor of w. `paper`, as above; `pseudocode`, :math:`\min(\max(\delta, 0), 1)` (the supplement: half
            as strong, half of the entries 0); `constant`, 1. The distributions of the ablation stand in the place of
            the cut normal one and know no sigma: `uniform` on [0, 1], `beta` = Beta(1/2, 1/2), `exponential` = Exp(1),
            which is cut at 1, too (mean 1 - 1/e), so that no logit is raised by more than w.
        scale: see :func:`class_scales`.
        sigma: standard deviation of delta, 0 for no variation at all, whatever the noise; or `{peak, middle}` of a
            :func:`triangle` over the steps of the fit.
        steps: of the fit.

    Raises:
        ValueError: an unknown noise or scale, a sigma that is none, or one that changes for noise that has none.
    """

    def __init__(self, counter: ClassCounter, noise: str, scale: str, sigma: Sigma, steps: int) -> None:
        super().__init__()
        if noise not in NOISES:
            raise ValueError(f"loss.variation.noise: expected {', '.join(NOISES)}, got {noise!r}")
        if scale not in SCALES:
            raise ValueError(f"loss.variation.scale: expected {', '.join(SCALES)}, got {scale!r}")
        _check_sigma(sigma, noise)
        self.counter, self.noise, self.scale, self.steps = counter, noise, scale, steps
        self.schedule = dict(sigma) if isinstance(sigma, Mapping) else None
        self.sigma = 0.0 if isinstance(sigma, Mapping) else float(sigma)

    @property
    def varies(self) -> bool:
        """Whether sigma changes over the fit."""
        return self.schedule is not None

    def begin(self, step: int) -> None:
        """Start a step of the fit."""
        self.counter.begin(step)
        if self.schedule is not None:
            self.sigma = triangle(step, self.steps, **self.schedule)

    def forward(self, images: int, rows: int, labels: UInt8[Tensor, "n h w"] | None = None) -> Variation | None:
        """The noise for so many images with so many rows; None where there is none. In training, labels are counted."""
        if not self.training:
            return None
        if labels is not None:
            self.counter.observe(labels)
        if self.sigma == 0:
            return None
        scales = class_scales(self.counter.counts(), self.counter.present, self.scale).float()
        return Offsets(self.noise, self.sigma, scales, torch.randint(2**32, (images, rows)).tolist())


def _check_sigma(sigma: Any, noise: str) -> None:
    where, changes = "loss.variation.sigma", isinstance(sigma, Mapping)
    if changes and set(sigma) != {"peak", "middle"}:
        raise ValueError(f"{where}: expected a number or {{peak: 6, middle: 0.75}}, got {dict(sigma)}")
    if changes and noise not in WITH_SIGMA:
        raise ValueError(
            f"{where}: noise {noise!r} has no sigma that could change over the steps; set a number, or noise to "
            f"{' or '.join(WITH_SIGMA)}"
        )
    peak, middle = (sigma["peak"], sigma["middle"]) if changes else (sigma, 1)
    if not (isinstance(peak, int | float) and 0 <= peak < math.inf):
        raise ValueError(f"{where}: expected a number of at least 0, got {peak!r}")
    if not (isinstance(middle, int | float) and 0 < middle <= 1):
        raise ValueError(f"{where}.middle: expected a share of the steps, above 0 and at most 1, got {middle!r}")


def blv(
    losses: Mapping[str, SupervisedLoss | None],
    space: LabelSpace,
    *,
    share: float,
    epoch: Callable[[int], int],
    steps: int,
    noise: str,
    scale: str,
    sigma: Sigma,
    counts: Mapping[str, str | None],
    counts_file: str | None,
) -> list[ClassCounter]:
    """Give every supervised loss that is to be perturbed a variation of its own.

    Args:
        losses: slot → loss, None where the slot is empty.
        share, epoch: see :class:`ClassCounter`.
        steps, noise, scale, sigma: see :class:`LogitVariation`.
        counts: slot → mode of its :class:`ClassCounter`, or None: that loss is not perturbed. Empty slots may be named.
        counts_file: YAML or JSON file of class name → pixels, in place of counting the labels.

    Returns:
        The counters that the pixels of the labels are still to be given to; none where there is a file.

    Raises:
        ValueError, FileNotFoundError: an option or a file that is none, a loss or a class that is missing.
    """
    for slot in counts:
        if slot not in losses:
            raise ValueError(f"loss.variation.counts: no such loss, {slot!r}; expected {', '.join(losses)}")
    perturbed = {slot: loss for slot, loss in losses.items() if loss is not None and counts.get(slot) is not None}
    if not perturbed:
        filled = [slot for slot, loss in losses.items() if loss is not None]
        raise ValueError(
            f"loss.variation.counts: no loss is perturbed; give {' or '.join(filled)} a mode ({', '.join(MODES)}), or "
            "set loss/variation=none"
        )
    present = space.annotated.any(dim=0)
    labelled = torch.ones(space.num_classes, dtype=torch.float64)
    if counts_file is not None:
        labelled = read_counts(Path(counts_file), space.names, present)
    counters = []
    for slot, loss in perturbed.items():
        mode = counts[slot]
        if mode not in MODES:
            expected = f"{', '.join(MODES)} or null"
            raise ValueError(f"loss.variation.counts.{slot}: expected {expected}, got {mode!r}")
        counters.append(ClassCounter(labelled, present, mode, share, epoch))
        loss.variation = LogitVariation(counters[-1], noise, scale, sigma, steps)
    return [] if counts_file is not None else counters


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
        pixels = read_yaml(path)
    except ValueError as error:
        raise ValueError(f"loss.variation.counts_file: {error}") from error
    if not isinstance(pixels, Mapping):
        raise ValueError(f"{where}: expected class names with their pixels (road: 2036416525), got {type(pixels)}")
    wanted = [name for name, there in zip(names, present.tolist(), strict=True) if there]
    missing = [name for name in wanted if name not in pixels]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; it needs the pixels of {', '.join(wanted)}")
    for name in wanted:
        if isinstance(pixels[name], bool) or not isinstance(pixels[name], int) or pixels[name] < 0:
            raise ValueError(f"{where}: {name}: expected a number of pixels, got {pixels[name]!r}")
    return torch.tensor([pixels[name] if name in wanted else 0 for name in names], dtype=torch.float64)
