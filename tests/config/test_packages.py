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
            content = text if isinstance(text, bytes) else text.encode()
            (tmp_path / group / f"{file}.yaml").write_bytes(content)
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


@pytest.mark.parametrize(
    "first",
    [
        "# @package datasets.one\r\n",
        "#@package datasets.one\n",
        "\n\n  # @package   datasets.one \n",
        "# @package a\n#@package datasets.one\n",
    ],
)
def test_ways_of_writing_the_line_that_hydra_reads(mine, first):
    assert list(composed("dataset=[idd,one]", mine(dataset__one=first + DESCRIPTOR)).datasets) == ["idd", "one"]


@pytest.mark.parametrize(
    "first",
    [
        "# @package: datasets.one\n",
        "# @Package datasets.one\n",
        "# mine\n# @package datasets.one\n",
        "---\n# @package datasets.one\n",
        "# @package datasets.one\n# @package datasets.two\n",
        "# @package 'datasets.one'\n",
        "# @package datasets.One\n",
    ],
)
def test_ways_of_writing_it_that_hydra_does_not_read_are_refused(mine, first):
    with pytest.raises(ValueError, match=r"one.yaml describes .*; its first line must be `# @package datasets.one`$"):
        composed("dataset=[idd,one]", mine(dataset__one=first + DESCRIPTOR))


def test_a_byte_order_mark_that_hides_the_line_is_named(mine):
    with pytest.raises(ValueError, match=r"`# @package datasets.one` \(a byte order mark before it hides it; save"):
        composed("dataset=[idd,one]", mine(dataset__one=f"\ufeff{header('one')}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("one").encode("utf-16"), "one.yaml: expected text in UTF-8"),
        (f"{header('one')}# caf\xe9".encode("latin-1"), "one.yaml: expected text in UTF-8"),
        (
            f"# @package datasets.one # mine\n{DESCRIPTOR}",
            "one.yaml: '# @package datasets.one # mine' is no line such as",
        ),
        (f"# @package\n{DESCRIPTOR}", "one.yaml: '# @package' is no line such as `# @package datasets.mine`"),
        (f"{header('one')}defaults: folder", "one.yaml: defaults: expected a list such as"),
        (f"{header('one')}defaults: [null]", "one.yaml: defaults: expected a list such as .*, got null"),
        (f"{header('one')}defaults: [{{/model: [a, 3]}}]", "one.yaml: defaults: expected a list such as .*'a', 3"),
    ],
)
def test_a_file_that_hydra_breaks_on_is_named(mine, content, message):
    with pytest.raises(ValueError, match=message):
        composed("dataset=[idd,one]", mine(dataset__one=content))


def test_a_dataset_that_an_experiment_names_twice_is_refused(mine):
    experiment = "# @package _global_\ndefaults: [{override /family: supervised}, {override /dataset: [idd, idd]}]\n"
    with pytest.raises(ValueError, match="dataset: idd stands there more than once"):
        compose_with_datasets("run", ["experiment=mine", mine(experiment__mine=experiment)])


def test_a_byte_order_mark_that_hides_the_line_of_an_experiment_is_named(mine):
    experiment = "\ufeff# @package _global_\ndefaults: [{override /family: supervised}]\n"
    with pytest.raises(
        ValueError, match="^experiment=mine: .*its first line must be .*a byte order mark before it hides"
    ):
        compose_with_datasets("run", ["experiment=mine", mine(experiment__mine=experiment)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evaluate: [idd]", "mine.yaml: evaluate: expected keys with values, got a list"),
        ("streams: [labelled]", "mine.yaml: streams: expected keys with values, got a list"),
        ("streams: {labelled: [idd]}", "mine.yaml: a list where keys with values belong, or the other"),
        ("transform: {augment: {x: 1}}", "or the other way round, below transform"),
    ],
)
def test_a_list_in_the_place_of_keys_is_named(mine, text, message):
    experiment = f"# @package _global_\ndefaults: [{{override /family: supervised}}]\n{text}\n"
    with pytest.raises(ValueError, match=re.escape(message)):
        compose_with_datasets("run", ["experiment=mine", mine(experiment__mine=experiment)])


@pytest.mark.parametrize("seed", ["064", "1:30"])
def test_a_number_that_yaml_reads_as_another_one_is_refused_in_every_file(mine, seed):
    experiment = f"# @package _global_\ndefaults: [{{override /family: supervised}}]\nseed: {seed}\n"
    with pytest.raises(ValueError, match=rf"mine.yaml, line 3: not readable YAML: {seed} would be read as"):
        compose_with_datasets("run", ["experiment=mine", mine(experiment__mine=experiment)])


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
