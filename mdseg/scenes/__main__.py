"""Contact sheet of the embedded data: image, the dataset's own labels, the finer truth.

python -m mdseg.scenes sheet.png cityscapes idd bdd mapillary
"""

import argparse
from pathlib import Path

import cv2

from mdseg.scenes import DATASETS, contact_sheet
from mdseg.system.output import outlive_readers


def main() -> None:
    """The command line of `python -m mdseg.scenes`."""
    outlive_readers()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="PNG to write")
    parser.add_argument("datasets", nargs="+", choices=sorted(DATASETS), metavar="dataset", help=", ".join(DATASETS))
    parser.add_argument("--samples", type=int, default=1, help="images per dataset")
    parser.add_argument("--start", type=int, default=0, help="first image")
    parser.add_argument("--height", type=int, default=192, help="pixels per row")
    arguments = parser.parse_args()
    sheet = contact_sheet(arguments.datasets, arguments.samples, height=arguments.height, start=arguments.start)
    if not cv2.imwrite(str(arguments.output), sheet[..., ::-1]):
        parser.error(f"could not write {arguments.output}")
    print(f"{arguments.output}: {sheet.shape[1]} x {sheet.shape[0]} pixels")


if __name__ == "__main__":
    main()
