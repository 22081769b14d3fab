"""What a run writes of its stages, results.json, and the numbers in it."""

import math
from typing import Any

from mdseg.evaluation.evaluator import Evaluator, subset_mious
from mdseg.evaluation.metrics import miou_zero
from mdseg.evaluation.roles import EVALUATION_ROLES


def evaluation_results(evaluator: Evaluator) -> dict[str, Any]:
    """Results of the headline; below their names, those of the answers beside it."""
    results = {answer: answer_results(evaluator, answer) for answer in evaluator.answers}
    headline = results.pop(evaluator.headline)
    return {"network": evaluator.headline, **headline, **results} if results else headline


def answer_results(evaluator: Evaluator, answer: str) -> dict[str, Any]:
    """Per dataset role, mIoU and IoU per class (null: absent); mean mIoU per role.

    `miou` is over the classes that are present, `miou_zero` over all of the dataset's with absent ones as 0.
    """
    datasets: dict[str, dict[str, Any]] = {}
    iou = evaluator.iou_of[answer]
    for name, space in evaluator.spaces[evaluator.answers[answer].view].items():
        values = [_number(value) for value in iou[name].tolist()]
        datasets[name] = {
            "role": evaluator.evaluated[name].role,
            "miou": _number(iou[name].nanmean().item()),
            "miou_zero": _number(miou_zero(iou[name]).item()),
            "subsets": {subset: _number(miou) for subset, miou in subset_mious(iou[name], space).items()},
            "iou": dict(zip(space.names, values, strict=True)),
        }
    means = {}
    for role in EVALUATION_ROLES:
        mious = [entry["miou"] for entry in datasets.values() if entry["role"] == role and entry["miou"] is not None]
        if mious:
            means[role] = round(sum(mious) / len(mious), 5)
    return {"mean_miou": means, "datasets": datasets}


def _number(value: float) -> float | None:
    """Rounded for a file; null is what JSON has for an undefined number."""
    return None if math.isnan(value) else round(value, 5)


def numbers(result: dict[str, Any]) -> dict[str, int | float]:
    """The numbers of a stage's result: its own and those of one level below, named by a path."""
    inner = {
        f"{key}/{name}": value for key, node in result.items() if isinstance(node, dict) for name, value in node.items()
    }
    return {name: value for name, value in (result | inner).items() if isinstance(value, int | float)}
