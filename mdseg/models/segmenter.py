"""The network every method trains: normalisation, backbone, classifier; some with a second classifier on the way."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int16, UInt8
from torch import Tensor, nn

from mdseg.models import sizes

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)  # batch and instance norms share _NormBase


# In 0..255: as they left the disk, shifted by the mean of their dataset, or mixed.
Images = Float[Tensor, "n 3 h w"] | UInt8[Tensor, "n 3 h w"] | Int16[Tensor, "n 3 h w"]


class Levels(NamedTuple):
    """Logits of the final head, and of the head on an earlier stage; None where the network has a single head."""

    high: Float[Tensor, "n k h w"]
    low: Float[Tensor, "n k h2 w2"] | None


class Segmenter(nn.Module):
    """A backbone that answers with one feature map, and a classifier over it.

    Images arrive as they left the disk, in 0..255 and usually uint8, and are normalised on the device: a quarter of the
    bytes cross the bus. Everything runs in channels_last memory: on a CPU narrow convolutions are several times faster.

    With a low head the backbone answers with two feature maps, the final one first. Only :meth:`levels` looks at the
    second one.

    Args:
        mean, std: those of images scaled to [0, 1].
        input_multiple: what height and width of an image must be multiples of; who makes batches pads the image, and
            the mask with 255.
        low_head: a classifier over an earlier stage: auxiliary head, low level of a two-level network.
        remedy: for a network that does not take every size: (height, width) → what to set so that it takes this one.
    """

    mean: Float[Tensor, "1 3 1 1"]
    std: Float[Tensor, "1 3 1 1"]

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        input_multiple: int = 1,
        low_head: nn.Module | None = None,
        remedy: Callable[[sizes.Size], str | None] | None = None,
    ) -> None:
        super().__init__()
        self.remedy = remedy
        self.backbone = backbone
        self.head = head
        self.low_head = low_head
        self.input_multiple = input_multiple
        # In the checkpoint: they follow from the encoder's published weights, which a trained model is built without.
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))
        self.to(memory_format=torch.channels_last)

    def refusal(self, size: sizes.Size, images: int | None = None) -> str | None:
        """Why it does not take images of (height, width), and what to set instead; null: it takes them.

        Args:
            images: how many of a training step it sees at once; null: one that is evaluated.
        """
        if self.remedy is None:
            return None
        backbone = self.backbone  # classifiers take any size
        if images == 1 and (why := sizes.refusal(backbone, size, 1)) and sizes.refusal(backbone, size, 2) is None:
            return f"in training the network needs two images at a time ({why}): set batch_size to 2 or more"
        if self.takes_every_multiple or not (why := sizes.refusal(backbone, size)):
            return None
        fitting = sizes.fitting(backbone, size)
        advice = [self.remedy(size), fitting and f"it takes {fitting[0]} × {fitting[1]}"]
        return "; ".join([f"the network does not take {size[0]} × {size[1]} ({why})", *filter(None, advice)])

    @cached_property
    def takes_every_multiple(self) -> bool:
        """Whether it takes images of any size that `input_multiple` divides: it takes two that nothing else divides."""
        some = ((5 * self.input_multiple, 7 * self.input_multiple), (9 * self.input_multiple, 3 * self.input_multiple))
        return all(sizes.refusal(self.backbone, size) is None for size in some)

    def features(self, image: Images) -> Float[Tensor, "n d fh fw"]:
        """Final features at head resolution of images in 0..255."""
        return self._feature_maps(image)[0]

    def classify(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n k h w"]:
        """Logits at head resolution."""
        return self.head(features)

    def forward(self, image: Images) -> Float[Tensor, "n k fh fw"]:
        return self.classify(self.features(image))

    def levels(self, image: Images) -> Levels:
        """Logits of both heads, each at its own resolution; also of a network with a single head."""
        high, low = self._feature_maps(image)
        return Levels(self.classify(high), None if self.low_head is None else self.low_head(low))

    def _feature_maps(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        normalised = (image.to(self.mean.dtype) - self.mean) / self.std
        features = self.backbone(normalised.contiguous(memory_format=torch.channels_last))
        return (features, None) if self.low_head is None else features

    def parameter_groups(self, lr: float, head_lr_factor: float = 1.0, decay_norms: bool = True) -> list[dict]:
        """Groups of the trainable parameters for an optimiser, as few as the options need.

        Args:
            head_lr_factor: learning rate of the classifiers relative to the rest.
            decay_norms: whether the optimiser's weight decay holds for the parameters of normalisation layers too;
                DAFormer (Hoyer et al., CVPR 2022, arXiv:2111.14887) and most transformer recipes leave them out.
        """
        heads = [head for head in (self.head, self.low_head) if head is not None and head_lr_factor != 1.0]
        in_heads = {id(parameter) for head in heads for parameter in head.parameters()}
        norms = [] if decay_norms else [module for module in self.modules() if isinstance(module, NORMS)]
        in_norms = {id(parameter) for norm in norms for parameter in norm.parameters()}
        groups: dict[tuple[bool, bool], dict] = {}
        for parameter in self.parameters():
            if parameter.requires_grad:
                kind = id(parameter) in in_heads, id(parameter) in in_norms
                groups.setdefault(kind, {"params": []})["params"].append(parameter)
        for (in_head, in_norm), group in groups.items():
            group["lr"] = lr * head_lr_factor if in_head else lr
            if in_norm:
                group["weight_decay"] = 0.0
        return list(groups.values())
