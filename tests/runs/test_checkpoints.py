import pickle

import pytest
import torch
from folders import device, pipe

from mdseg.runs import checkpoints
from mdseg.system import files


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "last.ckpt"
    files.write_text(path, "old")

    def fail(file):
        file.write(b"half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("put", [pipe, device])
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path, put):
    put(tmp_path / "there")
    with pytest.raises(ValueError, match="there is a (pipe|device), expected a regular file"):
        files.write_text(tmp_path / "there", "new")
    assert not (tmp_path / "there").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]


def test_checkpoints_are_read_back(tmp_path):
    saved = {"state_dict": {"w": torch.ones(2)}, "label_space": {"names": ["a"]}, "networks": {"model": "model"}}
    saved["SegmentationDataModule"] = {"step": 3}
    checkpoints.AtomicCheckpointIO().save_checkpoint(saved, tmp_path / "a" / "last.ckpt")
    assert checkpoints.load(tmp_path / "a" / "last.ckpt")["state_dict"]["w"].tolist() == [1, 1]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt"):
        checkpoints.load(tmp_path / "last.ckpt")


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [b"not a checkpoint", b"", pickle.dumps(Malicious())])
def test_damaged_and_malicious_checkpoints_are_refused(tmp_path, content, capsys):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.ckpt is not a readable checkpoint"):
        checkpoints.load(tmp_path / "last.ckpt")
    assert "executed" not in capsys.readouterr().out


def saved(names=("a", "b")):
    return {
        "label_space": {"names": list(names)},
        "state_dict": {
            "model._orig_mod.weight": torch.ones(2, 3),
            "model._orig_mod.bias": torch.zeros(2),
            "other": torch.ones(1),
        },
    }


def test_network_weights_are_loaded_also_from_a_compiled_network(tmp_path):
    model = torch.nn.Linear(3, 2)
    checkpoints.load_network(model, saved(), tmp_path / "x.ckpt", "model")
    assert (model.weight == 1).all()


def test_another_label_space_is_refused(tmp_path):
    checkpoints.check_same_classes(saved(), tmp_path / "x.ckpt", ("a", "b"))
    with pytest.raises(ValueError, match=r"x\.ckpt was trained with 2 classes, this run has 3.*'c'"):
        checkpoints.check_same_classes(saved(), tmp_path / "x.ckpt", ("a", "b", "c"))


def test_another_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x\.ckpt holds another network"):
        checkpoints.load_network(torch.nn.Linear(4, 2), saved(), tmp_path / "x.ckpt", "model")


def test_a_network_that_a_checkpoint_does_not_have_is_named_beside_those_that_it_has(tmp_path):
    checkpoint = saved() | {"networks": {"model": "model"}}
    with pytest.raises(ValueError, match=r"x\.ckpt holds no network teacher; it has model"):
        checkpoints.load_network(torch.nn.Linear(3, 2), checkpoint, tmp_path / "x.ckpt", "teacher")


def of_weights(**weights):
    return {**saved(), "state_dict": weights, "networks": {}, "SegmentationDataModule": {"step": 3}}


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        ({"model.weight": torch.tensor([1.0, torch.nan])}, "in 1 of 3 tensors (model.weight)"),
        ({"model.norm.running_var": torch.tensor([torch.inf])}, "in 1 of 3 tensors (model.norm.running_var)"),
        ({"teacher.bias": torch.tensor(-torch.inf, dtype=torch.bfloat16)}, "in 1 of 3 tensors (teacher.bias)"),
        ({name: torch.tensor(torch.nan) for name in "vwxyz"}, "in 5 of 7 tensors (v, w, x and 2 more)"),
    ],
    ids=["weight", "statistics of batch norm", "bfloat16", "several"],
)
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, spoilt, named):
    path = tmp_path / "last.ckpt"
    sound = {"sound": torch.ones(2), "norm.num_batches_tracked": torch.tensor(3)}
    torch.save(of_weights(**sound), path)
    assert checkpoints.load(path)["state_dict"].keys() == sound.keys()
    torch.save(of_weights(**sound, **spoilt), path)
    with pytest.raises(ValueError, match=r"last\.ckpt has weights that are not finite, ") as refused:
        checkpoints.load(path)
    assert named in str(refused.value)


def test_weights_that_are_no_tensors_are_refused(tmp_path):
    torch.save(of_weights(weight=[1.0]), tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt is no checkpoint of mdseg: its weights are no tensors by name"):
        checkpoints.load(tmp_path / "last.ckpt")


def test_a_checkpoint_knows_which_datasets_its_weights_have_seen():
    config = {"streams": {"labelled": {"datasets": ["b", "a"]}, "target": {"datasets": ["c", "a"]}}}
    assert checkpoints.trained_on({"config": config}) == ["a", "b", "c"]
    assert checkpoints.trained_on({"config": config, "trained_on": ["a", "z"]}) == ["a", "z"]
