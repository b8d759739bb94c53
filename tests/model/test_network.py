"""The whole network: what may not change its masks, and what is computed how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.m3att import Attention
from m3att.model.mask_decoder import MaskDecoderKind
from m3att.model.network import M3AttNet
from m3att.model.vision.encoder import VisionEncoder

from .inputs import INPUT_SIZE, WORDS, Question, ask, exact_network, small_config, small_network, woken
from .literal import position_code

ATTENTIONS: tuple[Attention, ...] = ("shared", "independent", "lav", "val")
MASKS: tuple[MaskDecoderKind, ...] = ("dynamic", "decoder_only", "concatenate")
few = settings(max_examples=12, deadline=None, derandomize=True)


def logits_of(network: M3AttNet, question: Question) -> Tensor:
    logits_NHW: Tensor = network(*question.arguments).mask_logits_NHW.detach()
    return logits_NHW


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def different(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() > 1e-2)


@pytest.fixture(scope="module")
def network() -> M3AttNet:
    """An untrained network whose BatchNorm has seen a few batches; shared, so leave it as it is."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = exact_network()
        with torch.no_grad():
            for _ in range(20):
                network(*ask().arguments)
        return network.eval()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_changes_no_mask(attention: Attention, mask: MaskDecoderKind, training: bool) -> None:
    network = exact_network(decoder={"attention": attention}, mask={"kind": mask}).train(training)
    question = ask()
    expected_NHW = logits_of(network, question)
    for more in (1, 2, 5):  # with 5 a row is longer than the word limit
        same(logits_of(network, question.padded(more)), expected_NHW)


@pytest.mark.parametrize("training", [False, True])
@few
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 3), st.integers(0, 2**31))
def test_padding_changes_no_mask_and_no_language_vector(
    network: M3AttNet, training: bool, lengths: list[int], more: int, seed: int
) -> None:
    torch.manual_seed(seed)
    index = torch.randint(0, 2, (len(lengths),)).tolist()
    question = ask(2, index, lengths)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        network.train(training)
        narrow = network(*question.arguments, reconstruct=True)
        wide = network(*question.padded(more).arguments, reconstruct=True)
    finally:
        network.eval().load_state_dict(state)
    same(wide.mask_logits_NHW, narrow.mask_logits_NHW)
    same(wide.reconstructed_NC, narrow.reconstructed_NC)
    same(wide.projected_NC, narrow.projected_NC)


@few
@given(st.permutations(range(4)))
def test_permuting_expressions_permutes_masks(network: M3AttNet, order: Sequence[int]) -> None:
    question = ask()
    same(logits_of(network, question.only(order)), logits_of(network, question)[list(order)])


@few
@given(st.permutations(range(3)))
def test_permuting_images_changes_no_mask(network: M3AttNet, order: Sequence[int]) -> None:
    question = ask()
    place = torch.tensor(order).argsort()
    moved = replace(
        question, pixels_BCHW=question.pixels_BCHW[list(order)], image_index_N=place[question.image_index_N]
    )
    same(logits_of(network, moved), logits_of(network, question))


def test_together_or_one_by_one_gives_the_same_masks(network: M3AttNet) -> None:
    question = ask()
    together_NHW = logits_of(network, question)
    for n, image in enumerate(question.image_index_N.tolist()):
        alone = replace(
            question.only([n]), pixels_BCHW=question.pixels_BCHW[image : image + 1], image_index_N=torch.tensor([0])
        )
        same(logits_of(network, alone)[0], together_NHW[n])


def test_an_image_without_an_expression_changes_nothing(network: M3AttNet) -> None:
    question = ask(images=3, image_index=(2, 0, 0, 2))
    without = replace(question, pixels_BCHW=question.pixels_BCHW[[0, 2]], image_index_N=torch.tensor([1, 0, 0, 1]))
    same(logits_of(network, question), logits_of(network, without))


def test_a_mask_hangs_on_its_words_and_on_its_image(network: M3AttNet) -> None:
    question = ask()
    expected_NHW = logits_of(network, question)
    other_words = question.word_ids_NL.clone()
    other_words[0, 1] = other_words[0, 1] % (WORDS - 3) + 3
    assert different(logits_of(network, replace(question, word_ids_NL=other_words))[0], expected_NHW[0])
    other_images = replace(question, pixels_BCHW=question.pixels_BCHW.flip(0))
    assert different(logits_of(network, other_images)[0], expected_NHW[0])
    swapped = question.word_ids_NL.clone()
    swapped[2, [0, 3]] = swapped[2, [3, 0]]
    assert different(logits_of(network, replace(question, word_ids_NL=swapped))[2], expected_NHW[2])


@pytest.mark.parametrize("size", [(32, 32), (48, 48), (24, 40), (31, 45), (4, 8)])
@pytest.mark.parametrize("mask", MASKS)
def test_any_image_size_works(mask: MaskDecoderKind, size: tuple[int, int]) -> None:
    network = exact_network(mask={"kind": mask}).eval()
    question = replace(ask(), pixels_BCHW=torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8))
    logits_NHW = logits_of(network, question)
    assert logits_NHW.shape == (4, 2 * -(-size[0] // 4), 2 * -(-size[1] // 4))
    assert logits_NHW.isfinite().all()


def test_the_trained_size_passes_no_resize(monkeypatch: pytest.MonkeyPatch, network: M3AttNet) -> None:
    question = ask()
    expected_NHW = logits_of(network, question)

    def refuse(given: Tensor, *_: Any, **__: Any) -> Tensor:
        raise AssertionError(f"resized {tuple(given.shape)}")

    # The mask decoder's own 2x upsampling is a module that reaches the same function.
    monkeypatch.setattr(nn.Upsample, "forward", lambda self, given: upsample(given, scale_factor=2, mode="bilinear"))
    upsample = nn.functional.interpolate
    monkeypatch.setattr(nn.functional, "interpolate", refuse)
    same(logits_of(network, question), expected_NHW)
    with pytest.raises(AssertionError, match="resized"):
        logits_of(network, ask(size=INPUT_SIZE + 8))


def test_an_image_is_encoded_once_whatever_the_number_of_expressions(
    monkeypatch: pytest.MonkeyPatch, network: M3AttNet
) -> None:
    seen: list[int] = []
    forward = VisionEncoder.forward
    monkeypatch.setattr(VisionEncoder, "forward", lambda self, px: seen.append(len(px)) or forward(self, px))
    network(*ask(2, (0, 1, 1, 0, 0, 1, 0), (2,) * 7).arguments)
    assert seen == [2]
    images = network.encode(ask(1, (0,), (1,)).pixels_BCHW)
    for _ in range(3):
        network.segment(images, torch.zeros(4, dtype=torch.int64), *ask(1, (0,) * 4, (3, 1, 4, 2)).arguments[2:])
    assert seen == [2, 1]


def test_encoding_first_gives_the_same_masks(network: M3AttNet) -> None:
    question = ask()
    images = network.encode(question.pixels_BCHW)
    assert images.vis_BPC.shape == (3, 64, 16) and images.grid == Grid(32, 32, 4)
    output = network.segment(images, *question.arguments[1:])
    assert torch.equal(output.mask_logits_NHW, logits_of(network, question))


def test_words_get_their_positional_code_once_before_the_decoder(
    monkeypatch: pytest.MonkeyPatch, network: M3AttNet
) -> None:
    question, seen = ask(), []
    forward = network.decoder.forward
    monkeypatch.setattr(network.decoder, "forward", lambda *given: seen.append(given[0]) or forward(*given))
    network(*question.arguments)
    words_NLC, _ = network.language(question.word_ids_NL, question.word_mask_NL)
    code_LC = torch.tensor([position_code(place, 16) for place in range(4)])
    torch.testing.assert_close((seen[0] - words_NLC).float(), code_LC.expand(4, -1, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["shared", "vision_query"])
@pytest.mark.parametrize("coded", [True, False])
def test_imi_reads_the_words_with_their_positional_code_or_without(attention: str, coded: bool) -> None:
    network, question = exact_network(decoder={"attention": attention, "interaction_code": coded}).eval(), ask()
    seen: list[torch.Tensor] = []
    network.decoder.interactions[0].register_forward_pre_hook(lambda _module, given: seen.append(given[1]))
    network(*question.arguments)
    words_NLC, _ = network.language(question.word_ids_NL, question.word_mask_NL)
    code_LC = torch.tensor([position_code(place, 16) for place in range(4)])
    expected_LC = code_LC if coded else torch.zeros_like(code_LC)
    torch.testing.assert_close((seen[0] - words_NLC).float(), expected_LC.expand(4, -1, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("figure_6", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_mask_with_every_switch_at_the_papers_word(training: bool, figure_6: bool) -> None:
    mask = {"figure_6": figure_6, "unit_convolutions": 2}
    network = woken(build_network(replace(small_config(mask=mask), norm_everywhere=True), INPUT_SIZE, WORDS)).double()
    network.train(training)
    question = ask()
    expected_NHW = logits_of(network, question)
    same(logits_of(network, question.padded(2)), expected_NHW)
    assert expected_NHW.std() > 1e-3


def test_lfr_runs_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, network: M3AttNet) -> None:
    question = ask()
    asked = network(*question.arguments, reconstruct=True)
    assert asked.reconstructed_NC.shape == asked.projected_NC.shape == (4, 16)

    def refuse(*_: Any) -> None:
        raise AssertionError("LFR ran")

    assert network.lfr is not None
    monkeypatch.setattr(network.lfr, "forward", refuse)
    output = network(*question.arguments)
    assert output.reconstructed_NC is None and output.projected_NC is None
    assert torch.equal(output.mask_logits_NHW, asked.mask_logits_NHW)
    with pytest.raises(AssertionError, match="LFR ran"):
        network(*question.arguments, reconstruct=True)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("attention", "layers"), [("shared", 2), ("independent", 2), ("lav", 2), ("val", 0)])
def test_training_gets_each_layers_attention_over_positions(attention: str, layers: int, heads: int) -> None:
    decoder = {"attention": attention, "layers": 2, "mutual_heads": heads}
    network, question = exact_network(decoder=decoder).eval(), ask()
    assert network(*question.arguments).attention_NKLP == ()
    output = network(*question.arguments, reconstruct=True)
    assert len(output.attention_NKLP) == layers
    encoded = network.encode(question.pixels_BCHW)
    expected = (len(question.word_ids_NL), heads, question.word_ids_NL.shape[1], encoded.vis_BPC.shape[1])
    assert all(found_NKLP.shape == expected for found_NKLP in output.attention_NKLP)
    assert torch.equal(output.attending_NL, question.word_mask_NL)


def test_lfrs_weights_may_be_absent(network: M3AttNet) -> None:
    without = exact_network(decoder={"reconstruction": False}).eval()
    assert without.lfr is None
    weights = {name: value for name, value in network.state_dict().items() if not name.startswith("lfr.")}
    without.load_state_dict(weights)
    question = ask()
    assert torch.equal(logits_of(without, question), logits_of(network, question))
    assert without(*question.arguments, reconstruct=True).reconstructed_NC is None


def test_a_state_dict_makes_the_same_network_again(network: M3AttNet) -> None:
    copy = exact_network().eval()
    question = ask()
    assert different(logits_of(copy, question), logits_of(network, question))
    copy.load_state_dict(network.state_dict())
    assert torch.equal(logits_of(copy, question), logits_of(network, question))
    assert not [name for name in network.state_dict() if "pixel" in name]  # constants are no weights


def test_pixels_are_normalised_by_the_backbones_own_statistics(network: M3AttNet) -> None:
    pixels_BCHW = ask().pixels_BCHW
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected_BCHW = torch.stack([(pixels_BCHW[:, c].double() / 255 - mean[c]) / deviation[c] for c in range(3)], dim=1)
    grid = network.vision.grid_of(pixels_BCHW)
    vis_BPC = network.vision.finish(network.vision.backbone(expected_BCHW), grid)
    torch.testing.assert_close(network.encode(pixels_BCHW).vis_BPC, vis_BPC, rtol=1e-4, atol=1e-6)
    assert torch.equal(network.encode(pixels_BCHW.float()).vis_BPC, network.encode(pixels_BCHW).vis_BPC)


def test_inference_mode_takes_no_other_path(network: M3AttNet) -> None:
    # PyTorch's attention has a fast path of its own where no gradient is asked for.
    question = ask()
    with torch.inference_mode():
        found = network(*question.arguments).mask_logits_NHW
    same(found, logits_of(network, question))


def test_float32_keeps_padding_to_rounding() -> None:
    network, question = small_network().eval(), ask()
    torch.testing.assert_close(logits_of(network, question.padded(2)), logits_of(network, question))


def test_bfloat16_is_near() -> None:
    network, question = small_network().eval(), ask()
    with torch.autocast("cpu", torch.bfloat16):
        found = logits_of(network, question)
    assert (found.float() - logits_of(network, question)).abs().max() < 0.1 * logits_of(network, question).abs().max()
