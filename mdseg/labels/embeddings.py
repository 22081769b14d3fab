"""Label embeddings: a vector for every class of every dataset, or several of them, in one space (Kalluri et al., 2019).

The file that holds them is read with `weights_only=True` and says where they come from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mdseg.system.files import write_atomically
from mdseg.system.wording import shortened

FILE = "embeddings.pt"  # what a stage that computes them calls its file
FORMAT, VERSION = "label embeddings of mdseg", 1
KEYS = ("format", "version", "dimension", "centroids", "pca_scope", "seed", "datasets")


@dataclass(frozen=True, eq=False)
class DatasetEmbeddings:
    """Those of one dataset.

    Args:
        classes: its class names, in the order of its label table.
        vectors: `centroids` of them for every class that has pixels, class by class; as they were measured, not
            normalised.
        class_index: the class of every vector.
        pixels: how many labelled pixels of each class were seen.
    """

    classes: tuple[str, ...]
    vectors: Float[Tensor, "r d"]
    class_index: Int64[Tensor, " r"]
    pixels: Int64[Tensor, " c"]

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without a labelled pixel, which have no vector."""
        seen = set(self.class_index.tolist())
        return tuple(name for index, name in enumerate(self.classes) if index not in seen)


@dataclass(frozen=True, eq=False)
class LabelEmbeddings:
    """Those of all datasets, and how they were computed.

    Args:
        dimension: d of every vector.
        centroids: vectors per class.
        pca_scope: `per_dataset` or `joint`.
    """

    datasets: Mapping[str, DatasetEmbeddings]
    dimension: int
    centroids: int
    pca_scope: str
    seed: int

    def save(self, path: Path) -> None:
        """Write them whole or not at all."""
        parts = {name: asdict(part) | {"classes": list(part.classes)} for name, part in self.datasets.items()}
        document = {"format": FORMAT, "version": VERSION, "dimension": self.dimension, "centroids": self.centroids}
        document |= {"pca_scope": self.pca_scope, "seed": self.seed, "datasets": parts}
        write_atomically(path, lambda file: torch.save(document, file))


def load(path: Path) -> LabelEmbeddings:
    """Embeddings of a file, or of the folder of a stage that has computed them.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the file is damaged, something else, or of another version.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no label embeddings {file}; a stage that computes them writes {FILE}")
    try:
        document = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch says goes on with advice to load it without this protection
        raise ValueError(f"{file}: damaged, or no label embeddings at all ({type(error).__name__})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{file}: no label embeddings; expected a file that a stage of embeddings has written")
    if document.get("version") != VERSION:
        raise ValueError(
            f"{file}: label embeddings of version {document.get('version')}, this mdseg reads version {VERSION}: "
            "compute them again"
        )
    if missing := [key for key in KEYS if key not in document]:
        raise ValueError(f"{file}: label embeddings without {', '.join(missing)}: compute them again")
    return _parsed(document, file)


def _parsed(document: Mapping[str, Any], file: Path) -> LabelEmbeddings:
    parts, keys = {}, [field.name for field in fields(DatasetEmbeddings)]
    dimension, centroids = document["dimension"], document["centroids"]
    for name, part in document["datasets"].items():
        if missing := [key for key in keys if key not in part]:
            raise ValueError(f"{file}: dataset {name!r} is without {', '.join(missing)}: compute them again")
        vectors, of_class = part["vectors"], torch.bincount(part["class_index"], minlength=len(part["classes"]))
        rows, sound = len(part["class_index"]), len(of_class) == len(part["classes"]) == len(part["pixels"])
        if vectors.shape != (rows, dimension) or not vectors.isfinite().all():
            raise ValueError(
                f"{file}: dataset {name!r} has vectors {tuple(vectors.shape)} for {rows} rows of dimension "
                f"{dimension}, or some that are not finite: compute them again"
            )
        if not sound or not set(of_class.tolist()) <= {0, centroids}:
            raise ValueError(
                f"{file}: dataset {name!r} has not {centroids} vectors for every one of its classes that has any: "
                "compute them again"
            )
        parts[name] = DatasetEmbeddings(tuple(part["classes"]), vectors, part["class_index"], part["pixels"])
    return LabelEmbeddings(parts, dimension, centroids, document["pca_scope"], document["seed"])


def check(
    found: LabelEmbeddings, path: Path, classes: Mapping[str, tuple[str, ...]], dimension: int, centroids: int
) -> None:
    """Refuse embeddings that a model with these datasets, classes and sizes cannot use.

    Args:
        classes: those of each dataset, in the order of its label table.

    Raises:
        ValueError: what differs.
    """
    for what, there, here in (("dimension", found.dimension, dimension), ("centroids", found.centroids, centroids)):
        if there != here:
            raise ValueError(
                f"{path}: label embeddings with {what} {there}, but method.{what} is {here}; make them equal"
            )
    for name, names in classes.items():
        if name not in found.datasets:
            has = ", ".join(found.datasets)
            raise ValueError(f"{path}: no label embeddings of dataset {name!r}, but of {has}: compute them anew")
        found_names = found.datasets[name].classes
        if found_names != names:
            differing = shortened(sorted(set(found_names) ^ set(names))) or "their order"
            raise ValueError(
                f"{path}: label embeddings of dataset {name!r} are of {len(found_names)} classes, here it has "
                f"{len(names)}; they differ in {differing}: compute them anew"
            )
