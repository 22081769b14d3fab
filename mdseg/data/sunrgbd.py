"""What SUN RGB-D keeps in MATLAB files: its split, the order of its images, and its masks.

Of the toolbox SUNRGBDtoolbox, Metadata/SUNRGBD2Dseg.mat is of version 7.3, which is HDF5; the others are of version 5.
Files are opened for one read and closed again, so worker processes never share an open one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from mdseg.labels.tables import IGNORE, LabelTable

if TYPE_CHECKING:
    import h5py

MASKS = PurePosixPath("SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat")
ORDER = PurePosixPath("SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat")
SPLIT = PurePosixPath("SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat")
_STRUCT, _FIELD = "SUNRGBD2Dseg", "seglabel"  # its other field, seglabelall, has thousands of classes
_AGAIN = "unpack it again from SUNRGBDtoolbox.zip"


def split_scenes(root: Path, split: str) -> list[PurePosixPath]:
    """Folders of the scenes of train or test, relative to root.

    Raises:
        FileNotFoundError: there is no allsplit.mat.
        ValueError: it is damaged, or is another file.
    """
    path, name = root / SPLIT, f"all{split}"
    return [_within(str(scene), path) for scene in np.atleast_1d(_variables(path, name)[name])]


def images(root: Path) -> list[PurePosixPath]:
    """Image files, relative to root, in the order of the masks.

    Raises:
        FileNotFoundError: there is no SUNRGBDMeta.mat.
        ValueError: it is damaged, or is another file.
    """
    path, name = root / ORDER, "SUNRGBDMeta"
    found = np.atleast_1d(_variables(path, name)[name])
    if not all(hasattr(image, "rgbpath") for image in found):
        raise ValueError(f"{path}: expected structures with a field 'rgbpath' in '{name}', found none; {_AGAIN}")
    return [_within(image.rgbpath, path) for image in found]


def count_masks(path: Path) -> int:
    """How many masks SUNRGBD2Dseg.mat holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or is another file.
    """
    with _masks(path) as masks:
        return masks.size


def read_mask(path: Path, index: int) -> UInt8[np.ndarray, "h w"]:
    """Raw ids of one of the masks of SUNRGBD2Dseg.mat: all of them at once would take tens of GB.

    Raises:
        ValueError: the file is damaged, or is another one.
    """
    with _masks(path) as masks:
        reference = masks[np.unravel_index(index, masks.shape)]
        # MATLAB stores columns first, HDF5 rows first.
        return _raw_ids(np.asarray(masks.file[reference]).T, path)


def read_scene(path: Path, table: LabelTable) -> UInt8[np.ndarray, "h w"]:
    """Class indices of a scene's seg.mat, whose regions have names; one that is no class of the table is ignored.

    Raises:
        ValueError: the file is damaged, or is another one.
    """
    found = _variables(path, "seglabel", "names")
    regions, names = _raw_ids(found["seglabel"], path, largest=65535), np.atleast_1d(found["names"])
    if regions.max(initial=0) > len(names):
        raise ValueError(f"{path}: region {regions.max()} of 'seglabel' has no name, there are {len(names)}; {_AGAIN}")
    class_of = {_plain(name): index for index, name in enumerate(table.names)}
    classes = [IGNORE, *(class_of.get(_plain(str(name)), IGNORE) for name in names)]  # region 0 has no name
    return np.array(classes, np.uint8)[regions]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _within(path: str, file: Path) -> PurePosixPath:
    """A path of another machine, /n/fs/sun3d/data/SUNRGBD/..., from SUNRGBD on."""
    parts = PurePosixPath(path).parts
    if "SUNRGBD" not in parts:
        raise ValueError(f"{file}: expected paths such as /n/fs/sun3d/data/SUNRGBD/kv1/..., found '{path}'; {_AGAIN}")
    return PurePosixPath(*parts[parts.index("SUNRGBD") :])


@contextmanager
def _masks(path: Path) -> Iterator["h5py.Dataset"]:
    """The references to the masks, one per image."""
    import h5py  # here, because a run on other data does without

    _check_exists(path)
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: {_kind(path)}, expected one of version 7.3 (HDF5); {_AGAIN}")
    try:
        with h5py.File(path, "r") as file:
            struct = file.get(_STRUCT)
            masks = struct.get(_FIELD) if isinstance(struct, h5py.Group) else None
            if not isinstance(masks, h5py.Dataset) or masks.dtype != h5py.ref_dtype:
                found = list(struct if isinstance(struct, h5py.Group) else file)
                raise ValueError(
                    f"{path}: expected references to masks in '{_STRUCT}/{_FIELD}', found {found}; {_AGAIN}"
                )
            yield masks
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: truncated or damaged ({error}); {_AGAIN}") from error


def _variables(path: Path, *names: str) -> Mapping[str, Any]:
    """Variables of a file of version 5."""
    from scipy.io import loadmat

    _check_exists(path)
    if _start(path) != b"MATLAB 5.0":
        raise ValueError(f"{path}: {_kind(path)}, expected one of version 5; {_AGAIN}")
    try:
        found = loadmat(path, appendmat=False, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # of a damaged file scipy raises whatever its bytes lead to
        raise ValueError(f"{path}: truncated or damaged ({type(error).__name__}: {error}); {_AGAIN}") from error
    if missing := [name for name in names if name not in found]:
        there = [name for name in found if not name.startswith("__")]
        raise ValueError(f"{path}: expected variable '{missing[0]}', found {there}; {_AGAIN}")
    return found


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path} (set data.root or the dataset's root; {_AGAIN})")


def _start(path: Path) -> bytes:
    """What both versions begin with, before more text."""
    with path.open("rb") as file:
        return file.read(10)


def _kind(path: Path) -> str:
    """What a file is that is not of the expected version."""
    start = _start(path)
    versions = {b"MATLAB 5.0": "a MATLAB file of version 5", b"MATLAB 7.3": "a MATLAB file of version 7.3"}
    if start == b"MATLAB 7.3" and path.stat().st_size < 1024:
        return "truncated"
    return versions.get(start, "no MATLAB file" if start else "empty")


def _raw_ids(pixels: np.ndarray, path: Path, largest: int = 255) -> np.ndarray:
    """Ids as integers: MATLAB's own numbers are floating-point ones."""
    if (
        pixels.ndim != 2
        or pixels.dtype.kind not in "uif"
        or pixels.min(initial=0) < 0
        or pixels.max(initial=0) > largest
    ):
        raise ValueError(
            f"{path}: expected masks of ids up to {largest}, found {pixels.dtype} of shape {pixels.shape}; {_AGAIN}"
        )
    return pixels.astype(np.uint8 if largest == 255 else np.uint16)
