"""The arrows of the architecture: what each part of the package may import from the rest of it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mdseg"
ENTRY_POINTS = {"run", "stages", "configuration", "report", "callbacks", "figures", "signals", "ranks", "trained"}
ENTRY_POINTS |= {"evaluate", "predict", "activations", "compare", "composition"}
ALLOWED = {
    "references": set(),
    "wording": set(),
    "label_space": {"wording"},
    "upsample": set(),
    "argmax": {"upsample"},
    "checkpoints": set(),
    "relations": {"label_space", "wording"},
    "losses": {"losses", "upsample", "argmax", "label_space", "relations"},
    "metrics": {"argmax", "label_space"},
    "models": {"models", "upsample"},
    "data": {"data", "label_space", "wording", "checkpoints"},
    "scenes": {"scenes", "label_space"},
    "methods": {"methods", "models", "losses", "metrics", "argmax", "label_space", "relations", "upsample"},
    "logging": {"checkpoints", "label_space", "signals"},
    "results": {"configuration", "methods"},
}


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "mdseg" else [node.module]
            )
        else:
            continue
        for module in modules:
            name = module.split(".")
            if name[0] == "mdseg" and len(name) > 1 and name[1] != "conf_dir":
                yield name[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_architecture(path):
    part = part_of(path)
    if part in ENTRY_POINTS or part == "__init__" or path == PACKAGE / "data/__main__.py":
        return
    forbidden = set(imported_parts(path)) - ALLOWED[part]
    assert not forbidden, f"{part} must not import {forbidden}"


def test_the_command_line_does_not_import_torch():
    code = "import sys, mdseg.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
