"""What users import from the package."""

from pathlib import Path

import mdseg
from mdseg.labels import LabelTable, union
from mdseg.losses import null_bce


def test_losses_and_label_spaces_are_used_without_a_run():
    space = union({name: LabelTable.load(name) for name in ("cityscapes", "camvid11")})
    assert null_bce(space).num_classes == space.num_classes == 20


def test_type_checkers_are_told_that_the_package_has_types():
    assert (Path(mdseg.__file__).parent / "py.typed").exists()
