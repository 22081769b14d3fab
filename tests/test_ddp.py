"""Two processes on CPUs: what a cluster would do, in small."""

import json

import numpy as np
import pytest
import torch
from smoke import SMOKE, command

from mdseg.config.building import Datasets, build_label_space, prepare_data


def test_two_ranks_train_find_relations_and_evaluate_every_image_once(tmp_path, composed):
    overrides = [
        "experiment=uniseg_cib",
        *SMOKE,
        "stages=[null_bce,relations]",
        "stage.null_bce.steps=3",
        "trainer.devices=2",
        "trainer.strategy=ddp",
    ]
    cfg = composed(*overrides)
    prepare_data(cfg)
    done = command(tmp_path, *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs/uniseg_cib").iterdir()
    assert done.stdout.count("run folder:") == 1
    assert json.loads((run / "results.json").read_text())["stages"].keys() == {"null_bce", "relations"}
    space = build_label_space(cfg)
    counts = np.load(run / "relations/scores.npz")["counts"]
    for row, name in enumerate(space.datasets):
        dataset = Datasets().open(cfg, name, "train")
        labels = np.concatenate([space.train_ids(name)[dataset.mask(i)].ravel() for i in range(len(dataset))])
        assert (counts[row] == np.bincount(labels[labels != 255], minlength=space.num_classes)).all()


@pytest.mark.slow
def test_two_ranks_of_the_universal_method_add_up_what_one_would(tmp_path):
    """The pixels of an epoch under way, which do not depend on the weights."""
    overrides = [
        "experiment=universal_cityscapes_camvid",
        *SMOKE,
        "data.fraction=0.1",
        "stages=[universal]",
        "stage.universal.from=null",
        "stage.universal.steps=2",
        "method.embeddings=random",
        "method.theta=0.5",
        "streams.labelled.labelled=12",
        "streams.unlabelled.batch_size=2",
    ]
    saved = []
    for ranks in (["trainer.devices=2", "trainer.strategy=ddp"], []):
        done = command(tmp_path, *overrides, *ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        (run,) = {*(tmp_path / "runs/universal_cityscapes_camvid").iterdir()} - {each for each, _ in saved}
        state = torch.load(run / "universal/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        saved.append((run, state["module.counts"]))
    (_, counts), (_, expected) = saved
    assert torch.equal(counts, expected)
    assert counts.sum() > 0


@pytest.mark.slow
def test_two_ranks_that_cut_their_batches_into_parts_take_the_same_steps(tmp_path):
    """Batch norm, which sees a part at a time, is fixed."""
    overrides = ["experiment=supervised_bdd", *SMOKE[1:], "model=deeplab_v2", "model.depth=50", "model.bn=freeze"]
    overrides += ["transform.crop=[33,49]", "steps=4", "trainer.precision=64-true"]
    overrides += ["trainer.devices=2", "trainer.strategy=ddp"]
    losses = []
    for parts in (1, 2):
        done = command(tmp_path, *overrides, f"accumulate={parts}", f"runs=parts{parts}")
        assert done.returncode == 0, done.stdout + done.stderr
        (run,) = (tmp_path / f"parts{parts}/supervised_bdd").iterdir()
        losses.append([float(value) for _, name, value in rows(run / "fit/metrics.csv") if name == "train/supervised"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    assert len(losses[0]) == 4


def rows(path):
    return [line.split(",") for line in path.read_text().splitlines()]
