"""Models side by side on one dataset: before and after adaptation, with and without BLV.

python -m mdseg.compare runs=[runs/maxsquare_gta5_cityscapes/.../source,runs/maxsquare_gta5_cityscapes/.../adapt]
python -m mdseg.compare runs=[run,run] networks=[student,teacher] on=cityscapes output=pictures/

runs=[...]        run folders, their stages' folders, or checkpoints
networks=[...]    such as student or teacher, one for each run; default, and null: the one of the run's headline
on=cityscapes     dataset (conf/dataset) whose evaluation split is used, from where the first run's data came from;
                  or from data=disk data.root=/datasets; default: the one that the first run evaluated
count=3           images whose predictions are drawn, the first ones
logits=40         pixels per class whose logits are drawn; 0: none
tsne.pixels=60    also draw encoder features, of so many pixels per class and dataset, of the classes that several
                  datasets that the runs evaluate have in common: tsne.png, and in tsne.json how well these mix;
                  tsne.datasets=[...] and tsne.classes=[...] for some of them
device=cpu        default: a GPU if there is one
output=folder     for predictions.png, classes.png, logits.png and compare.json; default: a new one, compare/<time>

A run that cannot be read is named and left out, and the exit code is then 1.

classes.png is the picture of the probability imbalance: IoU, mean probability and frequency of every class.
tsne.json has two numbers per run. Mixing: of a pixel's nearest neighbours in its class, the share from other datasets,
1 where datasets mix at random and 0 where they lie apart. Matching: of its nearest neighbours from other datasets, the
share of its class; a network that tells nothing apart mixes well, but does not match.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mdseg.config.composition import answer, compose_as_in_run, quoted, values
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.values import check_command
from mdseg.runs.folders import create_dated_folder
from mdseg.system.output import outlive_readers

if TYPE_CHECKING:  # torch is imported only when work starts: --help answers at once
    import torch
    from matplotlib.figure import Figure

    from mdseg.data.dataset import SegmentationDataset
    from mdseg.evaluation.shared_features import Shared
    from mdseg.figures.comparison import Answers
    from mdseg.labels.tables import LabelTable
    from mdseg.runs.trained import Trained


def check(cfg: DictConfig) -> None:
    """Refuse what the command lacks or contradicts.

    Raises:
        ValueError: it says what to write.
    """
    if len(cfg.on) != 1:
        raise ValueError(f"on=<dataset>: name one dataset to compare on, got {', '.join(cfg.on) or 'none'}")
    for key in ("datasets", "classes") if wants_tsne(cfg) else ():
        if cfg.tsne[key] is not None and not cfg.tsne[key]:
            raise ValueError(f"tsne.{key}: expected names in brackets, got none")
    if cfg.output is not None and Path(cfg.output).expanduser().is_file():
        raise ValueError(f"output={cfg.output}: that is a file; name a folder")


def wants_tsne(cfg: DictConfig) -> bool:
    """Whether features are to be drawn."""
    return cfg.tsne is not None and cfg.tsne.pixels is not None


def draw(overrides: Sequence[str]) -> None:
    """Measure the models of a command and draw the figures."""
    overrides = [quoted(override, ["output"]) for override in overrides]
    given = values(overrides)
    check_command("compare", given)
    runs, problems = load_runs(given)
    names = captions(runs)
    cfg = compose_as_in_run("compare", overrides, runs[0].cfg, on=evaluated_by(runs[:1]))
    check(cfg)
    from mdseg.config.building import Datasets, label_table, prepare_data
    from mdseg.config.keys import descriptor
    from mdseg.system.devices import choose_device

    device = choose_device(cfg.device)
    prepare_data(cfg)
    shared = share(overrides, runs, cfg) if wants_tsne(cfg) else None
    name, split = cfg.on[0], descriptor(cfg, cfg.on[0]).evaluation_split
    table, dataset = label_table(cfg, name), Datasets().open_labelled(cfg, name, split)
    found = {}
    for label, run in zip(names, runs, strict=True):
        print(f"{label}: evaluating on {name} ({len(dataset)} images)", flush=True)
        found[label] = measured(run, dataset, table, runs[0].cfg.evaluation, device, cfg)
    pictures = drawn(found, dataset, table, f"{name}, {split}", cfg)
    entries = {
        label: {
            "checkpoint": str(run.path.resolve()),
            "network": run.network,
            **class_numbers(found[label], table.names),
        }
        for label, run in zip(names, runs, strict=True)
    }
    documents = {"compare.json": {"on": name, "runs": entries}}
    lines = {label: miou_said(answers.iou, name) for label, answers in found.items()}
    if shared is not None:
        of_runs = dict(zip(names, runs, strict=True))
        pictures["tsne.png"], documents["tsne.json"] = features_drawn(of_runs, shared, device, cfg)
        for label, numbers in documents["tsne.json"]["runs"].items():
            means = {key: numbers[key] for key in numbers if key != "classes"}
            lines[label] += f"; classes in common: {said(**means)}"
    folder = create_dated_folder(Path("compare")) if cfg.output is None else Path(cfg.output).expanduser()
    write(folder, pictures, documents)
    for label, line in lines.items():
        print(f"{label}: {line}")
    print(f"{folder}: {', '.join([*pictures, *documents])}", flush=True)
    if problems:
        sys.exit(f"mdseg: {len(problems)} of {len(problems) + len(runs)} runs could not be read")


def evaluated_by(runs: "Sequence[Trained]") -> list[str]:
    """Datasets that the runs evaluate."""
    return list(dict.fromkeys(name for run in runs for names in run.cfg.evaluate.values() for name in names))


def load_runs(given: Mapping[str, Any]) -> "tuple[list[Trained], list[str]]":
    """The models of a command, and a line for each that cannot be read.

    Raises:
        ValueError, FileNotFoundError: none are named, or none of them can be read.
    """
    paths = given.get("runs")
    if not paths:
        raise ValueError("runs=[...] is required: run folders, their stages' folders, or checkpoints")
    paths = [paths] if isinstance(paths, str) else paths
    networks = given.get("networks") or [None] * len(paths)
    if isinstance(networks, str) or len(networks) != len(paths):
        raise ValueError(f"networks: expected a list of student, teacher or null for each of {len(paths)} runs")
    from mdseg.runs.trained import load_all

    return load_all(paths, networks)


def measured(
    run: "Trained",
    dataset: "SegmentationDataset",
    table: "LabelTable",
    evaluation: DictConfig,
    device: "torch.device",
    cfg: DictConfig,
) -> "Answers":
    """What a model answers on the dataset; it is on the device only meanwhile, so that one fits at a time.

    Args:
        evaluation: how images are shown and scored.
        cfg: the command's configuration.
    """
    from mdseg.config.keys import short_side
    from mdseg.data.datamodule import EvaluationData
    from mdseg.evaluation.answers import answers

    run.model.to(device)
    predictor = run.predictor(short_side(evaluation, dataset.name), dataset.name)
    data = EvaluationData(
        evaluated={dataset.name: dataset},
        workers=cfg.data.workers,
        evaluation_batch_size=1,
        evaluation_short_side=predictor.short_side,
        score_at=evaluation.score_at,
        multiple=predictor.multiple,
        refusal=getattr(run.model, "refusal", None),
    )
    data.check(world_size=1)
    data.shifts = run.shifts_of([dataset.name])
    space = run.view.of(table, dataset.name)
    found = answers(predictor, space, data.val_dataloader(), cfg.count, cfg.logits, cfg.seed)
    run.model.cpu()
    return found


def drawn(
    found: "Mapping[str, Answers]", dataset: "SegmentationDataset", table: "LabelTable", title: str, cfg: DictConfig
) -> "dict[str, Figure]":
    """The figures by the names of their files."""
    from mdseg.figures import comparison as figure

    shown = range(min(cfg.count, len(dataset)))
    images, masks = [dataset.image(index) for index in shown], [dataset.mask(index) for index in shown]
    pictures = {
        "predictions.png": figure.prediction_figure(images, masks, found, table.names, table.colors, title),
        "classes.png": figure.class_figure(found, table.names, f"{title}: classes from frequent to rare"),
    }
    if cfg.logits:
        title = f"{title}: t-SNE of the logits of the same {cfg.logits} pixels per class"
        pictures["logits.png"] = figure.logit_figure(found, table.names, table.colors, cfg.seed, title)
    return pictures


def share(overrides: Sequence[str], runs: "Sequence[Trained]", cfg: DictConfig) -> "Shared":
    """Pixels of the classes that several datasets have: those that are named, or that the runs evaluate.

    Raises:
        ValueError: no such class, or one that is asked for is not.
    """
    from mdseg.config.building import Datasets, prepare_data
    from mdseg.config.keys import descriptor
    from mdseg.evaluation.shared_features import Shared

    names = list(cfg.tsne.datasets or evaluated_by(runs))
    others = [override for override in overrides if override.partition("=")[0] != "on"]
    whole = compose_as_in_run("compare", [*others, f"on=[{','.join(names)}]"], runs[0].cfg, on=names)
    prepare_data(whole)
    opened = Datasets()
    datasets = {name: opened.open_labelled(whole, name, descriptor(whole, name).evaluation_split) for name in names}
    return Shared.drawn(datasets, cfg.tsne.classes, cfg.tsne.pixels, cfg.seed)


def features_drawn(
    runs: "Mapping[str, Trained]", shared: "Shared", device: "torch.device", cfg: DictConfig
) -> "tuple[Figure, dict[str, Any]]":
    """The features of the same pixels in every network: a picture, and how well matching classes mix in numbers."""
    from mdseg.config.keys import short_side
    from mdseg.evaluation.shared_features import alignment, features_of
    from mdseg.figures.comparison import feature_figure

    evaluation = next(iter(runs.values())).cfg.evaluation
    features, numbers = {}, {}
    for label, run in runs.items():
        print(f"{label}: features of {len(shared.pixels.labels)} pixels of {', '.join(shared.datasets)}", flush=True)
        run.model.to(device)
        of_run = features_of(
            {name: run.predictor(short_side(evaluation, name), name) for name in shared.datasets}, shared
        )
        run.model.cpu()
        found = alignment(of_run, shared.pixels, cfg.tsne.neighbours)._asdict()
        means = {key: as_number(number_mean(values)) for key, values in found.items()}
        features["\n".join([*label.split(", "), said(**means)])] = of_run
        of_classes = {key: named(values, shared.pixels.names) for key, values in found.items()}
        numbers[label] = {**means, "classes": of_classes}
    title = f"t-SNE of encoder features of the same pixels, {cfg.tsne.pixels} per class and dataset"
    figure = feature_figure(features, shared.pixels, cfg.tsne.perplexity, cfg.seed, title)
    counted = {name: len(places.label) for name, places in shared.places.items()}
    return figure, {"pixels": counted, "neighbours": cfg.tsne.neighbours, "runs": numbers}


def miou_said(iou: Any, dataset: str) -> str:
    """The mean IoU in words."""
    miou = as_number(number_mean(iou))
    if miou is None:
        return f"mIoU undefined: no labelled pixel of {dataset} is of a class that the model tells from others"
    return f"mIoU {100 * miou:.1f} %"


def said(mixing: float | None, matching: float | None, chance: float | None) -> str:
    """The numbers of tsne.json as a person reads them."""
    first, second, third = ("–" if value is None else f"{value:.2f}" for value in (mixing, matching, chance))
    return f"mixing {first}, matching {second} (by chance {third})"


def write(folder: Path, pictures: "Mapping[str, Figure]", documents: Mapping[str, Any]) -> None:
    """The figures and what stands beside them in numbers."""
    from mdseg.figures.drawing import save
    from mdseg.system.files import write_text

    for file, picture in pictures.items():
        save(folder / file, picture)
    for file, document in documents.items():
        write_text(folder / file, json.dumps(document, indent=2, allow_nan=False) + "\n")


def captions(runs: "Sequence[Trained]") -> list[str]:
    """Experiment, row of its table, stage and network of each run; where they agree in all, folder and checkpoint, too.

    Raises:
        ValueError: one network stands twice.
    """
    short = [", ".join(filter(None, (run.cfg.name, run.cfg.get("row"), run.stage, run.network))) for run in runs]
    dated = [", ".join([label, *run.path.parts[-4:-3], run.path.stem]) for run, label in zip(runs, short, strict=True)]
    whole = [", ".join(filter(None, (str(run.path.resolve()), run.network))) for run in runs]
    twice = [label for label in whole if whole.count(label) > 1]
    if twice:
        raise ValueError(f"runs: {twice[0]} stands there twice; two networks of a run: networks=[student,teacher]")
    unique = {label for label in (*short, *dated) if (*short, *dated).count(label) == 1}
    return [
        next((label for label in choices if label in unique), choices[-1])
        for choices in zip(short, dated, whole, strict=True)
    ]


def number_mean(iou: Any) -> float:
    """Mean over the classes that have an IoU."""
    present = [float(value) for value in iou if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan


def class_numbers(answers: "Answers", names: Sequence[str]) -> dict[str, Any]:
    """mIoU, and IoU, probability and share of every class as a file holds them."""
    columns = ("iou", "probability", "predicted", "annotated")
    return {"miou": as_number(number_mean(answers.iou))} | {
        column: named(getattr(answers, column), names) for column in columns
    }


def named(values: Any, names: Sequence[str]) -> dict[str, float | None]:
    """The value of every class as a file holds it."""
    return {name: as_number(value) for name, value in zip(names, values, strict=True)}


def as_number(value: float) -> float | None:
    """A value as a file holds it: null where there is none."""
    return None if math.isnan(value) else round(float(value), 5)


def main() -> None:
    """The command line of `python -m mdseg.compare`."""
    outlive_readers()
    with mistakes_as_messages():
        if not answer(sys.argv[1:], "compare", (__doc__ or "").strip()):
            draw(sys.argv[1:])


if __name__ == "__main__":
    main()
