"""Objects from what a composed configuration describes."""

import inspect
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from mdseg.config.datasets import LABELS, LAYOUT
from mdseg.config.hints import check_options
from mdseg.config.keys import descriptor, is_generated, label_source, labelled_datasets, laid_over, plain, present, tree
from mdseg.config.targets import locate
from mdseg.config.values import MOST
from mdseg.data.dataset import Sample, SegmentationDataset, load_dataset, load_table
from mdseg.data.listing import NoSplit
from mdseg.data.selection import LoadedStream, divided, select_streams
from mdseg.data.streams import Stream
from mdseg.data.transforms import RandomCrop, strict
from mdseg.evaluation.evaluator import Evaluated
from mdseg.evaluation.roles import EVALUATION_ROLES
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark, excerpt, nearest, shortened


def bound(node: DictConfig) -> partial:
    """Class or function of a node with the node's options, still to be called.

    Raises:
        ValueError: there is none, it has no such option, or not of such a value.
    """
    if "_target_" not in node:
        raise ValueError(f"options without a class or function that takes them: {OmegaConf.to_container(node)}")
    locate(node["_target_"])
    function = instantiate(node, _partial_=True, _convert_="all")
    _check_arguments(node, function)
    check_options(function.func, function.keywords)
    return function


def build(node: DictConfig, **objects: Any) -> Any:
    """Object of a node with arguments that are objects (instantiate would take a dataclass for configuration).

    Raises:
        ValueError: the class or function does not accept the node's arguments.
    """
    try:
        return bound(node)(**objects)
    except (TypeError, MisconfigurationException) as error:
        raise ValueError(f"{node['_target_']}: {error}") from error


def _check_arguments(node: DictConfig, function: partial) -> None:
    parameters = inspect.signature(function.func).parameters
    if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
        for key in function.keywords:
            if key not in parameters:
                takes = shortened([name for name in parameters if name != "self"], 12)
                raise ValueError(
                    f"{node['_target_']} has no argument {key}{nearest(key, parameters)}; it takes {takes}"
                )


def configured_streams(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The streams of a stage in plain types, divided ones as their parts; see :func:`mdseg.data.selection.divided`."""
    return divided(present(plain(cfg.streams, resolve=True)))


def build_transforms(cfg: DictConfig) -> dict[str, RandomCrop]:
    """What the images of each stream go through: the run's transform, with the stream's own values over it.

    Raises:
        ValueError: a stream sets what the transform does not have, or to what it cannot be.
    """
    base = plain(cfg.transform, resolve=True)
    transforms = {}
    for name, stream in configured_streams(cfg).items():
        own = stream.get("transform") or {}
        node = own if "_target_" in own else laid_over(base, own, f"streams.{name}.transform")
        transforms[name] = strict(instantiate, node, _convert_="all")
    return transforms


def layout_of(cfg: DictConfig, name: str) -> Callable[[str | Path, str], list[Sample]]:
    """What lists the samples of a dataset of the configuration, given a root and a split.

    Raises:
        ValueError: there is no such function, or it does not take the descriptor's options.
    """
    node, where = descriptor(cfg, name).layout, f"datasets.{name}.layout"
    try:
        locate(node["_target_"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}; such as {LAYOUT}") from error
    try:
        function = bound(node)
        inspect.signature(function.func).bind(root="", split="", **function.keywords)
    except TypeError as error:
        raise ValueError(f"{where}: {node['_target_']}: {error}; such as {LAYOUT}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error

    def listed(root: str | Path, split: str) -> list[Sample]:
        return _checked(build(node, root=root, split=split), str(node["_target_"]))

    return listed


def _checked(listed: Any, layout: str) -> list[Sample]:
    """What a layout has listed, perhaps one of the user's own.

    Raises:
        ValueError: something else than samples, or two of one key.
    """
    samples = list(listed) if isinstance(listed, Iterable) else [listed]
    for sample in samples:
        if not isinstance(sample, Sample) or not isinstance(sample.image, Path):
            raise ValueError(
                f"{layout} has listed {excerpt(sample)}; a layout returns a list of mdseg.data.dataset.Sample, whose "
                "files are of type pathlib.Path"
            )
    if repeated := [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]:
        raise ValueError(
            f"{layout} has listed {shortened(repeated)} more than once; every image needs a key of its own"
        )
    return samples


class Datasets:
    """The datasets of a run, each split of them listed once."""

    def __init__(self) -> None:
        self.opened: dict[tuple[str, str, str], SegmentationDataset] = {}

    def open(self, cfg: DictConfig, name: str, split: str) -> SegmentationDataset:
        """A dataset of the configuration on one split."""
        described = descriptor(cfg, name)
        key = name, split, OmegaConf.to_yaml(described, resolve=True)
        if key not in self.opened:
            layout, labels = layout_of(cfg, name), label_source(described)
            self.opened[key] = load_dataset(name, layout, described.root, labels, split)
        return self.opened[key]

    def open_labelled(self, cfg: DictConfig, name: str, split: str) -> SegmentationDataset:
        """Those images of a dataset on one split that have masks.

        Raises:
            ValueError: there are none.
        """
        dataset = self.open(cfg, name, split)
        labelled = [sample for sample in dataset.samples if sample.mask is not None]
        if dataset.samples and not labelled:
            raise ValueError(f"dataset {name!r}, split {split!r}: it has no masks; choose a labelled split")
        return dataset if len(labelled) == len(dataset) else SegmentationDataset(name, labelled, dataset.table)

    def evaluated(self, cfg: DictConfig) -> dict[str, SegmentationDataset]:
        """The evaluated datasets, each on its evaluation split."""
        names = [name for role in EVALUATION_ROLES for name in cfg.evaluate[role]]
        return {name: self.open_labelled(cfg, name, descriptor(cfg, name).evaluation_split) for name in names}

    def training(self, cfg: DictConfig, name: str) -> SegmentationDataset:
        """The images of a dataset's split `train`, or, where it has none, those that it is evaluated on."""
        try:
            return self.open(cfg, name, "train")
        except FileNotFoundError as error:
            if not isinstance(error.__cause__, NoSplit):
                raise
            return self.open(cfg, name, descriptor(cfg, name).evaluation_split)

    def selecting(self, cfg: DictConfig) -> dict[str, SegmentationDataset]:
        """The seen datasets on the split `select`, on which weights are chosen that are reported on the other one.

        Images that are in both are remarked.

        Raises:
            FileNotFoundError, ValueError: a dataset has no such split, or no masks in it.
        """
        found = {}
        for name in cfg.evaluate.seen:
            try:
                found[name] = self.open_labelled(cfg, name, cfg.select)
            except FileNotFoundError as error:
                if isinstance(error.__cause__, NoSplit):
                    more = "select=null reports the last weights and needs no such images"
                    raise FileNotFoundError(f"select={cfg.select}: {error}; {more}") from error
                raise
        self.remark_reported(cfg, found)
        return found

    def remark_reported(self, cfg: DictConfig, selecting: Mapping[str, SegmentationDataset]) -> None:
        """Remark where weights are chosen by images that are reported."""
        both = []
        for name, dataset in selecting.items():
            split = descriptor(cfg, name).evaluation_split
            reported = {sample.image for sample in self.open_labelled(cfg, name, split).samples}
            images = {sample.image for sample in dataset.samples}
            if common := len(reported & images):
                every = "all" if common == len(reported) else f"{common} of the {len(reported)}"
                both.append(f"{every} reported images of {name}")
        if both:
            warnings.warn(
                f"select={cfg.select}: weights are chosen by {', '.join(both)}, as in most papers; "
                "datasets.<name>.evaluation_split names other ones",
                Remark,
                stacklevel=3,
            )

    def streams(self, cfg: DictConfig, transforms: Mapping[str, RandomCrop]) -> dict[str, LoadedStream]:
        """The streams of a stage, with their datasets and subsets; labelled ones have the images that have masks."""
        return select_streams(configured_streams(cfg), partial(self.load, cfg), transforms, cfg.seed)

    def load(self, cfg: DictConfig, name: str, split: str, role: str) -> SegmentationDataset:
        """A dataset of the configuration on one split, as a stream of this role sees it."""
        return (self.open_labelled if role == "labelled" else self.open)(cfg, name, split)


def label_table(cfg: DictConfig, name: str) -> LabelTable:
    """Label table of a dataset of the configuration whose classes are wanted.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: it contradicts itself, or the dataset has none; both name the dataset.
    """
    labels = label_source(descriptor(cfg, name))
    if labels is None:
        raise ValueError(
            f"dataset {name!r}: datasets.{name}.labels is null, so it can be neither a labelled stream's nor "
            f"evaluated; it may be {LABELS}"
        )
    try:
        return load_table(name, labels)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"dataset {name!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"dataset {name!r}: {error}") from error


def build_label_space(cfg: DictConfig) -> LabelSpace:
    """The run's label space, from the tables of the datasets in labelled streams."""
    tables = {name: label_table(cfg, name) for name in labelled_datasets(cfg)}
    return bound(cfg.label_space)(tables)


def evaluated_tables(cfg: DictConfig) -> dict[str, Evaluated]:
    """Role and classes of every evaluated dataset."""
    return {name: Evaluated(role, label_table(cfg, name)) for role in EVALUATION_ROLES for name in cfg.evaluate[role]}


def count_steps(steps: int | str | None, streams: Sequence[Stream]) -> int:
    """Steps of a fit: a number, `"150 epochs"` of the first stream or `"200 epochs of unlabelled"`, another one.

    Rounded up; 0 where nothing is trained. An epoch of a stream with parts (`per_dataset`) is one of the part that
    takes longest; the others begin anew meanwhile.

    Raises:
        ValueError: neither of these, or less than one step.
    """
    if steps is None:
        return 0
    per_epoch: dict[str, float] = {}
    for stream in streams:
        unit = "epochs" if stream.whole == streams[0].whole else f"epochs of {stream.whole}"
        per_epoch[unit] = max(per_epoch.get(unit, 0.0), stream.period * len(stream) / stream.per_step)
    number, *words = str(steps).split() or [""]
    unit = " ".join(words)
    try:
        count = math.ceil(float(number) * per_epoch[unit]) if unit else int(number)
    except (ValueError, KeyError, OverflowError):
        count = 0
    if count < 1:
        epochs = " or ".join(f'"<n> {unit}"' for unit in per_epoch)
        raise ValueError(f"steps: expected a positive number of steps or {epochs}, got {steps!r}")
    return count


def prepare_data(cfg: DictConfig) -> None:
    """Write the embedded data that the run's datasets read and that is not there yet."""
    for name in cfg.get("datasets", {}):
        if is_generated(cfg, name):
            counts = cfg.data.counts[tree(cfg, name)]
            counts = {split: math.ceil(min(number * cfg.data.fraction, MOST)) for split, number in counts.items()}
            bound(cfg.data.generate)(root=cfg.data.root, dataset=name, counts=counts)
