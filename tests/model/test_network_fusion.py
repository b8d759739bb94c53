"""The whole network with VLT's early fusion: what is computed how often, and what may not change its masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from m3att.model.build import build_network
from m3att.model.grouping import Grouping
from m3att.model.network import BackboneMaps, EncodedImages, M3AttNet, mean_of_each_image
from m3att.model.position import encode_positions
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.tiny import TinyConvNet

from .inputs import INPUT_SIZE, WORDS, Question, ask, exact_network, small_config, small_network, woken
from .test_network_training import blind_weights, dead_weights, step


def fusing(**sections: dict[str, Any]) -> M3AttNet:
    return exact_network(vision={"early_fusion": True}, **sections)


def logits_of(network: M3AttNet, question: Question) -> Tensor:
    logits_NHW: Tensor = network(*question.arguments).mask_logits_NHW.detach()
    return logits_NHW


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_it_is_the_explicit_computation() -> None:
    """One expression at a time: trunk, product, merge, encoder and decoder, with no grouping anywhere."""
    network, question = fusing().eval(), ask()
    found_NHW = logits_of(network, question)
    assert network.vision.fusion is not None
    for n, image in enumerate(question.image_index_N.tolist()):
        length = int(question.word_mask_NL[n].sum())
        ids_1L, mask_1L = question.word_ids_NL[n : n + 1, :length], question.word_mask_NL[n : n + 1, :length]
        words_1LC, sentence_1C = network.language(ids_1L, mask_1L)
        (features_1CHW,) = network.vision.backbone_maps(question.pixels_BCHW[image : image + 1])
        fusion, norm = network.vision.fusion, network.vision.fusion.norm
        gate_C = fusion.sentence(sentence_1C)[0]
        straight_1CHW = (features_1CHW * gate_C.view(1, -1, 1, 1) - norm.running_mean.view(1, -1, 1, 1)) / (
            norm.running_var.view(1, -1, 1, 1) + norm.eps
        ).sqrt()
        fused_1CHW = torch.relu(straight_1CHW * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1))
        grid = network.vision.grid_of(question.pixels_BCHW)
        vis_1PC = network.vision.finish([fused_1CHW], grid)
        grouping = Grouping.of(torch.tensor([0]), 1)
        code_LC = encode_positions(torch.arange(length), 16)
        decoded_1LC = network.decoder(words_1LC + code_LC, mask_1L, vis_1PC, grouping, grid)
        same(network.mask_decoder(decoded_1LC, mask_1L, vis_1PC, grouping, grid)[0].detach(), found_NHW[n])


def test_the_trunk_runs_once_an_image_and_the_rest_once_an_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    network = fusing().eval()
    seen: dict[str, list[int]] = {"trunk": [], "rest": []}
    forward, finish = TinyConvNet.forward, VisionEncoder.finish
    monkeypatch.setattr(TinyConvNet, "forward", lambda self, px: seen["trunk"].append(len(px)) or forward(self, px))
    monkeypatch.setattr(
        VisionEncoder, "finish", lambda self, maps, grid: seen["rest"].append(len(maps[-1])) or finish(self, maps, grid)
    )
    network(*ask(2, (0, 1, 1, 0, 0, 1, 0), (2,) * 7).arguments)
    assert seen == {"trunk": [2], "rest": [7]}
    images = network.encode(ask(1, (0,), (1,)).pixels_BCHW)
    for _ in range(3):
        network.segment(images, torch.zeros(4, dtype=torch.int64), *ask(1, (0,) * 4, (3, 1, 4, 2)).arguments[2:])
    assert seen == {"trunk": [2, 1], "rest": [7, 4, 4, 4]}


def test_without_it_everything_of_an_image_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = exact_network().eval()
    seen: list[int] = []
    finish = VisionEncoder.finish
    monkeypatch.setattr(
        VisionEncoder, "finish", lambda self, maps, grid: seen.append(len(maps[-1])) or finish(self, maps, grid)
    )
    monkeypatch.setattr(VisionEncoder, "fuse", None)
    network(*ask(2, (0, 1, 1, 0, 0, 1, 0), (2,) * 7).arguments)
    assert seen == [2]
    assert not [name for name in network.state_dict() if "fusion" in name]


def test_encoding_first_gives_the_same_masks() -> None:
    network, question = fusing().eval(), ask()
    images = network.encode(question.pixels_BCHW)
    assert isinstance(images, BackboneMaps)
    assert [scale.shape for scale in images.maps] == [(3, 8, 8, 8)]
    assert isinstance(exact_network().encode(question.pixels_BCHW), EncodedImages)
    output = network.segment(images, *question.arguments[1:])
    assert torch.equal(output.mask_logits_NHW, logits_of(network, question))


@pytest.mark.parametrize("order", [[3, 1, 0, 2], [2], [0, 3]])
def test_a_mask_does_not_hang_on_the_company_of_its_expression(order: Sequence[int]) -> None:
    network, question = fusing().eval(), ask()
    same(logits_of(network, question.only(order)), logits_of(network, question)[list(order)])


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_mask(training: bool) -> None:
    network, question = fusing().train(training), ask()
    same(logits_of(network, question.padded(2)), logits_of(network, question))


def test_both_switches_together_hang_on_no_company_either() -> None:
    config = replace(small_config(vision={"early_fusion": True}), mask_padding=False)
    network, question = woken(build_network(config, INPUT_SIZE, WORDS)).double().eval(), ask()
    expected_NHW = logits_of(network, question)
    same(logits_of(network, question.only([3, 0])), expected_NHW[[3, 0]])
    same(logits_of(network, question.padded(1)), expected_NHW)


def test_the_sentence_reaches_the_vision(monkeypatch: pytest.MonkeyPatch) -> None:
    network, question = fusing().eval(), ask(1, (0, 0), (3, 3))
    seen: list[Tensor] = []
    forward = network.decoder.forward
    monkeypatch.setattr(network.decoder, "forward", lambda *given: seen.append(given[2]) or forward(*given))
    network(*question.arguments)
    assert seen[0].shape == (2, 64, 16)
    assert (seen[0][0] - seen[0][1]).abs().max() > 1e-2


@pytest.mark.parametrize("reconstruct", [True, False])
def test_every_weight_learns(reconstruct: bool) -> None:
    network = fusing()
    assert 0 < step(network, ask(), reconstruct) < float("inf")
    blind = blind_weights()
    if (
        not reconstruct
    ):  # F'_t, which otherwise serves LFR alone, learns from the mask, through a BN that takes shifts away
        blind.add("language.norm_sentence.bias")
    assert {name for name in dead_weights(network) if not name.startswith("lfr.")} == blind


def test_a_batch_of_one_expression_of_one_word_trains() -> None:
    network = small_network(vision={"early_fusion": True})
    assert 0 < step(network, ask(images=1, image_index=(0,), lengths=(1,))) < float("inf")
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_the_category_head_reads_the_mean_over_an_images_expressions(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(small_config(vision={"early_fusion": True}), INPUT_SIZE, WORDS, categories=5).eval()
    question, seen = ask(), []  # images 2, 0, 0, 2: the one in the middle has no expression
    forward = network.decoder.forward
    monkeypatch.setattr(network.decoder, "forward", lambda *given: seen.append(given[2]) or forward(*given))
    found_BPY = network(*question.arguments, reconstruct=True).category_logits_BPY
    assert network.category_head is not None
    for image, expressions in ((0, [1, 2]), (2, [0, 3])):
        mean_PC = (seen[0][expressions[0]] + seen[0][expressions[1]]) / 2
        torch.testing.assert_close(found_BPY[image], network.category_head(mean_PC))
    assert network(*question.arguments).category_logits_BPY is None


def test_an_image_without_an_expression_has_no_mean() -> None:
    rows_NPC = torch.tensor([[[1.0]], [[3.0]], [[7.0]]])
    assert mean_of_each_image(rows_NPC, torch.tensor([2, 2, 0]), 3).flatten().tolist() == [7.0, 0.0, 2.0]
