"""The BiLSTM and BiGRU against their recurrences in loops; what all encoders share is in test_contract.py."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import nn

from m3att.model.language.birnn import BiRNN

LENGTHS, HALF = (3, 1, 4), 3
Vector = list[float]


def times(weight: torch.Tensor, bias: torch.Tensor, vector: Vector) -> Vector:
    return [sum(w * v for w, v in zip(row, vector, strict=True)) + b for row, b in zip(weight.tolist(), bias.tolist())]  # noqa: B905


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def recur(rnn: nn.LSTM | nn.GRU, suffix: str, vectors: list[Vector]) -> list[Vector]:
    """The hidden states of one direction, in the order of its reading."""
    input_weight, hidden_weight, input_bias, hidden_bias = (
        getattr(rnn, f"{kind}_l0{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    hidden, cell, states = [0.0] * HALF, [0.0] * HALF, []
    for vector in vectors:
        given, kept = times(input_weight, input_bias, vector), times(hidden_weight, hidden_bias, hidden)
        parts = [(given[k : k + HALF], kept[k : k + HALF]) for k in range(0, len(given), HALF)]
        gates = [[sigmoid(a + b) for a, b in zip(*part, strict=True)] for part in parts]
        if isinstance(rnn, nn.LSTM):  # input, forget, new, output
            new = [math.tanh(a + b) for a, b in zip(*parts[2], strict=True)]
            cell = [gates[1][i] * cell[i] + gates[0][i] * new[i] for i in range(HALF)]
            hidden = [gates[3][i] * math.tanh(cell[i]) for i in range(HALF)]
        else:  # reset, update, new
            new = [math.tanh(parts[2][0][i] + gates[0][i] * parts[2][1][i]) for i in range(HALF)]
            hidden = [(1 - gates[1][i]) * new[i] + gates[1][i] * hidden[i] for i in range(HALF)]
        states.append(hidden)
    return states


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
def test_words_are_hidden_states_and_the_sentence_is_the_two_final_ones(rnn: Literal["lstm", "gru"]) -> None:
    encoder = BiRNN(20, 5, 2 * HALF, rnn).double().eval()
    word_mask_NL = torch.arange(4)[None] < torch.tensor(LENGTHS)[:, None]
    word_ids_NL = torch.randint(2, 20, (3, 4)) * word_mask_NL
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    for n, length in enumerate(LENGTHS):
        vectors = encoder.word_vectors(word_ids_NL[n, :length]).tolist()
        forward = recur(encoder.rnn, "", vectors)
        backward = recur(encoder.rnn, "_reverse", vectors[::-1])[::-1]
        states_LC = torch.tensor([f + b for f, b in zip(forward, backward, strict=True)], dtype=torch.float64)
        torch.testing.assert_close(words_NLC[n, :length], encoder.norm_words(states_LC))
        # Each direction's final state is the one at the end of its reading: the last word, and the first.
        final_C = torch.tensor(forward[-1] + backward[0], dtype=torch.float64)
        torch.testing.assert_close(sentence_NC[n], encoder.norm_sentence(final_C))


def test_features_have_the_size_of_the_positional_code() -> None:
    words_NLC, sentence_NC = BiRNN(20, 5, 32)(torch.randint(2, 20, (6, 4)), torch.ones(6, 4, dtype=torch.bool))
    torch.testing.assert_close(words_NLC.square().mean(dim=2), torch.ones(6, 4), rtol=0.01, atol=0.01)
    torch.testing.assert_close(sentence_NC.square().mean(dim=1), torch.ones(6), rtol=0.01, atol=0.01)


def test_word_dropout_puts_the_unknown_word_while_training_only() -> None:
    encoder = BiRNN(20, 5, 8, word_dropout=0.3, unknown_id=1)
    seen: list[torch.Tensor] = []
    encoder.word_vectors.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    word_ids_NL = torch.randint(2, 20, (200, 10))
    word_mask_NL = torch.ones(200, 10, dtype=torch.bool)
    encoder.eval()(word_ids_NL, word_mask_NL)
    assert torch.equal(seen[0], word_ids_NL)
    encoder.train()(word_ids_NL, word_mask_NL)
    changed_NL = seen[1] != word_ids_NL
    assert seen[1][changed_NL].eq(1).all()
    assert 0.25 < changed_NL.float().mean() < 0.35


def test_marked_words_are_fixed_and_the_others_learn() -> None:
    plain, frozen = BiRNN(20, 5, 8), BiRNN(20, 5, 8, freeze=True)
    frozen.load_state_dict(plain.state_dict(), strict=False)
    frozen.fixed_words[[3, 7]] = True
    word_ids_NL, word_mask_NL = torch.tensor([[3, 4, 7], [5, 3, 6]]), torch.ones(2, 3, dtype=torch.bool)
    gradients = []
    for encoder in (plain, frozen):
        words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
        total = words_NLC[..., 0].sum() + sentence_NC[0, 1]
        gradients.append(torch.autograd.grad(total, encoder.word_vectors.weight)[0])
    assert gradients[0].any(dim=1).nonzero().flatten().tolist() == [3, 4, 5, 6, 7]
    gradients[0][[3, 7]] = 0
    assert torch.equal(gradients[1], gradients[0])
    assert "fixed_words" in frozen.state_dict() and "fixed_words" not in plain.state_dict()
