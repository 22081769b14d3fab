"""One path from an image to an answer, whichever command asks, and whichever of a checkpoint's answers is asked for."""

import csv

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from mdseg.config.building import Datasets, label_table
from mdseg.data.datamodule import EvaluationData
from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.pictures import Picture
from mdseg.evaluate import evaluate
from mdseg.evaluation import maps
from mdseg.evaluation.answers import answers
from mdseg.evaluation.evaluator import Evaluated, Evaluator, View
from mdseg.evaluation.predictor import Predictor
from mdseg.evaluation.results import evaluation_results
from mdseg.labels.spaces import disjoint, union
from mdseg.labels.tables import LabelTable
from mdseg.predict import predict
from mdseg.runs.trained import load_trained

STREETS = LabelTable("streets", ("road", "sky"), ((9, 0, 0), (0, 9, 0)), "id", ((0,), (1,)), (255,))
PARKS = LabelTable(
    "parks", ("sky", "road", "lawn"), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), "id", ((0,), (1,), (2,)), (255,)
)
QUICK = ["trainer=cpu", "data.workers=0", "panels=0", "trainer.enable_progress_bar=false"]


class Constant(nn.Module):
    """The same logits at every pixel; counts how often it is asked."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor(logits))
        self.calls = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.answer[:, None, None].expand(len(image), -1, 3, 4)


def all_road(folder, name):
    """A dataset of two images that are road throughout."""
    samples = []
    for number in range(2):
        image, mask = folder / f"{name}{number}.png", folder / f"{name}{number}_mask.png"
        cv2.imwrite(str(image), np.full((6, 8, 3), 100, np.uint8))
        cv2.imwrite(str(mask), np.zeros((6, 8), np.uint8))
        samples.append(Sample(image.stem, image, mask))
    return SegmentationDataset(name, samples, STREETS)


def validated(evaluator, datasets):
    off = ("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary")
    data = EvaluationData(datasets, workers=0, evaluation_batch_size=1, evaluation_short_side=None)
    pl.Trainer(accelerator="cpu", **dict.fromkeys(off, False)).validate(evaluator, data, verbose=False)
    return evaluation_results(evaluator)


def test_a_branch_and_the_merge_of_all_branches_are_evaluated_in_one_pass(tmp_path):
    space = disjoint({"streets": STREETS, "parks": PARKS})
    assert space.names == ("streets/road", "streets/sky", "parks/sky", "parks/road", "parks/lawn")
    network = Constant(2.0, 1.0, 3.0, 0.0, 9.0)
    views = {"merged": View(space), "streets": View(space, "streets"), "parks": View(space, "parks")}
    datasets = {name: all_road(tmp_path, name) for name in ("streets", "elsewhere")}
    evaluated = {"streets": Evaluated("seen", STREETS), "elsewhere": Evaluated("unseen", STREETS)}
    evaluator = Evaluator({"model": network}, views, evaluated, align_corners=True, headline="streets")
    results = validated(evaluator, datasets)
    assert network.calls == 4, "once per image, for all views"
    assert results["network"] == "streets"
    road = {
        answer: {name: entry["iou"]["road"] for name, entry in node["datasets"].items()}
        for answer, node in {"streets": results, "merged": results["merged"], "parks": results["parks"]}.items()
    }
    # Merged, a dataset that was trained on keeps to its own channels; elsewhere the largest channel of a class counts.
    assert road == {
        "streets": {"streets": 1.0, "elsewhere": 1.0},
        "merged": {"streets": 1.0, "elsewhere": 0.0},
        "parks": {"streets": 0.0, "elsewhere": 0.0},
    }


def test_every_network_is_asked_once_for_all_its_views(tmp_path):
    space = disjoint({"streets": STREETS, "parks": PARKS})
    networks = {"student": Constant(2.0, 1.0, 0.0, 0.0, 0.0), "teacher": Constant(1.0, 2.0, 0.0, 3.0, 0.0)}
    views = {"streets": View(space, "streets"), "merged": View(space)}
    evaluator = Evaluator(networks, views, {"elsewhere": Evaluated("unseen", STREETS)}, True, "teacher/merged")
    results = validated(evaluator, {"elsewhere": all_road(tmp_path, "elsewhere")})
    assert [network.calls for network in networks.values()] == [2, 2]
    means = {answer: results[answer]["mean_miou"]["unseen"] for answer in ("student/streets", "teacher/streets")}
    assert means == {"student/streets": 1.0, "teacher/streets": 0.0}
    assert (results["network"], results["mean_miou"]["unseen"]) == ("teacher/merged", 1.0)


def test_a_view_has_the_channels_of_its_branch():
    space = disjoint({"streets": STREETS, "parks": PARKS})
    assert View(space).channels == [0, 1, 2, 3, 4]
    assert View(space, "parks").channels == [2, 3, 4]
    classes = View(space, "parks").all_classes()
    assert (classes.names, classes.colors) == (("parks/sky", "parks/road", "parks/lawn"), PARKS.colors)
    assert (classes.channels.tolist(), classes.classes.tolist()) == ([2, 3, 4], [0, 1, 2])
    assert View(union({"streets": STREETS, "parks": PARKS}), "streets").all_classes().names == ("road", "sky")


def test_an_image_is_answered_at_its_own_size():
    network = Constant(2.0, 1.0)
    predictor = Predictor(network, View(union({"streets": STREETS})), align_corners=False, short_side=10)
    image = np.zeros((20, 37, 3), np.uint8)
    assert predictor.prepared(image).shape == (1, 3, 10, 18)
    answer = predictor.answer(image, predictor.view.all_classes())
    assert (answer.shape, answer.dtype, answer.max()) == ((20, 37), np.uint8, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_none(value):
    predictor = Predictor(Constant(2.0, value), View(union({"streets": STREETS})), align_corners=False, short_side=10)
    with pytest.raises(ValueError, match="the network's answer is nan or infinite"):
        predictor.answer(np.zeros((20, 37, 3), np.uint8), predictor.view.all_classes())


def test_evaluation_prediction_comparison_and_maps_agree_on_an_image(trained_run, tmp_path):
    name, trained = "cityscapes", load_trained(trained_run)
    dataset, table = Datasets().open_labelled(trained.cfg, name, "val"), label_table(trained.cfg, name)
    image, space, predictor = dataset.image(0), trained.view.of(table, name), trained.predictor(40)
    data = EvaluationData({name: dataset}, workers=0, evaluation_batch_size=1, evaluation_short_side=40)
    batch = next(iter(data.val_dataloader()))
    assert torch.equal(batch["image"], predictor.prepared(image))

    evaluator = Evaluator({"model": trained.model}, {"all": trained.view}, {name: Evaluated("seen", table)}, True)
    with torch.no_grad():
        expected = evaluator.validation_step(batch, 0)[0].numpy()
    assert len(np.unique(expected)) > 1
    cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
    for output, space_argument in (("of the dataset", f"space={name}"), ("all", "space=null")):
        predict([f"run={trained_run}", f"images={tmp_path}/image.png", f"output={tmp_path / output}", space_argument])
    predicted, among_all = (cv2.imread(str(tmp_path / each / "id/image.png"), -1) for each in ("of the dataset", "all"))
    assert np.array_equal(predictor.answer(image, space), expected)
    assert np.array_equal(predicted, expected)
    assert np.array_equal(answers(predictor, space, data.val_dataloader(), 1, 0, 0).predictions[0], expected)
    drawn = maps.row([predictor], Picture(image), trained.space.names).maps
    strongest = np.stack([by_run[0] for by_run in drawn]).argmax(axis=0)
    assert np.mean(strongest == among_all) > 0.999, "what remains are ties that rounding decides"


@pytest.fixture
def several(trained_run, tmp_path):
    """A checkpoint of two networks that are read in two views."""
    saved = torch.load(trained_run / "null_bce/checkpoints/last.ckpt", weights_only=True)
    for key in [key for key in saved["state_dict"] if key.startswith("model.")]:
        weight = saved["state_dict"][key]
        saved["state_dict"][f"teacher.{key.removeprefix('model.')}"] = (
            -weight if key.startswith("model.head") else weight
        )
    saved["networks"] = {"student": "model", "teacher": "teacher"}
    whole = {"label_space": saved["label_space"], "branch": None}
    saved["views"], saved["headline"] = {"whole": whole, "idd": {**whole, "branch": "idd"}}, "student/idd"
    torch.save(saved, tmp_path / "several.ckpt")
    return tmp_path / "several.ckpt"


def classes_of(output):
    with (output / "classes.csv").open() as file:
        return [row["name"] for row in csv.DictReader(file)]


def test_each_answer_of_a_checkpoint_is_predicted_by_name(several, tmp_path):
    dataset = Datasets().open(load_trained(several).cfg, "idd", "val")
    cv2.imwrite(str(tmp_path / "image.png"), dataset.image(0)[..., ::-1])
    found = {}
    for answer in (None, "student/idd", "teacher/idd", "student/whole", "teacher/whole"):
        output = tmp_path / str(answer)
        network = [f"network={answer}"] if answer else []
        predict([f"run={several}", f"images={tmp_path}/image.png", f"output={output}", *network])
        found[answer] = cv2.imread(str(output / "id/image.png"), -1)
        assert f"network: {answer or 'student/idd'}" in (output / "predict.yaml").read_text()
    names = {answer: classes_of(tmp_path / answer) for answer in ("student/idd", "student/whole")}
    assert names["student/whole"] == list(load_trained(several).space.names)
    assert set(names["student/idd"]) == set(label_table(load_trained(several).cfg, "idd").names)
    assert np.array_equal(found[None], found["student/idd"])
    assert not np.array_equal(found["student/whole"], found["teacher/whole"])


def test_each_answer_of_a_checkpoint_is_evaluated_by_name(several, tmp_path):
    documents = {
        answer: evaluate([f"run={several}", f"network={answer}", "on=[idd]", f"output={tmp_path / answer}", *QUICK])
        for answer in ("student/idd", "student/whole", "teacher/idd")
    }
    assert [document["network"] for document in documents.values()] == list(documents)
    ious = {answer: document["evaluation"]["datasets"]["idd"]["iou"] for answer, document in documents.items()}
    assert ious["student/idd"] == ious["student/whole"], "in a union, the dataset's classes are the same channels"
    assert ious["student/idd"] != ious["teacher/idd"]


def test_an_answer_that_a_checkpoint_lacks_is_named_with_those_that_there_are(several):
    with pytest.raises(ValueError, match="network: expected student/whole or student/idd or .* got 'student'"):
        load_trained(several, network="student")
