"""Muon against slow explicit steps; what is left to AdamW; resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from m3att.config import RunConfig
from m3att.engine.checkpoint import Position, load_checkpoint, save_checkpoint
from m3att.engine.muon import MOMENTUM, MuonAdamW, equal_shares, orthogonal, packed_matrices
from m3att.engine.optim import MUON_SHARE, MUON_SIDE, build_optimizer
from m3att.engine.run_folder import RunFolder
from m3att.model.build import build_network

RATE, DECAY = 0.01, 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_orthogonal_keeps_singular_vectors_and_levels_values(rows: int, columns: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=random))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=random))
    rank = min(rows, columns)
    values = torch.linspace(0.1, 1, rank)  # a span of ten, as far as five steps level for sure
    matrix = left[:, :rank] @ torch.diag(values) @ right[:, :rank].T
    found = left[:, :rank].T @ orthogonal(matrix[None])[0] @ right[:, :rank]
    assert torch.diag(found).min() > 0.5 and torch.diag(found).max() < 1.3
    assert (found - torch.diag(torch.diag(found))).abs().max() < 1e-3


@given(st.lists(st.integers(1, 1000), max_size=30), st.integers(1, 5))
def test_shares_hold_every_piece_once_and_are_nearly_equal(weights: list[int], count: int) -> None:
    shares = equal_shares(weights, count)
    assert sorted(number for share in shares for number in share) == list(range(len(weights)))
    loads = [sum(weights[number] for number in share) for share in shares]
    assert len(shares) == count and max(loads) - min(loads) <= max(weights, default=0)


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not orthogonal(torch.zeros(2, 3, 5)).any()


def explicit_steps(weight: Tensor, gradients: list[Tensor], pieces: int) -> Tensor:
    """The same steps, one matrix after the other."""
    weight, momentum = weight.clone(), torch.zeros_like(weight)
    for gradient in gradients:
        momentum = MOMENTUM * momentum + gradient
        ahead = gradient + MOMENTUM * momentum
        height = len(weight) // pieces
        for piece in range(pieces):
            rows = slice(piece * height, (piece + 1) * height)
            matrix = ahead[rows].reshape(height, -1)
            step = orthogonal(matrix[None])[0] * max(matrix.shape) ** 0.5
            weight[rows] = weight[rows] * (1 - RATE * DECAY) - RATE * step.reshape(weight[rows].shape)
    return weight


@pytest.mark.parametrize(("shape", "pieces"), [((6, 4), 1), ((6, 4), 3), ((8, 3), 4), ((5, 4, 3, 3), 1)])
def test_steps_are_those_of_each_matrix_alone(shape: tuple[int, ...], pieces: int) -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape)) for _ in range(2)]
    if len(shape) == 4:  # memory in another order than the axes', as the network's kernels lie
        weights[0] = nn.Parameter(weights[0].detach().to(memory_format=torch.channels_last))
    gradients = [[torch.randn(shape) for _ in range(3)] for _ in weights]
    expected = [explicit_steps(weight.detach(), own, pieces) for weight, own in zip(weights, gradients, strict=True)]
    optimizer = MuonAdamW([{"params": weights, "pieces": pieces, "lr": RATE, "weight_decay": DECAY}], lr=RATE)
    for step in range(3):
        for weight, own in zip(weights, gradients, strict=True):
            weight.grad = own[step].clone()
        optimizer.step()
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach(), wanted)


def test_a_step_is_as_large_as_its_rate_whatever_the_shape() -> None:
    torch.manual_seed(0)
    for shape in ((16, 16), (16, 64), (128, 32), (32, 16, 3, 3)):
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = torch.randn(shape)
        MuonAdamW([{"params": [weight], "pieces": 1, "lr": RATE, "weight_decay": 0.0}], lr=RATE).step()
        assert weight.detach().square().mean().sqrt() == pytest.approx(RATE, rel=0.2)


def test_everything_else_steps_as_adamw_does() -> None:
    torch.manual_seed(0)
    plain = [nn.Parameter(torch.randn(3)) for _ in range(2)]
    twin = [nn.Parameter(weight.detach().clone()) for weight in plain]
    matrix = nn.Parameter(torch.randn(4, 4))
    optimizer = MuonAdamW(
        [
            {"params": plain, "lr": RATE, "weight_decay": DECAY},
            {"params": [matrix], "pieces": 1, "lr": RATE, "weight_decay": DECAY},
        ],
        lr=RATE,
    )
    adamw = torch.optim.AdamW(twin, lr=RATE, weight_decay=DECAY)
    for _ in range(3):
        for weight, other in zip(plain, twin, strict=True):
            weight.grad = torch.randn(3)
            other.grad = weight.grad.clone()
        matrix.grad = torch.randn(4, 4)
        optimizer.step()
        adamw.step()
    for weight, other in zip(plain, twin, strict=True):
        torch.testing.assert_close(weight, other)


def test_a_closure_is_called_with_gradients_on() -> None:
    weight = nn.Parameter(torch.eye(4))
    optimizer = MuonAdamW([{"params": [weight], "pieces": 1, "lr": RATE, "weight_decay": 0.0}], lr=RATE)

    def closure() -> float:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == pytest.approx(4)
    assert weight.square().sum() < 4


def test_packed_matrices_are_taken_apart() -> None:
    attention, lstm, gru = nn.MultiheadAttention(8, 2), nn.LSTM(8, 4, bidirectional=True), nn.GRU(8, 4)
    assert packed_matrices(attention, attention.in_proj_weight) == 3
    assert packed_matrices(attention.out_proj, attention.out_proj.weight) == 1
    assert packed_matrices(lstm, lstm.weight_hh_l0_reverse) == 4
    assert packed_matrices(gru, gru.weight_ih_l0) == 3
    narrow = nn.LSTM(8, 8, proj_size=4)
    assert packed_matrices(narrow, narrow.weight_hr_l0) == 1


def network_of(tiny_run: RunConfig) -> nn.Module:
    """One with gates and kernels that are large enough for Muon."""
    model = replace(tiny_run.model, channels=32, vision=replace(tiny_run.model.vision, widths=(16, 32)))
    return build_network(model, tiny_run.input.size, words=20).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def test_muon_has_large_matrices_that_are_not_pretrained(tiny_run: RunConfig) -> None:
    network = network_of(tiny_run)
    frozen = network.mask_decoder.kernels.weight.requires_grad_(False)
    config = replace(tiny_run.train, optimizer="muon", weight_decay=DECAY, pretrained_rate=0.1)
    for pretrained in ([], [network.vision]):
        groups = build_optimizer(network, config, pretrained).param_groups
        muon = {id(weight): group for group in groups if "pieces" in group for weight in group["params"]}
        every = [id(weight) for group in groups for weight in group["params"]]
        assert len(every) == len(set(every)) == len(list(network.parameters())) - 1
        assert id(frozen) not in every
        slow = {id(weight) for part in pretrained for weight in part.parameters()}
        packs: dict[str, int] = {}
        for name, weight in network.named_parameters():
            owner = network.get_submodule(name.rpartition(".")[0])
            pieces = 3 if name.endswith("in_proj_weight") else 4 if isinstance(owner, nn.LSTM) else 1
            matrix = weight.ndim >= 2 and not isinstance(owner, nn.Embedding)
            fits = matrix and min(weight.shape[0] // pieces, weight.shape[1]) >= MUON_SIDE
            assert (id(weight) in muon) == (fits and weight is not frozen and id(weight) not in slow), name
            if id(weight) in muon:
                group = muon[id(weight)]
                assert (group["pieces"], group["share"], group["weight_decay"]) == (pieces, MUON_SHARE, DECAY), name
                packs[name.partition(".")[0]] = max(pieces, packs.get(name.partition(".")[0], 0))
        assert packs["decoder"] == 3 and packs["language"] == 4 and packs["mask_decoder"] == 3
        assert ("vision" in packs) == (not pretrained)


def test_state_comes_back_from_a_checkpoint(tiny_run: RunConfig, tmp_path: Path) -> None:
    config = replace(tiny_run.train, optimizer="muon", weight_decay=DECAY)

    def steps(network: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
        for seed in seeds:
            torch.manual_seed(seed)
            for weight in network.parameters():
                weight.grad = torch.randn(weight.shape)
            optimizer.step()

    straight = network_of(tiny_run)
    optimizer = build_optimizer(straight, config)
    steps(straight, optimizer, range(3))
    save_checkpoint(RunFolder(tmp_path), straight, optimizer, Position(step=3))
    steps(straight, optimizer, range(3, 6))
    resumed = network_of(tiny_run)
    other = build_optimizer(resumed, config)
    assert load_checkpoint(RunFolder(tmp_path), resumed, other) == Position(step=3)
    steps(resumed, other, range(3, 6))
    for (name, weight), value in zip(resumed.named_parameters(), straight.parameters(), strict=True):
        assert torch.equal(weight, value), name
