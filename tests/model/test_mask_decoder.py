"""The mask decoder of Fig. 6 against a literal 1x1 convolution, and the variants of Table III."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from m3att.model.grid import Grid
from m3att.model.mask_decoder import MaskDecoder, MaskDecoderKind

from .inputs import Inputs, make_inputs, settled
from .literal import add, affine, dot, layer_norm, linear, multihead_attention

CHANNELS, GRID, LIMIT = 8, (2, 3), 6
KINDS: tuple[MaskDecoderKind, ...] = ("dynamic", "decoder_only", "concatenate")


def make(kind: MaskDecoderKind = "dynamic", **changes: Any) -> MaskDecoder:
    settings = {"width": 5, "upsamplings": 2, "heads": 2, **changes}
    return settled(MaskDecoder(CHANNELS, LIMIT, Grid(*GRID, 1), kind, **settings))


def maps_of(module: MaskDecoder, inputs: Inputs) -> torch.Tensor:
    return module.word_maps(*inputs.arguments)


@pytest.mark.parametrize("maps_per_word", [1, 3])
def test_a_words_vector_is_the_kernel_of_a_1x1_convolution_over_f_enc(maps_per_word: int) -> None:
    module, inputs = make(maps_per_word=maps_per_word), make_inputs(CHANNELS, GRID)
    found_NFHW = maps_of(module, inputs)
    assert found_NFHW.shape == (3, LIMIT * maps_per_word, *GRID)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        length = int(inputs.word_mask_NL[n].sum())
        vision = [linear(row, module.vision) for row in inputs.vis_BPC[image].tolist()]
        kernels = []
        for word in inputs.words_NLC[n, :length].tolist():
            vector = affine(word, module.kernels.weight, module.kernels.bias)
            kernels += [vector[part * CHANNELS : (part + 1) * CHANNELS] for part in range(maps_per_word)]
        # By loops ...
        expected = [[dot(kernel, position) / CHANNELS**0.5 for position in vision] for kernel in kernels]
        real_MP = found_NFHW[n, : length * maps_per_word].flatten(1)
        torch.testing.assert_close(real_MP, torch.tensor(expected, dtype=torch.float64))
        # ... and by PyTorch's convolution.
        image_1CHW = torch.tensor(vision, dtype=torch.float64).T.reshape(1, CHANNELS, *GRID)
        kernel_MC11 = torch.tensor(kernels, dtype=torch.float64)[:, :, None, None] / CHANNELS**0.5
        convolved_1MHW = functional.conv2d(image_1CHW, kernel_MC11)
        torch.testing.assert_close(real_MP, convolved_1MHW[0].flatten(1))


def test_figure_6_has_nothing_between_self_attention_and_kernels() -> None:
    module, inputs = make(figure_6=True, maps_per_word=3), make_inputs(CHANNELS, GRID)
    nn.init.normal_(module.self_attention.in_proj_bias)
    parts = {name for name, part in module.named_children() if list(part.parameters())}
    assert parts == {"self_attention", "stack"}
    seen: list[torch.Tensor] = []
    module.stack.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    module(*inputs.arguments)
    assert seen[0].shape == (3, LIMIT, *GRID)  # one map a word
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        words, real = inputs.words_NLC[n].tolist(), inputs.word_mask_NL[n].tolist()
        kernels = multihead_attention(words, words, real, module.self_attention)[: sum(real)]
        expected = [[dot(kernel, position) for position in inputs.vis_BPC[image].tolist()] for kernel in kernels]
        found_MP = seen[0][n, : sum(real)].flatten(1)
        torch.testing.assert_close(found_MP, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-6)
        assert seen[0][n, sum(real) :].eq(0).all()


def test_norm_everywhere_puts_bn_and_relu_after_the_kernel_layer() -> None:
    module, inputs = make(norm_everywhere=True), make_inputs(CHANNELS, GRID)
    found_NFHW = maps_of(module, inputs)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        vision = [linear(row, module.vision) for row in inputs.vis_BPC[image].tolist()]
        for word in range(int(inputs.word_mask_NL[n].sum())):
            kernel = linear(inputs.words_NLC[n, word].tolist(), module.kernels)
            expected = [dot(kernel, position) / CHANNELS**0.5 for position in vision]
            assert found_NFHW[n, word].flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["dynamic", "decoder_only"])
def test_padding_and_missing_words_give_zero_maps(kind: MaskDecoderKind) -> None:
    inputs = make_inputs(CHANNELS, GRID)
    found_NFHW = maps_of(make(kind), inputs)
    assert found_NFHW.shape[1] == LIMIT  # though the batch is only four words wide
    for n, length in enumerate(inputs.word_mask_NL.sum(dim=1).tolist()):
        assert found_NFHW[n, length:].eq(0).all()
        assert found_NFHW[n, :length].ne(0).all()


def test_decoder_only_makes_its_maps_of_the_words_alone() -> None:
    module, inputs = make("decoder_only"), make_inputs(CHANNELS, GRID)
    found_NFHW = maps_of(module, inputs)
    for n, length in enumerate(inputs.word_mask_NL.sum(dim=1).tolist()):
        expected = [affine(row, module.maps.weight, module.maps.bias) for row in inputs.words_NLC[n, :length].tolist()]
        torch.testing.assert_close(
            found_NFHW[n, :length].flatten(1), torch.tensor(expected, dtype=torch.float64).view(length, -1)
        )
    blind = Inputs(inputs.words_NLC, inputs.word_mask_NL, inputs.vis_BPC * 5, inputs.grouping, inputs.grid)
    assert torch.equal(maps_of(module, blind), found_NFHW)


def test_concatenate_sums_the_words_onto_f_enc_and_beside_it() -> None:
    module, inputs = make("concatenate"), make_inputs(CHANNELS, GRID)
    found_NFHW = maps_of(module, inputs)
    assert found_NFHW.shape == (3, 2 * CHANNELS, *GRID)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        total = [0.0] * CHANNELS
        for row in inputs.words_NLC[n, : int(inputs.word_mask_NL[n].sum())].tolist():
            total = add(total, row)
        for place, position in enumerate(inputs.vis_BPC[image].tolist()):
            found = found_NFHW[n, :, place // GRID[1], place % GRID[1]].tolist()
            assert found == pytest.approx(add(position, total) + total)


@pytest.mark.parametrize("kind", KINDS)
def test_f_dec_passes_self_attention_first(kind: MaskDecoderKind) -> None:
    module, inputs = make(kind), make_inputs(CHANNELS, GRID)
    nn.init.normal_(module.self_attention.in_proj_bias)
    found_NHW = module(*inputs.arguments)
    attended_NLC = torch.zeros_like(inputs.words_NLC)
    for n in range(3):
        words, real = inputs.words_NLC[n].tolist(), inputs.word_mask_NL[n].tolist()
        answers = multihead_attention(words, words, real, module.self_attention)
        rows = [layer_norm(add(*pair), module.norm) for pair in zip(words, answers, strict=True)]
        attended_NLC[n] = torch.tensor(rows)
    maps_NFHW = module.word_maps(attended_NLC, *inputs.arguments[1:])
    torch.testing.assert_close(found_NHW, module.stack(maps_NFHW).squeeze(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [GRID, (4, 5), (1, 2)])
def test_logits_are_two_to_the_upsamplings_finer_than_any_grid(kind: MaskDecoderKind, grid: tuple[int, int]) -> None:
    inputs = make_inputs(CHANNELS, grid)
    logits_NHW = make(kind)(*inputs.arguments)
    assert logits_NHW.shape == (3, 4 * grid[0], 4 * grid[1])
    assert logits_NHW.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_what_stands_at_padding_changes_nothing(kind: MaskDecoderKind, training: bool) -> None:
    module, inputs = make(kind).train(training), make_inputs(CHANNELS, GRID)
    wild_NLC = inputs.words_NLC.masked_fill(~inputs.word_mask_NL.unsqueeze(2), 1e3)
    torch.testing.assert_close(module(wild_NLC, *inputs.arguments[1:]), module(*inputs.arguments))


def test_f_enc_is_projected_once_an_image() -> None:
    module, inputs = make(), make_inputs(CHANNELS, GRID)
    seen: list[int] = []
    module.vision.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    module(*inputs.arguments)
    assert seen == [2]
