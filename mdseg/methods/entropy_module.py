"""The projection of pixels into the space of label embeddings, and these embeddings (Kalluri et al., ICCV 2019)."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from mdseg.labels.embeddings import DatasetEmbeddings, LabelEmbeddings
from mdseg.pixels.argmax import first_argmax
from mdseg.pixels.classwise import class_sums


class EntropyModule(nn.Module):
    """A projection of the encoder's features into the space of label embeddings, and the embeddings of all datasets.

    Args:
        features: channels of the encoder's features.
        classes: names of every dataset's classes.
        dimension: d of the embeddings.
        centroids: embeddings of every class.
        theta: below 1, embeddings are moved to the means of their classes' pixels, see :meth:`move`.
    """

    vectors: Float[Tensor, "r d"]
    sums: Float64[Tensor, "r d"]  # of pixel embeddings of every class, since its embedding has moved
    counts: Int64[Tensor, " r"]

    def __init__(
        self, features: int, classes: Mapping[str, tuple[str, ...]], dimension: int, centroids: int, theta: float | int
    ) -> None:
        super().__init__()
        self.classes, self.dimension, self.centroids, self.theta = dict(classes), dimension, centroids, theta
        self.projection = nn.Conv2d(features, dimension, kernel_size=1)
        nn.init.normal_(self.projection.weight, std=math.sqrt(2 / dimension))
        nn.init.zeros_(self.projection.get_parameter("bias"))
        counts = [centroids * len(names) for names in classes.values()]
        starts = [sum(counts[:position]) for position in range(len(counts))]
        self.rows = {
            name: slice(start, start + count) for name, start, count in zip(classes, starts, counts, strict=True)
        }
        self.register_buffer("vectors", torch.zeros(sum(counts), dimension))
        if theta < 1:
            self.register_buffer("sums", torch.zeros(sum(counts), dimension, dtype=torch.float64))
            self.register_buffer("counts", torch.zeros(sum(counts), dtype=torch.int64))
        self.present: dict[str, Tensor] = {}  # rows of each dataset, from its first one on, that take part
        self.pixels: dict[str, Tensor] = {}  # labelled pixels of every class that the embeddings were measured on

    def take(self, found: LabelEmbeddings) -> None:
        """Embeddings that :func:`mdseg.labels.embeddings.check` has let through, at unit length."""
        for name, rows in self.rows.items():
            part: DatasetEmbeddings = found.datasets[name]
            vectors = torch.zeros(rows.stop - rows.start, self.dimension)
            order = torch.argsort(part.class_index, stable=True)
            place = part.class_index[order] * self.centroids + torch.arange(len(order)) % self.centroids
            vectors[place] = F.normalize(part.vectors[order].float(), dim=1)
            self.vectors[rows] = vectors
            self.present[name] = place
            self.pixels[name] = part.pixels

    def draw(self, generator: torch.Generator) -> None:
        """Random directions for all classes, as the authors' code has them where no file is given."""
        self.vectors.copy_(F.normalize(torch.randn(self.vectors.shape, generator=generator), dim=1))
        self.present = {name: torch.arange(rows.stop - rows.start) for name, rows in self.rows.items()}

    def scores(self, embedded: Float[Tensor, "n d h w"], dataset: str) -> Float[Tensor, "n r h w"]:
        """Dot product of every pixel embedding with those of a dataset's labels."""
        return F.conv2d(embedded, self.vectors[self.rows[dataset], :, None, None].to(embedded.dtype))

    def class_scores(self, embedded: Float[Tensor, "n d h w"], dataset: str) -> Float[Tensor, "n m h w"]:
        """Best score of every class of a dataset that has embeddings, see :meth:`classes_present`."""
        rows = self.present[dataset].to(embedded.device)
        return self.scores(embedded, dataset)[:, rows].unflatten(1, (-1, self.centroids)).amax(dim=2)

    def classes_present(self, dataset: str) -> Int64[Tensor, " m"]:
        """Those of a dataset's classes that have embeddings."""
        return self.present[dataset][:: self.centroids] // self.centroids

    def nearest(self, embedded: Float[Tensor, "n d h w"], dataset: str) -> Int64[Tensor, "n h w"]:
        """Class of a dataset's label embedding that is nearest to every pixel."""
        best = first_argmax(self.class_scores(embedded, dataset).transpose(0, 1))
        return self.classes_present(dataset).to(best.device)[best.long()]

    def class_sums(
        self, embedded: Float[Tensor, "n d h w"], classes: Int64[Tensor, "n H W"], dataset: str, align_corners: bool
    ) -> tuple[Float64[Tensor, "c d"], Int64[Tensor, " c"]]:
        """Sums of the embeddings of every class's pixels at the size of the labels, and how many those are."""
        rows = self.rows[dataset]
        sums, counts = torch.zeros_like(self.sums[rows]), torch.zeros_like(self.counts[rows])
        for pixels, labels in zip(embedded, classes, strict=True):
            of_image, number = class_sums(pixels, labels, rows.stop - rows.start, align_corners)
            sums, counts = sums + of_image, counts + number
        return sums, counts

    def add(self, sums: Float64[Tensor, "c d"], counts: Int64[Tensor, " c"], dataset: str) -> None:
        """Count sums of :meth:`class_sums` among those that :meth:`move` takes the means of."""
        self.sums[self.rows[dataset]] += sums
        self.counts[self.rows[dataset]] += counts

    def move(self, dataset: str) -> None:
        r"""Move the label embeddings of a dataset towards what has been added up, and begin anew.

        .. math:: c \leftarrow \theta c + (1 - \theta) \mu

        Supplement B, equation 7; both at unit length, before and after. Classes without a pixel stay.
        """
        rows = self.rows[dataset]
        means = F.normalize(self.sums[rows], dim=1).to(self.vectors.dtype)
        moved = F.normalize(self.theta * self.vectors[rows] + (1 - self.theta) * means, dim=1)
        self.vectors[rows] = moved.where(self.counts[rows, None] > 0, self.vectors[rows])
        self.sums[rows], self.counts[rows] = 0, 0
