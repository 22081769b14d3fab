import pytest
import yaml
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from mdseg import conf_dir
from mdseg.configuration import build_label_space, label_table, stage_config
from mdseg.data.transforms import strict
from mdseg.label_space import LabelTable

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
ANY_DATASETS = ["uniseg", "supervised"]  # they take what dataset=[...] names
FAMILIES = {"cityscapes_supervised": "supervised", "cityscapes_semi": "semi"}  # maxsquare for the other tables
NUM_CLASSES = {"cibm": 70, "cim": 70, "ibm": 70, "cbm": 67, "cib": 28}


def family_of(experiment):
    """The family that an experiment chooses, or one that it builds on; None where a row of a table chooses it."""
    for entry in yaml.safe_load((conf_dir() / f"experiment/{experiment}.yaml").read_text())["defaults"]:
        family = family_of(entry) if isinstance(entry, str) else entry.get("override /family")
        if family is not None:
            return family
    return None


def chosen(experiment):
    """An experiment on the command line, with the datasets and the family that it leaves open."""
    datasets = ["dataset=[camvid11,labelmefacade]"] if experiment in ANY_DATASETS else []
    family = [] if family_of(experiment) else [f"family={FAMILIES.get(experiment, 'maxsquare')}"]
    return [f"experiment={experiment}", *datasets, *family]


def with_scales():
    """Experiments with the scales that their families have recipes of: demo and paper at least."""
    for experiment in EXPERIMENTS:
        family = family_of(experiment) or FAMILIES.get(experiment, "maxsquare")
        medium = ["medium"] if (conf_dir() / f"recipe/{family}_medium.yaml").exists() else []
        yield from ((experiment, scale) for scale in ["demo", *medium, "paper"])


def targets(node):
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield node._target_
        node = list(node.values())
    if isinstance(node, ListConfig | list):
        for child in node:
            yield from targets(child)


@pytest.mark.parametrize(("experiment", "scale"), list(with_scales()))
def test_every_experiment_composes_and_every_value_is_there(composed, experiment, scale, tmp_path):
    cfg = composed(*chosen(experiment), f"scale={scale}")
    cfg.run_folder = str(tmp_path)
    for name in cfg.stages:
        stage = stage_config(cfg, name)
        OmegaConf.resolve(stage)
        assert not OmegaConf.missing_keys(stage)
        for target in targets(stage):
            get_object(target)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_reads_disk_as_well(composed, experiment):
    cfg = composed(*chosen(experiment), "data=disk", "data.root=/datasets")
    assert all(dataset.root.startswith("/datasets/") for dataset in cfg.datasets.values())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.filterwarnings("ignore:.*the model has no channel")
def test_seen_datasets_are_covered_by_the_label_space_and_unseen_ones_mostly(composed, experiment):
    cfg = composed(*chosen(experiment))
    space = build_label_space(cfg)
    for name in cfg.evaluate.seen:
        assert space.evaluation(label_table(cfg, name), name).unmapped == ()
    for name in cfg.evaluate.unseen:
        assert space.evaluation(label_table(cfg, name), name).channels.numel() >= 9


@pytest.mark.parametrize("sets", sorted(NUM_CLASSES))
def test_uniseg_s_unions_have_the_published_sizes(composed, sets):
    assert build_label_space(composed(f"experiment=uniseg_{sets}")).num_classes == NUM_CLASSES[sets]


@pytest.mark.parametrize("held_out", ["cim", "ibm", "cbm", "cib"])
def test_the_dataset_left_out_is_evaluated_as_unseen(composed, held_out):
    cfg = composed(f"experiment=uniseg_{held_out}")
    assert len(cfg.evaluate.seen) == 3
    assert {*cfg.evaluate.seen, cfg.evaluate.unseen[0]} == {"cityscapes", "idd", "bdd", "mapillary"}


@pytest.mark.parametrize("path", sorted((conf_dir() / "dataset").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_dataset_descriptor_sits_in_its_own_package_and_names_a_table(path):
    text = path.read_text()
    assert text.startswith(f"# @package datasets.{path.stem}\n")
    LabelTable.load(yaml.safe_load(text)["labels"])


@pytest.mark.parametrize("name", ["crop", "uniseg"])
def test_every_transform_is_built_without_unknown_arguments(composed, name):
    cfg = composed("experiment=uniseg_cibm", f"transform={name}", "transform.short_side=8", "transform.crop=[8,8]")
    strict(instantiate, cfg.transform, _convert_="all")


def test_paper_scale_carries_the_paper_s_hyper_parameters(composed):
    cfg = composed("experiment=uniseg_cibm", "scale=paper")
    first, second = stage_config(cfg, "null_bce"), stage_config(cfg, "class_relational")
    assert (first.steps, second.steps) == ("150 epochs", "50 epochs")
    assert first.optimizer == {
        "_target_": "torch.optim.SGD",
        "_partial_": True,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    }
    assert second.optimizer == {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.001, "weight_decay": 1e-4}
    assert first.scheduler.power == second.scheduler.power == 0.9
    assert first.transform.crop == [713, 713]
    assert first.transform.short_side == first.evaluation.short_side == 1080
    assert first.transform.scale == [0.5, 2.0]
    assert first.streams.labelled.batch_size == 16
    assert first.model.temperature == 20
    assert cfg.stage.relations.run.tau == -0.08
    assert second["from"] == "null_bce"


@pytest.mark.parametrize("network", ["upernet_r50", "upernet_r101", "pspnet_r50", "pspnet_r101", "hrnet_w18"])
def test_blv_s_supervised_hosts_share_mmsegmentation_s_schedule(composed, network):
    cfg = composed("experiment=cityscapes_supervised", "family=host", "scale=paper", f"model={network}")
    stage = stage_config(cfg, "fit")
    assert (stage.optimizer.lr, stage.optimizer.momentum, stage.optimizer.weight_decay) == (0.01, 0.9, 5e-4)
    assert (stage.steps, stage.scheduler.power, stage.scheduler.floor) == (40_000, 0.9, 1e-4)
    assert (stage.streams.labelled.batch_size, stage.transform.crop) == (16, [512, 1024])
    assert stage.method.low_weight == 0.4
    assert stage.model.weights == "imagenet"
    assert not stage.align_corners
    strict(instantiate, stage.transform, _convert_="all")


def test_baselines_differ_from_uniseg_by_their_loss_alone(composed):
    baseline = stage_config(composed("experiment=multi_dataset_cibm", "loss/supervised=null_bce"), "fit")
    uniseg = stage_config(composed("experiment=uniseg_cibm"), "null_bce")
    for key in ("model", "transform", "evaluation", "optimizer", "streams", "loss"):
        assert baseline[key] == uniseg[key], key


def test_budgets_at_demo_scale_are_equal(composed):
    uniseg = composed("experiment=uniseg_cibm")
    baseline = composed("experiment=multi_dataset_cibm")
    assert uniseg.stage.null_bce.steps + uniseg.stage.class_relational.steps == baseline.steps


@pytest.mark.parametrize("loss", ["ce", "bce", "null_bce"])
def test_baselines_take_any_supervised_loss(composed, loss):
    cfg = composed("experiment=multi_dataset_cibm", f"loss/supervised={loss}")
    assert stage_config(cfg, "fit").loss.supervised._target_.endswith(f".{loss}")


def test_data_roots_follow_the_environment(composed, cache_folder):
    assert composed("experiment=uniseg_cibm").data.root.startswith(str(cache_folder))
