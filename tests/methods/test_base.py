import math

import torch

from mdseg.evaluation.evaluator import Evaluated, Evaluator, subset_mious, without_unmapped
from mdseg.labels.spaces import EvaluationSpace
from mdseg.methods.base import step_seed
from mdseg.methods.schedules import poly


def rates(schedule, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*values, optimizer.param_groups[0]["lr"]]


def test_poly_falls_to_zero():
    values = rates(lambda optimizer: poly(optimizer, steps=10, power=0.9), 10)
    assert values[0] == 2.0
    assert values[5] == 2.0 * 0.5**0.9
    assert values[10] == 0.0


def test_a_fit_may_stop_long_before_its_schedule():
    """MaxSquare's source models: 80 000 steps of a decay over 200 000."""
    values = rates(lambda optimizer: poly(optimizer, steps=4, power=0.9, horizon=10), 4)
    assert values == [2.0 * (1 - step / 10) ** 0.9 for step in range(5)]


def test_warm_up_rises_linearly_to_the_decaying_rate():
    values = rates(lambda optimizer: poly(optimizer, steps=10, power=1.0, warmup=4), 10)
    assert values[:4] == [2.0 * (step + 1) / 4 * (1 - step / 10) for step in range(4)]
    assert values[4] == 2.0 * 0.6


def test_a_floor_is_where_every_group_ends():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.01, 0.1)]
    optimizer = torch.optim.SGD(groups)
    schedule = poly(optimizer, steps=4, power=0.9, floor=1e-4)
    rates = []
    for _ in range(4):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr())
    torch.testing.assert_close(rates[1], [1e-4 + (lr - 1e-4) * 0.5**0.9 for lr in (0.01, 0.1)])
    torch.testing.assert_close(rates[3], [1e-4, 1e-4])


def test_power_one_after_a_warm_up_is_mmsegmentations_linear_schedule_one_step_earlier():
    values = rates(lambda optimizer: poly(optimizer, steps=4000, power=1.0, warmup=1500), 1600)
    theirs = [2.0 * (1 - t / 4000) * (1 - (1 - min(t / 1500, 1)) * (1 - 1e-6)) for t in range(1601)]
    assert max(abs(ours - their) for ours, their in zip(values, theirs, strict=True)) <= 2.0 / 1500
    assert abs(values[700] / (1 - 700 / 4000) - theirs[701] / (1 - 701 / 4000)) < 2e-6


def test_step_seeds_differ_by_seed_step_and_rank():
    assert len({step_seed(seed, step, rank) for seed in range(3) for step in range(50) for rank in range(3)}) == 450
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3)


def test_pixels_of_classes_without_a_channel_are_not_scored():
    space = EvaluationSpace(("a", "b"), ((0, 0, 0), (1, 1, 1)), torch.tensor([3]), torch.tensor([1]), unmapped=("a",))
    mask = torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)
    assert without_unmapped(mask, space).tolist() == [[[255, 1, 255]]]


def test_a_class_without_a_rival_has_no_iou():
    """A single class with a channel is predicted everywhere: 100 % would be no result."""
    colors = ((0, 0, 0), (1, 1, 1), (2, 2, 2))
    alone = EvaluationSpace(("a", "b", "c"), colors, torch.tensor([3]), torch.tensor([1]), unmapped=("a", "c"))
    rival = EvaluationSpace(("a", "b", "c"), colors, torch.tensor([3, 0]), torch.tensor([1, 2]), unmapped=("a",))
    evaluated = {"alone": Evaluated("unseen", alone), "rival": Evaluated("unseen", rival)}
    evaluator = Evaluator(torch.nn.Identity(), evaluated, align_corners=True)
    mask = torch.ones(1, 2, 2, dtype=torch.uint8)
    for name in evaluated:
        evaluator.validation_step({"name": name, "image": torch.eye(4)[3].view(1, 4, 1, 1), "mask": mask}, 0)
    evaluator.on_validation_epoch_end()
    assert evaluator.iou["alone"].isnan().all()
    assert evaluator.iou["rival"].nanmean() == 1
    assert evaluator.mean_miou("unseen") == 1


def test_a_subset_of_which_no_class_occurs_is_undefined():
    space = EvaluationSpace(
        ("a", "b"), ((0, 0, 0), (1, 1, 1)), torch.arange(2), torch.arange(2), (), {"one": ("a",), "other": ("b",)}
    )
    mious = subset_mious(torch.tensor([0.5, torch.nan]), space)
    assert mious["one"] == 0.5
    assert math.isnan(mious["other"])
