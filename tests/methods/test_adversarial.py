"""AdaptSegNet, AdvEnt and branches per source (multi-source: Russo et al., ICIAP 2019)."""

import copy
import math
import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from universal_parts import Losses, fit

from mdseg.labels.spaces import branched, listed
from mdseg.labels.tables import LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.minent import entropy
from mdseg.methods import adversary
from mdseg.methods.adversarial import Adversarial
from mdseg.methods.adversary import LONG, Adversary, Scoreboard, judged, weighted_self_information
from mdseg.methods.base import StreamShape
from mdseg.methods.schedules import poly
from mdseg.methods.supervised import Supervised
from mdseg.models.discriminator import PatchDiscriminator
from mdseg.models.small import small
from mdseg.stages.callbacks import Bar
from mdseg.system.wording import Remark

SIZE = (32, 48)
NAMES = ("road", "car", "sky", "train")
SOURCES = {"gta5": NAMES, "synthia": ("sky", "road", "car")}  # the second lacks a class, and has them in its own order
LEVELS = ("high", "low")

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


def tables(sources):
    def table(name, names):
        colors, raw_ids = tuple((index, 0, 0) for index in range(9)), tuple((index,) for index in range(9))
        return LabelTable(name, names, colors[: len(names)], "id", raw_ids[: len(names)])

    return {name: table(name, SOURCES[name]) for name in sources}


def space_of(sources=("gta5", "synthia"), joint=None, plain=False):
    return listed(tables(sources), NAMES) if plain else branched(tables(sources), NAMES, joint)


def network(space, low_head):
    torch.manual_seed(0)
    return small(space.num_classes, head="linear", widths=(8, 8, 8, 8, 8), feature_width=12, low_head=low_head)


def common(space, lr):
    return {
        "space": space,
        "evaluated": {},
        "optimizer": partial(torch.optim.SGD, lr=lr),
        "scheduler": poly,
        "head_lr_factor": 1.0,
        "decay_norms": True,
        "steps": 10,
        "seed": 0,
        "align_corners": True,
    }


def adversarial(sources=("gta5", "synthia"), joint=None, plain=False, low_head=True, lr=0.1, **options):
    """The method as a stage has it when it begins."""
    space = space_of(sources, joint, plain)
    values = {"adversarial": {"high": 0.1, "low": 0.02}, "low_weight": 0.1, "sees": "softmax", "objective": "vanilla"}
    values |= {"share_discriminator": False, "discriminator_width": 4, "merges": {"merged": {}}}
    values |= {"discriminator_optimizer": partial(torch.optim.Adam, lr=1e-3), "target_weight": {"high": 0.5, "low": 0}}
    method = Adversarial(
        supervised=ce(space, scope="all" if plain else "in_space"),
        model=network(space, low_head),
        **common(space, lr),
        **(values | options),
    )
    method.read(streams_of(sources))
    return method


def streams_of(sources):
    epochs = dict.fromkeys(sources, lambda step: step)
    labelled = StreamShape("labelled", 2 * len(sources), (SIZE,), tuple(sources), epochs)
    return {"labelled": labelled, "target": StreamShape("target", 2, (SIZE,), ("cityscapes",))}


def batch_of(sources=("gta5", "synthia"), plain=False, joint=None, seed=0, ignored=False):
    generator, space = torch.Generator().manual_seed(seed), space_of(sources, joint, plain)
    batch = {"labelled": {}, "target": {"image": images(generator)}}
    for name in sorted(sources):
        lookup = torch.from_numpy(space.train_ids(name))
        mask = lookup[torch.randint(0, len(SOURCES[name]), (2, *SIZE), generator=generator)]
        mask = torch.full_like(mask, 255) if ignored else mask
        part = {"image": images(generator), "mask": mask, "dataset": torch.full((2,), space.dataset_index(name))}
        batch["labelled"][name] = [part]
    return batch


def images(generator):
    return torch.randint(0, 256, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)


def gradients(module):
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in module.named_parameters()
    }


def labels(part):
    return part["mask"], part["dataset"]


def shown(method, logits, branch):
    """What a discriminator is shown of a branch."""
    own = logits[:, list(method.space.branches[branch])] if method.space.branches else logits
    return F.interpolate(own, SIZE, mode="bilinear", align_corners=True).softmax(dim=1)


# The discriminator


def test_the_discriminator_has_the_published_parameters_and_sizes():
    discriminator = PatchDiscriminator(19)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 2_781_121
    narrow = PatchDiscriminator(2, width=1)
    assert narrow(torch.zeros(1, 2, 512, 1024)).shape == (1, 1, 16, 32)
    assert narrow(torch.zeros(1, 2, 720, 1280)).shape == (1, 1, 22, 40)
    assert narrow(torch.zeros(1, 2, 32, 63)).shape == (1, 1, 1, 1)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match=r"patches of 32×32 pixels, but images are 31×64: set a larger transform.crop"):
        PatchDiscriminator(2, width=1)(torch.zeros(1, 2, 31, 64))


def test_a_discriminator_that_says_nothing_costs_log_2():
    nothing = torch.zeros(1, 1, 3, 4)
    assert judged(nothing, True, "vanilla").item() == pytest.approx(0.693147, abs=1e-6)
    method = adversarial()
    for parameter in method.adversary.parameters():
        parameter.data.zero_()
    fit(method, batch_of())
    for branch in ("gta5", "synthia"):
        for level in LEVELS:
            assert method.terms[f"train/adversarial/{level}/{branch}"].item() == pytest.approx(0.693147, abs=1e-6)
            assert method.terms[f"train/discriminator/{level}/{branch}"].item() == pytest.approx(0.693147, abs=1e-6)


def test_least_squares_wants_one_and_zero():
    verdict = torch.tensor([0.25, -1.0]).view(1, 1, 1, 2)
    assert judged(verdict, True, "least_squares").item() == pytest.approx((0.75**2 + 4) / 2)
    assert judged(verdict, False, "least_squares").item() == pytest.approx((0.25**2 + 1) / 2)


def test_self_information_is_the_share_of_every_class_in_the_normalised_entropy():
    even = weighted_self_information(torch.zeros(1, 4, 1, 1))
    torch.testing.assert_close(even.flatten(), torch.full((4,), 0.25))
    sure = weighted_self_information(torch.tensor([0.0, -1e4]).view(1, 2, 1, 1))
    assert sure.abs().sum() == 0  # not nan
    halves = weighted_self_information(torch.tensor([math.log(0.5), math.log(0.5), -1e4]).view(1, 3, 1, 1))
    torch.testing.assert_close(halves.flatten(), torch.tensor([0.5 * math.log(2) / math.log(3)] * 2 + [0.0]))
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weighted_self_information, logits)


# The losses and who learns from them


@pytest.mark.parametrize("sees", ["softmax", "self_information"])
@pytest.mark.parametrize("objective", ["vanilla", "least_squares"])
def test_the_losses_are_those_of_the_paper(sees, objective):
    method, batch = adversarial(sees=sees, objective=objective, target=entropy), batch_of()
    before, losses = copy.deepcopy(method), Losses()
    fit(method, batch, callbacks=[losses])
    terms, total = {}, 0.0
    logits = {}
    for name in ("gta5", "synthia"):
        (part,) = batch["labelled"][name]
        logits[name] = before.model.levels(part["image"])
        terms[f"supervised/{name}"] = before.supervised(logits[name].high, *labels(part))
        terms[f"supervised_low/{name}"] = before.supervised(logits[name].low, *labels(part))
        total += terms[f"supervised/{name}"] + 0.1 * terms[f"supervised_low/{name}"]
    target = before.model.levels(batch["target"]["image"])
    for name, channels in before.space.branches.items():
        terms[f"target/high/{name}"] = entropy(target.high[:, list(channels)], SIZE)
        total += 0.5 * terms[f"target/high/{name}"]
        for level, weight in (("high", 0.1), ("low", 0.02)):

            def seen(levels, name=name, level=level):
                maps = shown(before, getattr(levels, level), name)
                return maps if sees == "softmax" else -maps * maps.log() / math.log(4)

            discriminator = before.adversary.discriminators[level][name]
            of_target, of_source = discriminator(seen(target)), discriminator(seen(logits[name]))
            terms[f"adversarial/{level}/{name}"] = judged(of_target, True, objective)
            told = judged(of_source, True, objective), judged(of_target, False, objective)
            terms[f"discriminator/{level}/{name}"] = (told[0] + told[1]) / 2
            total += weight * terms[f"adversarial/{level}/{name}"] + terms[f"discriminator/{level}/{name}"]
    assert method.terms.keys() == {f"train/{name}" for name in terms}
    for name, value in terms.items():
        torch.testing.assert_close(method.terms[f"train/{name}"], value.detach(), rtol=1e-4, atol=1e-6, msg=name)
    torch.testing.assert_close(losses.values[0], total.detach(), rtol=1e-4, atol=1e-5)


def test_the_segmenter_does_not_learn_from_the_discriminators_loss_nor_they_from_its():
    """Gradients of one step are those of two losses, each for its own player."""
    method, batch = adversarial(lr=0.0, discriminator_optimizer=partial(torch.optim.SGD, lr=0.0)), batch_of()
    whole = copy.deepcopy(method)
    fit(method, batch)
    segmenter, discriminators = 0.0, 0.0
    target = whole.model.levels(batch["target"]["image"])
    for name in ("gta5", "synthia"):
        (part,) = batch["labelled"][name]
        source = whole.model.levels(part["image"])
        segmenter += whole.supervised(source.high, *labels(part)) + 0.1 * whole.supervised(source.low, *labels(part))
        for level, weight in (("high", 0.1), ("low", 0.02)):
            discriminator = whole.adversary.discriminators[level][name]
            segmenter += weight * judged(discriminator(shown(whole, getattr(target, level), name)), True, "vanilla")
            for levels, is_source in ((source, True), (target, False)):
                maps = shown(whole, getattr(levels, level), name).detach()
                discriminators += judged(discriminator(maps), is_source, "vanilla") / 2
    model, adversary = list(whole.model.parameters()), list(whole.adversary.parameters())
    expected = torch.autograd.grad(segmenter, model), torch.autograd.grad(discriminators, adversary)
    for found, wanted in zip((method.model, method.adversary), expected, strict=True):
        for (name, parameter), gradient in zip(found.named_parameters(), wanted, strict=True):
            assert parameter.requires_grad, name
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6, msg=name)


class Weights(pl.Callback):
    """All weights before the first step and after each."""

    def __init__(self):
        self.states = []

    def keep(self, method):
        self.states.append({name: value.clone() for name, value in method.named_parameters()})

    def on_train_start(self, trainer, method):
        self.keep(method)

    def on_train_batch_end(self, trainer, method, outputs, batch, step):
        self.keep(method)


def test_both_players_move_in_every_step():
    weights = Weights()
    fit(adversarial(), batch_of(), batch_of(seed=1), batch_of(seed=2), callbacks=[weights])
    assert len(weights.states) == 4
    for before, after in pairwise(weights.states):
        for name in before:
            if name.endswith("weight"):
                assert not torch.equal(after[name], before[name]), name


def test_the_progress_bar_counts_batches_not_steps_of_both_optimizers():
    class Counted(Bar):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            (task,) = self.progress.tasks
            counted.append((task.completed, task.total))

    counted = []
    fit(adversarial(), *(batch_of(seed=seed) for seed in range(3)), callbacks=[Counted("adapt")], bar=True)
    assert counted == [(1, 3), (2, 3), (3, 3)]


def test_a_source_teaches_its_own_branch_alone():
    method = adversarial(adversarial={"high": 0, "low": 0}, lr=0.0)
    batch = batch_of()
    del batch["labelled"]["synthia"]
    fit(method, batch)
    for head in ("head", "low_head"):
        gradient = gradients(method.model)[f"{head}.weight"]
        assert gradient[:4].abs().sum() > 0
        assert gradient[4:].abs().sum() == 0


@pytest.mark.parametrize("level", LEVELS)
def test_a_branch_is_pushed_by_its_own_discriminator_alone(level):
    method = adversarial(lr=0.0)
    for name, player in method.adversary.discriminators[level].items():
        if name != "gta5":
            for parameter in player.parameters():
                parameter.data.zero_()
    image = batch_of()["target"]["image"]
    losses = method.adversary.fooling(method.model.levels(image), SIZE)
    losses[level, "gta5"].backward()
    gradient = gradients(method.model)
    head = {"high": "head", "low": "low_head"}[level]
    assert gradient[f"{head}.weight"][:4].abs().sum() > 0
    assert gradient[f"{head}.weight"][4:].abs().sum() == 0
    assert gradient["backbone.stem.0.weight"].abs().sum() > 0


def test_one_source_in_a_branch_is_adaptsegnet():
    sources = ("gta5",)
    branch, plain = adversarial(sources), adversarial(sources, plain=True)
    fit(branch, batch_of(sources))
    fit(plain, batch_of(sources, plain=True))
    assert {name.replace("/gta5", "") for name in branch.terms} == set(plain.terms)
    for name, value in branch.terms.items():
        torch.testing.assert_close(value, plain.terms[name.replace("/gta5", "")], msg=name)
    assert plain.headline == "model"


@pytest.mark.parametrize("share", [False, True])
def test_the_joint_branch_learns_from_all_sources(share):
    method = adversarial(joint="s_all", share_discriminator=share)
    before, batch = copy.deepcopy(method), batch_of(joint="s_all")
    fit(method, batch)
    space, expected = method.space, 0.0
    for name in ("gta5", "synthia"):
        (part,) = batch["labelled"][name]
        logits = before.model.levels(part["image"]).high[:, list(space.branches["s_all"])]
        classes = part["mask"].long() - space.branches[name][0]
        expected += F.cross_entropy(F.interpolate(logits, SIZE, mode="bilinear", align_corners=True), classes) / 2
    torch.testing.assert_close(method.terms["train/supervised/s_all"], expected.detach(), rtol=1e-4, atol=1e-5)
    for level in LEVELS:
        discriminator = before.adversary.discriminators[level]["all" if share else "s_all"]
        told = []
        for image, is_source in [*((batch["labelled"][name][0]["image"], True) for name in SOURCES), (None, False)]:
            image = batch["target"]["image"] if image is None else image
            verdict = discriminator(shown(before, getattr(before.model.levels(image), level), "s_all"))
            told.append(judged(verdict, is_source, "vanilla"))
        wanted = ((told[0] + told[1]) / 2 + told[2]) / 2  # sources count equally, domains too
        found = method.terms[f"train/discriminator/{level}/s_all"]
        torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-5)
    assert len(method.adversary.discriminators["high"]) == (1 if share else 3)
    assert list(method.answers) == ["merged", "gta5", "synthia", "s_all"]


def test_without_adversarial_weights_it_is_supervised_training():
    plain = {"sources": ("gta5",), "plain": True}
    method = adversarial(**plain, adversarial={"high": 0, "low": 0})
    batch, space = batch_of(**plain), space_of(("gta5",), plain=True)
    assert method.reads.keys() == {"labelled"}
    alone = Supervised(supervised=ce(space), low_weight=0.1, model=network(space, True), **common(space, 0.1))
    alone.read({"labelled": StreamShape("labelled", 2, (SIZE,), ("gta5",))})
    fit(method, batch, batch_of(**plain, seed=1))
    (first,), (second,) = (each["labelled"]["gta5"] for each in (batch, batch_of(**plain, seed=1)))
    fit(alone, {"labelled": first}, {"labelled": second})
    for name, value in alone.model.state_dict().items():
        assert torch.equal(method.model.state_dict()[name], value), name


def test_images_without_a_label_leave_the_adversary_at_work():
    method = adversarial()
    fit(method, batch_of(ignored=True))
    assert method.terms["train/supervised/gta5"] == 0
    assert method.terms["train/adversarial/high/gta5"] > 0
    assert all(parameter.isfinite().all() for parameter in method.parameters())


def test_which_domain_is_called_one_does_not_matter(monkeypatch):
    """With the last layers' signs turned, the other names give the same losses and the same segmenter, step by step."""
    ours, theirs = adversarial(), adversarial()
    for levels in theirs.adversary.discriminators.values():
        for discriminator in levels.values():
            discriminator.layers[-1].weight.data.neg_()
            discriminator.layers[-1].bias.data.neg_()
    batches = [batch_of(seed=seed) for seed in range(3)]
    fit(ours, *batches)
    monkeypatch.setattr(adversary, "judged", lambda verdict, source, objective: judged(verdict, not source, objective))
    fit(theirs, *batches)
    torch.testing.assert_close(theirs.terms, ours.terms)
    torch.testing.assert_close(theirs.model.state_dict(), ours.model.state_dict())
    last = {name: value for name, value in ours.adversary.state_dict().items() if ".layers.8." in name}
    assert len(last) == 8
    for name, value in last.items():
        torch.testing.assert_close(theirs.adversary.state_dict()[name], -value)


def test_sources_may_have_no_class_in_common(monkeypatch):
    monkeypatch.setitem(SOURCES, "gta5", ("road", "train"))
    monkeypatch.setitem(SOURCES, "synthia", ("car", "sky"))
    method = adversarial(joint="s_all")
    fit(method, batch_of(joint="s_all"), batch_of(joint="s_all", seed=1))
    assert all(value.isfinite() for value in method.terms.values())
    space = method.space
    assert space.in_space.sum(dim=1).tolist() == [4, 4, 4]
    assert space.annotated.sum(dim=1).tolist() == [2, 2, 4]


def test_branches_of_unequal_numbers_of_classes_are_refused():
    two = {"gta5": torch.arange(4), "synthia": torch.arange(4, 7)}
    with pytest.raises(ValueError, match=r"branches of 4 \(gta5\), 3 \(synthia\) classes: .* label_space=branched19"):
        Adversary(two, {"high": 1}, "softmax", "vanilla", False, 4, True)


def test_every_dataset_s_crops_must_hold_a_patch():
    method, shapes = adversarial(), streams_of(("gta5", "synthia"))
    shapes["labelled"] = replace(shapes["labelled"], crops=((64, 64), (64, 24)))
    assert shapes["labelled"].crop is None
    with pytest.raises(ValueError, match=r"patches of 32×32 pixels, but crops of stream labelled are 64×24"):
        method.read(shapes)


def test_gradients_are_the_mean_over_ranks():
    """Of two ranks, of which the other one has gradients of 3."""
    method = adversarial()

    def reduce(gradients, reduce_op):
        assert reduce_op == "mean"
        return (gradients + 3) / 2

    strategy = SimpleNamespace(reduce=reduce, block_backward_sync=nullcontext)
    method._trainer = SimpleNamespace(world_size=2, strategy=strategy)
    parameters = [*method.model.parameters(), *method.adversary.parameters()]
    with method.averaged_once():
        for parameter in parameters[1:]:
            parameter.grad = torch.ones_like(parameter)
    assert parameters[0].grad is None
    assert all((parameter.grad == 2).all() for parameter in parameters[1:])


def test_any_number_of_sources():
    SOURCES["third"] = ("car", "road")
    try:
        sources = ("gta5", "synthia", "third")
        method = adversarial(sources)
        fit(method, batch_of(sources))
        assert sum(name.startswith("train/adversarial") for name in method.terms) == 6
    finally:
        del SOURCES["third"]


# What is said before training, and about who wins


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sees": "logits"}, "method.sees"),
        ({"objective": "hinge"}, "method.objective"),
        ({"adversarial": {"high": -1}}, r"method.adversarial.high: expected at least 0, got -1"),
        ({"adversarial": {"middle": 1}}, r"method.adversarial: expected weights of high and low, got 'middle'"),
        ({"discriminator_width": 0}, "method.discriminator_width: expected at least 1, got 0"),
        ({"low_weight": -0.1}, "method.low_weight: expected at least 0, got -0.1"),
        ({"merges": {"gta5": {}}}, "merges.gta5: a branch is called so"),
        ({"merges": {"m": {"merg": "max"}}}, r"merges.m.merg: expected .* \(did you mean merge\?\)"),
        ({"merges": {"m": {"merge": "min"}}}, "merges.m.merge: expected max or mean, got 'min'"),
        ({"merges": {"m": {"merged": ["gta"]}}}, "merges.m.merged: expected some of gta5, synthia, got 'gta'"),
    ],
)
def test_options_that_are_none_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        adversarial(**options)


def test_a_stream_that_mixes_its_sources_is_refused():
    method = adversarial()
    shapes = streams_of(("gta5", "synthia"))
    shapes["labelled"] = StreamShape("labelled", 4, (SIZE,), ("gta5", "synthia"))
    with pytest.raises(ValueError, match=r"set streams.labelled.per_dataset=\{\}"):
        method.read(shapes)


def test_a_network_without_a_low_head_has_one_level():
    method = adversarial(low_head=False)
    fit(method, batch_of())
    assert list(method.adversary.discriminators) == ["high"]
    assert not any("low" in name for name in method.terms)


@pytest.mark.parametrize(("accuracy", "word"), [(1.0, "has won"), (0.5, "has lost")])
def test_a_discriminator_that_has_won_or_lost_for_long_is_remarked_once(accuracy, word):
    board = Scoreboard(["high"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        for _ in range(LONG - 1):
            board.take("high", accuracy, accuracy)
        with pytest.raises(Remark, match=f"discriminator high: .* It {word}"):
            board.take("high", accuracy, accuracy)
        for _ in range(LONG):
            board.take("high", accuracy, accuracy)


@pytest.mark.filterwarnings("error::mdseg.system.wording.Remark")
def test_a_discriminator_that_wins_now_and_then_is_not():
    board = Scoreboard(["high"])
    for number in range(5 * LONG):
        board.take("high", 1.0, 1.0 if number % LONG else 0.9)


def test_micro_batches_count_as_one_batch():
    whole, halves = batch_of(), batch_of()
    halves["labelled"] = {
        name: [{key: value[half : half + 1] for key, value in part.items()} for half in (0, 1)]
        for name, (part,) in whole["labelled"].items()
    }
    terms = []
    for batch in (whole, halves):
        method = adversarial()
        method.eval()  # batch norm would look at the batch
        fit(method, batch)
        terms.append({name: value for name, value in method.terms.items() if "supervised" in name})
    assert terms[0].keys() == terms[1].keys()
    torch.testing.assert_close(*terms, rtol=1e-4, atol=1e-5)
