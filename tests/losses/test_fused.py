"""The engine: value and gradient of the unfused loss, whatever the bands."""

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mdseg.losses.cross_entropy import ce
from mdseg.losses.fused import PixelLoss, SupervisedLoss, fused_sum
from mdseg.losses.relational_bce import null_bce


def entropy(band):
    log_probs = band.log_softmax(0)
    return -(log_probs.exp() * log_probs).sum(0)


def cubed_margin(band, target):
    return (band.sum(0) - band.gather(0, target[None])[0]) ** 3


def sum_of(function, logits, size, **options):
    options = {"align_corners": True, "band_bytes": 1, **options}
    return fused_sum([PixelLoss(function)] * len(logits), logits, size, **options)


def supervised(function, num_classes=3, **options):
    annotated = torch.ones(1, num_classes, dtype=torch.bool)
    return SupervisedLoss([PixelLoss(function)], annotated, **{"align_corners": True, "band_bytes": 64, **options})


def batch(n=2, k=3, h=4, w=5, height=9, width=7, seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    logits = torch.randn(n, k, h, w, dtype=dtype, requires_grad=True)
    mask = torch.randint(0, k, (n, height, width), dtype=torch.uint8)
    return logits, mask, torch.zeros(n, dtype=torch.int64)


@settings(deadline=None, max_examples=40)
@given(*[st.integers(1, 12)] * 4, st.booleans(), st.integers(1, 4000))
def test_a_loss_without_targets_equals_the_loss_of_interpolated_logits(h, w, height, width, align_corners, band_bytes):
    logits = torch.randn(2, 5, h, w, requires_grad=True)
    loss = sum_of(entropy, logits, (height, width), align_corners=align_corners, band_bytes=band_bytes)
    (gradient,) = torch.autograd.grad(loss, logits)
    upsampled = interpolate(logits, size=(height, width), mode="bilinear", align_corners=align_corners)
    expected = entropy(upsampled.transpose(0, 1)).sum()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    expected_gradient = torch.autograd.grad(expected, logits)[0]
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5 * max(1.0, expected_gradient.abs().max()))


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(6, 5), (2, 3), (1, 1)])
def test_gradcheck_in_double(align_corners, size):
    logits, mask, dataset = batch(h=3, w=3, height=size[0], width=size[1], dtype=torch.float64)
    weight = torch.rand(mask.shape, dtype=torch.float64)
    loss = supervised(cubed_margin, align_corners=align_corners)
    assert torch.autograd.gradcheck(lambda values: loss(values, mask, dataset, weight), (logits,))


def test_float64_stays_float64():
    logits, mask, dataset = batch(dtype=torch.float64)
    assert supervised(cubed_margin)(logits, mask, dataset).dtype == torch.float64


def test_the_band_height_does_not_matter():
    logits, mask, dataset = batch(dtype=torch.float64)
    losses = [supervised(cubed_margin, band_bytes=size)(logits, mask, dataset) for size in (1, 500, 1 << 20, None)]
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in losses]
    torch.testing.assert_close(torch.stack(losses), losses[0].expand(4), rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.stack(gradients), gradients[0].expand(4, -1, -1, -1, -1), rtol=1e-9, atol=1e-12)


def test_without_gradients_the_value_is_the_same():
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)
    with torch.no_grad():
        assert not loss(logits, mask, dataset).requires_grad
    torch.testing.assert_close(loss(logits.detach(), mask, dataset), loss(logits, mask, dataset).detach())


def test_nothing_is_differentiated_when_no_gradient_is_wanted():
    def closed_form(band):
        raise AssertionError("differentiated")

    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    with torch.no_grad():
        fused_sum([PixelLoss(entropy, closed_form)], logits, (8, 8), align_corners=True)
    with pytest.raises(AssertionError, match="differentiated"):
        fused_sum([PixelLoss(entropy, closed_form)], logits, (8, 8), align_corners=True)


def test_a_second_derivative_is_refused():
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)(logits, mask, dataset)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, logits, create_graph=True)


def test_the_loss_may_be_scaled_and_added():
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)(logits, mask, dataset)
    (plain,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (scaled,) = torch.autograd.grad(3 * loss + logits.sum(), logits)
    torch.testing.assert_close(scaled, 3 * plain + 1)


def test_a_loss_scale_reaches_half_precision_gradients_before_they_are_rounded():
    # With a mean over 4 million pixels a float16 gradient would be zero; times the scale it is not.
    logits = torch.randn(1, 3, 2, 2).half().requires_grad_()
    total = sum_of(entropy, logits, (8, 8)) / 4e9
    (gradient,) = torch.autograd.grad(total * 2.0**30, logits)
    reference = logits.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(sum_of(entropy, reference, (8, 8)) / 4e9 * 2.0**30, reference)
    assert gradient.dtype == torch.float16
    torch.testing.assert_close(gradient.float(), expected, rtol=2e-3, atol=0)


def test_bfloat16_logits_under_autocast_are_evaluated_in_float32():
    logits, mask, dataset = batch()
    rounded = logits.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = supervised(cubed_margin)(rounded, mask, dataset)
    reference = rounded.detach().float().requires_grad_()
    expected = supervised(cubed_margin)(reference, mask, dataset)
    loss.backward()
    expected.backward()
    assert loss.dtype == torch.float32
    assert rounded.grad.dtype == torch.bfloat16
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(rounded.grad.float(), reference.grad, rtol=8e-3, atol=0)


def test_ignored_pixels_get_no_gradient():
    logits, mask, dataset = batch(h=9, w=7)
    mask[:, 2:5, 3:] = 255
    supervised(cubed_margin)(logits, mask, dataset).backward()
    assert (logits.grad[:, :, 2:5, 3:] == 0).all()
    assert (logits.grad[:, :, :2] != 0).any()


def test_an_ignored_image_changes_nothing():
    logits, mask, dataset = batch(n=3)
    mask[1] = 255
    loss = supervised(cubed_margin)
    rest = [0, 2]
    expected = loss(logits[rest], mask[rest], dataset[rest])
    assert torch.equal(loss(logits, mask, dataset), expected)


@pytest.mark.parametrize("reduction", ["labelled", "all_pixels"])
@pytest.mark.parametrize("n", [0, 2])
def test_a_batch_without_labels_gives_a_connected_zero(reduction, n):
    logits, mask, dataset = batch(n=n)
    loss = supervised(cubed_margin, reduction=reduction)(logits, torch.full_like(mask, 255), dataset)
    loss.backward()
    assert loss == 0
    assert logits.grad.shape == logits.shape
    assert (logits.grad == 0).all()


def test_all_pixels_divides_by_the_ignored_ones_too():
    logits, mask, dataset = batch()
    mask[:, :3] = 255
    labelled, everything = (supervised(cubed_margin, reduction=name) for name in ("labelled", "all_pixels"))
    share = (mask != 255).float().mean()
    torch.testing.assert_close(everything(logits, mask, dataset), labelled(logits, mask, dataset) * share)


def test_weights_multiply_each_pixel_and_leave_the_count_alone():
    logits, mask, dataset = batch()
    weight = torch.rand(mask.shape)
    weight[0] = 0
    upsampled = interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=True)
    per_pixel = torch.stack([cubed_margin(*pair) for pair in zip(upsampled, mask.long(), strict=True)])
    torch.testing.assert_close(supervised(cubed_margin)(logits, mask, dataset, weight), (per_pixel * weight).mean())


def test_a_variation_perturbs_the_upsampled_logits():
    seen = []

    def variation(band, channels, row, image):
        seen.append((row, image))
        return band + 1

    logits, mask, dataset = batch(k=3)
    loss = supervised(cubed_margin, band_bytes=3 * 7 * 4 * 4)
    loss.variation = lambda images, rows, labels: variation
    shifted = supervised(cubed_margin)(logits + 1, mask, dataset)
    torch.testing.assert_close(loss(logits, mask, dataset), shifted)
    assert seen == [(0, 0), (4, 0), (8, 0), (0, 1), (4, 1), (8, 1)]


def test_a_loss_that_does_not_perturb_leaves_its_variation_out():
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)
    loss.variation = lambda images, rows, labels: lambda band, channels, row, image: band + 1
    assert torch.equal(loss(logits, mask, dataset, perturb=False), supervised(cubed_margin)(logits, mask, dataset))


def test_it_runs_inside_a_compiled_function():
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)
    compiled = torch.compile(lambda values: loss(values * 2, mask, dataset), backend="eager")
    torch.testing.assert_close(compiled(logits), loss(logits * 2, mask, dataset))


def test_labels_that_a_dataset_does_not_annotate_count_as_unlabelled(make_space):
    space = make_space(a=("car", "road"), b=("road", "sky"))
    mask = torch.tensor([[[0, 1], [2, 1]]], dtype=torch.uint8)  # car, road; sky, road
    known = mask.clone()
    known[0, 1, 0] = 255
    logits = torch.randn(1, 3, 2, 2)
    for loss in (null_bce(space), ce(space, scope="in_space")):
        assert torch.equal(loss(logits, mask, torch.tensor([0])), loss(logits, known, torch.tensor([0])))


def test_what_does_not_fit_is_named(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users, who run without the type checks
    logits, mask, dataset = batch()
    loss = supervised(cubed_margin)
    with pytest.raises(ValueError, match="3 classes, the logits have 2"):
        loss(logits[:, :2], mask, dataset)
    with pytest.raises(ValueError, match="2 images of logits"):
        loss(logits, mask[:1], dataset)
    with pytest.raises(ValueError, match="weight"):
        loss(logits, mask, dataset, torch.ones(2, 3, 3))
    with pytest.raises(ValueError, match="'labelled' or 'all_pixels', got 'sum'"):
        supervised(cubed_margin, reduction="sum")


def rank_gradient(rank, address, results):
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    logits, mask, dataset = batch()
    mask[0, :5] = 255
    one = logits[rank : rank + 1].detach().requires_grad_()
    loss = supervised(cubed_margin, global_pixel_mean=True)(one, mask[rank : rank + 1], dataset[:1])
    loss.backward()
    results[rank] = (loss.item(), one.grad.numpy() / 2)
    torch.distributed.destroy_process_group()


def test_the_global_pixel_mean_makes_averaged_gradients_those_of_the_whole_batch(tmp_path):
    context = torch.multiprocessing.get_context("fork")
    with context.Manager() as manager:
        results = manager.dict()
        address = f"file://{tmp_path}/rendezvous"
        ranks = [context.Process(target=rank_gradient, args=(rank, address, results)) for rank in (0, 1)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(60)
        (loss0, gradient0), (loss1, gradient1) = results[0], results[1]
    logits, mask, dataset = batch()
    mask[0, :5] = 255
    loss = supervised(cubed_margin)(logits, mask, dataset)
    loss.backward()
    assert (loss0 + loss1) / 2 == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(torch.stack([torch.from_numpy(g[0]) for g in (gradient0, gradient1)]), logits.grad)
