"""An image that is too large for the network at once is seen in windows, and answered as a whole."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mdseg.evaluation.evaluator import View
from mdseg.evaluation.predictor import AT_ONCE, Predictor
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable

TABLE = LabelTable("streets", ("dark", "bright"), ((9, 0, 0), (0, 9, 0)), "id", ((0,), (1,)), (255,))


class Brightness(nn.Module):
    """Two classes by the mean brightness of cells of some pixels; remembers what it was shown."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.weight, self.stride, self.shown = nn.Parameter(torch.ones(1)), stride, []
        self.input_multiple = stride

    def forward(self, image):
        self.shown.append(tuple(image.shape[-2:]))
        mean = nn.functional.avg_pool2d(image.float().mean(dim=1, keepdim=True), self.stride)
        return torch.cat([127.5 - mean, mean - 127.5], dim=1) * self.weight


class Square(nn.Module):
    """A network that takes one size."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def refusal(self, size, images=None):
        return None if size == (8, 8) else f"it takes 8 × 8, not {size}"

    def forward(self, image):
        assert image.shape[-2:] == (8, 8), "no square"
        return image.float()[:, :2] * self.weight


def predictor(network, short_side=None, **options):
    return Predictor(network, View(union({"streets": TABLE})), False, short_side, **options)


def blobs(height, width, side=12):
    """Bright and dark regions of some pixels a side."""
    noise = np.random.default_rng(0).integers(0, 2, (-(-height // side), -(-width // side)), np.uint8)
    return np.dstack([(noise * 200 + 20).repeat(side, 0).repeat(side, 1)[:height, :width]] * 3)


@pytest.mark.parametrize("size", [(100, 130), (9, 700), (700, 9), (33, 33)])
def test_windows_answer_as_a_look_at_the_whole_does(size):
    image, whole, parts = blobs(*size), Brightness(), Brightness()
    view = predictor(whole).view.all_classes()
    expected = predictor(whole).answer(image, view)
    answer = predictor(parts, at_once=1024).answer(image, view)
    assert (answer == expected).all()
    assert (whole.shown, len(np.unique(expected))) == ([size], 2)
    assert len(parts.shown) > 1


@pytest.mark.parametrize(
    ("size", "short_side"), [((300, 420), None), ((300, 420), 150), ((30, 42), 150), ((10, 1000), 20)]
)
@pytest.mark.parametrize("stride", [1, 8])
def test_the_network_sees_windows_of_one_size_that_the_budget_holds(size, short_side, stride):
    network = Brightness(stride)
    asked = predictor(network, short_side, at_once=4096)
    image, classes = blobs(*size, side=60), asked.view.all_classes()
    answer = asked.answer(image, classes)
    (shown,) = set(network.shown)
    assert math.prod(shown) <= 4096
    assert all(side % stride == 0 for side in shown)
    assert (answer == predictor(Brightness(stride), short_side).answer(image, classes)).mean() > 0.95


def test_what_the_budget_holds_is_seen_once_as_a_whole():
    network = Brightness()
    asked = predictor(network, at_once=24 * 36)
    asked.answer(blobs(24, 36), asked.view.all_classes())
    assert network.shown == [(24, 36)]
    assert predictor(network).at_once == AT_ONCE == 2048 * 2048


def test_one_pixel_is_not_enlarged_beyond_every_window():
    asked = predictor(Brightness(), short_side=1000, at_once=4096)
    with pytest.raises(ValueError, match="short_side=1000 would enlarge it 500 times; choose a smaller one"):
        asked.answer(blobs(2, 3), asked.view.all_classes())


def test_an_image_of_a_size_that_the_network_does_not_take_is_answered_with_what_it_takes():
    asked = predictor(Square())
    assert asked.answer(blobs(8, 8), asked.view.all_classes()).shape == (8, 8)
    with pytest.raises(ValueError, match=r"it takes 8 × 8, not \(8, 9\)"):
        asked.answer(blobs(8, 9), asked.view.all_classes())
