"""Reads PhraseCut (VGPhraseCut_v0): phrases and the polygons of all that they name, on images of Visual Genome."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3att.data.refer.json_stream import BEGIN, stream_json
from m3att.data.refer.objects import ObjectTable, ObjectWriter
from m3att.data.refer.records import collector_paused
from m3att.data.refer.referents import ReferentTable, ReferentWriter
from m3att.data.refer.store import Arrays, Store, cached
from m3att.errors import DataError

IMAGE_FILES = ("image_data_split.json", "image_data_split3000.json")


def phrase_file(split: str) -> str:
    """Name of the file of a split's phrases."""
    return f"refer_{split}.json"


def read_phrases(folder: Path, split: str) -> tuple[ObjectTable, ReferentTable]:
    """Reads one split, or what the cache holds of it; each instance of a phrase becomes an object of its own.

    Args:
        folder: holds ``refer_<split>.json`` and ``image_data_split.json``.
        split: train, val, test or miniv.

    Raises:
        DataError: where a file is missing or broken.
    """
    phrases = folder / phrase_file(split)
    images = next((folder / name for name in IMAGE_FILES if (folder / name).is_file()), folder / IMAGE_FILES[0])
    store = cached("phrases", [phrases, images], lambda: _build(phrases, images, split))
    return ObjectTable(store), ReferentTable(store)


def _build(phrases: Path, images: Path, split: str) -> tuple[Arrays, Mapping[str, Any]]:
    writer = ObjectWriter(phrases)
    categories: dict[str, int] = {}
    found: list[tuple[int, str, list[int]]] = []
    wanted: set[int] = set()
    objects = 0
    with collector_paused():
        for key, task in stream_json(phrases):
            if task is BEGIN:
                continue
            name, boxes, outlines = _parts(task if key == "" else None, phrases, len(found))
            category = categories.setdefault(name, len(categories) + 1)
            ids = []
            for place, outline in enumerate(outlines):
                objects += 1
                ids.append(objects)
                polygons = [[side for point in polygon for side in point] for polygon in outline]
                instance = {"id": objects, "image_id": task["image_id"], "category_id": category}
                box = boxes[place] if place < len(boxes) else None
                writer.add_objects([{**instance, "bbox": box, "segmentation": polygons}])
            found.append((task["image_id"], task["phrase"], ids))
            wanted.add(task["image_id"])
        for name, category in categories.items():
            writer.add_category({"id": category, "name": name})
        for key, entry in stream_json(images):
            if key == "" and isinstance(entry, dict) and entry.get("image_id") in wanted:
                file_name = f"{entry['image_id']}.jpg"
                writer.add_image({**entry, "id": entry["image_id"], "file_name": file_name})
        arrays, notes = writer.finish()
        referents = ReferentWriter(ObjectTable(Store(dict(arrays), notes)))
        for number, (image_id, phrase, ids) in enumerate(found):
            referents.add(number, image_id, split, ids)
            referents.add_sentence(number, phrase)
        more, more_notes = referents.finish()
    return {**arrays, **more}, {**notes, **more_notes}


def _parts(task: Any, path: Path, position: int) -> tuple[str, list[Any], list[Any]]:
    """Category name, boxes and outlines of a task that has all it needs."""
    try:
        if type(task["image_id"]) is not int or not isinstance(task["phrase"], str):
            raise TypeError
        structure = task.get("phrase_structure")
        outlines = [[[(point[0], point[1]) for point in line] for line in instance] for instance in task["Polygons"]]
        name = structure.get("name") if isinstance(structure, dict) else None
        return str(name or "object"), list(task.get("instance_boxes") or ()), outlines
    except (KeyError, TypeError, IndexError, AttributeError):
        raise DataError(
            f"{path}: phrase {position} lacks image_id, phrase or Polygons; download the file again"
        ) from None
