"""Skip connections of the mask decoder: what it reads of the backbone's finer maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.grid import Grid


@dataclass(frozen=True)
class SkipSource:
    """A map of the backbone that the mask decoder reads.

    Args:
        number: of the map, as the backbone returns it.
        channels: of the map.
        upsampling: number of the upsampling after which it is read, from 0; its result has the stride of the map.
    """

    number: int
    channels: int
    upsampling: int


class SkipConnection(nn.Module):
    """Adds to the enlarged maps of an expression what they say together with a finer map of the image.

    A 3x3 convolution reads both. Its half that reads the image knows no expression, so it runs once an image. The sum
    of the halves passes BN and ReLU, and a 1x1 convolution makes the addend of it. That convolution starts at zero:
    a trained network that gets such a connection gives the same masks at first.

    Paper: none. U-Net has such connections. Here each word's maps are refined, and F_enc stays as it is.

    Args:
        channels: of the enlarged maps.
        map_channels: of the image's map.
        width: channels between the convolutions.
        enlargement: rows of the enlarged maps for one row of F_enc's grid.
    """

    def __init__(self, channels: int, map_channels: int, width: int, enlargement: int = 2) -> None:
        super().__init__()
        self.enlargement = enlargement
        self.image = nn.Conv2d(map_channels, width, 3, padding=1, bias=False)
        self.maps = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.output.weight)
        assert self.output.bias is not None
        nn.init.zeros_(self.output.bias)

    def read(self, map_BCHW: Tensor, grid: Grid) -> Tensor:
        """What an image's map says, once an image.

        F_enc's grid is rounded up to whole cells, so the enlarged maps may have a few rows and columns more than the
        map. Its last ones are repeated there.

        Args:
            map_BCHW: the map.
            grid: of F_enc.

        Returns:
            (B, width, H, W), as large as the enlarged maps.
        """
        rows, columns = (cells * self.enlargement for cells in grid.cells)
        read_BCHW: Tensor = self.image(map_BCHW)
        if torch.onnx.is_in_onnx_export() or read_BCHW.shape[2:] != (rows, columns):
            # By a fixed number, because a trace for ONNX would take a computed one for fixed. The rest is cut off.
            more = self.enlargement - 1  # that can be missing at most
            read_BCHW = functional.pad(read_BCHW, (0, more, 0, more), mode="replicate")
        return read_BCHW[:, :, :rows, :columns]

    def forward(self, maps_NCHW: Tensor, read_BCHW: Tensor, image_index_N: Tensor) -> Tensor:
        """Refine maps.

        Args:
            maps_NCHW: enlarged maps of N expressions.
            read_BCHW: result of `read` of their images.
            image_index_N: number of the image of each expression.

        Returns:
            (N, C, H, W), as ``maps_NCHW``.
        """
        both_NCHW = self.maps(maps_NCHW) + read_BCHW.index_select(0, image_index_N)
        addend_NCHW: Tensor = self.output(functional.relu(self.norm(both_NCHW), inplace=True))
        return maps_NCHW + addend_NCHW


@dataclass(frozen=True)
class ImageSkips:
    """What the skip connections read of the images of a batch.

    Args:
        read: result of `SkipConnection.read`, one for each connection, (B, width, H, W).
        image_index_N: number of the image of each expression.
    """

    read: tuple[Tensor, ...]
    image_index_N: Tensor
