import copy
import math
import warnings
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from mdseg.labels.embeddings import FILE, DatasetEmbeddings, LabelEmbeddings
from mdseg.labels.spaces import disjoint
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.similarity import similarity_entropy
from mdseg.methods.base import StreamShape
from mdseg.methods.schedules import poly
from mdseg.methods.universal import EntropyModule, Universal
from mdseg.models.small import small
from mdseg.system.wording import Remark

SIZE, DIMENSION = (16, 24), 4
TWO = {"a": ("car", "road", "sky"), "b": ("road", "tree")}
THREE = {**TWO, "c": ("car", "tree", "pole", "wall")}

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


def space_of(classes):
    def table(name, names):
        colors, raw_ids = tuple((index, 0, 0) for index in range(9)), tuple((index,) for index in range(9))
        return LabelTable(name, names, colors[: len(names)], "id", raw_ids[: len(names)])

    return disjoint({name: table(name, names) for name, names in classes.items()})


def streams_of(classes, epoch=lambda step: step):
    epochs = dict.fromkeys(classes, epoch)
    return {role: StreamShape(role, 4, SIZE, tuple(classes), epochs) for role in ("labelled", "unlabelled")}


def universal(classes=TWO, folder=None, lr=0.1, epoch=lambda step: step, steps=1, **options):
    """The method as a stage has it when it begins: its streams known, label embeddings taken from a folder."""
    torch.manual_seed(0)
    values = {"alpha": 1.0, "beta": 1.0, "centroids": 1, "multi_centroid": "flat", "theta": 1.0}
    values |= {"passes": "per_dataset", "partners": "all"}
    space = space_of(classes)
    method = Universal(
        supervised=ce(space, scope="in_space"),
        dimension=DIMENSION,
        embeddings="given" if folder else "random",
        model=small(space.num_classes, head="linear", widths=(8, 8, 8, 8, 8), feature_width=12),
        space=space,
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=lr),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=steps,
        seed=0,
        align_corners=False,
        **(values | options),
    )
    method.expect(["embeddings"] if folder else [])
    method.read(streams_of(classes, epoch))
    if folder:
        method.start_from("embeddings", folder)
    else:
        method.setup("fit")
    return method


def write_embeddings(folder, vectors, classes=TWO, centroids=1):
    """A file with these vectors, by dataset and class; classes without any have no labelled pixel."""
    parts = {}
    for name, names in classes.items():
        rows = {index: vectors[name][of_class] for index, of_class in enumerate(names) if of_class in vectors[name]}
        class_index = torch.tensor([index for index in rows for _ in range(centroids)])
        pixels = torch.tensor([int(index in rows) for index in range(len(names))])
        parts[name] = DatasetEmbeddings(
            names, torch.tensor(list(rows.values())).view(-1, DIMENSION), class_index, pixels
        )
    LabelEmbeddings(parts, DIMENSION, centroids, "per_dataset", 0).save(folder / FILE)
    return folder


def some_vectors(classes=TWO, scale=1.0):
    """The first class of every dataset along the first axis, the second along the second, ..."""
    return {
        name: {of_class: (scale * torch.eye(DIMENSION)[index]).tolist() for index, of_class in enumerate(names)}
        for name, names in classes.items()
    }


@pytest.fixture
def folder(tmp_path):
    return write_embeddings(tmp_path, some_vectors())


def batch_of(classes=TWO, seed=0, labelled=1, unlabelled=1):
    """Micro-batches of two images of every dataset; masks have the train ids of its channels."""
    generator, batch, space = torch.Generator().manual_seed(seed), {"labelled": {}, "unlabelled": {}}, space_of(classes)
    for name in sorted(classes):  # the same images in whatever order the datasets come
        own = space.class_train_ids[name]
        for role, parts in (("labelled", labelled), ("unlabelled", unlabelled)):
            for _ in range(parts):
                image = torch.randint(0, 256, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)
                mask = torch.randint(0, len(own), (2, *SIZE), generator=generator) + own[0]
                part = {"image": image, "dataset": torch.full((2,), space.dataset_index(name))}
                part |= {"mask": mask.to(torch.uint8)} if role == "labelled" else {}
                batch[role].setdefault(name, []).append(part)
    return {role: {name: batch[role][name] for name in classes if name in batch[role]} for role in batch}


class Losses(pl.Callback):
    """What the training step has answered, step by step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, method, outputs, batch, step):
        self.values.append(outputs["loss"])


def fit(method, *batches, callbacks=()):
    """Train these batches, one a step."""
    trainer = pl.Trainer(
        callbacks=list(callbacks),
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(method, DataLoader(list(batches), batch_size=None))
    return method


def scores_of(method, image, dataset):
    embedded = method.module.projection(method.model.features(image))
    return F.conv2d(embedded, method.module.vectors[method.module.rows[dataset], :, None, None])


def gradients(method):
    return {name: parameter.grad for name, parameter in method.named_parameters()}


# The loss and its gradient


def test_the_loss_is_the_supervised_one_and_the_weighted_entropies_of_every_dataset(folder):
    method = universal(folder=folder, alpha=0.7, beta=0.3)
    before, batch = copy.deepcopy(method), batch_of()
    losses = Losses()
    fit(method, batch, callbacks=[losses])
    terms = {}
    for name, other in (("a", "b"), ("b", "a")):
        (labelled,), (unlabelled,) = batch["labelled"][name], batch["unlabelled"][name]
        logits = before.model(labelled["image"])
        terms[f"supervised/{name}"] = before.supervised(logits, labelled["mask"], labelled["dataset"])
        for term, labels in (("cross", other), ("within", name)):
            terms[f"{term}/{name}"] = similarity_entropy(scores_of(before, unlabelled["image"], labels), SIZE)
    weights = {"supervised": 1.0, "cross": 0.7, "within": 0.3}
    expected = sum(weights[name.split("/")[0]] * value for name, value in terms.items())
    torch.testing.assert_close(losses.values, [expected.detach()])
    assert method.terms.keys() == {f"train/{name}" for name in terms}
    for name, value in terms.items():
        torch.testing.assert_close(method.terms[f"train/{name}"], value.detach())


def test_separate_backward_passes_give_the_gradient_of_the_sum(folder):
    method = universal(folder=folder, lr=0.0)
    batch, whole = batch_of(labelled=2, unlabelled=3), copy.deepcopy(method)
    fit(method, batch)
    total = 0.0
    for name, other in (("a", "b"), ("b", "a")):
        for part in batch["labelled"][name]:
            total += whole.supervised(whole.model(part["image"]), part["mask"], part["dataset"]) / 2
        for part in batch["unlabelled"][name]:
            for labels in (name, other):
                total += similarity_entropy(scores_of(whole, part["image"], labels), SIZE) / 3
    total.backward()
    for name, expected in gradients(whole).items():
        torch.testing.assert_close(gradients(method)[name], expected, rtol=1e-4, atol=1e-6, msg=name)


def test_joint_passes_have_the_images_of_all_datasets_and_the_same_loss(folder):
    method, batch = universal(folder=folder, lr=0.0, passes="joint"), batch_of(labelled=1, unlabelled=2)
    batch["unlabelled"]["b"].append(batch_of(seed=1)["unlabelled"]["b"][0])  # a third pass, with b alone
    whole, sizes = copy.deepcopy(method), []
    method.model.backbone.register_forward_hook(lambda module, given, answer: sizes.append(len(answer)))
    fit(method, batch)
    assert sizes == [4, 4, 4, 2]

    terms = {}
    (a,), (b,) = batch["labelled"].values()
    logits = whole.model(torch.cat([a["image"], b["image"]]))
    for name, part, own in (("a", a, logits[:2]), ("b", b, logits[2:])):
        terms[f"supervised/{name}"] = whole.supervised(own, part["mask"], part["dataset"])
    statistics = whole.model.state_dict()
    parts = batch["unlabelled"]
    for rows in ((parts["a"][0], parts["b"][0]), (parts["a"][1], parts["b"][1]), (None, parts["b"][2])):
        image = torch.cat([part["image"] for part in rows if part is not None])
        embedded = whole.module.projection(whole.model.features(image))
        for name, other, own in (("a", "b", embedded[:-2]), ("b", "a", embedded[-2:])):
            for term, labels in (("cross", other), ("within", name)) if len(own) else ():
                scores = F.conv2d(own, whole.module.vectors[whole.module.rows[labels], :, None, None])
                value = similarity_entropy(scores, SIZE) / len(parts[name])
                terms[f"{term}/{name}"] = terms.get(f"{term}/{name}", 0.0) + value
    sum(terms.values()).backward()
    for name, value in terms.items():
        torch.testing.assert_close(method.terms[f"train/{name}"], value.detach())
    for name, expected in gradients(whole).items():
        torch.testing.assert_close(gradients(method)[name], expected, rtol=1e-4, atol=1e-6, msg=name)
    for name, value in statistics.items():
        torch.testing.assert_close(method.model.state_dict()[name], value, msg=name)  # batch norm's, of all datasets


def test_the_loss_of_micro_batches_is_their_mean(folder):
    batch, single = batch_of(labelled=2, unlabelled=2), []
    for number in range(2):
        parts = {role: {name: [of[number]] for name, of in by_name.items()} for role, by_name in batch.items()}
        single.append(fit(universal(folder=folder), parts).terms)
    together = fit(universal(folder=folder), batch).terms
    for name, value in together.items():
        torch.testing.assert_close(value, (single[0][name] + single[1][name]) / 2)


def test_entropy_trains_encoder_and_projection_but_no_classifier_and_no_label_embedding(folder):
    method = universal(folder=folder)
    fit(method, {"labelled": {}, "unlabelled": batch_of()["unlabelled"]})
    found = gradients(method)
    assert all(found[f"model.head.{name}"] is None for name in ("weight", "bias"))
    assert not method.module.vectors.requires_grad
    assert method.module.vectors.grad is None
    trained = [name for name in found if name.startswith(("model.backbone.", "module.projection."))]
    assert all(found[name].abs().sum() > 0 for name in trained if name.endswith("weight"))


def test_a_labelled_image_trains_the_classifier_of_its_own_dataset_alone(folder):
    method = universal(folder=folder)
    fit(method, {"labelled": {"a": batch_of()["labelled"]["a"]}, "unlabelled": {}})
    found = gradients(method)
    assert found["module.projection.weight"] is None
    assert found["model.head.weight"][:3].abs().sum() > 0
    assert found["model.head.weight"][3:].abs().sum() == 0
    assert found["model.head.bias"][3:].abs().sum() == 0


def test_a_batch_without_a_label_has_no_supervised_loss_and_leaves_the_weights_finite(folder):
    method, batch = universal(folder=folder), batch_of()
    for parts in batch["labelled"].values():
        parts[0]["mask"].fill_(255)
    fit(method, batch)
    assert method.terms["train/supervised/a"] == method.terms["train/supervised/b"] == 0
    assert all(parameter.isfinite().all() for parameter in method.parameters())


def test_among_the_same_labels_the_cross_term_is_the_within_term(tmp_path):
    classes = {"a": ("car", "road"), "b": ("car", "road")}
    folder = write_embeddings(tmp_path, some_vectors(classes), classes)
    cross = universal(classes, folder, alpha=1.0, beta=0.0)
    within = universal(classes, folder, alpha=0.0, beta=1.0)
    for method in (cross, within):
        fit(method, batch_of(classes))
    for name in classes:
        assert cross.terms[f"train/cross/{name}"] == within.terms[f"train/within/{name}"]
        assert cross.terms[f"train/within/{name}"] == within.terms[f"train/cross/{name}"] == 0
    for name, parameter in cross.named_parameters():
        assert torch.equal(parameter, dict(within.named_parameters())[name]), name


def test_the_order_of_the_datasets_changes_no_loss(folder):
    turned = {"b": TWO["b"], "a": TWO["a"]}
    first, second = universal(TWO, folder), universal(turned, folder)
    channels = [second.space.names.index(name) for name in first.space.names]
    weights = first.state_dict()
    for name in ("model.head.weight", "model.head.bias"):
        weights[name] = weights[name].clone()
        weights[name][channels] = first.state_dict()[name]
    weights["module.vectors"] = second.module.vectors
    second.load_state_dict(weights)
    fit(first, batch_of(TWO))
    fit(second, batch_of(turned))
    for name, value in first.terms.items():
        torch.testing.assert_close(second.terms[name], value)


def test_every_forward_pass_has_images_of_one_dataset(folder):
    method, batch = universal(folder=folder, lr=0.0), batch_of(unlabelled=2)
    expected = copy.deepcopy(method.model)
    fit(method, batch)
    for role in ("labelled", "unlabelled"):
        for parts in batch[role].values():
            for part in parts:
                expected(part["image"])
    for (name, seen), wanted in zip(method.model.named_buffers(), expected.buffers(), strict=True):
        assert torch.equal(seen, wanted), name


# Three datasets


@pytest.fixture
def of_three(tmp_path):
    method = universal(THREE, write_embeddings(tmp_path, some_vectors(THREE), THREE))
    return method.eval()  # batch norm would move with every pass


def pair_entropy(method, image, labels):
    return similarity_entropy(scores_of(method, image, labels), SIZE).item()


def test_of_three_datasets_the_cross_term_is_the_mean_over_the_other_two(of_three):
    image = batch_of(THREE)["unlabelled"]["a"][0]["image"]
    cross, within = of_three.entropies("a", image, of_three.model.features(image))
    first, second = (pair_entropy(of_three, image, other) for other in ("b", "c"))
    assert first != second
    assert cross.item() == pytest.approx((first + second) / 2, rel=1e-6)
    assert within.item() == pytest.approx(pair_entropy(of_three, image, "a"), rel=1e-6)


def test_one_partner_is_drawn_as_often_as_another(of_three):
    image = batch_of(THREE)["unlabelled"]["a"][0]["image"]
    of_three.partners = "one"
    torch.manual_seed(0)
    drawn = [round(of_three.entropies("a", image, of_three.model.features(image))[0].item(), 5) for _ in range(80)]
    first, second = (round(pair_entropy(of_three, image, other), 5) for other in ("b", "c"))
    assert set(drawn) == {first, second}
    assert 25 <= drawn.count(first) <= 55, "the mean is that of all partners"


# Label embeddings


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
    module = EntropyModule(3, {"a": ("x", "y")}, dimension=4, centroids=2)
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
    assert {"sums", "counts"}.isdisjoint(method.state_dict())


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
    assert method.counts.sum() == 4 * math.prod(SIZE), "the third step begins another epoch"


def test_embeddings_of_classes_without_a_pixel_in_the_epoch_stay(folder):
    method, batch = universal(folder=folder, theta=0.0), batch_of()
    mask = batch["labelled"]["a"][0]["mask"]
    mask[mask == 1] = 255
    before = method.module.vectors.clone()
    fit(method, batch)
    moved = (method.module.vectors != before).any(dim=1)
    assert moved.tolist() == [True, False, True, True, True]
    assert method.counts.sum() == 0


def test_every_dataset_has_epochs_of_its_own(folder):
    method = universal(folder=folder, theta=0.0)
    method.epochs = {"a": lambda step: step, "b": lambda step: 0}
    before = method.module.vectors.clone()
    fit(method, batch_of())
    assert (method.module.vectors != before).any(dim=1).tolist() == [True, True, True, False, False]
    assert method.counts[3:].sum() == 2 * math.prod(SIZE)


def test_what_the_epoch_has_added_up_is_in_the_checkpoint(folder):
    method = fit(universal(folder=folder, theta=0.5, epoch=lambda step: 0), batch_of())
    saved = method.state_dict()
    assert saved["counts"].sum() == 4 * math.prod(SIZE)
    assert saved["sums"].abs().sum() > 0
    assert "module.vectors" in saved


# What it reads and trains


def test_the_projection_is_trained_at_the_rate_of_the_encoder(folder):
    groups = universal(folder=folder).configure_optimizers()["optimizer"].param_groups
    assert [group["lr"] for group in groups] == [0.1, 0.1]
    assert len(groups[1]["params"]) == 2


def test_without_entropies_it_is_joint_training_that_looks_at_no_unlabelled_image():
    method = universal(alpha=0.0, beta=0.0)
    assert list(method.reads) == list(method.names_of) == ["labelled"]
    assert not any("projection" in name for name, _ in method.named_parameters())
    fit(method, {"labelled": batch_of()["labelled"]})
    assert method.terms.keys() == {"train/supervised/a", "train/supervised/b"}


def test_with_alpha_0_it_asks_for_no_other_dataset_s_labels(folder):
    method = universal(folder=folder, alpha=0.0)
    image = batch_of()["unlabelled"]["a"][0]["image"]
    cross, within = method.entropies("a", image, method.model.features(image))
    assert cross == 0
    assert within > 0


@pytest.mark.parametrize(
    ("role", "change", "message"),
    [
        (
            "unlabelled",
            {"datasets": ("a",)},
            r"streams\.unlabelled has none of b: add them to streams\.unlabelled\.datase",
        ),
        ("unlabelled", {"datasets": ("a", "b", "c")}, r"streams\.unlabelled\.datasets: c has no labelled images"),
        ("unlabelled", {"epochs": {}}, r"stream unlabelled mixes them; set streams\.unlabelled\.per_dataset=\{\}"),
        ("labelled", {"epochs": {}}, r"stream labelled mixes them; set streams\.labelled\.per_dataset=\{\}"),
    ],
)
def test_streams_that_lack_or_mix_a_dataset_are_refused(folder, role, change, message):
    streams = streams_of(TWO)
    streams[role] = StreamShape(**{**vars(streams[role]), **change})
    with pytest.raises(ValueError, match=message):
        universal(folder=folder).read(streams)


def test_joint_passes_need_crops_of_one_size(folder):
    streams = streams_of(TWO)
    streams["unlabelled"] = StreamShape(**{**vars(streams["unlabelled"]), "crop": None})
    universal(folder=folder).read(streams)
    with pytest.raises(ValueError, match=r"method\.passes=joint needs images of one size.*in stream unlabelled do not"):
        universal(folder=folder, passes="joint").read(streams)


def test_embeddings_that_nothing_gives_are_asked_for(folder):
    method = universal(folder=folder)
    with pytest.raises(ValueError, match=r"set from\.embeddings to one, method\.embeddings=random.* method\.alpha=0"):
        method.expect([])
    universal().expect([])
    universal(alpha=0.0, beta=0.0).expect([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, r"method\.alpha: expected at least 0, got -1"),
        ({"beta": -0.5}, r"method\.beta: expected at least 0, got -0\.5"),
        ({"centroids": 0}, r"method\.centroids: expected at least 1, got 0"),
        ({"theta": 1.5}, r"method\.theta: expected a number in \[0, 1\], got 1\.5"),
        ({"theta": 0.5, "centroids": 3}, r"method\.theta: means of classes with several centroids.*set theta=1"),
        ({"multi_centroid": "mean"}, r"method\.multi_centroid: expected 'flat' or 'max', got 'mean'"),
        ({"passes": "both"}, r"method\.passes: expected 'per_dataset' or 'joint', got 'both'"),
        ({"partners": "two"}, r"method\.partners: expected 'all' or 'one', got 'two'"),
    ],
)
def test_what_cannot_be_is_refused_before_training(options, message):
    with pytest.raises(ValueError, match=message):
        universal(**options)


def test_agreement_is_the_share_of_labelled_pixels_nearest_to_their_own_label(folder):
    """Every pixel is embedded along the second axis: nearest is class 1 of each dataset."""
    method = universal(folder=folder)
    with torch.no_grad():
        method.module.projection.weight.zero_()
        method.module.projection.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    features = torch.randn(1, 12, 2, 2)
    first = method.space.class_train_ids["b"][0]
    mask = torch.tensor([[[first + 1, first], [first + 1, 255]]], dtype=torch.uint8)
    assert method.agreeing("b", features, mask).item() == pytest.approx(2 / 3)
    assert method.agreeing("b", features, torch.full_like(mask, 255)).isnan()
