"""Predict the classes of photographs with a trained model.

python -m mdseg.predict run=runs/uniseg_cibm/2026-11-21_10-00-00 images=photos/ output=masks/
python -m mdseg.predict run=model.ckpt images=street.jpg output=masks/ space=cityscapes19

run=...               a run folder, its stage's folder, or a checkpoint file
images=photos/        a folder, searched with its subfolders, linked ones too, for jpg, jpeg, png, bmp, webp, tif and
                      tiff; or one file
output=masks/         new or empty, unless there is overwrite=true
space=...             the classes to choose from; default: all of the run. A dataset of the run, a table of conf/labels,
                      a YAML file with such a table, or cityscapes19, synthia16, nthu13
ids=raw               what output/id holds: the raw ids of the space's table, in its encoding (grey, palette, rgb or
                      16 bits), as the masks of the dataset are; default: index, numbers that classes.csv explains
stage=null_bce        of a run folder; default: its last one
checkpoint=best       default: last
network=teacher       or student, of a run that trained both, or another of the answers that its results have beside
                      one another; default: the headline
short_side=512        pixels at which the network sees an image; default: as the run was evaluated
device=cpu            default: a GPU if there is one

output/id/*.png       8-bit grey: the class's number in classes.csv at every pixel, never 255; see ids=
output/color/*.png    the class's colour
output/overlay/*.jpg  the colours over the photograph

All have the size of the photograph, the right way up; alpha channels are left out. A file that cannot be read is
reported and left out, and the exit code is then 1.

Memory: the network sees at most 4 megapixels at a time (2048 × 2048, at short_side); of more than that it sees windows
that overlap, near whose borders a class may be another than after a look at the whole. Besides it takes up to 10 bytes
per pixel of a photograph, at most 4 GiB: larger photographs than 429 megapixels are reported and left out, and those
above 71 megapixels are read and written one at a time.
"""

import csv
import io
import os
import shlex
import sys
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from mdseg import conf_dir
from mdseg.config.composition import answer, compose_with_datasets, quoted
from mdseg.config.messages import mistakes_as_messages
from mdseg.config.values import whole
from mdseg.data.outputs import check_names, output_names
from mdseg.system.output import outlive_readers
from mdseg.system.wording import Remark, nearest, shortened, visible

if TYPE_CHECKING:  # torch is imported only when work starts: --help and --cfg answer at once
    import numpy as np

    from mdseg.data.reading import Header
    from mdseg.evaluation.predictor import Predictor
    from mdseg.labels.spaces import EvaluationSpace
    from mdseg.labels.tables import Color, LabelTable
    from mdseg.runs.trained import Trained

PATHS = ("run", "images", "output", "space")
FOLDERS = ("id", "color", "overlay")
NOTED = "predict.yaml"  # what was predicted with, in the output
OPACITY = 0.5  # of the colours over the photograph
JPEG_LIMIT = 65500  # pixels a side
THREADS = 4
AHEAD = 2  # photographs read before their turn, and predictions waiting to be written
LARGEST = (4 << 30) // 10  # pixels of a photograph, of which each takes 10 bytes at most
LARGE = LARGEST // (2 * AHEAD + 2)  # pixels of photographs of which as many may be in memory together


def predict(overrides: Sequence[str]) -> None:
    """Predict all images of a command; the process ends with 1 if some could not be."""
    from mdseg.data.reading import read_headers
    from mdseg.data.survey import remarks

    cfg = compose_with_datasets("predict", [quoted(override, PATHS) for override in overrides])
    check(cfg)
    output, images = Path(cfg.output).expanduser(), Path(cfg.images).expanduser()
    check_output(output, cfg.overwrite)
    found = find_images(images, output)
    files = output_names(found, images)
    check_names(files, output, FOLDERS)
    headers = dict(zip(found, read_headers(found), strict=True))
    for remark in remarks(headers):
        warnings.warn(remark, Remark, stacklevel=2)

    from mdseg.data.mask_files import encoder, first_raw_ids
    from mdseg.runs.trained import load_trained
    from mdseg.system.devices import choose_device
    from mdseg.system.files import write_text

    device = choose_device(cfg.device)
    trained = load_trained(Path(cfg.run).expanduser(), cfg.stage, cfg.checkpoint, cfg.network)
    space = space_of(cfg.space, trained)
    if cfg.short_side == "run":
        cfg.short_side = trained.cfg.evaluation.short_side
    cfg.checkpoint, cfg.stage, cfg.network = str(trained.path.resolve()), trained.stage, trained.network
    table = table_of(cfg.space, trained) if cfg.ids == "raw" else None
    encode = encoder(table)
    shown = range(len(space.names)) if table is None else map(table.show, first_raw_ids(table))
    trained.model.to(device)
    write_text(output / "classes.csv", classes_csv(space, shown))
    record = f"# python -m mdseg.predict {shlex.join(overrides)}\n{OmegaConf.to_yaml(cfg)}"
    write_text(output / NOTED, visible(record, lines=True))
    failed = predict_all(files, output, trained.predictor(cfg.short_side), space, encode, alone=large(headers))
    print(f"{len(files) - len(failed)} images: {output} ({', '.join(FOLDERS)}, classes.csv)", flush=True)
    if failed:
        names = shortened([str(path) for path in failed])
        sys.exit(f"mdseg: {len(failed)} of {len(files)} images could not be predicted: {visible(names)}")


def check(cfg: DictConfig) -> None:
    """Refuse what the command lacks or what cannot be.

    Raises:
        ValueError: it names the key.
    """
    for key in ("run", "images", "output"):
        if OmegaConf.is_missing(cfg, key) or cfg[key] is None:
            raise ValueError(f"{key}=... is required; --help says what it is")
    if cfg.short_side not in ("run", None) and not whole(1).fits(cfg.short_side):
        raise ValueError(f"short_side: expected a number of pixels, null or run, got {cfg.short_side!r}")
    if cfg.ids not in ("index", "raw"):
        raise ValueError(f"ids: expected index or raw, got {cfg.ids!r}")
    if cfg.ids == "raw" and cfg.space is None:
        raise ValueError("ids=raw: raw ids are those of a label table; set space=<dataset, table or YAML file>")


def find_images(images: Path, output: Path) -> list[Path]:
    """The file, or the images of a folder and its subfolders without hidden files and what an earlier output wrote.

    Raises:
        FileNotFoundError: there is no such file or folder, or no image in it.
        ValueError: what is called like an image is no regular file.
    """
    from mdseg.data.listing import IMAGES
    from mdseg.data.pictures import listed_images

    if not os.path.lexists(images):
        raise FileNotFoundError(f"images={images}: there is no such file or folder")
    earlier = FOLDERS if (output / NOTED).is_file() else ()  # elsewhere a folder of this name holds photographs
    found, no_images = listed_images(images, without=[output / folder for folder in earlier])
    others = shortened([path.name for path in no_images])
    if not found:
        there = f"there are {others}" if others else "it is empty"
        raise FileNotFoundError(f"images={images}: no file in it ends in {', '.join(IMAGES)}; {there}")
    if others:
        print(f"mdseg: left out of {images}, not images by their names: {visible(others)}", file=sys.stderr)
    return found


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse to mix predictions with what is there already.

    Raises:
        ValueError: the output is a file, or a folder that is not empty.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"output={output} is a file; give a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise ValueError(f"output={output} is not empty; give a new folder, or overwrite=true to replace what is there")


def space_of(name: str | None, trained: "Trained") -> "EvaluationSpace":
    """The classes to choose from and the model's channels for them; null: all of the model's own.

    Raises:
        FileNotFoundError: there is no such space.
        ValueError: the model has a channel for none of its classes.
    """
    if name is None:
        return trained.view.all_classes()
    table = table_of(name, trained)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said below in the words of a prediction
        try:
            space = trained.view.of(table, name)
        except ValueError as error:
            raise ValueError(f"space={name}: {error}") from error
    if space.unmapped:
        warnings.warn(
            f"space={name}: the model has no channel for {len(space.unmapped)} of its {len(space.names)} classes and "
            f"will not predict them: {shortened(space.unmapped)}",
            Remark,
            stacklevel=2,
        )
    return space


def table_of(name: str, trained: "Trained") -> "LabelTable":
    """The label table that a name stands for: of a dataset of the run, a file, a table, a list of a label space.

    Raises:
        FileNotFoundError: it stands for none.
    """
    from mdseg.config.building import label_table
    from mdseg.labels.tables import LabelTable

    if name in trained.cfg.datasets:
        return label_table(trained.cfg, name)
    if Path(name).suffix in (".yaml", ".yml"):
        return LabelTable.load(Path(name).expanduser())
    tables = {path.stem for path in (conf_dir() / "labels").glob("*.yaml")}
    if name in tables:
        return LabelTable.load(name)
    spaces = {path.stem: OmegaConf.load(path) for path in (conf_dir() / "label_space").glob("*.yaml")}
    lists = {stem: list(space.names) for stem, space in spaces.items() if "names" in space}
    if name in lists:
        return cityscapes_subset(name, lists[name])
    known = sorted({*trained.cfg.datasets, *tables, *lists})
    raise FileNotFoundError(f"space={name}: there is none{nearest(name, known)}; there are {', '.join(known)}")


def cityscapes_subset(name: str, names: Sequence[str]) -> "LabelTable":
    """Table of some of the Cityscapes classes, in the given order."""
    from mdseg.labels.tables import LabelTable

    whole = LabelTable.load("cityscapes")
    indices = [whole.class_index(label) for label in names]
    return LabelTable(
        name=name,
        names=tuple(names),
        colors=tuple(whole.colors[index] for index in indices),
        encoding=whole.encoding,
        raw_ids=tuple(whole.raw_ids[index] for index in indices),
        aliases={label: aliases for label, aliases in whole.aliases.items() if label in names},
    )


def classes_csv(space: "EvaluationSpace", ids: Iterable[int | str]) -> str:
    """What the numbers, or the colours, in the id pictures mean."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "name", "red", "green", "blue"])
    rows.writerows([shown, name, *color] for shown, name, color in zip(ids, space.names, space.colors, strict=True))
    return text.getvalue()


def large(headers: "Mapping[Path, Header | ValueError]") -> set[Path]:
    """The photographs that are read, predicted and written one at a time."""
    sizes = {path: getattr(header, "size", (0, 0)) for path, header in headers.items()}
    return {path for path, (height, width) in sizes.items() if height * width > LARGE}


def predict_all(
    files: Mapping[Path, str],
    output: Path,
    predictor: "Predictor",
    space: "EvaluationSpace",
    encode: Callable[["np.ndarray"], bytes],
    alone: Collection[Path] = (),
) -> list[Path]:
    """Predict images and write their pictures; returns those that could not be, each reported when it was met.

    While the network works, threads read the next images and write the last ones. When a signal stops it, what is being
    written is finished, so that a picture is there as a whole or not at all.

    Args:
        files: image → what its outputs are called.
        encode: makes the content of an id picture.
        alone: images beside which no other one is in memory.
    """
    import cv2
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from mdseg.system.signals import Stopped, StopSignals

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a bad file gets a message of ours
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    failed: list[Path] = []
    writing: deque[tuple[Path, Future]] = deque()
    mistakes = (ValueError, OSError, MemoryError, RuntimeError, cv2.error)

    def attempt(path: Path, do: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Any:
        """What an image makes, or nothing where that fails, which is then said."""
        try:
            return do()
        except errors as error:
            message = visible(f"mdseg: {path}: {reason(error, path)}")
            failed.append(path)
            console.print(message, markup=False, highlight=False, soft_wrap=True)

    def write_all_but(count: int) -> None:
        while len(writing) > count:
            path, written = writing.popleft()
            attempt(path, written.result, (MemoryError, cv2.error))  # others, a full disk, are not the image's

    try:
        with StopSignals(), bar, ThreadPoolExecutor(THREADS) as pool:
            for path, reading in bar.track(ahead(pool, read, files, alone), len(files), description="predicting"):
                write_all_but(0 if path in alone else AHEAD)
                image = attempt(path, reading, mistakes)
                ids = None if image is None else attempt(path, partial(predictor.answer, image, space), mistakes)
                if ids is not None:
                    written = pool.submit(write, output, files[path], image, ids, space.colors, encode)
                    writing.append((path, written))
                del image, ids, reading  # which holds the image too
                write_all_but(0 if path in alone else AHEAD)
            write_all_but(0)
    except Stopped:
        print(f"mdseg: stopped; what is in {output} is complete", file=sys.stderr)
        raise
    return failed


def ahead(
    pool: ThreadPoolExecutor, function: Callable[[Any], Any], items: Collection[Any], alone: Collection[Any] = ()
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Each item with what gives the function's answer to it; a few are begun before their turn.

    Args:
        alone: items that are not, and beside which no other is.
    """
    begun: deque[tuple[Any, Future]] = deque()
    for item in items:
        if item not in alone:
            begun.append((item, pool.submit(function, item)))
        while begun and (item in alone or len(begun) > AHEAD):
            first, answer = begun.popleft()
            yield first, answer.result
        if item in alone:
            yield item, partial(function, item)
    for item, answer in begun:
        yield item, answer.result


def read(path: Path) -> "np.ndarray":
    """A photograph, the right way up.

    Raises:
        ValueError: it cannot be read, is too large, or its overlay would not fit into a JPEG file.
    """
    from mdseg.data.reading import read_header, read_image

    if max(read_header(path).size) > JPEG_LIMIT:
        raise ValueError(f"{path}: its overlay would be larger than a JPEG can be, {JPEG_LIMIT} pixels a side")
    return read_image(path, upright=True, largest=LARGEST)


def reason(error: Exception, path: Path) -> str:
    """Why an image could not be predicted; an error that is not the image's fault is raised again."""
    import cv2
    import torch

    if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
        return "there is not enough memory for the network; show it the image smaller, with short_side=<pixels>"
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return "there is not enough memory for its pictures (10 bytes per pixel); cut it into smaller ones"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError):
        return str(error).removeprefix(f"{path}: ")
    raise error


def write(
    output: Path,
    name: str,
    image: "np.ndarray",
    ids: "np.ndarray",
    colors: "Sequence[Color]",
    encode: Callable[["np.ndarray"], bytes],
) -> None:
    """The three pictures of one image, all of them encoded before the first is written."""
    import cv2

    from mdseg.figures.drawing import colorize
    from mdseg.system.files import write_atomically

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=image)  # in place: a large photograph is there once
    color = colorize(ids, [color[::-1] for color in colors])
    encoded = {
        f"id/{name}.png": encode(ids),
        f"color/{name}.png": cv2.imencode(".png", color)[1],
        f"overlay/{name}.jpg": cv2.imencode(".jpg", cv2.addWeighted(bgr, 1 - OPACITY, color, OPACITY, 0, dst=bgr))[1],
    }
    for file, content in encoded.items():
        write_atomically(output / file, methodcaller("write", content))


def main() -> None:
    """The command line of `python -m mdseg.predict`."""
    outlive_readers()
    arguments = sys.argv[1:]
    with mistakes_as_messages():
        if not answer([quoted(argument, PATHS) for argument in arguments], "predict", (__doc__ or "").strip()):
            predict(arguments)


if __name__ == "__main__":
    main()
