"""A run is a list of stages; a stage is a fit or a function, configured alike."""

import inspect
import json
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from mdseg.config.building import (
    ROLES,
    bound,
    build,
    build_label_space,
    build_transforms,
    check_keys,
    check_numbers,
    count_steps,
    descriptor,
    evaluation_spaces,
    is_generated,
    labelled_datasets,
    open_dataset,
    open_labelled,
    prepare_data,
    stage_config,
)
from mdseg.data.datamodule import SegmentationDataModule, cores, select_streams
from mdseg.data.statistics import labelled_counts
from mdseg.evaluation.panels import Panels
from mdseg.evaluation.results import evaluation_results, numbers, read_results
from mdseg.figures import training as figures
from mdseg.labels import relations
from mdseg.labels.spaces import LabelSpace
from mdseg.losses.fused import SupervisedLoss
from mdseg.methods.base import Method
from mdseg.methods.lessons import Lessons
from mdseg.methods.uniseg import RelationScores, relation_rule
from mdseg.models.segmenter import Segmenter
from mdseg.runs import checkpoints
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.metrics_file import MetricsFile, read_metrics
from mdseg.runs.trained import checkpoint_file, description
from mdseg.stages.callbacks import Bar, EndAlone, Finite, Mirror, Progress, Save, SaveBest, Timing, peak_memory_mb
from mdseg.system.ranks import main_process
from mdseg.system.signals import StopSignals

LABEL_LOSSES = ("supervised", "mixed")  # slots of the group `loss`


class Stage:
    """One stage of a run: its configuration, its folder, and the objects built from them."""

    def __init__(
        self,
        name: str,
        run_config: DictConfig,
        run_folder: Path,
        space: LabelSpace,
        stop: StopSignals,
        dashboard: Dashboard | None = None,
    ) -> None:
        self.name, self.run_folder, self.space, self.stop = name, run_folder, space, stop
        self.dashboard = dashboard or Dashboard()
        self.cfg = stage_config(run_config, name)
        self.folder = run_folder / name
        self.last = self.folder / "checkpoints" / "last.ckpt"

    def initial_model(self) -> Segmenter:
        """The network, initialised from the seed; published weights are left out where `from` names others."""
        torch.manual_seed(self.cfg.seed)
        node = self.cfg.model.copy()
        if self.cfg["from"] is not None and "weights" in node:
            node.weights = None
        return build(node, num_classes=self.space.num_classes)

    def build_model(self) -> Segmenter:
        """The network, with the weights that `from` names, if any: an earlier stage's, or those of a path.

        Raises:
            ValueError, FileNotFoundError: there are none, or they are of another network or of other classes.
        """
        model, origin = self.initial_model(), self.cfg["from"]
        if origin is None:
            return model
        path = self.run_folder / origin if origin in self.cfg.stages else Path(origin)
        path = checkpoint_file(path, key=f"stage {self.name}: from")
        saved = checkpoints.load(path)
        try:
            checkpoints.load_model(model, saved, path, self.space.names)
        except ValueError as error:
            own = OmegaConf.to_container(self.cfg.model, resolve=True)
            options = option_differences(saved.get("config", {}).get("model", {}), own)
            raise ValueError(f"stage {self.name}: {error}{options}") from error
        return model

    def build_data(self, multiple: int) -> SegmentationDataModule:
        """The streams and the evaluated datasets."""
        cfg = self.cfg

        def load(name: str, split: str):
            labelled = any(name in stream.datasets for stream in cfg.streams.values() if stream.role == "labelled")
            return (open_labelled if labelled else open_dataset)(cfg, name, split)

        streams = select_streams(OmegaConf.to_container(cfg.streams, resolve=True), load, cfg.seed)
        return SegmentationDataModule(
            streams=streams,
            evaluated={
                name: open_labelled(cfg, name, descriptor(cfg, name).evaluation_split)
                for role in ROLES
                for name in cfg.evaluate[role]
            },
            space=self.space,
            transforms=build_transforms(cfg),
            seed=cfg.seed,
            steps=count_steps(cfg.steps, [stream for stream, _ in streams.values()]),
            workers=cfg.data.workers,
            evaluation_batch_size=cfg.evaluation.batch_size,
            evaluation_short_side=cfg.evaluation.short_side,
            score_at=cfg.evaluation.score_at,
            multiple=multiple,
        )

    def build_losses(self, data: SegmentationDataModule, counted: bool) -> dict[str, Any]:
        """What fills the slots of the group `loss`; only losses of labels depend on the label space, and are perturbed.

        counted: see :meth:`build_method`.
        """
        nodes = {slot: node for slot, node in self.cfg.loss.items() if node is not None and slot != "variation"}
        losses = {
            slot: build(node, space=self.space) if slot in LABEL_LOSSES else bound(node) for slot, node in nodes.items()
        }
        if self.cfg.loss.variation is not None:
            self.perturb({slot: losses.get(slot) for slot in LABEL_LOSSES}, data, counted)
        return losses

    def perturb(self, losses: Mapping[str, SupervisedLoss | None], data: SegmentationDataModule, counted: bool) -> None:
        """Perturb losses of labels as loss/variation says, by the pixels of every class in the labelled streams."""
        node = self.cfg.loss.variation
        labelled = [stream for stream, _ in data.streams.values() if stream.role == "labelled"]
        # Where a stream gets pseudo-labels, they count by its share of the images, and change in its epochs.
        pseudo, _ = data.streams.get(self.cfg.method.get("unlabelled"), (None, None))
        counts = np.ones(self.space.num_classes)
        if counted and node.get("counts_file") is None:
            counts = labelled_counts(data.streams, self.space, min(data.workers, cores()))
        build(
            node,
            losses=losses,
            space=self.space,
            labelled=torch.from_numpy(counts),
            share=len(pseudo) / (len(pseudo) + sum(map(len, labelled))) if pseudo else 1.0,
            epoch=(pseudo or labelled[0]).epoch,
            steps=data.steps,
        )

    def build_method(self, model: Segmenter, data: SegmentationDataModule, counted: bool = True) -> Method:
        """The method around the model, with its losses.

        counted: count the classes' pixels where a loss wants them; False where the configuration is only checked.

        Raises:
            ValueError: a loss or a stream that the method has no use for, or lacks.
        """
        cfg, losses = self.cfg, self.build_losses(data, counted)
        accepted = inspect.signature(get_class(cfg.method["_target_"])).parameters
        for slot in losses:
            if slot not in accepted:
                raise ValueError(
                    f"stage {self.name}: {cfg.method['_target_']} has no use for loss/{slot}; set loss/{slot}=none, or "
                    "choose a family whose method has one"
                )
        method = build(
            cfg.method,
            model=model,
            space=self.space,
            evaluated=evaluation_spaces(cfg, self.space),
            optimizer=instantiate(cfg.optimizer),
            scheduler=instantiate(cfg.scheduler),
            head_lr_factor=cfg.head_lr_factor,
            decay_norms=cfg.decay_norms,
            steps=data.steps,
            seed=cfg.seed,
            align_corners=cfg.align_corners,
            **losses,
        )
        crops = {name: getattr(transform, "crop", None) for name, transform in data.transforms.items()}
        method.check_streams({name: {**stream, "crop": crops[name]} for name, stream in cfg.streams.items()})
        method.description = description(cfg, self.name)
        return method

    def build_trainer(self, callbacks: Sequence[pl.Callback] = (), **options: Any) -> pl.Trainer:
        progress = Bar(self.name) if shows_bars(self.cfg.trainer) else Progress(self.name)
        return build_trainer(self.cfg.trainer, self.folder, callbacks=[*callbacks, EndAlone(), progress], **options)

    def write_subsets(self, data: SegmentationDataModule) -> None:
        """Write which images a stream has where it is not all of them, labelled or the rest, one key per line."""
        for name, (_, datasets) in data.streams.items():
            if self.cfg.streams[name].labelled != "all" or self.cfg.streams[name].exclude_labelled is not None:
                for dataset in datasets:
                    keys = "".join(f"{sample.key}\n" for sample in dataset.samples)
                    checkpoints.write_text(self.folder / f"{name}_{dataset.name}.txt", keys)

    def after_divergence(self) -> str:
        """What to do about a loss or weights that are not finite."""
        key = f"stage.{self.name}.optimizer.lr" if self.cfg.stage[self.name].get("optimizer") else "optimizer.lr"
        advice = [
            "If these images and masks are in order, the updates before were too large: start again with a lower "
            f"{key} (now {self.cfg.optimizer.lr:g})."
        ]
        if str(self.cfg.trainer.precision) == "16-mixed":
            advice.append("16-bit numbers end at 65504; trainer.precision=bf16-mixed goes further.")
        if self.last.exists():
            advice.append(f"The checkpoint before it is kept ({self.last}); resume= takes the same steps from there.")
        else:
            advice.append("There is no checkpoint yet; resume= takes the same steps again.")
        return "\n".join(advice)

    def check(self, earlier: list[str]) -> None:
        """Build what the stage will need, so that its mistakes show before the first stage has trained for days.

        Raises:
            ValueError, FileNotFoundError: something does not exist or does not fit.
        """
        cfg = self.cfg
        origin = cfg["from"]
        if origin is not None and origin in cfg.stage and origin not in cfg.stages and not Path(origin).exists():
            raise ValueError(
                f"stage {self.name} starts from stage {origin}, which is not in stages={list(cfg.stages)}; add it, or "
                f"name another run's: stage.{self.name}.from=<run folder>/{origin}"
            )
        if origin is not None and origin not in earlier and (origin in cfg.stages or not Path(origin).exists()):
            before = ", ".join(earlier) or "none"
            raise ValueError(
                f"stage {self.name}: from={origin} is none of the stages before it ({before}), and there is no such "
                "run folder or checkpoint"
            )
        check_numbers(cfg)
        model = self.initial_model() if origin in earlier else self.build_model()
        data = self.build_data(model.input_multiple)
        data.check(world_size(cfg.trainer))
        evaluation_spaces(cfg, self.space)
        if "score" in cfg.run:
            RelationScores(model, self.space, cfg.run.score, cfg.align_corners)
        if cfg.steps is not None:
            groups = model.parameter_groups(cfg.optimizer.lr, cfg.head_lr_factor, cfg.decay_norms)
            optimizer = build(cfg.optimizer, params=groups)
            build(cfg.scheduler, optimizer=optimizer, steps=data.steps)
            if str(self.run_folder) not in str(OmegaConf.to_container(cfg.loss, resolve=True)):
                self.build_method(model, data, counted=False)


def option_differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """The options in which two networks differ, as the end of a message; empty where they are the same."""
    keys = [key for key in {**saved, **own} if key != "weights" and saved.get(key) != own.get(key)]
    changes = [f"model.{key} was {saved.get(key)} there and is {own.get(key)} here" for key in keys]
    return f" ({', '.join(changes)})" if changes else ""


def build_trainer(node: DictConfig, folder: Path, **options: Any) -> pl.Trainer:
    """Lightning's trainer without the parts that this project does itself."""
    return build(
        node,
        enable_progress_bar=shows_bars(node),
        max_epochs=1,
        max_steps=-1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
        plugins=[checkpoints.AtomicCheckpointIO()],
        **options,
    )


def world_size(node: DictConfig) -> int:
    """Number of processes that a trainer will have."""
    trainer = build_trainer(node, Path(), logger=False)
    return trainer.num_devices * trainer.num_nodes


def shows_bars(node: DictConfig) -> bool:
    """Whether progress bars are wanted, and shown where they can be drawn."""
    return node.get("enable_progress_bar", True) and sys.stdout.isatty()


def fit(stage: Stage) -> dict[str, Any]:
    """Train to the last step, from wherever an earlier attempt stopped, then evaluate."""
    cfg = stage.cfg
    saved = checkpoints.load(stage.last) if stage.last.exists() else None
    model = stage.initial_model() if saved else stage.build_model()
    data = stage.build_data(model.input_multiple)
    method = stage.build_method(model, data)
    val_every = min(cfg.val_every, data.steps)
    timing, best = Timing(), SaveBest(stage.folder / "checkpoints" / "best.ckpt")
    panels = Panels(stage.folder / "figures", cfg.panels)
    log = MetricsFile(stage.folder / "metrics.csv", mirror=stage.dashboard.log)
    log_every = min(cfg.log_every, data.steps)
    trainer = stage.build_trainer(
        callbacks=[
            timing,
            Finite(stage.name, data, log_every, advice=stage.after_divergence),
            Save(stage.last, cfg.checkpoint_every, data.steps, val_every, stage.stop),
            panels,
            Lessons(stage.folder / "figures" / "lessons.png", cfg.panels, data.steps, val_every, stage.dashboard),
            best,
            Mirror(stage.dashboard, panels, best),
        ],
        logger=[log],
        log_every_n_steps=log_every,
        val_check_interval=val_every,
    )
    if main_process():
        stage.write_subsets(data)
    if saved:
        for name, network in {"model": model, **method.others}.items():
            checkpoints.load_model(network, saved, stage.last, stage.space.names, name)
    trained = checkpoints.trained_steps(saved) if saved else 0
    data.start = trained
    log.restart_at(trained)
    if trained == data.steps or (trained > 0 and trained % val_every == 0):
        # Lightning does not go back to a validation that was cut off after its checkpoint.
        method.load_state_dict(saved["state_dict"])
        method.trained = trained
        timing.load_state_dict(saved["callbacks"]["Timing"])
        best.load_state_dict(saved["callbacks"]["SaveBest"])
        trainer.validate(method, data, verbose=False)
    if trained < data.steps:
        trainer.fit(method, data, ckpt_path=stage.last if saved else None, weights_only=True)
    if method.evaluated_at != data.steps:
        trainer.validate(method, data, verbose=False)
    if main_process():
        save_curves(stage)
    return {
        "steps": data.steps,
        "seconds": round(timing.seconds, 1),
        "images_per_second": round(timing.images / max(timing.seconds, 1e-9), 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "evaluation": evaluation_results(method),
        "best": best.results(),
    }


def save_curves(stage: Stage) -> None:
    """Loss terms and mIoUs over the steps, of all the pieces of an interrupted fit."""
    path = stage.folder / "figures" / "curves.png"
    title, headline = f"{stage.cfg.name}, {stage.name}", stage.cfg.method.get("eval_model")
    figures.save(path, figures.curves(read_metrics(stage.folder / "metrics.csv"), title, headline))
    stage.dashboard.picture("curves", path)


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
    num_found = sum(len(secondaries) for primaries in pairs.values() for secondaries in primaries.values())
    result = {"tau": tau, "score": score, "found": pairs, "num_found": num_found}
    if stage.cfg.data.truth is not None and all(is_generated(stage.cfg, name) for name in stage.space.datasets):
        truth = instantiate(stage.cfg.data.truth)(stage.space)
        frequent = relations.frequent_classes(stage.space, counts, min_pixels)
        result["against_truth"] = {"min_pixels": min_pixels, **relations.compare_pairs(pairs, truth, frequent)}
    return result


def save_relations(stage: Stage, scores: torch.Tensor, counts: torch.Tensor, found: torch.Tensor) -> None:
    """The editable relations.yaml, the scores behind it, and a heatmap for each dataset."""
    space = stage.space
    checkpoints.write_text(stage.folder / "relations.yaml", relations.to_yaml(space, found))
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
        path = stage.folder / "figures" / f"{dataset}.png"
        figures.save(path, figure)
        stage.dashboard.picture(dataset, path)


def quieten_lightning() -> None:
    """Leave out what Lightning tells at every start and what it warns of that this project does on purpose."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers",
        r".*resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated",
        r".*sync_dist=True",  # confusion matrices are added up over the ranks by torchmetrics
        r"Found \d+ module\(s\) in eval mode at the start of training",  # teachers, frozen batch norms
        r".*was called before the ``update`` method",  # a rank that no image of a dataset was dealt to
    ):
        warnings.filterwarnings("ignore", message)


def check(cfg: DictConfig) -> None:
    """Find the mistakes that can be found before a run folder is made.

    Raises:
        ValueError, FileNotFoundError: something in the configuration does not exist or does not fit.
    """
    quieten_lightning()
    check_keys(cfg)
    for name in labelled_datasets(cfg):
        descriptor(cfg, name)
    if not labelled_datasets(cfg):
        raise ValueError(
            "no labelled stream has datasets; name them with dataset=[...] or streams.labelled.datasets=[...]"
        )
    for name in cfg.stages:
        stage_config(cfg, name)
    if cfg.get("logger") is not None:
        build(cfg.logger).check()
    prepare_data(cfg)
    imagined = cfg.copy()
    imagined.run_folder = "<run folder>"
    space = build_label_space(imagined)
    for position, name in enumerate(cfg.stages):
        stage = Stage(name, imagined, Path(imagined.run_folder), space, StopSignals())
        stage.check(earlier=list(cfg.stages[:position]))


def run(cfg: DictConfig, folder: Path, stop: StopSignals) -> dict[str, Any]:
    """Run all stages that are not done, in order; after each, results.json holds what is known."""
    quieten_lightning()
    cfg.run_folder = str(folder)
    prepare_data(cfg)
    space = build_label_space(cfg)
    results_path = folder / "results.json"
    results = {"experiment": cfg.name, "row": cfg.get("row"), "family": cfg.family, "scale": cfg.scale}
    results |= {"seed": cfg.seed, "stages": {}}
    if results_path.exists():
        results = read_results(results_path)
    left = [name for name in cfg.stages if not (folder / name / "done").exists()]
    with open_dashboard(cfg, folder) if left else Dashboard() as dashboard:
        for name in cfg.stages:
            if name not in left:
                if main_process():
                    print(f"{name}: done before", flush=True)
                continue
            stage = Stage(name, cfg, folder, space, stop, dashboard)
            stage.folder.mkdir(exist_ok=True)
            dashboard.begin(name, steps_before=sum(done.get("steps", 0) for done in results["stages"].values()))
            results["stages"][name] = instantiate(stage.cfg.run)(stage)
            if main_process():
                checkpoints.write_text(stage.folder / "config.yaml", OmegaConf.to_yaml(stage.cfg, resolve=True))
                checkpoints.write_text(results_path, json.dumps(results, indent=2, allow_nan=False) + "\n")
                checkpoints.write_text(stage.folder / "done", "")
                dashboard.summarize(numbers(results["stages"][name]))
    return results


def open_dashboard(cfg: DictConfig, folder: Path) -> Dashboard:
    """What `logger` asks for, in the main process; runs from before there was a choice have none."""
    if cfg.get("logger") is None or not main_process():
        return Dashboard()
    return build(cfg.logger).start(folder, OmegaConf.to_container(cfg, resolve=True))
