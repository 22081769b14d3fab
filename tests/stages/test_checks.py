"""What is looked at before a fit trains, what it computes on, and when it stops."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mistakes import refused
from omegaconf import OmegaConf
from running import carry_out, new_folder, planned
from smoke import SMOKE

from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.labels.tables import LabelTable
from mdseg.run import resume
from mdseg.stages import trainer as trainers
from mdseg.stages.callbacks import Save
from mdseg.stages.checks import check_options, remark_trained
from mdseg.stages.trainer import build_trainer, device_line, world_size
from mdseg.system.signals import OUT_OF_TIME, Stopped, StopSignals
from mdseg.system.wording import Remark

CPU = {"_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": 32}
FIT = ["experiment=supervised_bdd", *SMOKE, "evaluate.unseen=[]", "steps=4"]


def node(**changes):
    return OmegaConf.create(CPU | changes)


# Images that are trained on and evaluated


def of(role, *names, label="idd"):
    samples = [Sample(name, Path(f"{name}.png"), Path("mask.png")) for name in names]
    dataset = SegmentationDataset(label, samples, LabelTable.load("idd"))
    return SimpleNamespace(stream=SimpleNamespace(role=role), datasets=[dataset]), dataset


def test_evaluated_images_that_are_trained_on_are_counted():
    (labelled, _), (target, _) = of("labelled", "a", "b"), of("target", "c")
    with pytest.warns(Remark, match=r"1 of the 2 images of idd are trained on with their labels, such as b.png"):
        remark_trained([labelled, target], {"idd": of("", "b", "c")[1]})


@pytest.mark.filterwarnings("error")
def test_images_that_are_seen_without_labels_are_not():
    remark_trained([of("target", "a")[0], of("labelled", "b")[0]], {"idd": of("", "a")[1]})


# Accumulation


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["experiment=dacs_gta5_cityscapes"],
            "stage adapt: accumulate=2: SelfTraining looks at the batch of a step as a",
        ),
        (
            ["experiment=gta5_cityscapes", "row=adaptsegnet"],
            "stage adapt: accumulate=2: Adversarial looks at the batch of a step as a whole. Stages of methods "
            "supervised, uniseg and target_loss take it: set it for those alone, stage.<name>.accumulate; streams.labe",
        ),
        (
            ["experiment=supervised_bdd", "streams.labelled.batch_size=1"],
            "accumulate=2 parts of 1 images of stream labelled per step and device; set at most 1, or streams.labelled",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_accumulation_that_would_be_wrong_is_refused_before_anything_is_trained(composed, overrides, message):
    with refused(message):
        planned(composed(*SMOKE, *overrides, "accumulate=2"))


def test_a_run_in_parts_has_the_steps_of_one_that_is_not_and_says_what_batch_norm_sees(composed, tmp_path):
    cfg = composed(*FIT, "accumulate=2", f"runs={tmp_path}", "evaluate.seen=[bdd]", "checkpoint_every=2")
    with pytest.warns(Remark, match="accumulate=2: batch norm sees a part of a step's batch at a time"):
        planned(cfg)
    folder = new_folder(cfg)
    carry_out(cfg, folder)
    saved = torch.load(folder / "fit/checkpoints/last.ckpt", weights_only=True)
    assert json.loads((folder / "results.json").read_text())["stages"]["fit"]["steps"] == 4
    assert saved["SegmentationDataModule"]["step"] == saved["lr_schedulers"][0]["last_epoch"] == 4
    rows = (folder / "fit/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows if ",train/supervised," in row] == ["0", "1", "2", "3"]


def test_a_way_to_clip_without_a_value_is_refused(composed):
    with pytest.raises(ValueError, match="gradient_clip_algorithm does nothing without trainer.gradient_clip_val"):
        planned(composed(*FIT, "+trainer.gradient_clip_algorithm=value"))


def test_gradients_of_a_method_that_steps_itself_are_not_said_to_be_clipped(composed):
    cfg = composed(*FIT, "+trainer.gradient_clip_val=1.0")
    method = planned(cfg).stages["fit"].method
    method.automatic_optimization = False
    with pytest.raises(
        ValueError, match="^stage fit: trainer.gradient_clip_val: Supervised steps its optimisers itself"
    ):
        check_options("fit", cfg, method)


# Time


def test_a_limit_of_time_saves_stops_and_the_run_goes_on(composed, tmp_path, monkeypatch, capsys):
    cfg = composed(*FIT, "time_limit=1:00:00", f"runs={tmp_path}", "checkpoint_every=1000")
    folder = new_folder(cfg)
    told = Save._told_to_stop

    def after_two_steps(self, trainer):
        if trainer.fit_loop.batch_idx == 1:
            self.stop.limit(0)
        return told(self, trainer)

    monkeypatch.setattr(Save, "_told_to_stop", after_two_steps)
    with pytest.raises(Stopped) as stopped:
        carry_out(cfg, folder)
    assert stopped.value.code == OUT_OF_TIME == 124
    assert (
        f"stopped after step 2 of 4, since time_limit is over; continue with: python -m mdseg.run resume={folder}"
        in (capsys.readouterr().out)
    )
    assert not (folder / "fit/done").exists()
    assert not (folder / "results.json").exists()
    monkeypatch.undo()
    resume(folder)
    assert json.loads((folder / "results.json").read_text())["stages"]["fit"]["steps"] == 4


def test_time_counts_from_where_a_command_begins_and_a_signal_comes_first():
    stop = StopSignals()
    assert not stop.told()
    stop.limit(60)
    assert not stop.told()
    stop.begun = time.monotonic() - 61
    assert stop.told()
    assert not stop.told(ranks=2), "the clock of one rank must not leave the others alone"
    with pytest.raises(Stopped) as stopped:
        stop.leave("stopped")
    assert (stopped.value.code, stopped.value.what) == (124, "stopped, since time_limit is over")
    stop.received = 15
    with pytest.raises(Stopped) as stopped:
        stop.leave("stopped")
    assert stopped.value.code == 143


# Devices


def test_a_run_says_what_it_computes_on_and_why(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_line(node(accelerator="auto")) == "device: cpu, since torch sees no GPU"
    assert device_line(node(devices=2, strategy="ddp")) == "device: 2 × cpu, since torch sees no GPU"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_line(node()) == "device: cpu, as trainer.accelerator=cpu says; trainer=auto takes the GPU"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert device_line(node()).endswith("trainer=auto takes one of the 4 GPU")


def test_a_gpu_is_named_with_how_many_there_are(monkeypatch):
    gpu = SimpleNamespace(num_devices=1, num_nodes=1, strategy=SimpleNamespace(root_device=torch.device("cuda", 0)))
    monkeypatch.setattr(trainers, "build_trainer", lambda *arguments, **options: gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_line(node(accelerator="auto")) == "device: NVIDIA H100 (trainer=cpu for the CPU)"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert device_line(node(accelerator="auto")) == "device: NVIDIA H100, of 8 (trainer=cpu for the CPU)"
    gpu.num_devices = 8
    assert device_line(node(accelerator="auto")) == "device: 8 × NVIDIA H100 (trainer=cpu for the CPU)"


def test_the_default_takes_what_there_is_and_the_plan_says_so(composed, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg = composed("experiment=supervised_bdd")
    assert cfg.trainer.accelerator == "auto"
    assert build_trainer(cfg.trainer, None, logger=False).strategy.root_device.type == "cpu"
    assert "\ndevice: cpu, " in str(planned(composed(*FIT)))


def test_several_nodes_need_someone_who_starts_their_processes(monkeypatch):
    with pytest.raises(ValueError, match=r"trainer\.num_nodes=2: this process would wait .* torchrun or SLURM's srun"):
        world_size(node(num_nodes=2, strategy="ddp"))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert world_size(node(num_nodes=2, strategy="ddp")) == 2


def test_processes_that_the_trainer_does_not_know_of_would_each_train_alone(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="2 processes were started, but the trainer has 1 × 1 devices"):
        world_size(node())


def test_what_lightning_has_against_a_cluster_s_variables_is_one_message(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(ValueError, match="^trainer: You set `--ntasks=2` in your SLURM"):
        world_size(node())


# Sizes


@pytest.fixture
def photographs(tmp_path):
    """Large images with masks, as a dataset `folder`."""
    for split in ("train", "val"):
        for kind, shape in (("images", (240, 320, 3)), ("masks", (240, 320))):
            (tmp_path / "folder" / kind / split).mkdir(parents=True)
            for k in range(4):
                cv2.imwrite(str(tmp_path / f"folder/{kind}/{split}/{k}.png"), np.full(shape, k % 2, np.uint8))
    names = "[{name: road, raw_ids: [0], color: [1, 1, 1]}, {name: car, raw_ids: [1], color: [2, 2, 2]}]"
    (tmp_path / "table.yaml").write_text(f"encoding: id\nclasses: {names}\n")
    own = ["experiment=supervised", "dataset=[folder]", "data=disk", f"data.root={tmp_path}", "data.workers=0"]
    own += ["streams.labelled.datasets=[folder]", "evaluate.seen=[folder]"]
    return [*own, f"datasets.folder.labels={tmp_path / 'table.yaml'}"]


def test_photographs_at_the_size_of_the_embedded_data_are_warned_of(composed, photographs):
    said = r"scale=demo trains on crops of 80×160 .* images of folder have 240×320\. .*scale=medium"
    with pytest.warns(Remark, match=said):
        planned(composed(*photographs))


@pytest.mark.parametrize("override", ["transform.crop=[160,200]", "transform.short_side=200", "scale=medium"])
def test_a_size_that_was_chosen_is_not_warned_of(composed, photographs, recwarn, override):
    planned(composed(*photographs, override))
    assert not [warning for warning in recwarn if issubclass(warning.category, Remark)]


def test_the_embedded_data_is_not_warned_of(composed, recwarn):
    small = ["model.widths=[8,8,8,8,8]", "data.fraction=0.02", "data.workers=0", "evaluate.unseen=[]"]
    planned(composed("experiment=supervised_bdd", *small))
    assert not [warning for warning in recwarn if issubclass(warning.category, Remark)]
