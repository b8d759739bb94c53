"""Positional codes of words and grids."""

from __future__ import annotations

import pytest
import torch

from m3att.model.grid import Grid
from m3att.model.position import encode_grid, encode_positions

from .literal import position_code

CPU = torch.device("cpu")


@pytest.mark.parametrize("channels", [2, 8, 12])
def test_positions_are_sines_then_cosines(channels: int) -> None:
    code_LC = encode_positions(torch.arange(9), channels)
    assert code_LC.dtype == torch.float32
    expected = torch.tensor([position_code(position, channels) for position in range(9)])
    torch.testing.assert_close(code_LC, expected, atol=2e-6, rtol=0)


def test_words_of_different_place_have_different_codes_of_equal_length() -> None:
    code_LC = encode_positions(torch.arange(24), 16)
    torch.testing.assert_close(code_LC.norm(dim=1), torch.full((24,), 8.0).sqrt())
    assert torch.cdist(code_LC, code_LC).add(torch.eye(24)).min() > 0.1


def test_a_grid_has_its_rows_in_the_first_half_and_its_columns_in_the_second() -> None:
    code_PC = encode_grid(Grid(3, 5, 1), 8, Grid(3, 5, 1), CPU)
    expected = [position_code(row, 4) + position_code(column, 4) for row in range(3) for column in range(5)]
    torch.testing.assert_close(code_PC, torch.tensor(expected), atol=2e-6, rtol=0)


@pytest.mark.parametrize("trained", [(4, 4), (4, 6), (5, 3)])
@pytest.mark.parametrize("finer", [2, 3])
def test_the_same_place_of_the_picture_has_the_same_code_at_another_grid(trained: tuple[int, int], finer: int) -> None:
    height, width = trained
    grid = Grid(finer * height, finer * width, 1)
    code_HWC = encode_grid(grid, 16, Grid(*trained, 1), CPU).view(*grid.cells, 16)
    # A cell is known by its upper left corner, where convolutions of stride 2 have their centre.
    expected_HWC = encode_grid(Grid(*trained, 1), 16, Grid(*trained, 1), CPU).view(height, width, 16)
    torch.testing.assert_close(code_HWC[::finer, ::finer], expected_HWC, atol=1e-5, rtol=0)


def test_a_coarser_grid_is_stretched_over_the_trained_one() -> None:
    code_PC = encode_grid(Grid(2, 3, 1), 4, Grid(4, 4, 1), CPU)
    expected = [position_code(row, 2) + position_code(column, 2) for row in (0, 2) for column in (0, 4 / 3, 8 / 3)]
    torch.testing.assert_close(code_PC, torch.tensor(expected), atol=2e-6, rtol=0)
