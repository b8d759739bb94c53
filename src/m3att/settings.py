"""The one config system: dataclasses from YAML, JSON and ``--section.field`` words, and back to plain values.

Given values (a file, a command line) are checked and replace earlier ones (defaults, a preset). The order is always
preset < config file < command line.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
import yaml
from jsonargparse import ArgumentParser

from m3att.bounds import check_fit, check_range
from m3att.config import RunConfig, TrainConfig
from m3att.errors import ConfigError, did_you_mean, unknown_option

Config = TypeVar("Config")
NULL = "null"  # the word that unsets an optional setting

SHORT_FORMS = {"data.image_root": ("--image-root",)}
"""Options that a setting has beside its own; other commands have them too."""


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


class OptionalText:
    """The type of an option that takes a text exactly as it stands, or the word `null` for no text.

    As the type hint `str | None` it would be read as YAML, to which `#data`, `~` and `&a` are no text.
    """

    def __call__(self, value: Any) -> str | None:
        """The text of a word of the command line, or of what a file gives.

        Raises:
            ValueError: where a file gives what is no text.
        """
        if value is None or value == NULL:
            return None
        if not isinstance(value, str):
            raise ValueError(f"Got value: {value}")
        return value

    def __repr__(self) -> str:
        return "str | None"  # what the help shows


class SettingsParser(ArgumentParser):
    """A parser whose every complaint is a ConfigError of one line."""

    def __init__(self, prog: str, **options: Any) -> None:
        # An abbreviation could mean another option as soon as a new option is added.
        super().__init__(prog=prog, allow_abbrev=False, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Replace argparse's usage text.

        Raises:
            ConfigError: always.
        """
        options = [option for action in self._actions for option in action.option_strings]
        missing = re.match(r"the following arguments are required: (.+)", message)
        if missing is not None:  # jsonargparse says what they are called in the code, and not in the help
            shown = {action.dest: str(action.metavar or action.dest) for action in self._actions}
            names = [shown.get(name, name) for name in missing[1].split(", ")]
            message = f"the following arguments are required: {', '.join(names)}; see {self.prog} --help"
        raise ConfigError(unknown_option(message, options, self.prog) or explain(message)) from ex


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
        value_type = OptionalText() if setting.hint == str | None else setting.hint
        groups[setting.section].add_argument(
            f"--{key}",
            *SHORT_FORMS.get(key, ()),
            type=value_type,
            default=setting.default,
            help=setting.help.replace("%", "%%"),
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
    values = read_values(path)
    try:
        return config_from_dict(values, base)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_values(path: Path) -> Mapping[str, Any]:
    """The nested plain values of a YAML or JSON file.

    Raises:
        ConfigError: where the file cannot be read as such.
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
    return values or {}


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
    # A section that holds nothing, which YAML reads as None, changes nothing.
    present = {key: value for key, value in flatten(values).items() if key in known}
    given = run_parser().parse_object(nest(present), defaults=False)
    config = changed(base or RunConfig(), given.as_dict())
    check_fit(config)
    return config


@cache
def run_parser() -> SettingsParser:
    """A parser of all settings. It is cached, because making one takes much longer than using it."""
    parser = SettingsParser("m3att")
    add_settings(parser, RunConfig)
    return parser


def changed(config: Config, values: Mapping[str, Any], section: str = "") -> Config:
    """A config with some of its fields, or of its sections' fields, replaced.

    A number of epochs takes the place of a number of steps that stands already, which would decide otherwise.

    Args:
        config: a dataclass.
        values: nested, of the right types.
        section: dotted name of the config, for messages.

    Raises:
        ConfigError: where a number is out of range, or a text is empty or holds NUL.
    """
    fields: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{section}.{name}" if section else name
        if isinstance(value, Mapping):
            fields[name] = changed(getattr(config, name), value, key)
            continue
        if isinstance(value, int | float):
            check_range(key, value)
        if isinstance(value, str) and not value.strip():
            raise ConfigError(f"{key}: is an empty text; leave it out, or say what it is to be")
        if any("\0" in one for one in (value if isinstance(value, list | tuple) else (value,)) if isinstance(one, str)):
            raise ConfigError(f"{key}: no name and no text can hold the character NUL")
        fields[name] = value
    if isinstance(config, TrainConfig) and fields.get("epochs") is not None:
        fields.setdefault("steps", None)
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


def explain(message: str) -> str:
    """The error of jsonargparse in one line that names the setting, the value and the allowed values."""
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
