"""The mirror of a run on Weights & Biases."""

import atexit
import netrc
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from mdseg.labels.tables import IGNORE
from mdseg.system.files import write_text
from mdseg.system.signals import Stopped

# wandb is imported only when it is asked for.

LONG_SIDE = 512  # pixels of a picture on the dashboard, at most
GIVE_UP = 600  # seconds that the end of a run waits for what is not uploaded yet; all of it is on disk
GIVE_UP_STOPPED = 15  # the same for a run that was told to stop: schedulers kill 30 seconds later


class Dashboard:
    """The mirror of a run on Weights & Biases: one W&B run for all stages; without a W&B run it shows nothing.

    Every stage counts its steps from 0, so each has a step of its own, `<stage>/step`, along which W&B draws what the
    stage logs. W&B's own step counts through all stages and is the same when a resumed run takes a step again.

    When W&B fails, that is said once and the training goes on: the run folder has everything.
    """

    def __init__(self, run: Any = None) -> None:
        self.run = run

    def begin(self, stage: str, steps_before: int) -> None:
        """What is sent from now on belongs to a stage; `steps_before` is where W&B's own step stands."""
        self.stage, self.steps_before = stage, steps_before

        def send(run: Any) -> None:
            run.define_metric(f"{stage}/step", hidden=True)
            run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

        self._send(send)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Values at a step of the stage; IoUs of single classes are left to the table."""
        shown = {name: value for name, value in values.items() if "/iou/" not in name}
        self._send(lambda run: self._log(run, shown, step))

    def _log(self, run: Any, values: Mapping[str, Any], step: int) -> None:
        values = {f"{self.stage}/{name}": value for name, value in (dict(values) | {"step": step}).items()}
        run.log(values, step=self.steps_before + step)

    def picture(self, name: str, path: Path) -> None:
        """A picture that was saved."""

        def send(run: Any) -> None:
            import wandb

            run.log({f"{self.stage}/{name}": wandb.Image(str(path))}, commit=False)  # the step stays where it is

        self._send(send)

    def overlays(
        self, dataset: str, pictures: Sequence[Mapping[str, np.ndarray]], names: Sequence[str], step: int
    ) -> None:
        """Images with masks that can be switched on and off.

        Args:
            pictures: `image` [h w 3], and by its name every mask of class indices [H W].
        """

        def send(run: Any) -> None:
            self._log(run, {f"val/{dataset}/panels": [overlay(picture, names) for picture in pictures]}, step)

        self._send(send)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        def send(run: Any) -> None:
            import wandb

            table = wandb.Table(columns=list(columns), data=[list(row) for row in rows])
            self._log(run, {name: table}, step)

        self._send(send)

    def summarize(self, values: Mapping[str, float]) -> None:
        """Values of the stage as a whole, for W&B's table of runs."""
        self._send(lambda run: run.summary.update({f"{self.stage}/{name}": value for name, value in values.items()}))

    def _send(self, send: Callable[[Any], Any]) -> None:
        if self.run is None:
            return
        try:
            send(self.run)
        except Exception as error:  # whatever happens to a mirror, the training goes on
            self.run = None
            abandon()
            say(f"W&B failed, nothing more is sent to it ({in_one_line(error)}); the run folder has everything")

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the W&B run with the exit code that this process will have."""
        code = 0 if error is None else 1
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            code = error.code

        def finish() -> None:
            self._send(lambda run: run.finish(exit_code=code))

        if not isinstance(error, Stopped):
            finish()
            return
        finishing = threading.Thread(target=finish, daemon=True)
        finishing.start()
        finishing.join(GIVE_UP_STOPPED)
        if finishing.is_alive():
            say("W&B has not uploaded everything; the run folder has it")
            atexit.register(os._exit, code)  # before W&B's own function of that kind, which would wait again


class WandB:
    """What W&B is told about a run.

    Args:
        group, tags: how runs are found and compared.
        offline: null means offline unless there is a key.
    """

    def __init__(
        self,
        project: str,
        entity: str | None,
        group: str | None,
        name: str,
        tags: str | Sequence[str],
        offline: bool | None,
    ) -> None:
        self.offline = offline
        self.described: dict[str, Any] = {"run_name": name, "run_group": group, "project": project, "entity": entity}
        self.described["run_tags"] = (tags,) if isinstance(tags, str) else tuple(tags)

    def check(self) -> None:
        """Try, before anything is trained, whether W&B works.

        Raises:
            ValueError: it cannot be imported or does not take these values.
        """
        if self.offline not in (None, True, False):
            raise ValueError(f"logger.offline: expected true, false or null, got {self.offline!r}")
        try:
            self._settings()
        except Exception as error:
            raise ValueError(f"logger=wandb: {in_one_line(error)}") from error

    def start(self, folder: Path, config: dict[str, Any]) -> Dashboard:
        """Start or continue the W&B run of a run folder; a dashboard without one, and a message, where that fails.

        Args:
            folder: gets all files of W&B, and `wandb_id.txt`, the id under which a resumed run is continued.
            config: plain values.
        """
        identity = folder / "wandb_id.txt"
        if not identity.exists():
            write_text(identity, secrets.token_hex(4) + "\n")
        # Where tables wait for their upload; W&B would put them into the home folder.
        os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
        for mode in dict.fromkeys((self._mode(), "offline")):
            try:
                run = self._run(folder, mode, identity.read_text().strip(), config)
            except Exception as error:  # no network, no space, a broken installation: no reason not to train
                say(f"W&B does not start {mode} ({in_one_line(error)})")
                abandon()
            else:
                offline = f"W&B is offline; upload with: wandb sync {folder}/wandb/offline-run-*"
                say(offline if mode == "offline" else f"W&B: {run.url}")
                return Dashboard(run)
        say("W&B is left out; the run folder has everything")
        return Dashboard()

    def _run(self, folder: Path, mode: str, identity: str, config: dict[str, Any]) -> Any:
        import wandb

        # Offline nothing can be resumed: every start writes a segment of the same id.
        resume = "allow" if mode == "online" else None
        settings = self._settings(mode=mode, root_dir=str(folder), run_id=identity, resume=resume)
        return wandb.init(settings=settings, config=config, allow_val_change=True)

    def _settings(self, **more: Any) -> Any:
        import wandb

        # The terminal belongs to progress bars and to our own lines.
        own: dict[str, Any] = {"run_job_type": "train", "silent": True, "console": "off", "finish_timeout": GIVE_UP}
        return wandb.Settings(**self.described, **own, **more)

    def _mode(self) -> str:
        if self.offline is None:
            return os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        return "offline" if self.offline else "online"


def abandon() -> None:
    """Let go of W&B's service: it keeps an id in use, and at exit its client would complain once more."""
    with suppress(Exception):
        import wandb

        wandb.teardown(exit_code=1)


def has_key() -> bool:
    """Whether there is a key for W&B: in the environment, or from `wandb login`. Asks neither user nor network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def overlay(picture: Mapping[str, np.ndarray], names: Sequence[str]) -> Any:
    """A picture of W&B, on which its masks can be switched on and off."""
    import wandb

    masks = {name: mask for name, mask in picture.items() if name != "image"}
    height, width = next(iter(masks.values())).shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    labels = dict(enumerate(names)) | {IGNORE: "ignored"}
    return wandb.Image(
        cv2.resize(picture["image"], size, interpolation=cv2.INTER_AREA),
        masks={
            name: {"mask_data": cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), "class_labels": labels}
            for name, mask in masks.items()
        },
    )


def in_one_line(error: Exception) -> str:
    """Kind and message of an error, line breaks left out."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def say(message: str) -> None:
    """Print to standard error: standard output belongs to results."""
    print(message, file=sys.stderr, flush=True)
