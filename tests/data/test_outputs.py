import os
import re
from pathlib import Path

import pytest

from mdseg.data import outputs
from mdseg.data.outputs import check_names, output_names
from mdseg.system.files import write_text

FOLDERS = ("id", "color", "overlay")


def names_of(folder, *files):
    return output_names([folder / file for file in files], folder)


def test_files_that_differ_in_their_suffix_get_outputs_of_their_own(tmp_path):
    names = names_of(tmp_path, "a.jpg", "A.png", "a.jpg.png", "b.jpg", "sub/a.jpg")
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert (names[tmp_path / "b.jpg"], names[tmp_path / "sub/a.jpg"]) == ("b", "sub/a")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.jpg", "a.png/b.jpg"], ["a.jpg", "a.png/b"]),
        (["a.jpg", "A.JPG/b.jpg"], ["a.jpg", "A.JPG/b"]),
        (["x/é.jpg", "x/e\u0301.png"], ["x/é.jpg", "x/e\u0301.png"]),
        (["a/b.png", "a/b/c.png"], ["a/b", "a/b/c"]),
    ],
    ids=["a folder called as a picture", "in another case", "accents of two kinds", "a folder without suffix"],
)
def test_outputs_that_would_be_in_each_others_way_keep_their_suffix(tmp_path, files, expected):
    names = names_of(tmp_path, *files)
    assert list(names.values()) == expected
    check_names(names, tmp_path / "out", FOLDERS)


def test_an_output_that_would_be_a_folder_of_others_in_any_case_is_refused(tmp_path):
    names = names_of(tmp_path, "a.jpg", "a.png/b.jpg", "a.jpg.png/c.jpg")
    with pytest.raises(ValueError, match=r"1 images would be called as folders of others: a\.jpg\.png; rename"):
        check_names(names, tmp_path / "out", FOLDERS)


@pytest.mark.parametrize("letter", ["x", "é", "道"])
def test_names_as_long_as_the_file_system_takes_are_written(tmp_path, letter):
    stem = letter * (251 // len(letter.encode()))
    names = names_of(tmp_path, f"{stem}.jpg")
    check_names(names, tmp_path / "out", FOLDERS)
    write_text(tmp_path / "out/id" / f"{names[tmp_path / f'{stem}.jpg']}.png", "written")


@pytest.mark.parametrize(
    ("files", "output"),
    [
        (["x" * 251 + ".jpg", "x" * 251 + ".png"], "out"),
        (["y/" + "x" * 251 + ".jpg", "y/" + "x" * 251 + ".webp"], "out"),
        (["a.jpg"], "/".join(["z" * 200] * 25)),
    ],
    ids=["name", "name in a folder", "path"],
)
def test_names_that_become_too_long_are_refused_beforehand(tmp_path, files, output):
    names = names_of(tmp_path, *files)
    with pytest.raises(
        ValueError, match=rf"{len(files)} of {len(files)} images have names that are too long.*255 bytes"
    ):
        check_names(names, tmp_path / output, FOLDERS)


def test_names_that_are_one_to_the_output_s_file_system_are_refused(tmp_path, monkeypatch):
    names = names_of(tmp_path, "a.jpg", "A.JPG", "b.jpg")
    check_names(names, tmp_path / "out", FOLDERS)
    monkeypatch.setattr(outputs, "tells_cases_apart", lambda folder: False)
    with pytest.raises(ValueError, match=r"overwrite each other: .*a\.jpg, .*A\.JPG; rename them"):
        check_names(names, tmp_path / "out", FOLDERS)


def test_a_file_system_that_tells_no_cases_apart_is_recognised(tmp_path, monkeypatch):
    assert outputs.tells_cases_apart(tmp_path / "not/there")
    exists, samefile = Path.exists, Path.samefile
    real = os.path.realpath(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda self: str(self).casefold() in real.casefold() or exists(self))
    monkeypatch.setattr(Path, "samefile", lambda self, other: str(self).casefold() == str(other).casefold())
    assert samefile is not Path.samefile
    assert not outputs.tells_cases_apart(Path(real))


def test_the_message_names_the_folder_of_outputs(tmp_path):
    names = names_of(tmp_path, "x" * 251 + ".jpg", "x" * 251 + ".png")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "out"))):
        check_names(names, tmp_path / "out", FOLDERS)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("out/id/a.png/", r"there are folders where predictions would lie.*out/id/a\.png"),
        ("out/overlay/a.jpg/b.jpg", r"there are folders where predictions would lie.*out/overlay/a\.jpg"),
        ("out/color", "there are files where folders of predictions would lie.*out/color"),
    ],
)
def test_what_no_prediction_can_replace_is_refused_before_there_are_any(tmp_path, there, message):
    path = tmp_path / there
    path.mkdir(parents=True) if there.endswith("/") else write_text(path, "")
    with pytest.raises(ValueError, match=message):
        check_names(names_of(tmp_path, "a.jpg"), tmp_path / "out", FOLDERS)


def test_photographs_are_not_replaced_by_their_predictions(tmp_path):
    """Photographs lie in a folder that is called as one of the predictions, or that is linked to in its place."""
    for file in ("x.png", "id/x.png"):
        write_text(tmp_path / file, "")
    names = names_of(tmp_path, "x.png", "id/x.png")
    with pytest.raises(
        ValueError, match=r"would replace the photographs themselves: .*id/x\.png; choose another output"
    ):
        check_names(names, tmp_path, FOLDERS)
    check_names(names, tmp_path / "out", FOLDERS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/id").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"photographs themselves: .*out/id/x\.png"):
        check_names(names_of(tmp_path, "x.png"), tmp_path / "out", FOLDERS)


def test_links_to_photographs_may_be_replaced(tmp_path):
    write_text(tmp_path / "x.jpg", "photograph")
    (tmp_path / "out/overlay").mkdir(parents=True)
    (tmp_path / "out/overlay/x.jpg").symlink_to(tmp_path / "x.jpg")
    check_names(names_of(tmp_path, "x.jpg"), tmp_path / "out", FOLDERS)
    write_text(tmp_path / "out/overlay/x.jpg", "prediction")
    assert (tmp_path / "x.jpg").read_text() == "photograph"


def test_an_error_of_writing_names_the_file_that_was_to_be_written(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"/a\.png'$"):
        write_text(tmp_path / "a.png", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
