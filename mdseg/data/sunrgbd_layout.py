"""Where SUN RGB-D keeps its files, in the packages that circulate and in the official download; see layouts."""

import re
from pathlib import Path, PurePosixPath

from mdseg.data import sunrgbd as toolbox
from mdseg.data.dataset import Sample
from mdseg.data.listing import (
    IMAGES,
    SPLITS,
    Files,
    IncompleteSplit,
    NoSplit,
    check_option,
    checked_root,
    files_in,
    paired,
    without_suffix,
)
from mdseg.data.lists import Chosen, lines_of, remark_repeated, there

SUNRGBD_TEST = 5050  # of 10335 images that are numbered through


def sunrgbd(root: str | Path, split: str, annotation: str = "extracted") -> list[Sample]:
    """SUN RGB-D, 37 classes. Test is labelled; val is a part of it.

    Args:
        annotation: `extracted` (the packages with image/, label37/ and lists: train37.txt, split/val37.txt, and
            split/test37.txt or else test37.txt; or, older, images and masks numbered through, 1 to 5050 being test),
            `official` (SUNRGBD/ and SUNRGBDtoolbox/, masks of SUNRGBD2Dseg.mat; without val), or `seg_mat` (the same
            with every scene's own seg.mat: regions whose name is that of a class; without val).
    """
    check_option("annotation", annotation, ("extracted", "official", "seg_mat"))
    root = checked_root(root, split)
    if annotation == "extracted":
        numbered = (root / "image").is_dir() and not any((root / "image" / name).is_dir() for name in SPLITS)
        return _sunrgbd_numbered(root, split) if numbered else _sunrgbd_listed(root, split)
    if split == "val":
        raise NoSplit(
            "SUN RGB-D's own split has no val; it is a list of the extracted packages (layout.annotation=extracted), "
            "evaluate on test"
        )
    samples = _sunrgbd_entries(root, split) if annotation == "official" else _sunrgbd_scenes(root, split)
    missing = [file for sample in samples for file in (sample.image, sample.mask) if file and not file.is_file()]
    if missing:
        found = [sample for sample in samples if not {sample.image, sample.mask} & set(missing)]
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        message = f"{missing[0]}{more} of {root / toolbox.SPLIT} does not exist; unpack SUNRGBD.zip into {root}"
        raise IncompleteSplit(message, found, {f"of the {split} split, but missing": missing})
    return sorted(samples, key=lambda sample: sample.key)


def _sunrgbd_listed(root: Path, split: str) -> list[Sample]:
    """Lists with `image depth label` per line, of which depth may be left out."""
    name = f"{split}37.txt"
    list_file = root / name if split == "train" else root / "split" / name
    if split == "test" and not there(list_file):
        list_file = root / name
    if not there(list_file):
        raise NoSplit(
            f"no list {list_file} of SUN RGB-D's images; it comes with image/ and label37/. For SUNRGBD/ and "
            "SUNRGBDtoolbox/ set layout.annotation=official"
        )
    chosen = Chosen(list_file, root)
    for line in lines_of(list_file):
        columns = line.split()
        if len(columns) < 2:
            raise ValueError(f"{list_file}: expected 'image depth label' in a line, got '{line}'")
        image, mask = chosen.file(columns[0], IMAGES), chosen.file(columns[-1], (".png",))
        chosen.add(image.stem, image, mask)
    chosen.check()
    return paired(chosen.images, chosen.masks)


def _sunrgbd_numbered(root: Path, split: str) -> list[Sample]:
    """image/ and label37/ without folders of splits; val takes its numbers from split/val37.txt."""
    images, masks = (
        _by_number(files_in(root / name, suffixes=suffixes), root / name)
        for name, suffixes in (("image", IMAGES), ("label37", (".png",)))
    )
    if split == "val":
        list_file = root / "split" / "val37.txt"
        names = [_number(without_suffix(PurePosixPath(line.split()[0]).name)) for line in lines_of(list_file)]
        remark_repeated(names, list_file)
        wanted = set(names)
    else:
        wanted = {key for key in images.keys() | masks.keys() if (int(key) <= SUNRGBD_TEST) == (split == "test")}
    if not wanted & images.keys():
        raise NoSplit(
            f"{root / 'image'} has no images of the {split} split: 1 to {SUNRGBD_TEST} are test, others train"
        )
    images, masks = ({key: path for key, path in files.items() if key in wanted} for files in (images, masks))
    return paired(images, masks)


def _by_number(files: Files, folder: Path) -> Files:
    """img-000001.jpg and 00000001.png alike."""
    numbered: Files = {}
    for key, path in files.items():
        if (number := _number(key)) and numbered.setdefault(number, path) != path:
            raise ValueError(f"{numbered[number]} and {path} have one number; move one of them elsewhere")
    if not numbered:
        raise FileNotFoundError(f"no file in {folder} ends in a number, such as img-000001.jpg ({next(iter(files))})")
    return numbered


def _number(name: str) -> str:
    digits = re.search(r"\d+$", name)
    return f"{int(digits.group()):06d}" if digits else ""


def _sunrgbd_entries(root: Path, split: str) -> list[Sample]:
    """Samples whose mask is an entry of SUNRGBD2Dseg.mat, that of the image's place in SUNRGBDMeta.mat."""
    scenes, images = set(toolbox.split_scenes(root, split)), toolbox.images(root)
    masks = root / toolbox.MASKS
    if (number := toolbox.count_masks(masks)) != len(images):
        raise ValueError(
            f"{masks} has {number} masks, {root / toolbox.ORDER} {len(images)} images; both must be of one "
            "SUNRGBDtoolbox.zip"
        )
    samples = [
        Sample("/".join(image.parts[1:-2]), root / image, masks, entry=index)
        for index, image in enumerate(images)
        if image.parents[1] in scenes
    ]
    if len(samples) != len(scenes):
        raise ValueError(
            f"{root / toolbox.SPLIT} names {len(scenes)} scenes of {split}, of which "
            f"{root / toolbox.ORDER} has {len(samples)}; both must be of one SUNRGBDtoolbox.zip"
        )
    return samples


def _sunrgbd_scenes(root: Path, split: str) -> list[Sample]:
    """Samples whose mask is the seg.mat beside the folder of the image."""
    samples = []
    for scene in toolbox.split_scenes(root, split):
        images = sorted((root / scene / "image").glob("[!.]*.jpg")) or [root / scene / "image" / "*.jpg"]
        samples.append(Sample("/".join(scene.parts[1:]), images[0], root / scene / "seg.mat"))
    return samples
