"""The connected region around the likeliest pixel of a mask."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from m3att.regions import mask_over, peak_region


def regions_of(mask_HW: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The connected regions of a mask, pixel by pixel; corners connect."""
    left = set(zip(*map(list, np.nonzero(mask_HW)), strict=True))
    regions = []
    while left:
        waiting, region = [left.pop()], set()
        while waiting:
            row, column = waiting.pop()
            region.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            waiting += near
        regions.append(region)
    return regions


@pytest.mark.parametrize("seed", range(20))
def test_the_region_around_the_peak_is_that_of_a_flood(seed: int) -> None:
    chance = np.random.default_rng(seed)
    score_HW = chance.random((chance.integers(1, 12), chance.integers(1, 12))).astype(np.float32)
    mask_HW = score_HW > 0.6
    found = peak_region(mask_HW, score_HW)
    peak = np.unravel_index(score_HW.argmax(), score_HW.shape)
    expected = next((region for region in regions_of(mask_HW) if tuple(map(int, peak)) in region), set())
    assert set(zip(*map(list, np.nonzero(found)), strict=True)) == expected
    assert (mask_over(score_HW, 0.6, "peak") == found).all()
    assert (mask_over(score_HW, 0.6, "all") == mask_HW).all()


def test_of_regions_with_the_same_peak_the_largest_is_taken() -> None:
    score_HW = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0.9, 0.9, 0.9, 0.9]], dtype=np.float32)
    assert peak_region(score_HW > 0.5, score_HW).tolist() == [[False, False, True, True], [False] * 4, [False] * 4]
    assert not peak_region(np.zeros((2, 3), dtype=bool), score_HW[:2, :3]).any()
