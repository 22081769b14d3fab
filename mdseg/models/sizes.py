"""The sizes of images that a network takes, tried where nothing is computed."""

import math

import torch
from torch import nn
from torch.func import functional_call

Size = tuple[int, int]

STEPS = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)  # sides that networks with windows divide


def refusal(network: nn.Module, size: Size, images: int | None = None) -> str | None:
    """Why a network does not take images of (height, width), in the words of its library; null: it takes them.

    It is tried on torch's device `meta`, which has shapes and no numbers: no memory, next to no time. What cannot be
    tried there counts as taken.

    Args:
        images: how many of a training step it sees at once; null: one that is evaluated.
    """
    tensors = {name: tensor.to("meta") for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    image = torch.empty(images or 1, 3, *size, device="meta")
    modes = {module: module.training for module in network.modules()}
    try:
        if images is None:
            network.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            functional_call(network, tensors, (image,))
    except NotImplementedError:
        return None
    except (ArithmeticError, AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        return None if "meta" in why else why or type(error).__name__
    finally:
        for module, mode in modes.items():  # one by one: a network may keep parts of itself in evaluation mode
            module.training = mode
    return None


def fitting(network: nn.Module, size: Size) -> Size | None:
    """A size near (height, width) that a network takes, or null where none was found."""
    rounded = {tuple(max(step, round(side / step) * step) for side in size) for step in STEPS}
    tried = rounded | {(side, side) for side in (*STEPS, 518)}

    def distance(other: tuple[int, ...]) -> float:
        return sum(abs(math.log(side / wanted)) for side, wanted in zip(other, size, strict=True))

    for height, width in sorted(tried, key=lambda other: (distance(other), other)):
        if refusal(network, (height, width)) is None:
            return height, width
    return None
