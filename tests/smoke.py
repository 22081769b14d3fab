"""Overrides that make a run as small as it gets."""

# Network, crops and datasets in miniature: whether the parts fit together, in seconds.
SMOKE = [
    "model.widths=[8,8,8,8,8]",
    "transform.crop=[32,48]",
    "transform.short_side=40",
    "evaluation.short_side=40",
    "streams.labelled.batch_size=4",
    "data.workers=0",
    "data.height=40",
    "data.fraction=0.02",
    "panels=1",
    "log_every=1",
    "trainer.enable_progress_bar=false",
]
