"""A step in parts is the step of the whole batch."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.guidance import self_produced_guidance
from mdseg.losses.maximum_squares import max_square, max_square_iw
from mdseg.losses.minent import entropy
from mdseg.losses.ohem import ohem_ce
from mdseg.losses.relational_bce import null_bce
from mdseg.losses.variation import blv
from mdseg.methods.base import Method, StreamShape, parts_of, share_of
from mdseg.methods.schedules import poly
from mdseg.methods.supervised import Supervised
from mdseg.methods.target_loss import TargetLoss
from mdseg.models.small import small

SIZE, IMAGES = (16, 24), 5


def table(name, *names):
    colors, raw_ids = tuple((k, 0, 0) for k in range(len(names))), tuple((k,) for k in range(len(names)))
    return LabelTable(name, names, colors, "id", raw_ids)


SPACE = union({"a": table("a", "car", "road", "sky"), "b": table("b", "road", "tree")})


def without_batch_norm(network):
    """Group norm in its place, which knows no other images."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(1, child.num_features))
    return network


def method_of(kind, accumulate, supervised=None, **options):
    torch.manual_seed(0)
    network = small(SPACE.num_classes, head="linear", widths=(8, 8, 8, 8, 8), feature_width=8, low_head=True)
    method = kind(
        supervised=ce(SPACE) if supervised is None else supervised,
        model=without_batch_norm(network),
        space=SPACE,
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=0.5),
        scheduler=partial(poly, warmup=2),
        head_lr_factor=1.0,
        decay_norms=True,
        steps=3,
        seed=0,
        align_corners=True,
        accumulate=accumulate,
        **options,
    )
    method.read({entry: StreamShape(reads.roles[0], IMAGES) for entry, reads in method.reads.items()})
    method.on_save_checkpoint = lambda checkpoint: None
    return method


def batch_of(seed):
    """Images with very different shares of labelled pixels, one of them without any, of two datasets."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, IMAGES, 3, *SIZE), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, SPACE.num_classes, (IMAGES, *SIZE), generator=generator, dtype=torch.uint8)
    for index in range(IMAGES):
        mask[index, : 4 * index] = 255
    labelled = {"image": images[0], "mask": mask, "dataset": torch.tensor([0, 1, 0, 1, 1])}
    return {"labelled": labelled, "target": {"image": images[1], "dataset": torch.full((IMAGES,), -1)}}


class Recorded(pl.Callback):
    def __init__(self):
        self.terms, self.losses = [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, step):
        self.terms.append({name: value.item() for name, value in module.terms.items()})
        self.losses.append(outputs["loss"].item())


def trained(method):
    """Weights after three steps, and what was logged of each."""
    recorded = Recorded()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[recorded],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = [{name: batch_of(seed)[name] for name in method.reads} for seed in range(3)]
    trainer.fit(method, DataLoader(batches, batch_size=None))
    return method.state_dict(), recorded


METHODS = {
    "supervised": (Supervised, {}),
    "null bce": (Supervised, {"supervised": null_bce(SPACE)}),
    "all pixels": (Supervised, {"supervised": ce(SPACE, scope="in_space", reduction="all_pixels")}),
    "max square": (TargetLoss, {"target": max_square, "weight": 2.0, "low_weight": 0.3}),
    "image-wise": (TargetLoss, {"target": max_square_iw, "weight": 2.0, "low_weight": 0.3}),
    "entropy": (TargetLoss, {"target": entropy, "weight": 2.0, "low_weight": 0.3}),
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("name", "accumulate"), zip(METHODS, (5, 2, 2, 5, 3, 2), strict=True))
def test_weights_losses_and_rates_are_those_of_the_whole_batch(name, accumulate):
    kind, options = METHODS[name]
    whole, in_parts = method_of(kind, 1, **options), method_of(kind, accumulate, **options)
    weights, expected = trained(whole)
    found, recorded = trained(in_parts)
    for key, value in weights.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, msg=key)
    torch.testing.assert_close(torch.tensor(recorded.losses), torch.tensor(expected.losses), rtol=1e-4, atol=1e-6)
    for terms, wanted in zip(recorded.terms, expected.terms, strict=True):
        assert terms == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    rates = [method.lr_schedulers().state_dict()["last_epoch"] for method in (whole, in_parts)]
    assert rates == [3, 3], "a step is one batch of the sampler"


def test_parts_are_nearly_equal_and_know_their_batch():
    batch = batch_of(0)
    parts = list(parts_of(batch, 3))
    assert [len(part["labelled"]["image"]) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part["labelled"]["mask"] for part in parts]), batch["labelled"]["mask"])
    assert sum(share_of(part["target"]) for part in parts) == pytest.approx(1)
    assert all(part["labelled"]["whole"] is batch["labelled"] for part in parts)
    assert share_of(batch["target"]) == 1


class Whole(Method):
    def training_step(self, batch, step):
        return self.model(batch["labelled"]["image"]).mean()


def varied(counts):
    loss = ce(SPACE)
    options = {"noise": "paper", "scale": "paper", "sigma": 4, "counts": {"supervised": counts}, "counts_file": None}
    blv({"supervised": loss}, SPACE, share=1.0, epoch=lambda step: 0, steps=3, **options)
    return loss


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        (Supervised, {}, None),
        (Supervised, {"supervised": varied("static")}, None),
        (Supervised, {"supervised": varied("epoch")}, None),
        (Supervised, {"supervised": varied("running")}, "running averages the classes of every batch"),
        (Supervised, {"supervised": ohem_ce(SPACE)}, "HardPixels chooses the pixels that it learns from"),
        (Supervised, {"supervised": lambda logits, mask, dataset: logits.mean()}, "function chooses the pixels"),
        (TargetLoss, {"target": entropy, "weight": 1, "low_weight": 1}, None),
        (
            TargetLoss,
            {"guidance": partial(self_produced_guidance, threshold=0.0), "weight": 1, "low_weight": 1},
            "loss/guidance divides by the pixels that it chooses",
        ),
    ],
)
def test_what_is_no_sum_over_images_says_so(kind, options, reason):
    found = method_of(kind, 2, **options).why_whole()
    assert (found is None) if reason is None else (reason in found)


def test_a_method_that_does_not_say_that_it_can_is_taken_for_one_that_cannot():
    method = Whole(
        model=small(SPACE.num_classes, head="linear", widths=(8, 8, 8, 8, 8)),
        space=SPACE,
        evaluated={},
        optimizer=None,
        scheduler=None,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=1,
        seed=0,
        align_corners=True,
    )
    assert method.why_whole() == "Whole looks at the batch of a step as a whole"
