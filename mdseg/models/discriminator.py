"""A convolutional network that tells patch by patch which domain a map of predictions comes from."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (1, 2, 4, 8)  # of the layers, relative to the first
SMALLEST = 2 ** (len(WIDTHS) + 1)  # pixels that one patch stands for


class PatchDiscriminator(nn.Module):
    """Five 4×4 convolutions of stride 2, leaky ReLU (0.2) between them, no norm: one logit per patch of 32×32 pixels.

    In the manner of DCGAN (Radford et al., ICLR 2016, arXiv:1511.06434), as in AdaptSegNet (Tsai et al., CVPR 2018,
    arXiv:1802.10349) and AdvEnt: with 64 channels and 19 classes 2 781 121 parameters; 512×1024 pixels give 16×32.

    Args:
        channels: of the maps.
        width: channels of the first layer, the others have 2, 4 and 8 times as many.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        widths = [channels, *(width * factor for factor in WIDTHS), 1]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 ph pw"]:
        """Logits, positive where a patch looks like one of the source.

        Raises:
            ValueError: maps are smaller than a patch.
        """
        check_size((maps.shape[-2], maps.shape[-1]), SMALLEST)
        return self.layers(maps)


def check_size(size: tuple[int, int] | None, smallest: int, where: str = "images") -> None:
    """Refuse images, of height and width `size`, that are smaller than what a discriminator looks at.

    Raises:
        ValueError: they are; `where` is what they are called.
    """
    if size is not None and min(size) < smallest:
        height, width = size
        raise ValueError(
            f"a discriminator looks at patches of {smallest}×{smallest} pixels, but {where} are {height}×{width}: "
            "set a larger transform.crop"
        )
