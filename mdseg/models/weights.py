"""Initial weights, from a file or a download."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

KEY = "model.weights"  # of the configuration, where most files are named
# DataParallel and DDP; a network saved as an attribute of another module; AdaptSegNet's initial weights
WRAPPERS = ("module.", "model.", "Scale.")


def load_weights(module: nn.Module, path: str | Path, may_miss: tuple[str, ...] = ()) -> None:
    """Copy the weights in a file (`.pth` or `.safetensors`) into a module.

    Keys that the module does not have are left aside: the file of a classifier brings its classification head along.

    Args:
        may_miss: beginnings of keys that need not be in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a state dict, lacks some of the module's keys, or has them in another shape.
    """
    load_state(module, read_weights(path), source=str(path), may_miss=may_miss)


def load_state(module: nn.Module, found: Mapping[str, Tensor], source: str, may_miss: tuple[str, ...] = ()) -> None:
    """Copy a state dict into a module as :func:`load_weights` does; `source` names it in errors."""
    expected = module.state_dict()
    missing = [
        key
        for key in expected
        # Files older than PyTorch 0.4.1 have no num_batches_tracked, which nothing here uses.
        if key not in found and not key.startswith(may_miss) and not key.endswith("num_batches_tracked")
    ]
    misshapen = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    if missing or misshapen:
        raise ValueError(
            f"{source} does not fit {type(module).__name__}: {len(missing)} of {len(expected)} keys missing"
            f" ({', '.join(missing[:3]) or 'none'}), {len(misshapen)} of another shape"
            f" ({', '.join(misshapen[:3]) or 'none'}); the file starts with {', '.join(list(found)[:3])}"
        )
    module.load_state_dict({key: found.get(key, value) for key, value in expected.items()})


def read_weights(path: str | Path, key: str = KEY) -> dict[str, Tensor]:
    """The state dict in a file, without the prefixes that wrappers put before every key of it.

    Args:
        key: of the configuration that names the file, for messages.
    """
    path = existing_file(path, key)
    try:
        found = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        raise ValueError(
            f"{path} is not a file of tensors that torch.load(weights_only=True) reads: {error}"
        ) from error
    found = found.get("state_dict", found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path}: expected a mapping from names to tensors, by itself or under 'state_dict'")
    found = {key.replace("_orig_mod.", ""): value for key, value in found.items()}
    while prefix := next((p for p in WRAPPERS if found and all(key.startswith(p) for key in found)), None):
        found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def existing_file(path: str | Path, key: str = KEY) -> Path:
    """The path of a file.

    Raises:
        FileNotFoundError: there is none; it says what to do about it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{key}: no file at {path}; put it there"
            + (f", or set {KEY}=null to start from random weights" if key == KEY else "")
        )
    return Path(path)


@contextmanager
def downloading(what: str, key: str = KEY) -> Iterator[None]:
    """Turn the many errors of a download without a network into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise FileNotFoundError(
            f"{what} are not on this machine and the download failed ({type(error).__name__}); set {key} to a local"
            " file" + (", or to null to start from random weights" if key == KEY else "")
        ) from error
