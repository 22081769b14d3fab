"""How messages name things."""

import pytest

from mdseg.system.wording import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.png: Straße, 道路", "a.png: Straße, 道路"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31mred.png", "\\x1b[31mred.png"),
        ("a\rb", "a\\rb"),
        ("\u202egnp.a", "\\u202egnp.a"),
        ("\udcff.png", "\\udcff.png"),  # of a name that is not in UTF-8
    ],
)
def test_what_would_command_a_terminal_is_written_out(text, shown):
    assert visible(text, lines=True) == shown
