"""M3Att: Multi-Modal Mutual Attention (Eq. 1, 2a, 2b and the fusion; Fig. 3b)."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.norm import Projection, project

Attention = Literal["shared", "independent", "lav", "val"]


class M3Att(nn.Module):
    """Fuses words and vision so that both are attended to and both reach the output.

    Each modality is key and value. One attention matrix A_mut relates all words to all positions. Its softmax over
    positions gathers vision for each word (LAV). Its softmax over words gathers language for each position (VAL). The
    LAV of each word is then a dynamic kernel over the VAL of all positions.

    Paper: Eq. 1 (A_mut), Eq. 2a (LAV, F_V^a), Eq. 2b (VAL, F_L^a), F_mul = F_V^a (F_L^a)^T and its projection to C.
    Departs: F_mul is scaled by 1/sqrt(C), as A_mut is. Padding is masked. The projection has a fixed input size, so
        F_mul of another grid is first resized to the trained one. `fusion_norm` and `fusion_vision` are ours and off
        in the paper's presets.

    Args:
        channels: C.
        grid: grid of the vision features at the trained input size.
        attention: `shared` or `independent` A_mut. `lav` and `val` are the generic attention of Table I.
        heads: heads of the mutual attention. The paper's equations have one.
        projection_norm: BN and ReLU after the vision projections, as in Sec. IV-A. Off: only linear layers.
        fusion_norm: layer norm of each word's F_mul over the positions. Without it, all positions attend to much the
            same words, so F_mul is nearly the same at all of them: little more than one number for each word.
        fusion_vision: add a projection of LAV to that of F_mul, so that the image features of a word reach the output
            directly.
        norm_everywhere: BN and ReLU also after the word projections and the output, as Sec. IV-A reads. Off: they are
            plain linear layers.
    """

    def __init__(
        self,
        channels: int,
        grid: Grid,
        attention: Attention = "shared",
        heads: int = 1,
        projection_norm: bool = True,
        fusion_norm: bool = False,
        fusion_vision: bool = False,
        norm_everywhere: bool = False,
    ) -> None:
        super().__init__()
        visual = Projection if projection_norm else nn.Linear
        verbal = Projection if norm_everywhere else nn.Linear
        self.channels, self.grid, self.attention, self.heads = channels, grid, attention, heads
        self.word_key = verbal(channels, channels)
        self.vision_key = visual(channels, channels)
        if attention != "val":
            self.vision_value = visual(channels, channels)
        if attention != "lav":
            self.word_value = verbal(channels, channels)
        if attention == "independent":
            self.word_key_val = verbal(channels, channels)
            self.vision_key_val = visual(channels, channels)
        fused, positions = attention in ("shared", "independent"), grid.cells[0] * grid.cells[1]
        self.fusion_norm = nn.LayerNorm(positions) if fused and fusion_norm else None
        self.output = verbal(positions if fused else channels, channels)
        self.vision_output = nn.Linear(channels, channels) if fused and fusion_vision else None

    def mutual_attention(
        self, word_key_NLC: Tensor, vision_key_BPC: Tensor, grouping: Grouping, words: int | None = None
    ) -> Tensor:
        """A_mut of Eq. 1 before any softmax.

        Args:
            word_key_NLC: F_L^k.
            vision_key_BPC: F_V^k.
            grouping: the image of each expression.
            words: L, where a trace must not take it for fixed (`m3att.export.graphs`).

        Returns:
            (N, K, L, P), one matrix for each head.
        """
        words = word_key_NLC.shape[1] if words is None else words
        word_NKLC = split_heads(word_key_NLC, self.heads) / math.sqrt(self.channels / self.heads)
        key_BKCP = split_heads(vision_key_BPC, self.heads).transpose(2, 3)
        return grouping.product(word_NKLC.transpose(1, 2), key_BKCP, words).transpose(1, 2)

    def attend_vision(
        self, attention_NKLP: Tensor, value_BPC: Tensor, grouping: Grouping, words: int | None = None
    ) -> Tensor:
        """LAV of Eq. 2a: vision features for each word, weighted by the softmax over positions. Returns (N, L, C).

        Args:
            attention_NKLP: A_mut of Eq. 1.
            value_BPC: values of the images.
            grouping: the image of each expression.
            words: L; see `mutual_attention`.
        """
        weight_NLKP = attention_NKLP.softmax(dim=3).transpose(1, 2)
        words = weight_NLKP.shape[1] if words is None else words
        return grouping.product(weight_NLKP, split_heads(value_BPC, self.heads), words).flatten(2)

    def language_weights(self, attention_NKLP: Tensor, word_mask_NL: Tensor) -> Tensor:
        """softmax(A_mut^T) of Eq. 2b over real words, transposed: (N, K, L, P); the weights of a position sum to 1."""
        return attention_NKLP.masked_fill(~word_mask_NL[:, None, :, None], float("-inf")).softmax(dim=2)

    def attend_language(self, weight_NKLP: Tensor, value_NLC: Tensor) -> Tensor:
        """VAL of Eq. 2b: word features for each position, weighted over words. Returns (N, P, C)."""
        return (weight_NKLP.transpose(2, 3) @ split_heads(value_NLC, self.heads)).transpose(1, 2).flatten(2)

    def fuse(self, lav_NLC: Tensor, weight_NKLP: Tensor, value_NLC: Tensor) -> Tensor:
        """F_mul = F_V^a (F_L^a)^T, scaled: the LAV of each word is a kernel over the VAL of all positions.

        VAL is itself a product, weights^T values. So F_mul = (LAV values^T) weights. The result is the same, without a
        tensor (N, P, C), which would take most of the time of the layer.

        Args:
            lav_NLC: LAV of Eq. 2a.
            weight_NKLP: softmax of A_mut over the words.
            value_NLC: values of the words.

        Returns:
            (N, L, P).
        """
        kernel_NKLL = split_heads(lav_NLC, self.heads) @ split_heads(value_NLC, self.heads).transpose(2, 3)
        return (kernel_NKLL @ weight_NKLP).sum(dim=1) / math.sqrt(self.channels)

    def forward(
        self,
        words_NLC: Tensor,
        word_mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        attention_maps: list[Tensor] | None = None,
    ) -> Tensor:
        """Fuse the words of N expressions with the vision features of their images.

        Args:
            words_NLC: query features F_q.
            word_mask_NL: True = a real word.
            vis_BPC: F_enc of each image. It is projected once an image, not once an expression.
            grouping: the image of each expression.
            grid: grid of ``vis_BPC``, with P cells.
            attention_maps: a list; the A_mut (N, K, L, P) of LAV is appended to it, for the attention loss.

        Returns:
            The multi-modal feature: (N, L, C), or (N, P, C) for `val`.
        """
        words = word_mask_NL.shape[1]
        attention_NKLP = self.mutual_attention(
            project(self.word_key, words_NLC, word_mask_NL), self.vision_key(vis_BPC), grouping, words
        )
        if self.attention == "val":
            weight_NKLP = self.language_weights(attention_NKLP, word_mask_NL)
            return self.output(self.attend_language(weight_NKLP, project(self.word_value, words_NLC, word_mask_NL)))
        if attention_maps is not None:
            attention_maps.append(attention_NKLP)
        lav_NLC = self.attend_vision(attention_NKLP, self.vision_value(vis_BPC), grouping, words)
        if self.attention == "lav":
            return project(self.output, lav_NLC, word_mask_NL)
        if self.attention == "independent":
            word_key_NLC, vision_key_BPC = (
                project(self.word_key_val, words_NLC, word_mask_NL),
                self.vision_key_val(vis_BPC),
            )
            attention_NKLP = self.mutual_attention(word_key_NLC, vision_key_BPC, grouping, words)
        weight_NKLP = self.language_weights(attention_NKLP, word_mask_NL)
        fused_NLP = self.fuse(lav_NLC, weight_NKLP, project(self.word_value, words_NLC, word_mask_NL))
        if grid != self.grid:
            fused_NLP = grid.resize(fused_NLP.unflatten(2, grid.cells), self.grid).flatten(2)
        if self.fusion_norm is not None:
            fused_NLP = self.fusion_norm(fused_NLP)
        fused_NLC = project(self.output, fused_NLP, word_mask_NL)
        return fused_NLC if self.vision_output is None else fused_NLC + self.vision_output(lav_NLC)


def split_heads(rows: Tensor, heads: int) -> Tensor:
    """(N, L, C) to (N, K, L, C / K)."""
    return rows.unflatten(2, (heads, -1)).transpose(1, 2)
