"""The paper's generic attention and its VAL alone, against loops over expressions, heads, words and positions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from m3att.model.generic import GenericLayer, VisionQueryDec
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.imi import IMI
from m3att.model.m3att import M3Att
from m3att.model.mask_decoder import MaskDecoder, MaskDecoderKind

from .inputs import Inputs, ask, exact_network, make_inputs, settled, small_network
from .literal import (
    Matrix,
    add,
    affine,
    batch_norm,
    dot,
    head_of,
    layer_norm,
    linear,
    multihead_attention,
    relu,
    softmax,
    weighted,
)

CHANNELS, GRID = 8, (2, 3)
KINDS: tuple[MaskDecoderKind, ...] = ("dynamic", "decoder_only", "concatenate")


def make_layer(query: str, heads: int = 2) -> GenericLayer:
    layer = GenericLayer(CHANNELS, Grid(*GRID, 1), query, heads, feedforward=2)
    for module in layer.modules():
        if isinstance(module, nn.MultiheadAttention):
            nn.init.normal_(module.in_proj_bias, std=0.3)  # zero at first, which would hide it
            nn.init.normal_(module.out_proj.bias, std=0.3)
    return settled(layer)


def literal_image_attention(query: Matrix, vision: Matrix, module: M3Att) -> Matrix:
    """Multi-head attention of words to positions: plain linear projections, softmax over positions."""
    keys, values = ([linear(row, part) for row in vision] for part in (module.vision_key, module.vision_value))
    answers = []
    for row in query:
        asked, answer = linear(row, module.word_key), []
        for head in range(module.heads):
            scores = [
                dot(head_of(asked, head, module.heads), head_of(key, head, module.heads))
                / math.sqrt(CHANNELS / module.heads)
                for key in keys
            ]
            answer += weighted(softmax(scores), [head_of(value, head, module.heads) for value in values])
        answers.append(linear(answer, module.output))
    return answers


def literal_finish(layer: GenericLayer, query: Matrix, answer: Matrix) -> Matrix:
    """Residual around the attention, norm, feed-forward part, norm; nothing is queried again."""
    result = []
    for decoded in (layer_norm(add(*rows), layer.norm_cross) for rows in zip(query, answer, strict=True)):
        wide = relu(affine(decoded, layer.feedforward[0].weight, layer.feedforward[0].bias))
        narrow = affine(wide, layer.feedforward[2].weight, layer.feedforward[2].bias)
        result.append(layer_norm(add(decoded, narrow), layer.norm_out))
    return result


def literal_query(layer: GenericLayer, rows: Matrix, real: list[bool]) -> Matrix:
    attended = multihead_attention(rows, rows, real, layer.self_attention)
    return [layer_norm(add(*pair), layer.norm_query) for pair in zip(rows, attended, strict=True)]


def literal_vision_layer(layer: GenericLayer, positions: Matrix, words: Matrix, real: list[bool]) -> Matrix:
    query = literal_query(layer, positions, [True] * len(positions))
    return literal_finish(layer, query, multihead_attention(query, words, real, layer.word_attention))


@pytest.mark.parametrize("heads", [1, 2])
def test_words_ask_the_image_as_in_fig_3a(heads: int) -> None:
    layer, inputs = make_layer("words", heads), make_inputs(CHANNELS, GRID)
    found_NLC = layer(*inputs.arguments)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        real = inputs.word_mask_NL[n]
        query = literal_query(layer, inputs.words_NLC[n].tolist(), real.tolist())
        answer = literal_image_attention(query, inputs.vis_BPC[image].tolist(), layer.mutual)
        expected_LC = torch.tensor(literal_finish(layer, query, answer), dtype=torch.float64)
        torch.testing.assert_close(found_NLC[n][real], expected_LC[real], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("heads", [1, 2])
def test_positions_ask_the_words_as_in_sec_iv_b(heads: int) -> None:
    layer, inputs = make_layer("vision", heads), make_inputs(CHANNELS, GRID)
    positions_NPC = inputs.vis_BPC[inputs.grouping.image_index_N]
    found_NPC = layer.ask_words(positions_NPC, inputs.words_NLC, inputs.word_mask_NL)
    for n, positions in enumerate(positions_NPC.tolist()):
        rows = literal_vision_layer(layer, positions, inputs.words_NLC[n].tolist(), inputs.word_mask_NL[n].tolist())
        torch.testing.assert_close(found_NPC[n], torch.tensor(rows, dtype=torch.float64), rtol=1e-6, atol=1e-7)


def literal_injection(module: IMI, decoded: Matrix, language: Matrix) -> tuple[Matrix, Matrix]:
    """Eq. 3 with positions in the place of the words of F_dec, and F_l^n."""
    language = [linear(row, module.transform) for row in language]
    values, rows = [relu(linear(row, module.value)) for row in language], []
    for row in decoded:
        asked = relu(linear(row, module.query))
        answer = weighted(softmax([dot(asked, word) for word in language]), values)
        rows.append(batch_norm(add(row, [module.injection.item() * value for value in answer]), module.norm))
    return rows, language


def test_the_stack_starts_from_f_enc_and_its_keys_are_the_words_in_every_layer() -> None:
    layers, interactions = [make_layer("vision") for _ in range(3)], [settled(IMI(CHANNELS)) for _ in range(2)]
    inputs = make_inputs(CHANNELS, GRID)
    found_NPC = VisionQueryDec(layers, interactions).eval()(*inputs.arguments)
    assert found_NPC.shape == (3, 6, CHANNELS)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        length = int(inputs.word_mask_NL[n].sum())
        words = language = inputs.words_NLC[n, :length].tolist()
        decoded = inputs.vis_BPC[image].tolist()
        for number, layer in enumerate(layers):
            decoded = literal_vision_layer(layer, decoded, words, [True] * length)
            if number < 2:
                decoded, language = literal_injection(interactions[number], decoded, language)
        torch.testing.assert_close(found_NPC[n], torch.tensor(decoded, dtype=torch.float64), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("query", ["words", "vision"])
def test_what_stands_at_padding_changes_nothing(query: str) -> None:
    layer, inputs = make_layer(query), make_inputs(CHANNELS, GRID)
    wild_NLC = inputs.words_NLC.masked_fill(~inputs.word_mask_NL.unsqueeze(2), 1e3)
    if query == "words":
        found_NLC, wild_NLC = layer(*inputs.arguments), layer(wild_NLC, *inputs.arguments[1:])
        torch.testing.assert_close(found_NLC[inputs.word_mask_NL], wild_NLC[inputs.word_mask_NL])
        return
    positions_NPC = inputs.vis_BPC[inputs.grouping.image_index_N]
    found_NPC = layer.ask_words(positions_NPC, inputs.words_NLC, inputs.word_mask_NL)
    torch.testing.assert_close(found_NPC, layer.ask_words(positions_NPC, wild_NLC, inputs.word_mask_NL))


@pytest.mark.parametrize("query", ["words", "vision"])
def test_a_fresh_layer_hands_its_query_through(query: str) -> None:
    layer, inputs = GenericLayer(CHANNELS, Grid(*GRID, 1), query, heads=2), make_inputs(CHANNELS, GRID)
    words_NLC, vis_BPC = inputs.words_NLC.float(), inputs.vis_BPC.float()
    if query == "words":
        asked = words_NLC
        found = layer(words_NLC, inputs.word_mask_NL, vis_BPC, inputs.grouping, inputs.grid)
    else:
        asked = vis_BPC[inputs.grouping.image_index_N]
        found = layer.ask_words(asked, words_NLC, inputs.word_mask_NL)
    torch.testing.assert_close(found, nn.functional.layer_norm(asked, (CHANNELS,)), atol=1e-3, rtol=1e-3)


def make_mask_decoder(kind: MaskDecoderKind, **changes: Any) -> MaskDecoder:
    settings = {"width": 5, "upsamplings": 1, "heads": 2, "by_position": True, **changes}
    return settled(MaskDecoder(CHANNELS, 4, Grid(*GRID, 1), kind, **settings))


def position_maps(kind: MaskDecoderKind, inputs: Inputs, decoded_NPC: Tensor) -> tuple[MaskDecoder, Tensor]:
    module, mask_NP = make_mask_decoder(kind), torch.ones(3, decoded_NPC.shape[1], dtype=torch.bool)
    return module, module.word_maps(decoded_NPC, mask_NP, inputs.vis_BPC, inputs.grouping, inputs.grid)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_decoder_takes_positions_in_the_place_of_words(kind: MaskDecoderKind) -> None:
    inputs = make_inputs(CHANNELS, GRID)
    decoded_NPC = torch.randn(3, 6, CHANNELS, dtype=torch.float64)
    module, found_NFHW = position_maps(kind, inputs, decoded_NPC)
    assert found_NFHW.shape[1] == module.maps_in == {"dynamic": 6, "decoder_only": 8, "concatenate": 16}[kind]
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        positions, decoded = inputs.vis_BPC[image].tolist(), decoded_NPC[n].tolist()
        if kind == "dynamic":
            vision = [linear(row, module.vision) for row in positions]
            kernels = [affine(row, module.kernels.weight, module.kernels.bias) for row in decoded]
            expected = [[dot(kernel, place) / math.sqrt(CHANNELS) for place in vision] for kernel in kernels]
        elif kind == "decoder_only":
            expected = [list(column) for column in zip(*decoded, strict=True)]
        else:
            rows = [add(place, own) + own for place, own in zip(positions, decoded, strict=True)]
            expected = [list(column) for column in zip(*rows, strict=True)]
        torch.testing.assert_close(found_NFHW[n].flatten(1), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [24, 32, 40])
def test_positions_give_masks_at_any_size(kind: MaskDecoderKind, size: int) -> None:
    network = small_network(decoder={"attention": "vision_query"}, mask={"kind": kind}).eval()
    logits_NHW = network(*ask(size=size).arguments).mask_logits_NHW
    assert logits_NHW.shape == (4, size // 2, size // 2) and bool(logits_NHW.isfinite().all())


@pytest.mark.parametrize("attention", ["generic", "vision_query"])
def test_a_mask_depends_on_its_own_words_and_image_alone(attention: str) -> None:
    network, question = exact_network(decoder={"attention": attention}).eval(), ask()
    found_NHW = network(*question.arguments).mask_logits_NHW
    torch.testing.assert_close(network(*question.only([2, 0]).arguments).mask_logits_NHW, found_NHW[[2, 0]])
    torch.testing.assert_close(network(*question.padded(2).arguments).mask_logits_NHW, found_NHW)
    other = question.only([0, 1, 2, 3])
    other.word_ids_NL[0, 0] = 2 + (other.word_ids_NL[0, 0] - 1) % 18
    changed_NHW = network(*other.arguments).mask_logits_NHW
    assert (changed_NHW[0] - found_NHW[0]).abs().max() > 1e-4 and torch.equal(changed_NHW[1:], found_NHW[1:])


def test_words_that_ask_share_one_projection_of_an_image() -> None:
    layer, inputs, rows = make_layer("words"), make_inputs(CHANNELS, GRID), []
    layer.mutual.vision_value.register_forward_hook(lambda _module, given, _out: rows.append(given[0].shape[0]))
    layer(inputs.words_NLC, inputs.word_mask_NL, inputs.vis_BPC, Grouping.of(torch.tensor([1, 0, 1]), 2), inputs.grid)
    assert rows == [2]  # images, of three expressions
