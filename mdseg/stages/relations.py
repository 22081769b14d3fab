"""The stage that estimates class relations (UniSeg, Kim et al., ECCV 2022)."""

import warnings
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from torch import Tensor

from mdseg.config.building import build_transforms
from mdseg.config.keys import is_generated
from mdseg.data.datamodule import EvaluationData
from mdseg.data.dataset import SegmentationDataset
from mdseg.evaluation.predictor import shifts
from mdseg.figures.relations import relation_heatmap
from mdseg.labels import relations
from mdseg.methods.uniseg import RELATIONS, RelationScores, relation_rule
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog
from mdseg.stages.stage import Stage
from mdseg.system.files import write_atomically, write_text
from mdseg.system.signals import StopSignals
from mdseg.system.wording import Remark

ACROSS = "across"
# Mean IoU of the primaries below which the rule is not to be trusted. The demo's first stage is below, and 8 of its 50
# pairs are true; the paper's networks are far above (58 % on validation images).
HARDLY_TRAINED = 0.35


class EstimateRelations(Stage):
    """Class relations of the model named by `from`, over the training images: relations.yaml, scores.npz and heatmaps.

    Where the embedded data knows the true relations, found and true ones are compared over the pairs whose primary
    class has at least `min_pixels` training pixels, with `across_only` and without.

    Args:
        tau, score: see :func:`~mdseg.methods.uniseg.relation_rule` and :class:`~mdseg.methods.uniseg.RelationScores`.
        across_only: leave out pairs of classes that one dataset annotates both; the paper keeps them.

    Raises:
        ValueError: an option that is none, or no model to estimate relations of.
    """

    def __init__(self, tau: float, score: str, min_pixels: int, across_only: Any = False, **common: Any) -> None:
        super().__init__(**common)
        cfg = self.cfg
        if not isinstance(across_only, bool):
            raise ValueError(f"stage {self.name}: run.across_only: expected true or false, got {across_only!r}")
        if min_pixels < 0:
            raise ValueError(f"stage {self.name}: run.min_pixels: expected a number of at least 0, got {min_pixels}")
        self.tau, self.score, self.min_pixels, self.across_only = tau, score, min_pixels, across_only
        network: Any = self.build_network()  # a `Segmenter`
        self.data = EvaluationData(
            evaluated={
                dataset.name: dataset
                for loaded in self.datasets.streams(cfg, build_transforms(cfg)).values()
                if loaded.stream.role == "labelled"
                for dataset in loaded.datasets
            },
            workers=cfg.data.workers,
            evaluation_batch_size=cfg.evaluation.batch_size,
            evaluation_short_side=cfg.evaluation.short_side,
            evaluation_short_sides=cfg.evaluation.short_sides,
            score_at=cfg.evaluation.score_at,
            multiple=network.input_multiple,
            refusal=getattr(network, "refusal", None),
        )
        self.scores = RelationScores(network, self.space, score, cfg.align_corners)
        if "model" not in self.origins:
            raise ValueError(
                f"stage {self.name}: from is not set; it needs the stage whose model's relations these are"
            )
        if self.origins["model"] not in self.earlier:
            self.load_weights(network)

    def looks_at(self) -> dict[str, SegmentationDataset]:
        return dict(self.data.evaluated)

    def check(self, world_size: int) -> None:
        self.data.check(world_size)

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        self.load_weights(self.scores.model)
        means = {name: np.array(mean) for name, mean in self.means.items()}
        self.data.shifts = shifts(means, self.scores.model)
        trainer = self.build_trainer(logger=False)
        trainer.validate(self.scores, self.data, verbose=False)
        scores, counts = self.scores.mean_scores(), self.scores.counts.cpu()
        if not scores[counts > 0].isfinite().all():
            raise ValueError(f"stage {self.name}: the answers of {self.origins['model']} are nan or infinite")
        every = relation_rule(scores, self.space, self.tau)
        rules = {"": every, ACROSS: relations.across(self.space, every)}
        chosen, other = (ACROSS, "") if self.across_only else ("", ACROSS)
        found, pairs = rules[chosen], {rule: relations.to_pairs(self.space, table) for rule, table in rules.items()}
        if trainer.is_global_zero:
            self.save(scores, counts, found, StageLog(self.folder, dashboard))
        trainer.strategy.barrier()
        result = {"tau": self.tau, "score": self.score, "across_only": self.across_only, "found": pairs[chosen]}
        result |= {"num_found": number(pairs[chosen]), "num_across": number(pairs[ACROSS])}
        result |= self.known(counts)
        if self.cfg.data.truth is not None and all(is_generated(self.cfg, name) for name in self.space.datasets):
            truth = instantiate(self.cfg.data.truth)(self.space)
            frequent = relations.frequent_classes(self.space, counts, self.min_pixels)
            compared = {rule: relations.compare_pairs(of_rule, truth, frequent) for rule, of_rule in pairs.items()}
            result["against_truth"] = {"min_pixels": self.min_pixels, **compared[chosen]}
            result[f"against_truth_{'with' if other else 'without'}_across_only"] = compared[other]
        return result

    def known(self, counts: Tensor) -> dict[str, float | None]:
        """Mean IoU of the primaries on the training images; where that is low, a remark says so."""
        iou = self.scores.iou()[counts >= max(self.min_pixels, 1)]
        if not len(iou):
            return {"primaries_miou": None}
        mean = round(iou.mean().item(), 5)
        if mean < HARDLY_TRAINED:
            origin = self.origins["model"]
            longer = f"Train it longer (stage.{origin}.steps)" if origin in self.earlier else "Train it longer"
            warnings.warn(
                f"stage {self.name}: the model of {origin} is hardly trained: mean IoU {100 * mean:.1f} % on the "
                f"training images, of classes with at least {self.min_pixels} pixels there; below "
                f"{100 * HARDLY_TRAINED:.0f} % many of the relations that are found are wrong. {longer}, or leave out "
                f"pairs that one dataset annotates both (stage.{self.name}.run.across_only=true)",
                Remark,
                stacklevel=2,
            )
        return {"primaries_miou": mean}

    def save(self, scores: Tensor, counts: Tensor, found: Tensor, log: StageLog) -> None:
        """The editable relations.yaml, the scores behind it, and a heatmap for each dataset."""
        space = self.space
        write_text(self.folder / RELATIONS, relations.to_yaml(space, found))
        write_atomically(
            self.folder / "scores.npz",
            lambda file: np.savez_compressed(file, scores=scores.numpy(), counts=counts.numpy()),
        )
        for index, dataset in enumerate(space.datasets if self.cfg.panels else ()):
            rows = torch.nonzero(space.in_space[index] & (counts[index] > 0)).flatten()
            names = [space.names[row] for row in rows]
            off_diagonal = (found[index, rows] == 1) & (torch.arange(space.num_classes) != rows[:, None])
            title = f"{dataset}: mean score of every channel on the pixels of its classes; framed: relations"
            drawn = relation_heatmap(scores[index, rows].numpy(), off_diagonal.numpy(), names, space.names, title)
            log.picture(dataset, drawn)

    def describe(self) -> list[str]:
        images = ", ".join(f"{name} ({len(dataset)} images)" for name, dataset in self.data.evaluated.items())
        return [f"estimates class relations on {images}", f"writes {self.folder / RELATIONS}, scores.npz, figures/"]


def number(pairs: relations.Pairs) -> int:
    """How many pairs there are."""
    return sum(len(secondaries) for primaries in pairs.values() for secondaries in primaries.values())
