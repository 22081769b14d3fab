"""docs/imports.md: small trees as annotation tools export them, read with exactly the YAML that the page has."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hydra.utils import instantiate
from PIL import Image

from mdseg.data.dataset import load_dataset
from mdseg.labels.tables import IGNORE

PAGE = (Path(__file__).parents[2] / "docs/imports.md").read_text()
SECTIONS = {text.partition("\n")[0]: text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
SIZE = (6, 8)
LEFT, RIGHT = np.s_[:, :4], np.s_[:, 4:]  # one class on either side, what is ignored in the first row


def photograph(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(SIZE[::-1], 50).convert("RGB").save(path)


def halves(left, right, above):
    """A mask with one value on the left, another one on the right, and a third one in the first row."""
    mask = np.zeros((*SIZE, np.size(left)), np.uint8)
    mask[LEFT], mask[RIGHT], mask[0] = left, right, above
    return mask.squeeze()


def png(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def cvat(root):
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n"
    )
    for subset, name in (("Train", "a b"), ("Validation", "c"), ("Test", "d")):
        (root / f"ImageSets/Segmentation/{subset}.txt").write_text(f"{name}\n")
        photograph(root / f"JPEGImages/{name}.jpg")
        for folder in ("SegmentationClass", "SegmentationObject"):
            png(root / folder / f"{name}.png", halves((128, 64, 128), (0, 0, 142), (0, 0, 0)))


def labelme(root):
    for split in ("train", "val"):
        photograph(root / split / "street.jpg")
        shapes = [
            {"label": "lane marking", "shape_type": "polygon", "points": [[0, 0], [3, 0], [3, 5], [0, 5]]},
            {"label": "car", "shape_type": "rectangle", "points": [[7, 5], [4, 0]]},
            {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 0], [7, 0], [7, 0.4], [0, 0.4]]},
        ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "street.jpg", "imageData": None}
        document |= {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (root / split / "street.json").write_text(json.dumps(document))


def roboflow(root):
    for split in ("train", "valid", "test"):
        photograph(root / split / "street_jpg.rf.0a1b.jpg")
        png(root / split / "street_jpg.rf.0a1b_mask.png", halves(1, 2, 0))
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, road\n2, car\n")


def label_studio(root):
    for split in ("train", "val"):
        photograph(root / f"images/{split}/5f3d-{split}.jpg")
    tasks = [
        {"id": 7, "data": {"image": "/data/upload/1/5f3d-train.jpg"}},
        {"id": 12, "data": {"image": "s3://b/5f3d-val.jpg"}},
    ]
    (root / "project.json").write_text(json.dumps(tasks))
    for task in (7, 12):
        for label, mask in (
            ("road", halves(255, 0, 0)),
            ("car", halves(0, 255, 0)),
            ("sports-car", halves(255, 255, 0)),
        ):
            png(root / f"brush/task-{task}-annotation-3-by-me@home-tag-{label}-0.png", mask)


def supervisely(root):
    (root / "train").mkdir()
    (root / "obj_class_to_machine_color.json").write_text(json.dumps({"road": [1, 1, 1], "car": [2, 2, 2]}))
    for split in ("train", "val"):
        photograph(root / split / "img/street.jpg")
        png(root / split / "masks_machine/street.png", halves((1, 1, 1), (2, 2, 2), (0, 0, 0)))
        png(root / split / "masks_human/street.png", np.zeros((6, 16, 3), np.uint8))


def coco_stuff(root):
    for split, kind in (("train2017", None), ("val2017", [3, 3, 3] * 256)):  # grey, and with a palette
        photograph(root / f"images/{split}/000000000009.jpg")
        png(root / f"annotations/{split}/000000000009.png", halves(0, 2, 255), kind)


def pascal_voc(root):
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    for split, name in (("train", "2007_000032"), ("val", "2007_000033")):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text(f"{name}\n")
        photograph(root / f"JPEGImages/{name}.jpg")
        png(root / f"SegmentationClass/{name}.png", halves(0, 1, 255), [0, 0, 0, 128, 0, 0] + [9] * 762)
    photograph(root / "JPEGImages/2008_000001.jpg")  # without a mask, and in no list


TREES = {
    "CVAT": cvat,
    "labelme": labelme,
    "Roboflow": roboflow,
    "Label Studio": label_studio,
    "Supervisely": supervisely,
    "COCO-Stuff": coco_stuff,
    "Pascal VOC": pascal_voc,
}


def test_the_page_has_a_tree_for_every_tool_in_its_table():
    named = re.findall(r"^\| \[(.+?)\]\(#", PAGE, re.MULTILINE)
    assert named == list(TREES)
    assert set(named) <= set(SECTIONS)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("tool", TREES)
def test_an_export_is_read_with_the_yaml_of_the_page(tool, split, tmp_path, monkeypatch):
    TREES[tool](tmp_path)
    monkeypatch.chdir(tmp_path)
    for script in re.findall(r"```python\n(.*?)```", SECTIONS[tool], re.DOTALL):
        exec(script, {})
        (tmp_path / "masks/val").mkdir()
        (tmp_path / "masks/train/5f3d-val.png").rename(tmp_path / "masks/val/5f3d-val.png")
    (text,) = re.findall(r"```yaml\n(# @package datasets\.mine\n.*?)```", SECTIONS[tool], re.DOTALL)
    described = yaml.safe_load(text)
    dataset = load_dataset("mine", instantiate(described["layout"]), tmp_path, described["labels"], split)
    assert len(dataset) == 1
    assert dataset.image(0).shape == (*SIZE, 3)
    mask = dataset.mask(0)
    assert (mask == halves(0, 1, IGNORE)).all()
    assert described["evaluation_split"] == "val"


def test_a_class_of_labelme_may_be_what_nobody_drew(tmp_path):
    labelme(tmp_path)
    described = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", SECTIONS["labelme"], re.DOTALL)[0])
    described["labels"]["classes"].append(
        {"name": "other", "raw_ids": [2], "color": [1, 1, 1], "members": ["_background_"]}
    )
    document = json.loads((tmp_path / "val/street.json").read_text())
    (tmp_path / "val/street.json").write_text(json.dumps(document | {"shapes": document["shapes"][1:2]}))
    dataset = load_dataset("mine", instantiate(described["layout"]), tmp_path, described["labels"], "val")
    assert (dataset.mask(0)[LEFT] == 2).all()
    assert (dataset.mask(0)[RIGHT] == 1).all()


def test_the_script_for_label_studio_leaves_other_labels_alone(tmp_path, monkeypatch):
    """`sports-car` ends as `car` does; its brush covers everything."""
    label_studio(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", SECTIONS["Label Studio"], re.DOTALL)[0], {})
    written = sorted(path.name for path in (tmp_path / "masks/train").iterdir())
    assert written == ["5f3d-train.png", "5f3d-val.png"]
    assert (cv2.imread("masks/train/5f3d-val.png", cv2.IMREAD_UNCHANGED) == halves(1, 2, 0)).all()
