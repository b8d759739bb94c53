"""LFR against Eq. 4 and Fig. 5, written out as loops over the words of an expression."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from m3att.model.lfr import LFR, masked_mean
from m3att.model.norm import Projection

from .inputs import settled, word_mask
from .literal import Vector, add, affine, linear, position_code, relu

LENGTHS, WORDS, CHANNELS = (3, 1, 4), 4, 8


def features() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    words_NLC, decoded_NLC = torch.randn(2, 3, WORDS, CHANNELS, dtype=torch.float64)
    return words_NLC, torch.randn(3, CHANNELS, dtype=torch.float64), decoded_NLC, word_mask(LENGTHS, WORDS)


def literal_projected(module: LFR, words: list[Vector], sentence: Vector) -> Vector:
    """Eq. 4 for one expression without its padding."""
    rows = [add(word, position_code(place, CHANNELS)) for place, word in enumerate(words)]  # F_t + e
    rows.append(sentence)
    projected = [relu(affine(row, module.project.weight, None)) for row in rows]
    return [sum(column) / (len(words) + 1) for column in zip(*projected, strict=True)]


def test_f_proj_is_the_literal_eq_4() -> None:
    module, (words_NLC, sentence_NC, _, word_mask_NL) = settled(LFR(CHANNELS)), features()
    found_NC = module.target(words_NLC, sentence_NC, word_mask_NL)
    for n, length in enumerate(LENGTHS):
        expected = literal_projected(module, words_NLC[n, :length].tolist(), sentence_NC[n].tolist())
        torch.testing.assert_close(found_NC[n], torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-6)


def test_f_rec_is_three_linear_layers_and_the_mean_of_fig_5() -> None:
    module, inputs = settled(LFR(CHANNELS)), features()
    found_NC, projected_NC = module(*inputs)
    assert [type(layer) for layer in module.reconstruct] == [Projection] * 3
    for n, length in enumerate(LENGTHS):
        rows = inputs[2][n, :length].tolist()
        for layer in module.reconstruct:
            rows = [linear(row, layer) for row in rows]
        expected = [sum(column) / length for column in zip(*rows, strict=True)]
        torch.testing.assert_close(found_NC[n], torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(projected_NC, module.target(inputs[0], inputs[1], inputs[3]))


def test_f_proj_knows_the_order_of_the_words() -> None:
    module, (words_NLC, sentence_NC, _, word_mask_NL) = settled(LFR(CHANNELS)), features()
    swapped_NLC = words_NLC[:, [1, 0, 2, 3]]
    changed_NC = module.target(words_NLC, sentence_NC, word_mask_NL) - module.target(
        swapped_NLC, sentence_NC, word_mask_NL
    )
    assert changed_NC[2].abs().max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_what_stands_at_padding_changes_nothing(training: bool) -> None:
    module, (words_NLC, sentence_NC, decoded_NLC, word_mask_NL) = settled(LFR(CHANNELS)).train(training), features()
    padding_NL1 = ~word_mask_NL.unsqueeze(2)
    found = module(words_NLC, sentence_NC, decoded_NLC, word_mask_NL)
    wild = module(
        words_NLC.masked_fill(padding_NL1, 1e3), sentence_NC, decoded_NLC.masked_fill(padding_NL1, 1e3), word_mask_NL
    )
    longer = module(
        torch.cat([words_NLC, words_NLC], dim=1),
        sentence_NC,
        torch.cat([decoded_NLC, decoded_NLC], dim=1),
        word_mask(LENGTHS, 2 * WORDS),
    )
    for mine, others, more in zip(found, wild, longer, strict=True):
        assert torch.equal(mine, others)
        torch.testing.assert_close(mine, more)


@pytest.mark.parametrize("stop_gradient", [False, True])
def test_the_target_learns_unless_its_gradient_is_stopped(stop_gradient: bool) -> None:
    module, inputs = LFR(CHANNELS, stop_gradient).double(), features()
    words_NLC = inputs[0].requires_grad_()
    reconstructed_NC, projected_NC = module(*inputs)
    (reconstructed_NC - projected_NC).square().mean().backward()
    assert (module.project.weight.grad is None) == stop_gradient
    assert (words_NLC.grad is None) == stop_gradient
    assert all(weight.grad is not None for weight in module.reconstruct.parameters())


def test_a_masked_mean_counts_real_positions_only() -> None:
    rows_NLC = torch.tensor([[[1.0], [3.0], [50.0]], [[7.0], [50.0], [50.0]]])
    assert masked_mean(rows_NLC, word_mask((2, 1), 3)).tolist() == [[2.0], [7.0]]
