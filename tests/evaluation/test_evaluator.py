"""Networks, views and answers, and the IoU of each."""

import math

import pytest
import torch

from mdseg.evaluation.evaluator import (
    Evaluated,
    Evaluator,
    View,
    answers_of,
    subset_mious,
    without_unmapped,
)
from mdseg.evaluation.results import evaluation_results
from mdseg.labels.spaces import EvaluationSpace, disjoint, union
from mdseg.labels.tables import LabelTable


def table(name, classes):
    indices = range(len(classes))
    return LabelTable(
        name, tuple(classes), tuple((index, 0, 0) for index in indices), "id", tuple((i,) for i in indices)
    )


def one_pixel(values):
    """Logits of an image of a single pixel, as a network that answers with its input gets them."""
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def test_pixels_of_classes_without_a_channel_are_not_scored():
    space = EvaluationSpace(("a", "b"), ((0, 0, 0), (1, 1, 1)), torch.tensor([3]), torch.tensor([1]), unmapped=("a",))
    mask = torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)
    assert without_unmapped(mask, space).tolist() == [[[255, 1, 255]]]


@pytest.mark.filterwarnings("ignore:.*the model has no channel")
def test_a_class_without_a_rival_has_no_iou():
    """A single class with a channel is predicted everywhere: 100 % would be no result."""
    view = View(union({"d": table("d", ["b", "c"])}))
    evaluated = {"alone": Evaluated("unseen", table("alone", ["a", "b", "x"]))}
    evaluated |= {"rival": Evaluated("unseen", table("rival", ["a", "b", "c"]))}
    evaluator = Evaluator({"model": torch.nn.Identity()}, {"all": view}, evaluated, align_corners=True)
    mask = torch.ones(1, 2, 2, dtype=torch.uint8)
    for name in evaluated:
        evaluator.validation_step({"name": name, "image": one_pixel([1, 0]), "mask": mask}, 0)
    evaluator.on_validation_epoch_end()
    assert evaluator.iou["alone"].isnan().all()
    assert evaluator.iou["rival"].nanmean() == 1
    assert evaluator.mean_miou("unseen") == 1


def test_a_subset_of_which_no_class_occurs_is_undefined():
    space = EvaluationSpace(
        ("a", "b"), ((0, 0, 0), (1, 1, 1)), torch.arange(2), torch.arange(2), (), {"one": ("a",), "other": ("b",)}
    )
    mious = subset_mious(torch.tensor([0.5, torch.nan]), space)
    assert mious["one"] == 0.5
    assert math.isnan(mious["other"])


def test_branches_and_their_merge_are_read_from_one_forward_pass():
    """Two branches disagree; the merge takes the larger logit of the channels that share a class."""
    space = disjoint({"first": table("first", ["a", "b"]), "second": table("second", ["a", "b"])})
    views = {"merged": View(space), "first": View(space, "first"), "second": View(space, "second")}
    evaluated, calls = {"target": Evaluated("target", table("target", ["a", "b"]))}, []

    class Counting(torch.nn.Identity):
        def forward(self, image):
            calls.append(image)
            return image

    evaluator = Evaluator({"model": Counting()}, views, evaluated, align_corners=True)
    batch = {"name": "target", "image": one_pixel([3, 1, 0, 2]), "mask": torch.zeros(1, 2, 2, dtype=torch.uint8)}
    prediction = evaluator.validation_step(batch, 0)
    evaluator.on_validation_epoch_end()
    assert len(calls) == 1
    assert prediction.tolist() == [[[0, 0], [0, 0]]]  # of the headline, the merge: 3 of the first branch is largest
    results = evaluation_results(evaluator)
    assert results["network"] == "merged"
    assert results["mean_miou"]["target"] == results["first"]["mean_miou"]["target"] == 1
    assert results["second"]["mean_miou"]["target"] == 0


def test_a_dataset_that_was_trained_on_is_answered_by_its_own_channels():
    space = disjoint({"first": table("first", ["a", "b"]), "second": table("second", ["a", "b"])})
    assert View(space).of(table("second", ["a", "b"]), "second").channels.tolist() == [2, 3]
    assert View(space).of(table("new", ["a", "b"]), "new").channels.tolist() == [0, 2, 1, 3]
    assert View(space, "first").of(table("second", ["a", "b"]), "second").channels.tolist() == [0, 1]


def test_answers_are_called_by_what_tells_them_apart():
    def called(networks, views):
        return list(answers_of(dict.fromkeys(networks), dict.fromkeys(views)))

    assert called(["model"], ["all"]) == ["model"]
    assert called(["student", "teacher"], ["all"]) == ["student", "teacher"]
    assert called(["model"], ["first", "merged"]) == ["first", "merged"]
    assert called("ab", "xy") == ["a/x", "a/y", "b/x", "b/y"]


def test_an_unknown_headline_is_refused():
    view = View(union({"d": table("d", ["b", "c"])}))
    with pytest.raises(ValueError, match="headline: expected student or teacher, got 'nobody'"):
        Evaluator(dict.fromkeys(("student", "teacher"), torch.nn.Identity()), {"all": view}, {}, True, "nobody")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_answers_that_are_not_finite_have_no_iou(value):
    evaluated = {name: Evaluated("seen", table(name, ["a", "b"])) for name in ("first", "second")}
    view = View(union({"first": evaluated["first"].table}))
    evaluator = Evaluator({"model": torch.nn.Identity()}, {"all": view}, evaluated, align_corners=True)
    mask = torch.zeros(1, 2, 2, dtype=torch.uint8)
    for name, logits in (("first", [1, 0]), ("second", [1, 0]), ("second", [1, value])):
        evaluator.validation_step({"name": name, "image": one_pixel(logits), "mask": mask}, 0)
    with pytest.raises(
        ValueError, match="evaluation on second: the network's answers are nan or infinite in 1 batches"
    ):
        evaluator.on_validation_epoch_end()


@pytest.mark.filterwarnings("ignore:.*the model has no channel")
def test_a_dataset_of_which_no_pixel_can_be_scored_is_remarked_and_undefined():
    evaluated = {"d": Evaluated("seen", table("d", ["a", "b", "x"]))}
    evaluator = Evaluator(
        {"model": torch.nn.Identity()}, {"all": View(union({"d": table("d", ["a", "b"])}))}, evaluated, True
    )
    mask = torch.tensor([[[2, 255]]], dtype=torch.uint8)  # of the class without a channel, and ignored
    evaluator.validation_step({"name": "d", "image": one_pixel([1, 0]), "mask": mask}, 0)
    with pytest.warns(UserWarning, match="evaluation on d: no labelled pixel of a class that the model answers"):
        evaluator.on_validation_epoch_end()
    assert evaluation_results(evaluator)["mean_miou"] == {}
