"""Divided streams: values of a dataset's own, and how many micro-batches follow the labelled images' epochs."""

from functools import partial
from pathlib import Path

import pytest
from folders import masks, photographs
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mdseg.config.building import Datasets
from mdseg.data.datamodule import SegmentationDataModule
from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.selection import divided, select_streams
from mdseg.data.transforms import RandomCrop
from mdseg.labels.spaces import disjoint
from mdseg.labels.tables import LabelTable
from mdseg.stages.fit import stream_shapes
from mdseg.system.wording import Remark

TABLE = LabelTable.load("camvid11")
SIZES = {"cityscapes": 2975, "idd": 6993, "camvid11": 367}


def config(role, labelled="all", batch_size=8, datasets=("cityscapes",), **values):
    common = {"datasets": list(datasets), "split": "train", "mixing": "concat", "exclude_labelled": None}
    return {"role": role, "labelled": labelled, "batch_size": batch_size, "per_dataset": {}, **common, **values}


def select(streams, sizes=SIZES):
    def load(name, split, role):
        keys = [f"{number}" for number in range(sizes[name])]
        return SegmentationDataset(
            name, [Sample(key, Path(f"{name}/{key}.png"), Path("mask.png")) for key in keys], TABLE
        )

    parts = divided(streams)
    whole = RandomCrop(short_side=None, scale=[1, 1], crop=[8, 8])
    return select_streams(parts, load, dict.fromkeys(parts, whole), seed=0)


def micro_batches(labelled, unlabelled, sizes=SIZES):
    selected = select({"labelled": labelled, "unlabelled": unlabelled | {"micro_batches": "auto"}}, sizes)
    return {name: loaded.stream.micro_batches for name, loaded in selected.items()}


@pytest.mark.parametrize(
    ("dataset", "labelled", "expected"),
    [("cityscapes", 100, 29), ("cityscapes", 50, 59), ("cityscapes", 300, 9), ("camvid11", 100, 3), ("idd", 100, 69)],
)
def test_auto_shows_all_unlabelled_images_while_the_labelled_ones_are_seen_once(dataset, labelled, expected):
    """Kalluri et al.'s code: (2975 / 8) unlabelled for (100 / 8) labelled batches, rounded down."""
    found = micro_batches(config("labelled", labelled, datasets=[dataset]), config("unlabelled", datasets=[dataset]))
    assert found == {f"labelled/{dataset}": 1, f"unlabelled/{dataset}": expected}


def test_auto_is_told_apart_by_dataset_and_batch_size():
    both = ["cityscapes", "camvid11"]
    own = {"camvid11": {"batch_size": 4}}
    found = micro_batches(config("labelled", 100, datasets=both), config("unlabelled", datasets=both, per_dataset=own))
    assert found["unlabelled/cityscapes"] == 29
    assert found["unlabelled/camvid11"] == 7


def test_auto_is_at_least_one():
    assert micro_batches(config("labelled"), config("unlabelled", batch_size=64))["unlabelled/cityscapes"] == 1


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
def test_auto_never_shows_more_than_an_epoch_and_the_next_number_would(images, labelled, batch, of_labelled, parts):
    labelled = min(images, labelled)
    labels = config("labelled", labelled, of_labelled, micro_batches=parts)
    found = micro_batches(labels, config("unlabelled", batch_size=batch), {"cityscapes": images})
    auto = found["unlabelled/cityscapes"]
    shown = [number * batch * labelled for number in (auto, auto + 1)]  # times the labelled images per step
    assert shown[0] <= images * of_labelled * parts or auto == 1
    assert shown[1] > images * of_labelled * parts


def test_auto_without_labelled_images_of_the_dataset_is_refused():
    streams = {"labelled": config("labelled", 100), "unlabelled": config("unlabelled", datasets=["idd"])}
    with pytest.raises(
        ValueError, match=r"micro_batches=auto: there is no labelled stream of idd alone before this one"
    ):
        micro_batches(*streams.values())


@pytest.mark.parametrize("per_dataset", [None, {}])
@pytest.mark.parametrize("labelled", [{"idd": 3}, {"idd": 3, "cityscapes": 4, "camvid": 2}])
def test_numbers_of_labelled_images_are_of_the_datasets_that_there_are(per_dataset, labelled):
    own = config("labelled", labelled, datasets=["idd", "cityscapes"], per_dataset=per_dataset)
    with pytest.raises(ValueError, match=r"streams\.labelled\.labelled: .* one for each of idd, cityscapes, got \{"):
        select({"labelled": own})


def test_micro_batches_are_of_divided_streams_alone():
    with pytest.raises(ValueError, match=r"streams\.labelled\.micro_batches: only of a stream with per_dataset"):
        divided({"labelled": config("labelled", per_dataset=None, micro_batches=2)})


def test_what_a_dataset_may_have_of_its_own_is_said():
    with pytest.raises(
        ValueError, match=r"per_dataset\.idd: unknown keys \['crop'\]; it may have batch_size, micro_batch"
    ):
        divided({"labelled": config("labelled", per_dataset={"idd": {"crop": [1, 1]}})})


def test_values_for_datasets_that_the_stream_does_not_have_are_left_alone():
    parts = divided({"labelled": config("labelled", per_dataset={"idd": {"batch_size": 2}})})
    assert list(parts) == ["labelled/cityscapes"]
    assert parts["labelled/cityscapes"]["batch_size"] == 8


def shape_of(labelled):
    """What a method learns of a labelled stream."""
    data = SegmentationDataModule(
        select({"labelled": labelled}),
        disjoint(dict.fromkeys(labelled["datasets"], TABLE)),
        seed=0,
        steps=1,
        evaluated={},
        workers=0,
        evaluation_batch_size=1,
        evaluation_short_side=None,
    )
    return stream_shapes(data)["labelled"]


def test_a_method_learns_the_epochs_of_every_dataset_of_a_divided_stream():
    shape = shape_of(config("labelled", 12, datasets=["cityscapes", "camvid11"]))
    assert (shape.role, shape.batch_size, shape.datasets) == ("labelled", 16, ("cityscapes", "camvid11"))
    assert [shape.epochs["camvid11"](step) for step in range(4)] == [0, 0, 1, 2]


def test_a_stream_that_mixes_datasets_has_no_epoch_of_one():
    assert shape_of(config("labelled", datasets=["cityscapes", "camvid11"], per_dataset=None)).epochs == {}


# A dataset of which only some images have masks


@pytest.fixture
def partly(tmp_path):
    """Loads a dataset of six images, of which b, d and e have masks."""
    photographs(tmp_path, *(f"images/{name}.jpg" for name in "abcdef"))
    masks(tmp_path, *(f"masks/{name}.png" for name in "bde"))
    layout = {"_target_": "mdseg.data.layouts.folder", "_partial_": True, "image_dir": "images", "mask_dir": "masks"}
    layout["without_mask"] = "unlabelled"
    described = {"layout": layout, "root": str(tmp_path), "labels": "camvid11", "evaluation_split": "train"}
    evaluate = {"seen": ["mine"], "unseen": [], "target": []}
    return Datasets(), OmegaConf.create({"datasets": {"mine": described}, "evaluate": evaluate})


def keys(partly, **streams):
    datasets, cfg = partly
    whole = RandomCrop(short_side=None, scale=[1, 1], crop=[8, 8])
    with pytest.warns(Remark, match="3 of 6 images have no mask"):
        selected = select_streams(streams, partial(datasets.load, cfg), dict.fromkeys(streams, whole), seed=0)
    return {name: "".join(sample.key for sample in loaded.datasets[0].samples) for name, loaded in selected.items()}


def own(role, **values):
    return config(role, datasets=["mine"], per_dataset=None, **values)


@pytest.mark.parametrize("role", ["unlabelled", "target"])
def test_labelled_streams_have_the_images_with_masks_and_others_have_all(partly, role):
    assert keys(partly, labelled=own("labelled"), rest=own(role)) == {"labelled": "bde", "rest": "abcdef"}


def test_what_is_left_without_the_labelled_images_is_those_without_masks(partly):
    rest = own("unlabelled", exclude_labelled="labelled")
    assert keys(partly, labelled=own("labelled"), rest=rest) == {"labelled": "bde", "rest": "acf"}


def test_a_labelled_part_is_one_of_the_images_with_masks(partly):
    rest = own("unlabelled", exclude_labelled="labelled")
    found = keys(partly, labelled=own("labelled", labelled="1/2"), rest=rest)
    assert len(found["labelled"]) == 2
    assert set(found["labelled"]) < set("bde")
    assert sorted(found["labelled"] + found["rest"]) == list("abcdef")


def test_evaluated_are_the_images_with_masks(partly):
    datasets, cfg = partly
    with pytest.warns(Remark, match="3 of 6 images have no mask"):
        (evaluated,) = datasets.evaluated(cfg).values()
    assert [sample.key for sample in evaluated.samples] == ["b", "d", "e"]
