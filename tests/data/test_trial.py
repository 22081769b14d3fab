"""Transforms that spoil labels are refused before anything is trained; valid ones change nothing.

albumentations 2.0.8: what a transform does to masks is its own affair, and by default many paint class 0 into them.
"""

import copy

import albumentations as A
import cv2
import numpy as np
import pytest

from mdseg.data.transforms import RandomCrop

CROP = (24, 40)


def crop_with(*augment, crop=CROP):
    return RandomCrop(None, (1.0, 1.0), crop, augment)


def flipped(image, **_):
    return image[:, ::-1]


def blurred(mask, **_):
    return cv2.blur(mask, (3, 3))


def next_class(mask, **_):
    return mask + 1


class OwnFlip(A.DualTransform):
    """A user's transform that draws from a generator of its own: nobody can repeat what it does."""

    def __init__(self, p=0.5, smooth=False):
        super().__init__(p=p)
        self.smooth, self.own = smooth, np.random.default_rng()

    def get_params(self):
        return {"turned": bool(self.own.integers(2))}

    def apply(self, img, turned=False, **_):
        return img[:, ::-1] if turned else img

    def apply_to_mask(self, mask, turned=False, **_):
        mask = mask[:, ::-1] if turned else mask
        return cv2.blur(mask, (3, 3)) if self.smooth else mask


SPOILING = {
    "a resize that averages the mask": (A.Resize(12, 20, area_for_downscale="image_mask"), "Resize averages"),
    "a scale that does so at some sizes": (
        A.RandomScale((-0.01, 2.0), area_for_downscale="image_mask"),
        "RandomScale averages",
    ),
    "a rotation that blends": (A.Rotate(mask_interpolation=1, fill_mask=255), "Rotate blends.*mask_interpolation: 0"),
    "an affine map that blends": (A.Affine(scale=0.8, mask_interpolation=2, fill_mask=255), "Affine blends"),
    "an elastic one that blends": (A.ElasticTransform(mask_interpolation=1, fill_mask=255), "ElasticTransform blends"),
    "a perspective that paints": (A.Perspective(), "Perspective fills the mask with 0.0, a class; set fill_mask: 255"),
    "a dropout that paints": (A.CoarseDropout(fill_mask=0), "CoarseDropout fills the mask with 0"),
    "a dropout of a grid that paints": (A.GridDropout(fill_mask=3), "GridDropout fills the mask with 3"),
    "a dropout of pixels that paints": (A.PixelDropout(mask_drop_value=0), "PixelDropout paints class 0 .* paint 255"),
    "a dropout of objects": (A.MaskDropout(), "MaskDropout fills the mask with 0"),
    "morphology": (A.Morphological(p=0.01), "Morphological changes labels by the numbers"),
    "a mask blurred by the user": (A.Lambda(mask=blurred), "Lambda makes new classes"),
    "classes renamed by the user": (A.Lambda(mask=next_class), "Lambda"),
    "a composition that blends": (A.Compose([A.Rotate(fill_mask=255)], mask_interpolation=1), "Compose blends"),
    "one deep inside": (
        A.OneOf([A.HorizontalFlip(), A.Sequential([A.SomeOf([A.NoOp(), A.Morphological()], n=1)])], p=0.1),
        "Morphological",
    ),
    "one that is replayed": (A.ReplayCompose([A.HorizontalFlip(), A.Lambda(mask=blurred)]), "Lambda makes new classes"),
    "the other of two": (A.OneOrOther(A.HorizontalFlip(), A.Lambda(mask=blurred), p=1.0), "Lambda makes new classes"),
    "an image that is moved alone": (A.Lambda(image=flipped), "Lambda moves the image"),
    "channels that are moved alone": (
        A.SelectiveChannelTransform([A.VerticalFlip()]),
        "SelectiveChannel.* moves the image",
    ),
    "one that nobody can repeat": (OwnFlip(smooth=True), "OwnFlip makes new classes"),
}


@pytest.mark.parametrize(("transform", "message"), SPOILING.values(), ids=SPOILING)
def test_transforms_that_spoil_labels_are_refused_by_name(transform, message):
    with pytest.raises(ValueError, match=f"transform.augment: .*{message}"):
        crop_with(A.HorizontalFlip(), transform)


OTHERS = {
    "a second normalisation": (A.Normalize(p=0.1), r"Normalize makes float32 of an 8-bit image; leave it out"),
    "floats": (A.ToFloat(), "ToFloat makes float32"),
    "floats that the next one cannot take": (A.Sequential([A.Normalize(), A.Equalize()]), "Normalize makes float32"),
    "a tensor": (A.ToTensorV2(), r"ToTensorV2 makes Tensor .*\(3, 24, 40\)"),
    "one channel": (A.ToGray(num_output_channels=1), r"ToGray makes ndarray uint8 \(24, 40\)"),
    "another size": (A.Resize(10, 10), r"Resize makes an image of \(10, 10\).* crop of \(24, 40\)"),
    "a smaller crop": (A.RandomCrop(8, 8, fill_mask=255, p=0.1), r"RandomCrop makes an image of \(8, 8\)"),
    "a larger picture": (A.PadIfNeeded(64, 64, fill_mask=255), r"PadIfNeeded makes an image of \(64, 64\)"),
    "sides that change places": (A.RandomRotate90(p=0.1), r"RandomRotate90 makes an image of \(40, 24\)"),
    "a crop larger than the crop": (A.CenterCrop(100, 100, fill_mask=255), "CenterCrop fails: CropSizeError"),
    "one that needs other images": (A.Mosaic(), "Mosaic"),
}


@pytest.mark.parametrize("transform", [A.RandomRotate90(p=0.1), A.D4(p=0.1), A.Transpose(p=0.1)])
def test_large_crops_are_tried_at_their_own_size_where_it_matters(transform):
    with pytest.raises(ValueError, match=r"makes an image of \(240, 120\)"):
        crop_with(transform, crop=(120, 240))


@pytest.mark.parametrize(("transform", "message"), OTHERS.values(), ids=OTHERS)
def test_transforms_that_make_something_else_of_a_crop_are_refused_by_name(transform, message):
    with pytest.raises(ValueError, match=f"transform.augment: .*{message}"):
        crop_with(transform)


VALID = {
    "nothing": [],
    "flips": [A.HorizontalFlip(), A.VerticalFlip()],
    "rotations": [A.Rotate(limit=90, fill_mask=255), A.SafeRotate(fill_mask=255), A.ShiftScaleRotate(fill_mask=255)],
    "maps": [
        A.ElasticTransform(fill_mask=255),
        A.GridDistortion(fill_mask=255),
        A.OpticalDistortion(fill_mask=255),
        A.Perspective(fill_mask=255),
        A.RandomGridShuffle(),
    ],
    "dropouts": [A.CoarseDropout(), A.CoarseDropout(fill_mask=255), A.GridDropout(), A.PixelDropout(), A.XYMasking()],
    "colours": [
        A.ColorJitter(),
        A.CLAHE(),
        A.Equalize(),
        A.InvertImg(),
        A.Posterize(),
        A.Solarize(),
        A.ToGray(),
        A.ChannelShuffle(),
        A.ChannelDropout(),
        A.FancyPCA(),
        A.RandomGamma(),
        A.RandomToneCurve(),
    ],
    "blur and noise": [
        A.MedianBlur(),
        A.MotionBlur(),
        A.GaussNoise(),
        A.ISONoise(),
        A.ShotNoise(),
        A.ImageCompression(),
    ],
    "weather": [A.RandomFog(), A.RandomRain(), A.RandomShadow(), A.RandomSnow(), A.RandomSunFlare()],
    "a size that comes back": [
        A.RandomScale((-0.5, 0.5)),
        A.PadIfNeeded(*CROP, fill_mask=255),
        A.RandomCrop(*CROP, fill_mask=255),
    ],
    "floats that come back": [A.ToFloat(), A.FromFloat(dtype="uint8")],
    "a crop of objects": [A.CropNonEmptyMaskIfExists(*CROP)],
    "what is switched off": [A.Normalize(p=0.0), A.OneOf([A.HorizontalFlip(), A.ToFloat(p=0.0)])],
    "choices": [
        A.OneOf([A.HorizontalFlip(), A.Blur()]),
        A.SomeOf([A.Blur(), A.CLAHE()], n=2),
        A.OneOrOther(A.Blur(), A.NoOp()),
    ],
    "one that nobody can repeat": [OwnFlip()],
    "an image painted by the user": [A.Lambda(image=blurred)],
}


@pytest.mark.parametrize("augment", VALID.values(), ids=VALID)
def test_valid_transforms_are_taken(augment):
    crop_with(*augment)


def test_a_size_that_comes_back_may_be_that_of_a_large_crop():
    sized = [A.PadIfNeeded(120, 240, fill_mask=255), A.RandomCrop(120, 240, fill_mask=255)]
    crop_with(A.RandomScale((-0.5, 0.5)), *sized, crop=(120, 240))


def test_a_square_crop_may_be_turned():
    crop_with(A.RandomRotate90(), A.D4(), A.Transpose(), crop=(24, 24))


@pytest.mark.parametrize("crop", [(1, 1), (1, 7), (512, 1024)])
def test_crops_of_all_sizes_are_tried(crop):
    crop_with(A.HorizontalFlip(), A.Rotate(fill_mask=255), crop=crop)
    with pytest.raises(ValueError, match="Normalize"):
        crop_with(A.Normalize(), crop=crop)


def test_a_trial_leaves_no_trace():
    """Samples of a seed are those of albumentations alone, and nobody's generators have moved."""
    augment = [A.OneOf([A.Rotate(limit=30, fill_mask=255), A.HorizontalFlip(p=0.3)], p=0.5), A.ColorJitter(p=0.5)]
    plain = A.Compose(copy.deepcopy(augment))
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 (that of others; the checks of types move Python's own)
    crop = crop_with(*augment)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert [transform.p for transform in augment] == [0.5, 0.5]
    image, mask = np.random.default_rng(1).integers(0, 256, (*CROP, 3), np.uint8), np.ones(CROP, np.uint8)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        top, left, *_ = crop.window(CROP, np.random.default_rng(seed))
        assert (top, left) == (0, 0)
        found = crop(image, mask, np.random.default_rng(seed))
        crop.window(CROP, generator)
        plain.set_random_seed(int(generator.integers(2**31)))
        expected = plain(image=image, mask=mask)
        assert (found[0] == expected["image"]).all()
        assert (found[1] == expected["mask"]).all()


@pytest.mark.parametrize(
    "transforms",
    [
        [A.Rotate(border_mode=cv2.BORDER_REFLECT_101)],
        [A.Affine(scale=(0.5, 1.5), border_mode=cv2.BORDER_REPLICATE)],
        [A.RandomCrop(12, 20), A.Resize(*CROP)],
        [A.PadIfNeeded(48, 80, border_mode=cv2.BORDER_WRAP), A.CenterCrop(*CROP)],
    ],
    ids=["mirrored", "drawn out", "a crop", "repeated"],
)
def test_what_a_transform_would_fill_the_mask_with_does_not_matter_where_it_fills_nothing(transforms):
    crop_with(*transforms)
