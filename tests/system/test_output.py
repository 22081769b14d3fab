"""What a command prints."""

import io
import sys

import pytest

from mdseg.system.output import outlive_readers
from mdseg.system.wording import visible


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("said", ["café ┏━┓", "道路", "mIoU \udcff"])
def test_what_an_output_cannot_show_is_escaped(monkeypatch, encoding, said):
    """Tables have lines, and Linux names of files that are no text."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    outlive_readers()
    print(said, flush=True)
    assert written.getvalue().decode(encoding).strip() == said.encode(encoding, "backslashreplace").decode(encoding)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("street (1) é 道", "street (1) é 道"),
        ("a\x1b[31m.jpg", r"a\x1b[31m.jpg"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("a\udcff.png", r"a\udcff.png"),
        ("a\nmdseg: done", r"a\nmdseg: done"),
        ("a\r\tb", r"a\r\tb"),
    ],
)
def test_nothing_in_a_file_s_name_steers_the_terminal(text, shown):
    assert visible(text) == shown
    assert visible(f"{text}\nb", lines=True).splitlines()[-1] == "b"
