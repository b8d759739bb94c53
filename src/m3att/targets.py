"""What the losses compare with: the true masks at the size of the logits, and how much each loss counts."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Counts(NamedTuple):
    """How many expressions or cells each loss of a batch counts, each a scalar.

    Args:
        expressions: all of them, for the reconstruction loss.
        outlined: those whose referent has an outline, for the mask and Dice losses.
        boxed: those whose referent has only a box that covers something, for the box loss.
        attended: those whose referent covers something of the grid, for the attention loss.
        cells: cells of known category, for the category loss; a cell that is known in part counts by that part.
    """

    expressions: Tensor
    outlined: Tensor
    boxed: Tensor
    attended: Tensor
    cells: Tensor


def mask_targets(masks_MHW: Tensor, mask_index_N: Tensor, size: tuple[int, int], stride: float) -> Tensor:
    """Ground truth at the size of the logits: the share of each cell that the referent covers.

    The first cell begins at the upper left corner of the input. A cell that reaches over the right or lower edge of the
    input finds there what lies at the edge.

    Departs: the paper does not say how. A share keeps thin and small objects, which a choice of 0 or 1 would lose.

    Args:
        masks_MHW: uint8 in [0, 255], one for each different referent, at the network's input size.
        mask_index_N: for each expression the number of its mask.
        size: (H, W) of the logits.
        stride: pixels of the input between the centres of two neighbouring cells.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: where the cells do not cover the input.
    """
    pixels_M1HW = masks_MHW.unsqueeze(1).float() / 255
    height, width = masks_MHW.shape[1:]
    covered_height, covered_width = (round(cells * stride) for cells in size)
    if covered_height < height or covered_width < width:
        raise ValueError(f"{size[0]} x {size[1]} cells of {stride} pixels do not cover {height} x {width} pixels")
    if (covered_height, covered_width) != (height, width):
        beyond = (0, covered_width - width, 0, covered_height - height)
        pixels_M1HW = F.pad(pixels_M1HW, beyond, mode="replicate")
    if stride % 1 == 0 or 1 / stride % 1 == 0:
        shares_M1HW = F.adaptive_avg_pool2d(pixels_M1HW, size)
    else:
        down, across = (cell_weights(cells, stride, masks_MHW.device) for cells in size)
        shares_M1HW = down @ pixels_M1HW @ across.T
    return shares_M1HW.squeeze(1).index_select(0, mask_index_N)


def cell_weights(cells: int, stride: float, device: torch.device) -> Tensor:
    """The share of each cell that each pixel makes up, along one axis: (cells, cells * stride).

    Args:
        cells: number of cells.
        stride: pixels per cell; a cell may begin within a pixel.
        device: where the result lies.
    """
    edges = torch.arange(cells + 1, device=device, dtype=torch.float32) * stride
    pixels = torch.arange(round(cells * stride), device=device)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return overlap.clamp(min=0) / stride


def covered(targets_NHW: Tensor) -> Tensor:
    """Whether each target covers anything at all: (N,) bool."""
    return targets_NHW.flatten(1).amax(dim=1) > 0


def known_cells(categories_BHW: Tensor, classes: int, stride: int) -> Tensor:
    """How many cells have a known category: the sum of the known part of each cell, a scalar.

    Args:
        categories_BHW: see `category_loss`.
        classes: of the category head.
        stride: see `category_loss`.
    """
    known_BHW = (categories_BHW < classes).float()
    return F.avg_pool2d(known_BHW, stride, ceil_mode=True, count_include_pad=False).sum()
