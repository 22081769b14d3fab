"""A run is a list of stages; a stage is a fit or a function, configured alike."""

import json
import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mdseg import checkpoints, figures, relations
from mdseg.callbacks import Panels, Save, SaveBest, Timing, peak_memory_mb
from mdseg.configuration import (
    ROLES,
    build,
    build_label_space,
    count_steps,
    evaluation_dataset,
    evaluation_spaces,
    open_dataset,
    prepare_data,
    stage_config,
)
from mdseg.data.datamodule import SegmentationDataModule, select_streams
from mdseg.data.transforms import strict
from mdseg.label_space import LabelSpace
from mdseg.logging import MetricsFile
from mdseg.methods.base import Method
from mdseg.methods.uniseg import RelationScores, relation_rule
from mdseg.models.segmenter import Segmenter


class Stage:
    """One stage of a run: its configuration, its folder, and the objects built from them."""

    def __init__(self, name: str, run_config: DictConfig, run_folder: Path, space: LabelSpace) -> None:
        self.name, self.run_folder, self.space = name, run_folder, space
        self.cfg = stage_config(run_config, name)
        self.folder = run_folder / name
        self.last = self.folder / "checkpoints" / "last.ckpt"

    def build_model(self) -> Segmenter:
        """The network, initialised from the seed, with the weights of the stage named by `from`."""
        torch.manual_seed(self.cfg.seed)
        model = instantiate(self.cfg.model, num_classes=self.space.num_classes)
        if self.cfg["from"] is not None:
            path = self.run_folder / self.cfg["from"] / "checkpoints" / "last.ckpt"
            checkpoints.load_model(model, checkpoints.load(path), path, self.space.names)
        return model

    def build_data(self, multiple: int) -> SegmentationDataModule:
        """The streams and the evaluated datasets."""
        cfg = self.cfg
        streams = select_streams(
            OmegaConf.to_container(cfg.streams, resolve=True),
            lambda *args: open_dataset(cfg, *args),
            cfg.seed,
            self.folder,
        )
        return SegmentationDataModule(
            streams=streams,
            evaluated={name: evaluation_dataset(cfg, name) for role in ROLES for name in cfg.evaluate[role]},
            space=self.space,
            transform=strict(instantiate, cfg.transform, _convert_="all"),
            seed=cfg.seed,
            steps=count_steps(cfg.steps, [stream for stream, _ in streams.values()]),
            workers=cfg.data.workers,
            evaluation_batch_size=cfg.evaluation.batch_size,
            evaluation_short_side=cfg.evaluation.short_side,
            score_at=cfg.evaluation.score_at,
            multiple=multiple,
        )

    def build_method(self, model: Segmenter, steps: int) -> Method:
        """The method around the model, with its losses."""
        cfg = self.cfg
        losses = {
            slot: build(node, space=self.space) if slot == "supervised" else instantiate(node)
            for slot, node in cfg.loss.items()
            if node is not None
        }
        method = build(
            cfg.method,
            model=model,
            space=self.space,
            evaluated=evaluation_spaces(cfg, self.space),
            optimizer=instantiate(cfg.optimizer),
            scheduler=instantiate(cfg.scheduler),
            head_lr_factor=cfg.head_lr_factor,
            steps=steps,
            seed=cfg.seed,
            align_corners=cfg.align_corners,
            **losses,
        )
        check_roles(method, cfg)
        return method

    def build_trainer(self, **options: Any) -> pl.Trainer:
        """Lightning's trainer without the parts that this project does itself."""
        return build(
            self.cfg.trainer,
            max_epochs=1,
            max_steps=-1,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            default_root_dir=str(self.folder),
            plugins=[checkpoints.AtomicCheckpointIO()],
            **options,
        )


def fit(stage: Stage) -> dict[str, Any]:
    """Train to the last step, from wherever an earlier attempt stopped, then evaluate."""
    cfg = stage.cfg
    model = stage.build_model()
    data = stage.build_data(model.input_multiple)
    method = stage.build_method(model, data.steps)
    val_every = min(cfg.val_every, data.steps)
    timing, best = Timing(), SaveBest(stage.folder / "checkpoints" / "best.ckpt")
    log = MetricsFile(stage.folder / "metrics.csv")
    trainer = stage.build_trainer(
        callbacks=[
            timing,
            Save(stage.last, cfg.checkpoint_every, data.steps, val_every),
            Panels(stage.folder / "figures", cfg.panels),
            best,
        ],
        logger=[log],
        log_every_n_steps=min(cfg.log_every, data.steps),
        val_check_interval=val_every,
    )
    saved = checkpoints.load(stage.last) if stage.last.exists() else None
    trained = checkpoints.trained_steps(saved) if saved else 0
    log.restart_at(trained)
    if trained < data.steps:
        trainer.fit(method, data, ckpt_path=stage.last if saved else None, weights_only=True)
    else:
        method.load_state_dict(saved["state_dict"])
        method.trained = trained
        timing.load_state_dict(saved["callbacks"]["Timing"])
        best.load_state_dict(saved["callbacks"]["SaveBest"])
    if method.evaluated_at != data.steps:
        trainer.validate(method, data, verbose=False)
    return {
        "steps": data.steps,
        "seconds": round(timing.seconds, 1),
        "images_per_second": round(timing.images / max(timing.seconds, 1e-9), 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "evaluation": evaluation_results(method),
        "best": {"step": best.step, "mean_seen_miou": best.miou},
    }


def estimate_relations(stage: Stage, tau: float, score: str, min_pixels: int) -> dict[str, Any]:
    """Class relations of the model named by `from`, over the training images: relations.yaml, scores.npz and heatmaps.

    Where the embedded data knows the true relations, found and true ones are compared over the pairs whose primary
    class has at least `min_pixels` training pixels.
    """
    model = stage.build_model()
    data = stage.build_data(model.input_multiple)
    data.evaluated = {
        dataset.name: dataset
        for stream, datasets in data.streams.values()
        if stream.role == "labelled"
        for dataset in datasets
    }
    statistics = RelationScores(model, stage.space, score, stage.cfg.align_corners)
    trainer = stage.build_trainer(logger=False)
    trainer.validate(statistics, data, verbose=False)
    scores, counts = statistics.mean_scores(), statistics.counts.cpu()
    found = relation_rule(scores, stage.space, tau)
    if trainer.is_global_zero:
        save_relations(stage, scores, counts, found)
    trainer.strategy.barrier()
    pairs = relations.to_pairs(stage.space, found)
    result = {"tau": tau, "score": score, "found": pairs, "num_found": count_pairs(pairs)}
    if stage.cfg.data.truth is not None:
        truth = instantiate(stage.cfg.data.truth)(stage.space)
        frequent = frequent_classes(stage.space, counts, min_pixels)
        result["against_truth"] = {"min_pixels": min_pixels, **compare_pairs(pairs, truth, frequent)}
    return result


def save_relations(stage: Stage, scores: torch.Tensor, counts: torch.Tensor, found: torch.Tensor) -> None:
    """The editable relations.yaml, the scores behind it, and a heatmap for each dataset."""
    space = stage.space
    relations.save(stage.folder / "relations.yaml", space, found)
    checkpoints.write_atomically(
        stage.folder / "scores.npz",
        lambda file: np.savez_compressed(file, scores=scores.numpy(), counts=counts.numpy()),
    )
    for index, dataset in enumerate(space.datasets):
        rows = torch.nonzero(space.in_space[index] & (counts[index] > 0)).flatten()
        names = [space.names[row] for row in rows]
        off_diagonal = (found[index, rows] == 1) & (torch.arange(space.num_classes) != rows[:, None])
        title = f"{dataset}: mean score of every channel on the pixels of its classes; framed: relations"
        figure = figures.relation_heatmap(scores[index, rows].numpy(), off_diagonal.numpy(), names, space.names, title)
        figures.save(stage.folder / "figures" / f"{dataset}.png", figure)


Pairs = Mapping[str, Mapping[str, Sequence[str]]]


def count_pairs(pairs: Pairs) -> int:
    return sum(len(secondaries) for primaries in pairs.values() for secondaries in primaries.values())


def frequent_classes(space: LabelSpace, counts: torch.Tensor, min_pixels: int) -> dict[str, set[str]]:
    """Per dataset, the classes with at least so many pixels."""
    return {
        dataset: {space.names[index] for index in torch.nonzero(counts[row] >= min_pixels).flatten()}
        for row, dataset in enumerate(space.datasets)
    }


def compare_pairs(found: Pairs, truth: Pairs, primaries: Mapping[str, set[str]]) -> dict[str, Any]:
    """Precision and recall of (dataset, primary, secondary) triples among the given primaries, null where undefined."""

    def triples(pairs: Pairs) -> set[tuple[str, str, str]]:
        return {
            (dataset, primary, secondary)
            for dataset, rows in pairs.items()
            for primary, secondaries in rows.items()
            if primary in primaries.get(dataset, ())
            for secondary in secondaries
        }

    found_triples, true_triples = triples(found), triples(truth)
    right = found_triples & true_triples
    return {
        "found": len(found_triples),
        "true": len(true_triples),
        "right": len(right),
        "precision": len(right) / len(found_triples) if found_triples else None,
        "recall": len(right) / len(true_triples) if true_triples else None,
        "wrong": sorted(" / ".join(triple) for triple in found_triples - true_triples),
        "missed": sorted(" / ".join(triple) for triple in true_triples - found_triples),
    }


def evaluation_results(method: Method) -> dict[str, Any]:
    """Per dataset role, mIoU and IoU per class (null where absent), and the mean mIoU of each role."""
    datasets = {}
    for name, evaluated in method.evaluated.items():
        values = [None if math.isnan(value) else round(value, 5) for value in method.iou[name].tolist()]
        datasets[name] = {
            "role": evaluated.role,
            "miou": round(method.iou[name].nanmean().item(), 5),
            "iou": dict(zip(evaluated.space.names, values, strict=True)),
        }
    means = {
        role: sum(values) / len(values)
        for role in ROLES
        if (values := [entry["miou"] for entry in datasets.values() if entry["role"] == role])
    }
    return {"mean_miou": means, "datasets": datasets}


def check_roles(method: Method, cfg: DictConfig) -> None:
    """Say before training, once, which streams a method lacks."""
    given = {name: stream.role for name, stream in cfg.streams.items()}
    for role in method.roles:
        if role not in given.values():
            raise ValueError(f"{type(method).__name__} needs a {role} stream; streams has {given or 'none'}")


def main_process() -> bool:
    """Whether this is rank 0, the one that writes."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0))) == 0


def quieten_lightning() -> None:
    """Leave out what Lightning tells at every start and what it warns of that this project does on purpose."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers",
        r".*resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated",
        r".*sync_dist=True",  # confusion matrices are added up over the ranks by torchmetrics
        r".*was called before the ``update`` method",  # a rank that no image of a dataset was dealt to
    ):
        warnings.filterwarnings("ignore", message)


def run(cfg: DictConfig, folder: Path) -> dict[str, Any]:
    """Run all stages that are not done, in order; after each, results.json holds what is known."""
    quieten_lightning()
    cfg.run_folder = str(folder)
    prepare_data(cfg)
    space = build_label_space(cfg)
    results_path = folder / "results.json"
    results = {"experiment": cfg.name, "family": cfg.family, "scale": cfg.scale, "seed": cfg.seed, "stages": {}}
    if results_path.exists():
        results = json.loads(results_path.read_text())
    for name in cfg.stages:
        stage = Stage(name, cfg, folder, space)
        if (stage.folder / "done").exists():
            print(f"{name}: done before", flush=True)
            continue
        stage.folder.mkdir(exist_ok=True)
        results["stages"][name] = instantiate(stage.cfg.run)(stage)
        if main_process():
            checkpoints.write_text(stage.folder / "config.yaml", OmegaConf.to_yaml(stage.cfg, resolve=True))
            checkpoints.write_text(results_path, json.dumps(results, indent=2) + "\n")
            checkpoints.write_text(stage.folder / "done", "")
    return results
