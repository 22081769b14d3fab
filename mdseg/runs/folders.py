"""Run folders: made once, locked, with what it takes to repeat the run."""

import fcntl
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mdseg.system.files import naming, refuse_irregular, write_text
from mdseg.system.ranks import launched_outside, main_process

FOLDER_VARIABLE = "MDSEG_RUN_FOLDER"  # how further ranks learn the run folder


def no_run(folder: Path) -> str:
    """Why a folder is no run folder, and which one was probably meant."""
    found = [path for below in ("*", "*/*", "*/*/*") for path in folder.glob(f"{below}/command.txt")]
    runs = sorted(found, key=lambda path: path.stat().st_mtime)
    if runs:
        return f"it holds {len(runs)} runs; continue one of them, such as the newest: resume={runs[-1].parent}"
    above = next((parent for parent in folder.resolve().parents if (parent / "command.txt").is_file()), None)
    if above is not None:
        return f"it is a part of a run; continue that one: resume={above}"
    return "no run there (a run folder has config.yaml and command.txt)" if folder.exists() else "no such folder"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run folder; the lock goes with the process, however it ends.

    Raises:
        OSError: the file system has no locks.
        ValueError: another process is in it, or its lock is no regular file.
    """
    if not main_process():
        yield
        return
    lock = folder / "lock"
    refuse_irregular(lock)
    with lock.open("a") as file:
        try:
            with naming(lock):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise ValueError(f"{folder}: another process is carrying out this run; wait for it or stop it") from error
        yield


def given_folder() -> Path:
    """The run folder that the main process made or was given.

    Raises:
        ValueError: several processes were started from outside, without a folder for them.
    """
    if FOLDER_VARIABLE not in os.environ:
        raise ValueError(
            f"several processes were started from outside: set {FOLDER_VARIABLE} to one new folder for all of them"
        )
    return Path(os.environ[FOLDER_VARIABLE])


@contextmanager
def new_run_folder(parent: Path) -> Iterator[Path]:
    """A run folder that no other run has, below the parent or where the launcher of several processes says.

    If the run cannot begin, the folder goes again, with those above it that were made for it. Processes besides the
    main one get the folder that it has made.

    Raises:
        ValueError: the launcher's folder is missing or exists already.
    """
    if not main_process():
        yield given_folder()
        return
    new = given_folder() if launched_outside() else None
    missing = [above for above in ((new or parent / "run").parents) if not above.exists()]
    if new is None:
        new = create_dated_folder(parent)
    else:
        try:
            new.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(f"{FOLDER_VARIABLE}={new} exists; give a new folder, or resume={new}") from None
    os.environ[FOLDER_VARIABLE] = str(new)
    try:
        with locked(new):
            yield new
    except BaseException:
        if not (new / "command.txt").exists():
            shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):  # another run has come into it
                for above in missing:
                    above.rmdir()
        raise


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
    """What it takes to repeat a run: its configuration, the command, and what is installed."""
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
