import json
import re
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mdseg.data import layouts
from mdseg.data.dataset import Sample, SegmentationDataset, UnknownLabels, load_dataset
from mdseg.labels.tables import IGNORE, LabelTable

REAL = Path(__file__).parents[3] / "shared" / "data"


def read_mask(path: Path, table: LabelTable | str) -> np.ndarray:
    table = LabelTable.load(table) if isinstance(table, str) else table
    return SegmentationDataset("street", [Sample("a", path.with_suffix(".jpg"), path)], table).mask(0)


def read_image(path: Path) -> np.ndarray:
    return SegmentationDataset("street", [Sample("a", path, None)], LabelTable.load("bdd")).image(0)


def palette_png(path: Path, ids: np.ndarray) -> None:
    image = Image.frombytes("P", ids.shape[::-1], ids.tobytes())
    image.putpalette([value for k in range(256) for value in (k * 7 % 256, k * 13 % 256, 255 - k)])
    image.save(path)


# Masks


def test_label_ids_become_class_indices_and_ignored_ids_255(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[7, 8, 33], [0, 4, 30]], np.uint8))
    mask = read_mask(tmp_path / "m.png", "cityscapes")
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1, 18], [IGNORE] * 3]


@pytest.mark.parametrize("name", ["mapillary", "gta5"])
def test_a_palette_mask_is_read_by_its_indices(tmp_path, name):
    table = LabelTable.load(name)
    ids = np.flatnonzero(table.known()).astype(np.uint8)[None]
    palette_png(tmp_path / "m.png", ids)
    assert Image.open(tmp_path / "m.png").mode == "P"
    assert (read_mask(tmp_path / "m.png", table) == table.lookup()[ids]).all()


def test_a_grey_file_of_palette_indices_is_read_too(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[65, 0, 64]], np.uint8))
    assert read_mask(tmp_path / "m.png", "mapillary").tolist() == [[IGNORE, 0, 64]]


def test_camvid_colours_become_classes_of_either_reduction(tmp_path):
    road, lane_marking, void, car = (128, 64, 128), (128, 0, 192), (0, 0, 0), (64, 0, 128)
    Image.fromarray(np.array([[road, lane_marking], [void, car]], np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", "camvid11_strict").tolist() == [[3, IGNORE], [IGNORE, 8]]
    assert read_mask(tmp_path / "m.png", "camvid11_merged").tolist() == [[3, 3], [IGNORE, 8]]
    names = LabelTable.load("camvid32").names
    assert [names[k] for k in read_mask(tmp_path / "m.png", "camvid32")[0]] == ["Road", "LaneMkgsDriv"]


def test_a_synthia_class_is_the_red_channel_of_16_bits(tmp_path):
    red, instance = np.array([[3, 1, 22]], np.uint16), np.array([[700, 3, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "m.png"), np.dstack([np.zeros_like(red), instance, red]))
    names = LabelTable.load("synthia").names
    mask = read_mask(tmp_path / "m.png", "synthia")
    assert [names[k] for k in mask[0, :2]] == ["road", "sky"]
    assert mask[0, 2] == IGNORE


@pytest.mark.parametrize(("depth", "levels"), [(1, 2), (2, 4), (4, 16)])
def test_ids_that_an_optimiser_packed_into_fewer_bits_keep_their_values(tmp_path, depth, levels):
    ids = np.arange(levels, dtype=np.uint8)[None].repeat(2, axis=0)
    packed = ids * (255 // (levels - 1))
    if depth == 1:
        Image.fromarray(packed).convert("1").save(tmp_path / "m.png")
    else:
        write_packed_grey(tmp_path / "m.png", ids, depth)
    assert (tmp_path / "m.png").read_bytes()[24] == depth
    table = LabelTable("ids", tuple(map(str, range(16))), ((0, 0, 0),) * 16, "id", tuple((k,) for k in range(16)))
    assert read_mask(tmp_path / "m.png", table).tolist() == ids.tolist()


def write_packed_grey(path: Path, ids: np.ndarray, depth: int) -> None:
    """A PNG by hand: Pillow and OpenCV write 2 and 4 bits for palettes only."""
    bits = np.unpackbits(ids[..., None], axis=2)[..., -depth:].reshape(len(ids), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], depth, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_every_known_raw_id_of_every_eight_bit_table_decodes_to_its_class(tmp_path_factory, data):
    table = LabelTable.load(
        data.draw(st.sampled_from(["cityscapes", "idd", "idd_label_ids", "bdd", "wilddash2", "camvid11"]))
    )
    known = np.flatnonzero(table.known()).tolist()
    ids = np.array(data.draw(st.lists(st.sampled_from(known), min_size=6, max_size=6)), np.uint8).reshape(2, 3)
    path = tmp_path_factory.mktemp("masks") / "m.png"
    cv2.imwrite(str(path), ids)
    for raw_id, index in zip(ids.ravel().tolist(), read_mask(path, table).ravel().tolist(), strict=True):
        assert raw_id in (table.ignore_ids if index == IGNORE else table.raw_ids[index])


# Masks that do not fit


def test_unknown_raw_ids_are_in_the_error_as_they_are_written_in_the_table(tmp_path):
    Image.fromarray(np.array([[(128, 64, 128), (1, 2, 3)]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(UnknownLabels) as caught:
        read_mask(tmp_path / "m.png", "camvid11_strict")
    assert caught.value.unknown == ("(1, 2, 3)",)


def test_unknown_raw_ids_are_named_with_file_and_table(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[7, 34, 200]], np.uint8))
    with pytest.raises(ValueError, match=r"m\.png: raw ids 34, 200 are not in label table 'cityscapes'"):
        read_mask(tmp_path / "m.png", "cityscapes")


def test_an_unknown_colour_is_named(tmp_path):
    Image.fromarray(np.full((2, 2, 3), (1, 2, 3), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png: raw ids \(1, 2, 3\) are not in label table 'camvid32'"):
        read_mask(tmp_path / "m.png", "camvid32")


def test_a_16_bit_id_beyond_8_bits_does_not_wrap_into_a_class(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.full((2, 2, 3), 256 + 3, np.uint16))
    with pytest.raises(ValueError, match="are not in label table 'synthia'"):
        read_mask(tmp_path / "m.png", "synthia")


def test_unknown_raw_ids_are_ignored_where_the_table_says_so(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[7, 34, 200]], np.uint8))
    assert read_mask(tmp_path / "m.png", "nthu13").tolist() == [[0, IGNORE, IGNORE]]


def test_a_colour_file_where_ids_are_expected_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"m\.png: expected an 8-bit single-channel mask, found uint8 of shape \(2, 2, 3\)"
    ):
        read_mask(tmp_path / "m.png", "cityscapes")
    with pytest.raises(ValueError, match=r"m\.png: expected a palette PNG, found mode RGB"):
        read_mask(tmp_path / "m.png", "mapillary")


def test_a_palette_file_where_ids_are_expected_is_refused(tmp_path):
    palette_png(tmp_path / "m.png", np.array([[7]], np.uint8))
    with pytest.raises(ValueError, match=r"m\.png: .* found palette PNG"):
        read_mask(tmp_path / "m.png", "cityscapes")


def test_an_8_bit_copy_of_synthia_is_refused_with_advice(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"m\.png: expected a 16-bit RGB PNG .* cityscapes_train_ids"):
        read_mask(tmp_path / "m.png", "synthia")


def test_a_synthia_mask_that_lost_its_16_bits_is_refused_with_what_to_do(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.full((2, 2, 3), 3, np.uint16))
    Image.open(tmp_path / "m.png").save(tmp_path / "again.png")  # Pillow keeps the upper bits: all zero
    with pytest.raises(
        ValueError, match=r"again\.png: .* found uint8 of shape \(2, 2, 3\); .*lost its 16 bits .*unpack"
    ):
        read_mask(tmp_path / "again.png", "synthia")


def test_a_mask_is_resized_without_new_ids_where_its_sample_says_so(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[7, 33], [0, 8]], np.uint8))
    sample = Sample("a", tmp_path / "a.png", tmp_path / "m.png", mask_size=(4, 6))
    mask = SegmentationDataset("gta5", [sample], LabelTable.load("cityscapes")).mask(0)
    assert mask.tolist() == [[0] * 3 + [18] * 3] * 2 + [[IGNORE] * 3 + [1] * 3] * 2


@pytest.mark.parametrize("mapped", [True, False])
def test_nthu_labels_that_look_mapped_already_are_remarked_upon(tmp_path, mapped):
    samples = [Sample(str(number), tmp_path / "a.jpg", tmp_path / f"{number}_eval.png") for number in range(3)]
    for number, sample in enumerate(samples):
        values = [number, 12, IGNORE] if mapped or number < 2 else [7, 13, 26]
        cv2.imwrite(str(sample.mask), np.array([values], np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_dataset("rome", lambda root, split: samples, tmp_path, "nthu13", "test")
        load_dataset("rome", lambda root, split: samples, tmp_path, "nthu13_train_ids", "test")
    said = [str(warning.message) for warning in caught]
    assert len(said) == mapped
    if mapped:
        assert re.search(r"'rome', split 'test': no mask has a raw id above 12.*`labels: nthu13_train_ids`", said[0])


@pytest.mark.parametrize("name", ["nthu13", "synthia"])
def test_tables_of_copies_with_other_ids_have_the_same_classes(name):
    copy = {"nthu13": "nthu13_train_ids", "synthia": "synthia_8bit"}[name]
    table, other = LabelTable.load(name), LabelTable.load(copy)
    assert (other.names, other.colors) == (table.names, table.colors)
    if name == "nthu13":
        assert other.raw_ids == tuple((index,) for index in range(13))
    else:
        assert other.raw_ids == table.raw_ids


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.97])
@pytest.mark.parametrize("table", ["cityscapes", "mapillary", "camvid32", "synthia"])
def test_a_truncated_mask_is_named(tmp_path, table, kept):
    noise = np.random.default_rng(0).integers(0, 20, (64, 64), np.uint8)
    if table == "mapillary":
        palette_png(tmp_path / "m.png", noise)
    elif table == "cityscapes":
        cv2.imwrite(str(tmp_path / "m.png"), noise)
    else:
        cv2.imwrite(
            str(tmp_path / "m.png"), np.dstack([noise] * 3).astype(np.uint16 if table == "synthia" else np.uint8)
        )
    data = (tmp_path / "m.png").read_bytes()
    (tmp_path / "m.png").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=r"m\.png: not a readable image"):
        read_mask(tmp_path / "m.png", table)


def test_an_unlabelled_sample_has_no_mask(tmp_path):
    dataset = SegmentationDataset("street", [Sample("a", tmp_path / "a.png", None)], LabelTable.load("bdd"))
    with pytest.raises(ValueError, match="dataset 'street': sample 'a' is unlabelled"):
        dataset.mask(0)


def test_a_mask_of_another_size_than_its_image_is_named(tmp_path):
    dataset = SegmentationDataset("gta5", [Sample("a", Path("a.png"), Path("m.png"))], LabelTable.load("bdd"))
    dataset.check_size(0, np.zeros((4, 6, 3)), np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"'gta5'.*\(4, 6\) of a\.png and \(4, 5\) of its mask m\.png"):
        dataset.check_size(0, np.zeros((4, 6, 3)), np.zeros((4, 5)))


# IDD polygons


def write_polygons(path: Path, *objects: dict) -> Path:
    path.write_text(json.dumps({"imgWidth": 8, "imgHeight": 6, "objects": list(objects)}))
    return path


def rectangle(label: str, left: float, top: float, right: float, bottom: float, **more) -> dict:
    return {"label": label, "polygon": [[left, top], [right, top], [right, bottom], [left, bottom]], **more}


def test_polygons_are_drawn_in_order_on_an_ignored_background(tmp_path):
    path = write_polygons(tmp_path / "a.json", rectangle("road", 0, 3, 7, 5), rectangle("car", 2, 2, 3, 4))
    mask = read_mask(path, "idd")
    assert mask.shape == (6, 8)
    assert (mask[:2] == IGNORE).all()
    assert mask[5].tolist() == [0] * 8
    assert mask[3].tolist() == [0, 0, 9, 9, 0, 0, 0, 0]
    assert (mask == 9).sum() == 2 * 3


def test_polygon_names_are_members_of_classes_and_groups_fall_back(tmp_path):
    table = LabelTable.load("idd")
    for label, name in [("animal", "person"), ("polegroup", "pole"), ("tunnel", "bridge"), ("cargroup", "car")]:
        mask = read_mask(write_polygons(tmp_path / "a.json", rectangle(label, 0, 0, 7, 5)), table)
        assert (mask == table.class_index(name)).all()


def test_ignored_polygons_cover_what_lies_below(tmp_path):
    path = write_polygons(tmp_path / "a.json", rectangle("road", 0, 0, 7, 5), rectangle("license plate", 0, 0, 7, 2))
    mask = read_mask(path, "idd")
    assert (mask[:3] == IGNORE).all()
    assert (mask[3:] == 0).all()


def test_deleted_and_degenerate_polygons_are_skipped(tmp_path):
    path = write_polygons(
        tmp_path / "a.json",
        rectangle("road", 0, 0, 7, 5, deleted=1),
        {"label": "car", "polygon": []},
        {"label": "car", "polygon": [[0, 0], [7, 5]]},
        rectangle("sky", 0, 0, 7, 0.4, deleted=0),
    )
    mask = read_mask(path, "idd")
    assert mask[0].tolist() == [25] * 8
    assert (mask[1:] == IGNORE).all()


def test_polygons_that_cannot_be_drawn_are_named(tmp_path):
    path = write_polygons(tmp_path / "a.json", rectangle("spaceship", 0, 0, 7, 5))
    with pytest.raises(ValueError, match=r"a\.json: label 'spaceship' is not in label table 'idd'"):
        read_mask(path, "idd")
    with pytest.raises(ValueError, match=r"a\.json: label table 'bdd' has no `members`"):
        read_mask(path, "bdd")
    infinite = '{"imgWidth": 8, "imgHeight": 6, "objects": [{"label": "car", "polygon": [[0, 0], [1, NaN], [2, 2]]}]}'
    for text in ('{"imgWidth": 8', "{}", "[]", "5", "", infinite, "[" * 100_000, '{"objects": ' * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"a\.json: (not a readable polygon file|damaged, or no JSON|expected J)"):
            read_mask(path, "idd")


@pytest.mark.parametrize(
    ("polygon", "found"),
    [
        ([["1", "1"], ["5", "1"], ["5", "5"]], r"'car' has the point \('1', '1'\), expected two numbers of pixels"),
        ([[1, 1], [1e308, 1], [5, 5]], r"the point \(1e\+308, 1\)"),
        ([[1, 1], [10**400, 1], [5, 5]], r"the point \(1000"),
        ([[-1e30, -1e30], [1e30, -1e30], [0, 1e30]], r"the point \(-1e\+30"),  # Pillow would draw nothing
        ([[[1, 1], [5, 1], [5, 5]]] * 3, r"the point \(\[1, 1\], \[5, 1\]"),
        ([[1, 1, 0], [5, 1, 0], [5, 5, 0]], r"the point \(1, 1, 0\)"),
        ("abc", r"the point \('a',\)"),
    ],
)
def test_points_that_are_no_pixels_are_named(tmp_path, polygon, found):
    with pytest.raises(ValueError, match=rf"a\.json: not a readable polygon file, .*{found}"):
        read_mask(write_polygons(tmp_path / "a.json", {"label": "car", "polygon": polygon}), "idd")


def test_polygons_may_lead_out_of_the_picture(tmp_path):
    path = write_polygons(tmp_path / "a.json", rectangle("road", -1000, -50.5, 99_999, 2))
    mask = read_mask(path, "idd")
    assert (mask[:3] == 0).all()
    assert (mask[3:] == IGNORE).all()


@pytest.mark.parametrize(
    "size", [(10**6, 10**6), (10, 10**12), ("8", "6"), (8, -6), (0, 6), (8.5, 6), (True, True), (None, 6)]
)
def test_a_size_that_is_none_is_named_and_takes_no_memory(tmp_path, size):
    """A million pixels a side would be a terabyte."""
    path = tmp_path / "a.json"
    for keys, shapes in ((("imgWidth", "imgHeight"), "objects"), (("imageWidth", "imageHeight"), "shapes")):
        path.write_text(json.dumps({**dict(zip(keys, size, strict=True)), shapes: []}))
        with pytest.raises(ValueError, match=rf"a\.json: .*{keys[0]} and {keys[1]}: expected whole numbers of pixels"):
            read_mask(path, "idd")


@pytest.mark.parametrize("label", [None, 5, ["car"]])
def test_labels_of_polygons_are_texts(tmp_path, label):
    with pytest.raises(ValueError, match=r"a\.json: .*the label .* is no text"):
        read_mask(write_polygons(tmp_path / "a.json", {**rectangle("car", 0, 0, 7, 5), "label": label}), "idd")


# labelme's shapes


def write_shapes(path: Path, *shapes: tuple, **more) -> Path:
    listed = [{"label": label, "shape_type": kind, "points": points} for label, kind, points in shapes]
    path.write_text(json.dumps({"imageWidth": 8, "imageHeight": 6, "shapes": listed, **more}))
    return path


CORNERS = [[0, 0], [7, 0], [7, 5], [0, 5]]


@pytest.mark.parametrize(
    ("kind", "points", "drawn"),
    [
        ("polygon", [[2, 1], [5, 1], [5, 3], [2, 3]], np.s_[1:4, 2:6]),
        (None, [[2, 1], [5, 1], [5, 3], [2, 3]], np.s_[1:4, 2:6]),  # of the first releases
        ("rectangle", [[2, 1], [5, 3]], np.s_[1:4, 2:6]),
        ("rectangle", [[5, 1], [2, 3]], np.s_[1:4, 2:6]),
        ("rectangle", [[2, 1], [5, 1], [5, 3], [2, 3]], np.s_[1:4, 2:6]),
    ],
)
def test_shapes_of_labelme_are_drawn_over_those_before(tmp_path, kind, points, drawn):
    mask = read_mask(write_shapes(tmp_path / "a.json", ("road", "polygon", CORNERS), ("car", kind, points)), "idd")
    expected = np.zeros((6, 8), np.uint8)
    expected[drawn] = 9
    assert (mask == expected).all()


def test_a_circle_of_labelme_is_a_centre_and_a_point_on_it(tmp_path):
    mask = read_mask(write_shapes(tmp_path / "a.json", ("car", "circle", [[4, 3], [4, 1]])), "idd")
    assert mask[3].tolist() == [IGNORE, IGNORE, 9, 9, 9, 9, 9, IGNORE]
    assert mask[:, 4].tolist() == [IGNORE, 9, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("line", [[0, 0], [7, 5]]),
        ("linestrip", [[0, 0], [7, 5], [3, 3]]),
        ("point", [[0, 0]]),
        ("points", CORNERS),
        ("mask", [[0, 0], [7, 5]]),
        ("polygon", [[0, 0], [7, 5]]),
        ("circle", [[0, 0]]),
    ],
)
def test_shapes_that_mean_no_area_are_refused_by_name(tmp_path, kind, points):
    path = write_shapes(tmp_path / "a.json", ("car", kind, points))
    with pytest.raises(
        ValueError, match=rf"a\.json: the shape 'car' is a {kind} .*polygon, rectangle, circle are drawn"
    ):
        read_mask(path, "idd")


def test_labels_of_labelme_must_be_known_to_the_letter(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json: label 'cargroup' is not in label table 'idd'"):
        read_mask(write_shapes(tmp_path / "a.json", ("cargroup", "polygon", CORNERS)), "idd")


@pytest.mark.parametrize("label", ["\x1b[31mcar", "car\nbus", "x" * 5000, "Car"])
def test_a_label_of_labelme_is_shown_in_one_short_line(tmp_path, label):
    with pytest.raises(UnknownLabels, match="is not in label table") as caught:
        read_mask(write_shapes(tmp_path / "a.json", (label, "polygon", CORNERS)), "idd")
    for text in (str(caught.value).removeprefix(str(tmp_path)), *caught.value.unknown):
        assert text.isprintable()
        assert len(text) < 200
    assert label != "Car" or "(did you mean car?)" in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [{"imageWidth": None}, {"imageHeight": -1}, {"shapes": None}, {"shapes": [{"label": "car"}]}, {"shapes": [3]}],
)
def test_damaged_files_of_labelme_are_named(tmp_path, damage):
    with pytest.raises(ValueError, match=r"a\.json: not a readable polygon file"):
        read_mask(write_shapes(tmp_path / "a.json", **damage), "idd")


# Images


def test_an_image_is_rgb(tmp_path):
    Image.new("RGB", (3, 2), (255, 0, 7)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    assert image.shape == (2, 3, 3)
    assert image[0, 0].tolist() == [255, 0, 7]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_grey_alpha_and_palette_images_become_rgb(tmp_path, mode):
    Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()
    assert read_image(tmp_path / "a.png").shape == (2, 3, 3)


@pytest.mark.parametrize(("labelled", "size"), [(True, (2, 4)), (False, (4, 2))])
def test_exif_orientation_is_applied_to_images_without_masks_alone(tmp_path, labelled, size):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees when shown
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    sample = Sample("a", tmp_path / "a.jpg", tmp_path / "m.png" if labelled else None)
    dataset = SegmentationDataset("street", [sample], LabelTable.load("bdd"))
    assert dataset.image(0).shape[:2] == dataset.size(0) == size


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.97])
def test_a_truncated_image_is_named(tmp_path, suffix, kept):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=rf"a{suffix}: not a readable image"):
        read_image(path)


def test_a_file_that_is_no_image_has_no_size(tmp_path):
    (tmp_path / "a.png").write_text("<html>")
    with pytest.raises(ValueError, match=r"a\.png: not a readable image"):
        SegmentationDataset("street", [Sample("a", tmp_path / "a.png", None)], LabelTable.load("bdd")).size(0)


# Whole datasets


def test_errors_of_a_dataset_name_it_and_its_split(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset 'mine', split 'val': no folder .*image_2"):
        load_dataset("mine", layouts.kitti, tmp_path, "cityscapes", "val")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_real_camvid_decodes_without_unknown_ids(split):
    if not REAL.is_dir():
        pytest.skip("no real images beside this checkout")
    dataset = load_dataset("camvid11", layouts.camvid, REAL / "camvid", "camvid11", split)
    seen = np.zeros(256, bool)
    for index in range(0, len(dataset), 10):
        image, mask = dataset.image(index), dataset.mask(index)
        dataset.check_size(index, image, mask)
        assert dataset.size(index) == (360, 480)
        seen[mask] = True
    assert np.flatnonzero(seen).tolist() == [*range(11), IGNORE]
