"""Which sizes of images a network takes is known before it is shown one."""

import pytest
import torch
from torch import nn

from mdseg.models import sizes
from mdseg.models.joined import Joined
from mdseg.models.small import small
from mdseg.models.smp import encoder_decoder

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def fixed():
    """A vision transformer with a fixed grid."""
    return encoder_decoder(3, arch="DPT", encoder="tu-vit_tiny_patch16_224")


def test_a_size_that_a_network_is_said_to_take_it_takes(fixed):
    height, width = sizes.fitting(fixed.backbone, (96, 160))
    assert "it takes 224 × 224" in fixed.refusal((96, 160))
    with torch.no_grad():
        assert fixed.eval()(torch.zeros(1, 3, height, width)).shape[1] == 3


@pytest.mark.parametrize(
    ("arch", "encoder", "side", "why", "remedy"),
    [
        ("DPT", "tu-vit_tiny_patch16_224", 224, "doesn't match model", "+model.options.dynamic_img_size=true"),
        ("Unet", "tu-swin_tiny_patch4_window7_224", 224, "doesn't match model", "+model.options.dynamic_img_size=true"),
        ("FPN", "tu-maxvit_pico_rw_256", 256, "must be divisible by window", ""),
        ("FPN", "tu-efficientformerv2_s0", 224, "invalid for input of size", ""),
    ],
)
def test_a_network_of_some_sizes_says_why_it_refuses_others_and_what_it_takes(arch, encoder, side, why, remedy):
    network = encoder_decoder(3, arch=arch, encoder=encoder)
    assert network.refusal((side, side)) is network.refusal((side, side), images=2) is None
    said = network.refusal((96, 160))
    assert said.startswith("the network does not take 96 × 160 (")
    assert why in said
    assert remedy in said
    assert f"it takes {side} × {side}" in said


@pytest.mark.parametrize(
    ("arch", "encoder"),
    [("Unet", "resnet18"), ("UPerNet", "tu-convnext_atto"), ("Segformer", "mit_b0"), ("PSPNet", "resnet18")],
)
def test_other_networks_take_every_multiple(arch, encoder):
    network = encoder_decoder(3, arch=arch, encoder=encoder)
    for height, width in ((1, 1), (3, 5)):
        assert network.refusal((height * network.input_multiple, width * network.input_multiple)) is None


@pytest.mark.parametrize("encoder", ["tu-vit_tiny_patch16_224", "tu-vit_small_patch8_224"])
def test_a_vision_transformer_that_takes_other_sizes_takes_every_multiple(encoder):
    """Of its patches it does not: smp 0.6.0 fails in DPT's decoder where the grid of patches has an odd side."""
    options = {"dynamic_img_size": True, "decoder_readout": "ignore"}
    network = encoder_decoder(3, arch="DPT", encoder=encoder, options=options)
    assert network.input_multiple == 32
    assert network.takes_every_multiple


def test_own_networks_take_any_size_and_are_not_asked():
    assert small(3).refusal((1, 7)) is None


def test_a_network_that_normalises_over_one_value_says_how_many_images_it_needs():
    network = encoder_decoder(3, arch="DeepLabV3", encoder="resnet18")
    assert "set batch_size to 2 or more" in network.refusal((64, 64), images=1)
    assert network.refusal((64, 64), images=2) is None


def test_trying_changes_neither_modes_nor_weights_nor_random_numbers():
    network = encoder_decoder(3, arch="FPN", encoder="resnet18")
    network.backbone.encoder.bn1.eval()
    modes = [module.training for module in network.modules()]
    state, generator = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    for images in (None, 2):
        assert network.refusal((64, 64), images) is None
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


class Counting(nn.Module):
    """What cannot be tried without numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return image * self.weight if image.sum().item() > 0 else image


def test_what_cannot_be_tried_counts_as_taken():
    assert sizes.refusal(Counting(), (64, 64)) is None


def test_networks_that_are_joined_take_what_all_of_them_take(fixed):
    other = encoder_decoder(3, arch="FPN", encoder="resnet18")
    fixed.mean.copy_(other.mean)
    network = Joined({"other": other, "fixed": fixed})
    assert network.refusal((224, 224)) is None
    assert "does not take 96 × 160" in network.refusal((96, 160))
