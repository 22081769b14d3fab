"""The layout of a user's own folders of images and masks."""

import unicodedata
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mdseg.data.apart import Apart, refuse_masks, remark_masks
from mdseg.data.dataset import Sample
from mdseg.data.likeness import LOSSLESS, POLYGONS
from mdseg.data.listing import (
    IMAGES,
    SPLITS,
    Files,
    Found,
    NoSplit,
    check_option,
    checked_root,
    paired,
    real_files,
    unlabelled,
    without_suffix,
)
from mdseg.data.lists import Chosen, columns_of, lines_of, there
from mdseg.data.survey import surveyed
from mdseg.system.templates import check_template
from mdseg.system.wording import Remark, shortened

NO_PAIRS = (
    ". A pair has one name, capital letters counted; what names have besides it goes into image_ending and "
    "mask_ending, such as _mask"
)


def folder(
    root: str | Path,
    split: str,
    image_dir: str,
    mask_dir: str | None,
    lists: str | None = None,
    image_ending: str = "",
    mask_ending: str = "",
    splits: Any = None,
    without_mask: Any = "error",
    orientation: Any = None,
) -> list[Sample]:
    """Any dataset with a folder of images and one of masks; `{split}` in an option stands for the split's name.

    Images are PNG, JPEG, BMP, WebP or TIFF, masks PNG, BMP or TIFF; `a.jpg.png` is a mask of `a.jpg`. Other files are
    counted in a remark, hidden ones left alone. A mask is no image: neither what lies below `mask_dir` nor what ends in
    `mask_ending`; what may be both is refused, and so is an image or a mask that is there in two formats.

    Args:
        image_dir, mask_dir: relative to root, searched with their subfolders; without mask_dir, and in a test split
            that has no masks, images are unlabelled.
        lists: file, relative to root, with one name per line or "image mask" pairs of paths relative to root; without
            it a split is everything in its folders. A suffix in it counts: `a.jpg` is not `a.png`.
        image_ending, mask_ending: what file names have besides the common key, as `_leftImg8bit`; with the suffix where
            nothing else tells images from masks, `.jpg` and `.png`, and where masks are files of polygons, labelme's or
            IDD's, `.json`.
        splits: split → what `{split}` stands for where it is not the split's name: `{val: valid}`.
        without_mask: what an image without mask is in a split that has masks, an `error`, or `unlabelled`: seen by
            streams of that role and of the target, left out of labelled ones and of evaluations.
        orientation: of labelled images with an EXIF orientation, `stored` or `upright`, whichever their masks fit;
            null: they are refused. Images without masks are always turned upright.

    Raises:
        NoSplit: there are no images of this split.
        IncompleteSplit: files have no partner, or are named by a list in vain.
        FileNotFoundError: there are no masks.
        ValueError: an option that cannot be, a list or files of which it is not clear what they stand for.
    """
    check_option("without_mask", without_mask, ("error", "unlabelled"))
    root = checked_root(root, split)
    check_template("image_dir", image_dir)
    templates = [image_dir]
    for key, template in (("mask_dir", mask_dir), ("lists", lists)):
        if template is not None:
            check_template(key, template)
            templates.append(template)
    called = split_names(splits, templates)

    def at(template: str, of: str = split) -> Path:
        return root / template.format(split=called[of])

    images_at, masks_at = at(image_dir), None if mask_dir is None else at(mask_dir)
    of_masks = [] if mask_dir is None else [at(mask_dir, each) for each in SPLITS]
    if not images_at.is_dir():
        raise NoSplit(_no_folder(images_at, root, image_dir, split))
    if mask_dir is not None and masks_at is not None and not masks_at.is_dir():
        if split != "test" and without_mask == "error":
            raise FileNotFoundError(_no_folder(masks_at, root, mask_dir, split))
        if split != "test":
            warnings.warn(f"no folder {masks_at}: all images in {images_at} are unlabelled", Remark, stacklevel=2)
        masks_at = None

    files = Apart(images_at, masks_at, of_masks, image_ending, mask_ending)
    if masks_at is not None and not files.masks:
        none = split == "test" if files.one_place else not files.beside_masks
        if not none or (split != "test" and without_mask == "error"):
            raise FileNotFoundError(files.no_masks(masks_at))
        if split != "test":
            warnings.warn(f"no masks in {masks_at}: all images in {images_at} are unlabelled", Remark, stacklevel=2)
        masks_at = None
    if lists is None:
        files.refuse_both(files.images, files.mask_files)
        files.remark_left_out()
    found, of_images = files.images, _of_images(files.masks, files.images)
    if lists is not None:
        found, masks = _listed(Chosen(at(lists), root), files, of_images)
        files.refuse_both(found, masks.values())
        masks_at = None if split == "test" and not masks else masks_at
    else:
        if "{split}" in image_dir and "{split}" not in str(mask_dir):  # one mask folder serves all splits
            of_images = {key: paths for key, paths in of_images.items() if key in found}
        masks = files.one_mask_each(of_images)
    if split != "train" and all(at(template) == at(template, "train") for template in templates):
        of = images_at if lists is None else at(lists)
        warnings.warn(f"{split} is all images of {of}, as train is; lists tell them apart", Remark, stacklevel=2)
    images = files.one_image_each(found)

    if masks_at is None:
        samples = unlabelled(images)
    elif without_mask == "unlabelled":
        samples = _partly_labelled(images, masks)
    else:
        samples = paired(images, masks, advice=NO_PAIRS)
    seen = [sample.image for sample in samples]
    if bare := [sample.image for sample in samples if sample.mask is None]:
        refuse_masks(bare, seen, root)
    _remark_repeated(seen)
    remark_masks(seen)
    return surveyed(samples, orientation)


def split_names(splits: Any, templates: Collection[str]) -> dict[str, str]:
    """What `{split}` stands for in each split: its name, or what a mapping such as `{val: valid}` has for it.

    Raises:
        ValueError: it is no such mapping, or none of the templates has `{split}`.
    """
    given = {} if splits is None else splits
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given.values()):
        raise ValueError(f"splits: expected what each split is called, such as {{val: valid}}, got {splits!r}")
    for split in given:
        check_option("splits: split", split, SPLITS)
    if given and not any("{split}" in template for template in templates):
        raise ValueError(f"splits: {{split}} is nowhere in {', '.join(templates)}; write it where the names belong")
    return {split: given.get(split, split) for split in SPLITS}


def _no_folder(folder: Path, root: Path, template: str, split: str) -> str:
    asked = root / template.partition("{split}")[0].rpartition("/")[0]
    above = next((each for each in (asked, *asked.parents) if each.is_dir()), root)
    there = sorted(path.name for path in above.iterdir() if path.is_dir())
    hint = f"; {above} has {shortened(there)}" if there else ""
    if "\\" in template:
        hint = "; folders are parted by /"
    elif "{split}" in template and above == asked and not there and any(above.iterdir()):
        hint = f"; {above} has files and no folders: leave {{split}} out of the option, and say by `lists` which file "
        hint += "is of which split"
    elif hint and "{split}" in template and above == asked:
        hint += f", and `splits: {{{split}: <name>}}` of the layout takes one of them"
    elif set(there) & set(SPLITS):
        hint += ", and {split} in the layout's option stands for the split's name"
    return f"no folder {folder} (set data.root or the dataset's root{hint})"


def _of_images(masks: Found, images: Collection[str]) -> Found:
    """Masks by the keys of their images: `a.jpg.png` belongs to `a.jpg`, whose key is `a`."""
    found: Found = {}
    for key, paths in masks.items():
        name = without_suffix(key)
        found.setdefault(name if key not in images and name in images else key, []).extend(paths)
    return found


def _partly_labelled(images: Files, masks: Files) -> list[Sample]:
    """Samples of a split of which some images have masks."""
    both = images.keys() & masks.keys()
    if not both or masks.keys() - both:
        only = {key: images[key] for key in both or images}
        return paired(only, masks, advice=NO_PAIRS)  # which says what is wrong
    without = sorted(images.keys() - both)
    if without:
        warnings.warn(
            f"{len(without)} of {len(images)} images have no mask and count as unlabelled, the first is "
            f"{images[without[0]]}",
            Remark,
            stacklevel=3,
        )
    return [Sample(key, path, masks.get(key)) for key, path in sorted(images.items())]


def _remark_repeated(images: Collection[Path]) -> None:
    """Say which images links lead to a second time: training sees them twice, which may be what is wanted."""
    seen: dict[Path, Path] = {}
    repeated = [(seen[real], path) for path, real in real_files(images).items() if seen.setdefault(real, path) != path]
    if repeated:
        first, second = repeated[0]
        warnings.warn(
            f"{len(repeated)} of {len(images)} images are there once more, through links, such as {first} and {second}"
            "; each counts as an image of its own",
            Remark,
            stacklevel=3,
        )


def _listed(chosen: Chosen, files: Apart, masks: Found) -> tuple[Found, Files]:
    """The images that a list names, by key or path, with all formats that a name may mean; and their masks."""
    found: Found = {}
    unread = 0
    for line in lines_of(chosen.list_file):
        columns, known = [line], _known(line, chosen, files)  # the whole line first: names may hold blanks
        if known is None:
            columns = columns_of(line, chosen.list_file)
            known = _known(columns[0], chosen, files) or _elsewhere(columns[0], chosen, files)
        key, found[key] = known
        mask: Path | None = None
        if len(columns) > 1 and files.masks_at is not None:
            mask = _mask(columns[1], chosen)
        elif key in masks:
            mask = files.one_mask_each({key: masks[key]})[key]
        unread += len(columns) > 1 and files.masks_at is None
        if len(columns) == 1 and mask in found[key]:
            files.refuse_both({key: found[key]}, [mask])
        chosen.add(key, found[key][0], mask)
    chosen.check()
    if unread:
        what = "line names a mask" if unread == 1 else "lines name masks"
        warnings.warn(
            f"{unread} {what} in {chosen.list_file}, which mask_dir: null leaves out; set mask_dir to the folder "
            "of masks",
            Remark,
            stacklevel=3,
        )
    return found, chosen.masks


def _known(name: str, chosen: Chosen, files: Apart) -> tuple[str, list[Path]] | None:
    """Key and files of an image that is named by its key, or by its path below the images' folder or the root."""
    path = chosen.below(name)
    below = [path.relative_to(files.images_at).as_posix()] if path and path.is_relative_to(files.images_at) else []
    for called in (unicodedata.normalize("NFC", each) for each in (name, *below)):
        bare = without_suffix(called)
        suffix = called[len(bare) :].lower()
        for key in (bare, bare.removesuffix(without_suffix(files.image_ending))):
            paths = [path for path in files.images.get(key, ()) if suffix in ("", path.suffix.lower())]
            if paths:
                return key, paths
        if called in files.images:  # of a file that is called a.jpg.png
            return called, files.images[called]
    return None


def _elsewhere(name: str, chosen: Chosen, files: Apart) -> tuple[str, list[Path]]:
    """Key and file of an image outside the images' folder."""
    bare = without_suffix(name)
    known = files.images.get(bare, [])  # in another format
    path = chosen.file(name, IMAGES if bare == name else (), instead=known)
    if {path, files.images_at / name} & files.mask_files or files.ends_as_mask(path):
        raise ValueError(f"{chosen.list_file} names {name} as an image, but it is a mask (mask_dir, mask_ending)")
    if path.suffix.lower() not in IMAGES and there(path):
        raise ValueError(f"{chosen.list_file} names {path}; images are {', '.join(IMAGES)}")
    return path.stem, [path]


def _mask(name: str, chosen: Chosen) -> Path:
    path = chosen.file(name, LOSSLESS if without_suffix(name) == name else ())
    if path.suffix.lower() not in (*LOSSLESS, *POLYGONS) and there(path):
        raise ValueError(
            f"{chosen.list_file} names {path} as a mask; masks are saved without loss, as {', '.join(LOSSLESS)}"
        )
    return path
