"""The loop over bands: every row once, equal to the rows of F.interpolate."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mdseg.pixels.bands import PREDICTION_BYTES, band_memory, banded

torch.set_num_threads(1)
length = st.integers(1, 24)


@settings(deadline=None, max_examples=60)
@given(length, length, length, length, st.booleans(), st.integers(0, 4000), st.sampled_from([None, 1, 7]))
def test_bands_cover_every_row_once_and_equal_interpolate(h, w, height, width, align_corners, band_bytes, rows):
    logits = torch.randn(2, 3, h, w)
    upsampled = torch.full((2, 3, height, width), torch.nan)
    visited = torch.zeros(2, height, dtype=torch.int64)
    for band in banded(logits, (height, width), align_corners, band_bytes, height=rows):
        visited[band.image, band.rows] += 1
        upsampled[band.image, :, band.rows] = band.upsample()
    assert (visited == 1).all()
    expected = interpolate(logits, size=(height, width), mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(upsampled, expected, rtol=0, atol=3e-5)


def test_bands_follow_one_another_image_by_image_from_top_to_bottom():
    row_bytes = 3 * 8 * 4
    bands = list(banded(torch.randn(2, 3, 4, 4), (7, 8), True, 3 * row_bytes + 1))
    assert [(band.image, band.rows.start, band.rows.stop) for band in bands] == [
        (image, start, stop) for image in (0, 1) for start, stop in ((0, 3), (3, 6), (6, 7))
    ]


def test_a_band_has_at_least_one_row_and_any_memory_is_enough_for_one():
    assert [band.rows for band in banded(torch.randn(1, 3, 2, 2), (2, 2), True, 0)] == [slice(0, 1), slice(1, 2)]


def test_only_the_chosen_channels_of_each_image_are_upsampled_in_their_order():
    logits = torch.randn(2, 4, 5, 6)
    chosen = [torch.tensor([3, 0]), None]
    first, second = banded(logits, (10, 12), False, 1 << 20, channels=chosen)
    expected = interpolate(logits, size=(10, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(first.upsample(), expected[0, [3, 0]])
    torch.testing.assert_close(second.upsample(), expected[1])
    with pytest.raises(ValueError, match="zip"):
        list(banded(logits, (10, 12), False, 1 << 20, channels=chosen[:1]))


def test_the_number_of_chosen_channels_decides_how_many_rows_fit():
    logits = torch.randn(1, 4, 3, 3)
    (band, *_) = banded(logits, (9, 2), True, 3 * 8, channels=[torch.tensor([1])])
    assert band.rows == slice(0, 3)


def test_the_adjoint_is_that_of_upsampling():
    logits = torch.randn(1, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    for band in banded(logits, (20, 15), True, 4000):
        gradient = torch.randn(3, band.rows.stop - band.rows.start, 15, dtype=torch.float64)
        rows = interpolate(logits, size=(20, 15), mode="bilinear", align_corners=True)[0, :, band.rows]
        (expected,) = torch.autograd.grad(rows, logits, gradient)
        part = torch.zeros_like(expected)
        part[0, :, band.source_rows] = band.adjoint(gradient)
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


def test_no_gradient_passes_and_half_precision_is_upsampled_in_float32():
    logits = torch.randn(1, 3, 4, 4).bfloat16().requires_grad_()
    (band,) = banded(logits, (8, 8), True, 1 << 20)
    (exact,) = banded(logits.float(), (8, 8), True, 1 << 20)
    assert band.upsample().dtype == torch.float32
    assert not band.upsample().requires_grad
    assert torch.equal(band.upsample(), exact.upsample())


def test_the_memory_of_a_band_is_what_was_asked_for_or_that_of_the_device():
    assert band_memory(torch.zeros(1), 5, PREDICTION_BYTES) == 5
    assert band_memory(torch.zeros(1), None, PREDICTION_BYTES) == PREDICTION_BYTES.cpu
    assert band_memory(torch.zeros(1, device="meta"), None, PREDICTION_BYTES) == PREDICTION_BYTES.gpu
