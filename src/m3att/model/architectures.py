"""What both encoders need from the library transformers, an optional extra that is imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from m3att.errors import ConfigError

Architecture = Mapping[str, Any]
"""Plain values of a transformers config with its ``model_type``: enough to build the module again."""

# Values of a config that do not describe the module: labels of a head that is not used here, and its origin.
FOREIGN = (
    "architectures", "auto_map", "dtype", "id2label", "label2id", "problem_type", "torch_dtype", "transformers_version",
    "_name_or_path",
)  # fmt: skip


@dataclass(frozen=True)
class Architectures:
    """The architectures of the transformers parts of a network, which its settings do not describe completely.

    Args:
        vision: architecture of the backbone, if it is one of transformers.
        language: architecture of the text encoder, if it is one of transformers.
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
        half: `vision` or `language`, for the error message.
        known: the architectures of this half.
        name: name of one of them.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name is None:
        raise ConfigError(f"model.{half}: an encoder of `huggingface` needs `weights`, `architecture` or both")
    if name not in known:
        raise ConfigError(f"model.{half}.architecture: no {name!r}; there are {', '.join(known)}")
    return known[name]


def make_config(architecture: Architecture) -> Any:
    """The transformers config that plain values describe.

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
    except Exception as error:  # ValueError for an unknown kind; other errors depend on the kind
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"architecture {kind!r}: transformers {library.__version__} refuses it ({reason})") from error


def plain_architecture(config: Any) -> dict[str, Any]:
    """The plain values of a transformers config, every default written out, so that another release builds the same."""
    return {key: plain(value) for key, value in config.to_dict().items() if key not in FOREIGN}


def plain(value: Any) -> Any:
    """Tuples become lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
