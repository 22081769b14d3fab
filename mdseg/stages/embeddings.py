"""The stage that computes label embeddings (Kalluri et al., ICCV 2019, arXiv:1811.10323, supplement A)."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from scipy.cluster.vq import kmeans2
from torch import Tensor

from mdseg.config.building import build_transforms
from mdseg.config.keys import short_side
from mdseg.data.dataset import SegmentationDataset
from mdseg.data.streams import keyed_generator
from mdseg.figures.embeddings import similarities
from mdseg.labels.embeddings import FILE, DatasetEmbeddings, LabelEmbeddings
from mdseg.methods.universal import feature_channels
from mdseg.pixels.classwise import class_sums, features_at
from mdseg.runs.dashboard import Dashboard
from mdseg.runs.log import StageLog
from mdseg.runs.trained import Trained, load_trained
from mdseg.stages.stage import Stage
from mdseg.system.devices import choose_device
from mdseg.system.files import write_text
from mdseg.system.ranks import main_process
from mdseg.system.signals import StopSignals

SCOPES = ("per_dataset", "joint")
CLUSTERED = 20_000  # sampled pixels of every class that K-means sees, at most: they stay in memory


class EstimateEmbeddings(Stage):
    """Label embeddings of every dataset, by the network that an earlier stage has trained on it alone.

    The features of its labelled images, in evaluation mode and without augmentation, are reduced by PCA; the mean of a
    class's pixels is its embedding, or the centres of its clusters are. Every dataset has a network and a PCA of its
    own, so the embeddings of different datasets lie in unrelated coordinates: fixed targets, to which the universal
    network learns to map pixels. Written are embeddings.pt, nearest.csv (for every class the most similar one of each
    other dataset) and pictures of the similarities.

    Args:
        dimension: d of the embeddings; at most as many as the features have channels.
        centroids: K vectors per class: its mean (1), or the centres that K-means finds among sampled pixels.
        pca_scope: `per_dataset`, or `joint`: one PCA of all datasets' samples.
        samples: labelled pixels of every class and image that PCA and K-means see, at most; K-means sees fewer of each
            image where these would be more than 20 000 of a class.
    """

    def __init__(self, dimension: int, centroids: int, pca_scope: str, samples: int, **common: Any) -> None:
        super().__init__(**common)
        for name, value in (("dimension", dimension), ("centroids", centroids), ("samples", samples)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"stage {self.name}: run.{name}: expected a whole number of at least 1, got {value}")
        if pca_scope not in SCOPES:
            raise ValueError(f"stage {self.name}: run.pca_scope: expected {' or '.join(SCOPES)}, got {pca_scope!r}")
        self.dimension, self.centroids, self.pca_scope, self.samples = dimension, centroids, pca_scope, samples
        streams = self.datasets.streams(self.cfg, build_transforms(self.cfg))
        self.labelled: dict[str, SegmentationDataset] = {
            dataset.name: dataset
            for loaded in streams.values()
            if loaded.stream.role == "labelled"
            for dataset in loaded.datasets
        }
        if set(self.origins) != set(self.labelled):
            raise ValueError(
                f"stage {self.name}: from has networks for {', '.join(self.origins) or 'no dataset'}, but the labelled "
                f"datasets are {', '.join(self.labelled)}; give one for each: from={{<dataset>: <stage or run folder>}}"
            )
        channels = feature_channels(self.build_network(published=False))
        if dimension > channels:
            raise ValueError(
                f"stage {self.name}: run.dimension={dimension}, but the features of this network have {channels} "
                f"channels, which a PCA only makes fewer; set embedding_dimension={channels} or less"
            )
        for name in self.origins:
            if self.origins[name] not in self.earlier:
                self.load(name)

    def looks_at(self) -> dict[str, SegmentationDataset]:
        return dict(self.labelled)

    def check(self, world_size: int) -> None:
        for dataset in self.labelled.values():
            dataset.check_size(0, dataset.image(0), dataset.mask(0))

    def load(self, dataset: str) -> Trained:
        """The network that was trained on a dataset.

        Raises:
            ValueError, FileNotFoundError: there is none, or it was trained on other datasets.
        """
        trained = load_trained(self.origin(dataset))
        if trained.space.datasets != (dataset,):
            raise ValueError(
                f"stage {self.name}: from.{dataset} is {trained.path}, which was trained on "
                f"{', '.join(trained.space.datasets)}; it must be a network of {dataset} alone"
            )
        return trained

    def __call__(self, stop: StopSignals, dashboard: Dashboard) -> dict[str, Any]:
        seen = {name: self.see(name, dataset) for name, dataset in self.labelled.items()}
        joint = None
        if self.pca_scope == "joint":
            joint = Projection.fitted(Moments.added([each.moments for each in seen.values()]), self.dimension)
        parts = {}
        for name, each in seen.items():
            reduce = joint or Projection.fitted(each.moments, self.dimension)
            parts[name] = self.embed(self.labelled[name], each, reduce)
        found = LabelEmbeddings(parts, self.dimension, self.centroids, self.pca_scope, self.cfg.seed)
        found.save(self.folder / FILE)  # every rank the same: none has to wait for another one's
        if main_process():
            self.show(found, StageLog(self.folder, dashboard))
        return {
            "dimension": self.dimension,
            "centroids": self.centroids,
            "pca_scope": self.pca_scope,
            "images": sum(len(dataset) for dataset in self.labelled.values()),
            "embeddings": sum(len(part.vectors) for part in parts.values()),
            "absent": {name: list(part.absent) for name, part in parts.items() if part.absent},
        }

    @torch.no_grad()
    def see(self, name: str, dataset: SegmentationDataset) -> "Seen":
        """Sums and samples of the features of every class, over all labelled images of a dataset.

        Raises:
            ValueError: no pixel of theirs has a label.
        """
        trained, device = self.load(name), choose_device("cpu" if self.cfg.trainer.accelerator == "cpu" else "auto")
        trained.model.to(device)
        predictor = trained.predictor(short_side(self.cfg.evaluation, name), name)
        align_corners, num_classes = trained.cfg.align_corners, dataset.table.num_classes
        seen = Seen(num_classes, keep=max(1, CLUSTERED // len(dataset)) if self.centroids > 1 else 0)
        for index in range(len(dataset)):
            features = trained.model.features(predictor.prepared(dataset.image(index)).to(device))[0]
            mask = torch.from_numpy(dataset.mask(index)).long().to(device)
            sums, counts = class_sums(features, mask, num_classes, align_corners)
            generator = keyed_generator(self.cfg.seed, "embeddings", name, index)
            samples = {}
            for class_index in torch.nonzero(counts).flatten().tolist():
                pixels = torch.nonzero(mask == class_index)
                chosen = torch.from_numpy(np.sort(generator.permutation(len(pixels))[: self.samples])).to(device)
                size = (mask.shape[0], mask.shape[1])
                samples[class_index] = features_at(features, pixels[chosen], size, align_corners).cpu()
            seen.add(sums.cpu(), counts.cpu(), samples)
        if seen.moments.count == 0:
            raise ValueError(
                f"stage {self.name}: none of the {len(dataset)} labelled images of {name} has a pixel with a label; "
                "label other ones: streams.labelled.labelled"
            )
        return seen

    def embed(self, dataset: SegmentationDataset, seen: "Seen", reduce: "Projection") -> DatasetEmbeddings:
        """Embeddings of the classes that have pixels."""
        vectors, class_index = [], []
        for index in torch.nonzero(seen.counts).flatten().tolist():
            mean = reduce(seen.sums[index] / seen.counts[index])
            found = mean[None]
            if self.centroids > 1:
                pixels = reduce(torch.cat(seen.samples[index]).double())
                found = centres(pixels, mean, self.centroids, self.cfg.seed)
            vectors.append(found)
            class_index += [index] * self.centroids
        names = tuple(dataset.table.names)
        return DatasetEmbeddings(names, torch.cat(vectors).float(), torch.tensor(class_index), seen.counts)

    def show(self, found: LabelEmbeddings, log: StageLog) -> None:
        """A table of the nearest classes, and pictures."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("dataset", "class", "pixels", "other dataset", "nearest class", "cosine"))
        for name, part in found.datasets.items():
            for other, others in found.datasets.items():
                if other == name:
                    continue
                cosine = cosines(part, others)
                for row, class_name in enumerate(part.classes):
                    pixels = part.pixels[row].item()
                    if not cosine[row].isfinite().any():
                        writer.writerow((name, class_name, pixels, other, "", ""))
                        continue
                    best = int(cosine[row].nan_to_num(-2).argmax())
                    writer.writerow((name, class_name, pixels, other, others.classes[best], f"{cosine[row, best]:.3f}"))
                if self.cfg.panels and list(found.datasets).index(name) < list(found.datasets).index(other):
                    title = f"cosine of label embeddings, PCA {self.pca_scope.replace('_', ' ')}; framed: the nearest"
                    drawn = similarities(cosine.numpy(), (name, part.classes), (other, others.classes), title)
                    log.picture(f"{name}_{other}", drawn)
        write_text(self.folder / "nearest.csv", text.getvalue())

    def describe(self) -> list[str]:
        images = ", ".join(f"{name} ({len(dataset)} images)" for name, dataset in self.labelled.items())
        return [
            f"label embeddings of {images}: {self.centroids} per class, dimension {self.dimension}, "
            f"PCA {self.pca_scope}",
            f"writes {self.folder / FILE}, nearest.csv, figures/",
        ]


class Moments:
    """Number, sum and products of features, from which mean and covariance follow.

    Args:
        count: of features.
    """

    def __init__(self, count: int, total: Float64[Tensor, " f"], products: Float64[Tensor, "f f"]) -> None:
        self.count, self.total, self.products = count, total, products

    @classmethod
    def of(cls, features: Float[Tensor, "m f"]) -> "Moments":
        """Those of some features."""
        exact = features.double()
        return cls(len(exact), exact.sum(dim=0), exact.t() @ exact)

    @classmethod
    def added(cls, parts: "Sequence[Moments]") -> "Moments":
        """Those of all features that the parts are of."""
        count, total, products = parts[0].count, parts[0].total, parts[0].products
        for part in parts[1:]:
            count, total, products = count + part.count, total + part.total, products + part.products
        return cls(count, total, products)


class Seen:
    """What a dataset's labelled images have shown of its classes so far.

    Args:
        keep: samples of every class and image that are kept, for K-means; PCA needs their moments only.

    Attributes:
        sums, counts: of the features over all pixels of every class.
        samples: features of some pixels of every class, image by image.
    """

    def __init__(self, num_classes: int, keep: int) -> None:
        self.keep, self.sums = keep, torch.zeros(num_classes, 1, dtype=torch.float64)
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self.samples: list[list[Tensor]] = [[] for _ in range(num_classes)]
        self.moments = Moments(0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))

    def add(self, sums: Float[Tensor, "k d"], counts: Int64[Tensor, " k"], samples: Mapping[int, Tensor]) -> None:
        """What an image has shown; its samples by class."""
        self.sums, self.counts = self.sums + sums.double(), self.counts + counts
        for index, features in samples.items():
            self.moments = Moments.added([self.moments, Moments.of(features)])
            if self.keep:
                self.samples[index].append(features[:: math.ceil(len(features) / self.keep)].clone())


class Projection:
    """Features minus their mean, in the directions in which samples vary most; not whitened."""

    def __init__(self, mean: Float64[Tensor, " f"], directions: Float64[Tensor, "f d"]) -> None:
        self.mean, self.directions = mean, directions

    @classmethod
    def fitted(cls, moments: Moments, dimension: int) -> "Projection":
        """The principal directions of samples, each with its largest component positive."""
        mean = moments.total / moments.count
        _, vectors = torch.linalg.eigh(moments.products / moments.count - torch.outer(mean, mean))
        directions = vectors.flip(1)[:, :dimension]
        largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        return cls(mean, directions * largest.sign())

    def __call__(self, features: Float64[Tensor, "*batch f"]) -> Float64[Tensor, "*batch d"]:
        return (features - self.mean) @ self.directions


def centres(
    pixels: Float64[Tensor, "m d"], mean: Float64[Tensor, " d"], count: int, seed: int
) -> Float64[Tensor, "k d"]:
    """Centres of K-means, the largest cluster's first; of fewer distinct pixels than that, the mean repeated."""
    if len(torch.unique(pixels, dim=0)) < count:
        return mean.expand(count, -1).clone()
    found, labels = kmeans2(pixels.numpy(), count, minit="++", missing="warn", seed=seed)
    sizes = np.bincount(labels, minlength=count)
    return torch.from_numpy(found[np.argsort(-sizes, kind="stable")])


def cosines(part: DatasetEmbeddings, others: DatasetEmbeddings) -> Float[Tensor, "c c2"]:
    """Largest cosine between the vectors of every class of two datasets; nan where one has none."""
    cosine = F.normalize(part.vectors, dim=1) @ F.normalize(others.vectors, dim=1).t()
    table = torch.full((len(part.classes), len(others.classes)), -2.0)
    rows, columns = (of.class_index for of in (part, others))
    flat = rows[:, None] * len(others.classes) + columns[None]
    table.view(-1).scatter_reduce_(0, flat.flatten(), cosine.flatten(), "amax")
    return table.masked_fill(table < -1.5, torch.nan)
