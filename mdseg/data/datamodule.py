"""One loader and one worker pool for all streams; one more for evaluation."""

import math
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from mdseg.data.dataset import SegmentationDataset
from mdseg.data.rare_class import RareClass, class_draw
from mdseg.data.statistics import mask_sizes, train_id_pixels
from mdseg.data.streams import SampleKey, Stream, StreamSampler, keyed_generator, labelled_subset
from mdseg.data.transforms import RandomCrop, evaluation_size, pad_to_multiple, resize, resize_mask
from mdseg.labels.spaces import LabelSpace

Batch = dict[str, dict[str, Any]]


class StreamDataset(Dataset):
    """Sample of a key: read, mapped to train ids, cropped and augmented; the same in any worker."""

    def __init__(
        self,
        streams: Mapping[str, tuple[Stream, Sequence[SegmentationDataset]]],
        space: LabelSpace,
        transforms: Mapping[str, RandomCrop],
        seed: int,
        multiple: int = 1,
    ) -> None:
        self.streams, self.transforms, self.seed, self.multiple = dict(streams), dict(transforms), seed, multiple
        names = {dataset.name for _, datasets in self.streams.values() for dataset in datasets}
        self.dataset_index = {name: space.dataset_index(name) for name in names if name in space.datasets}
        self.train_ids = {name: space.train_ids(name) for name in self.dataset_index}

    def __getitem__(self, key: SampleKey) -> tuple[SampleKey, np.ndarray, np.ndarray | None, int]:
        stream, datasets = self.streams[key.stream]
        position, index = stream.locate(key.index)
        dataset = datasets[position]
        image = dataset.image(index)
        mask = None
        if stream.role == "labelled":
            mask = cv2.LUT(dataset.mask(index), self.train_ids[dataset.name])
            dataset.check_size(index, image, mask)
        generator = keyed_generator(self.seed, "sample", key.stream, key.step, key.slot)
        wanted = stream.wanted_at(self.seed, key.step, key.slot)
        image, mask = self.transforms[key.stream](image, mask, generator, wanted)
        image, mask = pad_to_multiple(image, mask, self.multiple)
        return key, image, mask, self.dataset_index.get(dataset.name, -1)


def collate(samples: Sequence[tuple[SampleKey, np.ndarray, np.ndarray | None, int]]) -> Batch:
    """`{stream: {image uint8 [n 3 h w], mask uint8 [n h w] where labelled, dataset int64 [n], key int64 [n]}}`.

    Streams may differ in their images' size.
    """
    grouped = defaultdict(list)
    for sample in samples:
        grouped[sample[0].stream].append(sample)
    return {name: _stacked(members) for name, members in grouped.items()}


def _stacked(members: Sequence[tuple[SampleKey, np.ndarray, np.ndarray | None, int]]) -> dict[str, torch.Tensor]:
    keys, images, masks, datasets = zip(*members, strict=True)
    batch = {
        "image": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        "dataset": torch.tensor(datasets),
        "key": torch.tensor([key.index for key in keys]),
    }
    if masks[0] is not None:
        batch["mask"] = torch.from_numpy(np.stack(masks))
    return batch


class ImageKey(NamedTuple):
    dataset: str
    index: int


class EvaluationDataset(Dataset):
    """Whole images at the evaluation size with their masks as class indices of their own dataset.

    Args:
        short_side: short side in pixels of the network's input; null keeps each image's size.
        score_at: `label` keeps the masks' stored size, `image` resizes them to the network's input (UniSeg's official
            code).
    """

    def __init__(
        self, datasets: Mapping[str, SegmentationDataset], short_side: int | None, score_at: str, multiple: int
    ) -> None:
        if score_at not in ("label", "image"):
            raise ValueError(f"evaluation.score_at: expected label or image, got {score_at!r}")
        self.datasets, self.short_side, self.score_at, self.multiple = dict(datasets), short_side, score_at, multiple

    def __getitem__(self, key: ImageKey) -> tuple[ImageKey, np.ndarray, np.ndarray]:
        dataset = self.datasets[key.dataset]
        image, mask = dataset.image(key.index), dataset.mask(key.index)
        dataset.check_size(key.index, image, mask)
        size = evaluation_size(image.shape[:2], self.short_side, self.multiple)
        return key, resize(image, size), resize_mask(mask, size) if self.score_at == "image" else mask


def collate_evaluation(samples: Sequence[tuple[ImageKey, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """`{name: dataset, key int64 [n], image uint8 [n 3 h w], mask uint8 [n H W]}`, all of one dataset."""
    keys, images, masks = zip(*samples, strict=True)
    return {
        "name": keys[0].dataset,
        "key": torch.tensor([key.index for key in keys]),
        "image": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        "mask": torch.from_numpy(np.stack(masks)),
    }


class EvaluationSampler:
    """Every image of every dataset once, in batches of one dataset and one size, dealt out to the ranks in turn."""

    def __init__(
        self, datasets: Mapping[str, SegmentationDataset], batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not datasets:
            raise ValueError("evaluate: no dataset to evaluate on; set evaluate.seen=[...]")
        batches = [
            batch for name, dataset in datasets.items() for batch in _same_size_batches(name, dataset, batch_size)
        ]
        if len(batches) < world_size:
            raise ValueError(
                f"evaluation has {len(batches)} batches for {world_size} devices: lower evaluation.batch_size, or "
                "evaluate more images"
            )
        self.batches = batches[rank::world_size]

    def __iter__(self) -> Iterator[list[ImageKey]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _same_size_batches(name: str, dataset: SegmentationDataset, batch_size: int) -> list[list[ImageKey]]:
    by_size = defaultdict(list)
    for index in range(len(dataset)):
        by_size[dataset.size(index)].append(ImageKey(name, index))
    return [keys[i : i + batch_size] for keys in by_size.values() for i in range(0, len(keys), batch_size)]


def start_worker(_: int) -> None:
    """Workers leave signals to the main process, which saves first, and OpenCV's threads off."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def kill_workers() -> None:
    """What an error leaves of a loader: they ignore SIGTERM, so at exit Python would wait for them forever."""
    # PyTorch's handler would raise in whatever comes next, such as the next job of a sweep.
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def cores() -> int:
    """Cores that this process may use; with more workers than that, PyTorch warns. Batches do not depend on it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class EvaluationData(pl.LightningDataModule):
    """The evaluated datasets.

    Args:
        evaluated: name → dataset on the split to evaluate.
        evaluation_short_side: short side in pixels at which images are evaluated; null keeps their size.
        score_at: `label` or `image`, see :class:`EvaluationDataset`.
        multiple: the sizes given to the network are multiples of this.
    """

    def __init__(
        self,
        evaluated: Mapping[str, SegmentationDataset],
        workers: int,
        evaluation_batch_size: int,
        evaluation_short_side: int | None,
        score_at: str = "label",
        multiple: int = 1,
    ) -> None:
        super().__init__()
        self.evaluated, self.workers = dict(evaluated), workers
        self.evaluation_batch_size, self.evaluation_short_side = evaluation_batch_size, evaluation_short_side
        self.score_at, self.multiple = score_at, multiple
        cv2.setNumThreads(0)

    def check(self, world_size: int) -> None:
        """Deal batches out to so many devices, and read the first image of every dataset.

        Raises:
            ValueError: too few images for the devices, or a file that cannot be used.
        """
        EvaluationSampler(self.evaluated, self.evaluation_batch_size, world_size=world_size)
        evaluation = self._evaluation_dataset()
        for name in self.evaluated:
            evaluation[ImageKey(name, 0)]

    def val_dataloader(self) -> DataLoader:
        sampler = EvaluationSampler(self.evaluated, self.evaluation_batch_size, *self._rank())
        return self._loader(self._evaluation_dataset(), sampler, collate_evaluation)

    def _evaluation_dataset(self) -> EvaluationDataset:
        return EvaluationDataset(self.evaluated, self.evaluation_short_side, self.score_at, self.multiple)

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, dataset: Dataset, sampler: Any, collate_fn: Any) -> DataLoader:
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate_fn,
            num_workers=min(self.workers, cores()),
            worker_init_fn=start_worker,
            pin_memory=torch.cuda.is_available(),
        )


class SegmentationDataModule(EvaluationData):
    """All data of a stage.

    Args:
        streams: name → (stream, its datasets in order).
        transforms: name of a stream → what its images go through.
        steps: optimiser steps of the stage; the training loader has exactly this length.
        evaluation: arguments of :class:`EvaluationData`.
    """

    def __init__(
        self,
        streams: Mapping[str, tuple[Stream, Sequence[SegmentationDataset]]],
        space: LabelSpace,
        transforms: Mapping[str, RandomCrop],
        seed: int,
        steps: int,
        **evaluation: Any,
    ) -> None:
        super().__init__(**evaluation)
        self.streams = with_class_draws(streams, space, transforms, min(self.workers, cores()))
        self.space, self.transforms, self.seed, self.steps = space, dict(transforms), seed, steps
        self.start = 0

    def check(self, world_size: int) -> None:
        """The same for training, whose images are transformed, too.

        Raises:
            ValueError: images without masks would have to be padded, since nothing could mark the padding.
        """
        streams = [stream for stream, _ in self.streams.values()]
        StreamSampler(streams, self.seed, self.steps, world_size=world_size)
        training = self._train_dataset()
        for stream in streams:
            if stream.role != "labelled":
                self._check_unpadded(stream.name)
            for first in stream.offsets[:-1]:
                training[SampleKey(stream.name, first, 0, 0)]
        super().check(world_size)

    def _check_unpadded(self, name: str) -> None:
        crop = self.transforms[name].crop
        fitting = tuple(max(1, round(side / self.multiple)) * self.multiple for side in crop)
        if crop != fitting:
            raise ValueError(
                f"streams.{name}: the network takes sides that are multiples of {self.multiple}, and crops of "
                f"{list(crop)} without masks are not padded, since nothing would mark the padding; a crop that fits is "
                f"transform.crop=[{fitting[0]},{fitting[1]}] (streams.{name}.transform sets it for this stream alone)"
            )

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._train_dataset(), self._train_sampler(), collate)

    def _train_dataset(self) -> StreamDataset:
        return StreamDataset(self.streams, self.space, self.transforms, self.seed, self.multiple)

    def _train_sampler(self) -> StreamSampler:
        streams = [stream for stream, _ in self.streams.values()]
        return StreamSampler(streams, self.seed, self.steps, self.start, *self._rank())

    def samples_at(self, step: int) -> list[tuple[str, str]]:
        """Dataset and key of every image in this rank's batch of a step."""
        samples = []
        for key in self._train_sampler().batch_at(step):
            stream, datasets = self.streams[key.stream]
            position, index = stream.locate(key.index)
            samples.append((datasets[position].name, datasets[position].samples[index].key))
        return samples

    def state_dict(self) -> dict[str, int]:
        # `processed` has been raised when callbacks save in on_train_batch_end; `completed` has not. Before training
        # goes on, when a validation is repeated, it is 0.
        return {"step": max(self.start, self.trainer.fit_loop.epoch_loop.batch_progress.current.processed)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.start = state_dict["step"]


def select_streams(
    streams: Mapping[str, Mapping[str, Any]], load: Callable[[str, str], SegmentationDataset], seed: int
) -> dict[str, tuple[Stream, list[SegmentationDataset]]]:
    """Streams of a configuration with their datasets read and their labelled subsets drawn.

    Args:
        streams: name → `{role, datasets, split, batch_size, mixing, labelled, exclude_labelled}`, and perhaps
            `rare_class`. `labelled` keeps a subset of each dataset; `exclude_labelled` names the stream whose images
            are left out of this one.
        load: (dataset name, split) → SegmentationDataset.

    Raises:
        ValueError: a subset that cannot be drawn, or `exclude_labelled` naming a stream that does not come before this
        one.
    """
    selected: dict[str, tuple[Stream, list[SegmentationDataset]]] = {}
    for name, config in streams.items():
        datasets = [load(dataset, config["split"]) for dataset in config["datasets"]]
        subsets = [_subset(name, config, dataset, seed) for dataset in datasets]
        if excluded := config["exclude_labelled"]:
            if excluded not in selected:
                raise ValueError(f"streams.{name}.exclude_labelled: no stream {excluded!r} before this one")
            taken = {sample.image for dataset in selected[excluded][1] for sample in dataset.samples}
            subsets = [
                [index for index in subset if dataset.samples[index].image not in taken]
                for dataset, subset in zip(datasets, subsets, strict=True)
            ]
            for dataset, subset in zip(datasets, subsets, strict=True):
                if not subset and len(dataset):
                    raise ValueError(
                        f"streams.{name}: no image of dataset {dataset.name!r} is left, all are in streams.{excluded}; "
                        f"label fewer of them, such as streams.{excluded}.labelled=1/8"
                    )
        datasets = [_restricted(dataset, subset) for dataset, subset in zip(datasets, subsets, strict=True)]
        sizes = tuple(len(dataset) for dataset in datasets)
        selected[name] = (
            Stream(
                name,
                config["role"],
                tuple(config["datasets"]),
                sizes,
                config["batch_size"],
                config["mixing"],
                _rare_class(name, config.get("rare_class")),
            ),
            datasets,
        )
    return selected


def _subset(name: str, config: Mapping[str, Any], dataset: SegmentationDataset, seed: int) -> list[int]:
    keys, images = ([getattr(sample, part) for sample in dataset.samples] for part in ("key", "image"))
    return labelled_subset(keys, config["labelled"], seed, f"streams.{name}.{dataset.name}", images)


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
    streams: Mapping[str, tuple[Stream, Sequence[SegmentationDataset]]],
    space: LabelSpace,
    transforms: Mapping[str, RandomCrop],
    workers: int = 0,
) -> dict[str, tuple[Stream, Sequence[SegmentationDataset]]]:
    """The streams with what mixing `rare_class` draws from, for which the pixels of their masks are counted.

    Raises:
        ValueError: such a stream has no labelled pixel.
    """
    drawn = {}
    for name, (stream, datasets) in streams.items():
        if stream.mixing == "rare_class":
            pixels = np.concatenate([train_id_pixels(dataset, space, workers) for dataset in datasets])
            sizes = np.concatenate([mask_sizes(dataset, workers) for dataset in datasets]).tolist()
            resized = np.array([transforms[name].factor((height, width)) ** 2 for height, width in sizes])
            try:
                draw = class_draw(pixels, resized, math.prod(transforms[name].crop), stream.rare_class)
            except ValueError as error:
                raise ValueError(f"streams.{name}: {error}") from error
            stream = replace(stream, class_draw=draw)
        drawn[name] = (stream, datasets)
    return drawn
