#!/usr/bin/env bash
# A program that asks "was I told to stop?" after every step is not asked once more where SIGTERM comes while the step is logged.
#
# Expected: Lightning calls a SIGTERM handler that was there before; so one that notes the signal, and a callback that looks
# at the note when a step ends, saves and leaves with 143, lose nothing: a signal that comes after the callback is seen one
# step later.
# Seen with pytorch-lightning 2.6.6: the handler is called, and the fit ends at the end of that very step. No callback is
# asked again but on_exception; what is raised is a SystemExit without a code, so the process that was terminated ends with
# exit code 0, as if training were done.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytorch-lightning==2.6.6 torch==2.15.0 numpy==2.3.5
cat > "$folder/fit.py" <<'PY'
import os
import signal
import sys
import warnings

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")
told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))


class Leave(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, step):
        print("step", step, "has ended, told to stop:", bool(told), flush=True)
        if told:
            sys.exit(143)


class Terminated(Logger):
    """Stands for a scheduler that ends the job while the third step is logged."""

    name = version = None

    def log_hyperparams(self, *arguments):
        pass

    def log_metrics(self, metrics, step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, step):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


print("pytorch-lightning", pl.__version__, flush=True)
trainer = pl.Trainer(
    max_epochs=1, accelerator="cpu", logger=Terminated(), callbacks=[Leave()], log_every_n_steps=1,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)
try:
    trainer.fit(Line(), DataLoader(torch.ones(10, 1)))
finally:
    print("told to stop:", told, "raised:", sys.exc_info()[0], flush=True)
PY
status=0
"$folder/venv/bin/python" "$folder/fit.py" > "$folder/output" 2> "$folder/errors" || status=$?
cat "$folder/output"
echo "exit code $status"
[ "$status" = 0 ]
grep -q "step 2 has ended, told to stop: False" "$folder/output"
if grep -q "step 3 has ended" "$folder/output"; then exit 1; fi
grep -q "told to stop: \[15\] raised: .*SIGTERMException" "$folder/output"
echo "as described"
