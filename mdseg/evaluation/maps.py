"""Normalised activations of chosen classes, and which classes are worth a look."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mdseg.data.pictures import Picture
from mdseg.data.transforms import resize, resize_mask
from mdseg.evaluation.evaluator import View
from mdseg.evaluation.predictor import Predictor
from mdseg.figures.maps import Row
from mdseg.labels.tables import LabelTable
from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded
from mdseg.system.wording import nearest

LONG_SIDE = 480  # pixels at which maps are drawn: more than a cell of the figure shows
PEAK = 0.01  # share of an image's pixels by which classes are ranked


def normalized(logits: Float[Tensor, "k *pixels"]) -> Float[Tensor, "k *pixels"]:
    r"""Activations between 0 (the pixel's weakest channel) and 1 (its strongest), over all channels of the model.

    .. math:: A_k = (O_k - \min_j O_j) / (\max_j O_j - \min_j O_j)

    Kim et al., ECCV 2022, appendix A, compare "(normalized) activations" of a model trained with softmax cross-entropy
    and of one trained with sigmoids, without saying how they normalise. We take the logits of both, so that an equal
    lead over the pixel's other channels is an equal colour. Raw logits cannot share a colour scale: softmax ignores a
    constant added to all of them and every loss settles on a scale of its own; minimum and maximum over the pixel's
    channels remove both. Probabilities cannot either: sigmoids saturate, so that two classes can both be near 1, while
    those of a softmax add up to 1, so that the second class looks weak whatever the model knows of it. For pictures
    only.
    """
    lowest, highest = logits.amin(dim=0), logits.amax(dim=0)
    return (logits - lowest) / (highest - lowest).clamp(min=torch.finfo(logits.dtype).tiny)


def class_maps(
    logits: Float[Tensor, "k h w"],
    channels: Sequence[Sequence[int]],
    size: tuple[int, int],
    align_corners: bool,
    band_bytes: int | None = None,
) -> list[np.ndarray | None]:
    """Normalised activation of each class at (height, width), computed in bands; None for a class without a channel.

    Args:
        channels: per class; where it has several, the highest counts.
    """
    maps = [np.empty(size, np.float32) if own else None for own in channels]
    for band in banded(logits[None], size, align_corners, band_memory(logits, band_bytes, PREDICTION_BYTES)):
        activations = normalized(band.upsample())
        for own, drawn in zip(channels, maps, strict=True):
            if drawn is not None:
                drawn[band.rows] = activations[list(own)].amax(dim=0).cpu().numpy()
    return maps


def channels_of(view: View, name: str) -> list[int]:
    """Channels of a class; several where each dataset has its own (a disjoint space)."""
    space = view.space
    return [channel for channel in view.channels if name in (space.names[channel], space.classes[channel])]


def outside(view: View, table: LabelTable | None) -> list[str]:
    """Classes of a model that a label table has neither by name nor as an alias; all of them without a table."""
    inside = {*table.names, *(alias for names in table.aliases.values() for alias in names)} if table else set()
    names = dict.fromkeys(view.space.classes[channel] for channel in view.channels)
    return [name for name in names if name not in inside]


def check_classes(classes: Sequence[str], views: Iterable[View]) -> None:
    """Refuse a class that no model has a channel for.

    Raises:
        ValueError: it names the nearest class that there is.
    """
    named = [(view.space, channel) for view in views for channel in view.channels]
    known = sorted({name for space, channel in named for name in (space.names[channel], space.classes[channel])})
    for name in classes:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise ValueError(
                f"classes: no run has a channel {name!r}{hint}. Quote the list for the shell: "
                "'classes=[curb,traffic sign (back)]', and inside it a name that holds a comma: '[\"a, b\",curb]'"
            )


def activity(run: Predictor, picture: Picture, classes: Sequence[str]) -> dict[str, float]:
    """How strongly each class answers where it answers most: mean of the highest 1 % of its normalised activations.

    A mean over all pixels would rank what resembles road or sky a little everywhere before lane markings.
    """
    activations = normalized(run.logits(run.prepared(picture.image))[0]).flatten(1)
    peaks = activations.topk(max(1, round(PEAK * activations.shape[1])), dim=1).values.mean(dim=1)
    return {name: peaks[own].max().item() for name in classes if (own := channels_of(run.view, name))}


def most_active(activities: Iterable[Mapping[str, float]], count: int) -> list[str]:
    """Classes with the highest activity, averaged over the runs and pictures that have it; by name on a tie."""
    values: dict[str, list[float]] = {}
    for each in activities:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return sorted(values, key=lambda name: (-sum(values[name]) / len(values[name]), name))[:count]


def row(runs: Sequence[Predictor], picture: Picture, classes: Sequence[str]) -> Row:
    """A row of the figure: the picture as drawn and, per class, a map of each run."""
    factor = min(1.0, LONG_SIDE / max(picture.image.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in picture.image.shape[:2])
    by_run = [
        class_maps(
            run.logits(run.prepared(picture.image))[0],
            [channels_of(run.view, name) for name in classes],
            (height, width),
            run.align_corners,
        )
        for run in runs
    ]
    mask = None if picture.mask is None else resize_mask(picture.mask, (height, width))
    return Row(resize(picture.image, (height, width)), mask, list(zip(*by_run, strict=True)))
