"""What has changed between two attempts at a run: its configuration, and the images that it was planned with."""

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mdseg.config.keys import is_one_of, plain
from mdseg.runs import checkpoints
from mdseg.runs.planned import PLANNED, Change, changes, read_planned
from mdseg.system.documents import read_config
from mdseg.system.files import write_text
from mdseg.system.wording import Remark, shortened

PARTS = {  # of a fingerprint → what it is of, and what another one means
    "names": ("the names of the images", "which images a step sees follows from all of them"),
    "labels": ("the label table", "masks would be read in another way"),
    "sizes": ("the sizes of files", "others lie where they were"),
    "contents": ("the contents of files", "others lie where they were"),
}
OF_FILES = ("sizes", "contents")
LOOKED_INTO, BYTES = 4, 1 << 16  # files of a dataset, and of each as much: the sizes of uncompressed ones are equal
OF_TRAINING = ("callbacks", "loops", "optimizer_states", "lr_schedulers")  # of a checkpoint to go on from
ROOTS = ("data.root", "datasets.*.root")


class Begun:
    """What the stages of a run folder were begun with.

    Args:
        folder: of the run; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.free, self.later = folder, dict[str, Change](), list[str]()
        self.planned = read_planned(folder / PLANNED) if (folder / PLANNED).exists() else {}
        self.any_weights = any(any(folder.glob(f"*/{left}")) for left in ("done", "checkpoints/last.ckpt"))

    def check(self, stage: str, now: Mapping[str, Any]) -> None:
        """Refuse to go on with a stage whose configuration is another one than it was begun with.

        What does not change what the run does is accepted, and so is all of a stage that has not begun; see
        :meth:`remark`.

        Args:
            now: the stage's configuration, resolved.

        Raises:
            ValueError: it names the keys; or what the stage has left behind is not of this stage, or damaged.
        """
        folder = self.folder / stage
        last, done = folder / "checkpoints" / "last.ckpt", (folder / "done").is_file()
        before = self.planned.get(stage, {}).get("config")
        if done and before is None and (folder / "config.yaml").exists():
            before = plain(read_config(folder / "config.yaml"), resolve=True)
        elif not done and last.is_file():
            saved = checkpoints.load(last, lazily=True)
            if saved.get("stage", stage) != stage:
                raise ValueError(f"{last} is of stage {saved['stage']}, not of {stage}; {checkpoints.ADVICE}")
            if lacks := [part for part in OF_TRAINING if part not in saved]:
                raise ValueError(
                    f"{last} holds weights alone, as best.ckpt does: without {shortened(lacks)} training cannot go on "
                    f"from it; {checkpoints.ADVICE}"
                )
            before = saved.get("config", before)
        if not isinstance(before, Mapping):
            return
        found = changes(before, now)
        if not done and not last.is_file():
            self.later += [f"{change} in stage {stage}" for change in found if not change.is_free]
        elif bound := [str(change) for change in found if not change.is_free]:
            weights = f", which may take these weights (from={last})" if last.is_file() else ""
            raise ValueError(
                f"{self.folder / 'config.yaml'} has changed since stage {stage} was trained: {shortened(bound)}. A run "
                f"ends with what it began with: put {'these' if bound[1:] else 'it'} back, or start a new run{weights}"
            )
        self.free |= {change.key: change for change in found if change.is_free}

    def remark(self) -> None:
        """Say in a line each what has changed and is accepted."""
        if self.free:
            follow = ["datasets.*.root"] if "data.root" in self.free else []
            said = shortened([str(change) for key, change in self.free.items() if not is_one_of(key, follow)], 8)
            warnings.warn(f"changed since the run began, nothing that it learns: {said}", Remark, stacklevel=2)
        if self.later:
            said = shortened(list(dict.fromkeys(self.later)), 8)
            warnings.warn(f"changed since the run began, before the stage: {said}", Remark, stacklevel=2)

    def check_images(self, stage: str, now: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse to go on with a stage whose images or label tables are not those that the run was planned with.

        Other files are remarked, since mended ones are welcome; where a root has moved they are refused.

        Args:
            now: see :func:`fingerprint`, by what the stage has them for.

        Raises:
            ValueError: it names the dataset.
        """
        moved = any(is_one_of(key, ROOTS) for key in self.free)
        images = self.planned.get(stage, {}).get("images", {}) if self.any_weights else {}
        for what, before in images.items():
            found = now.get(what, {})
            for part in (part for part in PARTS if part in before and found.get(part) != before[part]):
                name, why = PARTS[part]
                counts = f" ({before['images']} images then, {found.get('images', 0)} now)" if part == "names" else ""
                changed = f"{name} of {before['dataset']} changed since the run began{counts}"
                if part in OF_FILES and not moved:
                    message = f"stage {stage}, {what}: {changed}; that is right only where files were mended"
                    warnings.warn(message, Remark, stacklevel=2)
                    continue
                raise ValueError(
                    f"stage {stage}, {what}: {changed}, and {why}; put back what was there, or start a new run"
                )

    def keep(self, planned: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what the run is planned with; what it has weights of already stays."""
        if not self.any_weights or not self.planned:
            write_text(self.folder / PLANNED, json.dumps(planned, indent=1) + "\n")


def fingerprint(dataset: str, keys: Iterable[str], files: Iterable[Path | None], labels: Any) -> dict[str, Any]:
    """What is remembered of images: how many, and digests of names, of sizes and some contents of files, of labels."""
    names, regular = list(keys), [file for file in files if file is not None and file.is_file()]
    return {
        "dataset": dataset,
        "images": len(names),
        "names": _digest(names),
        "sizes": _digest(str(file.stat().st_size) for file in regular),
        "contents": _digest(map(_beginning, regular[:: max(1, len(regular) // LOOKED_INTO)][:LOOKED_INTO])),
        "labels": _digest([repr(labels)]),
    }


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(BYTES)


def _digest(words: Iterable[str | bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for word in words:
        digest.update((word if isinstance(word, bytes) else word.encode()) + b"\0")
    return digest.hexdigest()
