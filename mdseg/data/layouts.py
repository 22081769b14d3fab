"""Where each dataset keeps its files: one function per layout, `layout(root, split, **options) -> list[Sample]`.

`split` is train, val or test. Images and masks are paired by key (file name without its ending, with the folder where
names repeat), never by position, and listed sorted by key.

A layout raises FileNotFoundError where a folder is missing, :class:`NoSplit` where the dataset has no such split,
:class:`IncompleteSplit` where files of it are missing, and ValueError for a list or an option that it cannot use.
"""

import math
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mdseg.data.dataset import Sample
from mdseg.data.folder import folder as folder
from mdseg.data.listing import (
    IMAGES,
    Files,
    NoSplit,
    check_option,
    checked_root,
    descend,
    files_in,
    images_in,
    numbered,
    paired,
    unlabelled,
    without_suffix,
)
from mdseg.data.lists import Chosen, columns_of, lines_of, list_of, names_of, select, there
from mdseg.data.reading import read_size
from mdseg.data.sunrgbd_layout import sunrgbd as sunrgbd
from mdseg.system.wording import Remark

JPEG_FIRST = (".jpg", ".jpeg", *(suffix for suffix in IMAGES if suffix not in (".jpg", ".jpeg")))
GTA5_USELESS = {"15188": "white", "17705": "black"}
GTA5_VAL = 500  # images; the multi-source paper's test subset where GTA5 is the target has as many
SYNTHIA_TRAIN = 9000  # of 9400 images, in the public list


def cityscapes(root: str | Path, split: str, annotation: str = "label_ids") -> list[Sample]:
    """Cityscapes, fine annotation.

    The masks of the test split mark only the ego vehicle and borders: it is unlabelled.

    Args:
        annotation: `label_ids`, or `train_ids` (files that its preparation tool writes).
    """
    root, ending = checked_root(root, split), {"label_ids": "_gtFine_labelIds", "train_ids": "_gtFine_labelTrainIds"}
    check_option("annotation", annotation, ending)
    images = images_in(root / "leftImg8bit" / split, "_leftImg8bit", levels=2)
    if split == "test":
        return unlabelled(images)
    return paired(images, files_in(root / "gtFine" / split, ending[annotation], (".png",), levels=2))


def idd(root: str | Path, split: str, annotation: str = "level3") -> list[Sample]:
    """IDD segmentation; test is unlabelled.

    Args:
        root: IDD_Segmentation or the folder that contains it.
        annotation: `level3` or `label_ids` (PNGs of AutoNUE's tool; the latter needs `labels: idd_label_ids`), or
            `polygons` (the JSON files of the download, drawn when read).
    """
    root = descend(checked_root(root, split), "IDD_Segmentation")
    endings = {"level3": "_gtFine_labellevel3Ids", "label_ids": "_gtFine_labelids", "polygons": "_gtFine_polygons"}
    check_option("annotation", annotation, endings)
    images = images_in(root / "leftImg8bit" / split, "_leftImg8bit", levels=2)
    if split == "test":
        return unlabelled(images)
    suffix = ".json" if annotation == "polygons" else ".png"
    return paired(images, files_in(root / "gtFine" / split, endings[annotation], (suffix,), levels=2))


def bdd(root: str | Path, split: str) -> list[Sample]:
    """BDD100K semantic segmentation, old (seg/) or new (images/10k/) layout, whichever exists. Test is unlabelled.

    One archive of the new layout lacks six images and six masks: files without a partner are left out with a warning.
    """
    root = descend(checked_root(root, split), "bdd100k")
    new, old = root / "images" / "10k", root / "seg" / "images"
    if not new.is_dir() and not old.is_dir():
        raise FileNotFoundError(f"neither {new} (new layout) nor {old} (old layout) exists (set data.root or the root)")
    images = images_in((new if new.is_dir() else old) / split)
    if split == "test":
        return unlabelled(images)
    if new.is_dir():
        masks = files_in(root / "labels" / "sem_seg" / "masks" / split, suffixes=(".png",))
    else:
        masks = files_in(root / "seg" / "labels" / split, "_train_id", (".png",))
    return paired(images, masks, lone="warn")


def mapillary(root: str | Path, split: str) -> list[Sample]:
    """Mapillary Vistas with v1.2 labels: the v1.1/v1.2 package, or the v2.0 package's v1.2 folder. Test is unlabelled.

    Raises:
        ValueError: there are only v2.0 labels, which have 124 classes.
    """
    folder = checked_root(root, split) / {"train": "training", "val": "validation", "test": "testing"}[split]
    images = images_in(folder / "images")
    if split == "test":
        return unlabelled(images)
    labels = folder / "labels" if (folder / "labels").is_dir() else folder / "v1.2" / "labels"
    if not labels.is_dir() and (folder / "v2.0" / "labels").is_dir():
        raise ValueError(f"{folder} has only v2.0 labels (124 classes); v1.2 labels (66) are needed in {labels}")
    return paired(images, files_in(labels, suffixes=(".png",)))


def wilddash(root: str | Path, split: str) -> list[Sample]:
    """WildDash 1: flat folders wd_val_01 (val) and wd_bench_01 (test, unlabelled); there is no training split."""
    if split == "train":
        raise NoSplit("WildDash 1 has no training split; its 70 labelled images are `val`")
    folder = descend(checked_root(root, split), "wd_val_01" if split == "val" else "wd_bench_01")
    # Masks and colour maps lie in the same folder, with longer names.
    images = {key: path for key, path in images_in(folder).items() if re.fullmatch(r"[a-z]{2}\d{4}_\d{6}", key)}
    if split == "test":
        return unlabelled(images)
    return paired(images, files_in(folder, "_labelIds", (".png",)))


def wilddash2(root: str | Path, split: str) -> list[Sample]:
    """WildDash 2: the public images are train and val alike, the benchmark (wd_both_02) is test, unlabelled."""
    root = checked_root(root, split)
    if split == "test":
        return unlabelled(images_in(descend(root, "wd_both_02") / "images"))
    folder = descend(descend(root, "wd_public_02"), "wd_public_v2p0")
    return paired(images_in(folder / "images"), files_in(folder / "labels", suffixes=(".png",)))


def kitti(root: str | Path, split: str) -> list[Sample]:
    """KITTI semantics 2015: the 200 labelled images are train and val alike (no official split); test is unlabelled."""
    root = checked_root(root, split)
    if split == "test":
        return unlabelled(images_in(root / "testing" / "image_2"))
    folder = root / "training"
    return paired(images_in(folder / "image_2"), files_in(folder / "semantic", suffixes=(".png",)))


def camvid(root: str | Path, split: str) -> list[Sample]:
    """CamVid, SegNet version; the folders {split} and {split}annot, or {split}.txt where it exists. Test is labelled.

    The lists hold absolute paths of another machine: only the last two components count.
    """
    root = descend(checked_root(root, split), "CamVid")
    list_file = root / f"{split}.txt"
    if not there(list_file):
        return paired(images_in(root / split), files_in(root / f"{split}annot", suffixes=(".png",)))
    chosen = Chosen(list_file, root)
    for line in lines_of(list_file):
        columns = columns_of(line, list_file)
        if len(columns) != 2:
            raise ValueError(f"{list_file}: expected 'image mask' in a line, got '{line}'")
        image, mask = ("/".join(PurePosixPath(path).parts[-2:]) for path in columns)
        chosen.add(PurePosixPath(image).stem, chosen.file(image, IMAGES), chosen.file(mask, (".png",)))
    chosen.check()
    return paired(chosen.images, chosen.masks)


def camvid32(root: str | Path, split: str, lists: str | Path | None = None) -> list[Sample]:
    """CamVid, 32 colours; test is labelled.

    In the folders 701_StillsRaw_full and LabeledApproved_full or Labels32-RGB, or {split} and {split}_labels.

    Args:
        lists: folder of {split}.txt, whose lines begin with an image's name or path (SegNet's lists will do), by
            default root; needed where the folders do not say the split.
    """
    root = checked_root(root, split)
    if (root / split).is_dir():
        return paired(images_in(root / split), files_in(root / f"{split}_labels", "_L", (".png",)))
    images = images_in(root / "701_StillsRaw_full")
    labels = root / "LabeledApproved_full"
    masks = files_in(labels if labels.is_dir() else root / "Labels32-RGB", "_L", (".png",))
    list_file = Path(lists or root) / f"{split}.txt"
    names = [without_suffix(PurePosixPath(columns_of(line, list_file)[0]).name) for line in lines_of(list_file)]
    return paired(select(images, names, list_file), select(masks, names, list_file))


def gta5(root: str | Path, split: str, lists: str | Path | None = None, size_mismatch: str = "resize") -> list[Sample]:
    """GTA5 ("Playing for Data"): images/00001.png and labels/00001.png; other files in labels/ are left alone.

    Two useless images, one white and one black, are left out.

    Args:
        lists: folder of {split}.txt, by default root, with a number (`1`) or file name (`00001.png`) per line. If it
            holds none of the three, train is all images, as in the adaptation papers, val the first 500 of them, and
            there is no test.
        size_mismatch: what is done where an image and its mask differ in size, as 20801 to 20860 do: `resize` the mask
            (nearest neighbour), `skip` the pair, or `error` when it is read.
    """
    check_option("size_mismatch", size_mismatch, ("error", "resize", "skip"))
    root = checked_root(root, split)
    images = numbered(images_in(root / "images"), 5, root / "images")
    masks = numbered(files_in(root / "labels", suffixes=(".png",)), 5, root / "labels")
    list_file = list_of(split, root if lists is None else Path(lists), needed=lists is not None)
    if list_file is not None:
        keys = [key.zfill(5) for key in names_of(list_file)]
        keys = [key for key in keys if key in images or key not in GTA5_USELESS]
        images, masks = select(images, keys, list_file), select(masks, keys, list_file)
    elif split == "test":
        raise NoSplit(f"GTA5 has no test split without lists; put {split}.txt into {root} or set the layout's `lists`")
    samples = _useful(paired(images, masks))
    if list_file is None and split == "val":
        samples = samples[:GTA5_VAL]
        warnings.warn(
            f"without lists, GTA5's val is its first {len(samples)} images, which are in train too",
            Remark,
            stacklevel=2,
        )
    return _same_sizes(samples, size_mismatch)


def _useful(samples: list[Sample]) -> list[Sample]:
    dropped = [sample.key for sample in samples if sample.key in GTA5_USELESS]
    if dropped:
        shown = ", ".join(f"{key} ({GTA5_USELESS[key]})" for key in dropped)
        warnings.warn(f"useless images left out: {shown}", Remark, stacklevel=3)
    return [sample for sample in samples if sample.key not in GTA5_USELESS]


def _same_sizes(samples: list[Sample], size_mismatch: str) -> list[Sample]:
    """Pairs of one size; of the others the masks are to be resized when read, or they are left out."""
    if size_mismatch == "error":
        return samples  # found when the pair is read
    sizes = _sizes(tuple(sample.image for sample in samples))
    mask_sizes = _sizes(tuple(sample.mask for sample in samples if sample.mask is not None))
    differing = [key for key, (size, mask_size) in enumerate(zip(sizes, mask_sizes, strict=True)) if size != mask_size]
    if differing:
        done = "left out" if size_mismatch == "skip" else "masks resized to their images"
        first = samples[differing[0]].mask
        warnings.warn(f"{len(differing)} pairs of different sizes, the first is {first}: {done}", Remark, stacklevel=3)
    if size_mismatch == "skip":
        return [sample for key, sample in enumerate(samples) if key not in set(differing)]
    return [
        replace(sample, mask_size=sizes[key]) if sizes[key] != mask_sizes[key] else sample
        for key, sample in enumerate(samples)
    ]


def _sizes(paths: tuple[Path, ...]) -> list[tuple[int, int]]:
    """(height, width) of tens of thousands of images, from their headers, perhaps over a network."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(read_size, paths))


def synthia(root: str | Path, split: str, annotation: str = "labels", lists: str | Path | None = None) -> list[Sample]:
    """SYNTHIA-RAND-CITYSCAPES.

    Args:
        root: RAND_CITYSCAPES or SYNTHIA_RAND_CITYSCAPES, or the folder that contains it.
        annotation: `labels` (the download's 16-bit PNGs), or 8-bit copies: `train_ids`
            (GT/LABELS/<n>_labelTrainIds.png, with `labels: cityscapes_train_ids`), `mapped`
            (synthia_mapped_to_cityscapes/<n>.png, found with those ids and with SYNTHIA's own, `labels: synthia_8bit`).
        lists: folder of {split}.txt, by default root, with a number or a file's name per line. If it holds none of the
            three, images up to 0008999 are train and the rest is val; of a copy that has none beyond, the last
            400 / 9400 are val. There is no test.
    """
    check_option("annotation", annotation, ("labels", "train_ids", "mapped"))
    root = checked_root(root, split)
    root = descend(descend(root, "RAND_CITYSCAPES"), "SYNTHIA_RAND_CITYSCAPES")
    images = numbered(images_in(root / "RGB"), 7, root / "RGB")
    masks = _synthia_masks(root, annotation)
    list_file = list_of(split, root if lists is None else Path(lists), needed=lists is not None)
    if list_file is not None:
        keys = [key.zfill(7) for key in names_of(list_file)]
        return paired(select(images, keys, list_file), select(masks, keys, list_file))
    if split == "test":
        raise NoSplit(f"SYNTHIA has no test split without lists; put {split}.txt into {root} or set `lists`")
    pairs = paired(images, masks)
    trained = sum(int(sample.key) < SYNTHIA_TRAIN for sample in pairs)
    if trained == len(pairs) > 1:
        trained -= math.ceil(len(pairs) * 400 / 9400)
    chosen = pairs[:trained] if split == "train" else pairs[trained:]
    if not chosen:
        raise NoSplit(f"none of the {len(pairs)} images in {root / 'RGB'} is of the {split} split; set `lists`")
    return chosen


def _synthia_masks(root: Path, annotation: str) -> Files:
    labels, mapped = root / "GT" / "LABELS", root / "synthia_mapped_to_cityscapes"
    folder, ending = {"labels": (labels, ""), "train_ids": (labels, "_labelTrainIds"), "mapped": (mapped, "")}[
        annotation
    ]
    return numbered(files_in(folder, ending, (".png",)), 7, folder)


def nthu(root: str | Path, split: str) -> list[Sample]:
    """One city of the NTHU cross-city data, NTHU_Datasets/<City>: train is unlabelled, test labelled; there is no val.

    List/{train,test}.txt names the images; without it a split is everything in its folder. Where an image exists as
    JPEG and PNG, the JPEG is taken.
    """
    root = checked_root(root, split)
    if split == "val":
        raise NoSplit("NTHU has no val split; the labelled images of a city are `test`")
    images = images_in(root / "Images" / split.capitalize(), suffixes=JPEG_FIRST)
    list_file = root / "List" / f"{split}.txt"
    listed = there(list_file)
    if listed:
        images = select(images, names_of(list_file), list_file)
    if split == "train":
        return unlabelled(images)
    masks = files_in(root / "Labels" / "Test", "_eval", (".png",))
    if listed:
        masks = {key: path for key, path in masks.items() if key in images}
    return paired(images, masks)
