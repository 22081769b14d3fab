import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.pixels.windows import CONTEXT, extent_within, windows

SIDES = st.integers(1, 300)


@settings(deadline=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_every_pixel_is_answered_for_once_by_a_window_that_sees_it(size, extent):
    answered = np.zeros(size, int)
    for window in windows(size, extent):
        seen = np.zeros(size, int)
        seen[window.seen] = 1
        assert seen.sum() == min(size[0], extent[0]) * min(size[1], extent[1])
        inside = np.zeros_like(seen[window.seen])
        inside[window.inside] = 1
        answered[window.seen] += inside
        assert answered[window.core].min() == 1
    assert (answered == 1).all()


@settings(deadline=None)
@given(SIDES, st.integers(CONTEXT, 300))
def test_around_what_a_window_answers_for_it_sees_an_eighth_of_its_side(length, extent):
    for window in windows((length, 1), (extent, 1)):
        (seen, _), (core, _) = window.seen, window.core
        context = min(extent, length) // CONTEXT - 1  # windows lie at whole pixels
        assert core.start - seen.start >= context or seen.start == 0
        assert seen.stop - core.stop >= context or seen.stop == length


@pytest.mark.parametrize(
    ("size", "extent"),
    [
        ((100, 100), (32, 32)),
        ((10, 1000), (10, 102)),
        ((1000, 10), (102, 10)),
        ((20, 30), (20, 30)),
        ((1, 5000), (1, 1024)),
    ],
)
def test_windows_are_square_or_as_wide_as_a_narrow_image_lets_them(size, extent):
    assert extent_within(size, 1024) == extent
