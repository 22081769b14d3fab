import pytest

from mdseg.config.targets import check_targets, locate


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules of one's own where Python finds them: one that is in order, and some that are not."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_mine.py").write_text("VALUE = 3\n\n\nclass Focal:\n    def half(): ...\n")
    (tmp_path / "lacking.py").write_text("import not_installed\n")
    (tmp_path / "misspelt.py").write_text("def f(:\n")
    (tmp_path / "failing.py").write_text("open('nowhere')\n")
    (tmp_path / "leaving.py").write_text("import sys\n\nsys.exit()\n")


@pytest.mark.parametrize("target", ["of_mine.Focal", "of_mine.Focal.half", "mdseg.losses.cross_entropy.ce"])
def test_classes_and_functions_are_found(modules, target):
    assert callable(locate(target))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("elsewhere.focal", "Python finds no module elsewhere. It looks into the folder where the command is typed, "),
        ("elsewhere.focal", "set PYTHONPATH=<folder of elsewhere.py>"),
        ("of_mine.Fokal", "of_mine.Fokal: there is no Fokal in of_mine (did you mean Focal?)"),
        ("of_mine.Focal.third", "there is no third in of_mine.Focal"),
        ("mdseg.losses.cross_entropi.ce", "there is no cross_entropi in mdseg.losses (did you mean cross_entropy?)"),
        ("mdseg.losses.cross_entropy.cee", "there is no cee in mdseg.losses.cross_entropy (did you mean ce?)"),
        ("lacking.f", "module lacking cannot be imported (ModuleNotFoundError: No module named 'not_installed'"),
        ("misspelt.f", "module misspelt cannot be imported (SyntaxError: "),
        ("failing.f", "module failing cannot be imported (FileNotFoundError: "),
        ("leaving.f", "module leaving cannot be imported (SystemExit"),
        ("of_mine.VALUE", "expected a class or function, found int"),
        ("os.path", "expected a class or function, found module"),
        *(
            (target, "expected the full name of a class")
            for target in ("focal", "", ".focal", "a..b", "a b.c", 3, None)
        ),
    ],
)
def test_what_is_no_class_or_function_is_named_with_its_key(modules, target, message):
    with pytest.raises(ValueError, match=r"\S") as refused:
        check_targets({"loss": {"supervised": {"_target_": target}}, "datasets": {"a": {"_target_": "x"}}}, "datasets")
    assert str(refused.value).startswith("loss.supervised._target_: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_targets_in_lists_are_looked_at_too():
    with pytest.raises(
        ValueError,
        match=r"^transform\.augment\.1\._target_: albumentations\.Flipp: there is no",
    ):
        check_targets({"transform": {"augment": [{}, {"_target_": "albumentations.Flipp"}]}})
