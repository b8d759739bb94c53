"""The cells of a grid, and maps brought from one grid to another over the same picture."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from m3att.model.grid import Grid

SIDES = st.integers(8, 200)


@pytest.mark.parametrize(
    ("side", "stride", "cells"), [(480, 16, 30), (480, 14, 35), (100, 8, 13), (8, 8, 1), (9, 8, 2)]
)
def test_cells_cover_the_input(side: int, stride: int, cells: int) -> None:
    assert Grid(side, 3 * stride, stride).cells == (cells, 3)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 4, 8, 14]))
@example(100, 100, 128, 128, 8)
@example(100, 104, 104, 100, 8)  # as many cells, of which the last lie elsewhere on the picture
@example(128, 128, 100, 97, 8)
def test_the_same_place_of_the_picture_keeps_its_value(
    height: int, width: int, new_height: int, new_width: int, stride: int
) -> None:
    here, there = Grid(height, width, stride), Grid(new_height, new_width, stride)

    def centres(grid: Grid) -> list[torch.Tensor]:
        """Of each row and each column, in shares of the picture."""
        sides = zip(grid.cells, (grid.height, grid.width), strict=True)
        return [(torch.arange(count, dtype=torch.float64) + 0.5) * stride / side for count, side in sides]

    rows, columns = centres(here)
    maps_12HW = torch.stack([rows[:, None].expand(here.cells), columns[None].expand(here.cells)])[None]
    found_12HW = here.resize(maps_12HW, there)
    assert found_12HW.shape == (1, 2, *there.cells)
    for places, own, found_HW in (
        (centres(there)[0], rows, found_12HW[0, 0]),
        (centres(there)[1], columns, found_12HW[0, 1].T),
    ):
        # Beyond the outer cell centres their values go on.
        expected = places.clamp(own[0], own[-1])
        torch.testing.assert_close(found_HW, expected[:, None].expand_as(found_HW), rtol=0, atol=1e-6)


@pytest.mark.parametrize("stride", [8, 14, 16])
def test_where_the_stride_divides_both_sizes_it_is_the_library_s_own_to_the_bit(stride: int) -> None:
    for cells in range(1, 60):
        for wanted in (1, 7, 16, 26, 30):
            maps_NCHW = torch.randn(2, 3, cells, cells)
            here, there = (Grid(count * stride, count * stride, stride) for count in (cells, wanted))
            expected_NCHW = functional.interpolate(maps_NCHW, size=there.cells, mode="bilinear", align_corners=False)
            assert torch.equal(here.resize(maps_NCHW, there), expected_NCHW if cells != wanted else maps_NCHW)
