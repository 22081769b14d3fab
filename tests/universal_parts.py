"""A small network of the universal method, label embeddings and batches for it."""

from functools import partial

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from mdseg.labels.embeddings import FILE, DatasetEmbeddings, LabelEmbeddings
from mdseg.labels.spaces import disjoint
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.methods.base import StreamShape
from mdseg.methods.schedules import poly
from mdseg.methods.universal import Universal
from mdseg.models.small import small

SIZE, DIMENSION = (16, 24), 4
TWO = {"a": ("car", "road", "sky"), "b": ("road", "tree")}
THREE = {**TWO, "c": ("car", "tree", "pole", "wall")}


def space_of(classes):
    def table(name, names):
        colors, raw_ids = tuple((index, 0, 0) for index in range(9)), tuple((index,) for index in range(9))
        return LabelTable(name, names, colors[: len(names)], "id", raw_ids[: len(names)])

    return disjoint({name: table(name, names) for name, names in classes.items()})


def streams_of(classes, epoch=lambda step: step):
    epochs = dict.fromkeys(classes, epoch)
    return {role: StreamShape(role, 4, (SIZE,), tuple(classes), epochs) for role in ("labelled", "unlabelled")}


def universal(classes=TWO, folder=None, lr=0.1, epoch=lambda step: step, steps=1, **options):
    """The method as a stage has it when it begins: its streams known, label embeddings taken from a folder."""
    torch.manual_seed(0)
    values = {"alpha": 1.0, "beta": 1.0, "centroids": 1, "multi_centroid": "flat", "theta": 1.0}
    values |= {"passes": "per_dataset", "partners": "all", "dimension": DIMENSION}
    values |= {"embeddings": "given" if folder else "random"}
    space = space_of(classes)
    method = Universal(
        supervised=ce(space, scope="in_space"),
        model=small(space.num_classes, head="linear", widths=(8, 8, 8, 8, 8), feature_width=12),
        space=space,
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=lr),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=steps,
        seed=0,
        align_corners=False,
        **(values | options),
    )
    method.expect(["embeddings"] if folder else [])
    method.read(streams_of(classes, epoch))
    if folder:
        method.start_from("embeddings", folder)
    return method


def write_embeddings(folder, vectors, classes=TWO, centroids=1):
    """A file with these vectors, by dataset and class; classes without any have no labelled pixel."""
    parts = {}
    for name, names in classes.items():
        rows = {index: vectors[name][of_class] for index, of_class in enumerate(names) if of_class in vectors[name]}
        class_index = torch.tensor([index for index in rows for _ in range(centroids)])
        pixels = torch.tensor([int(index in rows) for index in range(len(names))])
        parts[name] = DatasetEmbeddings(
            names, torch.tensor(list(rows.values())).view(-1, DIMENSION), class_index, pixels
        )
    LabelEmbeddings(parts, DIMENSION, centroids, "per_dataset", 0).save(folder / FILE)
    return folder


def some_vectors(classes=TWO, scale=1.0):
    """The first class of every dataset along the first axis, the second along the second, ..."""
    return {
        name: {of_class: (scale * torch.eye(DIMENSION)[index]).tolist() for index, of_class in enumerate(names)}
        for name, names in classes.items()
    }


def batch_of(classes=TWO, seed=0, labelled=1, unlabelled=1):
    """Micro-batches of two images of every dataset; masks have the train ids of its channels."""
    generator, batch, space = torch.Generator().manual_seed(seed), {"labelled": {}, "unlabelled": {}}, space_of(classes)
    for name in sorted(classes):  # the same images in whatever order the datasets come
        own = space.class_train_ids[name]
        for role, parts in (("labelled", labelled), ("unlabelled", unlabelled)):
            for _ in range(parts):
                image = torch.randint(0, 256, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)
                mask = torch.randint(0, len(own), (2, *SIZE), generator=generator) + own[0]
                part = {"image": image, "dataset": torch.full((2,), space.dataset_index(name))}
                part |= {"mask": mask.to(torch.uint8)} if role == "labelled" else {}
                batch[role].setdefault(name, []).append(part)
    return {role: {name: batch[role][name] for name in classes if name in batch[role]} for role in batch}


class Losses(pl.Callback):
    """What the training step has answered, step by step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, method, outputs, batch, step):
        self.values.append(outputs["loss"])


def fit(method, *batches, callbacks=(), bar=False):
    """Train these batches, one a step."""
    trainer = pl.Trainer(
        callbacks=list(callbacks),
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
    )
    trainer.fit(method, DataLoader(list(batches), batch_size=None))
    return method


def scores_of(method, image, dataset):
    embedded = method.module.projection(method.model.features(image))
    return F.conv2d(embedded, method.module.vectors[method.module.rows[dataset], :, None, None])


def gradients(method):
    return {name: parameter.grad for name, parameter in method.named_parameters()}
