"""Has the entropy among label embeddings fallen because pixels decide, or by a collapse?"""

import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mdseg.system.wording import Remark

ONE_CLASS = 0.95  # share of the pixels that are nearest to one class from which on a look is one at a collapse
IN_SUCCESSION = 3  # such looks that make one
LONG_VECTORS = 20.0  # times the first mean norm of pixel embeddings
KEPT = 10  # looks whose histograms are kept, for pictures
ADVICE = (
    "Lower {} (the weights of the entropy), or give the labels more to say: more labelled images "
    "(streams.labelled.labelled)."
)


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
    have decided for the same one; and it falls without any decision when pixel embeddings grow: scores are dot
    products, so longer vectors make every softmax sharper.

    Args:
        classes: names of every dataset's classes.
        weights: names of the options that weigh the entropy, for advice.
    """

    looks: Int64[Tensor, " d"]
    counts: Int64[Tensor, "d kept c"]
    first_norm: Float[Tensor, " d"]
    warned: Bool[Tensor, "d 2"]

    def __init__(self, classes: Mapping[str, tuple[str, ...]], weights: str) -> None:
        super().__init__()
        self.classes, self.weights = dict(classes), weights
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
        for way, message in enumerate((self.one_class(row), self.long_vectors(row, look.norm.item()))):
            if message and not self.warned[row, way]:
                self.warned[row, way] = True
                warnings.warn(f"unlabelled images of {dataset}: {message}", Remark, stacklevel=2)

    def one_class(self, row: int) -> str | None:
        """What to say where nearly all pixels have been nearest to one class, in the last looks."""
        looks = int(self.looks[row])
        if looks < IN_SUCCESSION:
            return None
        counts = self.counts[row, [(looks - 1 - back) % KEPT for back in range(IN_SUCCESSION)]]
        shares = counts.amax(dim=1) / counts.sum(dim=1)
        if shares.min() < ONE_CLASS:
            return None
        name = list(self.classes.values())[row][int(counts[0].argmax())]
        return (
            f"{100 * shares[0].item():.0f} % of their pixels are nearest to the label {name}, and for {IN_SUCCESSION} "
            "rows of the log nearly all have been nearest to one. Their entropy is low because they all give the same "
            f"answer, not because they are told apart. {ADVICE.format(self.weights)}"
        )

    def long_vectors(self, row: int, norm: float) -> str | None:
        """What to say where pixel embeddings have become long."""
        first = self.first_norm[row].item()
        if norm < LONG_VECTORS * first or first == 0:
            return None
        return (
            f"their pixel embeddings have a mean norm of {norm:.3g}, {norm / first:.0f} times that of the first row of "
            "the log. Long vectors make every pixel sure of its nearest label, right or wrong, so the entropy falls "
            f"without anything being learnt. {ADVICE.format(self.weights)} A higher optimizer.weight_decay holds them "
            "back, too."
        )

    def histograms(self) -> Iterator[tuple[str, int, Int64[Tensor, " c"]]]:
        """Every dataset that was looked at, the number of looks kept, and the pixels nearest to each class in them."""
        for row, (dataset, names) in enumerate(self.classes.items()):
            if looks := min(int(self.looks[row]), KEPT):
                yield dataset, looks, self.counts[row, :, : len(names)].sum(dim=0)
