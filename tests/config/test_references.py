"""What papers publish: that it is copied well, and that it says which command it is of."""

import pytest
import torch

from mdseg import conf_dir
from mdseg.config import references
from mdseg.evaluation.metrics import iou, protocol
from mdseg.labels.tables import LabelTable

TABLES = references.document()["experiments"]
ENTRIES = [
    (experiment, row, entry)
    for experiment, table in TABLES.items()
    for row, entries in table["rows"].items()
    for entry in entries
]
OPTIONAL = {"iou", "given", "host", "network", "usual"}
CITYSCAPES = LabelTable.load("cityscapes")
CLASSES = {19: CITYSCAPES.names, 16: LabelTable.load("synthia").names, 13: LabelTable.load("nthu13").names}


def named(experiment, row, entry):
    return f"{experiment}-{row}-{entry['row']}-{entry.get('given')}-{entry.get('usual')}"


def confusion_of(ious):
    """A confusion matrix with these IoUs, in percent with one decimal: what a class misses goes to one more class."""
    matrix = torch.zeros(len(ious) + 1, len(ious) + 1, dtype=torch.int64)
    for index, value in enumerate(ious):
        matrix[index, index] = round(10 * value)
        matrix[index, -1] = 1000 - round(10 * value)
    return matrix


@pytest.mark.parametrize(("experiment", "row", "entry"), ENTRIES, ids=[named(*entry) for entry in ENTRIES])
def test_a_published_value_says_where_it_comes_from_and_which_command_it_is_of(experiment, row, entry):
    assert set(entry) - OPTIONAL == {"source", "evidence", "table", "row", "values"}
    assert entry["source"] in references.document()["sources"]
    assert entry["evidence"] in ("slides", "supplement", "readme", "code", "note")
    of_datasets = [entry["values"]] if "dataset" in TABLES[experiment] else entry["values"].values()
    assert all(set(values) <= {"miou", "miou_zero", *CITYSCAPES.subsets} for values in of_datasets)
    assert (conf_dir() / f"experiment/{experiment}.yaml").is_file()
    assert (conf_dir() / f"row/{row}.yaml").is_file()


WITH_CLASSES = [entry for entry in ENTRIES if "iou" in entry[2]]


@pytest.mark.parametrize(("experiment", "row", "entry"), WITH_CLASSES, ids=[named(*entry) for entry in WITH_CLASSES])
def test_published_means_are_those_of_the_published_classes(experiment, row, entry):
    """One confusion matrix answers for all of them. Tables round, one of them (Tokyo, IW) by 0.16."""
    names = CLASSES[len(entry["iou"])]
    scores = 100 * iou(confusion_of(entry["iou"]))[: len(names)]
    for measure, value in entry["values"].items():
        mean = protocol(scores, names, CITYSCAPES.subsets.get(measure, names)).item()
        assert mean == pytest.approx(value, abs=0.17 if (experiment, row) == ("cityscapes_tokyo", "iw") else 0.1)


def test_16_and_13_classes_of_synthia_are_read_from_one_confusion_matrix():
    """Chen et al., ICCV 2019, table 3, "MaxSquare+IW": the 13 are the 16 without wall, fence and pole."""
    (entry,) = references.document()["experiments"]["synthia_cityscapes"]["rows"]["iw"]
    scores = 100 * iou(confusion_of(entry["iou"]))[:16]
    assert protocol(scores, CLASSES[16], CITYSCAPES.subsets["synthia16"]).item() == pytest.approx(40.41, abs=0.005)
    assert protocol(scores, CLASSES[16], CITYSCAPES.subsets["synthia13"]).item() == pytest.approx(46.88, abs=0.005)


def test_the_tail_of_blv_is_the_published_one():
    """Wang et al., CVPR 2023, supplement, table S2, "BLV (ours)": its classes average to their tail mIoU."""
    entry = references.document()["experiments"]["gta5_cityscapes"]["rows"]["daformer_blv"][0]
    scores = 100 * iou(confusion_of(entry["iou"]))[:19]
    assert protocol(scores, CITYSCAPES.names, CITYSCAPES.subsets["tail"]).item() == pytest.approx(45.66, abs=0.005)
    assert entry["values"]["tail"] == 45.7


def test_a_value_given_with_an_override_is_of_runs_with_it():
    assert references.published("cityscapes_semi", "st") == []
    (eighth,) = references.published("cityscapes_semi", "st", ["streams.labelled.labelled=1/8"])
    assert (eighth.values, eighth.dataset) == ({"miou": 72.01}, "cityscapes")
    usual, larger = references.published("gta5_cityscapes", "daformer_blv", ["transform.short_side=9"])
    assert (usual.values["miou"], larger.values["miou"], larger.host) == (59.0, 69.6, "DAFormer on MiT-B5")
    (constant,) = references.published("gta5_cityscapes", "daformer_blv", ["loss.variation.noise=constant"])
    assert constant.values == {"miou": 56.5}


def test_a_table_of_several_datasets_has_a_value_for_each_and_their_sum():
    found = references.published("universal_cityscapes_camvid", "full_k3", ["streams.labelled.labelled=300"])
    assert {entry.dataset: entry.values for entry in found} == {
        "cityscapes": {"miou": 53.07},
        "camvid11": {"miou": 63.67},
        "sum": {"miou": 116.74},
    }


@pytest.mark.parametrize(
    ("overrides", "cityscapes"),
    [
        ([], 44.12),
        (["transform.short_side=9"], 44.12),
        (["streams.labelled.labelled=100"], 44.12),
        (["streams.labelled.labelled=50"], 37.18),
        (["method.theta=0"], 37.84),
        (["method.theta=0", "streams.labelled.labelled=100"], 37.84),
        (["streams.labelled.labelled=300", "method.theta=0.5"], 41.89),
        (["streams.labelled.labelled=70", "method.theta=0"], None),
        (["method.theta=0.25"], None),
        (["method.alpha=0.1"], None),
        (["loss.supervised.scope=all"], None),
        (["streams.labelled.labelled=70"], None),
    ],
)
def test_a_usual_value_is_also_of_runs_that_leave_its_key_as_it_is(overrides, cityscapes):
    found = references.published("universal_cityscapes_camvid", "full", overrides)
    assert [entry.values["miou"] for entry in found if entry.dataset == "cityscapes"] == (
        [] if cityscapes is None else [cityscapes]
    )


@pytest.mark.parametrize("experiment", [name for name, table in TABLES.items() if "dataset" not in table])
def test_a_table_of_several_datasets_is_of_those_that_its_experiment_evaluates(composed, experiment):
    published = {
        name for entries in TABLES[experiment]["rows"].values() for entry in entries for name in entry["values"]
    }
    if published:
        assert published == set(composed(f"experiment={experiment}").evaluate.seen)


def test_nothing_is_published_of_experiments_and_rows_without_a_table():
    assert references.published("uniseg_cibm", "maxsquare") == []
    assert references.published("gta5_cityscapes", "mine") == []
    assert references.published("gta5_cityscapes", "oracle") == []
    assert references.rows("uniseg_cibm") == []


def test_an_alias_has_the_table_of_its_base():
    """experiment=blv_gta5_cityscapes is gta5_cityscapes with row=daformer_blv."""
    assert references.alias_of("blv_gta5_cityscapes") == "gta5_cityscapes"
    assert references.rows("blv_gta5_cityscapes") == references.rows("gta5_cityscapes")
    assert references.published("maxsquare_cityscapes_rome", "iw")[0].dataset == "rome"
    assert references.published("blv_gta5_cityscapes", "daformer_blv")[0].values["miou"] == 59.0
    for name in ("gta5_cityscapes", "uniseg_cibm", "mine"):
        assert references.alias_of(name) is None


@pytest.mark.parametrize("override", ["loss/target=entropy", "family=uniseg", "method=uniseg"])
def test_nothing_is_published_of_a_row_with_another_method(override):
    assert references.published("maxsquare_gta5_cityscapes", "maxsquare", [override]) == []
    assert references.published("maxsquare_gta5_cityscapes", "maxsquare", ["model=upernet_r50"]) != []
