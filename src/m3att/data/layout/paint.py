"""Draws an image's annotated objects in their boxes, where boxes are at hand but the photo is not.

Depth goes by size: large objects stand behind, small ones in front, crowd regions behind all. Masks are what is seen
of each object in the drawing. The drawing depends on its arguments alone, so it is the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.layout.looks import Look, look_of
from m3att.data.layout.silhouettes import ACCENT, BODY, DARK, LIGHT, SKIN, silhouette

Colour = tuple[int, int, int]

_MIN_SIDE = 4  # pixels; a smaller box is drawn at this size, or nothing of it would be left in a small network's input
_MIN_VISIBLE = 0.05  # an object of which less is seen comes to the front
_FRONT_SCALE = 0.7  # ... a little smaller, so that what it covered (perhaps its own twin) is seen around it
_FRONT_ROUNDS = 4
_WIDE = 0.95  # a box lower than this times its width counts as wide
_SKIN: Colour = (246, 205, 170)
_LIGHT: Colour = (245, 247, 250)
_DARK: Colour = (38, 40, 52)
_OUTLINE = 20  # grey


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


def draw_layout(
    height: int, width: int, annotations: Sequence[Annotation], categories: Mapping[int, str]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draws the objects of an image and says where each of them is seen.

    Args:
        height: image height in pixels.
        width: image width in pixels.
        annotations: the A annotated objects; any finite box is taken, its part inside the image is filled.
        categories: name of each category id.

    Returns:
        The image, RGB uint8 (H, W, 3), and the visible masks, bool (A, H, W).
    """
    image_HWC, owner_HW = paint_layout(height, width, annotations, categories)
    masks_AHW = np.zeros((len(annotations), height, width), dtype=np.bool_)
    for number in range(len(annotations)):
        np.equal(owner_HW, number, out=masks_AHW[number])
    return image_HWC, masks_AHW


def paint_layout(
    height: int, width: int, annotations: Sequence[Annotation], categories: Mapping[int, str]
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draws as :func:`draw_layout` does, and keeps all masks in one map; cheaper where few masks are wanted.

    Args:
        height: image height in pixels.
        width: image width in pixels.
        annotations: the annotated objects.
        categories: name of each category id.

    Returns:
        The image, RGB uint8 (H, W, 3), and for each pixel the number of the annotation seen there, or -1,
        int16 (H, W).
    """
    boxes = [inside(annotation.box, height, width) for annotation in annotations]
    order = sorted(
        range(len(annotations)),
        key=lambda number: (
            not annotations[number].is_crowd,
            -boxes[number][2] * boxes[number][3],
            annotations[number].id,
            number,
        ),
    )
    image_HWC = _background(height, width).copy()
    owner_HW = np.full((height, width), -1, dtype=np.int16)
    drawn = [0] * len(annotations)
    first_boxes = list(boxes)  # an object that comes to the front is drawn inside its first box
    for number in order:
        drawn[number] = _paint(image_HWC, owner_HW, number, annotations[number], boxes[number], categories)
    for _ in range(_FRONT_ROUNDS):
        hidden = [
            number
            for number in order
            if _pixels_seen(owner_HW, number, first_boxes[number]) < np.float32(_MIN_VISIBLE * drawn[number])
        ]
        if not hidden:
            break
        for number in hidden:
            boxes[number] = _shrunken(boxes[number])
            drawn[number] = _paint(image_HWC, owner_HW, number, annotations[number], boxes[number], categories)
    return image_HWC, owner_HW


def _pixels_seen(owner_HW: NDArray[np.int16], number: int, box: tuple[int, int, int, int]) -> int:
    """Visible pixels of an annotation, all of which lie in a box; far cheaper than a histogram of the image."""
    x, y, w, h = box
    return int(np.count_nonzero(owner_HW[y : y + h, x : x + w] == number))


def inside(
    box: tuple[float, float, float, float], height: int, width: int, least: int = _MIN_SIDE
) -> tuple[int, int, int, int]:
    """The part of a box inside the image as x, y, width, height.

    Args:
        box: XYXY in pixels.
        height: image height in pixels.
        width: image width in pixels.
        least: a smaller side is drawn at this length where the image has room for it.
    """
    x, w = _interval(box[0], box[2], width, least)
    y, h = _interval(box[1], box[3], height, least)
    return x, y, w, h


def _interval(low: float, high: float, size: int, least: int) -> tuple[int, int]:
    start, stop = (round(min(max(side, 0.0), size)) if side == side else 0 for side in (low, high))
    length = min(size, max(stop - start, least))
    return max(0, min(start, size - length)), length


def _shrunken(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x, y, w, h = box
    new_w, new_h = max(min(w, _MIN_SIDE), round(w * _FRONT_SCALE)), max(min(h, _MIN_SIDE), round(h * _FRONT_SCALE))
    return x + (w - new_w) // 2, y + (h - new_h) // 2, new_w, new_h


@lru_cache(maxsize=8)
def _background(height: int, width: int) -> NDArray[np.uint8]:
    """A pale wall above a slightly darker floor, without an edge that could be taken for an object."""
    shade_H = np.linspace(240, 205, height).round().astype(np.uint8)
    image_HWC = np.empty((height, width, 3), dtype=np.uint8)
    image_HWC[:] = shade_H[:, None, None]
    image_HWC.setflags(write=False)
    return image_HWC


def _paint(
    image_HWC: NDArray[np.uint8],
    owner_HW: NDArray[np.int16],
    number: int,
    annotation: Annotation,
    box: tuple[int, int, int, int],
    categories: Mapping[int, str],
) -> int:
    """Paints one object over what is there and returns how many pixels it took."""
    x, y, w, h = box
    look = look_of(categories.get(annotation.category_id, f"category {annotation.category_id}"))
    image_roi, owner_roi = image_HWC[y : y + h, x : x + w], owner_HW[y : y + h, x : x + w]
    if annotation.is_crowd:
        _paint_crowd(image_roi, look)
        owner_roi[:] = number
        return w * h
    shape = np.zeros((h, w), dtype=np.uint8)
    shade = 0.82 + 0.36 * _unit_hash(annotation.id)
    body, accent = _shaded(look.colour, shade), _shaded(look.accent, shade)
    layer = _filled(h, w, body)
    _paint_pattern(layer, look.pattern, accent)
    tones = {ACCENT: accent, DARK: _DARK, LIGHT: _LIGHT, SKIN: _shaded(_SKIN, min(1.0, shade))}
    size = np.array([w - 1, h - 1], dtype=np.float32)
    polygons: list[NDArray[np.int32]] = []
    for tone, points in silhouette(look.silhouette, h < _WIDE * w):
        polygon = np.rint(points * size).astype(np.int32)
        if tone != BODY:
            cv2.fillPoly(layer, [polygon], tones[tone])
        cv2.fillPoly(shape, [polygon], 1)
        cv2.fillPoly(owner_roi, [polygon], number)
        polygons.append(polygon)
    inner: NDArray[Any] = shape
    if min(w, h) > 2 * _MIN_SIDE:  # the rim of the whole silhouette in dark parts an object from its own kind behind it
        edge = max(1, min(w, h) // 24)
        kernel = np.ones((2 * edge + 1, 2 * edge + 1), dtype=np.uint8)
        inner = cv2.erode(shape, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        for polygon in polygons:
            cv2.fillPoly(image_roi, [polygon], (_OUTLINE,) * 3)
    cv2.copyTo(layer, inner, image_roi)
    return int(cv2.countNonZero(shape))


def _filled(height: int, width: int, colour: Colour) -> NDArray[np.uint8]:
    layer_HWC = np.empty((height, width, 3), dtype=np.uint8)
    _fill(layer_HWC, 0, 0, width, height, colour)
    return layer_HWC


def _fill(layer_HWC: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    """Fills columns from left to right and rows from top to bottom, both ends exclusive; faster than a broadcast."""
    if left < right and top < bottom:
        cv2.rectangle(layer_HWC, (left, top), (right - 1, bottom - 1), colour, -1)


def _paint_crowd(image_roi: NDArray[np.uint8], look: Look) -> None:
    """Hatches a region of many objects faintly in their colour."""
    h, w = image_roi.shape[:2]
    faint = tuple(round(0.25 * channel + 0.75 * 225) for channel in look.colour)
    image_roi[:] = faint
    line = tuple(round(0.5 * channel + 0.5 * 225) for channel in look.colour)
    for offset in range(-h, w, 16):
        cv2.line(image_roi, (offset, h), (offset + h, 0), line, 2)


def _paint_pattern(layer: NDArray[np.uint8], pattern: int, colour: Colour) -> None:
    """Paints one of the inner patterns over a whole layer, in steps of the box so that it shrinks with it."""
    h, w = layer.shape[:2]
    across, down = w / 7, h / 7
    if pattern in (1, 3):  # lying stripes; crossed with standing ones: a grid
        for k in (1, 3, 5):
            _fill(layer, 0, round(k * down), w, round((k + 0.6 + 0.4 * (pattern == 1)) * down), colour)
    if pattern in (2, 3):
        for k in (1, 3, 5):
            _fill(layer, round(k * across), 0, round((k + 0.6 + 0.4 * (pattern == 2)) * across), h, colour)
    elif pattern == 4:  # dots
        radius = max(1, round(min(across, down) * 0.6))
        for row in (1.5, 3.5, 5.5):
            for column in (1.5, 3.5, 5.5):
                cv2.circle(layer, (round(column * across), round(row * down)), radius, colour, -1)
    elif pattern == 5:  # a diagonal band
        points = np.array([[0, h * 0.75], [0, h], [w * 0.25, h], [w, h * 0.25], [w, 0], [w * 0.75, 0]])
        cv2.fillPoly(layer, [points.astype(np.int32)], colour)
    elif pattern == 6:  # a disc in the middle
        cv2.ellipse(layer, (w // 2, h // 2), (max(1, w // 5), max(1, h // 5)), 0, 0, 360, colour, -1)
    elif pattern == 7:  # lower half
        _fill(layer, 0, h // 2, w, h, colour)


def _shaded(colour: Colour, shade: float) -> Colour:
    red, green, blue = colour
    return min(255, round(red * shade)), min(255, round(green * shade)), min(255, round(blue * shade))


def _unit_hash(number: int) -> float:
    """A stable value in [0, 1) that differs between neighbouring ids."""
    return ((number * 2654435761) & 0xFFFFFFFF) / 2**32
