"""What a stage always logs: metrics.csv, append-only and exact across a resume, and its pictures."""

import csv
import io
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from mdseg.figures.drawing import save
from mdseg.runs.dashboard import Dashboard
from mdseg.system.files import naming, write_text

HEADER = ["step", "name", "value"]


class StageLog(Logger):
    """Appends `step,name,value` rows to metrics.csv and saves pictures, on disk first, then for the mirror.

    Lightning's own CSV logger rewrites its file and loses the rows before a resume.

    Args:
        folder: of the stage; gets metrics.csv and figures/.
    """

    def __init__(self, folder: Path, mirror: Dashboard | None = None) -> None:
        super().__init__()
        self.folder, self.mirror = folder, mirror or Dashboard()
        self.path = folder / "metrics.csv"

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def version(self) -> None:
        """None: there is one file, and the progress bar need not show a number."""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the resolved configuration lies beside the file."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step is None:
            raise ValueError(f"{self.path}: its rows have a step; log_metrics needs one")
        metrics = {name: value for name, value in metrics.items() if name != "epoch" and not math.isnan(value)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self.path.exists():
            writer.writerow(HEADER)
        writer.writerows((step, name, value) for name, value in metrics.items())
        with naming(self.path), self.path.open("a") as file:
            file.write(text.getvalue())
        self.mirror.log(metrics, step)

    @rank_zero_only
    def picture(self, name: str, figure: Figure) -> None:
        """Save a figure as figures/<name>.png."""
        path = self.folder / "figures" / f"{name}.png"
        save(path, figure)
        self.mirror.picture(name, path)

    @rank_zero_only
    def restart_at(self, step: int) -> None:
        """Drop the rows of this step and later ones: a resumed run writes them again."""
        if not self.path.exists():
            return
        kept = [row for row in self.path.read_text().splitlines(keepends=True)[1:] if _before(row, step)]
        write_text(self.path, ",".join(HEADER) + "\n" + "".join(kept))


def _before(row: str, step: int) -> bool:
    # A kill can leave a last row without its end.
    return row.endswith("\n") and int(row.split(",", 1)[0]) < step


def read_metrics(path: Path) -> dict[str, dict[int, float]]:
    """What a metrics.csv holds: name → step → value, in the order of the file."""
    series: dict[str, dict[int, float]] = defaultdict(dict)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            series[row["name"]][int(row["step"])] = float(row["value"])
    return dict(series)
