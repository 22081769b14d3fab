from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.methods.base import Method, Reads, StreamShape, step_seed
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


def test_a_rate_that_falls_once_an_epoch_is_that_of_the_epoch():
    """Kalluri's code: lr (1 - (e - 1) / E)^0.9 in epoch e of E; here 4 epochs of 25 steps."""
    values = rates(lambda optimizer: poly(optimizer, steps=100, power=0.9, falls=4), 100)
    assert values == [2.0 * (1 - epoch / 4) ** 0.9 for epoch in range(4) for _ in range(25)] + [0.0]


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": 3.0}, "floor=3 is above a learning rate that is to fall to it, 2: it would rise"),
        ({"floor": 3.0, "warmup": 5}, "floor=3 is above"),
        ({"horizon": 9}, "horizon=9: the fit has 10 steps, the last 1 of them would have a learning rate of 0"),
        ({"horizon": 2, "falls": 2}, "the last 8 of them"),
    ],
)
def test_a_rate_that_would_rise_or_end_before_the_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=f"scheduler.*{message}"):
        rates(lambda optimizer: poly(optimizer, steps=10, **options), 1)


@pytest.mark.parametrize("options", [{"floor": 2.0}, {"floor": 0.1, "horizon": 5}, {"horizon": 10}])
def test_a_floor_that_is_the_rate_or_that_a_short_decay_ends_at_is_none_of_these(options):
    assert rates(lambda optimizer: poly(optimizer, steps=10, **options), 10)[10] == options.get("floor", 0)


def test_power_one_after_a_warm_up_is_mmsegmentations_linear_schedule_one_step_earlier():
    values = rates(lambda optimizer: poly(optimizer, steps=4000, power=1.0, warmup=1500), 1600)
    theirs = [2.0 * (1 - t / 4000) * (1 - (1 - min(t / 1500, 1)) * (1 - 1e-6)) for t in range(1601)]
    assert max(abs(ours - their) for ours, their in zip(values, theirs, strict=True)) <= 2.0 / 1500
    assert abs(values[700] / (1 - 700 / 4000) - theirs[701] / (1 - 701 / 4000)) < 2e-6


def test_step_seeds_differ_by_seed_step_and_rank():
    assert len({step_seed(seed, step, rank) for seed in range(3) for step in range(50) for rank in range(3)}) == 450
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3)


def shapes(**roles):
    return {name: StreamShape(role, batch_size=4) for name, role in roles.items()}


class Pair(Method):
    reads: ClassVar = {"source": Reads("labelled"), "others": Reads("target", "unlabelled", several=True)}


def pair():
    table = LabelTable("d", ("a", "b"), ((0, 0, 0), (1, 1, 1)), "id", ((0,), (1,)))
    return Pair(
        model=torch.nn.Conv2d(3, 2, 1), space=union({"d": table}), evaluated={}, optimizer=None, scheduler=None,
        head_lr_factor=1.0, decay_norms=True, steps=1, seed=0, align_corners=True,
    )  # fmt: skip


def test_a_method_that_trains_its_model_asks_for_an_optimizer():
    with pytest.raises(ValueError, match="Pair trains by an optimizer, with its lr, and a scheduler: set both"):
        _ = pair().optimization


def test_streams_are_found_by_their_role_whatever_they_are_called():
    method = pair()
    method.read(shapes(gta="labelled", city="target", rest="unlabelled"))
    assert method.names_of == {"source": ["gta"], "others": ["city", "rest"]}


def test_a_step_gets_its_streams_by_the_names_it_reads_them_by():
    method = pair()
    method.read(shapes(gta="labelled", city="target"))
    method._trainer = SimpleNamespace(training=True)
    assert method.on_after_batch_transfer({"gta": 1, "city": 2}, 0) == {"source": 1, "others": {"city": 2}}
    method._trainer = SimpleNamespace(training=False)
    assert method.on_after_batch_transfer({"name": "d"}, 0) == {"name": "d"}


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (shapes(gta="labelled"), r"Pair needs a target or unlabelled stream; streams has gta \(labelled\)"),
        (shapes(city="target"), r"Pair needs a labelled stream; streams has city \(target\)"),
        (shapes(a="labelled", b="labelled", c="target"), r"Pair reads one labelled stream, but streams has a, b"),
        (
            {"a": StreamShape("labelled", 4, epochs={"gta5": int}), **shapes(c="target")},
            r"Pair takes batches that mix datasets, but stream a has one of each; set streams\.a\.per_dataset=null",
        ),
    ],
)
def test_streams_that_a_method_cannot_train_on_are_refused(streams, message):
    with pytest.raises(ValueError, match=message):
        pair().read(streams)


def test_a_stream_that_nothing_reads_is_refused():
    class Alone(Pair):
        reads: ClassVar = {"labelled": Reads("labelled")}

    method = pair()
    method.reads = Alone.reads
    with pytest.raises(ValueError, match=r"does not read stream city; .*leave it out with streams\.city=null"):
        method.read(shapes(gta="labelled", city="target"))


def test_a_method_starts_from_its_own_networks_alone():
    method = pair()
    method.expect(["model"])
    with pytest.raises(ValueError, match=r"from\.modle: Pair has no network.*did you mean model"):
        method.expect(["modle"])
