"""What tests of users' mistakes share."""

from contextlib import contextmanager

import pytest

from mdseg.config.messages import mistakes_as_messages


@contextmanager
def refused(*parts):
    """The body ends the process with exit code 1 and a message that has these parts, and without a traceback."""
    with pytest.raises(SystemExit) as ended, mistakes_as_messages():
        yield
    message = ended.value.code
    assert isinstance(message, str), "printed to stderr, exit code 1"
    for part in parts:
        assert part in message, message
    assert "Traceback" not in message
    assert message.startswith("mdseg: ")
    assert len(message.splitlines()) <= 3, message


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
