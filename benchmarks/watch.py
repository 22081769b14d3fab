"""Run mdseg's command line in the current folder, a checkout, and write down what it does; the checkout stays as it is.

python -P benchmarks/watch.py batches FILE experiment=uniseg_cibm     a line of JSON for every batch of a loader
python -P benchmarks/watch.py first_step FILE experiment=uniseg_cibm  when the first training step ends; stops there
python -P benchmarks/watch.py visits FILE experiment=uniseg_cibm      who hands configurations to whom until then

The checkout is on PYTHONPATH, too. benchmarks.same and benchmarks.first_step start this file.
"""

import json
import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TextIO

Sample = tuple[int | str | None, int]  # dataset, key


class AfterImport(MetaPathFinder):
    """Changes a module when the run imports it, so that nothing is imported sooner than it would be."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self.name, self.change = name, change

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self.change(module)

        spec.loader.exec_module = execute_and_change
        return spec


def samples(node: Any, dataset: str | None = None) -> Iterator[Sample]:
    """The samples of a stream, from a batch or from batches in mappings and lists; `dataset` is the name above them.

    A batch that lacks the datasets' indices gets that name instead.
    """
    if isinstance(node, Mapping) and "key" in node:
        keys = node["key"].tolist()
        yield from zip(node["dataset"].tolist() if "dataset" in node else [dataset] * len(keys), keys, strict=True)
    elif isinstance(node, Mapping):
        for name, part in node.items():
            yield from samples(part, name)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from samples(part, dataset)


def described(batch: Any) -> dict[str, Any]:
    """Kind of a batch, whether it groups the samples of a stream, and the samples of every stream."""
    if "name" in batch:
        return {"kind": "evaluation", "grouped": False, "streams": {"images": list(samples(batch, batch["name"]))}}
    streams = {name: found for name, part in batch.items() if (found := list(samples(part)))}
    grouped = not all(isinstance(batch[name], Mapping) and "key" in batch[name] for name in streams)
    return {"kind": "training", "grouped": grouped, "streams": streams}


def record_batches(file: TextIO, module: ModuleType) -> None:
    """Have the main process write every batch that it takes from a loader, whoever collated it."""
    loader = module._BaseDataLoaderIter
    following = loader.__next__

    def following_recorded(self: Any) -> Any:
        batch = following(self)
        if isinstance(batch, Mapping):
            print(json.dumps(described(batch)), file=file, flush=True)
        return batch

    loader.__next__ = following_recorded


def stop_after_first_step(file: TextIO, module: ModuleType) -> None:
    """Have the first training step write the time at its end, and end the process."""
    loop = module._TrainingEpochLoop
    advance = loop.advance

    def advance_once(self: Any, *arguments: Any) -> None:
        advance(self, *arguments)
        print(time.monotonic(), file=file, flush=True)
        for worker in multiprocessing.active_children():
            worker.kill()
        os._exit(0)

    loop.advance = advance_once


HERE = Path.cwd().resolve()
READERS = ("configuration.py", "stages.py", "config", "stages")  # modules and rooms that read configurations


@cache
def room_of(path: str) -> str | None:
    """Module or room of mdseg that a file belongs to; None for all other code."""
    _, found, below = path.partition(f"{HERE}/mdseg/")
    return below.partition("/")[0] if found else None


def count_visits(file: TextIO, module: ModuleType) -> None:
    """Have the first training step write how often configurations were handed to the code that reads them."""
    loop = module._TrainingEpochLoop
    advance = loop.advance

    def advance_once(self: Any, *arguments: Any) -> None:
        advance(self, *arguments)
        sys.setprofile(None)
        print(json.dumps(VISITS), file=file, flush=True)
        os._exit(0)

    loop.advance = advance_once


VISITS: dict[str, dict[str, int]] = {}


def visit(frame: FrameType, event: str, argument: Any) -> None:
    """Count a call from another module or room of mdseg that hands over a configuration."""
    if event != "call" or frame.f_back is None:
        return
    room = room_of(frame.f_code.co_filename)
    if room not in READERS:
        return
    caller = room_of(frame.f_back.f_code.co_filename)
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
    handed = any(type(frame.f_locals.get(name)).__name__ == "DictConfig" for name in names)
    if caller not in (None, room) and handed:
        functions = VISITS.setdefault(room.removesuffix(".py"), {})
        functions[frame.f_code.co_name] = functions.get(frame.f_code.co_name, 0) + 1


WATCHED = {
    "visits": ("pytorch_lightning.loops.training_epoch_loop", count_visits),
    "batches": ("torch.utils.data.dataloader", record_batches),
    "first_step": ("pytorch_lightning.loops.training_epoch_loop", stop_after_first_step),
}


def main() -> None:
    what, path, *arguments = sys.argv[1:]
    found = Path(find_spec("mdseg").origin).resolve().parent.parent
    if found != Path.cwd().resolve():
        sys.exit(f"mdseg comes from {found} and not from the current folder; set PYTHONPATH")
    name, change = WATCHED[what]
    with Path(path).open("w") as file:
        sys.meta_path.insert(0, AfterImport(name, partial(change, file)))
        sys.argv[1:] = arguments
        if what == "visits":
            sys.setprofile(visit)
        runpy.run_module("mdseg.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
