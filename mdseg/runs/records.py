"""What run folders say of their runs: results, configuration, command, and how far they are; read without torch."""

import os
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mdseg.config.keys import plain, stage_config
from mdseg.evaluation.tables import by_network
from mdseg.runs.planned import PLANNED, changes, read_planned
from mdseg.system.documents import read_json, read_text, read_yaml, shown
from mdseg.system.wording import shortened

RESULTS, CONFIG, COMMAND = "results.json", "config.yaml", "command.txt"
MODULE = ["python", "-m", "mdseg.run"]  # what the command of a run begins with
LONGEST_NAME = 255  # bytes of a folder's name
OF_BOTH = ("seed", "row", "family", "scale")  # what results say of the configuration
AN_END = 4096  # bytes, more than the last row of a log


@dataclass(frozen=True)
class Record:
    """A run as its folder has it.

    Args:
        results: what results.json holds; null: the run has finished no stage.
        config: what config.yaml holds, in plain types; null: there is none.
        words: what the command has after the module, by key: the last one that sets it. Null: there is no command.txt.
    """

    folder: Path
    results: dict[str, Any] | None
    config: dict[str, Any] | None
    words: Mapping[str, str] | None

    @property
    def experiment(self) -> str:
        """The experiment that was chosen; `name` may call it otherwise in the results."""
        chosen = (self.words or {}).get("experiment", "").partition("=")[2]
        return chosen or str(self.results["experiment"] if self.results else (self.config or {}).get("name"))

    @property
    def done(self) -> dict[str, Any]:
        """Results of the stages that are done, in the order of the run."""
        stages = {} if self.results is None else self.results["stages"]
        # Who wants a stage trained anew deletes `done`; the results stay until it has been.
        return {name: stages[name] for name in self.stages if name in stages and name not in self._undone}

    @property
    def stages(self) -> list[str]:
        """All stages of the run."""
        return list((self.results or {"stages": {}})["stages"]) if self.config is None else self.config["stages"]

    @property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """By stage."""
        return {name: stage["evaluation"] for name, stage in self.done.items() if "evaluation" in stage}

    @property
    def _undone(self) -> set[str]:
        return {name for name in self.stages if (self.folder / name).is_dir() and not self._is_done(name)}

    def _is_done(self, stage: str) -> bool:
        return (self.folder / stage / "done").exists()

    @property
    def missing(self) -> list[str]:
        """Stages that are still to be done."""
        return [name for name in self.stages if name not in self.done]

    @property
    def progress(self) -> str:
        """How far a run is that is not finished."""
        stage, whole = self.missing[0], len(self.stages)
        step = _last_step(self.folder / stage / "metrics.csv")
        where = "not begun" if step is None else f"its log ends at step {step}"
        return f"{whole - len(self.missing)} of {whole} stages done, {stage}: {where}"

    @cached_property
    def written(self) -> float:
        """When the results were written, in seconds."""
        return (self.folder / RESULTS).stat().st_mtime

    @cached_property
    def references(self) -> Any:
        """The configuration with its references, see :meth:`resolved`."""
        return OmegaConf.create(self.config or {})

    def resolved(self, key: str) -> Any:
        """A value of the configuration, what it refers to in its place."""
        return OmegaConf.select(self.references, key)


def read_records(folder: Path) -> tuple[list[Record], list[str]]:
    """All runs below a folder, by their folders' names; and a line for each that cannot be read.

    Linked folders are searched, too, each once.

    Raises:
        FileNotFoundError: there is no such folder, or no run below it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise FileNotFoundError(f"{folder}: {what}; give a folder of runs")
    records: list[Record] = []
    problems: list[str] = []
    seen: set[Path] = set()

    def note(error: Exception) -> None:
        problems.append(_line(error))

    for name, folders, files in os.walk(folder, followlinks=True, onerror=note):
        here = Path(name)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        links = [below for below in sorted(folders) if (here / below).is_symlink()]
        folders[:] = [*sorted(set(folders) - set(links)), *links]  # what is linked is named by where it lies
        if RESULTS in files or {CONFIG, COMMAND} <= set(files):
            try:
                records.append(read_record(here))
            except (OSError, ValueError) as error:
                note(error)
    if not records and not problems:
        raise FileNotFoundError(f"{folder}: no {RESULTS} below it; give a folder of runs")
    return records, problems


def read_record(folder: Path) -> Record:
    """What a run folder holds.

    Raises:
        OSError, ValueError: one of its files cannot be read, or is something else; it is named.
    """
    paths = (folder / name for name in (RESULTS, CONFIG, COMMAND))
    readers: tuple[Callable[[Path], Any], ...] = (read_results, read_run, _read_words)
    results, config, words = (read(path) if path.exists() else None for read, path in zip(readers, paths, strict=True))
    if results is not None and config is not None:
        check_same_run(folder, results, config)
    if config is not None and (folder / PLANNED).exists():
        check_as_planned(folder, config)
    return Record(folder, results, config, words)


def check_same_run(folder: Path, results: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse results that are not of the run that a configuration describes.

    Raises:
        ValueError: it names the key.
    """
    differ = [
        f"{key} {shown(config[key])} and {RESULTS} {shown(results[key])}"
        for key in OF_BOTH
        if key in results and key in config and config[key] != results[key]
    ]
    differ += [f"no stage {name} and {RESULTS} one" for name in results["stages"] if name not in config["stages"]]
    if differ:
        raise ValueError(
            f"{folder}: {CONFIG} has {differ[0]}: one of them was changed after the run, whose settings are not known "
            "then; put back what was there"
        )


def check_as_planned(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that says something else of a stage that is done than it was trained with.

    Raises:
        OSError, ValueError: it names stage and keys; or the record cannot be read.
    """
    for stage, planned in read_planned(folder / PLANNED).items():
        if stage not in config["stages"] or not (folder / stage / "done").exists():
            continue
        try:
            now = plain(stage_config(OmegaConf.create(dict(config)), stage), resolve=True)
        except OmegaConfBaseException:  # refers to what only the run had, such as the environment
            continue
        except (AttributeError, KeyError, TypeError) as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ValueError(f"{folder / CONFIG} is not what stage {stage} was trained with ({said})") from error
        if bound := [str(change) for change in changes(planned["config"], now) if not change.is_free]:
            raise ValueError(
                f"{folder / CONFIG} has changed since stage {stage} was trained: {shortened(bound)}; put back what was "
                "there"
            )


def read_results(path: Path) -> dict[str, Any]:
    """What a run has written so far of its stages; keys that this mdseg does not know are left alone.

    Raises:
        OSError, ValueError: the file is damaged, or something else.
    """
    advice = "mend it, or delete it and the `done` files of the stages"
    try:
        document = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from error
    try:
        _check_results(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {advice}") from error
    return document


def _check_results(document: Any) -> None:
    _mapping("results of a run", document)
    for key in ("experiment", "scale"):
        _text(key, document.get(key))
    _whole("seed", document.get("seed"))
    if document.get("row") is not None:
        _text("row", document["row"])
    for name, stage in _mapping("stages", document.get("stages")).items():
        where = f"stages.{name}"
        _file_name("stages", name)
        if "evaluation" in _mapping(where, stage):
            _check_evaluation(f"{where}.evaluation", stage["evaluation"])
        if "found" in stage:
            _check_relations(where, stage)


def _check_evaluation(where: str, evaluation: Any) -> None:
    if "network" in _mapping(where, evaluation):
        _text(f"{where}.network", evaluation["network"])
    for network, node in by_network(evaluation).items():
        at = f"{where}.{network}" if node is not evaluation else where
        for role, mean in _mapping(f"{at}.mean_miou", node.get("mean_miou")).items():
            _share(f"{at}.mean_miou.{role}", mean)
        for name, entry in _mapping(f"{at}.datasets", node.get("datasets")).items():
            of = f"{at}.datasets.{name}"
            _text(f"{of}.role", _mapping(of, entry).get("role"))
            if "miou" not in entry:
                raise ValueError(f"{of}: miou is missing")
            shares = {key: entry[key] for key in ("miou", "miou_zero") if key in entry}
            for key in ("subsets", "iou"):
                found = _mapping(f"{of}.{key}", entry.get(key, {}))
                shares |= {f"{key}.{label}": value for label, value in found.items()}
            for key, value in shares.items():
                _share(f"{of}.{key}", value, or_null=True)


def _check_relations(where: str, stage: Mapping[str, Any]) -> None:
    _whole(f"{where}.num_found", stage.get("num_found"))
    if missing := [key for key in ("tau", "score") if key not in stage]:
        raise ValueError(f"{where}: {' and '.join(missing)} is missing")
    for key, truth in stage.items():
        if key.startswith("against_truth"):
            counts = ("right", "found", "true", *(["min_pixels"] if key == "against_truth" else []))
            for count in counts:
                _whole(f"{where}.{key}.{count}", _mapping(f"{where}.{key}", truth).get(count))
            for share in ("precision", "recall"):
                _share(f"{where}.{key}.{share}", truth.get(share), or_null=True)


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected names with values, got {shown(value)}")
    for name in value:
        _text(f"{where}, a name", name)
    return value


def _text(where: str, value: Any) -> None:
    if not isinstance(value, str) or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in value):
        raise ValueError(f"{where}: expected a text without control characters, got {shown(value)}")


def _file_name(where: str, value: Any) -> None:
    _text(where, value)
    if Path(value).name != value or len(value.encode()) > LONGEST_NAME:
        raise ValueError(f"{where}: expected names as folders have them, got {shown(value)}")


def _whole(where: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{where}: expected a whole number, got {shown(value)}")


def _share(where: str, value: Any, or_null: bool = False) -> None:
    if value is None and or_null:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{where}: expected a number from 0 to 1{' or null' if or_null else ''}, got {shown(value)}")


def read_run(path: Path) -> dict[str, Any]:
    """The configuration of a run in plain types, references as they are written; `stages` are names of folders.

    Raises:
        OSError, ValueError: the file cannot be read, or is something else.
    """
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected the configuration of a run, keys with values, found {shown(config)}")
    for key in config:
        _text(f"{path}: a key", key)
    stages = config.get("stages")
    if not isinstance(stages, list) or not stages:
        raise ValueError(f"{path}: stages: expected a list of names, got {shown(stages)}")
    for name in stages:
        _file_name(f"{path}: stages", name)
    return config


def _read_words(path: Path) -> dict[str, str]:
    text = read_text(path)
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{path}: no command that a shell would read ({error})") from error
    if command[:3] != MODULE:
        raise ValueError(f"{path}: expected the command of a run, {' '.join(MODULE)} ..., found {shown(command[:3])}")
    return {word.partition("=")[0]: word for word in command[3:]}


def _last_step(path: Path) -> int | None:
    """The step of the last whole row of a log; null where there is none that can be read."""
    try:
        rows = path.read_bytes()[-AN_END:].split(b"\n") if path.is_file() else []
        return int(rows[-2].split(b",", 1)[0])
    except (OSError, ValueError, IndexError):
        return None


def _line(error: Exception) -> str:
    """What is wrong, with the file, in one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
