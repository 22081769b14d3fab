"""DRN: a residual network that stops striding at 8 and dilates instead, and ends without residuals against gridding.

Yu, Koltun and Funkhouser, CVPR 2017, arXiv:1705.09914. Modules carry the names of the authors' ImageNet classifier
(`layer0` to `layer8`), so that its file loads as it is.
"""

from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.heads import classifier
from mdseg.models.segmenter import Segmenter
from mdseg.models.weights import load_weights


def drn_d_22(
    num_classes: int,
    head: str = "linear",
    temperature: float = 20.0,
    weights: str | Path | None = None,
) -> Segmenter:
    """DRN-D-22: stride 8, any image size.

    A linear head starts as in the authors' code, like the convolutions of the trunk: much wider than
    :func:`~mdseg.models.heads.classifier` makes it. Their frozen transposed convolution is the upsampling that losses
    and evaluation do with `align_corners=false`, except on the outermost four pixels.

    Args:
        weights: null, or the file of the authors' ImageNet classifier (`drn_d_22-4bd2f8ea.pth`); there is no download.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown head, or weights that do not fit.
    """
    backbone = DRN()
    if weights is not None:
        _load(backbone, weights)
    network = Segmenter(backbone, classifier(head, backbone.out_channels, num_classes, temperature))
    _initialise(network.head)
    return network


class DRN(nn.Module):
    """The trunk of DRN-D-22: `layer0` to `layer2` and `layer7`, `layer8` are plain convolutions, the rest residual."""

    def __init__(self) -> None:
        super().__init__()
        self.out_channels = 512
        self.layer0 = _conv_bn_relu(3, 16, kernel_size=7)
        self.layer1 = _conv_bn_relu(16, 16)
        self.layer2 = _conv_bn_relu(16, 32, stride=2)
        self.layer3 = _stage(32, 64, stride=2)
        self.layer4 = _stage(64, 128, stride=2)
        self.layer5 = _stage(128, 256, dilation=2)
        self.layer6 = _stage(256, 512, dilation=4)
        self.layer7 = _conv_bn_relu(512, 512, dilation=2)
        self.layer8 = _conv_bn_relu(512, 512)
        _initialise(self)

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d fh fw"]:
        features = self.layer2(self.layer1(self.layer0(image)))
        features = self.layer6(self.layer5(self.layer4(self.layer3(features))))
        return self.layer8(self.layer7(features))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, of the same dilation, with a residual connection."""

    def __init__(self, in_channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != width:
            shortcut = nn.Conv2d(in_channels, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n e h2 w2"]:
        residual = F.relu(self.bn1(self.conv1(features)))
        return F.relu(self.downsample(features) + self.bn2(self.conv2(residual)))


def _stage(in_channels: int, width: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, width, stride, dilation),
        BasicBlock(width, width, dilation=dilation),
    )


def _conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _initialise(module: nn.Module) -> None:
    """Draw the convolutions from normal(0, sqrt(2 / (k² × out_channels))), as the authors' code does."""
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def _load(backbone: DRN, weights: str | Path) -> None:
    if weights == "imagenet":
        raise ValueError(
            "model.weights=imagenet: there is no download of DRN's weights; set model.weights to the file of the"
            " authors' classifier (drn_d_22-4bd2f8ea.pth), or to null to start from random weights"
        )
    load_weights(backbone, weights)  # the deeper networks (D-24, D-38, D-40) have all of its layers, and are refused
