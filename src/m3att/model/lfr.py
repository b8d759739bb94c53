"""LFR: Language Feature Reconstruction (Eq. 4, Fig. 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.model.norm import Projection
from m3att.model.position import encode_positions


class LFR(nn.Module):
    """Reconstructs the language features from the output of the decoder, so that the decoder keeps them.

    Paper: Eq. 4 (F_proj) and Fig. 5 (three stacked linear layers and average pooling, F_rec).
    Departs: means are over real words only; `stop_gradient` is ours and off by default.

    Args:
        channels: C.
        stop_gradient: stop the gradient of the loss at F_proj, which may otherwise collapse to a constant.
    """

    def __init__(self, channels: int, stop_gradient: bool = False) -> None:
        super().__init__()
        self.stop_gradient = stop_gradient
        self.project = nn.Linear(channels, channels, bias=False)  # W_proj
        self.reconstruct = nn.ModuleList(Projection(channels, channels) for _ in range(3))

    def target(self, words_NLC: Tensor, sentence_NC: Tensor, word_mask_NL: Tensor) -> Tensor:
        """F_proj of Eq. 4: words with positional code, and the sentence, projected and averaged. Returns (N, C).

        Args:
            words_NLC: word features F_t.
            sentence_NC: sentence feature F'_t.
            word_mask_NL: True = a real word.
        """
        code_LC = encode_positions(torch.arange(words_NLC.shape[1], device=words_NLC.device), words_NLC.shape[2])
        sequence_NLC = torch.cat([words_NLC + code_LC, sentence_NC.unsqueeze(1)], dim=1)  # (N, L + 1, C)
        real_NL = torch.cat([word_mask_NL, torch.ones_like(word_mask_NL[:, :1])], dim=1)
        projected_NC = masked_mean(torch.relu(self.project(sequence_NLC)), real_NL)
        return projected_NC.detach() if self.stop_gradient else projected_NC

    def forward(
        self,
        words_NLC: Tensor,
        sentence_NC: Tensor,
        decoded_NLC: Tensor,
        word_mask_NL: Tensor,
        decoded_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Both sides of the reconstruction loss.

        Args:
            words_NLC: F_t.
            sentence_NC: F'_t.
            decoded_NLC: F_dec, the output of the last M3Dec layer.
            word_mask_NL: True = a real word.
            decoded_mask: True = a row of F_dec that counts; None: its rows are the words.

        Returns:
            F_rec (N, C) and F_proj (N, C).
        """
        decoded_mask = word_mask_NL if decoded_mask is None else decoded_mask
        for layer in self.reconstruct:
            decoded_NLC = layer(decoded_NLC, decoded_mask)
        return masked_mean(decoded_NLC, decoded_mask), self.target(words_NLC, sentence_NC, word_mask_NL)


def masked_mean(sequence_NLC: Tensor, mask_NL: Tensor) -> Tensor:
    """Mean over the positions where ``mask_NL`` is True. Returns (N, C)."""
    weight_NL1 = mask_NL.unsqueeze(2).to(sequence_NLC.dtype)
    return (sequence_NLC * weight_NL1).sum(dim=1) / weight_NL1.sum(dim=1)
