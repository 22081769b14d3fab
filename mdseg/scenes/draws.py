"""Random draws of one image: a pure function of (seed, domain, split, index, version)."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Draws:
    """Scalar draws served from blocks of a PCG64 stream; a scalar call of the generator itself costs ten times more."""

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
        self._generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
        self._block: list[float] = []

    def random(self) -> float:
        """Uniform in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(2048).tolist()
        return self._block.pop()

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.random()

    def integer(self, low: int, high: int) -> int:
        """Uniform among low, ..., high - 1."""
        return low + int((high - low) * self.random())

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[int(len(items) * self.random())]

    def weighted(self, weights: dict[Item, float]) -> Item:
        """One of the keys, in proportion to its value."""
        threshold = self.random() * sum(weights.values())
        for item, weight in weights.items():
            threshold -= weight
            if threshold < 0:
                return item
        return item

    def count(self, expected: float) -> int:
        """How many: Poisson with the given mean, at most 4 + 2 * mean."""
        limit, product, number = np.exp(-expected), self.random(), 0
        while product > limit and number < 4 + 2 * expected:
            product *= self.random()
            number += 1
        return number

    def around(self, value: float, spread: float) -> float:
        """Uniform within a fraction `spread` of the value."""
        return value * (1 + spread * (2 * self.random() - 1))
