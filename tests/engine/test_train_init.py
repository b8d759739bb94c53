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
from m3att.pretrained import load_model


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
    with pytest.raises(ConfigError, match=r"train.fresh: the network has no part decoder.layer$"):
        train(replace(tiny_run, train=replace(start, fresh=("decoder.layer",))), tmp_path / "third")
    for part in ("vision", "language", "vision.backbone", "*"):
        with pytest.raises(ConfigError, match="holds an encoder"):
            train(replace(tiny_run, train=replace(start, fresh=(part,))), tmp_path / "third")


def test_a_run_goes_on_at_another_size_with_the_weights_it_has(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    size = tiny_run.input.size
    larger = replace(tiny_run, input=replace(tiny_run.input, size=size + 16))
    start = replace(larger.train, init=str(first), learning_rate=0.0, steps=1)
    with pytest.raises(ModelError, match=r"mutual.output.weight does not fit; model.grid_size keeps the grid"):
        train(replace(larger, train=start), tmp_path / "second")
    model = replace(larger.model, grid_size=size)
    second = load_model(str(train(replace(larger, model=model, train=start), tmp_path / "third")))
    assert second.network.vision.grid == load_model(str(first)).network.vision.grid
    pixels_BCHW = torch.zeros(1, 3, size + 16, size + 16, dtype=torch.uint8)
    words_NL = torch.ones(1, 2, dtype=torch.long)
    assert second.network(pixels_BCHW, torch.tensor([0]), words_NL, words_NL.bool()).mask_logits_NHW.isfinite().all()


def test_another_network_is_refused(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    wider = replace(tiny_run, model=replace(tiny_run.model, channels=2 * tiny_run.model.channels))
    with pytest.raises(ModelError, match="another one than this run's"):
        train(replace(wider, train=replace(wider.train, init=str(first))), tmp_path / "second")
