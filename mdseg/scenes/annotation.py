"""Each dataset's annotation of the world: world class → raw id → class, and the class relations that follow."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Int64, UInt8

from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE, LabelTable
from mdseg.scenes.domains import DOMAINS
from mdseg.scenes.world import WORLD, WORLD_CLASSES

# Cityscapes' ids of its annotation tool, in order; training ignores some of them.
CITYSCAPES_IDS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan",
    "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
SYNTHIA_IDS = (
    "void", "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car", "traffic sign", "person",
    "bicycle", "motorcycle", "parking slot", "road work", "traffic light", "terrain", "rider", "truck", "bus", "train",
    "wall", "lane marking",
)  # fmt: skip
# World class → SYNTHIA's name where it is not the Cityscapes one: lane markings are a class, parking slots and terrain
# never occur in its masks.
_SYNTHIA_NAMES = {
    "lane marking": "lane marking", "zebra crossing": "lane marking", "parking strip": "road", "terrain": "vegetation",
    "barrier": "road work", "traffic cone": "road work", "street light": "pole", "guard rail": "fence",
    "bridge": "building", "pickup": "car",
}  # fmt: skip
# Descriptor in conf/dataset → (domain, label table of the tree that is written for it).
DATASETS: Mapping[str, tuple[str, str]] = {
    "cityscapes": ("cityscapes", "cityscapes"),
    "idd": ("idd", "idd"),
    "bdd": ("bdd", "bdd"),
    "mapillary": ("mapillary", "mapillary"),
    "wilddash": ("wilddash", "cityscapes"),
    "wilddash2": ("wilddash", "wilddash2"),
    "kitti": ("kitti", "cityscapes"),
    "camvid11": ("camvid", "camvid11"),
    "camvid32": ("camvid", "camvid32"),
    "camvid32_merged": ("camvid", "camvid11_merged"),
    "camvid32_strict": ("camvid", "camvid11_strict"),
    "labelmefacade": ("labelmefacade", "labelmefacade"),
    "gta5": ("gta5", "gta5"),
    "synthia": ("synthia", "synthia"),
    "rome": ("rome", "nthu13"),
    "rio": ("rio", "nthu13"),
    "tokyo": ("tokyo", "nthu13"),
    "taipei": ("taipei", "nthu13"),
}


@cache
def table_of(dataset: str) -> LabelTable:
    """Label table of a dataset that scenes can be written for.

    Raises:
        ValueError: for a dataset without scenes.
    """
    if dataset not in DATASETS:
        raise ValueError(f"no scenes for dataset {dataset!r}; there are scenes for {', '.join(DATASETS)}")
    return LabelTable.load(DATASETS[dataset][1])


@cache
def raw_ids(dataset: str) -> Int64[np.ndarray, "256"]:
    """World class → raw id in the dataset's mask files."""
    table = table_of(dataset)
    ids = np.zeros(256, np.int64)
    for index, row in enumerate(WORLD.values()):
        if table.name in ("cityscapes", "gta5", "nthu13"):
            ids[index] = CITYSCAPES_IDS.index(row.cityscapes)
        elif table.name == "synthia":
            name = _SYNTHIA_NAMES.get(row.name, row.cityscapes)
            ids[index] = SYNTHIA_IDS.index(name) if name in SYNTHIA_IDS else 0
        elif table.name == "wilddash2":
            ids[index] = row.wilddash2
        elif table.name == "idd":
            ids[index] = _id_of_member(table, row.idd)
        elif dataset.startswith("camvid"):
            ids[index] = _camvid_id(table, row.camvid32)
        elif dataset == "labelmefacade":
            ids[index] = _id_of_class(table, row.labelmefacade)
        else:
            ids[index] = _id_of_class(table, row.mapillary if dataset == "mapillary" else row.cityscapes)
    return ids


def _id_of_class(table: LabelTable, name: str | None) -> int:
    return table.raw_ids[table.class_index(name)][0] if name in table.names else table.ignore_ids[0]


def _id_of_member(table: LabelTable, member: str) -> int:
    owners = [ids[0] for ids, members in zip(table.raw_ids, table.members, strict=True) if member in members]
    return owners[0] if owners else table.ignore_ids[0]


def _camvid_id(table: LabelTable, name: str | None) -> int:
    """The colour of CamVid's 32-colour annotation, or what SegNet's grouping of it became in the 11-class files."""
    color = _id_of_class(table_of("camvid32"), name)
    if table.encoding == "rgb":
        return color
    merged = table_of("camvid32_merged")
    owners = [name for name, colors in zip(merged.names, merged.raw_ids, strict=True) if color in colors]
    return _id_of_class(table, owners[0] if owners else None)


@cache
def projection(dataset: str) -> Mapping[str, str | None]:
    """World class → name of the dataset's class, None where the dataset ignores it."""
    table = table_of(dataset)
    classes = _class_indices(dataset).tolist()[: len(WORLD_CLASSES)]
    names = [None if index == IGNORE else table.names[index] for index in classes]
    return dict(zip(WORLD_CLASSES, names, strict=True))


def annotate(world: UInt8[np.ndarray, "h w"], dataset: str) -> UInt8[np.ndarray, "h w"]:
    """Class indices of the dataset's label table, 255 where it ignores the world class."""
    return _class_indices(dataset)[world]


@cache
def _class_indices(dataset: str) -> UInt8[np.ndarray, "256"]:
    return table_of(dataset).lookup()[raw_ids(dataset)]


def occurring(dataset: str) -> frozenset[str]:
    """World classes that the dataset's images may contain."""
    return frozenset(WORLD_CLASSES[index] for index in DOMAINS[DATASETS[dataset][0]].occurring())


def true_relations(run: Mapping[str, LabelTable] | LabelSpace) -> dict[str, dict[str, list[str]]]:
    """What one annotation implies about the others: {dataset: {primary: [secondary, ...]}}.

    Class c of dataset d implies class k iff every world class that occurs in d's images and that d calls c is called k
    by a dataset of the run. Channels of a disjoint space are not shared, so there c of d implies what another dataset's
    own channel says.

    Raises:
        ValueError: for a dataset without scenes.
    """
    channels = _channels(run)
    calls = {dataset: _calls(dataset, channels[dataset]) for dataset in channels}
    relations: dict[str, dict[str, list[str]]] = {}
    for dataset in channels:
        implied: dict[str, set[str]] = {}
        for world in sorted(occurring(dataset)):
            primary = calls[dataset][world]
            if primary is None:
                continue
            others = {calls[other][world] for other in channels} - {None, primary}
            implied[primary] = implied[primary] & others if primary in implied else others
        relations[dataset] = {primary: sorted(others) for primary, others in sorted(implied.items()) if others}
    return relations


def _channels(run: Mapping[str, LabelTable] | LabelSpace) -> dict[str, frozenset[str]]:
    if isinstance(run, LabelSpace):
        return {
            dataset: frozenset(name for name, inside in zip(run.names, row, strict=True) if inside)
            for dataset, row in zip(run.datasets, run.in_space.tolist(), strict=True)
        }
    return {dataset: frozenset(table.names) for dataset, table in run.items()}


def _calls(dataset: str, channels: frozenset[str]) -> dict[str, str | None]:
    """World class → the run's channel for it in images of a dataset (in a disjoint space ``dataset/name``)."""
    found = {}
    for world, name in projection(dataset).items():
        own = f"{dataset}/{name}"
        found[world] = own if own in channels else name if name in channels else None
    return found
