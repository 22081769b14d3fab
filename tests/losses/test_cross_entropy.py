"""Cross-entropy: worked by hand, and against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy as reference
from torch.nn.functional import interpolate

from mdseg.losses.cross_entropy import ce, cross_entropy, cross_entropy_gradient
from mdseg.losses.fused import by_autograd


@pytest.fixture(scope="module")
def space(make_space):
    return make_space(first=("a", "b", "d"), second=("a", "c"))


def pixel(*logits):
    return torch.tensor(logits).view(1, -1, 1, 1).requires_grad_()


def label(value):
    return torch.full((1, 1, 1), value, dtype=torch.uint8)


def test_one_pixel_worked_by_hand(space):
    logits = pixel(2.0, -1.0, 0.5, 0.0)
    loss = ce(space)(logits, label(0), torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.342350, abs=1e-6)
    assert logits.grad.flatten().tolist() == pytest.approx([-0.289900, 0.035354, 0.158445, 0.096102], abs=1e-6)


def test_in_space_the_softmax_runs_over_the_datasets_own_classes(space):
    logits = pixel(2.0, -1.0, 0.5, 0.0)
    loss = ce(space, scope="in_space")(logits, label(0), torch.tensor([0]))
    loss.backward()
    expected = reference(torch.tensor([[2.0, -1.0, 0.0]]), torch.tensor([0]))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert logits.grad[0, 2] == 0


def test_the_closed_form_is_the_derivative():
    logits, target = torch.randn(6, 5, 4, dtype=torch.float64) * 5, torch.randint(0, 6, (5, 4))
    value, gradient = cross_entropy_gradient(logits.clone(), target)
    expected, expected_gradient = by_autograd(cross_entropy, logits, target)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@settings(deadline=None, max_examples=40)
@given(*[st.integers(1, 12)] * 4, st.booleans(), st.integers(1, 3000), st.floats(0, 1), st.integers(0, 10**6))
def test_value_and_gradient_equal_torch_on_interpolated_logits(
    space, h, w, height, width, align_corners, band_bytes, ignored, seed
):
    torch.manual_seed(seed)
    logits = torch.randn(2, 4, h, w).mul_(3).requires_grad_()
    mask = torch.randint(0, 4, (2, height, width))
    mask[torch.rand(mask.shape) < ignored] = 255
    mask[0, 0, 0] = 1
    loss = ce(space, align_corners=align_corners, band_bytes=band_bytes)
    value = loss(logits, mask.to(torch.uint8), torch.tensor([0, 1]))
    upsampled = interpolate(logits, size=(height, width), mode="bilinear", align_corners=align_corners)
    expected = reference(upsampled, mask, ignore_index=255)
    gradient, expected_gradient = (torch.autograd.grad(total, logits)[0] for total in (value, expected))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5 * expected_gradient.abs().max().item())


@pytest.mark.parametrize("scope", ["all", "in_space"])
def test_gradcheck_in_double(space, scope):
    logits = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([0, 1, 3, 255, 2], dtype=torch.uint8)[torch.randint(0, 5, (2, 4, 6))]
    loss = ce(space, scope=scope, band_bytes=300)
    assert torch.autograd.gradcheck(lambda values: loss(values, mask, torch.tensor([0, 1])), (logits,))


def test_an_unknown_scope_is_named(space):
    with pytest.raises(ValueError, match="expected 'all' or 'in_space', got 'local'"):
        ce(space, scope="local")
