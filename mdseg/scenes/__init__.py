"""A procedural world of streets and rooms: every experiment runs without downloads.

The truth about label shift is known, too. A scene is painted in classes finer than any dataset's. Each dataset's
annotation projects them onto its own label table, in that dataset's own files: the loaders that read scenes are those
that read the real thing.

May import labels.
"""

from mdseg.scenes.annotation import annotate, projection, true_relations
from mdseg.scenes.datasets import DATASETS, DOMAINS, scene
from mdseg.scenes.domains import Domain, Interior
from mdseg.scenes.generate import generate
from mdseg.scenes.painter import VERSION
from mdseg.scenes.sheets import contact_sheet
from mdseg.scenes.world import WORLD_CLASSES, WORLD_COLORS

__all__ = [
    "DATASETS",
    "DOMAINS",
    "VERSION",
    "WORLD_CLASSES",
    "WORLD_COLORS",
    "Domain",
    "Interior",
    "annotate",
    "contact_sheet",
    "generate",
    "projection",
    "scene",
    "true_relations",
]
