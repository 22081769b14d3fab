"""UniSeg: several labelled datasets with different label spaces (Kim et al., ECCV 2022, arXiv:2202.14030)."""

from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mdseg.labels import relations
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.methods.base import Batch, Method, SupervisedLoss
from mdseg.models.heads import CosineClassifier
from mdseg.models.segmenter import Segmenter
from mdseg.pixels.bands import banded

BAND_BYTES = 16 << 20  # of logits that are upsampled at a time


class UniSeg(Method):
    """A supervised loss on one mixed batch of all labelled datasets.

    The loss makes the method: Null BCE and Class-Relational BCE are UniSeg's stages, plain BCE and cross-entropy its
    baselines.

    Args:
        low_weight: weight of the same loss on a network's auxiliary head, 0.4 for PSPNet (Zhao et al., CVPR 2017,
            arXiv:1612.01105) and its successors. Its logits are never perturbed (see `losses.variation`).
    """

    roles = ("labelled",)

    def __init__(self, supervised: SupervisedLoss, low_weight: float = 0.4, **common: Any) -> None:
        super().__init__(**common)
        self.supervised, self.low_weight = supervised, low_weight

    def training_step(self, batch: Batch, step: int) -> Tensor:
        labelled = batch["labelled"]
        self.observe(labelled["mask"])
        high, low = self.model.levels(labelled["image"])
        loss = self.supervised(high, labelled["mask"], labelled["dataset"])
        self.log("train/supervised", loss, prog_bar=True)
        if low is None:
            return loss
        low_loss = self.supervised(low, labelled["mask"], labelled["dataset"], perturb=False)
        self.log("train/supervised_low", low_loss)
        return loss + self.low_weight * low_loss


class RelationScores(pl.LightningModule):
    r"""Mean score of every channel over the pixels of every class, per dataset, in one pass over labelled images.

    .. math:: s_d[c, k] = \frac{1}{N_{d,c}} \sum_{p \in d: y_p = c} O_k(p) / t

    Sums are float64 and added up over all ranks.

    Args:
        score: `cosine` (logits over the head's temperature, as the official code) or `sigmoid` (of the logits).

    Raises:
        ValueError: cosine scores of a head that has no temperature.
    """

    def __init__(self, model: Segmenter, space: LabelSpace, score: str, align_corners: bool) -> None:
        super().__init__()
        if score not in ("cosine", "sigmoid"):
            raise ValueError(f"relations.score: expected cosine or sigmoid, got {score!r}")
        if score == "cosine" and not isinstance(model.head, CosineClassifier):
            raise ValueError(
                "relations.score=cosine needs the cosine classifier: use model.head=cosine or score=sigmoid"
            )
        self.model, self.space, self.score, self.align_corners = model, space, score, align_corners
        datasets, classes = len(space.datasets), space.num_classes
        train_ids = torch.stack([torch.from_numpy(space.train_ids(name)) for name in space.datasets])
        self.register_buffer("train_ids", train_ids.long(), persistent=False)
        self.register_buffer("sums", torch.zeros(datasets, classes, classes, dtype=torch.float64), persistent=False)
        self.register_buffer("counts", torch.zeros(datasets, classes, dtype=torch.int64), persistent=False)

    def validation_step(self, batch: dict[str, Any], index: int) -> None:
        dataset = self.space.dataset_index(batch["name"])
        masks = self.train_ids[dataset][batch["mask"].long()]
        for logits, mask in zip(self.model(batch["image"]), masks, strict=True):
            self._count(dataset, logits.float(), mask)

    def _count(self, dataset: int, logits: Float[Tensor, "k h w"], mask: Int64[Tensor, "H W"]) -> None:
        for band in banded(logits[None], mask.shape, self.align_corners, BAND_BYTES):
            scores = band.upsample()
            scores = scores / self.model.head.temperature if self.score == "cosine" else scores.sigmoid()
            labelled = mask[band.rows] != IGNORE
            classes = mask[band.rows][labelled]
            self.sums[dataset].index_add_(0, classes, scores[:, labelled].T.double())
            self.counts[dataset] += torch.bincount(classes, minlength=len(logits))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            self.sums.copy_(self.trainer.strategy.reduce(self.sums, reduce_op="sum"))
            self.counts.copy_(self.trainer.strategy.reduce(self.counts, reduce_op="sum"))

    def mean_scores(self) -> Float[Tensor, "d k k"]:
        """Means on the CPU; nan in the rows of classes without pixels."""
        return (self.sums / self.counts[..., None]).cpu()


def relation_rule(scores: Float[Tensor, "d k k"], space: LabelSpace, tau: float) -> Int8[Tensor, "d k k"]:
    r"""Relations of each dataset: 1 positive, 0 negative, -1 no supervision.

    .. math:: R_d[c, k] = 1 \text{ iff } k = c \text{ or } s_d[c, k] > \max(\tau, s_d[c, c])

    Another channel must score higher than the true class itself on the pixels of that class, and exceed tau. Reproduces
    the 1-entries of all six matrices released with the official code for -0.0806 <= tau < -0.0790. Classes without
    pixels, and rows outside the dataset's classes, keep the null table's row.
    """
    related = relations.null(space)
    own = scores.diagonal(dim1=1, dim2=2)[..., None].clamp(min=tau)
    related[(scores > own) & space.in_space[..., None]] = 1
    return related
