#!/usr/bin/env bash
# A network that keeps its batch norms fixed by overriding `train()` is trained with batch norms that are not fixed.
#
# Expected: fit() puts the model into training mode before the first step, as every training loop does, so the usual way of
# freezing batch norm, train() followed by eval() of the norms, is called at least once.
# Seen with pytorch-lightning 2.6.6: neither the model's train() nor a submodule's is called, before the first step or after
# a validation within the fit, whose end sets every module's flag back one by one. A module is in training mode when it is
# built, so running means move in every step. Calling train() once before the fit is what helps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytorch-lightning==2.6.6 torch==2.15.0 numpy==2.3.5
cat > "$folder/fit.py" <<'PY'
import warnings

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")


class Network(nn.Sequential):
    def train(self, mode=True):
        super().train(mode)
        self[0].eval()
        return self


class Method(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = Network(nn.BatchNorm1d(1), nn.Linear(1, 1))

    def training_step(self, batch, step):
        return self.network(batch).square().mean()

    def validation_step(self, batch, step):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


for called in (False, True):
    method, data = Method(), DataLoader(torch.full((8, 1), 5.0), batch_size=4)
    if called:
        method.train()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(method, data, data)
    moved = bool(method.network[0].running_mean.any())
    print(f"train() called before the fit: {called}; running mean moved: {moved}")
PY
"$folder/venv/bin/python" "$folder/fit.py" 2> "$folder/errors" > "$folder/seen"
cat > "$folder/expected" <<'EOF'
train() called before the fit: False; running mean moved: True
train() called before the fit: True; running mean moved: False
EOF
diff "$folder/expected" "$folder/seen"
echo "as described: train() is not called"
