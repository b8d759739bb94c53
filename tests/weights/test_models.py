"""Model folders and checkpoints of networks whose merge was still part of the backbone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from m3att.config import (
    DecoderConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.encoders import VISION
from m3att.engine.train import train
from m3att.model.vision.darknet53 import Darknet53
from m3att.pretrained import load_model


def with_elder_names(path: Path) -> None:
    """Rename the merge's weights in a safetensors file as they were called once."""
    with safe_open(path, framework="pt") as file:
        # Checkpoints had no format number and no checksum then.
        metadata = {key: value for key, value in (file.metadata() or {}).items() if key not in ("format", "sha256")}
    weights = {name: value.clone() for name, value in load_file(path).items()}
    assert any("vision.merge." in name for name in weights)
    renamed = {name.replace("vision.merge.", "vision.backbone.merge."): value for name, value in weights.items()}
    save_file(renamed, path, metadata)


def test_a_model_and_a_run_of_then_go_on_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(VISION["darknet53"], build=lambda: Darknet53((4, 4, 4, 6, 8, 8), (1, 1, 1, 1, 1)))
    monkeypatch.setitem(VISION, "darknet53", row)
    monkeypatch.setattr("m3att.data.shaperef.source._TEXT_SCENES", 40)
    settings = RunConfig(
        model=ModelConfig(
            channels=16,
            word_limit=24,
            vision=VisionConfig(encoder="darknet53", encoder_layers=1),
            language=LanguageConfig(word_channels=8),
            decoder=DecoderConfig(layers=1, heads=2, feedforward=1),
            mask=MaskDecoderConfig(channels=4, upsamplings=1),
        ),
        input=InputConfig(size=64, resize="stretch"),
        train=TrainConfig(
            batch_size=8, steps=1, schedule="constant", warmup=0, device="cpu", workers=0, threads=1,
            validate_images=1, save_every=1, tracked_images=0,
        ),
    )  # fmt: skip
    longer = replace(settings, train=replace(settings.train, steps=2))
    found = []
    for name in ("now", "then"):
        folder = train(settings, tmp_path / name)
        if name == "then":
            with_elder_names(folder / "model.safetensors")
            with_elder_names(tmp_path / name / "checkpoint.safetensors")
        first = load_model(folder).network.state_dict()
        found.append((first, load_model(train(longer, tmp_path / name, resume=True)).network.state_dict()))
    for mine, other in zip(*found, strict=True):
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[key], other[key]) for key in mine)
