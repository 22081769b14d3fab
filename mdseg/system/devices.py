"""The device that a command works on."""

import torch


def choose_device(name: str) -> torch.device:
    """Device of a command; auto: a GPU if there is one.

    Raises:
        ValueError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = str(name).partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ValueError(f"device: expected auto, cpu, cuda or cuda:<number>, got {name!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={name}: PyTorch sees {torch.cuda.device_count()} GPUs here; auto takes what there is")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What a GPU is called, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
