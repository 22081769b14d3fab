"""Stages as a run has them, without running it."""

from collections.abc import Sequence
from pathlib import Path

from mdseg.config.composition import compose_with_datasets, settle
from mdseg.config.keys import check_run
from mdseg.stages.plan import make_plan
from mdseg.stages.stage import Stage


def stage_of(overrides: Sequence[str], name: str, folder: Path) -> Stage:
    """A stage of the run that a command line describes, with all that it needs, and its folder made."""
    cfg = compose_with_datasets("run", overrides)
    settle(cfg)
    cfg.stages = cfg.stages[: list(cfg.stages).index(name) + 1]
    check_run(cfg)
    stage = make_plan(cfg, folder).stages[name]
    stage.folder.mkdir(parents=True, exist_ok=True)
    return stage
