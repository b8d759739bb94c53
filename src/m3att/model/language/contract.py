"""The interface of every language encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class LanguageEncoder(nn.Module, ABC):
    """Computes a feature for each word (F_t) and one for the sentence (F'_t), both of C channels.

    Attributes:
        channels: C.
        architecture: plain values to build it again, if the settings do not suffice. A model folder keeps them.
        per_word: names of its weights that have a row for each word, so that a vocabulary can grow; none if it cannot.
    """

    channels: int
    architecture: Mapping[str, Any] | None = None
    per_word: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """Encode N expressions.

        Args:
            word_ids_NL: word ids of the encoder's own tokenizer.
            word_mask_NL: True = a real word. Real words come first, and each row has at least one.

        Returns:
            F_t (N, L, C), zero at padding, and F'_t (N, C). The amount of padding changes neither.
        """
