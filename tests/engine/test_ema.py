"""The moving average of the weights: against a loop, in models and checkpoints, and over an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from m3att.config import RunConfig
from m3att.engine.checkpoint import Position, load_checkpoint, save_checkpoint
from m3att.engine.ema import WeightAverage
from m3att.engine.optim import build_optimizer
from m3att.engine.run_folder import RunFolder
from m3att.engine.train import train
from m3att.errors import ModelError
from m3att.model.build import build_network


class Small(nn.Module):
    """A weight, the statistics of a norm, and a table of whole numbers as BERT and Swin have one."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("position_ids", torch.arange(512))


def with_ema(config: RunConfig, decay: float) -> RunConfig:
    return replace(config, train=replace(config.train, ema=decay))


@pytest.mark.parametrize("decay", [0.3, 0.9999])
def test_the_average_is_that_of_a_loop_and_whole_numbers_are_copied(decay: float) -> None:
    network = Small()
    average = WeightAverage(network, decay)  # type: ignore[arg-type]
    expected: dict[str, torch.Tensor] = {}
    for step in range(30):
        for value in (network.norm.weight, network.norm.running_mean, network.norm.running_var):
            assert value is not None
            value.data.add_(torch.randn(2))
        assert network.norm.num_batches_tracked is not None
        network.norm.num_batches_tracked += 1
        average.update()
        kept = 0.0 if step == 0 else min(decay, (1 + step) / (10 + step))
        for name in ("norm.weight", "norm.running_mean", "norm.running_var"):
            newest = network.state_dict()[name].double()
            expected[name] = kept * expected[name] + (1 - kept) * newest if step else newest
    found = average.network.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)
    assert found["norm.num_batches_tracked"] == 30
    assert torch.equal(found["position_ids"], torch.arange(512))  # PyTorch's own rule makes 99 of them one smaller


def test_without_a_decay_the_network_is_its_own_average(tiny_run: RunConfig) -> None:
    network = build_network(tiny_run.model, tiny_run.input.size, words=20)
    average = WeightAverage(network, 0)
    average.update()
    assert average.network is network and average.state() == {}


def test_the_average_is_saved_as_the_model_and_goes_on_bit_for_bit(tiny_run: RunConfig, tmp_path: Path) -> None:
    whole, broken, config = tmp_path / "whole", tmp_path / "broken", with_ema(tiny_run, 0.5)
    train(config, whole)

    def stop(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(config, broken, report=stop)
    train(config, broken, resume=True)
    for name in ("checkpoint.safetensors", "last/model.safetensors", "best/model.safetensors"):
        one, other = load_file(whole / name), load_file(broken / name)
        assert one.keys() == other.keys()
        assert [key for key in one if not torch.equal(one[key], other[key])] == []
    checkpoint, model = load_file(whole / "checkpoint.safetensors"), load_file(whole / "last/model.safetensors")
    assert all(torch.equal(value, checkpoint[f"average.module.{name}"]) for name, value in model.items())
    apart = [name for name, value in model.items() if not torch.equal(value, checkpoint[f"network.{name}"])]
    assert any(name.endswith("weight") for name in apart) and any(name.endswith("running_var") for name in apart)
    assert checkpoint["average.n_averaged"] == 8


def test_the_training_does_not_notice_the_average(tiny_run: RunConfig, tmp_path: Path) -> None:
    for name, decay in (("with", 0.9), ("without", 0.0)):
        train(with_ema(tiny_run, decay), tmp_path / name)
    one, other = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("with", "without"))
    assert all(torch.equal(value, one[name]) for name, value in other.items())
    assert not any(name.startswith("average.") for name in other)


def test_a_skipped_step_does_not_move_the_average(
    tiny_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m3att.engine.recorder.fault_of", lambda losses, norm: "the loss is nan")
    config = with_ema(tiny_run, 0.9)
    train(replace(config, train=replace(config.train, steps=2, bad_steps=9)), tmp_path)
    assert load_file(tmp_path / "checkpoint.safetensors")["average.n_averaged"] == 0


def test_a_checkpoint_without_an_average_is_refused(tiny_run: RunConfig, tmp_path: Path) -> None:
    network = build_network(tiny_run.model, tiny_run.input.size, words=20)
    optimizer = build_optimizer(network, tiny_run.train)
    save_checkpoint(RunFolder(tmp_path), network, optimizer, Position(step=1))
    with pytest.raises(ModelError, match=r"not a checkpoint of this run .*it holds no moving average"):
        load_checkpoint(RunFolder(tmp_path), network, optimizer, average=WeightAverage(network, 0.9))
