"""Train and evaluate an experiment: compose → label space → stages → results.

python -m mdseg.run experiment=uniseg_cibm
python -m mdseg.run resume=runs/uniseg_cibm/2026-11-21_10-00-00
"""

import sys

from mdseg.config.messages import mistakes_as_messages
from mdseg.runs.folders import FOLDER_VARIABLE, create_run_folder, given_folder, locked, no_run
from mdseg.system.signals import without_traceback

if __name__ == "__main__":
    sys.excepthook = without_traceback  # the imports that follow take a while

import os
import re
import warnings
from pathlib import Path

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mdseg import conf_dir
from mdseg.config.composition import call, check_row, refuse_foreign_flags, settle
from mdseg.system.ranks import launched_outside, main_process

# torch is imported only when work starts: --help and --cfg answer at once.


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="run")
def start(cfg: DictConfig) -> float | None:
    """Compose a new run and carry it out; returns the mean seen mIoU of its last stage, for sweepers."""
    hydra_config = HydraConfig.get()
    swept_elsewhere = hydra_config.mode == RunMode.MULTIRUN and "basic_launcher" not in hydra_config.launcher._target_
    with mistakes_as_messages(unless=swept_elsewhere):
        from mdseg.config import building as configuration
        from mdseg.stages import fit as stages

        overrides = list(hydra_config.overrides.task)
        check_row(hydra_config)
        configuration.check_overrides(cfg, overrides)
        settle(cfg)
        refuse_local_ddp_in_sweeps(cfg, hydra_config.mode)
        stages.check(cfg)
        given = [*overrides, *hydra_settings(hydra_config)]
        return carry_out(cfg, create_run_folder(cfg, given) if main_process() else given_folder())


def hydra_settings(hydra_config: DictConfig) -> list[str]:
    """What the command line sets of Hydra itself, such as hydra.searchpath: without it a run cannot be repeated."""
    return [override for override in hydra_config.overrides.hydra if override.split("=")[0] != "hydra.mode"]


def resume(folder: Path) -> float | None:
    """Continue a run with its saved configuration: skip finished stages, go on at the exact step.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its configuration cannot be read.
    """
    saved = folder / "config.yaml"
    if not saved.is_file() or not (folder / "command.txt").is_file():
        raise FileNotFoundError(f"resume={folder}: {no_run(folder)}")
    try:
        cfg = OmegaConf.load(saved)
    except yaml.YAMLError as error:
        raise ValueError(f"{saved}: not readable YAML ({' '.join(str(error).split())})") from error
    os.environ[FOLDER_VARIABLE] = str(folder)
    return carry_out(cfg, folder)


def carry_out(cfg: DictConfig, folder: Path) -> float | None:
    """Run what is left to do in a run folder."""
    from mdseg.data.datamodule import kill_workers
    from mdseg.stages import fit as stages
    from mdseg.system.signals import Stopped, StopSignals

    with locked(folder), StopSignals() as stop:
        if main_process():
            print(f"run folder: {folder}", flush=True)
        try:
            results = stages.run(cfg, folder.resolve(), stop)
        except Stopped as stopped:
            print(f"\n{stopped.what}; continue with: python -m mdseg.run resume={folder}", flush=True)
            raise
        except Exception as error:
            if "resume=" not in str(error):
                error.add_note(
                    f"Mend that (what the configuration says: in {folder / 'config.yaml'}), then continue with: "
                    f"python -m mdseg.run resume={folder}"
                )
            raise
        finally:
            kill_workers()
    if main_process():
        print_results(results, folder)
    last = results["stages"][cfg.stages[-1]]
    return last.get("evaluation", {}).get("mean_miou", {}).get("seen")


def refuse_local_ddp_in_sweeps(cfg: DictConfig, mode: RunMode) -> None:
    """Lightning starts further processes by running this command again; under -m that would be the whole sweep."""
    if mode == RunMode.MULTIRUN and cfg.trainer.devices != 1 and not launched_outside():
        raise ValueError(
            f"trainer.devices={cfg.trainer.devices} under -m: a sweep cannot start processes for several devices; "
            "use trainer.devices=1, or a launcher that starts the ranks (torchrun, submitit)"
        )


def print_results(results: dict, folder: Path) -> None:
    from mdseg.report import results_table

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
    warnings.filterwarnings("error", "provider=hydra.searchpath")
    try:
        call(start)
    except UserWarning as warning:
        missing = re.search(r"path=(.*) is not available", str(warning), re.DOTALL)
        if not missing:
            raise
        sys.exit(f"mdseg: hydra.searchpath: {missing[1]} does not exist; folders are written file://<folder>")


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    resuming = [argument for argument in sys.argv[1:] if argument.startswith("resume=")]
    if not resuming:
        refuse_foreign_flags(sys.argv[1:])
        start_new()
        return
    others = [argument for argument in sys.argv[1:] if argument not in resuming]
    if others or len(resuming) > 1:
        sys.exit(f"mdseg: resume= continues with the saved configuration; leave out {' '.join(others or resuming[1:])}")
    with mistakes_as_messages():
        resume(Path(resuming[0].split("=", 1)[1]))


if __name__ == "__main__":
    main()
