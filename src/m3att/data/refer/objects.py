"""The images and annotated objects of a data set as flat arrays, which worker processes share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.layout.paint import Annotation
from m3att.data.refer.json_stream import BEGIN, stream_json
from m3att.data.refer.object_writer import POLYGONS, WRITTEN, ObjectWriter
from m3att.data.refer.records import collector_paused
from m3att.data.refer.store import Arrays, Store, Texts, cached
from m3att.errors import DataError

_BATCH = 256  # annotations that are taken at a time


class ObjectTable:
    """Images in the order of their ids, and their annotations, those of image i at rows ``starts[i]:starts[i + 1]``.

    Within an image the order is that of the file.

    Args:
        store: made by an `ObjectWriter`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        names = store.texts("category_names")
        self.categories: dict[int, str] = dict(zip(store["category_ids"].tolist(), names, strict=True))

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """(I,), ascending."""
        return self.store["image_ids"]

    @property
    def image_sizes(self) -> NDArray[np.int32]:
        """(I, 2), height and width in pixels; 0 where the file does not say."""
        return self.store["image_sizes"]

    @property
    def file_names(self) -> Texts:
        """Names of the images' files; empty where the file has none."""
        return self.store.texts("file_names")

    @property
    def starts(self) -> NDArray[np.int64]:
        """(I + 1,)."""
        return self.store["starts"]

    @property
    def ids(self) -> NDArray[np.int64]:
        """(A,)."""
        return self.store["ids"]

    @property
    def boxes_A4(self) -> NDArray[np.float64]:
        """(A, 4) XYXY in pixels; NaN where an annotation has none."""
        return self.store["boxes_A4"]

    @property
    def areas(self) -> NDArray[np.float64]:
        """(A,), pixels as annotated, or else of the box."""
        return self.store["areas"]

    @property
    def crowd(self) -> NDArray[np.bool_]:
        """(A,)."""
        return self.store["crowd"]

    def rows_of_image(self, index: int) -> range:
        """Rows of image ``index``."""
        return range(int(self.starts[index]), int(self.starts[index + 1]))

    def of_image(self, index: int) -> list[Annotation]:
        """Annotations of image ``index``."""
        rows = slice(int(self.starts[index]), int(self.starts[index + 1]))
        columns = (self.ids, self.store["object_categories"], self.boxes_A4, self.crowd)
        ids, category_ids, boxes, crowd = (column[rows].tolist() for column in columns)
        return [
            Annotation(id_, category_id, tuple(box), is_crowd)
            for id_, category_id, box, is_crowd in zip(ids, category_ids, boxes, crowd, strict=True)
        ]

    def segmentation(self, row: int) -> Any:
        """The annotation's polygons, as float arrays, or its run lengths; None where it has neither."""
        kind = int(self.store["segmentation_kinds"][row])
        if kind == POLYGONS:
            first = int(self.store["part_firsts"][row])
            cuts = self.store["part_starts"][first : first + int(self.store["part_counts"][row]) + 1]
            points = self.store["points"][int(cuts[0]) : int(cuts[-1])]
            # Hundredths divide into the same floats as their decimals are read as, so no mask changes by a pixel.
            numbers = points / 100.0 if points.dtype == np.int32 else points
            return np.split(numbers, (cuts[1:-1] - cuts[0]).tolist())
        if kind == WRITTEN:
            place = int(np.searchsorted(self.store["written_rows"], row))
            return json.loads(self.store.texts("written")[place])
        return None


def read_objects(path: Path) -> ObjectTable:
    """Reads a COCO-style ``instances.json``, or what the cache holds of it.

    Raises:
        DataError: where the file is missing, no JSON, or lacks images, annotations or categories.
    """
    return ObjectTable(cached("objects", [path], lambda: _build(path)))


def _build(path: Path) -> tuple[Arrays, Mapping[str, Any]]:
    writer = ObjectWriter(path)
    adders = {"images": writer.add_image, "categories": writer.add_category}
    met = set()
    batch: list[Mapping[str, Any]] = []
    with collector_paused():
        for key, entry in stream_json(path):
            if key == "":
                raise DataError(f"{path}: holds no JSON object; is it a COCO instances file?")
            if entry is BEGIN:
                met.add(key)
            elif key in met and (key in adders or key == "annotations"):
                if not isinstance(entry, dict):
                    writer.add_odd(key, entry)
                    continue
                if key != "annotations":
                    adders[key](entry)
                    continue
                batch.append(entry)
                if len(batch) == _BATCH:
                    writer.add_objects(batch)
                    batch.clear()
        writer.add_objects(batch)
    for key in ("images", "annotations", "categories"):
        if key not in met:
            raise DataError(f"{path}: has no list {key!r}; is it a COCO instances file?")
    return writer.finish()
