"""Universal semi-supervised segmentation (Kalluri et al., ICCV 2019, arXiv:1811.10323)."""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from mdseg.labels import embeddings
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE
from mdseg.losses.similarity import similarity_entropy
from mdseg.losses.unlabelled import check_weight, one_of
from mdseg.methods.base import Loss, Method, Reads, StepBatch, StreamShape
from mdseg.methods.collapse import CollapseWatch, Look
from mdseg.methods.entropy_maps import EntropyMaps, Shown
from mdseg.methods.entropy_module import EntropyModule
from mdseg.system.wording import Remark


class Universal(Method):
    r"""Few labels in every dataset, one network, and unlabelled images that must decide among the labels of all.

    .. math:: L = \sum_i CE(G_i(F(x_i)), y_i) + \alpha \sum_{i \ne j} \frac{H(v_{ij})}{D - 1} + \beta \sum_i H(v_{ii}),
        \quad v_{ij} = \langle E(F(u_i)), c^{(j)} \rangle

    Kalluri et al., ICCV 2019 (arXiv:1811.10323), equations 1 to 5, for any number D of datasets: the paper has two.
    F is the encoder, G_i the classifier of a dataset (its channels of the label space: heads of their own in a disjoint
    space), E the projection of :class:`EntropyModule` and c the label embeddings of an earlier stage. Every forward
    pass is followed by its backward pass, so that memory is that of one pass however many there are. Labelled images
    train encoder and classifier, unlabelled ones encoder and projection.

    Args:
        alpha: weight of the entropy among other datasets' labels.
        beta: weight of the entropy among those of the image's own dataset; with 0 for both, plain joint training,
            unlabelled images are not read.
        dimension: d of the embeddings.
        centroids: K label embeddings of every class.
        multi_centroid: see :func:`~mdseg.losses.similarity.similarity_entropy`.
        passes: what goes through the network at once: the images of one dataset (`per_dataset`, as in the authors'
            code), or of all datasets (`joint`, a batch drawn from all of them as in the paper's text). With the first,
            batch norm is trained on one domain at a time and evaluated with statistics of all of them together; with
            the second, too, where datasets have different numbers of unlabelled batches in a step.
        partners: `all` other datasets for every unlabelled batch, or `one` of them, drawn (the same in expectation).
        theta: how much of a label embedding stays after every epoch of its dataset's labelled images; the rest is the
            mean embedding of the class's labelled pixels in that epoch (supplement, eq. 7). 1: they never change.
        embeddings: `given`, by an earlier stage or a file (`from: {embeddings: ...}`), or `random`.

    Raises:
        ValueError: an option that is out of range.
    """

    reads: Mapping[str, Reads] = {
        "labelled": Reads("labelled", divided=True),
        "unlabelled": Reads("unlabelled", divided=True),
    }
    takes = ("embeddings",)

    def __init__(
        self,
        supervised: Loss,
        alpha: float | int,
        beta: float | int,
        dimension: int,
        centroids: int,
        multi_centroid: str,
        passes: str,
        partners: str,
        theta: float | int,
        embeddings: str,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.automatic_optimization = False
        for name, value in (("alpha", alpha), ("beta", beta)):
            check_weight(f"method.{name}", value)
        for name, value in (("dimension", dimension), ("centroids", centroids)):
            if value < 1:
                raise ValueError(f"method.{name}: expected at least 1, got {value}")
        if not 0 <= theta <= 1:
            raise ValueError(f"method.theta: expected a number in [0, 1], got {theta}")
        if theta < 1 and centroids > 1:
            raise ValueError("method.theta: means of classes with several centroids are not told apart; set theta=1")
        one_of("method.multi_centroid", multi_centroid, ("flat", "max"))
        one_of("method.passes", passes, ("per_dataset", "joint"))
        one_of("method.partners", partners, ("all", "one"))
        one_of("method.embeddings", embeddings, ("given", "random"))
        self.supervised, self.alpha, self.beta, self.partners = supervised, alpha, beta, partners
        self.joint = passes == "joint"
        self.entropy = partial(
            similarity_entropy, centroids=centroids, multi_centroid=multi_centroid, align_corners=self.align_corners
        )
        self.by_class = multi_centroid == "max"
        self.random = embeddings == "random"
        self.module: Any = None  # an `EntropyModule`, where the entropy counts
        if alpha or beta:
            classes = {name: classes_of(self.space, name) for name in self.space.datasets}
            self.module = EntropyModule(feature_channels(self.model), classes, dimension, centroids, theta)
            if self.random:
                self.module.draw(torch.Generator().manual_seed(self.seed))
            weights = [f"method.{name}" for name, value in (("alpha", alpha), ("beta", beta)) if value]
            moving = "let label embeddings follow the labelled pixels (method.theta=0.5), "
            self.watch = CollapseWatch(
                classes,
                f"Lower {' and '.join(weights)} (the weights of the entropy), "
                f"{moving if theta == 1 and centroids == 1 else ''}or give the labels more to say: more labelled "
                "images (streams.labelled.labelled).",
            )
        else:
            self.reads = {"labelled": Reads("labelled", divided=True)}
        self.looking = False  # whether the step under way looks for a collapse: where a row is logged
        self.looks: dict[str, list[Look]] = {}  # what it has seen, by dataset
        self.agreement: dict[str, list[Tensor]] = {}  # labelled pixels nearest to their own label, and all of them
        self.shown: dict[str, Shown] = {}  # what pictures show of it
        self.epochs: Mapping[str, Any] = {}
        self.updates = self.module is not None and theta < 1  # label embeddings move

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        if self.module is None:
            streams = {name: shape for name, shape in streams.items() if shape.role != "unlabelled"}
        super().read(streams)
        entries = {entry: self.names_of[entry][0] for entry in self.reads}
        for name in entries.values():
            if self.joint and streams[name].crop is None:
                raise ValueError(
                    "method.passes=joint needs images of one size, but the datasets' transforms in stream "
                    f"{name} do not all cut the same crop; make them equal, or set method.passes=per_dataset"
                )
        if self.module is not None:
            there = streams[entries["unlabelled"]].datasets
            if missing := [name for name in self.space.datasets if name not in there]:
                raise ValueError(
                    f"Universal needs unlabelled images of every labelled dataset; streams.{entries['unlabelled']} "
                    f"has none of {', '.join(missing)}: add them to streams.{entries['unlabelled']}.datasets"
                )
            if more := [name for name in there if name not in self.space.datasets]:
                raise ValueError(
                    f"streams.{entries['unlabelled']}.datasets: {', '.join(more)} has no labelled images, hence no "
                    "label embeddings; leave it out"
                )
        self.epochs = streams[entries["labelled"]].epochs

    def expect(self, parts: Any) -> None:
        super().expect(parts)
        if self.module is not None and "embeddings" not in parts and not self.random:
            raise ValueError(
                "method.embeddings=given, but no earlier stage or file gives them: set from.embeddings to one, "
                "method.embeddings=random for random ones, or method.alpha=0 method.beta=0 to do without"
            )
        if "embeddings" in parts and (self.module is None or self.random):
            why = "method.alpha=0 method.beta=0" if self.module is None else "method.embeddings=random"
            raise ValueError(
                f"from.embeddings gives label embeddings, which {why} does not use: leave the stages out that compute "
                "them, as row=basic does: stages=[universal] stage.universal.from=null"
            )

    def start_from(self, what: str, path: Path) -> None:
        """Label embeddings from the folder of a stage that has computed them, or from a file of such.

        Raises:
            FileNotFoundError, ValueError: there are none, or they are of other datasets, classes or sizes.
        """
        found = embeddings.load(path)
        embeddings.check(found, path, self.module.classes, self.module.dimension, self.module.centroids)
        self.module.take(found)
        self.watch.labelled = self.module.pixels
        for name, part in found.datasets.items():
            if name in self.module.classes and part.absent:
                warnings.warn(
                    f"label embeddings: no labelled pixel of {name}'s {', '.join(part.absent)}; unlabelled images "
                    "cannot decide for them",
                    Remark,
                    stacklevel=2,
                )

    def configure_callbacks(self) -> list[pl.Callback]:
        return [EntropyMaps(self.panels)] if self.panels and self.module is not None else []

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = super().parameter_groups()
        return groups if self.module is None else [*groups, {"params": list(self.module.projection.parameters())}]

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        optimizer: Any = self.optimizers()
        trainer: Any = self.trainer  # its annotations leave the interval of the log out
        optimizer.zero_grad()
        self.looks, self.shown, self.agreement = {}, {}, {}
        self.looking = self.module is not None and (step + 1) % trainer.log_every_n_steps == 0
        with self.averaged_once():
            terms = self.backward_passes(batch)
        optimizer.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        if self.updates:
            for dataset in self.module.rows:
                if self.epochs[dataset](step + 1) != self.epochs[dataset](step):
                    self.module.move(dataset)

        for name, value in terms.items():
            self.log(f"train/{name}", value)
        for dataset in self.looks:
            self.report(dataset)
        weights = {"supervised": 1.0, "cross": self.alpha, "within": self.beta}
        return torch.stack([weights[name.split("/")[0]] * value for name, value in terms.items()]).sum()

    def backward_passes(self, batch: StepBatch) -> dict[str, Tensor]:
        """Forward and backward, one pass after the other; returns the terms of the loss."""
        terms: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for entry, of_pass in (("labelled", self.supervised_losses), ("unlabelled", self.entropy_losses)):
            batches = batch.get(entry, {})
            for parts in self.passes(batches):
                shares = {name: len(batches[name]) for name in parts}
                # A function of its own: nothing of a pass is alive in the next but the gradients.
                self.manual_backward(of_pass(parts, shares, terms))
        return dict(terms)

    def supervised_losses(
        self, parts: Mapping[str, StepBatch], shares: Mapping[str, int], terms: dict[str, Tensor]
    ) -> Float[Tensor, ""]:
        """Loss of the labelled images of a pass; its terms are added to those of the step."""
        losses = []
        for dataset, features in self.features(parts).items():
            part = parts[dataset]
            loss = self.supervised(self.model.classify(features), part["mask"], part["dataset"]) / shares[dataset]
            losses.append(loss)
            terms[f"supervised/{dataset}"] = terms[f"supervised/{dataset}"] + loss.detach()
            if self.updates:
                self.collect(dataset, features.detach(), part["mask"])
            if self.looking:
                self.agreement.setdefault(dataset, []).append(self.agreeing(dataset, features, part["mask"]))
        return torch.stack(losses).sum()

    def entropy_losses(
        self, parts: Mapping[str, StepBatch], shares: Mapping[str, int], terms: dict[str, Tensor]
    ) -> Float[Tensor, ""]:
        """Loss of the unlabelled images of a pass; its terms are added to those of the step."""
        losses = []
        for dataset, features in self.features(parts).items():
            cross, within = self.entropies(dataset, parts[dataset]["image"], features)
            losses.append((self.alpha * cross + self.beta * within) / shares[dataset])
            for name, value in (("cross", cross), ("within", within)):
                terms[f"{name}/{dataset}"] = terms[f"{name}/{dataset}"] + value.detach() / shares[dataset]
        return torch.stack(losses).sum()

    def passes(self, batches: Mapping[str, list[StepBatch]]) -> Iterator[dict[str, StepBatch]]:
        """What goes through the network at once, by dataset, of the batches that a step has of each."""
        if self.joint:
            for parts in zip_longest(*batches.values()):
                yield {name: part for name, part in zip(batches, parts, strict=True) if part is not None}
        else:
            yield from ({name: part} for name, parts in batches.items() for part in parts)

    def features(self, parts: Mapping[str, StepBatch]) -> dict[str, Float[Tensor, "n d h w"]]:
        """The encoder's features of images of several datasets, in one forward pass."""
        images = [part["image"] for part in parts.values()]
        features = self.model.features(images[0] if len(images) == 1 else torch.cat(images))
        return dict(zip(parts, features.split([len(image) for image in images]), strict=True))

    def entropies(
        self, dataset: str, image: Tensor, features: Float[Tensor, "n d h w"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Entropy of unlabelled images of a dataset among other datasets' labels, their mean, and among its own."""
        size = (image.shape[-2], image.shape[-1])
        embedded = self.module.projection(features)
        self.see(dataset, image, embedded.detach())
        scores = {dataset: self.module.scores(embedded, dataset)} if self.beta else {}
        others = [name for name in self.space.datasets if name != dataset] if self.alpha else []
        if self.partners == "one" and len(others) > 1:
            others = [others[int(torch.randint(len(others), ()))]]
        scores |= {name: self.module.scores(embedded, name) for name in others}
        entropy = {
            name: self.entropy(of_labels, size, rows=self.module.present[name].to(embedded.device))
            for name, of_labels in scores.items()
        }
        zero = embedded.new_zeros(())
        cross = torch.stack([entropy[name] for name in others]).mean() if others else zero
        return cross, entropy.get(dataset, zero)

    def see(self, dataset: str, image: Tensor, embedded: Float[Tensor, "n d h w"]) -> None:
        """Keep what pictures show of the step, its first images, and look for a collapse where a row is logged."""
        if self.panels:
            self.shown.setdefault(dataset, Shown(image, embedded))
        if self.looking:
            counts = torch.bincount(
                self.module.nearest(embedded, dataset).flatten(),
                minlength=len(self.module.classes[dataset]),
            )
            norm = torch.linalg.vector_norm(embedded.float(), dim=1).mean()
            self.looks.setdefault(dataset, []).append(Look(norm, counts))

    @torch.no_grad()
    def agreeing(
        self, dataset: str, features: Float[Tensor, "n d h w"], masks: UInt8[Tensor, "n H W"]
    ) -> Int64[Tensor, "2"]:
        """Labelled pixels that are nearest to the embedding of their own label, and all of them.

        Nothing in the loss asks for it: it tells whether unlabelled images decide for the labels that they should.
        """
        there = F.interpolate(masks[:, None].float(), features.shape[-2:], mode="nearest")[:, 0].long()
        labels = class_of_train_id(self.space, dataset).to(masks.device)[there]
        right = self.module.nearest(self.module.projection(features), dataset) == labels
        return torch.stack([right[labels != IGNORE].sum(), (labels != IGNORE).sum()])

    def report(self, dataset: str) -> None:
        """Log what a step has seen of a dataset's unlabelled images, in all ranks, and remember it."""
        norms, counts = (torch.stack(each) for each in zip(*self.looks[dataset], strict=True))
        reduce = self.trainer.strategy.reduce
        look = Look(reduce(norms.mean(), reduce_op="mean"), reduce(counts.sum(dim=0), reduce_op="sum"))
        self.log(f"embedding_norm/{dataset}", look.norm)
        self.log(f"embedding_largest_share/{dataset}", look.largest_share)
        right, labelled = reduce(torch.stack(self.agreement[dataset]).sum(dim=0), reduce_op="sum")
        self.log(f"embedding_agreement/{dataset}", right / labelled)
        self.watch.take(dataset, look)

    @torch.no_grad()
    def collect(self, dataset: str, features: Float[Tensor, "n d h w"], masks: UInt8[Tensor, "n H W"]) -> None:
        """Add up pixel embeddings of labelled images, on all ranks, for the means of their classes."""
        classes = class_of_train_id(self.space, dataset).to(masks.device)[masks.long()]
        sums, counts = self.module.class_sums(self.module.projection(features), classes, dataset, self.align_corners)
        # Those of all ranks at once: what is in buffers must be the same on each, or that of the first one wins.
        reduce = self.trainer.strategy.reduce
        self.module.add(reduce(sums, reduce_op="sum"), reduce(counts, reduce_op="sum"), dataset)


def classes_of(space: LabelSpace, dataset: str) -> tuple[str, ...]:
    """Names of the classes that a dataset annotates, in the order of its label table."""
    return tuple(space.classes[train_id] for train_id in space.class_train_ids[dataset] if train_id != IGNORE)


def class_of_train_id(space: LabelSpace, dataset: str) -> Int64[Tensor, "256"]:
    """Position among :func:`classes_of` of every train id; IGNORE for all others."""
    lookup = torch.full((256,), IGNORE)
    own = [train_id for train_id in space.class_train_ids[dataset] if train_id != IGNORE]
    lookup[own] = torch.arange(len(own))
    return lookup


def feature_channels(model: Any) -> int:
    """Channels of the features that a network's classifier takes."""
    return next(model.head.parameters()).shape[1]
