"""Banded upsampling: the same rows as F.interpolate."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mdseg.pixels.upsample import bilinear, upsample_rows

torch.set_num_threads(1)
length = st.integers(1, 40)


def in_bands(logits, size, align_corners, height):
    bands = [
        upsample_rows(logits, size, start, min(start + height, size[0]), align_corners)
        for start in range(0, size[0], height)
    ]
    return torch.cat(bands, dim=-2)


@settings(deadline=None, max_examples=60)
@given(length, length, length, length, st.booleans(), st.integers(1, 45))
def test_bands_are_the_rows_of_interpolate_for_any_ratio(h, w, height, width, align_corners, rows):
    logits = torch.randn(2, 3, h, w)
    expected = interpolate(logits, size=(height, width), mode="bilinear", align_corners=align_corners)
    # F.interpolate rounds the positions in small images differently from those in large ones: by 4e-6 at position 40.
    torch.testing.assert_close(in_bands(logits, (height, width), align_corners, rows), expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("source", "size"), [((128, 128), (512, 512)), ((179, 179), (713, 713)), ((64, 300), (33, 1501))]
)
def test_large_sizes_use_the_positions_of_interpolate(source, size, align_corners):
    logits = torch.randn(1, 2, *source)
    expected = interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(in_bands(logits, size, align_corners, 29), expected, rtol=0, atol=2e-6)


def test_a_band_does_not_depend_on_its_height():
    logits = torch.randn(3, 17, 23)
    assert torch.equal(in_bands(logits, (50, 90), True, 50)[:, 20:30], upsample_rows(logits, (50, 90), 20, 30, True))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_the_gradient_is_exact(h, w, height, width, align_corners):
    logits = torch.randn(2, h, w, dtype=torch.float64, requires_grad=True)
    start = height // 3
    assert torch.autograd.gradcheck(
        lambda source: upsample_rows(source, (height, width), start, height, align_corners), (logits,)
    )


@settings(deadline=None, max_examples=30)
@given(length, length, st.booleans(), st.data())
def test_source_rows_are_those_a_band_depends_on(h, height, align_corners, data):
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    logits = torch.randn(1, h, 3)
    source, _ = bilinear((h, 3), (height, 3), align_corners, logits.dtype, logits.device).band(start, stop)
    changed = torch.full_like(logits, torch.nan)
    changed[:, source] = logits[:, source]
    band = upsample_rows(logits, (height, 3), start, stop, align_corners)
    assert torch.equal(upsample_rows(changed, (height, 3), start, stop, align_corners), band)


def test_half_precision_is_blended_in_float32():
    logits = torch.randn(2, 8, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = upsample_rows(logits, (32, 32), 0, 32, True)
    torch.testing.assert_close(rows, upsample_rows(logits.float(), (32, 32), 0, 32, True))
    assert rows.dtype == torch.float32


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_matmul_precision_does_not_reach_the_logits(precision):
    logits = torch.randn(4, 40, 60)
    expected = upsample_rows(logits, (160, 240), 0, 160, False)
    configured = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert torch.equal(upsample_rows(logits, (160, 240), 0, 160, False), expected)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(configured)


def test_rows_outside_the_output_are_refused():
    with pytest.raises(ValueError, match=r"rows 3\.\.9 are not inside an output of 8 rows"):
        upsample_rows(torch.zeros(1, 4, 4), (8, 8), 3, 9, True)
    with pytest.raises(ValueError, match="cannot resize"):
        bilinear((4, 4), (0, 8), True, torch.float32, torch.device("cpu"))
