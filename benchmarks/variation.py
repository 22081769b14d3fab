"""What balancing logit variation adds to a training step: time with it over time without, at the demo's sizes.

Same network, batches and loss; the two take turns step by step, and the medians are compared: of the time that passes,
and of the processor's time, which other processes disturb less (on a GPU the first is meant).

python -m benchmarks.variation
"""

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from benchmarks.plans import stage_of
from mdseg.methods.base import Method

CASES = {  # experiment → its stage that is measured
    "supervised_cityscapes": "fit",
    "uniseg_cibm": "null_bce",
    "dacs_gta5_cityscapes": "adapt",
}
WARM_UP = 5  # steps


def build(experiment: str, overrides: list[str], folder: str, device: str) -> tuple[Method, list]:
    """The method as it trains, and some batches."""
    stage = stage_of([f"experiment={experiment}", *overrides], CASES[experiment], Path(folder))
    stage.count_classes()
    method = stage.method.to(device).train()
    method.log = lambda *arguments, **options: None
    batches = [
        {
            entry: {key: value.to(device) for key, value in batch[streams[0]].items()}
            for entry, streams in method.names_of.items()
        }
        for batch in islice(stage.data.train_dataloader(), 4)
    ]
    return method, batches


def step_seconds(method: Method, optimizer: torch.optim.Optimizer, batch: dict, step: int) -> tuple[float, float]:
    """Time and processor time of one step."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter(), time.process_time()
    method.on_train_batch_start(batch, step)
    optimizer.zero_grad()
    method.training_step(batch, step).backward()
    optimizer.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--experiment", choices=CASES, action="append")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_args()
    print("\n| | without, ms | with, ms | ratio | processor, ms | with, ms | ratio | target |")
    print("|---|---|---|---|---|---|---|---|")
    for experiment in arguments.experiment or CASES:
        with tempfile.TemporaryDirectory() as folder:
            cases = []
            for variation in ("none", "blv"):
                overrides = ["data.workers=0", *arguments.overrides, f"loss/variation={variation}"]
                method, batches = build(experiment, overrides, folder, arguments.device)
                cases.append((method, method.configure_optimizers()["optimizer"], batches, []))
            for step in range(arguments.steps):
                for method, optimizer, batches, seconds in cases:
                    seconds.append(step_seconds(method, optimizer, batches[step % len(batches)], step))
        columns = []
        for clock in range(2):
            without, with_it = (
                1e3 * statistics.median(step[clock] for step in seconds[WARM_UP:]) for *_, seconds in cases
            )
            columns.append(f"{without:.1f} | {with_it:.1f} | {with_it / without:.3f}")
        print(f"| {experiment} | {' | '.join(columns)} | ≤ 1.05 |", flush=True)


if __name__ == "__main__":
    main()
