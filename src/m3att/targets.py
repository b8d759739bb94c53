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
        ranked: those that the ranking loss counts.
        cells: cells of known category, for the category loss; a cell that is known in part counts by that part.
    """

    expressions: Tensor
    outlined: Tensor
    boxed: Tensor
    attended: Tensor
    ranked: Tensor
    cells: Tensor


def mask_shares(masks_MHW: Tensor, size: tuple[int, int], stride: float) -> Tensor:
    """Ground truth at the size of the logits: the share of each cell that each referent covers.

    The first cell begins at the upper left corner of the input. A cell that reaches over the right or lower edge of the
    input finds there what lies at the edge.

    Departs: the paper does not say how. A share keeps thin and small objects, which a choice of 0 or 1 would lose.

    Args:
        masks_MHW: uint8 in [0, 255], one for each different referent, at the network's input size.
        size: (H, W) of the logits.
        stride: pixels of the input between the centres of two neighbouring cells.

    Returns:
        (M, H, W) float32 in [0, 1].

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
    return shares_M1HW.squeeze(1)


def mask_targets(masks_MHW: Tensor, mask_index_N: Tensor, size: tuple[int, int], stride: float) -> Tensor:
    """The `mask_shares` of the referent of each expression.

    Args:
        masks_MHW: see `mask_shares`.
        mask_index_N: for each expression the number of its mask.
        size: see `mask_shares`.
        stride: see `mask_shares`.

    Returns:
        (N, H, W) float32 in [0, 1].
    """
    return mask_shares(masks_MHW, size, stride).index_select(0, mask_index_N)


def rivals_of(objects_MHW: Tensor, image_index_N: Tensor, mask_index_N: Tensor) -> Tensor:
    """Which objects the ranking loss compares for each expression: (N, M) bool.

    They are the objects of its image that some expression names and that cover something, its own among them.

    Args:
        objects_MHW: result of `mask_shares`.
        image_index_N: image of each expression.
        mask_index_N: number of the mask of each expression.
    """
    image_M = torch.full((len(objects_MHW),), -1, dtype=image_index_N.dtype, device=image_index_N.device)
    image_M = image_M.index_copy(0, mask_index_N, image_index_N)
    return (image_index_N[:, None] == image_M) & covered(objects_MHW)


def ranked(rivals_NM: Tensor, mask_index_N: Tensor) -> Tensor:
    """Whether the ranking loss counts each expression: its own object and another one can be seen. (N,) bool.

    Args:
        rivals_NM: result of `rivals_of`.
        mask_index_N: number of the mask of each expression.
    """
    own_N = rivals_NM.gather(1, mask_index_N[:, None]).squeeze(1)
    return own_N & (rivals_NM.sum(dim=1) > 1)


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
