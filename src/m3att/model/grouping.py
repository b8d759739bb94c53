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
        counts: expressions of each image, where they stand image by image and are only evaluated on a CPU; otherwise
            empty.
    """

    image_index_N: Tensor
    slot_N: Tensor
    images: int
    slots: int
    counts: tuple[int, ...] = ()

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
        counts: tuple[int, ...] = ()
        if image_index_N.device.type == "cpu" and not torch.is_grad_enabled():
            ordered = bool((image_index_N[1:] >= image_index_N[:-1]).all())
            counts = tuple(counts_B.tolist()) if ordered else ()
        return cls(image_index_N, slot_N, images, int(counts_B.max()), counts)

    def product(self, rows_NLKC: Tensor, right_BKCP: Tensor, words: int) -> Tensor:
        """The product of the rows of each expression and the matrix of its image.

        In evaluation on a CPU, images are multiplied one after the other. Otherwise all are at once, which takes
        padding: images have different numbers of expressions.

        Args:
            rows_NLKC: rows of the expressions, in K heads.
            right_BKCP: matrices of the images.
            words: L, where a trace must not take it for fixed.

        Returns:
            (N, L, K, P).
        """
        if not self.counts:
            packed_BKQC = self.pack(rows_NLKC).transpose(1, 2)  # Q = slots * L
            return self.unpack((packed_BKQC @ right_BKCP).transpose(1, 2), words)
        parts = [
            rows_nLKC.flatten(0, 1).transpose(0, 1) @ right_KCP
            for rows_nLKC, right_KCP in zip(rows_NLKC.split(self.counts), right_BKCP, strict=True)
        ]
        return torch.cat(parts, dim=1).transpose(0, 1).unflatten(0, (-1, words))

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
