"""What one model answers on a dataset: predictions, IoU, mean probability of every class, logits of some pixels."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from mdseg.evaluation.evaluator import without_unmapped
from mdseg.evaluation.metrics import ConfusionMatrix, iou
from mdseg.evaluation.predictor import Predictor
from mdseg.figures.comparison import Answers
from mdseg.labels.spaces import EvaluationSpace
from mdseg.labels.tables import IGNORE
from mdseg.pixels.bands import banded

BAND_BYTES = 16 << 20


class ProbabilitySums:
    """Sums of the largest probability over the pixels predicted as each class, and their numbers.

    The quantity behind the probability imbalance of Chen et al., ICCV 2019 (arXiv:1909.13589): classes that transfer
    well are predicted with more confidence than others. Probabilities are those of a softmax over the channels that
    answer for the dataset's classes; annotated pixels only.
    """

    def __init__(self, num_classes: int) -> None:
        self.sums = torch.zeros(num_classes, dtype=torch.float64)
        self.counts = torch.zeros(num_classes, dtype=torch.int64)

    def update(
        self,
        logits: Float[Tensor, "k h w"],
        prediction: UInt8[Tensor, "H W"],
        mask: UInt8[Tensor, "H W"],
        space: EvaluationSpace,
        align_corners: bool,
    ) -> None:
        channels = space.channels.to(logits.device)
        for band in banded(logits[None], mask.shape, align_corners, BAND_BYTES, channels=[channels]):
            confidence = band.upsample().softmax(dim=0).amax(dim=0)
            valid = mask[band.rows] != IGNORE
            classes = prediction[band.rows][valid].long().cpu()
            self.sums += torch.bincount(classes, confidence[valid].double().cpu(), minlength=len(self.sums))
            self.counts += torch.bincount(classes, minlength=len(self.counts))

    def means(self) -> Float64[np.ndarray, " c"]:
        """Mean probability of each class; nan where nothing is predicted as it."""
        return (self.sums / self.counts).numpy()


class PixelDraw:
    """The same pixels for every model: up to so many per class and image, chosen by the seed alone."""

    def __init__(self, per_image: int, seed: int) -> None:
        self.per_image, self.seed = per_image, seed

    def pixels(self, mask: UInt8[np.ndarray, "h w"], number: int) -> Int64[np.ndarray, "m 2"]:
        """Rows and columns in the image of that number."""
        generator = np.random.default_rng([self.seed, number])
        chosen = [np.zeros((0, 2), np.int64)]
        for label in np.unique(mask[mask != IGNORE]):
            places = np.argwhere(mask == label)
            chosen.append(places[generator.permutation(len(places))[: self.per_image]])
        return np.concatenate(chosen)


@torch.no_grad()
def answers(
    predictor: Predictor, space: EvaluationSpace, loader: DataLoader, count: int, per_class: int, seed: int
) -> Answers:
    """Evaluate a model on all batches of a loader of :class:`EvaluationData`.

    Args:
        space: the dataset's classes, and the model's channels for them.
        count: images whose predictions are kept.
        per_class: pixels per class whose logits are kept.
    """
    confusion = ConfusionMatrix(len(space.names)).to(predictor.device)
    probabilities, draw = ProbabilitySums(len(space.names)), PixelDraw(per_class, seed)
    predictions, logits_of_pixels, labels = {}, [], []
    for batch in loader:
        logits, mask = predictor.logits(batch["image"]), without_unmapped(batch["mask"].to(predictor.device), space)
        prediction = predictor.classes(logits, (mask.shape[-2], mask.shape[-1]), space)
        confusion.update(prediction, mask)
        for number, index in enumerate(batch["key"].tolist()):  # images of one size follow one another, not by index
            probabilities.update(logits[number], prediction[number], mask[number], space, predictor.align_corners)
            if index < count:
                predictions[index] = prediction[number].cpu().numpy()
            if per_class:
                truth = mask[number].cpu().numpy()
                places = draw.pixels(truth, index)
                labels.append(truth[places[:, 0], places[:, 1]].astype(np.int64))
                logits_of_pixels.append(at_pixels(logits[number], places, truth.shape).cpu().numpy())
    counts = confusion.counts.cpu()
    total = max(int(counts.sum()), 1)
    pixels, chosen = stacked(logits_of_pixels, labels, predictor.view.space.num_classes, per_class, seed)
    return Answers(
        iou(counts).numpy() if space.has_rivals else np.full(len(space.names), np.nan),
        probabilities.means(),
        (counts.sum(dim=0).double() / total).numpy(),
        (counts.sum(dim=1).double() / total).numpy(),
        [predictions[index] for index in sorted(predictions)],
        pixels,
        chosen,
    )


def at_pixels(
    logits: Float[Tensor, "k h w"], places: Int64[np.ndarray, "m 2"], size: tuple[int, int]
) -> Float[Tensor, "m k"]:
    """Logits of the cells of the network's grid that pixels of the image fall into."""
    height, width = logits.shape[-2:]
    rows = torch.from_numpy(places[:, 0] * height // size[0])
    columns = torch.from_numpy(places[:, 1] * width // size[1])
    return logits[:, rows, columns].T


def stacked(
    logits: list[np.ndarray], labels: list[np.ndarray], channels: int, per_class: int, seed: int
) -> tuple[Float[np.ndarray, "m k"], Int64[np.ndarray, " m"]]:
    """Up to `per_class` of the pixels of every class, from all images."""
    if not any(map(len, labels)):
        return np.zeros((0, channels), np.float32), np.zeros(0, np.int64)
    every, classes = np.concatenate(logits), np.concatenate(labels)
    generator = np.random.default_rng([seed, len(classes)])
    order = generator.permutation(len(classes))
    kept = np.concatenate([order[classes[order] == label][:per_class] for label in np.unique(classes)])
    return every[kept], classes[kept]
