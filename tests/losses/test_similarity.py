"""Entropy of similarities to label embeddings: pixels worked by hand, what takes part, and its derivative."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.losses.fused import by_autograd
from mdseg.losses.similarity import best_entropy, best_entropy_gradient, similarity_entropy

LABELS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def similarities(embedded, labels=LABELS):
    return F.conv2d(embedded, labels[:, :, None, None])


def pixel(*values):
    return torch.tensor(values).view(1, -1, 1, 1).requires_grad_()


def test_one_pixel_worked_by_hand():
    scores = similarities(pixel(1.0, 2.0)).detach().requires_grad_()
    assert scores.flatten().tolist() == [1, 2, -1]
    loss = similarity_entropy(scores)
    loss.backward()
    assert loss.item() == pytest.approx(0.713866, abs=1e-6)
    assert scores.grad.flatten().tolist() == pytest.approx([0.164818, -0.257362, 0.092544], abs=1e-6)
    assert scores.grad.sum().item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(("labels", "nats"), [(19, 2.944439), (26, 3.258097), (11, 2.397895), (57, 4.043051)])
def test_a_pixel_without_direction_is_undecided_and_moves_nowhere(labels, nats):
    scores = similarities(torch.zeros(1, 8, 2, 3), F.normalize(torch.randn(labels, 8), dim=1)).requires_grad_()
    loss = similarity_entropy(scores, (4, 6))
    loss.backward()
    assert loss.item() == pytest.approx(nats, abs=1e-6)
    assert scores.grad.abs().max() < 1e-8


@pytest.mark.parametrize(("scale", "nats"), [(0.1, 1.091124), (1.0, 0.713866), (5.0, 0.040184)])
def test_longer_pixel_embeddings_alone_make_the_decision_surer(scale, nats):
    assert similarity_entropy(similarities(scale * pixel(1.0, 2.0))).item() == pytest.approx(nats, abs=1e-6)


def test_several_embeddings_of_a_class_compete_or_are_represented_by_the_best():
    scores = pixel(2.0, 0.0, 1.0, -1.0)
    flat = similarity_entropy(scores, centroids=2, multi_centroid="flat")
    best = similarity_entropy(scores, centroids=2, multi_centroid="max")
    assert flat.item() == pytest.approx(0.947537, abs=1e-6)
    assert best.item() == pytest.approx(0.582203, abs=1e-6)


@pytest.mark.parametrize("mode", ["flat", "max"])
def test_with_one_embedding_per_class_both_are_the_same(mode):
    scores = torch.randn(2, 7, 4, 5)
    one = similarity_entropy(scores, (9, 8), centroids=1, multi_centroid=mode)
    assert torch.equal(one, similarity_entropy(scores, (9, 8)))


def test_the_best_embedding_of_a_class_alone_gets_a_gradient():
    scores = pixel(2.0, 0.0, 1.0, -1.0)
    similarity_entropy(scores, centroids=2, multi_centroid="max").backward()
    first, worse, second, worst = scores.grad.flatten().tolist()
    assert worse == worst == 0
    assert first == pytest.approx(-second)
    assert first < 0


@pytest.mark.parametrize("mode", ["flat", "max"])
@pytest.mark.parametrize("align_corners", [True, False])
def test_the_gradient_is_exact(mode, align_corners):
    scores = torch.randn(2, 8, 3, 2, dtype=torch.float64, requires_grad=True)
    valid = torch.rand(2, 5, 7) < 0.8
    rows = torch.tensor([0, 1, 4, 5, 6, 7])
    options = {"rows": rows, "centroids": 2, "multi_centroid": mode, "align_corners": align_corners}
    assert torch.autograd.gradcheck(lambda given: similarity_entropy(given, (5, 7), valid, **options), (scores,))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.1, 30), st.integers(0, 10**6))
def test_the_closed_form_is_the_derivative(centroids, classes, scale, seed):
    torch.manual_seed(seed)
    scores = torch.randn(centroids * classes, 4, 3, dtype=torch.float64) * scale
    value, gradient = best_entropy_gradient(scores.clone(), centroids)
    expected, expected_gradient = by_autograd(lambda band: best_entropy(band, centroids), scores)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("mode", ["flat", "max"])
def test_embeddings_of_absent_classes_are_left_out(mode):
    scores = torch.randn(2, 8, 3, 4, requires_grad=True)
    rows = torch.tensor([0, 1, 4, 5])
    options = {"centroids": 2, "multi_centroid": mode}
    loss = similarity_entropy(scores, (6, 9), rows=rows, **options)
    torch.testing.assert_close(loss, similarity_entropy(scores[:, rows], (6, 9), **options))
    loss.backward()
    absent = [2, 3, 6, 7]
    assert torch.equal(scores.grad[:, absent], torch.zeros(2, 4, 3, 4))
    assert scores.grad[:, rows].abs().sum() > 0


def test_a_class_of_a_kind_is_certain():
    scores = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = similarity_entropy(scores, (4, 4), rows=torch.tensor([1]))
    loss.backward()
    assert loss == 0
    assert scores.grad.abs().sum() == 0


def test_padded_pixels_do_not_count_and_get_no_gradient():
    scores = torch.randn(2, 5, 4, 6, requires_grad=True)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[:, 3:], valid[:, :, 4:] = False, False
    loss = similarity_entropy(scores, (4, 6), valid)
    torch.testing.assert_close(loss, similarity_entropy(scores[:, :, :3, :4]))
    loss.backward()
    assert scores.grad.masked_select(~valid[:, None]).abs().sum() == 0


@pytest.mark.parametrize("align_corners", [True, False])
def test_scores_may_be_upsampled_instead_of_pixel_embeddings(align_corners):
    generator = torch.Generator().manual_seed(0)
    embedded, labels = (torch.randn(shape, generator=generator) for shape in ((2, 16, 5, 7), (9, 16)))
    labels = F.normalize(labels, dim=1)
    wide = F.interpolate(embedded, size=(40, 56), mode="bilinear", align_corners=align_corners)
    scores = F.interpolate(similarities(embedded, labels), size=(40, 56), mode="bilinear", align_corners=align_corners)
    assert (similarities(wide, labels) - scores).abs().max() < 1e-5
    before = similarity_entropy(similarities(embedded, labels), (40, 56), align_corners=align_corners)
    assert abs(before - similarity_entropy(similarities(wide, labels))) < 1e-5


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from(["flat", "max"]), st.integers(0, 10**6))
def test_it_lies_between_0_and_the_logarithm_of_what_competes(centroids, classes, mode, seed):
    torch.manual_seed(seed)
    scores = 10 * torch.randn(2, centroids * classes, 2, 3, dtype=torch.float64)
    entropy = similarity_entropy(scores, (4, 5), centroids=centroids, multi_centroid=mode).item()
    assert -1e-12 <= entropy <= math.log(classes * (centroids if mode == "flat" else 1)) + 1e-12


def test_an_unknown_way_to_have_several_is_refused():
    with pytest.raises(ValueError, match="multi_centroid: expected 'flat' or 'max', got 'mean'"):
        similarity_entropy(torch.zeros(1, 2, 1, 1), multi_centroid="mean")
