"""Value and gradient of the losses against their plain PyTorch definitions: `python -m benchmarks.losses`.

Supervised: 2×70×128² logits of the union of Cityscapes, IDD, BDD100K and Mapillary, masks of 512². Both images are
Mapillary's, which annotates most classes (65 of 70): the most work for Null BCE. Labels are uniform over classes in
patches of 32 pixels: a third of the pixels has a class relation, the most work for Class-Relational BCE. One pixel in
16 is ignored.

Of unlabelled predictions: 2×19×64×128 random logits, images of 512×1024: the most work for the arg-max of MaxSquare-IW.
"""

import argparse
from functools import partial

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate, one_hot

from benchmarks.measure import Case, costs, show
from mdseg.labels.spaces import LabelSpace, union
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.losses.cross_entropy import ce
from mdseg.losses.fused import SupervisedLoss
from mdseg.losses.guidance import self_produced_guidance
from mdseg.losses.maximum_squares import max_square, max_square_iw
from mdseg.losses.minent import entropy
from mdseg.losses.ohem import ohem_ce
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


def plain_ohem_ce(logits, mask, in_space, probability=0.7, min_pixels=100_000):
    """Sort the labels' probabilities, keep the low ones."""
    logits = interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=True)
    with torch.no_grad():
        valid = mask != IGNORE
        probs = logits.softmax(1).gather(1, mask.long().where(valid, 0)[:, None])[:, 0].where(valid, 2)
        threshold = probs.flatten().sort().values[min(min_pixels, probs.numel()) - 1].clamp(min=probability)
    return cross_entropy(logits, mask.long().where(probs <= threshold, IGNORE), ignore_index=IGNORE)


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
        "fused OHEM": ohem_ce,
    }
    plain = {"plain Null BCE": plain_null_bce, "plain CE": plain_ce, "plain OHEM": plain_ohem_ce}
    function = plain.get(name)
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


def plain_entropy(logits, size):
    log_probs = interpolate(logits, size=size, mode="bilinear", align_corners=True).log_softmax(1)
    return -(log_probs.exp() * log_probs).sum(1).mean()


def plain_max_square(logits, size):
    probs = interpolate(logits, size=size, mode="bilinear", align_corners=True).softmax(1)
    return -probs.square().sum(1).mean() / 2


def plain_max_square_iw(logits, size):
    """The authors' code: weights of the predicted classes, image by image; mean over classes, no 1/2."""
    probs = interpolate(logits, size=size, mode="bilinear", align_corners=True).softmax(1)
    predicted, num_classes, pixels = probs.detach().argmax(1), probs.shape[1], size[0] * size[1]
    counts = torch.stack([torch.bincount(image.flatten(), minlength=num_classes) for image in predicted])
    weights = 1 / (counts.clamp(min=1) ** 0.2 * pixels**0.8)
    of_pixels = torch.stack([table[image] for table, image in zip(weights, predicted, strict=True)])
    return -(probs.square() * of_pixels[:, None]).sum() / (len(probs) * num_classes)


def plain_guidance(high, low, size):
    upsampled = [interpolate(each, size=size, mode="bilinear", align_corners=True) for each in (high, low)]
    with torch.no_grad():
        high_probs, low_probs = (each.softmax(1) for each in upsampled)
        sure = (high_probs.amax(1) > 0.95) | (low_probs.amax(1) > 0.95)
        labels = ((high_probs + low_probs) / 2).argmax(1).where(sure, IGNORE)
    return cross_entropy(upsampled[1], labels, ignore_index=IGNORE)


UNLABELLED = {
    "plain entropy": plain_entropy,
    "fused entropy": entropy,
    "plain MaxSquare": plain_max_square,
    "fused MaxSquare": max_square,
    "plain MaxSquare-IW": plain_max_square_iw,
    "fused MaxSquare-IW": partial(max_square_iw, normalisation="official", iw_index="argmax"),
    "fused MaxSquare-IW, channel": max_square_iw,
    "plain guidance": plain_guidance,
    "fused guidance": self_produced_guidance,
}


def build_unlabelled(name: str, device: str, small: bool) -> Case:
    torch.manual_seed(0)
    height = 8 if small else 64
    heads = [3 * torch.randn(2, 19, height, 2 * height, device=device) for _ in range(2 if "guidance" in name else 1)]
    heads[-1].requires_grad_()
    size = (8 * height, 16 * height)

    def value_and_gradient():
        heads[-1].grad = None
        UNLABELLED[name](*heads, size).backward()

    return value_and_gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    def measured(*names: str, build=build):
        builds = {name: partial(build, name) for name in names}
        return costs(builds, options.device, options.threads, options.rounds)

    names = ("plain Null BCE", "fused Null BCE", "fused Null BCE, autograd", "fused Class-Relational BCE")
    show("Null BCE, 2×70×128² → 512²", measured(*names), names[0], {"fused Null BCE": (0.2, 0.15)})
    names = ("plain CE", "fused CE", "fused CE, autograd")
    show("Cross-entropy, 2×70×128² → 512²", measured(*names), names[0], {"fused CE": (0.6, 0.2)})
    names = ("plain OHEM", "fused OHEM")
    show("Cross-entropy of hard pixels, 2×70×128² → 512²", measured(*names), names[0], {})
    for loss, *more in (("entropy",), ("MaxSquare",), ("MaxSquare-IW", "fused MaxSquare-IW, channel"), ("guidance",)):
        names = (f"plain {loss}", f"fused {loss}", *more)
        targets = {names[1]: (0.5, 0.12)} if loss in ("entropy", "MaxSquare-IW") else {}
        show(f"{loss}, 2×19×64×128 → 512×1024", measured(*names, build=build_unlabelled), names[0], targets)


if __name__ == "__main__":
    main()
