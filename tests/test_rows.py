"""Every row of the papers' tables trains, and those of adversaries carry their papers' values."""

import json

import pytest
from running import carry_out, new_folder
from smoke import SMOKE
from test_conf import ALIKE, ROWS, UNIVERSAL, resolved

from mdseg.config import references

# Rooms beside streets, of another size and aspect ratio; three datasets with their six pairs; three sources.
TRAINED_ON = {
    "full": "universal_cityscapes_sunrgbd",
    "fine_tune": "universal_cityscapes_idd_camvid",
    "max_merge": "multi_source_three_cityscapes",
}


def trained_rows():
    """Every row once, on the experiments that have it in turn, the cities as well; `unit` in test_multi_source.py."""
    for number, row in enumerate(sorted({row for _, row in ROWS} - {"unit"})):
        left = {*ALIKE} & {*UNIVERSAL}
        tables = [each for each in references.document()["experiments"] if each not in left]
        experiments = [each for each in tables if row in references.rows(each)]
        yield TRAINED_ON.get(row, experiments[number % len(experiments)]), row


# What a handful of images makes necessary.
FEW_IMAGES = {"universal": ["streams.labelled.labelled=3", "embedding_dimension=8"]}


@pytest.mark.parametrize(("experiment", "row"), list(trained_rows()))
def test_every_row_trains_two_steps(composed, tmp_path, experiment, row):
    few = FEW_IMAGES.get(experiment.partition("_")[0], [])
    cfg = composed(*SMOKE, *few, f"experiment={experiment}", f"row={row}", "steps=2", f"runs={tmp_path}")
    for stage in cfg.stages:
        if cfg.stage[stage].get("steps") is not None:
            cfg.stage[stage].steps = 2
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    results = json.loads((folder / "results.json").read_text())
    assert list(results["stages"]) == list(cfg.stages)
    for stage in (stage for name, stage in results["stages"].items() if cfg.stage[name].get("run") is None):
        assert stage["steps"] == 2
        (miou,) = stage["evaluation"]["mean_miou"].values()
        assert 0 <= miou < 0.5


def test_adaptsegnet_at_paper_scale_carries_the_official_code_s_values(composed):
    stages = resolved(composed("experiment=gta5_cityscapes", "row=adaptsegnet", "scale=paper"))
    adapt = stages["adapt"]
    sgd = {"lr": 2.5e-4, "momentum": 0.9, "weight_decay": 5e-4}
    assert adapt.optimizer == {"_target_": "torch.optim.SGD", "_partial_": True, **sgd}
    told = adapt.method.discriminator_optimizer
    assert (told._target_, told.lr, told.betas, told.weight_decay) == ("torch.optim.Adam", 1e-4, [0.9, 0.99], 0)
    assert (adapt.steps, adapt.scheduler.horizon, adapt.scheduler.power) == (150_000, 250_000, 0.9)
    assert adapt.method.adversarial == {"high": 0.001, "low": 0.0002}
    assert (adapt.method.low_weight, adapt.method.sees, adapt.method.objective) == (0.1, "softmax", "vanilla")
    assert (adapt.method.discriminator_width, adapt.head_lr_factor, adapt["from"]) == (64, 10, None)
    assert (adapt.model.low_head, adapt.model.bn, adapt.model.aspp_rates) == (True, "freeze_affine", [6, 12])


@pytest.mark.parametrize("row", ["max_merge", "unit"])
def test_several_sources_at_paper_scale_carry_the_paper_s_values(composed, row):
    stages = resolved(composed("experiment=multi_source_cityscapes", f"row={row}", "scale=paper"))
    adam = {"lr": 1e-4, "betas": [0.9, 0.99], "weight_decay": 0.0}
    for name in ("source", "branches", "s_all"):
        stage = stages[name]
        assert stage.optimizer == {"_target_": "torch.optim.Adam", "_partial_": True, **adam}
        assert (stage.steps, stage.scheduler.power, stage.mean) == (50_000, 0.9, "own")
        assert stage.streams.labelled.per_dataset.gta5.transform.crop == [1052, 1914]
        origins = stage["from"] or {}
        assert origins.get("model.backbone") is None  # ImageNet's weights
        assert origins.get("images") == ("translated" if row == "unit" else None)
    assert list(stages["source"].streams) == ["labelled"]
    assert stages["branches"].streams.target.transform.crop == [1024, 2048]
    assert stages["s_all"].streams.labelled.alternate
    if row == "unit":
        translator = stages["gta5"]
        assert (translator.optimizer.lr, translator.optimizer.betas) == (1e-4, [0.5, 0.999])
        weights = ("reconstruction", "cycle", "kl", "gan", "perceptual")
        assert [translator.method[name] for name in weights] == [10, 10, 0.01, 1, 1]
        assert (translator.scheduler.every, translator.method.scales) == (100_000, 3)
