"""Networks of image-to-image translation (UNIT): two encoders and two decoders that share their innermost part."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

DOMAINS = ("source", "target")
PATCH_LAYERS = 4  # of a discriminator, each of which halves the resolution


class Translator(nn.Module):
    """An encoder and a decoder for each of two domains, with one latent space.

    Liu, Breuel, Kautz, NIPS 2017 (arXiv:1703.00848). The last residual block of both encoders and the first one of both
    decoders are the same layers: what an image is in the latent space does not depend on its domain.

    Args:
        width: channels of the first layer; each downsampling doubles them.
        downsamplings: how often the resolution is halved.
        blocks: residual blocks of an encoder, and of a decoder, besides the shared one.
        amplitude: largest absolute value of a decoded image, by a tanh. Above 1, black and white lie where it has a
            slope: a decoder that answers black everywhere in a region can still learn that it should not.
    """

    def __init__(self, width: int = 64, blocks: int = 3, downsamplings: int = 2, amplitude: float | int = 1) -> None:
        super().__init__()
        widths = [width * 2**halved for halved in range(downsamplings + 1)]
        self.encoders = nn.ModuleDict({domain: _encoder(widths, blocks) for domain in DOMAINS})
        self.decoders = nn.ModuleDict({domain: _decoder(widths, blocks) for domain in DOMAINS})
        self.shared_encoder, self.shared_decoder = Residual(widths[-1]), Residual(widths[-1])
        self.multiple, self.amplitude = 2**downsamplings, amplitude

    def encode(self, image: Float[Tensor, "n 3 h w"], domain: str) -> Float[Tensor, "n d fh fw"]:
        """Mean of the latent code, whose deviation is 1, of images in [-1, 1] with sides that `multiple` divides."""
        return self.shared_encoder(self.encoders[domain](image))

    def decode(self, code: Float[Tensor, "n d fh fw"], domain: str) -> Float[Tensor, "n 3 h w"]:
        """Image of a domain, black at -1 and white at 1, up to `amplitude`."""
        return self.amplitude * (self.decoders[domain](self.shared_decoder(code)) / self.amplitude).tanh()

    @torch.no_grad()
    def translate(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Images of the source as the target would show them, of any size and without noise; scaled as decoded ones."""
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        return self.decode(self.encode(padded, "source"), "target")[..., :height, :width]


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators at full, half and quarter resolution (Wang et al., CVPR 2018, arXiv:1711.11585).

    Args:
        width: channels of the first of four layers, each of which has twice as many.
        scales: how many there are.
    """

    def __init__(self, width: int = 64, scales: int = 3) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_patches(width) for _ in range(scales))

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n 1 ph pw"]]:
        """One map of verdicts per scale."""
        verdicts = []
        for scale in self.scales:
            verdicts.append(scale(image))
            image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
        return verdicts


class Residual(nn.Module):
    """Two 3×3 convolutions with instance norm beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, 3)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.InstanceNorm2d(channels)
        )

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n d h w"]:
        return features + self.second(self.first(features))


def _encoder(widths: list[int], blocks: int) -> nn.Sequential:
    layers = [_convolution(3, widths[0], 7)]
    layers += [_convolution(before, after, 4, stride=2) for before, after in pairwise(widths)]
    return nn.Sequential(*layers, *(Residual(widths[-1]) for _ in range(blocks)))


def _decoder(widths: list[int], blocks: int) -> nn.Sequential:
    layers: list[nn.Module] = [Residual(widths[-1]) for _ in range(blocks)]
    for before, after in pairwise(reversed(widths)):
        layers += [nn.Upsample(scale_factor=2), _convolution(before, after, 5, norm=nn.GroupNorm(1, after))]
    return nn.Sequential(*layers, nn.Conv2d(widths[0], 3, 7, padding=3, padding_mode="reflect"))


def smallest_image(scales: int) -> int:
    """Pixels that one patch of the coarsest of so many discriminators stands for."""
    return 2 ** (PATCH_LAYERS + scales - 1)


def _patches(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise((3, *(width * 2**layer for layer in range(PATCH_LAYERS)))):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width * 2 ** (PATCH_LAYERS - 1), 1, 1))


def _convolution(before: int, after: int, kernel: int, stride: int = 1, norm: nn.Module | None = None) -> nn.Sequential:
    padding = (kernel - stride + 1) // 2
    convolution = nn.Conv2d(before, after, kernel, stride, padding, padding_mode="reflect")
    return nn.Sequential(convolution, norm or nn.InstanceNorm2d(after), nn.ReLU())
