"""What both halves need of the library transformers: it is imported on first use, since it is an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from m3att.errors import ConfigError

Architecture = Mapping[str, Any]
"""Plain values of a transformers config, ``model_type`` among them: all that is needed to build its module anew."""

# What a config holds beside the module's shape: labels of a head that is not used here, and where it came from.
FOREIGN = (
    "architectures", "auto_map", "dtype", "id2label", "label2id", "problem_type", "torch_dtype", "transformers_version",
    "_name_or_path",
)  # fmt: skip


@dataclass(frozen=True)
class Architectures:
    """What a network's settings alone do not say of its transformers parts.

    Args:
        vision: of the backbone, where it is one of transformers.
        language: of the text encoder, where it is one of transformers.
    """

    vision: Architecture | None = None
    language: Architecture | None = None


def require_transformers() -> ModuleType:
    """The library.

    Raises:
        ConfigError: where it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ConfigError("encoders of `huggingface` need transformers: pip install 'm3att[hf]'") from error
    return transformers


def known_architecture(half: str, known: Mapping[str, Architecture], name: str | None) -> Architecture:
    """An architecture by its name.

    Args:
        half: `vision` or `language`, for what is said where there is none.
        known: the half's architectures.
        name: one of them.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name is None:
        raise ConfigError(f"model.{half}: an encoder of `huggingface` needs `weights`, `architecture` or both")
    if name not in known:
        raise ConfigError(f"model.{half}.architecture: no {name!r}; there are {', '.join(known)}")
    return known[name]


def make_config(architecture: Architecture) -> Any:
    """The transformers config of plain values.

    Raises:
        ConfigError: where transformers knows no such kind of model, or refuses the values.
    """
    library = require_transformers()
    values = dict(architecture)
    kind = values.pop("model_type", None)
    if kind is None:
        raise ConfigError("the architecture has no model_type, so it is no config of transformers")
    try:
        return library.AutoConfig.for_model(kind, **values)
    except Exception as error:  # an unknown kind is a ValueError, wrong values raise what each kind's checks raise
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"architecture {kind!r}: transformers {library.__version__} refuses it ({reason})") from error


def plain_architecture(config: Any) -> dict[str, Any]:
    """The plain values of a transformers config, every default spelled out, so that another release builds the same."""
    return {key: plain(value) for key, value in config.to_dict().items() if key not in FOREIGN}


def plain(value: Any) -> Any:
    """Tuples become lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
