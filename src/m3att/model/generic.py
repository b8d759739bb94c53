"""Generic attention (Fig. 3a): the transformer decoders that Table I and Sec. IV-B compare M3Att with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.imi import IMI
from m3att.model.m3att import M3Att


class GenericLayer(nn.Module):
    """A layer of a transformer decoder: self-attention, attention to the image or the words, feed-forward part.

    Paper: Fig. 3(a), and Table I, "word features serve as the query input and vision features serve as key and value
    input, similar as the transformer architecture in VLT". Unlike an M3Dec layer, it has a residual around the
    attention and does not query the result again.
    Departs: the paper does not say where its norms are. Ours is post-norm, as in VLT. Every residual branch starts at
    zero, as in `M3DecLayer`.

    Args:
        channels: C.
        grid: grid of the vision features at the trained input size.
        query: `words`: the words ask the positions (LAV). `vision`: the positions ask the words (VAL).
        heads: heads of both attentions.
        feedforward: width of the feed-forward part, as a multiple of C.
        dropout: dropout on each residual branch.

    Attributes:
        mutual: the attention of words to positions; only for the query `words`. It is multi-head attention with plain
            linear projections. Those of the image are computed once an image.
        word_attention: the attention of positions to words; only for the query `vision`.
    """

    def __init__(
        self,
        channels: int,
        grid: Grid,
        query: str = "words",
        heads: int = 8,
        feedforward: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.query = query
        self.self_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        narrow = nn.Linear(feedforward * channels, channels)
        self.feedforward = nn.Sequential(nn.Linear(channels, feedforward * channels), nn.ReLU(), narrow)
        self.norm_query, self.norm_cross, self.norm_out = (nn.LayerNorm(channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        if query == "words":
            self.mutual = M3Att(channels, grid, "lav", heads, projection_norm=False)
            assert isinstance(self.mutual.output, nn.Linear)
            last = self.mutual.output
        else:
            self.word_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
            last = self.word_attention.out_proj
        for branch in (self.self_attention.out_proj, last, narrow):
            nn.init.zeros_(branch.weight)
            nn.init.zeros_(branch.bias)

    def finish(self, query_NQC: Tensor, answer_NQC: Tensor) -> Tensor:
        """What comes after the attention: residual, norm and feed-forward part.

        Args:
            query_NQC: what asked.
            answer_NQC: what the attention answered.

        Returns:
            (N, Q, C).
        """
        decoded_NQC = self.norm_cross(query_NQC + self.dropout(answer_NQC))
        output: Tensor = self.norm_out(decoded_NQC + self.dropout(self.feedforward(decoded_NQC)))
        return output

    def forward(
        self,
        words_NLC: Tensor,
        word_mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        attention_maps: list[Tensor] | None = None,
    ) -> Tensor:
        """The layer whose words ask the positions. See M3Att for the arguments. Returns (N, L, C)."""
        attended_NLC, _ = self.self_attention(
            words_NLC, words_NLC, words_NLC, key_padding_mask=~word_mask_NL, need_weights=False
        )
        query_NLC = self.norm_query(words_NLC + self.dropout(attended_NLC))
        return self.finish(query_NLC, self.mutual(query_NLC, word_mask_NL, vis_BPC, grouping, grid, attention_maps))

    def ask_words(self, positions_NPC: Tensor, words_NLC: Tensor, word_mask_NL: Tensor) -> Tensor:
        """The layer whose positions ask the words.

        Args:
            positions_NPC: one vector a position for each expression.
            words_NLC: word features, keys and values.
            word_mask_NL: True = a real word.

        Returns:
            (N, P, C).
        """
        attended_NPC, _ = self.self_attention(positions_NPC, positions_NPC, positions_NPC, need_weights=False)
        query_NPC = self.norm_query(positions_NPC + self.dropout(attended_NPC))
        answer_NPC, _ = self.word_attention(
            query_NPC, words_NLC, words_NLC, key_padding_mask=~word_mask_NL, need_weights=False
        )
        return self.finish(query_NPC, answer_NPC)


class VisionQueryDec(nn.Module):
    """A stack of layers in which every position of the image asks the words (VAL alone).

    Paper: Sec. IV-B, "the transformer with only VAL features, i.e., using language features as key/value input and
    using vision feature as query". Its result describes positions and not words: F_dec is (N, P, C).
    Departs: the paper does not say how its mask decoder reads this. Here the vectors of the positions take the place of
    those of the words, in IMI, LFR and the mask decoder alike.

    Args:
        layers: with the query `vision`, first to last.
        interactions: one IMI block fewer than layers, or none.
    """

    by_position = True

    def __init__(self, layers: Sequence[GenericLayer], interactions: Sequence[IMI] = ()) -> None:
        super().__init__()
        self.layers, self.interactions = nn.ModuleList(layers), nn.ModuleList(interactions)

    def forward(
        self,
        words_NLC: Tensor,
        word_mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        attention_maps: list[Tensor] | None = None,
        language_NLC: Tensor | None = None,
    ) -> Tensor:
        """Decode the positions of N expressions. See `M3Dec`; no attention map is kept. Returns (N, P, C)."""
        language_NLC = words_NLC if language_NLC is None else language_NLC
        decoded_NPC = vis_BPC.index_select(0, grouping.image_index_N)
        position_NP = torch.ones_like(decoded_NPC[:, :, 0], dtype=torch.bool)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, GenericLayer)
            decoded_NPC = layer.ask_words(decoded_NPC, words_NLC, word_mask_NL)
            if number < len(self.interactions):
                decoded_NPC, language_NLC = self.interactions[number](
                    decoded_NPC, language_NLC, word_mask_NL, position_NP
                )
        return decoded_NPC
