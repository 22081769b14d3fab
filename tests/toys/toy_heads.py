"""A head and label embeddings per dataset, as a user would write them: a stage, and a method that takes its result.

Nothing of it stands in mdseg: this file and the YAML beside it are all.
"""

import torch
from torch import nn

from mdseg.methods.base import Method, Reads
from mdseg.runs.trained import load_trained
from mdseg.stages.stage import Stage
from mdseg.system.files import write_atomically


class ToyEmbeddings(Stage):
    """The mean feature of every class, by the network that was trained on its dataset alone."""

    def __init__(self, images, **common):
        super().__init__(**common)
        self.images = images
        self.labelled = {
            name: self.datasets.open_labelled(self.cfg, name, self.cfg.streams.labelled.split) for name in self.origins
        }

    def __call__(self, stop, dashboard):
        rows = torch.cat([self.embeddings(name, dataset) for name, dataset in self.labelled.items()])
        write_atomically(self.folder / "embeddings.pt", lambda file: torch.save(rows, file))
        return {"embeddings": len(rows), "size": rows.shape[1]}

    @torch.no_grad()
    def embeddings(self, name, dataset):
        trained = load_trained(self.origin(name))
        predictor = trained.predictor(self.cfg.evaluation.short_side)
        sums, counts = 0, torch.zeros(dataset.table.num_classes)
        for index in range(min(self.images, len(dataset))):
            features = trained.model.features(predictor.prepared(dataset.image(index)))[0]
            mask = torch.from_numpy(dataset.mask(index)).long()[None, None].float()
            classes = nn.functional.interpolate(mask, features.shape[-2:], mode="nearest")[0, 0].long()
            one_hot = nn.functional.one_hot(classes, 256)[..., : len(counts)].flatten(0, 1).float()
            sums, counts = sums + one_hot.T @ features.flatten(1).T, counts + one_hot.sum(dim=0)
        return sums / counts.clamp(min=1)[:, None]


class ToyHeads(Method):
    """Cross-entropy by each dataset's own head; unlabelled images decide for one embedding of their own dataset."""

    reads = {"labelled": Reads("labelled", divided=True), "unlabelled": Reads("unlabelled", divided=True)}
    takes = ("embeddings",)

    def __init__(self, supervised, weight, **common):
        super().__init__(**common)
        self.supervised, self.weight = supervised, weight
        size = next(self.model.head.parameters()).shape[1]
        self.register_buffer("embeddings", torch.zeros(self.space.num_classes, size))
        self.project = nn.Conv2d(size, size, 1)

    def start_from(self, what, path):
        self.embeddings.copy_(torch.load(path / "embeddings.pt", weights_only=True))

    def parameter_groups(self):
        return [*super().parameter_groups(), {"params": self.project.parameters()}]

    def training_step(self, batch, step):
        supervised = sum(
            self.supervised(self.model(part["image"]), part["mask"], part["dataset"])
            for parts in batch["labelled"].values()
            for part in parts
        )
        entropy = sum(
            self.entropy(part, name) / len(parts) for name, parts in batch["unlabelled"].items() for part in parts
        )
        self.log("train/supervised", supervised)
        self.log("train/entropy", entropy)
        return supervised + self.weight * entropy

    def entropy(self, part, dataset):
        own = self.embeddings[self.space.in_space[self.space.dataset_index(dataset)].to(self.embeddings.device)]
        scores = torch.einsum("ndhw,kd->nkhw", self.project(self.model.features(part["image"])), own)
        return -(scores.softmax(dim=1) * scores.log_softmax(dim=1)).sum(dim=1).mean()
