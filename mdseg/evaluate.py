"""Evaluate a trained model on any dataset.

python -m mdseg.evaluate run=runs/uniseg_cibm/2026-11-21_10-00-00
python -m mdseg.evaluate run=runs/... on=[wilddash,kitti,camvid11]
python -m mdseg.evaluate run=model.ckpt on=[idd] data=disk data.root=/datasets split=val trainer=gpu

run=...               a run folder, its stage's folder, or a checkpoint file
stage=null_bce        of a run folder; default: its last one
checkpoint=best       default: last
network=teacher       or student, of a run that trained both, or another of the answers that its results have beside
                      one another; default: the headline, such as method.eval_model
on=[...]              datasets of the run, read as in the run, or names of conf/dataset; default: what the run evaluated
dataset=[idd]         read idd as conf/dataset describes it now, though the run knows it
split=test            default: each dataset's evaluation split
classes=true          print the IoU of every class; default: where it is one dataset
output=folder         new; default: <run folder>/evaluations/<time>

It runs on a GPU if there is one; trainer=cpu, trainer=gpu (16-mixed) and trainer=ddp choose. Results are equal to the
digit only at the same precision and on the same kind of device: evaluation.json has both.

Images come from where the run's came from, unless there is data=disk data.root=/datasets, data.root=/elsewhere or
datasets.<name>.root=/elsewhere. Sizes are the run's, unless there is evaluation.short_side=, batch_size= or score_at=.
"""

import json
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from mdseg.config.composition import answer, compose_as_in_run, quoted, values
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.roles import same_images
from mdseg.evaluation.roles import EVALUATION_ROLES
from mdseg.runs.folders import create_dated_folder, environment_text
from mdseg.system.output import outlive_readers
from mdseg.system.ranks import main_process
from mdseg.system.wording import Remark

if TYPE_CHECKING:  # torch is imported only when work starts: --help and --cfg answer at once
    from mdseg.data.datamodule import EvaluationData
    from mdseg.evaluation.evaluator import Evaluator
    from mdseg.runs.trained import Trained

PATHS = ("run", "output")
AS_IN_RUN = "run"  # the value of `evaluation` that stands for the run's
FOLDER = "evaluations"


def evaluate(overrides: Sequence[str]) -> dict[str, Any]:
    """Evaluate the model of a command; returns what evaluation.json holds.

    Raises:
        ValueError, FileNotFoundError: something that the command names does not exist or does not fit.
    """
    from mdseg.config.building import prepare_data
    from mdseg.evaluation.panels import Panels
    from mdseg.evaluation.results import evaluation_results
    from mdseg.stages.trainer import build_trainer, quieten_lightning, world_size
    from mdseg.system.devices import device_name

    trained, cfg = compose(overrides)
    quieten_lightning()
    prepare_data(cfg)
    evaluator = evaluator_of(trained, cfg)
    splits = {name: cfg.split or cfg.datasets[name].evaluation_split for name in evaluator.evaluated}
    data = data_of(trained, cfg, splits)
    data.check(world_size(cfg.trainer))
    folder = create_output(cfg) if main_process() else Path()  # the other processes write nothing
    with removed_on_failure(folder):
        panels = Panels(folder / "figures", cfg.panels)
        trainer = build_trainer(cfg.trainer, folder, callbacks=[panels], logger=False)
        document = {key: cfg[key] for key in ("experiment", "run", "checkpoint", "stage", "network", "steps")}
        # Results are equal to the digit only at the same precision and on the same kind of device.
        document["settings"] = OmegaConf.to_container(cfg.evaluation)
        document["settings"] |= {"precision": trainer.precision, "device": device_name(trainer.strategy.root_device)}
        try:
            trainer.validate(evaluator, data, verbose=False)
        finally:
            if len(evaluator.iou) == len(splits):  # known before anything is written, so shown even where that fails
                results = document["evaluation"] = evaluation_results(evaluator)
                for name, entry in results["datasets"].items():
                    entry |= {"split": splits[name], "images": len(data.evaluated[name])}
                    entry["no_channel"] = list(evaluator.space_of(name).unmapped)
                show(document, cfg)
        if main_process():
            write(document, cfg, overrides, folder)
            print(f"evaluation.json and pictures: {folder}", flush=True)
    return document


def evaluator_of(trained: "Trained", cfg: DictConfig) -> "Evaluator":
    """What measures a model on the datasets of the configuration."""
    from mdseg.config.building import evaluated_tables
    from mdseg.evaluation.evaluator import Evaluator

    evaluator = Evaluator(
        networks={"model": trained.model},
        views={"all": trained.view},
        evaluated=evaluated_tables(cfg),
        align_corners=trained.cfg.align_corners,
        trained=trained.steps,
    )
    evaluator.model = trained.model  # registered, so that it goes to the device
    return evaluator


def data_of(trained: "Trained", cfg: DictConfig, splits: Mapping[str, str]) -> "EvaluationData":
    """The datasets, each on its split, as the model sees them."""
    from mdseg.config.building import Datasets
    from mdseg.data.datamodule import EvaluationData

    datasets, predictor = Datasets(), trained.predictor(cfg.evaluation.short_side)
    data = EvaluationData(
        evaluated={name: datasets.open_labelled(cfg, name, split) for name, split in splits.items()},
        workers=cfg.data.workers,
        evaluation_batch_size=cfg.evaluation.batch_size,
        evaluation_short_side=predictor.short_side,
        evaluation_short_sides=cfg.evaluation.short_sides,
        score_at=cfg.evaluation.score_at,
        multiple=predictor.multiple,
        refusal=getattr(trained.model, "refusal", None),
    )
    data.shifts = trained.shifts_of(splits)
    return data


def compose(overrides: Sequence[str]) -> "tuple[Trained, DictConfig]":
    """The model that a command names, and its configuration with the run's values where it leaves them to the run.

    Raises:
        FileNotFoundError: there is no such run.
        ValueError: an option that is missing or does not exist.
    """
    from mdseg.config.values import check_command, check_kinds
    from mdseg.runs.trained import load_trained

    overrides = [quoted(override, PATHS) for override in overrides]
    given = values(overrides)
    if given.get("run") is None:
        raise ValueError("run=<run folder or checkpoint> is required")
    check_command("evaluate", given)
    path = Path(given["run"]).expanduser()
    trained = load_trained(path, given.get("stage"), given.get("checkpoint", "last"), given.get("network"))
    evaluated = [name for names in trained.cfg.evaluate.values() for name in names]
    cfg = compose_as_in_run("evaluate", overrides, trained.cfg, evaluated)
    cfg.experiment, cfg.run, cfg.checkpoint = trained.cfg.name, str(path), str(trained.path.resolve())
    cfg.stage, cfg.network, cfg.steps = trained.stage, trained.network, trained.steps
    if not cfg.on:
        raise ValueError("on=[...] is required: the run evaluated no dataset itself")
    if cfg.evaluation.short_side != AS_IN_RUN:
        cfg.evaluation.short_sides = None  # this one for all
    fill_in(cfg.evaluation, trained.cfg.evaluation)
    check_kinds(cfg, only=("evaluation", "panels", "trainer"))
    cfg.trainer.enable_progress_bar &= sys.stdout.isatty()
    roles = {name: role_of(name, trained, cfg) for name in cfg.on}
    cfg.evaluate = {role: [name for name in cfg.on if roles[name] == role] for role in EVALUATION_ROLES}
    return trained, cfg


def fill_in(node: DictConfig, run: DictConfig) -> None:
    """Replace what stands for the run's values by them."""
    for key, value in node.items():
        if value == AS_IN_RUN:
            node[key] = run.get(key)


def role_of(name: str, trained: "Trained", cfg: DictConfig) -> str:
    """A dataset's part in the run: what the run says, or what follows from what its weights were trained on."""
    said = next((role for role, names in trained.cfg.evaluate.items() if name in names), "unseen")
    own, run = cfg.datasets[name], trained.cfg.datasets
    twins = [other for other in trained.trained_on if other in run and same_images(run.get(name, own), run[other])]
    found = name if name in trained.trained_on else next(iter(twins), None)
    if said != "unseen" or found is None:
        return said
    unlabelled = found not in trained.space.datasets
    role = "target" if unlabelled and any(found in each.datasets for each in trained.cfg.streams.values()) else "seen"
    if found != name:
        warnings.warn(f"{name} has the images of {found}, which the model was trained on: {role}", Remark, stacklevel=2)
    return role


def create_output(cfg: DictConfig) -> Path:
    """A new folder for the results: the one asked for, or one named by the time.

    Raises:
        ValueError: the one asked for exists.
    """
    if cfg.output is None:
        run = next((above for above in Path(cfg.checkpoint).parents if (above / "command.txt").is_file()), Path())
        return create_dated_folder(run / FOLDER)
    folder = Path(cfg.output).expanduser()
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ValueError(f"output={folder} exists; give a new folder") from error
    return folder


@contextmanager
def removed_on_failure(folder: Path) -> Iterator[None]:
    """Leave no folder behind of what fails or is stopped."""
    from mdseg.data.workers import end_workers
    from mdseg.system.signals import Stopped, StopSignals

    with StopSignals():
        try:
            yield
        except BaseException as error:
            if main_process():
                shutil.rmtree(folder, ignore_errors=True)
                if folder.parent.name == FOLDER:
                    with suppress(OSError):  # earlier evaluations keep it
                        folder.parent.rmdir()
            if isinstance(error, Stopped):
                print(f"mdseg: {error.what}", file=sys.stderr)
            raise
        finally:
            end_workers()


def write(document: dict[str, Any], cfg: DictConfig, overrides: Sequence[str], folder: Path) -> None:
    """evaluation.json, and what it takes to repeat it."""
    from mdseg.system.files import write_text

    command = f"# python -m mdseg.evaluate {shlex.join(overrides)}\n"
    write_text(folder / "evaluation.yaml", command + OmegaConf.to_yaml(cfg, resolve=True))
    write_text(folder / "environment.txt", environment_text())
    write_text(folder / "evaluation.json", json.dumps(document, indent=2, allow_nan=False) + "\n")


def show(document: dict[str, Any], cfg: DictConfig) -> None:
    """The table of results, in the main process."""
    if not main_process():
        return
    from mdseg.evaluation.tables import class_table, evaluation_table

    datasets = document["evaluation"]["datasets"]
    print(evaluation_table(document), flush=True)
    if cfg.classes or (cfg.classes is None and len(datasets) == 1):
        for name in datasets:
            print(class_table(document, name), flush=True)


def main() -> None:
    """The command line of `python -m mdseg.evaluate`."""
    outlive_readers()
    arguments = sys.argv[1:]
    with mistakes_as_messages():
        if not answer([quoted(argument, PATHS) for argument in arguments], "evaluate", (__doc__ or "").strip()):
            evaluate(arguments)


if __name__ == "__main__":
    main()
