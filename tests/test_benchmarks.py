"""Every case that benchmarks time still runs, at its smallest size."""

import pytest

from benchmarks import adversarial, evaluation, losses, universal

SUPERVISED = (
    "plain Null BCE", "fused Null BCE", "fused Null BCE, autograd", "fused Class-Relational BCE", "plain CE",
    "fused CE", "fused CE, autograd", "plain OHEM", "fused OHEM",
)  # fmt: skip


@pytest.mark.parametrize("name", SUPERVISED)
def test_supervised_losses(name):
    losses.build(name, "cpu", small=True)()


@pytest.mark.parametrize("name", losses.UNLABELLED)
def test_losses_of_unlabelled_images(name):
    losses.build_unlabelled(name, "cpu", small=True)()


@pytest.mark.parametrize("logits", [evaluation.random_logits, evaluation.smooth_logits])
@pytest.mark.parametrize("method", ["interpolate, arg-max, JaccardIndex", "banded"])
def test_evaluation(logits, method):
    evaluation.build(logits, method, "cpu", small=True)()


@pytest.mark.parametrize("passes", ["per_dataset", "joint"])
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("partners", ["all", "one"])
def test_steps_of_universal_training(passes, weight, partners):
    steps = universal.step_of((4, 3, 5), weight, weight, "cpu", small_sizes=True, passes=passes, partners=partners)
    assert all(loss.isfinite() for loss in steps())


@pytest.mark.parametrize("sources", [("gta5",), ("gta5", "synthia")])
def test_steps_of_adversarial_training(sources):
    assert adversarial.step_of("small", 1, sources, "cpu", tiny=True)().isfinite()


@pytest.mark.filterwarnings("ignore:.*annotates")
def test_what_adversarial_training_is_compared_with():
    adversarial.by_hand("small", 1, "cpu", tiny=True)()
    answers = adversarial.evaluation_of("small", 1, 4, "cpu", tiny=True)()
    assert [tuple(answer.shape) for answer in answers] == [(1, 64, 128)] * 4
