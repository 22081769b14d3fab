"""Balancing logit variation: scales, noise, counts, and what they do to a loss."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, interpolate

from mdseg.labels.relations import plain
from mdseg.labels.spaces import branched
from mdseg.labels.tables import LabelTable
from mdseg.losses import variation
from mdseg.losses.cross_entropy import ce
from mdseg.losses.fused import PixelLoss, fused_sum
from mdseg.losses.relational_bce import bce, class_relational_bce, null_bce
from mdseg.losses.variation import (
    DECAY,
    NOISES,
    SCALES,
    ClassCounter,
    LogitVariation,
    Offsets,
    blv,
    class_scales,
    draw_factors,
    read_counts,
    triangle,
)
from mdseg.methods.base import step_seed

Q = (900.0, 90.0, 10.0)


def scales_of(counts, scale="paper", present=None):
    counts = torch.tensor(counts, dtype=torch.float64)
    present = torch.ones(len(counts), dtype=torch.bool) if present is None else torch.tensor(present)
    return class_scales(counts, present, scale)


def counter_of(counts=Q, mode="static", present=None, **options):
    counts = torch.tensor(counts, dtype=torch.float64)
    present = torch.ones(len(counts), dtype=torch.bool) if present is None else torch.tensor(present)
    return ClassCounter(counts, present, mode, **options)


def variation_of(counts=Q, noise="paper", scale="paper", sigma=6, steps=100, **options):
    return LogitVariation(counter_of(counts, **options), noise, scale, sigma, steps)


def batch(n=2, k=3, h=5, w=6, height=17, width=11, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, k, h, w, dtype=dtype, generator=generator).requires_grad_()
    mask = torch.randint(0, k, (n, height, width), dtype=torch.uint8, generator=generator)
    mask[:, :2] = 255
    return logits, mask, torch.zeros(n, dtype=torch.int64)


@pytest.fixture(scope="module")
def space(make_space):
    return make_space(a=("car", "road", "sky"))


def perturbed(space, band_bytes=None, **options):
    loss = ce(space, band_bytes=band_bytes)
    loss.variation = variation_of(**options)
    return loss


def value_and_gradient(loss, logits, *arguments, seed=1):
    torch.manual_seed(seed)
    value = loss(logits, *arguments)
    return value.detach(), torch.autograd.grad(value, logits)[0]


def offsets_of(noise="paper", sigma=6.0, scales=(0.1, 0.5, 1.0), images=1, size=(40, 30), seed=0):
    torch.manual_seed(seed)
    seeds = torch.randint(2**32, (images, size[0])).tolist()
    offsets = Offsets(noise, sigma, torch.tensor(scales), seeds)
    return torch.stack([offsets(torch.zeros(len(scales), *size), None, 0, image) for image in range(images)])


# Scales


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("paper", (0.022879, 0.522879, 1)),
        ("max_count", (0, 0.511707, 1)),
        ("pseudocode", (0.999345, 0.999681, 1)),
    ],
)
def test_scales_of_three_classes(scale, expected):
    torch.testing.assert_close(scales_of(Q, scale), torch.tensor(expected).double(), rtol=0, atol=1e-6)


def test_the_logarithms_that_the_scales_are_quotients_of():
    c = torch.tensor([0.105361, 2.407946, 4.605170], dtype=torch.float64)
    torch.testing.assert_close(scales_of(Q), c / c[2], rtol=0, atol=1e-6)


def test_classes_that_are_equally_frequent_are_all_perturbed_in_full():
    assert scales_of((50, 50, 50)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("scale", ["paper", "max_count"])
def test_a_single_class_is_not_perturbed(scale):
    assert scales_of((70,), scale).tolist() == [0]
    assert scales_of((70, 0, 0), scale, present=(True, False, False)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("scale", SCALES)
def test_a_class_without_pixels_is_the_rarest(scale):
    scales = scales_of((900, 0, 10), scale)
    assert scales[1] == 1
    assert scales.isfinite().all()
    assert scales_of((0, 0, 0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("scale", SCALES)
def test_a_class_that_nothing_annotates_is_not_perturbed_and_does_not_count(scale):
    scales = scales_of((900, 0, 90, 10), scale, present=(True, False, True, True))
    assert scales[1] == 0
    assert torch.equal(scales[[0, 2, 3]], scales_of(Q, scale))


pixel_counts = st.lists(st.integers(1, 10**12), min_size=1, max_size=30)


@given(pixel_counts, st.floats(1, 1e6))
def test_scales_lie_between_0_and_1_and_do_not_depend_on_the_number_of_images(counts, factor):
    scales = scales_of(counts)
    assert scales.min() >= 0
    assert scales.max() <= 1
    torch.testing.assert_close(scales_of([factor * count for count in counts]), scales, rtol=1e-6, atol=1e-9)


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=30), st.randoms())
def test_scales_follow_a_permutation_of_the_classes_and_grow_with_rarity(counts, random):
    order = list(range(len(counts)))
    random.shuffle(order)
    scales = scales_of(counts)
    torch.testing.assert_close(scales_of([counts[index] for index in order]), scales[order])
    by_frequency = np.argsort(counts, kind="stable")
    assert (scales[by_frequency.copy()].diff() <= 1e-12).all()


# Noise


@pytest.mark.parametrize(("sigma", "share"), [(4.0, 0.802587), (6.0, 0.867632)])
def test_most_factors_are_cut_at_one(sigma, share):
    factors = draw_factors("paper", sigma, torch.empty(10, 200, 500), torch.Generator().manual_seed(0))
    assert (factors == 1).double().mean().item() == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize(
    ("noise", "sigma", "mean"),
    [
        ("paper", 4.0, 0.900781),
        ("paper", 6.0, 0.933663),
        ("paper", 1.0, 0.631),  # drawn densely; sqrt(2 / pi) (1 - exp(-1/2)) + 0.317311
        ("pseudocode", 4.0, 0.450390),
        ("pseudocode", 6.0, 0.466832),
        ("uniform", 6.0, 0.5),
        ("beta", 6.0, 0.5),
        ("exponential", 6.0, 1 - math.exp(-1)),
    ],
)
def test_the_mean_of_a_million_factors(noise, sigma, mean):
    factors = draw_factors(noise, sigma, torch.empty(10, 200, 500), torch.Generator().manual_seed(0))
    assert factors.mean().item() == pytest.approx(mean, abs=0.002)
    assert factors.min() >= 0
    assert factors.max() <= 1


@pytest.mark.parametrize("sigma", [4.0, 6.0, 1.0])
def test_factors_are_cut_half_normal_numbers(sigma):
    factors = draw_factors("paper", sigma, torch.empty(10, 200, 500), torch.Generator().manual_seed(0)).flatten()
    below = math.erf(1 / (sigma * math.sqrt(2)))
    # Four standard deviations of a share of a million.
    assert (factors < 1).float().mean().item() == pytest.approx(below, abs=4 * math.sqrt(below * (1 - below)) / 1000)
    drawn = factors[factors < 1].double().sort().values
    cumulative = torch.erf(drawn / (sigma * math.sqrt(2))) / below
    found = (torch.arange(len(drawn)) + 0.5) / len(drawn)
    assert (cumulative - found).abs().max() * math.sqrt(len(drawn)) < 2.2, "Kolmogorov's distance, significance 1e-4"


def test_factors_of_neighbours_are_independent():
    factors = draw_factors("paper", 6.0, torch.empty(10, 200, 500), torch.Generator().manual_seed(0))
    for first, second in (
        (factors[:, :, 1:], factors[:, :, :-1]),
        (factors[:, 1:], factors[:, :-1]),
        (factors[1:], factors[:-1]),
    ):
        assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.005
    values = factors[factors < 1]
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02


def test_half_of_the_pseudocode_s_factors_are_zero():
    factors = draw_factors("pseudocode", 6.0, torch.empty(1, 500, 500), torch.Generator().manual_seed(0))
    assert (factors == 0).float().mean().item() == pytest.approx(0.5, abs=0.005)


def test_beta_one_half_has_the_arcsine_law():
    factors = draw_factors("beta", 6.0, torch.empty(1, 500, 500), torch.Generator().manual_seed(0))
    for share in (0.1, 0.5, 0.9):
        expected = 2 / math.pi * math.asin(math.sqrt(share))
        assert (factors < share).float().mean().item() == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("noise", NOISES)
@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=6),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**31),
)
def test_offsets_lie_between_0_and_the_scale_of_their_class(noise, counts, size, sigma, seed):
    scales = scales_of(counts).float()
    offsets = offsets_of(noise, sigma, scales.tolist(), size=size, seed=seed)[0]
    assert (offsets >= 0).all()
    assert (offsets <= scales[:, None, None]).all()
    assert (offsets[counts.index(max(counts))] <= scales.min()).all()


def test_constant_noise_is_the_scale_itself():
    assert (offsets_of("constant") == torch.tensor([0.1, 0.5, 1.0])[:, None, None]).all()


def test_images_and_calls_have_noise_of_their_own():
    first, second = offsets_of(images=2)
    assert not torch.equal(first, second)
    assert torch.equal(offsets_of(images=2)[1], second)
    assert not torch.equal(offsets_of(seed=1)[0], first)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("block", [1, 90, 200, 2**19])
def test_noise_does_not_depend_on_the_bands(monkeypatch, noise, block):
    monkeypatch.setattr(variation, "CPU_BLOCK", block)
    whole = offsets_of(noise, size=(23, 15))[0]
    torch.manual_seed(0)
    offsets = Offsets(noise, 6.0, torch.tensor([0.1, 0.5, 1.0]), torch.randint(2**32, (1, 23)).tolist())
    for height in (1, 4, 7, 23):
        bands = [torch.zeros(3, min(height, 23 - start), 15) for start in range(0, 23, height)]
        for number, band in enumerate(bands):
            offsets(band, None, number * height, 0)
        assert torch.equal(torch.cat(bands, dim=1), whole)


def test_rows_that_are_left_out_leave_the_others_as_they_are(monkeypatch):
    monkeypatch.setattr(variation, "CPU_BLOCK", 90)
    whole = offsets_of(size=(23, 15))[0]
    torch.manual_seed(0)
    offsets = Offsets("paper", 6.0, torch.tensor([0.1, 0.5, 1.0]), torch.randint(2**32, (1, 23)).tolist())
    assert torch.equal(offsets(torch.zeros(3, 5, 15), None, 13, 0), whole[:, 13:18])


def test_offsets_of_a_subset_of_the_channels_use_the_scales_of_these():
    offsets = Offsets("constant", 6.0, torch.tensor([0.1, 0.5, 1.0]), [[0]])
    band = offsets(torch.zeros(2, 1, 1), torch.tensor([2, 0]), 0, 0)
    assert band.flatten().tolist() == [1.0, pytest.approx(0.1)]


# Losses


@pytest.mark.parametrize(("label", "expected"), [(0, 0.728514), (1, 1.478514), (2, 1.239953)])
def test_cross_entropy_with_the_factor_one_half(monkeypatch, space, label, expected):
    monkeypatch.setattr(variation, "draw_factors", lambda noise, sigma, out, generator: out.fill_(0.5))
    loss = perturbed(space)
    logits = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    value = loss(logits, torch.full((1, 1, 1), label, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-6)
    if label == 2:
        assert gradient.flatten().tolist() == pytest.approx([0.482626, 0.227976, -0.710602], abs=1e-6)


def test_perturbed_logits_with_the_factor_one_half(monkeypatch):
    monkeypatch.setattr(variation, "draw_factors", lambda noise, sigma, out, generator: out.fill_(0.5))
    band = variation_of()(1, 1)(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1), None, 0, 0)
    assert band.flatten().tolist() == pytest.approx([1.011439, 0.261439, 0.5], abs=1e-6)


def test_the_loss_is_that_of_perturbed_upsampled_logits(space):
    logits, mask, dataset = batch()
    loss = perturbed(space)
    value, gradient = value_and_gradient(loss, logits, mask, dataset)
    torch.manual_seed(1)
    offsets = loss.variation(*mask.shape[:2])
    zeros = [offsets(torch.zeros(3, *mask.shape[1:]), None, 0, image) for image in range(len(mask))]
    upsampled = interpolate(logits, size=mask.shape[1:], mode="bilinear", align_corners=True)
    expected = cross_entropy(upsampled + torch.stack(zeros), mask.long(), ignore_index=255)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["ce", "ce in_space", "bce", "null_bce", "class_relational_bce"])
def test_every_supervised_loss_is_perturbed_by_the_scales_of_its_channels(make_space, name):
    """A constant offset may as well be added before the upsampling, class by class."""
    space = make_space(a=("car", "road", "sky"), b=("bus", "car", "train"))
    table = plain(space)
    table[1, space.names.index("car"), space.names.index("bus")] = 1
    make = {
        "ce": ce,
        "ce in_space": lambda space: ce(space, scope="in_space"),
        "bce": bce,
        "null_bce": null_bce,
        "class_relational_bce": lambda space: class_relational_bce(space, table),
    }[name]
    loss = make(space)
    torch.manual_seed(0)
    logits = torch.randn(2, space.num_classes, 4, 5, requires_grad=True)
    mask = torch.randint(0, space.num_classes, (2, 9, 8), dtype=torch.uint8)
    dataset = torch.tensor([0, 1])
    counts = torch.tensor([5, 900, 30, 400, 1], dtype=torch.float64)
    scales = class_scales(counts, torch.ones(5, dtype=torch.bool)).float()
    expected = loss(logits + scales[:, None, None], mask, dataset)
    loss.variation = variation_of(counts.tolist(), noise="constant")
    value = loss(logits, mask, dataset)
    torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(each, logits)[0] for each in (value, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("noise", NOISES)
def test_evaluation_mode_and_sigma_0_are_the_plain_loss_bit_for_bit(space, noise):
    logits, mask, dataset = batch()
    plain = value_and_gradient(ce(space), logits, mask, dataset)
    for loss in (perturbed(space, noise=noise).eval(), perturbed(space, noise=noise, sigma=0)):
        for value, expected in zip(value_and_gradient(loss, logits, mask, dataset), plain, strict=True):
            assert torch.equal(value, expected)


def test_no_random_number_is_used_up_where_nothing_is_perturbed():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert variation_of(sigma=0)(2, 5) is None
    assert variation_of().eval()(2, 5) is None
    assert torch.equal(torch.rand(1), expected)


def test_a_single_class_of_the_task_gives_the_plain_loss(space):
    logits, mask, dataset = batch()
    loss = perturbed(space, counts=(70, 0, 0), present=(True, False, False))
    assert torch.equal(loss(logits, mask, dataset), ce(space)(logits, mask, dataset))


@pytest.mark.parametrize("noise", NOISES)
def test_value_and_gradient_do_not_depend_on_the_bands(monkeypatch, space, noise):
    monkeypatch.setattr(variation, "CPU_BLOCK", 100)
    logits, mask, dataset = batch(dtype=torch.float64)
    found = [
        value_and_gradient(perturbed(space, size, noise=noise), logits, mask, dataset) for size in (1, 700, 3000, None)
    ]
    for value, gradient in found[1:]:
        torch.testing.assert_close(value, found[0][0], rtol=1e-12, atol=0)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-9, atol=1e-12)


def test_an_image_s_noise_does_not_depend_on_the_labels_of_the_others(space):
    logits, mask, dataset = batch()
    ignored = mask.clone()
    ignored[0] = 255
    _, both = value_and_gradient(perturbed(space), logits, mask, dataset)
    _, alone = value_and_gradient(perturbed(space), logits, ignored, dataset)
    assert (alone[0] == 0).all()
    # Half as many pixels count.
    torch.testing.assert_close(alone[1], 2 * both[1])


def test_calls_differ_seeds_repeat_and_ranks_differ(space):
    logits, mask, dataset = batch()
    loss = perturbed(space)
    torch.manual_seed(step_seed(0, 5, rank=0))
    source, mixed = loss(logits, mask, dataset), loss(logits, mask, dataset)
    assert source != mixed
    torch.manual_seed(step_seed(0, 5, rank=0))
    assert loss(logits, mask, dataset) == source
    torch.manual_seed(step_seed(0, 5, rank=1))
    assert loss(logits, mask, dataset) != source


def test_noise_has_no_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    perturb = variation_of()
    total = fused_sum(
        [PixelLoss(lambda band: band.sum(0))], logits, (4, 4), align_corners=True, variation=perturb(1, 4)
    )
    total.backward()
    torch.testing.assert_close(logits.grad, torch.ones_like(logits))
    assert total.item() > logits.sum().item()
    assert not any(buffer.requires_grad for buffer in perturb.buffers())
    assert not list(perturb.parameters())


def test_gradcheck_with_the_noise_of_one_seed(space):
    logits, mask, dataset = batch(h=3, w=3, height=6, width=5, dtype=torch.float64)
    loss = perturbed(space)

    def seeded(values):
        torch.manual_seed(0)
        return loss(values, mask, dataset)

    assert torch.autograd.gradcheck(seeded, (logits,))


def test_ignored_masks_give_a_zero_with_a_graph(space):
    logits, mask, dataset = batch()
    value = perturbed(space)(logits, torch.full_like(mask, 255), dataset)
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


def test_permuting_classes_and_their_noise_changes_nothing(space):
    logits, mask, dataset = batch()
    order = torch.tensor([2, 0, 1])  # new position → old class
    position = torch.argsort(order)
    permuted_mask = torch.where(mask == 255, 255, position[mask.long() % 3]).to(torch.uint8)
    drawn = torch.rand(2, 3, *mask.shape[1:])

    def with_noise(counts, noise):
        loss, scales = ce(space), scales_of(counts).float()[:, None, None]

        def perturb(band, channels, row, image):
            return band + scales * noise[image, :, row : row + band.shape[1]]

        loss.variation = lambda images, rows, labels: perturb
        return loss

    counts = torch.tensor(Q)
    expected = with_noise(Q, drawn)(logits, mask, dataset)
    permuted = with_noise(counts[order].tolist(), drawn[:, order])(logits[:, order], permuted_mask, dataset)
    torch.testing.assert_close(permuted, expected)


def test_half_precision_logits_are_perturbed_in_float32(space):
    logits, mask, dataset = batch()
    rounded = logits.detach().bfloat16()
    torch.manual_seed(0)
    value = perturbed(space)(rounded, mask, dataset)
    torch.manual_seed(0)
    assert value == perturbed(space)(rounded.float(), mask, dataset)
    assert value.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("noise", NOISES)
def test_on_a_gpu_it_is_the_same_but_for_the_numbers_drawn(space, noise):
    logits, mask, dataset = (tensor.cuda() for tensor in batch(height=170, width=110))
    found = []
    for size in (1 << 10, 1 << 16, None):
        loss = perturbed(space, size, noise=noise).cuda()
        torch.manual_seed(1)
        found.append(loss(logits, mask, dataset))
    torch.testing.assert_close(torch.stack(found), found[0].expand(3))
    on_cpu = perturbed(space, noise=noise)(logits.cpu(), mask.cpu(), dataset.cpu())
    assert found[0].item() == pytest.approx(on_cpu.item(), rel=0.05)


# Temporal sigma


def test_sigma_rises_to_its_peak_and_falls_to_0():
    found = [triangle(step, 40_000, 6, 0.75) for step in (0, 15_000, 30_000, 35_000, 40_000)]
    assert found == [0, 3, 6, 3, 0]


def test_sigma_follows_the_steps_of_the_fit(space):
    logits, mask, dataset = batch()
    loss = perturbed(space, sigma={"peak": 6, "middle": 0.75}, steps=40)
    plain = ce(space)(logits, mask, dataset)
    for step, sigma in ((0, 0), (15, 3), (30, 6), (35, 3)):
        loss.variation.begin(step)
        assert loss.variation.sigma == sigma
        assert (loss(logits, mask, dataset) == plain) == (sigma == 0)


def test_a_small_sigma_perturbs_little():
    assert offsets_of(sigma=1e-3).max() < 0.01


# Counts


def test_counters_ignore_pixels_without_a_label_and_classes_outside_the_task():
    counter = counter_of((1, 0, 1, 1), "epoch", present=(True, False, True, True))
    counter.observe(torch.tensor([[[0, 0, 2, 1, 1, 3, 4, 200, 255]]], dtype=torch.uint8))
    assert counter.next.tolist() == [2, 0, 1, 1]


def test_static_counts_are_those_of_the_labels():
    counter = counter_of(Q)
    counter.observe(torch.zeros(1, 4, 4, dtype=torch.uint8))
    counter.begin(7)
    assert counter.counts().tolist() == list(Q)


def test_an_epoch_s_pseudo_labels_count_in_the_next_one():
    counter = counter_of(Q, "epoch", share=0.25, epoch=lambda step: step // 2)
    rare = torch.full((1, 10, 10), 2, dtype=torch.uint8)
    counts = []
    for step, labels in enumerate((rare, torch.ones_like(rare), rare, rare)):
        counter.begin(step)
        counter.observe(labels)
        counts.append(counter.counts().tolist())
    assert counts[0] == counts[1] == pytest.approx(list(Q))
    assert counts[2] == counts[3] == pytest.approx([675, 67.5 + 125, 7.5 + 125])
    counter.begin(4)
    assert counter.counts().tolist() == pytest.approx([675, 67.5, 7.5 + 250])


def test_an_epoch_without_a_label_leaves_the_counts_as_they_are():
    counter = counter_of(Q, "epoch", epoch=lambda step: step)
    counter.observe(torch.full((1, 2, 2), 255, dtype=torch.uint8))
    counter.begin(1)
    assert counter.counts().tolist() == pytest.approx(list(Q))


def test_running_counts_start_at_the_labels_and_forget_them_slowly(monkeypatch):
    counter = counter_of(Q, "running")
    seen = torch.tensor([[[2, 2, 2, 1]]], dtype=torch.uint8)
    counter.observe(seen)
    expected = DECAY * np.array(Q) / 1000 + (1 - DECAY) * np.array([0, 0.25, 0.75])
    assert (counter.counts() / 1000).tolist() == pytest.approx(expected)
    monkeypatch.setattr(variation, "DECAY", 0.5)
    for _ in range(30):
        counter.observe(seen)
    assert (counter.counts() / 1000).tolist() == pytest.approx([0, 0.25, 0.75], abs=1e-6)
    before = counter.counts()
    counter.observe(torch.full((1, 2, 2), 255, dtype=torch.uint8))
    assert torch.equal(counter.counts(), before)


@pytest.mark.parametrize("mode", ["epoch", "running"])
def test_ranks_count_what_all_of_them_have_seen(monkeypatch, mode):
    labels = torch.randint(0, 3, (2, 6, 6), dtype=torch.uint8)
    one, whole = counter_of(Q, mode, epoch=lambda step: step), counter_of(Q, mode, epoch=lambda step: step)
    whole.observe(labels)
    other = torch.bincount(labels[1].flatten(), minlength=3)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda counts: counts.add_(other))
    one.observe(labels[:1])
    for counter in (one, whole):
        counter.begin(1)
    assert torch.equal(one.counts(), whole.counts())


@pytest.mark.parametrize("mode", ["static", "epoch", "running"])
def test_a_counter_goes_on_from_its_state(mode):
    generator = torch.Generator().manual_seed(0)
    labels = [torch.randint(0, 3, (1, 5, 5), dtype=torch.uint8, generator=generator) for _ in range(6)]

    def go_on(counter, steps):
        for step in steps:
            counter.begin(step)
            counter.observe(labels[step])

    whole, first, second = (
        counter_of(counts, mode, share=0.5, epoch=lambda step: step // 4) for counts in (Q, Q, (1, 1, 1))
    )
    go_on(whole, range(6))
    go_on(first, range(3))
    second.load_state_dict(first.state_dict())
    go_on(second, range(3, 6))
    assert torch.equal(second.counts(), whole.counts())


# Configuration


GIVEN = {
    "share": 0.5,
    "epoch": lambda step: 0,
    "steps": 10,
    "noise": "paper",
    "scale": "paper",
    "sigma": 6,
    "counts": {"supervised": "static", "mixed": "static"},
    "counts_file": None,
}


def configured(space, losses=None, **options):
    losses = {"supervised": ce(space), "mixed": None} if losses is None else losses
    for counter in blv(losses, space, **GIVEN | options):
        counter.count(torch.tensor(Q, dtype=torch.float64))
    return losses


def test_classes_of_a_branch_that_its_dataset_never_annotates_do_not_count():
    def table(names):
        return LabelTable(
            "t", tuple(names), ((0, 0, 0), (1, 0, 0), (2, 0, 0))[: len(names)], "id", ((0,), (1,), (2,))[: len(names)]
        )

    space = branched({"s1": table("abc"), "s2": table("ab")}, tuple("abc"))
    (counter,) = blv({"supervised": ce(space, scope="in_space"), "mixed": None}, space, **GIVEN)
    counter.count(torch.tensor([1000.0, 100.0, 10.0, 1000.0, 100.0, 0.0], dtype=torch.float64))
    assert counter.present.tolist() == [True] * 5 + [False]
    scales = class_scales(counter.counts(), counter.present, "paper")
    assert scales[-1] == 0
    assert scales[2] == 1  # the rarest that there is


def test_only_the_losses_that_counts_names_are_perturbed(space):
    losses = configured(
        space, {"supervised": ce(space), "mixed": ce(space)}, counts={"supervised": None, "mixed": "running"}
    )
    assert losses["supervised"].variation is None
    assert losses["mixed"].variation.counter.mode == "running"


@pytest.mark.parametrize("counted", [None, torch.full((1, 2, 2), 1, dtype=torch.uint8)])
def test_a_loss_counts_what_it_is_trained_on_by_itself(space, counted):
    """The labels, or what stands for them (pseudo-labels); nothing in evaluation, nothing of an auxiliary head."""
    loss = configured(space, counts={"supervised": "epoch"})["supervised"]
    logits, mask, dataset = batch()
    seen = mask if counted is None else counted
    loss(logits, mask, dataset, counted=counted)
    once = torch.bincount(seen.flatten(), minlength=256)[: space.num_classes].double()
    assert torch.equal(loss.variation.counter.next, once)
    loss(logits, mask, dataset, perturb=False)
    loss.eval()(logits, mask, dataset)
    assert torch.equal(loss.variation.counter.next, once)


def test_labels_are_counted_while_sigma_is_still_0(space):
    loss = configured(space, counts={"supervised": "epoch"}, sigma={"peak": 6, "middle": 0.5})["supervised"]
    loss.variation.begin(0)
    loss(*batch())
    assert loss.variation.counter.next.sum() > 0


def test_every_loss_counts_for_itself(space):
    losses = configured(space, {"supervised": ce(space), "mixed": ce(space)})
    first, second = (loss.variation.counter.labelled for loss in losses.values())
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "gaussian"}, r"noise: expected paper, pseudocode, .*, got 'gaussian'"),
        ({"scale": "sqrt"}, r"scale: expected paper, max_count, pseudocode, got 'sqrt'"),
        ({"sigma": -1}, r"sigma: expected a number of at least 0, got -1"),
        ({"sigma": math.nan}, r"sigma: expected a number of at least 0, got nan"),
        ({"sigma": {"peak": -6, "middle": 0.5}}, r"sigma: expected a number of at least 0, got -6"),
        ({"sigma": {"peak": 6, "middle": 0}}, r"sigma\.middle: expected a share of the steps.* got 0"),
        ({"sigma": {"peak": 6, "middle": 30000}}, r"sigma\.middle: expected a share of the steps.* got 30000"),
        ({"sigma": {"peak": 6}}, r"expected a number or \{peak: 6, middle: 0.75\}, got \{'peak': 6\}"),
        ({"sigma": {"peak": 6, "middle": 0.5}, "noise": "constant"}, r"noise 'constant' has no sigma"),
        ({"counts": {"supervised": "ema"}}, r"counts\.supervised: expected static, epoch, running or null, got 'ema'"),
        (
            {"counts": {"supervised": "static", "aux": "static"}},
            r"counts: no such loss, 'aux'; expected supervised, mixed",
        ),
        ({"counts": {"supervised": None, "mixed": "static"}}, r"no loss is perturbed; give supervised a mode"),
    ],
)
def test_settings_that_make_no_sense_are_refused(space, options, message):
    with pytest.raises(ValueError, match=message):
        configured(space, **options)


def test_counts_from_a_file_take_the_place_of_the_labels(space, tmp_path):
    for name, text in {
        "counts.json": json.dumps({"sky": 30, "road": 20, "car": 10, "boat": 5}),
        "counts.yaml": "car: 10\nroad: 20\nsky: 30\n",
    }.items():
        (tmp_path / name).write_text(text)
        losses = configured(space, counts_file=str(tmp_path / name))
        assert losses["supervised"].variation.counter.counts().tolist() == [10, 20, 30]


def test_a_file_need_not_have_classes_that_nothing_annotates(tmp_path):
    (tmp_path / "counts.yaml").write_text("car: 10\nsky: 30\n")
    counts = read_counts(tmp_path / "counts.yaml", ("car", "road", "sky"), torch.tensor([True, False, True]))
    assert counts.tolist() == [10, 0, 30]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("car: 10\nsky: 30\n", r"counts\.yaml lacks road; it needs the pixels of car, road, sky"),
        ("car: 10\nroad: -1\nsky: 30\n", "road: expected a number of pixels, got -1"),
        ("car: 0.5\nroad: 1\nsky: 30\n", r"car: expected a number of pixels, got 0\.5"),
        ("[1, 2, 3]", "expected class names with their pixels"),
        ("car: [", "not readable YAML"),
        ("car: true\nroad: 1\nsky: 30\n", "car: expected a number of pixels, got True"),
        ("car: 1\ncar: 2\nroad: 1\nsky: 3", "counts_file: .*counts.yaml, line 2: .*key 'car' twice"),
    ],
)
def test_files_without_every_count_are_refused(space, tmp_path, text, message):
    (tmp_path / "counts.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        configured(space, counts_file=str(tmp_path / "counts.yaml"))


def test_a_file_that_does_not_exist_is_refused(space, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"counts_file: .*missing\.yaml does not exist"):
        configured(space, counts_file=str(tmp_path / "missing.yaml"))
