"""The stage that trains: a method on its streams, then its evaluation."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from mdseg.config.building import Datasets, bound, build, build_transforms, count_steps, evaluated_tables
from mdseg.config.targets import locate
from mdseg.data.datamodule import EvaluationData, SegmentationDataModule
from mdseg.data.dataset import SegmentationDataset, with_images
from mdseg.data.selection import LoadedStream
from mdseg.data.sizes import Refusal
from mdseg.data.statistics import image_mean, labelled_counts
from mdseg.data.workers import cores
from mdseg.evaluation.branch_panels import BranchPanels
from mdseg.evaluation.panels import Panels
from mdseg.evaluation.predictor import shifts
from mdseg.evaluation.results import evaluation_results
from mdseg.figures import training
from mdseg.labels.spaces import LabelSpace
from mdseg.losses.variation import ClassCounter
from mdseg.methods.base import Method, StreamShape
from mdseg.runs import checkpoints
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog, read_metrics
from mdseg.runs.trained import description
from mdseg.stages.callbacks import Finite, Mirror, Save, SaveBest, Timing, peak_memory_mb
from mdseg.stages.checks import check_options, check_parts, remark_small_images, remark_trained, tables_of
from mdseg.stages.labels import LabelledPixels
from mdseg.stages.stage import Stage
from mdseg.system.files import write_text
from mdseg.system.ranks import main_process
from mdseg.system.signals import StopSignals
from mdseg.system.wording import Remark

MEANS = ("network", "own")  # what is subtracted from images
LABEL_LOSSES = ("supervised", "mixed")  # slots of the group `loss` that depend on the label space, and are perturbed


class Fit(Stage):
    """Train to the last step, from wherever an earlier attempt stopped, then evaluate.

    Without evaluated datasets (`evaluate: null`) nothing is evaluated; without a network (`model: null`) the method
    brings its own.

    Raises:
        ValueError, FileNotFoundError: something in the configuration does not exist or does not fit.
    """

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        cfg = self.cfg
        if cfg.mean not in MEANS:
            raise ValueError(f"stage {self.name}: mean: expected {' or '.join(MEANS)}, got {cfg.mean!r}")
        if cfg.steps is None:
            raise ValueError(f"stage {self.name}: steps is not set; give a number of steps, or such as '150 epochs'")
        self.last = self.folder / "checkpoints" / "last.ckpt"
        self.images = self.origins.pop("images", None)  # an earlier stage, or a folder
        network = None if cfg.get("model") is None else self.build_network()
        if cfg.mean == "own" and network is not None and not hasattr(network, "mean"):
            raise ValueError(
                f"stage {self.name}: mean=own changes what the network subtracts from images, but {cfg.model._target_} "
                "does not say what that is (a buffer `mean`, in 0..255); set mean=network"
            )
        multiple, refusal = getattr(network, "input_multiple", 1), getattr(network, "refusal", None)
        self.data = build_data(cfg, self.space, self.datasets, multiple, refusal)
        self.steps = self.data.steps
        self.reported = self.reported_data() if cfg.select is not None and self.data.evaluated else None
        self.method = self.build_method(network)
        self.counters = [] if cfg.loss.variation is None else self.perturb()
        check_options(self.name, cfg, self.method)
        self.take_over(lambda part: self.origins[part] not in self.earlier)
        if known := [name for name in cfg.evaluate.unseen if name in self.trained_on]:
            warnings.warn(
                f"stage {self.name}: evaluate.unseen: {', '.join(known)}: the weights that it starts from were trained "
                "on a dataset of this name; if it is the same one, write evaluate.seen",
                Remark,
                stacklevel=2,
            )
        if self.images is not None and self.images not in self.earlier:
            self.take_images(Path(self.images).expanduser())

    def reported_data(self) -> EvaluationData:
        """What is evaluated in the end, where weights are selected; the data then has what they are selected on.

        Raises:
            ValueError: there is no seen dataset to select weights by.
        """
        if not self.cfg.evaluate.seen:
            raise ValueError(f"stage {self.name}: select={self.cfg.select} chooses by evaluate.seen, which is empty")
        evaluated, self.data.evaluated = self.data.evaluated, self.datasets.selecting(self.cfg)
        return EvaluationData(
            evaluated,
            self.data.workers,
            self.data.evaluation_batch_size,
            self.data.evaluation_short_side,
            self.data.score_at,
            self.data.multiple,
            self.data.evaluation_short_sides,
            self.data.refusal,
        )

    def build_losses(self) -> dict[str, Any]:
        """What fills the slots of the group `loss`, for the method.

        Raises:
            ValueError: a slot that the method does not have.
        """
        nodes = {slot: node for slot, node in self.cfg.loss.items() if node is not None and slot != "variation"}
        classes = locate(self.cfg.method["_target_"]).__mro__
        inits = [vars(each)["__init__"] for each in classes[:-1] if "__init__" in vars(each)]  # without object's
        accepted = {name for init in inits for name in inspect.signature(init).parameters}
        for slot in nodes:
            if slot not in accepted:
                raise ValueError(
                    f"stage {self.name}: {self.cfg.method['_target_']} has no use for loss/{slot}; set loss/{slot}=none"
                    ", or choose a family whose method has one"
                )
        return {
            slot: build(node, space=self.space) if slot in LABEL_LOSSES else bound(node) for slot, node in nodes.items()
        }

    def build_method(self, network: nn.Module | None) -> Method:
        """The method around the network, with its losses and optimisers.

        Raises:
            ValueError: an option that the optimiser or the schedule does not have.
        """
        cfg = self.cfg
        if network is None:
            torch.manual_seed(cfg.seed)  # as `build_network` does
        method = build(
            cfg.method,
            model=network,
            space=self.space,
            evaluated=evaluated_tables(cfg),
            optimizer=cfg.optimizer and bound(cfg.optimizer),
            scheduler=cfg.scheduler and bound(cfg.scheduler),
            head_lr_factor=cfg.head_lr_factor,
            decay_norms=cfg.decay_norms,
            steps=self.data.steps,
            seed=cfg.seed,
            align_corners=cfg.align_corners,
            panels=cfg.panels,
            accumulate=cfg.accumulate,
            **self.build_losses(),
        )
        method.expect(self.origins)
        method.read(stream_shapes(self.data))
        self.data.keep([name for names in method.names_of.values() for name in names])
        try:
            _ = method.optimization  # made here, so that a wrong option shows before anything is trained
        except (TypeError, ValueError) as error:
            both = " or ".join(node["_target_"] for node in (cfg.optimizer, cfg.scheduler) if node is not None)
            raise ValueError(f"stage {self.name}: {both}: {error}") from error
        method.description = description(cfg, self.name)
        return method

    def perturb(self) -> list[ClassCounter]:
        """Perturb losses of labels as loss/variation says; returns what wants the pixels of every class."""
        streams = [loaded.stream for loaded in self.data.streams.values()]
        labelled = [stream for stream in streams if stream.role == "labelled"]
        # Where a stream gets pseudo-labels, they count by its share of the images, and change in its epochs.
        named = self.method.names_of.get(self.method.pseudo_labelled or "", [])
        pseudo = [stream for stream in streams if stream.whole in named]
        return build(
            self.cfg.loss.variation,
            losses={slot: getattr(self.method, slot, None) for slot in LABEL_LOSSES},
            space=self.space,
            share=sum(map(len, pseudo)) / sum(map(len, [*pseudo, *labelled])) if pseudo else 1.0,
            epoch=(pseudo or labelled)[0].epoch,
            steps=self.data.steps,
        )

    def check(self, world_size: int) -> None:
        self.data.check(world_size)
        check_parts(self.name, self.cfg.accumulate, self.data.streams.values(), self.method, world_size)
        remark_small_images(self.cfg, self.data.streams.values())
        remark_trained(
            self.data.streams.values(), self.data.evaluated if self.reported is None else self.reported.evaluated
        )
        if self.reported is not None:
            self.reported.check(world_size)

    def take_images(self, folder: Path) -> None:
        """Put images of a folder in the place of those of the labelled streams; masks stay.

        Raises:
            FileNotFoundError, ValueError: some are missing, or of another size.
        """
        for name, loaded in self.data.streams.items():
            if loaded.stream.role == "labelled":
                try:
                    datasets = [with_images(dataset, folder / dataset.name) for dataset in loaded.datasets]
                except (FileNotFoundError, ValueError) as error:
                    if not (done := folder / "done").is_file():
                        raise
                    advice = f"to have what is missing or damaged made anew, remove {done}"
                    raise type(error)(f"{error}; {advice}") from error
                self.data.streams[name] = replace(loaded, datasets=datasets)

    def measure(self) -> None:
        """Average images and count the pixels of classes where something wants them; costly the first time."""
        if self.cfg.mean == "own" and self.method.model is not None:
            means = self.own_means()
            self.method.description["means"] = {name: mean.tolist() for name, mean in means.items()}
            self.data.shifts = shifts(means, self.method.model)
            if self.reported is not None:
                self.reported.shifts = self.data.shifts
        self.data.count_classes()
        if self.counters:
            labelled = (each for each in self.data.streams.values() if each.stream.role == "labelled")
            datasets = [dataset for loaded in labelled for dataset in loaded.datasets]
            joint = [branch for branch in self.space.branches if branch not in self.cfg.datasets]
            counts = labelled_counts(datasets, self.space, min(self.data.workers, cores()), joint)
            for counter in self.counters:
                counter.count(torch.from_numpy(counts))

    def own_means(self) -> dict[str, np.ndarray]:
        """Mean of the training images of every dataset, those that this stage trains on or those that it might."""
        trained = {dataset.name: dataset for loaded in self.data.streams.values() for dataset in loaded.datasets}
        others = [name for name in self.data.evaluated if name not in trained]
        datasets = {**trained, **{name: self.datasets.training(self.cfg, name) for name in others}}
        workers = min(self.data.workers, cores())
        return {name: image_mean(dataset, workers) for name, dataset in datasets.items()}

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        if self.images is not None and self.images in self.earlier:
            self.take_images(self.earlier[self.images])
        self.measure()
        log = StageLog(self.folder, dashboard)
        if main_process():
            write_subsets(self.data, self.folder)
        results = self.train(log, stop)
        if main_process() and self.cfg.panels:
            headline = self.method.headline if len(self.method.answers) > 1 else None
            title = f"{self.cfg.name}, {self.name}"
            log.picture("curves", training.curves(read_metrics(log.path), title, headline))
        return results

    def train(self, log: StageLog, stop: StopSignals) -> dict[str, Any]:
        """Fit and evaluate; the numbers of both."""
        data, method = self.data, self.method
        val_every, log_every = (min(every, data.steps) for every in (self.cfg.val_every, self.cfg.log_every))
        timing, best = Timing(), SaveBest(self.folder / "checkpoints" / "best.ckpt")
        labels = self.watch_labels(log_every)
        panels = Panels(self.folder / "figures", self.cfg.panels)
        branches = BranchPanels(self.cfg.panels)
        evaluation = [panels, branches, best, Mirror(log.mirror, panels, best)] if data.evaluated else []
        trainer = self.build_trainer(
            callbacks=[
                timing,
                *labels,
                Finite(self.name, data, log_every, advice=self.after_divergence),
                Save(self.last, self.cfg.checkpoint_every, data.steps, val_every, stop),
                *evaluation,
            ],
            logger=[log],
            log_every_n_steps=log_every,
            val_check_interval=val_every,
            limit_val_batches=1.0 if data.evaluated else 0,
        )
        saved = self.restore(log)
        trained = data.start
        states = saved["callbacks"] if saved else {}
        for callback in (timing, *labels):  # which the trainer would do, were something left to fit
            if callback.state_key in states:
                callback.load_state_dict(states[callback.state_key])
        if saved and data.evaluated and (trained == data.steps or trained % val_every == 0):
            # Lightning does not go back to a validation that was cut off after its checkpoint.
            method.load_state_dict(saved["state_dict"])
            method.trained = trained
            best.load_state_dict(states["SaveBest"])
            trainer.validate(method, data, verbose=False)
        if trained < data.steps:
            trainer.fit(method, data, ckpt_path=self.last if saved else None, weights_only=True)
        if data.evaluated and method.evaluated_at != data.steps:
            trainer.validate(method, data, verbose=False)
        results: dict[str, Any] = {
            "steps": data.steps,
            "seconds": round(timing.seconds, 1),
            "images_per_second": round(timing.images / max(timing.seconds, 1e-9), 2),
            "peak_memory_mb": round(peak_memory_mb()),
        }
        for callback in labels:
            results |= callback.results()
        if not data.evaluated:
            return results
        if self.reported is not None:
            selected = {"split": self.cfg.select, "evaluation": evaluation_results(method)}
            self.report_best(best, [panels, branches], log)
            results["selected"] = selected
        return results | {"evaluation": evaluation_results(method), "best": best.results()}

    def watch_labels(self, every: int) -> list[LabelledPixels]:
        """What counts the labelled pixels, where a loss is of labels."""
        loaded = [loaded for loaded in self.data.streams.values() if loaded.stream.role == "labelled"]
        names = dict.fromkeys(dataset.name for each in loaded for dataset in each.datasets)
        if self.cfg.loss.supervised is None or not names:
            return []
        return [LabelledPixels(self.name, self.space, names, every, self.data.steps)]

    def report_best(self, best: SaveBest, pictures: list[pl.Callback], log: StageLog) -> None:
        """Evaluate the weights that were best on the images of `select` on those that are reported."""
        method = self.method
        method.load_state_dict(checkpoints.load(best.path)["state_dict"])
        method.phase = "test"
        trainer = self.build_trainer(callbacks=pictures, logger=[log])
        trainer.validate(method, self.reported, verbose=False)
        method.phase = "val"

    def restore(self, log: StageLog) -> dict[str, Any] | None:
        """Go back to the last checkpoint, which is returned, or to what the stage starts from."""
        saved = checkpoints.load(self.last) if self.last.exists() else None
        if saved:
            checkpoints.check_same_classes(saved, self.last, self.space.names)
            for name, prefix in saved["networks"].items():
                what = "network" if prefix == "model" else name
                checkpoints.load_network(self.method.get_submodule(prefix), saved, self.last, prefix, what)
        self.take_over(lambda part: self.origins[part] in self.earlier)
        tables = self.method.description["tables"] = tables_of(self.method)
        if saved and saved.get("tables", tables) != tables:
            raise ValueError(
                f"stage {self.name}: {self.last} was trained with other class relations or label tables than there are "
                "now; put back the file that has changed, or start a new run"
            )
        if not saved:
            self.method.start()
            for part in (part for part in self.origins if part not in ("model", *self.method.takes)):
                self.load_weights(self.method.get_submodule(part), part)
        own = {dataset.name for loaded in self.data.streams.values() for dataset in loaded.datasets}
        before = self.trained_on.union(checkpoints.trained_on(saved) if saved else ())
        self.method.description["trained_on"] = sorted(own | before)
        self.data.start = checkpoints.trained_steps(saved) if saved else 0
        log.restart_at(self.data.start)
        return saved

    def take_over(self, when: Callable[[str], bool]) -> None:
        """Load the model's weights, unless the stage is resumed, and what else the method takes.

        Args:
            when: which parts; what lies elsewhere is taken when the run is planned, so that mistakes show, and what an
                earlier stage makes when the stage begins.
        """
        for part in filter(when, self.origins):
            if part in self.method.takes:
                self.method.start_from(part, self.origin(part))
            elif part == "model" and not self.last.exists():
                self.load_weights(self.method.get_submodule("model"))

    def after_divergence(self) -> str:
        """What to do about a loss or weights that are not finite."""
        cfg = self.cfg
        advice = [
            "If these images and masks are in order, the updates before were too large: start again with a lower "
        ]
        if cfg.optimizer is None:
            advice[0] += "learning rate."
        else:
            own = OmegaConf.select(cfg, f"stage.{self.name}.optimizer.lr") is not None
            key = f"stage.{self.name}.optimizer.lr" if own else "optimizer.lr"
            advice[0] += f"{key} (now {cfg.optimizer.lr:g})."
        if str(cfg.trainer.precision) == "16-mixed":
            advice.append("16-bit numbers end at 65504; trainer.precision=bf16-mixed goes further.")
        if self.last.exists():
            advice.append(f"The checkpoint before it is kept ({self.last}); resume= takes the same steps from there.")
        else:
            advice.append("There is no checkpoint yet; resume= takes the same steps again.")
        return "\n".join(advice)

    def looks_at(self) -> dict[str, SegmentationDataset]:
        trained = {
            f"stream {loaded.stream.whole} of {dataset.name}": dataset
            for loaded in self.data.streams.values()
            for dataset in loaded.datasets
        }
        reported = {} if self.reported is None else self.reported.evaluated
        return {
            **trained,
            **{f"evaluation of {name}": dataset for name, dataset in self.data.evaluated.items()},
            **{f"report of {name}": dataset for name, dataset in reported.items()},
        }

    def describe(self) -> list[str]:
        lines = [
            f"stream {name}: {loaded.stream.role}, {loaded.stream.per_step} images "
            + ("per step of " if loaded.stream.turn is None else f"in one of {loaded.stream.turn[1]} steps of ")
            + ", ".join(
                f"{dataset.name} ({len(dataset)} images, {dataset.table.num_classes} classes)"
                for dataset in loaded.datasets
            )
            for name, loaded in self.data.streams.items()
        ]
        weights = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        lines += [
            f"evaluates {name}: {self.method.evaluated[name].role}, {len(dataset)} images, "
            f"{self.method.evaluated[name].table.num_classes} classes"
            for name, dataset in self.data.evaluated.items()
        ]
        trained = f"{type(self.method).__name__}, {sum(weight.numel() for weight in weights):,} parameters"
        if self.reported is not None:
            lines += [
                f"selects weights on {self.cfg.select}, reports them on {name}: {len(dataset)} images"
                for name, dataset in self.reported.evaluated.items()
            ]
        return [f"trains {trained}, {self.steps} steps", *lines, f"writes {self.last}"]


def build_data(
    cfg: DictConfig, space: LabelSpace, datasets: Datasets, multiple: int, refusal: Refusal | None = None
) -> SegmentationDataModule:
    """The streams and the evaluated datasets of a stage's configuration.

    Args:
        multiple: what the sizes of images given to the network are multiples of.
        refusal: what it says to other sizes; null: nothing.
    """
    streams = datasets.streams(cfg, build_transforms(cfg))
    return SegmentationDataModule(
        streams=streams,
        evaluated=datasets.evaluated(cfg),
        space=space,
        seed=cfg.seed,
        steps=count_steps(cfg.steps, [loaded.stream for loaded in streams.values()]),
        workers=cfg.data.workers,
        evaluation_batch_size=cfg.evaluation.batch_size,
        evaluation_short_side=cfg.evaluation.short_side,
        evaluation_short_sides=cfg.evaluation.short_sides,
        score_at=cfg.evaluation.score_at,
        multiple=multiple,
        refusal=refusal,
    )


def stream_shapes(data: SegmentationDataModule) -> dict[str, StreamShape]:
    """What a method may know of the streams before training, by name; the parts of a divided one together."""
    parts: dict[str, list[LoadedStream]] = {}
    for loaded in data.streams.values():
        parts.setdefault(loaded.stream.whole, []).append(loaded)
    return {
        name: StreamShape(
            loaded[0].stream.role,
            sum(part.stream.per_step for part in loaded),
            tuple(getattr(part.transform, "crop", None) for part in loaded),
            tuple(dataset for part in loaded for dataset in part.stream.datasets),
            {part.stream.datasets[0]: part.stream.epoch for part in loaded if part.stream.micro_batches is not None},
        )
        for name, loaded in parts.items()
    }


def write_subsets(data: SegmentationDataModule, folder: Path) -> None:
    """Write which images a stream has where it is not all of them, labelled or the rest, one key per line."""
    for loaded in data.streams.values():
        for dataset in loaded.datasets if loaded.chosen else ():
            keys = "".join(f"{sample.key}\n" for sample in dataset.samples)
            write_text(folder / f"{loaded.stream.whole}_{dataset.name}.txt", keys)
