"""Contact sheet of the embedded data: image, the dataset's own labels, the finer truth.

python -m mdseg.scenes sheet.png cityscapes idd bdd mapillary
"""

import argparse
from pathlib import Path

import cv2

from mdseg.scenes import DATASETS, contact_sheet
from mdseg.scenes.generate import HEIGHTS
from mdseg.system.output import outlive_readers

SAMPLES = range(1, 101)  # rows of a sheet for each dataset


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
    if arguments.height not in HEIGHTS:
        parser.error(f"argument --height: expected {HEIGHTS[0]} to {HEIGHTS[-1]} pixels, got {arguments.height}")
    if arguments.samples not in SAMPLES:
        parser.error(f"argument --samples: expected {SAMPLES[0]} to {SAMPLES[-1]}, got {arguments.samples}")
    if arguments.output.is_dir() or not cv2.haveImageWriter(str(arguments.output)):
        parser.error(f"argument output: expected the name of a PNG file, got {arguments.output}")
    sheet = contact_sheet(arguments.datasets, arguments.samples, height=arguments.height, start=arguments.start)
    if not cv2.imwrite(str(arguments.output), sheet[..., ::-1]):
        parser.error(f"could not write {arguments.output}")
    print(f"{arguments.output}: {sheet.shape[1]} x {sheet.shape[0]} pixels")


if __name__ == "__main__":
    main()
