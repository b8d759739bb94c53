"""Reads PhraseCut (VGPhraseCut_v0): phrases and the polygons of all that they name, on images of Visual Genome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from m3att.data.fields import whole_id
from m3att.data.refer.json_stream import BEGIN, stream_json
from m3att.data.refer.object_writer import ObjectWriter
from m3att.data.refer.objects import ObjectTable
from m3att.data.refer.records import collector_paused
from m3att.data.refer.referents import ReferentTable, ReferentWriter
from m3att.data.refer.store import Arrays, Store, cached
from m3att.errors import DataError, shown

IMAGE_FILES = ("image_data_split.json", "image_data_split3000.json")


def phrase_file(split: str) -> str:
    """Name of the file of a split's phrases."""
    return f"refer_{split}.json"


def read_phrases(folder: Path, split: str) -> tuple[ObjectTable, ReferentTable]:
    """Reads one split, or what the cache holds of it; each instance of a phrase becomes an object of its own.

    Args:
        folder: holds ``refer_<split>.json`` and ``image_data_split.json``.
        split: train, val, test or miniv.

    A phrase that cannot be read is told by the table of referents, and left out.

    Raises:
        DataError: where a file is missing, no JSON or holds no list.
    """
    phrases = folder / phrase_file(split)
    images = next((folder / name for name in IMAGE_FILES if (folder / name).is_file()), folder / IMAGE_FILES[0])
    store = cached("phrases", [phrases, images], lambda: _build(phrases, images, split))
    return ObjectTable(store), ReferentTable(store)


class _Phrase(NamedTuple):
    """What is used of an entry of the file.

    Args:
        image_id: of its image.
        text: the phrase.
        category: name of what it names.
        boxes: one for each instance, as far as there are any.
        outlines: of each instance the polygons, flat.
    """

    image_id: int
    text: str
    category: str
    boxes: list[Any]
    outlines: list[list[list[Any]]]


def _build(phrases: Path, images: Path, split: str) -> tuple[Arrays, Mapping[str, Any]]:
    writer = ObjectWriter(phrases)
    categories: dict[str, int] = {}
    found: list[tuple[int, _Phrase, range]] = []
    odd: list[tuple[str, str, int]] = []
    wanted: set[int] = set()
    objects = 0
    with collector_paused():
        for place, task in enumerate(_entries(phrases)):
            phrase = _read_phrase(task)
            if isinstance(phrase, str):
                odd.append((f"{phrases.name}: phrase {place} {phrase}", split, 1))
                continue
            category = categories.setdefault(phrase.category, len(categories) + 1)
            ids = range(objects + 1, objects + 1 + len(phrase.outlines))
            objects = ids[-1]
            for id_, box, polygons in zip_longest(ids, phrase.boxes[: len(ids)], phrase.outlines):
                instance = {"id": id_, "image_id": phrase.image_id, "category_id": category}
                writer.add_objects([{**instance, "bbox": box, "segmentation": polygons}])
            found.append((place, phrase, ids))
            wanted.add(phrase.image_id)
        for name, category in categories.items():
            writer.add_category({"id": category, "name": name})
        for entry in _entries(images):
            id_ = whole_id(entry.get("image_id")) if isinstance(entry, dict) else None
            if id_ in wanted:
                writer.add_image({**entry, "id": id_, "file_name": f"{id_}.jpg"})
        arrays, notes = writer.finish()
        referents = ReferentWriter(ObjectTable(Store(dict(arrays), notes)))
        for place, phrase, ids in found:
            referents.add(place, phrase.image_id, split, ids)
            referents.add_sentence(place, phrase.text)
        more, more_notes = referents.finish()
    return {**arrays, **more}, {**notes, **more_notes, "odd": odd}


def _entries(path: Path) -> Iterator[Any]:
    """The entries of a file that holds one list.

    Raises:
        DataError: where it holds something else.
    """
    for key, entry in stream_json(path):
        if key != "":
            raise DataError(f"{path}: holds no list; is it a file of PhraseCut?")
        if entry is not BEGIN:
            yield entry


def _read_phrase(task: Any) -> _Phrase | str:
    """An entry of the file, or what keeps it from being read."""
    if not isinstance(task, dict):
        return f"is {shown(task)}, no object of fields"
    image_id, text = whole_id(task.get("image_id")), task.get("phrase")
    if image_id is None:
        return f"has the image_id {shown(task.get('image_id'))}, which is none"
    if not isinstance(text, str):
        return f"has {shown(text)} as 'phrase', which is no text"
    try:
        outlines = [
            [[side for point in line for side in (point[0], point[1])] for line in instance]
            for instance in task["Polygons"]
        ]
    except (KeyError, TypeError, IndexError):
        outlines = []
    if not outlines:
        return f"({shown(text)}) has no 'Polygons', lists of points for each instance that it names"
    structure, boxes = task.get("phrase_structure"), task.get("instance_boxes")
    name = structure.get("name") if isinstance(structure, dict) else None
    return _Phrase(image_id, text, str(name or "object"), boxes if isinstance(boxes, list) else [], outlines)
