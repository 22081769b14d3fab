"""What is looked at before a fit trains, beyond what its parts look at themselves."""

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from torch import nn

from mdseg import conf_dir
from mdseg.config.keys import is_generated
from mdseg.data.dataset import SegmentationDataset
from mdseg.data.selection import LoadedStream
from mdseg.methods.base import Method
from mdseg.system.wording import Remark

SHRUNK = 2  # times that photographs may be made smaller at scale=demo before it is remarked


def check_options(stage: str, cfg: DictConfig, method: Method) -> None:
    """Refuse options of a run that the method of a stage would leave without effect, or take for something else.

    Raises:
        ValueError: `accumulate` of a method whose step is no sum over images, gradient clipping of one that steps its
            optimisers itself, or without a value.
    """
    reason = method.why_whole() if cfg.accumulate > 1 else None
    if reason is not None:
        divided = [name for entry, reads in method.reads.items() if reads.divided for name in method.names_of[entry]]
        more = f"; streams.{divided[0]}.micro_batches divides what {stage} has in memory" if divided else ""
        raise ValueError(
            f"stage {stage}: accumulate={cfg.accumulate}: {reason}. Stages of methods supervised, uniseg and "
            f"target_loss take it: set it for those alone, stage.<name>.accumulate{more}"
        )
    if cfg.trainer.get("gradient_clip_algorithm") and not cfg.trainer.get("gradient_clip_val"):
        raise ValueError(
            f"stage {stage}: trainer.gradient_clip_algorithm does nothing without trainer.gradient_clip_val; set both"
        )
    if cfg.trainer.get("gradient_clip_val") and not method.automatic_optimization:
        why = f"with accumulate={cfg.accumulate}" if cfg.accumulate > 1 else f"{type(method).__name__}"
        raise ValueError(
            f"stage {stage}: trainer.gradient_clip_val: {why} steps its optimisers itself, where Lightning does not "
            "clip; leave it out"
        )


def check_parts(stage: str, accumulate: int, streams: Iterable[LoadedStream], method: Method, world_size: int) -> None:
    """Refuse more parts of a batch than a device has images; remark that batch norm sees parts.

    Raises:
        ValueError: it names the stream.
    """
    if accumulate == 1:
        return
    for loaded in streams:
        images = loaded.stream.batch_size // world_size
        if images < accumulate:
            raise ValueError(
                f"stage {stage}: accumulate={accumulate} parts of {images} images of stream {loaded.stream.name} per "
                f"step and device; set at most {images}, or streams.{loaded.stream.whole}.batch_size"
            )
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in method.modules()):
        warnings.warn(
            f"accumulate={accumulate}: batch norm sees a part of a step's batch at a time; all else is as with the "
            "batch as a whole",
            Remark,
            stacklevel=2,
        )


def remark_small_images(cfg: DictConfig, streams: Iterable[LoadedStream]) -> None:
    """Remark where photographs are trained on at the size that scale=demo has for the embedded data."""
    demo = cast(DictConfig, OmegaConf.load(conf_dir() / "scale" / "demo.yaml")).transform
    if cfg.scale != "demo":
        return
    for loaded in streams:
        transform: Any = loaded.transform
        if (transform.short_side, list(transform.crop)) != (demo.short_side, list(demo.crop)):
            continue
        for dataset in loaded.datasets:
            height, width = dataset.size(0)
            if not is_generated(cfg, dataset.name) and min(height, width) > SHRUNK * demo.short_side:
                crop = "×".join(map(str, demo.crop))
                warnings.warn(
                    f"scale=demo trains on crops of {crop} pixels from images made small, short sides of "
                    f"{demo.short_side}: it is for the embedded data, and images of {dataset.name} have "
                    f"{height}×{width}. For photographs set scale=medium (scale=paper), or transform.short_side and "
                    "transform.crop",
                    Remark,
                    stacklevel=2,
                )
                return


def remark_trained(streams: Iterable[LoadedStream], evaluated: Mapping[str, SegmentationDataset]) -> None:
    """Remark evaluated images that are trained on with their labels: lists or folders of splits that overlap."""
    labelled = [loaded for loaded in streams if loaded.stream.role == "labelled"]
    trained = {sample.image for loaded in labelled for dataset in loaded.datasets for sample in dataset.samples}
    for name, dataset in evaluated.items():
        if common := [sample.image for sample in dataset.samples if sample.image in trained]:
            warnings.warn(
                f"evaluate: {len(common)} of the {len(dataset)} images of {name} are trained on with their labels, "
                f"such as {common[0]}: what is measured there says nothing of other images",
                Remark,
                stacklevel=2,
            )


def tables_of(method: nn.Module) -> str:
    """Digest of what a method learns by that no checkpoint holds: class relations, what datasets label."""
    kept, digest = method.state_dict(), hashlib.blake2b(digest_size=8)
    for name, table in method.named_buffers():
        if name not in kept:
            digest.update(f"{name} {tuple(table.shape)}".encode() + table.cpu().numpy().tobytes())
    return digest.hexdigest()
