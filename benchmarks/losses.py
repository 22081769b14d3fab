"""Value and gradient of the supervised losses against their plain PyTorch definitions: `python -m benchmarks.losses`.

2×70×128² logits of the union of Cityscapes, IDD, BDD100K and Mapillary, masks of 512². Both images are Mapillary's,
which annotates most classes (65 of 70): the most work for Null BCE. Labels are uniform over classes in patches of 32
pixels: a third of the pixels has a class relation, the most work for Class-Relational BCE. One pixel in 16 is ignored.
"""

import argparse
from functools import partial

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate, one_hot

from benchmarks.measure import Case, costs, show
from mdseg.label_space import IGNORE, LabelSpace, LabelTable, union
from mdseg.losses.cross_entropy import ce
from mdseg.losses.fused import SupervisedLoss
from mdseg.losses.relational_bce import class_relational_bce, null_bce


def label_space() -> LabelSpace:
    return union({name: LabelTable.load(name) for name in ("cityscapes", "idd", "bdd", "mapillary")})


def plain_null_bce(logits, mask, in_space):
    """Interpolate, one-hot, masked BCE with logits."""
    logits = interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=True)
    valid = mask != IGNORE
    target = one_hot(mask.long().where(valid, 0), logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
    supervised = in_space[:, :, None, None] & valid[:, None]
    return (binary_cross_entropy_with_logits(logits, target, reduction="none") * supervised).sum() / valid.sum()


def plain_ce(logits, mask, in_space):
    logits = interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=True)
    return cross_entropy(logits, mask.long(), ignore_index=IGNORE)


def fused(loss: SupervisedLoss, dataset, logits, mask, in_space):
    return loss(logits, mask, dataset)


def build(name: str, device: str, small: bool) -> Case:
    torch.manual_seed(0)
    space = label_space()
    row = space.dataset_index("mapillary")
    stride4 = 16 if small else 128
    logits = (3 * torch.randn(2, space.num_classes, stride4, stride4, device=device)).requires_grad_()
    patches = space.in_space[row].nonzero()[:, 0][torch.randint(0, 65, (2, stride4 // 8, stride4 // 8))]
    mask = patches.to(torch.uint8).repeat_interleave(32, 1).repeat_interleave(32, 2).to(device)
    mask[:, :, : mask.shape[2] // 16] = IGNORE
    dataset = torch.full((2,), row, device=device)
    builders = {
        "fused Null BCE": null_bce,
        "fused Null BCE, autograd": null_bce,
        "fused Class-Relational BCE": partial(class_relational_bce, relations="uniseg_cibm"),
        "fused CE": ce,
        "fused CE, autograd": ce,
    }
    function = {"plain Null BCE": plain_null_bce, "plain CE": plain_ce}.get(name)
    if function is None:
        loss = builders[name](space).to(device)
        if name.endswith("autograd"):
            for pixel_loss in loss.pixel_losses:
                pixel_loss.closed_form = None
        function = partial(fused, loss, dataset)
    in_space = space.in_space[[row, row]].to(device)

    def value_and_gradient():
        logits.grad = None
        function(logits, mask, in_space).backward()

    return value_and_gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    def measured(*names: str):
        builds = {name: partial(build, name) for name in names}
        return costs(builds, options.device, options.threads, options.rounds)

    names = ("plain Null BCE", "fused Null BCE", "fused Null BCE, autograd", "fused Class-Relational BCE")
    show("Null BCE, 2×70×128² → 512²", measured(*names), names[0], {"fused Null BCE": (0.2, 0.15)})
    names = ("plain CE", "fused CE", "fused CE, autograd")
    show("Cross-entropy, 2×70×128² → 512²", measured(*names), names[0], {"fused CE": (0.6, 0.2)})


if __name__ == "__main__":
    main()
