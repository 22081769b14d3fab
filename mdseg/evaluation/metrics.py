"""Confusion matrix of restricted arg-max predictions, and the IoU read from it."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torchmetrics import Metric

from mdseg.labels.tables import IGNORE

TOO_LARGE = "train with a lower learning rate, or evaluate in 32 bits if it is 16 (trainer.precision=32-true)"
COUNTED_AT_ONCE = 1 << 18  # bincount makes 8-byte copies of the pixels


class ConfusionMatrix(Metric):
    """Counts [true class, predicted class] of the pixels whose true class is not ignored.

    Where logits behind the predictions were nan or infinite, it has no result: an arg-max among them means nothing.
    """

    full_state_update = False
    counts: Tensor
    not_finite: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("not_finite", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, prediction: UInt8[Tensor, "n H W"], mask: UInt8[Tensor, "n H W"], finite: Bool[Tensor, ""] | None = None
    ) -> None:
        """Count predicted class indices.

        Args:
            mask: class indices of the evaluation dataset, 255 where ignored.
            finite: whether all logits behind the predictions are; null: who calls has looked.

        Raises:
            ValueError: a mask value is neither a class nor ignored.
        """
        pixels = (each.flatten().split(COUNTED_AT_ONCE) for each in (mask, prediction))
        pairs = torch.zeros(1 << 16, dtype=torch.int64, device=mask.device)
        for truth, predicted in zip(*pixels, strict=True):
            pairs += torch.bincount(truth.int() << 8 | predicted, minlength=1 << 16)
        pairs = pairs.view(256, 256)
        unknown = pairs[self.num_classes : IGNORE].sum(dim=1).nonzero()
        if len(unknown):
            values = (unknown.flatten() + self.num_classes).tolist()
            raise ValueError(f"mask holds {values}; expected class indices below {self.num_classes}, or {IGNORE}")
        # Not in place: a validation before a resumed fit leaves an inference tensor, which that fit may not change.
        self.counts = self.counts + pairs[: self.num_classes, : self.num_classes]
        if finite is not None:
            self.not_finite = self.not_finite + ~finite

    def compute(self) -> Int64[Tensor, "c c"]:
        if self.not_finite:
            raise ValueError(
                f"the network's answers are nan or infinite in {int(self.not_finite)} batches; {TOO_LARGE}"
            )
        return self.counts

    def iou(self) -> Float[Tensor, " c"]:
        """See :func:`iou`; of the counts of all ranks."""
        counts = self.compute()  # which torchmetrics squeezes where it has one element
        return iou(counts.view(self.num_classes, self.num_classes))


def iou(confusion: Int64[Tensor, "c c"]) -> Float[Tensor, " c"]:
    """Intersection over union of each class; NaN for a class that is neither in the truth nor predicted.

    The mean over classes is its `nanmean`; the official UniSeg code counts such classes as 0, as :func:`miou_zero`.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(dim=0) + confusion.sum(dim=1) - hits)


def miou_zero(iou: Float[Tensor, " c"]) -> Float[Tensor, ""]:
    """Mean IoU over all classes, those that are absent or that the model cannot answer as 0; NaN where all are.

    Russo et al., ICIAP 2019, average so over 19 classes where the target has 16.
    """
    return iou.nan_to_num(0).mean() if not iou.isnan().all() else iou.new_tensor(torch.nan)


def protocol(iou: Float[Tensor, " c"], names: Sequence[str], subset: Sequence[str]) -> Float[Tensor, ""]:
    """Mean IoU over some classes, absent ones left out: the 13 of SYNTHIA, the tail of Cityscapes.

    Raises:
        ValueError: a class of the subset is not among the names.
    """
    missing = [name for name in subset if name not in names]
    if missing:
        raise ValueError(f"classes {missing} are not evaluated; there are {list(names)}")
    return iou[[list(names).index(name) for name in subset]].nanmean()
