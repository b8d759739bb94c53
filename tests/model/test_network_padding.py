"""Padding treated as words, as VLT does (`model.mask_padding` off): what takes part, and what still may not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from m3att.model.build import build_network
from m3att.model.lfr import LFR
from m3att.model.m3att import Attention, M3Att
from m3att.model.m3dec import M3Dec
from m3att.model.mask_decoder import MaskDecoder, MaskDecoderKind
from m3att.model.network import M3AttNet

from .inputs import INPUT_SIZE, WORDS, Question, ask, exact_network, small_config, woken
from .literal import linear, multihead_attention, position_code, softmax
from .test_network_training import blind_weights, dead_weights, step

LIMIT = small_config().word_limit  # 6, longer than every expression here
CASES: list[tuple[Attention, MaskDecoderKind]] = [
    ("shared", "dynamic"), ("independent", "concatenate"), ("lav", "decoder_only"), ("val", "dynamic")
]  # fmt: skip


def unmasked(**sections: dict[str, Any]) -> M3AttNet:
    """A small network in float64 that reads padding as words; its logits are steep, so that a change shows."""
    config = replace(small_config(**sections), mask_padding=False)
    network = woken(build_network(config, INPUT_SIZE, WORDS)).double()
    last = network.mask_decoder.stack[-1]
    assert isinstance(last, nn.Conv2d)
    last.weight.data.mul_(20)
    return network


def logits_of(network: M3AttNet, question: Question) -> Tensor:
    logits_NHW: Tensor = network(*question.arguments).mask_logits_NHW.detach()
    return logits_NHW


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("attention", "mask"), CASES)
def test_a_mask_does_not_hang_on_the_company_of_its_expression(attention: Attention, mask: MaskDecoderKind) -> None:
    network = unmasked(decoder={"attention": attention}, mask={"kind": mask}).eval()
    question = ask()  # of 3, 1, 4 and 2 words: each batch below has another longest one
    expected_NHW = logits_of(network, question)
    order = [3, 1, 0, 2]
    same(logits_of(network, question.only(order)), expected_NHW[order])
    for n, length in enumerate((3, 1, 4, 2)):
        alone = question.only([n])
        bare = replace(alone, word_ids_NL=alone.word_ids_NL[:, :length], word_mask_NL=alone.word_mask_NL[:, :length])
        same(logits_of(network, bare), expected_NHW[n : n + 1])


@pytest.mark.parametrize("training", [False, True])
def test_what_the_batch_pads_changes_nothing(training: bool) -> None:
    network, question = unmasked().train(training), ask()
    expected = network(*question.arguments, reconstruct=True)
    for more in (1, 2, 5):  # with 5 a row is longer than the word limit
        found = network(*question.padded(more).arguments, reconstruct=True)
        same(found.mask_logits_NHW, expected.mask_logits_NHW)
        same(found.reconstructed_NC, expected.reconstructed_NC)
        same(found.projected_NC, expected.projected_NC)


def test_the_masked_network_says_something_else() -> None:
    network, question = unmasked().eval(), ask()
    masked = exact_network().eval()
    masked.load_state_dict(network.state_dict())
    difference_NHW = (logits_of(masked, question) - logits_of(network, question)).abs()
    assert (difference_NHW.amax(dim=(1, 2)) > 1e-2).all()
    # With no padding there is nothing to mask.
    full = ask(lengths=(LIMIT,) * 4)
    same(logits_of(masked, full), logits_of(network, full))


class Ears:
    """Records what a module is called with, and what it says."""

    def __init__(self, module: nn.Module) -> None:
        self.given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.said: list[Any] = []
        module.register_forward_hook(self.hear, with_kwargs=True)

    def hear(self, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any], said: Any) -> None:
        self.given.append((given, named))
        self.said.append(said)


def test_the_decoder_reads_a_positional_code_where_no_word_stands() -> None:
    network = unmasked().eval()
    ears = Ears(network.decoder)
    network(*ask().arguments)
    (words_NLC, word_mask_NL, *_), _ = ears.given[0]
    assert words_NLC.shape == (4, LIMIT, 16) and word_mask_NL.shape == (4, LIMIT)
    assert word_mask_NL.all()
    for n, length in enumerate((3, 1, 4, 2)):
        for place in range(length, LIMIT):
            expected_C = torch.tensor(position_code(place, 16))
            torch.testing.assert_close(words_NLC[n, place].float(), expected_C, atol=1e-5, rtol=0)


def test_every_part_hears_of_every_word_of_the_limit() -> None:
    network = unmasked()
    parts = [part for part in network.modules() if isinstance(part, M3Dec | M3Att | MaskDecoder | LFR)]
    parts += list(network.decoder.interactions)
    ears = [Ears(part) for part in parts]
    network(*ask().arguments, reconstruct=True)
    for part, ear in zip(parts, ears, strict=True):
        masks = [value for value in ear.given[0][0] if isinstance(value, Tensor) and value.dtype == torch.bool]
        # LFR hears of the words and of the rows of F_dec, which are the words here too.
        expected = [((4, LIMIT), True)] * (2 if isinstance(part, LFR) else 1)
        assert [(mask.shape, bool(mask.all())) for mask in masks] == expected, type(part)


def literal_rows(tensor: Tensor) -> list[list[float]]:
    rows: list[list[float]] = tensor.tolist()
    return rows


def assert_rows(found: Tensor, expected: Sequence[Sequence[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-10)


def test_eq_2b_is_softmaxed_over_padding_too(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = unmasked().eval(), []
    weigh = M3Att.language_weights

    def hear(self: M3Att, attention_NKLP: Tensor, word_mask_NL: Tensor) -> Tensor:
        weight_NKLP = weigh(self, attention_NKLP, word_mask_NL)
        seen.append((attention_NKLP, weight_NKLP))
        return weight_NKLP

    monkeypatch.setattr(M3Att, "language_weights", hear)
    network(*ask().arguments)
    for attention_NKLP, weight_NKLP in seen:
        assert weight_NKLP.shape[2] == LIMIT
        for n in range(4):
            for place in range(0, attention_NKLP.shape[3], 9):
                column = attention_NKLP[n, 0, :, place].tolist()
                expected = softmax(column)
                assert min(expected) > 0
                assert weight_NKLP[n, 0, :, place].tolist() == pytest.approx(expected)


def test_self_and_cross_attention_hear_padding() -> None:
    network = unmasked().eval()
    layer = network.decoder.layers[0]
    for attention in (layer.self_attention, layer.cross_attention, network.mask_decoder.self_attention):
        ears = Ears(attention)
        with torch.enable_grad():  # PyTorch's fast path would pass by the hook
            network(*ask().arguments)
        (query_NLC, memory_NLC, _), _ = ears.given[0]
        for n in range(4):
            expected = multihead_attention(
                literal_rows(query_NLC[n]), literal_rows(memory_NLC[n]), [True] * LIMIT, attention
            )
            assert_rows(ears.said[0][0][n], expected)


def test_lfrs_means_count_padding() -> None:
    network = unmasked().eval()
    assert network.lfr is not None
    ears = Ears(network.lfr)
    output = network(*ask().arguments, reconstruct=True)
    (words_NLC, _, decoded_NLC, *_), _ = ears.given[0]
    assert not words_NLC[1, 1:].any()  # one word, the rest is padding
    for n in range(4):
        rows = literal_rows(decoded_NLC[n])
        for projection in network.lfr.reconstruct:
            rows = [linear(row, projection) for row in rows]
        assert_rows(output.reconstructed_NC[n], [sum(column) / LIMIT for column in zip(*rows, strict=True)])


def test_bn_takes_its_statistics_from_padding_too() -> None:
    network = unmasked()
    norm = network.decoder.interactions[0].norm
    ears = Ears(norm)
    network(*ask().arguments)
    (features_NLC, _), _ = ears.given[0]
    rows = literal_rows(features_NLC.flatten(0, 1))
    means = [sum(column) / (4 * LIMIT) for column in zip(*rows, strict=True)]
    assert_rows(norm.running_mean / norm.momentum, means)


def test_every_weight_learns() -> None:
    network = unmasked()
    assert 0 < step(network, ask()) < float("inf")
    assert dead_weights(network) == blind_weights()
