#!/usr/bin/env bash
# A local weight file that lacks half of a network is taken for its feature extractor, and nobody says so.
#
# Expected: create_model(..., pretrained=True, pretrained_cfg_overlay={"file": ...}) reads a file of one's own as strictly
# with features_only=True as without it, and as checkpoint_path= does: what lacks tensors is an error.
# Seen with timm 1.0.31: the same file is an error for the whole network, and for the feature extractor by checkpoint_path=;
# with the overlay and features_only=True it is taken. 10 of 20 convolutions are the file's, the others random, and at the
# usual level of logging not a line is printed. (Names that all have a prefix load nothing at all, with a warning.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet timm==1.0.31 torch==2.15.0 numpy==2.3.5
cat > "$folder/load.py" <<'PY'
import sys

import timm
import torch

whole = timm.create_model("resnet18").state_dict()
path = f"{sys.argv[1]}/half.pth"
torch.save(dict(list(whole.items())[:60]), path)
overlay = {"pretrained": True, "pretrained_cfg_overlay": {"file": path}}
for features_only in (False, True):
    for name, how in (("overlay", overlay), ("checkpoint_path", {"checkpoint_path": path})):
        try:
            loaded = timm.create_model("resnet18", features_only=features_only, **how).state_dict()
        except RuntimeError:
            print(f"features_only={features_only}, {name}: refused")
        else:
            kernels = [key for key, value in loaded.items() if value.dim() == 4]
            same = sum(torch.equal(loaded[key], whole[key]) for key in kernels)
            print(f"features_only={features_only}, {name}: taken, {same} of {len(kernels)} convolutions are the file's")
PY
"$folder/venv/bin/python" "$folder/load.py" "$folder" > "$folder/seen" 2>&1
cat > "$folder/expected" <<'EOF'
features_only=False, overlay: refused
features_only=False, checkpoint_path: refused
features_only=True, overlay: taken, 10 of 20 convolutions are the file's
features_only=True, checkpoint_path: refused
EOF
diff "$folder/expected" "$folder/seen"
echo "as described: a feature extractor takes half a file without a word"
