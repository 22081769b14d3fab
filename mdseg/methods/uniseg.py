"""UniSeg: several labelled datasets with different label spaces (Kim et al., ECCV 2022, arXiv:2202.14030)."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Float64, Int8, Int64
from torch import Tensor

from mdseg.labels import relations
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.losses.relational_bce import ClassRelationalBCE
from mdseg.methods.supervised import Supervised
from mdseg.models.heads import CosineClassifier
from mdseg.models.segmenter import Segmenter
from mdseg.pixels.bands import banded

RELATIONS = "relations.yaml"  # what a stage that estimates them calls its file
BAND_BYTES = 16 << 20  # of logits that are upsampled at a time


class UniSeg(Supervised):
    """Supervised training with the class relations that an earlier stage has found.

    Null BCE and Class-Relational BCE are the losses of its stages, plain BCE and cross-entropy its baselines. A stage
    that starts `from: {relations: ...}` gives them to its loss, which must be Class-Relational BCE.

    Args:
        supervised, low_weight: see :class:`~mdseg.methods.supervised.Supervised`.
    """

    takes = ("relations",)

    def expect(self, parts: Collection[str]) -> None:
        super().expect(parts)
        if "relations" in parts and self._relational_loss().related:
            raise ValueError("from.relations and loss.supervised.relations are both set; set one of them to null")

    def _relational_loss(self) -> ClassRelationalBCE:
        if not isinstance(self.supervised, ClassRelationalBCE):
            raise ValueError(
                "from.relations: only loss/supervised=class_relational_bce learns from class relations; leave them "
                "out, or choose that loss"
            )
        return self.supervised

    def start_from(self, what: str, path: Path) -> None:
        """Relations from the folder of a stage that has estimated them, or from a file of such.

        Raises:
            FileNotFoundError, ValueError: there are none, or they do not fit the label space.
        """
        self._relational_loss().relate(relations.load(path / RELATIONS if path.is_dir() else path, self.space))


class RelationScores(pl.LightningModule):
    r"""Mean score of every channel over the pixels of every class, per dataset, in one pass over labelled images.

    .. math:: s_d[c, k] = \frac{1}{N_{d,c}} \sum_{p \in d: y_p = c} O_k(p) / t

    Sums are float64 and added up over all ranks. In the same pass, the IoU of the classes among those of their dataset,
    as an evaluation measures it: the rule compares scores of a model that knows its classes.

    Args:
        score: `cosine` (logits over the head's temperature, as the official code) or `sigmoid` (of the logits).

    Raises:
        ValueError: cosine scores of a head that has no temperature.
    """

    train_ids: Int64[Tensor, "d 256"]
    sums: Float64[Tensor, "d k k"]
    counts: Int64[Tensor, "d k"]
    predicted: Int64[Tensor, "d k"]
    right: Int64[Tensor, "d k"]

    def __init__(self, model: Segmenter, space: LabelSpace, score: str, align_corners: bool) -> None:
        super().__init__()
        if score not in ("cosine", "sigmoid"):
            raise ValueError(f"relations.score: expected cosine or sigmoid, got {score!r}")
        self.temperature: float | None = None  # by which logits are divided; None: their sigmoid is taken
        if score == "cosine":
            if not isinstance(model.head, CosineClassifier):
                raise ValueError(
                    "relations.score=cosine needs the cosine classifier: use model.head=cosine or score=sigmoid"
                )
            self.temperature = model.head.temperature
        self.model, self.space, self.score, self.align_corners = model, space, score, align_corners
        datasets, classes = len(space.datasets), space.num_classes
        train_ids = torch.stack([torch.from_numpy(space.train_ids(name)) for name in space.datasets])
        self.register_buffer("train_ids", train_ids.long(), persistent=False)
        self.register_buffer("sums", torch.zeros(datasets, classes, classes, dtype=torch.float64), persistent=False)
        for name in ("counts", "predicted", "right"):
            self.register_buffer(name, torch.zeros(datasets, classes, dtype=torch.int64), persistent=False)
        self.channels = [space.annotated[row].nonzero().flatten() for row in range(datasets)]

    def validation_step(self, batch: dict[str, Any], index: int) -> None:
        dataset = self.space.dataset_index(batch["name"])
        masks = self.train_ids[dataset][batch["mask"].long()]
        for logits, mask in zip(self.model(batch["image"]), masks, strict=True):
            self._count(dataset, logits.float(), mask)

    def _count(self, dataset: int, logits: Float[Tensor, "k h w"], mask: Int64[Tensor, "H W"]) -> None:
        channels = self.channels[dataset].to(logits.device)
        for band in banded(logits[None], mask.shape, self.align_corners, BAND_BYTES):
            scores = band.upsample()
            scores = scores.sigmoid() if self.temperature is None else scores / self.temperature
            labelled = mask[band.rows] != IGNORE
            classes, scores = mask[band.rows][labelled], scores[:, labelled]
            self.sums[dataset].index_add_(0, classes, scores.T.double())
            answers = channels[scores[channels].argmax(dim=0)]
            for counted, of_pixels in (
                (self.counts, classes),
                (self.predicted, answers),
                (self.right, classes[answers == classes]),
            ):
                counted[dataset] += torch.bincount(of_pixels, minlength=len(logits))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            for counted in (self.sums, self.counts, self.predicted, self.right):
                counted.copy_(self.trainer.strategy.reduce(counted, reduce_op="sum"))

    def mean_scores(self) -> Float[Tensor, "d k k"]:
        """Means on the CPU; nan in the rows of classes without pixels."""
        return (self.sums / self.counts[..., None]).cpu()

    def iou(self) -> Float64[Tensor, "d k"]:
        """IoU of every class on the images of a dataset, on the CPU; nan where it has no pixels."""
        iou = self.right / (self.counts + self.predicted - self.right).double()
        return iou.masked_fill(self.counts == 0, torch.nan).cpu()


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
