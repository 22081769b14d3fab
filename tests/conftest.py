import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests that fork must not oversubscribe two cores

from jaxtyping import install_import_hook

# Shapes and types in signatures hold in every test; models are left out because torch.compile cannot trace the checks.
CHECKED = ["labels", "pixels", "evaluation", "data", "losses", "methods", "stages.fit", "stages.plan", "stages.stage"]
install_import_hook([f"mdseg.{part}" for part in CHECKED], "beartype.beartype")

import copy
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from running import carry_out, new_folder
from smoke import SMOKE

from mdseg import conf_dir
from mdseg.config.composition import check_row, settle
from mdseg.config.keys import check_overrides
from mdseg.config.values import check_values

# Modules that take longest, first: otherwise one of two processes would work on alone at the end.
LONG = [
    "conf",
    "rows",
    "multi_source",
    "toys",
    "resume",
    "bad_input",
    "bad_checkpoints",
    "run",
    "self_training",
    "evaluate",
    "logging",
    "target_loss",
    "callbacks",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: names.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the tests' own: what one writes where it stands does not land in the checkout."""
    folder = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Embedded data of the whole test session, also for the commands it starts; processes of one session share it."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / "cache" if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.mktemp("cache")
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MDSEG_CACHE", str(folder))
        yield folder


def compose_run(*overrides: str, typed: bool = False) -> DictConfig:
    """Compose a run's configuration; `typed`: with what the command line refuses."""
    cfg, HydraConfig.instance().cfg = copy.deepcopy(compose_once(overrides, typed))
    return cfg


@functools.cache
def compose_once(overrides: tuple[str, ...], typed: bool) -> tuple[DictConfig, DictConfig]:
    """The configuration, and Hydra's own; composing takes much longer than a copy."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("run", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    if typed:
        check_row(HydraConfig.get())
        check_values(cfg)
        check_overrides(cfg, overrides)
    settle(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, HydraConfig.instance().cfg


@pytest.fixture(scope="session")
def composed() -> Callable[..., DictConfig]:
    return compose_run


@pytest.fixture(scope="session")
def trained_run(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished smoke run of UniSeg on Cityscapes, IDD and BDD; tests must not write into it."""
    cfg = compose_run(
        "experiment=uniseg_cib",
        *SMOKE,
        "stage.null_bce.steps=3",
        "stage.class_relational.steps=2",
        f"runs={tmp_path_factory.mktemp('runs')}",
    )
    folder = new_folder(cfg, ["experiment=uniseg_cib"])
    carry_out(cfg, folder)
    return folder
