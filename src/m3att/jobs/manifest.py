"""The manifest of a batch job: a JSON object a line, each an image and what to find in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from m3att.data.fields import IMAGE_FIELDS, TEXT_FIELDS, field_of, text_field, texts_of
from m3att.errors import DataError, shown
from m3att.files import is_stream

LONGEST = 2**20
"""Bytes of a line; a longer one is a bad line and is not kept in memory."""


@dataclass(frozen=True)
class Manifest:
    """A manifest on disk, which is never in memory as a whole.

    Args:
        path: the file; images start from its folder.
        lines: how many lines are not empty.
        sha256: of its content, in hexadecimal digits.
    """

    path: Path
    lines: int
    sha256: str

    @classmethod
    def open(cls, path: Path) -> Manifest:
        """Count the lines of a file.

        Raises:
            DataError: if it cannot be read, or holds no line.
        """
        digest, lines = hashlib.sha256(), 0
        if is_stream(path):  # it is read twice, and again whenever the job goes on
            raise DataError(f"{path}: is no regular file; write the lines to a file, and give that as --manifest")
        try:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
            lines = sum(1 for _ in raw_lines(path))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); give another --manifest") from None
        if lines == 0:
            raise DataError(f"{path}: holds no line; give one JSON object a line, such as {EXAMPLE}")
        return cls(path, lines, digest.hexdigest())

    def chunks(self, size: int) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
        """The lines in chunks of ``size``: (number of the chunk, its (number of the line from 1, bytes))."""
        lines, number = raw_lines(self.path), 0
        while chunk := list(islice(lines, size)):
            yield number, chunk
            number += 1


EXAMPLE = '{"image": "park.jpg", "expressions": ["the man in red"]}'


@dataclass(frozen=True)
class Task:
    """A line that can be read.

    Args:
        line: its number, from 1.
        image: as the line says it.
        expressions: what to find.
        given_id: the line's `id`, of any kind; None where it has none.
    """

    line: int
    image: str
    expressions: tuple[str, ...]
    given_id: Any = None


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbers, from 1, and bytes of the lines that are not empty. Of a line over `LONGEST` comes only its beginning."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            rest = line
            while len(rest) > LONGEST and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST + 1)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line


def read_task(number: int, line: bytes) -> Task:
    """What a line asks for.

    Raises:
        DataError: if it cannot be read; the message does not name the line.
    """
    if len(line) > LONGEST:
        raise DataError(f"longer than {LONGEST} bytes")
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({str(error).splitlines()[0]}); give {EXAMPLE}") from None
    if not isinstance(values, dict):
        raise DataError(f"{shown(values)} is no JSON object; give {EXAMPLE}")
    name = field_of(values, IMAGE_FIELDS)
    image = None if name is None else values[name]
    if not isinstance(image, str) or not image or "\0" in image:
        raise DataError(f"has no path of an image ({', '.join(IMAGE_FIELDS)} are read)")
    name = text_field(values)
    texts = None if name is None else texts_of(values[name])
    if not texts:
        raise DataError(f"has no expression, a text or a list of texts ({', '.join(TEXT_FIELDS[:4])} ... are read)")
    try:
        json.dumps(values.get("id"), allow_nan=False)
    except ValueError:  # Python reads NaN and Infinity, and other readers of the results would not
        raise DataError(f"the id {shown(values['id'])} holds a number that JSON does not have") from None
    return Task(number, image, tuple(texts), values.get("id"))
