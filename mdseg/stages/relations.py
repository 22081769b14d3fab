"""The stage that estimates class relations (UniSeg, Kim et al., ECCV 2022)."""

from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from torch import Tensor

from mdseg.config.building import build_transforms
from mdseg.config.keys import is_generated
from mdseg.data.datamodule import EvaluationData
from mdseg.figures.relations import relation_heatmap
from mdseg.labels import relations
from mdseg.methods.uniseg import RELATIONS, RelationScores, relation_rule
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog
from mdseg.stages.stage import Stage
from mdseg.system.files import write_atomically, write_text
from mdseg.system.signals import StopSignals


class EstimateRelations(Stage):
    """Class relations of the model named by `from`, over the training images: relations.yaml, scores.npz and heatmaps.

    Where the embedded data knows the true relations, found and true ones are compared over the pairs whose primary
    class has at least `min_pixels` training pixels.

    Args:
        tau, score: see :func:`~mdseg.methods.uniseg.relation_rule` and :class:`~mdseg.methods.uniseg.RelationScores`.
    """

    def __init__(self, tau: float, score: str, min_pixels: int, **common: Any) -> None:
        super().__init__(**common)
        cfg = self.cfg
        self.tau, self.score, self.min_pixels = tau, score, min_pixels
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

    def check(self, world_size: int) -> None:
        self.data.check(world_size)

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        self.load_weights(self.scores.model)
        trainer = self.build_trainer(logger=False)
        trainer.validate(self.scores, self.data, verbose=False)
        scores, counts = self.scores.mean_scores(), self.scores.counts.cpu()
        found = relation_rule(scores, self.space, self.tau)
        if trainer.is_global_zero:
            self.save(scores, counts, found, StageLog(self.folder, dashboard))
        trainer.strategy.barrier()
        pairs = relations.to_pairs(self.space, found)
        num_found = sum(len(secondaries) for primaries in pairs.values() for secondaries in primaries.values())
        result = {"tau": self.tau, "score": self.score, "found": pairs, "num_found": num_found}
        if self.cfg.data.truth is not None and all(is_generated(self.cfg, name) for name in self.space.datasets):
            truth = instantiate(self.cfg.data.truth)(self.space)
            frequent = relations.frequent_classes(self.space, counts, self.min_pixels)
            compared = relations.compare_pairs(pairs, truth, frequent)
            result["against_truth"] = {"min_pixels": self.min_pixels, **compared}
        return result

    def save(self, scores: Tensor, counts: Tensor, found: Tensor, log: StageLog) -> None:
        """The editable relations.yaml, the scores behind it, and a heatmap for each dataset."""
        space = self.space
        write_text(self.folder / RELATIONS, relations.to_yaml(space, found))
        write_atomically(
            self.folder / "scores.npz",
            lambda file: np.savez_compressed(file, scores=scores.numpy(), counts=counts.numpy()),
        )
        for index, dataset in enumerate(space.datasets):
            rows = torch.nonzero(space.in_space[index] & (counts[index] > 0)).flatten()
            names = [space.names[row] for row in rows]
            off_diagonal = (found[index, rows] == 1) & (torch.arange(space.num_classes) != rows[:, None])
            title = f"{dataset}: mean score of every channel on the pixels of its classes; framed: relations"
            drawn = relation_heatmap(scores[index, rows].numpy(), off_diagonal.numpy(), names, space.names, title)
            log.picture(dataset, drawn)

    def describe(self) -> list[str]:
        images = ", ".join(f"{name} ({len(dataset)} images)" for name, dataset in self.data.evaluated.items())
        return [f"estimates class relations on {images}", f"writes {self.folder / RELATIONS}, scores.npz, figures/"]
