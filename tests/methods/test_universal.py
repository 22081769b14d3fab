import copy

import pytest
import torch
import torch.nn.functional as F
from universal_parts import (
    SIZE,
    THREE,
    TWO,
    Losses,
    batch_of,
    fit,
    gradients,
    scores_of,
    some_vectors,
    streams_of,
    universal,
    write_embeddings,
)

from mdseg.losses.similarity import similarity_entropy
from mdseg.methods.base import StreamShape

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


@pytest.fixture
def folder(tmp_path):
    return write_embeddings(tmp_path, some_vectors())


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
    streams["unlabelled"] = StreamShape(**{**vars(streams["unlabelled"]), "crops": ()})
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
    ("option", "said"),
    [
        ({"embeddings": "random"}, "method.embeddings=random"),
        ({"alpha": 0.0, "beta": 0.0}, "method.alpha=0 method.beta=0"),
    ],
)
def test_embeddings_that_nothing_uses_are_refused(option, said):
    with pytest.raises(ValueError, match=rf"which {said} does not use.*stages=\[universal\]"):
        universal(**option).expect(["embeddings"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, r"method\.alpha: expected at least 0, got -1"),
        ({"beta": -0.5}, r"method\.beta: expected at least 0, got -0\.5"),
        ({"dimension": 0}, r"method\.dimension: expected at least 1, got 0"),
        ({"embeddings": "file"}, r"method\.embeddings: expected 'given' or 'random', got 'file'"),
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


def test_agreement_counts_the_labelled_pixels_nearest_to_their_own_label(folder):
    """Every pixel is embedded along the second axis: nearest is class 1 of each dataset."""
    method = universal(folder=folder)
    with torch.no_grad():
        method.module.projection.weight.zero_()
        method.module.projection.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    features = torch.randn(1, 12, 2, 2)
    first = method.space.class_train_ids["b"][0]
    mask = torch.tensor([[[first + 1, first], [first + 1, 255]]], dtype=torch.uint8)
    assert method.agreeing("b", features, mask).tolist() == [2, 3]
    assert method.agreeing("b", features, torch.full_like(mask, 255)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "Lower method.alpha and method.beta (the weights of the entropy), let label embeddings follow the "),
        ({"beta": 0.0}, "Lower method.alpha (the weights of the entropy), let label embeddings follow the "),
        ({"theta": 0.5}, "Lower method.alpha and method.beta (the weights of the entropy), or give the labels more"),
        ({"centroids": 2}, "Lower method.alpha and method.beta (the weights of the entropy), or give the labels more"),
    ],
)
def test_advice_on_a_collapse_is_what_the_options_leave(options, advice):
    assert universal(**options).watch.advice.startswith(advice)
