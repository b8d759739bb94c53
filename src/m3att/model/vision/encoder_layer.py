"""A layer of F_enc's transformer encoder, with fused attention in use too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class EncoderLayer(nn.TransformerEncoderLayer):
    """PyTorch's encoder layer, post-norm and batch first, with weights of the same names.

    In evaluation mode PyTorch's own takes a path of its own, which writes down the attention of all positions to all
    others: 8 x 900 x 900 numbers with Swin-B at 480 pixels. Fused attention, which it uses in training only, does not.
    It is taken in lower precision. In float32 it gains little on a CPU, and would round the scores of trained models
    otherwise.
    """

    def forward(self, src: Tensor, *args: Any, **options: Any) -> Tensor:
        """One layer.

        Args:
            src: features (B, P, C).
            args: as PyTorch's layer takes them; the encoder gives none.
            options: likewise.

        Returns:
            (B, P, C).
        """
        if self.training or args or options or src.is_meta or not torch.is_autocast_enabled(src.device.type):
            result: Tensor = super().forward(src, *args, **options)
            return result
        attention = self.self_attn
        packed_BPC = functional.linear(src, attention.in_proj_weight, attention.in_proj_bias)
        query, key, value = (
            part_BPC.unflatten(2, (attention.num_heads, -1)).transpose(1, 2) for part_BPC in packed_BPC.chunk(3, dim=2)
        )
        answer_BKPC = functional.scaled_dot_product_attention(query, key, value)
        attended_BPC = attention.out_proj(answer_BKPC.transpose(1, 2).flatten(2))
        features_BPC = self.norm1(src + attended_BPC)
        narrowed_BPC = self.linear2(functional.relu(self.linear1(features_BPC)))
        normal_BPC: Tensor = self.norm2(features_BPC + narrowed_BPC)
        return normal_BPC
