"""Losses: per-pixel functions, evaluated and differentiated band by band while the logits are upsampled.

Supervised ones are built from a label space and answer `loss(logits, mask, dataset)`; those of unlabelled predictions
are functions of the logits. Imports nothing of the package but `labels`, `pixels` and `system`.
"""

from mdseg.losses.cross_entropy import ce
from mdseg.losses.fused import BandTargets, PixelLoss, SupervisedLoss, fused_sum
from mdseg.losses.guidance import guidance_labels, self_produced_guidance
from mdseg.losses.maximum_squares import max_square, max_square_iw
from mdseg.losses.minent import entropy, entropy_iw
from mdseg.losses.ohem import ohem_ce
from mdseg.losses.relational_bce import bce, class_relational_bce, null_bce
from mdseg.losses.variation import ClassCounter, LogitVariation, blv

__all__ = [
    "BandTargets",
    "ClassCounter",
    "LogitVariation",
    "PixelLoss",
    "SupervisedLoss",
    "bce",
    "blv",
    "ce",
    "class_relational_bce",
    "entropy",
    "entropy_iw",
    "fused_sum",
    "guidance_labels",
    "max_square",
    "max_square_iw",
    "null_bce",
    "ohem_ce",
    "self_produced_guidance",
]
