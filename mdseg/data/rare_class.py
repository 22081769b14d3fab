"""Rare class sampling: labelled images drawn by their classes, rare classes most often (DAFormer)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8


class Wanted(NamedTuple):
    """A class that a window should show.

    Args:
        share: of the window's pixels.
        attempts: how often the window is drawn anew until it shows so many.
    """

    train_id: int
    share: float
    attempts: int

    def is_in(self, mask: UInt8[np.ndarray, "h w"]) -> bool:
        return bool(np.count_nonzero(mask == self.train_id) >= self.share * mask.size)


@dataclass(frozen=True)
class RareClass:
    """How a stream draws by class: `streams.<name>.rare_class`.

    DAFormer has 0.01, 3000 and 1500 pixels with crops of 512 × 512, and 10; see :func:`class_images` for what its 3000
    are here.

    Args:
        temperature: T of :func:`class_probs`; the lower, the rarer.
        in_image: pixels that an image must have of a class to be drawn for it, as a share of the crop's area.
        in_crop: pixels that the crop should have of it, likewise.
        attempts: how often a crop with fewer is drawn anew.

    Raises:
        ValueError: a temperature that is not positive, a share outside [0, 1], or attempts that are no whole number.
    """

    temperature: float | int
    in_image: float | int
    in_crop: float | int
    attempts: int

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature: expected a positive number, got {self.temperature}")
        for key in ("in_image", "in_crop"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"{key}: expected a share of the crop, from 0 to 1, got {getattr(self, key)}")
        if not isinstance(self.attempts, int) or self.attempts < 0:
            raise ValueError(f"attempts: expected a whole number of at least 0, got {self.attempts}")


@dataclass(frozen=True, eq=False)
class ClassDraw:
    """What is drawn from: train ids that occur, their probabilities, and for each the images to draw for it."""

    train_ids: tuple[int, ...]
    probs: Float64[np.ndarray, " c"]
    images: tuple[Int64[np.ndarray, " _"], ...]

    def draw(self, generator: np.random.Generator) -> tuple[int, int]:
        """Train id and image."""
        position = int(generator.choice(len(self.train_ids), p=self.probs))
        images = self.images[position]
        return self.train_ids[position], int(images[generator.integers(len(images))])


def class_draw(
    pixels: Int64[np.ndarray, "images k"], resized: Float64[np.ndarray, " images"], crop_area: int, options: RareClass
) -> ClassDraw:
    """What to draw from, given the pixels of every train id in every image.

    Args:
        resized: by how much the number of an image's pixels changes where it is resized for training.
        crop_area: pixels of a crop.

    Raises:
        ValueError: no image has a labelled pixel.
    """
    counts = pixels.sum(axis=0)
    occurring = np.flatnonzero(counts)
    if not len(occurring):
        raise ValueError("mixing rare_class needs a labelled pixel, and every pixel of every image is ignored")
    least = options.in_image * crop_area
    return ClassDraw(
        tuple(occurring.tolist()),
        class_probs(counts[occurring], options.temperature),
        tuple(class_images(pixels[:, train_id] * resized, least) for train_id in occurring),
    )


def class_probs(counts: Int64[np.ndarray, " c"], temperature: float | int) -> Float64[np.ndarray, " c"]:
    r"""Probability of each class that occurs, from its pixels.

    .. math:: P(c) = \frac{\exp((1 - f_c) / T)}{\sum_{c'} \exp((1 - f_{c'}) / T)},
        \quad f_c = \frac{n_c}{\sum_{c'} n_{c'}}

    Hoyer et al., CVPR 2022 (DAFormer), arXiv:2111.14887, rare class sampling. As in its code, f is a share of the
    labelled pixels and a class without any is never drawn.
    """
    rarity = (1 - counts / counts.sum()) / temperature
    probs = np.exp(rarity - rarity.max())  # exp(1 / 0.01) is 3e43, and a lower temperature overflows
    return probs / probs.sum()


def class_images(pixels: Float64[np.ndarray, " images"], least: float | int) -> Int64[np.ndarray, " _"]:
    """Images that show enough of a class: those with `least` pixels of it, or, if there are none, the one with most.

    Pixels are those at the size that training resizes to, random factor left aside: only so can they be compared with a
    crop. DAFormer compares 3000 pixels of the stored image; of GTA5's, 1914 × 1052, there are 1405 at a short side of
    720, a share of 0.0054 of its crop. Where a class never reaches the threshold, DAFormer's code fails.
    """
    enough = np.flatnonzero((pixels >= least) & (pixels > 0))
    return enough if len(enough) else np.array([pixels.argmax()])
