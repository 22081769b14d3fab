"""Initial weights from a file on disk."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WRAPPERS = ("module.", "model.")  # DataParallel / DDP, and modules saved as an attribute of another


def load_weights(module: nn.Module, path: str | Path, may_miss: tuple[str, ...] = ()) -> None:
    """Copy the weights in ``path`` (``.pth`` or ``.safetensors``) into ``module``.

    Keys that ``module`` does not have are left aside: a checkpoint of a classifier brings a classification head along. Keys under the
    prefixes ``may_miss`` need not be in the file.

    Raises:
        FileNotFoundError: ``path`` is not a file.
        ValueError: the file is not a state dict, lacks some of the module's keys, or has them in another shape.
    """
    check_weights(module, state := read_weights(path), str(path), may_miss)
    expected = module.state_dict()
    module.load_state_dict({key: state.get(key, value) for key, value in expected.items()})


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a file, without the prefixes that wrappers add to every key."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no weight file at {path}; put the file there, or set model.weights=null for random initialisation"
        )
    state = (
        load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    )
    state = state.get("state_dict", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: expected a mapping from names to tensors (or one under 'state_dict')")
    state = {key.replace("_orig_mod.", ""): value for key, value in state.items()}
    while prefix := next((p for p in WRAPPERS if state and all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def check_weights(module: nn.Module, state: Mapping[str, Tensor], source: str, may_miss: tuple[str, ...] = ()) -> None:
    """Raise ValueError naming a few of the keys that ``state`` lacks or has in another shape than ``module``."""
    # Files older than PyTorch 0.4.1 have no num_batches_tracked; nothing here uses it.
    optional = (*may_miss, "num_batches_tracked")
    expected = {
        key: value
        for key, value in module.state_dict().items()
        if key in state or not (key.startswith(may_miss) or key.endswith(optional[-1]))
    }
    missing = [key for key in expected if key not in state]
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    if missing or misshapen:
        raise ValueError(
            f"{source} does not fit {type(module).__name__}: {len(missing)} of {len(expected)} keys missing"
            f" ({', '.join(missing[:3]) or 'none'}), {len(misshapen)} of another shape ({', '.join(misshapen[:3]) or 'none'});"
            f" the file starts with {', '.join(list(state)[:3])}"
        )
