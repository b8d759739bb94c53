"""Reads the pickles of the REFER data sets without running code that they may contain."""

from __future__ import annotations

import codecs
import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from m3att.errors import DataError, shown

# Errors of the unpickler for a broken pickle. Other errors are bugs of ours and must not be hidden.
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

_NUMBER_TYPE = re.compile(r"[<>|=]?[biufSU]\d{1,6}")
_UTF8_OR_LATIN1 = "m3att-utf8-or-latin1"


def _read_on_as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start :].decode("latin1"), len(error.object)


codecs.register_error(_UTF8_OR_LATIN1, _read_on_as_latin1)


class _NumPyTextError(Exception):
    """Python 2 wrote the bytes of a NumPy number as a text, which UTF-8 cannot give back."""


class _NumberType:
    """Stands in for `numpy.dtype`, of which a pickle may only name plain numbers and texts."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        if isinstance(name, bytes):
            name = name.decode("latin1")
        if not isinstance(name, str) or not _NUMBER_TYPE.fullmatch(name):
            raise DataError(f"it holds a NumPy type {shown(name)}, which is none of numbers")
        self.name = name.lstrip("<>|=")

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError("a NumPy type of no known byte order")
        self.order = order

    def values(self, raw: Any, shape: tuple[int, ...], order: str = "C") -> Any:
        """Numbers, or nested lists of them, from the bytes that NumPy wrote."""
        if isinstance(raw, str):
            raise _NumPyTextError
        dtype = np.dtype(getattr(self, "order", "=").replace("|", "=") + self.name)
        if not all(type(side) is int and side >= 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError("a NumPy array whose bytes do not fit its shape")
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C").tolist()


class _Numbers(list[Any]):
    """A NumPy array as a list: pickle makes it empty first and then tells what it holds."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, raw = state
        values = kind.values(raw, shape, "F" if is_fortran else "C")
        self[:] = values if isinstance(values, list) else [values]


def _scalar(kind: Any, raw: Any) -> Any:
    return kind.values(raw, ())


def _array(raw: Any, kind: Any, shape: Any, order: Any) -> Any:
    return kind.values(bytes(raw), shape, order)


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes for Python 2 to read."""
    if isinstance(text, bytes):
        return text
    if encoding not in ("latin1", "latin-1", b"latin1", b"latin-1"):
        raise ValueError("bytes of no known encoding")
    return bytes(text.encode("latin1"))


def _no_bytes() -> bytes:
    """How Python 3 writes no bytes for Python 2 to read."""
    return b""


# Names that a pickle of plain numbers needs, with our replacements. Nothing else can be called.
_STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _NumberType,
    "numpy.ndarray": _Numbers,
    "_codecs.encode": _bytes,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
    "collections.OrderedDict": dict,
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _Numbers for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _array for core in ("core", "_core")},
}


class _PlainUnpickler(pickle.Unpickler):
    """Knows only our replacements. Lists, dicts, tuples, texts, numbers, True, False and None need no name."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        found = _STAND_INS.get(f"{module_name}.{global_name}")
        if found is None:
            raise DataError(f"it asks for {shown(f'{module_name}.{global_name}')[1:-1]}")
        return found

    def persistent_load(self, pid: object, /) -> Any:
        raise DataError(f"it asks for an object from outside ({shown(pid)})")


def loads_plain(content: bytes, name: str) -> Any:
    """Unpickles containers, texts and numbers, and refuses everything that would import or call something.

    Numbers and arrays of NumPy become numbers and lists.

    Args:
        content: a pickle of any protocol, of Python 2 (byte strings are UTF-8, or latin-1 where they are not) or 3.
        name: what the error message calls it.

    Returns:
        Lists, dicts, tuples, sets, texts, bytes, numbers, booleans and None, nested as they were.

    Raises:
        DataError: where the pickle names a class or function, or is no whole pickle.
    """
    try:
        try:
            return _PlainUnpickler(io.BytesIO(content), encoding="utf-8", errors=_UTF8_OR_LATIN1).load()
        except _NumPyTextError:
            return _with_texts(_PlainUnpickler(io.BytesIO(content), encoding="bytes").load())
    except DataError as error:
        raise DataError(
            f"{name}: refused, {error}, and only lists, dicts, texts and numbers are read; if you made the file, write "
            "int(...), str(...) or .tolist() of each value; if not, download it again from a source that you trust"
        ) from None
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: not a whole pickle ({reason}); download the file again") from None


def _with_texts(value: Any) -> Any:
    """Values in which every byte string is a text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", _UTF8_OR_LATIN1)
    if isinstance(value, dict):
        return {_with_texts(key): _with_texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_texts(one) for one in value]
    return tuple(map(_with_texts, value)) if isinstance(value, tuple) else value


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
