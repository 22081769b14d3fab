"""MaxSquare and its image-wise weighting: pixels worked by hand, ranges, derivatives and invariances."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.losses.fused import by_autograd
from mdseg.losses.image_wise import image_weights
from mdseg.losses.maximum_squares import (
    half_square,
    half_square_gradient,
    max_square,
    max_square_iw,
    weighted_half_square,
    weighted_half_square_gradient,
)

# Four pixels, of which three are predicted as class 0, one as class 1 and none as class 2.
ROWS = ((0.8, 0.1, 0.1), (0.6, 0.3, 0.1), (0.5, 0.3, 0.2), (0.2, 0.7, 0.1))
VARIANTS = {
    "channel": max_square_iw,
    "argmax": partial(max_square_iw, iw_index="argmax"),
    "official": partial(max_square_iw, iw_index="argmax", normalisation="official"),
}


def pixels(rows, height=1):
    """Logits [1 c height W] whose softmax are the rows."""
    return torch.tensor(rows, dtype=torch.float64).log().t().reshape(1, 3, height, -1).requires_grad_()


def twice(logits):
    return logits.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_one_pixel_worked_by_hand():
    logits = pixels([(0.7, 0.2, 0.1)])
    loss = max_square(logits)
    loss.backward()
    assert loss.item() == pytest.approx(-0.27, abs=1e-9)
    assert logits.grad.flatten().tolist() == pytest.approx([-0.112, 0.068, 0.044], abs=1e-9)
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-12)
    assert max_square(logits, normalisation="official").item() == pytest.approx(-0.09, abs=1e-9)


@pytest.mark.parametrize(("probability", "slope"), [(0.5, 0), (0.6, 0.4), (0.9, 1.6), (0.99, 1.96), (0.999, 1.996)])
def test_with_two_classes_the_slope_is_bounded(probability, slope):
    p = torch.tensor(probability, dtype=torch.float64, requires_grad=True)
    (2 * max_square(torch.stack([p, 1 - p]).log()[None])).backward()  # the slides' binary form has no 1/2
    assert p.grad.abs().item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(("num_classes", "value"), [(19, -0.026316), (16, -0.03125), (13, -0.038462)])
def test_a_uniform_prediction_is_the_maximum_and_has_no_gradient(num_classes, value):
    logits = torch.zeros(1, num_classes, 3, 3, requires_grad=True)
    loss = max_square(logits, (6, 6))
    loss.backward()
    assert loss.item() == pytest.approx(value, abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-9)


def test_a_certain_prediction_is_the_minimum_and_has_no_gradient():
    logits = torch.zeros(1, 19, 3, 3)
    logits[:, 4] = 200
    logits.requires_grad_()
    loss = max_square(logits, (6, 6))
    loss.backward()
    assert loss.item() == -0.5
    assert (logits.grad == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.floats(0, 60), st.integers(0, 10**6))
def test_it_lies_between_minus_one_half_and_that_of_a_uniform_prediction(num_classes, scale, seed):
    torch.manual_seed(seed)
    logits = torch.randn(2, num_classes, 3, 4, dtype=torch.float64) * scale
    assert -0.5 - 1e-12 <= max_square(logits, (5, 6)).item() <= -1 / (2 * num_classes) + 1e-12


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.floats(0, 60), st.floats(0, 1), st.integers(0, 10**6))
def test_the_weighted_loss_is_below_the_plain_one_and_bounded_by_the_number_of_classes(num_classes, scale, alpha, seed):
    # No weight is below 1 / N. With f_c = N^c / N, the loss of certain predictions is -1/2 sum f_c^(1 - alpha), least
    # where all classes are predicted equally often.
    torch.manual_seed(seed)
    logits = torch.randn(2, num_classes, 3, 4, dtype=torch.float64) * scale
    plain, lowest = max_square(logits, (5, 6)).item(), -(num_classes**alpha) / 2
    assert lowest - 1e-12 <= max_square_iw(logits, (5, 6), iw_index="argmax", alpha=alpha).item() <= plain + 1e-12
    assert max_square_iw(logits, (5, 6), alpha=alpha).item() <= plain + 1e-12


def test_class_weights_worked_by_hand():
    weights = image_weights(torch.tensor([[3, 1, 0]]), 0.2, torch.float64)
    assert weights[0].tolist() == pytest.approx([0.264806, 0.329877, 0.329877], abs=1e-6)


@pytest.mark.parametrize(("variant", "value"), [("channel", -0.294504), ("argmax", -0.287671), ("official", -0.191781)])
def test_the_weighted_loss_of_four_pixels_worked_by_hand(variant, value):
    # -0.317958 in `channel` mode would mean a weight of 1 for the class that is predicted nowhere.
    assert VARIANTS[variant](pixels(ROWS)).item() == pytest.approx(value, abs=1e-6)
    assert VARIANTS[variant](torch.tensor(ROWS).log()).item() == pytest.approx(value, abs=1e-6)  # of a classifier


def test_the_plain_loss_of_four_pixels_worked_by_hand():
    assert max_square(pixels(ROWS)).item() == pytest.approx(-0.255, abs=1e-9)
    assert max_square(pixels(ROWS), normalisation="official").item() == pytest.approx(-0.085, abs=1e-9)


@pytest.mark.parametrize(("variant", "value"), [("channel", -0.255), ("argmax", -0.255), ("official", -0.17)])
def test_with_alpha_0_every_class_weighs_the_same(variant, value):
    assert VARIANTS[variant](pixels(ROWS), alpha=0.0).item() == pytest.approx(value, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(*[st.integers(1, 9)] * 4, st.integers(0, 10**6))
def test_with_alpha_0_it_is_the_plain_loss_on_any_image(h, w, height, width, seed):
    torch.manual_seed(seed)
    logits, size = torch.randn(2, 5, h, w, dtype=torch.float64), (height, width)
    valid = torch.rand(2, height, width) > 0.3
    plain = max_square(logits, size, valid)
    torch.testing.assert_close(max_square_iw(logits, size, valid, alpha=0.0), plain)
    torch.testing.assert_close(max_square_iw(logits, size, valid, alpha=0.0, iw_index="argmax"), plain)
    official = max_square(logits, size, valid, normalisation="official")
    torch.testing.assert_close(VARIANTS["official"](logits, size, valid, alpha=0.0), 2 * official)


@pytest.mark.parametrize("index", ["channel", "argmax"])
def test_the_weights_carry_no_gradient(index):
    logits = pixels(ROWS)
    max_square_iw(logits, iw_index=index).backward()
    weight = torch.tensor([3.0, 1, 1], dtype=torch.float64) ** -0.2 * 4**-0.8
    p = logits.detach().softmax(1)[0, :, 0]
    weight = weight[:, None] if index == "channel" else weight[p.argmax(0)]
    expected = -p * (weight * p - (weight * p**2).sum(0))
    torch.testing.assert_close(logits.grad[0, :, 0], expected)


def test_pixels_are_counted_image_by_image():
    torch.manual_seed(0)
    first, second = torch.randn(2, 1, 3, 4, 4, dtype=torch.float64)
    second[:, 0] += 3  # hardly anything but class 0
    for loss in VARIANTS.values():
        both = loss(torch.cat([first, second]), (8, 8))
        torch.testing.assert_close(both, (loss(first, (8, 8)) + loss(second, (8, 8))) / 2)
        # Side by side they are one image, whose counts are pooled.
        assert (loss(torch.cat([first, second]))).item() != pytest.approx(
            loss(torch.cat([first, second], 3)).item(), 0.01
        )


def test_duplicating_every_pixel_changes_nothing_if_every_class_is_predicted():
    rows = pixels([*ROWS, (0.1, 0.2, 0.7), (0.3, 0.3, 0.4)], height=2)
    torch.testing.assert_close(max_square(twice(rows)), max_square(rows))
    for loss in VARIANTS.values():
        torch.testing.assert_close(loss(twice(rows)), loss(rows))


def test_the_guard_of_an_absent_class_does_not_scale_with_the_image():
    rows = pixels(ROWS)
    torch.testing.assert_close(VARIANTS["argmax"](twice(rows)), VARIANTS["argmax"](rows))
    assert max_square_iw(twice(rows)).item() != pytest.approx(max_square_iw(rows).item(), abs=1e-4)


def test_padding_is_not_counted():
    rows = pixels([*ROWS, (0.01, 0.01, 0.98), (0.01, 0.01, 0.98)])
    valid = torch.tensor([[[True] * 4 + [False] * 2]])
    for name, loss in VARIANTS.items():
        torch.testing.assert_close(loss(rows, None, valid), loss(pixels(ROWS)), msg=name)


@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
def test_the_closed_forms_are_the_derivatives(scale):
    logits, weight = torch.randn(6, 5, 4, dtype=torch.float64) * scale, torch.rand(6, 1, 1, dtype=torch.float64)
    for function, closed_form, targets in (
        (half_square, half_square_gradient, ()),
        (weighted_half_square, weighted_half_square_gradient, (weight,)),
    ):
        value, gradient = closed_form(logits.clone(), *targets)
        expected, expected_gradient = by_autograd(function, logits, *targets)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_band_height_does_not_matter(variant):
    logits, size = torch.randn(2, 5, 6, 7, dtype=torch.float64), (50, 41)
    losses = [VARIANTS[variant](logits, size, band_bytes=band_bytes).item() for band_bytes in (1, 5000, 1 << 20, None)]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-12)


def test_what_does_not_exist_is_an_error():
    logits = torch.randn(1, 3, 2, 2)
    with pytest.raises(ValueError, match="'official' goes with iw_index 'argmax'"):
        max_square_iw(logits, normalisation="official")
    with pytest.raises(ValueError, match="iw_index: expected 'channel' or 'argmax', got 'pixel'"):
        max_square_iw(logits, iw_index="pixel")
    with pytest.raises(ValueError, match="alpha: expected a number from 0 to 1, got -0.2"):
        max_square_iw(logits, alpha=-0.2)
    with pytest.raises(ValueError, match="300 channels"):
        max_square_iw(torch.randn(1, 300, 2, 2), (4, 4))
