"""Self-training beside discriminators: either part does what it does alone."""

import copy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from universal_parts import Losses, fit

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.methods.adversarial_self_training import AdversarialSelfTraining
from mdseg.methods.adversary import judged
from mdseg.methods.mixing import StrongAugmentation
from mdseg.methods.schedules import poly
from mdseg.methods.self_training import SelfTraining
from mdseg.models.small import small

SIZE = (32, 48)
LEVELS = ("high", "low")
NAMES = ("road", "car", "sky")

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


def space_of():
    colors, raw_ids = tuple((index, 0, 0) for index in range(3)), tuple((index,) for index in range(3))
    return union({"gta5": LabelTable("t", NAMES, colors, "id", raw_ids)})


def self_training(kind=SelfTraining, lr=0.1, **options):
    torch.manual_seed(0)
    space = space_of()
    return kind(
        supervised=ce(space),
        mixed=ce(space, reduction="all_pixels"),
        model=small(3, head="linear", widths=(8, 8, 8, 8, 8), feature_width=12, low_head=True),
        space=space,
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=lr),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=10,
        seed=3,
        align_corners=True,
        decay=0.9,
        teacher_bn="batch",
        eval_model="student",
        tau=0.0,
        confidence_scope="batch",
        ignore_rows=[0, 0],
        mixed_weight=1.0,
        low_weight=0.1,
        mix_ignore=False,
        augment=StrongAugmentation(0, 0.2, 0, [0.15, 1.15]),
        **options,
    )


def adversarial(weights, lr=0.1, **options):
    values = {"sees": "softmax", "objective": "vanilla", "share_discriminator": False, "discriminator_width": 4}
    values |= {"discriminator_optimizer": partial(torch.optim.SGD, lr=lr)}
    return self_training(AdversarialSelfTraining, lr, adversarial=weights, **(values | options))


def batch_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 2, 3, *SIZE), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, 3, (2, *SIZE), generator=generator, dtype=torch.uint8)
    keys = {"dataset": torch.zeros(2, dtype=torch.int64), "key": torch.zeros(2, dtype=torch.int64)}
    return {"labelled": {"image": images[0], "mask": mask, **keys}, "unlabelled": {"image": images[1], **keys}}


def test_without_adversarial_weights_it_is_self_training():
    batches, both = [batch_of(seed) for seed in range(3)], []
    for method in (self_training(), adversarial({"high": 0, "low": 0})):
        method.names_of = {"labelled": ["labelled"], "unlabelled": ["unlabelled"]}
        fit(method, *batches)
        both.append(method)
    alone, beside = both
    assert beside.state_dict().keys() == alone.state_dict().keys()
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(beside.state_dict()[name], value, msg=name)


def test_the_student_learns_from_both_and_the_discriminators_from_theirs():
    weights = {"high": 0.3, "low": 0.05}
    method, batch, losses = adversarial(weights, lr=0.0), batch_of(), Losses()
    method.names_of = {"labelled": ["labelled"], "unlabelled": ["unlabelled"]}
    whole = copy.deepcopy(method)
    fit(method, batch, callbacks=[losses])
    whole.on_train_batch_start(batch, 0)
    whole.shown = {"all": []}
    whole.log = lambda *arguments, **options: None
    student = whole.learning_loss(batch)
    source = whole.model.levels(batch["labelled"]["image"])
    target = whole.model.levels(batch["unlabelled"]["image"])
    told = 0.0
    for level, weight in weights.items():
        discriminator = whole.adversary.discriminators[level]["all"]
        maps = {}
        for domain, levels in (("source", source), ("target", target)):
            logits = torch.nn.functional.interpolate(getattr(levels, level), SIZE, mode="bilinear", align_corners=True)
            maps[domain] = logits.softmax(dim=1)
        student = student + weight * judged(discriminator(maps["target"]), True, "vanilla")
        told += judged(discriminator(maps["source"].detach()), True, "vanilla") / 2
        told += judged(discriminator(maps["target"].detach()), False, "vanilla") / 2
    torch.testing.assert_close(losses.values[0], (student + told).detach(), rtol=1e-4, atol=1e-5)
    model, adversary = list(whole.model.parameters()), list(whole.adversary.parameters())
    expected = [*torch.autograd.grad(student, model), *torch.autograd.grad(told, adversary)]
    found = [*method.model.named_parameters(), *method.adversary.named_parameters()]
    for (name, parameter), gradient in zip(found, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5, msg=name)
    assert all(parameter.grad is None for parameter in method.teacher.parameters())


class Students(pl.Callback):
    """The student's weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, method, outputs, batch, step):
        self.weights.append([parameter.detach().clone() for parameter in method.model.parameters()])


def test_the_teacher_is_the_mean_of_the_students_at_first():
    method, students = adversarial({"high": 0.3, "low": 0.05}), Students()
    method.names_of = {"labelled": ["labelled"], "unlabelled": ["unlabelled"]}
    fit(method, batch_of(), batch_of(1), callbacks=[students])
    for averaged, first, second in zip(method.teacher.parameters(), *students.weights, strict=True):
        torch.testing.assert_close(averaged.detach(), (first + second) / 2)
