"""Max Merge and its kin: several branches, one answer (Russo et al., ICIAP 2019, section 3)."""

import pytest
import torch
import torch.nn.functional as F

from mdseg.evaluation.evaluator import View, classes_at, views_of
from mdseg.evaluation.merging import merged_argmax, winning_branches
from mdseg.labels.spaces import LabelSpace, Merge, branched, disjoint, joined, union
from mdseg.labels.tables import LabelTable

MERGES = [(how, scores) for how in ("max", "mean") for scores in ("logits", "prob")]


def table(*names):
    return LabelTable(
        "t", names, tuple((i, 0, 0) for i in range(len(names))), "id", tuple((i,) for i in range(len(names)))
    )


THREE = table("a", "b", "c")


def answer(space, logits, **options):
    """Class of a single pixel with these logits."""
    view = View(space, **options)
    maps = torch.tensor(logits).view(1, -1, 1, 1)
    return int(classes_at(maps, (1, 1), view.of(THREE), align_corners=True))


@pytest.fixture
def two():
    return branched({"s1": THREE, "s2": THREE}, THREE.names)


S1, S2 = [2.0, -2.0, -2.0], [3.0, 3.2, 3.1]


def test_max_merge_is_of_logits(two):
    assert answer(two, [*S1, *S2]) == 1
    assert answer(two, [*S1, *S2], scores="prob") == 0
    assert torch.tensor(S1).softmax(0)[0].item() == pytest.approx(0.964663, abs=1e-6)


def test_mean_of_logits_is_an_ensemble(two):
    assert answer(two, [*S1, *S2], merge="mean") == 0
    assert answer(two, [0.0, 1.0, 0.0, 0.0, 0.0, 1.5], merge="mean") == 2


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_the_order_of_branches_does_not_matter(two, merge, scores):
    for logits in torch.randn(20, 6):
        swapped = torch.cat([logits[3:], logits[:3]])
        assert answer(two, logits.tolist(), merge=merge, scores=scores) == answer(
            two, swapped.tolist(), merge=merge, scores=scores
        )


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_a_branch_merged_with_itself_is_that_branch(two, merge, scores):
    for logits in torch.randn(20, 3):
        assert answer(two, [*logits, *logits], merge=merge, scores=scores) == int(logits.argmax())


def test_only_a_constant_on_all_branches_changes_nothing(two):
    plain = answer(two, [1.0, 0.0, 0.0, 0.0, 0.9, 0.0])
    assert answer(two, [6.0, 5.0, 5.0, 5.0, 5.9, 5.0]) == plain == 0
    assert answer(two, [1.0, 0.0, 0.0, 5.0, 5.9, 5.0]) == 1


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_a_branch_has_no_say_on_classes_it_never_saw(merge, scores):
    space = branched({"s1": THREE, "s2": table("a", "b")}, THREE.names)
    logits = [0.0, 1.0, 0.0, 0.0, 0.0, 99.0]
    assert answer(space, logits, merge=merge, scores=scores) == (
        1 if scores == "logits" else answer(space, logits, branch="s1")
    )
    assert answer(space, logits, merge=merge, scores=scores, mask_missing=False) == 2
    assert answer(space, logits, branch="s2") == 2  # alone it answers with all its channels, as in the paper's tables


def test_the_joint_branch_votes_for_what_any_source_has():
    space = branched({"s1": table("a", "b"), "s2": table("b")}, THREE.names, joint="s_all")
    assert space.datasets == ("s1", "s2", "s_all")
    assert View(space).channels == [0, 1, 4, 6, 7]
    assert space.names[6] == "s_all/a"


def test_branches_hold_all_classes_and_labels_are_those_of_the_own_branch():
    space = branched({"gta5": THREE, "synthia": table("c", "a")}, THREE.names)
    assert space.train_ids("synthia")[:3].tolist() == [5, 3, 255]
    assert space.in_space.tolist() == [[True] * 3 + [False] * 3, [False] * 3 + [True] * 3]
    assert space.annotated[1].tolist() == [False, False, False, True, False, True]
    assert LabelSpace.from_state(space.state_dict()).in_space.equal(space.in_space)


def test_a_dataset_may_not_be_called_as_the_joint_branch():
    with pytest.raises(ValueError, match=r"label_space.joint=s_all: a dataset is called so"):
        branched({"s_all": THREE}, THREE.names, joint="s_all")


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_logits_are_upsampled_before_they_are_merged(merge, scores, align_corners):
    space = branched({"s1": THREE, "s2": table("a", "b")}, THREE.names)
    logits = torch.randn(2, 6, 5, 7)
    whole = F.interpolate(logits, (23, 31), mode="bilinear", align_corners=align_corners)
    branches = [whole[:, :3], whole[:, 3:]]
    own = [branch.softmax(1) if scores == "prob" else branch for branch in branches]
    ab = torch.stack([own[0][:, :2], own[1][:, :2]])
    both = ab.amax(0) if merge == "max" else ab.mean(0)
    expected = torch.cat([both, own[0][:, 2:]], dim=1).argmax(1)
    evaluation = View(space, merge=merge, scores=scores).of(THREE)
    assert torch.equal(classes_at(logits, (23, 31), evaluation, align_corners).long(), expected)


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_a_branch_scores_a_class_by_the_largest_of_its_channels(two, merge, scores):
    """Two channels of a branch may count as one class, by aliases of the evaluated table."""
    coarse = LabelTable("t", ("a", "rest"), THREE.colors[:2], "id", THREE.raw_ids[:2], aliases={"rest": ("b", "c")})
    evaluation = View(two, merge=merge, scores=scores).of(coarse)
    for first, last in ((5.0, 1.0), (1.0, 5.0)):
        logits = torch.tensor([3.0, first, last] * 2).view(1, -1, 1, 1)
        assert classes_at(logits, (1, 1), evaluation, align_corners=True).item() == 1


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_a_merge_is_one_on_a_dataset_with_a_branch_too(two, merge, scores):
    views = views_of(two, {"merged": {"merge": merge, "scores": scores}})
    logits = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 5.0]).view(1, -1, 1, 1)
    for dataset in ("s1", "new"):
        merged = views["merged"].of(THREE, dataset)
        assert classes_at(logits, (1, 1), merged, align_corners=True).item() == 2
        alone = views["s1"].of(THREE, dataset)
        assert classes_at(logits, (1, 1), alone, align_corners=True).item() == 1


@pytest.mark.parametrize(("merge", "scores"), MERGES)
def test_the_classes_of_a_merge_are_those_of_its_branches_together(merge, scores):
    space = branched({"s1": table("a", "c"), "s2": table("c", "b")}, THREE.names)
    view = views_of(space, {"merged": {"merge": merge, "scores": scores}})["merged"]
    classes = view.all_classes()
    assert (classes.names, classes.colors) == (("a", "b", "c"), space.colors[:3])
    for logits in torch.randn(20, 6):
        maps = logits.view(1, -1, 1, 1)
        expected, found = (classes_at(maps, (1, 1), each, align_corners=True) for each in (view.of(THREE), classes))
        assert torch.equal(found, expected)
    alone = View(space, "s2").all_classes()
    assert alone.names == ("s2/a", "s2/b", "s2/c")


def test_networks_and_branches_of_one_name_are_told_apart(two):
    plain = union({"x": THREE})
    assert list(joined({"s1": plain, "other": two}).branches) == ["s1", "other_s1", "s2"]
    assert list(joined({"one": two, "another": two}).branches) == ["one_s1", "one_s2", "another_s1", "another_s2"]


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        (None, "merges: expected one or more by name, such as .*, got None"),
        ({}, r"merges: expected one or more by name, .*, got \{\}"),
        ({"m": "max"}, r"merges.m: expected options as in \{max: \{merge: max.*, got 'max'"),
        ({"m": {"merged": "s1"}}, "merges.m.merged: expected a list, got 's1'"),
        ({"m": {"merged": ["s1", "s1"]}}, "merges.m.merged: 's1' occur more than once"),
        ({"m": {"merged": [1]}}, "merges.m.merged: 1 is no text"),
        ({"a/b": {}}, "merges: name 'a/b' becomes part of keys"),
        ({"network": {}}, "merges: name 'network' means something else"),
    ],
)
def test_merges_that_are_none_are_named(two, merges, message):
    with pytest.raises(ValueError, match=message):
        views_of(two, merges)


def test_bands_do_not_show(two):
    logits, evaluation = torch.randn(1, 6, 9, 9), View(two, scores="prob").of(THREE)
    whole = merged_argmax(logits, (40, 40), evaluation, True)
    assert torch.equal(whole, merged_argmax(logits, (40, 40), evaluation, True, band_bytes=1))


def test_branches_of_disjoint_spaces_merge_too():
    space = disjoint({"s1": THREE, "s2": table("b", "c")})
    assert answer(space, [0.0, 1.0, 0.0, 0.0, 1.5], merge="mean") == 2


def test_a_merge_needs_branches_and_a_known_name(two):
    with pytest.raises(ValueError, match="has no branches that could be merged"):
        View(union({"s1": THREE}), merge="mean")
    with pytest.raises(ValueError, match="merge: expected max or mean, got 'min'"):
        View(two, merge="min")
    with pytest.raises(ValueError, match="scores: expected logits or prob, got 'x'"):
        View(two, scores="x")


@pytest.mark.parametrize(("scores", "winner"), [("logits", 1), ("prob", 0)])
def test_the_branch_that_decides_is_the_one_with_the_highest_score_of_the_answer(two, scores, winner):
    """The pixel of the first test: on logits the second branch, on probabilities the first one."""
    merge = Merge("max", scores, (torch.arange(3), torch.arange(3, 6)))
    logits = torch.tensor([*S1, *S2]).view(1, 6, 1, 1)
    space = View(two, scores=scores).of(THREE)
    decided = classes_at(logits, (8, 9), space, align_corners=True)
    assert winning_branches(logits, decided, space, merge, align_corners=True).eq(winner).all()


def test_a_branch_decides_nothing_on_classes_that_it_never_saw():
    space = branched({"s1": THREE, "s2": table("a", "b")}, THREE.names)
    merge = Merge("max", "logits", (torch.arange(3), torch.arange(3, 6)))
    logits = torch.tensor([0.0, 0.0, 5.0, 0.0, 0.0, 99.0]).view(1, 6, 1, 1)
    evaluation = View(space).of(THREE)
    decided = classes_at(logits, (2, 2), evaluation, align_corners=True)
    assert decided.eq(2).all()
    assert winning_branches(logits, decided, evaluation, merge, align_corners=True).eq(0).all()
