"""Each record is complete, and agrees with the configuration that reads what it writes."""

import pickle
from dataclasses import replace

import pytest
import yaml

from mdseg import conf_dir
from mdseg.scenes import DATASETS, DOMAINS, generate
from mdseg.scenes import datasets as records

SPLITS = ("train", "val", "test")
COUNTS = yaml.safe_load((conf_dir() / "data/scenes.yaml").read_text())["counts"]


def test_every_record_has_a_name_of_its_own():
    names = [record.name for record in records._RECORDS]
    assert list(DATASETS) == names
    assert len(set(names)) == len(names)


def test_every_descriptor_but_the_pattern_for_own_data_has_a_record():
    assert {path.stem for path in (conf_dir() / "dataset").glob("*.yaml")} - {"folder"} == DATASETS.keys()


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_record_agrees_with_its_descriptor(dataset):
    record = DATASETS[dataset]
    descriptor = yaml.safe_load((conf_dir() / "dataset" / f"{dataset}.yaml").read_text())
    assert descriptor["labels"] == record.labels
    assert descriptor["evaluation_split"] in record.splits


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_configured_counts_are_those_of_splits_the_record_has(dataset):
    assert COUNTS[DATASETS[dataset].folder].keys() <= set(DATASETS[dataset].splits)


def test_every_configured_count_is_that_of_a_record():
    assert COUNTS.keys() == {record.folder for record in DATASETS.values()}


@pytest.mark.parametrize("dataset", DATASETS)
def test_splits_are_known_and_both_exist_where_train_is_val(dataset):
    record = DATASETS[dataset]
    assert record.splits == tuple(split for split in SPLITS if split in record.splits) != ()
    assert not record.train_is_val or {"train", "val"} <= set(record.splits)


def test_two_records_share_a_folder_only_where_one_reads_the_others_files():
    written = [record.folder for record in DATASETS.values() if not record.reads]
    assert len(set(written)) == len(written)


@pytest.mark.parametrize("dataset", [name for name, record in DATASETS.items() if record.reads])
def test_a_record_that_reads_anothers_files_differs_in_its_labels_alone(dataset):
    record = DATASETS[dataset]
    written = DATASETS[record.reads]
    assert not written.reads
    assert replace(record, name=written.name, labels=written.labels, reads="") == written
    assert record.labels != written.labels


def test_domains_of_one_name_are_one_domain():
    assert all(DOMAINS[record.domain.name] is record.domain for record in DATASETS.values())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_domain_shows_only_classes_of_the_records_world(dataset):
    assert max(DATASETS[dataset].domain.occurring()) < len(DATASETS[dataset].world)


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_record_travels_to_the_processes_that_paint(dataset):
    assert pickle.loads(pickle.dumps(DATASETS[dataset])) == DATASETS[dataset]


@pytest.mark.parametrize(
    ("dataset", "variant"),
    [(name, variant) for name, record in DATASETS.items() if not record.reads for variant in record.variants],
)
def test_a_variant_is_another_package(tmp_path, dataset, variant):
    def files(root):
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    usual = generate(tmp_path / "usual", dataset, {"train": 1}, height=32)
    other = generate(tmp_path / "other", dataset, {"train": 1}, height=32, variant=variant)
    assert files(usual) != files(other)
