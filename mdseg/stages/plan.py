"""From a composed configuration to a plan, in which everything that a run needs is built once; and its execution."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mdseg.config.building import Datasets, bound, build, build_label_space, prepare_data
from mdseg.config.keys import plain, stage_config
from mdseg.config.targets import check_targets
from mdseg.data.dataset import SegmentationDataset
from mdseg.evaluation.results import numbers
from mdseg.labels.spaces import LabelSpace
from mdseg.runs.changes import Begun, fingerprint
from mdseg.runs.dashboard import Dashboard, WandB
from mdseg.runs.records import check_same_run, read_results
from mdseg.stages.fit import Fit
from mdseg.stages.stage import Stage
from mdseg.stages.trainer import device_line, quieten_lightning, world_size
from mdseg.system.files import write_text
from mdseg.system.ranks import main_process
from mdseg.system.signals import StopSignals


@dataclass
class Plan:
    """What a run will do.

    Args:
        folder: of the run.
        stages: those that are not done, in order.
        logger: what W&B is told about the run; null: it is not used.
        begun: what was begun in the folder.
        planned: by stage its configuration and fingerprints of its images, which the folder keeps.
        device: what it computes on, in words.
        ranks: processes that carry it out.
    """

    cfg: DictConfig
    folder: Path
    space: LabelSpace
    stages: dict[str, Stage]
    begun: Begun
    planned: dict[str, dict[str, Any]]
    logger: WandB | None = None
    device: str = ""
    ranks: int = 1

    def execute(self, stop: StopSignals) -> dict[str, Any]:
        """Run all stages that are not done, in order; after each, results.json holds what is known."""
        results = self.known_results()
        if main_process():
            self.begun.keep(self.planned)
        with self.open_dashboard() as dashboard:
            for name in self.cfg.stages:
                if name not in self.stages:
                    if main_process():
                        print(f"{name}: done before", flush=True)
                    continue
                if stop.told(self.ranks):  # also by what a library has swallowed
                    stop.leave("stopped")
                # Taken out of the plan: what a stage holds in memory goes with it.
                stage = self.stages.pop(name)
                stage.folder.mkdir(exist_ok=True)
                dashboard.begin(name, steps_before=sum(done.get("steps", 0) for done in results["stages"].values()))
                results["stages"][name] = stage(stop, dashboard)
                if main_process():
                    write_text(stage.folder / "config.yaml", OmegaConf.to_yaml(stage.cfg, resolve=True))
                    write_text(self.results_path, json.dumps(results, indent=2, allow_nan=False) + "\n")
                    write_text(stage.folder / "done", "")
                    dashboard.summarize(numbers(results["stages"][name]))
        return results

    @property
    def results_path(self) -> Path:
        return self.folder / "results.json"

    def known_results(self) -> dict[str, Any]:
        """What earlier attempts have written, or what a new run's results begin with.

        Raises:
            ValueError: what they have written is damaged, of another run, or lacks a stage that is done.
        """
        cfg = self.cfg
        results = {"experiment": cfg.name, "row": cfg.row, "family": cfg.family, "scale": cfg.scale}
        results |= {"seed": cfg.seed, "stages": {}}
        if self.results_path.exists():
            results = read_results(self.results_path)
            check_same_run(self.folder, results, plain(cfg))
        if lost := [name for name in cfg.stages if name not in self.stages and name not in results["stages"]]:
            raise ValueError(
                f"{self.results_path} has nothing of what is done, {', '.join(lost)}: put the file back, or have the "
                f"weights evaluated again, for which `done` must be deleted there, such as {self.folder / lost[0]}/done"
            )
        return results

    def open_dashboard(self) -> Dashboard:
        """What `logger` asks for, in the main process."""
        if self.logger is None or not self.stages or not main_process():
            return Dashboard()
        return self.logger.start(self.folder, plain(self.cfg, resolve=True))

    def __str__(self) -> str:
        """For people: what each stage starts from, sees, trains and writes."""
        head = f"{self.cfg.name}, {self.cfg.scale}, seed {self.cfg.seed}: {self.space.num_classes} classes of "
        lines = [head + ", ".join(self.space.datasets), f"run folder: {self.folder}", self.device]
        for name in self.cfg.stages:
            if name not in self.stages:
                lines += ["", f"{name}: done before"]
                continue
            stage = self.stages[name]
            start = [f"weights {stage.weights}"] if stage.weights else []
            start += [f"{part} of {origin}" for part, origin in stage.origins.items()]
            lines += ["", f"{name}: from {', '.join(start) or 'scratch'}"]
            if stage.space is not self.space:
                lines.append(f"  label space of its own: {stage.space.num_classes} classes")
            lines += [f"  {line}" for line in stage.describe()]
        return "\n".join(lines)


def make_plan(cfg: DictConfig, folder: Path) -> Plan:
    """Turn a composed configuration, which has passed `check_run`, into a plan; what is wrong with it shows here.

    Args:
        folder: where the run's results lie or will lie; it need not be there. Stages that it calls done are left out.

    Raises:
        ValueError, FileNotFoundError: something in the configuration does not exist or does not fit.
    """
    quieten_lightning()
    logger = None if cfg.get("logger") is None else build(cfg.logger)
    if logger is not None:
        logger.check()
    configs, begun = {name: stage_config(cfg, name) for name in cfg.stages}, Begun(folder)
    planned = {name: {"config": plain(own, resolve=True), "images": {}} for name, own in configs.items()}
    for name, own in planned.items():
        begun.check(name, own["config"])
    begun.remark()
    folders = {name: folder.resolve() / name for name in cfg.stages}
    left = {name: own for name, own in configs.items() if not (folders[name] / "done").exists()}
    for name in left:
        check_targets(planned[name]["config"], leave_out="datasets")  # of layouts more is said
    space = trainable_space(cfg)
    prepare_data(cfg)
    datasets = Datasets()
    stages = {name: build_stage(name, own, cfg, space, datasets, folders) for name, own in left.items()}
    devices = world_size(cfg.trainer)
    for name, stage in stages.items():
        stage.before = {earlier: stages[earlier] for earlier in stage.earlier if earlier in stages}
        planned[name]["images"] = {what: remembered(dataset) for what, dataset in stage.looks_at().items()}
        begun.check_images(name, planned[name]["images"])
        stage.check(devices)
    return Plan(cfg, folder, space, stages, begun, planned, logger, device_line(cfg.trainer), devices)


def remembered(dataset: SegmentationDataset) -> dict[str, Any]:
    """What a run folder remembers of a dataset's images."""
    files = [file for sample in dataset.samples for file in (sample.image, sample.mask)]
    return fingerprint(dataset.name, [sample.key for sample in dataset.samples], files, dataset.table)


def build_stage(
    name: str, own: DictConfig, cfg: DictConfig, space: LabelSpace, datasets: Datasets, folders: Mapping[str, Path]
) -> Stage:
    """A stage of a run with all that it needs.

    Args:
        own: its configuration; `cfg` is the run's.
        space: the run's, which a stage has unless it sets `label_space` itself.
        folders: of all stages, in order.
    """
    if (cfg.stage[name] or {}).get("label_space") is not None:
        space = trainable_space(own)
    position = list(folders).index(name)
    common = {
        "name": name,
        "cfg": own,
        "space": space,
        "folder": folders[name],
        "datasets": datasets,
        "earlier": dict(list(folders.items())[:position]),
    }
    return Fit(**common) if own.run is None else bound(own.run)(**common)


def trainable_space(cfg: DictConfig) -> LabelSpace:
    """The label space of a run or stage, in which there is something to tell apart.

    Raises:
        ValueError: it has a single class: every pixel would be right, and no IoU is defined.
    """
    space = build_label_space(cfg)
    if len(set(space.classes)) == 1:
        raise ValueError(
            f"label space of {', '.join(space.datasets)}: {space.classes[0]} is its only class, so every pixel would "
            "be right and IoU is undefined; let what else there is be a class too instead of ignoring it, such as "
            "{name: background, raw_ids: [0], color: [0, 0, 0]}"
        )
    return space
