"""Reads the pickles of the REFER data sets without running anything that they might carry."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from m3att.errors import DataError

# What a broken pickle makes the unpickler raise; anything else is a fault of ours and must surface.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
)


class _PlainUnpickler(pickle.Unpickler):
    """Knows no name at all: lists, dicts, tuples, texts, numbers, True, False and None need none."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise DataError(f"it asks for {module_name}.{global_name}, and an annotation file has no business to")

    def persistent_load(self, pid: object, /) -> NoReturn:
        raise DataError(f"it asks for an object from outside ({pid!r}), and an annotation file has no business to")


def loads_plain(content: bytes, name: str) -> Any:
    """Unpickles containers, texts and numbers, and refuses everything that would import or call something.

    Args:
        content: a pickle of any protocol, of Python 2 (byte strings are read as latin-1) or 3.
        name: what the error message calls it.

    Returns:
        Lists, dicts, tuples, sets, texts, bytes, numbers, booleans and None, nested as they were.

    Raises:
        DataError: where the pickle names a class or function, or is no whole pickle.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{name}: refused, {error}; download the file again from a source that you trust") from None
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: not a whole pickle ({reason}); download the file again") from None


def load_plain(path: Path) -> Any:
    """Reads a pickle file with :func:`loads_plain`.

    Raises:
        DataError: where the file is missing, unreadable, broken or names a class or function.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the data root") from None
    return loads_plain(content, str(path))
