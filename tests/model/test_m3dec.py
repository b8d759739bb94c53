"""One M3Dec layer against Fig. 3(c) in loops, and the order in which the stack calls layers and IMI blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from m3att.model.grid import Grid
from m3att.model.imi import IMI
from m3att.model.m3att import Attention, M3Att
from m3att.model.m3dec import M3Dec, M3DecLayer

from .inputs import Inputs, make_inputs, settled
from .literal import Matrix, add, affine, layer_norm, multihead_attention, relu

CHANNELS, GRID = 8, (2, 3)


def make_layer(attention: Attention = "shared", heads: int = 2) -> M3DecLayer:
    layer = M3DecLayer(M3Att(CHANNELS, Grid(*GRID, 1), attention), CHANNELS, heads, feedforward=2)
    for module in (layer.self_attention, layer.cross_attention):
        nn.init.normal_(module.in_proj_bias, std=0.3)  # zero at first, which would hide it
        nn.init.normal_(module.out_proj.bias, std=0.3)
    return settled(layer)


def literal_layer(layer: M3DecLayer, inputs: Inputs) -> list[Matrix]:
    """Fig. 3(c), post-norm; M3Att itself has its own loops in test_m3att.py."""
    results = []
    for n in range(3):
        real = inputs.word_mask_NL[n].tolist()
        words = inputs.words_NLC[n].tolist()
        attended = multihead_attention(words, words, real, layer.self_attention)
        query = [layer_norm(add(*rows), layer.norm_query) for rows in zip(words, attended, strict=True)]  # F_q
        queries_NLC = torch.zeros_like(inputs.words_NLC)
        queries_NLC[n] = torch.tensor(query)
        given = (queries_NLC, inputs.word_mask_NL, inputs.vis_BPC, inputs.grouping, inputs.grid)
        fused = [layer_norm(row, layer.norm_mutual) for row in layer.mutual(*given)[n].tolist()]
        keys_real = [True] * len(fused) if layer.mutual.attention == "val" else real
        answer = multihead_attention(query, fused, keys_real, layer.cross_attention)
        decoded = [layer_norm(add(*rows), layer.norm_cross) for rows in zip(query, answer, strict=True)]
        result = []
        for row in decoded:
            wide = relu(affine(row, layer.feedforward[0].weight, layer.feedforward[0].bias))
            narrow = affine(wide, layer.feedforward[2].weight, layer.feedforward[2].bias)
            result.append(layer_norm(add(row, narrow), layer.norm_out))
        results.append(result)
    return results


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("attention", ["shared", "lav", "val"])
def test_a_layer_is_self_attention_then_m3att_then_cross_attention(attention: Attention, heads: int) -> None:
    layer, inputs = make_layer(attention, heads), make_inputs(CHANNELS, GRID)
    found_NLC = layer(*inputs.arguments)
    for n, rows in enumerate(literal_layer(layer, inputs)):
        real = inputs.word_mask_NL[n]
        expected_LC = torch.tensor(rows, dtype=torch.float64)
        torch.testing.assert_close(found_NLC[n][real], expected_LC[real], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("attention", ["shared", "val"])
def test_what_stands_at_padding_changes_nothing(attention: Attention) -> None:
    layer, inputs = make_layer(attention), make_inputs(CHANNELS, GRID)
    wild_NLC = inputs.words_NLC.masked_fill(~inputs.word_mask_NL.unsqueeze(2), 1e3)
    found_NLC, wild_NLC = layer(*inputs.arguments), layer(wild_NLC, *inputs.arguments[1:])
    torch.testing.assert_close(found_NLC[inputs.word_mask_NL], wild_NLC[inputs.word_mask_NL])


class NotedLayer(M3DecLayer):
    """Notes what query it got and answers with a constant."""

    def __init__(self, number: int, notes: list[tuple[str, Any, Any]]) -> None:
        nn.Module.__init__(self)
        self.number, self.notes = number, notes

    def forward(self, words_NLC: Tensor, *_: Any) -> Tensor:
        self.notes.append((f"layer {self.number}", words_NLC.mean().item(), None))
        return torch.full_like(words_NLC, 10.0 * self.number)


class NotedIMI(IMI):
    """Notes what it got; changes the query by 1 and the language by a half."""

    def __init__(self, number: int, notes: list[tuple[str, Any, Any]]) -> None:
        nn.Module.__init__(self)
        self.number, self.notes = number, notes

    def forward(self, decoded_NLC: Tensor, language_NLC: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        self.notes.append((f"IMI {self.number}", decoded_NLC.mean().item(), language_NLC.mean().item()))
        return decoded_NLC + 1, language_NLC + 0.5


def run_stack(layers: int, interactions: int) -> tuple[list[tuple[str, Any, Any]], float]:
    notes: list[tuple[str, Any, Any]] = []
    stack = M3Dec(
        [NotedLayer(number + 1, notes) for number in range(layers)],
        [NotedIMI(number + 1, notes) for number in range(interactions)],
    )
    inputs = make_inputs(CHANNELS, GRID)
    return notes, stack(torch.zeros(3, 4, CHANNELS), *inputs.arguments[1:]).mean().item()


def test_an_imi_block_stands_between_every_two_layers() -> None:
    """Each layer asks with F'_dec of the block before it; the language has a pathway of its own that starts at F_t."""
    notes, result = run_stack(layers=3, interactions=2)
    assert notes == [
        ("layer 1", 0.0, None),
        ("IMI 1", 10.0, 0.0),
        ("layer 2", 11.0, None),
        ("IMI 2", 20.0, 0.5),
        ("layer 3", 21.0, None),
    ]
    assert result == 30.0


def test_without_imi_a_layers_output_is_the_next_ones_query() -> None:
    notes, result = run_stack(layers=3, interactions=0)
    assert notes == [("layer 1", 0.0, None), ("layer 2", 10.0, None), ("layer 3", 20.0, None)]
    assert result == 30.0


def test_one_layer_needs_no_interaction() -> None:
    assert run_stack(layers=1, interactions=0) == ([("layer 1", 0.0, None)], 10.0)


@pytest.mark.parametrize(("layers", "interactions"), [(3, 1), (3, 3), (1, 1)])
def test_another_number_of_interactions_is_refused(layers: int, interactions: int) -> None:
    with pytest.raises(ValueError, match=f"{layers} layers take {layers - 1} IMI blocks or none, not {interactions}"):
        run_stack(layers, interactions)


def test_the_stack_does_what_its_parts_do() -> None:
    inputs = make_inputs(CHANNELS, GRID)
    layers, interaction = [make_layer(), make_layer()], settled(IMI(CHANNELS))
    found_NLC = M3Dec(layers, [interaction]).eval()(*inputs.arguments)
    first_NLC = layers[0](*inputs.arguments)
    second_NLC, _ = interaction(first_NLC, inputs.words_NLC, inputs.word_mask_NL)
    assert torch.equal(found_NLC, layers[1](second_NLC, *inputs.arguments[1:]))


def test_a_fresh_layer_hands_the_words_through() -> None:
    layer, inputs = M3DecLayer(M3Att(CHANNELS, Grid(*GRID, 1)), CHANNELS, heads=2), make_inputs(CHANNELS, GRID)
    words_NLC = inputs.arguments[0].float()
    rest = (inputs.word_mask_NL, inputs.vis_BPC.float(), inputs.grouping, inputs.grid)
    normed_NLC = nn.functional.layer_norm(words_NLC, (CHANNELS,))
    real = inputs.word_mask_NL
    # Three norms in a row differ from one by their epsilons alone.
    torch.testing.assert_close(layer(words_NLC, *rest)[real], normed_NLC[real], atol=1e-3, rtol=1e-3)
