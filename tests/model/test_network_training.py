"""The whole network in training: what must reach its weights, and what may not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch

from m3att.losses import total_loss
from m3att.model.build import build_network
from m3att.model.mask_decoder import MaskDecoderKind
from m3att.model.network import M3AttNet

from .inputs import INPUT_SIZE, WORDS, Question, ask, exact_network, small_config, small_network, woken

ATTENTIONS = ("shared", "independent", "generic", "vision_query", "lav", "val")
INTERACTIONS = ("iterative", "constant", "none")
MASKS: tuple[MaskDecoderKind, ...] = ("dynamic", "decoder_only", "concatenate")


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
    attention: str = "shared", interaction: str = "iterative", projection_norm: bool = True, layers: int = 2
) -> set[str]:
    """Weights that no loss can reach, all of them biases whose shift the next operation takes away again."""
    mutual: list[str] = []
    if attention == "val":
        mutual.append("word_key.bias")  # one shift of a position's column; softmaxed over words (Eq. 2b)
    if attention == "independent":
        mutual.append("word_key_val.bias")  # the same
    if attention in ("lav", "independent") and not projection_norm:
        mutual.append("vision_key.bias")  # one shift of a word's row; softmaxed over positions (Eq. 2a)
    if attention == "generic":
        mutual.append("vision_key.bias")  # one shift of a word's row
    blind = {f"decoder.layers.{layer}.mutual.{name}" for layer in range(layers) for name in mutual}
    if interaction == "constant":  # IMI* hands F_dec to BN and to nothing else
        blind |= {f"decoder.layers.{layer}.norm_out.bias" for layer in range(layers - 1)}
    # F_enc goes into projections with BN and into nothing else.
    if projection_norm and attention not in ("generic", "vision_query"):
        blind.add("vision.layers.0.norm2.bias")
    return blind


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    ("attention", "interaction"),
    # The settings refuse the one that is left out: words cannot be added to positions.
    [pair for pair in product(ATTENTIONS, INTERACTIONS) if pair != ("vision_query", "constant")],
)
def test_every_weight_learns(attention: str, interaction: str, mask: MaskDecoderKind) -> None:
    network = exact_network(decoder={"attention": attention, "interaction": interaction}, mask={"kind": mask})
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    assert 0 < step(network, ask()) < float("inf")
    blind = blind_weights(attention, interaction)
    if attention == "vision_query" and mask != "dynamic":
        blind.add("mask_decoder.norm.bias")  # the vectors of the positions are maps, which a convolution with BN reads
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
    network = exact_network(**sections)
    assert 0 < step(network, ask()) < float("inf")
    assert dead_weights(network) == (blind_weights() if network.vision.layers else set())


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_weight_learns_without_projection_norm(attention: str) -> None:
    network = exact_network(decoder={"attention": attention, "projection_norm": False})
    assert 0 < step(network, ask()) < float("inf")
    assert dead_weights(network) == blind_weights(attention, projection_norm=False)


def test_every_weight_learns_with_every_switch_at_the_papers_word() -> None:
    config = replace(small_config(mask={"figure_6": True, "unit_convolutions": 2}), norm_everywhere=True)
    network = woken(build_network(config, INPUT_SIZE, WORDS)).double()
    assert 0 < step(network, ask()) < float("inf")
    dead = dead_weights(network)
    # The value of the attention before the kernels adds the same bias to each, and the output's too: both are kept.
    assert dead <= {f"decoder.layers.{layer}.norm_out.bias" for layer in range(2)}


SENTENCE = {"language.norm_sentence.weight", "language.norm_sentence.bias"}


def test_without_lfr_only_the_sentence_vector_learns_nothing() -> None:
    network = exact_network()
    step(network, ask(), reconstruct=False)
    dead = dead_weights(network) - blind_weights()
    assert {name for name in dead if not name.startswith("lfr.")} == SENTENCE  # F'_t serves LFR alone


def test_a_stopped_target_leaves_the_sentence_vector_alone() -> None:
    network = exact_network(decoder={"reconstruction_stop_gradient": True})
    step(network, ask())
    assert dead_weights(network) - blind_weights() == {"lfr.project.weight", *SENTENCE}


def test_a_frozen_backbone_stays_as_it_is() -> None:
    network = exact_network(vision={"freeze": True})
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
    network = exact_network()
    network.eval().train()
    assert all(part.training for part in network.vision.backbone.modules())
    before = {name: value.clone() for name, value in network.vision.backbone.state_dict().items()}
    step(network, ask())
    torch.optim.Adam(network.parameters(), lr=0.1).step()
    assert not [n for n, value in network.vision.backbone.state_dict().items() if torch.equal(value, before[n])]


def test_a_batch_of_one_expression_of_one_word_trains() -> None:
    # What an epoch's last batch may be: there BN has nothing to take statistics of.
    network = small_network()
    assert 0 < step(network, ask(images=1, image_index=(0,), lengths=(1,))) < float("inf")
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_training_with_shared_images_is_training_with_copies_of_them() -> None:
    """Grouping by image saves work and changes nothing: masks and gradients are those of one image an expression."""
    shared = ask(images=2, image_index=(0, 1, 1, 0), lengths=(3, 1, 4, 2))
    copies = replace(shared, pixels_BCHW=shared.pixels_BCHW[[0, 1, 1, 0]], image_index_N=torch.arange(4))
    network = exact_network()
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
    torch.testing.assert_close(found[0][0], found[1][0])
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], rtol=1e-3, atol=1e-5, msg=name)
