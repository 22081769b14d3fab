"""Train and evaluate an experiment: compose → plan → stages → results.

python -m mdseg.run experiment=uniseg_cibm
python -m mdseg.run --plan experiment=uniseg_cibm        what it would do: stages, datasets, steps, parameters, files
python -m mdseg.run resume=runs/uniseg_cibm/2026-11-21_10-00-00
"""

import sys

from mdseg.system.output import outlive_readers
from mdseg.system.signals import Stopped, StopSignals, without_traceback

if __name__ == "__main__":
    sys.excepthook = without_traceback  # the imports that follow take a while

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from mdseg import conf_dir
from mdseg.config.choices import check_choices
from mdseg.config.composition import (
    NO_FOLDER,
    call,
    check_row,
    compose_with_datasets,
    no_folder,
    refuse_foreign_flags,
    settle,
)
from mdseg.config.keys import check_overrides, check_run
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.packages import check_packages
from mdseg.config.values import check_values, seconds_of
from mdseg.runs.folders import (
    FOLDER_VARIABLE,
    locked,
    new_run_folder,
    no_run,
    write_provenance,
)
from mdseg.system.documents import read_config
from mdseg.system.ranks import launched_outside, main_process

if TYPE_CHECKING:
    from mdseg.stages.plan import Plan

# torch is imported only when work starts: --help and --cfg answer at once.


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="run")
def start(cfg: DictConfig) -> float | None:
    """Plan a new run and carry it out; returns the mean seen mIoU of its last stage, for sweepers."""
    hydra_config = HydraConfig.get()
    swept, here = hydra_config.mode == RunMode.MULTIRUN, "basic_launcher" in hydra_config.launcher._target_
    job = hydra_config.job.num if swept and here else None
    with mistakes_as_messages(unless=swept and not here), naming_job(job), StopSignals() as stop:
        overrides = list(hydra_config.overrides.task)
        check_packages(hydra_config, [*hydra_config.overrides.hydra, *overrides])
        check_row(hydra_config)
        check_values(cfg)
        check_overrides(cfg, overrides)
        settle(cfg)
        refuse_local_ddp_in_sweeps(cfg, hydra_config.mode)
        check_run(cfg)
        with new_run_folder(Path(str(cfg.runs)) / cfg.name) as folder:
            plan = planned(cfg, folder)
            if main_process():
                write_provenance(cfg, [*overrides, *hydra_settings(hydra_config)], folder)
            return carry_out(plan, stop)


def planned(cfg: DictConfig, folder: Path) -> "Plan":
    """The plan of a checked configuration.

    Raises:
        ValueError, FileNotFoundError: something in the configuration does not exist or does not fit.
    """
    try:
        from mdseg.stages.plan import make_plan

        return make_plan(cfg, folder)
    except Stopped as stopped:
        print(f"mdseg: {stopped.what}", file=sys.stderr)
        raise


def hydra_settings(hydra_config: HydraConf) -> list[str]:
    """What the command line sets of Hydra itself, such as hydra.searchpath: without it a run cannot be repeated."""
    return [override for override in hydra_config.overrides.hydra if override.split("=")[0] != "hydra.mode"]


def resume(folder: Path) -> float | None:
    """Continue a run with its saved configuration: skip finished stages, go on at the exact step.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its configuration cannot be read, or is wrong.
    """
    cfg = load_config(folder)
    os.environ[FOLDER_VARIABLE] = str(folder)
    with locked(folder), StopSignals() as stop, advising(folder):
        check_run(cfg)
        return carry_out(planned(cfg, folder), stop)


def load_config(folder: Path) -> DictConfig:
    """The saved configuration of a run folder.

    Raises:
        FileNotFoundError: it is no run folder.
        ValueError: the file is damaged, or no configuration.
    """
    saved = folder / "config.yaml"
    if not saved.exists() or not (folder / "command.txt").is_file():
        raise FileNotFoundError(f"resume={folder}: {no_run(folder)}")
    return read_config(saved)


def carry_out(plan: "Plan", stop: StopSignals) -> float | None:
    """Execute a plan, print its results, and say how to go on where it is stopped."""
    from mdseg.data.workers import end_workers

    folder = plan.folder
    if (limit := seconds_of(plan.cfg.time_limit)) is not None:
        stop.limit(limit)
    if main_process():
        print(f"run folder: {folder}\n{plan.device}", flush=True)
    with advising(folder):
        try:
            results = plan.execute(stop)
        except Stopped as stopped:
            print(f"\n{stopped.what}; continue with: python -m mdseg.run resume={folder}", flush=True)
            raise
        finally:
            end_workers()
    if main_process():
        print_results(results, folder)
    last = results["stages"][plan.cfg.stages[-1]]
    return last.get("evaluation", {}).get("mean_miou", {}).get("seen")


@contextmanager
def advising(folder: Path) -> Iterator[None]:
    """Add to an error how the run goes on once it is mended."""
    try:
        yield
    except Exception as error:
        if "resume=" not in "".join([str(error), *getattr(error, "__notes__", ())]):
            error.add_note(
                f"Mend that (what the configuration says: in {folder / 'config.yaml'}), then continue with: "
                f"python -m mdseg.run resume={folder}"
            )
        raise


@contextmanager
def naming_job(job: int | None) -> Iterator[None]:
    """Add to an error of a sweep, which ends with it, which job that was; null: there is no sweep, or it goes on."""
    try:
        yield
    except Exception as error:
        if job is not None:
            error.add_note(f"That was job #{job} of the sweep; those after it were not begun")
        raise


def refuse_local_ddp_in_sweeps(cfg: DictConfig, mode: RunMode | None) -> None:
    """Lightning starts further processes by running this command again; under -m that would be the whole sweep.

    Raises:
        ValueError: several devices, and no launcher that has started their processes.
    """
    if mode == RunMode.MULTIRUN and cfg.trainer.devices != 1 and not launched_outside():
        raise ValueError(
            f"trainer.devices={cfg.trainer.devices} under -m: a sweep cannot start processes for several devices; "
            "use trainer.devices=1, or a launcher that starts the ranks (torchrun, submitit)"
        )


def print_results(results: dict, folder: Path) -> None:
    """Print the table of the results, and where everything lies."""
    from mdseg.evaluation.tables import results_table

    print(results_table(results))
    print(f"results, pictures and checkpoints: {folder}", flush=True)


def help_text() -> str:
    """Usage, experiments with what they are, and the groups that can be chosen from."""
    lines = [(__doc__ or "").strip(), "", "experiments:"]
    for path in sorted((conf_dir() / "experiment").glob("*.yaml")):
        lines.append(f"  {path.stem:24} {path.read_text().splitlines()[1].lstrip('# ')}")
    lines += ["", "groups (group=option):"]
    for group in (
        "scale",
        "data",
        "dataset",
        "label_space",
        "model",
        "loss/supervised",
        "loss/target",
        "loss/guidance",
        "loss/variation",
        "transform",
        "optimizer",
        "scheduler",
        "trainer",
        "logger",
        "row",
    ):
        options = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
        lines.append(f"  {group:16} {', '.join(options)}")
    lines += [
        "",
        "Any value can be set as key=value; see them all with: --cfg job experiment=<name>.",
        "Values that a stage sets itself are changed as stage.<name>.<key>=value. Sweeps: -m key=a,b.",
        "Hydra's own flags: --hydra-help.",
    ]
    return "\n".join(lines)


def start_new() -> None:
    """Hydra composes the command line and calls :func:`start`; it only warns of a search path that does not exist."""
    warnings.filterwarnings("error", NO_FOLDER)
    try:
        with suppress(HydraException), mistakes_as_messages():  # what Hydra cannot read it says itself
            check_choices([argument for argument in sys.argv[1:] if not argument.startswith("-")])
        call(start)
    except UserWarning as warning:
        sys.exit(f"mdseg: {no_folder(warning)}")


def show_plan(arguments: list[str]) -> None:
    """Print what a run would do, of a new one or of one that is resumed."""
    resumed = [argument.split("=", 1)[1] for argument in arguments if argument.startswith("resume=")]
    if resumed:
        folder = Path(resumed[0]).expanduser()
        cfg = load_config(folder)
        with advising(folder):
            check_run(cfg)
            print(planned(cfg, folder))
    else:
        cfg = compose_with_datasets("run", arguments)
        check_row(HydraConfig.get())
        check_values(cfg)
        check_overrides(cfg, arguments)
        settle(cfg)
        check_run(cfg)
        print(planned(cfg, Path(str(cfg.runs)) / cfg.name / "<time>"))


def main() -> None:
    """The command line of `python -m mdseg.run`."""
    outlive_readers()
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        return
    resuming = [argument for argument in arguments if argument.startswith("resume=")]
    others = [argument for argument in arguments if argument not in (*resuming, "--plan")]
    if len(resuming) > 1 or (resuming and others):
        sys.exit(f"mdseg: resume= continues with the saved configuration; leave out {' '.join(others or resuming[1:])}")
    refuse_foreign_flags(others)
    if "--plan" in arguments:
        with mistakes_as_messages():
            if {"-m", "--multirun"} & set(others):
                raise ValueError("--plan shows one run; leave out -m and give one value for each key")
            show_plan([*resuming, *others])
    elif resuming:
        with mistakes_as_messages():
            resume(Path(resuming[0].split("=", 1)[1]).expanduser())
    else:
        start_new()


if __name__ == "__main__":
    main()
