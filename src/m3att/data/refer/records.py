"""The records that data sets of the REFER family are written in: referents, sentences, annotations, ids."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from m3att.data.refer.pickles import load_plain
from m3att.errors import DataError


@contextmanager
def collector_paused() -> Iterator[None]:
    """Holds the garbage collector while millions of small containers are read; that halves the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_refs(path: Path) -> list[dict[str, Any]]:
    """Reads ``refs(<split_by>).p`` or ``grefs(<split_by>).json`` and checks that each entry has what is used here.

    Raises:
        DataError: where the file is missing, unsafe, broken or no list of referents.
    """
    refs = _load_json(path) if path.suffix == ".json" else load_plain(path)
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise DataError(f"{path}: not a list of referents; is it a refs(...).p of the REFER layout?")
    for position, ref in enumerate(refs):
        for key, kind in (("ref_id", int), ("image_id", int), ("split", str), ("sentences", list)):
            if not isinstance(ref.get(key), kind) or (kind is int and whole_id(ref[key]) is None):
                found = "has no" if ref.get(key) is None else f"has {ref[key]!r:.60} as"
                raise DataError(f"{path}: referent {position} {found} {key!r}; download the file again")
        named = ref.get("ann_id")
        if not isinstance(named, int) and any(
            whole_id(id_) is None for id_ in (named if isinstance(named, list) else [named])
        ):
            raise DataError(f"{path}: referent {position} has no 'ann_id'; download the file again")
        if not isinstance(ref.get("category_id"), int | str | None):
            raise DataError(f"{path}: referent {position} has a 'category_id' that is none; download the file again")
        for sentence in ref["sentences"]:
            number = sentence.get("sent_id") if isinstance(sentence, dict) else None
            if not isinstance(number, int) or whole_id(number) is None:
                raise DataError(f"{path}: referent {ref['ref_id']} has a sentence without 'sent_id'")
            if not isinstance(sentence.get("sent", sentence.get("raw")), str):
                raise DataError(f"{path}: sentence {sentence['sent_id']} has no text")
            skills = sentence.get("skills") or []
            if not isinstance(skills, list | tuple) or not all(isinstance(skill, str) for skill in skills):
                raise DataError(f"{path}: sentence {sentence['sent_id']} has 'skills' that are not a list of texts")
    return refs


def sentence_text(sentence: dict[str, Any]) -> str:
    """The sentence as REFER cleans it (lower case, no punctuation), or as it was typed where only that is there."""
    text = sentence.get("sent")
    return str(text if text is not None else sentence["raw"])


def whole_id(value: Any) -> int | None:
    """An id as a number; RefCLEF writes those of its annotations as text, ``<image>_<number>``.

    Returns:
        The number, or None where the value is no id.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**63 else None
    if isinstance(value, str):
        parts = value.split("_")
        if len(parts) <= 2 and all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
            return int(parts[0]) if len(parts) == 1 else int(parts[0]) * 10**6 + int(parts[1])
    return None


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the data root") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error).splitlines()[0]}); download the file again") from None
