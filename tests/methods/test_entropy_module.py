import copy
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from universal_parts import DIMENSION, SIZE, THREE, batch_of, fit, scores_of, some_vectors, universal, write_embeddings

from mdseg.labels.embeddings import DatasetEmbeddings, LabelEmbeddings
from mdseg.losses.similarity import similarity_entropy
from mdseg.methods.entropy_module import EntropyModule
from mdseg.system.wording import Remark

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


@pytest.fixture
def folder(tmp_path):
    return write_embeddings(tmp_path, some_vectors())


def test_the_length_of_a_stored_embedding_does_not_matter(tmp_path):
    vectors = {**some_vectors(), "b": {"road": [3.0, 4.0, 0.0, 0.0], "tree": [0.0, 0.0, 0.0, 0.1]}}
    shorter = {name: {key: [0.01 * x for x in of] for key, of in rows.items()} for name, rows in vectors.items()}
    losses = []
    for stored in (vectors, shorter):
        method = universal(folder=write_embeddings(tmp_path, stored))
        assert method.module.vectors[3].tolist() == pytest.approx([0.6, 0.8, 0, 0])
        losses.append(fit(method, batch_of()).terms)
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value)


def test_several_embeddings_stand_class_by_class_whatever_their_order_in_the_file():
    parts = {"a": DatasetEmbeddings(("x", "y"), torch.eye(4), torch.tensor([1, 0, 1, 0]), torch.ones(2).long())}
    module = EntropyModule(3, {"a": ("x", "y")}, dimension=4, centroids=2, theta=1)
    module.take(LabelEmbeddings(parts, 4, 2, "joint", 0))
    assert torch.equal(module.vectors, torch.eye(4)[[1, 3, 0, 2]])


@pytest.mark.parametrize("mode", ["flat", "max"])
def test_several_embeddings_of_a_class_all_take_part(tmp_path, mode):
    vectors = {name: {key: [of, of[::-1]] for key, of in rows.items()} for name, rows in some_vectors().items()}
    folder = write_embeddings(tmp_path, vectors, centroids=2)
    method = universal(folder=folder, centroids=2, multi_centroid=mode).eval()
    image = batch_of()["unlabelled"]["a"][0]["image"]
    scores = scores_of(method, image, "a")
    assert scores.shape[1] == 6
    expected = similarity_entropy(scores, SIZE, centroids=2, multi_centroid=mode)
    torch.testing.assert_close(method.entropies("a", image, method.model.features(image))[1], expected)


def test_classes_without_a_labelled_pixel_compete_for_no_pixel(tmp_path):
    vectors = some_vectors()
    del vectors["a"]["road"]
    with pytest.warns(Remark, match="no labelled pixel of a's road; unlabelled images cannot decide for them"):
        method = universal(folder=write_embeddings(tmp_path, vectors)).eval()
    image = batch_of()["unlabelled"]["b"][0]["image"]
    cross, _ = method.entropies("b", image, method.model.features(image))
    torch.testing.assert_close(cross, similarity_entropy(scores_of(method, image, "a")[:, [0, 2]], SIZE))


def test_no_remark_where_all_classes_have_pixels(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        universal(folder=folder)


def test_random_embeddings_are_directions_that_follow_from_the_seed():
    first, second = (universal().module.vectors for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(5))
    assert len(torch.unique(first, dim=0)) == 5


def test_moved_random_embeddings_are_those_of_the_checkpoint():
    method = fit(universal(theta=0.5), batch_of())
    moved = method.module.vectors.clone()
    again = universal(theta=0.5)
    again.load_state_dict(method.state_dict())
    for stage in ("validate", "fit"):  # as Lightning does after a checkpoint is loaded
        again.setup(stage)
    assert torch.equal(again.module.vectors, moved)
    assert not torch.equal(moved, universal(theta=0.5).module.vectors)


def test_the_projection_begins_as_that_of_the_authors():
    """Convolutions of theirs: normal, with a standard deviation of sqrt(2 / (k^2 channels)); no bias."""
    projection = EntropyModule(512, {"a": ("x", "y")}, dimension=128, centroids=1, theta=1).projection
    assert projection.weight.std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.02)
    assert projection.weight.mean().item() == pytest.approx(0, abs=0.002)
    assert not projection.bias.any()


def test_embeddings_of_other_sizes_are_refused(tmp_path):
    folder = write_embeddings(tmp_path, some_vectors())
    with pytest.raises(ValueError, match=r"with centroids 1, but method\.centroids is 3"):
        universal(folder=folder, centroids=3)
    with pytest.raises(ValueError, match="no label embeddings of dataset 'c', but of a, b"):
        universal(THREE, folder)


def test_frozen_embeddings_stay_as_they_are(folder):
    method = universal(folder=folder)
    before = method.module.vectors.clone()
    fit(method, batch_of(seed=0), batch_of(seed=1), batch_of(seed=2))
    assert torch.equal(method.module.vectors, before)
    assert {"module.sums", "module.counts"}.isdisjoint(method.state_dict())


def class_means(method, batches):
    """Normalised mean of the upsampled pixel embeddings of every class, over labelled batches."""
    model, sums = method.model.train(), torch.zeros(5, DIMENSION, dtype=torch.float64)
    for batch in batches:
        for parts in batch["labelled"].values():
            embedded = method.module.projection(model.features(parts[0]["image"]))
            wide = F.interpolate(embedded, size=SIZE, mode="bilinear", align_corners=False).movedim(1, -1).double()
            for train_id in range(5):
                sums[train_id] += wide[parts[0]["mask"] == train_id].sum(dim=0)
    return F.normalize(sums, dim=1).float()


@pytest.mark.parametrize("theta", [0.0, 0.5])
def test_after_an_epoch_embeddings_move_to_the_means_of_their_classes(folder, theta):
    method = universal(folder=folder, lr=0.0, theta=theta, epoch=lambda step: step // 2, steps=3)
    batches = [batch_of(seed=seed) for seed in range(3)]
    before = method.module.vectors.clone()
    with torch.no_grad():
        means = class_means(copy.deepcopy(method), batches[:2])
    fit(method, batches[0])
    assert torch.equal(method.module.vectors, before), "the epoch is not over"
    method = universal(folder=folder, lr=0.0, theta=theta, epoch=lambda step: step // 2, steps=3)
    fit(method, *batches)
    expected = F.normalize(theta * before + (1 - theta) * means, dim=1)
    torch.testing.assert_close(method.module.vectors, expected, rtol=1e-4, atol=1e-5)
    assert method.module.counts.sum() == 4 * math.prod(SIZE), "the third step begins another epoch"


def test_embeddings_of_classes_without_a_pixel_in_the_epoch_stay(folder):
    method, batch = universal(folder=folder, theta=0.0), batch_of()
    mask = batch["labelled"]["a"][0]["mask"]
    mask[mask == 1] = 255
    before = method.module.vectors.clone()
    fit(method, batch)
    moved = (method.module.vectors != before).any(dim=1)
    assert moved.tolist() == [True, False, True, True, True]
    assert method.module.counts.sum() == 0


def test_every_dataset_has_epochs_of_its_own(folder):
    method = universal(folder=folder, theta=0.0)
    method.epochs = {"a": lambda step: step, "b": lambda step: 0}
    before = method.module.vectors.clone()
    fit(method, batch_of())
    assert (method.module.vectors != before).any(dim=1).tolist() == [True, True, True, False, False]
    assert method.module.counts[3:].sum() == 2 * math.prod(SIZE)


def test_what_the_epoch_has_added_up_is_in_the_checkpoint(folder):
    method = fit(universal(folder=folder, theta=0.5, epoch=lambda step: 0), batch_of())
    saved = method.state_dict()
    assert saved["module.counts"].sum() == 4 * math.prod(SIZE)
    assert saved["module.sums"].abs().sum() > 0
    assert "module.vectors" in saved
