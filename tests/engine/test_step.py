"""One optimiser step: what its losses are means of, and that parts of a batch add up to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from m3att.config import RunConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.order import Group, divide
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.text import Tokenizer
from m3att.engine.optim import build_optimizer
from m3att.engine.step import train_step
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model.norm import MaskedBatchNorm

SOURCE = ShapeRefSource("shaperef", "train", 5, 3)
GROUPS = [Group(image, None, 1 + image, image) for image in range(5)]


def every_loss(run: RunConfig) -> RunConfig:
    """The run with every loss, and without dropout, so that a step is a function of weights and batch."""
    decoder, language = replace(run.model.decoder, dropout=0), replace(run.model.language, word_dropout=0)
    weights: dict[str, Any] = {
        "category_weight": 0.5,
        "attention_weight": 0.1,
        "box_weight": 0.3,
        "ranking_weight": 0.2,
    }
    model = replace(run.model, decoder=decoder, language=language)
    return replace(run, model=model, train=replace(run.train, clip=0, **weights))


def network_of(config: RunConfig) -> tuple[M3AttNet, Tokenizer]:
    """The network of a run, with BatchNorm in evaluation mode, since its statistics depend on the whole batch."""
    torch.manual_seed(3)
    tokenizer = Tokenizer.from_texts(SOURCE.texts(), config.model.word_limit)
    network = build_network(config.model, config.input.size, tokenizer.size, len(SOURCE.category_names) + 1).train()
    for part in network.modules():
        if isinstance(part, MaskedBatchNorm | torch.nn.BatchNorm2d):
            part.eval()
    return network, tokenizer


def step(config: RunConfig, parts: list[list[Group]]) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Losses and gradients of a step whose batch is divided."""
    network, tokenizer = network_of(config)
    reader = BatchReader(SOURCE, tokenizer, config.input, config.data, training=True, categories=True)
    batches = [half_boxed(reader[part]) for part in parts]
    losses, norm = train_step(network, network, build_optimizer(network, config.train), batches, config, 0.0)
    gradients = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    assert norm.item() == pytest.approx(sum(grad.square().sum().item() for grad in gradients.values()) ** 0.5, rel=1e-4)
    return {name: float(value.detach()) for name, value in vars(losses).items()}, gradients


def half_boxed(batch: Batch) -> Batch:
    """The batch with every large mask for a box, so that parts of a batch have different numbers of boxes."""
    boxed_M = batch.masks_MHW.flatten(1).float().mean(dim=1) > 12
    return replace(batch, boxed_M=boxed_M, has_boxes=bool(boxed_M.any()))


def test_micro_batches_add_up_to_the_batch(tiny_run: RunConfig) -> None:
    config = every_loss(tiny_run)
    losses, gradients = step(config, [GROUPS])
    assert all(value > 0 for value in losses.values())
    for count in (2, 3):
        parts = divide(GROUPS, count)
        assert len({sum(group.limit for group in part) for part in parts}) <= 2
        found, others = step(config, parts)
        assert found == pytest.approx(losses, rel=1e-4)
        assert others.keys() == gradients.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(others[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


def test_steps_on_one_batch_lower_the_ranking_loss(tiny_run: RunConfig) -> None:
    weights = {"mask_weight": 0.0, "dice_weight": 0.0, "reconstruction_weight": 0.0, "ranking_weight": 1.0}
    config = replace(tiny_run, train=replace(tiny_run.train, **weights))
    network, tokenizer = network_of(config)
    batch = BatchReader(SOURCE, tokenizer, config.input, config.data, training=True)[GROUPS]
    optimizer = build_optimizer(network, config.train)
    losses = [train_step(network, network, optimizer, [batch], config, 3e-3)[0].ranking.item() for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_stand_in_changes_neither_losses_nor_gradients(tiny_run: RunConfig) -> None:
    config = every_loss(tiny_run)
    network, tokenizer = network_of(config)
    reader = BatchReader(SOURCE, tokenizer, config.input, config.data, training=True, categories=True)
    found = []
    for batches in ([reader[GROUPS]], [reader[[]].stand_in(), reader[GROUPS]]):
        losses, norm = train_step(network, network, build_optimizer(network, config.train), batches, config, 0.0)
        gradients = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
        found.append((losses, norm, gradients))
    (losses, norm, gradients), (others, other_norm, other_gradients) = found
    assert {name: float(value.detach()) for name, value in vars(others).items()} == pytest.approx(
        {name: float(value.detach()) for name, value in vars(losses).items()}, rel=1e-5
    )
    torch.testing.assert_close(other_norm, norm)
    for one, other in zip(gradients, other_gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-7)
