"""Entropy: a pixel worked by hand, its range and its derivative."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.losses.fused import by_autograd
from mdseg.losses.minent import entropy, pixel_entropy, pixel_entropy_gradient


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
