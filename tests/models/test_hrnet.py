import huggingface_hub
import pytest
import timm
import torch

from mdseg.models.hrnet import HRNet, hrnet_w18, hrnet_w18_small, hrnet_w48

torch.set_num_threads(1)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def w18():
    torch.manual_seed(0)
    return hrnet_w18_small(num_classes=70)


@pytest.mark.parametrize(
    ("network", "trunk", "fusion", "channels"),
    [
        (hrnet_w18_small, 3_860_720, 73_710, 270),
        (hrnet_w18, 9_562_260, 73_710, 270),
        (hrnet_w48, 65_325_120, 520_560, 720),
    ],
)
def test_networks_have_the_published_number_of_parameters(network, trunk, fusion, channels):
    with torch.device("meta"):
        model = network(num_classes=70)
    assert parameters(model.backbone.fusion) == fusion
    assert parameters(model.backbone) - fusion == trunk
    assert parameters(model.head) == 70 * channels


@pytest.mark.parametrize(("size", "head_size"), [(713, 179), (512, 128)])
def test_features_come_at_stride_4(size, head_size):
    with torch.device("meta"):
        model = hrnet_w18_small(num_classes=70)
        image = torch.empty(1, 3, size, size)
    assert model.features(image).shape == (1, 270, head_size, head_size)


@pytest.mark.parametrize("size", [(64, 64), (61, 94), (33, 47)])
def test_any_size_works(w18, size):
    logits = w18(torch.zeros(2, 3, *size, dtype=torch.uint8))
    assert logits.shape == (2, 70, -(-size[0] // 4), -(-size[1] // 4))
    assert w18.input_multiple == 1


def test_every_parameter_gets_a_gradient(w18):
    w18(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in w18.parameters())


@pytest.mark.parametrize(
    ("network", "name"),
    [(hrnet_w18_small, "hrnet_w18_small_v2"), (hrnet_w18, "hrnet_w18"), (hrnet_w48, "hrnet_w48")],
    ids=["w18_small", "w18", "w48"],
)
def test_trunk_keys_and_shapes_are_those_of_the_published_classifiers(network, name):
    with torch.device("meta"):
        ours, published = network(num_classes=2).backbone.state_dict(), timm.create_model(name).state_dict()
    heads = ("incre_modules", "downsamp_modules", "final_layer", "classifier")
    assert {key: value.shape for key, value in ours.items() if not key.startswith("fusion")} == {
        key: value.shape for key, value in published.items() if not key.startswith(heads)
    }


def test_an_eval_forward_agrees_with_timms_trunk(tmp_path):
    torch.manual_seed(0)
    published = timm.create_model("hrnet_w18_small_v2").eval()
    torch.save(published.state_dict(), tmp_path / "classifier.pth")
    ours = hrnet_w18_small(num_classes=2, weights=tmp_path / "classifier.pth").eval()
    image = torch.rand(1, 3, 64, 64)
    stem = published.act2(published.bn2(published.conv2(published.act1(published.bn1(published.conv1(image))))))
    theirs = published.layer1(stem)
    torch.testing.assert_close(ours.backbone.layer1(stem), theirs, rtol=1e-4, atol=1e-4)
    # The finest branch of stage 2 differs by how timm resizes (nearest); the coarsest receives no resized branch.
    branches = [layer(theirs) for layer in published.transition1]
    mine = ours.backbone.stage2([layer(theirs) for layer in ours.backbone.transition1])
    torch.testing.assert_close(mine[-1], published.stage2(branches)[-1], rtol=1e-4, atol=1e-4)


def test_a_download_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"hrnet_w18_small_v2\.ms_in1k.*model\.weights"):
        hrnet_w18_small(2, weights="imagenet")


def test_batch_norm_momentum_is_the_configured_one():
    backbone = HRNet(width=4, blocks=1, modules=(1, 1, 1), bn_momentum=0.03)
    momenta = {m.momentum for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.03}
