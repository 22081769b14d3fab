"""Look at data before training on it.

python -m mdseg.data check on=[idd]                   read every file: is the data usable? (exit code 0 or 1)
python -m mdseg.data browse on=[cityscapes]           an HTML page of samples before and after augmentation
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mdseg.composition import compose_with_datasets, nearest
from mdseg.run import mistakes_as_messages

# torch is imported only when work starts: --help answers at once.

HELP = {
    "check": """Read every file of datasets: missing pairs, unreadable or truncated files, sizes that differ, unknown
raw ids, images that are in two splits; count classes and sizes, mean and deviation. Exit code 0: usable, 1: not.

python -m mdseg.data check on=[idd,bdd]                               the embedded data
python -m mdseg.data check on=[idd] data=disk data.root=/datasets     /datasets/idd
python -m mdseg.data check on=[idd] data=disk data.root=/datasets datasets.idd.root=/elsewhere

on=[...]             names of conf/dataset
split=val            only this split
output=check.json    write the report, with all files, as JSON too
data.workers=8       threads that read""",
}


def check(overrides: Sequence[str]) -> None:
    """Check datasets, print what was found, exit with 1 if one is not usable."""
    cfg = compose_with_datasets("check", overrides)
    from hydra.utils import instantiate

    from mdseg.checkpoints import write_text
    from mdseg.configuration import descriptor, label_table, prepare_data
    from mdseg.data.check import check_dataset
    from mdseg.data.check_report import as_json, as_text
    from mdseg.data.layouts import SPLITS

    if cfg.split not in (None, *SPLITS):
        raise ValueError(f"split: expected train, val or test, got {cfg.split!r}")
    prepare_data(cfg)
    reports = []
    for name in cfg.on:
        described = descriptor(cfg, name)
        layout = instantiate(described.layout, _convert_="all")
        table, split = label_table(cfg, name), described.evaluation_split
        reports.append(check_dataset(name, layout, described.root, table, split, cfg.split, cfg.data.workers))
        print(as_text(reports[-1]), end="\n\n", flush=True)
    if cfg.output is not None:
        document = {report.name: as_json(report) for report in reports}
        write_text(Path(cfg.output), json.dumps(document, indent=1) + "\n")
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


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"check": check}


def main() -> None:
    name, *overrides = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(f"{(__doc__ or '').strip()}\n\nMore: python -m mdseg.data <command> --help")
        return
    if name not in COMMANDS:
        sys.exit(f"mdseg: no command {name!r}{nearest(name, list(COMMANDS))}; there are {', '.join(COMMANDS)}")
    if {"-h", "--help"} & set(overrides):
        print(HELP[name])
        return
    with mistakes_as_messages():
        if not any(override.startswith(("on=", "experiment=")) for override in overrides):
            raise ValueError(f"{name} needs datasets: on=[idd,bdd] (python -m mdseg.data {name} --help)")
        try:
            COMMANDS[name](overrides)
        except KeyboardInterrupt:
            sys.exit("mdseg: stopped")


if __name__ == "__main__":
    main()
