"""Annotations of a COCO-style ``instances.json``, kept as flat arrays that forked workers share."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.pickles import load_plain
from m3att.errors import DataError


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated object of an image.

    Args:
        id: the annotation's id in the data set (crowd regions exceed 32 bits).
        category_id: the category's id in the data set.
        box: XYXY in pixels.
        is_crowd: whether it marks a region of many objects instead of one.
    """

    id: int
    category_id: int
    box: tuple[float, float, float, float]
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class AnnotationTable:
    """All annotations of the chosen images, those of image i at rows ``starts[i]:starts[i + 1]``.

    Args:
        starts: int64, (images + 1,).
        ids: int64, (A,).
        category_ids: int64, (A,).
        boxes_A4: float64, XYXY in pixels; NaN where an annotation has none.
        areas: float64, (A,), pixels as annotated, or else of the box.
        crowd: bool, (A,).
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    boxes_A4: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def of_image(self, index: int) -> list[Annotation]:
        """Annotations of image ``index`` in the file's order."""
        rows = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return [
            Annotation(id_, category, (box[0], box[1], box[2], box[3]), is_crowd)
            for id_, category, box, is_crowd in zip(
                self.ids[rows].tolist(),
                self.category_ids[rows].tolist(),
                self.boxes_A4[rows].tolist(),
                self.crowd[rows].tolist(),
                strict=True,
            )
        ]

    def rows_of_image(self, index: int) -> range:
        """Rows of image ``index``."""
        return range(int(self.starts[index]), int(self.starts[index + 1]))


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
    """Reads ``refs(<split_by>).p`` and checks that each entry has what is used here.

    Raises:
        DataError: where the file is missing, unsafe, broken or no list of referents.
    """
    refs = load_plain(path)
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise DataError(f"{path}: not a list of referents; is it a refs(...).p of the REFER layout?")
    for position, ref in enumerate(refs):
        for key, kind in (("ref_id", int), ("ann_id", int), ("image_id", int), ("split", str), ("sentences", list)):
            if not isinstance(ref.get(key), kind):
                raise DataError(f"{path}: referent {position} has no {key!r}; download the file again")
        for sentence in ref["sentences"]:
            if not isinstance(sentence, dict) or not isinstance(sentence.get("sent_id"), int):
                raise DataError(f"{path}: referent {ref['ref_id']} has a sentence without 'sent_id'")
            if not isinstance(sentence.get("sent", sentence.get("raw")), str):
                raise DataError(f"{path}: sentence {sentence['sent_id']} has no text")
    return refs


def sentence_text(sentence: dict[str, Any]) -> str:
    """The sentence as REFER cleans it (lower case, no punctuation), or as it was typed where only that is there."""
    text = sentence.get("sent")
    return str(text if text is not None else sentence["raw"])


def read_instances(path: Path) -> dict[str, Any]:
    """Reads a COCO-style ``instances.json``.

    Raises:
        DataError: where the file is missing, no JSON, or lacks images, annotations or categories.
    """
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the data root") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error).splitlines()[0]}); download the file again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds no JSON object; is it a COCO instances file?")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise DataError(f"{path}: has no list {key!r}; is it a COCO instances file?")
        required = ("id", "image_id", "category_id") if key == "annotations" else ("id",)
        for entry in content[key]:
            if not isinstance(entry, dict) or not all(isinstance(entry.get(name), int) for name in required):
                raise DataError(f"{path}: an entry of {key!r} lacks one of {', '.join(required)}")
    return content


def build_table(annotations: Iterable[dict[str, Any]], image_ids: list[int]) -> AnnotationTable:
    """Sorts the annotations of the chosen images into flat arrays.

    Args:
        annotations: entries of ``instances.json``, all images mixed.
        image_ids: the images wanted, in the order in which they are numbered.

    Returns:
        The table; within an image the order is that of the file.
    """
    number = {image_id: index for index, image_id in enumerate(image_ids)}
    of_image: list[list[dict[str, Any]]] = [[] for _ in image_ids]
    for entry in annotations:
        index = number.get(entry["image_id"])
        if index is not None:
            of_image[index].append(entry)
    ordered = [entry for entries in of_image for entry in entries]
    boxes_A4 = np.array([_box(entry) for entry in ordered], dtype=np.float64).reshape(-1, 4)
    box_areas = ((boxes_A4[:, 2] - boxes_A4[:, 0]) * (boxes_A4[:, 3] - boxes_A4[:, 1])).tolist()
    return AnnotationTable(
        starts=np.concatenate([[0], np.cumsum([len(entries) for entries in of_image])]).astype(np.int64),
        ids=np.array([entry["id"] for entry in ordered], dtype=np.int64),
        category_ids=np.array([entry["category_id"] for entry in ordered], dtype=np.int64),
        boxes_A4=boxes_A4,
        areas=np.array([e.get("area", a) for e, a in zip(ordered, box_areas, strict=True)], dtype=np.float64),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in ordered], dtype=np.bool_),
    )


def _box(entry: dict[str, Any]) -> tuple[float, float, float, float]:
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return (np.nan, np.nan, np.nan, np.nan)
    x, y, width, height = box
    return (x, y, x + width, y + height)
