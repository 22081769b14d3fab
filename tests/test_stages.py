import pytest

from mdseg.stages import compare_pairs


def test_precision_and_recall_count_only_the_given_primaries():
    found = {"m": {"lane": ["road"], "bicyclist": ["rider", "person"]}, "b": {"train": ["truck"]}}
    truth = {"m": {"lane": ["road"], "bicyclist": ["rider"], "van": ["car"]}}
    result = compare_pairs(found, truth, {"m": {"lane", "bicyclist"}, "b": set()})
    assert (result["found"], result["true"], result["right"]) == (3, 2, 2)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == 1
    assert result["wrong"] == ["m / bicyclist / person"]


def test_precision_of_nothing_is_undefined():
    assert compare_pairs({}, {"m": {"a": ["b"]}}, {"m": {"a"}}) | {} == {
        "found": 0, "true": 1, "right": 0, "precision": None, "recall": 0.0, "wrong": [], "missed": ["m / a / b"]
    }  # fmt: skip
