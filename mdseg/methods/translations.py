"""What a translator makes of images, as a picture."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
from jaxtyping import Float, UInt8
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from mdseg.figures.translation import pairs
from mdseg.methods.lessons import picture_is_due


class Pairs(Callback):
    """Images of the source, their translations and images of the target before every validation: figures/pairs.png.

    Args:
        count: rows.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def on_train_batch_end(self, trainer: pl.Trainer, method: Any, outputs: Any, batch: Any, step: int) -> None:
        if not picture_is_due(trainer, step) or trainer.logger is None:
            return
        log: Any = trainer.logger  # the stage's, which takes pictures
        columns = {
            name: list(as_bytes(method.shown[name][: self.count])) for name in ("source", "translated", "target")
        }
        log.picture("pairs", pairs(columns, f"step {step + 1}"))


def as_bytes(image: Float[Tensor, "n 3 h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Images of [-1, 1] as pictures; what lies beyond is black or white."""
    return ((image.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
