"""Merges a backbone's three last scales into one grid at the middle one's stride, as the paper's lineage does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def projection(channels_in: int, channels_out: int) -> nn.Sequential:
    """1x1 convolution with BN and ReLU."""
    return nn.Sequential(
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


class ScaleMerge(nn.Module):
    """Strides 8, 16 and 32 in, one map at stride 16 out; it is always trained, whatever the backbone's weights are.

    Paper: Sec. IV-A says of Darknet-53 no more than its name; MCN and VLT, which the paper's model stands on, merge
    the grids of side 13, 26 and 52 into 26.
    Departs: VLT multiplies the sentence into the coarsest scale first; here no language comes in, so that an image is
    encoded once for all of its expressions.

    Args:
        channels: channels of the three scales, finest first.
        out_channels: channels of the result.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        if len(channels) != 3:
            raise ValueError(f"{len(channels)} scales: it merges three, those of strides 8, 16 and 32")
        fine, middle, coarse = channels
        self.fine, self.middle, self.coarse = (projection(scale, out_channels) for scale in (fine, middle, coarse))
        self.join_coarse = projection(2 * out_channels, out_channels)
        self.join_fine = projection(2 * out_channels, out_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Merge three maps of the same images.

        Args:
            features: (B, channels[i], H_i, W_i), finest first, each about half as large as the one before.

        Returns:
            (B, out_channels, H, W), with the grid of the middle map.
        """
        fine_BCHW, middle_BCHW, coarse_BCHW = features
        grid = (middle_BCHW.shape[2], middle_BCHW.shape[3])
        # Cells stay where the strides put them: row i of the middle grid is row i // 2 of the coarse one and rows 2i
        # and 2i + 1 of the fine one, whatever the size of the image.
        above_BCHW = self.coarse(coarse_BCHW).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        merged_BCHW = self.join_coarse(torch.cat([fit_grid(above_BCHW, *grid), self.middle(middle_BCHW)], dim=1))
        below_BCHW = functional.avg_pool2d(self.fine(fine_BCHW), 2, ceil_mode=True)
        return self.join_fine(torch.cat([fit_grid(below_BCHW, *grid), merged_BCHW], dim=1))
