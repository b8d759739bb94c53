"""Multiplies all expressions of an image with its features at once, without a copy of the features for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grouping:
    """The image of each of N expressions, and the place of the expression among those of its image.

    Args:
        image_index_N: number of the image of each expression.
        slot_N: number of each expression among those of its image.
        images: B.
        slots: largest number of expressions of one image.
    """

    image_index_N: Tensor
    slot_N: Tensor
    images: int
    slots: int

    @classmethod
    def of(cls, image_index_N: Tensor, images: int) -> Grouping:
        """The grouping of expressions in any order; an image may have none."""
        if images == 1:
            return cls(image_index_N, torch.arange(len(image_index_N), device=image_index_N.device), 1, -1)
        counts_B = torch.bincount(image_index_N, minlength=images)
        order_N = image_index_N.argsort(stable=True)
        starts_B = counts_B.cumsum(0) - counts_B
        rank_N = torch.arange(len(order_N), device=order_N.device) - starts_B.index_select(0, image_index_N[order_N])
        slot_N = torch.empty_like(rank_N).scatter_(0, order_N, rank_N)
        return cls(image_index_N, slot_N, images, int(counts_B.max()))

    def pack(self, rows_NLC: Tensor) -> Tensor:
        """(N, L, C) to (B, slots * L, C); zero if an image has fewer expressions than another."""
        if self.images == 1:
            return rows_NLC.flatten(0, 1).unsqueeze(0)
        shape = (self.images, self.slots, *rows_NLC.shape[1:])
        packed = rows_NLC.new_zeros(shape).index_put((self.image_index_N, self.slot_N), rows_NLC)
        return packed.flatten(1, 2)

    def unpack(self, packed: Tensor, words: int) -> Tensor:
        """(B, slots * L, C) back to (N, L, C), with L = ``words``."""
        rows = packed.unflatten(1, (-1, words))
        if self.images == 1:
            return rows.squeeze(0)
        return rows.flatten(0, 1).index_select(0, self.image_index_N * self.slots + self.slot_N)
