"""Boxes of objects that have no outline: which one an entry states, and its pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from m3att.data.masks import RunLengths, pack_lengths
from m3att.errors import DataError, shown

BOX_FIELDS = ("bbox", "box", "bounding_box", "bbox_xywh", "box_xywh", "xywh")
"""Where the box of an object may stand, as x, y, width and height in pixels; the first that holds something is read."""
CORNER_FIELDS = ("bbox_xyxy", "box_xyxy", "xyxy")
"""Where it may stand as x and y of its upper left and of its lower right corner, in pixels."""
_RIM = 2.0  # pixels by which a box may leave its image
_RIM_SHARE = 0.02  # the same as a share of the image's side, if that is more
_BOX = "is only a box"

Box = tuple[float, float, float, float]
"""x, y, width and height in pixels."""


def stated_box(entry: Mapping[str, Any]) -> Box | None:
    """The box that an entry states; None where it states none, or where what stands there is no box.

    Args:
        entry: an annotation, line or row.
    """
    for name in (*BOX_FIELDS, *CORNER_FIELDS):
        value = entry.get(name)
        if value is None or (isinstance(value, list | tuple | str) and not value):
            continue
        value = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(value, list | tuple) or len(value) != 4:
            return None
        if not all(isinstance(side, int | float) and not isinstance(side, bool) for side in value):
            return None
        try:
            x, y, width, height = (float(side) for side in value)
        except OverflowError:  # a whole number may have any number of digits
            return None
        if name in CORNER_FIELDS:
            width, height = width - x, height - y
        box = (x, y, width, height)
        return box if all(map(math.isfinite, box)) and width > 0 and height > 0 else None
    return None


def as_mask(box: Box) -> dict[str, Any]:
    """A box in the place of a mask; see `box_in`."""
    return {_BOX: list(box)}


def box_in(mask: Any) -> Box | None:
    """The box that `as_mask` put in the place of a mask; None for a mask."""
    if not isinstance(mask, dict) or _BOX not in mask:
        return None
    x, y, width, height = mask[_BOX]
    return x, y, width, height


def fill_box(box: Box, height: int, width: int) -> RunLengths:
    """The pixels of a box, at least one; an edge that does not lie between two pixels is moved to the nearest place.

    Args:
        box: in pixels of the image.
        height: of the image, pixels.
        width: of the image, pixels.

    Raises:
        DataError: where it leaves the image by more than a rim, or is smaller than any pixel, so that its numbers must
            mean something else.
    """
    left, top, across, down = box
    if max(box) <= 1:
        raise DataError(f"its box {shown(list(box))} lies within one pixel; give x, y, width and height in pixels")
    rim_x, rim_y = (max(_RIM, _RIM_SHARE * side) for side in (width, height))
    if min(left + rim_x, top + rim_y) < 0 or left + across > width + rim_x or top + down > height + rim_y:
        raise DataError(
            f"its box {shown(list(box))} leaves the image of {width} x {height}; a box is x, y, width and height in "
            f"pixels, and corners stand in {', '.join(CORNER_FIELDS)}"
        )
    (x0, x1), (y0, y1) = _pixels(left, left + across, width), _pixels(top, top + down, height)
    column, gap = y1 - y0, height - (y1 - y0)
    runs = [x0 * height + y0, *[column, gap] * (x1 - x0)]
    runs[-1] = height * width - sum(runs[:-1])
    return pack_lengths(np.array(runs, dtype=np.int64), height, width)


def _pixels(start: float, stop: float, side: int) -> tuple[int, int]:
    first = min(max(math.floor(start + 0.5), 0), side - 1)
    return first, min(max(math.floor(stop + 0.5), first + 1), side)
