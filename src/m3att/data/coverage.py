"""Shrinks masks: the share of each larger pixel that a mask covers, as OpenCV's INTER_AREA computes it.

Only the part of the image that the mask covers is processed. It is usually small, so both ways take a fraction of the
time of OpenCV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import RunLengths, lengths_of


def cover_runs(masks: Sequence[RunLengths], out_MHW: NDArray[np.uint8]) -> None:
    """Write masks of one image in a smaller size without drawing them.

    Where a run begins in a column, the object covers all that lies below, and where it ends, no longer. Each such edge
    adds to the row that it falls into the part below it, and to the next row the rest: the running sum down the rows
    is then the coverage. In the same way each edge is shared between the two columns that its own may lie in. The
    edges of all masks are worked on together, each mask in a box of its own.

    Args:
        masks: M masks, (H, W) each.
        out_MHW: zeros, at most (M, H, W); receives coverage in [0, 255].
    """
    at = [np.cumsum(lengths) for lengths in lengths_of(masks)]
    held = [number for number, own in enumerate(at) if len(own) > 1]  # the others are empty
    if not held:
        return
    starts, ends = (
        np.concatenate([at[number][first : len(at[number]) - 1 + first : 2] for number in held]) for first in (0, 1)
    )
    owner = np.repeat(np.arange(len(held)), [len(at[number]) // 2 for number in held])
    whole_height, whole_width = masks[0].shape
    row_scale, column_scale = out_MHW.shape[1] / whole_height, out_MHW.shape[2] / whole_width
    first_column, first_row = np.divmod(starts, whole_height)
    last_column, last_row = np.divmod(ends - 1, whole_height)
    # A run that goes on in the next column begins there anew, at the top.
    more = last_column - first_column
    total = int(more.sum())
    next_column = np.repeat(first_column + 1 - (np.cumsum(more) - more), more) + np.arange(total)
    row = np.concatenate([first_row, np.zeros(total, dtype=np.int64), last_row + 1]) * row_scale
    column = np.concatenate([first_column, next_column, last_column]) * column_scale
    owner = np.concatenate([owner, np.repeat(owner, more), owner])
    sign = np.ones(len(row))
    sign[len(starts) + total :] = -1
    in_row, in_column = row.astype(np.int64), column.astype(np.int64)
    here = sign * (in_row + 1 - row)
    beyond = np.maximum(column + column_scale - in_column - 1, 0)
    inside = column_scale - beyond
    top, left = (np.full(len(held), np.iinfo(np.int64).max) for _ in range(2))
    bottom, right = (np.zeros(len(held), dtype=np.int64) for _ in range(2))
    for bound, least, most in ((in_row, top, bottom), (in_column, left, right)):
        np.minimum.at(least, owner, bound)
        np.maximum.at(most, owner, bound)
    # What goes on in the next column fills this one to its end.
    bottom[owner[: len(starts)][more > 0]] = out_MHW.shape[1]
    tall, wide = bottom - top + 2, right - left + 2
    stops = np.cumsum(tall * wide)
    below = wide[owner]
    place = (stops - tall * wide - left)[owner] + (in_row - top[owner]) * below + in_column
    places = np.concatenate([place, place + 1, place + below, place + below + 1])
    shares = np.concatenate([here * inside, here * beyond, (sign - here) * inside, (sign - here) * beyond])
    covered = np.bincount(places, shares, int(stops[-1]))
    for number, stop, x, y, high, broad in zip(
        held, *(one.tolist() for one in (stops, left, top, tall, wide)), strict=True
    ):
        covered_HW = covered[stop - high * broad : stop].reshape(high, broad)
        np.cumsum(covered_HW, axis=0, out=covered_HW)
        part_HW = out_MHW[number, y : y + high, x : x + broad]
        part_HW[:] = covered_HW[: part_HW.shape[0], : part_HW.shape[1]] * 255 + 0.5


def cover_box(mask_HW: NDArray[np.bool_], box: Sequence[int], out_HW: NDArray[np.uint8]) -> None:
    """Write a mask in a smaller size by running sums over the box around it.

    Args:
        mask_HW: (H, W).
        box: left, top, width and height of what of it is not empty.
        out_HW: zeros, at most (H, W); receives coverage in [0, 255].
    """
    left, top, box_width, box_height = box
    if box_width == 0:
        return
    height, width = out_HW.shape
    sums_HW = cv2.integral(mask_HW[top : top + box_height, left : left + box_width].view(np.uint8))
    first_row, at_rows_HW = sums_at_cuts(sums_HW, top, mask_HW.shape[0] / height, height)
    first_column, at_cuts_WH = sums_at_cuts(at_rows_HW.T, left, mask_HW.shape[1] / width, width)
    covered_HW = np.diff(np.diff(at_cuts_WH, axis=0), axis=1).T
    part_HW = np.rint(covered_HW * (255 * height * width / mask_HW.size))
    out_HW[first_row : first_row + part_HW.shape[0], first_column : first_column + part_HW.shape[1]] = part_HW


def sums_at_cuts(sums_HW: NDArray[Any], start: int, step: float, after: int) -> tuple[int, NDArray[np.float64]]:
    """Running sums over rows, read where the larger pixels of the smaller picture begin and end.

    Between two rows a running sum is a line, so what lies on a cut is shared between both sides.

    Args:
        sums_HW: sums over all rows above, from zero on.
        start: number of the first row in the whole picture; above it and below the last there is nothing.
        step: rows of the whole picture to one of the smaller.
        after: rows of the smaller one.

    Returns:
        The first row of the smaller one that is not empty, and the sums at its upper edge and at all edges below it:
        (rows + 1, W).
    """
    rows = len(sums_HW) - 1
    first, last = int(start / step), min(after, math.ceil((start + rows) / step))
    cuts = np.clip(np.arange(first, last + 1) * step - start, 0, rows)
    whole = np.minimum(cuts.astype(np.int64), rows - 1)
    share = (cuts - whole)[:, None]
    return first, sums_HW[whole] * (1 - share) + sums_HW[whole + 1] * share
