"""The whole network: what may not change its masks, what must reach its weights, and what is computed how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from m3att.losses import total_loss
from m3att.model.m3att import Attention
from m3att.model.mask_decoder import MaskDecoderKind
from m3att.model.network import M3AttNet
from m3att.model.vision.encoder import VisionEncoder

from .inputs import INPUT_SIZE, WORDS, Question, ask, small_config, small_network

ATTENTIONS: tuple[Attention, ...] = ("shared", "independent", "lav", "val")
INTERACTIONS = ("iterative", "constant", "none")
MASKS: tuple[MaskDecoderKind, ...] = ("dynamic", "decoder_only", "concatenate")
few = settings(max_examples=12, deadline=None, derandomize=True)


def exact(**sections: dict[str, Any]) -> M3AttNet:
    """A small network in float64, where what is zero shows as zero; its logits are steep, so that a change shows."""
    network = small_network(**sections).double()
    with torch.no_grad():
        last = network.mask_decoder.stack[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(20)
    return network


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
        network = exact()
        with torch.no_grad():
            for _ in range(20):
                network(*ask().arguments)
        return network.eval()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_changes_no_mask(attention: Attention, mask: MaskDecoderKind, training: bool) -> None:
    network = exact(decoder={"attention": attention}, mask={"kind": mask}).train(training)
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


def test_training_with_shared_images_is_training_with_copies_of_them() -> None:
    """Grouping by image saves work and changes nothing: masks and gradients are those of one image an expression."""
    shared = ask(images=2, image_index=(0, 1, 1, 0), lengths=(3, 1, 4, 2))
    copies = replace(shared, pixels_BCHW=shared.pixels_BCHW[[0, 1, 1, 0]], image_index_N=torch.arange(4))
    network = exact()
    found = []
    for question in (shared, copies):
        network.zero_grad()
        output = network(*question.arguments, reconstruct=True)
        loss = output.mask_logits_NHW.sigmoid().square().mean() + output.reconstructed_NC.square().mean()
        loss.backward()
        gradients = {
            name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None
        }
        found.append((output.mask_logits_NHW.detach(), gradients))
    same(found[0][0], found[1][0])
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("size", [(32, 32), (48, 48), (24, 40), (31, 45), (4, 8)])
@pytest.mark.parametrize("mask", MASKS)
def test_any_image_size_works(mask: MaskDecoderKind, size: tuple[int, int]) -> None:
    network = exact(mask={"kind": mask}).eval()
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
    assert images.vis_BPC.shape == (3, 64, 16) and images.grid == (8, 8)
    output = network.segment(images, *question.arguments[1:])
    assert torch.equal(output.mask_logits_NHW, logits_of(network, question))


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


def test_lfrs_weights_may_be_absent(network: M3AttNet) -> None:
    without = exact(decoder={"reconstruction": False}).eval()
    assert without.lfr is None
    weights = {name: value for name, value in network.state_dict().items() if not name.startswith("lfr.")}
    without.load_state_dict(weights)
    question = ask()
    assert torch.equal(logits_of(without, question), logits_of(network, question))
    assert without(*question.arguments, reconstruct=True).reconstructed_NC is None


def test_a_state_dict_makes_the_same_network_again(network: M3AttNet) -> None:
    copy = exact().eval()
    question = ask()
    assert different(logits_of(copy, question), logits_of(network, question))
    copy.load_state_dict(network.state_dict())
    assert torch.equal(logits_of(copy, question), logits_of(network, question))
    assert not [name for name in network.state_dict() if "pixel" in name]  # constants are no weights


def test_pixels_are_normalised_by_imagenets_statistics(network: M3AttNet) -> None:
    pixels_BCHW = ask().pixels_BCHW
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected_BCHW = torch.stack([(pixels_BCHW[:, c].double() / 255 - mean[c]) / deviation[c] for c in range(3)], dim=1)
    vis_BPC, _ = network.vision(expected_BCHW)
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


def step(network: M3AttNet, question: Question, reconstruct: bool = True) -> float:
    """One backward pass of Eq. 5; returns the loss."""
    output = network(*question.arguments, reconstruct=reconstruct)
    targets_NHW = torch.rand_like(output.mask_logits_NHW).round()
    losses = total_loss(output.mask_logits_NHW, output.reconstructed_NC, output.projected_NC, targets_NHW)
    losses.total.backward()
    return float(losses.total.detach())


def dead_weights(network: M3AttNet) -> set[str]:
    """Weights that learn nothing; in float64 rounding leaves less than 1e-14 where the true gradient is zero."""
    return {
        name
        for name, weight in network.named_parameters()
        if weight.requires_grad and (weight.grad is None or weight.grad.abs().max() < 1e-12)
    }


def blind_weights(
    attention: Attention = "shared", interaction: str = "iterative", projection_norm: bool = True, layers: int = 2
) -> set[str]:
    """Weights that no loss can reach, all of them biases whose shift the next operation takes away again."""
    mutual: list[str] = []
    if attention == "val":
        mutual.append("word_key.bias")  # one shift of a position's column; softmaxed over words (Eq. 2b)
    if attention == "independent":
        mutual.append("word_key_val.bias")  # the same
    if attention in ("lav", "independent") and not projection_norm:
        mutual.append("vision_key.bias")  # one shift of a word's row; softmaxed over positions (Eq. 2a)
    blind = {f"decoder.layers.{layer}.mutual.{name}" for layer in range(layers) for name in mutual}
    if interaction == "constant":  # IMI* hands F_dec to BN and to nothing else
        blind |= {f"decoder.layers.{layer}.norm_out.bias" for layer in range(layers - 1)}
    if projection_norm:  # F_enc goes into projections with BN and into nothing else
        blind.add("vision.layers.0.norm2.bias")
    return blind


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_weight_learns(attention: Attention, interaction: str, mask: MaskDecoderKind) -> None:
    network = exact(decoder={"attention": attention, "interaction": interaction}, mask={"kind": mask})
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    assert 0 < step(network, ask()) < float("inf")
    blind = blind_weights(attention, interaction)
    assert dead_weights(network) == blind
    optimizer.step()
    assert {name for name, value in network.named_parameters() if value.equal(before[name])} <= blind
    assert 0 < step(network, ask()) < float("inf")


@pytest.mark.parametrize(
    "sections",
    [
        *({"decoder": {"layers": layers}} for layers in (1, 2, 4)),
        {"decoder": {"mutual_heads": 2}},
        {"language": {"rnn": "gru", "word_dropout": 0.2}, "decoder": {"dropout": 0.1}},
        {"vision": {"encoder_layers": 0}},
        {"mask": {"kernel": 3, "narrowing": 4, "maps_per_word": 2, "upsamplings": 2}},
    ],
    ids=str,
)
def test_every_weight_learns_in_every_size(sections: dict[str, dict[str, Any]]) -> None:
    network = exact(**sections)
    assert 0 < step(network, ask()) < float("inf")
    assert dead_weights(network) == (blind_weights() if network.vision.layers else set())


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_weight_learns_without_projection_norm(attention: Attention) -> None:
    network = exact(decoder={"attention": attention, "projection_norm": False})
    assert 0 < step(network, ask()) < float("inf")
    assert dead_weights(network) == blind_weights(attention, projection_norm=False)


SENTENCE = {"language.norm_sentence.weight", "language.norm_sentence.bias"}


def test_without_lfr_only_the_sentence_vector_learns_nothing() -> None:
    network = exact()
    step(network, ask(), reconstruct=False)
    dead = dead_weights(network) - blind_weights()
    assert {name for name in dead if not name.startswith("lfr.")} == SENTENCE  # F'_t serves LFR alone


def test_a_stopped_target_leaves_the_sentence_vector_alone() -> None:
    network = exact(decoder={"reconstruction_stop_gradient": True})
    step(network, ask())
    assert dead_weights(network) - blind_weights() == {"lfr.project.weight", *SENTENCE}


def test_a_frozen_backbone_stays_as_it_is() -> None:
    network = exact(vision={"freeze": True})
    assert not any(part.training for part in network.vision.backbone.modules())  # from the start
    network.eval().train()
    assert network.training and network.vision.projection.norm.training
    assert not any(part.training for part in network.vision.backbone.modules())
    before = {name: value.clone() for name, value in network.vision.backbone.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(2):
        step(network, ask())
        optimizer.step()
    after = network.vision.backbone.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert dead_weights(network) == blind_weights()  # frozen weights ask for no gradient; all others got one
    assert all(weight.grad is None for weight in network.vision.backbone.parameters())


def test_a_backbone_that_is_not_frozen_learns_with_its_batchnorm_in_training_mode() -> None:
    network = exact()
    network.eval().train()
    assert all(part.training for part in network.vision.backbone.modules())
    before = {name: value.clone() for name, value in network.vision.backbone.state_dict().items()}
    step(network, ask())
    torch.optim.Adam(network.parameters(), lr=0.1).step()
    assert not [n for n, value in network.vision.backbone.state_dict().items() if torch.equal(value, before[n])]


def test_a_batch_of_one_expression_of_one_word_trains() -> None:
    # What an epoch's last batch may be: there BN has nothing to take statistics of.
    network = small_network(decoder={"layers": small_config().decoder.layers})
    assert 0 < step(network, ask(images=1, image_index=(0,), lengths=(1,))) < float("inf")
    assert all(value.isfinite().all() for value in network.state_dict().values())
