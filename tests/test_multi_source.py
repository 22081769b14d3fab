"""Runs of several sources: translated images, branches, S-All and their merge, with pictures, resumed, on two ranks."""

import csv
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from running import carry_out, new_folder, planned
from smoke import SMOKE, command

from mdseg.evaluate import evaluate
from mdseg.methods.adversarial import Adversarial
from mdseg.methods.adversary import Adversary
from mdseg.models.joined import Joined
from mdseg.predict import predict
from mdseg.run import resume
from mdseg.runs import checkpoints
from mdseg.stages import translate
from mdseg.system.signals import Stopped, StopSignals

STEPS = 4
SMALL = [*SMOKE, "streams.target.batch_size=2", "discriminator_width=4", "seed=7", "checkpoint_every=2"]
TRANSLATOR = [
    f"stage.translator.steps={STEPS}",
    "stage.translator.transform.short_side=40",
    "stage.translator.transform.crop=[32,48]",
    "stage.translator.method.width=4",
]
FITS = [f"stage.{stage}.steps={STEPS}" for stage in ("source", "branches", "s_all")]
SETTINGS = [*SMALL, *FITS, *TRANSLATOR, "experiment=multi_source_unit_cityscapes", "mean=own"]
SOURCES = ("gta5", "synthia")
SOFAS = "{encoding: channel16, unknown_ids: ignore, classes: [{name: sofa, raw_ids: [1], color: [0, 0, 0]}]}"


def run(composed, folder, *overrides):
    cfg = composed(*SETTINGS, *overrides, f"runs={folder}")
    made = new_folder(cfg, [*SETTINGS, *overrides])
    carry_out(cfg, made)
    return made


@pytest.fixture(scope="module")
def finished(composed, tmp_path_factory):
    """Folder of a finished run with pictures; tests must not write into it."""
    return run(composed, tmp_path_factory.mktemp("finished"), "panels=1")


@pytest.fixture(scope="module")
def results(finished):
    return json.loads((finished / "results.json").read_text())["stages"]


def state(folder, stage):
    return torch.load(folder / stage / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def logged(run, stage):
    """Steps of every name in a log."""
    steps = {}
    with (run / stage / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            steps.setdefault(row["name"], []).append(int(row["step"]))
    return steps


def test_every_term_and_both_accuracies_of_each_discriminator_are_logged(finished):
    log = logged(finished, "branches")
    players = [f"{level}/{branch}" for level in ("high", "low") for branch in SOURCES]
    terms = {f"train/{kind}/{player}" for kind in ("adversarial", "discriminator") for player in players}
    terms |= {f"train/{kind}/{branch}" for kind in ("supervised", "supervised_low") for branch in SOURCES}
    assert {name for name in log if name.startswith("train/")} == terms
    domains = ("source", "target")
    accuracies = {f"discriminator_accuracy/{player}/{domain}" for player in players for domain in domains}
    assert {name for name in log if name.startswith("discriminator_accuracy/")} == accuracies
    assert {tuple(steps) for name, steps in log.items() if name in terms | accuracies} == {tuple(range(STEPS))}


def test_steps_are_batches_in_the_log_in_checkpoints_and_in_both_schedules(finished, results):
    saved = torch.load(finished / "branches/checkpoints/last.ckpt", weights_only=True)
    assert saved["SegmentationDataModule"]["step"] == results["branches"]["steps"] == STEPS
    assert len(saved["optimizer_states"]) == 2
    assert [schedule["last_epoch"] for schedule in saved["lr_schedulers"]] == [STEPS, STEPS]
    assert logged(finished, "branches")["val/cityscapes/miou"] == [STEPS]


def test_branches_the_network_for_all_and_every_merge_stand_side_by_side(results):
    merge = results["merge"]["evaluation"]
    merges = ["max", "max_sources", "max_prob", "mean", "mean_prob"]
    assert merge["network"] == "max"
    assert {name for name, node in merge.items() if isinstance(node, dict) and "datasets" in node} == {
        *merges[1:],
        *SOURCES,
        "s_all",
    }
    for branch in SOURCES:  # answers do not depend on what stands beside
        assert merge[branch] == results["branches"]["evaluation"][branch]
    assert merge["s_all"]["datasets"] == results["s_all"]["evaluation"]["datasets"]
    assert merge["max_sources"]["datasets"] == results["branches"]["evaluation"]["datasets"]


def test_a_merged_checkpoint_is_evaluated_and_predicted_from_as_any_other(finished, results, composed, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "one.png"), np.full((40, 80, 3), 90, np.uint8))
    quick = ["trainer=cpu", "data.workers=0", "panels=0", "trainer.enable_progress_bar=false"]
    evaluate([f"run={finished / 'merge'}", f"output={tmp_path / 'again'}", *quick])
    again = json.loads((tmp_path / "again/evaluation.json").read_text())
    assert again["evaluation"]["datasets"]["cityscapes"]["miou"] == pytest.approx(
        results["merge"]["evaluation"]["datasets"]["cityscapes"]["miou"], abs=1e-5
    )
    predict([f"run={finished / 'merge'}", f"images={images}", f"output={tmp_path / 'masks'}", "device=cpu"])
    assert len(list((tmp_path / "masks").rglob("*.png"))) >= 1


def test_own_means_are_measured_of_the_images_that_are_seen(finished):
    """Translated sources have another mean than their originals; all networks of a merge subtract the same."""
    stages = ("source", "branches", "s_all", "merge")
    saved = {stage: checkpoints.load(finished / stage / "checkpoints/last.ckpt") for stage in stages}
    means = saved["branches"]["means"]
    assert means.keys() == {*SOURCES, "cityscapes"}
    # Of its training images, also where the stage has none of them.
    assert {stage: saved[stage]["means"]["cityscapes"] for stage in stages} == dict.fromkeys(
        stages, means["cityscapes"]
    )
    images = [cv2.imread(str(path))[..., ::-1] for path in (finished / "translated/gta5").rglob("*.png")]
    of_all = np.concatenate([image.reshape(-1, 3) for image in images]).mean(axis=0)
    assert means["gta5"] == pytest.approx(of_all.tolist(), abs=1e-3)


def test_every_image_is_translated_at_its_own_size_beside_masks_that_stay(finished, results, composed):
    plan = planned(composed(*SETTINGS))
    for stage in ("source", "branches", "s_all"):
        data = plan.stages[stage].data
        plan.stages[stage].take_images(finished / "translated")
        labelled = [loaded for loaded in data.streams.values() if loaded.stream.role == "labelled"]
        datasets = [dataset for loaded in labelled for dataset in loaded.datasets]
        assert [dataset.name for dataset in datasets] == [*SOURCES]
        for dataset in datasets:
            assert len(dataset) == results["translated"]["images"][dataset.name]
            assert all(sample.image.is_relative_to(finished / "translated") for sample in dataset.samples)
            assert not any(sample.mask.is_relative_to(finished) for sample in dataset.samples)
            assert dataset.image(0).shape[:2] == dataset.mask(0).shape


def test_pictures_of_both_players_branches_and_translations(finished):
    figures = {str(path.relative_to(finished)) for path in finished.rglob("*.png") if path.parent.name == "figures"}
    expected = {
        "branches/figures/discriminators.png",
        "branches/figures/curves.png",
        "branches/figures/cityscapes_branches.png",
        "s_all/figures/discriminators.png",
        "merge/figures/cityscapes_branches.png",
        "translated/figures/gta5_translated.png",
        "translated/figures/synthia_translated.png",
    }
    assert expected <= figures
    assert sum(name.endswith("pairs.png") for name in figures) == 2


class Killed(Exception):
    pass


def test_a_run_that_broke_off_anywhere_ends_bit_equal(finished, composed, tmp_path, monkeypatch, capfd):
    whole, written, left = Adversarial.training_step, translate.write_png, {"source", "branches", "s_all"}
    count = 0

    def breaks(self, batch, step):
        stage = self.description["stage"]
        if step == STEPS - 1 and stage in left:
            left.remove(stage)
            raise Killed
        return whole(self, batch, step)

    def stops(image, file):
        nonlocal count
        count += 1
        if count == 3:
            file.write(b"half of it")
            raise Killed
        written(image, file)

    monkeypatch.setattr(Adversarial, "training_step", breaks)
    monkeypatch.setattr(translate, "write_png", stops)
    with pytest.raises(Killed):
        run(composed, tmp_path)
    (folder,) = tmp_path.glob("*/*")
    images = sorted((folder / "translated/gta5").rglob("*.png"))
    times = [path.stat().st_mtime_ns for path in images]
    assert len(images) == 2
    for _ in range(3):
        with pytest.raises(Killed):
            resume(folder)
    resume(folder)
    assert f"s_all: step {STEPS} of {STEPS}" in capfd.readouterr().out, "batches, not steps of two optimisers"
    assert [path.stat().st_mtime_ns for path in images] == times, "what is there stays"
    for name in ("source", "branches", "s_all", "merge"):
        assert same(state(folder, name), state(finished, name)), name
    for path in (finished / "translated").rglob("*.png"):
        if path.parent.name != "figures":
            assert path.read_bytes() == (folder / path.relative_to(finished)).read_bytes()


def test_a_signal_in_mid_translation_ends_it_between_two_images(composed, tmp_path, monkeypatch):
    stage = planned(composed(*SETTINGS), tmp_path).stages["translated"]
    stop, count = StopSignals(), len(stage.sources["gta5"])
    stage.load = lambda name: torch.nn.Identity()

    def translated(translator, image, device):
        stop.received = 15 if len(list(stage.folder.rglob("*.png"))) == 1 else None  # while the second one is made
        return image

    monkeypatch.setattr(translate, "translate", translated)
    with pytest.raises(Stopped) as stopped:
        stage.write("gta5", stage.sources["gta5"], stop)
    assert stopped.value.what == f"stopped after 2 of {count} images of gta5"
    assert len(list(stage.folder.rglob("*.png"))) == 2 < count
    stop.received = None
    cut_off = sorted(stage.folder.rglob("*.png"))[0]
    cut_off.write_bytes(cut_off.read_bytes()[:-40])
    monkeypatch.setattr(translate, "translate", lambda translator, image, device: image)
    assert stage.write("gta5", stage.sources["gta5"], stop) == count - 1  # with the one that cannot be read
    assert stage.write("gta5", stage.sources["gta5"], stop) == 0


def test_translated_images_that_do_not_fit_are_named(finished, composed, tmp_path):
    plain = [*SMALL, "experiment=multi_source_cityscapes", *FITS]

    def plan(folder):
        return planned(composed(*plain, f"+stage.source.from={{images: {folder}}}"))

    assert plan(finished / "translated").stages["source"]
    with pytest.raises(FileNotFoundError, match=f"images of dataset 'gta5': there is no folder {tmp_path}/gta5"):
        plan(tmp_path)
    for source in SOURCES:
        shutil.copytree(finished / "translated" / source, tmp_path / source)
    record = tmp_path / "synthia/originals.json"
    sizes = json.loads(record.read_text())
    assert plan(tmp_path).stages["source"]
    record.write_text(json.dumps(sizes | {next(iter(sizes)): 1}))
    with pytest.raises(ValueError, match=rf"1 of {len(sizes)} were made of other images .*{next(iter(sizes))}"):
        plan(tmp_path)
    record.write_text("[1, 2")
    with pytest.raises(ValueError, match=r"originals.json: expected the name and size of every original image"):
        plan(tmp_path)
    record.unlink()  # images of one's own are compared by name and size
    images = sorted((tmp_path / "synthia").rglob("*.png"))
    images[0].unlink()
    (tmp_path / "done").touch()
    again = f"made anew, remove {tmp_path}/done"
    with pytest.raises(
        FileNotFoundError, match=rf"1 of {len(images)} are missing, such as .*{images[0].name}.*{again}"
    ):
        plan(tmp_path)
    cv2.imwrite(str(images[0]), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match=rf"{images[0].name}: its size .* is \(9, 9\), .*made of other images\?"):
        plan(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stage.merge.from.s_all=null"], "stage merge: from has 1 networks; a merge needs two or more"),
        (["+stage.merge.run.merges.max.merge=least"], "merges.max.merge: expected max or mean, got 'least'"),
        (["+stage.merge.run.merges.max.mask_mising=false"], r"merges.max.mask_mising: .*did you mean mask_missing"),
        (["+stage.merge.run.merges.gta5={}"], "merges.gta5: a branch is called so"),
        (["stage.merge.run.merges=null"], "merges: expected one or more by name"),
        (["+stage.merge.run.merges.foo={merged: [gta]}"], "merges.foo.merged: expected some of gta5, synthia, s_all"),
        (["label_space@stage.branches.label_space=synthia16"], "merges.max_sources.merged: expected some of branches"),
        (["+stage.branches.method.adversarial={high: nan}"], "method.adversarial.high: expected at least 0, got nan"),
        (["+stage.branches.method.adversarial=0.1"], "method.adversarial: expected weights of high and low, got 0.1"),
        (["transform.crop=[32,24]"], r"patches of 32×32 pixels, but crops of stream \w+ are 32×24"),
        (["streams.labelled.per_dataset=null"], "streams.labelled.alternate: only of a stream with per_dataset"),
        (["+streams.target.per_dataset={}"], "takes batches that mix datasets, but stream target has one of each"),
        (["datasets.synthia.root=/nowhere"], "/nowhere"),
        ([f"datasets.synthia.labels={SOFAS}"], r"dataset 'synthia' .* annotates none of"),
        (["stage.branches.label_space.joint=gta5"], "label_space.joint=gta5: a dataset is called so"),
        (["mean=mine"], "mean: expected network or own, got 'mine'"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(composed, overrides, message):
    with pytest.raises(Exception, match=message):
        planned(composed(*SMALL, *FITS, "experiment=multi_source_cityscapes", *overrides))


def test_translators_are_those_of_the_labelled_datasets(finished, composed):
    def plan(**origins):
        found = ", ".join(f"{name}: {origin}" for name, origin in origins.items())
        return planned(composed(*SETTINGS, f"stage.translated.from={{{found}}}"))

    with pytest.raises(ValueError, match="from has translators for gta5, but the labelled datasets are gta5, synthia"):
        plan(gta5="gta5")
    with pytest.raises(ValueError, match=r"from\.synthia: .*branches.* holds no translator; name a stage that trains"):
        plan(gta5=finished / "gta5", synthia=finished / "branches")


def test_networks_that_cannot_see_the_same_image_are_not_merged(finished, composed):
    alone = [*SMALL, "experiment=multi_source_cityscapes", "stages=[merge]"]
    alone += [f"stage.merge.from.{stage}={finished / stage}" for stage in ("branches", "s_all")]
    stage = planned(composed(*alone)).stages["merge"]
    with pytest.raises(ValueError, match="branches .* trained with align_corners=True, but here it is False"):
        planned(composed(*alone, "align_corners=false"))
    members = {part: stage.load(part) for part in ("branches", "s_all")}
    assert stage.shifts(members)["cityscapes"].shape == (3,)
    members["s_all"] = replace(members["s_all"], means={})
    with pytest.raises(ValueError, match="stage merge: s_all subtracts another mean from the images of cityscapes"):
        stage.shifts(members)
    networks = [members[part].model for part in members]
    networks[1].mean = networks[1].mean + 1
    with pytest.raises(ValueError, match="a, b subtract different means from images"):
        Joined(dict(zip("ab", networks, strict=True)))


@pytest.mark.parametrize("player", ["segmenter", "discriminators"])
@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_not_finite_stops_the_run_whosever_it_is(composed, tmp_path, monkeypatch, player):
    method = {"segmenter": "fooling", "discriminators": "telling"}[player]
    whole = getattr(Adversary, method)

    def spoilt(self, *arguments, **options):
        found = whole(self, *arguments, **options)
        if player == "segmenter":
            return {key: torch.nan * loss for key, loss in found.items()}
        return {key: verdict._replace(loss=torch.nan * verdict.loss) for key, verdict in found.items()}

    monkeypatch.setattr(Adversary, method, spoilt)
    cfg = composed(
        *SMALL,
        "experiment=gta5_cityscapes",
        "row=adaptsegnet",
        "stage.source.steps=2",
        "stage.adapt.steps=3",
        f"runs={tmp_path}",
    )
    term = {"segmenter": "adversarial", "discriminators": "discriminator"}[player]
    with pytest.raises(ValueError, match=rf"stage adapt: .*{term}"):
        carry_out(cfg, new_folder(cfg))


@pytest.mark.slow
def test_two_ranks_take_the_steps_of_one(tmp_path):
    """On whole images that are all the same: neither batch norm nor labelled pixels tell a part from the batch then."""
    sizes = {"gta5": 73, "synthia": 67}
    crops = ",".join(f"{name}: {{transform: {{crop: [40, {width}]}}}}" for name, width in sizes.items())
    overrides = [
        *(override for override in SMALL if not override.startswith("transform.")),
        *("experiment=multi_source_cityscapes", "streams.labelled.labelled=1", "streams.target.labelled=1"),
        *("transform.short_side=40", "transform.scale=[1,1]", "transform.augment=[]", "transform.crop=[40,80]"),
        *(f"+streams.labelled.per_dataset={{{crops}}}", "trainer.precision=64-true"),
        *("stages=[branches]", "stage.branches.from={model.backbone: null}", "+stage.branches.evaluate=null"),
        "stage.branches.steps=3",
    ]
    weights = []
    for ranks in ([], ["trainer.devices=2", "trainer.strategy=ddp"]):
        done = command(tmp_path, *overrides, *ranks, f"runs=ranks{len(weights)}")
        assert done.returncode == 0, done.stdout + done.stderr
        (run,) = tmp_path.glob(f"ranks{len(weights)}/*/*")
        weights.append(state(run, "branches"))
    one, two = weights
    for name, value in one.items():
        if not name.endswith("running_var"):  # divided by the number of pixels less one
            torch.testing.assert_close(two[name], value, rtol=1e-6, atol=1e-9, msg=name)
