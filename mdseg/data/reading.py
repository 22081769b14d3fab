"""Pixels of image files: photographs as RGB, masks as raw ids; and what a file says before its pixels.

JPEG and PNG are read by OpenCV, which is fast, everything else by Pillow: OpenCV changes the values of TIFFs.
"""

import io
import logging
import struct
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import Base as Tag

from mdseg.labels.tables import IGNORE

LARGEST = 178_956_970  # pixels of an image that is trained on or evaluated, Pillow's own limit
# What is larger is refused here, with its size; and what a program notes in a PNG may be longer than Pillow's 1 MB.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 26
TiffImagePlugin.READ_LIBTIFF = True
warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata: what matters of it is said here
logging.getLogger("PIL").setLevel(logging.CRITICAL)

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
BY_OPENCV = ("JPEG", "MPO", "PNG")  # MPO: a JPEG with previews, as telephones write them
NO_COLORS = {"I": "whole numbers of 32 or signed 16 bits", "F": "floating-point numbers", "LAB": "colours as L*a*b*"}
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation → cv2.flip, after the transposition of 5 to 8
INVERSE = {6: 8, 8: 6}  # of orientations; the others are their own
BITS = {"1": 1, "P;1": 1, "L;2": 2, "P;2": 2, "L;4": 4, "P;4": 4}  # of a channel, by Pillow's name of its layout
SIXTEEN = (";16", ";16B", ";16L", ";16N")  # how names of layouts with 16 bits end
LOSSY = (6, 7, 34712, 50001)  # compressions of a TIFF: JPEG, JPEG 2000, WebP
WHITE_IS_0 = 0  # a photometric interpretation of a TIFF
BAND = 1 << 22  # pixels that go from Pillow to NumPy at a time

# Bands that a TIFF calls shades of grey, as GDAL does of 16 bits, are read as those of one that calls them colours.
for order, byte in ((b"II", "L"), (b"MM", "B")):
    for extra in range(4):
        grey = (order, 1, (1,), 1, (8,) * (3 + extra), (0,) * (2 + extra))
        TiffImagePlugin.OPEN_INFO.setdefault(grey, ("RGB", "RGB" + extra * "X"))
    for extra in range(2):
        grey = (order, 1, (1,), 1, (16,) * (3 + extra), (0,) * (2 + extra))
        TiffImagePlugin.OPEN_INFO.setdefault(grey, ("RGB", f"RGB{extra * 'X'};16{byte}"))


class Header(NamedTuple):
    """What an image file says before its pixels.

    Args:
        size: (height, width) as stored.
        orientation: of EXIF, 1 to 8: how the stored pixels are turned to be shown; 1: not at all.
        kind: the format, as Pillow calls it: JPEG, PNG, TIFF.
        mode: what a pixel is, as Pillow calls it: L, RGB, P, I;16.
        bits: per channel.
        lossy: whether the pixels are only about those that were saved.
        several: whether there are further pictures (pages, frames), of which only the first is read.
    """

    size: tuple[int, int]
    orientation: int
    kind: str
    mode: str
    bits: int
    lossy: bool
    several: bool

    def shown(self, upright: bool) -> tuple[int, int]:
        """(height, width) of the pixels as they are stored, or the right way up."""
        return self.size[::-1] if upright and self.orientation > 4 else self.size


def read_header(path: Path) -> Header:
    """What an image file says before its pixels, of which none is read.

    Raises:
        ValueError: it is not a readable image.
    """
    _check_regular(path)
    with _opened(path, path) as image:
        return _header(image)


def read_headers(paths: Iterable[Path]) -> list[Header | ValueError]:
    """Those of tens of thousands of files, perhaps over a network; what is wrong with a file in its header's place."""

    def read(path: Path) -> Header | ValueError:
        try:
            return read_header(path)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(read, paths))


def read_size(path: Path, upright: bool = False) -> tuple[int, int]:
    """(height, width) of what :func:`read_image` reads, from the file's header only.

    Raises:
        ValueError: it is not a readable image.
    """
    return read_header(path).shown(upright)


def read_image(path: Path, upright: bool = False, largest: int = LARGEST) -> UInt8[np.ndarray, "h w 3"]:
    """RGB image of a file, as its pixels are stored.

    Grey and palette images are expanded. Of further channels the first three count, whatever they are marked as: alpha
    is left out, and nothing is multiplied or divided by it. Of 16 bits the upper 8 are kept, of several pages or frames
    the first. Colour profiles and gamma are not applied; CMYK becomes RGB without a profile.

    Args:
        upright: turned as its EXIF orientation says.
        largest: number of pixels that are read.

    Raises:
        ValueError: it is not a readable image, holds other numbers than whole ones of up to 16 bits, or is too large.
    """
    content, image, header = _read(path)
    refuse_unusable(path, header, largest)
    if header.kind in BY_OPENCV:
        pixels = _decoded(path, content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)  # in place: a large photograph is there once
    else:
        pixels = _stored(path, image, header, "RGB")
    return turned(pixels, header.orientation) if upright else pixels


def refuse_unusable(path: Path, header: Header, largest: int = LARGEST) -> None:
    """Raise ValueError for an image whose header says that :func:`read_image` cannot read it as it is."""
    if header.mode in NO_COLORS:
        raise ValueError(
            f"{path}: it holds {NO_COLORS[header.mode]}, and how they become colours of 8 bits is not for a reader to "
            "guess; save it as RGB or grey with 8 bits per channel"
        )
    height, width = header.size
    if height * width > largest:
        raise ValueError(
            f"{path}: its {width} × {height} pixels are {height * width / 1e6:.0f} megapixels, more than the "
            f"{largest / 1e6:.0f} that are read at once; cut it into smaller ones"
        )


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels as an EXIF orientation says that they are to be shown."""
    if orientation > 4:
        pixels = cv2.transpose(pixels)
    return cv2.flip(pixels, FLIPS[orientation]) if orientation in FLIPS else pixels


def read_raw_ids(path: Path, encoding: str) -> np.ndarray:
    """Raw ids [h w] of a mask in an encoding of label tables, as they are stored, whatever its EXIF orientation.

    Raises:
        ValueError: it is not a readable image, in another encoding, or has changed when it was saved.
    """
    content, image, header = _read(path)
    refuse_unusable(path, header._replace(mode=""))  # what is no mask by its mode is named below
    if header.lossy:
        raise ValueError(
            f"{path}: a mask in a lossy format ({header.kind}), which changes ids; make it anew from its source, as PNG"
        )
    if header.several:
        raise ValueError(f"{path}: it holds several pictures (pages, frames); save the one that is the mask alone")
    return _RAW_IDS[encoding](path, content, image, header)


def _check_regular(path: Path) -> None:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path}: not a readable image (a pipe, a device or a folder)")


def _read(path: Path) -> tuple[bytes, Image.Image, Header]:
    """A file's content, the same as Pillow opens it, and its header."""
    _check_regular(path)
    content = path.read_bytes()
    image = _opened(path, io.BytesIO(content))
    return content, image, _header(image)


def _opened(path: Path, source: Path | io.BytesIO) -> Image.Image:
    try:
        return Image.open(source, formats=FORMATS)
    except (ArithmeticError, AttributeError, LookupError, OSError, SyntaxError, TypeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # not found, or not to be read by this user
            raise
        raise _unreadable(path) from error


def _unreadable(path: Path, why: object = None) -> ValueError:
    kinds = "of a kind that is not read, such as floating-point TIFF or one of more than six channels"
    why = why or f"empty, truncated, corrupt, or {kinds}"
    return ValueError(f"{path}: not a readable image ({why}); replace it, or leave it out")


def _header(image: Any) -> Header:
    several = image.format != "MPO" and getattr(image, "is_animated", False) and not _is_pyramid(image)
    layout = image.tile[0][3] if image.tile else ""
    layout = layout if isinstance(layout, str) else str(layout[0])
    size, bits, lossy = (image.height, image.width), BITS.get(layout, 8), image.format in ("JPEG", "MPO")
    if image.format == "TIFF":
        # Its height and width are those of the upright image (Pillow 13).
        size = image.tag_v2[Tag.ImageLength], image.tag_v2[Tag.ImageWidth]
        bits, lossy = max(image.tag_v2.get(Tag.BitsPerSample, (1,))), image.tag_v2.get(Tag.Compression) in LOSSY
    elif image.format == "PNG" and layout.endswith(SIXTEEN):
        bits = 16
    elif image.format == "WEBP":
        image.fp.seek(0)
        lossy = b"VP8 " in image.fp.read(1 << 12)
    return Header(size, _orientation(image), image.format, image.mode, bits, lossy, several)


def _is_pyramid(image: Any) -> bool:
    """Whether the second picture of a TIFF is a smaller version of the first."""
    if image.format != "TIFF":
        return False
    try:
        image.seek(1)
        return bool(image.tag_v2.get(Tag.NewSubfileType, 0) & 1)
    except (EOFError, OSError, SyntaxError, TypeError, ValueError):
        return False
    finally:
        image.seek(0)


def _orientation(image: Image.Image) -> int:
    """As EXIF says it; XMP, which Pillow would ask too, is not what others show an image by. 1 where it is damaged."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)
    try:
        found = image.getexif().get(Tag.Orientation)
    except (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _decoded(path: Path, content: bytes, flags: int) -> np.ndarray:
    # From memory: cv2.imread returns the readable part of a truncated JPEG, imdecode refuses it.
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise _unreadable(path) from error
    if pixels is None:
        raise _unreadable(path)
    return pixels


def _stored(path: Path, image: Any, header: Header, mode: str) -> np.ndarray:
    """Pixels by Pillow, as they are stored, in one of its modes: RGB, L or P.

    In bands: a large photograph is there once in Pillow's four bytes per pixel and once in NumPy's three.
    """
    if image.format == "TIFF" and image.mode == "RGBA":
        # By alpha that is said to be multiplied in already ("RGBa") Pillow would divide, on planes whatever one does.
        if (image.tag_v2.get(Tag.PlanarConfiguration), image.tag_v2.get(Tag.ExtraSamples, (0,))[0]) == (2, 1):
            raise _unreadable(path, "colours that are multiplied by alpha, each on a plane of its own")
        image.tile = [tile._replace(args=(tile.args[0].replace("a", "A"), *tile.args[1:])) for tile in image.tile]
    try:
        image.load()
        pixels = np.empty((image.height, image.width, 3)[: 3 if mode == "RGB" else 2], np.uint8)
        rows = max(1, BAND // max(1, image.width))
        for top in range(0, image.height, rows):
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
            band = band.getchannel(0) if band.mode == "La" else band
            if band.mode.startswith("I;16"):
                grey = (np.asarray(band) >> header.bits - 8).astype(np.uint8)
                band = Image.fromarray(~grey if _white_is_0(image) else grey)  # which Pillow minds up to 8 bits
            pixels[top : top + rows] = np.asarray(band if band.mode == mode else band.convert(mode))
    except (LookupError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise _unreadable(path, error) from error
    # A TIFF is turned upright when it is loaded (Pillow 13).
    return turned(pixels, INVERSE.get(header.orientation, header.orientation)) if image.format == "TIFF" else pixels


def _white_is_0(image: Any) -> bool:
    return image.format == "TIFF" and image.tag_v2.get(Tag.PhotometricInterpretation) == WHITE_IS_0


def _id(path: Path, content: bytes, image: Any, header: Header) -> np.ndarray:
    if header.kind == "PNG" and not (header.mode == "L" and "transparency" in image.info):
        raw = _decoded(path, content, cv2.IMREAD_UNCHANGED)  # which would make colours of grey with a transparent one
        found = "palette PNG" if header.mode == "P" else f"{raw.dtype} of shape {raw.shape}"
        grey = header.mode in ("1", "L") and raw.ndim == 2 and raw.dtype == np.uint8
    else:
        found, grey = f"{header.kind} of mode {header.mode}", header.mode in ("1", "L")
        raw = _stored(path, image, header, "L") if grey else np.empty(0)
    if not grey:
        raise ValueError(
            f"{path}: expected an 8-bit single-channel mask, found {found}; set the table's `encoding`, or save it as "
            "8-bit grey"
        )
    if _white_is_0(image):
        raw = ~raw  # undone: Pillow has inverted what is stored
    # Lossless optimisers pack few grey levels into 1, 2 or 4 bits, which readers stretch to 0..255.
    return raw if header.bits == 8 else raw // (255 // (2**header.bits - 1))


def _palette(path: Path, content: bytes, image: Any, header: Header) -> np.ndarray:
    if header.mode == "P":
        return _stored(path, image, header, "P")  # OpenCV would expand the palette to colours
    if header.mode in ("1", "L"):
        return _id(path, content, image, header)
    raise ValueError(
        f"{path}: expected a palette PNG, found mode {header.mode}; its ids are lost if it was expanded to RGB"
    )


def _rgb(path: Path, content: bytes, image: Any, header: Header) -> np.ndarray:
    if header.bits > 8 or header.mode in (*NO_COLORS, "CMYK"):
        found = f"uint{header.bits}" if header.bits == 16 else f"{header.bits} bits, mode {header.mode}"
        raise ValueError(
            f"{path}: expected 8 bits per colour, found {found}; set the table's `encoding`, or save it with 8"
        )
    if header.kind == "PNG":
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.cvtColor(_decoded(path, content, flags), cv2.COLOR_BGR2BGRA)
    else:
        pixels = cv2.cvtColor(_stored(path, image, header, "RGB"), cv2.COLOR_RGB2BGRA)
    return pixels.view("<u4")[..., 0] & 0xFFFFFF  # bytes b g r a: r << 16 | g << 8 | b


def _channel16(path: Path, content: bytes, image: Any, header: Header) -> np.ndarray:
    pixels = _decoded(path, content, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.dtype != np.uint16:
        found = f"{pixels.dtype} of shape {pixels.shape}"
        raise ValueError(f"{path}: expected a 16-bit RGB PNG with the id in red, found {found}; {_lost_bits(pixels)}")
    return np.minimum(pixels[..., 2], IGNORE).astype(np.uint8)  # OpenCV's order is BGR


def _lost_bits(pixels: np.ndarray) -> str:
    """What became of the 16 bits of such a mask, and what to do."""
    if pixels.ndim == 3 and pixels.dtype == np.uint8:
        return (
            "either it lost its 16 bits when a program saved it again (Pillow keeps the upper 8: all ids become 0), "
            "then unpack GT/LABELS of the download again, or it is a picture of GT/COLOR, which cannot be decoded"
        )
    return (
        "a copy mapped to Cityscapes train ids needs `layout.annotation: train_ids` (or mapped) and "
        "`labels: cityscapes_train_ids`"
    )


_RAW_IDS = {"id": _id, "palette": _palette, "rgb": _rgb, "channel16": _channel16}
