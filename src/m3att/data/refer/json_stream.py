"""Reads a large JSON file entry by entry, so that it is never in memory as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from m3att.errors import DataError

BEGIN: Final = object()
"""Stands before the entries of a list."""

_CHUNK = 1 << 22  # characters
_NUMBER_TAIL = 3  # characters behind a number that may be the beginning of its fraction or exponent


def stream_json(path: Path) -> Iterator[tuple[str, Any]]:
    """Yields the entries of a file's outermost lists.

    Args:
        path: a JSON file that holds an object of lists, as COCO writes it, or one list.

    Yields:
        (key, entry) for each entry of each list of the object, (key, BEGIN) once before the first entry of a list, and
        (key, value) for a value that is no list; the key is empty where the file holds one list.

    Raises:
        DataError: where the file is missing, no JSON, or neither an object nor a list.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Scanner(file).top()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the data root") from None
    except _NeitherKindError:
        raise DataError(f"{path}: holds no JSON object and no list; is it a COCO instances file?") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error).splitlines()[0]}); download the file again") from None


class _NeitherKindError(Exception):
    """The file holds a bare number, text or the like."""


class _Scanner:
    """A window over the file. It moves on as entries are taken from its front."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        decoder: Any = json.JSONDecoder()
        self._decode, self._scan = decoder.raw_decode, decoder.scan_once
        self._text, self._at, self._ended = "", 0, False

    def top(self) -> Iterator[tuple[str, Any]]:
        first = self._peek()
        if first == "[":
            yield from self._entries("")
        elif first == "{":
            self._at += 1
            more = self._peek() != "}"
            while more:
                key = self._value()
                if not isinstance(key, str):
                    raise ValueError("a key is no text")
                self._expect(":")
                if self._peek() == "[":
                    yield from self._entries(key)
                else:
                    yield key, self._value()
                more = self._separator("}")
            if first == "{" and self._peek() == "}":
                self._at += 1
        elif first:
            raise _NeitherKindError
        if not first or self._peek():
            raise ValueError("it ends too early" if not first else "something follows the end")

    def _entries(self, key: str) -> Iterator[tuple[str, Any]]:
        self._at += 1
        yield key, BEGIN
        more = self._peek() != "]"
        while more:
            try:  # the next entry begins here and ends within the window: nearly always, and worth the haste
                value, end = self._scan(self._text, self._at)
            except (StopIteration, ValueError):
                value, end = self._value(), self._at
            else:
                if len(self._text) - end <= _NUMBER_TAIL:
                    value, end = self._value(), self._at
            yield key, value
            if self._text.startswith(", ", end):
                self._at = end + 2
            else:
                self._at = end
                more = self._separator("]")
        self._expect("]")

    def _separator(self, end: str) -> bool:
        """Passes a comma and says that more follows, or stays before the end."""
        mark = self._peek()
        if mark not in (",", end):
            raise ValueError(f"',' or '{end}' is missing" if mark else "it ends too early")
        self._at += mark == ","
        return mark == ","

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise ValueError(f"'{mark}' is missing")
        self._at += 1

    def _peek(self) -> str:
        """The next character that is no space; empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._fill(_CHUNK):
                return ""

    def _value(self) -> Any:
        self._peek()
        size = _CHUNK
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except ValueError:
                if self._fill(size):  # the window may have cut the entry in two
                    size *= 2  # ... and a file that is broken is not tried at every chunk of its length
                    continue
                raise
            rest = self._text[end : end + _NUMBER_TAIL + 1]
            if not rest.strip(".eE+-") and self._fill(size):  # the window may have cut a number in two
                continue
            self._at = end
            return value

    def _fill(self, size: int) -> bool:
        """Lets go of what was taken and reads on; False at the end of the file."""
        more = "" if self._ended else self._file.read(size)
        self._ended = not more
        if more:
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)
