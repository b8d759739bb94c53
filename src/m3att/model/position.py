"""Sine and cosine positional encodings of words and of image grids."""

from __future__ import annotations

import torch
from torch import Tensor

from m3att.model.grid import Grid


def encode_positions(places_L: Tensor, channels: int, *, span: float = 1.0) -> Tensor:
    """Positional code of positions: sines in the first half of the channels, then cosines.

    Args:
        places_L: numbers of the positions, 0 .. L - 1.
        channels: even number of channels C.
        span: distance between neighbours. A grid other than the trained one passes trained / count, so that the same
            place in the picture keeps the same code.

    Returns:
        (L, C) float32.
    """
    half, device = channels // 2, places_L.device
    frequency = torch.exp(torch.arange(half, device=device) * (-torch.log(torch.tensor(10000.0)) / half).item())
    angle = (places_L * span).unsqueeze(1) * frequency  # (L, C / 2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def encode_grid(grid: Grid, channels: int, trained: Grid, device: torch.device) -> Tensor:
    """Two-dimensional code of a grid: rows in the first half of the channels, columns in the second.

    A cell has the code of its upper left corner; convolutions of stride 2 are centred near it. At another grid than the
    trained one, codes of cell centres would differ by a fraction of a cell, and scores do not (docs/lab-notes.md).

    Args:
        grid: of H rows and W columns.
        channels: C, a multiple of 4.
        trained: grid that the network was trained at; coordinates are stretched to it.
        device: device of the result.

    Returns:
        (H * W, C) float32.
    """
    height, width = grid.cells
    rows_H, columns_W = torch.arange(height, device=device), torch.arange(width, device=device)
    rows_HC = encode_positions(rows_H, channels // 2, span=trained.height / grid.height)
    columns_WC = encode_positions(columns_W, channels // 2, span=trained.width / grid.width)
    grid_HWC = torch.cat(
        [rows_HC[:, None].expand(-1, width, -1), columns_WC[None].expand(height, -1, -1)], dim=2
    )  # (H, W, C)
    return grid_HWC.flatten(0, 1)
