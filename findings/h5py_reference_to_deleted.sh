#!/usr/bin/env bash
# An HDF5 object reference stays usable after what it refers to has been deleted; MATLAB v7.3 files are made of such references.
#
# Expected: once the only link to a dataset is deleted, a stored reference to it is false, or following it raises an error,
# so that a file which has lost its data is found out when it is read.
# Seen with h5py 3.16.0: the reference is true, also in a file that has been closed and opened again, and following it gives
# the old values; the dataset it yields has no name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.3.5
"$folder/venv/bin/python" - "$folder/cells.h5" <<'PY'
import sys

import h5py
import numpy as np

print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version)
with h5py.File(sys.argv[1], "w") as file:
    cell = file.create_dataset("#refs#/a", data=np.arange(6))
    file.create_dataset("cells", data=np.array([cell.ref], dtype=h5py.ref_dtype))
with h5py.File(sys.argv[1], "r+") as file:
    del file["#refs#"]
with h5py.File(sys.argv[1], "r") as file:
    reference = file["cells"][0]
    found = file[reference]
    print("groups:", list(file), "reference:", bool(reference), "values:", found[:].tolist(), "name:", found.name)
    assert "#refs#" not in file
    assert bool(reference) and found[:].tolist() == list(range(6)) and found.name is None
PY
echo "as described"
