"""Label tables in which something stands for something else."""

import json
import re

import pytest

from mdseg.data.check import Split, problems_of_content
from mdseg.labels.spaces import disjoint, listed, union
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark

ROAD = {"name": "road", "raw_ids": [7], "color": [0, 0, 0]}
ONE = {"encoding": "id", "classes": [ROAD]}
RED = {"encoding": "rgb", "classes": [{"name": "red", "rgb": [[255, 0, 0]], "color": [0, 0, 0]}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aliases": {"road": "motorway"}}, "aliases.road: expected a list, got 'motorway' (write [motorway])"),
        ({"aliases": {"road": None}}, "aliases.road: expected a list, got null"),
        ({"aliases": {"road": ["a", "a"]}}, "aliases.road: 'a' occur more than once"),
        ({"aliases": {"road": [True]}}, "aliases.road: True is no text (quote it)"),
        ({"aliases": ["road"]}, "aliases: expected a mapping of lists of class names, got ['road']"),
        ({"aliases": None}, "aliases: expected a mapping"),
        ({"subsets": {"tail": {"road": 1}}}, "subsets.tail: expected a list"),
        ({"subsets": {5: ["road"]}}, "subsets: name 5 is not a string"),
        ({"classes": [ROAD | {"members": "road"}]}, "class 0 (road): members: expected a list, got 'road'"),
        ({"ignore_members": "sky"}, "ignore_members: expected a list, got 'sky'"),
        ({"classes": [ROAD | {"raw_ids": [True]}]}, "class 0 (road): raw_ids: True is no whole number"),
        ({"classes": [ROAD | {"raw_ids": [7.0]}]}, "raw_ids: 7.0 is no whole number (write 7)"),
        ({"classes": [ROAD | {"raw_ids": ["7"]}]}, "raw_ids: '7' is no whole number (write 7, without quotes)"),
        ({"classes": [ROAD | {"raw_ids": [[7]]}]}, "raw_ids: [7] is no whole number"),
        ({"classes": [ROAD | {"raw_ids": [None]}]}, "raw_ids: null is no whole number"),
        ({"classes": [ROAD | {"raw_ids": [7, 7]}]}, "raw_ids: 7 stand there more than once"),
        ({"classes": [ROAD | {"raw_ids": "7"}]}, "raw_ids: expected a list, got '7' (write [7])"),
        ({"ignore_ids": [False]}, "ignore_ids: False is no whole number"),
        ({"ignore_ids": None}, "ignore_ids: expected a list, got null (write [], or leave it out)"),
        ({"classes": [ROAD | {"color": [True, 0, 0]}]}, "color [True, 0, 0], expected three numbers"),
        ({"classes": [ROAD | {"color": "#804080"}]}, "color '#804080', expected three numbers"),
        ({"classes": {"road": [7]}}, "classes: expected a list, got {'road': [7]}"),
        ({"classes": ["road"]}, "class 0: expected a mapping with name, color, raw_ids, got 'road'"),
        ({"classes": [ROAD, ROAD | {"name": "road ", "raw_ids": [8]}]}, "class 1: name 'road ' has a blank at an end"),
        ({"encoding": ["id"]}, "encoding: expected a text, got ['id']"),
        ({"unknown_ids": True}, "unknown_ids: expected a text, got True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("given", ["inline", "file"])
def test_an_entry_of_another_kind_is_named(tmp_path, given, change, message):
    labels = ONE | change
    if given == "file":
        (tmp_path / "mine.yaml").write_text(json.dumps(labels).replace('"5"', "5"))
        labels = str(tmp_path / "mine.yaml")
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        LabelTable.load(labels)
    assert ("mine.yaml" in str(refused.value)) == (given == "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rgb": [128, 64, 128]},
            "rgb: expected a list of colours of three numbers each, got [128, 64, 128] (write [[",
        ),
        ({"rgb": [[128, 64]]}, "rgb: color [128, 64], expected three numbers"),
        ({"rgb": [[128, 64, 128, 255]]}, "rgb: color [128, 64, 128, 255], expected three numbers"),
        ({"rgb": ["128,64,128"]}, "rgb: color '128,64,128', expected three numbers"),
        ({"rgb": [[1, 2, 3], [1, 2, 3]]}, "rgb: [1, 2, 3] stands there more than once"),
    ],
)
def test_colours_of_another_form_are_named(change, message):
    with pytest.raises(ValueError, match=re.escape(f"class 0 (red): {message}")):
        LabelTable.load(RED | {"classes": [RED["classes"][0] | change]})


def test_a_flat_ignored_colour_is_named():
    with pytest.raises(ValueError, match=r"ignore_rgb: expected a list of colours .* \(write \[\[0, 0, 0\]\]\)"):
        LabelTable.load(RED | {"ignore_rgb": [0, 0, 0]})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([ROAD], "labels: expected the name of a label table, .*; a list of classes stands in it, below `classes`"),
        (5, "labels: expected the name of a label table, a YAML file or a table, .*, got 5"),
        (True, "labels: expected .*, got True"),
        (ONE | {"name": 5}, "label table: name 5 is not a string"),
    ],
)
def test_what_is_no_table_is_answered_with_what_one_looks_like(labels, message):
    with pytest.raises(ValueError, match=message):
        LabelTable.load(labels)


def test_a_file_with_a_list_of_classes_is_answered_with_what_a_table_looks_like(tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps([ROAD]))
    with pytest.raises(
        ValueError, match=r"mine.yaml: label table 'mine': expected a mapping, got a list; classes stand"
    ):
        LabelTable.load(tmp_path / "mine.yaml")


def test_a_home_is_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(json.dumps(ONE))
    assert LabelTable.load("~/mine.yaml").names == ("road",)


# Spaces


def table(*names):
    return LabelTable(
        "mine", names, tuple((k, k, k) for k in range(len(names))), "id", tuple((k,) for k in range(len(names)))
    )


@pytest.mark.parametrize("name", ["table.json", "folder"])
def test_what_is_no_yaml_file_is_named(tmp_path, name):
    (tmp_path / "table.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=rf"{name} is no YAML file; a label table is one"):
        LabelTable.load(str(tmp_path / name))


def test_the_nearest_class_of_a_listed_one_is_named():
    with pytest.warns(Remark, match=r"annotates \['Road'\] \(did you mean road\?\)"):
        listed({"a": table("road", "sky")}, ["Road", "sky"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("road", r"expected a list, got 'road'"),
        (["road", "road"], "'road' occur more than once"),
        (5, "got 5"),
        ([1], "1 is no"),
        ([], "no classes"),
        ("[road,sky]", r"got '\[road,sky\]' \(write \[road,sky\]\)"),
    ],
)
def test_a_listed_space_needs_a_list_of_names(names, message):
    with pytest.raises(ValueError, match=f"label_space.names: .*{message}"):
        listed({"a": table("road", "sky")}, names)


def test_classes_that_differ_only_in_how_they_are_written_are_remarked():
    tables = {"a": table("Sky", "traffic_light", "road"), "b": table("sky", "traffic light", "road")}
    with pytest.warns(Remark) as said:
        assert union(tables).num_classes == 5
    (remark,) = said
    assert str(remark.message) == (
        "label space: 'Sky' (a) and 'sky' (b), 'traffic_light' (a) and 'traffic light' (b) are different classes; if "
        "they are not, give them one name"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("road", "Road"),
        ("road", "\uff52\uff4f\uff41\uff44"),  # fullwidth
        ("fish", "\ufb01sh"),  # a ligature
        ("Stra\xdfe", "STRASSE"),
        ("caf\xe9", "CAF\xc9"),
        ("lane marking - general", "lane_marking--general"),
        ("traffic light", "traffic.light"),
        ("road", "r\u043ead"),  # a Cyrillic o
        ("CAR", "\u0441ar"),
        ("level 2", "level \u00b2"),
    ],
)
def test_names_that_are_drawn_or_read_alike_are_remarked(one, other):
    with pytest.warns(Remark, match="are different classes; if they are not"):
        union({"a": table(one, "sky"), "b": table(other, "sky")})


def test_letters_that_are_drawn_alike_are_shown_by_their_numbers():
    with pytest.warns(Remark, match=r"'road' \(a\) and 'r\\u043ead' \(b\)"):
        union({"a": table("road", "sky"), "b": table("r\u043ead", "sky")})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("one", "other"), [("+", "-"), ("car", "cart"), ("\u6c7d\u8f66", "\u8f66"), ("K1", "K2")])
def test_other_names_are_not(one, other):
    union({"a": table(one, "sky"), "b": table(other, "sky")})


def test_nothing_competes_with_the_only_class_of_an_evaluated_dataset():
    with pytest.warns(UserWarning, match=r"'c' .*: nothing competes with its only class, road, whose IoU will be null"):
        space = union({"a": table("road", "sky")}).evaluation(table("road"), "c")
    assert not space.has_rivals


def test_a_dataset_with_a_single_class_and_a_head_of_its_own_is_remarked():
    with pytest.warns(UserWarning, match="dataset 'b' has a single class, road, and channels of its own"):
        disjoint({"a": table("road", "sky"), "b": table("road")})


def test_a_table_with_one_class_is_said_when_data_is_checked():
    split = Split(table("road"), labelled=1)
    split.class_pixels[0] = 5
    (problem,) = problems_of_content("train", split)
    assert not problem.error
    assert problem.what.startswith("a single class, road: it cannot be trained on alone")
