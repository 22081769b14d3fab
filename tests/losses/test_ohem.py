"""Cross-entropy of hard pixels: worked by hand, and against the definition on interpolated logits."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy as reference
from torch.nn.functional import interpolate

from mdseg.losses.cross_entropy import ce
from mdseg.losses.ohem import ohem_ce
from mdseg.losses.variation import ClassCounter, LogitVariation


@pytest.fixture(scope="module")
def space(make_space):
    return make_space(first=("a", "b", "d"), second=("a", "c"))


# Four classes, the first is the label; probabilities of the labels 0.9, 0.8, 0.6, 0.4.
ROW = torch.tensor([0.9, 0.8, 0.6, 0.4])
LOGITS = torch.stack([ROW, *[(1 - ROW) / 3] * 3]).log().view(1, 4, 1, 4)
LABELS = torch.zeros(1, 1, 4, dtype=torch.uint8)
FIRST = torch.tensor([0])


@pytest.mark.parametrize(
    ("min_pixels", "kept"),
    [(0, [0.6, 0.4]), (1, [0.6, 0.4]), (3, [0.8, 0.6, 0.4]), (4, [0.9, 0.8, 0.6, 0.4]), (9, [0.9, 0.8, 0.6, 0.4])],
)
def test_four_pixels_worked_by_hand(space, min_pixels, kept):
    loss = ohem_ce(space, probability=0.7, min_pixels=min_pixels)(LOGITS, LABELS, FIRST)
    assert loss.item() == pytest.approx(-sum(map(math.log, kept)) / len(kept), abs=1e-6)


def test_easy_pixels_get_no_gradient(space):
    logits = LOGITS.clone().requires_grad_()
    ohem_ce(space, min_pixels=1)(logits, LABELS, FIRST).backward()
    assert logits.grad[..., :2].abs().sum() == 0
    assert logits.grad[0, 0, 0, 2:].tolist() == pytest.approx([-0.2, -0.3], abs=1e-6)


def test_pixels_without_a_label_are_not_among_the_hard_ones(space):
    labels = torch.tensor([[[255, 0, 0, 255]]], dtype=torch.uint8)
    loss = ohem_ce(space, min_pixels=1)(LOGITS, labels, FIRST)
    assert loss.item() == pytest.approx(-math.log(0.6), abs=1e-6)


def test_nothing_hard_and_nothing_labelled_give_a_zero_that_is_connected(space):
    for labels in (LABELS, torch.full_like(LABELS, 255)):
        logits = LOGITS.clone().requires_grad_()
        loss = ohem_ce(space, probability=0.1, min_pixels=0)(logits, labels, FIRST)
        loss.backward()
        assert loss.item() == 0
        assert logits.grad.abs().sum() == 0


def defined(upsampled, mask, probability, min_pixels):
    """The definition, with every probability at hand."""
    labelled = mask != 255
    probs = upsampled.softmax(dim=1).gather(1, mask.where(labelled, 0)[:, None])[:, 0][labelled]
    values = reference(upsampled, mask, ignore_index=255, reduction="none")[labelled]
    if min_pixels < len(probs):
        lowest = probs.sort().values[min_pixels - 1] if min_pixels else torch.tensor(0.0)
        highest = max(torch.tensor(probability), lowest)
        # Of pixels that differ from the last one by rounding alone, which are kept is not defined.
        assume(((probs - highest).abs() < 1e-12).sum() <= 1)
        values = values[probs <= highest]
    return values.mean() if len(values) else values.sum()


@settings(deadline=None, max_examples=40)
@given(
    *[st.integers(1, 12)] * 4,
    st.booleans(),
    st.integers(1, 3000),
    st.floats(0.05, 1),
    st.integers(0, 300),
    st.integers(0, 10**6),
)
def test_value_and_gradient_equal_the_definition(
    space, h, w, height, width, align_corners, band_bytes, probability, min_pixels, seed
):
    torch.manual_seed(seed)
    logits = torch.randn(2, 4, h, w, dtype=torch.float64).mul_(2).requires_grad_()
    mask = torch.tensor([0, 1, 2, 3, 255])[torch.randint(0, 5, (2, height, width))]
    options = {"align_corners": align_corners, "band_bytes": band_bytes}
    loss = ohem_ce(space, probability=probability, min_pixels=min_pixels, **options)
    value = loss(logits, mask.to(torch.uint8), torch.tensor([0, 1]))
    upsampled = interpolate(logits, size=(height, width), mode="bilinear", align_corners=align_corners)
    expected = defined(upsampled, mask, probability, min_pixels)
    torch.testing.assert_close(value, expected)
    gradients = (torch.autograd.grad(total, logits)[0] for total in (value, expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("scope", ["all", "in_space"])
def test_gradcheck_in_double(space, scope):
    logits = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([0, 1, 3, 255, 2], dtype=torch.uint8)[torch.randint(0, 5, (2, 4, 6))]
    loss = ohem_ce(space, scope=scope, min_pixels=5, band_bytes=300)
    assert torch.autograd.gradcheck(lambda values: loss(values, mask, torch.tensor([0, 1])), (logits,))


def test_pixels_are_chosen_by_the_perturbed_logits(space):
    loss, plain = ohem_ce(space, min_pixels=20, band_bytes=64), ce(space, band_bytes=64)
    counter = ClassCounter(
        torch.tensor([90.0, 5, 4, 1], dtype=torch.float64), torch.ones(4, dtype=torch.bool), "static"
    )
    variations = [LogitVariation(counter, "uniform", "paper", 1, 10) for _ in range(2)]
    loss.variation, plain.variation = variations
    logits, mask = torch.randn(2, 4, 5, 7), torch.randint(0, 4, (2, 5, 7)).to(torch.uint8)
    values = []
    for pixel in range(mask.numel()):  # the plain loss of every pixel alone, under the same noise
        torch.manual_seed(3)
        alone = torch.full_like(mask, 255).flatten()
        alone[pixel] = mask.flatten()[pixel]
        values.append(plain(logits, alone.view_as(mask), torch.tensor([0, 1])).item())
    values = torch.tensor(values)
    threshold = min(-math.log(0.7), values.sort(descending=True).values[19].item())
    torch.manual_seed(3)
    value = loss(logits, mask, torch.tensor([0, 1])).item()
    assert value == pytest.approx(values[values >= threshold - 1e-6].mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 0}, "probability: expected one above 0 and at most 1, got 0"),
        ({"probability": 70}, "got 70"),
        ({"min_pixels": -1}, "min_pixels: expected a whole number of at least 0, got -1"),
        ({"min_pixels": 0.5}, "got 0.5"),
        ({"scope": "local"}, "loss ohem_ce: scope: expected 'all' or 'in_space', got 'local'"),
    ],
)
def test_options_that_cannot_be_are_named(space, options, message):
    with pytest.raises(ValueError, match=message):
        ohem_ce(space, **options)
