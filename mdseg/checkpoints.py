"""Checkpoints: written atomically, plain types only, read with `weights_only=True`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one and nothing between.

    The temporary file lies in the same folder (a rename across file systems is not atomic) and is removed when writing
    fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
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
        ValueError: the file is damaged or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable checkpoint (damaged, or it holds more than tensors and plain values): {error}"
        ) from error


def trained_steps(checkpoint: dict[str, Any]) -> int:
    """Batches that a checkpoint's weights were trained on."""
    return checkpoint["SegmentationDataModule"]["step"]


def load_model(model: torch.nn.Module, checkpoint: dict[str, Any], path: Path, class_names: tuple[str, ...]) -> None:
    """Put a checkpoint's network weights into a model.

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
        name.removeprefix("model.").removeprefix("_orig_mod."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("model.")
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network than this run's model: {error}") from error
