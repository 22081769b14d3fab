"""What the entropy module makes of unlabelled images, as pictures."""

import math
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from mdseg.figures import embeddings as figures
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE, Color
from mdseg.losses.minent import pixel_entropy
from mdseg.methods.lessons import as_pictures, picture_is_due
from mdseg.pixels.argmax import restricted_argmax
from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded


class Shown(NamedTuple):
    """Unlabelled images of a dataset and the embeddings of their pixels."""

    image: Tensor
    embedded: Float[Tensor, "n d h w"]


class EntropyMaps(Callback):
    """Before every validation and at the end, what the method's last step has shown: two figures.

    figures/entropy.png: of the first images of every dataset the entropy among its own labels and among each other
    dataset's, and the nearest of its own labels. figures/nearest_labels.png: how many pixels are nearest to each.

    Args:
        count: images of every dataset.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def on_train_batch_end(self, trainer: pl.Trainer, method: Any, outputs: Any, batch: Any, step: int) -> None:
        if not picture_is_due(trainer, step) or trainer.logger is None:
            return
        log: Any = trainer.logger  # the stage's, which takes pictures
        classes = {name: (method.module.classes[name], own_colors(method.space, name)) for name in method.shown}
        blocks = {name: self.rows(method, name, shown) for name, shown in method.shown.items()}
        log.picture("entropy", figures.entropy_maps(blocks, classes, f"step {step + 1}: unlabelled images"))
        bars = [
            figures.NearestLabels(name, *classes[name], shares(counts), shares(method.module.pixels.get(name)), looks)
            for name, looks, counts in method.watch.histograms()
        ]
        if bars:
            title = f"step {step + 1}: which of its dataset's labels is nearest to a pixel of an unlabelled image"
            log.picture("nearest_labels", figures.nearest_labels(bars, title))

    @torch.no_grad()
    def rows(self, method: Any, dataset: str, shown: Shown) -> list[figures.EntropyRow]:
        """What is drawn of the first images of a dataset."""
        of_labels, align_corners = method.module, method.align_corners
        images, embedded = shown.image[: self.count], shown.embedded[: self.count].float()
        size = (images.shape[-2], images.shape[-1])
        present = of_labels.classes_present(dataset)
        nearest = restricted_argmax(
            of_labels.class_scores(embedded, dataset), size, torch.arange(len(present)), present, align_corners
        )
        others = [name for name in of_labels.classes if name != dataset]
        entropies = {
            name: entropy_share(rivals(method, embedded, name), size, align_corners).cpu().numpy()
            for name in (dataset, *others)
        }
        return [
            figures.EntropyRow(image, {name: maps[number] for name, maps in entropies.items()}, classes)
            for number, (image, classes) in enumerate(
                zip(as_pictures(images).cpu().numpy(), nearest.cpu().numpy(), strict=True)
            )
        ]


def rivals(method: Any, embedded: Float[Tensor, "n d h w"], dataset: str) -> Float[Tensor, "n m h w"]:
    """Scores of what the method's entropy is over: label embeddings of a dataset, or the best one of every class."""
    if method.by_class:
        return method.module.class_scores(embedded, dataset)
    return method.module.scores(embedded, dataset)[:, method.module.present[dataset].to(embedded.device)]


def entropy_share(
    scores: Float[Tensor, "n m h w"], size: tuple[int, int], align_corners: bool
) -> Float[Tensor, "n H W"]:
    """Entropy of every pixel's similarities as a share of the highest possible one, log m; 0 for a single label."""
    count = scores.shape[1]
    maps = torch.zeros(len(scores), *size, device=scores.device)
    for band in banded(scores, size, align_corners, band_memory(scores, None, PREDICTION_BYTES)):
        maps[band.image, band.rows] = pixel_entropy(band.upsample()) / math.log(max(count, 2))
    return maps


def own_colors(space: LabelSpace, dataset: str) -> tuple[Color, ...]:
    """Colours of a dataset's classes."""
    return tuple(space.colors[train_id] for train_id in space.class_train_ids[dataset] if train_id != IGNORE)


def shares(counts: Int64[Tensor, " c"] | None) -> Any:
    """Share of each class in percent; None where nothing was counted."""
    return None if counts is None or not counts.sum() else (100 * counts / counts.sum()).cpu().numpy()
