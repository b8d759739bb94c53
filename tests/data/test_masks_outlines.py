"""Outlines of masks: filled again they give the mask, whatever its parts and holes."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from m3att.data.masks import Polygon, trace

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=7))


def fill(polygons: list[Polygon], height: int, width: int) -> NDArray[np.bool_]:
    """Every pixel whose centre has an odd number of upright edges to its left."""
    filled = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        for ring in (polygon.outer, *polygon.holes):
            for (x, y), (next_x, next_y) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
                assert (x == next_x) != (y == next_y)  # along one axis, and no edge without a length
                if x == next_x:
                    filled[min(y, next_y) : max(y, next_y), x:] ^= True
    return filled


def area(ring: NDArray[np.int32]) -> float:
    """Twice the signed area: positive where the ring goes clockwise as one sees it, y downwards."""
    x, y = ring.T.astype(np.int64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


@settings(deadline=None, max_examples=100)
@given(MASKS)
def test_filled_outlines_are_the_mask(mask: NDArray[np.bool_]) -> None:
    polygons = trace(mask)
    assert np.array_equal(fill(polygons, *mask.shape), mask)
    # Parts that touch at a corner only are apart, and each part keeps its own holes.
    count, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    assert len(polygons) == count - 1
    for polygon in polygons:
        alone = fill([polygon], *mask.shape)
        assert len(set(parts[alone].tolist())) == 1
        assert area(polygon.outer) > 0 and all(area(hole) < 0 for hole in polygon.holes)


def test_a_ring_has_one_hole_and_eight_corners() -> None:
    mask = np.zeros((5, 6), np.bool_)
    mask[1:4, 1:5] = True
    mask[2, 2:4] = False
    (polygon,) = trace(mask)
    assert polygon.outer.tolist() == [[1, 1], [5, 1], [5, 4], [1, 4]]
    assert [hole.tolist() for hole in polygon.holes] == [[[2, 2], [2, 3], [4, 3], [4, 2]]]


@given(st.integers(0, 3), st.integers(0, 3))
def test_an_empty_mask_has_no_outline(height: int, width: int) -> None:
    assert trace(np.zeros((height, width), np.bool_)) == []
