"""What is read of a file is what was stored in it, in every format; or it is refused."""

import os

import cv2
import numpy as np
import pytest
from files import png, tiff
from PIL import Image, ImageOps, PngImagePlugin

from mdseg.data.reading import read_header, read_image, read_raw_ids, read_size, turned

COLORS = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
DEEP = COLORS.astype(np.uint16) << 8 | 37
GREY, ALPHA = COLORS[..., 0], COLORS[..., ::-1][..., 0]
IDS = np.random.default_rng(1).integers(0, 20, (6, 10), np.uint8)
UNASSOCIATED, ASSOCIATED, UNSPECIFIED = 2, 1, 0


def four(pixels, fourth=ALPHA):
    return np.dstack([pixels, fourth.astype(pixels.dtype) << 8 if pixels.dtype == np.uint16 else fourth])


# Bands of photographs


@pytest.mark.parametrize("meaning", [UNASSOCIATED, ASSOCIATED, UNSPECIFIED])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pixels", [COLORS, DEEP], ids=["8 bits", "16 bits"])
def test_of_four_bands_of_a_tiff_the_first_three_are_taken_as_they_are_stored(tmp_path, meaning, order, pixels):
    """OpenCV 5.0.0 multiplies the others by a fourth band marked as unassociated alpha, under every flag; so did 4.10.

    Pillow 13 divides them by one marked as associated alpha.
    """
    path = tiff(tmp_path / "a.tif", four(pixels), order=order, extra=meaning)
    assert (read_image(path) == COLORS).all()


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("fifth", [[0, 0], [2, 0], [1, 0]])
def test_of_five_bands_too(tmp_path, fifth, planar):
    pixels = np.dstack([four(COLORS), GREY])
    assert (read_image(tiff(tmp_path / "a.tif", pixels, extra=fifth)) == COLORS).all()


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("meaning", [UNASSOCIATED, ASSOCIATED, UNSPECIFIED])
def test_of_bands_on_planes_of_their_own_too_or_they_are_refused(tmp_path, meaning, planar):
    """Pillow 13 by itself fails at a fourth plane that is not said to be alpha, and divides by one that is."""
    path = tiff(tmp_path / "a.tif", four(COLORS), extra=meaning, planar=planar)
    if (planar, meaning) == (True, ASSOCIATED):
        with pytest.raises(ValueError, match=r"a\.tif: not a readable image \(colours that are multiplied by alpha"):
            read_image(path)
    else:
        assert (read_image(path) == COLORS).all()


@pytest.mark.parametrize("pixels", [COLORS, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("fourth", [True, False])
def test_bands_that_are_called_shades_of_grey_are_colours_too(tmp_path, pixels, order, fourth):
    pixels = four(pixels) if fourth else pixels
    path = tiff(tmp_path / "a.tif", pixels, photometric=1, order=order, extra=[0] * (pixels.shape[-1] - 1))
    assert (read_image(path) == COLORS).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_compressed_tiffs_are_read_alike(tmp_path, compression):
    Image.fromarray(four(COLORS), "RGBA").save(tmp_path / "a.tif", compression=compression)
    assert (read_image(tmp_path / "a.tif") == COLORS).all()


def test_planes_and_a_single_band_and_white_as_zero(tmp_path):
    assert (read_image(tiff(tmp_path / "a.tif", COLORS, planar=True)) == COLORS).all()
    for photometric, expected in ((1, GREY), (0, 255 - GREY)):
        for pixels in (GREY, DEEP[..., 0]):
            assert (read_image(tiff(tmp_path / "b.tif", pixels, photometric=photometric)) == expected[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif"])
def test_alpha_is_left_out_and_nothing_is_multiplied_by_it(tmp_path, suffix):
    pixels = four(COLORS, np.where(ALPHA < 128, 0, ALPHA))
    Image.fromarray(pixels, "RGBA").save(
        tmp_path / f"a.{suffix}", **{"lossless": True, "exact": True} if suffix == "webp" else {}
    )
    assert (read_image(tmp_path / f"a.{suffix}") == COLORS).all()


def test_transparency_of_palettes_greys_and_colours_is_left_out(tmp_path):
    for image in (Image.fromarray(COLORS).quantize(8), Image.fromarray(GREY), Image.fromarray(COLORS)):
        first = image.getpixel((0, 0))
        image.save(tmp_path / "a.png", transparency=first)
        assert (read_image(tmp_path / "a.png") == np.asarray(image.convert("RGB"))).all()


def test_of_16_bits_the_upper_eight_are_kept_in_every_format(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), DEEP[..., ::-1])
    assert (read_image(tmp_path / "a.png") == COLORS).all()
    assert (read_image(tiff(tmp_path / "a.tif", DEEP)) == COLORS).all()
    for order in "<>":
        grey = read_image(tiff(tmp_path / "b.tif", DEEP[..., 0], photometric=1, order=order))
        assert (grey == GREY[..., None]).all()
    assert {read_header(tmp_path / name).bits for name in ("a.png", "a.tif", "b.tif")} == {16}


@pytest.mark.parametrize("note", ["gAMA", "sRGB", "iCCP"])
def test_gamma_and_profiles_change_nothing(tmp_path, note):
    """A reader that honoured gAMA (1/1 here) would brighten the picture."""
    content = {"gAMA": (100000).to_bytes(4, "big"), "sRGB": b"\0"}.get(note)
    info = PngImagePlugin.PngInfo()
    if content:
        info.add(note.encode(), content)
    Image.fromarray(COLORS).save(tmp_path / "a.png", pnginfo=info, icc_profile=None if content else b"profile")
    assert (read_image(tmp_path / "a.png") == COLORS).all()


def test_a_png_with_long_notes_is_read(tmp_path):
    """Pillow by itself takes 1 MB; image editors write more."""
    info = PngImagePlugin.PngInfo()
    info.add_text("notes", "x" * (2 << 20), zip=True)
    Image.fromarray(COLORS).save(tmp_path / "a.png", pnginfo=info)
    assert (read_image(tmp_path / "a.png") == COLORS).all()
    assert read_size(tmp_path / "a.png") == (6, 10)


def test_of_several_pages_or_frames_the_first_is_read_and_the_header_says_so(tmp_path):
    tiff(tmp_path / "a.tif", COLORS, 255 - COLORS)
    first, second = Image.fromarray(COLORS), Image.fromarray(255 - COLORS)
    for name in ("a.png", "a.webp", "a.gif"):
        first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
    for name in ("a.tif", "a.png", "a.webp", "a.gif"):
        assert read_header(tmp_path / name).several
        if name != "a.gif":  # whose colours are few
            assert (read_image(tmp_path / name) == COLORS).all()


def test_a_smaller_version_in_the_same_tiff_is_no_page(tmp_path):
    path = tiff(tmp_path / "a.tif", COLORS, COLORS[::2, ::2], subfile=1)
    assert not read_header(path).several


@pytest.mark.parametrize(
    ("pixels", "photometric", "said"),
    [
        (np.float32(COLORS[..., 0]), 1, "floating-point numbers"),
        (np.int16(COLORS[..., 0]), 1, "whole numbers of 32 or signed 16 bits"),
        (COLORS, 8, r"colours as L\*a\*b\*"),
        (np.float32(COLORS), 2, "floating-point TIFF"),
        (np.dstack([COLORS] * 3), 2, "more than six channels"),
    ],
)
def test_numbers_that_are_no_colours_of_8_bits_are_refused(tmp_path, pixels, photometric, said):
    extra = {"extra": [0] * (pixels.shape[-1] - 3)} if pixels.ndim == 3 and pixels.shape[-1] > 3 else {}
    path = tiff(tmp_path / "a.tif", pixels, photometric=photometric, **extra)
    with pytest.raises(ValueError, match=rf"a\.tif: .*{said}"):
        read_image(path)


def test_an_image_that_claims_more_pixels_than_are_read_is_refused_with_its_size(tmp_path):
    path = png(tmp_path / "a.png", np.zeros((1, 1), np.uint8), 8, 0, size=(20000, 20000))
    assert read_size(path) == (20000, 20000)
    with pytest.raises(ValueError, match=r"a\.png: its 20000 × 20000 pixels are 400 megapixels, more than the 179"):
        read_image(path)
    with pytest.raises(ValueError, match=r"400 megapixels"):
        read_raw_ids(path, "id")


@pytest.mark.parametrize("name", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    path = tmp_path / "a.png"
    if name == "pipe":
        os.mkfifo(path)
    elif name == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    for read in (read_image, read_size, lambda path: read_raw_ids(path, "id")):
        with pytest.raises(ValueError, match=r"a\.png: not a readable image \(a pipe, a device or a folder\)"):
            read(path)


# Orientation


@pytest.fixture(params=["jpg", "png", "webp", "tif"])
def sideways(request, tmp_path):
    """Files of a format: orientation → one of the same pixels."""
    pixels = np.repeat(np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, 16, 0), 16, 1)

    def write(orientation):
        exif = Image.Exif()
        exif[0x112] = orientation
        path = tmp_path / f"{orientation}.{request.param}"
        if request.param == "tif":
            return tiff(path, pixels, photometric=1, orientation=orientation), pixels
        Image.fromarray(pixels).save(path, exif=exif, quality=95, lossless=True)
        return path, pixels

    return write


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_read_as_stored_or_upright_and_their_size_says_so(sideways, orientation):
    """Pillow 13 turns TIFFs when it loads them, and has their size turned before; OpenCV 5.0.0 turns some as well."""
    path, pixels = sideways(orientation)
    upright = [pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1]]
    upright += [each.T for each in (pixels, pixels[::-1], pixels[::-1, ::-1], pixels[:, ::-1])]
    for way, expected in ((False, pixels), (True, upright[orientation - 1])):
        read = read_image(path, upright=way)
        assert read.shape[:2] == read_size(path, upright=way) == expected.shape
        assert np.abs(read.astype(int) - expected[..., None]).max() <= 4
    assert (turned(pixels, orientation) == upright[orientation - 1]).all()


def test_pillow_turns_as_we_do():
    pixels = COLORS
    for orientation in range(1, 9):
        image = Image.fromarray(pixels)
        image.getexif()[0x112] = orientation
        assert (np.asarray(ImageOps.exif_transpose(image)) == turned(pixels, orientation)).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40)])
def test_damaged_exif_is_no_orientation(tmp_path, exif):
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=exif)
    assert read_header(tmp_path / "a.jpg").orientation == 1


def test_an_orientation_that_is_none_is_none(tmp_path):
    assert read_header(tiff(tmp_path / "a.tif", COLORS, orientation=9)).orientation == 1


# Masks


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_ids_of_a_tiff_are_those_that_are_stored(tmp_path, photometric, order, orientation):
    path = tiff(tmp_path / "m.tif", IDS, photometric=photometric, order=order, orientation=orientation)
    assert (read_raw_ids(path, "id") == IDS).all()


@pytest.mark.parametrize("suffix", ["tif", "bmp", "png", "gif"])
def test_palettes_are_read_by_their_indices_in_every_format(tmp_path, suffix):
    image = Image.frombytes("P", IDS.shape[::-1], IDS.tobytes())
    image.putpalette([value for k in range(256) for value in (k * 7 % 256, k * 13 % 256, 255 - k)])
    image.save(tmp_path / f"m.{suffix}", optimize=False)
    assert (read_raw_ids(tmp_path / f"m.{suffix}", "palette") == IDS).all()


@pytest.mark.parametrize("suffix", ["tif", "bmp", "png", "webp"])
def test_colours_of_masks_are_those_that_are_stored(tmp_path, suffix):
    Image.fromarray(COLORS).save(tmp_path / f"m.{suffix}", **{"lossless": True} if suffix == "webp" else {})
    expected = (COLORS.astype(int) << [16, 8, 0]).sum(axis=-1)
    assert (read_raw_ids(tmp_path / f"m.{suffix}", "rgb") == expected).all()


@pytest.mark.parametrize("meaning", [UNASSOCIATED, ASSOCIATED])
def test_colours_of_masks_are_not_multiplied_by_alpha(tmp_path, meaning):
    expected = (COLORS.astype(int) << [16, 8, 0]).sum(axis=-1)
    assert (read_raw_ids(tiff(tmp_path / "m.tif", four(COLORS), extra=meaning), "rgb") == expected).all()


@pytest.mark.parametrize(("suffix", "depth"), [("tif", 1), ("bmp", 1), ("png", 1)])
def test_two_ids_in_one_bit_are_0_and_1(tmp_path, suffix, depth):
    Image.fromarray((IDS > 9).astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE).save(
        tmp_path / f"m.{suffix}"
    )
    assert read_header(tmp_path / f"m.{suffix}").bits == depth
    assert (read_raw_ids(tmp_path / f"m.{suffix}", "id") == (IDS > 9)).all()


def test_ids_beside_a_transparent_one_are_read_as_others(tmp_path):
    """OpenCV 5.0.0 makes four channels of grey with a transparent value."""
    Image.fromarray(IDS).save(tmp_path / "m.png", transparency=0)
    assert (read_raw_ids(tmp_path / "m.png", "id") == IDS).all()


@pytest.mark.parametrize("name", ["m.jpg", "m.png", "m.webp", "m.tif"])
def test_a_mask_in_a_lossy_format_is_refused_whatever_it_is_called(tmp_path, name):
    kind = {"m.webp": "WEBP", "m.tif": "TIFF"}.get(name, "JPEG")
    options = {"compression": "jpeg"} if kind == "TIFF" else {}
    Image.fromarray(IDS).save(tmp_path / name, format=kind, **options)
    with pytest.raises(ValueError, match=rf"{name}: a mask in a lossy format \({kind}\), which changes ids"):
        read_raw_ids(tmp_path / name, "rgb" if kind == "WEBP" else "id")


def test_of_several_masks_in_a_file_none_is_chosen(tmp_path):
    with pytest.raises(ValueError, match=r"m\.tif: it holds several pictures"):
        read_raw_ids(tiff(tmp_path / "m.tif", IDS, IDS, photometric=1), "id")


@pytest.mark.parametrize(
    ("pixels", "photometric", "encoding", "found"),
    [
        (np.uint16(IDS), 1, "id", "TIFF of mode I;16"),
        (COLORS, 2, "id", "TIFF of mode RGB"),
        (np.float32(IDS), 1, "id", "TIFF of mode F"),
        (COLORS, 2, "palette", "found mode RGB"),
        (DEEP, 2, "rgb", "found uint16"),
        (np.int16(IDS), 1, "rgb", "found uint16"),
    ],
)
def test_a_tiff_in_another_encoding_is_named_with_what_it_is(tmp_path, pixels, photometric, encoding, found):
    with pytest.raises(ValueError, match=rf"m\.tif: expected .*{found}"):
        read_raw_ids(tiff(tmp_path / "m.tif", pixels, photometric=photometric), encoding)


def test_a_truncated_tiff_is_named(tmp_path):
    path = tiff(tmp_path / "a.tif", COLORS)
    content = path.read_bytes()
    path.write_bytes(content[:8] + content[190:])
    with pytest.raises(ValueError, match=r"a\.tif: not a readable image"):
        read_image(path)
