import pytest
import torch
from torch import nn

from mdseg.models.heads import classifier
from mdseg.models.segmenter import IMAGENET_MEAN, IMAGENET_STD, Segmenter
from mdseg.models.small import small


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Segmenter(nn.Conv2d(3, 8, 3, stride=4, padding=1), classifier("cosine", 8, 5))


def test_images_in_bytes_and_in_floats_give_the_same_logits(model):
    image = torch.randint(0, 256, (2, 3, 9, 14), dtype=torch.uint8)
    torch.testing.assert_close(model(image), model(image.float()))


def test_the_backbone_sees_normalised_images():
    model = Segmenter(nn.Identity(), nn.Identity())
    image = torch.tensor([[0, 255], [128, 7]], dtype=torch.uint8).expand(1, 3, 2, 2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(model.features(image), (image / 255 - mean) / std)


def test_forward_classifies_the_features(model):
    image = torch.rand(1, 3, 12, 12) * 255
    assert torch.equal(model(image), model.classify(model.features(image)))


def test_weights_and_features_are_channels_last(model):
    features = model.features(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert model.backbone.weight.is_contiguous(memory_format=torch.channels_last)
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_one_learning_rate_gives_one_group(model):
    (group,) = model.parameter_groups(lr=0.1)
    assert group["lr"] == 0.1
    assert len(group["params"]) == len(list(model.parameters()))


def test_a_head_factor_splits_off_the_classifier(model):
    backbone, head = model.parameter_groups(lr=0.1, head_lr_factor=10)
    assert (backbone["lr"], head["lr"]) == (0.1, 1.0)
    assert [id(p) for p in head["params"]] == [id(p) for p in model.head.parameters()]
    assert len(backbone["params"]) + len(head["params"]) == len(list(model.parameters()))
    torch.optim.SGD([backbone, head], lr=0.1).step()


def test_checkpoints_hold_the_normalisation_that_the_weights_were_trained_with(model):
    assert set(model.state_dict()) == {"backbone.weight", "backbone.bias", "head.weight", "mean", "std"}


def norm_parameters(model):
    return {id(p) for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for p in m.parameters()}


def test_norms_without_weight_decay_are_groups_of_their_own():
    model = small(3, widths=(8, 8, 8, 8, 8), low_head=True)
    groups = model.parameter_groups(lr=0.1, head_lr_factor=10, decay_norms=False)
    rates = [(group["lr"], group.get("weight_decay")) for group in groups]
    assert rates == [(0.1, None), (0.1, 0.0), (1.0, None)]
    assert {id(p) for p in groups[1]["params"]} == norm_parameters(model)
    assert {id(p) for p in groups[2]["params"]} == {id(model.head.weight), id(model.low_head.weight)}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_frozen_parameters_are_left_to_no_optimiser(model):
    model.backbone.bias.requires_grad_(False)
    parameters = [id(p) for group in model.parameter_groups(lr=0.1, head_lr_factor=10) for p in group["params"]]
    assert parameters == [id(model.backbone.weight), id(model.head.weight)]


def test_a_network_with_a_single_head_has_no_low_level(model):
    image = torch.rand(1, 3, 12, 12) * 255
    levels = model.levels(image)
    assert torch.equal(levels.high, model(image))
    assert levels.low is None


def test_the_high_level_is_what_a_two_level_network_answers():
    torch.manual_seed(0)
    model = small(5, widths=(8, 8, 8, 8, 8), low_head=True).eval()
    image = torch.randint(0, 256, (2, 3, 37, 64), dtype=torch.uint8)
    levels = model.levels(image)
    assert torch.equal(levels.high, model(image))
    assert torch.equal(levels.high, model.classify(model.features(image)))
    assert levels.low.shape == (2, 5, 3, 4)
