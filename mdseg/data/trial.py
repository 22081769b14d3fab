"""Transforms tried once, before anything is trained, on a picture that shows whether they spoil labels."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import albumentations
import cv2
import numpy as np

from mdseg.labels.tables import IGNORE

Transform: TypeAlias = albumentations.BasicTransform | albumentations.BaseCompose
EXAMPLE = "{_target_: albumentations.HorizontalFlip, p: 0.5}"
SEEDS = 8
SIDE = 64  # of a small picture: most transforms do the same at any size, and are tried in milliseconds
Seen = dict[str, list[tuple[bool, bool]]]  # transform → per seed, whether image and mask moved apart, and were resized
NEAREST = (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT)
# Labels are names, and no transform may treat them as numbers: whether they are renamed before it or after it must be
# the same. Blending, painting a class, growing the larger number: all of them are not. One long circle, so that every
# class gets another name; in the mask neither it nor its new names are 0, with which many transforms paint.
_ORDER = np.random.default_rng(0).permutation(IGNORE)
RENAMED = np.full(256, IGNORE, np.uint8)
RENAMED[_ORDER] = np.roll(_ORDER, 1)
CLASSES = np.array([name for name in range(1, IGNORE) if RENAMED[name] != 0], np.uint8)
MARK = CLASSES[0]  # of a block that is bright in one image and dark in another, by which one sees where it went


def check_transforms(augment: Sequence[Transform], crop: tuple[int, int]) -> None:
    """Refuse transforms that spoil labels, or make something else than an 8-bit crop of its size out of one.

    Every single one is tried, applied for certain (unless its `p` is 0), on copies: nothing of the originals changes.

    Args:
        crop: (height, width) of what they get.

    Raises:
        ValueError: it names the transform and says what it did.
    """
    for transform in _flattened(augment):
        if not isinstance(transform, albumentations.BasicTransform | albumentations.BaseCompose):
            raise ValueError(
                f"transform.augment: expected transforms of albumentations, such as {EXAMPLE}, got {transform!r}"
            )
        _check_arguments(transform)
    scale = min(1.0, SIDE / max(crop))
    small = (max(1, round(crop[0] * scale)), max(1, round(crop[1] * scale)))
    for path in _in_turn(augment):
        _try([_alone(transform) for transform in path], small, crop)


def _flattened(transforms: Sequence[Transform]) -> Iterator[Any]:
    """Transforms with those inside OneOf, Sequential and the like."""
    for transform in transforms:
        yield transform
        if isinstance(transform, albumentations.BaseCompose):
            yield from _flattened(transform.transforms)


def _check_arguments(transform: Transform) -> None:
    """What spoils labels at some of the values that a transform draws, of which a few are tried."""
    name = f"transform.augment: {type(transform).__name__}"
    fill = getattr(transform, "fill_mask", None) if _fills(transform) else None
    if fill not in (None, IGNORE):
        raise ValueError(f"{name} fills the mask with {fill}, a class; set fill_mask: {IGNORE}")
    if getattr(transform, "mask_interpolation", None) not in (None, *NEAREST):
        raise ValueError(
            f"{name} blends the classes of the mask; set mask_interpolation: {cv2.INTER_NEAREST} (nearest)"
        )
    if getattr(transform, "area_for_downscale", None) == "image_mask":
        raise ValueError(f"{name} averages the classes of the mask; set area_for_downscale: image")


def _fills(transform: Any) -> bool:
    """Whether a transform may need something beyond the mask's border."""
    mirrors = getattr(transform, "border_mode", cv2.BORDER_CONSTANT) != cv2.BORDER_CONSTANT
    return not mirrors and getattr(transform, "pad_if_needed", True)


def _in_turn(transforms: Sequence[Transform]) -> list[list[Transform]]:
    """Sequences of single transforms in which, between them, each occurs that can be applied."""
    ways = [_ways(transform) for transform in transforms if _can_apply(transform)]
    return [
        [single for way in ways for single in way[number % len(way)]]
        for number in range(max(map(len, ways), default=0))
    ]


def _ways(transform: Transform) -> list[list[Transform]]:
    """What a transform may amount to: itself, what it chooses among, or what it applies in turn."""
    if isinstance(transform, albumentations.OneOf | albumentations.SomeOf | albumentations.OneOrOther):
        chosen = [way for child in transform.transforms if _can_apply(child) for way in _ways(child)]
        return chosen + (_in_turn(transform.transforms) if isinstance(transform, albumentations.SomeOf) else []) or [[]]
    if isinstance(transform, albumentations.Compose | albumentations.Sequential):
        return _in_turn(transform.transforms) or [[]]
    return [[transform]]


def _can_apply(transform: Transform) -> bool:
    return transform.p > 0 or isinstance(transform, albumentations.OneOrOther)  # whose p chooses the first


def _alone(transform: Transform) -> albumentations.Compose:
    """A copy, applied for certain."""
    copied = copy.deepcopy(transform)
    for single in _flattened([copied]):
        single.p = 1.0 if single.p > 0 else 0.0
        single.deterministic = False  # of one inside a ReplayCompose, which writes down what it drew
    return albumentations.Compose([copied])


def _try(path: Sequence[albumentations.Compose], small: tuple[int, int], crop: tuple[int, int]) -> None:
    """Apply transforms in turn: to a small picture, and to one of the crop's size if they depend on it."""
    for size in dict.fromkeys((small, crop)):
        seen: Seen = {_name(transform): [] for transform in path}
        try:
            images = [_applied(path, size, seed, seen) for seed in range(SEEDS if size == small else SEEDS // 2)]
        except RuntimeError as error:
            if size == crop:
                raise ValueError(str(error)) from error
            continue
        for name, steps in seen.items():
            if 2 * sum(apart for apart, _ in steps) > len(steps):
                raise ValueError(f"transform.augment: {name} moves the image, but not its mask to the same place")
        if all(image.shape[:2] == size for image in images):
            return
    other = next(image for image in images if image.shape[:2] != crop)
    names = ", ".join(name for name, steps in seen.items() if any(resized for _, resized in steps))
    raise ValueError(
        f"transform.augment: {names} makes an image of {other.shape[:2]} (height, width) out of the crop of {crop}; "
        "leave out what changes its size (transform.crop, short_side and scale say it), or bring it back"
    )


def _name(transform: albumentations.Compose) -> str:
    return type(transform.transforms[0]).__name__


def _applied(path: Sequence[albumentations.Compose], size: tuple[int, int], seed: int, seen: Seen) -> np.ndarray:
    """The image after all transforms; `seen` gets what they did.

    Raises:
        ValueError: one of them spoils labels, or no 8-bit image is left.
        RuntimeError: one of them fails.
    """
    image = np.random.default_rng(seed).integers(60, 180, (*size, 3), np.uint8)
    by = None  # whose image has another type of numbers
    for transform in path:
        if seed > 1 and isinstance(transform.transforms[0], albumentations.ImageOnlyTransform):
            continue  # it leaves masks alone, whatever it draws
        try:
            after, apart = _step(transform, image, seed)
        except RuntimeError:
            if by is None:
                raise
            break  # on an image that an earlier one has spoilt
        seen[_name(transform)].append((apart, after.shape != image.shape))
        by = None if after.dtype == np.uint8 else by or _name(transform)
        image = after
    if by is not None:
        raise ValueError(
            f"transform.augment: {by} makes {image.dtype} of an 8-bit image; leave it out, as Normalize, ToFloat and "
            "ToTensorV2: mdseg normalises images itself, in training as in evaluation"
        )
    return image


def _step(transform: albumentations.Compose, image: np.ndarray, seed: int) -> tuple[np.ndarray, bool]:
    """The image after one transform, and whether a block in it went elsewhere than its mask.

    It is applied twice: the second time the block is bright instead of dark, and the classes are renamed.
    """
    name = f"transform.augment: {_name(transform)}"
    height, width = image.shape[:2]
    top, left = height // 8, width * 3 // 4  # no mirrored or turned copy has it there
    block = np.s_[top : top + max(1, height // 8), left : left + max(1, width // 8)]
    mask = np.random.default_rng(seed).choice(CLASSES[1:], (height, width))
    mask[block] = MARK
    dark, bright = image.copy(), image.copy()
    dark[block], bright[block] = 0, 255 if image.dtype == np.uint8 else 1
    first, labels = _results(transform, dark, mask, seed)
    second, renamed = _results(transform, bright, RENAMED[mask], seed)
    if not isinstance(first, np.ndarray) or first.ndim != 3 or first.shape[2] != 3:
        raise ValueError(
            f"{name} makes {_kind(first)} of an image of {image.shape}; leave it out, mdseg makes the network's input "
            "itself"
        )
    if not isinstance(labels, np.ndarray) or labels.dtype != np.uint8 or labels.shape != first.shape[:2]:
        raise ValueError(
            f"{name} makes {_kind(labels)} of the mask of an image of {first.shape}; it must stay uint8 and of its size"
        )
    spoilt, apart = not np.array_equal(RENAMED[labels], renamed), _lie_apart(first, second, labels)
    if spoilt or apart:
        # Transforms that draw from a generator of their own, which no seed reaches, can be judged by new classes alone.
        repeated = all(
            np.array_equal(one, other)
            for _ in range(SEEDS)
            for one, other in zip((first, labels), _results(transform, dark, mask, seed), strict=True)
        )
        if spoilt and (said := _damage(mask, labels, repeated)):
            raise ValueError(f"{name} {said}")
        apart = apart and repeated
    return first, apart


def _results(transform: albumentations.Compose, image: np.ndarray, mask: np.ndarray, seed: int) -> tuple[Any, Any]:
    transform.set_random_seed(seed)
    try:
        made = transform(image=image.copy(), mask=mask.copy())
        return made["image"], made["mask"]
    except Exception as error:  # of any library, or of a transform of the user's own
        said = " ".join(str(error).split())
        raise RuntimeError(f"transform.augment: {_name(transform)} fails: {type(error).__name__}: {said}") from error


def _kind(made: Any) -> str:
    return f"{type(made).__name__} {getattr(made, 'dtype', '')} {tuple(getattr(made, 'shape', ()))}"


def _damage(mask: np.ndarray, labels: np.ndarray, repeated: bool) -> str | None:
    """What became of labels, and what to do."""
    new = sorted(set(np.unique(labels).tolist()) - set(np.unique(mask).tolist()) - {IGNORE})
    if len(new) == 1:
        return f"paints class {new[0]} into the mask; let it paint {IGNORE}, or leave the mask as it is (null)"
    if new:
        return (
            f"makes new classes out of those of the mask, such as {new[0]}; let it take the nearest pixel of the mask "
            f"(mask_interpolation: {cv2.INTER_NEAREST}), or leave it out"
        )
    said = "changes labels by the numbers of classes (paints one, or lets larger ones grow); leave it out"
    return said if repeated else None


def _lie_apart(dark: np.ndarray, bright: np.ndarray, labels: np.ndarray) -> bool:
    """Whether two images differ less where their mask has the mark than elsewhere."""
    marked, change = labels == MARK, np.abs(bright.astype(np.float32) - dark).sum(axis=2)
    return bool(marked.any() and not marked.all() and change[marked].mean() < change[~marked].mean())
