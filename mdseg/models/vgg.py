"""Features of VGG-16, by which images are compared."""

from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.weights import downloading, load_state, read_weights

PUBLISHED = "vgg16.tv_in1k"
LAYERS = 30  # up to the activation of conv5_3
KEY = "method.perceptual_network.weights"


class Features(nn.Module):
    """Activations of VGG-16's conv5_3 (Simonyan and Zisserman, ICLR 2015), of images in [-1, 1].

    Args:
        weights: `imagenet` (a download) or a file with torchvision's keys.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is of another network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        network: Any = timm.create_model(PUBLISHED)
        self.features: Any = network.features[:LAYERS]
        if weights == "imagenet":
            with downloading(f"the ImageNet weights {PUBLISHED}", KEY):
                found, source = timm.create_model(PUBLISHED, pretrained=True).state_dict(), PUBLISHED
        else:
            found, source = read_weights(weights, KEY), str(weights)
        load_state(self, found, source)
        self.register_buffer("mean", torch.tensor(network.default_cfg["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.default_cfg["std"]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 512 fh fw"]:
        """Features at a sixteenth of the images' size."""
        return self.features(((image + 1) / 2 - self.mean) / self.std)
