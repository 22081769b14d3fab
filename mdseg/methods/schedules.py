"""Learning-rate schedules per optimiser step."""

from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def poly(
    optimizer: Optimizer,
    steps: int,
    power: float = 0.9,
    warmup: int = 0,
    floor: float = 0.0,
    horizon: int | None = None,
    falls: int | None = None,
) -> LambdaLR:
    r"""Polynomial decay, after a linear warm-up.

    .. math:: lr(t) = \min\left(1, \frac{t + 1}{warmup}\right)
        \left(floor + (lr_0 - floor) \left(1 - \frac{t}{steps}\right)^{power}\right)

    With power 1 the linear schedule of DAFormer (Hoyer et al., CVPR 2022, arXiv:2111.14887). mmsegmentation's warm-up
    has t / warmup (plus a ratio of 1e-6) where ours has (t + 1) / warmup: it is the same ramp one step later.

    Args:
        steps: steps of the whole fit, warm-up included.
        warmup: steps of the warm-up; 0 starts at the full rate.
        floor: learning rate that the decay ends at, in every group (mmsegmentation's `min_lr`).
        horizon: steps of the decay where a fit stops before its end; None: those of the fit.
        falls: how many rates the decay goes through, each for as many steps; None: one per step. Codes that set the
            rate once per epoch have the number of epochs.

    Raises:
        ValueError: a number that is negative, or 0 where something is divided by it; a decay that would rise, or that
            has ended long before the fit does, which would go on without learning.
    """
    for name, value, least in (
        ("power", power, 0),
        ("warmup", warmup, 0),
        ("floor", floor, 0),
        ("horizon", horizon, 1),
        ("falls", falls, 1),
    ):
        if value is not None and value < least:
            raise ValueError(f"scheduler.{name}: expected at least {least}, got {value}")
    horizon = horizon or steps
    if horizon < steps and not floor:
        raise ValueError(
            f"scheduler.horizon={horizon}: the fit has {steps} steps, the last {steps - horizon} of them would have a "
            f"learning rate of 0; set horizon to {steps} or more (null: those of the fit), or a scheduler.floor"
        )
    lowest = min((group["lr"] for group in optimizer.param_groups if group["lr"]), default=floor)
    if floor > lowest:
        raise ValueError(
            f"scheduler.floor={floor:g} is above a learning rate that is to fall to it, {lowest:g}: it would rise "
            "instead; floor is a rate, not a share of one, and holds for classifiers and discriminators too"
        )

    def factor(step: int, share: float) -> float:
        rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
        past = step * falls // horizon / falls if falls else step / horizon
        return rising * (share + (1 - share) * max(0.0, 1 - past) ** power)

    shares = [floor / group["lr"] if floor and group["lr"] else 0.0 for group in optimizer.param_groups]
    return LambdaLR(optimizer, [partial(factor, share=share) for share in shares])


def halved(optimizer: Optimizer, steps: int, every: int) -> LambdaLR:
    """Half the rate after every so many steps, as UNIT's public configuration has it.

    Args:
        steps: of the whole fit; it does not matter here.

    Raises:
        ValueError: not even every step.
    """
    if every < 1:
        raise ValueError(f"scheduler.every: expected at least 1, got {every}")
    return LambdaLR(optimizer, lambda step: 0.5 ** (step // every))
