"""Any encoder-decoder of segmentation-models-pytorch, with any of its encoders or timm's (`tu-<name>`)."""

import difflib
import inspect
import logging
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from jaxtyping import Float
from segmentation_models_pytorch.base import SegmentationModel
from torch import Tensor, nn

from mdseg.models.heads import classifier
from mdseg.models.segmenter import IMAGENET_MEAN, IMAGENET_STD, Segmenter
from mdseg.models.sizes import Size, refusal
from mdseg.models.weights import Misfit, downloading, existing_file, load_state, read_weights, unwrapped
from mdseg.system.wording import nearest, shortened

logging.getLogger("timm").setLevel(logging.ERROR)  # what is loaded is counted, and said, here

MARK = 1_000_000  # a value that no weight has; those above it are exact
THIRD_STAGE = 4  # in the list that an encoder answers with, after the image, the stem and two stages


def encoder_decoder(
    num_classes: int,
    arch: str = "FPN",
    encoder: str = "resnet50",
    head: str = "cosine",
    temperature: float = 20.0,
    weights: str | Path | None = None,
    options: Mapping | None = None,
    low_head: bool = False,
) -> Segmenter:
    """The decoder's output as features, at whatever resolution the architecture has, under one of our classifiers.

    Args:
        weights: of the encoder: null, `imagenet` (downloaded unless cached) or a file.
        options: further arguments of the architecture, such as `{encoder_output_stride: 8}`.
        low_head: an auxiliary head on the encoder's third stage, as PSPNet (Zhao et al., CVPR 2017, arXiv:1612.01105)
            and its successors have it.

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
    _check_options(arch, encoder, options or {})
    network = _build(arch, encoder, weights, dict(options or {}))
    in_channels = next(m for m in network.segmentation_head.modules() if isinstance(m, nn.Conv2d)).in_channels
    network.segmentation_head = nn.Identity()
    if low_head:
        _check_third_stage(arch, network)
    return Segmenter(
        WithThirdStage(network) if low_head else network,
        classifier(head, in_channels, num_classes, temperature),
        *_mean_and_std(encoder, weights),
        input_multiple=_multiple(network.encoder),
        low_head=_auxiliary_head(network.encoder.out_channels[THIRD_STAGE], num_classes, head, temperature)
        if low_head
        else None,
        remedy=partial(_remedy, arch, encoder, dict(options or {})),
    )


class WithThirdStage(nn.Module):
    """Encoder and decoder of an smp network; answers with the decoder's output and the encoder's third stage."""

    def __init__(self, network: SegmentationModel) -> None:
        super().__init__()
        self.encoder, self.decoder = network.encoder, network.decoder

    def forward(self, image: Float[Tensor, "n 3 h w"]) -> tuple[Tensor, Tensor]:
        features = self.encoder(image)
        third = features[THIRD_STAGE]  # looked up first: a decoder may change the list
        return self.decoder(features), third


def _auxiliary_head(in_channels: int, num_classes: int, head: str, temperature: float) -> nn.Sequential:
    """A 3×3 convolution to 256 channels, batch norm, ReLU, dropout of channels (0.1) and a classifier."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 256, 3, padding=1, bias=False),
        nn.BatchNorm2d(256),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.1),
        classifier(head, 256, num_classes, temperature),
    )


def _multiple(encoder: Any) -> int:
    """What the sides of an image must be multiples of."""
    if not isinstance(encoder, smp.encoders.TimmViTEncoder):
        return encoder.output_stride
    # DPT makes maps at 1/4, 1/8, ... of one grid and adds those of the next stage at twice their size (smp 0.6.0 does
    # not say so, and fails at an odd grid).
    return math.lcm(encoder.output_stride, 2 ** (len(encoder.out_channels) + 1))


def _remedy(arch: str, encoder: str, options: dict, size: Size) -> str | None:
    """The option of a timm encoder, if there is one, with which it takes images of (height, width)."""
    for option, value in {"dynamic_img_size": True, "strict_img_size": False}.items():
        if encoder.startswith("tu-") and option not in options:
            with suppress(ValueError), torch.device("meta"):
                if refusal(_build(arch, encoder, None, {**options, option: value}), size) is None:
                    return f"it takes this one with +model.options.{option}={str(value).lower()}"
    return None


def _check_third_stage(arch: str, network: SegmentationModel) -> None:
    if type(network).forward is not SegmentationModel.forward:
        raise ValueError(f"model.low_head: {arch} is no plain encoder and decoder; choose another model.arch")
    if len(network.encoder.out_channels) <= THIRD_STAGE:
        raise ValueError(
            f"model.low_head: the encoder of {arch} ends before its third stage; set model.options.encoder_depth=5"
        )


def _check_name(key: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
        raise ValueError(f"{key}: {name!r} is unknown; did you mean {', '.join(near or sorted(known)[:20])}?")


def _check_options(arch: str, encoder: str, options: Mapping) -> None:
    """Refuse options that nothing takes; smp 0.6.0 drops them without a word, unless timm makes the encoder."""
    takers = (smp.MODEL_ARCHITECTURES_MAPPING[arch.lower()], smp.encoders.get_encoder)
    known = [name for taker in takers for name in inspect.signature(taker).parameters]
    for option in options if not encoder.startswith("tu-") else ():
        if option not in known:
            raise ValueError(
                f"model.options.{option}: {arch} has no such option{nearest(option, known)}; it takes "
                f"{', '.join(known)}"
            )


def _build(arch: str, encoder: str, weights: str | Path | None, options: dict) -> SegmentationModel:
    """An smp network with its encoder initialised."""
    is_timm = encoder.startswith("tu-")
    if weights in (None, "imagenet"):
        return _create(arch, encoder, True if is_timm and weights else weights, options)
    file = existing_file(weights)
    network, found = _create(arch, encoder, None, options), read_weights(file)
    if not is_timm:
        with torch.random.fork_rng(devices=[]):
            whole = smp.encoders.get_encoder(encoder)
        load_state(network.encoder, found, str(file), beyond=whole.state_dict())
        return network
    with torch.device("meta"):
        whole = timm.create_model(encoder.removeprefix("tu-"))
    # The vision transformers of DPT are whole, with their classifier.
    heads = getattr(network.encoder.model, "pretrained_cfg", {}).get("classifier") or ()
    head = tuple(f"model.{name}." for name in ([heads] if isinstance(heads, str) else heads))
    try:
        load_state(network.encoder, found, str(file), classifier=head, beyond=whole.state_dict(), spelt=_as_timm_spells)
    except Misfit as misfit:
        if arch.lower() == "dpt":
            options = {**options, "num_classes": 0}
        try:
            translated = _translated(found, str(file), arch, encoder, options, whole.state_dict())
        except Misfit:
            raise
        except (AssertionError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{misfit}; read as another code's, it does not fit either ({said})") from error
        try:
            load_state(network.encoder, translated, f"{file}, in timm's names,", classifier=head)
        except Misfit as other:
            raise min(misfit, other, key=lambda error: error.lacking) from None
    return network


def _as_timm_spells(name: str) -> str:
    """A tensor's name in timm's whole network, from that in one which is cut down to an encoder, dots for underscores.

    timm 1.0 makes `stages.0` of a network `stages_0` of its encoder, and may put it into `model` and `body`.
    """
    inner = name
    while inner.startswith("model."):
        inner = inner.removeprefix("model.")
    return (inner if inner == name else inner.removeprefix("body.")).replace("_", ".")


def _translated(
    found: Mapping[str, Tensor], file: str, arch: str, encoder: str, options: Mapping, beyond: Collection[str]
) -> dict[str, Tensor]:
    """The tensors of an encoder that a file brings in the names of another code, which timm translates; or nothing.

    timm 1.0.31 loads a file into an encoder (`features_only`) without `strict`: what is missing keeps its random
    values, and what is left over is dropped, without a word. So the file is loaded with a number of its own in place
    of each tensor's values: what has none afterwards was not in it, and which numbers are nowhere is left over.

    Args:
        beyond: names of the whole network, with its classifier.

    Raises:
        Misfit: the file has further layers, of a deeper network.
        ValueError: timm fails.
    """
    state = unwrapped(found, file)
    names = [name for name, value in state.items() if value.is_floating_point()]
    marks = {name: torch.full(state[name].shape, float(MARK + number)) for number, name in enumerate(names)}
    with torch.random.fork_rng(devices=[]):
        marked, loaded = (
            _create(arch, encoder, True, options, state_dict=tensors).encoder.state_dict()
            for tensors in (state | marks, state)
        )
        overlay = {"state_dict": state | marks}
        whole = timm.create_model(
            encoder.removeprefix("tu-"), pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay
        ).state_dict()
    numbers = {number for value in whole.values() for number in _numbers(value)}
    used = {name for number, name in enumerate(names, MARK) if number in numbers}
    parts = {name.partition(".")[0] for name in used}
    unused = [name for name in names if name not in used and name not in beyond and name.endswith(".weight")]
    further = [name for name in unused if name.partition(".")[0] in parts]
    if further:
        raise Misfit(
            f"{file} does not fit {encoder}: {len(used)} of its {len(names)} tensors do, and {len(further)} more are "
            f"of layers that it does not have ({shortened(further, 3)}); is it of a deeper network?",
            len(further),
        )
    brought = {name for name, value in marked.items() if any(number >= MARK for number in _numbers(value))}
    # Whole numbers are places in tables, the same in every file.
    return {n: v for n, v in loaded.items() if brought and (n in brought or not v.is_floating_point())}


def _numbers(values: Tensor) -> set[int]:
    """The numbers in a tensor, rounded: interpolated from equal ones, they are a little off."""
    if not values.numel() or not values.is_floating_point():
        return set()
    first = values.flatten()[:1]
    return {round(number) for number in (first if (values == first).all() else values.unique()).tolist()}


def _create(
    arch: str, encoder: str, weights: str | bool | None, options: Mapping, state_dict: dict[str, Tensor] | None = None
) -> SegmentationModel:
    """An smp network; timm loads a state dict into its encoder in place of the published one."""
    more = {} if state_dict is None else {"pretrained_cfg_overlay": {"state_dict": state_dict}}
    try:
        with downloading(f"the ImageNet weights of {encoder}"):
            return smp.create_model(arch, encoder, weights, in_channels=3, classes=1, **options, **more)
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"model.arch={arch} with model.encoder={encoder} and options {dict(options)}: {error}"
        ) from error


def _mean_and_std(encoder: str, weights: str | Path | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the encoder's published weights were trained with."""
    if encoder.startswith("tu-"):
        published = timm.get_pretrained_cfg(encoder.removeprefix("tu-"))
        return (published.mean, published.std) if published else (IMAGENET_MEAN, IMAGENET_STD)
    if weights == "imagenet":
        published = smp.encoders.get_preprocessing_params(encoder)
        return published["mean"], published["std"]
    return IMAGENET_MEAN, IMAGENET_STD
