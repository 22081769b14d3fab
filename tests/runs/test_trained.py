import shutil

import pytest
import torch
from omegaconf import OmegaConf

from mdseg.run import resume
from mdseg.runs.trained import checkpoint_file, load_trained


def test_a_run_folder_stands_for_its_last_stage(trained_run):
    trained = load_trained(trained_run)
    assert (trained.stage, trained.steps, trained.cfg.name) == ("class_relational", 2, "uniseg_cib")
    assert trained.path == trained_run / "class_relational/checkpoints/last.ckpt"
    assert trained.space.num_classes == 28
    assert not trained.model.training


def test_a_stage_its_folder_and_its_checkpoint_are_the_same_model(trained_run):
    ways = [
        load_trained(trained_run, stage="null_bce"),
        load_trained(trained_run / "null_bce"),
        load_trained(trained_run / "null_bce/checkpoints/last.ckpt"),
    ]
    image = torch.randint(0, 256, (1, 3, 40, 60), dtype=torch.uint8)
    first, *others = (trained.model(image) for trained in ways)
    assert all(torch.equal(first, other) for other in others)


def test_the_checkpoint_alone_is_enough(trained_run, tmp_path):
    copied = tmp_path / "model.ckpt"
    copied.write_bytes((trained_run / "null_bce/checkpoints/best.ckpt").read_bytes())
    assert load_trained(copied).steps == 3


def test_normalisation_comes_with_the_weights(trained_run):
    saved = torch.load(trained_run / "null_bce/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert {"model.mean", "model.std"} <= set(saved)


@pytest.mark.parametrize(
    ("stage", "checkpoint", "message"),
    [("nul_bce", "last", "no checkpoint of a stage 'nul_bce'"), (None, "newest", "expected last or best")],
)
def test_a_stage_or_checkpoint_that_does_not_exist_is_an_error(trained_run, stage, checkpoint, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        checkpoint_file(trained_run, stage, checkpoint)


def test_a_folder_of_runs_is_an_error_that_names_a_run(trained_run):
    with pytest.raises(FileNotFoundError, match=trained_run.name):
        load_trained(trained_run.parent)


def test_a_stage_that_trains_nothing_says_so(tmp_path):
    for name in ("config.yaml", "done"):
        (tmp_path / name).write_text("stages: [alone, embeddings]")
    with pytest.raises(FileNotFoundError, match="this stage trained nothing; name one that did, or the run folder"):
        load_trained(tmp_path)


def test_a_checkpoint_of_something_else_is_an_error(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="no checkpoint of mdseg"):
        load_trained(tmp_path / "other.ckpt")


def test_best_weights_of_a_repeated_validation_know_their_steps(trained_run, tmp_path):
    """Killed after the last step, in the validation: the resumed run validates first and saves the best weights."""
    run = shutil.copytree(trained_run, tmp_path / "run")
    for name in ("done", "checkpoints/best.ckpt"):
        (run / "class_relational" / name).unlink()
    last = torch.load(run / "class_relational/checkpoints/last.ckpt", weights_only=True)
    last["callbacks"]["SaveBest"] = {"miou": -1.0, "step": 0}
    torch.save(last, run / "class_relational/checkpoints/last.ckpt")
    resume(run)
    assert load_trained(run, checkpoint="best").steps == 2


def test_a_model_of_one_s_own_is_read_from_its_run_folder_only(trained_run, tmp_path, monkeypatch):
    run = shutil.copytree(trained_run, tmp_path / "run")
    (tmp_path / "mine_models.py").write_text("from mdseg.models.small import small as network\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = run / "null_bce/checkpoints/last.ckpt"
    saved = torch.load(file, weights_only=True)
    saved["config"]["model"]["_target_"] = "mine_models.network"
    torch.save(saved, file)
    with pytest.raises(ValueError, match=r"names mine_models\.network to be called"):
        load_trained(file)
    cfg = OmegaConf.load(run / "config.yaml")
    cfg.model._target_ = "mine_models.network"
    OmegaConf.save(cfg, run / "config.yaml")
    assert load_trained(file).steps == 3
    copied = shutil.copy(file, tmp_path / "alone.ckpt")
    with pytest.raises(ValueError, match="in its run folder"):
        load_trained(copied)
