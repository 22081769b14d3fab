from collections import Counter
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.data.rare_class import RareClass, Wanted, class_draw, class_images, class_probs
from mdseg.data.streams import Stream, StreamSampler

DAFORMER = RareClass(temperature=0.01, in_image=0.0114, in_crop=0.0057, attempts=10)
CROP = 100  # pixels
PIXELS = np.array([[90, 0, 0], [80, 5, 0], [70, 1, 4], [60, 3, 0]])  # images, classes


def stream(pixels=PIXELS, options=DAFORMER, batch_size=4, resized=None):
    resized = np.ones(len(pixels)) if resized is None else resized
    draw = class_draw(pixels, resized, CROP, options)
    return Stream("labelled", "labelled", ("a",), (len(pixels),), batch_size, "rare_class", options, draw)


def test_probabilities_fall_with_the_share_of_labelled_pixels():
    # f = 0.9, 0.1; T = 0.5: exp(0.2), exp(1.8)
    assert class_probs(np.array([90, 10]), 0.5) == pytest.approx([1 / (1 + exp(1.6)), 1 / (1 + exp(-1.6))])


def test_low_temperatures_do_not_overflow():
    assert class_probs(np.array([90, 9, 1]), 1e-6).tolist() == [0, 0, 1]


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=19), st.floats(1e-3, 10))
@settings(deadline=None)
def test_rarer_classes_are_at_least_as_probable(counts, temperature):
    probs = class_probs(np.array(counts), temperature)
    assert probs.sum() == pytest.approx(1)
    assert (np.diff(probs[np.argsort(counts)]) <= 1e-12).all()


def test_classes_are_drawn_as_often_as_they_are_probable():
    options = RareClass(0.5, 0.01, 0, 0)
    described = stream(options=options, batch_size=8)
    drawn = Counter(described.rare_class_at(3, step, slot) for step in range(1000) for slot in range(8))
    probs = class_probs(PIXELS.sum(axis=0), 0.5)
    assert [drawn[train_id] / 8000 for train_id in range(3)] == pytest.approx(probs.tolist(), abs=0.02)


def test_images_of_a_class_are_drawn_alike():
    described = stream(options=RareClass(10, 0.01, 0, 0), batch_size=8)
    drawn = Counter(
        described.indices(0, step)[slot]
        for step in range(600)
        for slot in range(8)
        if described.rare_class_at(0, step, slot) == 1
    )
    assert set(drawn) == {1, 2, 3}
    assert min(drawn.values()) > 0.85 * max(drawn.values())


@given(st.integers(0, 2**31), st.integers(0, 50))
@settings(deadline=None)
def test_every_image_drawn_shows_enough_of_its_class(seed, step):
    described = stream()
    for slot, index in enumerate(described.indices(seed, step)):
        train_id = described.rare_class_at(seed, step, slot)
        assert PIXELS[index, train_id] >= DAFORMER.in_image * CROP or index == PIXELS[:, train_id].argmax()


def test_a_class_without_a_pixel_is_never_drawn():
    described = stream(np.pad(PIXELS, ((0, 0), (0, 2))))
    assert all(described.rare_class_at(0, step, 0) < 3 for step in range(50))


def test_a_class_that_no_image_has_enough_of_takes_the_image_with_most():
    assert class_images(np.array([3.0, 9.0, 4.0]), 10).tolist() == [1]


def test_a_threshold_of_zero_asks_for_a_single_pixel():
    assert class_images(np.array([3.0, 0.0, 1.0]), 0).tolist() == [0, 2]


def test_pixels_are_counted_at_the_size_that_training_resizes_to():
    options = RareClass(0.01, 0.04, 0, 0)  # 4 pixels of the crop
    small, large = (class_draw(PIXELS, np.full(4, resized), CROP, options).images[1] for resized in (0.9, 4.0))
    assert small.tolist() == [1]
    assert large.tolist() == [1, 2, 3]


def test_images_without_a_labelled_pixel_are_refused():
    with pytest.raises(ValueError, match="every pixel of every image is ignored"):
        class_draw(np.zeros((2, 3), np.int64), np.ones(2), CROP, DAFORMER)


@given(st.integers(0, 2**31), st.integers(0, 20), st.integers(1, 4))
@settings(deadline=None)
def test_draws_do_not_depend_on_ranks_or_on_where_training_began(seed, start, world):
    described = stream()
    whole = list(StreamSampler([described], seed, steps=20))
    assert list(StreamSampler([described], seed, 20, start)) == whole[start:]
    parts = [list(StreamSampler([described], seed, 20, rank=rank, world_size=world)) for rank in range(world)]
    assert [sorted(key for part in parts for key in part[step]) for step in range(20)] == [
        sorted(keys) for keys in whole
    ]


def test_a_share_counts_ignored_pixels_as_pixels():
    mask = np.array([[1, 255], [0, 0]], np.uint8)
    assert Wanted(1, 0.25, 1).is_in(mask)
    assert not Wanted(1, 0.26, 1).is_in(mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature"),
        ({"in_image": 3000}, "in_image: expected a share.*3000"),
        ({"in_crop": -0.1}, "in_crop"),
        ({"attempts": -1}, "attempts"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RareClass(**{"temperature": 0.01, "in_image": 0.01, "in_crop": 0.01, "attempts": 10, **options})


def test_rare_classes_need_labels_and_options():
    with pytest.raises(ValueError, match="needs labels, but the role is target"):
        Stream("t", "target", ("a",), (4,), 2, "rare_class", DAFORMER)
    with pytest.raises(ValueError, match=r"streams\.l\.rare_class \(temperature, in_image, in_crop, attempts\)"):
        Stream("l", "labelled", ("a",), (4,), 2, "rare_class")
