"""IMI: Iterative Multi-Modal Interaction (Eq. 3, Fig. 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.model.norm import MaskedBatchNorm, Projection, project


class IMI(nn.Module):
    """Attends from the output of a decoder layer to the language features, and adds the result to that output.

    Paper: Eq. 3, Fig. 4; F'_dec = BN(F_dec + w_ci F_i) with a learnable scalar w_ci.
    Departs: padding is left out of the attention and of the BN statistics; w_ci starts at 0.1.

    Args:
        channels: C.
        constant: IMI* of Table II, where F_i is the word feature F_t, the same for every layer.
        injection: start value of w_ci.
        norm_everywhere: BN and ReLU after the transform, as Sec. IV-A reads. W_a and W' have a ReLU of their own in
            Eq. 3.
    """

    def __init__(
        self, channels: int, constant: bool = False, injection: float = 0.1, norm_everywhere: bool = False
    ) -> None:
        super().__init__()
        self.constant = constant
        if not constant:
            self.transform = (Projection if norm_everywhere else nn.Linear)(channels, channels)
            self.query = nn.Linear(channels, channels)  # W_a
            self.value = nn.Linear(channels, channels)  # W'
        self.injection = nn.Parameter(torch.tensor(injection))  # w_ci
        self.norm = MaskedBatchNorm(channels)

    def forward(
        self,
        decoded_NLC: Tensor,
        language_NLC: Tensor,
        word_mask_NL: Tensor,
        decoded_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One interaction.

        Args:
            decoded_NLC: F_dec^n, the output of decoder layer n.
            language_NLC: F_l^(n-1), the language features of the block before; F_t for the first block.
            word_mask_NL: True = a real word.
            decoded_mask: True = a row of F_dec^n that counts; None: its rows are the words.

        Returns:
            F'_dec^n (N, L, C), the input of the next layer, and F_l^n (N, L, C), which goes to the next block.
        """
        decoded_mask = word_mask_NL if decoded_mask is None else decoded_mask
        if self.constant:
            return self.norm(decoded_NLC + self.injection * language_NLC, decoded_mask), language_NLC
        language_NLC = project(self.transform, language_NLC, word_mask_NL)
        score_NLL = torch.relu(self.query(decoded_NLC)) @ language_NLC.transpose(1, 2)
        weight_NLL = score_NLL.masked_fill(~word_mask_NL[:, None, :], float("-inf")).softmax(dim=2)
        answer_NLC = weight_NLL @ torch.relu(self.value(language_NLC))  # F_i
        return self.norm(decoded_NLC + self.injection * answer_NLC, decoded_mask), language_NLC
