"""Restricted arg-max in bands."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mdseg.pixels import argmax
from mdseg.pixels.argmax import first_argmax, restricted_argmax

torch.set_num_threads(1)


def predict(logits, size, align_corners, band_bytes=1 << 14):
    channels = torch.arange(logits.shape[1])
    return restricted_argmax(logits, size, channels, channels, align_corners, band_bytes)


def upsampled(logits, size, align_corners):
    return interpolate(logits.double(), size=size, mode="bilinear", align_corners=align_corners)


def assert_is_argmax(prediction, reference):
    """Equal to the reference's arg-max, or to a channel that float32 cannot tell from it."""
    chosen = reference.gather(1, prediction.long()[:, None])[:, 0]
    torch.testing.assert_close(chosen, reference.amax(1), rtol=0, atol=1e-5)
    assert (prediction == reference.argmax(1)).float().mean() > 0.999


def smooth_logits(channels, h, w, seed):
    """Like a trained network's: regions with one clear winner, blurred borders."""
    torch.manual_seed(seed)
    labels = interpolate(torch.randn(1, channels, 3, 4), size=(h, w), mode="bicubic").argmax(1)
    one_hot = torch.nn.functional.one_hot(labels, channels).permute(0, 3, 1, 2).float()
    return 8 * torch.nn.functional.avg_pool2d(one_hot, 3, 1, 1) + 0.3 * torch.randn(1, channels, h, w)


def test_only_the_evaluated_channels_compete():
    logits = torch.tensor([5.0, 1.0, 3.0]).view(1, 3, 1, 1)
    prediction = restricted_argmax(logits, (2, 2), torch.tensor([1, 2]), torch.tensor([0, 1]), True)
    assert prediction.unique().tolist() == [1]


def test_several_channels_may_count_as_one_class():
    logits = torch.tensor([[0.0, 2.0, 1.0, 3.0]]).view(1, 4, 1, 1)
    classes = torch.tensor([4, 7, 7])
    assert restricted_argmax(logits, (1, 1), torch.tensor([0, 1, 2]), classes, True).item() == 7


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 60), st.integers(1, 60), st.booleans(), st.integers(0, 10**6)
)
def test_random_logits_give_the_argmax_of_the_upsampled_logits(h, w, height, width, align_corners, seed):
    torch.manual_seed(seed)
    logits = torch.randn(2, 6, h, w)
    prediction = predict(logits, (height, width), align_corners)
    assert_is_argmax(prediction, upsampled(logits, (height, width), align_corners))


@settings(deadline=None, max_examples=25)
@given(st.integers(12, 40), st.integers(12, 40), st.floats(0.5, 5), st.booleans(), st.integers(0, 10**6))
def test_smooth_logits_give_the_argmax_of_the_upsampled_logits(h, w, ratio, align_corners, seed):
    logits, size = smooth_logits(7, h, w, seed), (int(h * ratio), int(w * ratio))
    assert_is_argmax(predict(logits, size, align_corners), upsampled(logits, size, align_corners))


def test_the_shortcut_is_taken_on_smooth_logits_and_changes_nothing(monkeypatch):
    logits = smooth_logits(7, 40, 60, seed=0)
    shortcut = predict(logits, (160, 240), False)
    monkeypatch.setattr(argmax, "MAX_UNDECIDED", -1)
    assert torch.equal(predict(logits, (160, 240), False), shortcut)
    winner = first_argmax(logits[0])
    assert argmax.decided(winner, logits[0]).float().mean() > 0.5


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 4, 8]), st.integers(1, 3), st.integers(0, 10**6))
def test_ties_go_to_the_earlier_channel_exactly_as_in_interpolate_and_argmax(h, w, ratio, values, seed):
    # Small integers and power-of-two ratios: interpolation is exact in float32, so ties are ties in any arithmetic.
    torch.manual_seed(seed)
    logits = torch.randint(0, values + 1, (2, 5, h, w)).float()
    size = (h * ratio, w * ratio)
    expected = interpolate(logits, size=size, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(predict(logits, size, False), expected.to(torch.uint8))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 50), st.integers(1, 50), st.booleans(), st.booleans())
def test_of_equal_channels_the_first_wins_at_every_pixel(h, w, height, width, align_corners, smooth):
    logits = smooth_logits(5, h, w, seed=h * w) if smooth else torch.randn(1, 5, h, w)
    prediction = predict(torch.cat([logits, logits, logits], 1), (height, width), align_corners)
    assert prediction.max() < 5


def test_not_a_number_is_counted_and_does_not_crash():
    logits = torch.full((1, 3, 4, 4), torch.nan)
    assert predict(logits, (8, 8), True).max() < 3


def test_bfloat16_logits_are_upsampled_in_float32():
    logits = torch.randn(1, 4, 9, 9).bfloat16()
    assert torch.equal(predict(logits, (30, 30), True), predict(logits.float(), (30, 30), True))


def test_the_band_height_does_not_matter():
    logits = smooth_logits(6, 30, 30, seed=3)
    assert torch.equal(predict(logits, (100, 77), True, band_bytes=1), predict(logits, (100, 77), True, 1 << 30))


def test_a_large_photograph_with_small_logits_is_predicted_in_bands(monkeypatch):
    pixels = []

    def watched(band, band_bytes, rows_argmax=argmax.rows_argmax):
        pixels.append((band.rows.stop - band.rows.start) * band.interpolation.size[1])
        return rows_argmax(band, band_bytes)

    monkeypatch.setattr(argmax, "rows_argmax", watched)
    torch.manual_seed(0)
    predict(torch.randn(1, 6, 8, 10), (600, 800), True, band_bytes=1 << 18)
    assert sum(pixels) == 600 * 800
    assert max(pixels) <= 1 << 16


def test_more_channels_than_eight_bits_can_number_are_refused():
    with pytest.raises(ValueError, match="300 channels: expected at most 255"):
        predict(torch.randn(1, 300, 2, 2), (4, 4), True)
