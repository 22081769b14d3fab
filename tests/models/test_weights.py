import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdseg.models.hrnet import hrnet_w18_small
from mdseg.models.weights import load_weights


@pytest.fixture
def module():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.fixture
def other():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.mark.parametrize("prefix", ["", "module.", "module.model.", "_orig_mod.", "model._orig_mod."])
def test_prefixes_of_wrappers_are_stripped(module, other, tmp_path, prefix):
    torch.save({prefix + key: value for key, value in other.state_dict().items()}, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_a_nested_state_dict_and_further_keys_are_accepted(module, other, tmp_path):
    torch.save({"epoch": 3, "state_dict": {**other.state_dict(), "fc.weight": torch.zeros(2)}}, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_safetensors_files_are_read(module, other, tmp_path):
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    load_weights(module, tmp_path / "w.safetensors")
    assert torch.equal(module[0].weight, other[0].weight)


def test_missing_keys_are_an_error_that_lists_them(module, other, tmp_path):
    state = other.state_dict()
    del state["0.weight"]
    torch.save(state, tmp_path / "w.pth")
    before = module[0].bias.clone()
    with pytest.raises(ValueError, match=r"w\.pth does not fit Sequential: 1 of 7 keys missing \(0\.weight\)"):
        load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].bias, before)
    load_weights(module, tmp_path / "w.pth", may_miss=("0.",))


def test_another_shape_is_an_error_that_names_both(module, tmp_path):
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"0\.weight \(4, 3, 3, 3\) instead of \(4, 3, 1, 1\)"):
        load_weights(module, tmp_path / "w.pth")


def test_files_without_batch_counters_load(module, other, tmp_path):
    state = {key: value for key, value in other.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")


def test_no_file_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.weights=null"):
        hrnet_w18_small(2, weights=tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [b"not a checkpoint", b""])
def test_a_file_of_something_else_is_an_error_that_names_it(module, tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth is not a file of tensors"):
        load_weights(module, tmp_path / "w.pth")


def test_a_file_that_is_not_a_state_dict_is_an_error(module, tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(ValueError, match="expected a mapping from names to tensors"):
        load_weights(module, tmp_path / "w.pth")
