"""A trained model, read back from a run folder or from a checkpoint alone."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from mdseg.config.building import build
from mdseg.config.values import check_kinds
from mdseg.evaluation.evaluator import Answer, View, answers_of
from mdseg.evaluation.predictor import Predictor, shifts
from mdseg.labels.spaces import LabelSpace
from mdseg.models.segmenter import Segmenter
from mdseg.runs import checkpoints
from mdseg.runs.records import read_run
from mdseg.system.documents import read_yaml
from mdseg.system.wording import shortened, visible

CHECKPOINTS = ("last", "best")
SAID = ("stage", "networks", "views", "headline")  # what a checkpoint says of its model, beside its configuration
READ = ("align_corners", "data", "datasets", "evaluate", "evaluation", "model", "name", "streams")  # of that
BUILT = ("model", "data", "datasets")  # what commands build from a checkpoint's configuration
SAFE = re.compile(r"mdseg\.(models\.\w+|data\.layouts|scenes)\.\w+")


@dataclass(frozen=True)
class Trained:
    """A model in evaluation mode on the CPU, with what its checkpoint says about it.

    Args:
        view: how its logits are read.
        network: which answer of the checkpoint it gives, such as `student` or `teacher`; null where there is but one.
        cfg: resolved configuration of the stage that trained it; in `cfg.name` the experiment.
        steps: optimiser steps that these weights were trained for.
        path: the checkpoint.
        means: of the images of every dataset, where each is subtracted its own.
        trained_on: datasets whose images the weights have been trained on, in this stage or in one that it began with.
    """

    model: Segmenter
    view: View
    cfg: DictConfig
    stage: str
    steps: int
    path: Path
    network: str | None = None
    means: Mapping[str, Sequence[float]] = field(default_factory=dict)
    trained_on: Sequence[str] = ()

    @property
    def space(self) -> LabelSpace:
        """The label space of its channels."""
        return self.view.space

    def predictor(self, short_side: int | None, dataset: str | None = None) -> Predictor:
        """What it answers for images that it sees at this short side; null: at their own size.

        Args:
            dataset: whose images they are; null, or one that it was not trained on: its target's, where it has one.
        """
        shift = self.shifts_of([dataset or ""]).get(dataset or "")
        return Predictor(self.model, self.view, self.cfg.align_corners, short_side, shift)

    def shifts_of(self, datasets: Iterable[str]) -> dict[str, np.ndarray]:
        """What is added to the images of datasets, see :meth:`predictor`; nothing where it subtracts one mean."""
        known = shifts({name: np.array(mean) for name, mean in self.means.items()}, self.model)
        found = {name: known.get(name, known.get(self.target or "")) for name in datasets}
        return {name: shift for name, shift in found.items() if shift is not None}

    @property
    def target(self) -> str | None:
        """The first dataset of a target stream."""
        streams = [stream for stream in self.cfg.streams.values() if stream.role == "target"]
        return next((name for stream in streams for name in stream.datasets), None)


def load_trained(
    path: str | Path, stage: str | None = None, checkpoint: str = "last", network: str | None = None
) -> Trained:
    """Model of a checkpoint file, or of a run folder's stage (the last one that has a checkpoint).

    Args:
        checkpoint: `last`, or `best` (the weights with the highest mean seen mIoU), where the path is a folder.
        network: an answer of the checkpoint, such as `student` or `teacher`; null: the headline.

    Raises:
        FileNotFoundError: there is no run, no such stage or no checkpoint yet.
        ValueError: the file is damaged, no checkpoint of mdseg, names code that a checkpoint has no business with, or
            has no such answer.
    """
    file = checkpoint_file(Path(path), stage, checkpoint)
    saved = checkpoints.load(file)
    try:
        return _read_back(saved, file, network)
    except ValueError as error:
        raise error if str(file) in str(error) else ValueError(f"{file}: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(
            f"{file} is damaged, or of another version of mdseg: what it says of itself cannot be read ({said}); "
            f"{checkpoints.ADVICE}"
        ) from error


def _read_back(saved: dict[str, Any], file: Path, network: str | None) -> Trained:
    """The model of a checkpoint that has been read."""
    config: dict[str, Any] = saved["config"] if isinstance(saved.get("config"), dict) else {}
    lacks = [*(key for key in SAID if key not in saved), *(f"config.{key}" for key in READ if key not in config)]
    if lacks:
        raise ValueError(f"{file} is no checkpoint of mdseg: it lacks {shortened(lacks)}; {checkpoints.ADVICE}")
    foreign = [target for target in _targets([config.get(key) for key in BUILT]) if not SAFE.fullmatch(str(target))]
    own = _own_targets(file) if foreign else set()
    for target in foreign:
        if target not in own:
            raise ValueError(
                f"{file}: its configuration names {target} to be called, which could be any code; expected are "
                "functions of mdseg.models, mdseg.data.layouts and mdseg.scenes, or what the config.yaml of its run "
                "folder names too: leave a checkpoint of code of your own in its run folder"
            )
    cfg = OmegaConf.create(config)
    check_kinds(OmegaConf.create({key: config[key] for key in READ}), "config.")
    answers = answers_of(saved["networks"], saved["views"])
    name = chosen_answer(network, answers, saved, file)
    view = saved["views"][answers[name].view]
    space = LabelSpace.from_state(view["label_space"])
    for node in (cfg.model, *cfg.model.get("members", {}).values()):
        if "weights" in node:
            node.weights = None  # they are in the checkpoint
    model = build(cfg.model, num_classes=space.num_classes)
    chosen = answers[name].network
    prefix = saved["networks"][chosen]
    checkpoints.load_network(model, saved, file, prefix, "network" if prefix == "model" else chosen)
    return Trained(
        model.eval(),
        View(space, **{key: value for key, value in view.items() if key != "label_space"}),
        cfg,
        saved["stage"],
        checkpoints.trained_steps(saved),
        file,
        name if len(answers) > 1 else None,
        saved.get("means", {}),
        checkpoints.trained_on(saved),
    )


def load_all(paths: Sequence[Any], networks: Sequence[str | None] | None = None) -> tuple[list[Trained], list[str]]:
    """Models that are to stand beside each other, and a line for each that cannot be read.

    Args:
        networks: as of :func:`load_trained`, one for each path.

    Raises:
        ValueError, FileNotFoundError: none of them can be read.
    """
    found, problems, errors = [], [], []
    for path, network in zip(paths, networks or [None] * len(paths), strict=True):
        try:
            found.append(load_trained(Path(str(path)).expanduser(), network=network))
        except (OSError, ValueError) as error:
            errors.append(error)
            problems.append(" ".join(str(error).split()))
    if not found:
        raise errors[0]
    for problem in problems:
        print(visible(f"mdseg: left out: {problem}", lines=True), file=sys.stderr, flush=True)
    return found, problems


def chosen_answer(network: str | None, answers: Mapping[str, Answer], saved: dict[str, Any], file: Path) -> str:
    """Which of a checkpoint's answers is asked for; null: the headline.

    Raises:
        ValueError: there is no answer of that name.
    """
    if not answers:
        raise ValueError(f"{file}: stage {saved['stage']!r} trained nothing that predicts; name another stage")
    if network is None or network in answers:
        return network or saved["headline"]
    if len(answers) > 1:
        raise ValueError(f"network: expected {' or '.join(answers)}, got {network!r}: {file} has no other")
    raise ValueError(
        f"network={network}: {file} has no {network}, stage {saved['stage']!r} trained a single network; leave network "
        "out, or name another stage"
    )


def _own_targets(file: Path) -> set[Any]:
    """What the configuration of the run folder that holds a checkpoint calls: `resume=` runs that already."""
    config = file.resolve().parents[2] / "config.yaml" if len(file.resolve().parents) > 2 else file
    if file.resolve().parent.name != "checkpoints" or not config.is_file():
        return set()
    return set(_targets(read_yaml(config)))


def _targets(node: Any) -> Iterator[Any]:
    """What is called where this is built, and what could stand for it: a saved configuration has no references."""
    if isinstance(node, dict):
        yield from (node["_target_"],) if "_target_" in node else ()
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _targets(child)
    if isinstance(node, str) and "${" in node:
        yield node


def checkpoint_file(path: Path, stage: str | None = None, checkpoint: str = "last", key: str = "run") -> Path:
    """The checkpoint that a run folder, a stage's folder or a file stands for; see :func:`load_trained`.

    Args:
        key: what the path is the value of, for messages.

    Raises:
        FileNotFoundError: there is no such run, stage or checkpoint.
        ValueError: a name of a checkpoint that is none.
    """
    if checkpoint not in CHECKPOINTS:
        raise ValueError(f"checkpoint: expected {' or '.join(CHECKPOINTS)}, got {checkpoint!r}")
    if path.is_file():
        return path
    if not path.exists():
        raise FileNotFoundError(f"{key}={path}: there is no such run folder or checkpoint")
    if (path / "checkpoints").is_dir():
        stages = {path.name: path}
    elif (path / "config.yaml").is_file():
        names = read_run(path / "config.yaml")["stages"]
        stages = {name: path / name for name in names if (path / name / "checkpoints").is_dir()}
    else:
        runs = sorted(str(found.parent) for found in path.glob("**/command.txt"))
        hint = f"give one of the runs below it, such as {runs[-1]}" if runs else "it holds no run"
        raise FileNotFoundError(f"{key}={path} is no run folder: {hint}")
    if stage is not None and stage not in stages:
        raise FileNotFoundError(f"{key}={path}: no checkpoint of a stage {stage!r}; there are {list(stages) or 'none'}")
    chosen = stages.get(stage) if stage is not None else next(reversed(stages.values()), None)
    file = chosen / "checkpoints" / f"{checkpoint}.ckpt" if chosen is not None else path
    if chosen is None and (path / "done").is_file():
        raise FileNotFoundError(f"{key}={path}: this stage trained nothing; name one that did, or the run folder")
    if not file.is_file():
        raise FileNotFoundError(f"{key}={path}: no checkpoint {checkpoint}.ckpt in it yet")
    return file


def description(cfg: DictConfig, stage: str) -> dict[str, Any]:
    """What a checkpoint says about its model besides the weights, in plain types."""
    return {"config": OmegaConf.to_container(cfg, resolve=True), "stage": stage}
