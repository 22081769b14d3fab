"""Learning-rate schedules per optimiser step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def poly(optimizer: Optimizer, steps: int, power: float = 0.9, warmup: int = 0) -> LambdaLR:
    r"""Polynomial decay to zero, after a linear warm-up.

    .. math:: lr(t) = lr_0 \cdot \min\left(1, \frac{t + 1}{warmup}\right) \left(1 - \frac{t}{steps}\right)^{power}

    Args:
        steps: steps of the whole fit, warm-up included.
        warmup: steps of the warm-up; 0 starts at the full rate.
    """

    def factor(step: int) -> float:
        rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
        return rising * max(0.0, 1 - step / steps) ** power

    return LambdaLR(optimizer, factor)
