import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.methods.mixing import Mixed, StrongAugmentation, class_mask, color_jitter, kernel_size, mix


def mask_of(*classes):
    """One image, two columns of each class."""
    return torch.tensor(classes, dtype=torch.uint8).repeat_interleave(2).expand(1, 4, -1).contiguous()


def pasted_classes(mask, pasted):
    return set(mask[pasted].tolist())


@pytest.mark.parametrize(("classes", "drawn"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (11, 6)])
def test_half_of_an_image_s_classes_are_pasted_rounded_up(classes, drawn):
    mask = mask_of(*range(classes))
    assert len(pasted_classes(mask, class_mask(mask))) == drawn


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_regions_of_drawn_classes_are_pasted_whole_and_nothing_else(seed, mix_ignore):
    torch.manual_seed(seed)
    mask = torch.randint(0, 7, (3, 6, 5), dtype=torch.uint8)
    mask[torch.rand(mask.shape) < 0.2] = 255
    pasted = class_mask(mask, mix_ignore)
    for image, region in zip(mask, pasted, strict=True):
        drawn = set(image[region].tolist())
        listed = set(image.unique().tolist()) - (set() if mix_ignore else {255})
        assert drawn <= listed
        assert len(drawn) == (len(listed) + 1) // 2
        assert torch.equal(region, torch.isin(image, torch.tensor(sorted(drawn), dtype=torch.uint8)))


def test_every_class_is_drawn_as_often_as_the_others():
    torch.manual_seed(0)
    mask = mask_of(0, 3, 7, 18).expand(4000, 4, 8).contiguous()
    shares = torch.stack(
        [(class_mask(mask) & (mask == label)).any(dim=(1, 2)).float().mean() for label in (0, 3, 7, 18)]
    )
    assert torch.allclose(shares, torch.full((4,), 0.5), atol=0.03)


def test_classes_are_drawn_for_every_image_by_itself():
    torch.manual_seed(0)
    mask = mask_of(0, 1, 2, 3).expand(50, 4, 8).contiguous()
    assert len({tuple(region[0].tolist()) for region in class_mask(mask)}) == 6, "all pairs of four classes"


def test_one_seed_gives_one_draw():
    mask = mask_of(*range(9))
    torch.manual_seed(4)
    first = class_mask(mask)
    torch.manual_seed(4)
    assert torch.equal(first, class_mask(mask))


def test_an_image_of_one_class_is_pasted_whole_and_one_without_labels_not_at_all():
    assert class_mask(mask_of(5)).all()
    assert not class_mask(mask_of(255)).any()
    assert class_mask(mask_of(255), mix_ignore=True).all()


def test_ignored_pixels_are_pasted_only_as_a_class_of_their_own():
    mask = mask_of(0, 1, 2, 255)
    assert not any((class_mask(mask) & (mask == 255)).any() for _ in range(20))
    assert any((class_mask(mask, mix_ignore=True) & (mask == 255)).any() for _ in range(20))


def test_image_label_and_weight_come_from_the_same_side_everywhere():
    torch.manual_seed(0)
    upper = Mixed(torch.rand(2, 3, 4, 6), torch.randint(0, 9, (2, 4, 6), dtype=torch.uint8), torch.ones(2, 4, 6))
    lower = Mixed(torch.rand(2, 3, 4, 6), torch.randint(9, 19, (2, 4, 6), dtype=torch.uint8), torch.rand(2, 4, 6))
    pasted = class_mask(upper.mask)
    for mixed, above, below in zip(mix(pasted, upper, lower), upper, lower, strict=True):
        side = pasted[:, None].expand_as(mixed) if mixed.dim() == 4 else pasted
        assert torch.equal(mixed[side], above[side])
        assert torch.equal(mixed[~side], below[~side])


def always(**options):
    values = {"jitter_probability": 1.0, "jitter_strength": 0.2, "blur_probability": 1.0, "blur_sigma": [0.15, 1.15]}
    return StrongAugmentation(**(values | options))


def test_pixels_stay_between_0_and_255():
    image = torch.randint(0, 256, (4, 3, 40, 60), dtype=torch.uint8)
    changed = always(jitter_strength=0.5)(image)
    assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert changed.max() > 100, "not in [0, 1]"


def test_strengths_differ_from_image_to_image():
    image = torch.randint(0, 256, (1, 3, 40, 60), dtype=torch.uint8).expand(3, 3, 40, 60)
    first, second, third = always()(image)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_whether_is_drawn_for_the_whole_batch_with_the_given_probabilities():
    torch.manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8).float()
    augment = always(jitter_probability=0.8, blur_probability=0.0)
    changed = torch.stack([(augment(image) != image).flatten(1).any(dim=1) for _ in range(200)])
    assert (changed[:, 0] == changed[:, 1]).all()
    assert abs(changed.float().mean() - 0.8) < 0.09


def test_without_jitter_and_blur_images_stay_as_they_are():
    image = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8)
    assert torch.equal(always(jitter_probability=0.0, blur_probability=0.0)(image), image)


def test_one_seed_gives_one_augmentation_of_bytes_and_of_floats():
    image = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8)
    torch.manual_seed(3)
    first = always()(image)
    torch.manual_seed(3)
    assert torch.equal(first, always()(image.float()))


def test_a_jitter_of_strength_0_changes_nothing():
    image = torch.rand(3, 8, 8)
    assert torch.allclose(color_jitter(image, 0.0), image, atol=1e-6)


def test_blur_keeps_what_is_even_and_smooths_what_is_not():
    blur = always(jitter_probability=0.0, blur_sigma=[1.0, 1.0])
    assert torch.allclose(blur(torch.full((1, 3, 40, 60), 90.0)), torch.tensor(90.0), atol=1e-3)
    noise = torch.rand(1, 3, 40, 60) * 255
    assert blur(noise).std() < 0.6 * noise.std()


def test_kernels_are_odd_and_a_tenth_of_a_side_or_what_the_deviation_needs():
    assert [kernel_size(side, 1.15) for side in (1, 10, 40, 80, 90, 512, 1024)] == [1, 1, 3, 7, 9, 11, 11]
    assert kernel_size(512, 0.15) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jitter_probability": 1.2}, r"augment\.jitter_probability: expected a number in \[0, 1\], got 1\.2"),
        ({"jitter_strength": 0.6}, r"augment\.jitter_strength: expected a number in \[0, 0\.5\]"),
        ({"blur_sigma": [1.0, 0.5]}, r"augment\.blur_sigma: expected two rising"),
        ({"blur_sigma": [0, 0.5]}, r"augment\.blur_sigma: expected two rising"),
    ],
)
def test_impossible_augmentations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        always(**options)
