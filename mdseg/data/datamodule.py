"""One loader and one worker pool for all streams; one more for evaluation."""

import math
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
from mdseg.data.transforms import RandomCrop, network_input, pad_to_multiple, resize_mask
from mdseg.labels.spaces import LabelSpace

Batch = dict[str, Any]


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


class Sampled(NamedTuple):
    """What a worker makes of a key.

    Args:
        part: the micro-batch of a divided stream; None where the stream is not divided.
        dataset: row of the image's dataset in the label space; -1 where it is not of it.
    """

    key: SampleKey
    part: int | None
    image: np.ndarray
    mask: np.ndarray | None
    dataset: int


class StreamDataset(Dataset):
    """Sample of a key: read, mapped to train ids, cropped and augmented; the same in any worker."""

    def __init__(self, streams: Mapping[str, LoadedStream], space: LabelSpace, seed: int, multiple: int = 1) -> None:
        self.streams, self.seed, self.multiple = dict(streams), seed, multiple
        names = {dataset.name for loaded in self.streams.values() for dataset in loaded.datasets}
        self.dataset_index = {name: space.dataset_index(name) for name in names if name in space.datasets}
        self.train_ids = {name: space.train_ids(name) for name in self.dataset_index}

    def __getitem__(self, key: SampleKey) -> Sampled:
        loaded = self.streams[key.stream]
        stream = loaded.stream
        position, index = stream.locate(key.index)
        dataset = loaded.datasets[position]
        image = dataset.image(index)
        mask = None
        if stream.role == "labelled":
            mask = cv2.LUT(dataset.mask(index), self.train_ids[dataset.name])
            dataset.check_size(index, image, mask)
        generator = keyed_generator(self.seed, "sample", key.stream, key.step, key.slot)
        wanted = stream.wanted_at(self.seed, key.step, key.slot)
        image, mask = loaded.transform(image, mask, generator, wanted)
        image, mask = pad_to_multiple(image, mask, self.multiple)
        return Sampled(key, stream.part(key.slot), image, mask, self.dataset_index.get(dataset.name, -1))


def collate(samples: Sequence[Sampled]) -> Batch:
    """`{stream: {image uint8 [n 3 h w], mask uint8 [n h w] where labelled, dataset int64 [n], key int64 [n]}}`.

    Streams may differ in their images' size. A divided stream has instead `{stream: {dataset: [such batches]}}`.
    """
    grouped: dict[tuple[str, int | None], list[Sampled]] = defaultdict(list)
    for sample in samples:
        grouped[sample.key.stream, sample.part].append(sample)
    batch: Batch = {}
    for (name, part), members in grouped.items():
        if part is None:
            batch[name] = _stacked(members)
        else:
            whole, _, dataset = name.partition("/")
            batch.setdefault(whole, {}).setdefault(dataset, []).append(_stacked(members))
    return batch


def _stacked(members: Sequence[Sampled]) -> dict[str, torch.Tensor]:
    batch = {
        "image": torch.from_numpy(np.stack([sample.image for sample in members])).permute(0, 3, 1, 2),
        "dataset": torch.tensor([sample.dataset for sample in members]),
        "key": torch.tensor([sample.key.index for sample in members]),
    }
    masks = [sample.mask for sample in members if sample.mask is not None]
    if masks:
        batch["mask"] = torch.from_numpy(np.stack(masks))
    return batch


def count_images(batch: Any) -> int:
    """Images in a batch, in all its streams and their parts."""
    if isinstance(batch, list):
        return sum(count_images(part) for part in batch)
    return len(batch["image"]) if "image" in batch else sum(count_images(part) for part in batch.values())


class ImageKey(NamedTuple):
    """An image of an evaluated dataset."""

    dataset: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a key


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
        seen = network_input(image, self.short_side, self.multiple)
        return key, seen, resize_mask(mask, seen.shape[:2]) if self.score_at == "image" else mask


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
        steps: steps of the stage; the training loader has exactly this length.
        evaluation: arguments of :class:`EvaluationData`.
    """

    def __init__(
        self, streams: Mapping[str, LoadedStream], space: LabelSpace, seed: int, steps: int, **evaluation: Any
    ) -> None:
        super().__init__(**evaluation)
        self.streams, self.space, self.seed, self.steps = dict(streams), space, seed, steps
        self.start = 0

    def keep(self, names: Collection[str]) -> None:
        """Leave out the streams that nothing reads."""
        self.streams = {name: loaded for name, loaded in self.streams.items() if loaded.stream.whole in names}

    def check(self, world_size: int) -> None:
        """The same for training, whose images are transformed, too.

        Raises:
            ValueError: images without masks would have to be padded, since nothing could mark the padding.
        """
        self._train_sampler(0, world_size)
        # Mixed in any way that needs no statistics of all masks.
        plain = {
            name: replace(loaded, stream=replace(loaded.stream, mixing="concat"))
            for name, loaded in self.streams.items()
        }
        training = StreamDataset(plain, self.space, self.seed, self.multiple)
        for name, loaded in plain.items():
            if loaded.stream.role != "labelled":
                self._check_unpadded(name)
            for first in loaded.stream.offsets[:-1]:
                training[SampleKey(name, first, 0, 0)]
        if self.evaluated:
            super().check(world_size)

    def count_classes(self) -> None:
        """Count the pixels of masks for the streams that draw rare classes; costly the first time.

        Raises:
            ValueError: such a stream has no labelled pixel.
        """
        self.streams = with_class_draws(self.streams, self.space, min(self.workers, cores()))

    def _check_unpadded(self, name: str) -> None:
        crop = self.streams[name].transform.crop
        fitting = tuple(max(1, round(side / self.multiple)) * self.multiple for side in crop)
        if crop != fitting:
            raise ValueError(
                f"streams.{name}: the network takes sides that are multiples of {self.multiple}, and crops of "
                f"{list(crop)} without masks are not padded, since nothing would mark the padding; a crop that fits is "
                f"transform.crop=[{fitting[0]},{fitting[1]}] (streams.{name}.transform sets it for this stream alone)"
            )

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._train_dataset(), self._train_sampler(*self._rank()), collate)

    def _train_dataset(self) -> StreamDataset:
        return StreamDataset(self.streams, self.space, self.seed, self.multiple)

    def _train_sampler(self, rank: int, world_size: int) -> StreamSampler:
        streams = [loaded.stream for loaded in self.streams.values()]
        return StreamSampler(streams, self.seed, self.steps, self.start, rank, world_size)

    def samples_at(self, step: int) -> list[tuple[str, str]]:
        """Dataset and key of every image in this rank's batch of a step."""
        samples = []
        for key in self._train_sampler(*self._rank()).batch_at(step):
            loaded = self.streams[key.stream]
            position, index = loaded.stream.locate(key.index)
            samples.append((loaded.datasets[position].name, loaded.datasets[position].samples[index].key))
        return samples

    def state_dict(self) -> dict[str, int]:
        # `processed` has been raised when callbacks save in on_train_batch_end; `completed` has not. Before training
        # goes on, when a validation is repeated, it is 0.
        if self.trainer is None:
            return {"step": self.start}
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current  # declared as a tracker without it
        return {"step": max(self.start, progress.processed)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.start = state_dict["step"]


def divided(streams: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Streams of a configuration, those with `per_dataset` as parts of one dataset each, called `<stream>/<dataset>`.

    A part has the stream's values unless `per_dataset` has another for its dataset.

    Raises:
        ValueError: `per_dataset` names a dataset that the stream does not have, or a key that is none.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, config in streams.items():
        own = config.get("per_dataset")
        if own is None:
            parts[name] = dict(config)
            continue
        for dataset, values in own.items():
            where, unknown = f"streams.{name}.per_dataset.{dataset}", set(values or {}) - set(OF_A_PART)
            if dataset not in config["datasets"]:
                raise ValueError(f"{where}: the stream has no such dataset; it has {', '.join(config['datasets'])}")
            if unknown:
                raise ValueError(f"{where}: unknown keys {sorted(unknown)}; it may have {', '.join(OF_A_PART)}")
        for dataset in config["datasets"]:
            values = own.get(dataset) or {}
            transform = {**(config.get("transform") or {}), **(values.get("transform") or {})}
            labelled = config["labelled"]
            labelled = labelled.get(dataset) if isinstance(labelled, Mapping) else labelled
            part = {**config, "micro_batches": 1, "labelled": labelled, **values}
            part |= {"datasets": [dataset], "transform": transform or None}
            parts[f"{name}/{dataset}"] = part
    return parts


OF_A_PART = ("batch_size", "micro_batches", "labelled", "transform")


def select_streams(
    streams: Mapping[str, Mapping[str, Any]],
    load: Callable[[str, str], SegmentationDataset],
    transforms: Mapping[str, RandomCrop],
    seed: int,
) -> dict[str, LoadedStream]:
    """Streams of a configuration, divided, with their datasets read and their labelled subsets drawn.

    Args:
        streams: name → `{role, datasets, split, batch_size, mixing, labelled, exclude_labelled}`, and perhaps
            `rare_class`, `micro_batches`. `labelled` keeps a subset of each dataset, or by its name; `exclude_labelled`
            names the stream whose images are left out of this one.
        load: (dataset name, split) → SegmentationDataset.
        transforms: by the same names.

    Raises:
        ValueError: a subset that cannot be drawn, or `exclude_labelled` naming a stream that does not come before this
        one.
    """
    selected: dict[str, LoadedStream] = {}
    for name, config in streams.items():
        whole = [load(dataset, config["split"]) for dataset in config["datasets"]]
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
            micro_batches=config.get("micro_batches"),
        )
        chosen = config["labelled"] != "all" or excluded is not None
        selected[name] = LoadedStream(stream, datasets, transforms[name], chosen)
    return selected


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
    labelled = config["labelled"]
    if isinstance(labelled, Mapping):
        if set(labelled) != set(config["datasets"]):
            raise ValueError(
                f"streams.{name}.labelled: expected one value, or one for each of {', '.join(config['datasets'])}, got "
                f"{dict(labelled)}"
            )
        labelled = labelled[dataset.name]
    # The part of a divided stream draws what the stream itself would.
    return labelled_subset(keys, labelled, seed, f"streams.{name.partition('/')[0]}.{dataset.name}", images)


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
