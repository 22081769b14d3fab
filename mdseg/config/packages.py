"""Whether what is chosen arrives: a YAML file says itself, in its first line, where in the configuration it belongs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from mdseg.system.documents import read_yaml

GLOBAL = ("experiment", "family", "recipe", "row", "scale")  # groups whose files set keys of the whole configuration


def check_packages(hydra_config: HydraConf, overrides: Sequence[str]) -> None:
    """Refuse files that are chosen, but are not read, or whose values would lie where nothing reads them.

    Of two files of one name Hydra reads the first, mdseg's own, and says nothing of the other. What has no `# @package`
    line it puts below its group, `dataset`, and two files with one line overwrite each other. Files of datasets are
    read strictly too, as label tables are: they hold some.

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
        inner = str(default.parent).startswith(f"{group}/") and not default.is_self
        elsewhere = "@" in str(default.override_key)  # chosen as <group>@<package>
        if group not in ("dataset", *GLOBAL) or inner or elsewhere:
            continue
        file = files[0] if files else Path(f"{group}/{name}")
        package = f"datasets.{name.rpartition('/')[2]}" if group == "dataset" else "_global_"
        if default.package != package.removeprefix("_global_"):
            raise ValueError(
                f"{group}={name}: {file} describes {default.package or 'the whole run'}, not "
                f"{package}; its first line must be `# @package {package}`"
            )
        if arrived.setdefault(package, str(default.config_path)) != default.config_path and group == "dataset":
            raise ValueError(f"dataset={name}: {arrived[package]} is called so too; rename one of the two")
        if group == "dataset" and files:
            read_yaml(file)
