"""Confusion matrix of upsampled logits against interpolate, arg-max and torchmetrics.

`python -m benchmarks.evaluation`: 70 classes, 256×512 → 1024×2048, one image. "smooth" logits stand in for a trained
network's: the one-hot of a random map of regions, blurred, times 8, plus noise of 0.5. `--logits file.pt` measures
saved logits [n k h w] of a real network instead.
"""

import argparse
from functools import partial

import torch
from torch.nn.functional import avg_pool2d, interpolate, one_hot
from torchmetrics import JaccardIndex

from benchmarks.measure import Case, costs, show
from mdseg.evaluation.evaluator import classes_at
from mdseg.evaluation.metrics import ConfusionMatrix
from mdseg.labels.spaces import EvaluationSpace

SCALE = 4


def random_logits(small: bool) -> torch.Tensor:
    return torch.randn(1, 70, *((32, 64) if small else (256, 512)))


def smooth_logits(small: bool) -> torch.Tensor:
    size = (32, 64) if small else (256, 512)
    regions = interpolate(torch.randn(1, 70, 12, 24), size=size, mode="bicubic").argmax(1)
    blurred = avg_pool2d(one_hot(regions, 70).permute(0, 3, 1, 2).float(), 3, 1, 1)
    return 8 * blurred + 0.5 * torch.randn(1, 70, *size)


def saved_logits(path: str, small: bool) -> torch.Tensor:
    logits = torch.load(path, weights_only=True).float()
    return logits[:1, :, :32, :32].contiguous() if small else logits[:1]


def build(make, method: str, device: str, small: bool) -> Case:
    torch.manual_seed(0)
    logits = make(small).to(device)
    count, size = logits.shape[1], (logits.shape[2] * SCALE, logits.shape[3] * SCALE)
    mask = torch.randint(0, count, (1, *size), dtype=torch.uint8, device=device)
    mask[:, : size[0] // 16] = 255
    if method == "banded":
        channels = torch.arange(count, device=device)
        confusion = ConfusionMatrix(count).to(device)
        space = EvaluationSpace(("",) * count, ((0, 0, 0),) * count, channels, channels, ())
        return lambda: confusion.update(classes_at(logits, size, space, align_corners=False), mask)
    metric = JaccardIndex(task="multiclass", num_classes=count, ignore_index=255, average="none").to(device)
    truth = mask.long()

    def plain():
        upsampled = interpolate(logits, size=size, mode="bilinear", align_corners=False)
        metric.update(upsampled.argmax(dim=1), truth)

    return plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--logits", help="a tensor [n k h w] saved with torch.save, measured instead")
    options = parser.parse_args()
    kinds = {"random logits": (random_logits, (0.6, 0.1)), "smooth logits": (smooth_logits, (0.35, 0.1))}
    if options.logits:
        kinds = {options.logits: (partial(saved_logits, options.logits), (0.35, 0.1))}
    for title, (make, target) in kinds.items():
        builds = {method: partial(build, make, method) for method in ("interpolate, arg-max, JaccardIndex", "banded")}
        result = costs(builds, options.device, options.threads, options.rounds)
        show(title, result, "interpolate, arg-max, JaccardIndex", {"banded": target})


if __name__ == "__main__":
    main()
