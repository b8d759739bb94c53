"""The records of the REFER family's files: referents, sentences, annotations, ids."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from m3att.data.fields import NO_OBJECT, named_ids, split_of, text_field, texts_of, whole_id
from m3att.data.refer.pickles import load_plain
from m3att.errors import DataError, shown


@contextmanager
def collector_paused() -> Iterator[None]:
    """Stops the garbage collector while millions of small containers are read, which halves the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Odd(NamedTuple):
    """An entry of a refs file that cannot be read.

    Args:
        reason: what is wrong with it.
        split: what it calls its split; empty where it does not say.
        expressions: how many expressions it costs.
    """

    reason: str
    split: str
    expressions: int


def read_refs(path: Path) -> tuple[list[dict[str, Any]], list[Odd]]:
    """Reads ``refs(<split_by>).p`` or ``grefs(<split_by>).json`` with what is used here of each entry.

    Ids that are floats or texts are the numbers that they show. A referent or sentence without an id of its own gets
    its place as one. A field that nobody uses may hold anything.

    Returns:
        The referents; and the entries that cannot be read, which are left out.

    Raises:
        DataError: where the file is missing, unsafe, broken or no list of referents.
    """
    refs = _load_json(path) if path.suffix == ".json" else load_plain(path)
    if not isinstance(refs, list) or (refs and not any(isinstance(ref, dict) for ref in refs)):
        raise DataError(f"{path}: not a list of referents; is it a refs(...).p of the REFER layout?")
    odd: list[Odd] = []
    good: list[dict[str, Any]] = []
    number = 0
    for place, ref in enumerate(refs):
        if not isinstance(ref, dict):
            odd.append(Odd(f"referent {place} is {shown(ref)}, no object of fields", "", 1))
            continue
        read = _plain_ref(ref, place, number, odd)
        if read is not None:
            number += len(read["sentences"])
            good.append(read)
    return good, odd


def _plain_ref(ref: dict[str, Any], place: int, number: int, odd: list[Odd]) -> dict[str, Any] | None:
    """A referent with whole numbers as ids; None where it cannot be read, which ``odd`` is told then."""
    split = split_of(ref.get("split"))
    which = f"referent {shown(ref.get('ref_id', place))}"
    told = ref.get("sentences")
    if not isinstance(told, list):
        name = text_field(without_field(ref, "sentences")) if told is None else None
        told = [] if name is None else texts_of(ref[name]) or []
    sentences: list[dict[str, Any]] = []
    for at, sentence in enumerate(told):
        plain = _plain_sentence(sentence, number + at)
        if plain is not None:
            sentences.append(plain)
        elif sentence is not None:
            odd.append(Odd(f"{which} has the sentence {shown(sentence)}, which holds no text", split or "", 1))
    image_id = whole_id(ref.get("image_id"))
    wrong = None
    if image_id is None:
        wrong = f"has the image_id {shown(ref.get('image_id'))}, which is none"
    elif split is None:
        wrong = f"has the split {shown(ref.get('split'))}, which is none"
    named: Any = None
    try:
        named = named_ids(ref) or [NO_OBJECT]
    except DataError as error:
        wrong = wrong or str(error)
    if wrong is not None:
        odd.append(Odd(f"{which} {wrong}", split or "", len(sentences)))
        return None
    ref_id = whole_id(ref.get("ref_id"))
    same = all(one is other for one, other in zip(sentences, told, strict=False)) and len(sentences) == len(told)
    fits = "ann_id" in ref and (named != [NO_OBJECT] or isinstance(ref["ann_id"], list))
    same = same and fits and told is ref.get("sentences") and ref["split"] == split
    if same and type(ref["image_id"]) is int and type(ref.get("ref_id")) is int:
        return ref
    ids = {"ref_id": place if ref_id is None else ref_id, "image_id": image_id}
    return {**ref, **ids, **({} if fits else {"ann_id": named}), "split": split, "sentences": sentences}


def _plain_sentence(sentence: Any, number: int) -> dict[str, Any] | None:
    """A sentence with an id and a text; None where it has no text."""
    if isinstance(sentence, dict):
        text = sentence.get("sent", sentence.get("raw"))
        id_, skills = sentence.get("sent_id"), sentence.get("skills")
        if isinstance(text, str) and type(id_) is int and abs(id_) < 2**63 and (skills is None or _are_texts(skills)):
            return sentence
        texts = texts_of(sentence)
        if not texts:
            return None
        known = whole_id(id_)
        plain = {**sentence, "sent_id": number if known is None else known, "sent": texts[0]}
        return plain if skills is None or _are_texts(skills) else without_field(plain, "skills")
    if not isinstance(sentence, str):
        return None
    return {"sent_id": number, "raw": sentence, "sent": sentence, "tokens": sentence.split()}


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def without_field(values: dict[str, Any], name: str) -> dict[str, Any]:
    """A dict without one of its keys."""
    return {key: value for key, value in values.items() if key != name}


def sentence_text(sentence: dict[str, Any]) -> str:
    """The sentence as REFER cleans it (lower case, no punctuation), or as it was typed where only that is there."""
    text = sentence.get("sent")
    return str(text if text is not None else sentence["raw"])


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the data root") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error).splitlines()[0]}); download the file again") from None
