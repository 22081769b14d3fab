"""What all stages of a run share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import nn

from mdseg.config.building import Datasets, build
from mdseg.config.keys import origins, plain
from mdseg.data.dataset import SegmentationDataset
from mdseg.labels.spaces import LabelSpace
from mdseg.runs import checkpoints
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.trained import checkpoint_file
from mdseg.stages.callbacks import Bar, EndAlone, Progress
from mdseg.stages.trainer import build_trainer, shows_bars
from mdseg.system.signals import StopSignals


class Stage:
    """One stage of a run, built when the run is planned and called when its turn comes.

    A stage of one's own builds what it needs in its constructor, so that mistakes show before anything is trained,
    looks at its data in `check`, and works in `__call__`.

    Args:
        name: in `stages`.
        cfg: its configuration, the run's with the stage's own values over it.
        space: label space of its masks.
        folder: where its results will lie.
        datasets: what has been listed so far.
        earlier: name → folder of the stages before it.

    Attributes:
        before: those of them that are still to run, from when all are built.
        weights: what its network is initialised from, a file or `imagenet`; null: random numbers, or what `from` names.
    """

    steps = 0  # of training
    weights: str | None = None
    space: LabelSpace

    def __init__(
        self,
        name: str,
        cfg: DictConfig,
        space: LabelSpace,
        folder: Path,
        datasets: Datasets,
        earlier: Mapping[str, Path],
    ) -> None:
        self.name, self.cfg, self.space, self.folder = name, cfg, space, folder
        self.datasets, self.earlier = datasets, earlier
        self.before: Mapping[str, Stage] = {}
        self.origins = origins(cfg)
        self.trained_on: set[str] = set()  # datasets that the weights it starts from were trained on
        self.means: Mapping[str, Sequence[float]] = {}  # those that its model's weights expect to be subtracted

    def check(self, world_size: int) -> None:
        """Look at the data, before the first stage of the run starts, for mistakes that the configuration has not."""

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        """Do the work; returns what results.json says of the stage."""
        raise NotImplementedError

    def describe(self) -> list[str]:
        """Lines about the stage for people."""
        return []

    def looks_at(self) -> dict[str, SegmentationDataset]:
        """The images that it looks at, by what for: a run that goes on must find the same."""
        return {}

    def build_network(self, published: bool = True) -> nn.Module:
        """The network, initialised from the seed.

        Args:
            published: with published weights, unless `from` names others.
        """
        torch.manual_seed(self.cfg.seed)
        node = self.cfg.model.copy()
        if ("model" in self.origins or not published) and "weights" in node:
            node.weights = None
        self.weights = node.get("weights")
        return build(node, num_classes=self.space.num_classes)

    def origin(self, part: str) -> Path:
        """Folder of the earlier stage, or the path, that a part starts from."""
        return self.earlier.get(self.origins[part], Path(self.origins[part]))

    def load_weights(self, network: nn.Module, part: str = "model") -> None:
        """Put the weights that a part starts from into its network.

        Raises:
            ValueError, FileNotFoundError: there are none, or they are of another network or of other classes.
        """
        path = checkpoint_file(self.origin(part), key=f"stage {self.name}: from")
        saved = checkpoints.load(path)
        try:
            if hasattr(network, "classify"):  # a part without a classifier fits any classes
                checkpoints.check_same_classes(saved, path, self.space.names)
            checkpoints.load_network(network, saved, path, part)
            self.trained_on |= set(checkpoints.trained_on(saved))
            self.means = saved.get("means", {}) if part == "model" else self.means
        except ValueError as error:
            own = plain(self.cfg.model, resolve=True)
            options = option_differences(saved.get("config", {}).get("model", {}), own)
            raise ValueError(f"stage {self.name}: {error}{options}") from error

    def build_trainer(self, callbacks: Sequence[pl.Callback] = (), **options: Any) -> pl.Trainer:
        progress = Bar(self.name) if shows_bars(self.cfg.trainer) else Progress(self.name)
        return build_trainer(self.cfg.trainer, self.folder, callbacks=[*callbacks, EndAlone(), progress], **options)


def option_differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """The options in which two networks differ, as the end of a message; empty where they are the same."""
    keys = [key for key in {**saved, **own} if key != "weights" and saved.get(key) != own.get(key)]
    changes = [f"model.{key} was {saved.get(key)} there and is {own.get(key)} here" for key in keys]
    return f" ({', '.join(changes)})" if changes else ""
