"""HRNet-V2: parallel branches at strides 4, 8, 16 and 32 that exchange their features throughout.

Sun et al., CVPR 2019, arXiv:1902.09212; Wang et al., TPAMI 2020, arXiv:1908.07919. Modules carry the names of the
authors' ImageNet checkpoints (`conv1`, `layer1`, `transition1`, ...), so that those files load as they are.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.heads import classifier
from mdseg.models.resnet import Bottleneck
from mdseg.models.segmenter import Segmenter
from mdseg.models.weights import downloading, load_state, load_weights


def hrnet_w18_small(
    num_classes: int,
    head: str = "cosine",
    temperature: float = 20.0,
    weights: str | Path | None = None,
    bn_momentum: float = 0.01,
) -> Segmenter:
    """HRNet-V2 W18-small-v2, UniSeg's "W18".

    Args:
        weights: null, `imagenet` (a download) or a classifier's file.

    Raises:
        FileNotFoundError: the weights are not on disk, or their download failed.
        ValueError: an unknown head, or weights that do not fit.
    """
    backbone = HRNet(width=18, blocks=2, modules=(1, 3, 2), bn_momentum=bn_momentum)
    return _segmenter(backbone, num_classes, head, temperature, weights, published="hrnet_w18_small_v2.ms_in1k")


def hrnet_w18(
    num_classes: int,
    head: str = "cosine",
    temperature: float = 20.0,
    weights: str | Path | None = None,
    bn_momentum: float = 0.1,
) -> Segmenter:
    """HRNet-V2 W18.

    Args:
        weights: null, `imagenet` (a download) or a classifier's file.

    Raises:
        FileNotFoundError: the weights are not on disk, or their download failed.
        ValueError: an unknown head, or weights that do not fit.
    """
    backbone = HRNet(width=18, blocks=4, modules=(1, 4, 3), bn_momentum=bn_momentum)
    return _segmenter(backbone, num_classes, head, temperature, weights, published="hrnet_w18.ms_in1k")


def hrnet_w48(
    num_classes: int,
    head: str = "cosine",
    temperature: float = 20.0,
    weights: str | Path | None = None,
    bn_momentum: float = 0.01,
) -> Segmenter:
    """HRNet-V2 W48.

    Args:
        weights: null, `imagenet` (a download) or a classifier's file.

    Raises:
        FileNotFoundError: the weights are not on disk, or their download failed.
        ValueError: an unknown head, or weights that do not fit.
    """
    backbone = HRNet(width=48, blocks=4, modules=(1, 4, 3), bn_momentum=bn_momentum)
    return _segmenter(backbone, num_classes, head, temperature, weights, published="hrnet_w48.ms_in1k")


def _segmenter(
    backbone: "HRNet", num_classes: int, head: str, temperature: float, weights: str | Path | None, published: str
) -> Segmenter:
    if weights == "imagenet":
        with downloading(f"the ImageNet weights {published}"):
            classifier_state = timm.create_model(published, pretrained=True).state_dict()
        load_state(backbone, classifier_state, source=published, may_miss=("fusion.",))
    elif weights is not None:
        load_weights(backbone, weights, may_miss=("fusion.",))
    return Segmenter(backbone, classifier(head, backbone.out_channels, num_classes, temperature))


class HRNet(nn.Module):
    """The trunk, and the 1×1 convolution that fuses its four resolutions at stride 4 (`out_channels` = 15 × width).

    Args:
        width: channels of the first branch; each further one has twice as many.
        blocks: residual blocks of a branch.
        modules: how often stages 2, 3 and 4 exchange features.

    Raises:
        ValueError: a momentum of batch norm that is no share.
    """

    def __init__(self, width: int, blocks: int, modules: Sequence[int], bn_momentum: float = 0.1) -> None:
        super().__init__()
        if not 0 < bn_momentum <= 1:
            raise ValueError(f"model.bn_momentum is {bn_momentum}; expected a share above 0 and at most 1")
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.out_channels = sum(widths)
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(blocks - 1)))
        self.transition1 = _transition([256], widths[:2])
        self.stage2 = _stage(widths[:2], blocks, modules[0])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(widths[:3], blocks, modules[1])
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(widths, blocks, modules[2])
        self.fusion = nn.Sequential(
            nn.Conv2d(self.out_channels, self.out_channels, 1), nn.BatchNorm2d(self.out_channels), nn.ReLU(inplace=True)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = bn_momentum

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d fh fw"]:
        features = F.relu(self.bn1(self.conv1(image)))
        features = self.layer1(F.relu(self.bn2(self.conv2(features))))
        branches = self.stage2(_branch_out([features], self.transition1))
        branches = self.stage3(_branch_out(branches, self.transition2))
        branches = self.stage4(_branch_out(branches, self.transition3))
        return self.fusion(torch.cat([_resize(branch, branches[0]) for branch in branches], dim=1))


class Exchange(nn.Module):
    """Residual blocks on every branch, then each branch becomes the sum of all, resized to its resolution."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in widths)
        self.fuse_layers: Any = nn.ModuleList(  # torch does not say of what
            nn.ModuleList(_fuse_layer(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        features = [branch(feature) for branch, feature in zip(self.branches, features, strict=True)]
        return [
            F.relu(reduce(torch.add, (_resize(fuse(f), like) for fuse, f in zip(layers, features, strict=True))))
            for like, layers in zip(features, self.fuse_layers, strict=True)
        ]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n d h w"]:
        residual = F.relu(self.bn1(self.conv1(features)))
        return F.relu(features + self.bn2(self.conv2(residual)))


def _stage(widths: Sequence[int], blocks: int, modules: int) -> nn.Sequential:
    return nn.Sequential(*(Exchange(widths, blocks) for _ in range(modules)))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Adapt the width of the existing branches and open one new branch at half the last one's resolution."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else _conv_bn_relu(old, new) for old, new in zip(before, after, strict=False)
    ]
    # The extra Sequential is how the published checkpoints name it: transition1.1.0.0.weight.
    layers.append(nn.Sequential(_conv_bn_relu(before[-1], after[-1], stride=2)))
    return nn.ModuleList(layers)


def _branch_out(branches: list[Tensor], transition: nn.ModuleList) -> list[Tensor]:
    return [layer(branch) for layer, branch in zip(transition, [*branches, branches[-1]], strict=True)]


def _fuse_layer(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: a 1×1 convolution upwards (resized later), strided 3×3 convolutions downwards."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(nn.Conv2d(widths[source], widths[target], 1, bias=False), nn.BatchNorm2d(widths[target]))
    steps = [widths[source]] * (target - source) + [widths[target]]
    layers = [_conv_bn_relu(old, new, stride=2) for old, new in pairwise(steps)]
    layers[-1] = layers[-1][:2]  # the sum is rectified, not its terms
    return nn.Sequential(*layers)


def _conv_bn_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _resize(features: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the real size of the other branch: strides round up, so that any image size works."""
    if features.shape[-2:] == like.shape[-2:]:
        return features
    return F.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=True)
