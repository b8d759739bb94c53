"""Where the cells of features lie on the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """The cells that the features of an input lie on.

    The first cell begins at the input's upper left corner, and each is ``stride`` pixels high and wide. The centre of
    the cell in row i and column j lies (i + 0.5) * stride pixels below that corner and (j + 0.5) * stride pixels to its
    right, whatever the size of the input. Where the stride does not divide the height or the width, the last cells
    reach over the edge of the input, onto padding.

    Args:
        height: height of the input in pixels, without padding.
        width: width of the input in pixels, without padding.
        stride: pixels of the input between the centres of two neighbouring cells.
    """

    height: int
    width: int
    stride: int

    @property
    def cells(self) -> tuple[int, int]:
        """(H, W), rows and columns of cells."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def reach(self) -> tuple[float, float]:
        """How far down and to the right the cells reach: 1 to the edge of the input, more where they lie on padding."""
        rows, columns = self.cells
        return rows * self.stride / self.height, columns * self.stride / self.width

    def resize(self, maps_NCHW: Tensor, grid: Grid) -> Tensor:
        """Maps over this grid, interpolated linearly at the cell centres of another grid over the same picture.

        Args:
            maps_NCHW: of this grid's cells.
            grid: the cells that are wanted; its input shows the same picture at another size.

        Returns:
            (N, C, H, W) of the wanted cells.
        """
        if grid == self:
            return maps_NCHW
        if self.reach == grid.reach:
            return F.interpolate(maps_NCHW, size=grid.cells, mode="bilinear", align_corners=False)
        # Padding takes another share of these cells than of those: each wanted centre is looked up where it lies.
        kind = torch.promote_types(maps_NCHW.dtype, torch.float32)
        rows, columns = (
            tents(count, wanted / own * own_count, own_count, maps_NCHW.device).to(kind)
            for count, wanted, own, own_count in zip(grid.cells, grid.reach, self.reach, self.cells, strict=True)
        )
        return (rows @ maps_NCHW.to(kind) @ columns.T).to(maps_NCHW.dtype)


def tents(count: int, length: float, cells: int, device: torch.device) -> Tensor:
    """Weights of linear interpolation at equally spaced places of a row of cells; beyond it, its last cell counts.

    Args:
        count: number of places; each lies in the middle of an equal part of the length.
        length: of the parts together, in cells.
        cells: of the row.
        device: of the result.

    Returns:
        (count, cells) float64, exact for any grid in use; each row sums to 1.
    """
    centres_C = torch.arange(cells, device=device, dtype=torch.float64)
    places_N = (torch.arange(count, device=device, dtype=torch.float64) + 0.5) * (length / count) - 0.5
    places_N = places_N.clamp(min=0.0).minimum(centres_C[-1])
    return (1.0 - (places_N.unsqueeze(1) - centres_C).abs()).clamp(min=0.0)
