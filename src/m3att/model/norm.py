"""BatchNorm over sequences in which only some positions are real."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of channels whose statistics come from real words only.

    Departs: the paper names plain BN; over padding its statistics would depend on how much padding a batch has.
    """

    def forward(self, words_NLC: Tensor, word_mask_NL: Tensor | None = None) -> Tensor:
        """Normalise channels.

        Args:
            words_NLC: features, channels last.
            word_mask_NL: True = a real word; None = all are.

        Returns:
            Features (N, L, C); what stands at padding is normalised too, and means nothing.
        """
        if not self.training:
            return self.by_running_statistics(words_NLC)
        real_RC = words_NLC.flatten(0, -2) if word_mask_NL is None else words_NLC[word_mask_NL]
        # A lone word, as an epoch's last batch may hold, has no variance of its own.
        real_RC = super().forward(real_RC) if len(real_RC) > 1 else self.by_running_statistics(real_RC)
        if word_mask_NL is None:
            return real_RC.view(words_NLC.shape)
        return torch.zeros_like(words_NLC, dtype=real_RC.dtype).masked_scatter(word_mask_NL.unsqueeze(-1), real_RC)

    def by_running_statistics(self, words: Tensor) -> Tensor:
        """Normalise (..., C) as in evaluation.

        Folded into one multiply-add: cheaper than a transposed batch_norm, and it exports to any runtime.
        """
        assert self.running_mean is not None and self.running_var is not None
        scale_C = self.weight * torch.rsqrt(self.running_var + self.eps)
        return words * scale_C + (self.bias - self.running_mean * scale_C)


class Projection(nn.Module):
    """Linear layer followed by BN and ReLU, as the paper has all of them "unless otherwise noticed" (Sec. IV-A)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels_in, channels_out, bias=False)
        self.norm = MaskedBatchNorm(channels_out)

    def forward(self, sequence_NLC: Tensor, mask_NL: Tensor | None = None) -> Tensor:
        """Project (N, L, channels_in) to (N, L, channels_out); ``mask_NL``: True = a real position."""
        return torch.relu(self.norm(self.linear(sequence_NLC), mask_NL))
