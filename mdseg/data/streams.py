"""Which image sits in which slot of which batch: a pure function of (seed, step)."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROLES = ("labelled", "unlabelled", "target")


class SampleKey(NamedTuple):
    """One slot of one batch; everything random about the sample follows from it and the seed."""

    stream: str
    index: int
    step: int
    slot: int


def keyed_generator(seed: int, *key: int | str) -> np.random.Generator:
    """NumPy generator that depends on the seed and the key alone, whatever was drawn before."""
    words = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in key]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


@lru_cache(maxsize=64)
def _permutation(seed: int, name: str, epoch: int, length: int) -> np.ndarray:
    return keyed_generator(seed, "permutation", name, epoch).permutation(length)


def permuted(seed: int, name: str, position: int, length: int) -> int:
    """Element at a position of an endless sequence of fresh permutations of `range(length)`."""
    epoch, offset = divmod(position, length)
    return int(_permutation(seed, name, epoch, length)[offset])


@dataclass(frozen=True)
class Stream:
    """A role, one or several datasets, a batch size and how they mix.

    Args:
        sizes: images per dataset, in order; an index counts through their concatenation.
        batch_size: images per step, over all ranks.
        mixing: `concat` (one permutation over the concatenation: datasets appear in proportion to their size),
            `per_dataset` (equal shares of every batch, the first datasets getting what does not divide), or a weight
            per dataset (each slot draws a dataset with these odds, then an image of it, with replacement).

    Raises:
        ValueError: an unknown role or mixing, an empty dataset, a batch smaller than the number of shares.
    """

    name: str
    role: str
    datasets: tuple[str, ...]
    sizes: tuple[int, ...]
    batch_size: int
    mixing: str | Mapping[str, float | int] = "concat"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"streams.{self.name}.role: expected one of {', '.join(ROLES)}, got {self.role!r}")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"streams.{self.name}.batch_size: expected at least 1, got {self.batch_size}")
        for dataset, size in zip(self.datasets, self.sizes, strict=True):
            if size == 0:
                raise ValueError(f"streams.{self.name}: dataset {dataset!r} has no images in this split")
        if self.mixing == "per_dataset":
            if self.batch_size < len(self.datasets):
                raise ValueError(
                    f"streams.{self.name}: mixing per_dataset needs a batch of at least {len(self.datasets)} images "
                    f"(one per dataset), got batch_size {self.batch_size}"
                )
        elif self.mixing != "concat" and not self._weights_are_valid():
            raise ValueError(
                f"streams.{self.name}.mixing: expected 'concat', 'per_dataset' or a positive weight for each of "
                f"{', '.join(self.datasets)}, got {self.mixing!r}"
            )

    def _weights_are_valid(self) -> bool:
        return (
            isinstance(self.mixing, Mapping)
            and set(self.mixing) == set(self.datasets)
            and all(weight >= 0 for weight in self.mixing.values())
            and sum(self.mixing.values()) > 0
        )

    @property
    def offsets(self) -> tuple[int, ...]:
        """First index of each dataset in the concatenation, and the total at the end."""
        return (0, *np.cumsum(self.sizes).tolist())

    def __len__(self) -> int:
        return sum(self.sizes)

    def locate(self, index: int) -> tuple[int, int]:
        """Dataset (position in `datasets`) and image of an index."""
        dataset = int(np.searchsorted(self.offsets, index, side="right")) - 1
        return dataset, index - self.offsets[dataset]

    def epoch(self, step: int) -> int:
        """How often the stream has been seen in full before this step; whatever a paper does per epoch uses it."""
        return step * self.batch_size // len(self)

    def indices(self, seed: int, step: int) -> list[int]:
        """The images of a step's batch, slot by slot."""
        if self.mixing == "concat":
            first = step * self.batch_size
            return [permuted(seed, self.name, first + slot, len(self)) for slot in range(self.batch_size)]
        if self.mixing == "per_dataset":
            return [self._shared_index(seed, step, slot) for slot in range(self.batch_size)]
        return [self._drawn_index(seed, step, slot) for slot in range(self.batch_size)]

    def _shared_index(self, seed: int, step: int, slot: int) -> int:
        count = len(self.datasets)
        dataset = slot % count
        share = (self.batch_size - dataset + count - 1) // count
        position = step * share + slot // count
        return self.offsets[dataset] + permuted(
            seed, f"{self.name}/{self.datasets[dataset]}", position, self.sizes[dataset]
        )

    def _drawn_index(self, seed: int, step: int, slot: int) -> int:
        weights = np.array([self.mixing[dataset] for dataset in self.datasets], dtype=float)
        generator = keyed_generator(seed, "draw", self.name, step, slot)
        dataset = int(generator.choice(len(weights), p=weights / weights.sum()))
        return self.offsets[dataset] + int(generator.integers(self.sizes[dataset]))


class StreamSampler:
    """Batch sampler over several streams; rank r of w takes the slots r, r + w, ... of every stream.

    Its length is always `steps`; iteration begins at `start`, the number of batches trained so far.
    """

    def __init__(
        self, streams: Sequence[Stream], seed: int, steps: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        for stream in streams:
            if stream.batch_size < world_size:
                raise ValueError(
                    f"streams.{stream.name}.batch_size is {stream.batch_size}, but there are {world_size} devices: "
                    "every device needs at least one image (raise the batch size or use fewer devices)"
                )
        self.streams, self.seed, self.steps, self.start = tuple(streams), seed, steps, start
        self.rank, self.world_size = rank, world_size

    def batch_at(self, step: int) -> list[SampleKey]:
        """This rank's keys of a step."""
        return [
            SampleKey(stream.name, index, step, slot)
            for stream in self.streams
            for slot, index in enumerate(stream.indices(self.seed, step))
            if slot % self.world_size == self.rank
        ]

    def __iter__(self) -> Iterator[list[SampleKey]]:
        return (self.batch_at(step) for step in range(self.start, self.steps))

    def __len__(self) -> int:
        return self.steps


def labelled_subset(keys: Sequence[str], labelled: str | int, seed: int, name: str) -> list[int]:
    """Positions of the images that count as labelled, in order.

    Args:
        labelled: `all`; a number of images; a fraction `1/8` (rounded up); or the path of a text file with one key per
            line.

    Raises:
        ValueError: more images asked for than there are, a fraction that is none, a key that does not exist.
    """
    labelled = str(labelled)
    if labelled == "all":
        return list(range(len(keys)))
    if labelled.endswith(".txt"):
        return _listed(keys, Path(labelled), name)
    count = _subset_size(labelled, len(keys), name)
    chosen = keyed_generator(seed, "labelled", name).permutation(len(keys))[:count]
    return sorted(chosen.tolist())


def _subset_size(labelled: str, available: int, name: str) -> int:
    try:
        count = math.ceil(available / int(labelled[2:])) if labelled.startswith("1/") else int(labelled)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{name}.labelled: expected all, a number, a fraction such as 1/8 or a .txt file, got {labelled!r}"
        ) from None
    if not 0 < count <= available:
        raise ValueError(f"{name}.labelled: {labelled} asks for {count} images, but there are {available}")
    return count


def _listed(keys: Sequence[str], path: Path, name: str) -> list[int]:
    if not path.is_file():
        raise FileNotFoundError(f"{name}.labelled: no list file {path}")
    position = {key: index for index, key in enumerate(keys)}
    wanted = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not wanted:
        raise ValueError(f"{name}.labelled: {path} names no image")
    for key in wanted:
        if key not in position:
            raise ValueError(
                f"{name}.labelled: {path} names {key!r}, which is none of the {len(keys)} images (such as {keys[0]!r})"
            )
    return sorted({position[key] for key in wanted})
