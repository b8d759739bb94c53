"""Schedules at exact steps, and which weights decay."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from m3att.config import RunConfig, TrainConfig
from m3att.engine.optim import build_optimizer, learning_rate_at, numbers_kept
from m3att.model.build import build_network
from m3att.model.norm import MaskedBatchNorm

Schedule = Literal["step", "cosine", "polynomial", "trapezoid", "constant"]
CONFIG = TrainConfig(learning_rate=0.005, warmup=0)


def rates(steps: int, config: TrainConfig) -> list[float]:
    return [learning_rate_at(step, steps, config) for step in range(steps)]


def test_step_divides_by_ten_at_80_and_90_per_cent() -> None:
    found = rates(50, replace(CONFIG, schedule="step"))  # a step stands for an epoch of the paper's 50
    assert found[:40] == [0.005] * 40
    assert found[40:45] == pytest.approx([0.0005] * 5)
    assert found[45:] == pytest.approx([0.00005] * 5)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6))
def test_step_falls_at_the_first_step_that_is_not_before(steps: int) -> None:
    config = replace(CONFIG, schedule="step")
    for tenths, before in ((8, 0), (9, 1)):
        fall = -(-tenths * steps // 10)
        assert learning_rate_at(fall, steps, config) <= 0.005 * 0.1 ** (before + 1) * 1.001
        if fall > 0 and 10 * (fall - 1) >= 8 * steps * before:
            assert learning_rate_at(fall - 1, steps, config) == pytest.approx(0.005 * 0.1**before)


def test_cosine_falls_from_the_rate_to_zero() -> None:
    config = replace(CONFIG, schedule="cosine", warmup=10)
    assert learning_rate_at(10, 110, config) == 0.005
    assert learning_rate_at(60, 110, config) == pytest.approx(0.0025)
    assert learning_rate_at(35, 110, config) == pytest.approx(0.005 * (1 + math.sqrt(0.5)) / 2)
    assert learning_rate_at(110, 110, config) == pytest.approx(0, abs=1e-18)
    found = rates(110, config)[10:]
    assert found == sorted(found, reverse=True) and found[-1] > 0


def test_polynomial_is_lavt_s_rule() -> None:
    found = rates(50, replace(CONFIG, schedule="polynomial"))
    assert found == pytest.approx([0.005 * (1 - step / 50) ** 0.9 for step in range(50)])
    warmed = rates(60, replace(CONFIG, schedule="polynomial", warmup=10))
    assert warmed[10:] == pytest.approx(found)  # the rest of the run has the whole fall


@pytest.mark.parametrize("schedule", ["step", "cosine", "polynomial", "trapezoid", "constant"])
def test_a_restart_begins_the_schedule_anew(
    schedule: Schedule,
) -> None:
    config = replace(CONFIG, schedule=schedule, warmup=10)
    found = rates(180, replace(config, restarts=(100, 150)))
    assert found == [*rates(100, config), *rates(50, config), *rates(30, config)]
    assert rates(90, replace(config, restarts=(90, 100))) == rates(90, config)  # past the end: nothing


def test_trapezoid_is_flat_and_then_a_line() -> None:
    found = rates(1000, replace(CONFIG, schedule="trapezoid"))
    assert found[:701] == [0.005] * 701
    assert found[850] == pytest.approx(0.0025)
    assert found[999] == pytest.approx(0.005 / 300)
    falls = [one - other for one, other in pairwise(found[700:])]
    assert falls == pytest.approx([0.005 / 300] * 299)


def test_how_long_a_trapezoid_falls_is_a_setting() -> None:
    found = rates(1000, replace(CONFIG, schedule="trapezoid", fall=0.5))
    assert found[400:501] == pytest.approx([CONFIG.learning_rate] * 101)
    assert found[750] == pytest.approx(CONFIG.learning_rate / 2)
    assert found[999] == pytest.approx(CONFIG.learning_rate / 500)


def test_a_trapezoid_s_flat_part_does_not_know_the_length() -> None:
    config = replace(CONFIG, schedule="trapezoid", warmup=5)
    assert rates(100, config)[:70] == rates(1000, config)[:70]


def test_constant_stays() -> None:
    assert set(rates(40, replace(CONFIG, schedule="constant"))) == {0.005}


@pytest.mark.parametrize("schedule", ["step", "cosine", "polynomial", "trapezoid", "constant"])
def test_warm_up_is_a_line_from_near_zero(schedule: str) -> None:
    config = replace(CONFIG, schedule=schedule, warmup=4)  # type: ignore[arg-type]
    found = rates(100, config)
    assert found[:5] == pytest.approx([0.001, 0.002, 0.003, 0.004, 0.005])
    assert max(found) == 0.005


@pytest.mark.parametrize("schedule", ["step", "cosine", "polynomial", "trapezoid", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_run_shorter_than_its_warm_up_has_positive_rates(schedule: str, steps: int) -> None:
    for warmup in (0, 1, 3, 200):
        found = rates(steps, replace(CONFIG, schedule=schedule, warmup=warmup))  # type: ignore[arg-type]
        assert all(0 < rate <= 0.005 for rate in found)


def test_decay_touches_matrices_and_kernels_only(tiny_run: RunConfig) -> None:
    network = build_network(tiny_run.model, tiny_run.input.size, words=20)
    decayed, free = build_optimizer(network, replace(tiny_run.train, weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    kept = {id(weight) for weight in free["params"]}
    for name, weight in network.named_parameters():
        owner = network.get_submodule(name.rpartition(".")[0])
        norm = isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d | MaskedBatchNorm)
        plain = norm or "bias" in name.rpartition(".")[2] or isinstance(owner, nn.Embedding) or weight.ndim == 0
        assert (id(weight) in kept) == (plain or weight.ndim == 1), name
    assert {id(weight) for weight in network.parameters()} == kept | {id(weight) for weight in decayed["params"]}
    assert len(kept) + len(decayed["params"]) == len(list(network.parameters()))


def test_tables_of_biases_and_positions_have_no_decay() -> None:
    part = nn.Module()
    for name in ("relative_position_bias_table", "position_embeddings", "cls_token", "kernel"):
        part.register_parameter(name, nn.Parameter(torch.ones(2, 2)))
    decayed, free = build_optimizer(part, replace(CONFIG, weight_decay=0.1)).param_groups
    assert [weight is part.kernel for weight in decayed["params"]] == [True]
    assert len(free["params"]) == 3


def test_frozen_weights_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    decayed, free = build_optimizer(network, CONFIG).param_groups
    assert [tuple(weight.shape) for weight in decayed["params"] + free["params"]] == [(1, 3), (1,)]


def test_pretrained_parts_learn_at_their_share_of_the_rate() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    config = replace(CONFIG, pretrained_rate=0.1, weight_decay=0.2)
    groups = build_optimizer(network, config, [network[0]]).param_groups
    found = [(group["share"], group["weight_decay"], [tuple(w.shape) for w in group["params"]]) for group in groups]
    assert found == [(1, 0.2, [(1, 3)]), (1, 0, [(1,)]), (0.1, 0.2, [(3, 2)]), (0.1, 0, [(3,)])]
    assert [group["lr"] for group in groups] == pytest.approx([0.005, 0.005, 0.0005, 0.0005])


class Trunk(nn.Module):
    """A first part, three layers in a list of lists, and a norm behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(1, 2)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(3))})
        self.norm = nn.LayerNorm(2)


def test_the_rate_falls_from_layer_to_layer_of_pretrained_parts() -> None:
    network = nn.ModuleDict({"trunk": Trunk(), "head": nn.Linear(2, 1)})
    config = replace(CONFIG, pretrained_rate=0.5, layer_decay=0.1, weight_decay=0.2)
    names = {id(weight): name.removeprefix("trunk.") for name, weight in network.named_parameters()}
    groups = build_optimizer(network, config, [network["trunk"]]).param_groups
    found = [
        (round(group["share"], 9), group["weight_decay"], [names[id(w)] for w in group["params"]]) for group in groups
    ]
    assert found == [
        (1, 0.2, ["head.weight"]),
        (1, 0, ["head.bias"]),
        (0.5, 0.2, ["encoder.layer.2.0.weight"]),
        (0.5, 0, ["encoder.layer.2.0.bias", "norm.weight", "norm.bias"]),
        (0.05, 0.2, ["encoder.layer.1.0.weight"]),
        (0.05, 0, ["encoder.layer.1.0.bias"]),
        (0.005, 0.2, ["encoder.layer.0.0.weight"]),
        (0.005, 0, ["encoder.layer.0.0.bias"]),
        (0.0005, 0.2, ["embedding.weight"]),
        (0.0005, 0, ["embedding.bias"]),
    ]
    assert [group["lr"] for group in groups] == pytest.approx([0.005 * share for share, _, _ in found])


def test_a_frozen_pretrained_part_makes_no_group() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    groups = build_optimizer(network, replace(CONFIG, pretrained_rate=0.1), [network[0]]).param_groups
    assert [group["share"] for group in groups] == [1, 1]


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_mixes_the_decay_into_the_gradient_and_adamw_does_not(name: str, kind: type) -> None:
    network = nn.Linear(2, 2)
    nn.init.ones_(network.weight)
    nn.init.ones_(network.bias)
    config = TrainConfig(optimizer=name, learning_rate=0.1, weight_decay=0.5)  # type: ignore[arg-type]
    optimizer = build_optimizer(network, config)
    assert type(optimizer) is kind
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    # AdamW shrinks by rate times decay; Adam's first step is the rate itself whatever the gradient's size.
    expected = 1 - 0.1 * 0.5 if name == "adamw" else 1 - 0.1
    assert network.weight.tolist() == [[pytest.approx(expected)] * 2] * 2
    assert network.bias.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_numbers_kept_are_those_of_the_state(tiny_run: RunConfig, name: Literal["adam", "adamw", "muon"]) -> None:
    network = build_network(tiny_run.model, tiny_run.input.size, words=20)
    optimizer = build_optimizer(network, replace(tiny_run.train, optimizer=name))
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    values = [value for state in optimizer.state.values() for key, value in state.items() if key != "step"]
    assert numbers_kept(optimizer) == sum(value.numel() for value in values) > 0
