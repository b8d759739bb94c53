"""VLT's early fusion: the sentence multiplied into the backbone's coarsest map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.model.norm import MaskedBatchNorm, Projection


class EarlyFusion(nn.Module):
    """Multiplies the coarsest map by the projected sentence, before the maps are merged.

    Paper: does not have it. VLT, on which the paper's CNN form builds, has it, and MCN too. Both apply BN and a leaky
    ReLU to the projected sentence and to the product. Departs: from VLT in the ReLU, which is the paper's choice (Sec.
    IV-A), and in leaving out VLT's residual block over the coarsest map.

    Args:
        channels: channels of the coarsest map.
        sentence_channels: C, of the sentence vector F'_t.
    """

    def __init__(self, channels: int, sentence_channels: int) -> None:
        super().__init__()
        self.sentence = Projection(sentence_channels, channels)
        self.norm = MaskedBatchNorm(channels)

    def forward(self, coarse_BCHW: Tensor, sentence_NC: Tensor, image_index_N: Tensor) -> Tensor:
        """Multiply.

        Args:
            coarse_BCHW: coarsest map of each image.
            sentence_NC: F'_t of each expression.
            image_index_N: which image each expression speaks of.

        Returns:
            (N, C, H, W), one map an expression.
        """
        gate_N1C = self.sentence(sentence_NC.unsqueeze(1))
        vis_NPC = coarse_BCHW.flatten(2).transpose(1, 2).index_select(0, image_index_N)
        fused_NPC = torch.relu(self.norm(vis_NPC * gate_N1C))
        return fused_NPC.transpose(1, 2).unflatten(2, coarse_BCHW.shape[2:])
