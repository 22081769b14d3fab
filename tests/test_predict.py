"""Photographs of all kinds become pictures of classes."""

import csv
import json
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from files import png
from PIL import Image

from mdseg.config.building import Datasets, label_table
from mdseg.data.reading import read_image
from mdseg.evaluate import evaluate
from mdseg.evaluation.evaluator import View
from mdseg.evaluation.metrics import ConfusionMatrix, iou
from mdseg.labels.spaces import disjoint
from mdseg.labels.tables import LabelTable
from mdseg.predict import ahead, find_images, predict, space_of, table_of
from mdseg.runs.trained import load_trained
from mdseg.system.devices import choose_device
from mdseg.system.wording import Remark

ORIENTATION = 0x112


@pytest.fixture
def photograph():
    """Four quarters of different colours, 24 x 40, as no mirrored or turned copy looks."""
    quarters = np.array([[[250, 20, 20], [20, 200, 30]], [[20, 30, 220], [200, 200, 60]]], np.uint8)
    return Image.fromarray(quarters.repeat(12, 0).repeat(20, 1))


@pytest.fixture(scope="module")
def trained(trained_run):
    return load_trained(trained_run)


def photograph_of(path):
    return read_image(path, upright=True)


def ids(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def stored(photograph, kind, path):
    """Write the photograph as a file of a kind; what may be lost is the colours' exactness."""
    if kind == "palette":
        photograph.quantize(8).save(path / "a.png")
    elif kind == "palette with transparency":
        photograph.quantize(8).save(path / "a.png", transparency=0)
    elif kind == "alpha":
        photograph.putalpha(Image.linear_gradient("L").resize(photograph.size))
        photograph.save(path / "a.png")
    elif kind == "16 bit":
        cv2.imwrite(str(path / "a.png"), np.asarray(photograph)[..., ::-1].astype(np.uint16) * 257)
    elif kind == "16 bit TIFF":
        cv2.imwrite(str(path / "a.tif"), np.asarray(photograph)[..., ::-1].astype(np.uint16) * 257)
    elif kind == "CMYK":
        photograph.convert("CMYK").save(path / "a.jpg", quality=100, subsampling=0)
    elif kind == "progressive":
        photograph.save(path / "a.JPEG", quality=100, subsampling=0, progressive=True)
    else:
        photograph.save(path / f"a.{kind}", lossless=True)
    (file,) = path.iterdir()
    return file


KINDS = ("palette", "palette with transparency", "alpha", "16 bit", "16 bit TIFF", "CMYK", "progressive", "bmp", "webp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_photograph_is_read_in_colour_whatever_its_file_holds(photograph, kind, tmp_path):
    colors = np.asarray(photograph).astype(int)
    read = photograph_of(stored(photograph, kind, tmp_path))
    assert read.shape == (24, 40, 3)
    assert np.abs(read - colors).max() <= 8


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_becomes_three_equal_channels(photograph, mode, tmp_path):
    grey = photograph.convert("L")
    if mode == "I;16":
        cv2.imwrite(str(tmp_path / "a.png"), np.asarray(grey).astype(np.uint16) * 257)
    else:
        grey.convert(mode).save(tmp_path / "a.png")
    read = photograph_of(tmp_path / "a.png")
    assert (read == read[..., :1]).all()
    if mode != "1":
        assert (read[..., 0] == np.asarray(grey)).all()


@pytest.mark.parametrize(("orientation", "turn"), [(3, "ROTATE_180"), (6, "ROTATE_90"), (2, "FLIP_LEFT_RIGHT")])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photograph_comes_out_upright(photograph, orientation, turn, suffix, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photograph.transpose(Image.Transpose[turn]).save(tmp_path / f"a.{suffix}", exif=exif, quality=100)
    read = photograph_of(tmp_path / f"a.{suffix}")
    assert read.shape == (24, 40, 3)
    assert np.abs(read - np.asarray(photograph).astype(int))[::23, ::39].max() <= 8


def test_pictures_mirror_the_folder_at_the_photographs_size(trained_run, photograph, tmp_path):
    (tmp_path / "photos/north side").mkdir(parents=True)
    photograph.resize((61, 33)).save(tmp_path / "photos/a.jpg")
    photograph.resize((7, 90)).save(tmp_path / "photos/north side/b (1)=2.PNG")
    predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {
        *(f"{folder}/a.png" for folder in ("id", "color")),
        *(f"{folder}/north side/b (1)=2.png" for folder in ("id", "color")),
        "overlay/a.jpg",
        "overlay/north side/b (1)=2.jpg",
        "classes.csv",
        "predict.yaml",
    }
    with (tmp_path / "out/classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    assert [row["id"] for row in classes] == [str(index) for index in range(28)]
    for name, size in (("a", (33, 61)), ("north side/b (1)=2", (90, 7))):
        index = ids(tmp_path / f"out/id/{name}.png")
        color = photograph_of(tmp_path / f"out/color/{name}.png")
        assert (index.shape, index.dtype) == (size, np.uint8)
        assert index.max() < 28
        assert photograph_of(tmp_path / f"out/overlay/{name}.jpg").shape == (*size, 3)
        row = classes[index[0, 0]]
        assert color[0, 0].tolist() == [int(row[key]) for key in ("red", "green", "blue")]


def test_predictions_score_what_an_evaluation_says(trained_run, trained, tmp_path):
    name = "cityscapes"
    dataset = Datasets().open_labelled(trained.cfg, name, "val")
    (tmp_path / "photos").mkdir()
    for index in range(len(dataset)):
        cv2.imwrite(str(tmp_path / f"photos/{index}.png"), dataset.image(index)[..., ::-1])
    predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}", f"space={name}"])
    table = label_table(trained.cfg, name)
    confusion = ConfusionMatrix(table.num_classes)
    for index in range(len(dataset)):
        prediction = torch.from_numpy(ids(tmp_path / f"out/id/{index}.png"))
        confusion.update(prediction[None], torch.from_numpy(dataset.mask(index))[None])
    document = evaluate(
        [f"run={trained_run}", f"on=[{name}]", "evaluation.batch_size=1", f"output={tmp_path / 'evaluation'}"]
    )
    found = document["evaluation"]["datasets"][name]["miou"]
    assert round(iou(confusion.compute()).nanmean().item(), 5) == found


def test_a_bad_file_is_reported_and_the_others_are_predicted(trained_run, photograph, tmp_path, capfd):
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / "photos/good.jpg")
    (tmp_path / "photos/cut.jpg").write_bytes((tmp_path / "photos/good.jpg").read_bytes()[:300])
    (tmp_path / "photos/text.png").write_text("no image")
    with pytest.raises(SystemExit, match="2 of 3 images could not be predicted: .*cut.jpg, .*text.png"):
        predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    assert "text.png: not a readable image" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "out/id").iterdir()] == ["good.png"]


def test_an_output_folder_that_is_not_empty_is_refused(trained_run, photograph, tmp_path):
    photograph.save(tmp_path / "a.png")
    arguments = [f"run={trained_run}", f"images={tmp_path / 'a.png'}", f"output={tmp_path / 'out'}"]
    predict(arguments)
    before = (tmp_path / "out/id/a.png").read_bytes()
    with pytest.raises(ValueError, match="out is not empty; give a new folder, or overwrite=true"):
        predict(arguments)
    (tmp_path / "out/id/a.png").write_bytes(b"")
    predict([*arguments, "overwrite=true"])
    assert (tmp_path / "out/id/a.png").read_bytes() == before


def test_hidden_files_and_earlier_outputs_are_no_photographs(tmp_path, capsys):
    for name in (
        "a.jpg",
        "._a.jpg",
        ".cache/b.jpg",
        "masks/id/a.png",
        "masks/predict.yaml",
        "masks/c.webp",
        "id/b.png",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images(tmp_path, tmp_path / "masks")
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.jpg", "id/b.png", "masks/c.webp"]
    assert "notes.txt" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "key"), [("id", "raw_ids"), ("rgb", "rgb")])
def test_raw_ids_are_those_of_the_space_as_its_masks_have_them(trained_run, photograph, tmp_path, encoding, key):
    """The same answers, with which a mask of the dataset would say them."""
    values = {"raw_ids": [[7, 8], [24]], "rgb": [[[128, 64, 32]], [[9, 9, 9]]]}[key]
    classes = [{"name": name, key: ids, "color": [1, 2, 3]} for name, ids in zip(("road", "sky"), values, strict=True)]
    (tmp_path / "mine.yaml").write_text(json.dumps({"encoding": encoding, "classes": classes}))
    photograph.resize((61, 33)).save(tmp_path / "a.png")
    for ids_as in ("index", "raw"):
        output = [f"output={tmp_path / ids_as}", f"space={tmp_path / 'mine.yaml'}", f"ids={ids_as}"]
        predict([f"run={trained_run}", f"images={tmp_path / 'a.png'}", *output])
    index = ids(tmp_path / "index/id/a.png")
    written = cv2.imread(str(tmp_path / "raw/id/a.png"), cv2.IMREAD_UNCHANGED)
    firsts = np.array([value[0] for value in values], np.uint8)
    assert (written == (firsts[..., ::-1] if key == "rgb" else firsts)[index]).all()
    with (tmp_path / "raw/classes.csv").open() as file:
        shown = [row["id"] for row in csv.DictReader(file)]
    assert shown == {"raw_ids": ["7", "24"], "rgb": ["(128, 64, 32)", "(9, 9, 9)"]}[key]


def test_listed_spaces_have_the_cityscapes_colours(trained):
    cityscapes = LabelTable.load("cityscapes")
    assert space_of("cityscapes19", trained).colors == cityscapes.colors
    small = space_of("synthia16", trained)
    assert len(small.names) == 16
    assert small.colors[small.names.index("bus")] == cityscapes.colors[cityscapes.class_index("bus")]


def test_a_space_can_be_a_file(trained, tmp_path):
    table = {"encoding": "id", "classes": [{"name": "sky", "raw_ids": [3], "color": [1, 2, 3]}]}
    (tmp_path / "mine.yaml").write_text(json.dumps(table))
    space = space_of(str(tmp_path / "mine.yaml"), trained)
    assert (space.names, space.classes.tolist()) == (("sky",), [0])
    assert trained.space.names[space.channels[0]] == "sky"


def test_a_table_that_stands_in_a_descriptor_is_called_as_its_dataset(trained):
    table = {"encoding": "id", "classes": [{"name": "sky", "raw_ids": [3], "color": [1, 2, 3]}]}
    cfg = trained.cfg.copy()
    cfg.datasets.idd.labels = table
    assert table_of("idd", replace(trained, cfg=cfg)).name == "idd"


def test_in_a_disjoint_space_a_dataset_keeps_to_its_own_channels(trained):
    tables = {name: label_table(trained.cfg, name) for name in ("cityscapes", "idd")}
    separate = replace(trained, view=View(disjoint(tables)))
    assert space_of("idd", separate).channels.tolist() == list(range(19, 19 + 26))
    assert len(space_of(None, separate).names) == 19 + 26


def test_classes_without_a_channel_are_named_in_one_warning(trained):
    with pytest.warns(UserWarning, match="space=labelmefacade") as caught:
        space_of("labelmefacade", trained)
    assert len(caught) == 1
    assert "no channel for 2 of its 8 classes and will not predict them: door, window" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space_of("bdd", trained)


def test_a_misspelt_space_is_an_error_that_suggests_the_nearest(trained):
    with pytest.raises(FileNotFoundError, match=r"space=cityscape19: .*did you mean cityscapes19\?"):
        space_of("cityscape19", trained)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:99"])
def test_a_device_that_does_not_exist_is_an_error(name):
    with pytest.raises(ValueError, match="device"):
        choose_device(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images=nowhere"], "images=nowhere: there is no such file or folder"),
        (["images=EMPTY"], "no file in it ends in .png, .jpg"),
        (["images=EMPTY", "spac=bdd"], r"spac=bdd: there is no such key \(did you mean space\?\)"),
        (["images=EMPTY", "short_side=big"], "short_side: expected a number of pixels"),
        (["images=EMPTY", "short_side=true"], "short_side: expected a number of pixels"),
        (["images=EMPTY", "short_side=0"], "short_side: expected a number of pixels"),
        (["images=EMPTY", "ids=raw"], "ids=raw: raw ids are those of a label table; set space="),
        (["images=EMPTY", "ids=names", "space=bdd"], "ids: expected index or raw, got 'names'"),
        ([], "images=... is required"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(trained_run, tmp_path, arguments, message):
    arguments = [argument.replace("EMPTY", str(tmp_path)) for argument in arguments]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        predict([f"run={trained_run}", f"output={tmp_path / 'out'}", *arguments])
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_whole_pictures_only(trained_run, tmp_path):
    (tmp_path / "photos").mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)
    for index in range(150):
        cv2.imwrite(str(tmp_path / f"photos/{index}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    arguments = [f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"]
    process = subprocess.Popen([sys.executable, "-m", "mdseg.predict", *arguments], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/overlay/*.jpg")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "mdseg: stopped" in error
    assert "Traceback" not in error
    pictures = {
        folder: {path.stem for path in (tmp_path / "out" / folder).iterdir()} for folder in ("id", "color", "overlay")
    }
    assert 0 < len(pictures["id"]) < 150
    assert pictures["id"] == pictures["color"] == pictures["overlay"]
    assert all(ids(path).shape[:2] == (600, 800) for path in tmp_path.glob("out/*/*.*g"))


def test_what_is_large_is_in_memory_alone():
    begun = []

    def read(item):
        begun.append(item)
        return item

    with ThreadPoolExecutor(1) as pool:
        answers = ahead(pool, read, [1, 2, 3, 4, 5], alone=[3])
        taken = []
        for item, answer in answers:
            if item == 3:
                assert sorted(begun) == [1, 2], "nothing beyond it is read before it, nor it before its turn"
            taken.append((item, answer()))
            if item == 3:
                assert sorted(begun) == [1, 2, 3]
    assert taken == [(item, item) for item in (1, 2, 3, 4, 5)]


def test_a_photograph_beyond_the_budget_is_named_with_its_size_and_the_others_are_predicted(
    trained_run, photograph, tmp_path, capfd
):
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / "photos/good.jpg")
    png(tmp_path / "photos/bomb.png", np.zeros((1, 1), np.uint8), 8, 0, size=(30000, 20000))
    png(tmp_path / "photos/long.png", np.zeros((1, 1), np.uint8), 8, 0, size=(1, 70000))
    with pytest.raises(SystemExit, match=r"2 of 3 images could not be predicted: .*bomb\.png, .*long\.png"):
        predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    said = capfd.readouterr().err
    assert "bomb.png: its 20000 × 30000 pixels are 600 megapixels, more than the 429 that are read at once" in said
    assert "long.png: its overlay would be larger than a JPEG can be" in said
    assert [path.name for path in (tmp_path / "out/id").iterdir()] == ["good.png"]


def test_pages_and_bits_that_are_left_out_are_said_before(trained_run, photograph, tmp_path):
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / "photos/pages.tif", save_all=True, append_images=[photograph])
    cv2.imwrite(str(tmp_path / "photos/deep.png"), np.asarray(photograph).astype(np.uint16))
    with pytest.warns(Remark) as remarks:
        predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    said = [str(remark.message) for remark in remarks]
    assert any("1 of 2 images have more than 8 bits per channel" in text and "deep.png" in text for text in said)
    assert any("1 of 2 images hold several pictures" in text and "pages.tif" in text for text in said)


def test_names_as_long_as_the_file_system_takes_are_predicted(trained_run, photograph, tmp_path):
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / f"photos/{'x' * 251}.jpg")
    predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    assert [path.name for path in (tmp_path / "out/overlay").iterdir()] == ["x" * 251 + ".jpg"]


def test_names_that_do_not_fit_are_refused_before_anything_is_predicted(trained_run, photograph, tmp_path):
    (tmp_path / "photos").mkdir()
    for suffix in ("jpg", "png"):
        photograph.save(tmp_path / f"photos/{'x' * 251}.{suffix}")
    with pytest.raises(ValueError, match="2 of 2 images have names that are too long"):
        predict([f"run={trained_run}", f"images={tmp_path / 'photos'}", f"output={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()
