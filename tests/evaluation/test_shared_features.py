import numpy as np
import pytest
import torch
from torch import nn

from mdseg.data.dataset import SegmentationDataset
from mdseg.evaluation.evaluator import View
from mdseg.evaluation.predictor import Predictor
from mdseg.evaluation.shared_features import Shared, alignment, draw_places, features_of, shared_classes
from mdseg.figures.comparison import SharedPixels, feature_figure
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable


def table(*names):
    numbers = range(len(names))
    return LabelTable(
        "t", names, tuple((number, 0, 0) for number in numbers), "id", tuple((number,) for number in numbers)
    )


TABLES = {"town": table("road", "sky", "tram"), "farm": table("sky", "cow", "road"), "sea": table("sky", "boat")}


class Images(SegmentationDataset):
    """A dataset in memory, whose images' red channel is the column."""

    def __init__(self, name, masks):
        super().__init__(name, [], TABLES[name])
        self.masks = masks

    def __len__(self):
        return len(self.masks)

    def mask(self, index):
        return self.masks[index]

    def image(self, index):
        image = np.zeros((*self.masks[index].shape, 3), np.uint8)
        image[..., 0] = np.arange(image.shape[1])
        return image


def images(name, seed=0, count=3):
    generator = np.random.default_rng(seed)
    masks = [generator.integers(0, len(TABLES[name].names), (16, 24)).astype(np.uint8) for _ in range(count)]
    return Images(name, masks)


def pixels(labels, origins, names=("road", "sky")):
    return SharedPixels(np.array(labels), np.array(origins), names, [(0, 0, 0)] * len(names), ("town", "farm"))


# Classes and pixels


def test_shared_are_the_classes_of_at_least_two_datasets():
    assert shared_classes(TABLES) == ("road", "sky")
    assert shared_classes(TABLES, ["sky"]) == ("sky",)


def test_a_class_of_one_dataset_is_not_shared_and_datasets_without_common_classes_are_refused():
    with pytest.raises(ValueError, match=r"tsne\.classes: 'raod' .*did you mean road\?"):
        shared_classes(TABLES, ["raod"])
    with pytest.raises(ValueError, match="tsne: no class is in two of the datasets town; name others"):
        shared_classes({"town": TABLES["town"]})


def test_pixels_are_of_their_class_as_many_as_wanted_and_the_same_every_time():
    drawn = images("farm")
    places, again = (draw_places(drawn, ("road", "sky"), 5, seed=3) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(places, again, strict=True))
    assert np.bincount(places.label).tolist() == [5, 5]
    own = {0: 2, 1: 0}  # their indices in the dataset
    for image, (row, column), label in zip(*places, strict=True):
        assert drawn.masks[image][row, column] == own[label]
    assert not np.array_equal(places.pixel, draw_places(drawn, ("road", "sky"), 5, seed=4).pixel)


def test_a_dataset_without_a_class_has_no_pixels_of_it():
    places = draw_places(images("sea"), ("road", "sky"), 5, seed=0)
    assert set(places.label.tolist()) == {1}


def test_too_few_pixels_for_a_picture_are_refused():
    with pytest.raises(ValueError, match="tsne: only 2 labelled pixels of sky in town, sea; name other datasets"):
        Shared.drawn({"town": images("town"), "sea": images("sea")}, None, 1, seed=0)


def test_features_are_those_of_the_pixels():
    class Network(nn.Module):
        """Every second column."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def features(self, image):
            return nn.functional.avg_pool2d(image[:, :1].float(), 2) + 0 * self.weight

    shared = Shared.drawn({"town": images("town"), "sea": images("sea", 1)}, None, 7, seed=0)
    found = features_of(Predictor(Network().eval(), View(union({"town": TABLES["town"]})), False, None), shared)
    columns = np.concatenate([places.pixel[:, 1] for places in shared.places.values()])
    assert found[:, 0] == pytest.approx(np.clip(columns, 0.5, 22.5))
    assert shared.pixels.names == ("sky",)


# Numbers


def test_datasets_at_the_same_places_mix_and_match():
    generator = np.random.default_rng(0)
    labels, origins = np.repeat([0, 1], 200), np.tile([0, 1], 200)
    found = alignment(10.0 * labels[:, None] + generator.normal(size=(400, 2)), pixels(labels, origins), 10)
    assert found.mixing == pytest.approx([1, 1], abs=0.1)
    assert found.matching.tolist() == [1, 1]
    assert found.chance.tolist() == [0.5, 0.5]


def test_datasets_that_lie_apart_do_not_mix_and_match_by_what_is_nearest():
    labels, origins = np.repeat([0, 1], 20), np.tile([0, 1], 20)
    features = np.stack([100.0 * origins, 50.0 * labels], axis=1) + np.random.default_rng(0).normal(0, 0.01, (40, 2))
    found = alignment(features, pixels(labels, origins), 5)
    assert found.mixing.tolist() == [0, 0]
    assert found.matching.tolist() == [1, 1]


def test_a_network_that_tells_nothing_apart_mixes_but_matches_by_chance_only():
    labels, origins = np.repeat([0, 1], 300), np.tile([0, 1], 300)
    found = alignment(np.random.default_rng(0).normal(size=(600, 2)), pixels(labels, origins), 10)
    assert found.mixing == pytest.approx([1, 1], abs=0.1)
    assert found.matching == pytest.approx(found.chance, abs=0.1)


def test_a_class_with_pixels_of_one_dataset_has_no_number():
    found = alignment(np.arange(6.0)[:, None], pixels([0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 0, 0]), 2)
    assert np.isnan(found.mixing).tolist() == [False, True]
    assert np.isnan(found.matching).tolist() == [False, True]


def test_features_lie_side_by_side_with_marks_for_datasets_and_colours_for_classes():
    labels, origins = np.repeat([0, 1], 10), np.tile([0, 1], 10)
    features = np.random.default_rng(0).normal(size=(20, 3))
    figure = feature_figure({"before": features, "after": features}, pixels(labels, origins), 30, 0, "title")
    assert [axis.get_title() for axis in figure.axes] == ["before", "after"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["town", "farm", "road", "sky"]
    first, second = (np.concatenate([part.get_offsets() for part in axis.collections]) for axis in figure.axes)
    assert first.shape == (20, 2)
    assert np.array_equal(first, second), "the same features at the same places"
