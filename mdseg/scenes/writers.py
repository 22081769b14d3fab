"""Trees of scenes in each dataset's own files: folders, names, encodings and quirks of datasets' real packages."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mdseg.labels.tables import LabelTable
from mdseg.scenes.policies import SYNTHIA_IDS
from mdseg.scenes.world import WORLD

RGB = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
_CITIES = {
    "train": ("aachen", "bochum", "bremen", "cologne", "darmstadt", "dusseldorf", "erfurt", "hamburg", "hanover",
    "jena",
              "krefeld", "monchengladbach", "strasbourg", "stuttgart", "tubingen", "ulm", "weimar", "zurich"),
    "val": ("frankfurt", "lindau", "munster"),
    "test": ("berlin", "bielefeld", "bonn", "leverkusen", "mainz", "munich"),
}  # fmt: skip
_IDD_TOOL_IDS = (
    "road", "parking", "drivable fallback", "sidewalk", "rail track", "non-drivable fallback", "person", "animal",
    "rider",
    "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus", "caravan", "trailer", "train", "vehicle fallback",
    "curb", "wall", "fence", "guard rail", "billboard", "traffic sign", "traffic light", "pole", "polegroup",
    "obs-str-bar-fallback", "building", "bridge", "tunnel", "vegetation", "sky", "fallback background", "unlabeled",
    "ego vehicle", "rectification border", "out of roi", "license plate",
)  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """The files of a dataset, while they are written."""

    root: Path
    table: LabelTable
    seed: int = 0
    variant: str = ""  # another package of the dataset
    traps: bool = False  # mistakes that a loader must notice

    def file(self, *parts: str) -> Path:
        """A path below the root, whose folder exists."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Scene:
    """One image to write: which one, and what is on it."""

    split: str
    index: int
    image: RGB
    world: Mask
    raw: np.ndarray  # raw ids, integers


def _code(tree: Tree, scene: Scene, length: int) -> bytes:
    """Bytes that name this image and no other."""
    return hashlib.blake2b(f"{tree.seed}/{scene.split}/{scene.index}".encode(), digest_size=length).digest()


def _save(path: Path, pixels: np.ndarray) -> None:
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), pixels, _JPEG if path.suffix == ".jpg" else _PNG):
        raise OSError(f"cannot write {path}")


def _ids(raw: np.ndarray) -> Mask:
    return raw.astype(np.uint8)


def cityscapes(tree: Tree, scene: Scene) -> None:
    """Cityscapes: leftImg8bit and gtFine, in folders of cities; masks of test mark only ego vehicle and borders."""
    cities = _CITIES[scene.split]
    city = cities[scene.index % len(cities)]
    stem = f"{city}_{scene.index // len(cities):06d}_000019"
    ending = ".jpg" if scene.index == 2 else ".png"  # some users convert to JPEG
    _save(tree.file("leftImg8bit", scene.split, city, f"{stem}_leftImg8bit{ending}"), scene.image)
    raw = scene.raw if scene.split != "test" else np.where(scene.raw <= 3, scene.raw, 0)  # only ego vehicle and borders
    _save(tree.file("gtFine", scene.split, city, f"{stem}_gtFine_labelIds.png"), _ids(raw))


def idd(tree: Tree, scene: Scene) -> None:
    """IDD: leftImg8bit and gtFine, in folders of drives; both kinds of id masks, and polygons."""
    drive, second = str(scene.index % 7), scene.index % 3 == 2  # frames repeat across drives; Part II names differ
    number = scene.index // 7 * 30
    frame = f"frame{number}" if second else f"{number:06d}"
    image = tree.file("leftImg8bit", scene.split, drive, f"{frame}_leftImg8bit{'.jpg' if second else '.png'}")
    _save(image, scene.image)
    if scene.split == "test":
        return
    stem = ("gtFine", scene.split, drive)
    _save(tree.file(*stem, f"{frame}_gtFine_labellevel3Ids.png"), _ids(scene.raw))
    tool = _IDD_LABELIDS[scene.world]
    _save(tree.file(*stem, f"{frame}_gtFine_labelids.png"), tool)
    tree.file(*stem, f"{frame}_gtFine_polygons.json").write_text(json.dumps(_polygons(tool)), encoding="utf-8")


_IDD_LABELIDS = np.array([_IDD_TOOL_IDS.index(row.idd) for row in WORLD] + [35] * (256 - len(WORLD)), np.uint8)


def _polygons(ids: Mask) -> dict:
    """Outlines of the regions, large ones first: a region in another's hole is smaller, so it is drawn later."""
    found = []
    for value in np.unique(ids):
        outlines, _ = cv2.findContours((ids == value).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            points = outline[:, 0]
            points = points if len(points) >= 3 else np.concatenate([points, points, points])[:3]
            found.append((cv2.contourArea(outline), _IDD_TOOL_IDS[value], points.tolist()))
    found.sort(key=lambda region: -region[0])
    objects = [{"label": label, "polygon": points, "deleted": 0} for _, label, points in found]
    objects.append({"label": "car", "polygon": [], "deleted": 0})  # Parts II and III hold empty ones
    return {"imgHeight": ids.shape[0], "imgWidth": ids.shape[1], "objects": objects}


def _bdd_folders(split: str, variant: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if variant == "old":
        return ("bdd100k", "seg", "images", split), ("bdd100k", "seg", "labels", split)
    return ("bdd100k", "images", "10k", split), ("bdd100k", "labels", "sem_seg", "masks", split)


def bdd(tree: Tree, scene: Scene) -> None:
    """BDD100K: the layout of the variant, names that look random."""
    code = _code(tree, scene, 8).hex()
    key = f"{code[:8]}-{code[8:]}"
    images, masks = _bdd_folders(scene.split, tree.variant)
    _save(tree.file(*images, f"{key}.jpg"), scene.image)
    if scene.split != "test":
        _save(tree.file(*masks, f"{key}{'_train_id' if tree.variant == 'old' else ''}.png"), _ids(scene.raw))


def bdd_orphans(tree: Tree, counts: Mapping[str, int]) -> None:
    """With `traps`, an image and a mask without a partner."""
    if tree.traps:
        images, masks = _bdd_folders("train", tree.variant)
        key, ending = "00000000-00000000", "_train_id" if tree.variant == "old" else ""
        _save(tree.file(*images, f"{key}.jpg"), np.zeros((8, 8, 3), np.uint8))
        _save(tree.file(*masks, f"ffffffff-ffffffff{ending}.png"), np.zeros((8, 8), np.uint8))


def mapillary(tree: Tree, scene: Scene) -> None:
    """Mapillary Vistas: images and palette masks, names that look random; in v2.0, masks in v1.2/labels."""
    key = base64.urlsafe_b64encode(_code(tree, scene, 18)).decode()[:22]
    key = {0: "-", 1: "_"}.get(scene.index, key[0]) + key[1:]
    folder = {"train": "training", "val": "validation", "test": "testing"}[scene.split]
    _save(tree.file(folder, "images", f"{key}.jpg"), scene.image)
    if scene.split == "test":
        return
    parts = ("v1.2", "labels") if tree.variant == "v2.0" else ("labels",)
    _save_palette(tree.file(folder, *parts, f"{key}.png"), scene.raw, tree.table)


def _save_palette(path: Path, raw: np.ndarray, table: LabelTable) -> None:
    """A palette PNG in the table's colours, black where it ignores."""
    mask = Image.fromarray(_ids(raw))
    mask.putpalette(table.palette().ravel().tolist())
    mask.save(path, compress_level=1)


def mapillary_config(tree: Tree, counts: Mapping[str, int]) -> None:
    """The list of classes that comes with Mapillary Vistas."""
    labels = [
        {"color": list(color), "instances": False, "readable": name.title(), "name": name, "evaluate": True}
        for name, color in zip(tree.table.names, tree.table.colors, strict=True)
    ]
    labels.append(
        {"color": [0, 0, 0], "instances": False, "readable": "Unlabeled", "name": "void--unlabeled", "evaluate": False}
    )
    name = "config_v1.2.json" if tree.variant == "v2.0" else "config.json"
    (tree.root / name).write_text(json.dumps({"version": "1.1", "labels": labels}, indent=1), encoding="utf-8")


def wilddash(tree: Tree, scene: Scene) -> None:
    """WildDash 1: images and masks in one flat folder."""
    stem = f"{('au', 'de', 'us', 'cn')[scene.index % 4]}{scene.index:04d}_100000"
    folder = "wd_bench_01" if scene.split == "test" else "wd_val_01"
    _save(tree.file(folder, f"{stem}.png"), scene.image)
    if scene.split != "test":
        _save(tree.file(folder, f"{stem}_labelIds.png"), _ids(scene.raw))


def wilddash2(tree: Tree, scene: Scene) -> None:
    """WildDash 2: images and labels below wd_public_02, and the benchmark wd_both_02 without labels."""
    stem = f"{('au', 'de', 'us', 'cn')[scene.index % 4]}{scene.index:04d}_100000"
    folder = "wd_both_02" if scene.split == "test" else "wd_public_02"
    _save(tree.file(folder, "images", f"{stem}.jpg"), scene.image)
    if scene.split != "test":
        _save(tree.file(folder, "labels", f"{stem}.png"), _ids(scene.raw))


def kitti(tree: Tree, scene: Scene) -> None:
    """KITTI semantics 2015: image_2 and semantic."""
    name, folder = f"{scene.index:06d}_10.png", "testing" if scene.split == "test" else "training"
    _save(tree.file(folder, "image_2", name), scene.image)
    if scene.split != "test":
        _save(tree.file(folder, "semantic", name), _ids(scene.raw))


def _camvid_name(split: str, index: int) -> str:
    number = {"train": 0, "val": 30000, "test": 60000}[split] + index * 3
    return (f"0001TP_{number:06d}", f"0006R0_f{number:05d}", f"0016E5_{number:05d}", f"Seq05VD_f{number:05d}")[
        index % 4
    ]


def camvid11(tree: Tree, scene: Scene) -> None:
    """CamVid, SegNet version: {split} and {split}annot."""
    name = _camvid_name(scene.split, scene.index)
    _save(tree.file("CamVid", scene.split, f"{name}.png"), scene.image)
    _save(tree.file("CamVid", f"{scene.split}annot", f"{name}.png"), _ids(scene.raw))


def camvid11_lists(tree: Tree, counts: Mapping[str, int]) -> None:
    """SegNet's lists, with absolute paths of its authors' machine."""
    for split, number in counts.items():
        names = [_camvid_name(split, index) for index in range(number)]
        lines = [f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png" for name in names]
        (tree.root / "CamVid" / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def camvid32(tree: Tree, scene: Scene) -> None:
    """CamVid, 32 colours: masks in colour, in the folders of the variant."""
    name = _camvid_name(scene.split, scene.index)
    colors = np.stack([scene.raw >> 16, scene.raw >> 8 & 255, scene.raw & 255], axis=-1).astype(np.uint8)
    original = tree.variant == "original"
    _save(tree.file("701_StillsRaw_full" if original else scene.split, f"{name}.png"), scene.image)
    _save(tree.file("LabeledApproved_full" if original else f"{scene.split}_labels", f"{name}_L.png"), colors)


def camvid32_tables(tree: Tree, counts: Mapping[str, int]) -> None:
    """The table of colours, and for the original folders the lists of the splits."""
    rows = sorted([*zip(tree.table.names, tree.table.colors, strict=True), ("Void", (0, 0, 0))])
    if tree.variant == "original":
        text = "".join(f"{r} {g} {b}\t\t{name}\n" for name, (r, g, b) in rows)
        (tree.root / "label_colors.txt").write_text(text, encoding="utf-8")
        for split, number in counts.items():
            names = "\n".join(_camvid_name(split, index) for index in range(number))
            (tree.root / f"{split}.txt").write_text(names + "\n", encoding="utf-8")
    else:
        text = "name,r,g,b\n" + "".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in rows)
        (tree.root / "class_dict.csv").write_text(text, encoding="utf-8")


def _labelmefacade_name(split: str, index: int) -> str:
    place = ("static_boston_street_april__p", "static_street_outdoor_palma_mallorca_spain__IMG_",
             "spatial_envelope_256x256_static_8outdoorcategories__street_gre",
             "static_outdoor_street_cambridge_uk__IMG_")[index % 4]  # fmt: skip
    return f"{place}{ {'train': 1, 'val': 4, 'test': 7}[split] * 1000 + index:04d}"


def labelmefacade(tree: Tree, scene: Scene) -> None:
    """LabelMeFacade: images and palette masks."""
    name = _labelmefacade_name(scene.split, scene.index)
    _save(tree.file("images", f"{name}.jpg"), scene.image)
    _save_palette(tree.file("labels", f"{name}.png"), scene.raw, tree.table)


def labelmefacade_lists(tree: Tree, counts: Mapping[str, int]) -> None:
    """The split with more training images, and the official one: of 645 training images 100, the rest is test."""
    lists: dict[str, list[str]] = {}
    official: dict[str, list[str]] = {"train": [], "test": []}
    for split, number in counts.items():
        names = [_labelmefacade_name(split, index) for index in range(number)]
        lists[f"large_{split}"] = names
        first = math.ceil(number * 100 / 645) if split == "train" else 0
        official["train"] += names[:first]
        official["test"] += names[first:]
    for stem, names in {**lists, **official}.items():
        lines = sorted(f"images/{name}.jpg labels/{name}.png\n" for name in names)
        if lines:
            (tree.root / f"{stem}.txt").write_text("".join(lines), encoding="utf-8")


def _sunrgbd_files(split: str, index: int) -> tuple[str, str, str]:
    """Image, depth and mask; val is a part of test, here every second image."""
    folder, number = ("train", index + 1) if split == "train" else ("test", 2 * index + (1 if split == "test" else 2))
    return (
        f"image/{folder}/img-{number:06d}.jpg",
        f"depth/{folder}/{number:08d}.png",
        f"label37/{folder}/{number:08d}.png",
    )


def sunrgbd(tree: Tree, scene: Scene) -> None:
    """SUN RGB-D, the extracted package without its depth images."""
    image, _, mask = _sunrgbd_files(scene.split, scene.index)
    _save(tree.file(image), scene.image)
    _save(tree.file(mask), _ids(scene.raw))


def sunrgbd_lists(tree: Tree, counts: Mapping[str, int]) -> None:
    """Lists of train and of all of test, and in split/ of val and of the rest of test."""
    lines = {
        split: [" ".join(_sunrgbd_files(split, index)) for index in range(number)] for split, number in counts.items()
    }
    lists = {
        "split/val37": lines.get("val", []),
        "split/test37": lines.get("test", []),
        "train37": lines.get("train", []),
    }
    if "test" in lines:
        lists["test37"] = sorted(lists["split/val37"] + lists["split/test37"])
    for name, listed in lists.items():
        if listed:
            tree.file(f"{name}.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")


def _gta5_key(split: str, index: int) -> str:
    return f"{index + 1 + (18000 if split == 'val' else 0):05d}"


def gta5(tree: Tree, scene: Scene) -> None:
    """GTA5: numbered images and palette masks; with `traps`, a mask of half the size and the file of a tool."""
    key, raw = _gta5_key(scene.split, scene.index), scene.raw
    ending = ".jpg" if scene.index == 2 else ".png"  # some users convert to JPEG
    _save(tree.file("images", f"{key}{ending}"), scene.image)
    if tree.traps and scene.index == 1:  # the real ones of another size are half as large
        raw = raw[::2, ::2]
    _save_palette(tree.file("labels", f"{key}.png"), raw, tree.table)
    if tree.traps and scene.index == 0:  # what a preparation tool leaves beside
        _save(tree.file("labels", f"{key}_labelTrainIds.png"), tree.table.lookup()[_ids(raw)])


def gta5_lists(tree: Tree, counts: Mapping[str, int]) -> None:
    """Lists of the splits, numbers for train and file names for val; with `traps`, the two useless images."""
    for split, number in counts.items():
        keys = [_gta5_key(split, index) for index in range(number)]
        if tree.traps and split == "train":
            for key, grey in (("15188", 255), ("17705", 0)):
                _save(tree.root / "images" / f"{key}.png", np.full((8, 14, 3), grey, np.uint8))
                _save_palette(tree.root / "labels" / f"{key}.png", np.zeros((8, 14), np.int64), tree.table)
                keys.append(key)
        lines = [str(int(key)) if split == "train" else f"{key}.png" for key in keys]
        (tree.root / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def synthia(tree: Tree, scene: Scene) -> None:
    """SYNTHIA-RAND-CITYSCAPES: 16-bit masks, whose second channel numbers the instances, and masks in colour."""
    name, folder = f"{scene.index + (9000 if scene.split == 'val' else 0):07d}", "RAND_CITYSCAPES"
    _save(tree.file(folder, "RGB", f"{name}.png"), scene.image)
    instances = cv2.connectedComponents(np.isin(scene.raw, _SYNTHIA_THINGS).astype(np.uint8))[1]
    channels = np.dstack([scene.raw, instances, np.zeros_like(scene.raw)]).astype(np.uint16)
    _save(tree.file(folder, "GT", "LABELS", f"{name}.png"), channels)
    colors = np.zeros((256, 3), np.uint8)
    colors[[ids[0] for ids in tree.table.raw_ids]] = tree.table.colors
    colors[SYNTHIA_IDS.index("lane marking")] = colors[SYNTHIA_IDS.index("wall")]  # the official table has it so
    _save(tree.file(folder, "GT", "COLOR", f"{name}.png"), colors[scene.raw])
    if tree.traps and scene.index == 0:
        _save(tree.file(folder, "GT", "LABELS", f"{name}_labelTrainIds.png"), tree.table.lookup()[_ids(scene.raw)])


_SYNTHIA_THINGS = [SYNTHIA_IDS.index(name) for name in ("car", "person", "bicycle", "motorcycle", "rider", "bus")]


def _nthu_key(split: str, index: int) -> str:
    number = index + (5000 if split == "test" else 0)
    return f"pano_{number:05d}_{index % 4}_{180 * (index % 2)}"


def nthu(tree: Tree, scene: Scene) -> None:
    """A city of NTHU: unlabelled training images, labelled test images; with `traps`, an image in two formats."""
    key, folder = _nthu_key(scene.split, scene.index), scene.split.capitalize()
    _save(tree.file("Images", folder, f"{key}{'.png' if scene.index == 2 else '.jpg'}"), scene.image)
    if tree.traps and scene.index == 0:
        _save(tree.file("Images", folder, f"{key}.png"), np.zeros_like(scene.image))  # the JPEG counts
    if scene.split == "test":
        _save(tree.file("Labels", "Test", f"{key}_eval.png"), _ids(scene.raw))


def nthu_lists(tree: Tree, counts: Mapping[str, int]) -> None:
    """List/{train,test}.txt."""
    (tree.root / "List").mkdir()
    for split, number in counts.items():
        names = "\n".join(_nthu_key(split, index) for index in range(number))
        (tree.root / "List" / f"{split}.txt").write_text(names + "\n", encoding="utf-8")
