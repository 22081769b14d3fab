"""Self-produced guidance: pixels worked by hand, and the definition on full-resolution predictions of both heads."""

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.nn.functional import cross_entropy, interpolate

from mdseg import conf_dir
from mdseg.losses.guidance import guidance_labels, self_produced_guidance

HIGH = ((0.97, 0.02, 0.01), (0.60, 0.30, 0.10), (0.40, 0.58, 0.02), (0.2, 0.7, 0.1))
LOW = ((0.5, 0.4, 0.1), (0.01, 0.96, 0.03), (0.3, 0.6, 0.1), (0.1, 0.8, 0.1))


def pixels(rows):
    """Logits [1 c 2 W] whose softmax are the rows."""
    return torch.tensor(rows).log().t().reshape(1, 3, 2, -1).requires_grad_()


def heads(n=2, k=4, high=(5, 6), low=(3, 4), scale=3.0, dtype=torch.float64):
    return tuple((scale * torch.randn(n, k, *size, dtype=dtype)).requires_grad_() for size in (high, low))


def defined(high, low, size, threshold, align_corners):
    """Labels and loss by their definition, on upsampled logits."""
    options = {"size": size, "mode": "bilinear", "align_corners": align_corners}
    p1, p2 = (interpolate(logits, **options).softmax(1) for logits in (high, low))
    selected = (p1.amax(1) > threshold) | (p2.amax(1) > threshold)
    labels = ((p1 + p2) / 2).argmax(1).where(selected, 255)
    losses = cross_entropy(interpolate(low, **options), labels, ignore_index=255, reduction="sum")
    return labels.to(torch.uint8), losses / max(1, int(selected.sum()))


def test_four_pixels_worked_by_hand():
    # The second pixel is selected by the low head alone; the mean's largest probability is 0.63.
    high, low = pixels(HIGH), pixels(LOW)
    assert guidance_labels(high, low, (2, 2)).flatten().tolist() == [0, 1, 255, 255]
    assert self_produced_guidance(high, low, (2, 2)).item() == pytest.approx(0.366985, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(*[st.integers(1, 9)] * 6, st.booleans(), st.integers(1, 6000), st.floats(0.3, 0.99), st.integers(0, 10**6))
def test_labels_value_and_gradient_equal_the_definition(
    h, w, h2, w2, height, width, align_corners, band_bytes, threshold, seed
):
    torch.manual_seed(seed)
    high, low = heads(high=(h, w), low=(h2, w2))
    size, options = (height, width), {"align_corners": align_corners, "band_bytes": band_bytes}
    labels, expected = defined(high, low, size, threshold, align_corners)
    assert torch.equal(guidance_labels(high, low, size, threshold, **options), labels)
    loss = self_produced_guidance(high, low, size, threshold=threshold, **options)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    slope, expected_slope = (torch.autograd.grad(value, low)[0] for value in (loss, expected))
    torch.testing.assert_close(slope, expected_slope, rtol=1e-8, atol=1e-12)


def test_only_the_low_head_learns():
    high, low = heads()
    self_produced_guidance(high, low, (10, 12)).backward()
    assert high.grad is None
    assert (low.grad != 0).any()


def test_if_no_pixel_is_selected_the_loss_is_zero_with_zero_gradients():
    high, low = heads(scale=0.1)
    assert (guidance_labels(high, low, (10, 12)) == 255).all()
    loss = self_produced_guidance(high, low, (10, 12))
    loss.backward()
    assert loss == 0
    assert (low.grad == 0).all()


def test_an_image_without_selected_pixels_does_not_weaken_the_others():
    torch.manual_seed(0)
    (high, low), (unsure, unsure_low) = heads(n=1, scale=9.0), heads(n=1, scale=0.1)
    both = self_produced_guidance(torch.cat([high, unsure]), torch.cat([low, unsure_low]), (10, 12))
    torch.testing.assert_close(both, self_produced_guidance(high, low, (10, 12)))


def test_a_higher_threshold_selects_fewer_pixels_with_the_same_labels():
    torch.manual_seed(0)
    high, low = heads(scale=6.0)
    labels, fewer = (guidance_labels(high, low, (20, 20), threshold) for threshold in (0.8, 0.98))
    selected = fewer != 255
    assert 0 < selected.sum() < (labels != 255).sum()
    assert torch.equal(fewer[selected], labels[selected])


def test_a_probability_equal_to_the_threshold_does_not_exceed_it():
    logits = torch.zeros(1, 2, 1, 1)  # both classes have probability 0.5
    assert guidance_labels(logits, logits, (2, 2), threshold=0.5).unique().tolist() == [255]
    assert guidance_labels(logits, logits, (2, 2), threshold=0.49).unique().tolist() == [0]


def test_gradcheck_in_double():
    torch.manual_seed(0)
    high, low = heads(n=1, high=(2, 3), low=(2, 2), scale=4.0)

    def loss(logits):
        return self_produced_guidance(high, logits, (5, 4), threshold=0.9, band_bytes=300)

    assert loss(low) > 0
    assert torch.autograd.gradcheck(loss, (low,))


@pytest.mark.parametrize("threshold", [95, -0.1])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ValueError, match=r"loss\.guidance\.threshold: expected a number in \[0, 1\]"):
        self_produced_guidance(*heads(), (5, 4), threshold=threshold)


def test_half_precision_logits_are_evaluated_in_single():
    torch.manual_seed(0)
    high, low = (logits.detach().bfloat16() for logits in heads(scale=6.0))
    labels = guidance_labels(high, low, (13, 11))
    assert torch.equal(labels, guidance_labels(high.float(), low.float(), (13, 11)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(guidance_labels(high, low, (13, 11)), labels)
        value = self_produced_guidance(high, low, (13, 11))
    assert torch.equal(value, self_produced_guidance(high.float(), low.float(), (13, 11)))


def test_the_configuration_builds_the_loss():
    node = OmegaConf.load(conf_dir() / "loss/guidance/self_produced.yaml")
    loss = instantiate(OmegaConf.create({"align_corners": False, "loss": node}).loss)
    high, low = heads(scale=6.0)
    expected = self_produced_guidance(high, low, (10, 12), threshold=0.95, align_corners=False)
    assert torch.equal(loss(high, low, (10, 12)), expected)
