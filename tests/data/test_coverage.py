"""A shrunken mask is what OpenCV's INTER_AREA makes of it, whichever way it is shrunk."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.data.annotation import read_segmentation
from m3att.data.coverage import cover_box, cover_runs
from m3att.data.masks import encode_rle

SIDES = st.integers(1, 700)
BOXES = st.none() | st.tuples(*[st.integers(0, 400)] * 4)


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, BOXES, st.booleans())
@example(1, 1, 1, 1, (0, 0, 1, 1), False)
@example(40, 30, 20, 15, (0, 0, 40, 30), False)
@example(700, 3, 33, 2, (0, 0, 700, 3), True)
@example(4, 2, 3, 1, (1, 1, 3, 1), False)  # the outside of it runs on from one column into the next
def test_both_ways_give_what_inter_area_gives(
    height: int, width: int, one: int, other: int, box: tuple[int, int, int, int] | None, ragged: bool
) -> None:
    mask_HW = np.zeros((height, width), dtype=np.bool_)
    if box is not None:
        mask_HW[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = True
    if ragged:
        mask_HW &= np.random.default_rng(one).random((height, width)) < 0.6
    smaller = min(one, height), min(other, width)
    by_box_HW = np.zeros(smaller, dtype=np.uint8)
    by_runs_MHW = np.zeros((3, *smaller), dtype=np.uint8)
    cover_box(mask_HW, cv2.boundingRect(mask_HW.view(np.uint8)), by_box_HW)
    # Beside others, among them an empty one, since all masks of an image are worked on together.
    masks = [read_segmentation(encode_rle(one), height, width) for one in (mask_HW, mask_HW & False, ~mask_HW)]
    cover_runs(masks, by_runs_MHW)
    expected_HW = cv2.resize(mask_HW.astype(np.uint8) * 255, smaller[::-1], interpolation=cv2.INTER_AREA)
    assert furthest(by_box_HW, expected_HW.reshape(smaller)) <= 1
    assert furthest(by_runs_MHW[0], expected_HW.reshape(smaller)) <= 1
    assert not by_runs_MHW[1].any()
    assert furthest(by_runs_MHW[2], 255 - expected_HW.reshape(smaller)) <= 1


@pytest.mark.parametrize(
    "counts",
    [
        [6],  # nothing
        [0, 6],  # everything, one run through all columns
        [2, 2, 2],  # up to the foot of one column and on from the top of the next
        [0, 2, 0, 1, 3],  # two runs with nothing between them
        [1, 0, 5],  # a run of no pixel
        [3, 0, 3],  # and one between two columns
        [0, 0, 1, 4, 1],
    ],
)
def test_runs_by_hand(counts: list[int]) -> None:
    mask = read_segmentation({"size": [3, 2], "counts": counts}, 3, 2)
    out_1HW = np.zeros((1, 1, 2), dtype=np.uint8)
    cover_runs([mask], out_1HW)
    shares = mask.draw().mean(axis=0)
    assert furthest(out_1HW[0, 0], np.rint(shares * 255)) == 0


def test_of_no_mask_nothing_is_written() -> None:
    cover_runs(
        [read_segmentation({"size": [3, 2], "counts": [6]}, 3, 2)], out_1HW := np.zeros((1, 1, 1), dtype=np.uint8)
    )
    assert not out_1HW.any()


def furthest(one: NDArray[np.generic], other: NDArray[np.generic]) -> int:
    """The largest difference of two pictures."""
    return int(np.abs(one.astype(int) - other.astype(int)).max(initial=0))
