"""Outlines of masks along the edges of pixels, from which the mask can be filled again without a pixel's error."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import mask_box


class Polygon(NamedTuple):
    """One connected part of a mask. Pixels that touch only at a corner are not connected.

    Args:
        outer: corners x, y of its outline along the edges of pixels, (R, 2) int32; the last one is joined to the first.
        holes: outlines of its holes, each as ``outer``.
    """

    outer: NDArray[np.int32]
    holes: list[NDArray[np.int32]]


def trace(mask_HW: NDArray[np.bool_]) -> list[Polygon]:
    """The outlines of a mask: outer ones clockwise as one sees them, holes the other way round.

    An outline turns where an odd number of the four pixels around a point is covered, or two in a diagonal; there two
    outlines turn. Along each row of such corners, and along each column, every second gap is an edge.

    Args:
        mask_HW: bool, (H, W).

    Returns:
        The parts of the mask, from the top; none of an empty mask.
    """
    left, top, right, bottom = mask_box(mask_HW)
    mask_HW = np.ascontiguousarray(mask_HW[top:bottom, left:right])
    framed = np.pad(mask_HW, 1).view(np.int8)
    above_left, above_right, below_left, below_right = (
        framed[:-1, :-1],
        framed[:-1, 1:],
        framed[1:, :-1],
        framed[1:, 1:],
    )
    odd = (above_left ^ above_right ^ below_left ^ below_right) == 1
    falling = (above_left & below_right) > (above_right | below_left)
    rising = (above_right & below_left) > (above_left | below_right)
    y_R, x_R = np.nonzero(odd | falling | rising)
    double_R = ~odd[y_R, x_R]
    # Of two outlines that turn at one point, rank 0 has its edge to the left and rank 1 to the right. Upwards goes
    # rank 0 of a falling diagonal, and rank 1 of a rising one.
    rank_R = np.concatenate([np.zeros_like(y_R), np.ones_like(y_R[double_R])])
    y_R, x_R = np.concatenate([y_R, y_R[double_R]]), np.concatenate([x_R, x_R[double_R]])
    rows_R = np.lexsort((rank_R, x_R, y_R))
    y_R, x_R, rank_R = (
        y_R[rows_R],
        x_R[rows_R],
        rank_R[rows_R],
    )  # the corner at the other end of a level edge is now n ^ 1
    columns_R = np.lexsort((rank_R ^ rising[y_R, x_R], y_R, x_R))
    upright_R = np.empty_like(columns_R)  # the corner at the other end of an upright edge
    upright_R[columns_R[0::2]], upright_R[columns_R[1::2]] = columns_R[1::2], columns_R[0::2]
    parts_HW = cv2.connectedComponents(mask_HW.view(np.uint8), connectivity=4)[1]
    parts: dict[int, Polygon] = {}
    for ring in _rings(upright_R.tolist()):
        corners_R2 = np.stack([x_R[ring] + left, y_R[ring] + top], axis=1).astype(np.int32)
        x, y = int(x_R[ring[0]]), int(y_R[ring[0]])  # the upper left corner
        if mask_HW[y, x]:
            parts[int(parts_HW[y, x])] = Polygon(corners_R2, [])
        else:
            parts[int(parts_HW[y - 1, x])].holes.append(np.roll(corners_R2[::-1], 1, axis=0))
    return list(parts.values())


def _rings(upright: list[int]) -> list[list[int]]:
    """Numbers of the corners of each outline, each from its upper left corner to the right.

    Args:
        upright: the corner at the other end of each one's upright edge; at that of its level edge is n ^ 1.
    """
    rings: list[list[int]] = []
    seen = bytearray(len(upright))
    for start in range(len(upright)):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            seen[at] = seen[at ^ 1] = 1
            ring += [at, at ^ 1]
            at = upright[at ^ 1]
        rings.append(ring)
    return rings
