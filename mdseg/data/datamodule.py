"""One loader and one worker pool for all streams; one more for evaluation."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from mdseg.data.dataset import SegmentationDataset
from mdseg.data.selection import LoadedStream, with_class_draws
from mdseg.data.sizes import Refusal, check_crop, check_evaluated, remark_enlarged, takes_any
from mdseg.data.statistics import count_classes
from mdseg.data.streams import SampleKey, StreamSampler, keyed_generator
from mdseg.data.transforms import evaluation_factor, network_input, pad_to_multiple, resize_mask, shifted
from mdseg.data.workers import Loader, check_handing_on, cores, start_worker
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE

Batch = dict[str, Any]


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
    """Sample of a key: read, mapped to train ids, cropped and augmented; the same in any worker.

    Args:
        space: null where no stream is labelled.
        shifts: what is added to the channels of a dataset's images, by its name.
    """

    def __init__(
        self,
        streams: Mapping[str, LoadedStream],
        space: LabelSpace | None,
        seed: int,
        multiple: int = 1,
        shifts: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.streams, self.seed, self.multiple = dict(streams), seed, multiple
        self.shifts = dict(shifts or {})
        names = {dataset.name for loaded in self.streams.values() for dataset in loaded.datasets}
        self.dataset_index: dict[str, int] = {}
        self.train_ids: dict[str, np.ndarray] = {}
        for name in names:
            if space is not None and name in space.datasets:
                self.dataset_index[name], self.train_ids[name] = space.dataset_index(name), space.train_ids(name)

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
        image = shifted(image, self.shifts.get(dataset.name))
        return Sampled(key, stream.part(key.slot), image, mask, self.dataset_index.get(dataset.name, -1))


def collate(samples: Sequence[Sampled]) -> Batch:
    """`{stream: {image uint8 [n 3 h w], mask uint8 [n h w] where labelled, dataset int64 [n], key int64 [n]}}`.

    With a mask there is `pixels`, int64 [n 256]: how many pixels of every train id it has. Streams may differ in their
    images' size. A divided stream has instead `{stream: {dataset: [such batches]}}`.
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
        batch["pixels"] = torch.from_numpy(np.stack([count_classes(mask) for mask in masks]))
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
        short_sides: those of datasets that have another one.
        shifts: see :class:`StreamDataset`.
        score_at: `label` keeps the masks' stored size, `image` resizes them to the network's input (UniSeg's official
            code).
    """

    def __init__(
        self,
        datasets: Mapping[str, SegmentationDataset],
        short_side: int | None,
        score_at: str,
        multiple: int,
        short_sides: Mapping[str, int] | None = None,
        shifts: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.shifts = dict(shifts or {})
        if score_at not in ("label", "image"):
            raise ValueError(f"evaluation.score_at: expected label or image, got {score_at!r}")
        self.datasets, self.score_at, self.multiple = dict(datasets), score_at, multiple
        self.short_sides = {name: (short_sides or {}).get(name, short_side) for name in datasets}

    def __getitem__(self, key: ImageKey) -> tuple[ImageKey, np.ndarray, np.ndarray]:
        dataset = self.datasets[key.dataset]
        image, mask = dataset.image(key.index), dataset.mask(key.index)
        dataset.check_size(key.index, image, mask)
        seen = network_input(image, self.short_sides[key.dataset], self.multiple)
        mask = resize_mask(mask, seen.shape[:2]) if self.score_at == "image" else mask
        return key, shifted(seen, self.shifts.get(key.dataset)), mask


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
    """Every image of every dataset once, in batches of one dataset and one size, dealt out to the ranks in turn.

    Attributes:
        sizes: (height, width) of the images of each dataset, each size once.
    """

    def __init__(
        self, datasets: Mapping[str, SegmentationDataset], batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not datasets:
            raise ValueError("evaluate: no dataset to evaluate on; set evaluate.seen=[...]")
        by_size = {name: _by_size(name, dataset) for name, dataset in datasets.items()}
        self.sizes = {name: list(keys) for name, keys in by_size.items()}
        batches = [
            keys[first : first + batch_size]
            for of_dataset in by_size.values()
            for keys in of_dataset.values()
            for first in range(0, len(keys), batch_size)
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


def _by_size(name: str, dataset: SegmentationDataset) -> dict[tuple[int, int], list[ImageKey]]:
    by_size = defaultdict(list)
    for index in range(len(dataset)):
        by_size[dataset.size(index)].append(ImageKey(name, index))
    return by_size


def check_labelled(dataset: SegmentationDataset, mask: np.ndarray, train_ids: np.ndarray, where: str) -> None:
    """Refuse a dataset of whose masks every pixel is ignored; all are read only where the first ones are such.

    Args:
        mask: of its first image, or a part of it.
        train_ids: class index → what counts of it, 255 where it is ignored.

    Raises:
        ValueError: it names the dataset.
    """
    masks = (cv2.LUT(dataset.mask(index), train_ids) for index in range(len(dataset)))
    if (mask == IGNORE).all() and all((each == IGNORE).all() for each in masks):
        raise ValueError(
            f"{where}: dataset {dataset.name!r}: none of its {len(dataset)} masks has a pixel of a class that counts, "
            f"all of them are ignored: see `{dataset.table.ignore_key}` and `unknown_ids` of label table "
            f"'{dataset.table.name}', and label_space"
        )


class EvaluationData(pl.LightningDataModule):
    """The evaluated datasets.

    Args:
        evaluated: name → dataset on the split to evaluate.
        evaluation_short_side: short side in pixels at which images are evaluated; null keeps their size.
        evaluation_short_sides: those of datasets that have another one.
        score_at: `label` or `image`, see :class:`EvaluationDataset`.
        multiple: the sizes given to the network are multiples of this.
        refusal: what the network says to other sizes, see `Refusal` in :mod:`mdseg.data.sizes`; null: nothing.
    """

    def __init__(
        self,
        evaluated: Mapping[str, SegmentationDataset],
        workers: int,
        evaluation_batch_size: int,
        evaluation_short_side: int | None,
        score_at: str = "label",
        multiple: int = 1,
        evaluation_short_sides: Mapping[str, int] | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__()
        self.refusal = refusal or takes_any
        self.evaluation_short_sides = dict(evaluation_short_sides or {})
        self.shifts: dict[str, np.ndarray] = {}  # what is added to the channels of images, by dataset
        self.evaluated, self.workers = dict(evaluated), workers
        self.evaluation_batch_size, self.evaluation_short_side = evaluation_batch_size, evaluation_short_side
        self.score_at, self.multiple = score_at, multiple
        cv2.setNumThreads(0)

    def check(self, world_size: int) -> None:
        """Deal batches out to so many devices, and read the first image of every dataset.

        Raises:
            ValueError: too few images for the devices, a file that cannot be used, a dataset without a labelled pixel,
                a size that the network refuses, or temporary files that workers cannot have.
        """
        if self.workers:
            check_handing_on()
        sampler = EvaluationSampler(self.evaluated, self.evaluation_batch_size, world_size=world_size)
        evaluation = self._evaluation_dataset()
        factors = {}
        for name, sizes in sampler.sizes.items():
            short_side = evaluation.short_sides[name]
            images = max((len(batch) for batch in sampler.batches if batch[0].dataset == name), default=1)
            check_evaluated(name, sizes, short_side, self.multiple, self.refusal, images)
            factors[name] = [evaluation_factor(size, short_side) for size in sizes]
            _, _, mask = evaluation[ImageKey(name, 0)]
            check_labelled(self.evaluated[name], mask, np.arange(IGNORE + 1, dtype=np.uint8), "evaluate")
        remark_enlarged(factors, "evaluation.short_side", "for evaluation")

    def val_dataloader(self) -> DataLoader:
        sampler = EvaluationSampler(self.evaluated, self.evaluation_batch_size, *self._rank())
        return self._loader(self._evaluation_dataset(), sampler, collate_evaluation)

    def _evaluation_dataset(self) -> EvaluationDataset:
        return EvaluationDataset(
            self.evaluated,
            self.evaluation_short_side,
            self.score_at,
            self.multiple,
            self.evaluation_short_sides,
            self.shifts,
        )

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, dataset: Dataset, sampler: Any, collate_fn: Any) -> DataLoader:
        return Loader(
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
            ValueError: images without masks would have to be padded, since nothing could mark the padding; a labelled
                dataset has no labelled pixel.
        """
        self._train_sampler(0, world_size)
        # Mixed in any way that needs no statistics of all masks.
        plain = {
            name: replace(loaded, stream=replace(loaded.stream, mixing="concat"))
            for name, loaded in self.streams.items()
        }
        training = StreamDataset(plain, self.space, self.seed, self.multiple)
        images = max(1, sum(loaded.stream.per_step for loaded in plain.values()) // world_size)
        for name, loaded in plain.items():
            check_crop(loaded, self.multiple, self.refusal, images)
            for dataset, first in zip(loaded.datasets, loaded.stream.offsets[:-1], strict=True):
                mask = training[SampleKey(name, first, 0, 0)].mask
                if mask is not None:
                    check_labelled(dataset, mask, training.train_ids[dataset.name], f"streams.{name}")
        if self.evaluated:
            super().check(world_size)

    def count_classes(self) -> None:
        """Count the pixels of masks for the streams that draw rare classes; costly the first time.

        Raises:
            ValueError: such a stream has no labelled pixel.
        """
        self.streams = with_class_draws(self.streams, self.space, min(self.workers, cores()))

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._train_dataset(), self._train_sampler(*self._rank()), collate)

    def _train_dataset(self) -> StreamDataset:
        return StreamDataset(self.streams, self.space, self.seed, self.multiple, self.shifts)

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
