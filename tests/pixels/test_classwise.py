"""Sums and samples of upsampled features per class, against the features upsampled in full."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mdseg.pixels.classwise import class_sums, features_at

length = st.integers(1, 23)


def upsampled(features, size, align_corners):
    return interpolate(features[None], size=size, mode="bilinear", align_corners=align_corners)[0]


@settings(deadline=None, max_examples=50)
@given(length, length, length, length, st.booleans(), st.integers(0, 10**6))
def test_sums_are_those_of_upsampled_features_for_any_ratio(h, w, height, width, align_corners, seed):
    torch.manual_seed(seed)
    features, mask = torch.randn(5, h, w, dtype=torch.float64), torch.randint(0, 6, (height, width))
    mask[mask == 4] = 255
    mask[mask == 5] = -1
    sums, counts = class_sums(features, mask, 4, align_corners)
    wide = upsampled(features, (height, width), align_corners)
    for index in range(4):
        torch.testing.assert_close(sums[index], wide[:, mask == index].sum(dim=1))
        assert counts[index] == (mask == index).sum()


@settings(deadline=None, max_examples=50)
@given(length, length, length, length, st.booleans(), st.integers(0, 10**6))
def test_samples_are_the_upsampled_features_at_these_pixels(h, w, height, width, align_corners, seed):
    torch.manual_seed(seed)
    features = torch.randn(5, h, w, dtype=torch.float64)
    pixels = torch.nonzero(torch.rand(height, width) < 0.5)
    wide = upsampled(features, (height, width), align_corners)
    expected = wide[:, pixels[:, 0], pixels[:, 1]].t()
    found = features_at(features, pixels, (height, width), align_corners)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)  # places are rounded in float32


def test_ignored_pixels_belong_to_no_class():
    sums, counts = class_sums(torch.randn(3, 4, 4), torch.full((9, 9), 255), 2, align_corners=False)
    assert counts.tolist() == [0, 0]
    assert torch.equal(sums, torch.zeros(2, 3))


def test_a_constant_map_has_the_constant_as_every_mean():
    mask = torch.randint(0, 3, (13, 7))
    sums, counts = class_sums(torch.full((2, 5, 3), 1.5), mask, 3, align_corners=False)
    torch.testing.assert_close(sums / counts[:, None], torch.full((3, 2), 1.5))


@pytest.mark.parametrize("align_corners", [True, False])
def test_large_masks_are_summed_in_bands(monkeypatch, align_corners):
    features, mask = torch.randn(4, 16, 24, dtype=torch.float64), torch.randint(0, 3, (120, 180))
    expected, counts = class_sums(features, mask, 3, align_corners)
    monkeypatch.setattr("mdseg.pixels.classwise.band_memory", lambda *_: 7 * 3 * 180 * 8)
    sums, counted = class_sums(features, mask, 3, align_corners)
    torch.testing.assert_close(sums, expected)
    assert torch.equal(counted, counts)


def test_half_precision_features_are_summed_in_float32():
    sums, _ = class_sums(torch.full((1, 4, 4), 0.1).bfloat16(), torch.zeros(200, 200, dtype=torch.int64), 1, False)
    assert sums.dtype == torch.float32
    assert sums.item() == pytest.approx(40000 * 0.10009765625, rel=1e-5)
