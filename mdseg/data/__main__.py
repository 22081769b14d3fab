"""Look at data before training on it.

python -m mdseg.data check on=[idd]                   read every file: is the data usable? (exit code 0 or 1)
python -m mdseg.data browse on=[cityscapes]           an HTML page of samples before and after augmentation
"""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from mdseg import conf_dir
from mdseg.config.choices import dataset_names
from mdseg.config.composition import NO_ROOT, compose_with_datasets, settle
from mdseg.config.keys import descriptor, label_source, labelled_datasets, plain, stage_config
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.values import check_kinds, check_values
from mdseg.system.files import output_file
from mdseg.system.output import outlive_readers
from mdseg.system.wording import nearest

if TYPE_CHECKING:  # torch is imported only when work starts: --help answers at once
    from mdseg.config.building import Datasets
    from mdseg.data.selection import LoadedStream

HELP = {
    "check": """Read every file of datasets: missing pairs, unreadable or truncated files, sizes that differ, unknown
raw ids, photographs that are shown turned, images in two splits; count classes and sizes, mean and deviation. Exit code
0: usable, 1: not.

python -m mdseg.data check on=[idd,bdd]                               the embedded data
python -m mdseg.data check on=[idd] data=disk data.root=/datasets     /datasets/idd
python -m mdseg.data check on=[idd] data=disk data.root=/datasets datasets.idd.root=/elsewhere

on=[...]             names of conf/dataset
split=val            only this split
output=check.json    write the report, with all files, as JSON too
data.workers=8       threads that read""",
    "browse": """Write one HTML page, which needs nothing else, of stored images with their labels and of what training
makes of them: scaled, cropped, augmented, in the label space of the run.

python -m mdseg.data browse on=[cityscapes,idd]                       datasets alone, augmented as in the demos
python -m mdseg.data browse on=[idd] data=disk data.root=/datasets scale=paper
python -m mdseg.data browse experiment=uniseg_cibm scale=paper data=disk data.root=/datasets

on=[...]             names of conf/dataset; with experiment=, those of its streams' datasets to show (default: all)
split=val            of the datasets, where there is no experiment (default: train)
samples=4            images per dataset; seed=1 shows others
versions=3           augmented versions of each
output=browse.html
transform=uniseg     another augmentation; transform.crop=[240,320] and so on as in mdseg.run""",
}


def check(overrides: Sequence[str]) -> None:
    """Check datasets, print what was found, exit with 1 if one is not usable.

    Raises:
        ValueError: a split or value that does not exist.
    """
    cfg = compose_with_datasets("check", overrides)
    check_kinds(cfg, only=("data", "datasets"))
    from mdseg.config.building import label_table, layout_of, prepare_data
    from mdseg.data.check import check_dataset
    from mdseg.data.check_report import as_json, as_text
    from mdseg.data.dataset import load_table
    from mdseg.data.listing import SPLITS
    from mdseg.system.files import write_text

    if cfg.split not in (None, *SPLITS):
        raise ValueError(f"split: expected train, val or test, got {cfg.split!r}")
    if cfg.data.root is None:
        raise ValueError(NO_ROOT)
    output = None if cfg.output is None else output_file(cfg.output, "check.json")
    labelled = {name: label_source(descriptor(cfg, name)) is not None for name in cfg.on}
    tables = {name: label_table(cfg, name) if has else load_table(name, None) for name, has in labelled.items()}
    layouts = {name: layout_of(cfg, name) for name in cfg.on}
    prepare_data(cfg)
    reports = []
    for name, table in tables.items():
        described = descriptor(cfg, name)
        layout, split = layouts[name], described.evaluation_split
        reports.append(check_dataset(name, layout, described.root, table, split, cfg.split, cfg.data.workers))
        print(as_text(reports[-1]), end="\n\n", flush=True)
    if output is not None:
        document = {report.name: as_json(report) for report in reports}
        write_text(output, json.dumps(document, indent=1) + "\n")
        print(f"report: {cfg.output}")
    usable, unusable = ([report for report in reports if bool(report.errors) is wrong] for wrong in (False, True))
    if usable:
        print(
            f"usable: {', '.join(_counted(report.name, report.warnings, 'warning') for report in usable)}", flush=True
        )
    if unusable:
        counted = (_counted(report.name, report.errors, "error") for report in unusable)
        sys.exit(f"mdseg: not usable: {', '.join(counted)}")


def _counted(name: str, problems: Sequence[object], noun: str) -> str:
    return f"{name} ({len(problems)} {noun}{'s' * (len(problems) > 1)})" if problems else name


def browse(overrides: Sequence[str]) -> None:
    """Write a page of the images that streams train on."""
    cfg = compose_browse(overrides)
    output = output_file(cfg.output, "browse.html")
    from mdseg.config.building import Datasets, build_label_space, prepare_data
    from mdseg.data.browse import page
    from mdseg.data.datamodule import StreamDataset
    from mdseg.system.files import write_text

    if cfg.stages:
        cfg = stage_config(cfg, cfg.stages[0])
    space = build_label_space(cfg) if labelled_datasets(cfg) else None
    with open_dict(cfg):
        shown = {name for stream in shown_streams(cfg).values() for name in stream["datasets"]}
        cfg.datasets = {name: node for name, node in cfg.datasets.items() if name in shown}
    prepare_data(cfg)
    datasets = Datasets()
    if not any(override.startswith("experiment=") for override in overrides):
        set_unlabelled_apart(cfg, datasets)
    streams = shown_streams(cfg)
    data = StreamDataset(load_streams(cfg, streams, datasets), space, cfg.seed)
    title = f"{cfg.name}: {', '.join(cfg.datasets)}"
    details = f"{shlex.join(['python', '-m', 'mdseg.data', 'browse', *overrides])}\n\n"
    own = {name: {"transform": stream["transform"]} for name, stream in streams.items() if stream.get("transform")}
    details += OmegaConf.to_yaml({"transform": cfg.transform} | ({"streams": own} if own else {}), resolve=True)
    html = page(data, space, title, details, cfg.samples, cfg.versions)
    write_text(output, html)
    print(f"{cfg.output}: {len(html) / 1e6:.1f} MB", flush=True)


def compose_browse(overrides: Sequence[str]) -> DictConfig:
    """An experiment's configuration, or that of supervised training on the datasets of `on=`.

    Raises:
        ValueError: a key or value that does not exist, or no number of images.
    """
    if any(override.startswith("experiment=") for override in overrides):
        # `on` chooses among the experiment's datasets; all of them stay loaded, since they make its label space.
        chosen = [override for override in overrides if override.startswith("on=")]
        if len(set(chosen)) > 1:
            raise ValueError(f"{' and '.join(chosen)}: only the last would count; write all names into one")
        cfg = compose_with_datasets("browse", [override for override in overrides if override not in chosen])
        cfg.on = dataset_names(plain(OmegaConf.from_dotlist(chosen[-1:]))["on"]) if chosen else None
    else:
        cfg = compose_with_datasets("browse", ["~experiment", "family=supervised", "name=browse", *overrides])
        without = [name for name in cfg.on if label_source(descriptor(cfg, name)) is None]
        with open_dict(cfg):
            cfg.streams.labelled.update(split=cfg.split, datasets=[name for name in cfg.on if name not in without])
            cfg.streams.unlabelled = {**cfg.streams.labelled, "role": "unlabelled", "datasets": without}
    check_values(cfg)
    settle(cfg)
    return cfg


def set_unlabelled_apart(cfg: DictConfig, datasets: "Datasets") -> None:
    """Datasets that have no masks in the split go to a stream of their own, which shows their images alone."""
    opened = {name: datasets.open(cfg, name, cfg.split) for name in cfg.on}
    unlabelled = [name for name in cfg.on if all(sample.mask is None for sample in opened[name].samples)]
    cfg.streams.unlabelled.datasets = unlabelled
    cfg.streams.labelled.datasets = [name for name in cfg.on if name not in unlabelled]


def shown_streams(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The streams with those of their datasets that are to be shown.

    Raises:
        ValueError: `on` names a dataset that no stream has.
    """
    from mdseg.config.building import configured_streams

    streams = configured_streams(cfg)
    trained = {name for stream in streams.values() for name in stream["datasets"]}
    chosen = trained if cfg.on is None else set(cfg.on)
    if chosen - trained:
        raise ValueError(
            f"on: {cfg.name} does not train on {', '.join(sorted(chosen - trained))}, only on "
            f"{', '.join(sorted(trained))}; without experiment= any dataset can be shown"
        )
    restricted = {
        # What a batch is made of has no part in a page of single images.
        name: stream | {"datasets": [name for name in stream["datasets"] if name in chosen], "mixing": "concat"}
        for name, stream in streams.items()
    }
    return {name: stream for name, stream in restricted.items() if stream["datasets"]}


def load_streams(
    cfg: DictConfig, streams: Mapping[str, Mapping[str, Any]], datasets: "Datasets"
) -> "dict[str, LoadedStream]":
    """These streams of the configuration with their datasets and subsets."""
    from mdseg.config.building import build_transforms
    from mdseg.data.selection import select_streams

    return select_streams(streams, partial(datasets.load, cfg), build_transforms(cfg), cfg.seed)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"check": check, "browse": browse}


def main() -> None:
    """The command line of `python -m mdseg.data`."""
    outlive_readers()
    name, *overrides = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        datasets = ", ".join(sorted(path.stem for path in (conf_dir() / "dataset").glob("*.yaml")))
        print(f"{(__doc__ or '').strip()}\n\ndatasets: {datasets}\nMore: python -m mdseg.data <command> --help")
        return
    if name not in COMMANDS:
        sys.exit(f"mdseg: no command {name!r}{nearest(name, list(COMMANDS))}; there are {', '.join(COMMANDS)}")
    if {"-h", "--help"} & set(overrides):
        print(HELP[name])
        return
    with mistakes_as_messages():
        if not any(override.startswith(("on=", "experiment=")) for override in overrides):
            raise ValueError(f"{name} needs datasets: on=[idd,bdd] (python -m mdseg.data {name} --help)")
        COMMANDS[name](overrides)


if __name__ == "__main__":
    main()
