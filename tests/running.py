"""Runs in this process, as the command does them."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from mdseg import run
from mdseg.config.keys import check_run
from mdseg.runs.folders import locked, new_run_folder, write_provenance
from mdseg.stages.plan import Plan
from mdseg.system.signals import StopSignals


def planned(cfg: DictConfig, folder: Path = Path("nowhere")) -> Plan:
    """The plan of a composed configuration, with everything built."""
    check_run(cfg)
    return run.planned(cfg, folder)


def new_folder(cfg: DictConfig, overrides: Sequence[str] = ()) -> Path:
    """A run folder, ready to be carried out or resumed."""
    with new_run_folder(Path(cfg.runs) / cfg.name) as folder:
        write_provenance(cfg, list(overrides), folder)
    return folder


def carry_out(cfg: DictConfig, folder: Path) -> float | None:
    """Run what is left to do in a run folder."""
    with locked(folder), StopSignals() as stop:
        return run.carry_out(planned(cfg, folder), stop)
