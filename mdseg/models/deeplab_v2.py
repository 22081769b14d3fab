"""DeepLab-v2: a dilated ResNet under a sum of dilated 3×3 classifiers; the network of most adaptation papers.

Chen et al., TPAMI 2018, arXiv:1606.00915; with a second classifier on stage 3 as in AdaptSegNet (Tsai et al., CVPR
2018, arXiv:1802.10349) and in MaxSquare's "Multi" (Chen et al., ICCV 2019, arXiv:1909.13589).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import timm
from jaxtyping import Float
from torch import Tensor, nn

from mdseg.models.heads import ASPPClassifier
from mdseg.models.resnet import BLOCKS, ResNet
from mdseg.models.segmenter import IMAGENET_MEAN, IMAGENET_STD, Segmenter
from mdseg.models.weights import downloading, load_state, read_weights

CAFFE_MEAN = (122.67891434, 116.66876762, 104.00698793)  # of RGB in 0..255
BN_POLICIES = ("train", "freeze_affine", "freeze_stem_affine", "freeze")


def deeplab_v2(
    num_classes: int,
    depth: int = 101,
    aspp_rates: Sequence[int] = (6, 12, 18, 24),
    low_head: bool = False,
    bn: str = "train",
    weights: str | Path | None = None,
    caffe: bool = False,
    deep_stem: bool = False,
) -> Segmenter:
    """DeepLab-v2 on ResNet-50 or -101: stride 8, any image size; logits of 512×1024 images are 65×129.

    Args:
        aspp_rates: dilations of the classifiers' convolutions. The paper sums four; the code of AdaptSegNet, DACS and
            MaxSquare returns inside the summing loop after the second, so that most published adaptation numbers are
            those of (6, 12).
        low_head: a second classifier on stage 3.
        bn: "train"; "freeze_affine": scales and shifts are constants, statistics are still updated (AdaptSegNet,
            ADVENT, DACS); "freeze_stem_affine": so in the stem only (MaxSquare); "freeze": the statistics as well.
        weights: of the backbone: null, `imagenet` (a download) or a file with torchvision's keys or AdaptSegNet's
            (`Scale.`), with a deep stem timm's or mmsegmentation's (`stem.`). Its classifiers are left aside.
        caffe: images are BGR minus Caffe's mean without a deviation, as Caffe's weights and those of AdaptSegNet,
            MaxSquare and DACS expect; otherwise RGB with ImageNet's mean and deviation.
        deep_stem: ResNet-v1c, as in DAFormer's code, which in contrast to this network strides in the 3×3 convolution,
            gives the first block of stages 3 and 4 half their dilation and pools without rounding up.

    Raises:
        FileNotFoundError: the weights are not on disk, or their download failed.
        ValueError: an unknown depth or policy, or weights that do not fit.
    """
    if depth not in BLOCKS:
        raise ValueError(f"model.depth is {depth}; expected {' or '.join(map(str, BLOCKS))}")
    if bn not in BN_POLICIES:
        raise ValueError(f"model.bn is {bn!r}; expected one of {', '.join(BN_POLICIES)}")
    if caffe and weights == "imagenet":
        raise ValueError(
            "model.weights=imagenet are weights for RGB images; set model.caffe=false, or model.weights to a file of"
            " Caffe's weights"
        )
    backbone = Backbone(BLOCKS[depth], deep_stem, third_stage_too=low_head, bn=bn, bgr=caffe)
    if weights is not None:
        _load(backbone, weights, f"resnet{depth}{'c.gluon_in1k' if deep_stem else '.tv_in1k'}")
    return Segmenter(
        backbone,
        ASPPClassifier(backbone.out_channels, num_classes, aspp_rates),
        mean=[value / 255 for value in CAFFE_MEAN] if caffe else IMAGENET_MEAN,
        std=[1 / 255] * 3 if caffe else IMAGENET_STD,
        low_head=ASPPClassifier(backbone.third_channels, num_classes, aspp_rates) if low_head else None,
    )


class Backbone(ResNet):
    """DeepLab's ResNet with a policy for its batch norms (see :func:`deeplab_v2`), and BGR if its weights want that."""

    def __init__(self, blocks: Sequence[int], deep_stem: bool, third_stage_too: bool, bn: str, bgr: bool) -> None:
        super().__init__(blocks, deep_stem=deep_stem, third_stage_too=third_stage_too)
        self.bn, self.bgr = bn, bgr
        constant = {"train": [], "freeze_stem_affine": self.stem()}.get(bn, list(self.modules()))
        for norm in _batch_norms(constant):
            norm.requires_grad_(False)
        self.train()  # Lightning does not: a fit leaves every module in the mode that it finds it in

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Tensor | tuple[Tensor, Tensor]:
        return super().forward(image.flip(1) if self.bgr else image)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.bn == "freeze":
            for norm in _batch_norms(self.modules()):
                norm.eval()
        return self


def _batch_norms(modules: Iterable[nn.Module]) -> list[nn.Module]:
    # SyncBatchNorm, which a trainer may put in place of BatchNorm2d, is one of these too.
    return [module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def _load(backbone: Backbone, weights: str | Path, published: str) -> None:
    if weights == "imagenet":
        with downloading(f"the ImageNet weights {published}"):
            found, source = timm.create_model(published, pretrained=True).state_dict(), published
    else:
        found, source = read_weights(weights), str(weights)
    # mmsegmentation's v1c: the same layers under another name.
    found = {key.replace("stem.7.", "bn1.").replace("stem.", "conv1."): value for key, value in found.items()}
    load_state(backbone, found, source)
