"""The stage that merges the answers of several trained networks (Russo et al., ICIAP 2019; AdvEnt + MinEnt)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from mdseg.config.building import evaluated_tables
from mdseg.config.keys import labelled_datasets, plain
from mdseg.data.datamodule import EvaluationData
from mdseg.data.dataset import SegmentationDataset
from mdseg.evaluation.branch_panels import BranchPanels
from mdseg.evaluation.evaluator import Evaluator, check_merges, views_of
from mdseg.evaluation.panels import Panels
from mdseg.evaluation.results import evaluation_results
from mdseg.labels.spaces import LabelSpace, joined
from mdseg.models.joined import Joined
from mdseg.runs.checkpoints import AtomicCheckpointIO
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog
from mdseg.runs.trained import Trained, description, load_trained
from mdseg.stages.stage import Stage
from mdseg.system.ranks import main_process
from mdseg.system.signals import StopSignals


class Merge(Stage):
    """Evaluate networks that `from` names, each branch of theirs alone and merged, in one pass of each.

    Written is a checkpoint of all of them together, which `mdseg.evaluate` and `mdseg.predict` read as any other.

    Args:
        merges: name → how, see :func:`~mdseg.evaluation.evaluator.views_of`; the first is the headline.

    Raises:
        ValueError: fewer than two networks, or a merge that is none.
    """

    def __init__(self, merges: Any, **common: Any) -> None:
        super().__init__(**common)
        cfg = self.cfg
        self.merges = merges
        if len(self.origins) < 2:
            raise ValueError(
                f"stage {self.name}: from has {len(self.origins)} networks; a merge needs two or more: "
                "from={<name>: <stage or run folder>, <name>: ...}"
            )
        check_merges(merges, [*self.origins, *labelled_datasets(cfg)])
        outside = {part: self.load(part) for part, origin in self.origins.items() if origin not in self.earlier}
        multiple = math.lcm(*(trained.model.input_multiple for trained in outside.values()))
        network: Any = self.build_network(published=False)
        self.data = EvaluationData(
            evaluated=self.datasets.evaluated(cfg),
            workers=cfg.data.workers,
            evaluation_batch_size=cfg.evaluation.batch_size,
            evaluation_short_side=cfg.evaluation.short_side,
            evaluation_short_sides=cfg.evaluation.short_sides,
            score_at=cfg.evaluation.score_at,
            multiple=math.lcm(multiple, getattr(network, "input_multiple", 1)),
            refusal=getattr(network, "refusal", None),
        )

        if len(outside) == len(self.origins):
            self.shifts(outside)

    def looks_at(self) -> dict[str, SegmentationDataset]:
        return dict(self.data.evaluated)

    def check(self, world_size: int) -> None:
        self.data.check(world_size)
        before = {part: self.before.get(origin) for part, origin in self.origins.items()}
        if not any(isinstance(stage, Merge) for stage in before.values()):  # whose branches show when it has run
            spaces = {part: self.load(part).space if stage is None else stage.space for part, stage in before.items()}
            views_of(joined(spaces), self.merges)  # a merge that is none shows here

    def load(self, part: str) -> Trained:
        """A network with the weights that are reported of it.

        Raises:
            ValueError, FileNotFoundError: there is none, or its logits are upsampled in another way than here.
        """
        trained = load_trained(self.origin(part), checkpoint="last" if self.cfg.select is None else "best")
        if trained.cfg.align_corners != self.cfg.align_corners:
            raise ValueError(
                f"stage {self.name}: {part} ({trained.path}) was trained with align_corners={trained.cfg.align_corners}"
                f", but here it is {self.cfg.align_corners}; set align_corners as it was trained, and merge equal ones"
            )
        return trained

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        members = {part: self.load(part) for part in self.origins}
        space = joined({part: trained.space for part, trained in members.items()})
        network = Joined({part: trained.model for part, trained in members.items()})
        evaluator = Evaluator(
            networks={"joined": network},
            views=views_of(space, self.merges) or {},
            evaluated=evaluated_tables(self.cfg),
            align_corners=self.cfg.align_corners,
            trained=sum(trained.steps for trained in members.values()),
        )
        evaluator.joined = network  # registered, so that it goes to the device
        self.data.shifts = self.shifts(members)
        log = StageLog(self.folder, dashboard)
        log.restart_at(0)  # an attempt that was cut off
        pictures = [Panels(self.folder / "figures", self.cfg.panels), BranchPanels(self.cfg.panels)]
        trainer = self.build_trainer(callbacks=pictures, logger=[log])
        trainer.validate(evaluator, self.data, verbose=False)
        if main_process():
            self.save(network, space, evaluator, members)
        trainer.strategy.barrier()
        return {"networks": dict(self.origins), "evaluation": evaluation_results(evaluator)}

    def shifts(self, members: Mapping[str, Trained]) -> dict[str, np.ndarray]:
        """What is added to the images of the evaluated datasets, the same for all networks.

        Raises:
            ValueError: it is not the same.
        """
        found = {part: trained.shifts_of(self.data.evaluated) for part, trained in members.items()}
        first = next(iter(found.values()))
        for part, own in found.items():
            if {name: shift.tolist() for name, shift in own.items()} != {k: v.tolist() for k, v in first.items()}:
                raise ValueError(
                    f"stage {self.name}: {part} subtracts another mean from the images of "
                    f"{', '.join(self.data.evaluated)} than {next(iter(found))}; they cannot see the same image"
                )
        return first

    def save(self, network: nn.Module, space: LabelSpace, evaluator: Evaluator, members: Mapping[str, Trained]) -> None:
        """The checkpoint of all networks together."""
        own = description(self.cfg, self.name)
        own["config"]["model"] = {
            "_target_": "mdseg.models.joined.joined",
            "members": {
                part: {**plain(trained.cfg.model), "num_classes": trained.space.num_classes}
                for part, trained in members.items()
            },
        }
        checkpoint = {
            "state_dict": {f"joined.{name}": value.cpu() for name, value in network.state_dict().items()},
            "label_space": space.state_dict(),
            "SegmentationDataModule": {"step": evaluator.trained},
            "means": dict(next(iter(members.values())).means),
            "trained_on": sorted({name for trained in members.values() for name in trained.trained_on}),
            **evaluator.answering(),
            **own,
        }
        path = self.folder / "checkpoints" / "last.ckpt"
        path.parent.mkdir(exist_ok=True)
        AtomicCheckpointIO().save_checkpoint(checkpoint, path)
