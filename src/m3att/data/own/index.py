"""The records of one split of own data as flat arrays and plain notes: what a source reads from, and a cache keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.fields import (
    IMAGE_FIELDS,
    SPLIT_NAMES,
    file_name_of,
    is_crowd,
    names_of_split,
    plain_id,
    side_of,
    states_nothing,
    whole_id,
)
from m3att.data.own.content import Content, is_boxed, mask_in, named_annotations, unique_by_id
from m3att.data.own.packed import pack_json
from m3att.data.refer.records import sentence_text
from m3att.data.refer.store import pack_texts
from m3att.data.source import UNKNOWN
from m3att.errors import DataError, SplitError, clipped, counted, shown

_as_json = json.JSONEncoder().encode
Record = Mapping[str, Any]


def index_content(content: Content, split: str, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The images of one split with their expressions.

    Args:
        content: the records.
        split: only expressions of this split; all where the records state none.
        name: what messages call the data.

    Returns:
        Arrays, and notes that JSON can hold; see `CustomSource`, which reads both.

    Raises:
        SplitError: where the records hold no expression of the split.
        DataError: where none of these can be read.
    """
    splits = list(dict.fromkeys(ref["split"] for ref in content.refs))
    is_stated = splits != [None]
    called = names_of_split(split, [stated for stated in splits if stated is not None])
    refs = [ref for ref in content.refs if ref["sentences"] and (ref["split"] in called or not is_stated)]
    if not refs:
        found = ", ".join(str(stated) for stated in splits) or "no expression at all"
        raise SplitError(f"{name}: no expression of split {split!r}, but {found}")
    faults = [(reason, cost) for reason, cost in content.faults.items() if cost]
    images: dict[Any, Record] = {}
    for entry in content.instances["images"]:
        images.setdefault(entry["id"], entry)
    mask_text = _MaskTexts(content.mask_texts)
    of_image = _referents(refs, images, content, mask_text, name, faults)
    if not of_image:
        raise DataError(faults[-1][0])
    order = [image_id for image_id in images if image_id in of_image]
    names, numbers = _categories(content.instances["categories"])
    info = content.instances.get("info")
    oddities = [
        *(reason for reason, cost in content.faults.items() if not cost),
        *_other_splits(content.refs, called, name),
    ]
    notes = {
        "split": split,
        "stated_split": is_stated,
        "category_names": names,
        "has_every_object": content.every_object,
        "background": 0 if content.every_object and names else UNKNOWN,
        "is_label_studio": isinstance(info, dict) and info.get("contributor") == "Label Studio",
        "crowds": sum(map(is_crowd, (one for one in content.instances["annotations"] if one["image_id"] in of_image))),
        "notes": [clipped(reason) for reason in oddities],
        "faults": faults,
    }
    objects = _objects(order, content.instances["annotations"], numbers, mask_text)
    return {**_arrays(order, images, of_image), **pack_json("objects", objects)}, notes


def _other_splits(refs: Sequence[Record], called: Sequence[str], name: str) -> list[str]:
    """A note for each split of a name that no command asks for by itself, as it may be misspelt; not of ``called``."""
    counts = Counter(ref["split"] for ref in refs if ref["split"] is not None)
    known = {*called, *(one for split in SPLIT_NAMES for one in names_of_split(split, counts))}
    return [
        f"{name}: {counted(count, 'object')} of split {shown(split, 40)} left out; the usual names are train, val and "
        "test, and another must be asked for"
        for split, count in counts.items()
        if split not in known
    ]


@dataclass(slots=True)
class _Referent:
    """What the referents of one annotation, or of the same ones, have in common.

    Args:
        masks: JSON of the list of its masks.
        boxed: whether one of these is only a box.
        sentences: of all of them.
    """

    masks: str
    boxed: bool
    sentences: list[dict[str, Any]] = field(default_factory=list)


class _MaskTexts:
    """The JSON of an annotation's mask, made once: expressions and lists of objects both hold it.

    Args:
        known: see Content.
    """

    def __init__(self, known: Mapping[Any, str]) -> None:
        self._known, self._made = known, dict[int, str]()

    def __call__(self, annotation: Record) -> str:
        text = self._known.get(annotation["id"]) or self._made.get(id(annotation))
        if text is None:
            text = self._made[id(annotation)] = _as_json(mask_in(annotation))
        return text


def _referents(
    refs: Sequence[Record],
    images: Mapping[Any, Record],
    content: Content,
    mask_text: Callable[[Record], str],
    name: str,
    faults: list[tuple[str, int]],
) -> dict[Any, dict[str, _Referent]]:
    """The referents of each image by what they name; ``faults`` gets what cannot be read, and what it costs."""
    annotations = unique_by_id(content.instances["annotations"])
    of_image: dict[Any, dict[str, _Referent]] = {}
    for ref in refs:
        image_id, named = ref["image_id"], None
        wrong = None
        if image_id in images:
            if not file_name_of(images[image_id]):
                wrong = f"is of image {shown(image_id)}, which states no file; {', '.join(IMAGE_FIELDS)} are read"
            else:
                named = named_annotations(ref, annotations)
        if named is None:
            lost = f"names annotation {shown(ref['ann_id'])}"
            wrong = wrong or f"{lost}, which image {shown(image_id)} does not have, or has twice"
            which = f"{name}: {shown(sentence_text(ref['sentences'][0]))}"
            faults.append((f"{which} {wrong}", len(ref["sentences"])))
            continue
        own = of_image.setdefault(image_id, {})
        key = str(ref["ann_id"])
        if key not in own:
            own[key] = _Referent(f"[{', '.join(map(mask_text, named))}]", any(map(is_boxed, named)))
        own[key].sentences.extend(ref["sentences"])
    return of_image


def _categories(entries: Sequence[Record]) -> tuple[list[str], dict[Any, int]]:
    """The names of the categories in the order of their ids, none where a map cannot hold them; and their numbers."""
    by_id = {entry["id"]: entry for entry in entries}
    ordered = sorted(by_id.items(), key=lambda pair: (isinstance(pair[0], str), pair[0]))
    names = [str(entry.get("name")) for _, entry in ordered] if len(ordered) < UNKNOWN else []
    return names, {id_: number for number, (id_, _) in enumerate(ordered, start=1)}


def _arrays(
    order: Sequence[Any], images: Mapping[Any, Record], of_image: Mapping[Any, Mapping[str, _Referent]]
) -> dict[str, NDArray[Any]]:
    referents = [referent for image_id in order for referent in of_image[image_id].values()]
    lengths = [len(referent.sentences) for referent in referents]
    sentences = [sentence for referent in referents for sentence in referent.sentences]
    counts = [sum(len(referent.sentences) for referent in of_image[image_id].values()) for image_id in order]
    sizes = [(side_of(images[image_id].get("height")), side_of(images[image_id].get("width"))) for image_id in order]
    return {
        "image_ids": np.array([whole_id(image_id) or 0 for image_id in order], dtype=np.int64),
        "sizes": np.array(sizes, dtype=np.int64).reshape(-1, 2),
        "sentence_ids": np.array([sentence["sent_id"] for sentence in sentences], dtype=np.int64),
        "referent_N": np.repeat(np.arange(len(lengths)), lengths),
        "boxed_R": np.array([referent.boxed for referent in referents], dtype=np.bool_),
        "starts": np.concatenate([[0], np.cumsum(counts)]),
        **pack_texts("files", [file_name_of(images[image_id]) for image_id in order]),
        **pack_texts("texts", list(map(sentence_text, sentences))),
        **pack_json("skills", (_as_json(skills) if (skills := skills_of(one)) else "[]" for one in sentences)),
        **pack_json("masks", (referent.masks for referent in referents)),
    }


def _objects(
    order: Sequence[Any], annotations: Sequence[Record], numbers: Mapping[Any, int], mask_text: Callable[[Record], str]
) -> list[str]:
    """JSON of each image's objects: a list of the number of its category, and its mask."""
    objects: dict[Any, list[str]] = {image_id: [] for image_id in order}
    for entry in annotations:
        own = objects.get(entry["image_id"])
        if own is not None and not states_nothing(entry):
            category = plain_id(entry.get("category_id"))
            number = UNKNOWN if is_crowd(entry) or category is None else numbers.get(category, UNKNOWN)
            own.append(f"[{number}, {mask_text(entry)}]")
    return [f"[{', '.join(own)}]" for own in objects.values()]


def skills_of(sentence: Record) -> list[str]:
    """The tags that a conversion or description carries at an expression; none where there are no such texts."""
    skills = sentence.get("skills") or ()
    return [skill for skill in skills if isinstance(skill, str)] if isinstance(skills, list | tuple) else []
