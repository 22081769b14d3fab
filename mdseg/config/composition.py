"""Composing a configuration from the arguments of a command, and what Hydra says against them in short."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mdseg import conf_dir
from mdseg.config import references
from mdseg.config.choices import check_choices, dataset_names
from mdseg.config.expansion import expand
from mdseg.config.packages import check_packages, damaged, hiding
from mdseg.config.paths import origin_in_full, write_in_full
from mdseg.config.values import INSTEAD, check_command, check_kinds, check_references
from mdseg.system.documents import read_yaml
from mdseg.system.files import refuse_irregular
from mdseg.system.names import check_path
from mdseg.system.wording import closest, nearest, visible

TRACEBACKS = "HYDRA_FULL_ERROR"  # the variable by which Hydra's users ask for them
WANTED = TRACEBACKS in os.environ
NO_FOLDER = "provider=hydra.searchpath"  # how Hydra's warning of a folder that does not exist begins
NO_ROOT = "data=disk needs data.root=<the folder that holds the datasets' folders>"


def compose_with_datasets(config_name: str, overrides: Sequence[str], known: Collection[str] = ()) -> DictConfig:
    """Configuration as Hydra's command line composes it, with the descriptors of the datasets in `on=[...]` loaded.

    `on` becomes a list of names. Searched for are `conf/` and what `hydra.searchpath=[...]` adds. `data.*` is resolved.

    Args:
        known: datasets that need not be loaded, since the caller has their descriptors.

    Raises:
        ValueError: an option, key or value that does not exist; the nearest one that does is named.
    """
    check_command(config_name, values(overrides))
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            parsed = OverridesParser.create().parse_overrides(list(overrides))
            check_choices(overrides)
            asked = [dataset_names(override.value()) for override in parsed if override.key_or_group == "on"]
            missing = [name for names in asked[-1:] for name in names if name not in known]
            load = [f"dataset=[{','.join(missing)}]"] if missing else []
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("error", NO_FOLDER)
                    cfg = compose(config_name, overrides=[*overrides, *load], return_hydra_config=True)
            except UserWarning as warning:
                raise ValueError(no_folder(warning)) from warning
            except UNSAID as error:
                raise ValueError(unsaid(error, overrides)) from error
            check_packages(cfg.hydra, [*overrides, *load])
        except (HydraException, yaml.YAMLError) as error:
            raise ValueError(in_short(error, overrides)) from error
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
        if asked:
            cfg.on = asked[-1]
    if "data" in cfg:
        if OmegaConf.is_missing(cfg.data, "root"):
            raise ValueError(NO_ROOT)
        check_references(cfg.data)
        OmegaConf.resolve(cfg.data)
    write_in_full(cfg)
    return cfg


def compose_as_in_run(config_name: str, overrides: Sequence[str], run: DictConfig, on: Sequence[str]) -> DictConfig:
    """As :func:`compose_with_datasets`, with a run's data and descriptors where the command leaves them to the run.

    Args:
        on: the datasets where the command names none.

    Raises:
        ValueError: an option, key or value that does not exist.
    """
    given = values(overrides)
    known = set(run.datasets) - set(dataset_names(given["dataset"], "dataset") if "dataset" in given else ())
    of_run = {key: value for key, value in given.items() if key.startswith("datasets.") and key.split(".")[1] in known}
    others = [override for override in overrides if override.partition("=")[0].lstrip("+~") not in of_run]
    cfg = compose_with_datasets(config_name, others, known)
    OmegaConf.set_struct(cfg, False)
    cfg.on = cfg.on or list(on)
    if unread := set(dataset_names(given["dataset"], "dataset") if "dataset" in given else ()) - set(cfg.on):
        raise ValueError(f"dataset={','.join(sorted(unread))}: what is read is named by on=[...], here {list(cfg.on)}")
    moved = cfg.data.root is not None
    if "data" in given and not moved:
        raise ValueError(NO_ROOT)
    if "data" not in given:
        changes = {key: value for key, value in cfg.data.items() if value is not None}
        cfg.data = OmegaConf.merge(run.data, changes)
    _take_datasets(cfg, run, moved)
    for key, value in of_run.items():
        _change(cfg, key, value)
    check_kinds(cfg, only=("data", "datasets"))
    write_in_full(cfg)
    return cfg


def values(overrides: Sequence[str]) -> dict[str, Any]:
    """Key or group and value of each argument, as Hydra reads it.

    Raises:
        ValueError: what Hydra cannot read.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ValueError(in_short(error, overrides)) from error
    return {override.key_or_group: override.value() for override in parsed}


def _take_datasets(cfg: DictConfig, run: DictConfig, moved: bool) -> None:
    """Descriptors of all datasets in `on`: those of the command, the others as in the run.

    Args:
        moved: data lies below another root than the run's.
    """
    chosen = {}
    for name in cfg.on:
        chosen[name] = cfg.datasets[name] if name in cfg.get("datasets", {}) else run.datasets[name].copy()
        if moved and name not in cfg.get("datasets", {}) and Path(chosen[name].root).is_relative_to(run.data.root):
            below = Path(chosen[name].root).relative_to(run.data.root)
            chosen[name].root = str(Path(cfg.data.root) / below)
    cfg.datasets = chosen


def _change(cfg: DictConfig, key: str, value: Any) -> None:
    """Set a value of a dataset's descriptor.

    Raises:
        ValueError: the dataset is not in `on`, or its descriptor has no such key.
    """
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(cfg, parent)
    if not isinstance(node, DictConfig) or last not in node:
        known = list(node) if isinstance(node, DictConfig) else [f"datasets.{name}" for name in cfg.on]
        raise ValueError(f"{key}: there is no such key{nearest(last, known)}; {parent} has {', '.join(known)}")
    node[last] = value


def answer(arguments: Sequence[str], config_name: str, help_text: str) -> bool:
    """Answer `--help`, no arguments at all, and `--cfg job`; whether it was one of these."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(help_text)
        return True
    refuse_foreign_flags(arguments)
    flags = [argument for argument in arguments if argument.startswith("-")]
    if not flags:
        return False
    if flags not in (["--cfg"], ["-c"]) or "job" not in arguments:
        sys.exit(f"mdseg: {' '.join(flags)}: the flags of this command are --help and --cfg job")
    overrides = [argument for argument in arguments if argument not in (*flags, "job")]
    print(OmegaConf.to_yaml(compose_with_datasets(config_name, overrides)), end="")
    return True


def quoted(argument: str, keys: Collection[str]) -> str:
    """An argument with its value quoted if it is one of these keys: paths may hold what means something to Hydra."""
    key, equals, value = argument.partition("=")
    if key not in keys or not equals or value[:1] in ("", "'", '"') or value == "null":
        return argument
    escaped = value.replace("'", r"\'")
    return f"{key}='{escaped}'"


def call(start: Callable[[], Any]) -> Any:
    """Call what `hydra.main` made of a function; what Hydra says against the command line becomes one short message.

    Hydra prints its errors itself and ends the process, unless full errors are wanted: so it is told that they are,
    until the function takes over (:func:`composed`).
    """
    os.environ[TRACEBACKS] = "1"
    try:
        return start()
    except (CompactHydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        if WANTED:
            raise
        sys.exit(visible(f"mdseg: {in_short(error, sys.argv[1:])}", lines=True))
    except UNSAID as error:
        if WANTED or TRACEBACKS not in os.environ:  # the function had taken over
            raise
        sys.exit(visible(f"mdseg: {unsaid(error, sys.argv[1:])}", lines=True))
    finally:
        composed()


def composed() -> None:
    """The configuration stands; tracebacks are again as the user wants them."""
    if not WANTED:
        os.environ.pop(TRACEBACKS, None)


def refuse_foreign_flags(arguments: Sequence[str]) -> None:
    """Refuse `--key=value`, the habit of other commands, which Hydra would take for an abbreviated flag of its own."""
    for argument in arguments:
        key, equals, _ = argument.lstrip("-").partition("=")
        if argument.startswith("--") and equals and key not in FLAGS_WITH_VALUE:
            sys.exit(f"mdseg: {argument}: values are set without dashes, {argument.lstrip('-')}")


FLAGS_WITH_VALUE = ("config-path", "config-name", "config-dir", "package", "info", "experimental-rerun")


def no_folder(warning: UserWarning) -> str:
    """What to say where Hydra only warns of a folder of `hydra.searchpath` that does not exist.

    Raises:
        UserWarning: it warns of something else.
    """
    missing = re.search(r"path=(.*) is not available", str(warning), re.DOTALL)
    if not missing:
        raise warning
    return f"hydra.searchpath: {missing[1]} does not exist; folders are written file://<folder>"


UNSAID = (ValueError, TypeError, AttributeError, AssertionError)  # what Hydra raises at files it has not foreseen


def unsaid(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong where Hydra breaks on a file without naming it."""
    return damaged([conf_dir(), *_search_path(overrides)]) or " ".join(str(error).split())


def in_short(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong with a command line or a YAML file, in a line: the key or option, and what was probably meant."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if irregular := _irregular(f"{error.missing_cfg_file}.yaml", overrides):
            return irregular
        group, _, name = error.missing_cfg_file.rpartition("/")
        options = error.options or _options(group, overrides)
        if not options:  # a path in place of a name
            group, name = group.partition("/")[0], error.missing_cfg_file.partition("/")[2]
            options = _options(group, overrides)
        own = f" (one's own is <folder>/{group}/{name}.yaml, with hydra.searchpath=[file://<folder>])"
        own = "" if "/" in name else own
        return f"there is no {group} {name!r}{nearest(name, options) or own}; there are {', '.join(options)}"
    if isinstance(error, OverrideParseException):
        reason = error.message.splitlines()[0]
        if "=~" in str(error.override):
            return f"{error.override}: neither the shell nor Hydra knows ~ there; write $HOME"
        return f"{error.override}: not key=value as Hydra reads it ({reason}); quote what a value holds besides words"
    required = re.match(r"You must specify '(\S+)'.*?options:\s+(.*)", str(error), re.DOTALL)
    if required:
        group, options = required[1], ", ".join(required[2].split())
        return f"{group}=<name> is required; there are {options} (python -m mdseg.run --help says what they are)"
    inside = re.match(r"In '(\w+)/(\S+)': Could not override '\S+@\1\.", str(error))
    if inside:
        why = hiding(_files(f"{inside[1]}/{inside[2]}", overrides))
        line = f"its first line must be `# @package _global_`{why}"
        return f"{inside[1]}={inside[2]}: {line}, or it sets keys below {inside[1]}"
    mixed = re.match(r"In '(\S+)': .*Cannot merge (Dict|List)Config with", str(error), re.DOTALL)
    if mixed and (files := _files(mixed[1], overrides)):
        given = {key: value for key, value in read_yaml(files[0]).items() if key not in ("defaults", "stages")}
        if lists := [key for key, value in given.items() if isinstance(value, list)]:
            return f"{files[0]}: {' or '.join(lists)}: expected keys with values, got a list"
        below = " or ".join(key for key, value in given.items() if isinstance(value, dict))
        return f"{files[0]}: a list where keys with values belong, or the other way round, below {below}"
    if str(error).startswith("Could not override 'row'"):
        given = {key: value for key, _, value in (each.partition("=") for each in overrides)}
        return _method_of_its_own(given.get("row"), given.get("experiment"))
    cause, override = error.__cause__, re.search(r"To append to your config use \+(.*)", str(error))
    if override and isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None:
        return f"{override[1]}: {_unknown_key(cause.parent_node, str(cause.full_key), override[1])}"
    merged = re.match(r"Error merging override (.*)", str(error))
    if merged and "Cannot merge" in str(cause):
        takes = "a list, got keys with values" if merged[1].endswith("}") else "keys with values, got a list"
        return f"{merged[1]}: expected {takes}"
    if isinstance(error, OmegaConfBaseException):
        return str(error).splitlines()[0]
    return " ".join([*str(error).split(), *str(cause or "").splitlines()[:1]])


def check_row(hydra_config: HydraConf) -> None:
    """Refuse an experiment without a family and without a row of a table, `row=<row>`; and one that has both.

    The row would win where it chooses and the experiment where the row says nothing: a mixture of two methods under the
    experiment's name.

    Raises:
        ValueError: neither the experiment nor a row chooses a family, or both do, or the row is one of another table.
    """
    choices, sources = hydra_config.runtime.choices, hydra_config.runtime.config_sources
    folders = [Path(source.path) for source in sources if source.schema == "file"]
    if choices["family"] == "none":
        known = sorted({path.stem for folder in folders for path in folder.glob("row/*.yaml")})
        rows = ", ".join(references.rows(choices["experiment"]) or known)
        raise ValueError(f"this experiment leaves the method to a row of its table: row=<row>; there are {rows}")
    row = choices.get("row")
    if row is None:
        return
    if any(chooses_family(folder / f"experiment/{choices['experiment']}.yaml") for folder in folders):
        raise ValueError(_method_of_its_own(row, choices["experiment"]))
    own = references.rows(choices["experiment"])
    if own and row not in own and (conf_dir() / f"row/{row}.yaml").is_file():
        raise ValueError(f"row={row}: no row of experiment={choices['experiment']}, whose rows are {', '.join(own)}")


def _method_of_its_own(row: str | None, experiment: str | None) -> str:
    return (
        f"row={row}: experiment={experiment} has a method of its own, of which a part would stay; rows are for "
        "experiments that leave the method open (with - /row: null in their defaults): "
        f"{', '.join(references.document()['experiments'])}"
    )


def chooses_family(path: Path) -> bool:
    """Whether an experiment's file, or one that it builds on, chooses a family."""
    defaults = (yaml.safe_load(path.read_text()) or {}).get("defaults", []) if path.is_file() else []
    return any(
        chooses_family(path.with_name(f"{entry}.yaml")) if isinstance(entry, str) else "override /family" in entry
        for entry in defaults
    )


def _files(name: str, overrides: Sequence[str]) -> list[Path]:
    """Where a file of configuration stands, `experiment/mine`, in the order in which Hydra looks."""
    folders = (conf_dir(), *_search_path(overrides))
    return [file for folder in folders if (file := folder / f"{name.removesuffix('.yaml')}.yaml").is_file()]


def _irregular(file: str, overrides: Sequence[str]) -> str | None:
    """What stands in the place of a file of configuration, but is no regular one: Hydra passes it over."""
    try:
        for folder in (conf_dir(), *_search_path(overrides)):
            refuse_irregular(folder / file)
    except ValueError as error:
        return str(error)
    return None


def _search_path(overrides: Sequence[str]) -> list[Path]:
    """Folders of configuration that a command line adds."""
    given = values([override for override in overrides if override.startswith("hydra.searchpath=")])
    places = [place for value in given.values() for place in (value if isinstance(value, list) else [])]
    return [Path(str(place).removeprefix("file://")) for place in places]


def _options(group: str, overrides: Sequence[str]) -> list[str]:
    if GlobalHydra.instance().is_initialized():  # it knows hydra.searchpath=[...] too
        loader = GlobalHydra.instance().config_loader()
        return loader.get_group_options(group, config_name="run", overrides=list(overrides))
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def _unknown_key(parent: DictConfig, full_key: str, override: str) -> str:
    """Where a key fails: what there is instead, or where else, deeper down, there is a key of this name."""
    asked = override.partition("=")[0]
    where, _, missing = full_key.rpartition(".")
    rest = asked.removeprefix(full_key)
    keys = [str(key) for key in OmegaConf.to_container(parent) or () if key != "hydra"]
    if not where and "/" in asked:
        folders = [path for path in conf_dir().glob("**/") if any(path.glob("*.yaml"))]
        keys += [str(path.relative_to(conf_dir())) for path in folders]
    if re.fullmatch(r"stage\.[^.]+", where) and missing in parent._get_root():
        for_all = override.removeprefix(f"{where}.")
        return f"{where} does not set it; write {for_all} for all stages, or +{override} for this one"
    if where == "trainer" and missing in INSTEAD:
        return f"mdseg sets this option of Lightning's trainer itself; use {INSTEAD[missing]}"
    key = closest(missing, keys)
    if key and (not rest or OmegaConf.select(parent, f"{key}{rest}", default=None) is not None):
        return f"there is no such key (did you mean {f'{where}.' if where else ''}{key}{rest}?)"
    last = asked.rpartition(".")[2]
    elsewhere = [path for path in _paths(parent) if path.rpartition(".")[2] == last]
    if elsewhere:
        return f"there is no such key; did you mean {' or '.join(elsewhere[:4])}?"
    if where:
        there = f"{where} has {', '.join(keys)}" if keys else f"{where} has none so far"
        return f"there is no such key; {there}; +{override} adds it"
    return "there is no such key; --cfg job shows all that there are"


def _paths(node: DictConfig) -> Iterator[str]:
    """Full keys of all values below a node."""
    for key in node:
        interpolated = OmegaConf.is_interpolation(node, cast(str, key))  # takes any key
        if key == "hydra" or OmegaConf.is_missing(node, key) or interpolated:
            continue
        path = node._get_full_key(key)
        yield path
        if isinstance(node[key], DictConfig):
            yield from _paths(node[key])


def settle(cfg: DictConfig) -> None:
    """Resolve what depends on this process (environment, folder, Hydra's choices); what follows the run's stays open.

    Raises:
        ValueError: no root of the data, or a name that could not be a folder's.
    """
    if OmegaConf.is_missing(cfg.data, "root") or cfg.data.root is None:
        raise ValueError(NO_ROOT)
    for key in ("name", "row", "family", "scale"):
        cfg[key] = cfg[key]
    if isinstance(cfg.name, int):
        cfg.name = str(cfg.name)  # name=2024
    check_path("name", cfg.name)
    OmegaConf.resolve(cfg.data)
    write_in_full(cfg)
    with open_dict(cfg):
        expand(cfg)
    for node in (cfg, *(node for node in cfg.stage.values() if node is not None)):
        if origin := node.get("from"):
            node["from"] = origin_in_full(origin, cfg.stages)
    if cfg.get("logger") is not None and cfg.logger.group is None:
        hydra_config = HydraConfig.get()
        sweep = f"sweep {Path(hydra_config.sweep.dir).name}"
        cfg.logger.group = sweep if hydra_config.mode == RunMode.MULTIRUN else cfg.name
