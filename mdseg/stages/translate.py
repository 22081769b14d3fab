"""The stage that writes the images of labelled sources as the target would show them."""

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from mdseg.config.building import build_transforms
from mdseg.data.dataset import ORIGINALS, SegmentationDataset, image_file, originals
from mdseg.data.reading import read_image
from mdseg.figures.translation import pairs
from mdseg.methods.translation import scaled
from mdseg.methods.translations import as_bytes
from mdseg.models.translator import Translator
from mdseg.runs import checkpoints
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog
from mdseg.runs.trained import checkpoint_file
from mdseg.stages.stage import Stage
from mdseg.stages.trainer import world_size
from mdseg.system.devices import choose_device
from mdseg.system.files import write_atomically, write_text
from mdseg.system.ranks import main_process, rank
from mdseg.system.signals import StopSignals

PATIENCE = 60  # seconds between lines


class WriteTranslations(Stage):
    """Translate every image of the labelled streams, each dataset by the network that `from` has for it.

    Written is `<dataset>/<key>.png` for each image, at its own size; masks stay where they are. What is there already,
    and can be read, is kept, so that a stage that was cut off goes on; several ranks share the work.
    `<dataset>/originals.json` says in the end of which images they were made.

    Raises:
        ValueError: the networks are not those of the labelled datasets.
    """

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        streams = self.datasets.streams(self.cfg, build_transforms(self.cfg))
        self.sources: dict[str, SegmentationDataset] = {
            dataset.name: dataset
            for loaded in streams.values()
            if loaded.stream.role == "labelled"
            for dataset in loaded.datasets
        }
        if set(self.origins) != set(self.sources):
            raise ValueError(
                f"stage {self.name}: from has translators for {', '.join(self.origins) or 'no dataset'}, but the "
                f"labelled datasets are {', '.join(self.sources)}; give one for each: from={{<dataset>: <stage>}}"
            )
        for name in self.origins:
            if self.origins[name] not in self.earlier:
                self.load(name)

    def looks_at(self) -> dict[str, SegmentationDataset]:
        return dict(self.sources)

    def check(self, world_size: int) -> None:
        for dataset in self.sources.values():
            dataset.image(0)

    def load(self, name: str) -> Translator:
        """The translator of a dataset.

        Raises:
            ValueError, FileNotFoundError: there is none.
        """
        path = checkpoint_file(self.origin(name), key=f"stage {self.name}: from.{name}")
        saved = checkpoints.load(path)
        method: Mapping[str, Any] = saved.get("config", {}).get("method", {})
        if not any(key.startswith("translator.") for key in saved["state_dict"]):
            raise ValueError(
                f"stage {self.name}: from.{name}: {path} holds no translator; name a stage that trains one"
            )
        options = {name: method[name] for name in ("width", "blocks", "downsamplings", "amplitude")}
        translator = Translator(**options)
        checkpoints.load_network(translator, saved, path, "translator", "translator")
        return translator.eval()

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        log = StageLog(self.folder, dashboard)
        for name, dataset in self.sources.items():
            done = self.write(name, dataset, stop)
            if main_process():
                self.sheet(name, dataset, log)
                write_text(self.folder / name / ORIGINALS, json.dumps(originals(dataset), indent=2) + "\n")
                print(f"{self.name}: {name}, {len(dataset)} images, {done} of them written now", flush=True)
        return {"images": {name: len(dataset) for name, dataset in self.sources.items()}}

    def write(self, name: str, dataset: SegmentationDataset, stop: StopSignals) -> int:
        """Write what is not there yet of a dataset; the number of images that were not."""
        device = choose_device("cpu" if self.cfg.trainer.accelerator == "cpu" else "auto")
        translator, said, done = self.load(name).to(device), time.monotonic(), 0
        ranks = world_size(self.cfg.trainer)
        # This rank's share first, then what others have not written yet: in the end all is there, and none has to wait.
        order = sorted(range(len(dataset)), key=lambda index: (index % ranks != rank(), index))
        for seen, index in enumerate(order):
            if stop.told(ranks):
                stop.leave(f"stopped after {seen} of {len(dataset)} images of {name}")
            path = image_file(self.folder / name, dataset.samples[index].key)
            if not is_whole(path, dataset.size(index)):
                write_atomically(path, partial(write_png, translate(translator, dataset.image(index), device)))
                done += 1
            if main_process() and time.monotonic() - said > PATIENCE:
                print(f"{self.name}: {name}, {seen + 1} of {len(dataset)} images", flush=True)
                said = time.monotonic()
        return done

    def sheet(self, name: str, dataset: SegmentationDataset, log: StageLog) -> None:
        """Originals and translations beside each other, of some images from all over the dataset."""
        count = min(len(dataset), max(self.cfg.panels, 0))
        if not count:
            return
        chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
        originals = [dataset.image(index) for index in chosen]
        files = [image_file(self.folder / name, dataset.samples[index].key) for index in chosen]
        translations = [read_image(file) for file in files]
        columns = {name: originals, f"{name} as the target": translations}
        log.picture(f"{name}_translated", pairs(columns, f"{name}: originals and translations"))


def is_whole(path: Path, size: tuple[int, int]) -> bool:
    """Whether there is an image of this height and width that can be read."""
    if not path.is_file():
        return False
    try:
        return read_image(path).shape[:2] == size
    except (OSError, ValueError):
        return False


@torch.no_grad()
def translate(
    translator: Translator, image: UInt8[np.ndarray, "h w 3"], device: torch.device
) -> UInt8[np.ndarray, "h w 3"]:
    """An image of the source as the target would show it."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
    return as_bytes(translator.translate(scaled(pixels)))[0]


def write_png(image: UInt8[np.ndarray, "h w 3"], file: IO[bytes]) -> None:
    """Write an image as PNG."""
    file.write(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
