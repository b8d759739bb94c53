"""Reads the entries of one's own COCO json as they are meant: ids become whole numbers, and oddities are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from m3att.data.fields import file_name_of, plain_id, side_of, text_field, texts_of
from m3att.data.own.content import NO_CATEGORY
from m3att.data.photos import photo_of
from m3att.errors import counted, shown

GIVEN = "given"
"""Field of an entry that keeps ids as the file has them, where they are others than it was read with."""


@dataclass(slots=True)
class Entries:
    """What a COCO json of one's own holds.

    Args:
        path: of the file, for messages.
        images: with whole numbers as ids and sides; without a name of a file where the entry has none.
        annotations: with whole numbers as ids, each of an image that is listed.
        categories: with whole numbers as ids.
        doubtful: what is to be said of an image id that two different files share.
        faults: what is odd, and how many expressions each costs.
    """

    path: Path
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    doubtful: dict[int, str] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str, cost: int = 0) -> None:
        """Names something that is odd."""
        reason = f"{self.path}: {reason}"
        self.faults[reason] = self.faults.get(reason, 0) + cost


def plain_entries(data: Mapping[str, Any], path: Path) -> Entries:
    """Reads the entries of a COCO json of one's own.

    An id that is a float or a text of digits is the number that it shows; any other text gets a number. An annotation
    without an id, or with one that stood before, gets a new one. One whose image is not listed is left out. What has
    no category gets one that says so.

    Args:
        data: with lists ``images`` and ``annotations``; ``categories`` may be missing.
        path: of the file, for messages.
    """
    found = Entries(path)
    numbers = _add_images(found, data["images"])
    categories = data.get("categories")
    kinds = _add_categories(found, categories if isinstance(categories, list) else [])
    _add_annotations(found, data["annotations"], numbers, kinds)
    return found


def _add_images(found: Entries, entries: list[Any]) -> dict[int | str, int]:
    """Takes the images. Returns their numbers by id."""
    number_of = _Numbers(entries)
    first: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    again: list[str] = []
    for place, entry in enumerate(entries):
        id_ = plain_id(entry.get("id")) if isinstance(entry, dict) else None
        if id_ is None:
            found.note(f"entry {place} of 'images' has no 'id', so no annotation can be of it")
            continue
        number = number_of(id_)
        name = file_name_of(entry)
        sides = {side: side_of(entry[side]) for side in ("height", "width") if side in entry}
        image = {**entry, "id": number, **({"file_name": name} if name else {}), **sides}
        if isinstance(id_, str):
            image[GIVEN] = {"id": entry["id"]}
        if number in first:
            before = file_name_of(first[number])
            reason = f"image id {shown(entry['id'])} stands twice: {shown(before)[1:-1]}, {shown(name)[1:-1]}"
            found.note(reason)
            if before != name:
                found.doubtful.setdefault(number, reason)
        elif name and photo_of(name) in names:
            again.append(name)
        if name:
            names.add(photo_of(name))
        first.setdefault(number, image)
        found.images.append(image)
    if again:
        found.note(
            f"{counted(len(again), 'image')} of photos that are listed before, under other ids: {again[0]!r:.80}"
        )
    return number_of.known


def _add_categories(found: Entries, entries: list[Any]) -> dict[int | str, int]:
    """Takes the categories; what is none is of no use, and no fault. Returns their numbers by id."""
    number_of = _Numbers(entries)
    for entry in entries:
        id_ = plain_id(entry.get("id")) if isinstance(entry, dict) else None
        if id_ is not None:
            given = {GIVEN: {"id": id_}} if isinstance(id_, str) else {}
            found.categories.append({**entry, "id": number_of(id_), **given})
    return number_of.known


def _add_annotations(
    found: Entries, entries: list[Any], images: Mapping[int | str, int], kinds: Mapping[int | str, int]
) -> None:
    ids = [plain_id(entry.get("id")) if isinstance(entry, dict) else None for entry in entries]
    fresh = count(max((id_ for id_ in ids if isinstance(id_, int)), default=0) + 1)
    seen: set[int] = set()
    doubled: list[tuple[Any, int]] = []
    orphans = 0
    for place, (entry, id_) in enumerate(zip(entries, ids, strict=True)):
        if not isinstance(entry, dict):
            found.note(f"entry {place} of 'annotations' is {shown(entry)}, no object of fields")
            continue
        which = f"annotation {shown(entry['id'])}" if id_ is not None else f"entry {place} of 'annotations'"
        image_id = plain_id(entry.get("image_id"))
        number = None if image_id is None else images.get(image_id)
        if number is None:
            texts = _texts(entry)
            orphans += not texts
            if texts:
                found.note(f"{which} is of image {shown(entry.get('image_id'))}, which is not listed", len(texts))
            continue
        given: dict[str, Any] = {}
        if not isinstance(id_, int) or id_ in seen:
            given["id"] = entry.get("id")
            new = next(fresh)
            if id_ in seen:
                doubled.append((entry["id"], new))
            id_ = new
        seen.add(id_)
        category = plain_id(entry.get("category_id"))
        kind = NO_CATEGORY["id"] if category is None else kinds.get(category, category)
        kind = kind if isinstance(kind, int) else NO_CATEGORY["id"]
        if "category_id" in entry and entry["category_id"] != kind:
            given["category_id"] = entry["category_id"]
        if isinstance(image_id, str):
            given["image_id"] = entry["image_id"]
        plain = {**entry, "id": id_, "image_id": number, "category_id": kind}
        found.annotations.append(plain | ({GIVEN: given} if given else {}))
    if orphans:
        found.note(f"{counted(orphans, 'annotation')} without expressions, of images that are not listed")
    if len(doubled) == 1:
        found.note(f"annotation id {doubled[0][0]} stands twice; the later one is read as {doubled[0][1]}")
    elif doubled:
        found.note(
            f"annotation id {doubled[0][0]} and {len(doubled) - 1:,} more stand twice; the later ones are read as "
            f"{doubled[0][1]} and so on"
        )


def _texts(entry: Mapping[str, Any]) -> list[str]:
    name = text_field(entry)
    return [] if name is None else texts_of(entry[name]) or []


class _Numbers:
    """Numbers of ids; a text gets one above all that stand there."""

    def __init__(self, entries: list[Any]) -> None:
        ids = (plain_id(entry.get("id")) for entry in entries if isinstance(entry, dict))
        self.known: dict[int | str, int] = {}
        self._fresh: Iterator[int] = count(max((id_ for id_ in ids if isinstance(id_, int)), default=0) + 1)

    def __call__(self, id_: int | str) -> int:
        if id_ not in self.known:
            self.known[id_] = id_ if isinstance(id_, int) else next(self._fresh)
        return self.known[id_]


def as_given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the ids that its file has."""
    plain = {name: value for name, value in entry.items() if name != GIVEN}
    given: dict[str, Any] = entry.get(GIVEN, {})
    if "category_id" in plain and plain["category_id"] == NO_CATEGORY["id"] and "category_id" not in given:
        del plain["category_id"]
    return plain | given
