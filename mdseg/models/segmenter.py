"""The network every method trains: normalisation, backbone, classifier."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Segmenter(nn.Module):
    """A backbone that answers with one feature map, and a 1×1 classifier over it.

    Images arrive as they left the disk, in 0..255 and usually uint8, and are normalised on the device: a quarter of the
    bytes cross the bus. Everything runs in channels_last memory: on a CPU narrow convolutions are several times faster.

    ``mean`` and ``std`` are those of images scaled to [0, 1]. Height and width of an image must be multiples of
    ``input_multiple``; who makes batches pads the image, and the mask with 255.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        input_multiple: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.input_multiple = input_multiple
        # In the checkpoint: they follow from the encoder's published weights, which a trained model is built without.
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))
        self.to(memory_format=torch.channels_last)

    def features(self, image: Float[Tensor, "n 3 h w"] | UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n d fh fw"]:
        """Features at head resolution of images in 0..255."""
        normalised = (image.to(self.mean.dtype) - self.mean) / self.std
        return self.backbone(normalised.contiguous(memory_format=torch.channels_last))

    def classify(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n k h w"]:
        """Logits at head resolution."""
        return self.head(features)

    def forward(self, image: Float[Tensor, "n 3 h w"] | UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n k fh fw"]:
        return self.classify(self.features(image))

    def parameter_groups(self, lr: float, head_lr_factor: float = 1.0) -> list[dict]:
        """Groups for an optimiser: one, or backbone and classifier when the classifier learns at another rate."""
        if head_lr_factor == 1.0:
            return [{"params": list(self.parameters()), "lr": lr}]
        return [
            {"params": list(self.backbone.parameters()), "lr": lr},
            {"params": list(self.head.parameters()), "lr": lr * head_lr_factor},
        ]
