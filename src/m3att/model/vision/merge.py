"""Merges the maps of a backbone into one grid, by default that of the middle map, as MCN and VLT do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.upsampling import convolved


class Projection(nn.Sequential):
    """1x1 convolution with BN and ReLU; in evaluation mode BN is part of the convolution."""

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """(B, C_out, H, W) of (B, C_in, H, W)."""
        convolution, norm, activation = self
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        result: Tensor = convolved(maps_BCHW, convolution, norm)
        if norm.training:
            result = norm(result)
        result = activation(result)
        return result


def projection(channels_in: int, channels_out: int) -> Projection:
    """The parts of a Projection, with fresh weights."""
    return Projection(
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def fit_grid(features_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Cut off the rows and columns beyond a grid, or repeat the last ones where some are missing.

    Neighbours of an odd grid differ by a row: a stride of 2 rounds up in one backbone and down in another.

    Args:
        features_BCHW: of about that grid.
        height: rows wanted.
        width: columns wanted.

    Returns:
        (B, C, height, width).
    """
    below, right = height - features_BCHW.shape[2], width - features_BCHW.shape[3]
    if below > 0 or right > 0:
        features_BCHW = functional.pad(features_BCHW, (0, max(0, right), 0, max(0, below)), mode="replicate")
    return features_BCHW[:, :, :height, :width]


def choose_grid(strides: Sequence[int], wanted: int | None = None) -> int:
    """Number of the map whose grid the merged features take.

    Args:
        strides: of the maps, finest first.
        wanted: stride of the grid; None: the map before the coarsest one, or the only map.

    Raises:
        ValueError: where no map has that stride.
    """
    if wanted is None:
        return max(0, len(strides) - 2)
    if wanted not in strides:
        raise ValueError(f"no map has stride {wanted}; the backbone's maps have {', '.join(map(str, strides))}")
    return list(strides).index(wanted)


def numbered(name: str, count: int) -> list[str]:
    """Names of parts of one kind, the nearest to the merged grid first: `fine`, `fine_2`, `fine_3` ..."""
    return [name if number == 1 else f"{name}_{number}" for number in range(1, count + 1)]


class ScaleMerge(nn.Module):
    """Merges maps of several strides into one at the grid of one of them; it is always trained.

    The coarser maps come first, from the coarsest on: each is enlarged to the next finer grid and joined with that
    map. Then come the finer ones, from the finest on: each is averaged down to the next coarser grid.

    Paper: Sec. IV-A only names Darknet-53. MCN and VLT, on which the paper's model builds, merge the grids of side 13,
    26 and 52 into 26.
    Departs: VLT first multiplies the sentence into the coarsest map. Here no language is used, so an image is encoded
    once for all of its expressions.

    Args:
        channels: channels of the maps, finest first; each map's stride is twice the one before.
        out_channels: channels of the result.
        grid: number of the map whose grid the result has, as `choose_grid` gives it; 1 is the middle one of three.
    """

    def __init__(self, channels: Sequence[int], out_channels: int, grid: int = 1) -> None:
        super().__init__()
        if not 0 <= grid < len(channels):
            raise ValueError(f"no map {grid} of {len(channels)}")
        self.grid = grid
        # Nearest to the merged grid first.
        self.finer, self.coarser = numbered("fine", grid), numbered("coarse", len(channels) - grid - 1)
        for name, count in zip([*reversed(self.finer), "middle", *self.coarser], channels, strict=True):
            self.add_module(name, projection(count, out_channels))
        for name in (*self.coarser, *self.finer):
            self.add_module(f"join_{name}", projection(2 * out_channels, out_channels))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merge the maps of the same images.

        Args:
            maps: (B, channels[i], H_i, W_i), finest first, each about half as large as the one before.

        Returns:
            (B, out_channels, H, W), with the grid of map number `grid`.
        """
        names = [*reversed(self.finer), "middle", *self.coarser]
        projected = [self.get_submodule(name)(map_BCHW) for name, map_BCHW in zip(names, maps, strict=True)]
        # Cells stay where the strides put them: row i of one grid is row i // 2 of the next coarser one and rows 2i
        # and 2i + 1 of the next finer one, whatever the size of the image.
        merged_BCHW = projected[-1]
        for number in reversed(range(self.grid, len(maps) - 1)):
            map_BCHW = projected[number]
            above_BCHW = merged_BCHW.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            above_BCHW = fit_grid(above_BCHW, map_BCHW.shape[2], map_BCHW.shape[3])
            join = self.get_submodule(f"join_{names[number + 1]}")
            merged_BCHW = join(torch.cat([above_BCHW, map_BCHW], dim=1))
        if self.grid == 0:
            return merged_BCHW
        finer_BCHW = projected[0]
        for number in range(1, self.grid + 1):
            map_BCHW = merged_BCHW if number == self.grid else projected[number]
            below_BCHW = functional.avg_pool2d(finer_BCHW, 2, ceil_mode=True)
            below_BCHW = fit_grid(below_BCHW, map_BCHW.shape[2], map_BCHW.shape[3])
            join = self.get_submodule(f"join_{names[number - 1]}")
            finer_BCHW = join(torch.cat([below_BCHW, map_BCHW], dim=1))
        return finer_BCHW
