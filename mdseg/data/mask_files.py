"""Masks written as a dataset's own files are; what reads them is :mod:`mdseg.data.dataset`."""

import io
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mdseg.labels.tables import LabelTable
from mdseg.system.wording import shortened


def encoder(table: LabelTable | None) -> Callable[[UInt8[np.ndarray, "h w"]], bytes]:
    """What makes a PNG of class indices: with the first raw id of each class, in the table's encoding.

    Args:
        table: null for 8-bit grey with the indices themselves.

    Raises:
        ValueError: a class has no raw id.
    """
    if table is None:
        return lambda mask: cv2.imencode(".png", mask)[1].tobytes()
    values = _values(table)

    def encode(mask: UInt8[np.ndarray, "h w"]) -> bytes:
        if table.encoding != "palette":
            return cv2.imencode(".png", values[mask])[1].tobytes()
        content, image = io.BytesIO(), Image.fromarray(values[mask])
        image.putpalette(table.palette().ravel().tolist())
        image.save(content, "png")
        return content.getvalue()

    return encode


def first_raw_ids(table: LabelTable) -> list[int]:
    """The raw id that each class is written with.

    Raises:
        ValueError: a class has none.
    """
    if without := [name for name, raw_ids in zip(table.names, table.raw_ids, strict=True) if not raw_ids]:
        raise ValueError(
            f"label table '{table.name}': classes without a raw id cannot be written: {shortened(without)}"
        )
    return [first for first, *_ in table.raw_ids]


def _values(table: LabelTable) -> np.ndarray:
    """The pixel of each class index in OpenCV's order, blue first: [256] or [256, 3]."""
    raw_ids = np.zeros(256, np.uint32)
    raw_ids[: table.num_classes] = first_raw_ids(table)
    if table.encoding == "rgb":
        return np.stack([raw_ids & 255, raw_ids >> 8 & 255, raw_ids >> 16], axis=1).astype(np.uint8)
    if table.encoding == "channel16":
        return np.stack([0 * raw_ids, 0 * raw_ids, raw_ids], axis=1).astype(np.uint16)
    return raw_ids.astype(np.uint8)
