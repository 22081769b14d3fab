"""What is counted from predictions, and the IoU read from it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate
from torchmetrics.classification import MulticlassConfusionMatrix

from mdseg.evaluation.evaluator import classes_at
from mdseg.evaluation.metrics import ConfusionMatrix, iou, miou_zero, protocol
from mdseg.labels.spaces import EvaluationSpace

torch.set_num_threads(1)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 9), st.floats(0, 1), st.integers(0, 10**6))
def test_counts_equal_those_of_torchmetrics(classes, ignored, seed):
    torch.manual_seed(seed)
    ours, theirs = ConfusionMatrix(classes), MulticlassConfusionMatrix(classes, ignore_index=255)
    for _ in range(2):
        logits, mask = torch.randn(2, classes, 5, 6), torch.randint(0, classes, (2, 15, 18))
        mask[torch.rand(mask.shape) < ignored] = 255
        channels = torch.arange(classes)
        space = EvaluationSpace(tuple(map(str, channels)), ((0, 0, 0),) * classes, channels, channels, ())
        ours.update(classes_at(logits, (15, 18), space, align_corners=False), mask.to(torch.uint8))
        theirs.update(interpolate(logits, size=(15, 18), mode="bilinear"), mask)
    assert torch.equal(ours.compute(), theirs.compute())


def test_mask_values_outside_the_evaluated_classes_are_an_error():
    mask = torch.tensor([[[0, 3, 9, 255]]], dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"mask holds \[3, 9\]"):
        ConfusionMatrix(3).update(torch.zeros_like(mask), mask)


def test_iou_is_nan_for_a_class_that_is_nowhere():
    confusion = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    scores = iou(confusion)
    assert scores[:2].tolist() == [3 / 6, 4 / 7]
    assert scores[2].isnan()
    assert scores.nanmean().item() == pytest.approx((3 / 6 + 4 / 7) / 2)


def test_a_class_that_is_predicted_but_never_true_counts_as_zero():
    assert iou(torch.tensor([[3, 1], [0, 0]])).tolist() == [0.75, 0.0]


def test_a_single_class_has_an_iou_of_its_own():
    """torchmetrics 1.9.0 gives what `compute` returns without its dimensions where it has one element
    (`_squeeze_if_scalar` in `Metric._wrap_compute`).
    """
    confusion, zero = ConfusionMatrix(1), torch.zeros(1, 2, 2, dtype=torch.uint8)
    confusion.update(zero, zero)
    assert confusion.compute().shape == ()
    assert confusion.iou().tolist() == [1.0]


def test_a_protocol_averages_its_own_classes():
    scores = torch.tensor([0.5, 0.1, torch.nan, 0.3])
    names = ("road", "wall", "train", "car")
    assert protocol(scores, names, ["road", "car", "train"]).item() == pytest.approx(0.4)
    with pytest.raises(ValueError, match="'bus'"):
        protocol(scores, names, ["road", "bus"])


def test_a_mean_over_all_classes_counts_absent_ones_as_zero():
    """Russo et al., ICIAP 2019: the 19 classes of Max Merge on Cityscapes average to 42.76 with train, 0.0."""
    published = [87.8, 37.1, 80.2, 20.3, 14.9, 29.8, 26.0, 20.5, 82.0, 31.4, 78.0, 57.6, 25.3, 80.5, 31.6, 43.5]
    published += [torch.nan, 29.8, 36.1]
    assert miou_zero(torch.tensor(published)).item() == pytest.approx(42.76, abs=0.005)
    assert torch.tensor(published).nanmean().item() == pytest.approx(42.758 * 19 / 18, abs=0.005)
    assert miou_zero(torch.full((3,), torch.nan)).isnan()
