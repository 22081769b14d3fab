"""Label spaces with the classes that a test names."""

from collections.abc import Callable

import pytest
import torch

from mdseg.labels.spaces import LabelSpace, union
from mdseg.labels.tables import LabelTable

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_space() -> Callable[..., LabelSpace]:
    """make_space(a=("car", "road"), b=("road",)): the union space of datasets with these classes."""

    def table(name: str, names: tuple[str, ...]) -> LabelTable:
        colors = tuple((index, index, index) for index in range(len(names)))
        return LabelTable(name, names, colors, "id", tuple((index,) for index in range(len(names))))

    return lambda **datasets: union({name: table(name, tuple(names)) for name, names in datasets.items()})
