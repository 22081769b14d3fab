import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdseg.models.drn import DRN, drn_d_22
from mdseg.models.heads import CosineClassifier
from mdseg.pixels import upsample_rows

torch.set_num_threads(1)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def layers(backbone):
    return [getattr(backbone, f"layer{number}") for number in range(9)]


def convolutions(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return drn_d_22(num_classes=19).eval()


def test_the_network_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = drn_d_22(num_classes=1000)
    assert parameters(network.backbone) == 15_880_752
    assert parameters(network) == 16_393_752


@pytest.mark.parametrize(("size", "head_size"), [((512, 1024), (64, 128)), ((713, 713), (90, 90))])
def test_features_come_at_stride_8_with_512_channels(size, head_size):
    with torch.device("meta"):
        network = drn_d_22(num_classes=19)
        image = torch.empty(1, 3, *size)
    assert network.features(image).shape == (1, 512, *head_size)


@pytest.mark.parametrize("size", [(64, 64), (61, 94), (33, 47), (1, 9)])
def test_any_size_works(model, size):
    with torch.no_grad():
        logits = model(torch.zeros(2, 3, *size, dtype=torch.uint8))
    assert logits.shape == (2, 19, -(-size[0] // 8), -(-size[1] // 8))
    assert model.input_multiple == 1


def test_layers_stride_to_8_and_then_dilate():
    with torch.device("meta"):
        found = [convolutions(layer) for layer in layers(DRN())]
    assert [len(layer) for layer in found] == [1, 1, 1, 4, 4, 4, 4, 1, 1]
    assert [layer[0].stride[0] for layer in found] == [1, 1, 2, 2, 2, 1, 1, 1, 1]
    assert {convolution.stride for layer in found for convolution in layer[1:]} == {(1, 1)}
    # All four convolutions of a dilated stage have its dilation, those of its first block too.
    assert [{convolution.dilation[0] for convolution in layer} for layer in found] == [
        {1}, {1}, {1}, {1}, {1}, {2}, {4}, {2}, {1}
    ]  # fmt: skip
    assert [layer[-1].out_channels for layer in found] == [16, 16, 32, 64, 128, 256, 512, 512, 512]
    assert found[0][0].kernel_size == (7, 7)
    assert not any(convolution.bias is not None for layer in found for convolution in layer)


def test_a_feature_sees_the_pixels_that_strides_and_dilations_let_it_see():
    # Positive weights on positive images: nothing cancels, so what has a gradient is what is seen.
    backbone = DRN().eval()
    for convolution in (m for m in backbone.modules() if isinstance(m, nn.Conv2d)):
        nn.init.constant_(convolution.weight, 1 / convolution.weight[0].numel())
    image = torch.ones(1, 3, 8, 640, requires_grad=True)
    backbone(image)[0, 0, 0, 40].backward()
    seen = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    # Pixels to either side, layer by layer; a convolution that strides looks at the positions before it.
    reach = 3 + 1 + 1 + (1 * 2 + 3 * 4) + (1 * 4 + 3 * 8) + 8 * (4 * 2 + 4 * 4 + 2 + 1)
    assert (40 * 8 - seen[0], seen[-1] - 40 * 8) == (reach, reach)


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = drn_d_22(num_classes=5)
    network(torch.randint(0, 256, (2, 3, 40, 48), dtype=torch.uint8)).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_convolutions_start_as_in_the_authors_code(model):
    for convolution in (model.backbone.layer0[0], model.backbone.layer6[0].downsample[0], model.head):
        expected = math.sqrt(2 / (convolution.kernel_size[0] ** 2 * convolution.out_channels))
        assert convolution.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert not model.head.bias.any()


def test_a_cosine_head_starts_as_everywhere():
    head = drn_d_22(num_classes=19, head="cosine", temperature=10.0).head
    assert isinstance(head, CosineClassifier)
    assert head.temperature == 10.0
    assert head.weight.std().item() == pytest.approx(512**-0.5, rel=0.05)


def conv_bn(convolution, norm, shape, counters):
    state = {f"{convolution}.weight": torch.randn(shape)}
    state |= {f"{norm}.{name}": torch.rand(shape[0]) for name in ("weight", "bias", "running_mean", "running_var")}
    return state | ({f"{norm}.num_batches_tracked": torch.tensor(7)} if counters else {})


def published(counters=False, blocks=(2, 2, 2, 2)):
    """A state dict with the keys and shapes of the authors' file: D-22, with other `blocks` a deeper one."""
    torch.manual_seed(1)
    state = {}
    plain = {0: (16, 3, 7, 7), 1: (16, 16, 3, 3), 2: (32, 16, 3, 3), 7: (512, 512, 3, 3), 8: (512, 512, 3, 3)}
    for layer, shape in plain.items():
        state |= conv_bn(f"layer{layer}.0", f"layer{layer}.1", shape, counters)
    for layer, width, count in zip((3, 4, 5, 6), (64, 128, 256, 512), blocks, strict=True):
        for block in range(count):
            name, before = f"layer{layer}.{block}", width if block else width // 2
            state |= conv_bn(f"{name}.conv1", f"{name}.bn1", (width, before, 3, 3), counters)
            state |= conv_bn(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3), counters)
        downsample = f"layer{layer}.0.downsample"
        state |= conv_bn(f"{downsample}.0", f"{downsample}.1", (width, width // 2, 1, 1), counters)
    return state | {"fc.weight": torch.randn(1000, 512, 1, 1), "fc.bias": torch.zeros(1000)}


# Of PyTorch before 0.4.1, as the authors', or saved again since; bare, or a checkpoint of their training script.
@pytest.mark.parametrize("counters", [False, True])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_weights_come_from_the_authors_classifier(tmp_path, counters, checkpoint):
    state = published(counters)
    in_file = {"epoch": 9, "state_dict": {f"module.{k}": v for k, v in state.items()}} if checkpoint else state
    torch.save(in_file, tmp_path / "drn_d_22.pth")
    ours = drn_d_22(num_classes=5, weights=tmp_path / "drn_d_22.pth").backbone.state_dict()
    assert {key for key in ours if "num_batches" not in key} == {
        key for key in state if not key.startswith("fc.") and "num_batches" not in key
    }
    assert all(torch.equal(ours[key], value) for key, value in state.items() if not key.startswith("fc."))


def test_weights_of_a_deeper_drn_are_an_error_although_they_have_all_keys(tmp_path):
    torch.save(published(blocks=(3, 2, 2, 2)), tmp_path / "drn_d_38.pth")
    with pytest.raises(ValueError, match=r"drn_d_38\.pth does not fit DRN: 0 of .* 10 further keys \(layer3\.2"):
        drn_d_22(num_classes=5, weights=tmp_path / "drn_d_38.pth")


def test_weights_of_another_network_are_an_error_that_names_the_file(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"resnet\.pth does not fit DRN: .*layer0\.0\.weight.*starts with conv1"):
        drn_d_22(num_classes=5, weights=tmp_path / "resnet.pth")


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*absent\.pth.*model\.weights=null"):
        drn_d_22(num_classes=5, weights=tmp_path / "absent.pth")


def test_asking_for_a_download_is_an_error_that_names_the_file():
    with pytest.raises(ValueError, match=r"model\.weights=imagenet: there is no download.*drn_d_22-4bd2f8ea\.pth"):
        drn_d_22(num_classes=5, weights="imagenet")


@pytest.fixture
def frozen_upsampling():
    """The authors' upsampling by 8 of 3 classes: a grouped transposed convolution with a bilinear kernel."""
    tent = 1 - (torch.arange(16) - 7.5).abs() / 8
    up = nn.ConvTranspose2d(3, 3, kernel_size=16, stride=8, padding=4, groups=3, bias=False)
    up.weight.data = torch.outer(tent, tent).expand(3, 1, 16, 16).clone()
    return up.requires_grad_(False)


def test_rows_of_the_frozen_kernel_are_sixteenths(frozen_upsampling):
    rising = torch.arange(1, 16, 2) / 16
    row = torch.cat([rising, rising.flip(0)])
    torch.testing.assert_close(frozen_upsampling.weight[0, 0, 0], row / 16)
    torch.testing.assert_close(frozen_upsampling.weight[0, 0], torch.outer(row, row))


def test_the_frozen_upsampling_keeps_a_constant_map_in_the_interior_only(frozen_upsampling):
    full = frozen_upsampling(torch.full((1, 3, 5, 6), 2.0))
    assert full.shape == (1, 3, 40, 48)
    torch.testing.assert_close(full[..., 4:-4, 4:-4], torch.full((1, 3, 32, 40), 2.0))
    # The outermost four pixels lie beyond the last positions, where it blends with zero.
    torch.testing.assert_close(full[0, 0, 20, :4], 2 * torch.tensor([9, 11, 13, 15]) / 16)


def test_the_frozen_upsampling_is_ours_but_for_the_outermost_four_pixels(frozen_upsampling):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 7, 9)
    theirs, ours = frozen_upsampling(logits), upsample_rows(logits, (56, 72), 0, 56, align_corners=False)
    torch.testing.assert_close(ours, F.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False))
    torch.testing.assert_close(theirs[..., 4:-4, 4:-4], ours[..., 4:-4, 4:-4], rtol=0, atol=1e-5)
    same = (theirs - ours).abs().amax(dim=(0, 1)) < 1e-5
    assert (same.sum(), same[4:-4, 4:-4].all()) == (48 * 64, True)
