"""Which box an entry states, and which pixels it covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.data.boxes import BOX_FIELDS, CORNER_FIELDS, as_mask, box_in, fill_box, stated_box
from m3att.data.fields import stated_mask, why_no_mask
from m3att.errors import DataError


@pytest.mark.parametrize("name", BOX_FIELDS)
@pytest.mark.parametrize("box", [[1, 2, 3.5, 4], (1, 2, 3.5, 4), np.array([1, 2, 3.5, 4])])
def test_boxes_under_every_name(name: str, box: Any) -> None:
    assert stated_box({name: box}) == (1, 2, 3.5, 4)


@pytest.mark.parametrize("name", CORNER_FIELDS)
def test_corners_say_so_by_their_name(name: str) -> None:
    assert stated_box({name: [1, 2, 4.5, 6]}) == (1, 2, 3.5, 4)


@pytest.mark.parametrize(
    "box",
    ["?", [], [1, 2, 3], [1, 2, 0, 4], [1, 2, 3, -4], [1, 2, None, 4], [1, 2, 3, float("nan")], [1, 2, True, 4],
     [1, 2, 3, 10**400], {"x": 1}, 7],
)  # fmt: skip
def test_what_is_no_box(box: Any) -> None:
    assert stated_box({"bbox": box}) is None
    assert "is no box in pixels" in why_no_mask({"bbox": box})


def test_an_empty_list_beside_a_box_is_no_mask() -> None:
    assert stated_mask({"segmentation": [], "bbox": [1, 2, 3, 4]}) is None
    assert stated_mask({"segmentation": [], "bbox": [1, 2, 3]}) == []
    assert stated_mask({"segmentation": [[1]], "bbox": [1, 2, 3, 4]}) == [[1]]  # a broken mask stays one


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(-1, 39),
    st.floats(-1, 39),
    st.floats(1.01, 41),
    st.floats(1.01, 41),
)
def test_the_pixels_of_a_box(height: int, width: int, x: float, y: float, across: float, down: float) -> None:
    if x + across > width + 2 or y + down > height + 2:
        with pytest.raises(DataError, match="leaves the image"):
            fill_box((x, y, across, down), height, width)
        return
    drawn_HW = fill_box((x, y, across, down), height, width).draw()
    assert drawn_HW.shape == (height, width)
    rows, columns = np.flatnonzero(drawn_HW.any(axis=1)), np.flatnonzero(drawn_HW.any(axis=0))
    assert drawn_HW.sum() == len(rows) * len(columns) > 0  # a filled rectangle
    inside = (max(x, 0), max(y, 0), min(x + across, width), min(y + down, height))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    for edge, pixel, side in zip(inside, found, (width, height, width, height), strict=True):
        assert abs(edge - pixel) <= 0.5 + 1e-9 or pixel in (side - 1, 1, side)  # a sliver still gets one pixel


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.6), (30, 4, 30, 4), (-9, 0, 12, 4), (5, 20, 4, 8)])
def test_numbers_that_mean_something_else_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(DataError, match="pixel"):
        fill_box(box, 24, 32)


def test_a_box_in_the_place_of_a_mask() -> None:
    assert box_in(as_mask((1, 2, 3, 4))) == (1, 2, 3, 4)
    assert box_in({"size": [1, 2], "counts": []}) is None and box_in([[1, 2]]) is None
