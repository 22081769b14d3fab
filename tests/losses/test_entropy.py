"""Entropy: a pixel worked by hand, its range and its derivative."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.losses.fused import by_autograd
from mdseg.losses.minent import (
    entropy,
    entropy_iw,
    pixel_entropy,
    pixel_entropy_gradient,
    weighted_pixel_entropy,
    weighted_pixel_entropy_gradient,
)


def pixel(*probs):
    return torch.tensor(probs).log().view(1, -1, 1, 1).requires_grad_()


def test_one_pixel_worked_by_hand():
    logits = pixel(0.7, 0.2, 0.1)
    loss = entropy(logits)
    loss.backward()
    assert loss.item() == pytest.approx(0.801819, abs=1e-6)
    assert loss.item() / math.log(3) == pytest.approx(0.729847, abs=1e-6)  # as ADVENT divides
    assert logits.grad.flatten().tolist() == pytest.approx([-0.311601, 0.161524, 0.150077], abs=1e-6)
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-7)


def test_as_a_share_of_the_highest_entropy_it_is_advents():
    assert entropy(pixel(0.7, 0.2, 0.1), normalisation="log").item() == pytest.approx(0.729847, abs=1e-6)
    assert entropy(torch.zeros(1, 19, 2, 2), normalisation="log").item() == pytest.approx(1)


def test_the_official_normalisation_is_the_mean_over_classes():
    assert entropy(pixel(0.7, 0.2, 0.1), normalisation="official").item() == pytest.approx(0.267273, abs=1e-6)


@pytest.mark.parametrize(
    ("probability", "slope"), [(0.5, 0), (0.6, 0.405465), (0.9, 2.197225), (0.99, 4.595120), (0.999, 6.906755)]
)
def test_with_two_classes_the_slope_grows_without_bound(probability, slope):
    p = torch.tensor(probability, dtype=torch.float64, requires_grad=True)
    entropy(torch.stack([p, 1 - p]).log()[None]).backward()
    assert p.grad.abs().item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
def test_the_closed_form_is_the_derivative(scale):
    logits = torch.randn(6, 5, 4, dtype=torch.float64) * scale
    value, gradient = pixel_entropy_gradient(logits.clone())
    expected, expected_gradient = by_autograd(pixel_entropy, logits)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.floats(0, 60), st.integers(0, 10**6))
def test_it_lies_between_0_and_the_logarithm_of_the_number_of_classes(num_classes, scale, seed):
    torch.manual_seed(seed)
    logits = torch.randn(2, num_classes, 3, 4, dtype=torch.float64) * scale
    assert -1e-12 <= entropy(logits, (5, 6)).item() <= math.log(num_classes) + 1e-12


def test_a_uniform_prediction_has_the_largest_entropy_and_no_gradient():
    logits = torch.zeros(1, 19, 2, 2, requires_grad=True)
    loss = entropy(logits, (4, 4))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(19), abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-7)


def test_duplicating_every_pixel_changes_nothing():
    logits = torch.randn(2, 5, 4, 3)
    twice = logits.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(entropy(twice), entropy(logits))


# Image-wise weights. Four pixels, of which three are predicted as class 0, one as class 1 and none as class 2.
ROWS = ((0.8, 0.1, 0.1), (0.6, 0.3, 0.1), (0.5, 0.3, 0.2), (0.2, 0.7, 0.1))
COUNTS = (3, 1, 1)  # an absent class counts as one pixel


def four_pixels(dtype=torch.float64):
    return torch.tensor(ROWS, dtype=dtype).log().t().reshape(1, 3, 1, 4).requires_grad_()


def weight_of(count):
    return 1 / (count**0.2 * 4**0.8)


def test_image_wise_weights_are_those_of_every_class():
    parts = [[-p * math.log(p) * weight_of(COUNTS[index]) for index, p in enumerate(row)] for row in ROWS]
    assert entropy_iw(four_pixels()).item() == pytest.approx(sum(map(sum, parts)), abs=1e-12)


def test_or_those_of_the_predicted_class():
    predicted = (0, 0, 0, 1)
    parts = [
        sum(-p * math.log(p) for p in row) * weight_of(COUNTS[label])
        for row, label in zip(ROWS, predicted, strict=True)
    ]
    assert entropy_iw(four_pixels(), iw_index="argmax").item() == pytest.approx(sum(parts), abs=1e-12)
    official = entropy_iw(four_pixels(), iw_index="argmax", normalisation="official")
    assert official.item() == pytest.approx(sum(parts) / 3, abs=1e-12)


@pytest.mark.parametrize("iw_index", ["channel", "argmax"])
def test_without_weights_it_is_the_entropy(iw_index):
    logits = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(entropy_iw(logits, (7, 9), iw_index=iw_index, alpha=0.0), entropy(logits, (7, 9)))


@pytest.mark.parametrize("iw_index", ["channel", "argmax"])
def test_image_wise_gradients(iw_index):
    logits = torch.randn(1, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: entropy_iw(maps, (4, 5), iw_index=iw_index), logits)


def test_the_closed_form_of_the_weighted_entropy_is_autograds():
    logits, weight = torch.randn(5, 3, 4, dtype=torch.float64), torch.rand(5, 1, 1, dtype=torch.float64)
    expected = by_autograd(weighted_pixel_entropy, logits, weight)
    for found, wanted in zip(weighted_pixel_entropy_gradient(logits.clone(), weight), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_image_wise_entropy_of_nothing_is_zero():
    nothing = torch.zeros(1, 4, 4, dtype=torch.bool)
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = entropy_iw(logits, (4, 4), nothing)
    loss.backward()
    assert loss == 0
    assert logits.grad.abs().sum() == 0


def test_image_wise_options_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="entropy_iw: the official code weighs by the predicted class"):
        entropy_iw(torch.zeros(1, 3, 2, 2), normalisation="official")
