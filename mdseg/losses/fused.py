"""The engine of the losses: upsample a band of an image, evaluate a per-pixel loss, keep its gradient, forget the band.

Logits at label resolution (70 classes on a megapixel: 280 MB per image, several times over with one-hots and gradients)
never exist. Value and gradient are those of the loss on `F.interpolate`d logits up to float32 rounding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from mdseg.labels.tables import IGNORE
from mdseg.pixels.bands import LOSS_BYTES, Band, band_memory, banded


class PixelLoss(nn.Module):
    """A loss of every pixel of a band, given its logits [k rows W] and any targets the loss needs.

    Args:
        function: the per-pixel loss, `function(band, *targets) -> [rows W]`.
        closed_form: the loss and its derivative, `closed_form(band, *targets) -> ([rows W], [k rows W])`, free to
            overwrite the band; without it the engine differentiates `function` by autograd.
        channels: the logits that the loss looks at, in the order it wants them; the others are not even upsampled.
    """

    channels: Int64[Tensor, " k"] | None

    def __init__(
        self,
        function: Callable[..., Tensor],
        closed_form: Callable[..., tuple[Tensor, Tensor]] | None = None,
        channels: Int64[Tensor, " k"] | None = None,
    ) -> None:
        super().__init__()
        self.function, self.closed_form = function, closed_form
        self.register_buffer("channels", channels, persistent=False)

    def value(self, band: Float[Tensor, "k rows W"], *targets: Tensor) -> Float[Tensor, "rows W"]:
        return self.function(band, *targets)

    def value_and_gradient(
        self, band: Float[Tensor, "k rows W"], *targets: Tensor
    ) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
        if self.closed_form is not None:
            return self.closed_form(band, *targets)
        return by_autograd(self.value, band, *targets)


def by_autograd(
    function: Callable[..., Tensor], band: Float[Tensor, "k rows W"], *targets: Tensor
) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
    """Value and gradient of a per-pixel loss."""
    band = band.detach().requires_grad_()
    with torch.enable_grad():
        value = function(band, *targets)
        (gradient,) = torch.autograd.grad(value.sum(), band)
    return value.detach(), gradient


class BandTargets(NamedTuple):
    """What a loss needs to know of some rows besides their logits."""

    targets: tuple[Tensor, ...] = ()
    weight: Float[Tensor, "rows W"] | None = None


Variation = Callable[[Tensor, Tensor | None, int, int], Tensor]


@torch.compiler.disable
def fused_sum(
    losses: Sequence[PixelLoss],
    logits: Float[Tensor, "n k h w"],
    size: tuple[int, int],
    band_of: Callable[[int, slice], BandTargets | None] = lambda image, rows: BandTargets(),
    *,
    align_corners: bool,
    band_bytes: int | None = None,
    variation: Variation | None = None,
) -> Float[Tensor, ""]:
    """Sum of a per-pixel loss over all images and pixels, in float32 (float64 for float64 logits).

    The gradient is taken during the forward pass, so it costs nothing to keep and there is no second derivative.

    Args:
        losses: one per image.
        band_of: targets and weight of some rows of an image, or None where nothing is labelled.
        band_bytes: memory of one band of logits; a small multiple of it is the peak. None: by device.
        variation: `variation(band, channels, first row, image) -> band` adds constants to the upsampled logits.
    """
    differentiate = torch.is_grad_enabled() and logits.requires_grad
    size, band_bytes = (int(size[0]), int(size[1])), band_memory(logits, band_bytes, LOSS_BYTES)
    return _FusedSum.apply(logits, losses, size, band_of, align_corners, band_bytes, variation, differentiate)


def _weighted_sum(
    loss: PixelLoss, logits: Float[Tensor, "k rows W"], about: BandTargets, differentiate: bool
) -> tuple[Float[Tensor, ""], Float[Tensor, "k rows W"] | None]:
    """Sum of a loss over the pixels of a band, and its derivative if that is wanted."""
    if differentiate:
        value, derivative = loss.value_and_gradient(logits, *about.targets)
    else:
        value, derivative = loss.value(logits, *about.targets), None
    if about.weight is None:
        return value.sum(), derivative
    return (value * about.weight).sum(), None if derivative is None else derivative.mul_(about.weight)


def _add_image(
    total: Float[Tensor, ""],
    slope: Float[Tensor, "m h w"] | None,
    bands: Iterable[Band],
    loss: PixelLoss,
    band_of: Callable[[int, slice], BandTargets | None],
    variation: Variation | None,
) -> None:
    """Add the loss of an image to the total, and its derivative by the chosen logits to the slope, if there is one."""
    for band in bands:
        about = band_of(band.image, band.rows)
        if about is None:
            continue
        logits = band.upsample()
        if variation is not None:
            logits = variation(logits, band.channels, band.rows.start, band.image)
        value, derivative = _weighted_sum(loss, logits, about, slope is not None)
        total += value
        if slope is not None and derivative is not None:
            slope[:, band.source_rows] += band.adjoint(derivative)


class _FusedSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        losses: Sequence[PixelLoss],
        size: tuple[int, int],
        band_of: Callable[[int, slice], BandTargets | None],
        align_corners: bool,
        band_bytes: int,
        variation: Variation | None,
        differentiate: bool,
    ) -> Tensor:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        total = logits.new_zeros((), dtype=dtype)
        gradient = torch.zeros_like(logits, dtype=dtype) if differentiate else None
        channels = [loss.channels for loss in losses]
        with torch.autocast(logits.device.type, enabled=False):
            bands = banded(logits, size, align_corners, band_bytes, channels=channels)
            for image, of_image in groupby(bands, key=attrgetter("image")):
                own = channels[image]
                num_channels = logits.shape[1] if own is None else len(own)
                slope = None if gradient is None else total.new_zeros(num_channels, *logits.shape[2:])
                _add_image(total, slope, of_image, losses[image], band_of, variation)
                if gradient is not None and slope is not None:
                    gradient[image, slice(None) if own is None else own] = slope
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        # `once_differentiable` would let a gradient penalty pass silently: it looks at grad_output only, a constant.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "fused losses have no second derivative (the gradient is taken in forward): no create_graph=True"
            )
        (gradient,) = ctx.saved_tensors
        # Scaled before the cast: 1 / |V| times a loss scale can leave the range of float16 by itself.
        return ((gradient * grad_output).to(ctx.dtype), *(None,) * 7)


def local_labels(annotated: Bool[Tensor, " k"], channels: Int64[Tensor, " c"]) -> Int64[Tensor, "256"]:
    """Position among `channels` of every train id that a dataset annotates; IGNORE for all other values of a mask."""
    lookup = torch.full((256,), IGNORE)
    lookup[channels] = torch.arange(len(channels))
    lookup[: len(annotated)][~annotated] = IGNORE
    return lookup


class SupervisedLoss(nn.Module):
    """Mean of a per-pixel loss over the labelled pixels of a batch, each image by its own dataset's loss.

    A pixel whose label is not among those its image's dataset supervises counts as unlabelled. A batch without labelled
    pixels gives a zero with zero gradients.

    Args:
        pixel_losses, annotated: one loss per dataset, and the classes it takes labels of; with a single row for all
            datasets the images' dataset indices are not looked at.
        reduction: "labelled" divides by the number of labelled pixels, "all_pixels" by all; weights do not count.
        global_pixel_mean: divide by the mean count over all ranks: the averaged gradient is then that of one large
            batch.

    Attributes:
        variation: None or what answers the perturbation (see :func:`fused_sum`) of one call, or None, when called with
            the number of images, of rows, and the labels that it may count. `perturb=False` in forward leaves it out:
            auxiliary heads keep the plain loss. `counted` in forward are labels to count in place of the mask's, such
            as pseudo-labels. `whole` in forward has the mask and the dataset indices of a batch of which these images
            are a part: the loss is divided by its pixels.
        of_parts: whether the loss of a batch is the sum of those of its parts.

    Raises:
        ValueError: for an unknown reduction; in forward, if mask, dataset or weight do not fit the logits.
    """

    lookup: Int64[Tensor, "d 256"]
    of_parts: ClassVar[bool] = True

    def __init__(
        self,
        pixel_losses: Sequence[PixelLoss],
        annotated: Bool[Tensor, "d k"],
        *,
        align_corners: bool,
        reduction: str = "labelled",
        global_pixel_mean: bool = False,
        band_bytes: int | None = None,
    ) -> None:
        super().__init__()
        if reduction not in ("labelled", "all_pixels"):
            raise ValueError(f"reduction: expected 'labelled' or 'all_pixels', got '{reduction}'")
        self.pixel_losses: Any = nn.ModuleList(pixel_losses)  # torch does not say of what
        self.num_classes = annotated.shape[1]
        everything = torch.arange(self.num_classes)
        lookups = [
            local_labels(row, everything if loss.channels is None else loss.channels)
            for row, loss in zip(annotated, pixel_losses, strict=True)
        ]
        self.register_buffer("lookup", torch.stack(lookups), persistent=False)
        self.align_corners = align_corners
        self.reduction = reduction
        self.global_pixel_mean = global_pixel_mean
        self.band_bytes = band_bytes
        self.variation: Callable[[int, int, Tensor], Variation | None] | None = None

    @torch.compiler.disable
    def forward(
        self,
        logits: Float[Tensor, "n k h w"],
        mask: UInt8[Tensor, "n H W"],
        dataset: Int64[Tensor, " n"],
        weight: Float[Tensor, "n H W"] | None = None,
        perturb: bool = True,
        counted: UInt8[Tensor, "n2 H2 W2"] | None = None,
        whole: Mapping[str, Any] | None = None,
    ) -> Float[Tensor, ""]:
        self._check(logits, mask, dataset, weight)
        of_image = self._losses_of(dataset)
        labelled = self._count_labelled(mask, of_image)
        variation = None
        if perturb and self.variation is not None:
            variation = self.variation(mask.shape[0], mask.shape[1], mask if counted is None else counted)
        mask, labelled = self.select(logits, mask, of_image, labelled, variation)
        dtype = torch.promote_types(logits.dtype, torch.float32)

        def band_of(image: int, rows: slice) -> BandTargets | None:
            if labelled[image] == 0:
                return None
            target = self.lookup[of_image[image]][mask[image, rows].long()]
            valid = target != IGNORE
            band_weight = None if weight is None else weight[image, rows].to(dtype)
            # Asking a GPU whether a band is labelled at all would stall it for longer than the band takes.
            if mask.device.type == "cpu":
                if not valid.any():
                    return None
                if valid.all():
                    return BandTargets((target,), band_weight)
            band_weight = valid.to(dtype) if band_weight is None else band_weight * valid
            return BandTargets((target.where(valid, 0),), band_weight)

        total = fused_sum(
            [self.pixel_losses[index] for index in of_image],
            logits,
            mask.shape[-2:],
            band_of,
            align_corners=self.align_corners,
            band_bytes=self.band_bytes,
            variation=variation,
        )
        if whole is not None:
            mask, labelled = whole["mask"], self._count_labelled(whole["mask"], self._losses_of(whole["dataset"]))
        count = sum(labelled) if self.reduction == "labelled" else mask.numel()
        divisor = mean_over_ranks(count, logits.device) if self.global_pixel_mean else count
        return total / divisor if divisor else total

    def select(
        self,
        logits: Float[Tensor, "n k h w"],
        mask: UInt8[Tensor, "n H W"],
        of_image: list[int],
        labelled: list[int],
        variation: Variation | None,
    ) -> tuple[UInt8[Tensor, "n H W"], list[int]]:
        """The mask of the pixels that are trained on, and how many of every image have a label: all, or hard ones."""
        return mask, labelled

    def _losses_of(self, dataset: Int64[Tensor, " n"]) -> list[int]:
        """Which of the losses is that of each image."""
        return dataset.tolist() if len(self.pixel_losses) > 1 else [0] * len(dataset)

    def _count_labelled(self, mask: Tensor, of_image: list[int]) -> list[int]:
        counts = [
            (torch.bincount(image.flatten(), minlength=256) * (self.lookup[index] != IGNORE)).sum()
            for image, index in zip(mask, of_image, strict=True)
        ]
        return torch.stack(counts).tolist() if counts else []

    def _check(self, logits: Tensor, mask: Tensor, dataset: Tensor, weight: Tensor | None) -> None:
        if logits.shape[1] != self.num_classes:
            raise ValueError(f"the loss is for {self.num_classes} classes, the logits have {logits.shape[1]} channels")
        if len(mask) != len(logits) or dataset.shape != (len(logits),):
            raise ValueError(
                f"{len(logits)} images of logits, but mask {tuple(mask.shape)} and dataset {tuple(dataset.shape)}"
            )
        if weight is not None and weight.shape != mask.shape:
            raise ValueError(f"weight {tuple(weight.shape)} does not match mask {tuple(mask.shape)}")


def mean_over_ranks(count: int, device: torch.device) -> float | int:
    """Mean of a number over all ranks; the number itself without torch.distributed."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count
    total = torch.tensor(float(count), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return total.item() / torch.distributed.get_world_size()
