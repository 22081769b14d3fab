"""What kind of value every key of a configuration takes, in one place; and references that lead nowhere."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, InterpolationToMissingValueError, OmegaConfBaseException

from mdseg.system.wording import nearest

MOST = 2**31 - 1  # of whole numbers: what all libraries take


class Kind(NamedTuple):
    """What a value must be: in words, and as a test."""

    expected: str
    fits: Callable[[Any], bool]


def is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole(least: int) -> Kind:
    """A whole number."""
    return Kind(f"a whole number of at least {least}", lambda value: is_whole(value) and value >= least)


def number(least: float = 0, above: bool = False) -> Kind:
    """A finite number; `above`: more than the least."""
    expected = f"a number above {least}" if above else f"a number of at least {least}"
    return Kind(expected, lambda value: is_number(value) and (value > least or (value == least and not above)))


def one_of(*words: str | int | None) -> Kind:
    """One of these words."""
    said = dict.fromkeys("null" if word is None else str(word) for word in words)
    return Kind(" or ".join(said), lambda value: not isinstance(value, bool) and value in words)


def either(*kinds: Kind) -> Kind:
    """A value of any of these kinds."""
    return Kind(" or ".join(kind.expected for kind in kinds), lambda value: any(kind.fits(value) for kind in kinds))


def seconds_of(limit: object) -> float | None:
    """Seconds of a time that is written out, such as `11:30:00`, `11.5 hours`, `90 minutes`; None where it is none."""
    clock = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", str(limit))
    words = re.fullmatch(r"(\d+(?:\.\d+)?) *(hour|minute|second)s?", str(limit))
    if not isinstance(limit, str) or not (clock or words):
        return None
    if clock:
        return 3600.0 * int(clock[1]) + 60 * int(clock[2]) + int(clock[3])
    return float(words[1]) * {"hour": 3600, "minute": 60, "second": 1}[words[2]] if words else None


def _is_range(value: Any) -> bool:
    return _is_list(value) and len(value) == 2 and all(map(is_number, value)) and 0 < value[0] <= value[1]


def _are_betas(value: Any) -> bool:
    return _is_list(value) and len(value) == 2 and all(is_number(beta) and 0 <= beta < 1 for beta in value)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


TEXT = Kind("text", _is_text)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NULL = Kind("null", lambda value: value is None)
TARGET = Kind(
    "a class or function with its modules, such as torch.optim.SGD",
    lambda value: isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value) is not None,
)
# What Hydra makes objects by; a word for `_convert_` that it does not know it takes for none.
HYDRAS = {"_target_": TARGET, "_partial_": FLAG, "_convert_": one_of("none", "partial", "object", "all")}
KEYS = Kind("keys with values", lambda value: isinstance(value, Mapping))
OBJECT = Kind(
    "a class or function (_target_) with its options", lambda value: isinstance(value, Mapping) and "_target_" in value
)
NAMES = Kind("a list of names", lambda value: _is_list(value) and all(map(_is_text, value)))
SIZE = Kind("[height, width]", lambda value: _is_list(value) and len(value) == 2 and all(map(whole(1).fits, value)))
TIME = Kind(
    'a time such as "11:30:00" (in a YAML file within quotes) or "11.5 hours"',
    lambda value: (seconds_of(value) or 0) > 0,
)
DEVICES = Kind(
    "a number of devices, -1 (all), auto, or a list of their numbers",
    lambda value: (
        (is_whole(value) and (value > 0 or value == -1))
        or _is_text(value)
        or (_is_list(value) and len(value) > 0 and all(map(whole(0).fits, value)))
    ),
)
SEVERAL = either(whole(1), one_of("auto"))
SUBSET = Kind(
    "all, a number of images, a share such as 1/8, a text file, or one of these for each dataset",
    lambda value: is_whole(value) or _is_text(value) or KEYS.fits(value),
)

# Not Lightning's 16-true and bf16-true: they would round all that a module holds, counts and sums over a data set too.
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "64-true")
SHORT_PRECISIONS = ("32", "16", "bf16", "64", 32, 16, 64, None)  # as Lightning takes them too

OF_TRANSFORM = {
    "short_side": either(whole(1), NULL),
    "scale": Kind("[lowest, highest] of two rising positive factors", _is_range),
    "crop": SIZE,
    "max_class_share": either(number(above=True), NULL),
}
OF_OPTIMIZER = {
    "lr": number(above=True),
    "weight_decay": number(),
    "momentum": number(),
    "betas": Kind("[first, second] of two numbers from 0 to below 1", _are_betas),
}
OPTIMIZERS = ("optimizer", "method.discriminator_optimizer")
TRANSFORMS = ("transform", "streams.*.transform", "streams.*.per_dataset.*.transform")

KINDS: dict[str, Kind] = {  # `*` stands for any key; a value that is not there is looked at elsewhere
    "name": TEXT,
    "row": either(TEXT, NULL),
    "family": TEXT,
    "scale": TEXT,
    "seed": whole(0),
    "runs": TEXT,
    "align_corners": FLAG,
    "head_lr_factor": number(),
    "decay_norms": FLAG,
    "batch_size": either(whole(1), NULL),
    "accumulate": whole(1),
    "steps": either(whole(1), Kind('such as "150 epochs"', _is_text), NULL),
    "time_limit": either(TIME, NULL),
    "from": either(TEXT, KEYS, NULL),
    "log_every": whole(1),
    "val_every": whole(1),
    "checkpoint_every": whole(1),
    "select": either(TEXT, NULL),
    "panels": whole(0),
    "blv_sigma": either(number(), KEYS),
    "discriminator_width": whole(1),
    "embedding_dimension": whole(1),
    "passes": one_of("per_dataset", "joint"),
    "unlabelled_per_step": SEVERAL,
    "mean": one_of("network", "own"),
    "model": either(OBJECT, NULL),
    "method": OBJECT,
    "label_space": OBJECT,
    "transform": OBJECT,
    "logger": either(OBJECT, NULL),
    "scheduler": either(OBJECT, NULL),
    "optimizer": either(OBJECT, NULL),
    "loss": KEYS,
    "loss.*": either(OBJECT, NULL),
    "sizes": KEYS,
    "sizes.*": SIZE,
    "data": KEYS,
    "data.root": TEXT,
    "data.workers": whole(0),
    "data.height": whole(8),
    "data.fraction": number(above=True),
    "data.generate": either(OBJECT, NULL),
    "data.generate.workers": whole(0),
    "data.truth": either(OBJECT, NULL),
    "data.counts": KEYS,
    "data.counts.*": KEYS,
    "data.counts.*.*": whole(0),
    "datasets": KEYS,
    "datasets.*": KEYS,
    "streams": KEYS,
    "streams.*": either(KEYS, NULL),
    "streams.*.role": one_of("labelled", "unlabelled", "target"),
    "streams.*.datasets": NAMES,
    "streams.*.split": TEXT,
    "streams.*.batch_size": either(whole(1), NULL),
    "streams.*.mixing": either(TEXT, KEYS),
    "streams.*.mixing.*": number(),
    "streams.*.labelled": SUBSET,
    "streams.*.labelled.*": SUBSET,
    "streams.*.exclude_labelled": either(TEXT, NULL),
    "streams.*.transform": either(KEYS, NULL),
    "streams.*.rare_class": either(KEYS, NULL),
    "streams.*.rare_class.temperature": number(above=True),
    "streams.*.rare_class.in_image": number(),
    "streams.*.rare_class.in_crop": number(),
    "streams.*.rare_class.attempts": whole(0),
    "streams.*.per_dataset": either(KEYS, NULL),
    "streams.*.per_dataset.*": either(KEYS, NULL),
    "streams.*.per_dataset.*.batch_size": whole(1),
    "streams.*.per_dataset.*.micro_batches": SEVERAL,
    "streams.*.per_dataset.*.labelled": SUBSET,
    "streams.*.per_dataset.*.transform": either(KEYS, NULL),
    "streams.*.micro_batches": either(SEVERAL, NULL),
    "streams.*.alternate": either(FLAG, NULL),
    "evaluate": KEYS,
    "evaluate.*": NAMES,
    "evaluation": KEYS,
    "evaluation.short_side": either(whole(1), NULL),
    "evaluation.short_sides": either(KEYS, NULL),
    "evaluation.short_sides.*": either(whole(1), NULL),
    "evaluation.batch_size": whole(1),
    "evaluation.score_at": one_of("label", "image"),
    "stages": NAMES,
    "stage": KEYS,
    "stage.*": either(KEYS, NULL),
    "stage.*.run": either(OBJECT, NULL),
    "trainer": OBJECT,
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps"),
    "trainer.devices": DEVICES,
    "trainer.num_nodes": whole(1),
    "trainer.strategy": either(
        one_of("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"), OBJECT
    ),
    "trainer.precision": one_of(*PRECISIONS, *SHORT_PRECISIONS),
    "trainer.sync_batchnorm": FLAG,
    "trainer.enable_progress_bar": FLAG,
    "trainer.benchmark": either(FLAG, NULL),
    "trainer.deterministic": either(FLAG, one_of("warn"), NULL),
    "trainer.detect_anomaly": FLAG,
    "trainer.gradient_clip_val": either(number(), NULL),
    "trainer.gradient_clip_algorithm": one_of("norm", "value", None),
    **{f"{transform}.{key}": kind for transform in TRANSFORMS for key, kind in OF_TRANSFORM.items()},
    **{f"{optimizer}.{key}": kind for optimizer in OPTIMIZERS for key, kind in OF_OPTIMIZER.items()},
}
TEXT_OR_NULL, PATHS = either(TEXT, NULL), either(TEXT, Kind("a list of paths", NAMES.fits))
OF_TRAINED = {
    "run": TEXT,
    "stage": TEXT_OR_NULL,
    "checkpoint": one_of("last", "best"),
    "network": TEXT_OR_NULL,
    "device": TEXT,
    "output": TEXT_OR_NULL,
}
OF_DATA = {
    "data": either(TEXT, NULL),
    "data.root": TEXT_OR_NULL,
    "data.workers": either(whole(0), NULL),
    "dataset": either(TEXT, Kind("a list of names", lambda value: value == [] or NAMES.fits(value))),
    "trainer": TEXT,
    "split": TEXT_OR_NULL,
    "output": TEXT_OR_NULL,
    "seed": whole(0),
    "count": whole(1),
}
COMMANDS: dict[str, dict[str, Kind]] = {  # what they take on the command line beside keys of a run
    "evaluate": {**OF_TRAINED, **OF_DATA, "classes": either(FLAG, NULL), "evaluation": KEYS},
    "predict": {**OF_TRAINED, "images": TEXT, "space": TEXT_OR_NULL, "overwrite": FLAG},
    "compare": {
        **OF_DATA,
        "runs": PATHS,
        "networks": either(Kind("a name or null for each run", _is_list), TEXT, NULL),
        "logits": whole(0),
        "tsne": either(KEYS, NULL),
        "tsne.pixels": either(whole(2), NULL),
        "tsne.datasets": either(NAMES, NULL),
        "tsne.classes": either(NAMES, NULL),
        "tsne.perplexity": number(above=True),
        "tsne.neighbours": whole(1),
        "device": TEXT,
    },
    "activations": {**OF_DATA, "runs": PATHS, "images": either(PATHS, NULL), "classes": either(NAMES, NULL)},
    "browse": {
        "split": TEXT,
        "samples": whole(1),
        "versions": whole(0),
        "output": TEXT,
        "data": TEXT,
        "dataset": OF_DATA["dataset"],
    },
    "check": {"split": TEXT_OR_NULL, "output": TEXT_OR_NULL, "data": TEXT, "dataset": OF_DATA["dataset"]},
}
ONLY_OF_RUN = ("name", "row", "family", "scale", "runs", "time_limit", "logger", "stages", "stage")
INSTEAD = {  # options of Lightning's trainer that mdseg sets itself → what to write
    "max_steps": "steps",
    "max_epochs": 'steps, such as steps="150 epochs"',
    "min_steps": "steps",
    "min_epochs": "steps",
    "max_time": "time_limit, which saves and stops so that the run can be resumed",
    "accumulate_grad_batches": "accumulate, which cuts the batch of a step into parts",
    "val_check_interval": "val_every",
    "check_val_every_n_epoch": "val_every",
    "limit_train_batches": "steps",
    "limit_val_batches": "evaluate, or stage.<name>.evaluate=null for no evaluation",
    "overfit_batches": "streams.<name>.labelled=<number of images>",
    "fast_dev_run": "steps=2, or --plan to see what a run would do",
    "num_sanity_val_steps": "--plan, which checks a run before it begins",
    "log_every_n_steps": "log_every",
    "logger": "logger",
    "enable_checkpointing": "checkpoint_every",
    "enable_model_summary": "--plan, which counts the parameters",
    "default_root_dir": "runs",
    "callbacks": "configure_callbacks of a method of your own",
    "use_distributed_sampler": "trainer.devices: batches are dealt out to the devices anyway",
}


def check_command(command: str, given: Mapping[str, Any]) -> None:
    """Refuse values of another kind than the options of a command take.

    Args:
        given: key → value, as on the command line.

    Raises:
        ValueError: it names the key.
    """
    for key, kind in COMMANDS.get(command, {}).items():
        if key in given:
            _check_countable(key, given[key])
        if key in given and not kind.fits(given[key]):
            raise ValueError(f"{key}: expected {kind.expected}, got {_shown(given[key])}")


def check_values(cfg: DictConfig) -> None:
    """Refuse values of another kind than their keys take, in a run's configuration and in its stages' own values.

    Raises:
        ValueError: it names the key, what was expected and what came; a reference that leads nowhere, an option of the
            trainer that mdseg sets itself.
    """
    check_references(cfg, leave_out=("stage", "hydra"))
    check_kinds(cfg)
    for name, own in (cfg.get("stage") or {}).items():
        if isinstance(own, DictConfig):
            for key in ONLY_OF_RUN:
                if key in own:
                    raise ValueError(f"stage.{name}.{key}: {key} is of the whole run; write it without the stage")
            check_kinds(own, f"stage.{name}.", whole=False)


def check_kinds(cfg: DictConfig, where: str = "", only: Collection[str] = (), whole: bool = True) -> None:
    """Refuse values of another kind than their keys take.

    Args:
        where: what stands before the keys in messages.
        only: the keys of a command that shares no more than these with a run; empty: all.
        whole: false: a stage's own values, which are laid over the run's; options come without the class that takes
            them, and `evaluate` may be null too.

    Raises:
        ValueError: it names the key.
    """
    _check_targets(cfg, where)
    for pattern, kind in KINDS.items():
        path = pattern.split(".")
        for key, value in _found(cfg, path) if not only or path[0] in only else ():
            _check_countable(f"{where}{key}", value)
            if kind.fits(value) or (not whole and _is_part(pattern, kind, value)):
                continue
            meant = f", [{value.strip('[]')}]," if isinstance(value, str) and kind is NAMES else ","
            raise ValueError(f"{where}{key}: expected {kind.expected}{meant} got {_shown(value)}")
    trainer = cfg.get("trainer")
    for option in map(str, trainer if isinstance(trainer, DictConfig) else ()):
        _check_trainer_key(f"{where}trainer.{option}", option)


def _check_countable(key: str, value: Any) -> None:
    if is_whole(value) and abs(value) > MOST:
        raise ValueError(f"{key}: {_shown(value)} is more than anything can be counted up to, {MOST}")


def _is_part(pattern: str, kind: Kind, value: Any) -> bool:
    if value is None:
        return pattern == "evaluate"
    return OBJECT.expected in kind.expected and isinstance(value, Mapping)


def _check_targets(node: Any, where: str) -> None:
    """Refuse what names no class or function, wherever one is named, with a message that Hydra does not have.

    Raises:
        ValueError: it names the key.
    """
    children: dict[Any, Any] = {}
    if isinstance(node, DictConfig):
        children = {key: node._get_node(key) for key in node if not OmegaConf.is_missing(node, key)}
    elif isinstance(node, ListConfig):
        children = {key: node._get_node(key) for key in range(len(node)) if not OmegaConf.is_missing(node, key)}
    for key, child in children.items():
        if key in HYDRAS and not OmegaConf.is_interpolation(node, key) and not HYDRAS[key].fits(node[key]):
            full = f"{where}{node._get_full_key(key)}"
            raise ValueError(f"{full}: expected {HYDRAS[key].expected}, got {_shown(node[key])}")
        if isinstance(child, Container) and not (child._is_none() or child._is_interpolation()):
            _check_targets(child, where)


def _check_trainer_key(full: str, key: str) -> None:
    known = [pattern.removeprefix("trainer.") for pattern in KINDS if pattern.startswith("trainer.")]
    if key in INSTEAD:
        raise ValueError(f"{full}: mdseg sets this option of Lightning's trainer itself; use {INSTEAD[key]}")
    if key not in (*known, "_target_"):
        raise ValueError(f"{full}: there is no such key{nearest(key, known)}; trainer takes {', '.join(known)}")


def _found(node: Any, path: list[str]) -> Iterator[tuple[str, Any]]:
    """Key and value of everything that a path with `*` stands for.

    Left out is what is missing, and what refers to something that only a stage has.
    """
    if not isinstance(node, DictConfig):
        return
    first, *rest = path
    for key in [key for key in node.keys() if first in ("*", key)]:  # noqa: SIM118 (`in` raises and catches errors)
        if OmegaConf.is_missing(node, key):
            continue
        try:
            value = node[key]
        except InterpolationResolutionError:
            continue
        if not rest:
            yield str(key), value
        for below, found in _found(value, rest) if rest else ():
            yield f"{key!s}.{below}", found


def _shown(value: object) -> str:
    value = OmegaConf.to_container(value) if isinstance(value, Container) else value
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def check_references(cfg: DictConfig, leave_out: Sequence[str] = ()) -> None:
    """Refuse references `${...}` that name nothing, or that lead back to themselves.

    Args:
        leave_out: keys below which nothing is looked at.

    Raises:
        ValueError: it names the key that holds the reference.
    """
    for node, key in references(cfg, leave_out):
        full = node._get_full_key(key)
        try:
            node[key]
        except InterpolationToMissingValueError:
            continue  # said where it is needed
        except (OmegaConfBaseException, RecursionError) as error:
            reason = str(error).splitlines()[0]
            if isinstance(error, RecursionError) or reason.startswith("Recursive"):
                reason = "it leads back to itself; give a key on its way a value"
            raise ValueError(f"{full}: {raw(node, key)}: {reason}") from error


def references(node: Any, leave_out: Sequence[str] = ()) -> Iterator[tuple[Any, Any]]:
    """Node and key of every value that refers to another one, `${...}`."""
    keys = range(len(node)) if isinstance(node, ListConfig) else [key for key in node if key not in leave_out]
    for key in keys:
        if OmegaConf.is_interpolation(node, key):
            yield node, key
        elif not OmegaConf.is_missing(node, key) and isinstance(node[key], Container) and node[key] is not None:
            yield from references(node[key])


def raw(node: Any, key: Any) -> str:
    """A reference as it is written."""
    return str(node._get_node(key)._value())
