import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mdseg.data import statistics
from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.statistics import class_pixels, labelled_counts, train_id_pixels
from mdseg.labels.spaces import branched, listed, union
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark

TABLE = LabelTable(
    name="t", names=("road", "car", "train"), colors=((0, 0, 0), (9, 9, 9), (7, 7, 7)), encoding="id",
    raw_ids=((7,), (26, 27), (31,)), ignore_ids=(0,),
)  # fmt: skip
MASKS = (np.full((2, 3), 7), np.array([[7, 26, 0], [27, 0, 26]]))


def write(folder, masks=MASKS):
    for index, mask in enumerate(masks):
        cv2.imwrite(str(folder / f"{index}.png"), mask.astype(np.uint8))
    return [Sample(str(index), Path("none.jpg"), folder / f"{index}.png") for index in range(len(masks))]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MDSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "statistics"


@pytest.fixture
def dataset(tmp_path, kept):
    return SegmentationDataset("d", write(tmp_path), TABLE)


@pytest.mark.parametrize("workers", [0, 3])
def test_pixels_of_every_class_are_counted_without_the_ignored_ones(dataset, workers):
    assert class_pixels(dataset, workers).tolist() == [[6, 0, 0], [1, 3, 0]]


def test_masks_are_read_once(dataset, monkeypatch):
    first = class_pixels(dataset)
    monkeypatch.setattr(SegmentationDataset, "mask", None)
    assert (class_pixels(dataset) == first).all()


def test_a_mask_that_changed_is_counted_anew(dataset):
    class_pixels(dataset)
    path = dataset.samples[1].mask
    cv2.imwrite(str(path), np.full((2, 3), 31, np.uint8))
    os.utime(path, ns=(1, 1))
    assert class_pixels(dataset)[1].tolist() == [0, 0, 6]


def test_another_table_or_other_samples_are_counted_anew(dataset):
    class_pixels(dataset)
    other = LabelTable(name="t", names=("x",), colors=((0, 0, 0),), encoding="id", raw_ids=((7, 26, 27, 0),))
    assert class_pixels(SegmentationDataset("d", dataset.samples, other)).tolist() == [[6], [6]]
    assert class_pixels(SegmentationDataset("d", dataset.samples[1:], TABLE)).tolist() == [[1, 3, 0]]


def test_a_damaged_file_is_counted_anew(dataset, kept):
    expected = class_pixels(dataset)
    (path,) = kept.iterdir()
    path.write_bytes(path.read_bytes()[:40])
    assert (class_pixels(dataset) == expected).all()


def test_long_counting_is_announced_once(dataset, capsys, monkeypatch):
    monkeypatch.setattr(statistics, "PATIENCE", -1)
    class_pixels(dataset)
    assert capsys.readouterr().out == "counting the classes of d, 2 masks, once\n"
    class_pixels(dataset)
    assert capsys.readouterr().out == ""


def test_several_processes_may_count_at_once(dataset, kept):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        counts = pool.map(class_pixels, [dataset] * 8)
    assert all((found == counts[0]).all() for found in counts)
    assert len(list(kept.iterdir())) == 1


def test_where_nothing_can_be_written_counts_are_returned_all_the_same(dataset, kept):
    kept.parent.write_text("a file where the folder would be")
    with pytest.warns(Remark, match="not kept.*MDSEG_CACHE"):
        assert class_pixels(dataset).tolist() == [[6, 0, 0], [1, 3, 0]]


def test_an_unlabelled_image_is_named(kept):
    dataset = SegmentationDataset("d", [Sample("a", Path("a.jpg"), None)], TABLE)
    with pytest.raises(ValueError, match="'d'.*'a' is unlabelled"):
        class_pixels(dataset)


def test_train_ids_of_a_listed_space_leave_other_classes_out(dataset):
    space = listed({"d": TABLE}, ["car", "road"])
    assert train_id_pixels(dataset, space).tolist() == [[0, 6], [3, 1]]


def test_counts_of_all_labelled_datasets_are_added(dataset):
    counts = labelled_counts([dataset, dataset], union({"d": TABLE}))  # car, road, train
    assert counts.dtype == np.float64
    assert counts.tolist() == [6, 14, 0]


def test_a_branch_for_all_datasets_has_the_pixels_of_all(dataset):
    other = SegmentationDataset("e", dataset.samples, TABLE)
    space = branched({"d": TABLE, "e": TABLE}, ["car", "road"], joint="all")
    assert labelled_counts([dataset, other], space, joint=["all"]).tolist() == [3, 7, 3, 7, 6, 14]
    assert labelled_counts([dataset], space).tolist() == [3, 7, 0, 0, 0, 0]  # a stage of one dataset alone
