"""One answer of several branches: the maximum or mean of their logits or probabilities, in bands."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from mdseg.labels.spaces import EvaluationSpace, Merge
from mdseg.pixels.argmax import first_argmax
from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded

NONE = -1  # no class of the evaluation space


def merged_scores(
    logits: Float[Tensor, "k *pixels"], merge: Merge, class_of: Int64[Tensor, " k"], num_classes: int
) -> Float[Tensor, "c *pixels"]:
    r"""Score of every class: the maximum or mean, over the branches that answer for it, of logits or probabilities.

    .. math:: \hat Y_c = \max_s O^s_c \quad \text{or} \quad \frac{1}{|S_c|} \sum_{s \in S_c} O^s_c

    Russo et al., ICIAP 2019, eq. 6, has the maximum of logits. Classes that no branch answers for have minus infinity.
    A branch with several channels of one class has the largest of them as its score.

    Args:
        logits: upsampled.
        class_of: the class that each channel counts as; -1: none.
    """
    shape = (num_classes, *logits.shape[1:])
    scores = logits.new_full(shape, -torch.inf) if merge.how == "max" else logits.new_zeros(shape)
    branches = torch.zeros(num_classes, device=logits.device)
    for channels in merge.branches:
        own = logits[channels]
        own = own.softmax(dim=0) if merge.scores == "prob" else own
        answering = class_of[channels] != NONE
        classes, own = class_of[channels][answering], own[answering]
        rows = classes.view(-1, *[1] * (logits.dim() - 1)).expand_as(own)
        if merge.how == "max":
            scores.scatter_reduce_(0, rows, own, "amax")
        else:
            answered = classes.unique()
            branches[answered] += 1
            scores[answered] += logits.new_full(shape, -torch.inf).scatter_reduce_(0, rows, own, "amax")[answered]
    if merge.how == "mean":
        counts = branches.view(-1, *[1] * (logits.dim() - 1))
        scores = torch.where(counts > 0, scores / counts.clamp(min=1), -torch.inf)
    return scores


def merged_argmax(
    logits: Float[Tensor, "n k h w"],
    size: tuple[int, int],
    space: EvaluationSpace,
    align_corners: bool,
    band_bytes: int | None = None,
) -> UInt8[Tensor, "n H W"]:
    """Class with the highest score of upsampled and merged logits at each pixel; see :func:`merged_scores`.

    Args:
        space: whose `merge` is set.
        band_bytes: memory of one band of upsampled logits; None: by device.
    """
    merge, size = space.merge, (int(size[0]), int(size[1]))
    assert merge is not None
    merge = Merge(merge.how, merge.scores, tuple(channels.to(logits.device) for channels in merge.branches))
    class_of = classes_of_channels(logits, space)
    prediction = torch.empty(len(logits), *size, dtype=torch.uint8, device=logits.device)
    for band in banded(logits, size, align_corners, band_memory(logits, band_bytes, PREDICTION_BYTES)):
        scores = merged_scores(band.upsample(), merge, class_of, len(space.names))
        prediction[band.image, band.rows] = first_argmax(scores)
    return prediction


def winning_branches(
    logits: Float[Tensor, "n k h w"],
    answers: UInt8[Tensor, "n H W"],
    space: EvaluationSpace,
    merge: Merge,
    align_corners: bool,
    band_bytes: int | None = None,
) -> UInt8[Tensor, "n H W"]:
    """Which branch, by its place in a merge, scores the merged answer highest at each pixel.

    Args:
        answers: of the merge, class indices of the evaluation space.
        merge: of whose logits or probabilities.
    """
    size = (answers.shape[-2], answers.shape[-1])
    class_of = classes_of_channels(logits, space)
    winner = torch.empty_like(answers)
    for band in banded(logits, size, align_corners, band_memory(logits, band_bytes, PREDICTION_BYTES)):
        whole, answer = band.upsample(), answers[band.image, band.rows].long()
        scores = []
        for channels in merge.branches:
            single = Merge("max", merge.scores, (channels.to(logits.device),))
            scores.append(merged_scores(whole, single, class_of, len(space.names)).gather(0, answer[None])[0])
        winner[band.image, band.rows] = first_argmax(torch.stack(scores))
    return winner


def classes_of_channels(logits: Float[Tensor, "n k h w"], space: EvaluationSpace) -> Int64[Tensor, " k"]:
    """The class that each channel counts as; -1: none."""
    class_of = torch.full((logits.shape[1],), NONE)
    class_of[space.channels] = space.classes
    return class_of.to(logits.device)
