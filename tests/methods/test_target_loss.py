from functools import partial

import pytest
import torch

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.guidance import self_produced_guidance
from mdseg.losses.maximum_squares import max_square, max_square_iw
from mdseg.losses.minent import entropy
from mdseg.methods.schedules import poly
from mdseg.methods.target_loss import TargetLoss
from mdseg.models.small import small

SIZE = (32, 48)
EVERY_PIXEL = partial(self_produced_guidance, threshold=0.0)

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")


def space():
    names = ("car", "person", "road", "sky")
    colors, raw_ids = tuple((index, 0, 0) for index in range(4)), tuple((index,) for index in range(4))
    return union({"source": LabelTable("source", names, colors, "id", raw_ids)})


def adaptation(low_head=True, weight=0.5, low_weight=0.1, **losses):
    torch.manual_seed(0)
    return TargetLoss(
        supervised=ce(space()),
        weight=weight,
        low_weight=low_weight,
        model=small(4, head="linear", widths=(8, 8, 8, 8, 8), low_head=low_head),
        space=space(),
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=5,
        seed=0,
        align_corners=True,
        **losses,
    )


def batch_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 2, 3, *SIZE), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, 4, (2, *SIZE), generator=generator, dtype=torch.uint8)
    dataset = torch.zeros(2, dtype=torch.int64)
    return {"labelled": {"image": images[0], "mask": mask, "dataset": dataset}, "target": {"image": images[1]}}


@pytest.mark.parametrize("target", [entropy, max_square, max_square_iw])
def test_the_loss_is_the_weighted_sum_of_the_four_terms(target):
    method, batch = adaptation(target=target, guidance=EVERY_PIXEL), batch_of()
    high, low = method.model.levels(batch["labelled"]["image"])
    labels = batch["labelled"]["mask"], batch["labelled"]["dataset"]
    expected = ce(space())(high, *labels) + 0.1 * ce(space())(low, *labels)
    high, low = method.model.levels(batch["target"]["image"])
    expected += 0.5 * target(high, SIZE) + 0.1 * 0.5 * EVERY_PIXEL(high, low, SIZE)
    torch.testing.assert_close(method.training_step(batch, 0), expected)
    assert set(method.terms) == {"train/supervised", "train/supervised_low", "train/target", "train/guidance"}


def test_a_single_head_has_two_terms():
    method, batch = adaptation(low_head=False, target=max_square), batch_of()
    loss = method.training_step(batch, 0)
    terms = method.terms
    torch.testing.assert_close(loss.detach(), terms["train/supervised"] + 0.5 * terms["train/target"])
    assert len(terms) == 2


def test_batch_norm_sees_the_source_first_and_then_the_target():
    method, expected, batch = adaptation(target=max_square), adaptation().model, batch_of()
    method.training_step(batch, 0)
    for stream in ("labelled", "target"):
        expected(batch[stream]["image"])
    for (name, seen), wanted in zip(method.model.named_buffers(), expected.buffers(), strict=True):
        assert torch.equal(seen, wanted), name


def test_without_losses_of_the_target_its_images_are_not_looked_at():
    method, batch = adaptation(), batch_of()
    assert list(method.reads) == ["labelled"]
    del batch["target"]
    method.training_step(batch, 0)
    assert set(method.terms) == {"train/supervised", "train/supervised_low"}


def test_guidance_teaches_the_low_head_and_the_first_three_stages_alone():
    method, batch = adaptation(guidance=EVERY_PIXEL, low_weight=1.0), batch_of()
    guided, plain = {}, {}
    for gradients, weight in ((guided, 1.0), (plain, 0.0)):
        method.weight = weight
        method.zero_grad()
        method.training_step(batch, 0).backward()
        gradients |= {name: parameter.grad for name, parameter in method.model.named_parameters()}
    changed = {name for name in guided if not torch.equal(guided[name], plain[name])}
    taught = ("low_head.", "backbone.stem.", "backbone.stages.0.", "backbone.stages.1.", "backbone.stages.2.")
    assert changed == {name for name in guided if name.startswith(taught)}


def trained(method, steps=3):
    optimizer = method.configure_optimizers()["optimizer"]
    for step in range(steps):
        method.on_train_batch_start(batch_of(step), step)
        optimizer.zero_grad()
        method.training_step(batch_of(step), step).backward()
        optimizer.step()
    return [parameter.detach() for parameter in method.model.parameters()]


@pytest.mark.parametrize("target", [entropy, max_square, max_square_iw])
def test_with_weight_0_parameters_are_those_of_supervised_training(target):
    """Not the statistics of batch norm, which the target images pass through."""
    without = trained(adaptation())
    with_weight_0 = trained(adaptation(weight=0, target=target, guidance=EVERY_PIXEL))
    assert all(torch.equal(parameter, expected) for parameter, expected in zip(with_weight_0, without, strict=True))


@pytest.mark.parametrize("target", [entropy, max_square, max_square_iw])
def test_target_predictions_get_more_certain_than_by_the_source_alone(target):
    uncertainty = []
    for losses in ({}, {"target": partial(target, normalisation="paper")}):
        method = adaptation(weight=2.0, **losses)
        trained(method)
        uncertainty.append(entropy(method.model(batch_of()["target"]["image"]), SIZE).item())
    assert uncertainty[1] < uncertainty[0]


def test_a_threshold_that_is_never_reached_guides_nothing():
    method = adaptation(guidance=partial(self_produced_guidance, threshold=1.0))
    loss = method.training_step(batch_of(), 0)
    assert method.terms["train/guidance"] == 0
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance": self_produced_guidance, "low_head": False}, r"model\.low_head=true, or loss/guidance=none"),
        ({"weight": -0.1}, r"method\.weight: expected at least 0, got -0\.1"),
        ({"low_weight": -1}, r"method\.low_weight: expected at least 0, got -1"),
        ({"target": partial(max_square, normalisation="offical")}, "normalisation.*'offical'"),
        ({"target": partial(max_square_iw, iw_index="pixel")}, "iw_index.*'pixel'"),
    ],
)
def test_what_cannot_be_is_refused_before_training(options, message):
    with pytest.raises(ValueError, match=message):
        adaptation(**options)
