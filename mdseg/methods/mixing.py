"""ClassMix, and the strong augmentation of mixed images, on the device where the batch lies."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mdseg.labels.tables import IGNORE
from mdseg.models.segmenter import Images

REACH = 5.2  # standard deviations: further out, the weights of a Gaussian are some 1e-6 of the central one


class Mixed(NamedTuple):
    """Images put together from two, with their labels and the weight of every pixel in the loss."""

    image: Images
    mask: UInt8[Tensor, "n h w"]
    weight: Float[Tensor, "n h w"]


def class_mask(mask: UInt8[Tensor, "n h w"], mix_ignore: bool = False) -> Bool[Tensor, "n h w"]:
    r"""The pixels that ClassMix pastes: those of half of the classes of each image, drawn without replacement.

    .. math:: M = [y \in C'], \quad C' \subset C = \{y_i\}, \quad |C'| = \lceil |C| / 2 \rceil

    Olsson et al., WACV 2021 (arXiv:2007.07936); DACS, Tranheden et al., WACV 2021 (arXiv:2007.08702). Classes are
    listed per image, as there; DAFormer's code lists those of the whole batch, U2PL's rounds down. An image of a single
    class is pasted as a whole, of one without labels nothing is. The draw is made on the CPU: one seed, the same
    classes on any device.

    Args:
        mix_ignore: ignored pixels count as a class (the official codes), so that unlabelled regions are pasted, too.
    """
    present = torch.zeros(len(mask), 256, dtype=torch.bool, device=mask.device)
    present.scatter_(1, mask.flatten(1).long(), True)
    if not mix_ignore:
        present[:, IGNORE] = False
    drawn = torch.rand(len(mask), 256).to(mask.device).masked_fill(~present, 2.0)
    wanted = (present.sum(dim=1) + 1) // 2
    pasted = drawn.argsort(dim=1).argsort(dim=1) < wanted[:, None]
    return pasted.gather(1, mask.flatten(1).long()).view_as(mask)


def mix(pasted: Bool[Tensor, "n h w"], upper: Mixed, lower: Mixed) -> Mixed:
    """Image, label and weight of `upper` where `pasted`, of `lower` elsewhere."""
    return Mixed(
        torch.where(pasted[:, None], upper.image, lower.image),
        torch.where(pasted, upper.mask, lower.mask),
        torch.where(pasted, upper.weight, lower.weight),
    )


class StrongAugmentation:
    """Colour jitter, then Gaussian blur. Whether is drawn once for a batch, how strongly for every image.

    Tranheden et al., WACV 2021 (DACS), jitter strength 0.25; Hoyer et al., CVPR 2022 (DAFormer), 0.2. Both jitter with
    probability 0.8 (DAFormer's code calls it 0.2, and jitters when a uniform draw exceeds it). Their Kornia brightens
    by adding and takes contrast for a product with the whole image; here all four changes are torchvision's, in random
    order.

    Args:
        jitter_strength: brightness, contrast and saturation are multiplied by 1 ± this at most, the hue is turned by
            this share of the circle at most.
        blur_sigma: least and largest standard deviation in pixels; the kernel is the largest odd one within a tenth of
            each side, or smaller where the weights beyond vanish.

    Raises:
        ValueError: a probability outside [0, 1], a strength above 0.5, or a range of sigma that does not rise.
    """

    def __init__(
        self,
        jitter_probability: float | int,
        jitter_strength: float | int,
        blur_probability: float | int,
        blur_sigma: Sequence[float | int],
    ) -> None:
        for name, value, limit in (
            ("jitter_probability", jitter_probability, 1),
            ("jitter_strength", jitter_strength, 0.5),
            ("blur_probability", blur_probability, 1),
        ):
            if not 0 <= value <= limit:
                raise ValueError(f"augment.{name}: expected a number in [0, {limit}], got {value}")
        if len(blur_sigma) != 2 or not 0 < blur_sigma[0] <= blur_sigma[1]:
            raise ValueError(f"augment.blur_sigma: expected two rising positive numbers of pixels, got {blur_sigma}")
        self.jitter_probability, self.jitter_strength = jitter_probability, jitter_strength
        self.blur_probability, self.blur_sigma = blur_probability, (blur_sigma[0], blur_sigma[1])

    def __call__(self, image: Images) -> Images:
        """Images in 0..255, before and after."""
        jitters, blurs = (torch.rand(2) < torch.tensor([self.jitter_probability, self.blur_probability])).tolist()
        if not jitters and not blurs:
            return image
        return torch.stack([self._changed(each.float() / 255, jitters, blurs) for each in image]) * 255

    def _changed(self, image: Float[Tensor, "3 h w"], jitters: bool, blurs: bool) -> Float[Tensor, "3 h w"]:
        if jitters:
            image = color_jitter(image, self.jitter_strength)
        if blurs:
            sigma = between(*self.blur_sigma)
            image = F.gaussian_blur(image, [kernel_size(side, sigma) for side in image.shape[:0:-1]], [sigma, sigma])
        return image


def color_jitter(image: Float[Tensor, "3 h w"], strength: float | int) -> Float[Tensor, "3 h w"]:
    """Brightness, contrast, saturation and hue of an image in [0, 1] changed at random, in random order."""
    changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for number in torch.randperm(len(changes)).tolist():
        amount = between(-strength, strength)
        image = changes[number](image, amount if changes[number] is F.adjust_hue else 1 + amount)
    return image


def kernel_size(side: int, sigma: float | int) -> int:
    """The largest odd number of pixels up to a tenth of a side, and no more than a Gaussian needs."""
    return min((math.ceil(side / 10) - 1) // 2 * 2 + 1, 2 * math.ceil(REACH * sigma) - 1)


def between(low: float | int, high: float | int) -> float:
    """A uniform draw from torch's generator of the CPU, which is seeded for every step."""
    return low + (high - low) * torch.rand(()).item()
