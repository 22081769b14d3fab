"""Binary cross-entropies: plain, Null and Class-Relational BCE are one loss with three relation tables.

Kim et al., ECCV 2022, arXiv:2202.14030, eq. 4, section 3.3 and appendix F (the gradients).
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid

from mdseg.labels import relations as tables
from mdseg.labels.spaces import LabelSpace
from mdseg.losses.fused import PixelLoss, SupervisedLoss

# A product of 1 + exp(-|O|) over this many classes is at most 2^120: it cannot overflow in float32.
MAX_FACTORS = 120


def softplus(logits: Tensor) -> Tensor:
    """log(1 + exp(O)), without the threshold from which `F.softplus` returns O."""
    return -logsigmoid(-logits)


def sum_softplus(logits: Float[Tensor, "k rows W"]) -> Float[Tensor, "rows W"]:
    r"""Sum over classes of softplus, with one logarithm per pixel instead of one per class.

    .. math:: \sum_k \log(1 + e^{O_k}) = \sum_k \max(O_k, 0) + \log \prod_k (1 + e^{-|O_k|})

    `log1p` costs as much as everything else that the loss does together. The product is carried as P - 1
    (P Q - 1 = p + q + p q), so that a sum of tiny terms keeps its relative precision.
    """
    if len(logits) > MAX_FACTORS:
        return sum_softplus(logits[:MAX_FACTORS]) + sum_softplus(logits[MAX_FACTORS:])
    positive = logits.relu()
    total = positive.sum(dim=0)
    factors = torch.sub(logits, positive, alpha=2, out=positive).exp_()
    while len(factors) > 1:
        half = len(factors) // 2
        first, second, odd = factors.split([half, half, len(factors) % 2])
        factors = torch.addcmul(first, first, second).add_(second)
        if len(odd):
            last = factors[-1:]
            last.addcmul_(last, odd).add_(odd)
    return total + factors.sum(dim=0).log1p()  # one row, or none if there are no classes


class RelationalBCE(PixelLoss):
    r"""Binary cross-entropy of one dataset's pixels under its relation table T.

    .. math:: \ell = \sum_{k: T_{yk} \ne -1} \mathrm{softplus}(O_k) - \sum_{k: T_{yk} = 1} O_k

    Kim et al., ECCV 2022, eq. 4 and section 3.3, with :math:`-\log Q = \mathrm{softplus}(O) - O` and
    :math:`-\log (1 - Q) = \mathrm{softplus}(O)`. Nearly all rows of T agree on which classes are supervised and have
    their own class as the only positive: that part is a sum over a block of channels minus the label's logit, whatever
    the label. The other rows differ from it in a few columns, so their pixels get a correction in those columns:
    `supervised[column, y]` times the softplus, minus `positive[column, y]` times the logit.
    """

    columns: Int64[Tensor, " columns"]
    supervised: Float[Tensor, "columns k"]
    positive: Float[Tensor, "columns k"]
    corrected: Bool[Tensor, " k"]

    def __init__(self, relations: Int8[Tensor, "K K"], annotated: Bool[Tensor, " K"]) -> None:
        share = (relations[annotated] != -1).float().mean(dim=0)
        common = share > 0.5
        others = ~common & ((share > 0) | annotated)
        channels = torch.cat([common.nonzero()[:, 0], others.nonzero()[:, 0]])
        super().__init__(self.per_pixel, self.per_pixel_with_gradient, channels)
        self.num_common = int(common.sum())

        local, labels = relations[channels][:, channels], annotated[channels, None]
        supervised = ((local != -1).float() - common[channels].float()) * labels
        positive = ((local == 1).float() - torch.eye(len(channels))) * labels
        differs = (supervised != 0) | (positive != 0)
        columns = differs.any(dim=0).nonzero()[:, 0]
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("supervised", supervised[:, columns].t().contiguous(), persistent=False)
        self.register_buffer("positive", positive[:, columns].t().contiguous(), persistent=False)
        self.register_buffer("corrected", differs.any(dim=1), persistent=False)

    def per_pixel(self, logits: Float[Tensor, "k rows W"], target: Int64[Tensor, "rows W"]) -> Float[Tensor, "rows W"]:
        value = softplus(logits[: self.num_common]).sum(dim=0) - logits.gather(0, target[None])[0]
        pixels = self.corrected[target].flatten().nonzero()[:, 0]
        cells, labels = (self.columns[:, None], pixels), target.flatten()[pixels]
        special = logits.flatten(1)[cells]
        correction = self.supervised[:, labels] * softplus(special) - self.positive[:, labels] * special
        return value.flatten().index_add(0, pixels, correction.sum(dim=0)).view_as(value)

    def per_pixel_with_gradient(
        self, logits: Float[Tensor, "k rows W"], target: Int64[Tensor, "rows W"]
    ) -> tuple[Float[Tensor, "rows W"], Float[Tensor, "k rows W"]]:
        """The loss and its derivative: Q_k - T_k for the supervised classes, 0 for the others."""
        value = sum_softplus(logits[: self.num_common]).sub_(logits.gather(0, target[None])[0])
        pixels = self.corrected[target].flatten().nonzero()[:, 0]
        cells, labels = (self.columns[:, None], pixels), target.flatten()[pixels]
        special = logits.flatten(1)[cells]
        gradient = logits.sigmoid_()
        gradient[self.num_common :] = 0
        gradient.scatter_add_(0, target[None], -torch.ones_like(target, dtype=value.dtype)[None])
        if len(pixels):
            supervised, positive = self.supervised[:, labels], self.positive[:, labels]
            value.view(-1)[pixels] += (supervised * softplus(special) - positive * special).sum(dim=0)
            gradient.view(len(gradient), -1)[cells] += supervised * special.sigmoid() - positive
        return value, gradient


def relational_bce(
    space: LabelSpace,
    relations: Int8[Tensor, "d K K"],
    *,
    align_corners: bool = True,
    reduction: str = "labelled",
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> SupervisedLoss:
    """BCE under a relation table: [d, c, k] is what class k learns from dataset d's pixels of class c.

    Rows of classes that a dataset does not annotate are unused: a pixel with such a label counts as unlabelled.

    Raises:
        ValueError: if the table's shape is not that of the space.
    """
    return SupervisedLoss(
        relational_losses(space, relations),
        space.in_space,
        align_corners=align_corners,
        reduction=reduction,
        global_pixel_mean=global_pixel_mean,
        band_bytes=band_bytes,
    )


def relational_losses(space: LabelSpace, relations: Int8[Tensor, "d K K"]) -> list[PixelLoss]:
    """The per-pixel loss of every dataset of a space.

    Raises:
        ValueError: the table's shape is not that of the space.
    """
    expected = (len(space.datasets), space.num_classes, space.num_classes)
    if tuple(relations.shape) != expected:
        raise ValueError(f"relations: expected a table {expected} for this label space, got {tuple(relations.shape)}")
    return [RelationalBCE(table, row) for table, row in zip(relations, space.in_space, strict=True)]


class ClassRelationalBCE(SupervisedLoss):
    """A supervised loss whose relation table may come later; see :func:`class_relational_bce`.

    Args:
        relations: null: none yet; until there are some, the loss cannot be called.
        options: of :class:`SupervisedLoss`.
    """

    def __init__(self, space: LabelSpace, relations: Int8[Tensor, "d K K"] | None, **options: Any) -> None:
        table = tables.null(space) if relations is None else relations
        super().__init__(relational_losses(space, table), space.in_space, **options)
        self.space, self.options, self.related = space, options, relations is not None

    def relate(self, relations: Int8[Tensor, "d K K"]) -> None:
        """Learn from this table from now on."""
        renewed = SupervisedLoss(relational_losses(self.space, relations), self.space.in_space, **self.options)
        self.pixel_losses, self.lookup = renewed.pixel_losses.to(self.lookup.device), renewed.lookup.to(self.lookup)
        self.related = True

    def forward(self, *args: Any, **options: Any) -> Float[Tensor, ""]:
        if not self.related:
            raise ValueError(
                "loss class_relational_bce has no class relations: set loss.supervised.relations to a file or a name "
                "in conf/relations, or start the stage from some (from.relations, method=uniseg)"
            )
        return super().forward(*args, **options)


def bce(
    space: LabelSpace,
    *,
    align_corners: bool = True,
    reduction: str = "labelled",
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> SupervisedLoss:
    """Plain BCE: every class but the label is a negative, also those the dataset does not annotate; an ablation."""
    options: dict[str, Any] = {"reduction": reduction, "global_pixel_mean": global_pixel_mean, "band_bytes": band_bytes}
    return relational_bce(space, tables.plain(space), align_corners=align_corners, **options)


def null_bce(
    space: LabelSpace,
    *,
    align_corners: bool = True,
    reduction: str = "labelled",
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> SupervisedLoss:
    """Null BCE: only the classes of the image's dataset learn from it; Kim et al., ECCV 2022, eq. 4."""
    options: dict[str, Any] = {"reduction": reduction, "global_pixel_mean": global_pixel_mean, "band_bytes": band_bytes}
    return relational_bce(space, tables.null(space), align_corners=align_corners, **options)


def class_relational_bce(
    space: LabelSpace,
    relations: str | Path | Int8[Tensor, "d K K"] | None = None,
    *,
    align_corners: bool = True,
    reduction: str = "labelled",
    global_pixel_mean: bool = False,
    band_bytes: int | None = None,
) -> ClassRelationalBCE:
    """Class-Relational BCE: Null BCE with several positives per pixel (Kim et al., ECCV 2022, section 3.3).

    Args:
        relations: the table, or a YAML file of pairs, or the name of one in conf/relations; null: none yet, until
            :meth:`ClassRelationalBCE.relate` is called.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it does not fit the space.
    """
    table = tables.load(relations, space) if isinstance(relations, str | Path) else relations
    options: dict[str, Any] = {"reduction": reduction, "global_pixel_mean": global_pixel_mean, "band_bytes": band_bytes}
    return ClassRelationalBCE(space, table, align_corners=align_corners, **options)
