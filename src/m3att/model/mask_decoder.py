"""The mask decoder (Fig. 6) and its two variants of Table III."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.norm import Projection, project
from m3att.model.skip import ImageSkips, SkipConnection, SkipSource
from m3att.model.upsampling import UpsamplingStack

MaskDecoderKind = Literal["dynamic", "decoder_only", "concatenate"]


class MaskDecoder(nn.Module):
    """Turns the multi-modal vector of each word into a kernel over F_enc, and the resulting maps into the mask.

    Paper: Fig. 6, Sec. III-D; `decoder_only` and `concatenate` are rows 1 and 2 of Table III.
    Departs: padding gives maps of zeros; maps are scaled by 1/sqrt(C); `maps_per_word`, `kernel` 3 and `narrowing` are
        ours, and off in the paper's presets.

    Args:
        channels: C.
        word_limit: most words of an expression. It decides how many maps the first convolution reads.
        grid: grid at the trained input size. Only `decoder_only` depends on it.
        kind: `dynamic`, `decoder_only` or `concatenate`.
        width: channels of the stacked convolutions.
        upsamplings: 2x upsamplings between them.
        kernel: their kernel size, 1 or 3.
        maps_per_word: maps that the vector of one word makes.
        narrowing: see UpsamplingStack.
        heads: heads of the self-attention over F_dec.
        unit_convolutions: see UpsamplingStack.
        figure_6: Fig. 6 to the letter. The self-attention has no residual and no norm, its output is the kernels
            without a linear layer or a scale, and they are applied to F_enc itself. It makes one map of each word.
        norm_everywhere: BN and ReLU after the linear layer of the kernels.
        skips: maps of the backbone that are read after upsamplings. They are ours.
        skip_width: channels inside such a skip connection.
        by_position: F_dec has a vector for each position of the grid, and none for words. They are the kernels, or
            the maps of `decoder_only`, or what `concatenate` takes in place of the sum of the words.
    """

    def __init__(
        self,
        channels: int,
        word_limit: int,
        grid: Grid,
        kind: MaskDecoderKind = "dynamic",
        width: int = 512,
        upsamplings: int = 3,
        kernel: int = 1,
        maps_per_word: int = 1,
        narrowing: int = 1,
        heads: int = 8,
        by_position: bool = False,
        unit_convolutions: int = 1,
        figure_6: bool = False,
        norm_everywhere: bool = False,
        skips: Sequence[SkipSource] = (),
        skip_width: int = 8,
    ) -> None:
        super().__init__()
        self.by_position, self.figure_6 = by_position, figure_6 and kind == "dynamic"
        maps_per_word = 1 if self.figure_6 else maps_per_word
        self.channels, self.word_limit, self.grid, self.kind = channels, word_limit, grid, kind
        self.maps_per_word, self.upsamplings = maps_per_word, upsamplings
        self.self_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        if not self.figure_6:
            self.norm = nn.LayerNorm(channels)
        if kind == "dynamic" and not self.figure_6:
            self.kernels = (Projection if norm_everywhere else nn.Linear)(channels, maps_per_word * channels)
            self.vision = Projection(channels, channels)
        elif kind == "decoder_only" and not by_position:
            self.maps = nn.Linear(channels, grid.cells[0] * grid.cells[1])
        positions = grid.cells[0] * grid.cells[1]
        self.maps_in = {
            "dynamic": (positions if by_position else word_limit) * maps_per_word,
            "decoder_only": channels if by_position else word_limit,
            "concatenate": 2 * channels,
        }[kind]
        self.stack = UpsamplingStack(self.maps_in, width, upsamplings, kernel, narrowing, unit_convolutions)
        self.sources = tuple(skips)
        self.skips = nn.ModuleList(
            SkipConnection(self.stack.enlarged[skip.upsampling], skip.channels, skip_width, 2 ** (skip.upsampling + 1))
            for skip in skips
        )

    def read_skips(self, maps: Sequence[Tensor], grid: Grid) -> tuple[Tensor, ...]:
        """What the skip connections read of images, without any expression.

        Args:
            maps: of the backbone, (B, C_i, H_i, W_i) each.
            grid: of F_enc.

        Returns:
            (B, skip_width, H, W) for each connection, as large as the maps that it refines.
        """
        read: list[Tensor] = []
        for skip, source in zip(self.skips, self.sources, strict=True):
            assert isinstance(skip, SkipConnection)
            read.append(skip.read(maps[source.number], grid))
        return tuple(read)

    def refined(self, upsampling: int, maps_NCHW: Tensor, images: ImageSkips) -> Tensor:
        """Maps after an upsampling, with what its skip connections add.

        Args:
            upsampling: its number.
            maps_NCHW: enlarged maps.
            images: result of `read_skips`.

        Returns:
            (N, C, H, W), as ``maps_NCHW``.
        """
        for skip, source, read_BCHW in zip(self.skips, self.sources, images.read, strict=True):
            if source.upsampling == upsampling:
                maps_NCHW = skip(maps_NCHW, read_BCHW, images.image_index_N)
        return maps_NCHW

    def word_maps(
        self, decoded_NLC: Tensor, word_mask_NL: Tensor, vis_BPC: Tensor, grouping: Grouping, grid: Grid
    ) -> Tensor:
        """The maps that the convolutions read.

        Args:
            decoded_NLC: F_dec after the self-attention.
            word_mask_NL: True = a row of it that counts: a real word, or any position.
            vis_BPC: F_enc.
            grouping: which image each expression speaks of.
            grid: grid of ``vis_BPC``, with P cells.

        Returns:
            (N, maps, H, W). For `dynamic`: the products of the kernels of each word and F_enc, zero for padding. For
            `decoder_only`: maps made from the words only. For `concatenate`: F_enc and the sum of the word vectors.
        """
        if self.kind == "concatenate":
            vis_NPC = vis_BPC.index_select(0, grouping.image_index_N)
            summed_NPC = decoded_NLC
            if not self.by_position:
                summed_NPC = (decoded_NLC * word_mask_NL.unsqueeze(2)).sum(dim=1, keepdim=True).expand_as(vis_NPC)
            both_NPC = torch.cat([vis_NPC + summed_NPC, summed_NPC], dim=2)
            return both_NPC.transpose(1, 2).unflatten(2, grid.cells)
        if self.by_position:
            maps_NCHW = decoded_NLC.transpose(1, 2).unflatten(2, grid.cells)
            if self.kind == "decoder_only":
                return maps_NCHW
            # As many kernels as there are positions at the trained input size.
            decoded_NLC = grid.resize(maps_NCHW, self.grid).flatten(2).transpose(1, 2)
            word_mask_NL = torch.ones_like(decoded_NLC[:, :, 0], dtype=torch.bool)
        # Of the mask, because a trace for ONNX takes the lengths of computed maps for fixed.
        maps = word_mask_NL.shape[1] * (self.maps_per_word if self.kind == "dynamic" else 1)
        if self.kind == "dynamic":
            kernels_NLC, values_BPC = decoded_NLC, vis_BPC
            if not self.figure_6:
                kernels_NLC = project(self.kernels, decoded_NLC, word_mask_NL) / math.sqrt(self.channels)
                values_BPC = self.vision(vis_BPC)
            kernels_NLGC = kernels_NLC.unflatten(2, (self.maps_per_word, self.channels))
            kernels_NFC = (kernels_NLGC * word_mask_NL[:, :, None, None]).flatten(1, 2)
            maps_NF1P = grouping.product(kernels_NFC.unsqueeze(2), values_BPC.transpose(1, 2).unsqueeze(1), maps)
            maps_NFHW = maps_NF1P.squeeze(2).unflatten(2, grid.cells)
        else:
            maps_NFHW = (self.maps(decoded_NLC) * word_mask_NL.unsqueeze(2)).unflatten(2, self.grid.cells)
            maps_NFHW = self.grid.resize(maps_NFHW, grid)
        missing = self.maps_in - maps
        # Padding by nothing would copy the maps.
        return functional.pad(maps_NFHW, (0, 0, 0, 0, 0, missing)) if missing else maps_NFHW

    def forward(
        self,
        decoded_NLC: Tensor,
        word_mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        images: ImageSkips | None = None,
    ) -> Tensor:
        """Masks of N expressions.

        Args:
            decoded_NLC: F_dec.
            word_mask_NL: True = a row of F_dec that counts: a real word, or any position.
            vis_BPC: F_enc.
            grouping: the image of each expression.
            grid: grid of ``vis_BPC``, with P cells.
            images: what the skip connections read; None for a decoder without them.

        Returns:
            mask_logits (N, H * 2^upsamplings, W * 2^upsamplings): each cell of the grid is divided into equal parts.
        """
        attended_NLC, _ = self.self_attention(
            decoded_NLC, decoded_NLC, decoded_NLC, key_padding_mask=~word_mask_NL, need_weights=False
        )
        decoded_NLC = attended_NLC if self.figure_6 else self.norm(decoded_NLC + attended_NLC)
        maps_NFHW = self.word_maps(decoded_NLC, word_mask_NL, vis_BPC, grouping, grid)
        refine = None if images is None else partial(self.refined, images=images)
        mask_logits_N1HW: Tensor = self.stack(maps_NFHW.contiguous(memory_format=torch.channels_last), refine)
        return mask_logits_N1HW.squeeze(1)
