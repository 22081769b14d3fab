"""Masks are written as a dataset's own are: what reads these reads them back."""

import numpy as np
import pytest
from PIL import Image

from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.mask_files import encoder
from mdseg.labels.tables import LabelTable

CLASSES = {
    "id": [{"raw_ids": [7, 8]}, {"raw_ids": [0]}, {"raw_ids": [255]}],
    "palette": [{"raw_ids": [7, 8]}, {"raw_ids": [0]}, {"raw_ids": [255]}],
    "rgb": [{"rgb": [[128, 64, 32], [1, 2, 3]]}, {"rgb": [[0, 0, 0]]}, {"rgb": [[255, 255, 255]]}],
    "channel16": [{"raw_ids": [7, 8]}, {"raw_ids": [0]}, {"raw_ids": [22]}],
}


def table_of(encoding):
    names = zip(("road", "car", "sky"), CLASSES[encoding], strict=True)
    classes = [{"name": name, "color": [len(name), 20, 30], **raw} for name, raw in names]
    return LabelTable.load({"name": "mine", "encoding": encoding, "classes": classes})


@pytest.mark.parametrize("encoding", CLASSES)
def test_a_mask_that_was_written_is_read_back(encoding, tmp_path):
    table, mask = table_of(encoding), np.random.default_rng(0).integers(0, 3, (5, 7), np.uint8)
    (tmp_path / "a.png").write_bytes(encoder(table)(mask))
    dataset = SegmentationDataset("mine", [Sample("a", tmp_path / "a.png", tmp_path / "a.png")], table)
    assert (dataset.mask(0) == mask).all()


def test_a_palette_has_the_colours_of_the_table(tmp_path):
    table, mask = table_of("palette"), np.array([[0, 1, 2]], np.uint8)
    (tmp_path / "a.png").write_bytes(encoder(table)(mask))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[7, 0, 255]]
        assert np.asarray(image.convert("RGB"))[0].tolist() == [list(color) for color in table.colors]


def test_a_class_without_a_raw_id_cannot_be_written():
    classes = [{"name": "road", "raw_ids": [], "color": [1, 2, 3], "members": ["road"]}]
    table = LabelTable.load({"name": "mine", "encoding": "id", "classes": classes})
    with pytest.raises(ValueError, match="label table 'mine': classes without a raw id cannot be written: road"):
        encoder(table)
