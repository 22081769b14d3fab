"""A network that learns street scenes from random weights in minutes on two CPU cores."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.heads import classifier
from mdseg.models.segmenter import Segmenter

WIDEST = 4096  # channels; far more than anybody trains with, and few enough to be tried


def small(
    num_classes: int,
    head: str = "cosine",
    temperature: float = 20.0,
    widths: Sequence[int] = (32, 64, 128, 192, 256),
    blocks: Sequence[int] = (2, 1, 1, 1),
    feature_width: int = 96,
    low_head: bool = False,
) -> Segmenter:
    """The network of `scale=demo`: residual stages at strides 4, 8, 16 and 32, fused top-down at stride 4.

    Args:
        widths: channels of the stem (stride 2) and the four stages.
        blocks: residual blocks of each stage.
        feature_width: channels of the fused features.
        low_head: a second classifier on the third stage (stride 16), where two-level methods put theirs.

    Raises:
        ValueError: other numbers of stages than that, or nothing in one of them.
    """
    for option, values, stages in (("widths", widths, 5), ("blocks", blocks, 4)):
        if len(values) != stages or not all(1 <= value <= WIDEST for value in values):
            raise ValueError(f"model.{option}: expected {stages} numbers from 1 to {WIDEST}, got {list(values)}")
    if not 1 <= feature_width <= WIDEST:
        raise ValueError(f"model.feature_width: expected a number from 1 to {WIDEST}, got {feature_width}")
    backbone = SmallFPN(widths, blocks, feature_width, third_stage_too=low_head)
    return Segmenter(
        backbone,
        classifier(head, feature_width, num_classes, temperature),
        low_head=classifier(head, widths[3], num_classes, temperature) if low_head else None,
    )


class SmallFPN(nn.Module):
    """A narrow ResNet with a feature pyramid (Lin et al., CVPR 2017, arXiv:1612.03144) and a global context vector.

    Plain 3×3 convolutions: on a CPU a depthwise convolution costs most of the time of a full one. Batch norm: with
    group norm the same network learns clearly slower.

    Args:
        third_stage_too: answer with the fused features and those of the third stage as they enter the pyramid.
        widths, blocks, feature_width: see :func:`small`.
    """

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], feature_width: int, third_stage_too: bool = False
    ) -> None:
        super().__init__()
        self.third_stage_too = third_stage_too
        stem, *stages = widths
        self.stem = _conv_bn(3, stem, kernel_size=3, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(before, after, stride=2), *(ResidualBlock(after, after) for _ in range(count - 1))
            )
            for before, after, count in zip(widths, stages, blocks, strict=False)
        )
        # Group norm here: over one value per image and channel, batch statistics would be noise.
        groups = stages[-1] // math.gcd(16, stages[-1])
        self.context = nn.Sequential(nn.Conv2d(stages[-1], stages[-1], 1, bias=False), nn.GroupNorm(groups, stages[-1]))
        self.laterals = nn.ModuleList(_conv_bn(width, feature_width) for width in stages)
        self.smooth = _conv_bn(feature_width, feature_width, kernel_size=3)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Tensor | tuple[Tensor, Tensor]:
        features = F.relu(self.stem(image))
        levels = []
        for stage in self.stages:
            levels.append(features := stage(features))
        coarsest = features + F.relu(self.context(features.mean(dim=(2, 3), keepdim=True)))
        fused = self.laterals[-1](coarsest)
        for level, lateral in zip(levels[-2::-1], self.laterals[-2::-1], strict=True):
            coarser = F.interpolate(fused, size=level.shape[-2:], mode="bilinear", align_corners=False)
            fused = F.relu(lateral(level) + coarser)
        fused = F.relu(self.smooth(fused))
        return (fused, levels[2]) if self.third_stage_too else fused


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, which averages before it projects where the block strides."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv_bn(in_channels, out_channels, kernel_size=3, stride=stride)
        self.second = _conv_bn(out_channels, out_channels, kernel_size=3)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            # ceil_mode: the size that a strided 3×3 convolution gives, for odd sizes too.
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(pool, _conv_bn(in_channels, out_channels))

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n e h2 w2"]:
        return F.relu(self.shortcut(features) + self.second(F.relu(self.first(features))))


def _conv_bn(in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )
