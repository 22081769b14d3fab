"""The streams of a configuration with their datasets: divided ones, labelled subsets, draws of rare classes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mdseg.data.dataset import SegmentationDataset
from mdseg.data.rare_class import RareClass, class_draw
from mdseg.data.statistics import mask_sizes, train_id_pixels
from mdseg.data.streams import Stream, labelled_subset
from mdseg.data.transforms import RandomCrop
from mdseg.labels.spaces import LabelSpace

OF_A_PART = (
    "batch_size",
    "micro_batches",
    "labelled",
    "transform",
)  # what a part of a divided stream may have of its own


@dataclass(frozen=True)
class LoadedStream:
    """A stream with its datasets, in order, and what their images go through.

    Args:
        chosen: whether it has not all images of its datasets, but a labelled subset or the rest.
    """

    stream: Stream
    datasets: Sequence[SegmentationDataset]
    transform: RandomCrop
    chosen: bool = False


def divided(streams: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Streams of a configuration, those with `per_dataset` as parts of one dataset each, called `<stream>/<dataset>`.

    A part has the stream's values unless `per_dataset` has another for its dataset; what it has for datasets that the
    stream does not have is left alone.

    Raises:
        ValueError: `per_dataset` has a key that is none, or `micro_batches` belongs to a stream without it.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, config in streams.items():
        own = config.get("per_dataset")
        if own is None:
            for key in ("micro_batches", "alternate"):
                if config.get(key):
                    raise ValueError(f"streams.{name}.{key}: only of a stream with per_dataset; set it to null")
            parts[name] = dict(config)
            continue
        for dataset, values in own.items():
            where, unknown = f"streams.{name}.per_dataset.{dataset}", set(values or {}) - set(OF_A_PART)
            if unknown:
                raise ValueError(f"{where}: unknown keys {sorted(unknown)}; it may have {', '.join(OF_A_PART)}")
        for number, dataset in enumerate(config["datasets"]):
            values = own.get(dataset) or {}
            transform = {**(config.get("transform") or {}), **(values.get("transform") or {})}
            labelled = _labelled_of(dataset, config, name)
            part = {**config, "micro_batches": config.get("micro_batches") or 1, "labelled": labelled, **values}
            part |= {"datasets": [dataset], "transform": transform or None}
            part["turn"] = (number, len(config["datasets"])) if config.get("alternate") else None
            parts[f"{name}/{dataset}"] = part
    return parts


def select_streams(
    streams: Mapping[str, Mapping[str, Any]],
    load: Callable[[str, str, str], SegmentationDataset],
    transforms: Mapping[str, RandomCrop],
    seed: int,
) -> dict[str, LoadedStream]:
    """Streams of a configuration, divided, with their datasets read and their labelled subsets drawn.

    Args:
        streams: name → `{role, datasets, split, batch_size, mixing, labelled, exclude_labelled}`, and perhaps
            `rare_class`, `micro_batches`. `labelled` keeps a subset of each dataset, or by its name, in a stream of
            that role of the images that have masks; `exclude_labelled` names the stream whose images are left out of
            this one.
        load: (dataset name, split, role of the stream) → SegmentationDataset.
        transforms: by the same names.

    Raises:
        ValueError: a subset that cannot be drawn, or `exclude_labelled` naming a stream that does not come before this
        one.
    """
    selected: dict[str, LoadedStream] = {}
    for name, config in streams.items():
        whole = [load(dataset, config["split"], config["role"]) for dataset in config["datasets"]]
        subsets = [_subset(name, config, dataset, seed) for dataset in whole]
        if excluded := config["exclude_labelled"]:
            subsets = _rest(name, excluded, whole, subsets, selected)
        datasets = [_restricted(dataset, subset) for dataset, subset in zip(whole, subsets, strict=True)]
        stream = Stream(
            name,
            config["role"],
            tuple(config["datasets"]),
            tuple(len(dataset) for dataset in datasets),
            config["batch_size"],
            config["mixing"],
            _rare_class(name, config.get("rare_class")),
            micro_batches=_micro_batches(name, config, [len(dataset) for dataset in datasets], selected),
            turn=config.get("turn"),
        )
        chosen = config["labelled"] != "all" or excluded is not None
        selected[name] = LoadedStream(stream, datasets, transforms[name], chosen)
    return selected


def _micro_batches(
    name: str, config: Mapping[str, Any], sizes: Sequence[int], selected: Mapping[str, LoadedStream]
) -> int | None:
    """Micro-batches of a part per step; `auto`: as many as let its epoch end with that of the labelled images.

    Raises:
        ValueError: `auto` without a labelled stream of the same dataset before this one.
    """
    given = config.get("micro_batches")
    if given != "auto":
        return given
    labelled = [
        loaded.stream
        for loaded in selected.values()
        if loaded.stream.role == "labelled" and loaded.stream.datasets == tuple(config["datasets"])
    ]
    if not labelled:
        raise ValueError(
            f"streams.{name}.micro_batches=auto: there is no labelled stream of {', '.join(config['datasets'])} alone "
            "before this one, whose epochs could be followed; give a number"
        )
    # In whole numbers: a quotient of quotients may end just below the one that is meant.
    return max(1, sum(sizes) * labelled[0].per_step // (config["batch_size"] * len(labelled[0])))


def _rest(
    name: str,
    excluded: str,
    datasets: Sequence[SegmentationDataset],
    subsets: Sequence[Sequence[int]],
    selected: Mapping[str, LoadedStream],
) -> list[list[int]]:
    """What is left of the subsets of a stream without the images of another one."""
    others = [loaded for loaded in selected.values() if loaded.stream.whole == excluded]
    if not others:
        raise ValueError(f"streams.{name}.exclude_labelled: no stream {excluded!r} before this one")
    taken = {sample.image for loaded in others for dataset in loaded.datasets for sample in dataset.samples}
    left = []
    for dataset, subset in zip(datasets, subsets, strict=True):
        left.append([index for index in subset if dataset.samples[index].image not in taken])
        if not left[-1] and len(dataset):
            raise ValueError(
                f"streams.{name}: no image of dataset {dataset.name!r} is left, all are in streams.{excluded}; "
                f"label fewer of them, such as streams.{excluded}.labelled=1/8"
            )
    return left


def _subset(name: str, config: Mapping[str, Any], dataset: SegmentationDataset, seed: int) -> list[int]:
    keys, images = ([getattr(sample, part) for sample in dataset.samples] for part in ("key", "image"))
    labelled = _labelled_of(dataset.name, config, name)
    # The part of a divided stream draws what the stream itself would.
    return labelled_subset(keys, labelled, seed, f"streams.{name.partition('/')[0]}.{dataset.name}", images)


def _labelled_of(dataset: str, config: Mapping[str, Any], name: str) -> Any:
    """What a stream says of which images of a dataset are labelled.

    Raises:
        ValueError: it says so of other datasets than it has.
    """
    labelled = config["labelled"]
    if not isinstance(labelled, Mapping):
        return labelled
    if set(labelled) != set(config["datasets"]):
        raise ValueError(
            f"streams.{name}.labelled: expected one value, or one for each of {', '.join(config['datasets'])}, got "
            f"{dict(labelled)}"
        )
    return labelled[dataset]


def _restricted(dataset: SegmentationDataset, subset: Sequence[int]) -> SegmentationDataset:
    if len(subset) == len(dataset):
        return dataset
    return SegmentationDataset(dataset.name, [dataset.samples[index] for index in subset], dataset.table)


def _rare_class(name: str, options: Mapping[str, Any] | None) -> RareClass | None:
    known = {field.name for field in fields(RareClass)}
    if options is not None and set(options) != known:
        raise ValueError(f"streams.{name}.rare_class: expected {', '.join(sorted(known))}, got {dict(options)}")
    try:
        return RareClass(**options) if options is not None else None
    except ValueError as error:
        raise ValueError(f"streams.{name}.rare_class.{error}") from error


def with_class_draws(
    streams: Mapping[str, LoadedStream], space: LabelSpace, workers: int = 0
) -> dict[str, LoadedStream]:
    """The streams with what mixing `rare_class` draws from, for which the pixels of their masks are counted.

    Raises:
        ValueError: such a stream has no labelled pixel.
    """
    drawn = {}
    for name, loaded in streams.items():
        stream, transform = loaded.stream, loaded.transform
        if stream.mixing == "rare_class" and stream.rare_class is not None and stream.class_draw is None:
            pixels = np.concatenate([train_id_pixels(dataset, space, workers) for dataset in loaded.datasets])
            sizes = np.concatenate([mask_sizes(dataset, workers) for dataset in loaded.datasets]).tolist()
            resized = np.array([transform.factor((height, width)) ** 2 for height, width in sizes])
            try:
                draw = class_draw(pixels, resized, math.prod(transform.crop), stream.rare_class)
            except ValueError as error:
                raise ValueError(f"streams.{name}: {error}") from error
            loaded = replace(loaded, stream=replace(stream, class_draw=draw))
        drawn[name] = loaded
    return drawn
