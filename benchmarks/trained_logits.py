"""Save the logits of a trained run for one image at 1024×2048, for `python -m benchmarks.evaluation --logits`.

python -m benchmarks.trained_logits runs/uniseg_cibm/<time> logits.pt
"""

import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf

from mdseg.config.building import build, build_label_space, open_labelled
from mdseg.data.transforms import resize
from mdseg.runs import checkpoints


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").strip())
    run, output = Path(sys.argv[1]), Path(sys.argv[2])
    cfg = OmegaConf.load(run / "config.yaml")
    space = build_label_space(cfg)
    model = build(cfg.model, num_classes=space.num_classes).eval()
    path = run / cfg.stages[-1] / "checkpoints" / "last.ckpt"
    checkpoints.load_model(model, checkpoints.load(path), path, space.names)
    image = resize(open_labelled(cfg, cfg.evaluate.seen[0], "val").image(0), (1024, 2048))
    with torch.no_grad():
        logits = model(torch.from_numpy(image).permute(2, 0, 1)[None])
    torch.save(logits.contiguous(), output)
    print(f"{output}: {tuple(logits.shape)}")


if __name__ == "__main__":
    main()
