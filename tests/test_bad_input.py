"""What users get wrong: one message that says what to do, exit code 1, and nothing half-written."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from mistakes import cut, refused
from PIL import Image
from running import carry_out, new_folder, planned
from smoke import SMOKE, command, forked

from mdseg.config.composition import compose_with_datasets
from mdseg.config.messages import warnings_as_lines
from mdseg.data.streams import Stream
from mdseg.run import resume
from mdseg.runs import checkpoints
from mdseg.runs.log import StageLog

IDS = {
    "encoding": "id",
    "classes": [{"name": name, "raw_ids": [k], "color": [k, 0, 0]} for k, name in enumerate(("road", "car", "sky"))],
}
COLORS = {
    "encoding": "rgb",
    "classes": [
        {"name": name, "rgb": [[k, 9, 9]], "color": [k, 0, 0]} for k, name in enumerate(("road", "car", "sky"))
    ],
    "ignore_rgb": [[0, 0, 0]],
}
ONE_FIT = ["experiment=supervised_bdd", "dataset=[folder]", "data=disk", *SMOKE[:6], *SMOKE[8:], "steps=3"]
ONE_FIT += ["streams.labelled.datasets=[folder]", "evaluate.seen=[folder]", "evaluate.unseen=[]", "checkpoint_every=1"]


@pytest.fixture
def tree(tmp_path):
    """Six images for training and two for validation, with masks of ids 0 to 2, as a dataset `folder`."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for kind in ("images", "masks"):
            (tmp_path / "folder" / kind / split).mkdir(parents=True)
        for k in range(count):
            image, mask = generator.integers(0, 256, (40, 60, 3), np.uint8), generator.integers(0, 3, (40, 60))
            cv2.imwrite(str(tmp_path / f"folder/images/{split}/{k}.{'jpg' if k == 1 else 'png'}"), image)
            cv2.imwrite(str(tmp_path / f"folder/masks/{split}/{k}.png"), mask.astype(np.uint8))
    return tmp_path / "folder"


@pytest.fixture
def configured(composed, tree):
    """A small supervised run on the tree; a label table is written to a file of its own."""

    def configure(*overrides, table=IDS):
        (tree.parent / "table.yaml").write_text(yaml.safe_dump(table))
        paths = [f"data.root={tree.parent}", f"datasets.folder.labels={tree.parent / 'table.yaml'}"]
        return composed(*ONE_FIT, *paths, f"runs={tree.parent / 'runs'}", *overrides)

    return configure


def run(cfg):
    """What `python -m mdseg.run` does with a composed configuration."""
    planned(cfg)
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    return folder


def refused_before_a_folder_is_made(cfg, *parts):
    with refused(*parts):
        run(cfg)
    assert not Path(cfg.runs).exists()


# Files


def remove_masks(tree):
    shutil.rmtree(tree / "masks/train")
    (tree / "masks/train").mkdir()


def rename_masks(tree):
    for path in (tree / "masks/train").iterdir():
        path.rename(path.with_name(f"{path.stem}_label.png"))


def write_mask(tree, pixels):
    cv2.imwrite(str(tree / "masks/train/0.png"), pixels)


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (shutil.rmtree, ["dataset 'folder', split 'train': no folder", "(set data.root or the dataset's root)"]),
        (lambda tree: shutil.rmtree(tree / "images"), ["no folder", "folder/images/train", "set data.root"]),
        (remove_masks, ["no files", ".png", "folder/masks/train"]),
        (rename_masks, ["6 images without mask, the first is", "images/train/0.png", "0 pairs"]),
        (lambda tree: (tree / "masks/train/4.png").unlink(), ["1 images without mask", "images/train/4.png"]),
        (lambda tree: write_mask(tree, np.zeros((40, 61), np.uint8)), ["(40, 60) of", "(40, 61) of its mask"]),
        (lambda tree: cut(tree / "images/train/0.png"), ["images/train/0.png: not a readable image", "leave it out"]),
        (lambda tree: cut(tree / "masks/train/0.png"), ["masks/train/0.png: not a readable image"]),
        (lambda tree: cut(tree / "images/val/0.png"), ["images/val/0.png: not a readable image"]),
        (
            lambda tree: write_mask(tree, np.full((40, 60), 7, np.uint8)),
            ["masks/train/0.png: raw ids 7 are not in label table 'table'", "`ignore_ids`"],
        ),
    ],
    ids=[
        "missing root",
        "wrong folder",
        "empty folder",
        "no pairs",
        "image without mask",
        "sizes",
        "truncated image",
        "truncated mask",
        "truncated validation image",
        "unknown id",
    ],
)
def test_files_that_cannot_be_trained_on(configured, tree, spoil, parts):
    cfg = configured()
    spoil(tree)
    refused_before_a_folder_is_made(cfg, *parts)


def test_a_truncated_jpeg_is_not_read_in_part(configured, tree):
    (tree / "images/train/0.png").unlink()
    cv2.imwrite(str(tree / "images/train/0.jpg"), np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    cut(tree / "images/train/0.jpg")
    refused_before_a_folder_is_made(configured(), "images/train/0.jpg: not a readable image")


def ignore_all(tree, split):
    for path in (tree / "masks" / split).iterdir():
        cv2.imwrite(str(path), np.full((40, 60), 255, np.uint8))


@pytest.mark.parametrize(
    ("split", "overrides", "message"),
    [
        ("train", [], "streams.labelled: dataset 'folder': none of its 6 masks has a pixel of a class that counts"),
        ("val", [], "evaluate: dataset 'folder': none of its 2 masks has a pixel of a class that counts"),
        (
            None,
            ["label_space=cityscapes19", "label_space.names=[boat,house]"],
            "streams.labelled: dataset 'folder': none of its 6 masks",
        ),
    ],
    ids=["trained", "evaluated", "not in the label space"],
)
def test_masks_of_which_every_pixel_is_ignored_are_refused(configured, tree, split, overrides, message):
    table = {
        **IDS,
        "ignore_ids": [255],
        "classes": [*IDS["classes"], {"name": "boat", "raw_ids": [9], "color": [9] * 3}],
    }
    if split:
        ignore_all(tree, split)
    refused_before_a_folder_is_made(configured(*overrides, table=table), message, "label table 'table'")


def test_masks_that_are_ignored_in_part_are_trained_on(configured, tree):
    for name in "0123":
        cv2.imwrite(str(tree / f"masks/train/{name}.png"), np.full((40, 60), 255, np.uint8))
    planned(configured(table={**IDS, "ignore_ids": [255]}))


def test_a_class_that_never_occurs_is_named_in_the_results(configured):
    table = {**IDS, "classes": [*IDS["classes"], {"name": "boat", "raw_ids": [9], "color": [9] * 3}]}
    with pytest.warns(UserWarning, match="stage fit: classes never seen in training: boat;"):
        folder = run(configured("steps=1", table=table))
    assert json.loads((folder / "results.json").read_text())["stages"]["fit"]["never_seen"] == ["boat"]


def palette_mask(tree):
    image = Image.fromarray(np.ones((40, 60), np.uint8), "L").convert("P")
    image.putpalette([value for k in range(256) for value in (k, 100, 200)])
    image.save(tree / "masks/train/0.png")


@pytest.mark.parametrize(
    ("table", "spoil", "part"),
    [
        (COLORS, palette_mask, "is `encoding: palette` meant?"),
        (COLORS, lambda tree: write_mask(tree, np.ones((40, 60), np.uint8)), "is `encoding: id` meant?"),
        (IDS, palette_mask, "expected an 8-bit single-channel mask, found palette PNG; set the table's `encoding`"),
        (IDS, lambda tree: write_mask(tree, np.zeros((40, 60, 3), np.uint8)), "found uint8 of shape (40, 60, 3)"),
        (
            {**IDS, "encoding": "palette"},
            lambda tree: write_mask(tree, np.zeros((40, 60, 3), np.uint8)),
            "expected a palette PNG, found mode RGB; its ids are lost",
        ),
        (IDS, lambda tree: write_mask(tree, np.zeros((40, 60), np.uint16)), "found uint16 of shape (40, 60)"),
        (
            COLORS,
            lambda tree: write_mask(tree, np.zeros((40, 60, 3), np.uint16)),
            "expected 8 bits per colour, found uint16",
        ),
    ],
    ids=["palette as rgb", "ids as rgb", "palette as id", "rgb as id", "rgb as palette", "16 bits", "16-bit colours"],
)
def test_masks_in_another_encoding_than_the_table_s(configured, tree, table, spoil, part):
    spoil(tree)
    refused_before_a_folder_is_made(configured(table=table), "masks/train/0.png", part)


def drawn_at(step, tree, batch_size=1, slot=0):
    """The mask of an image in a batch of the first pass over the tree."""
    index = Stream("labelled", "labelled", ("folder",), (6,), batch_size).indices(0, step)[slot]
    return tree / f"masks/train/{index}.png"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_file_found_while_training_keeps_the_last_checkpoint_and_the_run_goes_on_when_it_is_mended(
    configured, tree, workers
):
    cfg = configured(f"data.workers={workers}", "streams.labelled.batch_size=1", "steps=6")
    planned(cfg)
    folder, mask = new_folder(cfg), drawn_at(3, tree)
    good = mask.read_bytes()
    cv2.imwrite(str(mask), np.full((40, 60), 9, np.uint8))
    with refused(f"{mask}: raw ids 9 are not", f"continue with: python -m mdseg.run resume={folder}"):
        carry_out(cfg, folder)
    assert checkpoints.trained_steps(checkpoints.load(folder / "fit/checkpoints/last.ckpt")) == 3
    assert not (folder / "fit/done").exists()
    mask.write_bytes(good)
    resume(folder)
    assert json.loads((folder / "results.json").read_text())["stages"]["fit"]["steps"] == 6


def test_workers_of_a_run_that_stops_on_a_bad_file_leave_no_temporary_folders(configured, tree, tmp_path, monkeypatch):
    """Python 3.11 gives every process that hands on an open file a folder of its own, and a killed one leaves it."""
    cfg = configured("data.workers=1", "streams.labelled.batch_size=1", "steps=6")
    folder = new_folder(cfg)
    cv2.imwrite(str(drawn_at(3, tree)), np.full((40, 60), 9, np.uint8))
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # a short path
        monkeypatch.setenv("TMPDIR", temporary)
        ended = forked(tmp_path, f"resume={folder}")
        assert "raw ids 9 are not" in ended.stderr
        assert os.listdir(temporary) == []


def test_temporary_files_where_workers_cannot_hand_on_batches_are_refused_before_a_folder_is_made(
    configured, tmp_path, monkeypatch
):
    """A path of a socket has 107 bytes at most on Linux; Python 3.11 prints an error and lets who waits wait."""
    temporary = tmp_path / ("t" * 100)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    part = f"temporary files lie in {temporary}, where workers cannot hand on batches (AF_UNIX path too long)"
    refused_before_a_folder_is_made(configured("data.workers=1"), part, "such as TMPDIR=/tmp, or data.workers=0")
    planned(configured("data.workers=0"))
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_bad_file_on_one_of_two_ranks_ends_both_with_its_message(tmp_path, tree, rank):
    mask = drawn_at(2, tree, batch_size=2, slot=rank)
    cv2.imwrite(str(mask), np.full((40, 60), 9, np.uint8))
    ranks = ["trainer.devices=2", "trainer.strategy=ddp", "streams.labelled.batch_size=2", "evaluation.batch_size=1"]
    ended = command(tmp_path, *ONE_FIT, f"data.root={tmp_path}", *ranks)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count(f"{mask}: raw ids 9 are not") == 1
    assert "Traceback" not in ended.stderr
    (run,) = (tmp_path / "runs/supervised_bdd").iterdir()
    assert f"continue with: python -m mdseg.run resume=runs/supervised_bdd/{run.name}" in ended.stderr
    assert checkpoints.trained_steps(checkpoints.load(run / "fit/checkpoints/last.ckpt")) == 2


def test_images_that_weights_are_chosen_by_and_that_are_reported_are_counted(configured, tree):
    for split, names in (("train", "3 4 5"), ("val", "0"), ("test", "0 1 2")):
        (tree / f"{split}.txt").write_text("\n".join(names.split()))
    layout = ("image_dir=images/train", "mask_dir=masks/train", "lists='{split}.txt'")
    overrides = [f"++datasets.folder.layout.{option}" for option in layout]
    with pytest.warns(UserWarning, match="select=val: weights are chosen by 1 of the 3 reported images of folder"):
        planned(configured(*overrides, "select=val", "datasets.folder.evaluation_split=test"))


def test_a_split_to_select_on_that_a_dataset_lacks_is_not_needed(configured, tree):
    shutil.rmtree(tree / "images/test", ignore_errors=True)
    refused_before_a_folder_is_made(configured("select=test"), "select=test: ", "select=null reports the last weights")


# Label tables and spaces


def repeated(table, **change):
    return {**table, "classes": [*table["classes"], {**table["classes"][0], **change}]}


def many(count, start=0):
    colors = ([k // 256, k % 256, 1] for k in range(count))
    classes = [{"name": f"class {start + k}", "rgb": [color], "color": color} for k, color in enumerate(colors)]
    return {"encoding": "rgb", "classes": classes, "unknown_ids": "ignore"}


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        (repeated(IDS, raw_ids=[9]), ["classes ['road'] occur more than once"]),
        (repeated(IDS, name="lane"), ["'road' and 'lane' both claim raw id 0"]),
        (repeated(COLORS, name="lane"), ["'road' and 'lane' both claim raw id (0, 9, 9)"]),
        (many(256), ["256 classes, at most 255", "merge or ignore some"]),
    ],
    ids=["class twice", "raw id twice", "colour twice", "256 classes"],
)
def test_tables_that_contradict_themselves_are_named_with_file_and_dataset(configured, table, parts):
    refused_before_a_folder_is_made(configured(table=table), "dataset 'folder'", "table.yaml", *parts)


@pytest.fixture
def second(configured, tree):
    """A run on the tree and on a second dataset of the same files with another label table."""

    def configure(labels, *overrides, **first):
        text = {"layout": {"_target_": "mdseg.data.layouts.folder", "_partial_": True}, "root": str(tree)}
        text["layout"] |= {"image_dir": "images/{split}", "mask_dir": "masks/{split}"}
        text |= {"labels": labels, "evaluation_split": "val"}
        (tree.parent / "conf/dataset").mkdir(parents=True)
        (tree.parent / "conf/dataset/second.yaml").write_text("# @package datasets.second\n" + yaml.safe_dump(text))
        path = f"hydra.searchpath=[file://{tree.parent / 'conf'}]"
        return configured(path, "dataset=[folder,second]", *overrides, **first)

    return configure


def test_a_union_of_more_than_255_classes_names_its_datasets(second):
    cfg = second(many(128, start=128), "streams.labelled.datasets=[folder,second]", table=many(128))
    refused_before_a_folder_is_made(cfg, "label space of folder, second: 256 classes, at most 255")


def test_an_evaluation_of_which_no_class_is_known_is_refused(second):
    table = {"encoding": "id", "classes": [{"name": "roda", "raw_ids": [0, 1, 2], "color": [0, 0, 0]}]}
    refused_before_a_folder_is_made(
        second(table, "evaluate.seen=[folder,second]"), "'second'", "none of its classes (roda)", "(car, road, sky)"
    )


def test_an_evaluated_class_without_a_channel_is_warned_of_and_null(second):
    classes = [{"name": "road", "raw_ids": [0, 1], "color": [0, 0, 0]}]
    classes += [{"name": "spaceship", "raw_ids": [2], "color": [1, 0, 0]}]
    cfg = second({"encoding": "id", "classes": classes}, "evaluate.seen=[folder,second]", "steps=1")
    with pytest.warns(UserWarning, match="no channel for 1 of its 2 classes, whose IoU will be null: spaceship"):
        folder = run(cfg)
    results = json.loads((folder / "results.json").read_text())
    assert results["stages"]["fit"]["evaluation"]["datasets"]["second"]["iou"]["spaceship"] is None


def test_a_relation_file_with_an_unknown_class_is_named_with_the_nearest_one(composed, tmp_path):
    (tmp_path / "mine.yaml").write_text("cityscapes: {raod: [rider]}\n")
    relations = f"stage.class_relational.loss.supervised.relations={tmp_path / 'mine.yaml'}"
    cfg = composed("experiment=uniseg_cib", *SMOKE, relations, f"runs={tmp_path / 'runs'}")
    refused_before_a_folder_is_made(cfg, "mine.yaml", "no class 'raod' (did you mean road?)")


# Keys and options


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "experiment=<name> is required; there are "),
        (["experiment=uniseg_cimb"], "no experiment 'uniseg_cimb' (did you mean uniseg_cim?)"),
        (["experiment=uniseg_cib", "dataset=[idd,cityscape]"], "no dataset 'cityscape' (did you mean cityscapes?)"),
        (["experiment=uniseg_cib", "model=smal"], "no model 'smal' (did you mean small?)"),
        (
            ["experiment=supervised_idd", "loss/supervised=nul_bce"],
            "no loss/supervised 'nul_bce' (did you mean null_bce?)",
        ),
        (["experiment=uniseg_cib", "trainer=gpus"], "no trainer 'gpus' (did you mean gpu?)"),
        (["experiment=uniseg_cib", "sead=1"], "sead=1: there is no such key (did you mean seed?)"),
        (["experiment=uniseg_cib", "modle=small"], "(did you mean model?)"),
        (["experiment=supervised_idd", "loss/supervisd=ce"], "(did you mean loss/supervised?)"),
        (["experiment=uniseg_cib", "streams.labeled.batch_size=2"], "(did you mean streams.labelled.batch_size?)"),
        (["experiment=uniseg_cib", "streams.labelled.batchsize=2"], "(did you mean streams.labelled.batch_size?)"),
        (["experiment=uniseg_cib", "trainer.devises=2"], "(did you mean trainer.devices?)"),
        (["experiment=uniseg_cib", "stage.nullbce.steps=2"], "(did you mean stage.null_bce.steps?)"),
        (
            ["experiment=uniseg_cib", "short_side=2"],
            "did you mean evaluation.short_side or transform.short_side?",
        ),
        (["experiment=uniseg_cib", "model.x=2"], "model.x=2: there is no such key; model has _target_, head, "),
        (["experiment=uniseg_cib", "optimizer.amsgrad=true"], "weight_decay; +optimizer.amsgrad=true adds it"),
        (["experiment=uniseg_cib", "sizes={idd:[4,6]}"], "sizes has none so far; +sizes={idd:[4,6]} adds it"),
        (
            ["experiment=universal_cityscapes_idd", "streams.labelled.per_dataset={idd:{batch_size:2}}"],
            "has none so far; +streams.labelled.per_dataset={idd:{batch_size:2}} adds it",
        ),
        (["experiment=uniseg_cib", "mixing={a:1"], "mixing={a:1: not key=value as Hydra reads it"),
        (["experiment=uniseg_cib", "seed=1,2"], "To sweep over it, add --multirun"),
        (["experiment=broken", "hydra.searchpath=[file://conf]"], 'conf/experiment/broken.yaml", line 2'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misspelt_keys_and_options_are_answered_with_the_nearest(overrides, message, tmp_path, monkeypatch):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/broken.yaml").write_text("# @package _global_\nevaluate: {seen: [1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        compose_with_datasets("run", overrides)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=uniseg_cib", "sead=1"], "mdseg: sead=1: there is no such key (did you mean seed?)\n"),
        (
            ["--experiment=uniseg_cib"],
            "mdseg: --experiment=uniseg_cib: values are set without dashes, experiment=uniseg_cib\n",
        ),
    ],
)
def test_the_command_says_it_in_one_line(tmp_path, arguments, message):
    ended = command(tmp_path, *arguments)
    assert (ended.returncode, ended.stderr, ended.stdout) == (1, message, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+sead=1"], "sead: there is no such key (did you mean seed?)"),
        (
            ["+streams.labelled.batchsize=2"],
            "streams.labelled.batchsize: there is no such key (did you mean batch_size?)",
        ),
        (["+evaluation.shortside=2"], "evaluation.shortside: there is no such key (did you mean short_side?)"),
        (["+datasets.folder.rot=x"], "datasets.folder.rot: there is no such key (did you mean root?)"),
        (["~streams.labelled.mixing"], "streams.labelled: key mixing is missing; it needs role, datasets, "),
        (["+trainer.devicess=2"], "trainer.devicess: there is no such key (did you mean devices?)"),
        (["+loss.supervised.scopes=all"], "mdseg.losses.cross_entropy.ce has no argument scopes (did you mean scope?)"),
        (["+datasets.folder.layout.mask_dirs=x"], "layouts.folder has no argument mask_dirs (did you mean mask_dir?)"),
        (["+model.depth=3"], "mdseg.models.small.small has no argument depth; it takes "),
        (["evaluate.seen=[foldr]"], "there is no dataset 'foldr' (did you mean folder?)"),
        (["evaluate.unseen=[kitti]"], "dataset 'kitti' is used but not loaded; write dataset=[folder,kitti]"),
        (["evaluate.seen=folder"], "evaluate.seen: expected a list of names, [folder], got 'folder'"),
        (["evaluate.seen=[]"], "no dataset to evaluate on; set evaluate.seen=[...]"),
        (["datasets.folder.labels=cityscape"], "no label table 'cityscape' (did you mean cityscapes?)"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_keys_that_nothing_reads_are_refused(configured, overrides, message):
    refused_before_a_folder_is_made(configured(*overrides), message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("checkpoint_every=0", "checkpoint_every: expected a whole number of at least 1, got 0"),
        ("log_every=often", "log_every: expected a whole number of at least 1, got 'often'"),
        ("evaluation.batch_size=0", "evaluation.batch_size: expected a whole number of at least 1, got 0"),
        ("data.workers=-1", "data.workers: expected a whole number of at least 0, got -1"),
        ("transform.crop=[48]", "transform.crop: expected [height, width], got [48]"),
        (
            "transform.scale=[2,1]",
            "transform.scale: expected [lowest, highest] of two rising positive factors, got",
        ),
        ("model.widths=8", "mdseg.models.small.small: "),
        ("steps=many", "steps: expected a positive number of steps or \"<n> epochs\", got 'many'"),
    ],
    ids=lambda value: value if "=" in value else "",
)
def test_values_that_are_no_numbers_or_too_small_are_refused(configured, override, message):
    refused_before_a_folder_is_made(configured(override), message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("streams.labelled.batch_size=1", "streams.labelled.batch_size is 1, but there are 2 devices"),
        ("evaluation.batch_size=2", "evaluation has 1 batches for 2 devices"),
    ],
)
def test_fewer_images_than_devices_are_refused_before_a_folder_is_made(configured, override, message):
    cfg = configured("trainer.devices=2", "trainer.strategy=ddp", override)
    refused_before_a_folder_is_made(cfg, message)


def test_a_crop_larger_than_the_images_enlarges_them(configured):
    cfg = configured("transform.crop=[96,128]", "steps=1")
    folder = run(cfg)
    assert (folder / "fit/done").exists()


# A full disk


@contextmanager
def no_file_longer_than(size):
    """Every write beyond this size fails, as on a full disk or with a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_one_before_and_the_run_goes_on(configured, tree):
    cfg = configured("streams.labelled.batch_size=1", "steps=6")
    folder, mask = new_folder(cfg), drawn_at(3, tree)
    good = mask.read_bytes()
    cut(mask)
    with refused(str(mask)):
        carry_out(cfg, folder)
    mask.write_bytes(good)
    last = folder / "fit/checkpoints/last.ckpt"
    before = last.read_bytes()
    with no_file_longer_than(20_000), refused(f"{last.resolve()}: File too large; make room", f"resume={folder}"):
        resume(folder)
    assert last.read_bytes() == before
    assert [path.name for path in last.parent.iterdir()] == ["last.ckpt"]
    resume(folder)
    assert (folder / "fit/done").exists()


def test_a_log_that_does_not_fit_on_the_disk_is_named_and_cut_at_the_last_whole_row(tmp_path):
    log = StageLog(tmp_path)
    log.log_metrics({"train/loss": 0.5}, step=0)
    rows = log.path.read_text()
    with no_file_longer_than(len(rows) + 5), refused(f"{log.path}: File too large; make room"):
        log.log_metrics({"train/loss": 0.25}, step=1)
    log.restart_at(1)
    assert log.path.read_text() == rows


def test_a_run_folder_that_cannot_be_described_is_not_left_behind(configured):
    cfg = configured()
    with no_file_longer_than(100), refused("config.yaml: File too large"):
        new_folder(cfg)
    assert not (Path(cfg.runs) / cfg.name).exists()


# Warnings


def test_a_warning_is_one_line_and_said_once(tmp_path):
    code = """
import warnings
from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.config.messages import mistakes_as_messages
with mistakes_as_messages():
    for _ in range(3):
        union({"idd": LabelTable.load("idd")}).evaluation(LabelTable.load("mapillary"))
        warnings.warn("not of mdseg")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, *foreign = done.stderr.splitlines()
    assert ours.startswith("mdseg: warning: evaluation dataset 'mapillary' (label table 'mapillary'): the model has no")
    assert ours.endswith(" more")
    assert "UserWarning: not of mdseg" in foreign[0]
    assert "mdseg: warning" not in "".join(foreign)


def test_names_in_messages_do_not_command_the_terminal(configured, tree):
    (tree / "masks/train/4.png").unlink()
    (tree / "images/train/4.png").rename(tree / "images/train/\x1b[31m4.png")
    with refused(r"images/train/\x1b[31m4.png"):
        run(configured())


def test_outside_a_command_warnings_are_python_s():
    show = warnings.showwarning
    with warnings_as_lines():
        assert warnings.showwarning is not show
    assert warnings.showwarning is show
