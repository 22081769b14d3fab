"""Encoder features of classes that several datasets annotate: whether matching classes lie together in a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.neighbors import NearestNeighbors

from mdseg.data.dataset import SegmentationDataset
from mdseg.data.streams import keyed_generator
from mdseg.evaluation.predictor import Predictor
from mdseg.figures.comparison import SharedPixels
from mdseg.labels.tables import LabelTable
from mdseg.pixels.classwise import features_at
from mdseg.system.wording import nearest, shortened

FEWEST = 8  # pixels that make a picture


def shared_classes(tables: Mapping[str, LabelTable], wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the classes that at least two datasets have, or those of them that are wanted.

    Raises:
        ValueError: there are none, or one that is wanted is none of them.
    """
    names = list(dict.fromkeys(name for table in tables.values() for name in table.names))
    shared = [name for name in names if sum(name in table.names for table in tables.values()) > 1]
    if not shared:
        raise ValueError(
            f"tsne: no class is in two of the datasets {', '.join(tables) or '(none)'}; name others, with classes in "
            "common: tsne.datasets=[...]"
        )
    for name in wanted or ():
        if name not in shared:
            raise ValueError(
                f"tsne.classes: {name!r} is not a class of two of the datasets {', '.join(tables)}"
                f"{nearest(name, shared)}; these have in common {shortened(shared, 12)}"
            )
    return tuple(wanted or shared)


class Places(NamedTuple):
    """Labelled pixels of a dataset: the number of the image, row and column, and the position among the classes."""

    image: Int64[np.ndarray, " m"]
    pixel: Int64[np.ndarray, "m 2"]
    label: Int64[np.ndarray, " m"]


@dataclass(frozen=True)
class Shared:
    """Datasets, and some pixels of the classes that several of them have: the same ones for every network.

    Args:
        pixels: all of them, dataset by dataset.
    """

    datasets: Mapping[str, SegmentationDataset]
    places: Mapping[str, Places]
    pixels: SharedPixels

    @classmethod
    def drawn(
        cls, datasets: Mapping[str, SegmentationDataset], wanted: Sequence[str] | None, per_class: int, seed: int
    ) -> "Shared":
        """Up to so many pixels of every class and dataset; classes have the colour that the dataset with most has.

        Raises:
            ValueError: no class is shared, or one that is wanted is not, or there are too few pixels to draw.
        """
        tables = {name: dataset.table for name, dataset in datasets.items()}
        names = shared_classes(tables, wanted)
        colors = {
            label: color
            for table in sorted(tables.values(), key=lambda table: table.num_classes)
            for label, color in zip(table.names, table.colors, strict=True)
        }
        places = {name: draw_places(dataset, names, per_class, seed) for name, dataset in datasets.items()}
        labels = np.concatenate([each.label for each in places.values()])
        if len(labels) < FEWEST:
            raise ValueError(
                f"tsne: only {len(labels)} labelled pixels of {shortened(names)} in {', '.join(datasets)}; name other "
                "datasets, or leave tsne.pixels out"
            )
        origins = np.repeat(np.arange(len(places)), [len(each.label) for each in places.values()])
        pixels = SharedPixels(labels, origins, names, [colors[name] for name in names], tuple(datasets))
        return cls(datasets, places, pixels)


def draw_places(dataset: SegmentationDataset, classes: Sequence[str], per_class: int, seed: int) -> Places:
    """Up to so many pixels of every class, from all images, chosen by the seed alone."""
    found: list[list[np.ndarray]] = [[np.zeros((0, 3), np.int64)] for _ in classes]
    index_of = {name: index for index, name in enumerate(dataset.table.names)}
    for image in range(len(dataset)):
        mask, generator = dataset.mask(image), keyed_generator(seed, "tsne", dataset.name, image)
        for label, name in enumerate(classes):
            if name in index_of:
                pixels = np.argwhere(mask == index_of[name])
                chosen = pixels[generator.permutation(len(pixels))[:per_class]]
                found[label].append(np.insert(chosen, 0, image, axis=1))
    generator = keyed_generator(seed, "tsne", dataset.name)
    kept = [np.concatenate(places) for places in found]
    kept = [places[np.sort(generator.permutation(len(places))[:per_class])] for places in kept]
    places = np.concatenate(kept)
    labels = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in kept])
    return Places(places[:, 0], places[:, 1:], labels)


def features_of(predictors: Mapping[str, Predictor], shared: Shared) -> Float[np.ndarray, "m d"]:
    """Encoder features at the pixels, upsampled as logits are.

    Args:
        predictors: how the network sees the images of each dataset.
    """
    there = {name: places for name, places in shared.places.items() if len(places.label)}
    return np.concatenate([features_at_places(predictors[name], shared.datasets[name], there[name]) for name in there])


@torch.no_grad()
def features_at_places(predictor: Predictor, dataset: SegmentationDataset, places: Places) -> Float[np.ndarray, "m d"]:
    """Those of one dataset."""
    network: Any = predictor.network  # a `Segmenter`
    positions, features = [], []
    for number in np.unique(places.image):
        image = dataset.image(int(number))
        maps = network.features(predictor.prepared(image).to(predictor.device)).float()[0]
        positions.append(np.flatnonzero(places.image == number))
        pixels = torch.from_numpy(places.pixel[positions[-1]]).to(maps.device)
        sampled = features_at(maps, pixels, (image.shape[0], image.shape[1]), predictor.align_corners)
        features.append(sampled.cpu().numpy())
    return np.concatenate(features)[np.argsort(np.concatenate(positions))]


class Alignment(NamedTuple):
    """How matching classes of different datasets lie to each other, per class; nan where fewer than two have it."""

    mixing: Float[np.ndarray, " c"]
    matching: Float[np.ndarray, " c"]
    chance: Float[np.ndarray, " c"]


def alignment(features: Float[np.ndarray, "m d"], pixels: SharedPixels, neighbours: int) -> Alignment:
    """Whether datasets mix within classes, and whether the neighbours from other datasets are of the same class.

    Mixing: of a pixel's nearest neighbours among the pixels of its class, the share that comes from other datasets,
    divided by the share that these have of the class: 0 where datasets lie apart, 1 where they are mixed at random.
    A network to which everything looks alike mixes perfectly. Hence matching: of a pixel's nearest neighbours among the
    pixels of other datasets, the share that is of its class, to be held against its share of these pixels (chance).
    By Euclidean distance; means over the pixels of a class.

    Args:
        neighbours: how many are looked at, at most as there are.
    """
    labels, origins = pixels.labels, pixels.origins
    mixing, matching, chance = (np.full(len(pixels.names), np.nan) for _ in range(3))
    same, by_chance = (np.full(len(labels), np.nan) for _ in range(2))
    for origin in np.unique(origins):
        own, others = origins == origin, origins != origin
        if own.all():
            continue
        near = nearest_rows(features[others], features[own], neighbours)
        same[own] = (labels[others][near] == labels[own][:, None]).mean(axis=1)
        by_chance[own] = np.bincount(labels[others], minlength=len(mixing))[labels[own]] / others.sum()
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        come_from = origins[here]
        if len(np.unique(come_from)) < 2:
            continue
        near = nearest_rows(features[here], None, neighbours)
        foreign = (come_from[near] != come_from[:, None]).mean(axis=1)
        expected = (come_from[None] != come_from[:, None]).sum(axis=1) / (len(here) - 1)
        mixing[label] = (foreign / expected).mean()
        matching[label], chance[label] = same[here].mean(), by_chance[here].mean()
    return Alignment(mixing, matching, chance)


def nearest_rows(
    among: Float[np.ndarray, "m d"], points: Float[np.ndarray, "p d"] | None, count: int
) -> Int64[np.ndarray, "p k"]:
    """Rows that lie nearest to points; without points, to each of them those that lie nearest of the others."""
    count = min(count, len(among) - (points is None))
    return NearestNeighbors(n_neighbors=count).fit(among).kneighbors(points, return_distance=False)
