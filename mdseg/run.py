"""Train and evaluate an experiment: compose → label space → stages → results.

python -m mdseg.run experiment=uniseg_cibm
python -m mdseg.run resume=runs/uniseg_cibm/2026-11-21_10-00-00
"""

import os
import platform
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mdseg import conf_dir

# torch is imported only when work starts: --help and --cfg answer at once.

MISTAKES = (ValueError, FileNotFoundError, InstantiationException)  # of the user, until shown otherwise
FOLDER_VARIABLE = "MDSEG_RUN_FOLDER"  # how the processes that Lightning starts for further devices learn the run folder


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="run")
def start(cfg: DictConfig) -> float | None:
    """Compose a new run and carry it out; returns the mean seen mIoU of its last stage, for sweepers."""
    hydra_config = HydraConfig.get()
    try:
        from mdseg import configuration, stages

        overrides = list(hydra_config.overrides.task)
        configuration.check_overrides(cfg, overrides)
        settle(cfg)
        refuse_local_ddp_in_sweeps(cfg, hydra_config.mode)
        configuration.check(cfg)
        folder = create_run_folder(cfg, overrides) if stages.main_process() else folder_of_main_process()
        return carry_out(cfg, folder)
    except MISTAKES as error:
        if hydra_config.mode == RunMode.MULTIRUN:
            raise
        leave_with_message(error)


def leave_with_message(error: Exception) -> NoReturn:
    """One message instead of a traceback; what Hydra wraps while building an object says it in its cause."""
    if "HYDRA_FULL_ERROR" in os.environ:
        raise error
    message = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
    sys.exit(f"mdseg: {message}\n(HYDRA_FULL_ERROR=1 shows where)")


def resume(folder: Path) -> float | None:
    """Continue a run with its saved configuration: skip finished stages, go on at the exact step."""
    saved = folder / "config.yaml"
    if not saved.is_file():
        raise FileNotFoundError(f"resume={folder}: no run there (expected {saved})")
    return carry_out(OmegaConf.load(saved), folder)


def carry_out(cfg: DictConfig, folder: Path) -> float | None:
    from mdseg import stages
    from mdseg.callbacks import Stopped

    main_process = stages.main_process()
    if main_process:
        print(f"run folder: {folder}", flush=True)
    try:
        results = stages.run(cfg, folder.resolve())
    except (Stopped, KeyboardInterrupt) as stop:
        print(
            f"\n{getattr(stop, 'what', 'interrupted')}; continue with: python -m mdseg.run resume={folder}", flush=True
        )
        sys.exit(stop.code if isinstance(stop, Stopped) else 130)
    if main_process:
        print_results(results, folder)
    last = results["stages"][cfg.stages[-1]]
    return last.get("evaluation", {}).get("mean_miou", {}).get("seen")


def settle(cfg: DictConfig) -> None:
    """Resolve what depends on this process (environment, Hydra's choices); what follows the run folder stays open."""
    for key in ("name", "family", "scale"):
        cfg[key] = cfg[key]
    OmegaConf.resolve(cfg.data)


def refuse_local_ddp_in_sweeps(cfg: DictConfig, mode: RunMode) -> None:
    """Lightning starts further processes by running this command again; under -m that would be the whole sweep."""
    if (
        mode == RunMode.MULTIRUN
        and cfg.trainer.devices != 1
        and "RANK" not in os.environ
        and "SLURM_PROCID" not in os.environ
    ):
        raise ValueError(
            f"trainer.devices={cfg.trainer.devices} under -m: a sweep cannot start processes for several devices; "
            "use trainer.devices=1, or a launcher that starts the ranks (torchrun, submitit)"
        )


def folder_of_main_process() -> Path:
    if FOLDER_VARIABLE not in os.environ:
        raise ValueError(
            f"this is not the main process and {FOLDER_VARIABLE} is not set: set it to one new folder for all ranks"
        )
    return Path(os.environ[FOLDER_VARIABLE])


def create_run_folder(cfg: DictConfig, overrides: list[str]) -> Path:
    """A new folder that no other run has, with the configuration and what it takes to repeat the run."""
    base = Path(cfg.runs) / cfg.name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, number = base, 1
    base.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder.mkdir()
            break
        except FileExistsError:
            number += 1
            folder = base.with_name(f"{base.name}_{number}")
    os.environ[FOLDER_VARIABLE] = str(folder)
    write_provenance(cfg, overrides, folder)
    return folder


def write_provenance(cfg: DictConfig, overrides: list[str], folder: Path) -> None:
    from mdseg.checkpoints import write_text

    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
    write_text(folder / "command.txt", " ".join(["python -m mdseg.run", *overrides]) + "\n")
    write_text(folder / "environment.txt", environment_text())


def environment_text() -> str:
    """Versions of everything installed, the machine, and the commit of a checkout."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    packages = sorted({f"{package.name}=={package.version}" for package in metadata.distributions()})
    head = [f"commit {commit or 'unknown'}", f"python {platform.python_version()}", f"machine {platform.platform()}"]
    return "\n".join([*head, *packages]) + "\n"


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
        "transform",
        "trainer",
        "logger",
    ):
        options = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
        lines.append(f"  {group:16} {', '.join(options)}")
    lines += [
        "",
        "Any value can be set as key=value; see them all with: --cfg job experiment=<name>.",
        "Values that differ between stages are set as stage.<name>.<key>=value. Sweeps: -m key=a,b.",
        "Hydra's own flags: --hydra-help.",
    ]
    return "\n".join(lines)


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    resuming = [argument for argument in sys.argv[1:] if argument.startswith("resume=")]
    if not resuming:
        start()
        return
    others = [argument for argument in sys.argv[1:] if argument not in resuming]
    if others or len(resuming) > 1:
        sys.exit(f"mdseg: resume= continues with the saved configuration; leave out {' '.join(others or resuming[1:])}")
    try:
        resume(Path(resuming[0].split("=", 1)[1]))
    except MISTAKES as error:
        leave_with_message(error)


if __name__ == "__main__":
    main()
