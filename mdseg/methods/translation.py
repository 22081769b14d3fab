"""Unsupervised image-to-image translation from a labelled source to the target: UNIT (Liu et al., NIPS 2017)."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from mdseg.losses.unlabelled import check_weight
from mdseg.methods.base import Method, Reads, StepBatch, StreamShape
from mdseg.methods.translations import Pairs
from mdseg.models.discriminator import check_size
from mdseg.models.translator import DOMAINS, MultiScaleDiscriminator, Translator, smallest_image

OTHER = {"source": "target", "target": "source"}


class Translation(Method):
    r"""Two domains learn to be encoded in one latent space, from which either can be decoded.

    .. math:: L = \sum_i \lambda_x \|x_i - G_i(z_i)\|_1 + \lambda_{kl} \overline{E_i(x_i)^2}
        + \lambda_{cyc} \|x_i - G_i(\hat z_i)\|_1 + \lambda_{kl} \overline{E_j(x_{i \to j})^2}
        + \lambda_{gan} \ell(D_j(x_{i \to j}), 1), \quad z_i \sim N(E_i(x_i), I)

    Liu, Breuel, Kautz, NIPS 2017 (arXiv:1703.00848), with the least-squares objective and the discriminators of three
    scales of its authors' later configuration. :math:`x_{i \to j} = G_j(z_i)` is the translation and
    :math:`\hat z_i` its code. Labels are not looked at. Both players are told in the same step, on the same
    translations; the perceptual term compares features of an image and its translation, normalised per channel.

    Args:
        reconstruction, cycle, kl, gan, perceptual: the weights lambda.
        perceptual_network: images in [-1, 1] → features, where `perceptual` is not 0.
        width, blocks, downsamplings, amplitude: see :class:`~mdseg.models.translator.Translator`.
        scales: of the discriminators.
        equal_start: encoders and decoders of both domains begin with the same weights, so that a translation begins as
            a reconstruction and need not find out first what is dark and what is bright. Not in the paper.
        discriminator_optimizer: parameters → optimiser; its rate follows the same schedule.

    Raises:
        ValueError: an option that is out of range.
    """

    reads: Mapping[str, Reads] = {"source": Reads("labelled"), "target": Reads("target")}

    def __init__(
        self,
        reconstruction: float | int,
        cycle: float | int,
        kl: float | int,
        gan: float | int,
        perceptual: float | int,
        width: int,
        blocks: int,
        downsamplings: int,
        scales: int,
        equal_start: bool,
        amplitude: float | int,
        discriminator_optimizer: Callable[..., Optimizer],
        perceptual_network: nn.Module | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.automatic_optimization = False
        self.weights = {"reconstruction": reconstruction, "cycle": cycle, "kl": kl, "gan": gan}
        self.weights |= {"perceptual": perceptual}
        for name, value in self.weights.items():
            check_weight(f"method.{name}", value)
        sizes = {"width": width, "blocks": blocks, "downsamplings": downsamplings, "scales": scales}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"method.{name}: expected at least 1, got {value}")
        if amplitude < 1:
            raise ValueError(f"method.amplitude: expected at least 1, which is white, got {amplitude}")
        if perceptual and perceptual_network is None:
            raise ValueError(
                "method.perceptual compares features of a network that is not given: set method.perceptual_network, or "
                "method.perceptual=0"
            )
        self.perceptual_network = None if perceptual_network is None else perceptual_network.requires_grad_(False)
        self.translator = Translator(width, blocks, downsamplings, amplitude)
        self.discriminators = nn.ModuleDict({domain: MultiScaleDiscriminator(width, scales) for domain in DOMAINS})
        for module in (*self.translator.modules(), *self.discriminators.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.2)
        for both in (self.translator.encoders, self.translator.decoders) if equal_start else ():
            both["target"].load_state_dict(both["source"].state_dict())
        self.smallest = smallest_image(scales)
        self.build_discriminator_optimizer = discriminator_optimizer
        self.shown: dict[str, Tensor] = {}  # images of the last step, for pictures

    def read(self, streams: Mapping[str, StreamShape]) -> None:
        super().read(streams)
        for name, shape in streams.items():
            for crop in shape.crops:
                check_size(crop, self.smallest, f"crops of stream {name}")
                if crop is not None and any(side % self.translator.multiple for side in crop):
                    raise ValueError(
                        f"a translator with {self.translator.multiple.bit_length() - 1} downsamplings needs sides that "
                        f"{self.translator.multiple} divides, but crops of stream {name} are {crop[0]}×{crop[1]}: set "
                        "another transform.crop"
                    )

    def configure_callbacks(self) -> list[pl.Callback]:
        return [Pairs(self.panels)] if self.panels else []

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.translator.parameters())}]

    @cached_property
    def optimization(self) -> Any:
        optimizer, schedule = self.model_optimizer()
        discriminators = self.build_discriminator_optimizer(self.discriminators.parameters())
        build_schedule: Any = self.build_scheduler  # checked by `model_optimizer`
        return [optimizer, discriminators], [schedule, build_schedule(discriminators, steps=self.steps)]

    def training_step(self, batch: StepBatch, step: int) -> Tensor:
        optimizers: Any = self.optimizers()
        schedules: Any = self.lr_schedulers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        images = {name: scaled(batch[name]["image"]) for name in DOMAINS}
        with self.averaged_once():
            self.discriminators.requires_grad_(False)
            terms, translated = self.translator_terms(images)
            loss = torch.stack([self.weights[name.split("/")[0]] * value for name, value in terms.items()]).sum()
            self.manual_backward(loss)
            self.discriminators.requires_grad_(True)
            told = {
                domain: self.weights["gan"] * self.telling(domain, images[domain], translated[domain].detach())
                for domain in DOMAINS
            }
            discrimination = torch.stack(list(told.values())).sum()
            self.manual_backward(discrimination)
        for mover in (*optimizers, *schedules):
            mover.step()
        for name, value in terms.items():
            self.log(f"train/{name}", value)
        for domain, value in told.items():
            self.log(f"train/discriminator/{domain}", value)
        self.shown = {**images, "translated": translated["target"].detach()}
        return loss.detach() + discrimination.detach()

    def translator_terms(
        self, images: Mapping[str, Float[Tensor, "n 3 h w"]]
    ) -> tuple[dict[str, Float[Tensor, ""]], dict[str, Float[Tensor, "n 3 h w"]]]:
        """Terms of the translator's loss, and the translations by the domain that they are to look like."""
        terms, translated = {}, {}
        for domain in DOMAINS:
            mean = self.translator.encode(images[domain], domain)
            code = mean + torch.randn_like(mean)
            terms[f"reconstruction/{domain}"] = F.l1_loss(self.translator.decode(code, domain), images[domain])
            other = OTHER[domain]
            translated[other] = self.translator.decode(code, other)
            again = self.translator.encode(translated[other], other)
            back = self.translator.decode(again + torch.randn_like(again), domain)
            terms[f"cycle/{domain}"] = F.l1_loss(back, images[domain])
            terms[f"kl/{domain}"] = mean.square().mean() + again.square().mean()
            terms[f"gan/{domain}"] = sum_of_squares(self.discriminators[other](translated[other]), 1.0)
            if self.weights["perceptual"]:
                terms[f"perceptual/{domain}"] = self.perceptual(images[domain], translated[other])
        return terms, translated

    def telling(self, domain: str, real: Float[Tensor, "n 3 h w"], fake: Float[Tensor, "m 3 i j"]) -> Tensor:
        """Loss of a domain's discriminator: images of the domain are 1, translations to it 0."""
        discriminator = self.discriminators[domain]
        return sum_of_squares(discriminator(real), 1.0) + sum_of_squares(discriminator(fake), 0.0)

    def perceptual(self, image: Float[Tensor, "n 3 h w"], translated: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
        """Mean squared difference of features, normalised per image and channel so that style does not count."""
        network: Any = self.perceptual_network
        return F.mse_loss(F.instance_norm(network(translated)), F.instance_norm(network(image)).detach())


def scaled(image: Tensor) -> Float[Tensor, "n 3 h w"]:
    """Images of 0..255 in [-1, 1]."""
    return image.float() / 127.5 - 1


def sum_of_squares(verdicts: list[Tensor], wanted: float) -> Float[Tensor, ""]:
    """Least-squares objective: the mean over patches, summed over scales."""
    return torch.stack([(verdict - wanted).square().mean() for verdict in verdicts]).sum()
