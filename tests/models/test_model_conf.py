import pytest
import torch
from hydra.utils import instantiate

from mdseg import conf_dir
from mdseg.models.segmenter import Segmenter

NAMES = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


@pytest.fixture
def build(composed):
    """The network that `model=<name>` chooses, from random weights and without memory for them."""

    def build(name):
        node = composed("experiment=supervised_cityscapes", f"model={name}").model
        if "weights" in node:
            node.weights = None
        with torch.device("meta"):
            return instantiate(node, num_classes=19)

    return build


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_built_from_its_configuration(build, name):
    assert isinstance(build(name), Segmenter)


# Parameters, auxiliary head included, and the sizes of both levels for images of 512x1024.
@pytest.mark.parametrize(
    ("name", "millions", "high", "low"),
    [
        ("pspnet_r50", 32.2, (64, 128), (64, 128)),
        ("pspnet_r101", 51.2, (64, 128), (64, 128)),
        ("upernet_r50", 66.4, (128, 256), (32, 64)),
        ("upernet_r101", 85.4, (128, 256), (32, 64)),
        ("deeplabv3plus_r101", 60.7, (128, 256), (64, 128)),
        ("hrnet_w18", 9.6, (128, 256), None),
    ],
)
def test_networks_of_the_supervised_and_semi_supervised_hosts_have_their_levels(build, name, millions, high, low):
    model = build(name)
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == millions
    levels = model.levels(torch.empty(2, 3, 512, 1024, device="meta"))
    assert levels.high.shape == (2, 19, *high)
    assert (None if levels.low is None else levels.low.shape) == (low and (2, 19, *low))
