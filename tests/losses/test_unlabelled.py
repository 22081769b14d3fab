"""What the losses of unlabelled predictions share: upsampling, valid pixels, batches, precision, class order."""

from functools import partial

import jaxtyping
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.nn.functional import interpolate

from mdseg import conf_dir
from mdseg.losses.maximum_squares import max_square, max_square_iw
from mdseg.losses.minent import entropy

LOSSES = {
    "entropy": entropy,
    "official entropy": partial(entropy, normalisation="official"),
    "max_square": max_square,
    "official max_square": partial(max_square, normalisation="official"),
    "iw of channels": max_square_iw,
    "iw of the arg-max": partial(max_square_iw, iw_index="argmax"),
    "official iw": partial(max_square_iw, iw_index="argmax", normalisation="official", alpha=0.5),
}
EACH_LOSS = pytest.mark.parametrize("name", LOSSES)


def defined(name, logits, valid):
    """The losses as the papers write them, image by image on full-resolution logits [n c H W]."""
    num_classes, images = logits.shape[1], []
    for image, counted in zip(logits, valid, strict=True):
        p = image[:, counted].softmax(0)  # [c pixels]
        count = p.shape[1]
        if count == 0:
            images.append(0 * image.sum())
        elif "entropy" in name:
            images.append(-(p * p.log()).sum() / count)
        elif "max_square" in name:
            images.append(-(p**2).sum() / (2 * count))
        else:
            alpha, predicted = 0.5 if "official" in name else 0.2, p.argmax(0)
            sizes = torch.bincount(predicted, minlength=num_classes).clamp(min=1).to(p.dtype)
            weight = 1 / (2 * sizes**alpha * count ** (1 - alpha))
            images.append(-(p**2 * (weight[:, None] if "channels" in name else weight[predicted])).sum())
    mean = torch.stack(images).mean()
    if "official" in name:
        mean = mean / num_classes * (2 if "iw" in name else 1)
    return mean


def upsampled(logits, size, align_corners=True):
    return interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(LOSSES)),
    *[st.integers(1, 12)] * 4,
    st.booleans(),
    st.integers(1, 6000),
    st.none() | st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_value_and_gradient_equal_the_definition(name, h, w, height, width, align_corners, band_bytes, invalid, seed):
    torch.manual_seed(seed)
    logits, size = torch.randn(3, 5, h, w, dtype=torch.float64).mul_(3).requires_grad_(), (height, width)
    valid = None if invalid is None else torch.rand(3, *size) >= invalid
    value = LOSSES[name](logits, size, valid, align_corners=align_corners, band_bytes=band_bytes)
    counted = torch.ones(3, *size, dtype=torch.bool) if valid is None else valid
    expected = defined(name, upsampled(logits, size, align_corners), counted)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(value, logits), gradient(expected, logits), rtol=1e-7, atol=1e-10)


@EACH_LOSS
@pytest.mark.parametrize(("size", "align_corners"), [((128, 256), True), ((37, 50), False)])
def test_single_precision_is_as_good_as_the_definition_in_double(name, size, align_corners):
    torch.manual_seed(0)
    logits = torch.randn(2, 19, 16, 32).mul_(3).requires_grad_()
    double = logits.detach().double().requires_grad_()
    value = LOSSES[name](logits, size, align_corners=align_corners)
    expected = defined(name, upsampled(double, size, align_corners), torch.ones(2, *size, dtype=torch.bool))
    # A pixel may be so near a tie that it counts for the other class: that moves a weight by 1 / N^c.
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)
    slope, expected_slope = gradient(value, logits).double(), gradient(expected, double)
    torch.testing.assert_close(slope, expected_slope, rtol=0, atol=1e-4 * expected_slope.abs().max().item())


@EACH_LOSS
def test_gradcheck_in_double(name):
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 2, 2, dtype=torch.float64).mul_(2).requires_grad_()
    valid = torch.rand(2, 3, 4) > 0.3
    loss = partial(LOSSES[name], size=(3, 4), valid=valid, band_bytes=200)
    assert torch.autograd.gradcheck(loss, (logits,))


@EACH_LOSS
def test_a_classifiers_batch_is_one_image_of_its_pixels(name):
    torch.manual_seed(0)
    logits = torch.randn(30, 5, dtype=torch.float64).mul_(2).requires_grad_()
    valid = torch.rand(30) > 0.2
    maps = logits.t().reshape(1, 5, 30, 1)
    loss = LOSSES[name]
    value, expected = loss(logits, None, valid), loss(maps, (30, 1), valid.view(1, 30, 1))
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient(value, logits), gradient(expected, logits), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(loss(logits), loss(maps), rtol=1e-12, atol=0)


@EACH_LOSS
def test_a_classifier_may_have_more_classes_than_a_mask(name):
    logits = torch.randn(40, 345, dtype=torch.float64)
    expected = defined(name, logits.t()[None, :, :, None], torch.ones(1, 40, 1, dtype=torch.bool))
    torch.testing.assert_close(LOSSES[name](logits), expected, rtol=1e-9, atol=0)


@EACH_LOSS
def test_without_a_size_the_maps_are_not_upsampled(name):
    logits = torch.randn(2, 5, 7, 6)
    torch.testing.assert_close(LOSSES[name](logits), LOSSES[name](logits, (7, 6)), rtol=1e-6, atol=0)


@EACH_LOSS
def test_padding_changes_nothing_and_learns_nothing(name):
    torch.manual_seed(0)
    image = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    padded = torch.randn(2, 5, 9, 10, dtype=torch.float64).mul_(9)
    padded[:, :, :6, :7] = image
    padded.requires_grad_()
    valid = torch.zeros(2, 9, 10, dtype=torch.bool)
    valid[:, :6, :7] = True
    loss = LOSSES[name](padded, None, valid)
    slope = gradient(loss, padded)
    torch.testing.assert_close(loss, LOSSES[name](image), rtol=1e-12, atol=0)
    assert (slope[:, :, :6, :7] != 0).any()
    assert (slope[:, :, 6:] == 0).all()
    assert (slope[:, :, :, 7:] == 0).all()


@EACH_LOSS
def test_all_padding_is_zero_with_zero_gradients(name):
    logits = torch.randn(2, 5, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, (8, 8), torch.zeros(2, 8, 8, dtype=torch.bool))
    assert loss == 0
    assert (gradient(loss, logits) == 0).all()


@EACH_LOSS
def test_images_weigh_the_same_whatever_their_valid_pixels(name):
    torch.manual_seed(0)
    logits, valid = torch.randn(2, 5, 4, 4), torch.ones(2, 8, 8, dtype=torch.bool)
    valid[1, 1:] = False
    loss = LOSSES[name]
    images = [loss(logits[i : i + 1], (8, 8), valid[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(loss(logits, (8, 8), valid), sum(images) / 2)


@EACH_LOSS
def test_the_order_of_the_classes_does_not_matter(name):
    torch.manual_seed(0)
    logits, order = torch.randn(2, 6, 5, 5, dtype=torch.float64), torch.tensor([4, 2, 0, 5, 3, 1])
    loss = partial(LOSSES[name], size=(11, 12))
    torch.testing.assert_close(loss(logits[:, order]), loss(logits), rtol=1e-12, atol=0)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(LOSSES)), st.integers(2, 9), st.floats(0.01, 30), st.integers(0, 10**6))
def test_at_every_source_pixel_the_gradient_sums_to_zero(name, num_classes, scale, seed):
    torch.manual_seed(seed)
    logits = torch.randn(2, num_classes, 4, 3, dtype=torch.float64).mul_(scale).requires_grad_()
    slope = gradient(LOSSES[name](logits, (7, 8)), logits)
    torch.testing.assert_close(slope.sum(1), torch.zeros(2, 4, 3, dtype=torch.float64), rtol=0, atol=1e-15)


@EACH_LOSS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_evaluated_in_single(name, dtype):
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 6, 6).to(dtype).requires_grad_()
    single = logits.detach().float().requires_grad_()
    value, expected = (LOSSES[name](each, (13, 11)) for each in (logits, single))
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.equal(gradient(value, logits), gradient(expected, single).to(dtype))


@EACH_LOSS
def test_autocast_changes_nothing(name):
    logits = torch.randn(2, 5, 6, 6, requires_grad=True)
    expected = LOSSES[name](logits, (13, 11))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = LOSSES[name](logits, (13, 11))
    assert torch.equal(value, expected)
    assert torch.equal(gradient(value, logits), gradient(expected, logits))


@EACH_LOSS
def test_extreme_logits_stay_finite(name):
    logits = torch.randn(1, 4, 5, 5).mul_(1e4).requires_grad_()
    loss = LOSSES[name](logits, (9, 9))
    assert loss.isfinite()
    assert gradient(loss, logits).isfinite().all()


@EACH_LOSS
def test_the_logits_are_left_as_they_are(name):
    logits = torch.randn(2, 5, 6, 6, requires_grad=True)
    before = logits.detach().clone()
    LOSSES[name](logits).backward()
    assert torch.equal(logits, before)


@EACH_LOSS
def test_without_gradients_the_value_is_the_same(name):
    logits = torch.randn(2, 5, 6, 6, requires_grad=True)
    with torch.no_grad():
        value = LOSSES[name](logits, (9, 9))
    torch.testing.assert_close(value, LOSSES[name](logits, (9, 9)).detach())


@pytest.mark.parametrize("name", ["entropy", "max_square", "max_square_iw"])
def test_what_does_not_fit_is_named(name, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users, who run without the type checks
    loss = {"entropy": entropy, "max_square": max_square, "max_square_iw": max_square_iw}[name]
    logits = torch.randn(2, 5, 4, 4)
    known = "'paper' or 'official'" + (" or 'log'" if name == "entropy" else "")
    with pytest.raises(ValueError, match=f"{name}: normalisation: expected {known}, got 'slides'"):
        loss(logits, normalisation="slides")
    with pytest.raises(ValueError, match=r"valid: expected \(2, 8, 9\), got \(2, 4, 4\)"):
        loss(logits, (8, 9), torch.ones(2, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="of a classifier are not upsampled"):
        loss(logits[:, :, 0, 0], (8, 8))


@pytest.mark.parametrize("name", ["entropy", "max_square", "max_square_iw"])
def test_the_shipped_configurations_are_the_authors_losses(name):
    cfg = OmegaConf.create({"align_corners": False, "loss": OmegaConf.load(conf_dir() / f"loss/target/{name}.yaml")})
    logits = torch.randn(2, 5, 4, 4)
    loss = {"entropy": entropy, "max_square": max_square, "max_square_iw": partial(max_square_iw, iw_index="argmax")}
    expected = loss[name](logits, (8, 9), normalisation="official", align_corners=False)
    assert torch.equal(instantiate(cfg.loss)(logits, (8, 9)), expected)
