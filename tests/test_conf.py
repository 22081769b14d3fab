import re

import pytest
import torch
import yaml
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from mdseg import conf_dir
from mdseg.config import references
from mdseg.config.building import build_label_space, build_transforms, label_table
from mdseg.config.keys import check_keys, stage_config
from mdseg.data.transforms import strict
from mdseg.labels.tables import LabelTable

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
ANY_DATASETS = ["uniseg", "supervised", "universal"]  # they take what dataset=[...] names
FAMILIES = {"cityscapes_supervised": "supervised", "cityscapes_semi": "semi"}  # maxsquare for the other tables
CITIES = ["rome", "rio", "tokyo", "taipei"]
# The cities' experiments are one but for the name, those of family universal and of several sources but for the
# datasets, which tests hold: the rows of one of them stand for all.
UNIVERSAL = [name for name in EXPERIMENTS if name.startswith("universal")]
MULTI_SOURCE = ["multi_source_gta5", "multi_source_synthia", "multi_source_three_cityscapes"]
ALIKE = [f"cityscapes_{city}" for city in CITIES[1:]] + MULTI_SOURCE
ALIKE += [name for name in UNIVERSAL if name != "universal_cityscapes_camvid"]
ROWS = [
    (experiment, row)
    for experiment in references.document()["experiments"]
    if experiment not in ALIKE
    for row in references.rows(experiment)
]
NUM_CLASSES = {"cibm": 70, "cim": 70, "ibm": 70, "cbm": 67, "cib": 28}


def read(path):
    """A YAML file of conf/."""
    return yaml.safe_load((conf_dir() / f"{path}.yaml").read_text()) or {}


def family_of(name, group="experiment"):
    """The family that an experiment or row chooses, or what it builds on; None where a row is still to be named."""
    for entry in read(f"{group}/{name}")["defaults"]:
        if isinstance(entry, str):
            family = family_of(entry, group) if entry != "_self_" else None
        elif row := entry.get("override /row") or entry.get("/row"):
            family = family_of(row, "row")
        else:
            family = entry.get("override /family")
        if family is not None:
            return family
    return None


ALIASES = {name: base for name in EXPERIMENTS if (base := references.alias_of(name))}


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
    assert second["from"].model == "null_bce"


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


def resolved(cfg):
    """The configuration of every stage, by name."""
    check_keys(cfg)
    stages = {name: stage_config(cfg, name) for name in cfg.stages}
    for stage in stages.values():
        OmegaConf.resolve(stage)
        assert not OmegaConf.missing_keys(stage)
    return stages


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize(("experiment", "row"), ROWS)
def test_every_row_of_a_table_composes_and_every_value_is_there(composed, experiment, row, scale):
    cfg = composed(f"experiment={experiment}", f"row={row}", f"scale={scale}")
    assert cfg.row == row
    for stage in resolved(cfg).values():
        for target in targets(stage):
            get_object(target)


def takes_rows(experiment):
    """Whether an experiment leaves its method to a row, or has one that another may stand for."""
    return any("/row" in entry for entry in read(f"experiment/{experiment}")["defaults"] if isinstance(entry, dict))


def test_every_row_stands_in_a_table_and_every_experiment_that_takes_one_has_one():
    tables = references.document()["experiments"]
    assert {row for experiment in tables for row in references.rows(experiment)} == {
        path.stem for path in (conf_dir() / "row").glob("*.yaml")
    }
    assert set(tables) == {name for name in EXPERIMENTS if takes_rows(name)}


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_its_base_with_a_row_but_for_its_name(composed, alias, scale):
    named = composed(f"experiment={alias}", f"scale={scale}")
    spelled = composed(f"experiment={ALIASES[alias]}", f"row={default_row(alias)}", f"scale={scale}")
    assert (named.name, spelled.name) == (alias, ALIASES[alias])
    spelled.name = alias
    assert named == spelled
    assert references.rows(alias) == references.rows(ALIASES[alias]) != []


def default_row(alias):
    _, row = read(f"experiment/{alias}")["defaults"]
    return row["override /row"]


@pytest.mark.parametrize(
    ("alias", "row"),
    [
        ("maxsquare_gta5_cityscapes", "iw_multi"),
        ("maxsquare_iw_paper_gta5_cityscapes", "minent"),  # nothing of the paper's weight stays
        ("blv_synthia_cityscapes", "oracle"),
        ("blv_semi_cityscapes", "st"),
    ],
)
@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_a_row_replaces_the_default_row_as_a_whole(composed, alias, row, scale):
    replaced = composed(f"experiment={alias}", f"row={row}", f"scale={scale}")
    spelled = composed(f"experiment={ALIASES[alias]}", f"row={row}", f"scale={scale}")
    assert replaced.row == row
    assert replaced.name == alias
    spelled.name = alias
    assert replaced == spelled


def test_experiments_that_build_on_another_are_aliases():
    assert {name for name in EXPERIMENTS if read(f"experiment/{name}")["defaults"][0] in EXPERIMENTS} == set(ALIASES)


@pytest.mark.parametrize("group", ["optimizer", "scheduler", "stream"])
def test_what_a_group_is_for_stands_in_no_other_file(group):
    """A class of an optimiser, say, is named by conf/optimizer alone."""
    names = {"stream": r"\brole:", "optimizer": r"torch\.optim\b", "scheduler": r"methods\.schedules\b"}
    files = [path for path in conf_dir().rglob("*.yaml") if re.search(names[group], path.read_text())]
    assert files
    assert {path.parent.name for path in files} == {group}


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize("experiment", ["supervised_bdd", "semi_cityscapes"])
def test_the_optimizer_is_chosen_by_its_group(composed, experiment, scale):
    for name, target in (("sgd", "SGD"), ("adamw", "AdamW")):
        cfg = composed(f"experiment={experiment}", f"optimizer={name}", "optimizer.lr=0.5", f"scale={scale}")
        node = stage_config(cfg, "fit").optimizer
        assert (node._target_, node.lr) == (f"torch.optim.{target}", 0.5)
        instantiate(node)([torch.nn.Parameter(torch.zeros(1))])


def test_a_stage_lays_its_values_over_the_optimizer_of_the_run(composed):
    cfg = composed("experiment=uniseg_cib", "optimizer.weight_decay=0.5")
    first, second = (stage_config(cfg, name).optimizer for name in ("null_bce", "class_relational"))
    assert first == {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 3e-3, "weight_decay": 0.5}
    assert second == {**first, "lr": 1e-3}


def test_a_fit_is_what_a_stage_is_unless_it_says_otherwise(composed):
    for experiment in ("uniseg_cib", "supervised_bdd", "maxsquare_gta5_cityscapes", "dacs_gta5_cityscapes"):
        cfg = composed(f"experiment={experiment}")
        assert [name for name in cfg.stages if "run" in cfg.stage[name]] == (
            ["relations"] if experiment == "uniseg_cib" else []
        )


def test_the_second_stage_of_uniseg_takes_model_and_relations_from_the_stages_before(composed):
    second = resolved(composed("experiment=uniseg_cib"))["class_relational"]
    assert second["from"] == {"model": "null_bce", "relations": "relations"}
    assert second.loss.supervised.relations is None


@pytest.mark.parametrize("city", CITIES[1:])
def test_cities_differ_by_their_name(city):
    rome, other = ((conf_dir() / f"experiment/cityscapes_{name}.yaml").read_text() for name in ("rome", city))
    assert other == rome.replace("rome", city).replace("Rome", city.capitalize())
    assert references.rows(f"cityscapes_{city}") == references.rows("cityscapes_rome")


@pytest.mark.parametrize("experiment", UNIVERSAL)
def test_universal_experiments_differ_by_their_datasets_alone(experiment):
    model = "universal_cityscapes_camvid"
    datasets = [entry["override /dataset"] for entry in read(f"experiment/{experiment}")["defaults"][2:]]
    text = str(read(f"experiment/{experiment}"))
    if experiment == "universal":  # the command names them
        text = text.replace("{'/row': 'full'}", "{'/row': 'full'}, {'override /dataset': D}").replace(
            "'${oc.dict.keys:datasets}'", "D"
        )
    shown = text.replace(str(datasets[0]), "D") if datasets else text
    assert shown == str(read(f"experiment/{model}")).replace("['cityscapes', 'camvid11']", "D")
    assert references.rows(experiment) == references.rows(model)


@pytest.mark.parametrize("experiment", MULTI_SOURCE)
def test_multi_source_experiments_differ_by_their_datasets_alone(experiment):
    model, own = (read(f"experiment/{name}") for name in ("multi_source_cityscapes", experiment))
    *sources, target = own["defaults"][2].pop("override /dataset")
    assert (own["streams"]["labelled"].pop("datasets"), own["streams"]["target"].pop("datasets")) == (sources, [target])
    assert own["evaluate"].pop("target") == [target]
    model["defaults"][2].pop("override /dataset")
    for node in (model["streams"]["labelled"], model["streams"]["target"]):
        node.pop("datasets")
    model["evaluate"].pop("target")
    assert own.pop("datasets", {}) == ({"synthia": {"labels": "synthia19"}} if target == "synthia" else {})
    assert own == model
    assert references.rows(experiment) == references.rows("multi_source_cityscapes")


def test_the_rows_of_the_universal_table_are_the_paper_s_variants(composed):
    rows = ("full", "full_k3", "cross", "basic", "supervised")
    stages = {row: resolved(composed("experiment=universal_cityscapes_camvid", f"row={row}")) for row in rows}
    method = {row: stages[row]["universal"].method for row in rows[:-1]}
    assert {row: (of.alpha, of.beta, of.centroids) for row, of in method.items()} == {
        "full": (1, 1, 1),
        "full_k3": (1, 1, 3),
        "cross": (1, 0, 1),
        "basic": (0, 0, 1),
    }
    assert list(stages["basic"]) == ["universal"]
    assert list(stages["supervised"]) == ["cityscapes", "camvid11"]
    assert stages["full_k3"]["embeddings"].run.centroids == 3


def test_universal_at_paper_scale_carries_the_paper_s_values(composed):
    stages = resolved(composed("experiment=universal_cityscapes_camvid", "scale=paper"))
    universal, alone = stages["universal"], stages["camvid11"]
    for stage in (universal, alone):
        sgd = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}
        assert stage.optimizer == {"_target_": "torch.optim.SGD", "_partial_": True, **sgd}
        assert (stage.steps, stage.scheduler.power, stage.head_lr_factor) == ("200 epochs", 0.9, 1)
        assert stage.streams.labelled.batch_size == 8
        assert stage.streams.labelled.labelled == 100
        assert stage.transform.crop == [512, 512]
        assert stage.transform.short_side == stage.evaluation.short_side == 512
        assert stage.transform.scale == [1, 1]
        assert stage.evaluation.score_at == "image"
        assert stage.model.weights.startswith("weights/drn_d_22")
        assert not stage.align_corners
        strict(instantiate, stage.transform, _convert_="all")
    assert (universal.method.dimension, universal.method.theta) == (128, 1)
    assert universal.streams.unlabelled.micro_batches == "auto"
    assert universal.streams.unlabelled.labelled == "all"
    assert universal.streams.unlabelled.exclude_labelled is None


def test_rows_of_maxsquare_differ_by_their_loss_alone(composed):
    stages = {row: resolved(composed("experiment=gta5_cityscapes", f"row={row}")) for row in ("minent", "iw", "oracle")}
    assert stages["minent"]["adapt"].loss.target._target_ == "mdseg.losses.minent.entropy"
    assert stages["iw"]["adapt"].loss.target._target_ == "mdseg.losses.maximum_squares.max_square_iw"
    for stage in [stage for row in ("minent", "iw") for stage in stages[row].values()]:
        stage.loss.target, stage.row = None, None
    assert stages["minent"] == stages["iw"]
    assert list(stages["oracle"]) == ["source"]
    assert stages["oracle"]["source"].streams.labelled.datasets == ["cityscapes"]
    for key in ("steps", "optimizer", "scheduler", "model", "transform", "loss"):
        assert stages["oracle"]["source"][key] == stages["minent"]["source"][key], key


def test_the_control_at_equal_budget_sees_no_target_image(composed):
    rows = {row: resolved(composed("experiment=gta5_cityscapes", f"row={row}")) for row in ("source_continued", "iw")}
    control, adapted = (rows[row]["adapt"] for row in rows)
    assert list(control.streams) == ["labelled"]
    assert control.loss.target is None
    for key in ("from", "steps", "optimizer", "scheduler", "model", "transform"):
        assert control[key] == adapted[key], key
    assert rows["source_continued"]["source"].streams == rows["iw"]["source"].streams


def test_multi_has_two_levels_guidance_its_weight_and_larger_target_images(composed):
    adapt = resolved(composed("experiment=gta5_cityscapes", "row=iw_multi", "scale=paper"))["adapt"]
    assert adapt.model.low_head
    assert adapt.loss.guidance.threshold == 0.95
    assert (adapt.method.weight, adapt.method.low_weight) == (0.09, 0.1)
    assert (adapt.transform.crop, adapt.evaluation.short_side) == ([640, 1280], 640)
    assert adapt.streams.labelled.transform.crop == [720, 1280]


@pytest.mark.parametrize(("experiment", "sigma"), [("gta5_cityscapes", 6), ("synthia_cityscapes", 4)])
def test_blv_s_sigma_is_the_paper_s(composed, experiment, sigma):
    constant = resolved(composed(f"experiment={experiment}", "row=daformer_blv"))["adapt"].loss.variation
    temporal = resolved(composed(f"experiment={experiment}", "row=dacs_blv_tv"))["adapt"].loss.variation
    assert constant.sigma == sigma
    assert temporal.sigma == {"peak": sigma, "middle": 0.75}


@pytest.mark.parametrize(("row", "counts"), [("st_blv", "epoch"), ("st_blv_labelled", "static")])
def test_semi_supervised_blv_counts_what_the_row_says(composed, row, counts):
    fit = resolved(composed("experiment=cityscapes_semi", f"row={row}", "streams.labelled.labelled=1/4"))["fit"]
    assert fit.loss.variation.counts == {"supervised": counts, "mixed": counts}
    assert (fit.loss.variation.sigma, fit.streams.labelled.labelled) == (6, "1/4")


@pytest.mark.parametrize("host", ["hrnet_w18", "pspnet_r101"])
def test_supervised_hosts_are_chosen_by_their_network(composed, host):
    cfg = composed("experiment=cityscapes_supervised", "row=blv", f"model={host}", "scale=paper")
    assert resolved(cfg)["fit"].loss.variation.sigma == 4
    assert cfg.model.weights == "imagenet"


def test_maxsquare_at_paper_scale_carries_the_official_code_s_values(composed):
    cfg = composed("experiment=maxsquare_gta5_cityscapes", "scale=paper")
    source, adapt = stage_config(cfg, "source"), stage_config(cfg, "adapt")
    assert (source.steps, adapt.steps) == (80000, 29760)
    assert (source.scheduler.horizon, source.scheduler.power, adapt.scheduler.power) == (200000, 0.9, 0.9)
    for stage in (source, adapt):
        sgd = {"lr": 2.5e-4, "momentum": 0.9, "weight_decay": 5e-4}
        assert stage.optimizer == {"_target_": "torch.optim.SGD", "_partial_": True, **sgd}
        assert stage.head_lr_factor == 10
        assert stage.streams.labelled.batch_size == 1
        assert stage.model.aspp_rates == [6, 12]
    assert list(source.streams) == ["labelled"]
    assert source.loss.target is None
    assert adapt.streams.target.batch_size == 1
    assert (adapt.method.weight, adapt.method.low_weight) == (0.1, 0.1)
    assert (adapt.loss.target.normalisation, adapt["from"]) == ("official", "source")


@pytest.mark.parametrize(
    ("overrides", "source", "target"),
    [
        (["experiment=maxsquare_gta5_cityscapes"], [720, 1280], [512, 1024]),
        (["experiment=maxsquare_synthia_cityscapes"], [760, 1280], [512, 1024]),
        (["experiment=maxsquare_cityscapes_rome"], [512, 1024], [512, 1024]),
        (["experiment=gta5_cityscapes", "row=iw_multi"], [720, 1280], [640, 1280]),
    ],
)
def test_maxsquare_s_image_sizes_at_paper_scale(composed, overrides, source, target):
    transforms = build_transforms(stage_config(composed(*overrides, "scale=paper"), "adapt"))
    for stream, (height, width) in (("labelled", source), ("target", target)):
        assert transforms[stream].crop == (height, width)
        assert transforms[stream].short_side == height


def test_the_paper_s_units_are_the_code_s_divided_by_the_classes(composed):
    cfg = composed("experiment=maxsquare_iw_paper_gta5_cityscapes")
    assert (cfg.loss.target.normalisation, cfg.loss.target.iw_index) == ("paper", "channel")
    assert cfg.method.weight == pytest.approx(0.1 / build_label_space(cfg).num_classes, rel=1e-5)
