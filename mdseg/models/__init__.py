"""Segmentation networks: a backbone with one feature map, and a classifier over it.

What builds a network lies in its own module (`deeplab_v2`, `drn`, `hrnet`, `small`, `smp`), as some need timm or
segmentation-models-pytorch, which take seconds to import. May import system.
"""

from mdseg.models.heads import ASPPClassifier, CosineClassifier, classifier
from mdseg.models.segmenter import IMAGENET_MEAN, IMAGENET_STD, Levels, Segmenter

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ASPPClassifier",
    "CosineClassifier",
    "Levels",
    "Segmenter",
    "classifier",
]
