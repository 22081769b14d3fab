"""Normalised activations of chosen classes, and which classes are worth a look."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mdseg.data.pictures import Picture
from mdseg.data.transforms import evaluation_size, resize, resize_mask
from mdseg.figures.maps import Row
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import LabelTable
from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded
from mdseg.runs.trained import Trained
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

    channels: per class; where it has several, the highest counts.
    """
    maps = [np.empty(size, np.float32) if own else None for own in channels]
    for band in banded(logits[None], size, align_corners, band_memory(logits, band_bytes, PREDICTION_BYTES)):
        activations = normalized(band.upsample())
        for own, drawn in zip(channels, maps, strict=True):
            if drawn is not None:
                drawn[band.rows] = activations[list(own)].amax(dim=0).numpy()
    return maps


def channels_of(space: LabelSpace, name: str) -> list[int]:
    """Channels of a class; several where each dataset has its own (a disjoint space)."""
    return [channel for channel, names in enumerate(zip(space.names, space.classes, strict=True)) if name in names]


def outside(space: LabelSpace, table: LabelTable | None) -> list[str]:
    """Classes of a model that a label table has neither by name nor as an alias; all of them without a table."""
    inside = {*table.names, *(alias for names in table.aliases.values() for alias in names)} if table else set()
    return [name for name in dict.fromkeys(space.classes) if name not in inside]


def check_classes(classes: Sequence[str], spaces: Iterable[LabelSpace]) -> None:
    """Refuse a class that no model has a channel for.

    Raises:
        ValueError: it names the nearest class that there is.
    """
    known = sorted({name for space in spaces for name in (*space.names, *space.classes)})
    for name in classes:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise ValueError(
                f"classes: no run has a channel {name!r}{hint}. Quote the list for the shell: "
                "'classes=[curb,traffic sign (back)]', and inside it a name that holds a comma: '[\"a, b\",curb]'"
            )


@torch.no_grad()
def predicted(run: Trained, image: np.ndarray) -> Float[Tensor, "k h w"]:
    """Logits at head resolution of an image at the run's own evaluation size."""
    size = evaluation_size(image.shape[:2], run.cfg.evaluation.short_side, run.model.input_multiple)
    return run.model(torch.from_numpy(resize(image, size)).permute(2, 0, 1)[None])[0].float()


def activity(run: Trained, picture: Picture, classes: Sequence[str]) -> dict[str, float]:
    """How strongly each class answers where it answers most: mean of the highest 1 % of its normalised activations.

    A mean over all pixels would rank what resembles road or sky a little everywhere before lane markings.
    """
    activations = normalized(predicted(run, picture.image)).flatten(1)
    peaks = activations.topk(max(1, round(PEAK * activations.shape[1])), dim=1).values.mean(dim=1)
    return {name: peaks[own].max().item() for name in classes if (own := channels_of(run.space, name))}


def most_active(activities: Iterable[Mapping[str, float]], count: int) -> list[str]:
    """Classes with the highest activity, averaged over the runs and pictures that have it; by name on a tie."""
    values: dict[str, list[float]] = {}
    for each in activities:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return sorted(values, key=lambda name: (-sum(values[name]) / len(values[name]), name))[:count]


def row(runs: Sequence[Trained], picture: Picture, classes: Sequence[str]) -> Row:
    """A row of the figure: the picture as drawn and, per class, a map of each run."""
    factor = min(1.0, LONG_SIDE / max(picture.image.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in picture.image.shape[:2])
    by_run = [
        class_maps(
            predicted(run, picture.image),
            [channels_of(run.space, name) for name in classes],
            (height, width),
            run.cfg.align_corners,
        )
        for run in runs
    ]
    mask = None if picture.mask is None else resize_mask(picture.mask, (height, width))
    return Row(resize(picture.image, (height, width)), mask, list(zip(*by_run, strict=True)))


def run_labels(runs: Sequence[Trained]) -> list[str]:
    """Experiment and loss of each run; runs that agree in both are told apart by folder, stage and checkpoint."""
    labels = [f"{run.cfg.name}\n{run.cfg.loss.supervised['_target_'].rsplit('.', 1)[-1]}" for run in runs]
    return [
        label if labels.count(label) == 1 else "\n".join([label, *run.path.parts[-4:-2], run.path.stem])
        for run, label in zip(runs, labels, strict=True)
    ]
