#!/usr/bin/env bash
# Whether Pillow shows an image as it is stored or as it is to be seen depends on the format.
#
# Expected: Image.open gives pixels and size as stored, for every format; who wants them upright calls
# ImageOps.exif_transpose, and who reads a mask that belongs to the stored pixels does not.
# Seen with Pillow 13.0.0: so it is with JPEG, PNG and WebP; a TIFF with the same orientation tag has its sides swapped
# already in `size` before anything is read, comes turned, and its tag is gone, so nothing tells that it was turned.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0
cat > "$folder/read.py" <<'PY'
import io

from PIL import Image

ORIENTATION, QUARTER_TURN = 274, 6
for name in ("JPEG", "PNG", "WEBP", "TIFF"):
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = QUARTER_TURN
    Image.new("RGB", (3, 2)).save(file, name, exif=exif)
    image = Image.open(file)
    unread = image.size
    image.load()
    print(name, "size", unread, "after reading", image.size, "orientation", image.getexif().get(ORIENTATION))
PY
"$folder/venv/bin/python" "$folder/read.py" > "$folder/seen"
cat > "$folder/expected" <<'EOF'
JPEG size (3, 2) after reading (3, 2) orientation 6
PNG size (3, 2) after reading (3, 2) orientation 6
WEBP size (3, 2) after reading (3, 2) orientation 6
TIFF size (2, 3) after reading (2, 3) orientation None
EOF
diff "$folder/expected" "$folder/seen"
echo "as described: of four formats one is turned without being asked"
