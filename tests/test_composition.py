import pytest
from hydra import compose, initialize_config_dir

from mdseg import conf_dir
from mdseg.config.composition import check_row, compose_with_datasets

ALONE = ["~experiment", "family=supervised"]


def test_on_alone_loads_the_descriptors():
    cfg = compose_with_datasets("run", [*ALONE, "+on=[idd,bdd]"])
    assert list(cfg.datasets) == ["idd", "bdd"]
    assert cfg.on == ["idd", "bdd"]
    assert cfg.datasets.idd.root.endswith("/idd")


def test_one_dataset_needs_no_brackets():
    assert compose_with_datasets("run", [*ALONE, "+on=idd"]).on == ["idd"]


def test_datasets_are_found_on_the_search_path_too(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text("# @package datasets.mine\nroot: x\n")
    path = f"hydra.searchpath=[file://{tmp_path}]"
    assert list(compose_with_datasets("run", [*ALONE, "+on=[mine]", path]).datasets) == ["mine"]
    with pytest.raises(ValueError, match=r"no dataset 'minne' \(did you mean mine\?\)"):
        compose_with_datasets("run", [*ALONE, "+on=[minne]", path])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*ALONE, "+on=[cityscape]"], r"no dataset 'cityscape' \(did you mean cityscapes\?\); there are bdd, "),
        ([*ALONE, "+on=[zzz]"], r"no dataset 'zzz'; there are bdd, "),
        ([*ALONE, "+on=a,b"], r"on: expected names of datasets in brackets, such as on=\[cityscapes,idd\]"),
        ([*ALONE, "+on=[]"], "on: expected names"),
        (["experiment=uniseg_cimb"], r"no experiment 'uniseg_cimb' \(did you mean uniseg_cim\?\)"),
        (["experiment=uniseg_cibm", "sead=1"], r"sead=1: there is no such key \(did you mean seed\?\)"),
        (["experiment=uniseg_cibm", "evaluation.shortside=1"], r"no such key \(did you mean evaluation.short_side\?\)"),
        (
            ["experiment=uniseg_cibm", "stage.null_bce.val_every=800"],
            r"write val_every=800 for all stages, or \+stage.null_bce.val_every=800 for this one",
        ),
        (["experiment=uniseg_cibm", "stage.null_bce.setps=3"], r"did you mean stage.null_bce.steps\?"),
        (["experiment=uniseg_cibm", "data=disk"], "data=disk needs data.root="),
    ],
)
def test_mistakes_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        compose_with_datasets("run", overrides)


@pytest.fixture
def with_row(tmp_path):
    """Hydra's own configuration of an experiment with a row that chooses MaxSquare."""
    (tmp_path / "sweep").mkdir()
    choices = "[{override /family: maxsquare}, {override /loss/target: max_square}]"
    (tmp_path / "sweep/trial.yaml").write_text(f"# @package _global_\ndefaults: {choices}\nmethod: {{weight: 0.09}}\n")

    def configure(experiment):
        overrides = [f"experiment={experiment}", "sweep=trial", f"hydra.searchpath=[file://{tmp_path}]"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose("run", overrides, return_hydra_config=True)

    return configure


def test_a_row_chooses_family_loss_and_values_of_an_experiment_that_leaves_them_open(with_row):
    cfg = with_row("gta5_cityscapes")
    check_row(cfg.hydra)
    assert cfg.hydra.runtime.choices.family == "maxsquare"
    assert cfg.loss.target._target_.endswith(".max_square")
    assert cfg.method.weight == 0.09


@pytest.mark.parametrize("experiment", ["uniseg_cib", "maxsquare_gta5_cityscapes"])
def test_a_row_on_an_experiment_with_a_method_of_its_own_is_refused(with_row, experiment):
    with pytest.raises(ValueError, match=f"sweep=trial: experiment={experiment} has a method.*open: .*gta5_cityscapes"):
        check_row(with_row(experiment).hydra)


def test_an_experiment_that_leaves_its_method_open_needs_a_row():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("run", ["experiment=gta5_cityscapes"], return_hydra_config=True)
    with pytest.raises(
        ValueError, match=r"leaves the method to a row of its table: sweep=<row>; there are source_only, .*dacs, "
    ):
        check_row(cfg.hydra)


def test_a_sweep_over_rows_is_composed_without_one_and_has_the_keys_of_their_stages():
    """As Hydra does first under -m, with the values that are not swept."""
    values = ["stage.adapt.steps=3", "stage.source.steps=2", "model.widths=[8,8,8,8,8]", "method.weight=1"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert compose("run", ["experiment=gta5_cityscapes", *values]).stage.adapt.steps == 3


def test_a_row_of_another_table_is_refused():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("run", ["experiment=gta5_cityscapes", "sweep=st"], return_hydra_config=True)
    with pytest.raises(ValueError, match="sweep=st: no row of experiment=gta5_cityscapes, whose rows are source_only"):
        check_row(cfg.hydra)
