"""The objects of an annotation tool's export, put together as a COCO json with expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.images import MAX_PIXELS
from m3att.data.masks import encode_rle
from m3att.data.own.expressions import CATEGORY, found_expressions, lines_of, no_expressions
from m3att.errors import DataError

Outline = list[float] | dict[str, Any]
"""A part of a mask: a flat polygon, or run lengths."""
Corners = tuple[float, float, float, float]
"""Left, top, right and lower edge in pixels."""


class Collected:
    """Images and objects in the order in which a tool's file has them.

    Args:
        path: of the file, for messages.
        field: the attribute that holds the expressions, or ``category`` for the labels; None: the usual names.
    """

    def __init__(self, path: Path, field: str | None) -> None:
        self.path, self.field = path, field
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.faults: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        self._attributes: dict[str, None] = {}

    def add_image(self, name: str, height: int, width: int, split: str | None = None) -> None:
        """Takes an image; the objects that follow are of it.

        Args:
            name: of its file.
            height: pixels; 0 where the file does not say.
            width: pixels.
            split: that it is of, where the file says so.
        """
        sides = {"height": height, "width": width} if height > 0 and width > 0 else {}
        stated = {} if split is None else {"split": split}
        self.images.append({"id": len(self.images) + 1, "file_name": name, **sides, **stated})

    def texts_of(self, label: str | None, attributes: Sequence[Mapping[str, Any]]) -> list[str]:
        """The expressions of an object.

        Args:
            label: of the object.
            attributes: of each of its parts.
        """
        for one in attributes:
            self._attributes |= dict.fromkeys(name for name, value in one.items() if isinstance(value, str) and value)
        if self.field == CATEGORY:
            return lines_of(label)
        return list(dict.fromkeys(text for one in attributes for text in found_expressions(one, self.field)))

    def add_object(
        self,
        label: str | None,
        texts: Sequence[str],
        outlines: Sequence[Outline],
        boxes: Sequence[Corners] = (),
        is_crowd: bool = False,
    ) -> None:
        """Takes an object of the image that was taken last; boxes count only where it has no outline.

        Args:
            label: its category.
            texts: its expressions.
            outlines: the parts of its mask.
            boxes: around its parts.
            is_crowd: whether it is a region of many objects.
        """
        image = self.images[-1]["id"]
        entry: dict[str, Any] = {"id": len(self.annotations) + 1, "image_id": image, "iscrowd": int(is_crowd)}
        if label is not None:
            entry["category_id"] = self._categories.setdefault(label, len(self._categories) + 1)
        entry |= area_of(outlines, boxes)
        self.annotations.append({**entry, **({"expressions": list(texts)} if texts else {})})

    def coco(self) -> dict[str, Any]:
        """All of it as a COCO json.

        Raises:
            DataError: where no object has an expression.
        """
        if not any("expressions" in entry for entry in self.annotations) and not any(self.faults.values()):
            raise no_expressions(self.path, self._attributes, self.field)
        categories = [{"id": id_, "name": name} for name, id_ in self._categories.items()]
        return {"images": self.images, "annotations": self.annotations, "categories": categories}


def area_of(outlines: Sequence[Outline], boxes: Sequence[Corners] = ()) -> dict[str, Any]:
    """Where an object is, as a COCO json has it.

    Args:
        outlines: the parts of its mask.
        boxes: around its parts; they count only where it has no outline.

    Returns:
        ``segmentation``, or ``bbox`` (x, y, width, height in pixels) around all boxes, or neither.
    """
    if outlines:
        single = len(outlines) == 1 and isinstance(outlines[0], dict)
        return {"segmentation": outlines[0] if single else list(outlines)}
    if not boxes:
        return {}
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) for side in (2, 3))
    return {"bbox": [left, top, right - left, bottom - top]}


def mask_at(box_HW: NDArray[np.bool_], left: int, top: int, height: int, width: int) -> dict[str, Any]:
    """The run lengths of a mask that is drawn in a box.

    Args:
        box_HW: the pixels of the box.
        left: edge of the box, pixels.
        top: edge of the box, pixels.
        height: of the image, pixels.
        width: of the image, pixels.

    Raises:
        DataError: where the size of the image is not known, or the box leaves it.
    """
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise DataError("its mask needs the size of the image")
    bottom, right = top + box_HW.shape[0], left + box_HW.shape[1]
    if min(left, top) < 0 or bottom > height or right > width:
        raise DataError("its mask does not lie inside the image")
    mask_HW = np.zeros((height, width), dtype=np.bool_)
    mask_HW[top:bottom, left:right] = box_HW
    return encode_rle(mask_HW)


def corners_of(polygon: Sequence[float]) -> Corners:
    """The box around a flat polygon."""
    return min(polygon[::2]), min(polygon[1::2]), max(polygon[::2]), max(polygon[1::2])
