"""Files of a run with one JSON object a line. A kill leaves a half-written line at the end, a bad disk any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from m3att.files import replace_file


def read_lines(path: Path) -> list[dict[str, Any] | None]:
    """The objects of the lines, in order; None for a line that holds none. Empty where there is no file."""
    return [entry_of(line) for line in raw_lines(path)]


def raw_lines(path: Path) -> list[bytes]:
    """The lines of a file as they are; empty where there is no file."""
    try:
        return path.read_bytes().splitlines()
    except (FileNotFoundError, IsADirectoryError):  # a run that starts anew removes it while another command reads
        return []


def entry_of(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None where it holds none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # a ValueError too where it is not UTF-8
        return None
    return found if isinstance(found, dict) else None


def is_number(value: Any) -> bool:
    """Whether a value of a JSON object is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def drop_later_lines(path: Path, step: int) -> None:
    """Drop what a run logged after its checkpoint, as it is logged again, and lines that are damaged.

    Args:
        path: of the file; it is made where it is missing. Each line has its step under ``step``.
        step: of the checkpoint.
    """
    lines = [(line, entry_of(line)) for line in raw_lines(path)]
    kept = [
        line for line, entry in lines if entry is not None and is_number(entry.get("step")) and entry["step"] <= step
    ]
    replace_file(path, b"".join(line + b"\n" for line in kept))  # a kill may have left out the last line's end
