"""A data set as plain records, for conversion, mixing and one's own images in any form."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3att.data.boxes import as_mask, stated_box
from m3att.data.fields import (
    is_crowd,
    named_ids,
    plain_id,
    stated_mask,
    states_nothing,
    why_no_mask,
)
from m3att.data.photos import PhotoFolder
from m3att.data.refer.records import sentence_text
from m3att.errors import DataError, shown
from m3att.files import unfinished_folder

NO_CATEGORY: dict[str, Any] = {"id": 0, "name": "object", "extra": "added"}
"""The category of objects whose annotation has none; REFER wants one."""


_NO_MASK = "has no mask"


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a data set, named as in the REFER layout.

    Args:
        refs: as in ``refs(...).p``; the split of a referent is None where the file states none.
        instances: as in ``instances.json``. Which mask an annotation states, or that it names nothing, `fields` says.
        image_root: folder that the images' ``file_name`` starts from.
        dataset: name of the data set.
        split_by: who made the splits.
        every_object: whether all objects of its categories are annotated, so that where none is, nothing is.
        faults: entries that could not be taken in as they are, and how many expressions each costs; what costs none is
            a note.
        family: whose names the photos have; see `photos.PhotoFolder`.
        mask_root: folder that masks in files of their own start from; None: that of the images.
        shared_ends: of the names of its photos; see `photos.shared_ends`.
        mask_texts: JSON of masks by the ids of their annotations, as far as their reader has made it.
    """

    refs: list[dict[str, Any]]
    instances: dict[str, Any]
    image_root: Path
    dataset: str = "custom"
    split_by: str = "own"
    every_object: bool = True
    faults: dict[str, int] = field(default_factory=dict)
    family: str = "own"
    mask_root: Path | None = None
    shared_ends: frozenset[str] = frozenset()
    mask_texts: Mapping[Any, str] = field(default_factory=dict)

    @property
    def photos(self) -> PhotoFolder:
        """The folder of the images, with the ways in which they are named."""
        return PhotoFolder(self.image_root, self.family, self.shared_ends)

    def image_file(self, name: str) -> Path:
        """Where an image lies, or would lie, by its ``file_name``."""
        return self.photos.file(name)

    @property
    def mask_roots(self) -> tuple[Path, ...]:
        """Folders that masks in files of their own may start from."""
        return (self.image_root,) if self.mask_root is None else (self.mask_root, self.image_root)


def read_json(path: Path) -> Any:
    """Any JSON file.

    Raises:
        DataError: where it is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error).splitlines()[0]})") from None


def json_bytes(value: Any) -> bytes:
    """A value as JSON on one line, letters as they are; half a character, for which UTF-8 has no bytes, is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def about_content(content: Content, image_root: str, homeless: list[list[Any]]) -> dict[str, Any]:
    """What a converted file says of its records as a whole, so that they can be read back as they were.

    Args:
        content: the records.
        image_root: what is to be stated as the folder of the images.
        homeless: the refs that the form has no place for, each with its position.
    """
    return {
        "image_root": image_root,
        "dataset": content.dataset,
        "split_by": content.split_by,
        "every_object": content.every_object,
        "refs": homeless,
    }


def new_sentence(number: int, text: str) -> dict[str, Any]:
    """A sentence as REFER has it; the text stays as it was written."""
    return {"sent_id": number, "raw": text, "sent": text, "tokens": text.split()}


def carried_sentence(sentence: Mapping[str, Any]) -> dict[str, Any]:
    """A sentence without its text, which stands beside it as an expression; see `restored_sentence`."""
    if isinstance(sentence.get("sent"), str):
        return without(sentence, "sent")
    return {**sentence, "text_is": "raw"}  # it has no cleaned text


def restored_sentence(carried: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The opposite of `carried_sentence`."""
    if carried.get("text_is") == "raw":
        return {**without(carried, "text_is"), "raw": text}
    return {**carried, "sent": text}


def fault_of_ref(ref: Any) -> str | None:
    """What keeps a referent that a conversion carried from being read, or None."""
    if not isinstance(ref, dict) or "split" not in ref or not isinstance(ref["split"], str | None):
        return "a referent without a split"
    if not all(isinstance(ref.get(key), int | str) for key in ("ref_id", "image_id")):
        return "a referent without ref_id or image_id"
    if not isinstance(ref.get("ann_id"), int | str | list) or not isinstance(ref.get("extra", {}), dict):
        return "a referent with a strange ann_id or extra"
    sentences = ref.get("sentences")
    for sentence in sentences if isinstance(sentences, list) else [None]:
        if not isinstance(sentence, dict) or not isinstance(sentence.get("extra", {}), dict):
            return "a referent with something else than sentences"
        if type(sentence.get("sent_id")) is not int or abs(sentence["sent_id"]) >= 2**63:
            return "a sentence without sent_id"
        text = sentence.get("sent")
        if not isinstance(sentence.get("raw") if text is None else text, str):
            return "a sentence without a text"
    return None


def split_or_none(refs: Sequence[dict[str, Any]], faults: dict[str, int], name: str) -> list[dict[str, Any]]:
    """The referents that state a split, where any does; all of them where none does.

    Args:
        refs: all referents.
        faults: gets a line for what those without a split cost.
        name: what messages call the data.
    """
    unsplit = [ref for ref in refs if ref["split"] is None]
    if not unsplit or len(unsplit) == len(refs):
        return list(refs)
    lost = sum(len(ref["sentences"]) for ref in unsplit)
    first = shown(sentence_text(unsplit[0]["sentences"][0])) if unsplit[0]["sentences"] else "a referent"
    others = f" and {len(unsplit) - 1:,} more state" if len(unsplit) > 1 else " states"
    faults[f"{name}: {first}{others} no split, but others do; give all one, or none"] = lost
    return [ref for ref in refs if ref["split"] is not None]


def unique_by_id(entries: Sequence[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    """Entries by id, but for those whose id stands twice."""
    occurrences = Counter(entry["id"] for entry in entries)
    return {entry["id"]: entry for entry in entries if occurrences[entry["id"]] == 1}


def named_annotations(
    ref: Mapping[str, Any], annotations: Mapping[Any, Mapping[str, Any]]
) -> list[Mapping[str, Any]] | None:
    """What a referent names, as `ReferentWriter.add` chooses it.

    Returns:
        The annotations; an empty list where it names nothing. None where an annotation is not to be had.
    """
    id_ = ref.get("ann_id")
    if type(id_) is int and id_ in annotations and "no_target" not in ref:  # by far the most often
        found = [annotations[id_]]
    else:
        try:
            named = named_ids(ref)
        except DataError:
            return None
        there = [annotations.get(id_) or annotations.get(plain_id(id_)) for id_ in named]
        found = [one for one in there if one is not None]
        if len(found) < len(there):
            return None
    if any(one["image_id"] != ref["image_id"] for one in found):
        return None
    every = [one for one in found if not states_nothing(one)]
    return every if len(every) < 2 else [one for one in every if not is_crowd(one)] or every


def named_masks(ref: Mapping[str, Any], annotations: Mapping[Any, Mapping[str, Any]]) -> list[Any] | None:
    """The masks of what a referent names.

    Returns:
        What `mask_in` gives for each of the `named_annotations`; None as there.
    """
    named = named_annotations(ref, annotations)
    return None if named is None else [mask_in(one) for one in named]


def is_boxed(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation states a box and no mask."""
    return stated_mask(annotation) is None and stated_box(annotation) is not None


def mask_in(annotation: Mapping[str, Any]) -> Any:
    """The mask that an annotation states, else its box (see `boxes.box_in`), else why it has none (see `reason_of`)."""
    mask = stated_mask(annotation)
    if mask is not None:
        return mask
    box = stated_box(annotation)
    return {_NO_MASK: why_no_mask(annotation)} if box is None else as_mask(box)


def reason_of(mask: Any) -> str | None:
    """Why an annotation has neither mask nor box, where `mask_in` says so; else None."""
    return mask.get(_NO_MASK) if isinstance(mask, dict) else None


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which takes its name only once all is written; nothing stays of one that failed.

    Raises:
        DataError: where the folder holds something already.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: holds something already; name a new folder as --out, or empty this one")
    above = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not above.is_dir():
        raise DataError(f"{above}: is a file; name a folder as --out")
    named, out = out, Path(os.path.realpath(out))  # a link to an empty folder stays
    if out == Path.cwd():  # a shell cannot work in a folder that another has replaced
        raise DataError(f"{named}: is the folder that you are in; name a new one as --out")
    with unfinished_folder(out) as part:
        yield part
        if out.is_dir():
            out.rmdir()
        os.replace(part, out)


def without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A dict without some of its keys."""
    return {name: value for name, value in values.items() if name not in names}
