"""Libraries that only some users need: the extras of pyproject.toml, imported when they are called for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from m3att.errors import ConfigError


def require(module: str, extra: str, purpose: str) -> Any:
    """A module of an optional library.

    Args:
        module: its dotted name.
        extra: the extra of this package that installs it.
        purpose: what needs it, the beginning of the message.

    Raises:
        ConfigError: if the library is not installed; names the extra.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        # A library that is there but lacks another one says so itself.
        lacks = "" if error.name in (None, library) else f" ({error})"
        raise ConfigError(f"{purpose} needs {library}: pip install 'm3att[{extra}]'{lacks}") from error
