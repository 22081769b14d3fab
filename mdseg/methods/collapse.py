"""Has the entropy among label embeddings fallen because pixels decide, or by a collapse?"""

import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mdseg.system.wording import Remark

FEW = 0.5  # of the number of labels among labelled pixels: below it a look is one at a collapse
# Number of labels below which it is one, too, unless labelled pixels have hardly more; 95 % and 5 % of two are 1.22.
NEARLY_ONE = 1.25
IN_SUCCESSION = 3  # such looks that make one
LONG_VECTORS = 20.0  # times the first mean norm of pixel embeddings
KEPT = 10  # looks whose histograms are kept, for pictures


class Look(NamedTuple):
    """A look at unlabelled images of a dataset.

    Args:
        norm: mean length of their pixel embeddings.
        counts: pixels whose nearest label is of each class.
    """

    norm: Float[Tensor, ""]
    counts: Int64[Tensor, " c"]

    @property
    def largest_share(self) -> Float[Tensor, ""]:
        """Of the pixels, that of the class that is nearest to most."""
        return self.counts.max() / self.counts.sum()


class CollapseWatch(nn.Module):
    """Remembers looks at every dataset's unlabelled images, in the checkpoint, and warns once of each way to collapse.

    The entropy of a pixel is low when it has decided for a label. It is as low when all pixels, whatever they show,
    have decided for the same few, or one; and it falls without any decision when pixel embeddings grow: scores are dot
    products, so longer vectors make every softmax sharper.

    Args:
        classes: names of every dataset's classes.
        advice: what to do about a collapse.

    Attributes:
        labelled: labelled pixels of every class, by dataset, where they are known.
    """

    looks: Int64[Tensor, " d"]
    counts: Int64[Tensor, "d kept c"]
    first_norm: Float[Tensor, " d"]
    warned: Bool[Tensor, "d 2"]

    def __init__(self, classes: Mapping[str, tuple[str, ...]], advice: str) -> None:
        super().__init__()
        self.classes, self.advice = dict(classes), advice
        self.labelled: Mapping[str, Int64[Tensor, " c"]] = {}
        datasets, most = len(classes), max(map(len, classes.values()))
        self.register_buffer("looks", torch.zeros(datasets, dtype=torch.int64))
        self.register_buffer("counts", torch.zeros(datasets, KEPT, most, dtype=torch.int64))
        self.register_buffer("first_norm", torch.zeros(datasets))
        self.register_buffer("warned", torch.zeros(datasets, 2, dtype=torch.bool))

    def take(self, dataset: str, look: Look) -> None:
        """Remember a look, and warn if it is the one that makes a collapse."""
        row = list(self.classes).index(dataset)
        if self.looks[row] == 0:
            self.first_norm[row] = look.norm
        self.counts[row, self.looks[row] % KEPT, : len(look.counts)] = look.counts
        self.looks[row] += 1
        for way, message in enumerate((self.few_labels(row), self.long_vectors(row, look.norm.item()))):
            if message and not self.warned[row, way]:
                self.warned[row, way] = True
                warnings.warn(f"unlabelled images of {dataset}: {message}", Remark, stacklevel=2)

    def few_labels(self, row: int) -> str | None:
        """What to say where pixels have been nearest to a few labels only, or one, in the last looks."""
        looks = int(self.looks[row])
        if looks < IN_SUCCESSION:
            return None
        names = list(self.classes.values())[row]
        last = [(looks - 1 - back) % KEPT for back in range(IN_SUCCESSION)]
        counts = self.counts[row, last, : len(names)]
        if max(number_of_labels(each) for each in counts) >= self.least(row):
            return None
        shares = 100 * counts[0] / counts[0].sum()
        first, *others = [index for index in shares.argsort(descending=True).tolist()[:3] if shares[index] >= 0.5]
        more = "".join(f", {shares[index]:.0f} % to {names[index]}" for index in others)
        labelled = self.labelled.get(list(self.classes)[row])
        instead = "" if labelled is None else f", and labelled pixels for {number_of_labels(labelled):.1f}"
        return (
            f"{shares[first]:.0f} % of their pixels are nearest to the label {names[first]}{more}. That stands for "
            f"{number_of_labels(counts[0]):.1f} labels (the exponential of the shares' entropy){instead}; for "
            f"{IN_SUCCESSION} rows of the log it has been as few. Their entropy is low because most give the same "
            f"answer, not because they are told apart. {self.advice}"
        )

    def least(self, row: int) -> float:
        """Number of labels below which a look is one at a collapse."""
        labelled = self.labelled.get(list(self.classes)[row])
        if labelled is None:
            return NEARLY_ONE
        there = number_of_labels(labelled)
        return max(FEW * there, min(NEARLY_ONE, there))

    def long_vectors(self, row: int, norm: float) -> str | None:
        """What to say where pixel embeddings have become long."""
        first = self.first_norm[row].item()
        if norm < LONG_VECTORS * first or first == 0:
            return None
        return (
            f"their pixel embeddings have a mean norm of {norm:.3g}, {norm / first:.0f} times that of the first row of "
            "the log. Long vectors make every pixel sure of its nearest label, right or wrong, so the entropy falls "
            f"without anything being learnt. {self.advice} A higher optimizer.weight_decay holds them "
            "back, too."
        )

    def histograms(self) -> Iterator[tuple[str, int, Int64[Tensor, " c"]]]:
        """Every dataset that was looked at, the number of looks kept, and the pixels nearest to each class in them."""
        for row, (dataset, names) in enumerate(self.classes.items()):
            if looks := min(int(self.looks[row]), KEPT):
                yield dataset, looks, self.counts[row, :, : len(names)].sum(dim=0)


def number_of_labels(counts: Int64[Tensor, " c"]) -> float:
    """Labels of one frequency that are as different as these: the exponential of the entropy of the shares."""
    shares = counts.double() / counts.sum()
    return torch.special.entr(shares).sum().exp().item()
