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
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict
from pytorch_lightning.callbacks import Callback

from mdseg import conf_dir
from mdseg.config.building import build_label_space, prepare_data
from mdseg.config.composition import settle
from mdseg.runs.log import MetricsFile
from mdseg.stages.callbacks import Save, Timing
from mdseg.stages.fit import Stage, quieten_lightning
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


def through_lightning(stage: Stage, steps: int) -> list[float]:
    model = stage.build_model()
    data = stage.build_data(model.input_multiple)
    data.steps = steps
    times = StepTimes()
    trainer = stage.build_trainer(
        callbacks=[Timing(), Save(stage.last, 10**9, 10**9, 10**9, stage.stop), times],
        logger=[MetricsFile(stage.folder / "metrics.csv")],
        log_every_n_steps=min(20, steps),
        limit_val_batches=0,
        enable_progress_bar=False,
    )
    trainer.fit(stage.build_method(model, data), data)
    return differences(times.marks)


def by_hand(stage: Stage, steps: int) -> list[float]:
    model = stage.build_model()
    data = stage.build_data(model.input_multiple)
    data.steps = steps
    method = stage.build_method(model, data)
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
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = ["experiment=uniseg_cibm", "streams.labelled.batch_size=24", *arguments.overrides]
        cfg = compose("run", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    settle(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    quieten_lightning()
    prepare_data(cfg)
    framework, hand = [], []
    with tempfile.TemporaryDirectory() as folder:
        cfg.run_folder = folder
        OmegaConf.resolve(cfg)
        stage = Stage("null_bce", cfg, Path(folder), build_label_space(cfg), StopSignals())
        stage.folder.mkdir()
        for _ in range(arguments.rounds):
            framework += through_lightning(stage, arguments.steps)
            hand += by_hand(stage, arguments.steps)
    ours, theirs = statistics.median(framework), statistics.median(hand)
    print(f"training step: mdseg {ours:.3f} s, hand-written loop {theirs:.3f} s, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
