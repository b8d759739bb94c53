"""The network's other forms train, are saved, and go on from where they stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file

from m3att.config import RunConfig
from m3att.engine.train import train
from m3att.pretrained import load_model


class StoppedError(Exception):
    """What the test stops a run by."""


def stop(step: int, steps: int, figures: dict[str, float]) -> None:
    if step == 2:
        raise StoppedError


@pytest.mark.parametrize(("mask_padding", "early_fusion", "optimizer"), [(False, False, "muon"), (True, True, "adamw")])
def test_a_form_trains_and_resumes(
    tiny_run: RunConfig, tmp_path: Path, mask_padding: bool, early_fusion: bool, optimizer: Literal["adamw", "muon"]
) -> None:
    vision = replace(tiny_run.model.vision, early_fusion=early_fusion)
    config = replace(
        tiny_run,
        model=replace(tiny_run.model, mask_padding=mask_padding, vision=vision),
        train=replace(
            tiny_run.train, steps=3, validate_every=3, save_every=2, category_weight=0.5, optimizer=optimizer
        ),
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config, whole)
    with pytest.raises(StoppedError):
        train(config, parts, report=stop)
    last = train(config, parts, resume=True)
    one, other = load_file(whole / "checkpoint.safetensors"), load_file(parts / "checkpoint.safetensors")
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
    network = load_model(last).network
    assert (network.vision.fusion is not None) == early_fusion
    assert (network.filled_words is not None) != mask_padding
