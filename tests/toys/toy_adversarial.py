"""Two networks, two optimisers, a branch per source: an adversarial method as a user would write it.

Nothing of it stands in mdseg: this file and the YAML beside it are all.
"""

from functools import cached_property

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import mse_loss

from mdseg.evaluation.evaluator import View
from mdseg.methods.base import Method, Reads


class ToyAdversarial(Method):
    """Every source has a branch, its channels in a disjoint label space; discriminators tell it from the target."""

    reads = {"sources": Reads("labelled", several=True), "target": Reads("target")}

    def __init__(self, supervised, discriminator_optimizer, weight, space, **common):
        views = {"merged": View(space)} | {name: View(space, name) for name in space.datasets}
        super().__init__(space=space, views=views, **common)
        self.automatic_optimization = False
        self.supervised, self.weight, self.build_discriminator_optimizer = supervised, weight, discriminator_optimizer
        self.discriminators = nn.ModuleDict(
            {name: nn.Conv2d(len(self.channels(name)), 1, 3) for name in space.datasets}
        )

    def channels(self, branch):
        return self.space.in_space[self.space.dataset_index(branch)].nonzero()[:, 0]

    @cached_property
    def optimization(self):
        segmenter, schedule = self.model_optimizer()
        discriminator = self.build_discriminator_optimizer(self.discriminators.parameters())
        return [segmenter, discriminator], [schedule, self.build_scheduler(discriminator, steps=self.steps)]

    def judged(self, logits, branch, is_source):
        verdict = self.discriminators[branch](logits[:, self.channels(branch).to(logits.device)].softmax(dim=1))
        return bce(verdict, torch.full_like(verdict, float(is_source)))

    def training_step(self, batch, step):
        segmenter, discriminator = self.optimizers()
        self.discriminators.requires_grad_(False)
        logits = {name: self.model(source["image"]) for name, source in batch["sources"].items()}
        labels = {name: (source["mask"], source["dataset"]) for name, source in batch["sources"].items()}
        supervised = sum(self.supervised(logits[name], *labels[name]) for name in logits)
        target = self.model(batch["target"]["image"])
        fooled = sum(self.judged(target, branch, is_source=True) for branch in self.space.datasets)
        segmenter.zero_grad()
        self.manual_backward(supervised + self.weight * fooled)
        segmenter.step()

        self.discriminators.requires_grad_(True)
        told = sum(self.judged(target.detach(), branch, is_source=False) for branch in self.space.datasets)
        told = told + sum(self.judged(logits[name].detach(), name, is_source=True) for name in logits)
        discriminator.zero_grad()
        self.manual_backward(told)
        discriminator.step()
        for schedule in self.lr_schedulers():
            schedule.step()
        self.log("train/supervised", supervised)
        self.log("train/adversarial", fooled)
        self.log("train/discriminator", told)


class ToyTranslator(Method):
    """No segmenter and nothing to evaluate: images of one domain learn to look like themselves in few colours."""

    reads = {"sources": Reads("labelled", several=True), "target": Reads("target")}

    def __init__(self, supervised, **common):
        super().__init__(**common)
        self.network = nn.Conv2d(3, 3, 1)

    @cached_property
    def optimization(self):
        return self.build_optimizer(self.network.parameters())

    def training_step(self, batch, step):
        images = [source["image"] for source in batch["sources"].values()] + [batch["target"]["image"]]
        loss = sum(mse_loss(self.network(image / 255.0), image / 255.0) for image in images)
        self.log("train/reconstruction", loss)
        return loss
