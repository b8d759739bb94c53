"""The mask decoder (Fig. 6) and its two variants of Table III."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.norm import Projection

MaskDecoderKind = Literal["dynamic", "decoder_only", "concatenate"]


class UpsamplingStack(nn.Sequential):
    """Convolutions with BN, ReLU and 2x upsampling, and a last convolution that gives the logits (Fig. 6).

    A 1x1 convolution and the upsampling before it may change places: one mixes channels, the other neighbouring cells,
    and the weights of a bilinear sum add up to 1, so that a bias stays what it is. The convolution then runs on a
    quarter of the cells. BN's statistics stay those of the enlarged map.

    Args:
        channels_in: number of input maps.
        channels: width of the first convolution.
        upsamplings: number of 2x upsamplings; there is one convolution more.
        kernel: kernel size: 1 as in Fig. 6, or 3.
        narrowing: factor by which the width falls after each upsampling; in the paper it stays the same (1).
    """

    def __init__(self, channels_in: int, channels: int, upsamplings: int, kernel: int, narrowing: int = 1) -> None:
        parts: list[nn.Module] = []
        for _ in range(upsamplings):
            parts += [
                nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            ]
            channels_in, channels = channels, max(channels // narrowing, 1)
        parts.append(nn.Conv2d(channels_in, 1, kernel, padding=kernel // 2))
        super().__init__(*parts)
        self.commutes = kernel == 1

    def forward(self, maps_NFHW: Tensor) -> Tensor:
        """Logits (N, 1, H * 2^upsamplings, W * 2^upsamplings) of maps (N, channels_in, H, W)."""
        if not self.commutes:
            for part in self:
                maps_NFHW = part(maps_NFHW)
            return maps_NFHW
        norms = [part for part in self if isinstance(part, nn.BatchNorm2d)]
        enlargements = [part for part in self if isinstance(part, nn.Upsample)]
        for number, convolution in enumerate(part for part in self if isinstance(part, nn.Conv2d)):
            norm = norms[number] if number < len(norms) else None
            if norm is None or norm.training:
                maps_NFHW = convolution(maps_NFHW)
            else:
                maps_NFHW = functional.conv2d(maps_NFHW, *folded(convolution, norm))
            if number > 0:
                maps_NFHW = enlargements[number - 1](maps_NFHW)
            if norm is not None:
                maps_NFHW = functional.relu(norm(maps_NFHW) if norm.training else maps_NFHW, inplace=True)
        return maps_NFHW


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A convolution and the BatchNorm after it as one.

    Args:
        convolution: without bias.
        norm: with its running statistics.

    Returns:
        Weight (C_out, C_in, 1, 1) and bias (C_out,).
    """
    assert norm.running_mean is not None and norm.running_var is not None
    scale_C = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return convolution.weight * scale_C.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale_C


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
    ) -> None:
        super().__init__()
        self.channels, self.word_limit, self.grid, self.kind = channels, word_limit, grid, kind
        self.maps_per_word, self.upsamplings = maps_per_word, upsamplings
        self.self_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)
        if kind == "dynamic":
            self.kernels = nn.Linear(channels, maps_per_word * channels)
            self.vision = Projection(channels, channels)
        elif kind == "decoder_only":
            self.maps = nn.Linear(channels, grid.cells[0] * grid.cells[1])
        maps = 2 * channels if kind == "concatenate" else word_limit * (maps_per_word if kind == "dynamic" else 1)
        self.maps_in = maps
        self.stack = UpsamplingStack(maps, width, upsamplings, kernel, narrowing)

    def word_maps(
        self, decoded_NLC: Tensor, word_mask_NL: Tensor, vis_BPC: Tensor, grouping: Grouping, grid: Grid
    ) -> Tensor:
        """The maps that the convolutions read.

        Args:
            decoded_NLC: F_dec.
            word_mask_NL: True = a real word.
            vis_BPC: F_enc.
            grouping: which image each expression speaks of.
            grid: grid of ``vis_BPC``, with P cells.

        Returns:
            (N, maps, H, W). For `dynamic`: the products of the kernels of each word and F_enc, zero for padding. For
            `decoder_only`: maps made from the words only. For `concatenate`: F_enc and the sum of the word vectors.
        """
        if self.kind == "concatenate":
            summed_NC = (decoded_NLC * word_mask_NL.unsqueeze(2)).sum(dim=1)
            vis_NPC = vis_BPC.index_select(0, grouping.image_index_N)
            both_NPC = torch.cat([vis_NPC + summed_NC.unsqueeze(1), summed_NC.unsqueeze(1).expand_as(vis_NPC)], dim=2)
            return both_NPC.transpose(1, 2).unflatten(2, grid.cells)
        # Of the mask, because a trace for ONNX takes the lengths of computed maps for fixed.
        maps = word_mask_NL.shape[1] * (self.maps_per_word if self.kind == "dynamic" else 1)
        if self.kind == "dynamic":
            kernels_NLGC = self.kernels(decoded_NLC).unflatten(2, (self.maps_per_word, self.channels))
            kernels_NLGC = kernels_NLGC * word_mask_NL[:, :, None, None] / math.sqrt(self.channels)
            kernels_NFC = kernels_NLGC.flatten(1, 2)
            maps_BQP = grouping.pack(kernels_NFC) @ self.vision(vis_BPC).transpose(1, 2)
            maps_NFHW = grouping.unpack(maps_BQP, maps).unflatten(2, grid.cells)
        else:
            maps_NFHW = (self.maps(decoded_NLC) * word_mask_NL.unsqueeze(2)).unflatten(2, self.grid.cells)
            maps_NFHW = self.grid.resize(maps_NFHW, grid)
        return functional.pad(maps_NFHW, (0, 0, 0, 0, 0, self.maps_in - maps))

    def forward(
        self, decoded_NLC: Tensor, word_mask_NL: Tensor, vis_BPC: Tensor, grouping: Grouping, grid: Grid
    ) -> Tensor:
        """Masks of N expressions.

        Args:
            decoded_NLC: F_dec.
            word_mask_NL: True = a real word.
            vis_BPC: F_enc.
            grouping: the image of each expression.
            grid: grid of ``vis_BPC``, with P cells.

        Returns:
            mask_logits (N, H * 2^upsamplings, W * 2^upsamplings): each cell of the grid is divided into equal parts.
        """
        attended_NLC, _ = self.self_attention(
            decoded_NLC, decoded_NLC, decoded_NLC, key_padding_mask=~word_mask_NL, need_weights=False
        )
        decoded_NLC = self.norm(decoded_NLC + attended_NLC)
        maps_NFHW = self.word_maps(decoded_NLC, word_mask_NL, vis_BPC, grouping, grid)
        mask_logits_N1HW: Tensor = self.stack(maps_NFHW.contiguous(memory_format=torch.channels_last))
        return mask_logits_N1HW.squeeze(1)
