import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from mdseg import conf_dir
from mdseg.config.composition import check_row, compose_with_datasets, settle

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
        ([*ALONE, "+on=[zzz]"], r"no dataset 'zzz' \(one's own is .*\); there are bdd, "),
        ([*ALONE, "+on=a,b"], r"on: 'a,b' is one text and no name; in brackets .*, on=\[cityscapes,idd\]"),
        ([*ALONE, "+on=[]"], "on: expected names"),
        (["experiment=uniseg_cimb"], r"no experiment 'uniseg_cimb' \(did you mean uniseg_cim\?\)"),
        (["experiment=uniseg_cibm", "sead=1"], r"sead=1: there is no such key \(did you mean seed\?\)"),
        (["experiment=uniseg_cibm", "evaluation.shortside=1"], r"no such key \(did you mean evaluation.short_side\?\)"),
        (
            ["experiment=uniseg_cibm", "stage.null_bce.val_every=800"],
            r"write val_every=800 for all stages, or \+stage.null_bce.val_every=800 for this one",
        ),
        (["experiment=uniseg_cibm", "stage.null_bce.setps=3"], r"did you mean stage.null_bce.steps\?"),
        (["experiment=uniseg_cibm", "relations.across_only=true"], r"did you mean stage.relations.run.across_only\?"),
        ([*ALONE, "transform.augment={a:1}"], r"^transform.augment={a:1}: expected a list, got keys with values$"),
        ([*ALONE, "dataset=[idd,/x/bdd]"], r"there is no dataset '/x/bdd'.*; there are bdd, "),
        ([*ALONE, "dataset=[my_streets]"], r"'my_streets' \(one's own is <folder>/dataset/my_streets.yaml, with hydra"),
        ([*ALONE, "label_space=garden"], r"label_space 'garden' \(one's own is <folder>/label_space/garden.yaml"),
        (
            [*ALONE, "hydra.searchpath=[file:///nowhere]"],
            "^hydra.searchpath: /nowhere does not exist",
        ),
        ([*ALONE, "hydra.searchpath=null"], "hydra.searchpath=null"),
        (["experiment=uniseg_cibm", "data=disk"], "data=disk needs data.root="),
    ],
)
def test_mistakes_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        compose_with_datasets("run", overrides)


def hydra_of(*overrides):
    """Hydra's own configuration of a command."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("run", list(overrides), return_hydra_config=True)


def test_a_home_that_nobody_expands_is_answered_with_what_to_write():
    with pytest.raises(ValueError, match=r"^data.root=~/data: neither the shell nor Hydra knows ~ there; write \$HOME"):
        compose_with_datasets("run", ["experiment=supervised_bdd", "data.root=~/data"])


@pytest.fixture
def mine(tmp_path):
    """A folder of one's own on the search path: a row that chooses MaxSquare, and experiments."""
    for group in ("row", "experiment"):
        (tmp_path / group).mkdir()
    choices = "[{override /family: maxsquare}, {override /loss/target: max_square}]"
    (tmp_path / "row/trial.yaml").write_text(f"# @package _global_\ndefaults: {choices}\nmethod: {{weight: 0.09}}\n")
    for name, choice in (("fixed", "family: maxsquare"), ("named", "row: trial")):
        text = f"# @package _global_\ndefaults: [gta5_cityscapes, {{override /{choice}}}]\n"
        (tmp_path / f"experiment/{name}.yaml").write_text(text)
    return f"hydra.searchpath=[file://{tmp_path}]"


@pytest.mark.parametrize("experiment", ["gta5_cityscapes", "blv_gta5_cityscapes"])
def test_a_row_chooses_family_loss_and_values_of_an_experiment_that_leaves_them_open(mine, experiment):
    cfg = hydra_of(f"experiment={experiment}", "row=trial", mine)
    check_row(cfg.hydra)
    assert cfg.hydra.runtime.choices.family == "maxsquare"
    assert cfg.loss.target._target_.endswith(".max_square")
    assert cfg.loss.variation is None
    assert cfg.method.weight == 0.09


def test_an_experiment_names_a_default_row_that_another_replaces(mine):
    cfg = hydra_of("experiment=named", mine)
    check_row(cfg.hydra)
    assert (cfg.hydra.runtime.choices.row, cfg.method.weight) == ("trial", 0.09)
    cfg = hydra_of("experiment=named", "row=dacs", mine)
    check_row(cfg.hydra)
    assert (cfg.hydra.runtime.choices.family, cfg.loss.target) == ("self_training", None)


def test_rows_win_over_experiment_and_recipe():
    cfg = hydra_of("experiment=gta5_cityscapes", "row=oracle")
    assert cfg.streams.labelled.datasets == ["cityscapes"]
    cfg = hydra_of("experiment=gta5_cityscapes", "row=iw_multi", "scale=paper")
    assert (cfg.sizes.target, cfg.model.low_head) == ([640, 1280], True)


OWN_METHOD = "has a method of its own, of which a part would stay; rows are for .*: gta5_cityscapes, "


@pytest.mark.parametrize("row", ["row=trial", "row=iw", "+row=iw"])
def test_a_row_on_an_experiment_with_a_method_of_its_own_is_refused(mine, row):
    """Rows are no group of such an experiment; Hydra lets them in by +."""
    with pytest.raises(ValueError, match=f"^{row.lstrip('+')}: experiment=uniseg_cib {OWN_METHOD}"):
        check_row(hydra_of("experiment=uniseg_cib", row, mine).hydra if row[0] == "+" else in_a_command(row, mine))


def in_a_command(*overrides):
    return compose_with_datasets("run", ["experiment=uniseg_cib", *overrides])


def test_a_row_over_an_experiment_that_chooses_a_family_for_its_base_is_refused(mine):
    with pytest.raises(ValueError, match=f"^row=iw: experiment=fixed {OWN_METHOD}"):
        check_row(hydra_of("experiment=fixed", "row=iw", mine).hydra)


def test_an_experiment_that_leaves_its_method_open_needs_a_row():
    with pytest.raises(
        ValueError, match=r"leaves the method to a row of its table: row=<row>; there are source_only, .*dacs, "
    ):
        check_row(hydra_of("experiment=gta5_cityscapes").hydra)


@pytest.mark.parametrize("experiment", ["gta5_cityscapes", "maxsquare_gta5_cityscapes"])
def test_a_sweep_over_rows_is_composed_without_one_and_has_the_keys_of_their_stages(experiment):
    """As Hydra does first under -m, with the values that are not swept."""
    values = ["stage.adapt.steps=3", "stage.source.steps=2", "model.widths=[8,8,8,8,8]", "method.weight=1"]
    assert hydra_of(f"experiment={experiment}", *values).stage.adapt.steps == 3


@pytest.mark.parametrize("experiment", ["gta5_cityscapes", "maxsquare_gta5_cityscapes"])
def test_a_row_of_another_table_is_refused(experiment):
    with pytest.raises(ValueError, match=f"row=st: no row of experiment={experiment}, whose rows are source_only"):
        check_row(hydra_of(f"experiment={experiment}", "row=st").hydra)


@pytest.mark.parametrize(("name", "message"), [("../x", "becomes that of a folder"), ("null", "null is not a string")])
def test_a_run_s_name_is_that_of_a_folder(composed, name, message):
    with pytest.raises(ValueError, match=f"^name: .*{message}"):
        composed("experiment=uniseg_cib", f"name={name}")


def test_a_run_s_name_may_be_a_number(composed):
    assert composed("experiment=uniseg_cib", "name=2024").name == "2024"


def test_a_stage_s_origin_is_written_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    cfg = hydra_of("experiment=uniseg_cib", "stage.class_relational.from.model=other", "stage.relations.from=other")
    HydraConfig.instance().set_config(cfg)
    settle(cfg)
    assert cfg.stage.class_relational["from"] == {"model": str(tmp_path / "other"), "relations": "relations"}
    assert cfg.stage.relations["from"] == str(tmp_path / "other")
