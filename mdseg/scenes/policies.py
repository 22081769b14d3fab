"""How each dataset's annotators label the world: world class → raw id in the dataset's mask files."""

from functools import cache

from mdseg.labels.tables import LabelTable
from mdseg.scenes.indoor import IndoorClass
from mdseg.scenes.world import WorldClass

# Cityscapes' ids of its annotation tool, in order; training ignores some of them.
CITYSCAPES_IDS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan", "trailer", "train", "motorcycle", "bicycle",
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


def cityscapes(world: WorldClass, table: LabelTable) -> int:
    """The id of Cityscapes' annotation tool."""
    return CITYSCAPES_IDS.index(world.cityscapes)


def bdd(world: WorldClass, table: LabelTable) -> int:
    """The train id, which BDD100K's masks hold, of the Cityscapes class."""
    return _id_of_class(world.cityscapes, table)


def idd(world: WorldClass, table: LabelTable) -> int:
    """The level-3 id that IDD gives to the name in its annotation tool."""
    owners = [ids[0] for ids, members in zip(table.raw_ids, table.members, strict=True) if world.idd in members]
    return owners[0] if owners else table.ignore_ids[0]


def mapillary(world: WorldClass, table: LabelTable) -> int:
    """The id of the Mapillary Vistas v1.2 class."""
    return _id_of_class(world.mapillary, table)


def wilddash2(world: WorldClass, table: LabelTable) -> int:
    """The id of the WildDash 2 policy."""
    return world.wilddash2


def camvid32(world: WorldClass, table: LabelTable) -> int:
    """The colour of the 32-colour annotation, whatever classes the table makes of the colours."""
    return _id_of_class(world.camvid32, _table("camvid32"))


def camvid11(world: WorldClass, table: LabelTable) -> int:
    """What the colour became in SegNet's files, which group the colours into 11 classes."""
    color, merged = camvid32(world, table), _table("camvid11_merged")
    owners = [name for name, colors in zip(merged.names, merged.raw_ids, strict=True) if color in colors]
    return _id_of_class(owners[0] if owners else None, table)


def labelmefacade(world: WorldClass, table: LabelTable) -> int:
    """The id of one of the eight classes."""
    return _id_of_class(world.labelmefacade, table)


def sunrgbd(indoor: IndoorClass, table: LabelTable) -> int:
    """The id of one of the 37 classes; what is none of them is 0."""
    return _id_of_class(indoor.sunrgbd, table)


def synthia(world: WorldClass, table: LabelTable) -> int:
    """SYNTHIA's own id; what it has no class for is void."""
    name = _SYNTHIA_NAMES.get(world.name, world.cityscapes)
    return SYNTHIA_IDS.index(name) if name in SYNTHIA_IDS else 0


def _id_of_class(name: str | None, table: LabelTable) -> int:
    return table.raw_ids[table.class_index(name)][0] if name in table.names else table.ignore_ids[0]


@cache
def _table(labels: str) -> LabelTable:
    return LabelTable.load(labels)
