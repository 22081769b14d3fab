"""The arrows of the architecture: what each room of the package may import from the others."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mdseg"
# Rooms and those they may import, besides themselves. Commands are the modules at the top and every __main__: what one
# types. Nothing imports them, nor they each other; `mdseg` itself, the package's own module, imports no room.
ROOMS = {
    "system": set(),
    "pixels": set(),
    "labels": {"system"},
    "losses": {"labels", "pixels", "system"},
    "models": {"system"},
    "data": {"labels", "system"},
    "scenes": {"labels"},
    "figures": {"labels", "system"},
    "evaluation": {"data", "figures", "labels", "pixels", "system"},
    "config": {"data", "evaluation", "labels", "system"},
    "runs": {"config", "evaluation", "figures", "labels", "models", "system"},
    "methods": {"evaluation", "figures", "labels", "losses", "models", "pixels", "system"},
    "stages": {
        *(
            "config",
            "data",
            "evaluation",
            "figures",
            "labels",
            "losses",
            "methods",
            "models",
            "pixels",
            "runs",
            "system",
        ),
    },
}
COMMANDS = {"run", "evaluate", "predict", "report", "compare", "activations"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    """Room of a module of the package; None for the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__init__",):
        return None
    return "commands" if len(parts) == 1 or parts[-1] == "__main__" else parts[0]


def imported(path):
    """Modules of the package that a file imports, wherever in it, with relative imports written out."""
    package = ("mdseg", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            modules = [f"{module}.{alias.name}" for alias in node.names] if module == "mdseg" else [module]
        else:
            continue
        yield from (module for module in modules if module.split(".")[0] == "mdseg" and module != "mdseg.conf_dir")


def rooms_imported(path):
    """Rooms that a file imports."""
    for module in imported(path):
        found = PACKAGE.joinpath(*module.split(".")[1:])
        yield room_of(found.with_suffix(".py")) if found.with_suffix(".py").exists() else module.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_architecture(path):
    room = room_of(path)
    allowed = set(ROOMS) if room == "commands" else set() if room is None else {room, *ROOMS[room]}
    forbidden = set(rooms_imported(path)) - allowed
    assert not forbidden, f"{room} must not import {forbidden}"


def test_no_arrow_runs_in_a_circle():
    list(TopologicalSorter(ROOMS).static_order())


def test_every_room_is_known_and_every_arrow_is_used():
    """A room without a rule would be free; a rule that nothing needs would hide the next arrow that climbs."""
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(ROOMS)
    used = {room: set() for room in ROOMS}
    for path in MODULES:
        if room_of(path) in used:
            used[room_of(path)] |= set(rooms_imported(path)) - {room_of(path)}
    assert used == ROOMS


def test_at_the_top_lie_only_the_commands():
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == COMMANDS


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_says_what_lives_there(room):
    words = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    for other in ROOMS[room]:
        assert other in words, f"mdseg/{room}/__init__.py does not say that it may import {other}"
    assert len(words.splitlines()) >= 3


def test_the_command_line_does_not_import_torch():
    code = "import sys, mdseg.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
