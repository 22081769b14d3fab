import albumentations
import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mdseg.data.rare_class import Wanted
from mdseg.data.streams import keyed_generator
from mdseg.data.transforms import RandomCrop, evaluation_size, pad_to_multiple, resize_mask, strict

sides = st.integers(3, 80)


def picture(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), np.uint8), generator.integers(0, 5, (height, width), np.uint8)


@given(sides, sides, sides, sides, st.floats(0.3, 2.5), st.integers(0, 1000))
@settings(deadline=None)
def test_windows_lie_inside_the_image_and_keep_the_crop_shape(height, width, crop_height, crop_width, factor, seed):
    crop = RandomCrop(short_side=40, scale=(factor, factor), crop=(crop_height, crop_width))
    top, left, h, w = crop.window((height, width), np.random.default_rng(seed))
    assert 0 <= top <= height - h
    assert 0 <= left <= width - w
    scale = crop_height / h
    assert abs(crop_width / scale - w) <= 1 + crop_width / crop_height, "same shape up to rounding"


@given(sides, sides, st.integers(0, 100))
@settings(deadline=None)
def test_results_have_the_crop_size_and_only_labels_of_the_mask(height, width, seed):
    image, mask = picture(height, width)
    mask[:] = np.where(mask > 2, 255, mask)
    cropped, labels = RandomCrop(32, (0.5, 2.0), (24, 40))(image, mask, np.random.default_rng(seed))
    assert cropped.shape == (24, 40, 3)
    assert labels.shape == (24, 40)
    assert set(np.unique(labels)) <= set(np.unique(mask))


def test_a_scale_of_one_cuts_without_resampling():
    image, mask = picture(40, 60)
    cropped, labels = RandomCrop(None, (1.0, 1.0), (16, 16))(image, mask, np.random.default_rng(1))
    places = [
        (top, left)
        for top in range(25)
        for left in range(45)
        if (image[top : top + 16, left : left + 16] == cropped).all()
    ]
    ((top, left),) = places
    assert (mask[top : top + 16, left : left + 16] == labels).all()


def test_images_smaller_than_the_crop_are_enlarged_not_padded():
    image = np.full((10, 30, 3), 200, np.uint8)
    mask = np.full((10, 30), 3, np.uint8)
    cropped, labels = RandomCrop(10, (1.0, 1.0), (40, 40))(image, mask, np.random.default_rng(0))
    assert (cropped == 200).all()
    assert (labels == 3).all()


AUGMENT = (
    albumentations.Rotate(limit=(10, 10), border_mode=0, fill_mask=255, p=1.0),
    albumentations.HorizontalFlip(p=0.5),
    albumentations.ColorJitter(p=1.0),
)


def test_the_same_key_gives_the_same_sample_whatever_came_before():
    image, mask = picture(50, 50)
    crop = RandomCrop(50, (0.5, 2.0), (32, 32), AUGMENT)
    first = crop(image, mask, keyed_generator(0, "sample", "labelled", 3, 1))
    crop(image, mask, keyed_generator(0, "sample", "labelled", 3, 2))
    again = RandomCrop(50, (0.5, 2.0), (32, 32), AUGMENT)(image, mask, keyed_generator(0, "sample", "labelled", 3, 1))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()


def test_different_slots_are_augmented_differently():
    image, mask = picture(32, 32)
    crop = RandomCrop(None, (1.0, 1.0), (32, 32), AUGMENT)
    seen = {crop(image, mask, keyed_generator(0, "sample", "labelled", 0, slot))[0].tobytes() for slot in range(8)}
    assert len(seen) == 8


def test_rotated_corners_are_ignored():
    image, mask = np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), np.uint8)
    _, labels = RandomCrop(None, (1.0, 1.0), (64, 64), AUGMENT[:1])(image, mask, np.random.default_rng(0))
    assert set(np.unique(labels)) == {1, 255}


def test_unlabelled_images_have_no_mask():
    image, _ = picture(40, 40)
    cropped, labels = RandomCrop(40, (1.0, 1.0), (32, 32), AUGMENT)(image, None, np.random.default_rng(0))
    assert cropped.shape == (32, 32, 3)
    assert labels is None


def test_transforms_that_fill_the_mask_with_a_class_are_refused():
    with pytest.raises(ValueError, match="Rotate fills the mask with 0.*fill_mask: 255"):
        RandomCrop(None, (1.0, 1.0), (8, 8), [albumentations.Rotate(border_mode=0)])


@pytest.mark.parametrize(
    "arguments",
    [
        {"scale": (2.0, 0.5)},
        {"scale": (0.0, 1.0)},
        {"crop": (0, 8)},
        {"crop": (True, True)},
        {"augment": "flip"},
        {"augment": {"p": 0.5}},
        {"augment": None},
    ],
    ids=["falling", "zero", "empty", "truth values", "a text", "a mapping", "nothing"],
)
def test_impossible_crops_are_refused(arguments):
    with pytest.raises(ValueError, match="transform"):
        RandomCrop(**{"short_side": 8, "scale": (1.0, 1.0), "crop": (8, 8), **arguments})


def test_misspelt_albumentations_arguments_are_errors():
    config = OmegaConf.create({"_target_": "albumentations.HorizontalFlip", "probability": 0.5})
    with pytest.raises(ValueError, match="probability"):
        strict(instantiate, config)


def test_masks_are_resized_without_new_labels_and_without_a_shift():
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert (resize_mask(mask, (8, 8)) == mask.repeat(2, 0).repeat(2, 1)).all()
    assert (resize_mask(mask.repeat(3, 0).repeat(3, 1), (4, 4)) == mask).all()


@pytest.mark.parametrize(
    ("size", "short_side", "multiple", "expected"),
    [
        ((100, 200), None, 1, (100, 200)),
        ((100, 200), 50, 1, (50, 100)),
        ((370, 1226), 128, 32, (128, 416)),
        ((20, 20), None, 32, (32, 32)),
    ],
)
def test_evaluation_sizes(size, short_side, multiple, expected):
    assert evaluation_size(size, short_side, multiple) == expected


def test_padding_reaches_the_multiple_and_is_ignored():
    image, mask = picture(30, 33)
    padded, labels = pad_to_multiple(image, mask, 16)
    assert padded.shape == (32, 48, 3)
    assert (padded[:30, :33] == image).all()
    assert (labels[:30, :33] == mask).all()
    assert (labels[30:] == 255).all()
    assert (labels[:, 33:] == 255).all()


def test_windows_are_drawn_as_they_always_were():
    # Values of the first release: a run must find its old batches again.
    crop = RandomCrop(40, (0.5, 2.0), (24, 40))
    windows = [crop.window((50, 80), np.random.default_rng(seed)) for seed in range(3)]
    assert windows == [(15, 12, 21, 34), (20, 39, 24, 39), (1, 7, 34, 56)]


def halves(share, width=60):
    """Class 0 on the left, class 1 on the right, ignored in between."""
    mask = np.full((20, width), 255, np.uint8)
    mask[:, : int(share * width)], mask[:, -int(share * width) :] = 0, 1
    return np.zeros((20, width, 3), np.uint8), mask


@pytest.mark.parametrize("seed", range(5))
def test_windows_with_a_dominating_class_are_drawn_anew(seed):
    image, mask = halves(0.4)
    _, labels = RandomCrop(None, (1.0, 1.0), (20, 30), max_class_share=0.75)(image, mask, np.random.default_rng(seed))
    counts = np.bincount(labels.ravel(), minlength=256)[:2]
    assert counts.min() > 0
    assert counts.max() < 0.75 * counts.sum()


def test_a_window_that_suits_is_the_one_drawn_without_the_option():
    image, mask = picture(40, 60)  # five classes everywhere
    plain, limited = (
        RandomCrop(30, (0.5, 2.0), (24, 40), max_class_share=share)(image, mask, np.random.default_rng(7))
        for share in (None, 0.75)
    )
    assert all((first == second).all() for first, second in zip(plain, limited, strict=True))


def test_redrawn_windows_keep_their_scale_and_end_after_ten():
    image, mask = np.zeros((50, 80, 3), np.uint8), np.zeros((50, 80), np.uint8)
    generator, again = np.random.default_rng(0), np.random.default_rng(0)
    RandomCrop(40, (0.5, 2.0), (24, 40), max_class_share=0.75)(image, mask, generator)
    _, _, height, width = RandomCrop(40, (0.5, 2.0), (24, 40)).window((50, 80), again)
    for _ in range(10):
        again.integers(50 - height + 1)
        again.integers(80 - width + 1)
    assert generator.integers(2**31) == again.integers(2**31)


def test_images_without_masks_take_any_window():
    image, _ = picture(40, 60)
    plain, limited = (
        RandomCrop(30, (0.5, 2.0), (24, 40), max_class_share=share)(image, None, np.random.default_rng(7))[0]
        for share in (None, 0.01)
    )
    assert (plain == limited).all()


def test_all_ignored_images_are_cropped_all_the_same():
    image, mask = np.zeros((40, 60, 3), np.uint8), np.full((40, 60), 255, np.uint8)
    crop = RandomCrop(30, (1.0, 1.0), (24, 24), max_class_share=0.75)
    assert (crop(image, mask, np.random.default_rng(0), Wanted(3, 0.1, 10))[1] == 255).all()


@pytest.mark.parametrize("seed", range(5))
def test_windows_are_drawn_until_they_show_the_wanted_class(seed):
    image, mask = picture(40, 120)
    mask[:, :40] = 9
    crop = RandomCrop(None, (1.0, 1.0), (40, 40))
    _, labels = crop(image, mask, np.random.default_rng(seed), Wanted(9, share=0.5, attempts=200))
    assert (labels == 9).mean() >= 0.5


def test_a_class_that_no_window_shows_ends_after_its_attempts():
    image, mask = picture(40, 60)
    crop = RandomCrop(None, (0.5, 2.0), (24, 24))
    generator, again = np.random.default_rng(0), np.random.default_rng(0)
    crop(image, mask, generator, Wanted(9, 0.1, attempts=3))
    for _ in range(4):
        crop.window((40, 60), again)
    assert generator.integers(2**31) == again.integers(2**31)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, 75])
def test_impossible_shares_are_refused(share):
    with pytest.raises(ValueError, match="max_class_share"):
        RandomCrop(8, (1.0, 1.0), (8, 8), max_class_share=share)
