"""Whether what is chosen arrives: a YAML file says itself, in its first line, where in the configuration it belongs."""

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from mdseg import conf_dir
from mdseg.system.documents import read_yaml
from mdseg.system.names import repetitions
from mdseg.system.wording import excerpt

GLOBAL = ("experiment", "family", "recipe", "row", "scale")  # groups whose files set keys of the whole configuration


def check_packages(hydra_config: HydraConf, overrides: Sequence[str]) -> None:
    """Refuse files that are chosen, but are not read, or whose values would lie where nothing reads them.

    Of two files of one name Hydra reads the first, mdseg's own, and says nothing of the other. What has no `# @package`
    line it puts below its group, `dataset`, and two files with one line overwrite each other. All files are read
    strictly too, as label tables are: `seed: 064` would be 52.

    Args:
        hydra_config: what Hydra says of the configuration that it composed.
        overrides: of which it composed it.

    Raises:
        ValueError: it names the file and the line to write.
    """
    if not GlobalHydra.instance().is_initialized():  # in a job of a launcher that has composed elsewhere
        return
    loader: Any = GlobalHydra.instance().config_loader()
    found = loader.compute_defaults_list(hydra_config.job.config_name, list(overrides), RunMode.RUN).defaults
    folders = [Path(source.path) for source in hydra_config.runtime.config_sources if source.schema == "file"]
    arrived: dict[str, str] = {}
    for default in found:
        group, _, name = str(default.config_path).removesuffix(".yaml").partition("/")
        files = [file for folder in folders if (file := folder / group / f"{name}.yaml").is_file()]
        hidden = next((file for file in files[1:] if file.read_bytes() != files[0].read_bytes()), None)
        if hidden is not None:
            raise ValueError(f"{group}={name}: {hidden} is not read, {files[0]} comes before it; call it otherwise")
        for file in files[:1]:
            read_yaml(file)
        if group == "dataset" and repetitions([each.config_path for each in found if each.package == default.package]):
            raise ValueError(f"dataset: {name} stands there more than once, and would count once; leave it out")
        inner = str(default.parent).startswith(f"{group}/") and not default.is_self
        elsewhere = "@" in str(default.override_key)  # chosen as <group>@<package>
        if group not in ("dataset", *GLOBAL) or inner or elsewhere:
            continue
        file = files[0] if files else Path(f"{group}/{name}")
        package = f"datasets.{name.rpartition('/')[2]}" if group == "dataset" else "_global_"
        if default.package != package.removeprefix("_global_"):
            raise ValueError(
                f"{group}={name}: {file} describes {default.package or 'the whole run'}, not "
                f"{package}; its first line must be `# @package {package}`{hiding(files)}"
            )
        if arrived.setdefault(package, str(default.config_path)) != default.config_path and group == "dataset":
            raise ValueError(f"dataset={name}: {arrived[package]} is called so too; rename one of the two")


def hiding(files: Sequence[Path]) -> str:
    """Why a file's first line does not count, though it may be right."""
    marked = any(file.read_bytes().startswith(codecs.BOM_UTF8) for file in files[:1])
    return " (a byte order mark before it hides it; save the file as UTF-8 without one)" if marked else ""


def damaged(folders: Iterable[Path]) -> str | None:
    """What is wrong with the first file in folders of configuration that Hydra cannot read; it names none itself."""
    for folder in folders:
        groups = [path for path in conf_dir().glob("**/") if (folder / path.relative_to(conf_dir())).is_dir()]
        for group in groups:
            for file in sorted((folder / group.relative_to(conf_dir())).glob("*.yaml")):
                try:
                    _check_file(file)
                except (OSError, ValueError) as error:
                    return str(error)
    return None


def _check_file(file: Path) -> None:
    """Refuse what Hydra does not take: another first line, or other defaults.

    Raises:
        OSError, ValueError: it names the file.
    """
    document = read_yaml(file)
    for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()):
        if line and not line.startswith("#"):
            break
        if re.match(r"#\s*@", line) and len(line.lstrip("#").strip().split(" ")) != 2:
            raise ValueError(f"{file}: {excerpt(line)} is no line such as `# @package datasets.mine`")
    defaults = document.get("defaults", []) if isinstance(document, Mapping) else []
    for entry in defaults if isinstance(defaults, list) else [defaults]:
        if not isinstance(defaults, list) or not _is_default(entry):
            raise ValueError(
                f"{file}: defaults: expected a list such as [{{override /dataset: [idd, bdd]}}], got {excerpt(entry)}"
            )


def _is_default(entry: Any) -> bool:
    """Whether it is a name, or a group with a name, a list of names or null."""
    if not isinstance(entry, Mapping):
        return isinstance(entry, str)
    chosen = next(iter(entry.values())) if len(entry) == 1 else False
    return isinstance(chosen, str | None) or (
        isinstance(chosen, list) and all(isinstance(name, str) for name in chosen)
    )
