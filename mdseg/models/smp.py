"""Any encoder-decoder of segmentation-models-pytorch, with any of its encoders or timm's (``tu-<name>``)."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

import segmentation_models_pytorch as smp
import timm
from torch import nn

from mdseg.models.heads import classifier
from mdseg.models.segmenter import IMAGENET_MEAN, IMAGENET_STD, Segmenter
from mdseg.models.weights import downloading, existing_file, load_weights


def encoder_decoder(
    num_classes: int,
    arch: str = "FPN",
    encoder: str = "resnet50",
    head: str = "cosine",
    temperature: float = 20.0,
    weights: str | Path | None = None,
    options: Mapping | None = None,
) -> Segmenter:
    """The decoder's output as features, at whatever resolution the architecture has, under one of our classifiers.

    ``weights`` initialises the encoder: null, ``imagenet`` (downloaded unless cached) or a file. ``options`` are
    further arguments of the architecture, such as ``{encoder_output_stride: 8}``.

    Raises:
        FileNotFoundError: the weights are not on disk, or their download failed.
        ValueError: unknown architecture or encoder, one that refuses the other or the options, weights that do not fit.
    """
    _check_name("model.arch", arch.lower(), smp.MODEL_ARCHITECTURES_MAPPING)
    if encoder.startswith("tu-"):
        # A timm name may carry the tag of its weights: tu-resnet50.a1_in1k
        _check_name("model.encoder", encoder.split(".")[0], [f"tu-{name}" for name in timm.list_models()])
    else:
        _check_name("model.encoder", encoder, smp.encoders.get_encoder_names())
    network = _build(arch, encoder, weights, dict(options or {}))
    in_channels = next(m for m in network.segmentation_head.modules() if isinstance(m, nn.Conv2d)).in_channels
    network.segmentation_head = nn.Identity()
    return Segmenter(
        network,
        classifier(head, in_channels, num_classes, temperature),
        *_mean_and_std(encoder, weights),
        input_multiple=network.encoder.output_stride,
    )


def _check_name(key: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
        raise ValueError(f"{key}: {name!r} is unknown; did you mean {', '.join(near or sorted(known)[:20])}?")


def _build(arch: str, encoder: str, weights: str | Path | None, options: dict) -> nn.Module:
    """An smp network with its encoder initialised; timm reads files for its own encoders, whose keys it renames."""
    is_timm, is_file = encoder.startswith("tu-"), weights not in (None, "imagenet")
    if is_file:
        weights = existing_file(weights)
    if is_file and is_timm:
        options["pretrained_cfg_overlay"] = {"file": str(weights)}
    encoder_weights = True if is_timm and weights else None if is_file else weights
    try:
        with downloading(f"the ImageNet weights of {encoder}"):
            network = smp.create_model(arch, encoder, encoder_weights, in_channels=3, classes=1, **options)
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"model.arch={arch} with model.encoder={encoder}, weights {weights} and options {options}: {error}"
        ) from error
    if is_file and not is_timm:
        load_weights(network.encoder, weights)
    return network


def _mean_and_std(encoder: str, weights: str | Path | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the encoder's published weights were trained with."""
    if encoder.startswith("tu-"):
        published = timm.get_pretrained_cfg(encoder.removeprefix("tu-"))
        return (published.mean, published.std) if published else (IMAGENET_MEAN, IMAGENET_STD)
    if weights == "imagenet":
        published = smp.encoders.get_preprocessing_params(encoder)
        return published["mean"], published["std"]
    return IMAGENET_MEAN, IMAGENET_STD
