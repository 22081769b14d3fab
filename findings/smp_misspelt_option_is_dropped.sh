#!/usr/bin/env bash
# A misspelt option of a segmentation network is an error or is dropped without a word, by the name of its encoder.
#
# Expected: create_model() raises a TypeError for an option that neither the network nor the encoder has, as any function
# does; a typo in decoder_atrous_rates does not go unseen.
# Seen with segmentation-models-pytorch 0.6.0: with its own encoders the network is built with the default rates and nothing
# is said; with the same encoder by way of timm ("tu-resnet18") it is a TypeError. (0.6.0 collects what it does not know for
# timm's encoders, and gives it to nobody else.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet segmentation-models-pytorch==0.6.0 timm==1.0.31 torch==2.15.0 numpy==2.3.5
cat > "$folder/build.py" <<'PY'
import segmentation_models_pytorch as smp

for arch in ("DeepLabV3Plus", "FPN", "Unet"):
    for encoder in ("resnet18", "tu-resnet18"):
        try:
            smp.create_model(arch, encoder, encoder_weights=None, decoder_atrous_rate=(3, 6, 9))
        except TypeError:
            print(arch, encoder, "TypeError")
        else:
            print(arch, encoder, "taken")
PY
"$folder/venv/bin/python" -W ignore "$folder/build.py" > "$folder/seen"
cat > "$folder/expected" <<'EOF'
DeepLabV3Plus resnet18 taken
DeepLabV3Plus tu-resnet18 TypeError
FPN resnet18 taken
FPN tu-resnet18 TypeError
Unet resnet18 taken
Unet tu-resnet18 TypeError
EOF
diff "$folder/expected" "$folder/seen"
echo "as described: an option that there is not is dropped"
