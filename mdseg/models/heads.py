"""Classifiers over a feature map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

EPSILON = 1e-12


class CosineClassifier(nn.Module):
    r"""Cosine of the angle between a pixel's feature and each class vector, times a temperature; no bias.

    .. math:: O_k = t \, \langle f / \|f\|, \, g_k / \|g_k\| \rangle

    Kim et al., ECCV 2022 (UniSeg), arXiv:2202.14030, official code: t = 20. Logits lie in [−t, t]. Computed in float32
    under autocast.
    """

    def __init__(self, in_channels: int, num_classes: int, temperature: float = 20.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        nn.init.normal_(self.weight, std=in_channels**-0.5)

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n k h w"]:
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(torch.promote_types(features.dtype, torch.float32))
            norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
            # F.normalize gives a zero feature (possible after ReLU) a gradient times 1e12; here its gradient is zero.
            scale = torch.where(norm > EPSILON, self.temperature / norm.clamp_min(EPSILON), 0.0)
            class_vectors = F.normalize(self.weight.to(features.dtype), dim=1, eps=EPSILON)
            # Scaling the logits equals scaling the features, and spares a second feature map in memory.
            return F.conv2d(features, class_vectors[:, :, None, None]) * scale


class ASPPClassifier(nn.Module):
    r"""Sum of parallel 3×3 convolutions with one dilation each, straight to the classes.

    .. math:: O = \sum_r W_r *_r f + b_r

    "Atrous spatial pyramid pooling" of DeepLab-v2 (Chen et al., TPAMI 2018, arXiv:1606.00915) in the form that the
    adaptation papers use: no hidden layer, norm or dropout.

    Args:
        rates: dilations, and padding, of the convolutions.

    Raises:
        ValueError: no rates, or one below 1.
    """

    def __init__(self, in_channels: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        if not rates or min(rates) < 1:
            raise ValueError(f"model.aspp_rates: expected dilations of at least 1, got {list(rates)}")
        convolutions = [
            nn.Conv2d(in_channels, num_classes, kernel_size=3, padding=rate, dilation=rate) for rate in rates
        ]
        for convolution in convolutions:
            nn.init.normal_(convolution.weight, std=0.01)
            nn.init.zeros_(convolution.get_parameter("bias"))
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n k h w"]:
        first, *others = self.convolutions
        logits = first(features)
        for convolution in others:
            logits = logits + convolution(features)
        return logits


def classifier(head: str, in_channels: int, num_classes: int, temperature: float = 20.0) -> nn.Module:
    """A `linear` 1×1 classifier with bias, or a `cosine` one (the only one that has a temperature).

    Raises:
        ValueError: another head, or a temperature that turns the order of the classes around.
    """
    if temperature <= 0:
        raise ValueError(f"model.temperature is {temperature}; expected a number above 0")
    if head == "cosine":
        return CosineClassifier(in_channels, num_classes, temperature)
    if head == "linear":
        linear = nn.Conv2d(in_channels, num_classes, kernel_size=1)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.get_parameter("bias"))
        return linear
    raise ValueError(f"model.head is {head!r}; expected 'linear' or 'cosine'")
