import multiprocessing
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from smoke import SMOKE

from mdseg.config.building import Datasets, build_label_space, prepare_data
from mdseg.config.keys import stage_config
from mdseg.data.datamodule import EvaluationSampler, StreamDataset, collate
from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.selection import select_streams
from mdseg.data.statistics import labelled_counts
from mdseg.data.streams import StreamSampler
from mdseg.data.transforms import RandomCrop
from mdseg.data.workers import cores, end_workers
from mdseg.labels.tables import LabelTable
from mdseg.stages.fit import build_data, write_subsets

AUGMENT = (
    "transform.augment=[{_target_:albumentations.HorizontalFlip,p:0.5},{_target_:albumentations.ColorJitter,p:1.0}]"
)


class Described:
    """The first stage of a configuration, of which only the data is built."""

    def __init__(self, cfg):
        self.cfg, self.space = stage_config(cfg, "null_bce"), build_label_space(cfg)

    def build_data(self, multiple):
        data = build_data(self.cfg, self.space, Datasets(), multiple)
        data.count_classes()
        return data


@pytest.fixture
def stage(composed):
    def build(*overrides):
        cfg = composed("experiment=uniseg_cib", *SMOKE, AUGMENT, "stage.null_bce.steps=6", *overrides)
        prepare_data(cfg)
        return Described(cfg)

    return build


def select(configs, load, seed=0):
    """Streams of such configurations; what their images go through does not matter."""
    whole = RandomCrop(short_side=None, scale=[1, 1], crop=[8, 8])
    return select_streams(configs, load, dict.fromkeys(configs, whole), seed)


def batches(data, start=0):
    data.start = start
    return [batch["labelled"] for batch in data.train_dataloader()]


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a
    )


@pytest.mark.filterwarnings("error:This DataLoader will create")
def test_there_are_no_more_workers_than_cores(stage):
    data = stage("data.workers=1000").build_data(1)
    assert data.train_dataloader().num_workers == data.val_dataloader().num_workers == cores()


def test_workers_that_hold_a_lock_are_ended_without_waiting_for_it_forever(stage, monkeypatch):
    """PyTorch 2.15 asks its workers to end by an event, whose lock a killed one would keep."""

    def locked(event):
        with event._cond:
            time.sleep(0.5)
            told = event._flag.acquire(False)
            if told:
                event._flag.release()
            return told

    monkeypatch.setattr(Event, "is_set", locked)
    iterator = iter(stage("data.workers=1").build_data(1).train_dataloader())
    next(iterator)
    end_workers()
    assert multiprocessing.active_children() == []
    later = threading.Thread(target=iterator._shutdown_workers, daemon=True)
    later.start()
    later.join(10)
    assert not later.is_alive()


def test_batches_do_not_depend_on_the_workers_or_on_where_training_began(stage):
    expected = batches(stage("data.workers=0").build_data(1))
    assert len(expected) == 6
    assert same(batches(stage("data.workers=2").build_data(1)), expected)
    assert same(batches(stage("data.workers=1").build_data(1), start=4), expected[4:])


def test_batches_are_uint8_in_train_ids_of_the_image_s_dataset(stage):
    built = stage()
    seen = set()
    for batch in batches(built.build_data(1)):
        assert batch["image"].dtype == batch["mask"].dtype == torch.uint8
        assert batch["image"].shape == (4, 3, 32, 48)
        for mask, dataset in zip(batch["mask"], batch["dataset"], strict=True):
            labels = mask[mask != 255].unique().long()
            assert built.space.in_space[dataset, labels].all()
            seen |= set(labels.tolist())
    assert len(seen) > 5


def test_the_images_of_a_step_can_be_named_without_training_it(stage):
    built = stage()
    data = built.build_data(1)
    for step, batch in enumerate(batches(data)):
        named = data.samples_at(step)
        assert [built.space.dataset_index(name) for name, _ in named] == batch["dataset"].tolist()
        stream, datasets = data.streams["labelled"].stream, data.streams["labelled"].datasets
        keys = [datasets[dataset].samples[index].key for dataset, index in map(stream.locate, batch["key"].tolist())]
        assert [key for _, key in named] == keys


def test_networks_that_need_a_multiple_get_it_padded_with_ignore(stage):
    (first, *_) = batches(stage().build_data(32))
    assert first["image"].shape == (4, 3, 32, 64)
    assert (first["mask"][..., 48:] == 255).all()


def test_evaluation_visits_every_image_once_in_batches_of_one_dataset_and_size(stage):
    data = stage("evaluation.batch_size=2").build_data(1)
    seen = []
    for batch in data.val_dataloader():
        seen += [(batch["name"], int(key)) for key in batch["key"]]
        assert batch["mask"].dtype == torch.uint8
    assert sorted(seen) == sorted(
        (name, index) for name, dataset in data.evaluated.items() for index in range(len(dataset))
    )


def test_scoring_at_the_image_size_resizes_the_masks(stage):
    data = stage("evaluation.score_at=image", "evaluation.short_side=20").build_data(1)
    for batch in data.val_dataloader():
        assert batch["mask"].shape[-2:] == batch["image"].shape[-2:]
        assert min(batch["mask"].shape[-2:]) == 20


def test_a_dataset_may_be_evaluated_at_a_size_of_its_own(stage):
    first, *others = stage().build_data(1).evaluated
    data = stage(f"evaluation.short_sides={{{first}:12}}", "evaluation.short_side=20").build_data(1)
    for batch in data.val_dataloader():
        assert min(batch["image"].shape[-2:]) == (12 if batch["name"] == first else 20)
    assert others


def test_ranks_share_the_evaluation_without_overlap(stage):
    datasets = stage().build_data(1).evaluated
    parts = [EvaluationSampler(datasets, 2, rank, 3) for rank in range(3)]
    keys = [key for part in parts for batch in part for key in batch]
    assert len(keys) == len(set(keys)) == sum(len(dataset) for dataset in datasets.values())


TABLE = LabelTable(name="t", names=("a", "b"), colors=((0, 0, 0), (9, 9, 9)), encoding="id", raw_ids=((0,), (1,)))


def dataset(name="d", count=20):
    samples = [Sample(f"{name}_{i:02}", Path(f"{name}/{i}.png"), None) for i in range(count)]
    return SegmentationDataset(name, samples, TABLE)


def config(**changes):
    return {
        "role": "labelled", "datasets": ["d"], "split": "train", "batch_size": 2, "mixing": "concat", "labelled": "all",
        "exclude_labelled": None, **changes,
    }  # fmt: skip


def test_labelled_subsets_are_left_out_of_the_unlabelled_stream():
    configs = {"labelled": config(labelled="1/8"), "unlabelled": config(role="unlabelled", exclude_labelled="labelled")}
    streams = select(configs, lambda name, split, role: dataset(name), 0)
    labelled = [sample.key for sample in streams["labelled"].datasets[0].samples]
    unlabelled = [sample.key for sample in streams["unlabelled"].datasets[0].samples]
    assert len(labelled) == 3
    assert sorted(labelled + unlabelled) == [sample.key for sample in dataset().samples]


def test_written_subsets_can_be_read_again(stage, tmp_path):
    built = stage("streams.labelled.labelled=1/2")
    data = built.build_data(1)
    write_subsets(data, tmp_path)
    for described in data.streams["labelled"].datasets:
        again = config(labelled=str(tmp_path / f"labelled_{described.name}.txt"), datasets=[described.name])
        whole = Datasets().open(built.cfg, described.name, "train")
        selected = select({"x": again}, lambda name, split, role, whole=whole: whole, 99)
        assert len(described) < len(whole)
        assert selected["x"].datasets[0].samples == described.samples


def test_the_labelled_images_and_the_rest_are_written(stage, tmp_path):
    rest = (
        "+streams.rest={role:unlabelled,datasets:[bdd,cityscapes],split:train,batch_size:2,mixing:concat,labelled:all,"
        "exclude_labelled:labelled}"
    )
    built = stage("streams.labelled.labelled=1/4", rest)
    write_subsets(built.build_data(1), tmp_path)
    for name in ("bdd", "cityscapes"):
        written = [(tmp_path / f"{stream}_{name}.txt").read_text().split() for stream in ("labelled", "rest")]
        keys = [sample.key for sample in Datasets().open(built.cfg, name, "train").samples]
        assert len(written[0]) == -(-len(keys) // 4)
        assert sorted(written[0] + written[1]) == sorted(keys)


def test_ranks_read_their_slots_of_the_same_batch(stage):
    data = stage().build_data(1)
    described = [loaded.stream for loaded in data.streams.values()]
    samples = StreamDataset(data.streams, data.space, data.seed)
    (whole, *parts) = (
        collate([samples[key] for key in StreamSampler(described, 0, 6, rank=rank, world_size=world).batch_at(2)])
        for world, rank in ((1, 0), (2, 0), (2, 1))
    )
    for rank, part in enumerate(parts):
        assert all(torch.equal(part["labelled"][name], whole["labelled"][name][rank::2]) for name in whole["labelled"])


def test_more_ranks_than_evaluation_batches_are_refused(stage):
    with pytest.raises(ValueError, match="batches for 1000 devices"):
        EvaluationSampler(stage().build_data(1).evaluated, 2, 0, 1000)


def test_excluding_an_unknown_stream_is_an_error():
    with pytest.raises(ValueError, match="no stream 'labelled' before this one"):
        select({"u": config(exclude_labelled="labelled")}, lambda name, split, role: dataset(name), 0)


def test_an_image_of_another_size_than_its_mask_is_named(stage, tmp_path):
    data = stage().build_data(1)
    datasets = data.streams["labelled"].datasets
    for name, shape in (("image.png", (40, 80, 3)), ("mask.png", (20, 40))):
        cv2.imwrite(str(tmp_path / name), np.full(shape, 7, np.uint8))
    broken = Sample("broken", tmp_path / "image.png", tmp_path / "mask.png")
    datasets[0] = SegmentationDataset(datasets[0].name, [broken] * len(datasets[0]), datasets[0].table)
    with pytest.raises(ValueError, match=r"image\.png.*mask\.png"):
        batches(data)


RARE = (
    "streams.labelled.mixing=rare_class",
    "streams.labelled.rare_class={temperature:0.1,in_image:0.01,in_crop:0.02,attempts:10}",
    "transform.max_class_share=0.75",
)


def test_rare_classes_do_not_depend_on_the_workers_or_on_where_training_began(stage):
    expected = batches(stage(*RARE, "data.workers=0").build_data(1))
    assert same(batches(stage(*RARE, "data.workers=2").build_data(1)), expected)
    assert same(batches(stage(*RARE, "data.workers=1").build_data(1), start=4), expected[4:])


def test_crops_show_the_class_that_they_were_drawn_for(stage):
    data = stage(*RARE, "transform.augment=[]").build_data(1)
    stream = data.streams["labelled"].stream
    found = [
        (mask == stream.rare_class_at(data.seed, step, slot)).any()
        for step, batch in enumerate(batches(data))
        for slot, mask in enumerate(batch["mask"])
    ]
    assert len(found) == 24
    assert np.mean(found) > 0.75


def test_crops_without_the_option_are_what_they_were_with_other_options_set(stage):
    assert same(batches(stage(RARE[1]).build_data(1)), batches(stage().build_data(1)))


TARGET = (
    "+streams.target={role:target,datasets:[bdd],split:train,batch_size:2,mixing:concat,labelled:all,"
    "exclude_labelled:null,transform:{short_side:20,crop:[16,24]}}"
)


def test_streams_may_differ_in_their_images_size(stage):
    expected, other = (
        list(stage(TARGET, *more).build_data(1).train_dataloader()) for more in ((), ("data.workers=2",))
    )
    for batch, again in zip(expected, other, strict=True):
        assert batch["labelled"]["image"].shape == (4, 3, 32, 48)
        assert batch["target"]["image"].shape == (2, 3, 16, 24)
        assert "mask" not in batch["target"]
        assert same([batch["target"]], [again["target"]])
    alone = batches(stage().build_data(1))
    assert same([batch["labelled"] for batch in expected], alone), "a stream does not change the others"


def test_a_transform_of_another_class_replaces_the_run_s_as_a_whole(stage):
    own = "{_target_:mdseg.data.transforms.RandomCrop,short_side:null,scale:[1,1],crop:[8,8]}"
    data = stage(TARGET.replace("{short_side:20,crop:[16,24]}", own)).build_data(1)
    assert data.streams["target"].transform.augment.transforms == []
    assert data.streams["labelled"].transform.crop == (32, 48)


def test_a_misspelt_key_of_a_stream_s_transform_is_named(stage):
    with pytest.raises(ValueError, match=r"streams\.target\.transform.*'shortside'.*short_side"):
        stage(TARGET.replace("short_side", "shortside")).build_data(1)


def test_crops_without_masks_that_would_be_padded_are_refused_with_one_that_fits(stage):
    stage(TARGET).build_data(8).check(1)
    with pytest.raises(ValueError, match=r"streams\.target.*multiples of 32.*\[16, 24\].*transform\.crop=\[32,32\]"):
        stage(TARGET).build_data(32).check(1)


def test_statistics_of_the_streams_are_counted_in_train_ids(stage):
    built = stage()
    data = built.build_data(1)
    counts = labelled_counts(data.streams["labelled"].datasets, built.space)
    masks = [
        built.space.train_ids(dataset.name)[dataset.mask(index)]
        for dataset in data.streams["labelled"].datasets
        for index in range(len(dataset))
    ]
    expected = np.bincount(np.concatenate([mask.ravel() for mask in masks]), minlength=256)
    assert counts.tolist() == expected[: built.space.num_classes].tolist()


def test_a_labelled_stream_that_takes_all_images_leaves_none(stage):
    configs = {"labelled": config(), "unlabelled": config(role="unlabelled", exclude_labelled="labelled")}
    with pytest.raises(
        ValueError, match="streams.unlabelled: no image of dataset 'd' is left.*streams.labelled.labelled=1/8"
    ):
        select(configs, lambda name, split, role: dataset(name), 0)


def test_only_the_images_of_the_same_split_are_excluded():
    configs = {
        "labelled": config(labelled=5),
        "more": config(role="unlabelled", split="val", exclude_labelled="labelled"),
    }
    streams = select(configs, lambda name, split, role: dataset(f"{split}_{name}"), 0)
    assert len(streams["more"].datasets[0]) == 20


def test_options_of_rare_classes_are_checked():
    with pytest.raises(ValueError, match=r"streams\.l\.rare_class: expected attempts, in_crop.*got"):
        select({"l": config(rare_class={"temperature": 1})}, lambda name, split, role: dataset(name), 0)
    options = {"temperature": -1, "in_image": 0.1, "in_crop": 0.1, "attempts": 1}
    with pytest.raises(ValueError, match=r"streams\.l\.rare_class\.temperature"):
        select({"l": config(rare_class=options)}, lambda name, split, role: dataset(name), 0)
