"""Collects the images and annotated objects of a data set into flat arrays."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.annotation import parts_of
from m3att.data.fields import file_name_of, is_crowd, side_of, states_nothing, whole_id, written_mask
from m3att.data.masks import FARTHEST, is_polygon
from m3att.data.refer.store import Arrays, pack_texts
from m3att.errors import shown

NONE, POLYGONS, WRITTEN = 0, 1, 2
"""How a segmentation is kept: not at all, as points, as the JSON that it was."""
_ANNOTATION_IDS = ("id", "image_id", "category_id")
_NAMELESS = -(2**62)  # an id that nothing names


class ObjectWriter:
    """Collects images, annotations and categories, in any order, into the arrays of an `objects.ObjectTable`.

    Args:
        path: the file that they come from, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: dict[int, tuple[str, int, int]] = {}
        self._doubtful: dict[int, None] = {}  # images whose id two different files share
        self._categories: dict[int, str] = {}
        self._ids, self._image_ids, self._category_ids = array("q"), array("q"), array("q")
        self._boxes, self._areas, self._crowd = array("d"), array("d"), bytearray()
        self._kinds, self._part_counts = bytearray(), array("i")
        self._points, self._lengths = array("d"), array("q")
        self._written: dict[int, str] = {}
        self._faulty: list[int] = []
        self._nothing = bytearray()
        self._odd: list[str] = []

    def add_image(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry of COCO's ``images``."""
        id_ = whole_id(entry.get("id"))
        if id_ is None:
            self._odd.append(f"an image has the id {shown(entry.get('id'))}, which is none")
            return
        image = (file_name_of(entry), side_of(entry.get("height", 0)), side_of(entry.get("width", 0)))
        if self._images.setdefault(id_, image) != image:
            self._doubtful[id_] = None

    def add_category(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry of COCO's ``categories``."""
        id_ = whole_id(entry.get("id"))
        if id_ is None:
            self._odd.append(f"a category has the id {shown(entry.get('id'))}, which is none")
        else:
            self._categories[id_] = str(entry.get("name"))

    def add_odd(self, key: str, entry: Any) -> None:
        """Notes an entry that is no object of fields."""
        self._odd.append(f"an entry of {key!r} is {shown(entry)}, no object of fields")

    def add_objects(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Takes entries of COCO's ``annotations``; many at a time, since there are hundreds of thousands."""
        columns: list[list[Any]] = [[entry.get(key) for entry in entries] for key in _ANNOTATION_IDS]
        ids, image_ids, categories = columns
        before = len(self._ids)
        if not all(set(map(type, column)) <= {int} for column in (ids, image_ids, categories)):
            self._add_odd_ids(ids, image_ids, categories)
        else:
            try:
                for kept, column in zip(
                    (self._ids, self._image_ids, self._category_ids), (ids, image_ids, categories), strict=True
                ):
                    kept.extend(column)
            except OverflowError:  # more than 64 bits
                del self._ids[before:], self._image_ids[before:], self._category_ids[before:]
                self._add_odd_ids(ids, image_ids, categories)
        boxes, areas = [entry.get("bbox") for entry in entries], [entry.get("area") for entry in entries]
        self._boxes.extend(_numbers(boxes, 4))
        self._areas.extend(_numbers([[area] for area in areas], 1))
        self._crowd.extend(map(is_crowd, entries))
        self._nothing.extend(("no_target" in entry or "mask" in entry) and states_nothing(entry) for entry in entries)
        for entry in entries:
            self._add_segmentation(entry["segmentation"] if entry.get("segmentation") else written_mask(entry))

    def _add_odd_ids(self, ids: Sequence[Any], image_ids: Sequence[Any], categories: Sequence[Any]) -> None:
        """Takes ids that are not all whole numbers.

        An annotation that has no id gets one that nothing names; one that has no image belongs to none.
        """
        for given, image, category in zip(ids, image_ids, categories, strict=True):
            id_, image_id = whole_id(given), whole_id(image)
            if id_ is None:
                self._odd.append(f"annotation {len(self._ids)} has the id {shown(given)}, which is none")
                id_ = _NAMELESS - len(self._ids)
            self._ids.append(id_)
            self._image_ids.append(_NAMELESS if image_id is None else image_id)
            self._category_ids.append(whole_id(category) or 0)

    def finish(self) -> tuple[Arrays, Mapping[str, Any]]:
        """The arrays, and notes of what is wrong with them."""
        image_ids = np.array(sorted(self._images), dtype=np.int64)
        images = [self._images[id_] for id_ in image_ids.tolist()]
        owner = np.array(self._image_ids, dtype=np.int64)
        number = np.searchsorted(image_ids, owner)
        known = number < len(image_ids)
        known[known] = image_ids[number[known]] == owner[known]
        order = np.flatnonzero(known)
        order = order[np.argsort(number[order], kind="stable")]
        part_counts = np.array(self._part_counts, dtype=np.int32)
        part_starts = np.concatenate([[0], np.cumsum(np.array(self._lengths, dtype=np.int64))])
        points = np.frombuffer(self._points, dtype=np.float64) if self._points else np.zeros(0)
        boxes_A4 = np.array(self._boxes, dtype=np.float64).reshape(-1, 4)  # as x, y, width, height
        areas, sides_A2 = np.array(self._areas, dtype=np.float64), boxes_A4[:, 2:].copy()
        boxes_A4[:, 2:] += boxes_A4[:, :2]
        faulty = self._faulty_rows(points, part_starts, part_counts)
        row_of = np.full(len(owner), -1, dtype=np.int64)
        row_of[order] = np.arange(len(order))
        written = sorted((int(row_of[place]), text) for place, text in self._written.items() if row_of[place] >= 0)
        counts = Counter(self._ids)
        repeated = [id_ for id_, count in counts.items() if count > 1] if len(counts) < len(self._ids) else []
        arrays: dict[str, NDArray[Any]] = {
            "image_ids": image_ids,
            "image_sizes": np.array([image[1:] for image in images], dtype=np.int32).reshape(-1, 2),
            **pack_texts("file_names", [image[0] for image in images]),
            "name_faults": np.array([_name_fault(image[0]) for image in images], dtype=np.uint8),
            "category_ids": np.array(list(self._categories), dtype=np.int64),
            **pack_texts("category_names", list(self._categories.values())),
            "starts": np.searchsorted(number[order], np.arange(len(image_ids) + 1)).astype(np.int64),
            "ids": np.array(self._ids, dtype=np.int64)[order],
            "object_categories": np.array(self._category_ids, dtype=np.int64)[order],
            "boxes_A4": boxes_A4[order],
            "areas": np.where(np.isnan(areas), sides_A2.prod(axis=1), areas)[order],
            "crowd": np.frombuffer(bytes(self._crowd), dtype=np.bool_)[order],
            "segmentation_kinds": np.frombuffer(bytes(self._kinds), dtype=np.uint8)[order],
            "part_firsts": (np.cumsum(part_counts) - part_counts).astype(np.int64)[order],
            "part_counts": part_counts[order],
            "part_starts": part_starts.astype(np.int64),
            "points": _in_hundredths(points),
            "written_rows": np.array([row for row, _ in written], dtype=np.int64),
            **pack_texts("written", [text for _, text in written]),
            "broken": faulty[order],
            "nothing": np.frombuffer(bytes(self._nothing), dtype=np.bool_)[order],
        }
        notes = {
            "repeated": repeated,
            "doubtful": list(self._doubtful),
            "homeless": int((~known).sum()),
            "odd_objects": self._odd,
        }
        return arrays, notes

    def _add_segmentation(self, segmentation: Any) -> None:
        place = len(self._kinds)
        kind, parts = WRITTEN, 0
        if segmentation is None:
            kind = NONE
        elif type(segmentation) is list and segmentation:
            parts = self._add_polygons(segmentation) or self._add_polygons(parts_of(segmentation))
            kind = POLYGONS if parts else WRITTEN
        if kind == WRITTEN:
            self._written[place] = json.dumps(segmentation, separators=(",", ":"))
            if not segmentation or not all(map(_may_be_mask, parts_of(segmentation))):
                self._faulty.append(place)
        self._kinds.append(kind)
        self._part_counts.append(parts)

    def _add_polygons(self, polygons: list[Any]) -> int:
        """Takes flat polygons; returns their number, or 0 where one is something else."""
        before, parts_before = len(self._points), len(self._lengths)
        try:
            for polygon in polygons:
                self._points.extend(polygon)
                self._lengths.append(len(polygon))
        except (TypeError, OverflowError):  # something in it is no number
            del self._points[before:], self._lengths[parts_before:]
            return 0
        if len(polygons) > 1 and all(len(polygon) == 2 for polygon in polygons):  # pairs of points
            del self._lengths[parts_before:]
            self._lengths.append(2 * len(polygons))
            return 1
        return len(polygons)

    def _faulty_rows(
        self, points: NDArray[np.float64], part_starts: NDArray[Any], part_counts: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Which annotations, in the file's order, have a segmentation that says nothing, or a part that does."""
        lengths = np.diff(part_starts)
        bad_part = (lengths < 6) | (lengths % 2 == 1)
        bad_point = np.flatnonzero(~(np.abs(points) <= FARTHEST))  # true for NaN too
        bad_part[np.searchsorted(part_starts, bad_point, side="right") - 1] = True
        owners = np.repeat(np.arange(len(part_counts)), part_counts)
        faulty = np.zeros(len(part_counts), dtype=np.bool_)
        faulty[owners[bad_part]] = True
        faulty[self._faulty] = True
        return faulty


def _numbers(rows: Sequence[Any], count: int) -> list[float]:
    """Rows of so many numbers one after the other; NaN for each number of a row that is none of those."""
    plain = set(map(type, rows)) <= {list} and set(map(len, rows)) <= {count}
    flat: list[Any] = list(chain.from_iterable(rows)) if plain else [None]
    if set(map(type, flat)) <= {float, int}:
        return flat
    if len(rows) == 1:
        return [math.nan] * count
    return [number for row in rows for number in _numbers([row], count)]


def _may_be_mask(part: Any) -> bool:
    """Whether a part of a segmentation that is no flat polygon of numbers can be drawn on an image of the right size.

    A text names a file, or is a picture.
    """
    if isinstance(part, str):
        return bool(part)
    return is_polygon(part) or bool(isinstance(part, dict) and part.get("counts") and part.get("size"))


def _name_fault(name: str) -> int:
    """0 for the name of a file below the image folder, 1 where it is missing, 2 where it leads elsewhere."""
    if not name:
        return 1
    if "/" not in name and "\\" not in name and name != "..":  # nearly all, and much cheaper than a path
        return 0
    path = PurePosixPath(name)
    return 2 if path.is_absolute() or ".." in path.parts or "\\" in name else 0


def _in_hundredths(points: NDArray[np.float64]) -> NDArray[Any]:
    """Points as whole hundredths of a pixel, half the size, where no number loses by it; else as they are."""
    hundredths = np.empty(len(points), dtype=np.int32)
    for start in range(0, len(points), 1 << 20):  # piece by piece, or the checks would double the memory
        piece = points[start : start + (1 << 20)]
        if not (np.abs(piece) <= FARTHEST).all():
            return points.copy()
        rounded = np.rint(piece * 100.0)
        if not np.array_equal(rounded / 100.0, piece):
            return points.copy()
        hundredths[start : start + len(piece)] = rounded
    return hundredths
