"""Logits at the resolution of the image, a band of rows at a time: upsampling, and arg-max of the upsampled logits.

Imports nothing of the package, and of other libraries torch only.
"""

from mdseg.pixels.argmax import first_argmax, restricted_argmax
from mdseg.pixels.bands import LOSS_BYTES, PREDICTION_BYTES, Band, BandBytes, band_memory, banded
from mdseg.pixels.upsample import upsample_rows

__all__ = [
    "LOSS_BYTES",
    "PREDICTION_BYTES",
    "Band",
    "BandBytes",
    "band_memory",
    "banded",
    "first_argmax",
    "restricted_argmax",
    "upsample_rows",
]
