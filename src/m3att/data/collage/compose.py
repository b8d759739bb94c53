"""Draws a collage: each annotated object as a cut-out of a real one of its category, over a real background.

Where an object stands behind another follows from the boxes: what ends lower stands in front, large things behind small
ones, and what lies within a much larger box before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.collage.choose import NO_DEMANDS, Place, choose
from m3att.data.collage.colours import Demands
from m3att.data.collage.cutouts import MARGIN, CutoutLibrary
from m3att.data.collage.people import PERSON
from m3att.data.layout.paint import Annotation, inside

_MIN_SIDE = 3  # pixels; what is smaller is drawn at this size
_MIN_VISIBLE = 0.12  # an object of which less is seen comes to the front
_FRONT_ROUNDS = 3
_STRETCH = math.log(1.25)  # most by which a cut-out's proportions are changed
_SIZE_DEPTH = 0.5  # how far the size of an object moves it back, beside its lower edge
_INSIDE = 0.85  # share of a box that makes it lie within another
_MUCH_LARGER = 2.0
_EDGE = 2.5  # pixels from the picture's edge within which an object is cut off by it
_LIGHT = 0.25  # how far a cut-out's brightness follows that of the background
_LIGHT_LIMITS = (0.82, 1.2)
_SOFT = (0.25, 0.75)  # pixels of the blur that half of the pictures get, as photos have it


def compose_collage(
    height: int,
    width: int,
    annotations: Sequence[Annotation],
    categories: Mapping[int, str],
    demands: Mapping[int, Demands],
    called: Mapping[int, Mapping[str, float]],
    library: CutoutLibrary,
    chance: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draws the objects of an image and says where each is seen.

    Crowd regions, and objects of a category without a cut-out, are not drawn.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        annotations: the A annotated objects, with boxes at the picture's own size.
        categories: name of each category id.
        demands: colours that expressions give to an object, by its place among the annotations.
        called: what expressions call a person, by its place among the annotations; see `calls`.
        library: what is drawn from.
        chance: decides all that the arguments leave open.

    Returns:
        The picture, RGB uint8 (H, W, 3), and for each pixel the number of the annotation seen there, or -1,
        int16 (H, W).
    """
    image_HWC = _background(height, width, library, chance)
    owner_HW = np.full((height, width), -1, dtype=np.int16)
    drawable = [
        number
        for number, one in enumerate(annotations)
        if not one.is_crowd and categories.get(one.category_id) in library.of_category
    ]
    boxes = {number: inside(annotations[number].box, height, width, _MIN_SIDE) for number in drawable}
    pieces: dict[int, tuple[NDArray[np.uint8], int, int]] = {}
    light = float(cv2.mean(cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY))[0])
    used: list[int] = []
    for number in drawable:
        one = annotations[number]
        wanted = demands.get(number, NO_DEMANDS)
        unwanted = frozenset(
            demand
            for other, found in demands.items()
            if other != number and annotations[other].category_id == one.category_id
            for demand in found - wanted
        )
        x, y, w, h = boxes[number]
        cut_off = (x < _EDGE, y < _EDGE, x + w > width - _EDGE, y + h > height - _EDGE)
        cutouts = library.of_category[categories[one.category_id]]
        own = called.get(number, {})
        others_called: frozenset[str] = frozenset()
        if not own and categories[one.category_id] == PERSON:
            others_called = frozenset(said for found in called.values() for said in found)
        place = Place(h, w, cut_off, wanted, unwanted, own, others_called)
        row, mirrored = choose(cutouts, place, used, chance)
        used.append(row)
        pieces[number] = _fit(library, row, mirrored, boxes[number], cut_off, light)
    order = _depth_order(boxes, height, width)
    drawn = {number: _paste(image_HWC, owner_HW, number, *pieces[number]) for number in order}
    for _ in range(_FRONT_ROUNDS):
        seen = np.bincount(owner_HW.ravel() + 1, minlength=len(annotations) + 1)[1:]
        hidden = [number for number in order if seen[number] < _MIN_VISIBLE * drawn[number]]
        if not hidden:
            break
        for number in hidden:
            _paste(image_HWC, owner_HW, number, *pieces[number])
    if chance.random() < 0.5:
        image_HWC = np.asarray(cv2.GaussianBlur(image_HWC, (3, 3), chance.uniform(*_SOFT)), dtype=np.uint8)
    return image_HWC, owner_HW


def _background(height: int, width: int, library: CutoutLibrary, chance: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a background of the picture's proportions."""
    photo_HWC = library.background(int(chance.integers(library.backgrounds)))
    if chance.random() < 0.5:
        photo_HWC = photo_HWC[:, ::-1]
    scale = min(photo_HWC.shape[0] / height, photo_HWC.shape[1] / width) * chance.uniform(0.7, 1.0)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    y = int(chance.integers(photo_HWC.shape[0] - h + 1))
    x = int(chance.integers(photo_HWC.shape[1] - w + 1))
    part_HWC = np.ascontiguousarray(photo_HWC[y : y + h, x : x + w])
    return np.asarray(cv2.resize(part_HWC, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _depth_order(boxes: Mapping[int, tuple[int, int, int, int]], height: int, width: int) -> list[int]:
    """Numbers of the boxes from the farthest to the nearest."""
    depth = {
        number: (y + h) / height - _SIZE_DEPTH * math.sqrt(w * h / (height * width))
        for number, (x, y, w, h) in boxes.items()
    }
    order = sorted(boxes, key=lambda number: (depth[number], number))
    for number in sorted(boxes, key=lambda number: (-boxes[number][2] * boxes[number][3], number)):
        x, y, w, h = boxes[number]
        behind = order.index(number)
        for other in order[behind + 1 :]:
            x2, y2, w2, h2 = boxes[other]
            shared = max(0, min(x + w, x2 + w2) - max(x, x2)) * max(0, min(y + h, y2 + h2) - max(y, y2))
            if w2 * h2 > _MUCH_LARGER * w * h and shared > _INSIDE * w * h:
                behind = order.index(other)
        order.insert(behind + 1, number)
        order.remove(number)
    return order


def _fit(
    library: CutoutLibrary,
    row: int,
    mirrored: bool,
    box: tuple[int, int, int, int],
    cut_off: tuple[bool, bool, bool, bool],
    light: float,
) -> tuple[NDArray[np.uint8], int, int]:
    """A cut-out at the size of a box, in the light of the background, and where its upper left corner goes.

    What would be stretched by more than ``_STRETCH`` keeps that limit and fills only a part of the box, standing on its
    lower side and at the edge of the picture where the box does.
    """
    rgba_HW4 = library.cutout(row)
    if mirrored:
        rgba_HW4 = np.ascontiguousarray(rgba_HW4[:, ::-1])
    x, y, w, h = box
    own_h, own_w = rgba_HW4.shape[0] - 2 * MARGIN, rgba_HW4.shape[1] - 2 * MARGIN
    excess = math.log(h / w) - math.log(own_h / own_w)
    if abs(excess) > _STRETCH:
        factor = math.exp(abs(excess) - _STRETCH)
        new_w, new_h = (w, max(_MIN_SIDE, round(h / factor))) if excess > 0 else (max(_MIN_SIDE, round(w / factor)), h)
        left, _, right, _ = cut_off
        x += 0 if left else w - new_w if right else (w - new_w) // 2
        y, w, h = y + h - new_h, new_w, new_h
    # The object fills the box; the margin over which its edge fades lies around it.
    across, down = round(MARGIN * w / own_w), round(MARGIN * h / own_h)
    size = (w + 2 * across, h + 2 * down)
    shrinks = size[0] * size[1] < rgba_HW4.shape[0] * rgba_HW4.shape[1]
    fitted_HW4 = cv2.resize(rgba_HW4, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    gain = min(max((light / max(library.brightness(row), 1.0)) ** _LIGHT, _LIGHT_LIMITS[0]), _LIGHT_LIMITS[1])
    alpha_HW = fitted_HW4[:, :, 3].copy()
    fitted_HW4 = cv2.convertScaleAbs(fitted_HW4, alpha=gain)
    fitted_HW4[:, :, 3] = alpha_HW
    return np.asarray(fitted_HW4, dtype=np.uint8), x - across, y - down


def _paste(
    image_HWC: NDArray[np.uint8],
    owner_HW: NDArray[np.int16],
    number: int,
    piece_HW4: NDArray[np.uint8],
    x: int,
    y: int,
) -> int:
    """Lays a piece over the picture by its opacity and returns how many pixels it took; its margin may lie outside."""
    piece_HW4 = piece_HW4[max(0, -y) : owner_HW.shape[0] - y, max(0, -x) : owner_HW.shape[1] - x]
    x, y = max(0, x), max(0, y)
    height, width = piece_HW4.shape[:2]
    image_roi, owner_roi = image_HWC[y : y + height, x : x + width], owner_HW[y : y + height, x : x + width]
    alpha_HW = piece_HW4[:, :, 3]
    opacity_HW = alpha_HW.astype(np.float32) * np.float32(1 / 255)
    image_roi[:] = cv2.blendLinear(
        np.ascontiguousarray(piece_HW4[:, :, :3]), np.ascontiguousarray(image_roi), opacity_HW, 1 - opacity_HW
    )
    covered_HW = alpha_HW >= 128
    if not covered_HW.any():  # a thing of a few pixels may nowhere be seen by half; then where it is seen best
        covered_HW = alpha_HW == alpha_HW.max()
    owner_roi[covered_HW] = number
    return int(np.count_nonzero(covered_HW))
