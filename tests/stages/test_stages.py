import json
import warnings
from types import SimpleNamespace

import pytest
import segmentation_models_pytorch as smp
import torch
from running import carry_out, new_folder, planned
from smoke import SMOKE

from mdseg.methods.uniseg import RelationScores
from mdseg.stages.relations import EstimateRelations

STEPS = ["stage.null_bce.steps=2", "stage.class_relational.steps=2"]


def test_a_sound_configuration_passes(composed):
    planned(composed("experiment=uniseg_cib", *SMOKE))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.head=linear"], "model.head=cosine or score=sigmoid"),
        (["stage.relations.run.score=sigmod"], "sigmod"),
        (["stage.class_relational.from=nul_bce"], "from=nul_bce is none of the stages before it"),
        (["stage.class_relational.from.model=nul_bce"], "from.model=nul_bce is none of the stages before it"),
        (["+stage.class_relational.from.modle=null_bce"], "no network and takes no result of this name"),
        (["stages=[class_relational,null_bce]"], "from.model=null_bce is none of the stages before it"),
        (["stage.class_relational.loss.supervised.relations=mine.yaml"], "mine.yaml"),
        (["stage.class_relational.from.relations=."], "relations.yaml"),
        (["stage.class_relational.from.relations=null", "stage.relations.from=null"], "from is not set"),
        (["stage.class_relational.steps=many"], "steps: expected"),
        (["+stage.class_relational.stepz=5"], "stage.class_relational: unknown keys ['stepz']"),
        (
            ["stage.class_relational.optimizer.lr=fast"],
            "class_relational.optimizer.lr: expected a number above 0",
        ),
        (["+stage.class_relational.optimizer.momentum=0.9"], "momentum"),
        (["+optimizer.eps=-1"], "stage null_bce: torch.optim.AdamW or mdseg.methods.schedules.poly: Invalid epsilon"),
        (["+model.depth=3"], "depth"),
        (["evaluate.unseen=[nowhere]"], "dataset 'nowhere' is used but not loaded"),
        (["streams.labelled.datasets=[]"], "no labelled stream"),
        (["streams.labelled.split=test"], "it has no masks"),
        (["datasets.bdd.evaluation_split=test"], "it has no masks"),
        (["evaluation.score_at=middle"], "score_at"),
    ],
)
def test_mistakes_of_later_stages_are_found_before_the_first_one_trains(composed, overrides, message):
    cfg = composed("experiment=uniseg_cib", *SMOKE, *overrides)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        planned(cfg)
    assert message in str(refused.value)


def test_relations_of_a_stage_and_of_a_file_are_one_too_many(composed, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("idd: {}\n")
    with pytest.raises(ValueError, match="both set; set one of them to null"):
        planned(composed("experiment=uniseg_cib", *SMOKE, f"stage.class_relational.loss.supervised.relations={file}"))


def test_relations_are_compared_only_with_the_truth_of_embedded_data(composed, tmp_path):
    """One dataset's root points elsewhere, as that of a real one would; nothing is drawn with panels=0."""
    elsewhere = tmp_path / "real"
    cfg = composed("experiment=uniseg_cib", *SMOKE)
    planned(cfg)
    elsewhere.symlink_to(cfg.datasets.idd.root)
    cfg = composed(
        "experiment=uniseg_cib", *SMOKE, *STEPS, "panels=0", f"datasets.idd.root={elsewhere}", f"runs={tmp_path}"
    )
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    results = json.loads((folder / "results.json").read_text())
    assert "against_truth" not in results["stages"]["relations"]
    assert not [*folder.rglob("*.png")]


@pytest.mark.parametrize("mean", ["network", "own"])
def test_relations_are_those_of_a_network_that_sees_what_it_was_trained_on(composed, tmp_path, monkeypatch, mean):
    shown, count = [], RelationScores.validation_step

    def seen(self, batch, index):
        shown.append(batch["image"])
        count(self, batch, index)

    monkeypatch.setattr(RelationScores, "validation_step", seen)
    options = [f"mean={mean}", "stages=[null_bce,relations]", "evaluate.unseen=[]", "evaluate.seen=[bdd]"]
    cfg = composed("experiment=uniseg_cib", *SMOKE, *options, "stage.null_bce.steps=1", f"runs={tmp_path}")
    carry_out(cfg, new_folder(cfg))
    assert {image.dtype for image in shown} == {torch.int16 if mean == "own" else torch.uint8}


def test_relations_are_compared_with_the_truth_with_pairs_of_one_dataset_and_without(trained_run):
    found = json.loads((trained_run / "results.json").read_text())["stages"]["relations"]
    assert found["across_only"] is False
    assert found["num_across"] <= found["num_found"]
    with_all, across = found["against_truth"], found["against_truth_with_across_only"]
    assert (across["true"], across["found"] <= with_all["found"]) == (with_all["true"], True)
    assert 0 <= found["primaries_miou"] < 1


@pytest.mark.parametrize(("miou", "said"), [(0.1, True), (0.9, False)])
def test_a_stage_of_relations_says_whether_its_model_is_hardly_trained(miou, said):
    """One class of two has pixels enough; the IoU of the other does not count."""
    iou = torch.tensor([[miou, 1 - miou]])
    stage = SimpleNamespace(name="relations", scores=SimpleNamespace(iou=lambda: iou), min_pixels=2000)
    stage.origins, stage.earlier = {"model": "null_bce"}, {"null_bce": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert EstimateRelations.known(stage, torch.tensor([[2000, 1999]])) == {"primaries_miou": pytest.approx(miou)}
    message = "the model of null_bce is hardly trained: mean IoU 10.0 % on the training images"
    assert [message in str(warning.message) for warning in caught] == [True] * said


def test_a_choice_of_relations_that_is_none_is_refused(composed):
    with pytest.raises(ValueError, match="run.across_only: expected true or false, got 'yes please'"):
        planned(composed("experiment=uniseg_cib", *SMOKE, "stage.relations.run.across_only='yes please'"))


def test_weights_are_selected_on_one_split_and_reported_on_the_other(composed, tmp_path):
    cfg = composed("experiment=supervised_camvid", *SMOKE, "steps=4", "val_every=2", "select=val", f"runs={tmp_path}")
    plan = planned(cfg)
    fit = plan.stages["fit"]
    assert fit.data.evaluated["camvid11"].samples[0].image.parent.name == "val"
    assert fit.reported.evaluated["camvid11"].samples[0].image.parent.name == "test"
    assert "selects weights on val, reports them on camvid11" in str(plan)
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    found = json.loads((folder / "results.json").read_text())["stages"]["fit"]
    assert found["selected"]["split"] == "val"
    assert found["best"]["mean_seen_miou"] >= found["selected"]["evaluation"]["mean_miou"]["seen"] - 1e-5
    rows = (folder / "fit/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows if ",val/camvid11/miou," in row] == ["2", "4"]
    (reported,) = (row for row in rows if ",test/camvid11/miou," in row)
    assert reported.split(",")[0] == "4"
    assert float(reported.split(",")[2]) == pytest.approx(found["evaluation"]["datasets"]["camvid11"]["miou"], abs=1e-5)


def test_selecting_needs_a_seen_dataset_and_says_where_the_reported_images_are_the_same(composed):
    with pytest.raises(ValueError, match="chooses by evaluate.seen, which is empty"):
        planned(composed("experiment=maxsquare_gta5_cityscapes", *SMOKE, "select=val"))
    with pytest.warns(UserWarning, match="weights are chosen by all reported images of cityscapes, as in most papers"):
        planned(composed("experiment=supervised_cityscapes", *SMOKE, "select=val"))


def test_a_plan_says_which_weights_a_network_begins_with(composed, tmp_path):
    torch.save(smp.encoders.get_encoder("resnet18").state_dict(), tmp_path / "w.pth")
    model = ["model=smp", "model.encoder=resnet18", f"model.weights={tmp_path / 'w.pth'}"]
    smoke = [override for override in SMOKE if not override.startswith("model.")]
    shown = str(planned(composed("experiment=supervised_bdd", *smoke, *model, "transform.crop=[64,64]")))
    assert f"\nfit: from weights {tmp_path / 'w.pth'}\n" in shown
