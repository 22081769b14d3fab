"""What a stage always logs: metrics.csv, append-only and exact across a resume, and its pictures."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from mdseg.figures.drawing import save
from mdseg.runs.dashboard import Dashboard
from mdseg.system.documents import read_text, shown
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
        """Drop the rows of this step and later ones: a resumed run writes them again.

        Raises:
            ValueError: the file is no log of ours.
        """
        if not self.path.exists():
            return
        kept = [row.text for row in read_rows(self.path) if row.step < step]
        write_text(self.path, "".join(f"{line}\n" for line in (",".join(HEADER), *kept)))


class Row(NamedTuple):
    """A row of a log, and how it stands in the file."""

    step: int
    name: str
    value: float
    text: str


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a metrics.csv; a last one without its end, which a kill can leave, is left out.

    Raises:
        ValueError: the file is no log of ours; the line is named.
    """
    *lines, _ = read_text(path).split("\n")
    if lines and lines[0].rstrip("\r") != ",".join(HEADER):
        raise ValueError(f"{path}: expected {','.join(HEADER)} in the first line, found {shown(lines[0])}")
    for number, line in enumerate(lines[1:], start=2):
        try:
            step, name, value = next(csv.reader([line], strict=True))
            yield Row(int(step), name, float(value), line)
        except (ValueError, StopIteration, csv.Error) as error:
            said = f"expected {','.join(HEADER)}, found {shown(line)}; mend or remove it"
            raise ValueError(f"{path}, line {number}: {said}") from error


def read_metrics(path: Path) -> dict[str, dict[int, float]]:
    """What a metrics.csv holds: name → step → value, in the order of the file.

    Raises:
        ValueError: the file is no log of ours.
    """
    series: dict[str, dict[int, float]] = defaultdict(dict)
    for row in read_rows(path):
        series[row.name][row.step] = row.value
    return dict(series)
