"""Configurations of the commands beside `run`, composed from their arguments."""

import difflib
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict

from mdseg import conf_dir


def compose_with_datasets(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """Configuration as Hydra's command line composes it, with the descriptors of the datasets in `on=[...]` loaded.

    `on` becomes a list of names. Searched for are `conf/` and what `hydra.searchpath=[...]` adds. `data.*` is resolved.

    Raises:
        ValueError: an option, key or value that does not exist; the nearest one that does is named.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        asked = [dataset_names(override.value()) for override in parsed if override.key_or_group == "on"]
        load = [f"dataset=[{','.join(names)}]" for names in asked[-1:] if names]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            try:
                cfg = compose(config_name, overrides=[*overrides, *load], return_hydra_config=True)
            except MissingConfigException as error:
                raise ValueError(_unknown_option(error, config_name, overrides)) from error
    except HydraException as error:
        raise ValueError(" ".join(str(error).split())) from error
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
        if asked:
            cfg.on = asked[-1]
    if OmegaConf.is_missing(cfg.data, "root"):
        raise ValueError("data=disk needs data.root=<the folder that holds the datasets' folders>")
    OmegaConf.resolve(cfg.data)
    return cfg


def dataset_names(on: object) -> list[str]:
    """What `on=` names: `on=[a,b]`, or one without brackets.

    Raises:
        ValueError: anything else, such as `on=a,b`.
    """
    names = [on] if isinstance(on, str) else on
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("on: expected names of datasets in brackets, such as on=[cityscapes,idd]")
    return list(dict.fromkeys(names))


def nearest(name: str, known: Sequence[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _unknown_option(error: MissingConfigException, config_name: str, overrides: Sequence[str]) -> str:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options(group, config_name=config_name, overrides=list(overrides))
    return f"there is no {group} {name!r}{nearest(name, options)}; there are {', '.join(options)}"
