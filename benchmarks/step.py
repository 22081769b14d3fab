"""Framework overhead: a training step through mdseg's stage and Lightning, against a hand-written loop.

Same network, loss, optimiser, schedule and batches; the two take turns, and the medians of their steps are compared.

python -m benchmarks.step
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import torch
from pytorch_lightning.callbacks import Callback

from benchmarks.plans import stage_of
from mdseg.runs.log import StageLog
from mdseg.stages.callbacks import Save, Timing
from mdseg.stages.fit import Fit
from mdseg.system.signals import StopSignals


class StepTimes(Callback):
    """Start-to-start times of the steps."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_batch_end(self, *args: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())


def differences(marks: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(marks[2:])]


def through_lightning(stage: Fit) -> list[float]:
    steps, times = stage.steps, StepTimes()
    trainer = stage.build_trainer(
        callbacks=[Timing(), Save(stage.last, 10**9, 10**9, 10**9, StopSignals()), times],
        logger=[StageLog(stage.folder)],
        log_every_n_steps=min(20, steps),
        limit_val_batches=0,
    )
    trainer.fit(stage.method, stage.data)
    return differences(times.marks)


def by_hand(stage: Fit) -> list[float]:
    method, model, data, steps = stage.method, stage.method.model, stage.data, stage.steps
    device = torch.device("cuda" if stage.cfg.trainer.accelerator == "gpu" else "cpu")
    method.to(device).train()
    optimizer = method.build_optimizer(model.parameters())
    schedule = method.build_scheduler(optimizer, steps=steps)
    marks = []
    for batch in data.train_dataloader():
        labelled = {name: value.to(device) for name, value in batch["labelled"].items()}
        optimizer.zero_grad()
        loss = method.supervised(model(labelled["image"]), labelled["mask"], labelled["dataset"])
        loss.backward()
        optimizer.step()
        schedule.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())
    return differences(marks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_args()
    overrides = ["experiment=uniseg_cibm", f"stage.null_bce.steps={arguments.steps}"]
    overrides += ["streams.labelled.batch_size=24", "trainer.enable_progress_bar=false", *arguments.overrides]
    framework, hand = [], []
    for _ in range(arguments.rounds):
        for way, marks in ((through_lightning, framework), (by_hand, hand)):
            with tempfile.TemporaryDirectory() as folder:
                marks += way(stage_of(overrides, "null_bce", Path(folder)))
    ours, theirs = statistics.median(framework), statistics.median(hand)
    print(f"training step: mdseg {ours:.3f} s, hand-written loop {theirs:.3f} s, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
