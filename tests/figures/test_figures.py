import numpy as np
import pytest

from mdseg.figures import embeddings
from mdseg.figures import training as figures


def test_curves_show_every_term_and_dataset_and_no_single_classes():
    series = {
        "train/supervised": {0: 3.0, 20: 2.0},
        "train/target": {0: 1.0, 20: 0.5},
        "val/idd/miou": {20: 0.25},
        "val/idd/iou/road": {20: 0.5},
        "val/mean_seen_miou": {20: 0.25},
    }
    left, right = figures.curves(series, "title").axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["train/supervised", "train/target"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["idd 25.0"]


def test_the_headline_s_network_has_its_name_beside_another():
    series = {"val/rome/miou": {9: 0.25}, "val/rome/teacher/miou": {9: 0.5}}
    _, right = figures.curves(series, "title", headline="student").axes
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["rome student 25.0", "rome teacher 50.0"]


def test_a_single_validation_is_a_visible_point_on_the_steps_of_the_fit():
    left, right = figures.curves({"train/supervised": {0: 3.0, 20: 2.0}, "val/idd/miou": {21: 0.25}}, "title").axes
    (line,) = right.lines
    assert line.get_marker() == "o"
    assert left.get_xlim() == right.get_xlim()
    assert right.get_xlim()[0] == 0
    assert right.get_ylim()[0] == 0


def test_what_is_no_loss_has_axes_of_its_own():
    series = {"train/mixed": {0: 1.0}, "blv/sigma": {0: 0.0, 20: 6.0, 40: 0.0}, "pseudo_labels/weight": {0: 0.5}}
    left, right, *others = figures.curves({**series, "val/idd/teacher/miou": {41: 0.25}}, "title").axes
    assert [axis.get_title() for axis in others] == ["blv/sigma", "pseudo_labels/weight"]
    assert "blv/sigma" not in [line.get_label() for line in left.lines]
    assert right.lines[0].get_label() == "idd teacher 25.0"


def test_what_differs_only_after_its_last_slash_shares_axes_and_a_legend():
    series = {
        "embedding_norm/town": {0: 1.0},
        "embedding_norm/farm": {0: 2.0},
        "pseudo_labels/weight": {0: 0.5},
        "alone": {0: 1.0},
    }
    _, _, *others = figures.curves(series, "title").axes
    assert [axis.get_title() for axis in others] == ["embedding_norm", "pseudo_labels/weight", "alone"]
    assert [text.get_text() for text in others[0].get_legend().get_texts()] == ["town", "farm"]
    assert [axis.get_legend() for axis in others[1:]] == [None, None]


def test_losses_of_a_kind_share_axes_beside_those_of_other_kinds():
    names = ("high/town", "high/farm", "low/town", "low/farm")
    of_players = {f"train/{kind}/{name}": {0: 1.0} for kind in ("adversarial", "told") for name in names}
    left, _, *others = figures.curves({"train/supervised": {0: 3.0}, **of_players}, "title").axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["train/supervised"]
    assert [axis.get_title() for axis in others] == ["train/adversarial", "train/told"]
    assert [text.get_text() for text in others[0].get_legend().get_texts()] == [*names]
    left, _, other = figures.curves(of_players, "title").axes  # no other loss stands first then
    assert (left.get_title(), other.get_title()) == ("train/adversarial", "train/told")


def test_many_curves_stand_in_rows():
    series = {"train/supervised": {0: 1.0}, "a/x": {0: 1.0}, "b/x": {0: 1.0}, "c/x": {0: 1.0}}
    figure = figures.curves(series, "title")
    assert len(figure.axes) == 5
    assert {axis.get_subplotspec().get_geometry()[:2] for axis in figure.axes} == {(2, 3)}
    assert figure.get_figwidth() < 20


def test_entropy_maps_have_a_row_per_image_on_one_colour_scale():
    image, zero = np.zeros((8, 16, 3), np.uint8), np.zeros((8, 16), np.uint8)
    rows = [embeddings.EntropyRow(image, {"town": zero, "farm": zero + 0.5}, zero) for _ in range(2)]
    classes = {name: (["road"], [(128, 64, 128)]) for name in ("town", "farm")}
    figure = embeddings.entropy_maps({"town": rows, "farm": rows[:1]}, classes, "title")
    *axes, bar = figure.axes
    assert len(axes) == 3 * 4
    assert [axis.get_title() for axis in axes[1:4]] == [
        "entropy among labels of town, mean 0.00",
        "entropy among labels of farm, mean 0.50",
        "nearest label of town",
    ]
    assert {image.get_clim() for axis in axes for image in axis.images if image.get_cmap().name == "viridis"} >= {
        (0, 1)
    }
    assert bar.get_xlim() == (0, 1)


def test_nearest_labels_stand_beside_the_labelled_ones_where_these_are_known():
    shares = np.array([25.0, 75.0])
    names, colors = ["road", "sky"], [(128, 64, 128), (70, 130, 180)]
    bars = [embeddings.NearestLabels("town", names, colors, shares, known, 10) for known in (shares, None)]
    first, second = embeddings.nearest_labels(bars, "title").axes
    assert (len(first.patches), len(second.patches)) == (4, 2)
    assert [patch.get_height() for patch in second.patches] == [25, 75]


def test_a_lesson_shows_eight_pictures_of_every_pair():
    image, mask = np.zeros((8, 16, 3), np.uint8), np.zeros((8, 16), np.uint8)
    row = figures.LessonRow(image, mask, mask > 0, image, mask, mask / 2, image, mask, mask / 2)
    figure = figures.lessons([row, row], ["road"], [(128, 64, 128)], "title")
    assert len(figure.axes) == 2 * 8 + 1  # and the scale


def test_no_miou_lies_on_the_frame():
    for values in ({10: 0.5}, {10: 0.4999, 20: 0.5}, {10: 0.0}):
        _, right = figures.curves({"val/idd/miou": values}, "title").axes
        assert right.get_ylim()[1] > 106 * max(values.values())


def test_a_loss_of_a_single_row_is_a_visible_point_and_one_of_many_a_plain_line():
    for steps, marker in ((1, "o"), (100, "None")):
        left, _ = figures.curves({"train/supervised": dict.fromkeys(range(steps), 3.0)}, "title").axes
        assert left.lines[-1].get_marker() == marker


def test_smoothing_keeps_a_straight_line_and_dampens_noise():
    line = np.arange(100.0)
    assert figures._smoothed(line)[10:90] == pytest.approx(line[10:90])
    noise = np.random.default_rng(0).normal(size=1000)
    assert figures._smoothed(noise).std() < noise.std() / 4
    assert figures._smoothed(np.array([5.0])) == pytest.approx([5.0])


def test_ignored_pixels_are_black():
    colored = figures.colorize(np.array([[0, 255]], np.uint8), [(10, 20, 30)])
    assert colored.tolist() == [[[10, 20, 30], [0, 0, 0]]]
