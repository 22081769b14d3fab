"""Runs as small as they get."""

import subprocess
import sys
from pathlib import Path

# Network, crops and datasets in miniature: whether the parts fit together, in seconds.
SMOKE = [
    "model.widths=[8,8,8,8,8]",
    "transform.crop=[32,48]",
    "transform.short_side=40",
    "evaluation.short_side=40",
    "streams.labelled.batch_size=4",
    "data.workers=0",
    "data.height=40",
    "data.fraction=0.02",
    "panels=1",
    "log_every=1",
    "trainer.enable_progress_bar=false",
]


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m mdseg.run` with these arguments, in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "mdseg.run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
