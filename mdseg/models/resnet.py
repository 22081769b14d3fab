"""ResNets with bottlenecks, dilated for dense prediction.

He et al., CVPR 2016, arXiv:1512.03385; Chen et al., TPAMI 2018, arXiv:1606.00915 (DeepLab-v2). Modules carry the names
of torchvision's classifiers, with a deep stem those of timm's `resnet101c`, so that such files load as they are.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # residual blocks per stage


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions with a residual connection; the last one quadruples the width.

    The first convolution strides, as in the original ResNet and in DeepLab-v2; in torchvision and timm the 3×3 one
    does.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n e h2 w2"]:
        residual = F.relu(self.bn1(self.conv1(features)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        return F.relu(self.downsample(features) + self.bn3(self.conv3(residual)))


class ResNet(nn.Module):
    """Stem and four stages with strides 1, 2, 1, 1 and dilations 1, 1, 2, 4: features at stride 8.

    All blocks of a stage have its dilation, the first one too; torchvision and timm give that one half. The pool rounds
    up, so that 8 n + 1 pixels have n + 1 positions whose outermost ones lie on the outermost pixels. Answers with the
    last stage's features.

    Args:
        blocks: residual blocks of each stage.
        deep_stem: three 3×3 convolutions of 32, 32 and 64 channels in place of the 7×7 one ("v1c").
        third_stage_too: answer with the last two stages' features, the last one first.
    """

    def __init__(self, blocks: Sequence[int], deep_stem: bool = False, third_stage_too: bool = False) -> None:
        super().__init__()
        self.third_stage_too = third_stage_too
        self.third_channels, self.out_channels = 1024, 2048
        self.conv1 = _deep_stem() if deep_stem else nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.layer1 = _stage(64, 64, blocks[0])
        self.layer2 = _stage(256, 128, blocks[1], stride=2)
        self.layer3 = _stage(512, 256, blocks[2], dilation=2)
        self.layer4 = _stage(1024, 512, blocks[3], dilation=4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Tensor | tuple[Tensor, Tensor]:
        features = self.maxpool(F.relu(self.bn1(self.conv1(image))))
        third = self.layer3(self.layer2(self.layer1(features)))
        fourth = self.layer4(third)
        return (fourth, third) if self.third_stage_too else fourth

    def stem(self) -> list[nn.Module]:
        """The modules before the first stage."""
        return [*self.conv1.modules(), self.bn1]


def _stage(in_channels: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    following = (Bottleneck(4 * width, width, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(in_channels, width, stride, dilation), *following)


def _deep_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
    )
