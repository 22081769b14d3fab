"""Which image sits in which slot of which batch: a pure function of (seed, step)."""

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from mdseg.data.lists import remark_repeated, text_of, there
from mdseg.data.rare_class import ClassDraw, RareClass, Wanted

STREAM_ROLES = ("labelled", "unlabelled", "target")


class SampleKey(NamedTuple):
    """One slot of one batch; everything random about the sample follows from it and the seed."""

    stream: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a key
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
        name: in a batch; `unlabelled/camvid11` is the part of a divided stream that one dataset has.
        sizes: images per dataset, in order; an index counts through their concatenation.
        batch_size: images per batch, over all ranks.
        mixing: `concat` (one permutation over the concatenation: datasets appear in proportion to their size),
            `per_dataset` (equal shares of every batch, the first datasets getting what does not divide), a weight
            per dataset (each slot draws a dataset with these odds, then an image of it, with replacement), or
            `rare_class` (each slot draws a class, rare ones most often, then an image that shows it; labelled only).
        rare_class: how `rare_class` draws; without a part in any other mixing.
        class_draw: what `rare_class` draws from, which takes the images' statistics: see
            :func:`mdseg.data.selection.with_class_draws`.
        micro_batches: batches per step of a part of a divided stream; null: one, of a stream that is not divided.
        turn: (number, of how many) where the parts of a divided stream take turns: this one has images in every step
            that leaves this number when it is divided by how many there are. Null: in every step.

    Raises:
        ValueError: an unknown role or mixing, no dataset or an empty one, a batch smaller than the number of shares.
    """

    name: str
    role: str
    datasets: tuple[str, ...]
    sizes: tuple[int, ...]
    batch_size: int
    mixing: str | Mapping[str, float | int] = "concat"
    rare_class: RareClass | None = None
    class_draw: ClassDraw | None = None
    micro_batches: int | None = None
    turn: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.role not in STREAM_ROLES:
            raise ValueError(f"streams.{self.name}.role: expected one of {', '.join(STREAM_ROLES)}, got {self.role!r}")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"streams.{self.name}.batch_size: expected at least 1, got {self.batch_size}")
        if self.micro_batches is not None and (not isinstance(self.micro_batches, int) or self.micro_batches < 1):
            raise ValueError(f"streams.{self.name}.micro_batches: expected at least 1, got {self.micro_batches}")
        if not self.datasets:
            raise ValueError(
                f"streams.{self.name}.datasets: the stream has no images; name at least one dataset, such as "
                f"streams.{self.name}.datasets=[cityscapes]"
            )
        for dataset, size in zip(self.datasets, self.sizes, strict=True):
            if size == 0:
                raise ValueError(f"streams.{self.name}: dataset {dataset!r} has no images in this split")
        if self.mixing == "per_dataset":
            if self.batch_size < len(self.datasets):
                raise ValueError(
                    f"streams.{self.name}: mixing per_dataset needs a batch of at least {len(self.datasets)} images "
                    f"(one per dataset), got batch_size {self.batch_size}"
                )
        elif self.mixing == "rare_class":
            if self.role != "labelled":
                raise ValueError(f"streams.{self.name}: mixing rare_class needs labels, but the role is {self.role}")
            if self.rare_class is None:
                keys = ", ".join(key.name for key in fields(RareClass))
                raise ValueError(
                    f"streams.{self.name}: mixing rare_class needs streams.{self.name}.rare_class ({keys})"
                )
        elif self.mixing != "concat" and not self._weights_are_valid():
            raise ValueError(
                f"streams.{self.name}.mixing: expected 'concat', 'per_dataset', 'rare_class' or a positive weight for "
                f"each of {', '.join(self.datasets)}, got {self.mixing!r}"
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

    @property
    def whole(self) -> str:
        """Name of the stream that this one is a part of, or its own."""
        return self.name.partition("/")[0]

    @property
    def per_step(self) -> int:
        """Images per step, over all ranks."""
        return self.batch_size * (self.micro_batches or 1)

    def part(self, slot: int) -> int | None:
        """The micro-batch that a slot of a step lies in; None where the stream is not divided."""
        return None if self.micro_batches is None else slot // self.batch_size

    def locate(self, index: int) -> tuple[int, int]:
        """Dataset (position in `datasets`) and image of an index."""
        dataset = int(np.searchsorted(self.offsets, index, side="right")) - 1
        return dataset, index - self.offsets[dataset]

    @property
    def period(self) -> int:
        """Steps from one that has images of this stream to the next."""
        return 1 if self.turn is None else self.turn[1]

    def epoch(self, step: int) -> int:
        """How often the stream has been seen in full before this step; whatever a paper does per epoch uses it."""
        return self._batches_before(step) * self.per_step // len(self)

    def _batches_before(self, step: int) -> int:
        return step if self.turn is None else (step - self.turn[0] + self.turn[1] - 1) // self.turn[1]

    def indices(self, seed: int, step: int) -> list[int]:
        """The images of a step's batch, slot by slot; none where it is another part's turn."""
        if self.turn is not None and step % self.turn[1] != self.turn[0]:
            return []
        if not isinstance(self.mixing, str):
            return [self._drawn_index(self.mixing, seed, step, slot) for slot in range(self.per_step)]
        before = self._batches_before(step)
        if self.mixing == "concat":
            return [
                permuted(seed, self.name, before * self.per_step + slot, len(self)) for slot in range(self.per_step)
            ]
        if self.mixing == "per_dataset":
            return [self._shared_index(seed, before, slot) for slot in range(self.per_step)]
        return [self._rare_class(seed, step, slot)[1] for slot in range(self.per_step)]

    def rare_class_at(self, seed: int, step: int, slot: int) -> int | None:
        """Train id of the class that a slot's image was drawn for; None where mixing is not `rare_class`."""
        return self._rare_class(seed, step, slot)[0] if self.mixing == "rare_class" else None

    def wanted_at(self, seed: int, step: int, slot: int) -> Wanted | None:
        """What the crop of a slot should show."""
        train_id, options = self.rare_class_at(seed, step, slot), self.rare_class
        return None if train_id is None or options is None else Wanted(train_id, options.in_crop, options.attempts)

    def _rare_class(self, seed: int, step: int, slot: int) -> tuple[int, int]:
        if self.class_draw is None:
            raise ValueError(f"streams.{self.name}: mixing rare_class draws only after `with_class_draws`")
        return self.class_draw.draw(keyed_generator(seed, "rare class", self.name, step, slot))

    def _shared_index(self, seed: int, step: int, slot: int) -> int:
        count = len(self.datasets)
        dataset = slot % count
        share = (self.per_step - dataset + count - 1) // count
        position = step * share + slot // count
        return self.offsets[dataset] + permuted(
            seed, f"{self.name}/{self.datasets[dataset]}", position, self.sizes[dataset]
        )

    def _drawn_index(self, odds: Mapping[str, float | int], seed: int, step: int, slot: int) -> int:
        weights = np.array([odds[dataset] for dataset in self.datasets], dtype=np.float64)
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


def labelled_subset(
    keys: Sequence[str], labelled: str | int, seed: int, name: str, images: Sequence[Path] = ()
) -> list[int]:
    """Positions of the images that count as labelled, in order.

    Args:
        labelled: `all`; a number of images; a fraction `1/8` (rounded up); or the path of a text file with an image per
            line: its key, or its file's path from anywhere above it, on which the path of its labels may follow (the
            published partitions of Cityscapes).
        images: the files of these keys, by which paths are recognised.

    Raises:
        ValueError: more images asked for than there are, a fraction that is none, an image that does not exist.
    """
    labelled = str(labelled)
    if labelled == "all":
        return list(range(len(keys)))
    if labelled.endswith(".txt"):
        return _listed(keys, images, Path(labelled), name)
    count = _subset_size(labelled, len(keys), name)
    chosen = keyed_generator(seed, "labelled", name).permutation(len(keys))[:count]
    return sorted(chosen.tolist())


def _subset_size(labelled: str, available: int, name: str) -> int:
    try:
        count = math.ceil(available / int(labelled[2:])) if labelled.startswith("1/") else int(labelled)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{name}.labelled: expected all, a number of images, 1/2, 1/4, 1/8, ... or a .txt file, got {labelled!r}"
        ) from None
    if not 0 < count <= available:
        raise ValueError(f"{name}.labelled: expected 1 to {available} of its {available} images, got {labelled}")
    return count


def _listed(keys: Sequence[str], images: Sequence[Path], path: Path, name: str) -> list[int]:
    if not there(path):
        raise FileNotFoundError(f"{name}.labelled: no list file {path}")
    lines = [normalize("NFC", line.strip()) for line in text_of(path).splitlines()]  # as keys are
    if not any(lines):
        raise ValueError(f"{name}.labelled: {path} names no image")
    position = {key: index for index, key in enumerate(keys)}
    places = _by_name(keys, images)
    chosen = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        found = position.get(line)
        for entry in (line, line.split()[0]):  # the whole line first: file names may hold blanks
            found = _found(entry, places) if found is None else found
        if found is None:
            raise ValueError(
                f"{name}.labelled: {path}, line {number}, names {line!r}, none of the {len(keys)} images (such as "
                f"{keys[0]!r}); a line holds such a key, or an image's path, and after a blank perhaps its mask's"
            )
        chosen.append(found)
    remark_repeated([keys[index] for index in chosen], path)
    return sorted(set(chosen))


def _by_name(keys: Sequence[str], images: Sequence[Path]) -> dict[str, list[tuple[int, int, tuple[str, ...]]]]:
    """Name without folder and suffix → of each image so called its position, the parts of its key, and its path."""
    places = defaultdict(list)
    for index, key in enumerate(keys):
        parts = PurePosixPath(key).parts
        files = [Path(normalize("NFC", str(images[index].with_suffix("")))).parts] if images else []
        for place in {parts, *files}:
            places[place[-1]].append((index, len(parts), place))
    return places


def _found(entry: str, places: Mapping[str, list[tuple[int, int, tuple[str, ...]]]]) -> int | None:
    """The image whose path has most in common with this one, from its end on; at least the folders of its key.

    What lies above, on another machine or in another copy, may differ.
    """
    path = PurePosixPath(entry)
    common: dict[int, int] = {}
    for parts in {path.parts, path.with_suffix("").parts}:
        for index, needed, place in places.get(parts[-1], ()):
            length = _common_tail(parts, place)
            if length >= min(needed, len(parts)):
                common[index] = max(length, common.get(index, 0))
    best = [index for index, length in common.items() if length == max(common.values())]
    return best[0] if len(best) == 1 else None


def _common_tail(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
