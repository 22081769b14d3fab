#!/usr/bin/env bash
# A metric of one's own that computes a matrix gives a number where the matrix is 1 by 1.
#
# Expected: Metric.compute() gives what the method `compute` of the class returns; a confusion matrix has two axes for any
# number of classes, so `matrix.sum(dim=1)` works.
# Seen with torchmetrics 1.9.0: every tensor of one element loses all its axes on the way out, and so do those within a list
# or a mapping, so code that is right for two classes raises an IndexError for one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.15.0 numpy==2.3.5
cat > "$folder/metric.py" <<'PY'
import torch
from torchmetrics import Metric


class Matrix(Metric):
    def __init__(self, classes):
        super().__init__()
        self.add_state("matrix", torch.zeros(classes, classes), "sum")

    def update(self):
        self.matrix += 1

    def compute(self):
        return {"matrix": self.matrix, "rows": [self.matrix.sum(dim=1)]}


for classes in (2, 1):
    metric = Matrix(classes)
    metric.update()
    computed = metric.compute()
    print(classes, tuple(computed["matrix"].shape), tuple(computed["rows"][0].shape))
PY
"$folder/venv/bin/python" -W ignore "$folder/metric.py" > "$folder/seen"
printf '2 (2, 2) (2,)\n1 () ()\n' > "$folder/expected"
diff "$folder/expected" "$folder/seen"
echo "as described: a matrix of one class is a number"
