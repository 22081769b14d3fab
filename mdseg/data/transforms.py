"""From a decoded image and its mask to what the network sees."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import albumentations
import cv2
import numpy as np
from jaxtyping import Int16, UInt8

from mdseg.data.rare_class import Wanted
from mdseg.data.reading import LARGEST
from mdseg.data.statistics import count_classes
from mdseg.data.trial import check_transforms
from mdseg.labels.tables import IGNORE
from mdseg.system.names import check_list

Image = UInt8[np.ndarray, "h w 3"]
Resized = UInt8[np.ndarray, "H W 3"]
Mask = UInt8[np.ndarray, "h w"]
ResizedMask = UInt8[np.ndarray, "H W"]
Region = tuple[slice, slice]
Built = TypeVar("Built")

REDRAWS = 10  # of a window in which one class has too large a share (mmsegmentation)


class RandomCrop:
    """Random scale and window, resized once, then albumentations seeded per sample.

    The image is thought of as resized to `short_side` times a random factor; the window of `crop` is cut from it. Where
    the scaled image is smaller than the crop, the largest window of the crop's shape is taken and enlarged, so nothing
    is ever padded (UniSeg's official code).

    Args:
        short_side: short side in pixels before the random factor; null keeps each image's own size.
        scale: lowest and highest random factor.
        crop: (height, width) of the result.
        augment: a list of albumentations transforms, which are tried once; see
            :func:`mdseg.data.trial.check_transforms`.
        max_class_share: a labelled image's window is drawn anew, at the same scale and at most ten times, until it
            shows two classes and none has this share of its labelled pixels (mmsegmentation's `cat_max_ratio`); null
            takes any window.

    Raises:
        ValueError: an impossible size or range, or a transform that spoils labels.
    """

    def __init__(
        self,
        short_side: int | None,
        scale: Sequence[float | int],
        crop: Sequence[int],
        augment: Any = (),
        max_class_share: float | int | None = None,
    ) -> None:
        if not _are_two(scale) or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"transform.scale: expected two rising positive factors, got {scale}")
        if not _are_two(crop) or not all(isinstance(side, int) for side in crop) or min(crop) < 1:
            raise ValueError(f"transform.crop: expected a positive height and width, got {crop}")
        if crop[0] * crop[1] > LARGEST:
            raise ValueError(
                f"transform.crop: {crop[0]} × {crop[1]} pixels are more than the {LARGEST / 1e6:.0f} megapixels of an "
                "image that can be read; set it lower"
            )
        check_list("transform.augment", augment)
        if max_class_share is not None and not 0 < max_class_share <= 1:
            raise ValueError(f"transform.max_class_share: expected a share in (0, 1] or null, got {max_class_share}")
        self.max_class_share = max_class_share
        self.short_side, self.scale, self.crop = short_side, (scale[0], scale[1]), (crop[0], crop[1])
        check_transforms(augment, self.crop)
        self.augment = albumentations.Compose(list(augment))

    def factor(self, size: tuple[int, int]) -> float:
        """How much an image of this size is enlarged before the random factor."""
        return (self.short_side or min(size)) / min(size)

    def enlargement(self, size: tuple[int, int]) -> float:
        """How many pixels of a crop stand beside each other for one of an image of this size, at the middle scale."""
        factor = sum(self.scale) / 2 * self.factor(size)
        return max(factor, *(wanted / side for side, wanted in zip(size, self.crop, strict=True)))

    def window(self, size: tuple[int, int], generator: np.random.Generator) -> tuple[int, int, int, int]:
        """Top, left, height and width of the region to read, in pixels of the stored image."""
        height, width = self._extent(size, generator)
        return *_position(size, (height, width), generator), height, width

    def _extent(self, size: tuple[int, int], generator: np.random.Generator) -> tuple[int, int]:
        factor = generator.uniform(*self.scale) * self.factor(size)
        fit = min(1.0, size[0] * factor / self.crop[0], size[1] * factor / self.crop[1])
        height, width = (
            max(1, min(side, round(wanted * fit / factor))) for side, wanted in zip(size, self.crop, strict=True)
        )
        return height, width

    def __call__(
        self, image: Image, mask: Mask | None, generator: np.random.Generator, wanted: Wanted | None = None
    ) -> tuple[Resized, ResizedMask | None]:
        """Crop, resize and augment; all randomness comes from the generator.

        Args:
            wanted: the class that the window should show; scale and window are drawn anew until it does, at most so
                often as it says. Counted in the stored pixels of the window.
        """
        region = self._region(image.shape[:2], mask, generator)
        if wanted is not None and mask is not None:
            for _ in range(wanted.attempts):
                if wanted.is_in(mask[region]):
                    break
                region = self._region(image.shape[:2], mask, generator)
        sample = {"image": resize(image[region], self.crop)}
        if mask is not None:
            sample["mask"] = resize_mask(mask[region], self.crop)
        if self.augment.transforms:
            self.augment.set_random_seed(int(generator.integers(2**31)))
            sample = self.augment(**sample)
        return sample["image"], sample.get("mask")

    def _region(self, size: tuple[int, int], mask: Mask | None, generator: np.random.Generator) -> Region:
        top, left, height, width = self.window(size, generator)
        if self.max_class_share is not None and mask is not None:
            for _ in range(REDRAWS):
                if _is_varied(mask[top : top + height, left : left + width], self.max_class_share):
                    break
                top, left = _position(size, (height, width), generator)
        return slice(top, top + height), slice(left, left + width)


def _is_varied(mask: Mask, max_class_share: float | int) -> bool:
    counts = count_classes(mask)[:IGNORE]
    return bool(np.count_nonzero(counts) > 1 and counts.max() < max_class_share * counts.sum())


def _position(size: tuple[int, int], extent: tuple[int, int], generator: np.random.Generator) -> tuple[int, int]:
    """Top and left of a window of this height and width."""
    top = int(generator.integers(size[0] - extent[0] + 1))
    left = int(generator.integers(size[1] - extent[1] + 1))
    return top, left


def _are_two(values: object) -> bool:
    return isinstance(values, Sequence) and len(values) == 2 and all(_is_number(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    return scaled_size(size, evaluation_factor(size, short_side), multiple)


def evaluation_factor(size: tuple[int, int], short_side: int | None) -> float:
    """How much an image of (height, width) is enlarged where it is evaluated."""
    return 1.0 if short_side is None else short_side / min(size)


def scaled_size(size: tuple[int, int], factor: float, multiple: int) -> tuple[int, int]:
    """(height, width) times a factor, both sides rounded to a multiple and at least that."""
    height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in size)
    return height, width


def network_input(image: Image, short_side: int | None, multiple: int) -> Resized:
    """Image as a network sees it where it is evaluated: at :func:`evaluation_size`."""
    return resize(image, evaluation_size(image.shape[:2], short_side, multiple))


def shifted(image: Resized, shift: Int16[np.ndarray, "3"] | None) -> Resized | Int16[np.ndarray, "h w 3"]:
    """Image with a number added to each channel, not cut off at 0 and 255; null: as it is."""
    return image if shift is None else image + shift  # uint8 and int16 make int16


def pad_to_multiple(image: Image, mask: Mask | None, multiple: int) -> tuple[Resized, ResizedMask | None]:
    """Image padded with black and mask with ignore, below and to the right, up to a multiple of a stride."""
    below, right = (-side % multiple for side in image.shape[:2])
    if below == right == 0:
        return image, mask
    image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    if mask is not None:
        mask = cv2.copyMakeBorder(mask, 0, below, 0, right, cv2.BORDER_CONSTANT, value=IGNORE)
    return image, mask


def strict(build: Callable[..., Built], *args: Any, **kwargs: Any) -> Built:
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
