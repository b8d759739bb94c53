"""The one config system: dataclasses from YAML, JSON and ``--section.field`` words, and back to plain values.

What was given (a file, a command line) is checked and laid over what stands already (defaults, a preset), so that the
order is always preset < config file < command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
import yaml
from jsonargparse import ArgumentParser

from m3att.config import LanguageConfig, ModelConfig, RunConfig, TrainConfig, VisionConfig
from m3att.errors import ConfigError

Config = TypeVar("Config")

ANY = 1e12  # finite, so that infinity is out of range
# Smallest and largest value of numbers that have one beside their type.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "model.language.word_minimum", "data.images", "data.per_image", "train.batch_size", "train.steps",
            "train.threads", "train.log_every", "train.validate_every", "train.validate_images", "train.save_every",
            "evaluate.batch_size",
        ),
        (1, ANY),
    ),
    # Far beyond any network, and near enough that a slip of the finger is answered and not waited for.
    **dict.fromkeys(("model.channels", "model.language.word_channels", "model.mask.channels"), (1, 16_384)),
    **dict.fromkeys(
        (
            "model.decoder.layers", "model.decoder.mutual_heads", "model.decoder.heads", "model.decoder.feedforward",
            "model.mask.narrowing", "model.mask.maps_per_word",
        ),
        (1, 256),
    ),
    "model.word_limit": (1, 4096),
    "model.vision.encoder_layers": (0, 256),
    "model.mask.upsamplings": (0, 8),
    **dict.fromkeys(
        (
            "data.seed", "data.fault_limit",
            "train.epochs", "train.learning_rate", "train.weight_decay", "train.warmup", "train.clip",
            "train.mask_weight", "train.reconstruction_weight", "train.dice_weight", "train.category_weight",
            "train.attention_weight",
            "train.pretrained_rate", "train.workers", "train.seed",
        ),
        (0, ANY),
    ),
    **dict.fromkeys(
        ("model.language.word_dropout", "model.decoder.dropout", "evaluate.threshold"), (0, 1)
    ),
    "train.fall": (1e-6, 1),
    **dict.fromkeys(("input.size", "model.grid_size"), (8, 4096)),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a config.

    Args:
        hint: its type.
        default: its value where nothing is given.
        help: its docstring.
        section: dotted name of the section that it stands in.
    """

    hint: Any
    default: Any
    help: str
    section: str


class SettingsParser(ArgumentParser):
    """A parser whose every complaint is a ConfigError of one line."""

    def __init__(self, prog: str, **options: Any) -> None:
        # An abbreviation that works today would stand for another option after the next one is added.
        super().__init__(prog=prog, allow_abbrev=False, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Replace argparse's usage text."""
        unknown = re.match(r"unrecognized arguments: (--?[^\s=]+)", message)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            advice = did_you_mean(unknown[1], options) or f"; see {self.prog} --help"
            raise ConfigError(f"unknown option {unknown[1]}{advice}")
        raise ConfigError(explain(message)) from ex


def add_settings(parser: ArgumentParser, kind: type, section: str = "", skip: tuple[str, ...] = ()) -> None:
    """Give a parser one option for every field of a config; its help is the field's docstring.

    Args:
        parser: gets the options.
        kind: the dataclass.
        section: dotted name that the options start with; none for RunConfig itself.
        skip: dotted names of fields that get no option.
    """
    groups: dict[str, Any] = {}
    for key, setting in settings_of(kind, section).items():
        if key in skip:
            continue
        if setting.section not in groups:
            groups[setting.section] = parser.add_argument_group(f"--{setting.section}.*")
        groups[setting.section].add_argument(
            f"--{key}", type=setting.hint, default=setting.default, help=setting.help.replace("%", "%%")
        )


@cache
def settings_of(kind: type, section: str = "") -> Mapping[str, Setting]:
    """Every field of a config, of its sections too, by dotted name."""
    found: dict[str, Setting] = {}
    hints = get_type_hints(kind)
    parsed = docstring_parser.parse_from_object(kind)
    texts = {param.arg_name: param.description or "" for param in parsed.params}
    for field in dataclasses.fields(kind):
        key = f"{section}.{field.name}" if section else field.name
        if dataclasses.is_dataclass(hints[field.name]):
            found |= settings_of(hints[field.name], key)
        else:
            found[key] = Setting(hints[field.name], field.default, texts.get(field.name, ""), section)
    return types.MappingProxyType(found)


def config_from_file(path: Path, base: RunConfig | None = None) -> RunConfig:
    """A RunConfig of a YAML or JSON file.

    Args:
        path: of the file.
        base: holds where the file says nothing.

    Raises:
        ConfigError: where the file cannot be read as such, or `config_from_dict` refuses what it says.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, Mapping | None):
        raise ConfigError(f"{path}: holds no sections; m3att train --print-config shows what it may hold")
    try:
        return config_from_dict(values or {}, base)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_from_dict(values: Mapping[str, Any], base: RunConfig | None = None) -> RunConfig:
    """A RunConfig of nested plain values.

    Args:
        values: what is given; the rest comes from ``base``.
        base: the defaults where it is missing.

    Raises:
        ConfigError: for an unknown key, or a value of the wrong type or out of range.
    """
    known = settings_of(RunConfig)
    for key, value in flatten(values).items():
        below = any(name.startswith(key + ".") for name in known)
        if below and value not in ({}, None):
            raise ConfigError(f"{key}: is a section with fields of its own, not {value!r}")
        if not below and key not in known:
            raise ConfigError(f"unknown key {key}{did_you_mean(key, known)}")
    parser = SettingsParser("m3att")
    add_settings(parser, RunConfig)
    # A section that holds nothing, which YAML reads as None, changes nothing.
    present = {key: value for key, value in flatten(values).items() if key in known}
    given = parser.parse_object(nest(present), defaults=False)
    config = changed(base or RunConfig(), given.as_dict())
    check_fit(config)
    return config


def check_fit(config: RunConfig) -> None:
    """Refuse settings of which each is right and that make no network together.

    Raises:
        ConfigError: names them.
    """
    check_plan(config.train, config.input.size)
    model, vision, mask = config.model, config.model.vision, config.model.mask
    for what, heads in (("heads", model.decoder.heads), ("mutual_heads", model.decoder.mutual_heads)):
        if model.channels % heads:
            raise ConfigError(f"model.channels: {model.channels} is no multiple of model.decoder.{what} {heads}")
    if model.channels % 4:
        raise ConfigError(f"model.channels: {model.channels} is no multiple of 4, as the positional encoding needs")
    if mask.channels < mask.narrowing**mask.upsamplings:
        raise ConfigError(
            f"model.mask.channels: {mask.channels} cannot narrow {mask.upsamplings} times by {mask.narrowing}"
        )
    if config.train.attention_weight and model.decoder.attention == "val":
        raise ConfigError("train.attention_weight: model.decoder.attention val alone has no attention over positions")
    if vision.encoder == "tiny":
        if len(vision.widths) != len(vision.blocks) or min(vision.widths, default=0) < 1 or min(vision.blocks) < 0:
            raise ConfigError(
                f"model.vision: widths {list(vision.widths)} and blocks {list(vision.blocks)}; "
                "give one of each a stage, widths of 1 or more"
            )
        smallest = 2 ** len(vision.widths)
        if config.input.size < smallest:
            raise ConfigError(f"input.size: {config.input.size} is too small for {len(vision.widths)} halvings")
        if min(config.train.early_sizes, default=smallest) < smallest:
            early = list(config.train.early_sizes)
            raise ConfigError(f"train.early_sizes: {early} is too small for {len(vision.widths)} halvings")
    check_encoders(model)


def check_plan(train: TrainConfig, largest: int) -> None:
    """Refuse phases of a run that do not follow each other.

    Raises:
        ConfigError: names the setting.
    """
    sizes, ends = train.early_sizes, train.early_steps
    if len(sizes) != len(ends):
        raise ConfigError(f"train.early_sizes {list(sizes)}, train.early_steps {list(ends)}: give one of each a phase")
    if any(not 8 <= size <= largest for size in sizes):
        raise ConfigError(f"train.early_sizes: {list(sizes)} is out of range, give 8 to input.size {largest}")
    if train.fresh and train.init is None:
        raise ConfigError("train.fresh: everything starts fresh where train.init names no model")
    for key, steps in (("early_steps", ends), ("restarts", train.restarts)):
        if list(steps) != sorted(set(steps)) or min(steps, default=1) < 1:
            raise ConfigError(f"train.{key}: {list(steps)} do not rise from 1 or more")


def check_encoders(model: ModelConfig) -> None:
    """Refuse what only another encoder has, and an encoder of transformers that nothing names.

    Raises:
        ConfigError: names the setting.
    """
    halves: dict[str, VisionConfig | LanguageConfig] = {"vision": model.vision, "language": model.language}
    for half, encoder in halves.items():
        if encoder.encoder != "huggingface" and encoder.architecture is not None:
            raise ConfigError(
                f"model.{half}.architecture: {encoder.architecture} is of the encoder huggingface, "
                f"not of {encoder.encoder}; set one to fit the other, or the architecture to null"
            )
        if encoder.encoder == "huggingface" and encoder.architecture is None and encoder.weights is None:
            raise ConfigError(f"model.{half}: the encoder huggingface needs weights, an architecture or both")


def changed(config: Config, values: Mapping[str, Any], section: str = "") -> Config:
    """A config with some of its fields, or of its sections' fields, replaced.

    Args:
        config: a dataclass.
        values: nested, of the right types.
        section: dotted name of the config, for messages.

    Raises:
        ConfigError: where a number is out of range.
    """
    fields: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{section}.{name}" if section else name
        if isinstance(value, Mapping):
            fields[name] = changed(getattr(config, name), value, key)
            continue
        low, high = RANGES.get(key, (-ANY, ANY))
        if isinstance(value, int | float) and not low <= value <= high:
            bounds = f"{low:g} or more" if high == ANY else f"{low:g} to {high:g}"
            raise ConfigError(f"{key}: {value} is out of range, give {bounds}")
        fields[name] = value
    return dataclasses.replace(config, **fields)  # type: ignore[type-var]


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Nested plain values that JSON and YAML can hold and `config_from_dict` reads."""
    plain: dict[str, Any] = to_plain(dataclasses.asdict(config))
    return plain


def config_to_yaml(config: RunConfig) -> str:
    """The text of a config file."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False)


def differences(first: RunConfig, second: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configs differ, by dotted name, with both values."""
    here, there = flatten(config_to_dict(first)), flatten(config_to_dict(second))
    return {key: (here[key], there[key]) for key in here if here[key] != there[key]}


def to_plain(value: Any) -> Any:
    """Tuples become lists, inside dicts too."""
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one dict with dotted keys; an empty one stays."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, name + ".") if isinstance(value, Mapping) and value else {name: value}
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `flatten`."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, name = key.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return nested


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown word: the known one that looks most like it, if any does."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f", did you mean {near[0]}?" if near else ""


def explain(message: str) -> str:
    """jsonargparse's complaint in one line that names the setting, the value and what would fit."""
    line = " ".join(message.split())
    key = re.search(r'Parser key "([^"]+)"', line)
    value = re.search(r"(?:Got value|Given value): (.*)$", line)
    if key is None or value is None:
        return line
    settings = settings_of(RunConfig)
    if key[1] in settings:
        return f"{key[1]}: {value[1]!r} does not fit, give {describe(settings[key[1]].hint)}"
    # An option of the command itself: a short form of a setting, such as --protocol, or its own, such as --seeds.
    fits = [f"give {describe(setting.hint)}" for name, setting in settings.items() if name.endswith("." + key[1])]
    advice = f", {fits[0]}" if len(fits) == 1 else "; see --help"
    return f"--{key[1].replace('_', '-')}: {value[1]!r} does not fit{advice}"


def describe(hint: Any) -> str:
    """A type in words."""
    choices = get_args(hint)
    if get_origin(hint) is Literal:
        return " or ".join(str(choice) for choice in choices)
    if get_origin(hint) in (types.UnionType, Union):
        return " or ".join("null" if choice is type(None) else describe(choice) for choice in choices)
    if get_origin(hint) is tuple:
        return "a list such as [one, two]" if choices[0] is str else "a list such as [1, 2, 3]"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[hint]
