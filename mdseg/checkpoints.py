"""Checkpoints: written atomically, plain types only, read with `weights_only=True`."""

import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

ADVICE = "take another one, or delete it to train its stage anew"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error that writing to it raises (a full disk, a quota)."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch.save covers it with its own
        if isinstance(cause, OSError) and cause.filename is None:
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one and nothing between.

    The temporary file lies in the same folder (a rename across file systems is not atomic) and is removed when writing
    fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin with an atomic write in the checkpoint's own folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        write_atomically(Path(path), lambda file: torch.save(checkpoint, file))


def load(path: Path) -> dict[str, Any]:
    """Checkpoint on the CPU.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged, holds more than tensors and plain values, or is none of mdseg.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of foreign pickles, which are refused anyway
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch says goes on with advice to load the file without this protection.
        reason = "it holds more than tensors and plain values, which could run any code"
        if not isinstance(error, pickle.UnpicklingError) or "Unsupported" not in str(error):
            reason = f"damaged or no checkpoint at all: {type(error).__name__}"
        raise ValueError(f"{path} is not a readable checkpoint ({reason}); {ADVICE}") from error
    missing = {"state_dict", "label_space", "SegmentationDataModule"} - set(saved if isinstance(saved, dict) else ())
    if missing:
        raise ValueError(f"{path} is no checkpoint of mdseg: it lacks {', '.join(sorted(missing))}; {ADVICE}")
    return saved


def trained_steps(checkpoint: dict[str, Any]) -> int:
    """Batches that a checkpoint's weights were trained on."""
    return checkpoint["SegmentationDataModule"]["step"]


def load_model(
    model: torch.nn.Module,
    checkpoint: dict[str, Any],
    path: Path,
    class_names: tuple[str, ...],
    network: str = "model",
) -> None:
    """Put a checkpoint's network weights into a model.

    network: which of its networks, by the name it has in the method: `model`, or one that stands beside it (`teacher`).

    Raises:
        ValueError: the checkpoint was trained in another label space or with another network.
    """
    saved = tuple(checkpoint["label_space"]["names"])
    if saved != class_names:
        raise ValueError(
            f"{path} was trained with {len(saved)} classes, this run has {len(class_names)}; they differ in "
            f"{sorted(set(saved) ^ set(class_names))[:5]}: use the same labelled datasets"
        )
    weights = {
        name.removeprefix(f"{network}.").removeprefix("_orig_mod."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(f"{network}.")
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        which = "network" if network == "model" else network
        differs = difference(weights, model.state_dict())
        raise ValueError(f"{path} holds another {which} than this run's model: {differs}") from error


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
