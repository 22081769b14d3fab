import argparse
import os
import re
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mdseg.models.hrnet import hrnet_w18_small
from mdseg.models.weights import load_weights
from mdseg.system.wording import Remark


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
    with pytest.raises(ValueError, match=r"1 of 7 keys missing \(0\.weight\)"):
        load_weights(module, tmp_path / "w.pth", may_miss=("0.",))  # a layer comes as a whole, or not at all
    del state["0.bias"]
    torch.save(state, tmp_path / "w.pth")
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "it begins with b'not a checkpoint': no file of torch.save"),
        (b"", "it is empty: no file of torch.save"),
        (b"<!DOCTYPE html><html><title>404", r"it begins with b'<!DOCTYPE html>.*perhaps a page or a pointer"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "b'version https://git-lfs"),
        (b"\x89PNG\r\n\x1a\n", "no file of torch.save"),
        (b"PK\x03\x04", "RuntimeError"),
        (b"\x80\x02}q\x00", "EOFError|UnpicklingError"),
    ],
    ids=["text", "empty", "page", "pointer", "picture", "zip, cut off", "pickle, cut off"],
)
def test_a_file_of_something_else_is_an_error_that_names_it(module, tmp_path, content, message):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=rf"w\.pth is not a file of tensors.*({message})"):
        load_weights(module, tmp_path / "w.pth")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_regular_file_is_not_waited_for(module, tmp_path, kind):
    path = tmp_path / "w.pth"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(path)}[kind]()
    with pytest.raises(ValueError, match=rf"w\.pth is a {kind}.*expected a regular file"):
        load_weights(module, path)


def test_a_path_that_is_too_long_is_no_file(module):
    with pytest.raises(FileNotFoundError, match="no file at wwww"):
        load_weights(module, "w" * 5000)


def test_a_file_that_is_not_a_state_dict_is_an_error(module, tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(ValueError, match="expected a mapping from names to tensors"):
        load_weights(module, tmp_path / "w.pth")


def stored(module, path, *names, prefix=""):
    """A file with the module's tensors in mappings of these names, one in the other."""
    document = {prefix + key: value for key, value in module.state_dict().items()}
    for name in reversed(names):
        document = {name: document}
    torch.save(document, path)
    return path


@pytest.mark.parametrize(
    ("names", "prefix", "said"),
    [
        (("teacher",), "backbone.", "teacher.backbone."),
        (("state_dict",), "model.encoder.", "state_dict.model.encoder."),
        (("ema", "module"), "", "ema.module."),
        (("checkpoint", "net"), "_orig_mod.", "checkpoint.net."),
        ((), "nobody.knows.it.", "nobody.knows.it."),
    ],
    ids=["self-supervised", "Lightning", "an average", "compiled", "unknown"],
)
def test_what_stands_before_all_names_is_left_out_and_said(module, other, tmp_path, names, prefix, said):
    path = stored(other, tmp_path / "w.pth", *names, prefix=prefix)
    with pytest.warns(Remark, match=f"w.pth: the weights whose names begin with '{said}' are taken"):
        load_weights(module, path)
    assert torch.equal(module[0].weight, other[0].weight)


@pytest.mark.parametrize("average", ["teacher", "model_ema", "state_dict_ema", "swa_model"])
def test_of_weights_and_their_average_the_average_is_taken(module, other, tmp_path, average):
    document = {
        "state_dict": module.state_dict(),
        average: other.state_dict(),
        "optimizer": {"state": {0: torch.ones(1)}},
    }
    torch.save(document, tmp_path / "w.pth")
    with pytest.warns(Remark, match=rf"begin with '{average}\.' are taken.*'state_dict\.' are as many"):
        load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_an_averaged_model_of_torch_is_read(module, other, tmp_path):
    torch.save(AveragedModel(other).state_dict(), tmp_path / "w.pth")  # with `n_averaged` beside `module.`
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_of_two_networks_the_one_that_fits_is_taken(module, other, tmp_path):
    document = {"discriminator": nn.Conv2d(3, 4, 1).state_dict(), "generator": other.state_dict()}
    torch.save(document, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_of_two_networks_with_equal_names_the_one_of_equal_shapes_is_taken(module, other, tmp_path):
    wider = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
    torch.save({"teacher": wider.state_dict(), "net": other.state_dict()}, tmp_path / "w.pth")
    with pytest.warns(Remark, match=r"begin with 'net\.' are taken"):
        load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_tensors_that_are_equal_by_chance_are_not_enough(module, tmp_path):
    """Counters and biases of one element fit everywhere."""
    chance = {
        "1.num_batches_tracked": torch.tensor(1),
        "0.bias": torch.zeros(4),
        "other.weight": torch.zeros(4, 3, 1, 1),
    }
    torch.save(chance, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="5 of 7 keys missing"):
        load_weights(module, tmp_path / "w.pth")


def test_arguments_of_a_training_script_may_lie_beside_the_weights(module, other, tmp_path):
    torch.save({"args": argparse.Namespace(lr=0.1), "epoch": 3, "model": other.state_dict()}, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)


def test_names_without_more_are_not_talked_about(module, other, tmp_path):
    with warnings.catch_warnings(action="error"):
        load_weights(module, stored(other, tmp_path / "w.pth"))
        load_weights(module, stored(other, tmp_path / "v.pth", "state_dict"))


def test_further_layers_in_the_modules_own_are_an_error(module, other, tmp_path):
    """A deeper network has all tensors of a shallower one; loaded silently, half of it would be missing."""
    deeper = {**other.state_dict(), "1.extra.weight": torch.zeros(2), "head.weight": torch.zeros(2)}
    torch.save(deeper, tmp_path / "w.pth")
    with pytest.raises(
        ValueError, match=r"w\.pth does not fit Sequential: 0 of 7.*, 1 further keys \(1\.extra\.weight\)"
    ):
        load_weights(module, tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((4,), float("nan")), r"1 of its 7 tensors are not finite \(0\.bias\)"),
        (torch.full((4,), float("inf")), "not finite"),
        (torch.ones(4, dtype=torch.int8), r"0\.bias torch\.int8 instead of torch\.float32"),
    ],
    ids=["nan", "inf", "whole numbers"],
)
def test_tensors_that_are_no_weights_are_an_error(module, other, tmp_path, value, message):
    torch.save({**other.state_dict(), "0.bias": value}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"w.pth.*{message}"):
        load_weights(module, tmp_path / "w.pth")


class Anything:
    """What a pickle of a whole network holds: code."""


@pytest.mark.parametrize("document", [Anything(), {"model": Anything()}], ids=["bare", "nested"])
def test_a_file_of_more_than_tensors_gets_one_line(module, tmp_path, document):
    torch.save(document, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"holds more than tensors.*save the state_dict alone") as caught:
        load_weights(module, tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert "weights_only=False" not in str(caught.value)


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda value: value.to("meta"), "0.weight without values (of device meta)"),
        (lambda value: value.to_sparse(), "0.weight torch.sparse_coo, which is not dense"),
        (lambda value: value.to(torch.complex64), "0.weight torch.complex64 instead of torch.float32"),
    ],
)
def test_tensors_that_hold_no_numbers_to_copy_are_an_error(module, other, tmp_path, convert, message):
    torch.save({**other.state_dict(), "0.weight": convert(other[0].weight.detach())}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=re.escape(message)):
        load_weights(module, tmp_path / "w.pth")


def test_a_file_that_holds_itself_is_read_once(module, other, tmp_path):
    document = {"state_dict": other.state_dict()}
    torch.save(document | {"parent": {"child": document}}, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    document["itself"] = document
    torch.save(document, tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
    assert torch.equal(module[0].weight, other[0].weight)
    document.pop("state_dict")
    torch.save(document, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="expected a mapping from names to tensors"):
        load_weights(module, tmp_path / "w.pth")
