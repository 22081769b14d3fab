from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.labels import relations
from mdseg.labels.spaces import LabelSpace, union
from mdseg.labels.tables import LabelTable

CIBM = {name: LabelTable.load(name) for name in ("cityscapes", "idd", "bdd", "mapillary")}


@pytest.fixture(scope="module")
def cibm() -> LabelSpace:
    return union(CIBM)


@pytest.fixture
def two() -> LabelSpace:
    """Dataset a annotates {car, rider, road}, dataset b {bicyclist, car}; train ids: bicyclist, car, rider, road."""

    def table(name: str, names: tuple[str, ...]) -> LabelTable:
        return LabelTable(
            name, names, tuple((k, k, k) for k in range(len(names))), "id", tuple((k,) for k in range(len(names)))
        )

    return union({"a": table("a", ("road", "rider", "car")), "b": table("b", ("bicyclist", "car"))})


def test_plain_is_positive_for_the_class_itself_and_negative_for_all_others(two):
    assert torch.equal(relations.plain(two), torch.eye(4, dtype=torch.int8).expand(2, 4, 4))


def test_null_leaves_out_the_classes_a_dataset_does_not_annotate(two):
    null = relations.null(two)
    assert null.dtype == torch.int8
    assert null[0].tolist() == [[1, 0, 0, 0], [-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]]
    assert null[1].tolist() == [[1, 0, -1, -1], [0, 1, -1, -1], [0, 0, 1, -1], [0, 0, -1, 1]]


def test_a_pair_makes_an_unannotated_class_positive_for_its_primary_only(two):
    table = relations.from_pairs(two, {"b": {"bicyclist": ["rider"]}})
    assert table[1, 0].tolist() == [1, 0, 1, -1]
    changed = table != relations.null(two)
    assert changed.sum() == 1


def test_pairs_that_one_dataset_annotates_both_can_be_left_out(two):
    """Of bicyclist, car, rider, road: a annotates car, rider and road, b bicyclist and car."""
    pairs = {"a": {"rider": ["bicyclist", "car"], "car": ["bicyclist"]}, "b": {"bicyclist": ["rider", "car"]}}
    table = relations.across(two, relations.from_pairs(two, pairs))
    assert relations.to_pairs(two, table) == {"a": {"rider": ["bicyclist"]}, "b": {"bicyclist": ["rider"]}}
    assert torch.equal(relations.across(two, relations.null(two)), relations.null(two))


def test_no_relations_are_none(two):
    assert torch.equal(relations.from_pairs(two, {"a": None, "b": {"car": None}}), relations.null(two))


def test_pairs_are_not_symmetric(two):
    table = relations.from_pairs(two, {"b": {"bicyclist": ["car"]}})
    assert table[1, 0, 1] == 1
    assert table[1, 1, 0] == 0


def test_table_a1_has_23_pairs_all_of_mapillary(cibm):
    table = relations.load("uniseg_cibm", cibm)
    pairs = relations.to_pairs(cibm, table)
    assert sum(len(secondaries) for secondaries in pairs["mapillary"].values()) == 23
    assert len(pairs["mapillary"]) == 22
    assert pairs["mapillary"]["phone booth"] == ["building", "obs-str-bar-fallback"]
    assert pairs["cityscapes"] == pairs["idd"] == pairs["bdd"] == {}


def test_table_a1_fits_a_run_without_bdd():
    space = union({name: CIBM[name] for name in ("cityscapes", "idd", "mapillary")})
    assert (relations.load("uniseg_cibm", space) == 1).sum() == 3 * 70 + 23


def test_table_a1_agrees_with_the_reference(cibm):
    reference = Path(__file__).parents[3] / "shared" / "datasets" / "labels" / "relations_cibm.yaml"
    if not reference.is_file():
        pytest.skip("no reference tables beside this checkout")
    import yaml

    expected = {(row["primary_id"], row["secondary_id"]) for row in yaml.safe_load(reference.read_text())["relations"]}
    table = relations.load("uniseg_cibm", cibm)[cibm.dataset_index("mapillary")]
    assert {tuple(pair) for pair in (table == 1).nonzero().tolist() if pair[0] != pair[1]} == expected


def test_relations_survive_a_file(two, tmp_path):
    table = relations.from_pairs(two, {"a": {"road": ["car", "bicyclist"]}, "b": {"bicyclist": ["rider"]}})
    (tmp_path / "relations.yaml").write_text(relations.to_yaml(two, table))
    assert torch.equal(relations.load(tmp_path / "relations.yaml", two), table)


@settings(deadline=None)
@given(st.data())
def test_to_pairs_inverts_from_pairs(data):
    cityscapes_mapillary = union({name: CIBM[name] for name in ("cityscapes", "mapillary")})
    annotated = list(CIBM["mapillary"].names)
    primaries = data.draw(st.lists(st.sampled_from(annotated), max_size=5, unique=True))
    pairs = {
        primary: data.draw(
            st.lists(
                st.sampled_from([name for name in cityscapes_mapillary.names if name != primary]),
                min_size=1,
                unique=True,
            )
        )
        for primary in primaries
    }
    table = relations.from_pairs(cityscapes_mapillary, {"mapillary": pairs})
    found = relations.to_pairs(cityscapes_mapillary, table)["mapillary"]
    assert found == {primary: sorted(secondaries) for primary, secondaries in pairs.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {road: [unicorn]}", r"relations.yaml.*'a'.*no class 'unicorn'"),
        ("c: {road: [car]}", r"relations.yaml.*dataset 'c' is not in the label space"),
        ("b: {rider: [car]}", r"relations.yaml.*'b' does not annotate 'rider'"),
        (
            "b: {bicyclist: rider}",
            r"relations.yaml.*'b': 'bicyclist': expected a list, got 'rider' \(write \[rider\]\)",
        ),
        ("[a, b]", r"relations.yaml: expected {dataset: {primary: \[secondary, ...\]}}, got \['a', 'b'\]"),
        ("b: {bicyclist: [rider, rider]}", r"'b': 'bicyclist': 'rider' occur more than once"),
        ("b: {bicyclist: [1]}", r"'b': 'bicyclist': 1 is no text"),
        ("b: {yes: [rider]}", r"relations.yaml.*'b': True is no text \(quote it\)"),
        ("b: {bicyclist: [rider]}\nb: {}", r"relations.yaml, line 2: .*key 'b' twice"),
        ("b: [bicyclist]", r"relations.yaml: expected .*, got \['bicyclist'\] for 'b'"),
        ("1: {road: [car]}", r"relations.yaml: expected .*, got {'road': \['car'\]} for 1"),
        ("a: !!python/name:os.getcwd", r"relations.yaml, line 1: not readable YAML: could not determine"),
        ("a: &b {road: *b}", r"relations.yaml: damaged, .*more than 50 levels"),
        ("", r"relations.yaml: expected YAML, found an empty file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(two, tmp_path, text, message):
    (tmp_path / "relations.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        relations.load(tmp_path / "relations.yaml", two)


def test_a_missing_file_is_named(two):
    with pytest.raises(FileNotFoundError, match="uniseg_xyz"):
        relations.load("uniseg_xyz", two)


def test_precision_and_recall_count_only_the_given_primaries():
    found = {"m": {"lane": ["road"], "bicyclist": ["rider", "person"]}, "b": {"train": ["truck"]}}
    truth = {"m": {"lane": ["road"], "bicyclist": ["rider"], "van": ["car"]}}
    result = relations.compare_pairs(found, truth, {"m": {"lane", "bicyclist"}, "b": set()})
    assert (result["found"], result["true"], result["right"]) == (3, 2, 2)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == 1
    assert result["wrong"] == ["m / bicyclist / person"]


def test_precision_of_nothing_is_undefined():
    assert relations.compare_pairs({}, {"m": {"a": ["b"]}}, {"m": {"a"}}) | {} == {
        "found": 0, "true": 1, "right": 0, "precision": None, "recall": 0.0, "wrong": [], "missed": ["m / a / b"]
    }  # fmt: skip
