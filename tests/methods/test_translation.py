"""UNIT: two domains, one latent space (Liu et al., NIPS 2017)."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from universal_parts import Losses, fit

from mdseg.labels.spaces import union
from mdseg.labels.tables import LabelTable
from mdseg.methods.base import StreamShape
from mdseg.methods.schedules import halved, poly
from mdseg.methods.translation import Translation, scaled, sum_of_squares
from mdseg.methods.translations import as_bytes
from mdseg.models.translator import MultiScaleDiscriminator, Translator

SIZE = (32, 48)
WEIGHTS = {"reconstruction": 10, "cycle": 10, "kl": 0.01, "gan": 1, "perceptual": 0}

pytestmark = pytest.mark.filterwarnings("ignore:.*(LeafSpec|does not have many workers|no `val_dataloader`)")


def translation(lr=1e-3, **options):
    torch.manual_seed(0)
    table = LabelTable("t", ("a", "b"), ((0, 0, 0), (1, 0, 0)), "id", ((0,), (1,)))
    method = Translation(
        **{**WEIGHTS, "width": 2, "blocks": 1, "downsamplings": 2, "scales": 2, "equal_start": False, "amplitude": 1}
        | options,
        discriminator_optimizer=partial(torch.optim.SGD, lr=lr),
        model=None,
        space=union({"gta5": table}),
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=lr),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=10,
        seed=0,
        align_corners=True,
    )
    method.read(
        {"l": StreamShape("labelled", 1, (SIZE,), ("gta5",)), "t": StreamShape("target", 1, (SIZE,), ("cityscapes",))}
    )
    return method


def batch_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 1, 3, *SIZE), generator=generator, dtype=torch.uint8)
    return {"l": {"image": images[0]}, "t": {"image": images[1]}}


def test_both_encoders_end_and_both_decoders_begin_in_the_same_layers():
    translator, image = Translator(width=2, blocks=1), torch.rand(1, 3, *SIZE)
    for domain, other in (("source", "target"), ("target", "source")):
        translator.zero_grad()
        translator.decode(translator.encode(image, domain), domain).mean().backward()
        for part in (translator.shared_encoder, translator.shared_decoder, translator.encoders[domain]):
            assert sum(parameter.grad.abs().sum() for parameter in part.parameters()) > 0
        assert all(
            parameter.grad is None or not parameter.grad.any() for parameter in translator.encoders[other].parameters()
        )


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 7)])
def test_translations_have_the_size_of_the_image(size):
    image = torch.rand(1, 3, *size) * 2 - 1
    translated = Translator(width=2, blocks=1).translate(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1


def test_a_decoder_that_answers_black_can_still_learn():
    translator = Translator(width=2, blocks=1, amplitude=1.25)
    raw = torch.full((1, 3, 1, 1), -2.0, requires_grad=True)
    translator.shared_decoder, translator.decoders["target"] = torch.nn.Identity(), torch.nn.Identity()
    image = translator.decode(raw, "target")
    assert -1.25 < image.max() < -1
    assert as_bytes(image).max() == 0
    image.sum().backward()
    with_room, raw.grad = raw.grad.clone(), None
    translator.amplitude = 1
    translator.decode(raw, "target").sum().backward()
    assert (with_room > 1.9 * raw.grad).all()


def test_a_translation_has_no_noise():
    translator, image = Translator(width=2, blocks=1), torch.rand(1, 3, *SIZE)
    assert torch.equal(translator.translate(image), translator.translate(image))


def test_discriminators_look_at_full_half_and_quarter_resolution():
    verdicts = MultiScaleDiscriminator(width=2, scales=3)(torch.rand(1, 3, 64, 128))
    assert [tuple(verdict.shape[-2:]) for verdict in verdicts] == [(4, 8), (2, 4), (1, 2)]


def test_the_weighted_terms_are_the_loss():
    method, losses = translation(), Losses()
    fit(method, batch_of(), callbacks=[losses])
    terms = {name.removeprefix("train/"): value for name, value in method.terms.items()}
    expected = sum(WEIGHTS.get(name.split("/")[0], 1) * value for name, value in terms.items())
    torch.testing.assert_close(losses.values[0], expected)
    kinds = ("reconstruction", "cycle", "kl", "gan", "discriminator")
    assert set(terms) == {f"{kind}/{domain}" for kind in kinds for domain in ("source", "target")}


def test_without_noise_the_terms_are_what_they_are_called(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    method = translation()
    images = {"source": scaled(batch_of()["l"]["image"]), "target": scaled(batch_of()["t"]["image"])}
    terms, translated = method.translator_terms(images)
    there = method.translator
    code = there.encode(images["source"], "source")
    as_target = there.decode(code, "target")
    torch.testing.assert_close(translated["target"], as_target)
    torch.testing.assert_close(
        terms["reconstruction/source"], F.l1_loss(there.decode(code, "source"), images["source"])
    )
    again = there.encode(as_target, "target")
    torch.testing.assert_close(terms["cycle/source"], F.l1_loss(there.decode(again, "source"), images["source"]))
    torch.testing.assert_close(terms["kl/source"], code.square().mean() + again.square().mean())
    judged = method.discriminators["target"](as_target)
    torch.testing.assert_close(terms["gan/source"], sum((verdict - 1).square().mean() for verdict in judged))
    fake = sum_of_squares(judged, 0.0) + sum_of_squares(method.discriminators["target"](images["target"]), 1.0)
    torch.testing.assert_close(method.telling("target", images["target"], as_target), fake)


def test_both_players_move_and_neither_is_left_frozen():
    method = translation()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    fit(method, batch_of(), batch_of(1))
    for name, value in method.named_parameters():
        assert value.requires_grad
        if name.endswith("weight"):
            assert not torch.equal(value, before[name]), name


def test_the_same_features_of_both_domains_cost_nothing():
    network = torch.nn.Conv2d(3, 4, 3)
    method = translation(perceptual=1, perceptual_network=network)
    image = torch.rand(1, 3, *SIZE)
    assert method.perceptual(image, image) == 0
    assert method.perceptual(image, torch.rand(1, 3, *SIZE)) > 0
    torch.testing.assert_close(method.perceptual(image, 0.5 * image), torch.tensor(0.0), atol=1e-4, rtol=0)  # a style


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cycle": -1}, "method.cycle: expected at least 0, got -1"),
        ({"width": 0}, "method.width: expected at least 1, got 0"),
        ({"amplitude": 0.9}, "method.amplitude: expected at least 1, which is white, got 0.9"),
        ({"perceptual": 1}, "set method.perceptual_network, or method.perceptual=0"),
    ],
)
def test_options_that_are_none_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        translation(**options)


def test_crops_smaller_than_a_patch_of_the_coarsest_scale_are_refused():
    translation(scales=2)
    with pytest.raises(ValueError, match=r"patches of 64×64 pixels, but crops of stream l are 32×48: set a larger"):
        translation(scales=3)


def test_crops_that_cannot_be_halved_so_often_are_refused():
    translation(downsamplings=4)
    with pytest.raises(ValueError, match=r"with 5 downsamplings needs sides that 32 divides, but crops of .* 32×48"):
        translation(downsamplings=5)


@pytest.mark.parametrize("equal", [True, False])
def test_a_translation_begins_as_a_reconstruction_where_both_domains_start_equal(equal):
    translator, image = translation(equal_start=equal).translator, torch.rand(1, 3, *SIZE)
    reconstruction = translator.decode(translator.encode(image, "source"), "source")
    assert torch.equal(translator.translate(image), reconstruction) == equal


def test_rates_are_halved():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = halved(optimizer, steps=7, every=3)
    rates = []
    for _ in range(7):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
