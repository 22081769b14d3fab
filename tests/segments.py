"""What W&B left on disk: the records of an offline segment."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER, FRAGMENT = 32768, 7, 7
FULL, LAST = 1, 4


def records(folder: Path) -> Iterator[Any]:
    """Records of the one segment in a run folder: a LevelDB log, whose fragments have checksum, length and kind."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # waits until W&B's service, if it is this process's, has written everything
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    data, at, record = path.read_bytes(), HEADER, b""
    while at + FRAGMENT <= len(data):
        if BLOCK - at % BLOCK < FRAGMENT:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + FRAGMENT : at + FRAGMENT + length]
        at += FRAGMENT + length
        if kind in (FULL, LAST):
            parsed = wandb_internal_pb2.Record()
            parsed.ParseFromString(record)
            record = b""
            yield parsed


def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of its history: key → value; `a/b` is also what is nested."""
    return [_values(record.history.item) for record in records(folder) if record.WhichOneof("record_type") == "history"]


def summary(folder: Path) -> dict[str, Any]:
    """The last value of every key of its summary."""
    values = {}
    for record in records(folder):
        values |= _values(record.summary.update)
    return values


def config(folder: Path) -> dict[str, Any]:
    return {
        item.key: json.loads(item.value_json)
        for record in records(folder)
        if record.WhichOneof("record_type") == "run"
        for item in record.run.config.update
    }


def class_labels(folder: Path) -> list[dict[str, str]]:
    """What the values of masks are called."""
    found = []
    for record in records(folder):
        for item in record.config.update:
            if item.key == "_wandb":
                entries = json.loads(item.value_json).get("mask/class_labels", {})
                found += [entry["value"] for entry in entries.values()]
    return found


def run(folder: Path) -> Any:
    return next(record.run for record in records(folder) if record.WhichOneof("record_type") == "run")


def exit_code(folder: Path) -> int:
    (code,) = [record.exit.exit_code for record in records(folder) if record.WhichOneof("record_type") == "exit"]
    return code


def _values(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
