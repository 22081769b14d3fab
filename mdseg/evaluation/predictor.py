"""The path from an image to an answer, the same for every command and for the validation."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16, UInt8
from torch import Tensor, nn

from mdseg.data.sizes import takes_any
from mdseg.data.transforms import (
    evaluation_factor,
    evaluation_size,
    network_input,
    resize,
    scaled_size,
    shifted,
)
from mdseg.evaluation.evaluator import View, classes_at
from mdseg.labels.spaces import EvaluationSpace
from mdseg.pixels.windows import extent_within, windows

AT_ONCE = 1 << 22  # pixels, 2048 × 2048


def shifts(means: Mapping[str, np.ndarray], network: Any) -> dict[str, Int16[np.ndarray, "3"]]:
    """What is added to the images of datasets so that a network which subtracts its own mean subtracts theirs.

    Args:
        means: of the images of each dataset, in 0..255.
    """
    own = network.mean.flatten().cpu().numpy()
    return {name: (own - mean).round().astype(np.int16) for name, mean in means.items()}


class Predictor:
    """A network and how its logits are read: what it answers for an image of any size.

    It sees an image as evaluation data shows it, and its logits become classes as those of an evaluation do.

    Args:
        network: in evaluation mode, on the device where it is to work.
        align_corners: how logits are upsampled.
        short_side: short side in pixels of what the network sees; null: the image's own.
        shift: what is added to the channels of an image; null: nothing.
        at_once: pixels that the network sees at a time; what :meth:`answer` would show it more of it shows in windows.
    """

    def __init__(
        self,
        network: nn.Module,
        view: View,
        align_corners: bool,
        short_side: int | None,
        shift: Int16[np.ndarray, "3"] | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self.shift, self.at_once = shift, at_once
        self.network, self.view = network, view
        self.align_corners, self.short_side = align_corners, short_side
        self.multiple = getattr(network, "input_multiple", 1)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def prepared(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "1 3 H W"] | Int16[Tensor, "1 3 H W"]:
        """A batch of one image as the network sees it."""
        return self._batch(network_input(image, self.short_side, self.multiple))

    def _batch(self, seen: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "1 3 h w"] | Int16[Tensor, "1 3 h w"]:
        return torch.from_numpy(shifted(seen, self.shift)).permute(2, 0, 1)[None]

    @torch.no_grad()
    def logits(self, images: UInt8[Tensor, "n 3 h w"] | Int16[Tensor, "n 3 h w"]) -> Float[Tensor, "n k fh fw"]:
        """Logits of prepared images at head resolution, on the network's device.

        Raises:
            ValueError: the network does not take images of this size, or its answer is not finite.
        """
        try:
            logits = self.network(images.to(self.device)).float()
        except (AssertionError, RuntimeError) as error:
            refusal = getattr(self.network, "refusal", takes_any)
            if why := refusal((images.shape[-2], images.shape[-1]), None):
                raise ValueError(why) from error
            raise
        if not logits.isfinite().all():
            raise ValueError("the network's answer is nan or infinite, though its weights are not: take another one")
        return logits

    def classes(
        self, logits: Float[Tensor, "n k h w"], size: tuple[int, int], space: EvaluationSpace
    ) -> UInt8[Tensor, "n H W"]:
        """Class index of the evaluation space at every pixel of images of (height, width)."""
        return classes_at(logits, size, space, self.align_corners)

    def answer(self, image: UInt8[np.ndarray, "h w 3"], space: EvaluationSpace) -> UInt8[np.ndarray, "h w"]:
        """Class index of the evaluation space at every pixel of an image.

        An image that the network would see more than `at_once` pixels of is shown to it at the same scale in windows
        that overlap by a quarter of their sides; the middle of each counts.

        Raises:
            ValueError: the network does not take images of this size.
        """
        size = (image.shape[0], image.shape[1])
        whole = evaluation_size(size, self.short_side, self.multiple)
        if math.prod(whole) <= self.at_once:
            return self.classes(self.logits(self.prepared(image)), size, space)[0].cpu().numpy()
        factor = evaluation_factor(size, self.short_side)
        seen = [max(1, side // self.multiple) * self.multiple for side in extent_within(whole, self.at_once)]
        if math.prod(seen) > self.at_once or factor > min(seen):
            raise ValueError(f"short_side={self.short_side} would enlarge it {factor:.0f} times; choose a smaller one")
        height, width = (
            full if part == of else int(part / factor) for full, part, of in zip(size, seen, whole, strict=True)
        )
        answer = np.empty(size, np.uint8)
        for window in windows(size, (height, width)):
            part = image[window.seen]
            extent = (part.shape[0], part.shape[1])
            logits = self.logits(self._batch(resize(part, scaled_size(extent, factor, self.multiple))))
            answer[window.core] = self.classes(logits, extent, space)[0].cpu().numpy()[window.inside]
        return answer
