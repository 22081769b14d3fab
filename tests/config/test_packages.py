"""Files whose first line says, or fails to say, where they belong: Hydra 1.3.8 takes them all without a word."""

import re

import pytest

from mdseg import conf_dir
from mdseg.config.composition import compose_with_datasets

DESCRIPTOR = """layout: {_target_: mdseg.data.layouts.folder, _partial_: true, image_dir: images, mask_dir: null}
root: /data
labels: null
evaluation_split: val
"""


@pytest.fixture
def mine(tmp_path):
    """A folder of one's own on the search path; files are written into it by their names."""

    def write(**files):
        for name, text in files.items():
            group, _, file = name.partition("__")
            (tmp_path / group).mkdir(exist_ok=True)
            (tmp_path / group / f"{file}.yaml").write_text(text)
        return f"hydra.searchpath=[file://{tmp_path}]"

    return write


def composed(*overrides):
    return compose_with_datasets("run", ["~experiment", "family=supervised", *overrides])


def header(name):
    return f"# @package datasets.{name}\n{DESCRIPTOR}"


def test_datasets_with_their_line_arrive(mine):
    path = mine(dataset__one=header("one"), dataset__two=header("two"))
    assert list(composed("dataset=[one,idd,two]", path).datasets) == ["one", "idd", "two"]


@pytest.mark.parametrize("datasets", ["[one]", "[idd,one]", "[one,idd]"])
@pytest.mark.parametrize("how", ["dataset=", "+on="])
def test_a_dataset_without_its_line_is_refused(mine, datasets, how):
    path = mine(dataset__one=DESCRIPTOR)
    message = "one.yaml describes dataset, not datasets.one; its first line must be `# @package datasets.one`"
    with pytest.raises(ValueError, match=re.escape(message)):
        composed(f"{how}{datasets}", path)


@pytest.mark.parametrize("datasets", ["[one,copy]", "[copy,one]", "[copy]"])
def test_a_copy_that_keeps_the_line_of_another_is_refused(mine, datasets):
    path = mine(dataset__one=header("one"), dataset__copy=header("one"))
    with pytest.raises(
        ValueError, match=r"dataset=copy: .*copy.yaml describes datasets.one, not datasets.copy; its fi"
    ):
        composed(f"dataset={datasets}", path)


def test_a_dataset_of_the_whole_run_is_refused(mine):
    path = mine(dataset__one=f"# @package _global_\n{DESCRIPTOR}")
    with pytest.raises(ValueError, match=r"one.yaml describes the whole run, not datasets.one"):
        composed("dataset=[one]", path)


def test_an_experiment_that_names_such_a_dataset_is_refused(mine):
    experiment = "# @package _global_\ndefaults: [{override /family: supervised}, {override /dataset: [one, idd]}]\n"
    path = mine(dataset__one=DESCRIPTOR, experiment__mine=experiment)
    with pytest.raises(ValueError, match="dataset=one: .* its first line must be `# @package datasets.one`"):
        compose_with_datasets("run", ["experiment=mine", path])


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("experiment", "val_every: 3\n"),
        ("experiment", "defaults: [{override /family: supervised}, {override /dataset: [idd]}]\nval_every: 3\n"),
        ("row", "val_every: 3\n"),
    ],
)
def test_what_belongs_to_the_whole_run_and_does_not_say_so_is_refused(mine, group, text):
    path = mine(**{f"{group}__mine": text})
    base = [] if group == "experiment" else ["experiment=gta5_cityscapes"]
    with pytest.raises(ValueError, match=rf"^{group}=mine: .*first line must be `# @package _global_`"):
        compose_with_datasets("run", [*base, f"{group}=mine", path])


@pytest.mark.parametrize(
    ("file", "choice"), [("dataset__idd", "dataset=[idd]"), ("model__small", "model=small"), ("scale__demo", "seed=1")]
)
def test_a_file_that_one_of_mdseg_s_own_hides_is_refused(mine, file, choice):
    group, name = file.split("__")
    with pytest.raises(ValueError, match=rf"{group}={name}: .*{name}.yaml is not read, .*conf/.* comes before it"):
        composed(choice, mine(**{file: "x: 1\n"}))


def test_a_copy_of_one_of_mdseg_s_own_changes_nothing(mine):
    composed("dataset=[idd]", mine(dataset__idd=(conf_dir() / "dataset/idd.yaml").read_text()))


def test_one_descriptor_may_be_loaded_under_another_name():
    cfg = composed("dataset=[]", "+dataset@datasets.second=folder")
    assert list(cfg.datasets) == ["second"]


@pytest.mark.parametrize(
    ("line", "message"),
    [("root: /other", 'one.yaml".* found duplicate key root'), ("sizes: [010]", "010 would be read as 8")],
)
def test_a_dataset_s_file_is_read_as_strictly_as_a_label_table(mine, line, message):
    path = mine(dataset__one=f"{header('one')}{line}\n")
    with pytest.raises(ValueError, match=message):
        composed("dataset=[one]", path)
