import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdseg.evaluation.evaluator import View, classes_at
from mdseg.evaluation.metrics import ConfusionMatrix, iou
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.methods.schedules import poly
from mdseg.methods.uniseg import RelationScores, UniSeg, relation_rule
from mdseg.models.heads import CosineClassifier
from mdseg.models.segmenter import Segmenter
from mdseg.models.small import small

NAMES = ("bicyclist", "person", "rider", "road")  # sorted, as the union is


def table(name, classes):
    return LabelTable(
        name=name,
        names=tuple(classes),
        colors=tuple((index, 0, 0) for index in range(len(classes))),
        encoding="id",
        raw_ids=tuple((index,) for index in range(len(classes))),
    )


DATASETS = {"m": ["road", "bicyclist", "person"], "c": ["road", "rider", "person"]}


def space():
    return union({name: table(name, classes) for name, classes in DATASETS.items()})


def scores_of(row, own=None):
    """Dataset m's bicyclist has this row (road, rider, bicyclist, person); every other class is sure of itself."""
    scores = torch.full((2, 4, 4), -0.9, dtype=torch.float64)
    scores[:, range(4), range(4)] = 0.9
    for name, value in zip(("road", "rider", "bicyclist", "person"), row, strict=True):
        scores[0, 0, NAMES.index(name)] = value
    if own is not None:
        scores[0, 0, 0] = own
    return scores


def named_row(relations):
    return [int(relations[0, 0, NAMES.index(name)]) for name in ("road", "rider", "bicyclist", "person")]


def test_channels_above_tau_and_above_the_class_itself_are_related():
    assert named_row(relation_rule(scores_of((-0.60, 0.00, -0.04, -0.08)), space(), tau=-0.08)) == [0, 1, 1, 0]


def test_a_class_surer_of_itself_has_no_relation():
    # Outside the dataset's classes a channel without a relation is not supervised: -1.
    assert named_row(relation_rule(scores_of((-0.60, 0.00, -0.04, -0.08), own=0.01), space(), tau=-0.08)) == [
        0,
        -1,
        1,
        0,
    ]


def test_tau_is_a_floor_for_unsure_classes():
    assert named_row(relation_rule(scores_of((-0.9, -0.2, -0.5, -0.9)), space(), tau=-0.08)) == [0, -1, 1, 0]
    assert named_row(relation_rule(scores_of((-0.9, -0.2, -0.5, -0.9)), space(), tau=-0.3)) == [0, 1, 1, 0]


def test_relations_may_point_inside_the_dataset():
    assert named_row(relation_rule(scores_of((-0.9, -0.9, -0.04, 0.3)), space(), tau=-0.08)) == [0, -1, 1, 1]


def test_classes_without_pixels_get_no_relations():
    scores = scores_of((0.5, 0.5, 0.5, 0.5))
    scores[0, 0] = torch.nan
    assert named_row(relation_rule(scores, space(), tau=-0.08)) == [0, -1, 1, 0]


def test_rows_of_classes_the_dataset_does_not_annotate_stay_null():
    scores = torch.rand(2, 4, 4, dtype=torch.float64)
    row = relation_rule(scores, space(), tau=-0.08)[0, NAMES.index("rider")]
    assert (row == 1).sum() <= 1


class Identity(nn.Module):
    def forward(self, image):
        return F.avg_pool2d(image, 4)


def model(head="cosine"):
    torch.manual_seed(0)
    return Segmenter(Identity(), CosineClassifier(3, 4) if head == "cosine" else nn.Conv2d(3, 4, 1)).eval()


def batches():
    generator = torch.Generator().manual_seed(1)
    for name in ("m", "c", "m"):
        image = torch.randint(0, 256, (2, 3, 16, 24), generator=generator, dtype=torch.uint8)
        mask = torch.randint(0, 3, (2, 20, 30), generator=generator, dtype=torch.uint8)
        mask[:, :3] = 255
        yield {"name": name, "image": image, "mask": mask}


@pytest.mark.parametrize("score", ["cosine", "sigmoid"])
def test_scores_are_means_over_the_pixels_of_each_class(score):
    statistics = RelationScores(model(), space(), score, align_corners=True)
    expected, counts = torch.zeros(2, 4, 4, dtype=torch.float64), torch.zeros(2, 4)
    with torch.no_grad():
        for batch in batches():
            statistics.validation_step(batch, 0)
            logits = F.interpolate(model()(batch["image"]), size=(20, 30), mode="bilinear", align_corners=True).double()
            values = logits / 20 if score == "cosine" else logits.sigmoid()
            dataset = space().dataset_index(batch["name"])
            train_ids = torch.from_numpy(space().train_ids(batch["name"])).long()[batch["mask"].long()]
            for label in range(4):
                chosen = train_ids == label
                expected[dataset, label] += values.permute(0, 2, 3, 1)[chosen].sum(dim=0)
                counts[dataset, label] += chosen.sum()
    assert torch.allclose(statistics.mean_scores(), expected / counts[..., None], atol=1e-6, equal_nan=True)
    assert (statistics.counts == counts).all()


def test_the_iou_of_classes_is_that_of_an_evaluation():
    statistics = RelationScores(model(), space(), "cosine", align_corners=True)
    confusion = {name: ConfusionMatrix(3) for name in space().datasets}
    with torch.no_grad():
        for batch in batches():
            statistics.validation_step(batch, 0)
            of_dataset = View(space()).of(table(batch["name"], DATASETS[batch["name"]]), batch["name"])
            prediction = classes_at(model()(batch["image"]), (20, 30), of_dataset, align_corners=True)
            confusion[batch["name"]].update(prediction, batch["mask"])
    for row, name in enumerate(space().datasets):
        expected = dict(zip(DATASETS[name], iou(confusion[name].compute()).tolist(), strict=True))
        found = dict(zip(space().names, statistics.iou()[row].tolist(), strict=True))
        assert {label: found[label] for label in expected} == pytest.approx(expected, abs=1e-3)


def test_bands_do_not_change_the_scores(monkeypatch):
    whole, banded = (RelationScores(model(), space(), "cosine", align_corners=True) for _ in range(2))
    with torch.no_grad():
        for batch in batches():
            whole.validation_step(batch, 0)
        monkeypatch.setattr("mdseg.methods.uniseg.BAND_BYTES", 4 * 4 * 30 * 3)
        for batch in batches():
            banded.validation_step(batch, 0)
    assert torch.allclose(whole.mean_scores(), banded.mean_scores(), atol=1e-6, equal_nan=True)


def test_cosine_scores_need_the_cosine_head():
    with pytest.raises(ValueError, match=r"model\.head=cosine or score=sigmoid"):
        RelationScores(model("linear"), space(), "cosine", align_corners=True)


def test_unknown_scores_are_refused():
    with pytest.raises(ValueError, match="'logit'"):
        RelationScores(model(), space(), "logit", align_corners=True)


def method(low_head):
    torch.manual_seed(0)
    return UniSeg(
        supervised=ce(space()),
        low_weight=0.25,
        model=small(4, widths=(8, 8, 8, 8, 8), low_head=low_head),
        space=space(),
        evaluated={},
        head_lr_factor=1.0,
        decay_norms=True,
        steps=1,
        seed=0,
        align_corners=True,
        optimizer=torch.optim.SGD,
        scheduler=poly,
    )


def labelled_batch():
    images = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    masks = torch.randint(0, 4, (2, 32, 48), dtype=torch.uint8)
    return {"labelled": {"image": images, "mask": masks, "dataset": torch.tensor([0, 1])}}


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
def test_an_auxiliary_head_gets_the_weighted_loss_without_perturbation():
    two_levels, batch = method(low_head=True), labelled_batch()
    two_levels.supervised.variation = lambda images, rows, labels: lambda band, channels, row, image: band * 2
    loss = two_levels.training_step(batch, 0)
    high, low = two_levels.model.levels(batch["labelled"]["image"])
    plain, labelled = ce(space()), (batch["labelled"]["mask"], batch["labelled"]["dataset"])
    torch.testing.assert_close(loss, plain(2 * high, *labelled) + 0.25 * plain(low, *labelled))
    assert set(two_levels.terms) == {"train/supervised", "train/supervised_low"}


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
def test_a_network_with_a_single_head_is_trained_by_one_term():
    single, batch = method(low_head=False), labelled_batch()
    loss = single.training_step(batch, 0)
    labelled = batch["labelled"]
    assert torch.equal(loss, ce(space())(single.model(labelled["image"]), labelled["mask"], labelled["dataset"]))
    assert set(single.terms) == {"train/supervised"}
