"""The file of label embeddings: it is read as it was written, and what cannot be used is refused with the reason."""

import pytest
import torch

from mdseg.labels.embeddings import FILE, FORMAT, DatasetEmbeddings, LabelEmbeddings, check, load

CLASSES = {"a": ("road", "car", "train"), "b": ("sky", "tree")}


def found(dimension=4, centroids=2):
    """Of dataset a, whose trains nobody has seen, and of dataset b."""
    generator = torch.Generator().manual_seed(0)

    def of(names, classes, pixels):
        index = torch.tensor(classes).repeat_interleave(centroids)
        vectors = torch.randn(len(index), dimension, generator=generator)
        return DatasetEmbeddings(names, vectors, index, torch.tensor(pixels))

    parts = {"a": of(CLASSES["a"], [0, 1], [30, 2, 0]), "b": of(CLASSES["b"], [0, 1], [7, 9])}
    return LabelEmbeddings(parts, dimension, centroids, "per_dataset", seed=3)


def document(path):
    found().save(path)
    return torch.load(path, weights_only=True)


def test_a_file_is_read_as_it_was_written(tmp_path):
    saved = found()
    saved.save(tmp_path / FILE)
    for path in (tmp_path, tmp_path / FILE):
        read = load(path)
        assert (read.dimension, read.centroids, read.pca_scope, read.seed) == (4, 2, "per_dataset", 3)
        assert list(read.datasets) == ["a", "b"]
        for name, part in read.datasets.items():
            assert part.classes == CLASSES[name]
            for key in ("vectors", "class_index", "pixels"):
                assert torch.equal(getattr(part, key), getattr(saved.datasets[name], key))


def test_a_file_has_nothing_but_tensors_and_plain_types(tmp_path):
    assert document(tmp_path / FILE)["format"] == FORMAT


def test_classes_without_a_labelled_pixel_are_absent():
    assert {name: part.absent for name, part in found().datasets.items()} == {"a": ("train",), "b": ()}


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no label embeddings .*{FILE}; a stage that computes them writes"):
        load(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    found().save(tmp_path / FILE)
    whole = (tmp_path / FILE).read_bytes()
    for length in (0, 20, len(whole) // 2):
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{FILE}: damaged, or no label embeddings at all"):
            load(tmp_path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"format": FORMAT, "call": print}, tmp_path / FILE)
    with pytest.raises(ValueError, match=f"{FILE}: damaged, or no label embeddings at all"):
        load(tmp_path)


@pytest.mark.parametrize("other", [torch.zeros(3), {"state_dict": {}}, [1, 2]])
def test_other_files_are_no_embeddings(tmp_path, other):
    torch.save(other, tmp_path / FILE)
    with pytest.raises(ValueError, match=f"{FILE}: no label embeddings; expected a file that a stage"):
        load(tmp_path)


def test_another_version_is_to_be_computed_again(tmp_path):
    torch.save(document(tmp_path / FILE) | {"version": 2}, tmp_path / FILE)
    with pytest.raises(ValueError, match=r"of version 2, this mdseg reads version 1: compute them again"):
        load(tmp_path)


@pytest.mark.parametrize("key", ["dimension", "centroids", "pca_scope", "seed", "datasets"])
def test_a_file_without_a_key_is_to_be_computed_again(tmp_path, key):
    rest = {name: value for name, value in document(tmp_path / FILE).items() if name != key}
    torch.save(rest, tmp_path / FILE)
    with pytest.raises(ValueError, match=f"label embeddings without {key}: compute them again"):
        load(tmp_path)


@pytest.mark.parametrize("key", ["classes", "vectors", "class_index", "pixels"])
def test_a_dataset_without_a_key_is_to_be_computed_again(tmp_path, key):
    broken = document(tmp_path / FILE)
    del broken["datasets"]["b"][key]
    torch.save(broken, tmp_path / FILE)
    with pytest.raises(ValueError, match=f"dataset 'b' is without {key}: compute them again"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("vectors", torch.zeros(4, 5), r"has vectors \(4, 5\) for 4 rows of dimension 4"),
        ("vectors", torch.full((4, 4), torch.nan), "has vectors .* not finite"),
        ("class_index", torch.tensor([0, 0, 0, 1]), "has not 2 vectors for every one of its classes"),
        ("class_index", torch.tensor([0, 0, 2, 2]), "has not 2 vectors for every one of its classes"),
    ],
)
def test_vectors_that_do_not_fit_their_classes_are_to_be_computed_again(tmp_path, key, value, message):
    broken = document(tmp_path / FILE)
    broken["datasets"]["b"][key] = value
    torch.save(broken, tmp_path / FILE)
    with pytest.raises(ValueError, match=f"{FILE}: dataset 'b' {message}.*: compute them again"):
        load(tmp_path)


def test_embeddings_of_the_same_datasets_and_sizes_are_let_through(tmp_path):
    check(found(), tmp_path, CLASSES, 4, 2)
    check(found(), tmp_path, {"b": CLASSES["b"]}, 4, 2)


@pytest.mark.parametrize(
    ("classes", "dimension", "centroids", "message"),
    [
        (CLASSES, 8, 2, r"with dimension 4, but method\.dimension is 8; make them equal"),
        (CLASSES, 4, 1, r"with centroids 2, but method\.centroids is 1; make them equal"),
        ({"c": ("road",)}, 4, 2, "no label embeddings of dataset 'c', but of a, b: compute them anew"),
        ({"a": ("road", "car")}, 4, 2, "of 3 classes, here it has 2; they differ in train: compute them anew"),
        ({"b": ("tree", "sky")}, 4, 2, "of 2 classes, here it has 2; they differ in their order: compute them anew"),
    ],
)
def test_embeddings_of_others_are_refused(tmp_path, classes, dimension, centroids, message):
    with pytest.raises(ValueError, match=f"{tmp_path}: .*{message}"):
        check(found(), tmp_path, classes, dimension, centroids)
