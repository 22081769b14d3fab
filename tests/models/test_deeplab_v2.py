import huggingface_hub
import pytest
import timm
import torch
from torch import nn

from mdseg.models.deeplab_v2 import CAFFE_MEAN, Backbone, deeplab_v2
from mdseg.models.heads import ASPPClassifier
from mdseg.models.segmenter import Segmenter

torch.set_num_threads(1)

MINIATURE = (1, 1, 1, 1)


def tiny(bn="train", low_head=False, bgr=False, deep_stem=False):
    """The network with one block per stage and 3 classes."""
    torch.manual_seed(0)
    backbone = Backbone(MINIATURE, deep_stem, third_stage_too=low_head, bn=bn, bgr=bgr)
    low = ASPPClassifier(1024, 3, (6, 12)) if low_head else None
    return Segmenter(backbone, ASPPClassifier(2048, 3, (6, 12)), low_head=low)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def norms(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("rates", "high", "low"), [((6, 12, 18, 24), 1_400_908, 700_492), ((6, 12), 700_454, 350_246)], ids=["four", "two"]
)
def test_heads_have_the_number_of_parameters_of_dilated_convolutions(rates, high, low):
    with torch.device("meta"):
        model = deeplab_v2(num_classes=19, aspp_rates=rates, low_head=True)
    assert (parameters(model.head), parameters(model.low_head)) == (high, low)


@pytest.mark.parametrize(("depth", "deep_stem"), [(50, False), (101, False), (50, True), (101, True)])
def test_backbone_keys_and_shapes_are_those_of_published_classifiers(depth, deep_stem):
    with torch.device("meta"):
        ours = deeplab_v2(2, depth=depth, deep_stem=deep_stem).backbone.state_dict()
        published = timm.create_model(f"resnet{depth}{'c' if deep_stem else ''}", num_classes=0).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in published.items()}


@pytest.mark.parametrize(
    ("size", "head_size"),
    [((512, 1024), (65, 129)), ((720, 1280), (91, 161)), ((760, 1280), (96, 161)), ((321, 321), (41, 41))],
)
def test_both_levels_have_a_position_every_eight_pixels_and_one_more(size, head_size):
    with torch.device("meta"):
        model = deeplab_v2(num_classes=19, low_head=True)
        levels = model.levels(torch.empty(1, 3, *size))
    assert levels.high.shape == levels.low.shape == (1, 19, *head_size)
    assert model.input_multiple == 1


@pytest.mark.parametrize("deep_stem", [False, True])
@pytest.mark.parametrize(("size", "head_size"), [((37, 61), (5, 8)), ((64, 65), (9, 9))])
def test_any_size_works(size, head_size, deep_stem):
    model = tiny(deep_stem=deep_stem).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, *size, dtype=torch.uint8)).shape == (1, 3, *head_size)


def test_the_stride_sits_in_the_first_convolution_and_all_blocks_of_a_stage_share_its_dilation():
    with torch.device("meta"):
        backbone = deeplab_v2(2).backbone
    stages = [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
    assert [len(stage) for stage in stages] == [3, 4, 23, 3]
    assert [stage[0].conv1.stride[0] for stage in stages] == [1, 2, 1, 1]
    assert {block.conv2.stride for stage in stages for block in stage} == {(1, 1)}
    assert [{block.conv2.dilation[0] for block in stage} for stage in stages] == [{1}, {1}, {2}, {4}]


def test_the_classifier_is_the_sum_of_its_convolutions():
    head, features = ASPPClassifier(4, 3, (1, 2, 3)), torch.randn(2, 4, 9, 9)
    total = sum(convolution(features) for convolution in head.convolutions)
    torch.testing.assert_close(head(features), total)
    assert head(features).shape == (2, 3, 9, 9)


def test_new_classifiers_have_small_weights():
    torch.manual_seed(0)
    head = ASPPClassifier(512, 8, (6, 12))
    assert all(convolution.weight.std().sub(0.01).abs() < 1e-4 for convolution in head.convolutions)


def test_a_loss_on_the_low_head_reaches_the_first_three_stages_and_nothing_else():
    model = tiny(low_head=True)
    model.levels(torch.randint(0, 256, (1, 3, 40, 48), dtype=torch.uint8)).low.square().mean().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    beyond = ("head.", "backbone.layer4.")
    assert reached == {name for name, _ in model.named_parameters() if not name.startswith(beyond)}
    assert all(convolution.weight.grad.any() for convolution in model.low_head.convolutions)


@pytest.mark.parametrize(
    ("bn", "constant", "updated"),
    [
        ("train", lambda name: False, True),
        ("freeze_affine", lambda name: True, True),
        ("freeze_stem_affine", lambda name: name in ("backbone.bn1", "backbone.conv1.1", "backbone.conv1.4"), True),
        ("freeze", lambda name: True, False),
    ],
)
@pytest.mark.parametrize("deep_stem", [False, True])
@pytest.mark.parametrize("switched", [False, True], ids=["as_built", "to_evaluation_and_back"])
def test_batch_norm_policies_hold_as_built_and_after_an_evaluation(bn, constant, updated, deep_stem, switched):
    """pytorch-lightning 2.6 calls `train` of no module when a fit begins."""
    model = tiny(bn, deep_stem=deep_stem)
    if switched:
        model.eval().train()
    before = {name: module.running_mean.clone() for name, module in norms(model).items()}
    model(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)).sum().backward()
    for name, module in norms(model).items():
        assert module.weight.requires_grad is module.bias.requires_grad is not constant(name), name
        assert (module.weight.grad is None) is constant(name), name
        assert torch.equal(module.running_mean, before[name]) is not updated, name
    assert model.head.convolutions[0].weight.grad is not None


def test_constants_are_left_to_no_optimiser_and_heads_learn_faster():
    model = tiny("freeze_affine", low_head=True)
    backbone, heads = model.parameter_groups(lr=2.5e-4, head_lr_factor=10)
    assert (backbone["lr"], heads["lr"]) == (2.5e-4, 2.5e-3)
    assert all(parameter.dim() == 4 for parameter in backbone["params"])
    assert {id(p) for p in heads["params"]} == {id(p) for h in (model.head, model.low_head) for p in h.parameters()}


def test_frozen_statistics_survive_synchronisation_over_ranks():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(tiny("freeze")).train()
    synchronised = [module for module in model.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert synchronised
    assert not any(module.training or module.weight.requires_grad for module in synchronised)


def test_caffe_networks_see_bgr_minus_the_mean():
    model = deeplab_v2(2, depth=50, caffe=True)
    seen = []
    model.backbone.conv1.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    with torch.no_grad():
        model.eval()(image)
    expected = torch.tensor([30 - CAFFE_MEAN[2], 20 - CAFFE_MEAN[1], 10 - CAFFE_MEAN[0]])
    torch.testing.assert_close(seen[0][0, :, 0, 0], expected, rtol=1e-5, atol=1e-4)


def published(deep_stem=False):
    torch.manual_seed(1)
    return deeplab_v2(3, depth=50, deep_stem=deep_stem).backbone.state_dict()


def test_weights_come_from_a_classifiers_file(tmp_path):
    state = published()
    torch.save({**state, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, tmp_path / "resnet50.pth")
    model = deeplab_v2(3, depth=50, weights=tmp_path / "resnet50.pth")
    assert torch.equal(model.backbone.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])


def test_weights_come_from_adaptsegnets_initial_file(tmp_path):
    state = {f"Scale.{key}": value for key, value in published().items() if "num_batches" not in key}
    state["Scale.layer5.conv2d_list.0.weight"] = torch.zeros(21, 2048, 3, 3)
    torch.save(state, tmp_path / "init.pth")
    model = deeplab_v2(3, depth=50, weights=tmp_path / "init.pth", caffe=True)
    assert torch.equal(model.backbone.conv1.weight, state["Scale.conv1.weight"])


def test_weights_with_a_deep_stem_may_have_mmsegmentations_names(tmp_path):
    state = published(deep_stem=True)
    renamed = {key.replace("conv1.", "stem.") if key.startswith("conv1.") else key: state[key] for key in state}
    renamed = {f"stem.7.{key[4:]}" if key.startswith("bn1.") else key: value for key, value in renamed.items()}
    torch.save({"state_dict": renamed}, tmp_path / "v1c.pth")
    model = deeplab_v2(3, depth=50, weights=tmp_path / "v1c.pth", deep_stem=True)
    assert torch.equal(model.backbone.conv1[6].weight, state["conv1.6.weight"])
    assert torch.equal(model.backbone.bn1.weight, state["bn1.weight"])


def test_weights_of_another_depth_are_an_error_that_names_the_file(tmp_path):
    torch.save(published(), tmp_path / "resnet50.pth")
    with pytest.raises(ValueError, match=r"resnet50\.pth does not fit"):
        deeplab_v2(3, depth=101, weights=tmp_path / "resnet50.pth")


def test_a_download_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"resnet50\.tv_in1k.*model\.weights"):
        deeplab_v2(2, depth=50, weights="imagenet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 18}, r"model\.depth is 18; expected 50 or 101"),
        ({"bn": "eval"}, r"model\.bn is 'eval'; expected one of train, freeze_affine"),
        ({"caffe": True, "weights": "imagenet"}, r"model\.caffe=false"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        deeplab_v2(2, **arguments)
