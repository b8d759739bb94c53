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
            (torch.arange(count, device=maps_NCHW.device, dtype=kind) + 0.5) * (2 / count) * (wanted / own) - 1
            for count, wanted, own in zip(grid.cells, grid.reach, self.reach, strict=True)
        )
        places_HW2 = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=2)
        places_NHW2 = places_HW2.expand(len(maps_NCHW), -1, -1, -1)
        found_NCHW = F.grid_sample(maps_NCHW.to(kind), places_NHW2, padding_mode="border", align_corners=False)
        return found_NCHW.to(maps_NCHW.dtype)
