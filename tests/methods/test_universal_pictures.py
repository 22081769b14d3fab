"""Diagnostics and pictures of the universal method: warnings of a collapse, entropy maps, histograms."""

import json
import math
import warnings
from types import SimpleNamespace

import cv2
import pytest
import torch
from running import carry_out, new_folder
from smoke import SMOKE

from mdseg.compare import draw as compare
from mdseg.labels.embeddings import DatasetEmbeddings, LabelEmbeddings
from mdseg.methods import collapse
from mdseg.methods.collapse import CollapseWatch, Look
from mdseg.methods.entropy_maps import EntropyMaps, Shown, entropy_share, shares
from mdseg.methods.entropy_module import EntropyModule
from mdseg.methods.universal import Universal
from mdseg.run import resume
from mdseg.runs.log import read_metrics
from mdseg.system.wording import Remark

CLASSES = {"town": ("road", "sky", "car"), "farm": ("field", "sky")}


def look(*counts, norm=1.0):
    return Look(torch.tensor(norm), torch.tensor(counts))


def remarks(watch, *looks, dataset="town"):
    """What a watch warns of, by the number of the look."""
    said = []
    for number, each in enumerate(looks):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watch.take(dataset, each)
        said += [(number, str(warning.message)) for warning in caught if warning.category is Remark]
    return said


# The watch


def test_three_looks_in_succession_at_one_class_are_a_collapse_of_which_is_warned_once():
    one, several = look(2, 97, 1), look(10, 80, 10)
    said = remarks(CollapseWatch(CLASSES, "Lower method.alpha."), one, one, several, one, one, one, one)
    ((number, message),) = said
    assert number == 5
    assert message.startswith("unlabelled images of town: 97 % of their pixels are nearest to the label sky")
    assert message.endswith("not because they are told apart. Lower method.alpha.")


def watch_with(**labelled):
    watch = CollapseWatch(CLASSES, "Lower method.alpha.")
    watch.labelled = {name: torch.tensor(counts) for name, counts in labelled.items()}
    return watch


def test_few_labels_are_a_collapse_where_labelled_pixels_have_many():
    two = look(50, 50, 0)  # 2 labels
    assert not remarks(CollapseWatch(CLASSES, "Lower method.alpha."), two, two, two)
    assert not remarks(watch_with(town=[5, 80, 15]), two, two, two)  # 1.8
    watch = CollapseWatch({"town": tuple("abcdef")}, "Lower method.alpha.")
    watch.labelled = {"town": torch.tensor([3, 3, 3, 3, 3, 3])}  # 6
    two = look(60, 40, 0, 0, 0, 0)
    ((number, message),) = remarks(watch, two, two, two, two)
    assert number == 2
    assert "60 % of their pixels are nearest to the label a, 40 % to b. That stands for 2.0 labels" in message
    assert "and labelled pixels for 6.0;" in message


@pytest.mark.parametrize(("counts", "number"), [([7, 0, 0], 1), ([5, 5, 0], 2), ([1, 1, 1], 3), ([9, 1, 0], 1.3841)])
def test_the_number_of_labels_is_the_exponential_of_their_entropy(counts, number):
    assert collapse.number_of_labels(torch.tensor(counts)) == pytest.approx(number, abs=1e-4)


def test_where_nearly_all_labelled_pixels_are_of_one_class_so_may_the_others_be():
    one = look(2, 97, 1)
    assert not remarks(watch_with(town=[2, 97, 1]), one, one, one)
    assert remarks(watch_with(town=[2, 97, 1]), *[look(0, 100, 0)] * 3)
    assert remarks(watch_with(town=[10, 80, 10]), one, one, one)


def test_pixel_embeddings_of_many_times_their_first_length_are_warned_of_once():
    lengths = [look(1, 1, 1, norm=norm) for norm in (2.0, 39.0, 41.0, 50.0)]
    ((number, message),) = remarks(CollapseWatch(CLASSES, "Lower method.beta."), *lengths)
    assert number == 2
    assert "a mean norm of 41" in message
    assert "20 times" in message


def test_healthy_pixels_get_no_warning():
    assert not remarks(
        CollapseWatch(CLASSES, "Lower method.alpha."), *[look(5, 80, 15, norm=1.0 + n) for n in range(15)]
    )


def test_every_dataset_is_watched_by_itself():
    watch = CollapseWatch(CLASSES, "Lower method.alpha.")
    assert not remarks(watch, look(9, 0, 0), look(9, 0, 0))
    assert not remarks(watch, look(9, 0), look(9, 0), dataset="farm")
    ((_, message),) = remarks(watch, look(9, 0), dataset="farm")
    assert "nearest to the label field" in message


@pytest.mark.parametrize("at", range(1, 7))
def test_a_watch_from_a_checkpoint_goes_on_as_if_nothing_had_happened(at):
    looks = [look(1, 98, 1, norm=norm) for norm in (1.0, 2.0, 3.0, 5.0, 21.0, 22.0, 1.0)]
    whole, first, second = (CollapseWatch(CLASSES, "Lower method.alpha.") for _ in range(3))
    expected, before = remarks(whole, *looks), remarks(first, *looks[:at])
    second.load_state_dict(first.state_dict())
    after = [(number + at, message) for number, message in remarks(second, *looks[at:])]
    assert before + after == expected
    assert len(expected) == 2


def test_histograms_are_of_the_last_looks():
    watch = CollapseWatch(CLASSES, "Lower method.alpha.")
    for number in range(collapse.KEPT + 2):
        watch.take("town", look(1, number, 0))
    ((dataset, looks, counts),) = watch.histograms()
    assert (dataset, looks, counts.tolist()) == ("town", 10, [10, sum(range(2, 12)), 0])


# Pictures


def module(centroids=1, absent=()):
    """Label embeddings along the axes; classes may have none."""
    made, start, parts = EntropyModule(4, CLASSES, 6, centroids, theta=1), 0, {}
    for name, classes in CLASSES.items():
        there = [index for index, label in enumerate(classes) if label not in absent]
        index = torch.tensor(there).repeat_interleave(centroids)
        vectors = torch.eye(6)[(start + torch.arange(len(index))) % 6]
        parts[name] = DatasetEmbeddings(classes, vectors, index, torch.ones(len(classes), dtype=torch.int64))
        start += len(index)
    made.take(LabelEmbeddings(parts, 6, centroids, "per_dataset", 0))
    return made


def rows_of(embedded, by_class=False, **options):
    method = SimpleNamespace(module=module(**options), by_class=by_class, align_corners=False)
    image = torch.zeros(len(embedded), 3, 8, 12, dtype=torch.uint8)
    return EntropyMaps(2).rows(method, "town", Shown(image, embedded))


def test_a_row_has_the_entropies_of_all_datasets_its_own_first():
    (row,) = rows_of(torch.zeros(1, 6, 2, 3))
    assert list(row.entropies) == ["town", "farm"]
    assert all(values.shape == row.nearest.shape == (8, 12) for values in row.entropies.values())


def test_entropy_is_one_where_labels_are_alike_and_zero_where_one_stands_out():
    (row,) = rows_of(torch.zeros(1, 6, 2, 3))
    assert row.entropies["town"] == pytest.approx(1)
    (row,) = rows_of(50 * torch.eye(6)[1].view(1, 6, 1, 1).expand(1, 6, 2, 3))
    assert row.entropies["town"] == pytest.approx(0)
    assert row.entropies["farm"] == pytest.approx(1)
    assert (row.nearest == 1).all()


def test_a_single_label_has_no_entropy():
    assert not entropy_share(torch.ones(1, 1, 2, 3), (4, 6), align_corners=False).any()


@pytest.mark.parametrize("by_class", [False, True])
def test_the_nearest_of_several_embeddings_stands_for_its_class_and_absent_classes_are_left_out(by_class):
    embedded = torch.eye(6)[3].view(1, 6, 1, 1).expand(1, 6, 2, 3)
    (row,) = rows_of(embedded, by_class, centroids=2, absent=("sky",))
    assert (row.nearest == 2).all()  # of the classes with embeddings, road and car, the second one


def test_pictures_show_the_first_images_of_a_batch():
    assert len(rows_of(torch.zeros(5, 6, 2, 3))) == 2


def test_shares_are_in_percent_and_of_nothing_there_are_none():
    assert shares(torch.tensor([1, 3])).tolist() == [25, 75]
    assert shares(None) is None
    assert shares(torch.zeros(2, dtype=torch.int64)) is None


# In a run


STEPS = 6
OVERRIDES = [
    "experiment=universal_cityscapes_camvid",
    "row=full",
    *SMOKE,
    "stages=[universal]",
    "stage.universal.from=null",
    f"stage.universal.steps={STEPS}",
    "method.embeddings=random",
    "method.dimension=8",
    "streams.labelled.labelled=3",
    "batch_size=2",
    "checkpoint_every=2",
]


def run(composed, folder, *overrides):
    cfg = composed(*OVERRIDES, *overrides, f"runs={folder}")
    made = new_folder(cfg)
    carry_out(cfg, made)
    return made


def state(folder):
    return torch.load(folder / "universal/checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def drawn(composed, tmp_path_factory):
    """A finished run with pictures and a row of the log at every step; tests must not write into it."""
    return run(composed, tmp_path_factory.mktemp("drawn"), "panels=1")


def test_a_run_draws_entropies_and_nearest_labels(drawn):
    for name in ("entropy", "nearest_labels"):
        height, width, _ = cv2.imread(str(drawn / f"universal/figures/{name}.png")).shape
        assert min(height, width) > 300, name


def test_norm_and_largest_share_are_logged_for_every_dataset(drawn):
    metrics = read_metrics(drawn / "universal/metrics.csv")
    for name in ("cityscapes", "camvid11"):
        assert list(metrics[f"embedding_norm/{name}"]) == list(range(STEPS))
        assert all(value > 0 for value in metrics[f"embedding_norm/{name}"].values())
        assert all(0 < value <= 1 for value in metrics[f"embedding_largest_share/{name}"].values())


def test_steps_without_a_row_of_the_log_look_at_nothing_and_looking_changes_no_weight(
    composed, drawn, tmp_path, monkeypatch
):
    looks, whole = [], EntropyModule.class_scores
    monkeypatch.setattr(EntropyModule, "class_scores", lambda *given: (looks.append(given[2]), whole(*given))[1])
    folder = run(composed, tmp_path, "log_every=3")
    assert looks == 2 * 2 * ["cityscapes", "camvid11"]  # labelled images, then unlabelled ones
    weights = {name: value for name, value in state(drawn).items() if not name.startswith("watch.")}
    assert all(torch.equal(value, state(folder)[name]) for name, value in weights.items())
    assert not (folder / "universal/figures/entropy.png").exists()


def test_its_features_and_predictions_are_compared(drawn, tmp_path):
    """One of the datasets that share the network is compared, the features are of both."""
    compare([f"runs=[{drawn}]", "on=camvid11", "count=1", "logits=0", "tsne.pixels=3", f"output={tmp_path}"])
    evaluation = json.loads((drawn / "results.json").read_text())["stages"]["universal"]["evaluation"]
    (answers,) = json.loads((tmp_path / "compare.json").read_text())["runs"].values()
    assert answers["miou"] == pytest.approx(evaluation["datasets"]["camvid11"]["miou"], abs=1e-5)
    features = json.loads((tmp_path / "tsne.json").read_text())
    assert list(features["pixels"]) == ["cityscapes", "camvid11"]


class Killed(Exception):
    pass


def broken_off(composed, folder, monkeypatch, at):
    """A run that was killed at a step, and what it has warned of."""
    whole = Universal.training_step

    def breaks(self, batch, step):
        if step == at:
            raise Killed
        return whole(self, batch, step)

    with monkeypatch.context() as patched, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patched.setattr(Universal, "training_step", breaks)
        with pytest.raises(Killed):
            run(composed, folder)
    (made,) = folder.glob("*/*")
    return made, said(caught)


def said(caught):
    return sorted(str(warning.message)[:40] for warning in caught if "nearest to the label" in str(warning.message))


@pytest.mark.parametrize(
    ("at", "before", "after"),
    [
        pytest.param(4, 2, 0, id="after the checkpoint of a step that has warned"),
        pytest.param(2, 0, 2, id="before", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_logs_and_warns_as_one_that_was_not_stopped(
    composed, drawn, tmp_path, monkeypatch, at, before, after
):
    monkeypatch.setattr(CollapseWatch, "least", lambda watch, row: math.inf)
    folder, warned = broken_off(composed, tmp_path, monkeypatch, at)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resume(folder)
    assert (len(warned), len(said(caught))) == (before, after)
    log, expected = ((path / "universal/metrics.csv").read_text() for path in (folder, drawn))
    assert log == expected
    watched = {name: value for name, value in state(folder).items() if name != "watch.warned"}
    assert all(torch.equal(value, state(drawn)[name]) for name, value in watched.items())
