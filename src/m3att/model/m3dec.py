"""M3Dec: Multi-Modal Mutual Decoder (Fig. 3c): one layer, and the stack with IMI between the layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from m3att.model.generic import GenericLayer
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.imi import IMI
from m3att.model.m3att import M3Att


class M3DecLayer(nn.Module):
    """Self-attention of the words, M3Att with the vision features, and cross-attention from the words to its output.

    Paper: Fig. 3(c). Departs: the figure shows no residuals, norms or feed-forward part. Ours is post-norm, as in VLT,
    with residuals around self-attention, cross-attention and feed-forward, and a norm after M3Att. Every residual
    branch starts at zero, so a fresh stack returns the words unchanged; the network then learned faster
    (docs/lab-notes.md).

    Args:
        mutual: the M3Att of this layer.
        channels: C.
        heads: heads of self- and cross-attention.
        feedforward: width of the feed-forward part, as a multiple of C.
        dropout: dropout on each residual branch.
    """

    def __init__(self, mutual: M3Att, channels: int, heads: int = 8, feedforward: int = 4, dropout: float = 0.0):
        super().__init__()
        self.mutual = mutual
        self.self_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        narrow = nn.Linear(feedforward * channels, channels)
        self.feedforward = nn.Sequential(nn.Linear(channels, feedforward * channels), nn.ReLU(), narrow)
        self.norm_query, self.norm_mutual, self.norm_cross, self.norm_out = (nn.LayerNorm(channels) for _ in range(4))
        self.dropout = nn.Dropout(dropout)
        for last in (self.self_attention.out_proj, self.cross_attention.out_proj, narrow):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self,
        words_NLC: Tensor,
        word_mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        attention_maps: list[Tensor] | None = None,
    ) -> Tensor:
        """One layer. See M3Att for the arguments. Returns (N, L, C)."""
        padding_NL = ~word_mask_NL
        attended_NLC, _ = self.self_attention(
            words_NLC, words_NLC, words_NLC, key_padding_mask=padding_NL, need_weights=False
        )
        query_NLC = self.norm_query(words_NLC + self.dropout(attended_NLC))  # F_q
        fused = self.norm_mutual(self.mutual(query_NLC, word_mask_NL, vis_BPC, grouping, grid, attention_maps))
        # M3Att gives one vector a word. `val` gives one vector a position, and no position is padding.
        key_padding = None if self.mutual.attention == "val" else padding_NL
        answer_NLC, _ = self.cross_attention(query_NLC, fused, fused, key_padding_mask=key_padding, need_weights=False)
        decoded_NLC = self.norm_cross(query_NLC + self.dropout(answer_NLC))
        return self.norm_out(decoded_NLC + self.dropout(self.feedforward(decoded_NLC)))


class M3Dec(nn.Module):
    """The stack of M3Dec layers, with an IMI block between every two neighbouring layers (Fig. 2).

    Args:
        layers: the M3Dec layers, or layers of generic attention in their place, first to last.
        interactions: one IMI block fewer than layers, or none (Table II, baseline).
    """

    by_position = False

    def __init__(self, layers: Sequence[M3DecLayer | GenericLayer], interactions: Sequence[IMI] = ()) -> None:
        super().__init__()
        if interactions and len(interactions) != len(layers) - 1:
            raise ValueError(f"{len(layers)} layers take {len(layers) - 1} IMI blocks or none, not {len(interactions)}")
        self.layers = nn.ModuleList(layers)
        self.interactions = nn.ModuleList(interactions)

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
        """Decode the words of N expressions with the features of their images.

        Args:
            words_NLC: word features F_t with their positional code.
            word_mask_NL: True = a real word.
            vis_BPC: F_enc.
            grouping: the image of each expression.
            grid: grid of ``vis_BPC``, with P cells.
            attention_maps: a list; the A_mut of each layer is appended to it. See M3Att.
            language_NLC: what the first IMI block reads. None: ``words_NLC``.

        Returns:
            F_dec (N, L, C) of the last layer.
        """
        decoded_NLC = words_NLC
        language_NLC = words_NLC if language_NLC is None else language_NLC
        for number, layer in enumerate(self.layers):
            decoded_NLC = layer(decoded_NLC, word_mask_NL, vis_BPC, grouping, grid, attention_maps)
            if number < len(self.interactions):
                decoded_NLC, language_NLC = self.interactions[number](decoded_NLC, language_NLC, word_mask_NL)
        return decoded_NLC
