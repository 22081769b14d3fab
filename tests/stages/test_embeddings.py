"""The stage that computes label embeddings: its parts on numbers, and the whole of it after a smoke run."""

import csv
import json
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from running import carry_out, new_folder, planned
from smoke import SMOKE

from mdseg.labels.embeddings import FILE, DatasetEmbeddings, load
from mdseg.runs.trained import load_trained
from mdseg.stages.embeddings import Moments, Projection, Seen, centres, cosines

SMALL = [
    "experiment=universal_cityscapes_camvid",
    *SMOKE,
    "model.feature_width=8",
    "streams.labelled.labelled=3",
    "embedding_dimension=8",
    "stage.embeddings.run.samples=20",
    "stage.alone.steps=3",
]


def samples(count=60, channels=6, seed=0):
    scale = torch.arange(channels, 0, -1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64))[0]
    return 3 + torch.randn(count, channels, generator=generator, dtype=torch.float64) * scale @ mixing


# The projection


def test_directions_are_those_of_a_singular_value_decomposition():
    pixels = samples()
    projection = Projection.fitted(Moments.of(pixels), 4)
    centred = pixels.numpy() - pixels.numpy().mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found, expected = projection.directions.numpy(), directions[:4].T
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=0)), 1, atol=1e-10)
    np.testing.assert_allclose(projection.mean, pixels.mean(dim=0))


def test_the_largest_component_of_every_direction_is_positive():
    for seed in range(5):
        directions = Projection.fitted(Moments.of(samples(seed=seed)), 6).directions
        largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
        assert (largest > 0).all()


def test_directions_do_not_depend_on_the_order_of_the_samples():
    pixels = samples()
    first, second = (Projection.fitted(Moments.of(given), 3).directions for given in (pixels, pixels.flip(0)))
    torch.testing.assert_close(first, second)


def test_reduced_features_are_centred_and_vary_less_and_less_and_are_not_whitened():
    pixels = samples(count=2000)
    reduced = Projection.fitted(Moments.of(pixels), 6)(pixels)
    torch.testing.assert_close(reduced.mean(dim=0), torch.zeros(6, dtype=torch.float64))
    variance = reduced.var(dim=0, correction=0)
    assert (variance.diff() < 0).all()
    torch.testing.assert_close(variance.sum(), pixels.var(dim=0, correction=0).sum())


# Several embeddings of a class


def test_well_separated_blobs_have_their_centres_the_largest_one_s_first():
    blobs = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], dtype=torch.float64)
    sizes = torch.tensor([10, 40, 20])
    noise = torch.rand(70, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pixels = blobs.repeat_interleave(sizes, dim=0) + noise
    found = centres(pixels, pixels.mean(dim=0), 3, seed=0)
    means = [part.mean(dim=0) for part in pixels.split(sizes.tolist())]
    torch.testing.assert_close(found, torch.stack([means[1], means[2], means[0]]))


def test_centres_follow_from_the_seed():
    pixels = samples(channels=2)
    first, second = (centres(pixels, pixels.mean(dim=0), 3, seed=4) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("pixels", [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]])
def test_of_fewer_distinct_pixels_the_mean_is_repeated(pixels):
    pixels = torch.tensor(pixels, dtype=torch.float64)
    mean = torch.tensor([7.0, 8.0], dtype=torch.float64)  # of all pixels, not of the samples alone
    assert torch.equal(centres(pixels, mean, 3, seed=0), mean.expand(3, 2))


@pytest.mark.parametrize(
    ("keep", "kept"), [(0, None), (1, [0]), (3, [0, 4, 8]), (10, list(range(10))), (99, list(range(10)))]
)
def test_of_every_image_and_class_only_so_many_samples_stay_in_memory(keep, kept):
    seen, features = Seen(2, keep), torch.arange(10.0)[:, None]
    seen.add(torch.ones(2, 1), torch.tensor([10, 0]), {0: features})
    assert seen.moments.count == 10
    assert [part.flatten().tolist() for part in seen.samples[0]] == ([] if kept is None else [kept])
    assert all(part.untyped_storage().nbytes() == 4 * len(part) for part in seen.samples[0])


def test_classes_are_compared_by_their_most_similar_embeddings():
    def of(names, vectors, class_index):
        return DatasetEmbeddings(names, torch.tensor(vectors), torch.tensor(class_index), torch.ones(len(names)).long())

    one = of(("a", "b", "absent"), [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-1.0, 0.0]], [0, 0, 1, 1])
    other = of(("x", "y"), [[0.0, 5.0], [0.0, -1.0]], [0, 0])
    table = cosines(one, other)
    assert table[:2, 0].tolist() == [1, 0]
    assert table[2].isnan().all()
    assert table[:, 1].isnan().all()


# The stage, after a network per dataset has been trained


@pytest.fixture(scope="module")
def finished(composed, cache_folder, tmp_path_factory):
    """Folder of a run that has trained both networks and computed embeddings."""
    cfg = composed(*SMALL, "panels=1", "stages=[alone,embeddings]", f"runs={tmp_path_factory.mktemp('runs')}")
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    return folder


@pytest.fixture
def again(composed, finished, tmp_path):
    """again(*overrides): the stage alone, from the networks of that run, or what its plan says against it."""

    def configured(*overrides, cityscapes="cityscapes", camvid11="camvid11"):
        origin = f"stage.embeddings.from={{cityscapes:{finished / cityscapes},camvid11:{finished / camvid11}}}"
        return composed(*SMALL, origin, "stages=[embeddings]", f"runs={tmp_path}", *overrides)

    return configured


def embeddings_of(cfg):
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    return load(folder / "embeddings")


def class_means(finished, dataset, labelled):
    """Mean of the features, upsampled in full, over the pixels of every class of the labelled images."""
    trained = load_trained(finished / dataset)
    predictor = trained.predictor(40)
    sums, counts = 0, 0
    for index in range(len(labelled)):
        with torch.no_grad():
            features = trained.model.features(predictor.prepared(labelled.image(index)))
        mask = torch.from_numpy(labelled.mask(index)).long()
        wide = F.interpolate(features, size=mask.shape, mode="bilinear", align_corners=False)[0]
        one_hot = F.one_hot(mask, 256)[..., : labelled.table.num_classes].flatten(0, 1).double()
        sums, counts = sums + one_hot.t() @ wide.flatten(1).t().double(), counts + one_hot.sum(dim=0)
    return sums / counts[:, None], counts.long()


def test_an_embedding_is_the_reduced_mean_of_the_class_s_labelled_pixels(composed, finished):
    """As many dimensions as channels: a rotation and a shift, under which distances stay."""
    plan = planned(composed(*SMALL, "stages=[alone,embeddings]"))
    for name, part in load(finished / "embeddings").datasets.items():
        means, counts = class_means(finished, name, plan.stages["embeddings"].labelled[name])
        assert torch.equal(part.pixels, counts)
        assert part.class_index.tolist() == counts.nonzero()[:, 0].tolist()
        of_means = torch.cdist(means[part.class_index], means[part.class_index])
        torch.testing.assert_close(torch.cdist(part.vectors, part.vectors), of_means.float(), rtol=1e-3, atol=1e-4)


def test_classes_without_a_pixel_have_no_vector_and_no_nan(finished):
    for part in load(finished / "embeddings").datasets.values():
        assert part.absent, "three images do not show all classes"
        assert {part.classes[index] for index in part.class_index.tolist()}.isdisjoint(part.absent)
        assert part.vectors.isfinite().all()


def test_results_and_the_plan_say_what_was_computed(composed, finished):
    results = json.loads((finished / "results.json").read_text())["stages"]
    found = load(finished / "embeddings")
    assert list(results) == ["cityscapes", "camvid11", "embeddings"]
    assert results["embeddings"] == {
        "dimension": 8,
        "centroids": 1,
        "pca_scope": "per_dataset",
        "images": 6,
        "embeddings": sum(len(part.vectors) for part in found.datasets.values()),
        "absent": {name: list(part.absent) for name, part in found.datasets.items()},
    }
    plan = str(planned(composed(*SMALL)))
    assert "label embeddings of cityscapes (3 images), camvid11 (3 images): 1 per class, dimension 8" in plan
    assert "embeddings: from cityscapes of cityscapes, camvid11 of camvid11" in plan
    assert "universal: from embeddings of embeddings" in plan


def test_a_table_has_the_nearest_class_of_the_other_dataset_for_each(finished):
    with (finished / "embeddings/nearest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["dataset", "class", "pixels", "other dataset", "nearest class", "cosine"]
    assert len(rows) == 19 + 11
    datasets = load(finished / "embeddings").datasets
    for row in rows:
        part, others = datasets[row["dataset"]], datasets[row["other dataset"]]
        assert int(row["pixels"]) == part.pixels[part.classes.index(row["class"])]
        if row["class"] in part.absent:
            assert row["nearest class"] == row["cosine"] == ""
        else:
            assert row["nearest class"] in set(others.classes) - set(others.absent)
            assert -1 <= float(row["cosine"]) <= 1


def test_similarities_are_drawn(finished):
    assert [path.name for path in (finished / "embeddings/figures").iterdir()] == ["cityscapes_camvid11.png"]


def test_the_same_networks_give_the_same_embeddings_to_the_bit(finished, again):
    first, second = load(finished / "embeddings"), embeddings_of(again())
    for name, part in first.datasets.items():
        assert torch.equal(part.vectors, second.datasets[name].vectors)
        assert torch.equal(part.class_index, second.datasets[name].class_index)


def test_several_embeddings_per_class_stand_beside_each_other(finished, again):
    one, several = load(finished / "embeddings"), embeddings_of(again("row=full_k3"))
    assert several.centroids == 3
    for name, part in several.datasets.items():
        assert torch.equal(part.class_index, one.datasets[name].class_index.repeat_interleave(3))
        assert part.vectors.isfinite().all()
        assert part.absent == one.datasets[name].absent


def test_one_projection_may_serve_all_datasets(finished, again):
    apart, joint = load(finished / "embeddings"), embeddings_of(again("stage.embeddings.run.pca_scope=joint"))
    assert joint.pca_scope == "joint"
    for name, part in joint.datasets.items():
        # Another rotation, and another shift: the distances within a dataset stay.
        own = apart.datasets[name].vectors
        assert not torch.allclose(part.vectors, own, atol=1e-2)
        torch.testing.assert_close(torch.cdist(part.vectors, part.vectors), torch.cdist(own, own), rtol=1e-3, atol=1e-4)


def test_a_universal_network_trains_on_the_embeddings_of_an_earlier_run(composed, finished, tmp_path):
    from_there = f"stage.universal.from.embeddings={finished / 'embeddings' / FILE}"
    cfg = composed(*SMALL, "stages=[universal]", from_there, "stage.universal.steps=2", f"runs={tmp_path}")
    folder = new_folder(cfg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        carry_out(cfg, folder)
    saved = torch.load(folder / "universal/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    part = load(finished / "embeddings").datasets["camvid11"]
    expected = F.normalize(part.vectors, dim=1)
    assert torch.equal(saved["module.vectors"][19 + part.class_index], expected)


# What is refused before anything is computed


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["embedding_dimension=9"],
            r"run\.dimension=9, but the features of this network have 8 channels.*set embedding_dimension=8 or",
        ),
        (["method.centroids=0"], r"run\.centroids: expected a whole number of at least 1, got 0"),
        (
            ["stage.embeddings.run.samples=few"],
            r"EstimateEmbeddings: samples: expected a whole number of at least 0, got 'few'",
        ),
        (["stage.embeddings.run.pca_scope=both"], r"run\.pca_scope: expected per_dataset or joint, got 'both'"),
    ],
)
def test_impossible_options_are_refused_when_the_run_is_planned(composed, overrides, message):
    with pytest.raises(ValueError, match=message):
        planned(composed(*SMALL, *overrides))


def test_a_network_of_another_dataset_is_refused(again):
    with pytest.raises(
        ValueError, match=r"from\.camvid11 is .* trained on cityscapes; it must be a network of camvid11"
    ):
        planned(again(camvid11="cityscapes"))


def test_networks_of_some_datasets_alone_are_refused(composed, finished):
    cfg = composed(*SMALL, "stages=[embeddings]", f"stage.embeddings.from={{camvid11:{finished / 'camvid11'}}}")
    with pytest.raises(
        ValueError, match=r"from has networks for camvid11, but the labelled datasets are cityscapes, camv"
    ):
        planned(cfg)


def test_a_folder_without_embeddings_is_refused_when_the_run_is_planned(composed, finished):
    cfg = composed(*SMALL, "stages=[universal]", f"stage.universal.from.embeddings={finished / 'camvid11'}")
    with pytest.raises(FileNotFoundError, match=f"no label embeddings .*camvid11/{FILE}"):
        planned(cfg)


def test_embeddings_of_another_size_are_refused_when_the_run_is_planned(composed, finished):
    there = f"stage.universal.from.embeddings={finished / 'embeddings'}"
    cfg = composed(*SMALL, "stages=[universal]", there, "embedding_dimension=4")
    with pytest.raises(ValueError, match=r"with dimension 8, but method\.dimension is 4; make them equal"):
        planned(cfg)


def test_moments_of_parts_add_up_to_those_of_the_whole():
    pixels = samples()
    parts = Moments.added([Moments.of(pixels[:7]), Moments.of(pixels[7:])])
    torch.testing.assert_close(parts.products, Moments.of(pixels).products)
    assert parts.count == len(pixels)
