"""Save the logits of a trained run for one image at 1024×2048, for `python -m benchmarks.evaluation --logits`.

python -m benchmarks.trained_logits runs/uniseg_cibm/<time> logits.pt
"""

import sys
from pathlib import Path

import torch

from mdseg.config.building import Datasets
from mdseg.data.transforms import resize
from mdseg.runs.trained import load_trained


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").strip())
    run, output = Path(sys.argv[1]), Path(sys.argv[2])
    trained = load_trained(run)
    name = trained.cfg.evaluate.seen[0]
    image = Datasets().open_labelled(trained.cfg, name, "val").image(0)
    logits = trained.predictor(short_side=1024).logits(
        torch.from_numpy(resize(image, (1024, 2048))).permute(2, 0, 1)[None]
    )
    torch.save(logits.contiguous(), output)
    print(f"{output}: {tuple(logits.shape)}")


if __name__ == "__main__":
    main()
