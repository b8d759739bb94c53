"""Starting from the weights of another model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from m3att.config import RunConfig
from m3att.engine.train import train
from m3att.errors import ConfigError, ModelError


def test_a_run_starts_where_its_model_ended(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    frozen = replace(tiny_run, train=replace(tiny_run.train, init=str(first), learning_rate=0.0, steps=1))
    second = train(frozen, tmp_path / "second")
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    learned = [key for key in one if "running_" not in key and "num_batches" not in key]
    assert all(torch.equal(one[key], other[key]) for key in learned)
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()


def test_fresh_parts_are_not_filled(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    pattern = "decoder.layers.*.mutual"
    wider = replace(tiny_run.model, decoder=replace(tiny_run.model.decoder, fusion_vision=True))
    start = replace(tiny_run.train, init=str(first), fresh=(pattern,), learning_rate=0.0, steps=1)
    second = train(replace(tiny_run, model=wider, train=start), tmp_path / "second")
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    learned = [key for key in one if "running_" not in key and "num_batches" not in key and one[key].ndim > 1]
    kept = {key for key in learned if torch.equal(one[key], other[key])}
    assert kept == {key for key in learned if ".mutual." not in key}
    assert any(".mutual.vision_output." in key for key in other)
    with pytest.raises(ConfigError, match=r"train.fresh: no weight of the network begins with encoder"):
        train(replace(tiny_run, train=replace(start, fresh=("encoder",))), tmp_path / "third")


def test_another_network_is_refused(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    wider = replace(tiny_run, model=replace(tiny_run.model, channels=2 * tiny_run.model.channels))
    with pytest.raises(ModelError, match="another one than this run's"):
        train(replace(wider, train=replace(wider.train, init=str(first))), tmp_path / "second")
