"""The path from an image to an answer, the same for every command and for the validation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16, UInt8
from torch import Tensor, nn

from mdseg.data.transforms import network_input, shifted
from mdseg.evaluation.evaluator import View, classes_at
from mdseg.labels.spaces import EvaluationSpace


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
    """

    def __init__(
        self,
        network: nn.Module,
        view: View,
        align_corners: bool,
        short_side: int | None,
        shift: Int16[np.ndarray, "3"] | None = None,
    ) -> None:
        self.shift = shift
        self.network, self.view = network, view
        self.align_corners, self.short_side = align_corners, short_side
        self.multiple = getattr(network, "input_multiple", 1)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def prepared(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "1 3 H W"] | Int16[Tensor, "1 3 H W"]:
        """A batch of one image as the network sees it."""
        seen = shifted(network_input(image, self.short_side, self.multiple), self.shift)
        return torch.from_numpy(seen).permute(2, 0, 1)[None]

    @torch.no_grad()
    def logits(self, images: UInt8[Tensor, "n 3 h w"] | Int16[Tensor, "n 3 h w"]) -> Float[Tensor, "n k fh fw"]:
        """Logits of prepared images at head resolution, on the network's device.

        Raises:
            ValueError: they are not finite.
        """
        logits = self.network(images.to(self.device)).float()
        if not logits.isfinite().all():
            raise ValueError("the network's answer is nan or infinite, though its weights are not: take another one")
        return logits

    def classes(
        self, logits: Float[Tensor, "n k h w"], size: tuple[int, int], space: EvaluationSpace
    ) -> UInt8[Tensor, "n H W"]:
        """Class index of the evaluation space at every pixel of images of (height, width)."""
        return classes_at(logits, size, space, self.align_corners)

    def answer(self, image: UInt8[np.ndarray, "h w 3"], space: EvaluationSpace) -> UInt8[np.ndarray, "h w"]:
        """Class index of the evaluation space at every pixel of an image."""
        logits = self.logits(self.prepared(image))
        return self.classes(logits, image.shape[:2], space)[0].cpu().numpy()
