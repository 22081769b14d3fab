"""From a decoded image and its mask to what the network sees."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import albumentations
import cv2
import numpy as np
from jaxtyping import UInt8

from mdseg.label_space import IGNORE

Image, Resized = UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "H W 3"]
Mask, ResizedMask = UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "H W"]


class RandomCrop:
    """Random scale and window, resized once, then albumentations seeded per sample.

    The image is thought of as resized to `short_side` times a random factor; the window of `crop` is cut from it. Where
    the scaled image is smaller than the crop, the largest window of the crop's shape is taken and enlarged, so nothing
    is ever padded (UniSeg's official code).

    Args:
        short_side: short side in pixels before the random factor; null keeps each image's own size.
        scale: lowest and highest random factor.
        crop: (height, width) of the result.
        augment: albumentations transforms; `fill_mask` must be 255 where a transform has it, since 0 is a class.

    Raises:
        ValueError: an impossible size or range, or a transform that would paint a class into the mask.
    """

    def __init__(
        self,
        short_side: int | None,
        scale: Sequence[float | int],
        crop: Sequence[int],
        augment: Sequence[albumentations.BasicTransform | albumentations.BaseCompose] = (),
    ) -> None:
        if not _are_two(scale) or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"transform.scale: expected two rising positive factors, got {scale}")
        if not _are_two(crop) or min(crop) < 1:
            raise ValueError(f"transform.crop: expected a positive height and width, got {crop}")
        for transform in _flattened(augment):
            if getattr(transform, "fill_mask", IGNORE) != IGNORE:
                raise ValueError(
                    f"transform.augment: {type(transform).__name__} fills the mask with {transform.fill_mask}, "
                    f"a class; set fill_mask: {IGNORE}"
                )
        self.short_side, self.scale, self.crop = short_side, (scale[0], scale[1]), (crop[0], crop[1])
        self.augment = albumentations.Compose(list(augment))

    def window(self, size: tuple[int, int], generator: np.random.Generator) -> tuple[int, int, int, int]:
        """Top, left, height and width of the region to read, in pixels of the stored image."""
        factor = generator.uniform(*self.scale) * ((self.short_side or min(size)) / min(size))
        fit = min(1.0, size[0] * factor / self.crop[0], size[1] * factor / self.crop[1])
        height, width = (
            max(1, min(side, round(wanted * fit / factor))) for side, wanted in zip(size, self.crop, strict=True)
        )
        top = int(generator.integers(size[0] - height + 1))
        left = int(generator.integers(size[1] - width + 1))
        return top, left, height, width

    def __call__(
        self, image: Image, mask: Mask | None, generator: np.random.Generator
    ) -> tuple[Resized, ResizedMask | None]:
        """Crop, resize and augment; all randomness comes from the generator."""
        top, left, height, width = self.window(image.shape[:2], generator)
        region = (slice(top, top + height), slice(left, left + width))
        sample = {"image": resize(image[region], self.crop)}
        if mask is not None:
            sample["mask"] = resize_mask(mask[region], self.crop)
        if self.augment.transforms:
            self.augment.set_random_seed(int(generator.integers(2**31)))
            sample = self.augment(**sample)
        return sample["image"], sample.get("mask")


def _are_two(values: object) -> bool:
    return isinstance(values, Sequence) and len(values) == 2 and all(isinstance(value, int | float) for value in values)


def _flattened(transforms: Iterable[Any]) -> Iterator[Any]:
    """Transforms with those inside OneOf, Sequential and the like."""
    for transform in transforms:
        yield transform
        yield from _flattened(getattr(transform, "transforms", ()))


def resize(image: Image, size: tuple[int, int]) -> Resized:
    """Image at (height, width): averaged where it shrinks, bilinear where it grows."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: Mask, size: tuple[int, int]) -> ResizedMask:
    """Mask at (height, width), nearest neighbour."""
    if mask.shape == size:
        return mask
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def evaluation_size(size: tuple[int, int], short_side: int | None, multiple: int) -> tuple[int, int]:
    """Size at which an image is evaluated: short side as asked, both sides rounded to the network's multiple."""
    factor = 1.0 if short_side is None else short_side / min(size)
    height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in size)
    return height, width


def pad_to_multiple(image: Image, mask: Mask | None, multiple: int) -> tuple[Resized, ResizedMask | None]:
    """Image padded with black and mask with ignore, below and to the right, up to a multiple of a stride."""
    below, right = (-side % multiple for side in image.shape[:2])
    if below == right == 0:
        return image, mask
    image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    if mask is not None:
        mask = cv2.copyMakeBorder(mask, 0, below, 0, right, cv2.BORDER_CONSTANT, value=IGNORE)
    return image, mask


def strict(build, *args, **kwargs):
    """Call a builder with albumentations' warnings about unknown arguments turned into errors.

    Raises:
        ValueError: a transform was given an argument that it does not have.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = build(*args, **kwargs)
    for warning in caught:
        if "are not valid" in str(warning.message):
            raise ValueError(f"transform.augment: {warning.message}")
    return built
