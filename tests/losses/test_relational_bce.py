"""Plain, Null and Class-Relational BCE: pixels worked by hand, and the definition written out."""

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from mdseg import conf_dir
from mdseg.labels import relations
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.fused import by_autograd
from mdseg.losses.relational_bce import (
    RelationalBCE,
    bce,
    class_relational_bce,
    null_bce,
    relational_bce,
    softplus,
    sum_softplus,
)

LOGITS = (2.0, -1.0, 0.5, 0.0)


@pytest.fixture(scope="module")
def space(make_space):
    return make_space(first=("a", "b", "d"), second=("a", "c"))


@pytest.fixture(scope="module")
def street(make_space):
    """Classes in the space's order: bicyclist, person, rider, road; `vistas` has no rider, `city` no bicyclist."""
    return make_space(vistas=("road", "bicyclist", "person"), city=("road", "rider", "person"))


def pixel(*logits):
    return torch.tensor(logits).view(1, -1, 1, 1).requires_grad_()


def label(*values):
    return torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1)


def defined(logits, mask, dataset, table, in_space, align_corners=True):
    """The loss as the paper writes it, on full-resolution tensors; table [d, c, k] in {1, 0, -1}."""
    upsampled = interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=align_corners)
    known = torch.zeros(len(dataset), 256, dtype=torch.bool)
    known[:, : table.shape[1]] = in_space[dataset]
    valid = torch.stack([row[labels.long()] for row, labels in zip(known, mask, strict=True)])
    rows = torch.stack(
        [table[d][labels.long() * ok] for d, labels, ok in zip(dataset.tolist(), mask, valid, strict=True)]
    )
    targets = rows.permute(0, 3, 1, 2)
    terms = binary_cross_entropy_with_logits(upsampled, (targets == 1).to(logits.dtype), reduction="none")
    return (terms * (targets != -1) * valid[:, None]).sum() / valid.sum().clamp(min=1)


def test_null_bce_of_one_pixel_worked_by_hand(space):
    logits = pixel(*LOGITS)
    loss = null_bce(space)(logits, label(0), torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(1.133337, abs=1e-6)
    assert logits.grad.flatten().tolist() == pytest.approx([-0.119203, 0.268941, 0, 0.5], abs=1e-6)
    assert logits.grad[0, 2] == 0


def test_plain_bce_of_one_pixel_worked_by_hand(space):
    assert bce(space)(pixel(*LOGITS), label(0), torch.tensor([0])).item() == pytest.approx(2.107414, abs=1e-6)


def test_the_mean_runs_over_the_pixels_of_all_datasets(space):
    loss = null_bce(space)
    assert loss(pixel(*LOGITS), label(2), torch.tensor([1])).item() == pytest.approx(2.601005, abs=1e-6)
    both = pixel(*LOGITS).expand(2, -1, -1, -1)
    assert loss(both, label(0, 2), torch.tensor([0, 1])).item() == pytest.approx(1.867171, abs=1e-6)


def test_ignored_pixels_change_nothing(space):
    logits = pixel(*LOGITS).expand(2, -1, 1, 5)
    mask = torch.full((2, 1, 5), 255, dtype=torch.uint8)
    mask[0, 0, 0], mask[1, 0, 3] = 0, 2
    assert null_bce(space)(logits, mask, torch.tensor([0, 1])).item() == pytest.approx(1.867171, abs=1e-6)


def test_at_zero_logits_the_loss_is_the_number_of_classes_times_log_2():
    space = union({name: LabelTable.load(name) for name in ("cityscapes", "idd", "bdd", "mapillary")})
    logits = torch.zeros(1, 70, 2, 2)
    for dataset, expected in (("cityscapes", 13.17), ("idd", 18.02), ("mapillary", 45.05)):
        row = space.dataset_index(dataset)
        mask = torch.full((1, 4, 4), int(space.in_space[row].nonzero()[0]), dtype=torch.uint8)
        assert null_bce(space)(logits, mask, torch.tensor([row])).item() == pytest.approx(expected, abs=5e-3)


def test_class_relational_bce_of_one_pixel_worked_by_hand(street):
    bicyclist, person, rider, road = (street.names.index(name) for name in ("bicyclist", "person", "rider", "road"))
    values = torch.zeros(4)
    values[[road, rider, bicyclist, person]] = torch.tensor([-3.0, 1.0, 2.0, -1.0])
    logits, mask, dataset = pixel(*values.tolist()), label(bicyclist), torch.tensor([street.dataset_index("vistas")])
    table = relations.from_pairs(street, {"vistas": {"bicyclist": ["rider"]}})
    loss = class_relational_bce(street, table)(logits, mask, dataset)
    loss.backward()
    assert loss.item() == pytest.approx(0.802039, abs=1e-6)
    gradient = logits.grad.flatten()[[road, rider, bicyclist, person]].tolist()
    assert gradient == pytest.approx([0.047426, -0.268941, -0.119203, 0.268941], abs=1e-6)
    assert null_bce(street)(logits, mask, dataset).item() == pytest.approx(0.488777, abs=1e-6)
    assert bce(street)(logits, mask, dataset).item() == pytest.approx(1.802039, abs=1e-6)


def test_the_sum_of_softplus_minus_the_labels_logit_is_null_bce(space):
    values = torch.randn(4)
    member = space.in_space[0]
    expected = softplus(values[member]).sum() - values[3]
    loss = null_bce(space)(pixel(*values.tolist()), label(3), torch.tensor([0]))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_logits_outside_the_datasets_classes_change_nothing_bit_for_bit(space):
    mask = torch.tensor([0, 1, 3, 255], dtype=torch.uint8)[torch.randint(0, 4, (1, 9, 9))]
    logits = torch.randn(1, 4, 4, 4)
    changed = logits.clone()
    changed[:, 2] = 1e6 * torch.randn(4, 4)
    results = []
    for values in (logits, changed):
        values.requires_grad_()
        loss = null_bce(space)(values, mask, torch.tensor([0]))
        loss.backward()
        results.append((loss, values.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert (results[0][1][:, 2] == 0).all()


def test_identity_relations_give_null_bce(space):
    logits, mask = torch.randn(2, 4, 5, 5), torch.randint(0, 4, (2, 9, 9), dtype=torch.uint8)
    dataset = torch.tensor([0, 1])
    table = relations.from_pairs(space, {})
    torch.testing.assert_close(
        class_relational_bce(space, table)(logits, mask, dataset),
        null_bce(space)(logits, mask, dataset),
        rtol=0,
        atol=1e-6,
    )


def random_table(space):
    """Any table in which a label is its own positive nowhere in particular: the function must not assume it."""
    return torch.randint(-1, 2, (len(space.datasets), space.num_classes, space.num_classes), dtype=torch.int8)


def table_of(space, name):
    pairs = {"first": {"a": ["b", "c"], "d": ["c"]}}
    tables = {
        "plain": relations.plain(space),
        "null": relations.null(space),
        "pairs": relations.from_pairs(space, pairs),
        "random": random_table(space),
    }
    return tables[name]


@pytest.mark.parametrize("name", ["plain", "null", "pairs", "random"])
def test_the_closed_form_is_the_derivative(space, name):
    torch.manual_seed(0)
    for table, member in zip(table_of(space, name), space.in_space, strict=True):
        loss = RelationalBCE(table, member)
        local = member[loss.channels].nonzero()[:, 0]
        logits = torch.randn(len(loss.channels), 6, 5, dtype=torch.float64) * 4
        target = local[torch.randint(0, len(local), (6, 5))]
        value, gradient = loss.per_pixel_with_gradient(logits.clone(), target)
        expected, expected_gradient = by_autograd(loss.per_pixel, logits, target)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["plain", "null", "pairs", "random"]),
    *[st.integers(1, 12)] * 4,
    st.booleans(),
    st.integers(1, 3000),
    st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_value_and_gradient_equal_the_definition(
    space, name, h, w, height, width, align_corners, band_bytes, ignored, seed
):
    torch.manual_seed(seed)
    table, dataset = table_of(space, name), torch.tensor([0, 1, 0])
    logits = torch.randn(3, 4, h, w).mul_(3).requires_grad_()
    mask = torch.randint(0, 4, (3, height, width), dtype=torch.uint8)
    mask[torch.rand(mask.shape) < ignored] = 255
    loss = relational_bce(space, table, align_corners=align_corners, band_bytes=band_bytes)
    value = loss(logits, mask, dataset)
    expected = defined(logits, mask, dataset, table, space.in_space, align_corners)
    gradient, expected_gradient = (torch.autograd.grad(total, logits)[0] for total in (value, expected))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5 * expected_gradient.abs().max().item())


@pytest.mark.parametrize("name", ["plain", "null", "pairs", "random"])
def test_gradcheck_in_double(space, name):
    logits = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([0, 1, 2, 3, 255], dtype=torch.uint8)[torch.randint(0, 5, (2, 4, 6))]
    loss = relational_bce(space, table_of(space, name), band_bytes=300)
    assert torch.autograd.gradcheck(lambda values: loss(values, mask, torch.tensor([0, 1])), (logits,))


def test_an_all_ignored_batch_is_zero_with_finite_gradients(space):
    logits = torch.randn(2, 4, 5, 5, requires_grad=True)
    loss = null_bce(space)(logits, torch.full((2, 9, 9), 255, dtype=torch.uint8), torch.tensor([0, 1]))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_the_order_of_the_classes_does_not_matter(space):
    torch.manual_seed(0)
    table, dataset, order = table_of(space, "pairs"), torch.tensor([0, 1]), torch.tensor([2, 0, 3, 1])
    logits, mask = torch.randn(2, 4, 5, 5), torch.randint(0, 4, (2, 9, 9))
    losses = [RelationalBCE(t, m) for t, m in zip(table, space.in_space, strict=True)]
    expected = relational_bce(space, table)(logits, mask.to(torch.uint8), dataset)
    position = order.argsort()  # new index of each old class
    shuffled = defined(
        logits[:, order],
        position[mask].to(torch.uint8),
        dataset,
        table[:, order][:, :, order],
        space.in_space[:, order],
    )
    torch.testing.assert_close(shuffled, expected)
    assert [len(loss.channels) for loss in losses] == [4, 2]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0, 1e4])
@pytest.mark.parametrize("k", [0, 1, 2, 65, 120, 121, 255])
def test_the_sum_of_softplus_keeps_its_relative_precision(k, scale):
    logits = torch.randn(k, 40, 5) * scale
    expected = softplus(logits.double()).sum(0).float()
    torch.testing.assert_close(sum_softplus(logits), expected, rtol=5e-6, atol=1e-37)  # below: denormal numbers
    confident = -20 - torch.rand(k, 4, 4)
    expected = softplus(confident.double()).sum(0).float()
    torch.testing.assert_close(sum_softplus(confident), expected, rtol=5e-6, atol=0)


def test_zero_logits_of_many_classes_do_not_overflow():
    torch.testing.assert_close(sum_softplus(torch.zeros(255, 1, 1)).item(), 255 * 0.6931472)


def test_a_table_of_another_space_is_refused(space):
    with pytest.raises(ValueError, match=r"expected a table \(2, 4, 4\)"):
        relational_bce(space, torch.zeros(1, 4, 4, dtype=torch.int8))


def test_relations_may_come_from_a_file(street, tmp_path):
    table = relations.from_pairs(street, {"vistas": {"bicyclist": ["rider"]}})
    path = tmp_path / "relations.yaml"
    path.write_text(relations.to_yaml(street, table))
    logits, mask = torch.randn(1, 4, 3, 3), torch.randint(0, 4, (1, 6, 6), dtype=torch.uint8)
    dataset = torch.tensor([street.dataset_index("vistas")])
    assert torch.equal(
        class_relational_bce(street, path)(logits, mask, dataset),
        class_relational_bce(street, table)(logits, mask, dataset),
    )


@pytest.mark.parametrize("name", ["ce", "bce", "null_bce", "class_relational_bce"])
def test_every_configuration_builds_its_loss(name):
    space = union({name: LabelTable.load(name) for name in ("cityscapes", "idd", "bdd", "mapillary")})
    cfg = OmegaConf.create(
        {"align_corners": False, "loss": OmegaConf.load(conf_dir() / f"loss/supervised/{name}.yaml")}
    )
    loss = instantiate(cfg.loss, _partial_=True)(space=space)
    assert loss.align_corners is False
    assert not loss.state_dict(), "options of a loss must not enter checkpoints: stage 2 loads those of stage 1"
