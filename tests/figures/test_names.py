"""Names in pictures: drawn as they are written. matplotlib 3.11.2 draws `$x^2$` as a formula and ends at `$\\frac$`."""

import numpy as np
import pytest
from matplotlib.text import Text

from mdseg.figures import branches, comparison, drawing, embeddings, maps, relations, training, translation
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark

NAMES = ["a $x^2$ b", "$\\frac$"]
COLORS = [(128, 64, 128), (70, 130, 180)]
IMAGE, MASK = np.zeros((8, 16, 3), np.uint8), np.arange(128).reshape(8, 16).astype(np.uint8) % 2
TABLE = LabelTable("mine", tuple(NAMES), tuple(COLORS), "id", ((0,), (1,)))
ANSWERS = comparison.Answers(*(np.array([0.5, 0.4]),) * 4, [MASK], np.eye(8, 2), np.arange(8) % 2)
FIGURES = {
    "panels": lambda: training.panels([training.PanelRow(IMAGE, MASK, MASK)], NAMES, COLORS, NAMES[1]),
    "curves": lambda: training.curves({f"train/{name}": {0: 1.0, 1: 2.0} for name in NAMES}, NAMES[1]),
    "lessons": lambda: training.lessons(
        [training.LessonRow(IMAGE, MASK, MASK > 0, IMAGE, MASK, MASK / 2, IMAGE, MASK, MASK / 2)], NAMES, COLORS, "x"
    ),
    "relations": lambda: relations.relation_heatmap(np.eye(2), np.eye(2, dtype=bool), NAMES, NAMES, NAMES[1]),
    "similarities": lambda: embeddings.similarities(np.eye(2), (NAMES[1], NAMES), (NAMES[0], NAMES), NAMES[1]),
    "entropy": lambda: embeddings.entropy_maps(
        {NAMES[1]: [embeddings.EntropyRow(IMAGE, {NAMES[1]: MASK / 2}, MASK)]}, {NAMES[1]: (NAMES, COLORS)}, "x"
    ),
    "nearest": lambda: embeddings.nearest_labels(
        [embeddings.NearestLabels(NAMES[1], NAMES, COLORS, np.array([1.0, 2.0]), None, 1)], "x"
    ),
    "branches": lambda: branches.branch_panels(
        [branches.BranchRow(IMAGE, dict.fromkeys(NAMES, MASK), MASK, MASK)], NAMES, COLORS, NAMES[1]
    ),
    "verdicts": lambda: branches.verdicts({NAMES[1]: (IMAGE, {NAMES[1]: MASK / 2})}, NAMES[1]),
    "predictions": lambda: comparison.prediction_figure(
        [IMAGE], [MASK], dict.fromkeys(NAMES, ANSWERS), NAMES, COLORS, "x"
    ),
    "classes": lambda: comparison.class_figure(dict.fromkeys(NAMES, ANSWERS), NAMES, "x"),
    "maps": lambda: maps.map_figure([maps.Row(IMAGE, MASK, [[MASK / 2], [None]])], NAMES, [NAMES[1]], TABLE, "x"),
    "pairs": lambda: translation.pairs({NAMES[1]: [IMAGE]}, NAMES[1]),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_what_stands_between_dollars_is_no_formula(tmp_path, figure):
    drawn = FIGURES[figure]()
    drawing.save(tmp_path / "picture.png", drawn)
    texts = [text for text in drawn.findobj(Text) if "$" in text.get_text()]
    assert texts
    assert all(text._preprocess_math(text.get_text()) == (text.get_text(), False) for text in texts)


def test_frequencies_of_classes_are_plain_numbers(tmp_path):
    drawn = FIGURES["classes"]()
    drawing.save(tmp_path / "picture.png", drawn)
    ticks = [tick.get_text() for tick in drawn.axes[2].get_yticklabels()]
    assert {"0.01", "1", "100"} <= set(ticks)


def test_a_run_whose_name_begins_with_an_underscore_is_in_the_legend():
    (legend,) = comparison.class_figure({"_mine, fit": ANSWERS}, NAMES, "x").legends
    assert [text.get_text() for text in legend.get_texts()] == ["_mine, fit", "annotated"]


def test_letters_that_no_font_has_are_one_remark(tmp_path):
    with pytest.warns(Remark) as said:
        drawing.save(tmp_path / "picture.png", translation.pairs({"道路": [IMAGE]}, "天空"))
    (remark,) = said
    assert str(remark.message).startswith("pictures: matplotlib's fonts here lack letters of some names")


def test_a_class_that_is_called_as_a_measure_is_no_curve_of_mious():
    series = {"val/idd/miou": {9: 0.25}, "val/idd/iou/miou": {9: 0.5}}
    _, right = training.curves(series, "title").axes
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["idd 25.0"]
