"""The parts that datasets play in a run: what of it is certainly a mistake, and what is worth a remark."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mdseg.evaluation.roles import EVALUATION_ROLES
from mdseg.system.wording import Remark

# Options of a layout that do not say which images there are.
BESIDE = ("mask_dir", "mask_ending", "without_mask", "orientation", "_partial_", "_convert_", "_recursive_")


def check_roles(stages: Mapping[str, DictConfig], starts: Mapping[str, Collection[str]]) -> None:
    """Refuse lists and roles of datasets that contradict each other; remark what may be on purpose.

    Args:
        stages: configuration of every stage, in order.
        starts: the stages and paths that each of them starts from.

    Raises:
        ValueError: a dataset that has two roles in the evaluation, one that is trained on and
            evaluated as unseen, or one that is source and target at once; it says what to write.
    """
    trained: dict[str, set[str]] = {}
    for name, stage in stages.items():
        _check_evaluated(stage.evaluate)
        _check_targets(stage.streams)
        earlier = [trained[origin] for origin in starts[name] if origin in trained]
        trained[name] = {dataset for node in stage.streams.values() for dataset in node.datasets}.union(*earlier)
        _check_unseen(stage, trained[name])
        from_elsewhere = any(origin not in trained for origin in starts[name])
        _remark(stage, trained[name], from_elsewhere)


def same_images(first: DictConfig, second: DictConfig) -> bool:
    """Whether two descriptors list the same images: one root, read by one layout; their masks and labels may differ."""
    return _images(first) == _images(second)


def _images(described: DictConfig) -> tuple[Path, Any]:
    """Root and options by which images are found; a folder of images below the root is part of it."""
    root, options = Path(str(described.root)).expanduser(), described.layout
    if isinstance(options, DictConfig):
        given = {key: options[key] for key in options if key not in BESIDE}
        options = {key: value for key, value in given.items() if value not in (None, "")}  # as where they are left out
        if isinstance(options.get("image_dir"), str) and "lists" not in options:
            root /= options.pop("image_dir")
    return root.resolve(), options


def _check_evaluated(evaluate: DictConfig) -> None:
    role_of: dict[str, str] = {}
    for role in EVALUATION_ROLES:
        for name in evaluate[role]:
            if name in role_of:
                raise ValueError(
                    f"evaluate: {name} stands in {role_of[name]} and in {role}; leave it in one of them: seen (trained "
                    "on, with labels), target (trained on, without labels) or unseen"
                )
            role_of[name] = role


def _check_targets(streams: Mapping[str, Any]) -> None:
    for name, target in streams.items():
        for source, node in streams.items() if target.role == "target" and not target.exclude_labelled else ():
            both = [dataset for dataset in target.datasets if dataset in node.datasets]
            if node.role == "labelled" and both and node.split == target.split:
                raise ValueError(
                    f"streams.{name}.datasets: {', '.join(both)} is in streams.{source} with its labels, too: source "
                    "and target at once. Leave it out of one of them; images of a dataset of which only some have "
                    f"labels are a stream of role unlabelled with exclude_labelled={source} (family=semi)"
                )


def _check_unseen(stage: DictConfig, trained: Collection[str]) -> None:
    for name in stage.evaluate.unseen:
        found = name if name in trained else _twin(stage, name, trained)
        if found is None:
            continue
        labelled = any(found in node.datasets for node in stage.streams.values() if node.role == "labelled")
        what = "the run trains on it" if found == name else f"it has the images of {found}, which the run trains on"
        raise ValueError(
            f"evaluate.unseen: {name}: {what}; write evaluate.{'seen' if labelled else 'target'}, or leave it out of "
            "the streams"
        )


def _remark(stage: DictConfig, trained: Collection[str], from_elsewhere: bool) -> None:
    names = sorted(trained)
    for position, name in enumerate(names):
        if (twin := _twin(stage, name, names[:position])) is not None:
            said = f"datasets {twin} and {name} have the same images (root and layout), and both are trained on"
            warnings.warn(said, Remark, stacklevel=3)
    for name in stage.evaluate.seen if not from_elsewhere else ():
        if name not in trained and _twin(stage, name, trained) is None:
            warnings.warn(
                f"evaluate.seen: {name}: no stream trains on it, but it counts as seen, and best.ckpt is chosen by it; "
                "evaluate.unseen is for such datasets",
                Remark,
                stacklevel=3,
            )


def _twin(stage: DictConfig, name: str, others: Iterable[str]) -> str | None:
    """One of the other datasets that has the same images, if any."""
    described = stage.get("datasets", {})
    known = [other for other in others if other in described and other != name] if name in described else []
    return next((other for other in known if same_images(described[name], described[other])), None)
