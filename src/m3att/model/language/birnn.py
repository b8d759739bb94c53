"""Bidirectional LSTM or GRU over word vectors: the language encoder of the paper's CNN form."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from m3att.model.language.contract import LanguageEncoder


class BiRNN(LanguageEncoder):
    """The hidden states are the features of the words. The two final states are the feature of the sentence.

    Paper: Sec. III, "F_t ... the hidden states of the LSTM", "the final state output F'_t".
    Departs: both have a layer norm, because the decoder adds a positional code of amplitude 1 to them.

    Args:
        words: size of the vocabulary.
        word_channels: channels of a word vector.
        channels: C; each direction has half of them.
        rnn: `lstm` or `gru`.
        word_dropout: share of words replaced by ``unknown_id`` while training.
        unknown_id: id of the unknown word.
        freeze: do not train the word vectors that are marked in ``fixed_words``. Loading public vectors marks them.
    """

    fixed_words: Tensor
    per_word = ("word_vectors.weight", "fixed_words")

    def __init__(
        self,
        words: int,
        word_channels: int,
        channels: int,
        rnn: Literal["lstm", "gru"] = "lstm",
        word_dropout: float = 0.0,
        unknown_id: int = 1,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.word_dropout, self.unknown_id = channels, word_dropout, unknown_id
        self.word_vectors = nn.Embedding(words, word_channels)
        if freeze:  # saved with the weights, so that a resumed run knows which vectors are public
            self.register_buffer("fixed_words", torch.zeros(words, dtype=torch.bool))
        self.freeze = freeze
        cell = nn.LSTM if rnn == "lstm" else nn.GRU
        self.rnn = cell(word_channels, channels // 2, batch_first=True, bidirectional=True)
        self.norm_words, self.norm_sentence = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """See LanguageEncoder."""
        if self.training and self.word_dropout > 0:
            drop_NL = torch.rand(word_ids_NL.shape, device=word_ids_NL.device) < self.word_dropout
            word_ids_NL = word_ids_NL.masked_fill(drop_NL, self.unknown_id)
        vectors_NLE = self.word_vectors(word_ids_NL)
        if self.freeze:
            fixed_NL1 = self.fixed_words[word_ids_NL].unsqueeze(2)
            vectors_NLE = torch.where(fixed_NL1, vectors_NLE.detach(), vectors_NLE)
        # Sequences are too short to gain from bfloat16, and packed sequences need one type throughout.
        with torch.autocast(vectors_NLE.device.type, enabled=False):
            lengths_N = word_mask_NL.sum(dim=1).cpu()
            packed = pack_padded_sequence(vectors_NLE, lengths_N, batch_first=True, enforce_sorted=False)
            hidden, final = self.rnn(packed)
            words_NLC, _ = pad_packed_sequence(hidden, batch_first=True, total_length=word_ids_NL.shape[1])
            state_2NH = final[0] if isinstance(final, tuple) else final  # an LSTM's final is (hidden, cell)
            sentence_NC = torch.cat([state_2NH[0], state_2NH[1]], dim=1)
            words_NLC = self.norm_words(words_NLC) * word_mask_NL.unsqueeze(2)
            return words_NLC, self.norm_sentence(sentence_NC)
