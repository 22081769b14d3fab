import pytest
from omegaconf import OmegaConf

from mdseg.config.composition import NO_ROOT
from mdseg.config.paths import write_in_full

GTA5 = {"_target_": "mdseg.data.layouts.gta5", "lists": None}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder where the command is typed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINE", "elsewhere")
    for name in ("table.yaml", "list.txt", "weights.pth", "relations.yaml", "counts.json", "home/table.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lists").mkdir()
    return tmp_path


def in_full(cfg):
    cfg = OmegaConf.create(cfg)
    write_in_full(cfg)
    return cfg


@pytest.mark.parametrize(
    ("root", "full"),
    [
        ("data", "data"),
        ("./data/", "data"),
        ("~/data", "home/data"),
        (2024, "2024"),
        ("${oc.env:MINE}/x", "elsewhere/x"),
    ],
)
def test_the_root_of_the_data_is_written_in_full_whether_it_is_there_or_not(here, root, full):
    assert OmegaConf.to_container(in_full({"data": {"root": root}})) == {"data": {"root": str(here / full)}}


def test_a_root_below_that_of_the_data_goes_on_following_it(here):
    cfg = in_full({"data": {"root": "data"}, "datasets": {"a": {"root": "${data.root}/a"}, "b": {"root": "b"}}})
    assert OmegaConf.to_container(cfg)["datasets"] == {"a": {"root": "${data.root}/a"}, "b": {"root": str(here / "b")}}
    assert cfg.datasets.a.root == str(here / "data/a")


def test_an_absolute_root_from_the_environment_does_not_stay_open(here, monkeypatch):
    monkeypatch.setenv("MINE", "/data")
    assert OmegaConf.to_container(in_full({"data": {"root": "${oc.env:MINE}"}}))["data"]["root"] == "/data"


def test_files_are_written_in_full_wherever_they_are_named(here):
    cfg = in_full(
        {
            "model": {"weights": "weights.pth"},
            "datasets": {"a": {"labels": "table.yaml"}, "b": {"labels": "~/table.yaml"}},
            "streams": {"one": {"labelled": "list.txt"}, "two": {"labelled": {"a": "list.txt"}}},
            "loss": {"supervised": {"relations": "relations.yaml"}, "variation": {"counts_file": "counts.json"}},
            "stage": {"fit": {"streams": {"one": {"labelled": "list.txt"}}, "model": {"weights": "${model.weights}"}}},
        }
    )
    assert cfg.model.weights == cfg.stage.fit.model.weights == str(here / "weights.pth")
    assert cfg.datasets.a.labels == str(here / "table.yaml")
    assert cfg.datasets.b.labels == str(here / "home/table.yaml")
    lists = (cfg.streams.one.labelled, cfg.streams.two.labelled.a, cfg.stage.fit.streams.one.labelled)
    assert set(lists) == {str(here / "list.txt")}
    assert cfg.loss.supervised.relations == str(here / "relations.yaml")
    assert cfg.loss.variation.counts_file == str(here / "counts.json")


def test_what_names_no_file_stays(here):
    (here / "cityscapes").mkdir()
    (here / "imagenet").touch()
    values = {
        "labels": "cityscapes",
        "weights": "imagenet",
        "labelled": "1/8",
        "file": "missing.pth",
        "open": "${no.key}",
    }
    assert OmegaConf.to_container(in_full({"model": values})) == {"model": values}


def test_lists_are_looked_for_here_or_below_the_root_as_the_layout_does(here):
    layouts = {
        "here": GTA5 | {"lists": "lists"},
        "below": {"_target_": "mdseg.data.layouts.folder", "lists": "list.txt"},
    }
    cfg = in_full(
        {"datasets": {name: {"layout": layout} for name, layout in layouts.items()} | {"c": {"layout": GTA5}}}
    )
    assert cfg.datasets.here.layout.lists == str(here / "lists")
    assert cfg.datasets.below.layout.lists == "list.txt"
    assert cfg.datasets.c.layout.lists is None


def test_a_run_keeps_them_in_its_configuration(composed, here):
    cfg = composed("experiment=supervised_idd", "data=disk", "data.root=data", "streams.labelled.labelled=list.txt")
    assert cfg.data.root == str(here / "data")
    assert cfg.datasets.idd.root == str(here / "data/idd")
    assert cfg.streams.labelled.labelled == str(here / "list.txt")


def test_a_root_that_is_null_is_asked_for(composed):
    with pytest.raises(ValueError, match=NO_ROOT.partition("=<")[0]):
        composed("experiment=supervised_idd", "data=disk", "data.root=null")
