"""The network's other forms train, are saved, and go on from where they stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from m3att import targets
from m3att.config import RunConfig
from m3att.engine import step
from m3att.engine.train import train
from m3att.pretrained import load_model
from m3att.targets import mask_shares


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


@pytest.mark.parametrize("kind", ["dynamic", "decoder_only"])
def test_sizes_that_the_stride_does_not_divide_are_trained_at_the_pitch_of_the_cells(
    tiny_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["dynamic", "decoder_only"]
) -> None:
    """Stride 4, halved once: 19 pixels have 5 cells and 10 logits, 33 pixels have 9 and 18."""
    asked: list[tuple[tuple[int, int], float]] = []

    def noted(masks_MHW: Tensor, size: tuple[int, int], stride: float) -> Tensor:
        asked.append((size, stride))
        return mask_shares(masks_MHW, size, stride)

    for module in (step, targets):
        monkeypatch.setattr(module, "mask_shares", noted)
    config = replace(
        tiny_run,
        model=replace(tiny_run.model, grid_size=27, mask=replace(tiny_run.model.mask, kind=kind)),
        input=replace(tiny_run.input, size=33),
        train=replace(
            tiny_run.train, steps=2, validate_every=2, early_sizes=(19,), early_steps=(1,), category_weight=0.5,
            attention_weight=0.1,
        ),
    )  # fmt: skip
    network = load_model(train(config, tmp_path)).network
    assert asked == [((5, 5), 4), ((10, 10), 2), ((9, 9), 4), ((18, 18), 2)]
    assert network.vision.grid.cells == (7, 7) and network.mask_stride == 2
