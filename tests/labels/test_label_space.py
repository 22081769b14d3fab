import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg import conf_dir
from mdseg.labels.spaces import LabelSpace, disjoint, listed, union
from mdseg.labels.tables import IGNORE, LabelTable

LABELS = sorted(file.stem for file in (conf_dir() / "labels").glob("*.yaml"))
REFERENCE = Path(__file__).parents[3] / "shared" / "datasets" / "labels"
INITIALS = {"C": "cityscapes", "I": "idd", "B": "bdd", "M": "mapillary"}


def tables(initials: str) -> dict[str, LabelTable]:
    return {INITIALS[initial]: LabelTable.load(INITIALS[initial]) for initial in initials}


def table(name: str, *names: str, **options) -> LabelTable:
    """Class k has raw id k."""
    grey = tuple((k % 256, k % 256, k % 256) for k in range(len(names)))
    raw_ids = tuple((k,) for k in range(len(names)))
    return LabelTable(name, names, grey, **{"encoding": "id", "raw_ids": raw_ids, "ignore_ids": (255,)} | options)


def reference(name: str) -> dict:
    if not REFERENCE.is_dir():
        pytest.skip("no reference tables beside this checkout")
    return yaml.safe_load((REFERENCE / f"{name}.yaml").read_text())


# Tables


@pytest.mark.parametrize("name", LABELS)
def test_every_table_loads_and_its_lookup_agrees_with_its_raw_ids(name):
    loaded = LabelTable.load(name)
    lookup, known = loaded.lookup(), loaded.known()
    assert lookup.dtype == np.uint8
    assert known.dtype == bool
    never = {name for name, raw_ids in zip(loaded.names, loaded.raw_ids, strict=True) if not raw_ids}
    assert never == ({"terrain", "truck", "train"} if name == "synthia19" else set())
    for index, raw_ids in enumerate(loaded.raw_ids):
        assert (lookup[list(raw_ids)] == index).all()
    assert (lookup[list(loaded.ignore_ids)] == IGNORE).all()
    assert (lookup != IGNORE).sum() == sum(map(len, loaded.raw_ids))
    assert known.all() == (loaded.unknown_ids == "ignore")


@pytest.mark.parametrize(
    ("name", "reference_name"),
    [
        (name, name)
        for name in (
            "cityscapes",
            "bdd",
            "idd",
            "mapillary",
            "camvid11",
            "gta5",
            "synthia",
            "sunrgbd37",
            "labelmefacade",
        )
    ]
    + [("cityscapes", "kitti"), ("cityscapes", "wilddash"), ("nthu13", "nthu13")],
)
def test_a_table_agrees_with_the_reference(name, reference_name):
    loaded, lookup, known = LabelTable.load(name), LabelTable.load(name).lookup(), LabelTable.load(name).known()
    rows = [row for row in reference(reference_name)["classes"] if row["id"] >= 0]
    for row in rows:
        assert lookup[row["id"]] == row["train_id"]
        assert known[row["id"]]
        if row["train_id"] != IGNORE:
            union_name = {"traffic sign (front)": "traffic sign"}.get(row["name"], row["name"])
            assert loaded.names[row["train_id"]] == union_name
            assert loaded.colors[row["train_id"]] == tuple(row["color"])
    assert loaded.unknown_ids == "ignore" or known.sum() == len(rows)


@pytest.mark.parametrize(
    ("name", "column"),
    [("camvid32", "train_id"), ("camvid11_merged", "camvid11_merged"), ("camvid11_strict", "camvid11_strict")],
)
def test_a_camvid_colour_table_agrees_with_the_reference(name, column):
    loaded = LabelTable.load(name)
    lookup, known = loaded.lookup(), loaded.known()
    rows = reference("camvid32")["classes"]
    for row in rows:
        red, green, blue = row["rgb"]
        assert lookup[red << 16 | green << 8 | blue] == row[column]
    assert known.sum() == len(rows)
    if name != "camvid32":
        assert loaded.names == LabelTable.load("camvid11").names


def test_idd_ids_0_to_39_and_polygon_names_mean_the_same_26_classes():
    rows = reference("idd")["label_ids"]
    level3, ids = LabelTable.load("idd"), LabelTable.load("idd_label_ids")
    assert ids.names == level3.names
    assert ids.known().sum() == 40
    for row in rows:
        assert ids.lookup()[row["id"]] == row["level3_id"]
        members = level3.ignore_members if row["level3_id"] == IGNORE else level3.members[row["level3_id"]]
        assert row["name"] in members


def test_wilddash2_reduces_81_ids_to_the_cityscapes_classes():
    lookup = LabelTable.load("wilddash2").lookup()
    assert [lookup[row["id"]] for row in reference("wilddash")["classes_v2"]] == [
        row["train_id"] for row in reference("wilddash")["classes_v2"]
    ]
    assert LabelTable.load("wilddash2").names == LabelTable.load("cityscapes").names


def test_cityscapes_train_ids_are_the_class_indices_of_cityscapes():
    assert LabelTable.load("cityscapes_train_ids").names == LabelTable.load("cityscapes").names
    assert LabelTable.load("cityscapes_train_ids").lookup().tolist()[:19] == list(range(19))


@pytest.mark.parametrize("name", ["cityscapes", "cityscapes_train_ids"])
def test_subsets_of_cityscapes_are_those_of_the_papers(name):
    table = LabelTable.load(name)
    train_ids = {subset: [table.class_index(name) for name in names] for subset, names in table.subsets.items()}
    assert train_ids == {
        "synthia16": [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18],
        "synthia13": [0, 1, 2, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18],
        "tail": [3, 6, 7, 12, 14, 15, 16, 17, 18],
    }
    assert table.subsets["synthia16"] == LabelTable.load("synthia").names
    assert (
        table.subsets["synthia13"] == LabelTable.load("nthu13").names == LabelTable.load("synthia").subsets["synthia13"]
    )


def test_void_of_camvid_is_11_and_ignored():
    assert LabelTable.load("camvid11").lookup()[11] == IGNORE
    assert not LabelTable.load("camvid11").known()[255]


@pytest.mark.parametrize("name", ["synthia16", "cityscapes19", "nthu13"])
def test_a_listed_label_space_names_cityscapes_classes_in_their_order(name):
    names = yaml.safe_load((conf_dir() / "label_space" / f"{name}.yaml").read_text())["names"]
    cityscapes = LabelTable.load("cityscapes").names
    assert names == [name for name in cityscapes if name in names]
    assert len(names) == int(name[-2:])
    if name != "cityscapes19":
        assert tuple(names) == LabelTable.load(name.removesuffix("16")).names


def test_a_table_can_be_a_file_or_inline(tmp_path):
    document = {
        "encoding": "rgb",
        "classes": [{"name": "red", "rgb": [[255, 0, 0], [254, 0, 0]], "color": [255, 0, 0]}],
        "ignore_rgb": [[0, 0, 1]],
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(document))
    inline, file = LabelTable.load(document), LabelTable.load(tmp_path / "mine.yaml")
    assert file.name == "mine"
    assert inline.raw_ids == file.raw_ids == ((0xFF0000, 0xFE0000),)
    assert inline.ignore_ids == (1,)
    assert inline.known().sum() == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "label_id"}, "encoding 'label_id'"),
        ({"classes": []}, "no classes"),
        ({"classes": [{"name": "car", "raw_ids": [1], "color": [0, 0, 0]}] * 2}, r"\['car'\] occur more than once"),
        ({"ignore_ids": [7]}, "'road' and '\\(ignored\\)' both claim raw id 7"),
        ({"ignore_ids": [300]}, "raw id 300 of '\\(ignored\\)' is not in 0..255"),
        ({"unknown_ids": "skip"}, "unknown_ids 'skip'"),
        ({"layout": {}, "labels": {}}, "this describes a dataset; a label table is what stands below its `labels`"),
        ({"ignored": [1]}, r"unknown keys \['ignored'\]"),
        ({"classes": [{"name": "road", "raw_ids": [7]}]}, r"missing keys \['color'\]"),
        ({"classes": [{"name": "road", "raw_ids": [7], "color": [0, 0, 256]}]}, "color"),
        ({"classes": [{"name": True, "raw_ids": [7], "color": [0, 0, 0]}]}, "class 0: name True is not a string"),
        ({"aliases": {"rider": ["bicyclist"]}}, r"aliases for \['rider'\]"),
        ({"subsets": {"tail": ["rode"]}}, r"subset 'tail': 'rode' is not a class of the table \(did you mean road\?"),
        ({"subsets": {"tail": ["road", "road"]}}, r"subsets\.tail: 'road' occur more than once"),
        ({"subsets": {"tail": []}}, "subset 'tail': no classes"),
        ({"subsets": {"tail": "road"}}, r"subsets\.tail: expected a list, got 'road'"),
        ({"subsets": ["road"]}, "subsets: expected a mapping"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_by_file(tmp_path, change, message):
    document = {"encoding": "id", "classes": [{"name": "road", "raw_ids": [7], "color": [0, 0, 0]}]} | change
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ValueError, match=rf"wrong\.yaml.*{message}"):
        LabelTable.load(tmp_path / "wrong.yaml")


def test_two_classes_that_claim_a_colour_are_named_with_it():
    with pytest.raises(ValueError, match=r"'mine': 'a' and 'b' both claim raw id \(1, 2, 3\)"):
        LabelTable("mine", ("a", "b"), ((0, 0, 0),) * 2, "rgb", ((0x010203,), (0x010203,)))


def test_an_unknown_table_is_answered_with_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"no label table 'cityscape'.*'cityscapes'"):
        LabelTable.load("cityscape")


def test_more_than_255_classes_are_refused():
    names = [f"class {k}" for k in range(256)]
    with pytest.raises(ValueError, match="256 classes"):
        table("big", *names, encoding="rgb")
    half = {"a": table("a", *names[:128], ignore_ids=()), "b": table("b", *names[128:], ignore_ids=())}
    with pytest.raises(ValueError, match="label space of a, b: 256 classes"):
        union(half)


# Spaces


@pytest.mark.parametrize(("initials", "size"), [("CIBM", 70), ("CIM", 70), ("IBM", 70), ("BMC", 67), ("CIB", 28)])
def test_the_union_has_the_size_the_paper_reports(initials, size):
    assert union(tables(initials)).num_classes == size


def test_the_union_of_four_is_the_papers():
    expected, space = reference("union_cibm"), union(tables("CIBM"))
    assert list(space.names) == [row["name"] for row in expected["classes"]]
    for dataset, train_ids in expected["train_id_to_union"].items():
        assert space.train_ids(dataset)[: len(train_ids)].tolist() == train_ids
        assert (space.train_ids(dataset)[len(train_ids) :] == IGNORE).all()
    assert len(set(space.colors)) == 70


def test_a_cityscapes_rider_is_not_a_mapillary_bicyclist_and_a_train_is_not_on_rails():
    space = union(tables("CM"))
    cityscapes, mapillary = (space.in_space[space.dataset_index(name)] for name in ("cityscapes", "mapillary"))
    for name, annotated_by, other in (
        ("rider", cityscapes, mapillary),
        ("train", cityscapes, mapillary),
        ("bicyclist", mapillary, cityscapes),
        ("on rails", mapillary, cityscapes),
    ):
        assert annotated_by[space.names.index(name)]
        assert not other[space.names.index(name)]


def test_the_order_of_the_datasets_permutes_the_rows_of_the_union_only():
    one, other = union(tables("CIBM")), union(tables("MBIC"))
    assert one.names == other.names
    assert one.colors == other.colors
    order = [other.dataset_index(name) for name in one.datasets]
    assert torch.equal(one.in_space, other.in_space[order])
    assert all((one.train_ids(name) == other.train_ids(name)).all() for name in one.datasets)


def test_a_disjoint_space_gives_every_dataset_its_own_channels():
    space = disjoint({"a": table("a", "car", "road"), "b": table("b", "road", "sky", "car")})
    assert space.names == ("a/car", "a/road", "b/road", "b/sky", "b/car")
    assert space.in_space.tolist() == [[True, True, False, False, False], [False, False, True, True, True]]
    assert space.train_ids("b")[:3].tolist() == [2, 3, 4]


def test_a_listed_space_ignores_other_classes():
    space = listed({"a": table("a", "car", "tree", "road")}, ["road", "car"])
    assert space.names == ("road", "car")
    assert space.train_ids("a")[:3].tolist() == [1, IGNORE, 0]
    assert space.in_space.tolist() == [[True, True]]


def test_listed_classes_that_no_dataset_annotates_are_named_in_a_warning():
    with pytest.warns(UserWarning, match=r"none of the datasets \['a'\] annotates \['train'\]"):
        space = listed({"a": table("a", "car")}, ["car", "train"])
    assert space.in_space.tolist() == [[True, False]]
    assert len(set(space.colors)) == 2


def test_a_dataset_without_any_listed_class_is_refused():
    with pytest.raises(ValueError, match=r"dataset 'b' \(label table 'sheets'\) annotates none of \['car'\]"):
        listed({"a": table("a", "car"), "b": table("sheets", "road")}, ["car"])


def test_an_unknown_dataset_is_refused():
    with pytest.raises(ValueError, match=r"dataset 'c' is not in the label space.*\['a'\]"):
        union({"a": table("a", "car")}).dataset_index("c")


@pytest.mark.parametrize("build", [union, disjoint, lambda tables: listed(tables, ["road", "rider"])])
def test_a_space_survives_a_checkpoint_of_plain_types(build, tmp_path):
    space = build(tables("CI"))
    torch.save(space.state_dict(), tmp_path / "space.pt")
    restored = LabelSpace.from_state(torch.load(tmp_path / "space.pt", weights_only=True))
    assert json.loads(json.dumps(space.state_dict())) == space.state_dict() == restored.state_dict()
    assert (restored.names, restored.colors, restored.datasets) == (space.names, space.colors, space.datasets)
    assert torch.equal(restored.in_space, space.in_space)
    assert pickle.loads(pickle.dumps(space)).state_dict() == space.state_dict()


# Evaluation


def test_restricted_arg_max_never_answers_with_a_channel_outside_the_evaluated_classes():
    space = union({"a": table("a", "0", "1", "2")})
    evaluation = space.evaluation(table("b", "1", "2"))
    logits = torch.tensor([5.0, 1.0, 3.0])
    assert evaluation.channels.tolist() == [1, 2]
    assert evaluation.classes[logits[evaluation.channels].argmax()] == 1


@pytest.mark.parametrize(("initials", "channel"), [("CIBM", "bicyclist"), ("CIB", "rider"), ("M", "bicyclist")])
def test_camvids_bicyclist_is_bicyclist_with_mapillary_and_rider_without(initials, channel):
    space = union(tables(initials))
    camvid = LabelTable.load("camvid11_strict")
    evaluation = space.evaluation(camvid)
    at = evaluation.classes.tolist().index(camvid.class_index("bicyclist"))
    assert space.names[evaluation.channels[at]] == channel
    assert evaluation.unmapped == ()
    assert len(evaluation.channels) == 11


def test_a_class_among_its_own_aliases_is_a_merge():
    space = union({"a": table("a", "door", "wall", "window")})
    facade = table("b", "building", "wall", aliases={"building": ("door", "window", "shop")})
    assert space.evaluation(facade).channels.tolist() == [0, 2, 1]
    merged = table("b", "wall", aliases={"wall": ("wall", "window")})
    assert space.evaluation(merged).channels.tolist() == [1, 2]
    assert space.evaluation(merged).classes.tolist() == [0, 0]
    without_itself = table("b", "wall", aliases={"wall": ("window",)})
    assert space.evaluation(without_itself).channels.tolist() == [1]


def test_a_class_without_a_channel_is_named_in_a_warning():
    with pytest.warns(UserWarning, match=r"'kitti' \(label table 'b'\): the model has no channel for 1 of .*: train"):
        evaluation = union({"a": table("a", "car")}).evaluation(table("b", "train", "car"), "kitti")
    assert evaluation.unmapped == ("train",)
    assert evaluation.channels.tolist() == [0]
    assert evaluation.classes.tolist() == [1]


def test_a_subset_counts_only_where_the_model_answers_all_of_its_classes():
    cityscapes = LabelTable.load("cityscapes")
    every = listed({"cityscapes": cityscapes}, cityscapes.names).evaluation(cityscapes)
    assert list(every.subsets) == ["synthia16", "synthia13", "tail"]
    with pytest.warns(UserWarning, match="no channel for 3 of its 19 classes.*: terrain, truck, train"):
        of_synthia = listed({"a": cityscapes}, cityscapes.subsets["synthia16"]).evaluation(cityscapes)
    assert list(of_synthia.subsets) == ["synthia16", "synthia13"]  # the tail has trucks and trains


def test_a_dataset_of_which_nothing_maps_is_refused():
    with pytest.raises(ValueError, match=r"'b'.*none of its classes \(sky\)"):
        union({"a": table("a", "car")}).evaluation(table("b", "sky"))


def test_a_channel_that_would_answer_for_two_classes_is_refused():
    wrong = table("b", "car", "van", aliases={"van": ("car",)})
    with pytest.raises(ValueError, match=r"'b'.*channel 'car' would answer for \['car', 'van'\]"):
        union({"a": table("a", "car")}).evaluation(wrong)


def test_in_a_disjoint_space_a_trained_dataset_uses_its_own_channels_and_another_one_all_of_that_name():
    trained = {"a": table("a", "car", "road"), "b": table("b", "road", "car")}
    space = disjoint(trained)
    assert space.evaluation(trained["b"], "b").channels.tolist() == [2, 3]
    unseen = space.evaluation(table("c", "car"), "c")
    assert unseen.channels.tolist() == [0, 3]
    assert unseen.classes.tolist() == [0, 0]


names = st.lists(st.sampled_from([f"class {k}" for k in range(12)]), min_size=1, unique=True)


@pytest.mark.filterwarnings("ignore::mdseg.system.wording.Remark")
@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4), names, st.sampled_from(["union", "disjoint", "listed"]))
def test_every_class_index_maps_to_the_channel_of_its_own_name(name_lists, wanted, kind):
    datasets = {f"dataset {d}": table(f"table {d}", *each) for d, each in enumerate(name_lists)}
    if kind == "listed" and not all(set(wanted) & set(each) for each in name_lists):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = {"union": union, "disjoint": disjoint, "listed": lambda tables: listed(tables, wanted)}[kind](datasets)
    for row, (dataset, own) in enumerate(datasets.items()):
        train_ids = space.train_ids(dataset)
        assert space.dataset_index(dataset) == row
        assert (train_ids[own.num_classes :] == IGNORE).all()
        for index, name in enumerate(own.names):
            if train_ids[index] == IGNORE:
                assert kind == "listed"
                assert name not in wanted
            else:
                assert space.names[train_ids[index]] == (f"{dataset}/{name}" if kind == "disjoint" else name)
        annotated = torch.zeros(space.num_classes, dtype=torch.bool)
        annotated[[int(train_id) for train_id in train_ids if train_id != IGNORE]] = True
        assert torch.equal(space.in_space[row], annotated)


@pytest.mark.filterwarnings("ignore::mdseg.system.wording.Remark")
@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
def test_a_dataset_evaluated_in_the_union_gets_exactly_its_own_classes(name_lists):
    datasets = {f"dataset {d}": table(f"table {d}", *each) for d, each in enumerate(name_lists)}
    for space in (union(datasets), disjoint(datasets)):
        for dataset, own in datasets.items():
            evaluation = space.evaluation(own, dataset)
            assert evaluation.classes.tolist() == list(range(own.num_classes))
            assert evaluation.channels.tolist() == space.train_ids(dataset)[: own.num_classes].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": None}, "classes: expected a list"),
        ({"classes": [{"name": "road", "raw_ids": 0, "color": [0, 0, 0]}]}, r"raw_ids: expected a list, got 0"),
        ({"classes": [{"name": "road", "raw_ids": [0], "color": 5}]}, "three numbers"),
        ({"subsets": {"miou": ["road"]}}, "subset 'miou' is called as the mean over all classes"),
        ({"ignore_ids": 255}, "ignore_ids: expected a list, got 255"),
        ({"ignore_rgb": [[0, 0, 0]]}, "encoding 'id' goes with ignore_ids, not ignore_rgb"),
    ],
)
def test_common_slips_in_a_table_get_a_message(change, message):
    table = {"encoding": "id", "classes": [{"name": "road", "raw_ids": [0], "color": [0, 0, 0]}]}
    with pytest.raises(ValueError, match=message):
        LabelTable.load(table | change)


def test_a_flat_colour_list_gets_a_message():
    table = {"encoding": "rgb", "classes": [{"name": "road", "rgb": [1, 2, 3], "color": [0, 0, 0]}]}
    with pytest.raises(ValueError, match="three numbers"):
        LabelTable.load(table)
