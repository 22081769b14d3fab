"""Train and evaluate an experiment: compose → label space → stages → results.

python -m mdseg.run experiment=uniseg_cibm
python -m mdseg.run resume=runs/uniseg_cibm/2026-11-21_10-00-00
"""

import sys

from mdseg.signals import without_traceback

if __name__ == "__main__":
    sys.excepthook = without_traceback  # the imports that follow take a while

import errno
import fcntl
import os
import platform
import re
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mdseg import conf_dir
from mdseg.composition import NO_ROOT, TRACEBACKS, WANTED, call, check_row, composed, refuse_foreign_flags
from mdseg.ranks import launched_outside, lost_another_process, main_process
from mdseg.wording import Remark

# torch is imported only when work starts: --help and --cfg answer at once.

FOLDER_VARIABLE = "MDSEG_RUN_FOLDER"  # how further ranks learn the run folder


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="run")
def start(cfg: DictConfig) -> float | None:
    """Compose a new run and carry it out; returns the mean seen mIoU of its last stage, for sweepers."""
    hydra_config = HydraConfig.get()
    swept_elsewhere = hydra_config.mode == RunMode.MULTIRUN and "basic_launcher" not in hydra_config.launcher._target_
    with mistakes_as_messages(unless=swept_elsewhere):
        from mdseg import configuration, stages

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


@contextmanager
def mistakes_as_messages(unless: bool = False) -> Iterator[None]:
    """One message instead of a traceback for errors that name what the user can mend; tracebacks for all others."""
    composed()
    with warnings_as_lines():
        try:
            yield
        except KeyboardInterrupt:
            print("mdseg: stopped", file=sys.stderr)
            sys.exit(130)
        except (ValueError, OSError, InstantiationException, OmegaConfBaseException) as error:
            if unless or WANTED:
                raise
            notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
            sys.exit(f"mdseg: {_message(error)}{notes}\n({TRACEBACKS}=1 shows where)")
        except RuntimeError as error:
            if unless or WANTED or not lost_another_process(error):
                raise
            sys.exit("mdseg: another process of this run failed; it says why" if main_process() else 1)


def _message(error: Exception) -> str:
    # What Hydra wraps while it builds an object says it in its cause; a worker's error ends with the message.
    if isinstance(error, InstantiationException):
        if not isinstance(error.__cause__, ValueError | OSError):
            return " ".join(str(error).split())
        error = error.__cause__
    if isinstance(error, OSError) and error.filename and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f"{error.filename}: {error.strerror}" + ("; make room, or ask for more (quota, ulimit)" if full else "")
    message = str(error).rstrip()
    if "Original Traceback" in message:
        last = message.rpartition("Traceback (most recent call last):")[2]
        return re.search(r"^[\w.]+: (.*)", last, re.MULTILINE | re.DOTALL)[1]
    return re.split(r"\n\s+full_key:", message)[0] if isinstance(error, OmegaConfBaseException) else message


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings of mdseg as one line each, once, in the main process; all others as Python shows them."""
    said, show = set(), warnings.showwarning

    def say(message: Any, category: type[Warning], *more: Any) -> None:
        if not issubclass(category, Remark):
            show(message, category, *more)
        elif str(message) not in said and main_process():
            said.add(str(message))
            print(f"mdseg: warning: {message}", file=sys.stderr, flush=True)

    warnings.showwarning = say
    try:
        yield
    finally:
        warnings.showwarning = show


def resume(folder: Path) -> float | None:
    """Continue a run with its saved configuration: skip finished stages, go on at the exact step.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its configuration cannot be read.
    """
    saved = folder / "config.yaml"
    if not saved.is_file() or not (folder / "command.txt").is_file():
        raise FileNotFoundError(f"resume={folder}: {_no_run(folder)}")
    try:
        cfg = OmegaConf.load(saved)
    except yaml.YAMLError as error:
        raise ValueError(f"{saved}: not readable YAML ({' '.join(str(error).split())})") from error
    os.environ[FOLDER_VARIABLE] = str(folder)
    return carry_out(cfg, folder)


def _no_run(folder: Path) -> str:
    """Why a folder is no run folder, and which one was probably meant."""
    found = [path for below in ("*", "*/*", "*/*/*") for path in folder.glob(f"{below}/command.txt")]
    runs = sorted(found, key=lambda path: path.stat().st_mtime)
    if runs:
        return f"it holds {len(runs)} runs; continue one of them, such as the newest: resume={runs[-1].parent}"
    above = next((parent for parent in folder.resolve().parents if (parent / "command.txt").is_file()), None)
    if above is not None:
        return f"it is a part of a run; continue that one: resume={above}"
    return "no run there (a run folder has config.yaml and command.txt)" if folder.exists() else "no such folder"


def carry_out(cfg: DictConfig, folder: Path) -> float | None:
    """Run what is left to do in a run folder."""
    from mdseg import stages
    from mdseg.data.datamodule import kill_workers
    from mdseg.signals import Stopped, StopSignals

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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run folder; the lock goes with the process, however it ends."""
    if not main_process():
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"{folder}: another process is carrying out this run; wait for it or stop it") from error
        yield


def settle(cfg: DictConfig) -> None:
    """Resolve what depends on this process (environment, Hydra's choices); what follows the run folder stays open."""
    if OmegaConf.is_missing(cfg.data, "root"):
        raise ValueError(NO_ROOT)
    if not isinstance(cfg.seed, int):
        raise ValueError(f"seed: expected a whole number, got {cfg.seed!r}")
    for key in ("name", "row", "family", "scale"):
        cfg[key] = cfg[key]
    OmegaConf.resolve(cfg.data)
    for node in (cfg, *cfg.stage.values()):  # a run may be resumed from another folder
        if (origin := node.get("from")) and origin not in cfg.stages and Path(origin).expanduser().exists():
            node["from"] = str(Path(origin).expanduser().resolve())
    if cfg.get("logger") is not None and cfg.logger.group is None:
        hydra_config = HydraConfig.get()
        sweep = f"sweep {Path(hydra_config.sweep.dir).name}"
        cfg.logger.group = sweep if hydra_config.mode == RunMode.MULTIRUN else cfg.name


def refuse_local_ddp_in_sweeps(cfg: DictConfig, mode: RunMode) -> None:
    """Lightning starts further processes by running this command again; under -m that would be the whole sweep."""
    if mode == RunMode.MULTIRUN and cfg.trainer.devices != 1 and not launched_outside():
        raise ValueError(
            f"trainer.devices={cfg.trainer.devices} under -m: a sweep cannot start processes for several devices; "
            "use trainer.devices=1, or a launcher that starts the ranks (torchrun, submitit)"
        )


def given_folder() -> Path:
    """The run folder that the main process made or was given."""
    if FOLDER_VARIABLE not in os.environ:
        raise ValueError(
            f"several processes were started from outside: set {FOLDER_VARIABLE} to one new folder for all of them"
        )
    return Path(os.environ[FOLDER_VARIABLE])


def create_run_folder(cfg: DictConfig, overrides: list[str]) -> Path:
    """A new folder that no other run has, with the configuration and what it takes to repeat the run."""
    if launched_outside():
        new = given_folder()
        try:
            new.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(f"{FOLDER_VARIABLE}={new} exists; give a new folder, or resume={new}") from None
    else:
        new = create_dated_folder(Path(cfg.runs) / cfg.name)
    os.environ[FOLDER_VARIABLE] = str(new)
    try:
        write_provenance(cfg, overrides, new)
    except BaseException:
        shutil.rmtree(new)
        raise
    return new


def create_dated_folder(parent: Path) -> Path:
    """A new folder that is named by the time, and that no other process has."""
    new = base = parent / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        try:
            new.mkdir(parents=True)
            return new
        except FileExistsError:
            number += 1
            new = base.with_name(f"{base.name}_{number}")


def write_provenance(cfg: DictConfig, overrides: list[str], folder: Path) -> None:
    from mdseg.checkpoints import write_text

    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
    write_text(folder / "command.txt", "python -m mdseg.run " + shlex.join(overrides) + "\n")
    write_text(folder / "environment.txt", environment_text())


def environment_text() -> str:
    """Versions of everything installed, the machine, and the commit of a checkout."""
    git = shutil.which("git")
    commit = (
        git
        and subprocess.run(
            [git, "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        ).stdout.strip()
    )
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
        "loss/target",
        "loss/guidance",
        "loss/variation",
        "transform",
        "trainer",
        "logger",
        "sweep",
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
