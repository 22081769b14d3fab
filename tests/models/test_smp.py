import re

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import timm
import torch

from mdseg.models.smp import encoder_decoder
from mdseg.system.wording import Remark

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


@pytest.mark.parametrize(("arch", "encoder"), [("Segformer", "mit_b0"), ("PSPNet", "resnet18")])
def test_an_encoder_s_own_file_is_loaded_and_nothing_else_changes(tmp_path, arch, encoder):
    torch.save(smp.encoders.get_encoder(encoder).state_dict(), tmp_path / "w.pth")
    states = []
    for weights in (None, tmp_path / "w.pth"):
        torch.manual_seed(0)
        states.append(encoder_decoder(2, arch=arch, encoder=encoder, weights=weights).state_dict())
    differing = {key for key, value in states[0].items() if not torch.equal(value, states[1][key])}
    assert differing
    assert all(key.startswith("backbone.encoder.") for key in differing)


def test_weights_of_an_encoder_come_from_a_file(tmp_path):
    state = smp.encoders.get_encoder("resnet18").state_dict()
    torch.save({**state, "fc.weight": torch.zeros(1000, 512)}, tmp_path / "resnet18.pth")
    model = encoder_decoder(2, encoder="resnet18", weights=tmp_path / "resnet18.pth")
    assert torch.equal(model.backbone.encoder.conv1.weight, state["conv1.weight"])


# timm cuts networks down to encoders in several ways, each with names of its own; DPT takes whole ones.
FAMILIES = {"tu-test_convnext": "FPN", "tu-test_efficientnet": "Unet", "tu-test_resnet": "FPN", "tu-test_vit": "DPT"}
SMALL = {"DPT": {"decoder_intermediate_channels": [8] * 4, "decoder_fusion_channels": 8}}


def encoder_from(file, encoder):
    arch = FAMILIES[encoder]
    return encoder_decoder(2, arch=arch, encoder=encoder, weights=file, options=SMALL.get(arch)).backbone.encoder


def published(name):
    """A state dict as timm publishes it, with values that no initialisation has."""
    state = timm.create_model(name.removeprefix("tu-")).state_dict()
    return {key: torch.rand_like(value) if value.is_floating_point() else value for key, value in state.items()}


def renamed(state, changes):
    """The tensors under other names: what is to be replaced in them, one after the other → by what."""
    found = {}
    for key, value in state.items():
        for old, new in changes.items():
            key = re.sub(old, new, key)
        found[key] = value
    return found


def in_facebooks_names(state):
    """ConvNeXt as its authors' code calls it, which timm translates."""
    changes = {
        r"^stem\.": "downsample_layers.0.",
        r"^stages\.(\d)\.downsample\.": r"downsample_layers.\1.",
        r"\.blocks\.": ".",
        "conv_dw": "dwconv",
        r"mlp\.fc(\d)": r"pwconv\1",
        r"^head\.norm\.": "norm.",
        r"^head\.fc\.": "head.",
    }
    return renamed(state, changes)


@pytest.mark.parametrize("encoder", FAMILIES)
def test_weights_of_a_timm_encoder_come_from_a_file(tmp_path, encoder):
    state = published(encoder)
    torch.save(state, tmp_path / "w.pth")
    found = encoder_from(tmp_path / "w.pth", encoder).state_dict()
    assert {v.numpy().tobytes() for v in found.values()} <= {v.numpy().tobytes() for v in state.values()}

    # The same under what other programs put before the names; the encoder's own file, as smp or we would save it.
    others = {key: torch.zeros_like(value) for key, value in state.items()}
    for document in (
        {"state_dict": {f"module.backbone.{key}": value for key, value in state.items()}},
        {"student": others, "teacher": state},
        {f"model.backbone.encoder.{key}": value for key, value in found.items()},
    ):
        torch.save(document, tmp_path / "w.pth")
        with pytest.warns(Remark, match=r"w\.pth: the weights whose names begin with"):
            again = encoder_from(tmp_path / "w.pth", encoder).state_dict()
        assert all(torch.equal(value, again[key]) for key, value in found.items())


@pytest.mark.parametrize("encoder", FAMILIES)
def test_timm_encoders_refuse_a_file_that_lacks_some_with_counts(tmp_path, encoder):
    """timm 1.0.31 takes such a file without a word: `features_only` makes it load without `strict`."""
    state = published(encoder)
    keys = [key for key, value in state.items() if value.is_floating_point()]
    for lost in (1, len(keys) // 2, len(keys)):
        torch.save({key: state[key] for key in keys[lost:]} | {"another.weight": torch.ones(2)}, tmp_path / "part.pth")
        with pytest.raises(ValueError, match=r"part\.pth does not fit Timm\w+: \d+ of \d+ keys") as caught:
            encoder_from(tmp_path / "part.pth", encoder)
        missing, total = map(int, re.search(r"(\d+) of (\d+) keys", str(caught.value)).groups())
        assert missing == lost or (lost == len(keys) and missing > total / 2)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_in_the_names_of_another_code_are_translated_by_timm(tmp_path, prefix):
    state = published("test_convnext")
    torch.save(state, tmp_path / "timm.pth")
    renamed = in_facebooks_names(state)
    torch.save({"model": {prefix + key: value for key, value in renamed.items()}}, tmp_path / "facebook.pth")
    ours, theirs = (encoder_from(tmp_path / f"{name}.pth", "tu-test_convnext") for name in ("timm", "facebook"))
    theirs = theirs.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in ours.state_dict().items())

    torch.save({key: value for key, value in renamed.items() if not key.startswith("stages.3")}, tmp_path / "part.pth")
    with pytest.raises(
        ValueError, match=r"part\.pth, in timm's names, does not fit TimmUniversalEncoder: 18 of 97 keys"
    ):
        encoder_from(tmp_path / "part.pth", "tu-test_convnext")


def in_the_authors_names(state):
    """PVT-v2, likewise."""
    changes = {
        r"^patch_embed\.": lambda found: "patch_embed1.",
        r"^stages\.(\d)\.blocks\.": lambda found: f"block{int(found[1]) + 1}.",
        r"^stages\.(\d)\.downsample\.": lambda found: f"patch_embed{int(found[1]) + 1}.",
        r"^stages\.(\d)\.norm\.": lambda found: f"norm{int(found[1]) + 1}.",
        r"mlp\.dwconv\.": lambda found: "mlp.dwconv.dwconv.",
    }
    return renamed(state, changes)


@pytest.mark.parametrize(
    ("encoder", "rename", "longer", "message"),
    [
        ("tu-pvt_v2_b0", in_the_authors_names, ("block3.0.", "block3.2."), r"tensors do, and \d+ more .*block3\.2\."),
        ("tu-pvt_v2_b0", in_the_authors_names, ("block4.0.", "block4.2."), r"tensors do, and \d+ more .*block4\.2\."),
        ("tu-test_convnext", in_facebooks_names, ("stages.1.0.", "stages.1.7."), r"stages\.1\.blocks\.7"),
    ],
    ids=["in between", "at the end", "as timm says it"],
)
def test_weights_of_a_deeper_network_in_the_names_of_another_code_are_an_error(
    tmp_path, encoder, rename, longer, message
):
    """timm 1.0.31 drops what is left over without a word, as it keeps random values for what is missing."""
    state = rename(published(encoder.removeprefix("tu-")))
    torch.save({"model": state}, tmp_path / "w.pth")
    encoder_decoder(2, encoder=encoder, weights=tmp_path / "w.pth")
    torch.save(
        {"model": {key.replace(*longer): value for key, value in state.items()} | state}, tmp_path / "deeper.pth"
    )
    with pytest.raises(ValueError, match=rf"deeper\.pth does not fit .*{message}"):
        encoder_decoder(2, encoder=encoder, weights=tmp_path / "deeper.pth")


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_a_longer_last_stage_is_that_of_a_deeper_network(tmp_path, encoder):
    state = timm.create_model("resnet18").state_dict()
    longer = {key.replace("layer4.1.", "layer4.2."): value for key, value in state.items()}
    torch.save(longer | state, tmp_path / "longer.pth")
    with pytest.raises(ValueError, match=r"longer\.pth does not fit .* further keys \(layer4\.2\.conv1\.weight"):
        encoder_decoder(2, encoder=encoder, weights=tmp_path / "longer.pth")


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_an_option_that_nothing_takes_is_an_error(encoder):
    """smp 0.6.0 drops those of its own encoders without a word."""
    with pytest.raises(ValueError, match="encoder_output_strid"):
        encoder_decoder(2, encoder=encoder, options={"encoder_output_strid": 8})


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_weights_of_a_deeper_network_are_an_error(tmp_path, encoder):
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(ValueError, match=r"resnet34\.pth does not fit .* further keys \(layer1\.2\.conv1\.weight"):
        encoder_decoder(2, encoder=encoder, weights=tmp_path / "resnet34.pth")


@pytest.mark.parametrize(("arch", "encoder"), [("PSPNet", "test_convnext"), ("Unet", "ghostnet_050")])
def test_a_file_may_have_more_layers_at_its_end_than_an_encoder_uses(tmp_path, arch, encoder):
    torch.save(published(encoder), tmp_path / "w.pth")
    encoder_decoder(2, arch=arch, encoder=f"tu-{encoder}", weights=tmp_path / "w.pth")


def test_a_file_changes_nothing_but_the_encoder(tmp_path):
    torch.save(published("test_resnet"), tmp_path / "w.pth")
    states = []
    for weights in (None, tmp_path / "w.pth"):
        torch.manual_seed(0)
        states.append(encoder_decoder(3, encoder="tu-test_resnet", weights=weights).state_dict())
    random, loaded = states
    assert random.keys() == loaded.keys()
    differing = {key for key in random if not torch.equal(random[key], loaded[key])}
    assert differing
    assert all(key.startswith("backbone.encoder.") for key in differing)


def test_a_vision_transformer_may_come_without_its_classifier(tmp_path):
    state = published("test_vit")
    torch.save({"teacher": {f"backbone.{key}": v for key, v in state.items() if "head" not in key}}, tmp_path / "w.pth")
    assert torch.equal(encoder_from(tmp_path / "w.pth", "tu-test_vit").model.pos_embed, state["pos_embed"])


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
