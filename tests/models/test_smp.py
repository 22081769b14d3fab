import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import timm
import torch

from mdseg.models.smp import encoder_decoder

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("arch", "encoder", "stride", "options"),
    [
        ("Unet", "resnet18", 1, {}),
        ("UnetPlusPlus", "tu-mobilenetv3_small_050", 1, {}),
        ("MAnet", "tu-mobilenetv3_small_050", 1, {}),
        ("Linknet", "resnet18", 1, {}),
        ("FPN", "tu-convnext_atto", 4, {}),
        ("PSPNet", "resnet18", 8, {}),
        ("DeepLabV3", "tu-mobilenetv3_small_050", 8, {}),
        ("DeepLabV3Plus", "resnet18", 4, {"encoder_output_stride": 8}),
        ("PAN", "tu-mobilenetv3_small_050", 4, {}),
        ("UPerNet", "tu-convnext_atto", 4, {}),
        ("Segformer", "mit_b0", 4, {}),
    ],
)
def test_architectures_answer_at_their_stride(arch, encoder, stride, options):
    model = encoder_decoder(num_classes=7, arch=arch, encoder=encoder, options=options)
    height, width = 128, 64 * 3
    assert height % model.input_multiple == width % model.input_multiple == 0
    image = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    with torch.no_grad():
        assert model(image).shape == (2, 7, height // stride, width // stride)


@pytest.mark.parametrize("arch", ["FPN", "PSPNet", "UPerNet"])
def test_the_smallest_step_in_size_is_the_input_multiple(arch):
    model = encoder_decoder(num_classes=3, arch=arch, encoder="tu-mobilenetv3_small_050").eval()
    m = model.input_multiple
    assert model(torch.zeros(1, 3, 3 * m, 2 * m)).shape[:2] == (1, 3)
    with pytest.raises(RuntimeError, match="divisible"):
        model(torch.zeros(1, 3, 3 * m + 1, 2 * m))


@pytest.mark.parametrize(
    ("arch", "stride", "options"),
    [
        ("PSPNet", 8, {"encoder_depth": 5, "output_stride": 8}),
        ("UPerNet", 16, {}),
        ("DeepLabV3Plus", 8, {"encoder_output_stride": 8}),
    ],
)
@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_an_auxiliary_head_answers_on_the_third_stage(arch, stride, options, encoder):
    torch.manual_seed(0)
    model = encoder_decoder(3, arch=arch, encoder=encoder, options=options, low_head=True, head="linear")
    image = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    levels = model.levels(image)
    assert levels.low.shape == (2, 3, 64 // stride, 96 // stride)
    levels.low.square().mean().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    beyond = ("head.", "backbone.decoder.", "backbone.encoder.layer4.", "backbone.encoder.model.layer4.")
    assert reached == {name for name, _ in model.named_parameters() if not name.startswith(beyond)}


def test_an_auxiliary_head_changes_no_other_weight_and_no_key():
    states = []
    for low_head in (False, True):
        torch.manual_seed(0)
        states.append(encoder_decoder(3, arch="UPerNet", encoder="resnet18", low_head=low_head).state_dict())
    plain, with_low_head = states
    assert all(key.startswith("low_head.") for key in with_low_head.keys() - plain.keys())
    assert all(torch.equal(with_low_head[key], value) for key, value in plain.items())


@pytest.mark.parametrize(
    ("arch", "message"), [("PSPNet", r"model\.options\.encoder_depth=5"), ("DPT", r"choose another model\.arch")]
)
def test_an_auxiliary_head_without_a_third_stage_is_an_error(arch, message):
    encoder = "tu-vit_tiny_patch16_224" if arch == "DPT" else "resnet18"
    with pytest.raises(ValueError, match=message):
        encoder_decoder(2, arch=arch, encoder=encoder, low_head=True)


def test_architecture_names_ignore_case():
    assert encoder_decoder(2, arch="upernet", encoder="resnet18").head.weight.shape[0] == 2


def test_unknown_architectures_and_encoders_get_suggestions():
    with pytest.raises(ValueError, match=r"model\.arch: 'upernett'.*upernet"):
        encoder_decoder(2, arch="UperNett")
    with pytest.raises(ValueError, match=r"model\.encoder: 'resnet19'.*resnet18"):
        encoder_decoder(2, encoder="resnet19")
    with pytest.raises(ValueError, match=r"model\.encoder: 'tu-convnxt_tiny'.*tu-convnext_tiny"):
        encoder_decoder(2, encoder="tu-convnxt_tiny")


def test_options_that_an_architecture_refuses_are_named():
    with pytest.raises(ValueError, match=r"model\.arch=Linknet with model\.encoder=mit_b0"):
        encoder_decoder(2, arch="Linknet", encoder="mit_b0")


def test_a_timm_encoder_is_normalised_as_its_weights_were():
    model = encoder_decoder(2, encoder="tu-mobilenetv3_small_050")
    cfg = timm.get_pretrained_cfg("mobilenetv3_small_050")
    torch.testing.assert_close(model.mean.flatten(), 255 * torch.tensor(cfg.mean))


def test_weights_of_an_encoder_come_from_a_file(tmp_path):
    state = smp.encoders.get_encoder("resnet18").state_dict()
    torch.save({**state, "fc.weight": torch.zeros(1000, 512)}, tmp_path / "resnet18.pth")
    model = encoder_decoder(2, encoder="resnet18", weights=tmp_path / "resnet18.pth")
    assert torch.equal(model.backbone.encoder.conv1.weight, state["conv1.weight"])


def test_weights_of_a_timm_encoder_come_from_a_file(tmp_path):
    state = timm.create_model("convnext_atto").state_dict()
    torch.save(state, tmp_path / "atto.pth")
    model = encoder_decoder(2, encoder="tu-convnext_atto", weights=str(tmp_path / "atto.pth"))
    assert torch.equal(model.backbone.encoder.model.stem_0.weight, state["stem.0.weight"])


@pytest.mark.parametrize("encoder", ["resnet18", "tu-convnext_atto"])
def test_weights_of_another_network_are_an_error(tmp_path, encoder):
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth"):
        encoder_decoder(2, encoder=encoder, weights=tmp_path / "other.pth")


@pytest.mark.parametrize("encoder", ["resnet18", "tu-mobilenetv3_small_050"])
def test_a_download_without_a_network_says_what_to_do(monkeypatch, tmp_path, encoder):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"ImageNet weights of {encoder}.*model\.weights"):
        encoder_decoder(2, encoder=encoder, weights="imagenet")


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        encoder_decoder(2, encoder="resnet18", weights=tmp_path / "absent.pth")
