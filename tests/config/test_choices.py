"""Names of options on a command line: Hydra 1.3.8 drops some, lays others over each other, or ends in a TypeError."""

import re

import pytest

from mdseg.config.choices import check_choices, dataset_names


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset=[idd,bdd]", "model=small", "seed=3"],
        ["dataset=idd"],
        ["dataset=['idd']"],
        ["dataset=[]", "+dataset@datasets.second=folder"],
        ["dataset=[idd],[bdd]", "model=small,hrnet_w18"],  # a sweep
        ["model=glob(hr*)", "seed=range(3)"],
        ["model.widths=[8,8]", "~loss/target"],
        ["stages=[null_bce]", "evaluate.seen=[idd]"],
    ],
)
def test_names_of_options_are_taken(overrides):
    check_choices(overrides)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("null", "null"),
        ("[idd,null]", "['idd', None]"),
        ("[[idd]]", "[['idd']]"),
        ("[idd,3]", "['idd', 3]"),
        ("true", "True"),
        ("''", "''"),
        ("{idd:1}", "{'idd': 1}"),
        ("[idd],[bdd,null]", "['bdd', None]"),
    ],
)
def test_what_names_no_datasets_is_shown_with_what_does(value, got):
    message = f"dataset: expected names of datasets in brackets, such as dataset=[cityscapes,idd], got {got}"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_choices([f"dataset={value}"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset=[idd,idd]"], "dataset: 'idd' occur more than once"),
        (["dataset='[idd,bdd]'"], "'[idd,bdd]' is one text and no name"),
        (["dataset=[idd]", "dataset=[bdd]"], "dataset=[idd] and dataset=[bdd]: only the second would count"),
        (['dataset=["a\u200bb"]'], "dataset: name 'a\\u200bb' has a character that cannot be seen"),
        (["on=[idd]", "on=[bdd]"], "on=[idd] and on=[bdd]: only the second would count"),
        (["+dataset=[idd]", "dataset=[bdd]"], "only the second would count"),
        (
            ["model=[small,hrnet_w18]"],
            "model=[small,hrnet_w18]: expected the name of one option of model, got ['small'",
        ),
        (["loss/variation=3"], "expected the name of one option of loss/variation, got 3; there are blv, "),
        (["data=true"], "expected the name of one option of data, got True; there are disk, scenes"),
        (["model=[1,2]"], "model=[1,2]: expected the name of one option of model, got [1, 2]"),
        (["dataset={a:1}"], "dataset: expected names of datasets in brackets"),
        (["model=null"], "model=null: expected the name of one option of model, got null"),
        (["data=[disk,scenes]"], "expected the name of one option of data"),
        (["+loss/target=[null]"], "expected the name of one option of loss/target, got [None]"),
        (["label_space=3,union"], "expected the name of one option of label_space, got 3"),
    ],
)
def test_choices_that_hydra_would_drop_or_break_on_are_refused(overrides, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_choices(overrides)


def test_a_list_within_quotes_is_no_name():
    with pytest.raises(ValueError, match=r"on: '\[a,b\]' is one text and no name"):
        dataset_names("[a,b]")
