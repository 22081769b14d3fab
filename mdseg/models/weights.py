"""Initial weights, from a file or a download."""

import argparse
import os
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mdseg.system.files import no_torch_file, refuse_irregular
from mdseg.system.wording import Remark, shortened

KEY = "model.weights"  # of the configuration, where most files are named
# What is nested in a file, the best first, and what wrappers put before every name. Only where the names themselves are
# another code's: elsewhere these say what stands before them.
NESTED = ("state_dict_ema.", "model_ema.", "ema.", "teacher.", "state_dict.", "model.", "student.")
WRAPPERS = ("module.", "model.", "backbone.", "encoder.")
AVERAGE = re.compile(r"(^|[._])(ema|teacher|swa|averaged?)[._]")


class Misfit(ValueError):
    """A file lacks tensors of a network, has them in another shape, or more than them.

    Args:
        lacking: how many differ.
    """

    def __init__(self, message: str, lacking: int) -> None:
        super().__init__(message)
        self.lacking = lacking


def load_weights(module: nn.Module, path: str | Path, may_miss: tuple[str, ...] = ()) -> None:
    """Copy the weights in a file (`.pth` or `.safetensors`) into a module; see :func:`load_state`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not of this network.
    """
    load_state(module, read_weights(path), source=str(path), may_miss=may_miss)


def load_state(
    module: nn.Module,
    found: Mapping[str, Tensor],
    source: str,
    may_miss: tuple[str, ...] = (),
    classifier: tuple[str, ...] = (),
    beyond: Collection[str] = (),
    spelt: Callable[[str], str] = str,
) -> None:
    """Copy tensors into a module, which must all be there; what stands before all of their names is left out and said.

    Names that the module does not have are left aside where they are of other layers: the file of a classifier brings
    its classification head along.

    Args:
        found: by full name; see :func:`read_weights`.
        source: where they come from, for messages.
        may_miss: beginnings of names of which none need be there.
        classifier: beginnings of the names of a classifier that the module has: it keeps its own where they do not fit.
        beyond: names of the network that the module is a part of, which the file may have too.
        spelt: makes names equal that mean the same.

    Raises:
        Misfit: tensors are missing, or of another shape or kind; it counts and names them.
        ValueError: there are further ones in the module's own layers (a deeper network), or some are not finite.
    """
    own = module.state_dict()
    expected = {spelt(name): name for name in own}
    state = without_prefix(found, {spelt(name): value.shape for name, value in own.items()}, source, spelt)
    named = {expected[spelt(name)]: value for name, value in state.items() if spelt(name) in expected}
    named = {n: v for n, v in named.items() if not n.startswith(classifier) or v.shape == own[n].shape}
    left_out = tuple(start for start in may_miss if not any(name.startswith(start) for name in named))
    needed = [name for name in own if not name.startswith((*left_out, *classifier)) and not _counts(name)]
    missing = [name for name in needed if name not in named]
    misshapen = [f"{name} {differs}" for name, value in named.items() if (differs := _difference(value, own[name]))]
    further = _further(state, expected, {*map(spelt, beyond)}, spelt)
    said = (
        f"{source} does not fit {type(module).__name__}: {len(missing)} of {len(own)} keys missing"
        f" ({', '.join(missing[:3]) or 'none'}), {len(misshapen)} of another shape"
        f" ({', '.join(misshapen[:3]) or 'none'}), {len(further)} further keys"
        f" ({', '.join(further[:3]) or 'none'}); the file starts with {', '.join(list(found)[:3]) or 'nothing'}"
    )
    if lacking := len(missing) + len(misshapen):
        raise Misfit(said, lacking)
    if further:
        raise ValueError(f"{said}; is it of a deeper network?")
    if broken := [name for name, value in named.items() if not value.isfinite().all()]:
        raise ValueError(
            f"{source}: {len(broken)} of its {len(named)} tensors are not finite ({shortened(broken, 3)}); take another"
            " file"
        )
    module.load_state_dict(own | named)


def _further(
    names: Collection[str], own: Collection[str], beyond: Collection[str], spelt: Callable[[str], str]
) -> list[str]:
    """Names that a network does not have, but in whose first part it has others: of a deeper network."""
    parts = {name.partition(".")[0] for name in names if spelt(name) in own}
    return [
        name
        for name in names
        if spelt(name) not in own
        and spelt(name) not in beyond
        and name.partition(".")[0] in parts
        and not _counts(name)
    ]


def _counts(name: str) -> bool:
    # Files older than PyTorch 0.4.1 have no num_batches_tracked, which nothing here uses.
    return name.endswith("num_batches_tracked")


def _difference(found: Tensor, own: Tensor) -> str:
    """How a tensor differs from the module's own in shape, in that it has whole numbers or none; empty: not at all."""
    if found.is_meta or found.layout != torch.strided:
        return "without values (of device meta)" if found.is_meta else f"{found.layout}, which is not dense"
    if found.shape != own.shape:
        return f"{tuple(found.shape)} instead of {tuple(own.shape)}"
    return f"{found.dtype} instead of {own.dtype}" if own.is_floating_point() and not found.is_floating_point() else ""


def without_prefix(
    found: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    source: str,
    spelt: Callable[[str], str] = str,
) -> dict[str, Tensor]:
    """The tensors under the prefix after which most of the expected ones are found, without it.

    Of several such prefixes an average of weights (`ema`, `teacher`) is taken, else the first; either is said.

    Args:
        expected: name → shape. By its name alone a tensor may be another network's, which lies in the same file.
    """
    named: Counter[str] = Counter()
    fitting: Counter[str] = Counter()
    for name, value in found.items():
        for start in (*(dot.end() for dot in re.finditer(r"\.", name)), 0):
            shape = expected.get(spelt(name[start:]))
            if shape is not None:
                named[name[:start]] += 1
                fitting[name[:start]] += value.shape == shape
    most = max(((fitting[prefix], named[prefix]) for prefix in named), default=(0, 0))
    prefixes = [prefix for prefix in named if (fitting[prefix], named[prefix]) == most] or [""]
    return _under(next(filter(AVERAGE.search, prefixes), prefixes[0]), found, source, others=prefixes)


def unwrapped(found: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors of a file whose names are another code's, without what it nests them in and wrappers put before."""
    prefix, left = "", list(found)
    while more := next((p for p in NESTED if any(name.startswith(p) for name in left)), None) or next(
        (p for p in WRAPPERS if left and all(name.startswith(p) for name in left)), None
    ):
        prefix, left = prefix + more, [name.removeprefix(more) for name in left if name.startswith(more)]
    return _under(prefix, found, source)


def _under(prefix: str, found: Mapping[str, Tensor], source: str, others: Collection[str] = ()) -> dict[str, Tensor]:
    if prefix not in ("", "state_dict."):
        rest = [f"'{other}'" for other in others if other != prefix]
        warnings.warn(
            f"{source}: the weights whose names begin with '{prefix}' are taken, without it"
            + (f"; those under {shortened(rest)} are as many" if rest else ""),
            Remark,
            stacklevel=2,
        )
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def read_weights(path: str | Path, key: str = KEY) -> dict[str, Tensor]:
    """Every tensor in a file by its full name: the names of what it is nested in and its own, with dots between.

    Args:
        key: of the configuration that names the file, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of tensors.
    """
    path = existing_file(path, key)
    found: dict[str, Tensor] = {}
    nested: list[tuple[str, Any]] = [("", _document(path))]
    seen: set[int] = set()  # what a file nests may hold itself
    while nested:
        prefix, node = nested.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        for name, value in node.items() if isinstance(node, Mapping) else ():
            if isinstance(value, Tensor):
                found[f"{prefix}{name}".replace("_orig_mod.", "")] = value
            elif isinstance(value, Mapping):
                nested.append((f"{prefix}{name}.", value))
    if not found:
        raise ValueError(f"{path}: expected a mapping from names to tensors, by itself or nested in others")
    return found


def _document(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        # The training scripts of many codes, timm's among them, save their arguments beside the weights.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch says goes on with advice to load the file without this protection.
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if path.suffix.lower() != ".safetensors" and (other := no_torch_file(path)):
            reason = other
        elif isinstance(error, pickle.UnpicklingError) and "Unsupported" in str(error):
            reason = "it holds more than tensors and plain values, which could run any code; save the state_dict alone"
        raise ValueError(
            f"{path} is not a file of tensors that torch.load(weights_only=True) reads ({reason})"
        ) from error


def existing_file(path: str | Path, key: str = KEY) -> Path:
    """The path of a file.

    Raises:
        FileNotFoundError: there is none; it says what to do about it.
        ValueError: it is a folder, a pipe, a device, a link that leads nowhere.
    """
    if str(path):
        refuse_irregular(Path(path))
    if not os.path.isfile(path):
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
