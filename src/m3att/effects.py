"""Settings that were given and change nothing, because another setting decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from typing import Any, NamedTuple

from m3att.config import DataConfig, RunConfig
from m3att.encoders import LANGUAGE, VISION, fresh_halves
from m3att.settings import flatten, settings_of


class Rule(NamedTuple):
    """When some settings change nothing.

    Args:
        keys: dotted names of the settings.
        idle: whether they change nothing in a run.
        reason: what decides instead; may name values of the run as format fields.
    """

    keys: tuple[str, ...]
    idle: Callable[[RunConfig], bool]
    reason: str


EXPORTS = {"coco", "cvat", "datumaro", "label_studio", "labelme"}
"""The data sets that are files of annotation tools; `data.own.tools` opens them."""


OWN = EXPORTS | {"hf", "jsonl", "shards"}
"""The data sets that are data of one's own; `data.fields` has the same list."""


def dataset_names(data: DataConfig) -> list[str]:
    """The data sets that settings name."""
    return [name.strip() for name in data.dataset.split(",")]


def has_own(data: DataConfig) -> bool:
    """Whether one of the data sets is data of one's own."""
    return any(name in OWN for name in dataset_names(data))


def has_refer(data: DataConfig) -> bool:
    """Whether one of the data sets is read from a folder in the REFER layout."""
    return data.root is not None and any(name not in OWN for name in dataset_names(data))


def alike(run: RunConfig) -> bool:
    """Whether encoders that pretrained weights filled learn like everything else."""
    return run.train.pretrained_rate == run.train.layer_decay == 1


RULES = (
    Rule(("train.epochs",), lambda run: run.train.steps is not None, "train.steps {train.steps} decides the length"),
    Rule(("train.fall",), lambda run: run.train.schedule != "trapezoid", "train.schedule is {train.schedule}"),
    Rule(
        ("train.pretrained_rate", "train.layer_decay"),
        lambda run: run.model.vision.weights is None and run.model.language.weights is None,
        "no encoder has weights of its own",
    ),
    Rule(
        ("model.vision.weights",),
        lambda run: alike(run) and "vision" not in fresh_halves(run.train),
        "train.init {train.init} fills the network",
    ),
    Rule(
        ("model.language.weights",),
        lambda run: alike(run) and "language" not in fresh_halves(run.train),
        "train.init {train.init} fills the network",
    ),
    Rule(
        ("train.tracked_images",),
        lambda run: run.train.tracked_images > 0 and not run.train.trackers,  # none to draw, and none who shows them
        "train.trackers names no tracker",
    ),
    Rule(("train.new_words",), lambda run: run.train.init is None, "train.init names no model"),
    Rule(("data.beside_share",), lambda run: not run.data.beside, "data.beside is empty"),
    Rule(("data.old_share",), lambda run: not run.data.old, "data.old is empty"),
    Rule(("data.per_image",), lambda run: not run.data.grouped, "data.grouped is false"),
    Rule(
        ("data.seed",),
        lambda run: (
            run.data.root is not None
            and run.data.pixels != "collage"
            and not (run.data.held_out and has_own(run.data))
            and not run.data.old
        ),
        "the images of data.root are not drawn, and none of them are held out",
    ),
    Rule(
        ("data.held_out",),
        lambda run: not has_own(run.data) and not run.data.old,
        "data.dataset {data.dataset} states its splits",
    ),
    Rule(
        ("data.split_by",), lambda run: not has_refer(run.data), "data.dataset {data.dataset} has no splits of authors"
    ),
    Rule(
        ("data.cutouts", "data.collage_side"),
        lambda run: run.data.pixels != "collage" or not has_refer(run.data),
        "no collages are made; see data.pixels",
    ),
    Rule(
        ("data.pixels",),
        lambda run: run.data.pixels != "auto" and run.data.root is None and not has_own(run.data),
        "without data.root, scenes are drawn",
    ),
    Rule(
        ("data.expression_field",),
        lambda run: not EXPORTS.intersection(dataset_names(run.data)),
        "data.dataset names no file of an annotation tool",
    ),
    Rule(("data.image_root",), lambda run: run.data.root is None, "data that are drawn have no photos; give data.root"),
    Rule(
        ("model.decoder.injection", "model.decoder.interaction_code"),
        lambda run: run.model.decoder.interaction == "none",
        "model.decoder.interaction is none",
    ),
    Rule(
        ("model.decoder.reconstruction_stop_gradient", "train.reconstruction_weight"),
        lambda run: not run.model.decoder.reconstruction,
        "model.decoder.reconstruction is false",
    ),
    Rule(
        ("model.decoder.fusion_norm", "model.decoder.fusion_vision"),
        lambda run: run.model.decoder.attention not in ("shared", "independent"),
        "model.decoder.attention {model.decoder.attention} has no F_mul",
    ),
    Rule(
        ("model.decoder.mutual_heads", "model.decoder.projection_norm"),
        lambda run: run.model.decoder.attention in ("generic", "vision_query"),
        "model.decoder.attention {model.decoder.attention} is multi-head attention of model.decoder.heads",
    ),
    Rule(
        ("model.mask.maps_per_word",),
        lambda run: run.model.mask.kind != "dynamic",
        "model.mask.kind {model.mask.kind} has no kernels of words",
    ),
    Rule(
        ("model.mask.figure_6",),
        lambda run: run.model.mask.kind != "dynamic",
        "model.mask.kind {model.mask.kind} has no kernels of words",
    ),
    Rule(
        ("model.mask.maps_per_word",),
        lambda run: run.model.mask.figure_6 and run.model.mask.kind == "dynamic",
        "model.mask.figure_6 makes one map of each word",
    ),
    Rule(
        ("model.mask.skip_channels",), lambda run: not run.model.mask.skip_strides, "model.mask.skip_strides is empty"
    ),
    Rule(
        ("model.mask.narrowing", "model.mask.unit_convolutions"),
        lambda run: run.model.mask.upsamplings == 0,
        "model.mask.upsamplings is 0",
    ),
    Rule(
        ("model.vision.widths", "model.vision.blocks"),
        lambda run: "widths" not in VISION[run.model.vision.encoder].settings,
        "model.vision.encoder {model.vision.encoder} has its own",
    ),
    Rule(
        ("model.language.rnn", "model.language.word_channels"),
        lambda run: "rnn" not in LANGUAGE[run.model.language.encoder].settings,
        "model.language.encoder {model.language.encoder} has its own",
    ),
    Rule(
        ("model.language.word_minimum",),
        lambda run: LANGUAGE[run.model.language.encoder].kind == "transformers"
        and run.model.language.weights is not None,
        "the words are those of {model.language.weights}",
    ),
    Rule(
        ("model.language.word_minimum",),
        lambda run: run.train.init is not None and not run.train.new_words,
        "the words are those of {train.init}, as train.new_words is false",
    ),
)  # fmt: skip


def idle_settings(config: RunConfig, given: Collection[str]) -> list[tuple[str, str]]:
    """The settings that were given and change nothing, each with the reason.

    Args:
        config: of the run.
        given: dotted names of the settings that were given.
    """
    values = {key: value_of(config, key) for key in settings_of(RunConfig)}
    return [
        (key, filled_in(rule.reason, values))
        for rule in RULES
        for key in rule.keys
        if key in given and rule.idle(config)
    ]


def without_effect(config: RunConfig, given: Collection[str]) -> list[str]:
    """One line for each of the `idle_settings`.

    Args:
        config: of the run.
        given: dotted names of the settings that were given.
    """
    idle = idle_settings(config, given)
    return [f"{key} {shown(value_of(config, key))} has no effect: {reason}" for key, reason in idle]


def changed_from_default(values: Mapping[str, Any]) -> set[str]:
    """The dotted names of nested plain values that are not the default, as a complete file holds many that are."""
    defaults = settings_of(RunConfig)

    def is_default(key: str, value: Any) -> bool:
        default = defaults[key].default
        return bool(value == (list(default) if isinstance(default, tuple) else default))

    return {key for key, value in flatten(values).items() if key in defaults and not is_default(key, value)}


def value_of(config: RunConfig, key: str) -> Any:
    """The value of a dotted name."""
    return reduce(getattr, key.split("."), config)


def shown(value: Any) -> str:
    """A value as it stands in a config file."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def filled_in(reason: str, values: Mapping[str, Any]) -> str:
    """A reason with the values that it names."""
    for key, value in values.items():
        reason = reason.replace(f"{{{key}}}", shown(value))
    return reason
