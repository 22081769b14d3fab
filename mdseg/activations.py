"""Multi-label maps of one or more runs side by side: where they see classes that the dataset does not annotate.

python -m mdseg.activations runs=[runs/multi_dataset_cibm/...,runs/uniseg_cibm/...] on=bdd
python -m mdseg.activations runs=[...] on=bdd 'classes=[lane marking - general,traffic sign (back)]' output=maps.png
python -m mdseg.activations runs=[...] images=photos/

runs=[...]        run folders, their stages' folders, or checkpoints; a column per run
on=bdd            dataset (conf/dataset) whose evaluation split is shown, from where the first run's data came from;
                  or from data=disk data.root=/datasets
images=photos/    instead of on=: a folder of photographs, searched with its subfolders, or files [a.jpg,b.png]
classes=[...]     default: the three that are most active on the images and that the dataset does not annotate
count=4           images, the first ones
device=cpu        default: a GPU if there is one
output=activations.png

A map shows at every pixel where the class stands between the model's weakest (0) and strongest (1) channel. A run that
cannot be read is named and left out, and the exit code is then 1.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mdseg.config.composition import answer, compose_as_in_run, quoted, values
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.values import check_command
from mdseg.system.files import output_file
from mdseg.system.output import outlive_readers

if TYPE_CHECKING:  # torch is imported only when work starts: --help answers at once
    from mdseg.data.pictures import Picture
    from mdseg.evaluation.predictor import Predictor
    from mdseg.labels.tables import LabelTable
    from mdseg.runs.trained import Trained

LISTS = ("runs", "images", "classes")
DEFAULT_CLASSES = 3


def quoted_names(argument: str) -> str:
    """An argument that lists names, with every name quoted for Hydra, to which parentheses and `=` mean something.

    Names that are quoted already stay as they are: those that hold a comma.
    """
    key, equals, value = argument.partition("=")
    if key not in LISTS or not equals or value == "null":
        return argument
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    items = [item.strip() for item in re.findall(r"""\s*"[^"]*"|\s*'[^']*'|[^,]+""", inside)]
    names = [item if item[:1] in ("'", '"') else '"' + item.replace('"', r"\"") + '"' for item in items if item]
    return f"{key}=[{','.join(names)}]"


def quoted_all(arguments: Sequence[str]) -> list[str]:
    """All arguments as Hydra is to read them."""
    return [quoted(quoted_names(argument), ["output"]) for argument in arguments]


def check(cfg: DictConfig) -> None:
    """Refuse what the command lacks or contradicts.

    Raises:
        ValueError: it says what to write.
    """
    if bool(cfg.on) == bool(cfg.images):
        raise ValueError("give either on=<dataset> or images=<folder of photographs>")
    if len(cfg.on) > 1:
        raise ValueError(f"on: one dataset at a time, got {', '.join(cfg.on)}")
    if cfg.classes is not None and not cfg.classes:
        raise ValueError("classes: name at least one, or leave it out for the most active ones")
    if Path(cfg.output).suffix.lower() != ".png" or Path(cfg.output).is_dir():
        raise ValueError(f"output={cfg.output}: expected the name of a PNG file, such as maps.png")
    there = output_file(cfg.output, "maps.png").resolve()
    if there.exists() and any(there.is_relative_to(Path(path).resolve()) for path in cfg.images or ()):
        raise ValueError(f"output={cfg.output} is one of the images; give a new file, or one in another folder")


def draw(overrides: Sequence[str]) -> None:
    """Draw the maps that a command asks for.

    Raises:
        ValueError: no runs, or options that do not go together.
    """
    overrides = quoted_all(overrides)
    given = values(overrides)
    paths = given.get("runs")
    if not paths:
        raise ValueError("runs=[...] is required: run folders, their stages' folders, or checkpoints")
    check_command("activations", given)
    from mdseg.config.keys import short_side
    from mdseg.evaluation import maps
    from mdseg.figures.drawing import save
    from mdseg.figures.maps import map_figure
    from mdseg.runs.trained import load_all
    from mdseg.system.devices import choose_device

    runs, problems = load_all(paths)
    cfg = compose_as_in_run("activations", overrides, runs[0].cfg, on=())
    check(cfg)
    device = choose_device(cfg.device)
    if cfg.classes:
        maps.check_classes(cfg.classes, [run.view for run in runs])
    shown, table = pictures_of(cfg)
    for run in runs:
        run.model.to(device)
    shown_at = [run.cfg.evaluation for run in runs]
    predictors = [
        run.predictor(short_side(evaluation, cfg.on[0]), cfg.on[0]) if cfg.on else run.predictor(evaluation.short_side)
        for run, evaluation in zip(runs, shown_at, strict=True)
    ]
    classes = cfg.classes or most_active(predictors, shown, table)
    if not classes:
        raise ValueError(f"the runs have only classes that {cfg.on[0]} annotates; name some: classes=[...]")
    rows = [maps.row(predictors, picture, classes) for picture in followed(shown, "drawing maps")]

    inside = [name for name in classes if table and name in table.names]
    which = "these classes" if inside or not cfg.on else f"classes that {cfg.on[0]} does not annotate"
    title = f"{cfg.on[0] if cfg.on else 'photographs'}: how strongly each model answers with {which}"
    names = [f"{name} (annotated)" if name in inside else name for name in classes]
    save(Path(cfg.output).expanduser(), map_figure(rows, names, run_labels(runs), table, title))
    how = "" if cfg.classes else " (the most active)"
    print(f"{cfg.output}: images {len(rows)}, runs {len(runs)}, classes {', '.join(classes)}{how}", flush=True)
    if problems:
        sys.exit(f"mdseg: {len(problems)} of {len(problems) + len(runs)} runs could not be read")


def pictures_of(cfg: DictConfig) -> "tuple[list[Picture], LabelTable | None]":
    """The images to draw, and the classes of their annotation, if there is one."""
    from mdseg.config.building import Datasets, prepare_data
    from mdseg.config.keys import descriptor
    from mdseg.data.pictures import annotated, photographs

    if not cfg.on:
        return photographs(cfg.images, cfg.count), None
    prepare_data(cfg)
    dataset = Datasets().open_labelled(cfg, cfg.on[0], descriptor(cfg, cfg.on[0]).evaluation_split)
    return annotated(dataset, cfg.count), dataset.table


def most_active(predictors: "Sequence[Predictor]", shown: "Sequence[Picture]", table: "LabelTable | None") -> list[str]:
    """Classes that are most active on the images and that the dataset does not annotate."""
    from mdseg.evaluation import maps

    # The logits of all images and channels would not fit in memory; predicting twice costs seconds.
    found = [
        maps.activity(predictor, picture, maps.outside(predictor.view, table))
        for picture in followed(shown, "choosing classes")
        for predictor in predictors
    ]
    return maps.most_active(found, DEFAULT_CLASSES)


def followed(items: Sequence[Any], description: str) -> Iterable[Any]:
    """The items, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, description, console=console, transient=True, disable=not console.is_terminal)


def run_labels(runs: "Sequence[Trained]") -> list[str]:
    """Experiment and loss of each run; runs that agree in both are told apart by folder, stage and checkpoint."""
    labels = [f"{run.cfg.name}\n{run.cfg.loss.supervised['_target_'].rsplit('.', 1)[-1]}" for run in runs]
    return [
        label if labels.count(label) == 1 else "\n".join([label, *run.path.parts[-4:-2], run.path.stem])
        for run, label in zip(runs, labels, strict=True)
    ]


def main() -> None:
    """The command line of `python -m mdseg.activations`."""
    outlive_readers()
    with mistakes_as_messages():
        if not answer(quoted_all(sys.argv[1:]), "activations", (__doc__ or "").strip()):
            draw(sys.argv[1:])


if __name__ == "__main__":
    main()
