"""What branches for several sources cost against AdaptSegNet, that against a loop written by hand, and what merges do.

python -m benchmarks.adversarial                      the demo's network and sizes
python -m benchmarks.adversarial --network deeplab    DeepLab-v2 on ResNet-101 at the halved sizes (half an hour)
python -m benchmarks.adversarial --network deeplab --smaller 4 --only AdaptSegNet    two cases, at a quarter of these

Memory is the peak above network and images.
"""

import argparse
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.measure import Case, costs
from mdseg.evaluation.evaluator import classes_at, views_of
from mdseg.labels.spaces import LabelSpace, branched, listed
from mdseg.labels.tables import LabelTable
from mdseg.losses import ce
from mdseg.methods.adversarial import Adversarial
from mdseg.methods.base import StreamShape
from mdseg.methods.schedules import poly
from mdseg.models.discriminator import PatchDiscriminator

CLASSES = 19
SIZES = {  # by network: images per batch, then height and width of each source and of the target
    "small": (4, {"gta5": (80, 160), "synthia": (80, 160), "target": (80, 160)}),
    "deeplab": (1, {"gta5": (526, 957), "synthia": (380, 640), "target": (512, 1024)}),
}
TINY = {"gta5": (32, 32), "synthia": (32, 32), "target": (32, 32)}
WEIGHTS = {"high": 0.001, "low": 0.0002}
EVALUATED = {  # by network: images per batch, their height and width, and those at which they are scored
    "small": (8, (96, 192), (128, 256)),
    "deeplab": (1, (512, 1024), (1024, 2048)),
}


def tables(sources: tuple[str, ...]) -> dict[str, LabelTable]:
    names, colors = tuple(f"class {index}" for index in range(CLASSES)), tuple((i, 0, 0) for i in range(CLASSES))
    raw_ids = tuple((index,) for index in range(CLASSES))
    return {source: LabelTable(source, names, colors, "id", raw_ids) for source in sources}


def segmenter(network: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    if network == "deeplab":
        from mdseg.models.deeplab_v2 import deeplab_v2

        return deeplab_v2(channels, aspp_rates=(6, 12), low_head=True, bn="freeze_affine")
    from mdseg.models.small import small

    return small(channels, low_head=True)


def batch_of(
    network: str, smaller: int, sources: tuple[str, ...], space: LabelSpace, device: str, tiny: bool
) -> dict[str, Any]:
    count, whole = SIZES[network]
    sizes = TINY if tiny else {name: (size[0] // smaller, size[1] // smaller) for name, size in whole.items()}

    def images(size: tuple[int, int]) -> torch.Tensor:
        return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, device=device)

    labelled = {}
    for source in sources:
        own = torch.from_numpy(space.train_ids(source)[:CLASSES])
        mask = own[torch.randint(0, CLASSES, (count, *sizes[source]))].to(device)
        index = torch.full((count,), space.dataset_index(source), device=device)
        labelled[source] = [{"image": images(sizes[source]), "mask": mask, "dataset": index}]
    return {"labelled": labelled, "target": {"image": images(sizes["target"])}}


def step_of(network: str, smaller: int, sources: tuple[str, ...], device: str, tiny: bool) -> Case:
    """A training step of the method: a branch for each of several sources, or AdaptSegNet with one."""
    several = len(sources) > 1
    names = tables(sources)[sources[0]].names
    space = branched(tables(sources), names) if several else listed(tables(sources), names)
    method = Adversarial(
        supervised=ce(space, scope="in_space" if several else "all"),
        adversarial=WEIGHTS,
        sees="softmax",
        objective="vanilla",
        share_discriminator=False,
        discriminator_width=64 if network == "deeplab" else 16,
        discriminator_optimizer=partial(torch.optim.Adam, lr=1e-4),
        low_weight=0.1,
        target_weight={},
        merges={"merged": {}},
        model=segmenter(network, space.num_classes),
        space=space,
        evaluated={},
        optimizer=partial(torch.optim.SGD, lr=2.5e-4, momentum=0.9),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=1000,
        seed=0,
        align_corners=True,
    ).to(device)
    epochs = dict.fromkeys(sources, lambda step: 0)
    shapes = {"labelled": StreamShape("labelled", 1, (), sources, epochs), "target": StreamShape("target", 1)}
    method.read(shapes)
    optimizers, schedules = method.optimization
    quiet: Any = method
    quiet.optimizers, quiet.lr_schedulers = lambda: optimizers, lambda: schedules
    quiet.manual_backward, quiet.log = lambda loss: loss.backward(), lambda *arguments, **options: None
    quiet._trainer = SimpleNamespace(world_size=1, log_every_n_steps=10**9)  # nothing else of a trainer is asked for
    batch = batch_of(network, smaller, sources, space, device, tiny)
    method.train()
    return lambda: method.training_step(batch, 0)


def by_hand(network: str, smaller: int, device: str, tiny: bool) -> Case:
    """AdaptSegNet's step with the same networks and losses, as one would write it down."""
    source = ("gta5",)
    space = listed(tables(source), tables(source)["gta5"].names)
    model = segmenter(network, CLASSES).to(device)
    width = 64 if network == "deeplab" else 16
    discriminators = nn.ModuleDict({level: PatchDiscriminator(CLASSES, width) for level in WEIGHTS}).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.5e-4, momentum=0.9)
    other = torch.optim.Adam(discriminators.parameters(), lr=1e-4, betas=(0.9, 0.999))
    supervised = ce(space)
    batch = batch_of(network, smaller, source, space, device, tiny)
    part, image = batch["labelled"]["gta5"][0], batch["target"]["image"]
    bce = F.binary_cross_entropy_with_logits

    def seen(logits: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        whole = F.interpolate(logits, like.shape[-2:], mode="bilinear", align_corners=True)
        return whole.softmax(dim=1)

    def step() -> None:
        optimizer.zero_grad()
        other.zero_grad()
        discriminators.requires_grad_(False)
        of_source = model.levels(part["image"])._asdict()
        loss = supervised(of_source["high"], part["mask"], part["dataset"])
        loss = loss + 0.1 * supervised(of_source["low"], part["mask"], part["dataset"])
        loss.backward()
        of_target = model.levels(image)._asdict()
        fooled = 0.0
        for level, weight in WEIGHTS.items():
            verdict = discriminators[level](seen(of_target[level], image))
            fooled = fooled + weight * bce(verdict, torch.ones_like(verdict))
        fooled.backward()
        discriminators.requires_grad_(True)
        told = 0.0
        for level in WEIGHTS:
            for logits, like, wanted in ((of_source, part["image"], 1.0), (of_target, image, 0.0)):
                verdict = discriminators[level](seen(logits[level].detach(), like))
                told = told + bce(verdict, torch.full_like(verdict, wanted)) / 2
        told.backward()
        optimizer.step()
        other.step()

    model.train()
    return step


def evaluation_of(network: str, smaller: int, views: int, device: str, tiny: bool) -> Case:
    """Forward pass of an image and the answers of S1, S2, S-All and their merge, or of one of them."""
    sources = ("gta5", "synthia")
    space = branched(tables(sources), tables(sources)["gta5"].names, joint="s_all")
    model = segmenter(network, space.num_classes).eval().to(device)
    named = views_of(space, {"merged": {}}) or {}
    table = tables(("target",))["target"]
    read = [view.of(table, "target") for view in list(named.values())[-views:]]
    count, *sizes = (1, (64, 128), (64, 128)) if tiny else EVALUATED[network]
    shown, scored = ((height // smaller, width // smaller) for height, width in sizes)
    image = torch.randint(0, 256, (count, 3, *shown), dtype=torch.uint8, device=device)

    @torch.no_grad()
    def answers() -> list[torch.Tensor]:
        logits = model(image)
        return [classes_at(logits, scored, each, align_corners=True) for each in read]

    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--network", default="small", choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--smaller", type=int, default=1, help="what heights and widths are divided by")
    parser.add_argument("--only", default="", help="cases whose name holds this, such as AdaptSegNet")
    options = parser.parse_args()
    network, smaller = options.network, options.smaller
    hand, one, two = "AdaptSegNet by hand", "AdaptSegNet, one source", "two sources, a branch each"
    single, four = "evaluation of one branch", "evaluation of S1, S2, S-All and their merge"
    cases = {
        hand: partial(by_hand, network, smaller),
        one: partial(step_of, network, smaller, ("gta5",)),
        two: partial(step_of, network, smaller, ("gta5", "synthia")),
        single: partial(evaluation_of, network, smaller, 1),
        four: partial(evaluation_of, network, smaller, 4),
    }
    found = costs(
        {name: case for name, case in cases.items() if options.only in name}, options.device, 1, options.rounds
    )
    print("\n| | ms | MB |\n|---|---|---|")
    for name, cost in found.items():
        print(f"| {name} | {1e3 * cost.seconds:.1f} | {cost.megabytes:.0f} |")
    print()
    limit = "time 1.65, memory 1.25" if network == "deeplab" else "time 2.0"
    for case, other, target in ((one, hand, "time 1.03"), (two, one, limit), (four, single, "time 1.25")):
        if {case, other} <= found.keys():
            time, memory = (of_case / of_other for of_case, of_other in zip(found[case], found[other], strict=True))
            print(f"{case} / {other}: time {time:.2f}, memory {memory:.2f} (target: {target})")


if __name__ == "__main__":
    main()
