"""What unlabelled images and further datasets cost universal semi-supervised training, at the demo's network and crop.

python -m benchmarks.universal

Time is per image that passes through the network, labelled or not; memory is the peak of three steps above network and
images. What malloc keeps in pieces counts too; with MALLOC_MMAP_THRESHOLD_=65536 in the environment it gives all large
tensors back, and the peak is that of the tensors.
"""

import argparse
from functools import partial
from types import SimpleNamespace

import torch

from benchmarks.measure import Case, Cost, costs
from mdseg.labels.embeddings import DatasetEmbeddings, LabelEmbeddings
from mdseg.labels.spaces import disjoint
from mdseg.labels.tables import LabelTable
from mdseg.losses import ce
from mdseg.methods.schedules import poly
from mdseg.methods.universal import Universal
from mdseg.models.small import small

BATCH, CROP, DIMENSION = 4, (80, 160), 32
STEPS = 3  # of a case: the first one has no moments of the optimiser yet
LARGE_CROP = (160, 320)  # four times the pixels: a pass needs more memory, the gradients that wait for the next do not
CHANNELS = 32  # of all datasets together, where their number is what is compared


def table(name: str, classes: int) -> LabelTable:
    names, colors = tuple(f"class {index}" for index in range(classes)), tuple((i, 0, 0) for i in range(classes))
    return LabelTable(name, names, colors, "id", tuple((index,) for index in range(classes)))


def step_of(
    classes: tuple[int, ...],
    alpha: float,
    beta: float,
    device: str,
    small_sizes: bool,
    passes: str = "per_dataset",
    partners: str = "all",
    crop: tuple[int, int] = CROP,
) -> Case:
    """Training steps on one labelled batch of every dataset, and on an unlabelled one where the entropy counts."""
    torch.manual_seed(0)
    space = disjoint({f"d{index}": table(f"d{index}", count) for index, count in enumerate(classes)})
    method = Universal(
        supervised=ce(space, scope="in_space", align_corners=False),
        alpha=alpha,
        beta=beta,
        dimension=DIMENSION,
        centroids=1,
        multi_centroid="flat",
        passes=passes,
        partners=partners,
        theta=1.0,
        embeddings="given",
        model=small(space.num_classes, head="linear"),
        space=space,
        evaluated={},
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
        scheduler=poly,
        head_lr_factor=1.0,
        decay_norms=True,
        steps=1000,
        seed=0,
        align_corners=False,
    ).to(device)
    if method.module is not None:
        method.module.take(embeddings(space.class_train_ids))
    optimizer = method.optimization["optimizer"]
    method.optimizers = lambda: optimizer  # type: ignore[method-assign]
    method.lr_schedulers = lambda: SimpleNamespace(step=lambda: None)  # type: ignore[method-assign,assignment]
    method.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign,assignment]
    method._trainer = SimpleNamespace(world_size=1, log_every_n_steps=10**9)  # nothing else of a trainer is asked for
    method.log = lambda *arguments, **options: None  # type: ignore[method-assign]
    crop = (16, 32) if small_sizes else crop
    batch = {"labelled": {}, "unlabelled": {}}
    for index, name in enumerate(space.datasets):
        own = space.class_train_ids[name]
        image = torch.randint(0, 256, (BATCH, 3, *crop), dtype=torch.uint8, device=device)
        mask = torch.randint(own[0], own[-1] + 1, (BATCH, *crop), dtype=torch.uint8, device=device)
        dataset = torch.full((BATCH,), index, device=device)
        batch["labelled"][name] = [{"image": image, "mask": mask, "dataset": dataset}]
        batch["unlabelled"][name] = [{"image": image.clone(), "dataset": dataset}]
    if method.module is None:
        del batch["unlabelled"]
    method.train()
    return lambda: [method.training_step(batch, step) for step in range(STEPS)]


def embeddings(classes: dict[str, tuple[int, ...]]) -> LabelEmbeddings:
    """Random ones."""
    parts = {
        name: DatasetEmbeddings(
            tuple(f"class {index}" for index in range(len(own))),
            torch.randn(len(own), DIMENSION),
            torch.arange(len(own)),
            torch.ones(len(own), dtype=torch.int64),
        )
        for name, own in classes.items()
    }
    return LabelEmbeddings(parts, DIMENSION, 1, "per_dataset", 0)


def per_image(measured: dict[str, Cost], images: dict[str, int]) -> dict[str, float]:
    return {name: cost.seconds / images[name] / STEPS for name, cost in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    two, eight = (CHANNELS // 2,) * 2, (CHANNELS // 8,) * 8
    cases = {
        "basic": (2, partial(step_of, (19, 11), 0.0, 0.0)),
        "full": (4, partial(step_of, (19, 11), 1.0, 1.0)),
        "basic, joint": (2, partial(step_of, (19, 11), 0.0, 0.0, passes="joint")),
        "full, joint": (4, partial(step_of, (19, 11), 1.0, 1.0, passes="joint")),
        "basic, joint, larger crops": (2, partial(step_of, (19, 11), 0.0, 0.0, passes="joint", crop=LARGE_CROP)),
        "full, joint, larger crops": (4, partial(step_of, (19, 11), 1.0, 1.0, passes="joint", crop=LARGE_CROP)),
        "basic, 2 datasets": (2, partial(step_of, two, 0.0, 0.0)),
        "basic, 8 datasets": (8, partial(step_of, eight, 0.0, 0.0)),
        "full, 2 datasets": (4, partial(step_of, two, 1.0, 1.0)),
        "full, 4 datasets": (8, partial(step_of, (CHANNELS // 2,) * 4, 1.0, 1.0)),
        "full, 8 datasets": (16, partial(step_of, (CHANNELS // 2,) * 8, 1.0, 1.0)),
        "full, 8 datasets, one partner": (16, partial(step_of, (CHANNELS // 2,) * 8, 1.0, 1.0, partners="one")),
    }
    measured = costs({name: build for name, (_, build) in cases.items()}, options.device, 1, options.rounds)
    print("\n| | images per step | ms per image | peak memory, MB |\n|---|---|---|---|")
    time = per_image(measured, {name: BATCH * batches for name, (batches, _) in cases.items()})
    for name, (batches, _) in cases.items():
        print(f"| {name} | {BATCH * batches} | {1e3 * time[name]:.2f} | {measured[name].megabytes:.0f} |")
    print()
    for passes in ("", ", joint", ", joint, larger crops"):
        full, basic = f"full{passes}", f"basic{passes}"
        memory = measured[full].megabytes / measured[basic].megabytes
        print(f"{full} / {basic}: time per image {time[full] / time[basic]:.2f}, memory {memory:.2f} (targets 1.15)")
    eightfold = time["basic, 8 datasets"] / time["basic, 2 datasets"]
    print(f"basic with 8 datasets / 2, as many channels in all: time per image {eightfold:.2f} (target 1.05)")
    for name in list(cases)[-3:]:
        print(f"{name} / full, 2 datasets: time per image {time[name] / time['full, 2 datasets']:.2f}")


if __name__ == "__main__":
    main()
