"""One semantic segmentation model from several datasets that disagree."""

import os
from pathlib import Path

# Albumentations asks the package registry for its newest version at import, in every worker; it reads this variable
# first.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# What OpenCV warns of, files that it cannot decode, is raised as an error that names the file.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")


def conf_dir() -> Path:
    """Folder of the YAML configuration: beside the package in a checkout, inside it in an installed wheel."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "conf"
