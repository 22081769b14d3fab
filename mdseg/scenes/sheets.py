"""Contact sheets: what the scenes look like and what each dataset says about them."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from mdseg.labels.tables import IGNORE
from mdseg.scenes.annotation import annotate, table_of
from mdseg.scenes.datasets import record_of

_CAPTION, _GAP = 18, 4


def contact_sheet(
    datasets: Sequence[str],
    samples: int = 1,
    columns: Sequence[str] = ("image", "labels", "world"),
    height: int = 192,
    split: str = "train",
    start: int = 0,
    seed: int = 0,
) -> UInt8[np.ndarray, "h w 3"]:
    """A row per scene of each dataset; in columns the image, the dataset's own labels and the world's classes.

    Ignored pixels are black.

    Args:
        samples: scenes per dataset.
        start: index of the first one.

    Raises:
        ValueError: an unknown dataset or column.
    """
    unknown = set(columns) - {"image", "labels", "world"}
    if unknown:
        raise ValueError(f"unknown columns {sorted(unknown)}; known: image, labels, world")
    rows = []
    for dataset in datasets:
        for index in range(start, start + samples):
            rows.append(_row(dataset, columns, height, split, index, seed))
    width = max(row.shape[1] for row in rows)
    padded = [
        cv2.copyMakeBorder(row, 0, _GAP, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3) for row in rows
    ]
    return np.vstack(padded)


def _row(
    dataset: str, columns: Sequence[str], height: int, split: str, index: int, seed: int
) -> UInt8[np.ndarray, "h w 3"]:
    record, table = record_of(dataset), table_of(dataset)
    image, world = record.scene(split, index, height, seed)
    palette = np.zeros((256, 3), np.uint8)
    palette[: table.num_classes] = table.colors
    palette[IGNORE] = 0
    world_palette = np.zeros((256, 3), np.uint8)
    world_palette[: len(record.world)] = [row.color for row in record.world]
    cells = {
        "image": (image, f"{dataset} {split} {index}"),
        "labels": (palette[annotate(world, dataset)], f"{table.num_classes} classes of {dataset}"),
        "world": (world_palette[world], f"{len(record.world)} world classes"),
    }
    return np.hstack([_cell(*cells[column], height) for column in columns])


def _cell(pixels: UInt8[np.ndarray, "h w 3"], caption: str, height: int) -> UInt8[np.ndarray, "h w 3"]:
    if pixels.shape[0] != height:
        size = (round(pixels.shape[1] * height / pixels.shape[0]), height)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    cell = cv2.copyMakeBorder(pixels, _CAPTION, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(cell, caption, (3, _CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
    return cell
