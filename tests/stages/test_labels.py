"""Labels that a fit has learned from, and masks that have none."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.stages.labels import LabelledPixels, labelled_pixels

ALONE = SimpleNamespace(world_size=1, is_global_zero=True)


def table(name, *classes):
    return LabelTable(
        name, classes, tuple((k, 0, 0) for k in range(len(classes))), "id", tuple((k,) for k in range(len(classes)))
    )


def space():
    """Train ids: car, road, sky, train."""
    return union({"a": table("a", "road", "sky", "train"), "b": table("b", "car", "road")})


def batch(**pixels):
    """A batch of an image with so many pixels of each class, and of one whose pixels are all ignored."""
    counts = torch.zeros(2, 256, dtype=torch.int64)
    for name, number in pixels.items():
        counts[0, space().names.index(name)] = number
    counts[:, 255] = 100
    return {"labelled": {"image": torch.zeros(2), "pixels": counts}, "target": {"image": torch.zeros(3)}}


def fitted(batches, every=2, first=None, steps=None, datasets=("a", "b")):
    """What is counted over batches; `first`: the state that an interrupted fit has left, and its steps."""
    state, begun = first or (None, 0)
    labels = LabelledPixels("fit", space(), datasets, every, begun + len(batches) if steps is None else steps)
    if state is not None:
        labels.load_state_dict(state)
    labels.on_train_start(ALONE, None)
    for step, each in enumerate(batches, start=begun):
        labels.on_train_batch_end(ALONE, None, None, each, step)
    return labels


def test_classes_of_which_no_pixel_was_seen_are_named_once():
    labels = fitted([batch(road=3), batch(sky=1)])
    with pytest.warns(UserWarning, match="stage fit: classes never seen in training: car, train;") as caught:
        assert labels.results() == {"never_seen": ["car", "train"]}
    assert len(caught) == 1


def test_classes_that_no_dataset_of_the_stage_annotates_are_not_missed():
    assert fitted([batch(road=3)], datasets=["b"]).never_seen == ["car"]


def test_an_interrupted_fit_counts_as_one_that_was_not():
    whole, rest = [batch(road=3), batch(sky=2), batch(car=1)], [batch(car=1)]
    before = fitted(whole[:2], steps=3).state_dict()
    assert fitted(rest, first=(before, 2)).state_dict() == fitted(whole).state_dict()


def test_steps_without_a_labelled_pixel_are_remarked_once():
    with pytest.warns(
        UserWarning, match="no labelled pixel in steps 2 to 3, so the supervised loss is 0 there"
    ) as caught:
        fitted([batch(road=1), batch(), batch(), batch(), batch(), batch()])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted([batch(road=1), batch(), batch(), batch(sky=1)])


@pytest.mark.filterwarnings("ignore:.*no labelled pixel in step")
def test_a_fit_without_any_labelled_pixel_is_an_error():
    with pytest.raises(ValueError, match="stage fit: no labelled pixel in any of its 3 steps: nothing was learned"):
        fitted([batch()] * 3)


def test_pixels_are_found_in_every_kind_of_batch():
    pixels = torch.ones(2, 256)
    part = {"image": torch.zeros(2), "pixels": pixels}
    divided = {"labelled": {"a": [part, part], "b": [part]}, "target": {"image": torch.zeros(2)}}
    several = {"labelled": {"first": part, "second": part}}
    assert [len(list(labelled_pixels(each))) for each in (divided, several, {"labelled": part})] == [3, 2, 1]
