"""Checkpoints: written atomically, plain types only, read with `weights_only=True`."""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from torch import nn

from mdseg.system.files import no_torch_file, write_atomically
from mdseg.system.wording import shortened

ADVICE = "take another one, or delete it to train its stage anew"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin with an atomic write in the checkpoint's own folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        write_atomically(Path(path), lambda file: torch.save(checkpoint, file))


def load(path: Path, lazily: bool = False) -> dict[str, Any]:
    """Checkpoint on the CPU.

    Args:
        lazily: read weights when they are looked at; for what a checkpoint says besides.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged, holds more than tensors and plain values, is none of mdseg, or has weights that
            are not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of foreign pickles, which are refused anyway
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=lazily)
    except Exception as error:
        # What torch says goes on with advice to load the file without this protection.
        reason = "it holds more than tensors and plain values, which could run any code"
        if other := no_torch_file(path):
            reason = other
        elif not isinstance(error, pickle.UnpicklingError) or "Unsupported" not in str(error):
            reason = f"damaged or no checkpoint at all: {type(error).__name__}"
        raise ValueError(f"{path} is not a readable checkpoint ({reason}); {ADVICE}") from error
    missing = {"state_dict", "label_space", "networks", "SegmentationDataModule"} - set(
        saved if isinstance(saved, dict) else ()
    )
    if missing:
        raise ValueError(f"{path} is no checkpoint of mdseg: it lacks {', '.join(sorted(missing))}; {ADVICE}")
    check_finite(saved["state_dict"], path)
    return saved


def check_finite(weights: Any, path: Path) -> None:
    """Refuse weights, or running statistics of batch norm, of which some are nan or infinite.

    Raises:
        ValueError: it names the first ones; or what should be weights is something else.
    """
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(f"{path} is no checkpoint of mdseg: its weights are no tensors by name; {ADVICE}")
    if bad := [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(
            f"{path} has weights that are not finite, in {len(bad)} of {len(weights)} tensors ({shortened(bad, 3)}): a "
            f"network with them answers nothing; {ADVICE}"
        )


def trained_steps(checkpoint: dict[str, Any]) -> int:
    """Batches that a checkpoint's weights were trained on.

    Raises:
        ValueError: it says something else than a number.
    """
    step = checkpoint["SegmentationDataModule"]["step"]
    if not isinstance(step, int):
        raise ValueError(f"a checkpoint's step: expected a whole number, got {step!r}")
    return step


def trained_on(checkpoint: dict[str, Any]) -> list[str]:
    """Datasets whose images a checkpoint's weights have been trained on, in its stage or in one that it began with."""
    streams = checkpoint.get("config", {}).get("streams", {}).values()
    return checkpoint.get("trained_on") or sorted({name for stream in streams for name in stream["datasets"]})


def load_network(
    network: nn.Module, checkpoint: dict[str, Any], path: Path, prefix: str, what: str = "network"
) -> None:
    """Put weights of a checkpoint into a network.

    Args:
        prefix: what the names of these weights begin with: the name that the network has in its method.
        what: what it is called in messages.

    Raises:
        ValueError: the checkpoint has another network.
    """
    weights = {
        name.removeprefix(f"{prefix}.").removeprefix("_orig_mod."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(f"{prefix}.")
    }
    if not weights:
        there = ", ".join(dict.fromkeys(checkpoint["networks"].values())) or "none"
        raise ValueError(f"{path} holds no network {prefix}; it has {there}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        differs = difference(weights, network.state_dict())
        raise ValueError(f"{path} holds another {what} than this run's model: {differs}") from error


def check_same_classes(checkpoint: dict[str, Any], path: Path, class_names: Sequence[str]) -> None:
    """Refuse weights that were trained for other classes.

    Raises:
        ValueError: the label spaces differ.
    """
    saved = tuple(checkpoint["label_space"]["names"])
    if saved != tuple(class_names):
        raise ValueError(
            f"{path} was trained with {len(saved)} classes, this run has {len(class_names)}; they differ in "
            f"{sorted(set(saved) ^ set(class_names))[:5]}: use the same labelled datasets"
        )


def difference(saved: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> str:
    """In which weights a saved network and this run's differ, the first of each kind."""
    kinds = {
        "it lacks {}": [name for name in own if name not in saved],
        "only it has {}": [name for name in saved if name not in own],
        "{} there and here": [
            f"{name} is {list(saved[name].shape)} and {list(own[name].shape)}"
            for name in own
            if name in saved and saved[name].shape != own[name].shape
        ],
    }
    return "; ".join(
        text.format(names[0] + (f" and {len(names) - 1} more" if names[1:] else ""))
        for text, names in kinds.items()
        if names
    )
