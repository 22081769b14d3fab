"""Lightning's trainer without the parts that this project does itself."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf

from mdseg.config.building import build
from mdseg.config.keys import plain
from mdseg.runs.checkpoints import AtomicCheckpointIO
from mdseg.system.devices import device_name
from mdseg.system.ranks import launched_outside, launched_processes


def build_trainer(node: DictConfig, folder: Path, **options: Any) -> pl.Trainer:
    """A trainer for one epoch, which is the whole fit.

    Args:
        node: the configuration's `trainer`.
        folder: where Lightning would write, if it did.
        options: of `pytorch_lightning.Trainer`.

    Raises:
        ValueError: there is no such device, or Lightning has no such option.
    """
    if node.get("accelerator", "auto") == "auto":  # Lightning's own prefers Apple's GPU, which has no float64
        node = OmegaConf.create(plain(node) | {"accelerator": "gpu" if torch.cuda.is_available() else "cpu"})
    try:
        return build(
            node,
            enable_progress_bar=shows_bars(node),
            max_epochs=1,
            max_steps=-1,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            default_root_dir=str(folder),
            plugins=[AtomicCheckpointIO()],
            **options,
        )
    except ValueError as error:
        raise ValueError(f"trainer: {error}; trainer=auto takes a GPU if there is one, else the CPU") from error
    except RuntimeError as error:  # a cluster's variables that contradict each other
        raise ValueError(f"trainer: {error}") from error


def world_size(node: DictConfig) -> int:
    """Number of processes that a trainer will have.

    Raises:
        ValueError: it is not that of the processes that were started, or nobody starts those of other nodes.
    """
    trainer = build_trainer(node, Path(), logger=False)
    devices, nodes = trainer.num_devices, trainer.num_nodes
    if nodes > 1 and not launched_outside():
        raise ValueError(
            f"trainer.num_nodes={nodes}: this process would wait for those of other nodes, which nobody starts; start "
            "one per device on every node with torchrun or SLURM's srun, or set trainer.num_nodes=1"
        )
    started = launched_processes()
    if started not in (None, devices * nodes):
        raise ValueError(
            f"{started} processes were started, but the trainer has {nodes} × {devices} devices: make trainer.devices "
            "(of a node) and trainer.num_nodes what was started, such as trainer=ddp"
        )
    return devices * nodes


def device_line(node: DictConfig) -> str:
    """What a run computes on, and why."""
    trainer = build_trainer(node, Path(), logger=False)
    device, count = trainer.strategy.root_device, trainer.num_devices * trainer.num_nodes
    there = torch.cuda.device_count()
    several = f"{count} × " if count > 1 else ""
    if device.type == "cpu":
        why = "since torch sees no GPU" if not there else f"as trainer.accelerator={node.get('accelerator')} says"
        more = f"; trainer=auto takes {'the' if there == 1 else 'one of the ' + str(there)} GPU" if there else ""
        return f"device: {several}cpu, {why}{more}"
    rest = f", of {there}" if there > trainer.num_devices else ""
    return f"device: {several}{device_name(device)}{rest} (trainer=cpu for the CPU)"


def shows_bars(node: DictConfig) -> bool:
    """Whether progress bars are wanted, and shown where they can be drawn."""
    return node.get("enable_progress_bar", True) and sys.stdout.isatty()


def quieten_lightning() -> None:
    """Leave out what Lightning tells at every start and what it warns of that this project does on purpose."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers",
        r".*resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated",
        r".*sync_dist=True",  # confusion matrices are added up over the ranks by torchmetrics
        r"Found \d+ module\(s\) in eval mode at the start of training",  # teachers, frozen batch norms
        r".*was called before the ``update`` method",  # a rank that no image of a dataset was dealt to
        r".*no `val_dataloader`",  # a stage without evaluation
        r"You have overridden `on_after_batch_transfer`",  # methods get their streams by role there
    ):
        warnings.filterwarnings("ignore", message)
