"""Parts of a network in a form that a trace follows for any size: the grid, the recurrent encoder and attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from m3att.model.grid import Grid
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder


class FreeGrid(Grid):
    """A grid whose sizes are tensors, so that a trace keeps them free. It equals no other, so maps are always resized.

    Args:
        size_2: height and width of the input in pixels.
        cells_HW: anything of its rows and columns.
        stride: pixels of the input between the centres of two neighbouring cells.
    """

    def __init__(self, size_2: Tensor, cells_HW: Tensor, stride: int) -> None:
        super().__init__(size_2[0], size_2[1], stride)  # type: ignore[arg-type]
        object.__setattr__(self, "cells_HW", cells_HW)

    @property
    def cells(self) -> tuple[int, int]:
        """(H, W), rows and columns of cells, as a trace sees them."""
        cells_HW: Tensor = self.__dict__["cells_HW"]
        return cells_HW.shape[0], cells_HW.shape[1]

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


# Where ONNX's gates stand in PyTorch's weights: an LSTM's are input, forget, cell, output there and input, output,
# forget, cell here; a GRU's are reset, update, new there and update, reset, new here.
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


class RecurrentLayer(torch.autograd.Function):
    """A bidirectional LSTM or GRU over expressions of different lengths, which becomes the ONNX operator of its name.

    A trace takes the shapes of its outputs only, so here they hold zeros.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors_LNE: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, lengths_N: Tensor, kind: str
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (L, 2, N, H) and final states (2, N, H).

        Args:
            ctx: not used.
            vectors_LNE: word vectors.
            weight: of the inputs, (2, gates * H, E).
            recurrent: of the hidden states, (2, gates * H, H).
            bias: of both, (2, 2 * gates * H).
            lengths_N: words of each expression, int32.
            kind: `LSTM` or `GRU`.
        """
        words, count, hidden = vectors_LNE.shape[0], vectors_LNE.shape[1], recurrent.shape[2]
        return vectors_LNE.new_zeros(words, 2, count, hidden), vectors_LNE.new_zeros(2, count, hidden)

    @staticmethod
    def symbolic(g: Any, vectors: Any, weight: Any, recurrent: Any, bias: Any, lengths: Any, kind: str) -> Any:
        """The operator; its arguments are those of `forward`. See there.

        A GRU of PyTorch applies its reset gate after the linear layer.
        """
        hidden = recurrent.type().sizes()[2]
        options = {"linear_before_reset_i": 1} if kind == "GRU" else {}
        return g.op(
            kind, vectors, weight, recurrent, bias, lengths,
            hidden_size_i=hidden, direction_s="bidirectional", outputs=2, **options,
        )  # fmt: skip


class TraceableBiRNN(LanguageEncoder):
    """A BiRNN with the operators of ONNX, which take lengths where PyTorch takes packed sequences.

    Args:
        encoder: whose weights it shares.
    """

    def __init__(self, encoder: BiRNN) -> None:
        super().__init__()
        self.channels, self.kind = encoder.channels, "LSTM" if isinstance(encoder.rnn, nn.LSTM) else "GRU"
        self.word_vectors, self.rnn = encoder.word_vectors, encoder.rnn
        self.norm_words, self.norm_sentence = encoder.norm_words, encoder.norm_sentence

    def both(self, *names: str) -> Tensor:
        """Weights of both directions, (2, ...), gates in ONNX's order; of several names one after the other."""
        return torch.stack([torch.cat([self.gates(f"{name}_l0{end}") for name in names]) for end in ("", "_reverse")])

    def gates(self, name: str) -> Tensor:
        """One weight with its gates in ONNX's order, (gates * hidden, ...) as PyTorch has it."""
        order = GATES[self.kind]
        parts = getattr(self.rnn, name).chunk(len(order))
        return torch.cat([parts[number] for number in order])

    def forward(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """See LanguageEncoder."""
        lengths_N = word_mask_NL.sum(dim=1).to(torch.int32)
        vectors_LNE = self.word_vectors(word_ids_NL).transpose(0, 1)
        weight, recurrent, bias = self.both("weight_ih"), self.both("weight_hh"), self.both("bias_ih", "bias_hh")
        layer: Any = RecurrentLayer.apply
        hidden_L2NH, final_2NH = layer(vectors_LNE, weight, recurrent, bias, lengths_N, self.kind)
        words_NLC = hidden_L2NH.permute(2, 0, 1, 3).flatten(2)
        words_NLC = self.norm_words(words_NLC) * word_mask_NL.unsqueeze(2)
        return words_NLC, self.norm_sentence(final_2NH.transpose(0, 1).flatten(1))


class TraceableAttention(nn.Module):
    """A MultiheadAttention in plain steps. PyTorch's own, traced, keeps the number of keys of the example.

    Args:
        attention: batch first, of one width; its weights are shared.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.in_proj_weight, self.in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self,
        query_NLC: Tensor,
        key_NSC: Tensor,
        value_NSC: Tensor,
        key_padding_mask: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        """Attend; see nn.MultiheadAttention.

        Args:
            query_NLC: queries.
            key_NSC: keys.
            value_NSC: values.
            key_padding_mask: True = a key that does not count, (N, S).
            options: without effect on the result, such as `need_weights`.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            nn.functional.linear(rows, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for rows, weight, bias in zip((query_NLC, key_NSC, value_NSC), weights, biases, strict=True)
        )
        score_NKLS = query @ key.transpose(2, 3) / math.sqrt(self.out_proj.in_features // self.heads)
        if key_padding_mask is not None:
            score_NKLS = score_NKLS.masked_fill(key_padding_mask[:, None, None], float("-inf"))
        answer_NLC = (score_NKLS.softmax(dim=3) @ value).transpose(1, 2).flatten(2)
        return self.out_proj(answer_NLC), None
