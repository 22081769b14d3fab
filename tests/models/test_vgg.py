"""Features of VGG-16 for the perceptual term of translations."""

import pytest
import timm
import torch

from mdseg.models.vgg import Features


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    network = timm.create_model("vgg16")
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(network.state_dict(), path)
    return path, network.eval()


@torch.no_grad()
def test_features_are_those_of_the_whole_network_on_normalised_images(file):
    path, network = file
    image = torch.rand(2, 3, 32, 48)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = (image - mean) / std
    for layer in list(network.features)[:30]:  # up to the activation of conv5_3, before the last pool
        expected = layer(expected)
    found = Features(path)(2 * image - 1)
    assert found.shape == (2, 512, 2, 3)
    torch.testing.assert_close(found, expected)


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"method\.perceptual_network\.weights: no file at .*nowhere\.pth"):
        Features(tmp_path / "nowhere.pth")
