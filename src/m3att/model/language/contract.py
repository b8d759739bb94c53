"""What a language encoder gives, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class LanguageEncoder(nn.Module, ABC):
    """Word ids in; one feature a word (F_t) and one a sentence (F'_t) out, both of C channels.

    Attributes:
        channels: C.
        architecture: plain values that rebuild it where the settings do not say enough; a model folder keeps them.
    """

    channels: int
    architecture: Mapping[str, Any] | None = None

    @abstractmethod
    def forward(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """Encode N expressions.

        Args:
            word_ids_NL: ids of the tokenizer that belongs to the encoder.
            word_mask_NL: True = a real word; real words stand first and there is at least one in each row.

        Returns:
            F_t (N, L, C), zero at padding, and F'_t (N, C). Padding changes neither.
        """
