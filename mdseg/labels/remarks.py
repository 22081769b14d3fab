"""What is said of classes that are probably not meant as they are."""

import re
import unicodedata
import warnings
from collections.abc import Mapping

from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark, shortened

# Cyrillic and Greek small letters that are drawn as Latin ones.
DRAWN_ALIKE = str.maketrans("аеорсухіјѕԁһвкмнтαεορνικτυχ", "aeopcyxijsdhbkmhtaeopviktux")


def remark_alike(tables: Mapping[str, LabelTable]) -> None:
    """Remark classes whose names look alike, or differ only in case and punctuation: they are not the same class."""
    spelt: dict[str, dict[str, str]] = {}
    for dataset, table in tables.items():
        for name in table.names:
            spelt.setdefault(_bare(name), {}).setdefault(name, dataset)
    different = [_told_apart(names) for names in spelt.values() if len(names) > 1]
    if different:
        warnings.warn(
            f"label space: {shortened(different, 3)} are different classes; if they are not, give them one name",
            Remark,
            stacklevel=3,
        )


def _told_apart(names: Mapping[str, str]) -> str:
    """Names with their datasets; letters that would be drawn alike by their numbers."""
    drawn = {unicodedata.normalize("NFKC", name).translate(DRAWN_ALIKE) for name in names}
    shown = ascii if len(drawn) < len(names) else repr
    return " and ".join(f"{shown(name)} ({dataset})" for name, dataset in names.items())


def _bare(name: str) -> str:
    """A name without what is easily overlooked: case, punctuation, widths, ligatures, letters of another script."""
    letters = unicodedata.normalize("NFKC", name).casefold().translate(DRAWN_ALIKE)
    return re.sub(r"[\W_]", "", letters) or letters


def remark_alone(tables: Mapping[str, LabelTable]) -> None:
    """Remark datasets with a single class where each dataset has channels of its own: nothing competes with it."""
    for dataset, table in tables.items():
        if table.num_classes == 1:
            warnings.warn(
                f"dataset '{dataset}' has a single class, {table.names[0]}, and channels of its own: its images teach "
                "nothing; add what else there is as a class",
                Remark,
                stacklevel=3,
            )
