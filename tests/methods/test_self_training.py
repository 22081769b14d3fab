import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdseg.evaluation.evaluator import Evaluated
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.variation import ClassCounter, LogitVariation
from mdseg.methods.base import StreamShape
from mdseg.methods.mixing import StrongAugmentation
from mdseg.methods.schedules import poly
from mdseg.methods.self_training import SelfTraining, confidence_weight, pseudo_labels, ramp, without_rows
from mdseg.models.segmenter import Segmenter

CLASSES = [f"class {number:02}" for number in range(19)]
AS_THEY_ARE = StrongAugmentation(0, 0.2, 0, [0.15, 1.15])
ALWAYS_AUGMENTED = StrongAugmentation(1, 0.2, 1, [0.15, 1.15])


class Backbone(nn.Module):
    """Stride 2, with batch norm and dropout; two feature maps where there is a low head."""

    def __init__(self, levels=1):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Dropout2d(0.5)
        self.levels = levels

    def forward(self, image):
        features = self.drop(F.relu(self.norm(self.conv(image))))
        return features if self.levels == 1 else (features, features)


def network(low_head=False):
    torch.manual_seed(5)
    low = nn.Conv2d(8, len(CLASSES), 1) if low_head else None
    return Segmenter(Backbone(1 + low_head), nn.Conv2d(8, len(CLASSES), 1), low_head=low)


def table(name):
    colors, raw_ids = tuple((number, 0, 0) for number in range(19)), tuple((number,) for number in range(19))
    return LabelTable(name, tuple(CLASSES), colors, "id", raw_ids)


def space():
    return union({"source": table("source")})


def self_training(lr=0.1, model=None, reduction="all_pixels", **options):
    values = {
        "decay": 0.99,
        "teacher_bn": "batch",
        "eval_model": "student",
        "tau": 0.05,
        "confidence_scope": "batch",
        "ignore_rows": [0, 0],
        "mixed_weight": 1.0,
        "low_weight": 0.4,
        "mix_ignore": False,
        "augment": AS_THEY_ARE,
        "evaluated": {},
    }
    return SelfTraining(
        supervised=ce(space()),
        mixed=ce(space(), reduction=reduction),
        model=model or network(),
        space=space(),
        optimizer=partial(torch.optim.SGD, lr=lr, momentum=0.9),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=10,
        seed=3,
        align_corners=True,
        **(values | options),
    )


def batch_of(mask=None, seed=0, size=(8, 12)):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 2, 3, *size), generator=generator, dtype=torch.uint8)
    if mask is None:
        mask = torch.randint(0, 19, (2, *size), generator=generator, dtype=torch.uint8)
    keys = {"dataset": torch.zeros(2, dtype=torch.int64), "key": torch.zeros(2, dtype=torch.int64)}
    return {"labelled": {"image": images[0], "mask": mask, **keys}, "unlabelled": {"image": images[1], **keys}}


def loss_of(method, batch, step=0):
    method.on_train_batch_start(batch, step)
    return method.training_step(batch, step)


def train(method, steps=3, **options):
    optimizer = method.configure_optimizers()["optimizer"]
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(method, batch_of(seed=step, **options), step).backward()
        optimizer.step()
        method.update_teacher(step)
    return method


def same_parameters(method):
    pairs = zip(method.teacher.parameters(), method.model.parameters(), strict=True)
    return all(torch.equal(averaged, student) for averaged, student in pairs)


pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")


# The teacher


def test_the_teacher_s_memory_grows_up_to_the_decay():
    assert [round(ramp(step, 0.99), 6) for step in (0, 1, 2)] == [0, 0.5, 0.666667]
    assert [round(ramp(step, 0.99), 6) for step in (98, 99, 100)] == [0.989899, 0.99, 0.99]
    assert ramp(5, 0) == 0


def test_the_teacher_is_the_mean_of_all_students_at_first():
    method = self_training()
    weight = next(method.model.parameters())
    seen = []
    for step, value in enumerate((1.0, 2.0, 4.0)):
        nn.init.constant_(weight, value)
        method.update_teacher(step)
        seen.append(round(next(method.teacher.parameters()).mean().item(), 5))
    assert seen == [1, 1.5, 2.33333]


def test_a_teacher_without_memory_is_the_student():
    assert same_parameters(train(self_training(decay=0)))


def test_a_student_that_does_not_move_is_its_teacher_and_others_are_not():
    assert same_parameters(train(self_training(lr=0.0)))
    assert not same_parameters(train(self_training()))


def test_the_teacher_shares_no_memory_gets_no_gradient_and_is_in_no_optimizer():
    method = train(self_training())
    teachers = list(method.teacher.parameters())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in teachers)
    groups = method.configure_optimizers()["optimizer"].param_groups
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    assert trained == {id(parameter) for parameter in method.model.parameters()}
    storage = {parameter.data_ptr() for parameter in method.model.parameters()}
    assert not storage & {parameter.data_ptr() for parameter in teachers}


def test_the_teacher_is_in_the_checkpoint():
    method = train(self_training())
    names = {name.removeprefix("teacher.") for name in method.state_dict() if name.startswith("teacher.")}
    assert names == set(method.model.state_dict())


@pytest.mark.parametrize("policy", ["batch", "copy"])
def test_only_batch_norm_trains_in_a_teacher_and_only_where_it_is_asked_to(policy):
    method = self_training(teacher_bn=policy)
    training = {type(module) for module in method.teacher.modules() if module.training}
    assert training == ({nn.BatchNorm2d} if policy == "batch" else set())
    assert all(module.training for module in method.model.modules())
    method.eval()
    assert not any(module.training for module in method.modules())
    method.train()
    assert {type(module) for module in method.teacher.modules() if module.training} == training


def test_batch_norms_that_are_frozen_stay_so_in_the_teacher():
    class Frozen(Backbone):
        def train(self, mode=True):
            super().train(mode)
            self.norm.eval()
            return self

    model = Segmenter(Frozen(), nn.Conv2d(8, len(CLASSES), 1))
    method = self_training(model=model)
    assert not any(module.training for module in method.teacher.modules())


def test_a_teacher_of_batch_statistics_has_running_averages_of_its_own():
    method = train(self_training())
    norm, of_student = method.teacher.backbone.norm, method.model.backbone.norm
    assert not torch.allclose(norm.running_mean, of_student.running_mean)
    assert norm.num_batches_tracked == of_student.num_batches_tracked == 6, "integers are the student's"


def test_a_teacher_that_copies_has_the_student_s_running_averages():
    method = train(self_training(teacher_bn="copy"))
    for buffer, of_student in zip(method.teacher.buffers(), method.model.buffers(), strict=True):
        assert torch.equal(buffer, of_student)


# Pseudo-labels and their weight


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("band_bytes", [None, 1])
def test_pseudo_labels_are_those_of_upsampled_logits(align_corners, band_bytes):
    logits = 3 * torch.randn(2, 19, 5, 7, generator=torch.Generator().manual_seed(0))
    found = pseudo_labels(logits, (16, 24), align_corners, band_bytes)
    upsampled = F.interpolate(logits, size=(16, 24), mode="bilinear", align_corners=align_corners)
    confidence, label = upsampled.softmax(dim=1).max(dim=1)
    assert torch.equal(found.label, label.to(torch.uint8))
    assert torch.allclose(found.confidence, confidence, atol=1e-6)


def test_half_precision_logits_are_judged_in_single_precision():
    found = pseudo_labels(torch.randn(1, 19, 4, 4).bfloat16(), (8, 8), align_corners=True)
    assert found.confidence.dtype == torch.float32


def test_the_weight_is_the_share_of_confident_pixels():
    confidence = torch.tensor([[[0.97, 0.95]], [[0.99, 0.5]]])
    assert confidence_weight(confidence, 0.968).unique().tolist() == [0.5]
    confidence = torch.tensor([[[0.97, 0.99]], [[0.99, 0.5]]])
    assert confidence_weight(confidence, 0.968, "batch").unique().tolist() == [0.75]
    assert confidence_weight(confidence, 0.968, "image")[:, 0].tolist() == [[1, 1], [0.5, 0.5]]
    assert confidence_weight(confidence, 0.968, "pixel")[:, 0].tolist() == [[1, 1], [1, 0]]


def test_every_pixel_is_confident_above_0_and_none_above_1():
    confidence = torch.rand(2, 3, 4)
    assert (confidence_weight(confidence, 0) == 1).all()
    assert (confidence_weight(confidence, 1.01) == 0).all()


def test_rows_at_top_and_bottom_do_not_count():
    weight = without_rows(torch.ones(1, 512, 2), 0.0293, 0.2344)
    rows = weight[0, :, 0]
    assert rows[:15].sum() == rows[-120:].sum() == 0
    assert rows[15:-120].all()
    assert without_rows(torch.ones(1, 8, 2), 0, 0).all()


# The step


class Zeros(nn.Module):
    """A student that finds all classes equally likely, everywhere."""

    def forward(self, features):
        return features.new_zeros(len(features), len(CLASSES), *features.shape[-2:]) + 0 * features.mean()


def constant_method(**options):
    return self_training(model=Segmenter(Backbone(), Zeros()), **options)


def four_pixels(method, mask, monkeypatch, pasted):
    """The mixed loss of a 2 × 2 image whose left column is pasted; q = 0.5."""
    monkeypatch.setattr("mdseg.methods.self_training.class_mask", lambda *_: torch.tensor(pasted).expand(2, 2, 2))
    monkeypatch.setattr(
        "mdseg.methods.self_training.confidence_weight", lambda confidence, *_: torch.full_like(confidence, 0.5)
    )
    mask = torch.tensor(mask, dtype=torch.uint8).expand(2, 2, 2).contiguous()
    loss_of(method, batch_of(mask, size=(2, 2)))
    return method.terms["train/mixed"].item()


def test_pseudo_labelled_pixels_weigh_q_and_pasted_ones_1(monkeypatch):
    """Two and two of four, CE = ln 19 = 2.944439 each."""
    left = [[True, False], [True, False]]
    assert four_pixels(constant_method(), [[0, 1], [0, 1]], monkeypatch, left) == pytest.approx(2.208329, abs=1e-6)
    ignored = four_pixels(constant_method(), [[0, 1], [255, 1]], monkeypatch, left)
    assert ignored == pytest.approx(1.472219, abs=1e-6), "the denominator stays 4"


def test_student_loss_is_that_of_labelled_and_of_mixed_images():
    method = self_training(mixed_weight=0.5).eval()
    batch = batch_of()
    loss = loss_of(method, batch)
    lesson, dataset = method.lesson, batch["labelled"]["dataset"]
    supervised = ce(space())(method.model(batch["labelled"]["image"]), batch["labelled"]["mask"], dataset)
    upsampled = F.interpolate(method.model(lesson.mixed.image), size=(8, 12), mode="bilinear", align_corners=True)
    each = F.cross_entropy(upsampled, lesson.mixed.mask.long(), ignore_index=255, reduction="none")
    assert torch.allclose(loss, supervised + 0.5 * (lesson.mixed.weight * each).mean(), atol=1e-5)


@pytest.mark.parametrize("mix_ignore", [False, True])
def test_pseudo_labels_are_never_ignored_and_ignored_pixels_never_pasted_unless_asked_for(mix_ignore):
    method = self_training(mix_ignore=mix_ignore)
    mask = torch.randint(0, 4, (2, 8, 12), dtype=torch.uint8)
    mask[:, :3] = 255
    ignored = []
    for step in range(6):
        loss_of(method, batch_of(mask), step)
        assert (method.lesson.pseudo.label < 19).all()
        ignored.append((method.lesson.mixed.mask == 255).any().item())
    assert any(ignored) == mix_ignore


def test_an_unreachable_threshold_leaves_the_pasted_pixels():
    method = self_training()
    method.tau = 1.01
    loss = loss_of(method, batch_of())
    lesson = method.lesson
    assert torch.equal(lesson.mixed.weight, lesson.pasted.float())
    assert torch.isfinite(loss)


def test_a_threshold_of_0_trusts_every_pseudo_label():
    method = self_training(tau=0)
    loss_of(method, batch_of())
    assert (method.lesson.mixed.weight == 1).all()


def test_an_image_of_one_class_is_pasted_whole_and_the_target_teaches_nothing():
    batch = batch_of(torch.full((2, 8, 12), 4, dtype=torch.uint8))
    method = self_training()
    loss_of(method, batch)
    mixed = method.lesson.mixed
    assert torch.equal(mixed.image, batch["labelled"]["image"])
    assert (mixed.mask == 4).all()
    assert (mixed.weight == 1).all()


def test_without_any_label_the_mixed_image_is_the_target_and_the_supervised_loss_0():
    batch = batch_of(torch.full((2, 8, 12), 255, dtype=torch.uint8))
    method = self_training(tau=0)
    loss_of(method, batch).backward()
    assert method.terms["train/supervised"] == 0
    assert torch.equal(method.lesson.mixed.image, batch["unlabelled"]["image"])
    assert torch.equal(method.lesson.mixed.mask, method.lesson.pseudo.label)
    assert all(torch.isfinite(parameter.grad).all() for parameter in method.model.parameters())


def test_without_labels_and_without_confidence_the_loss_is_0_with_zero_gradients():
    method = self_training()
    method.tau = 1.01
    loss = loss_of(method, batch_of(torch.full((2, 8, 12), 255, dtype=torch.uint8)))
    loss.backward()
    assert loss == 0
    assert all((parameter.grad == 0).all() for parameter in method.model.parameters())


def test_augmentation_changes_the_mixed_image_and_nothing_else():
    plain, augmented = (self_training(augment=augment) for augment in (AS_THEY_ARE, ALWAYS_AUGMENTED))
    for method in (plain, augmented):
        loss_of(method, batch_of())
    for key in ("mask", "weight"):
        assert torch.equal(getattr(plain.lesson.mixed, key), getattr(augmented.lesson.mixed, key))
    assert not torch.equal(plain.lesson.mixed.image.float(), augmented.lesson.mixed.image)
    for ours, theirs in zip(plain.lesson.pseudo, augmented.lesson.pseudo, strict=True):
        assert torch.equal(ours, theirs), "the teacher sees the clean image"


def test_the_mix_follows_from_seed_and_step():
    first, again = (self_training(augment=ALWAYS_AUGMENTED) for _ in range(2))
    again.model.backbone.drop.p = 0.1
    for method in (first, again):
        loss_of(method, batch_of(), step=7)
    assert torch.equal(first.lesson.mixed.image, again.lesson.mixed.image)
    loss_of(again, batch_of(), step=8)
    assert not torch.equal(first.lesson.mixed.image, again.lesson.mixed.image)


def test_rows_without_weight_keep_what_is_pasted_there():
    method = self_training(tau=0, ignore_rows=[0.25, 0.25])
    loss_of(method, batch_of())
    lesson = method.lesson
    outside = torch.ones_like(lesson.pasted)
    outside[:, 2:6] = False
    assert torch.equal(lesson.mixed.weight == 0, outside & ~lesson.pasted)
    assert (lesson.mixed.weight[~outside] == 1).all(), "the rows count in the share of confident pixels"


def test_a_low_head_learns_from_labelled_images_alone():
    method = self_training(model=network(low_head=True))
    loss = loss_of(method, batch_of())
    terms = method.terms
    expected = terms["train/supervised"] + terms["train/mixed"] + 0.4 * terms["train/supervised_low"]
    assert torch.allclose(loss, expected)
    batch = batch_of(torch.full((2, 8, 12), 255, dtype=torch.uint8))
    method = self_training(model=network(low_head=True), tau=0)
    loss_of(method, batch).backward()
    assert (method.model.low_head.weight.grad == 0).all()
    assert (method.model.head.weight.grad != 0).any()


def test_the_next_loss_after_a_checkpoint_is_identical():
    method = train(self_training(augment=ALWAYS_AUGMENTED))
    copy = self_training(augment=ALWAYS_AUGMENTED)
    copy.load_state_dict(method.state_dict())
    assert torch.equal(loss_of(method, batch_of(), 3), loss_of(copy, batch_of(), 3))


@pytest.mark.parametrize("silent", ["sigma 0", "evaluation mode"])
def test_perturbed_losses_are_the_plain_ones_where_nothing_is_drawn(silent):
    plain, perturbed = self_training(), self_training()
    for loss in (perturbed.supervised, perturbed.mixed):
        counter = ClassCounter(torch.arange(1.0, 20.0).double(), torch.ones(19, dtype=torch.bool), "running")
        loss.variation = LogitVariation(counter, "paper", "paper", 0 if silent == "sigma 0" else 6, steps=10)
    assert torch.equal(loss_of(perturbed, batch_of()), loss_of(plain, batch_of())) == (silent == "sigma 0")
    if silent == "evaluation mode":
        assert torch.equal(loss_of(perturbed.eval(), batch_of()), loss_of(plain.eval(), batch_of()))


def test_losses_that_count_classes_see_the_pseudo_labels():
    method = self_training()
    counter = ClassCounter(torch.ones(19).double(), torch.ones(19, dtype=torch.bool), "epoch")
    method.mixed.variation = LogitVariation(counter, "paper", "paper", 6, steps=10)
    loss_of(method, batch_of())
    assert torch.equal(counter.next.long(), torch.bincount(method.lesson.pseudo.label.flatten(), minlength=19))


def test_images_are_mixed_in_pairs_of_one_size():
    batch = batch_of()
    batch["unlabelled"]["image"] = batch["unlabelled"]["image"][..., 4:]
    with pytest.raises(ValueError, match=r"the labelled and the unlabelled stream need the same transform\.crop"):
        loss_of(self_training(), batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.5}, r"method\.decay: expected a number in \[0, 1\], got 1\.5"),
        ({"teacher_bn": "eval"}, r"method\.teacher_bn: expected batch or copy, got 'eval'"),
        ({"eval_model": "both"}, r"method\.eval_model: expected student or teacher, got 'both'"),
        ({"tau": 96.8}, r"method\.tau: expected a number in \[0, 1\], got 96.8"),
        ({"tau": -1}, r"method\.tau: expected a number in \[0, 1\], got -1"),
        ({"confidence_scope": "epoch"}, r"method\.confidence_scope: expected batch, image, pixel, got 'epoch'"),
        ({"ignore_rows": [0.7, 0.7]}, r"method\.ignore_rows: expected two shares of the height"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        self_training(**options)


# The evaluation


@pytest.mark.parametrize("headline", ["student", "teacher"])
def test_student_and_teacher_are_evaluated_side_by_side(headline):
    evaluated = {"c": Evaluated("target", table("c"))}
    method = train(self_training(evaluated=evaluated, eval_model=headline)).eval()
    image = batch_of()["unlabelled"]["image"]
    networks = {"student": method.model, "teacher": method.teacher}
    with torch.no_grad():
        prediction = {
            name: F.interpolate(network(image), size=(8, 12), mode="bilinear", align_corners=True).argmax(dim=1)
            for name, network in networks.items()
        }
        mask = prediction["teacher"].to(torch.uint8)  # the teacher is right everywhere
        shown = method.validation_step({"name": "c", "image": image, "mask": mask}, 0)
        method.on_validation_epoch_end()
        assert torch.equal(shown, prediction[headline].to(torch.uint8))
    right = (prediction["student"] == prediction["teacher"]).float().mean()
    assert right < 1
    assert method.iou_of["teacher"]["c"].nanmean() == 1
    assert method.iou_of["student"]["c"].nanmean() < 1
    assert method.iou is method.iou_of[headline]
    assert math.isclose(method.mean_miou("target"), method.iou_of[headline]["c"].nanmean())


def test_streams_whose_images_cannot_be_mixed_are_refused_before_training():
    streams = {name: StreamShape(role=name, batch_size=4, crops=((32, 48),)) for name in ("labelled", "target")}
    method = self_training()
    method.read(streams)
    with pytest.raises(ValueError, match="batch_size=2.*make them equal"):
        method.read({**streams, "target": replace(streams["target"], batch_size=2)})
    with pytest.raises(ValueError, match=r"crop of stream labelled is \(32, 48\) and of target \(32, 32\)"):
        method.read({**streams, "target": replace(streams["target"], crops=((32, 32),))})
    with pytest.raises(ValueError, match="mixed_weight: expected at least 0, got -3"):
        self_training(mixed_weight=-3)
