"""What is said of classes that are probably not meant as they are."""

import re
import warnings
from collections.abc import Mapping

from mdseg.labels.tables import LabelTable
from mdseg.system.wording import Remark, shortened


def remark_alike(tables: Mapping[str, LabelTable]) -> None:
    """Remark classes whose names differ only in case, blanks, hyphens or underscores: they are not the same class."""
    spelt: dict[str, dict[str, str]] = {}
    for dataset, table in tables.items():
        for name in table.names:
            spelt.setdefault(re.sub(r"[\s_-]", "", name).casefold(), {}).setdefault(name, dataset)
    different = [
        " and ".join(f"{name!r} ({dataset})" for name, dataset in names.items())
        for names in spelt.values()
        if len(names) > 1
    ]
    if different:
        warnings.warn(
            f"label space: {shortened(different, 3)} are different classes; if they are not, give them one name",
            Remark,
            stacklevel=3,
        )


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
