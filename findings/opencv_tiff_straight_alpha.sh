#!/usr/bin/env bash
# The fourth band of a TIFF darkens the other three where OpenCV reads it, also where it is asked for the bands as they are.
#
# Expected: straight ("unassociated") alpha is stored beside colours that stand for themselves; a reader asked for
# IMREAD_UNCHANGED gives the four bands of the file, and one asked for colours drops the fourth, as both do for a PNG.
# Seen with opencv-python-headless 5.0.0.93: colours of a TIFF whose fourth band is marked as unassociated alpha come out
# multiplied by it under every flag, IMREAD_UNCHANGED too; where it is 0 (no data, in images from the air) they are black.
# The same pixels in a PNG, and the same TIFF read by Pillow 13.0.0, come as they were stored.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cat > "$folder/read.py" <<'PY'
import io

import cv2
import numpy as np
from PIL import Image

stored = np.full((1, 3, 4), 200, np.uint8)
stored[0, :, 3] = 255, 128, 0
EXTRA_SAMPLES, UNASSOCIATED = 338, 2
for name, options in (("PNG", {}), ("TIFF", {"tiffinfo": {EXTRA_SAMPLES: (UNASSOCIATED,)}})):
    file = io.BytesIO()
    Image.fromarray(stored, "RGBA").save(file, name, **options)
    print(name, "Pillow", np.asarray(Image.open(file))[0, :, 0].tolist())
    for flag in ("IMREAD_UNCHANGED", "IMREAD_COLOR", "IMREAD_GRAYSCALE"):
        read = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), getattr(cv2, flag))
        print(name, flag, read.reshape(3, -1)[:, 0].tolist())
PY
"$folder/venv/bin/python" -W ignore "$folder/read.py" > "$folder/seen"
cat > "$folder/expected" <<'EOF'
PNG Pillow [200, 200, 200]
PNG IMREAD_UNCHANGED [200, 200, 200]
PNG IMREAD_COLOR [200, 200, 200]
PNG IMREAD_GRAYSCALE [200, 200, 200]
TIFF Pillow [200, 200, 200]
TIFF IMREAD_UNCHANGED [200, 100, 0]
TIFF IMREAD_COLOR [200, 100, 0]
TIFF IMREAD_GRAYSCALE [200, 100, 0]
EOF
diff "$folder/expected" "$folder/seen"
echo "as described: a TIFF's colours come out multiplied by its alpha"
