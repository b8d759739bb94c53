"""Fixtures of the engine tests: a tiny run, tiny data, and nothing left behind in the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch

from m3att.config import (
    DataConfig,
    DecoderConfig,
    EvaluateConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.data.shaperef.writer import write_refer


@pytest.fixture(autouse=True)
def settled_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, a vocabulary of few scenes, and threads and chance as they were."""
    monkeypatch.setattr("m3att.data.shaperef.source._TEXT_SCENES", 40)
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(torch_threads)
    cv2.setNumThreads(opencv_threads)


@pytest.fixture(scope="session")
def refer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ShapeRef in the REFER layout: 6 images of train and 4 of val, 64 pixels a side."""
    root = tmp_path_factory.mktemp("refer")
    write_refer(root, "shaperef", {"train": 6, "val": 4}, seed=1, size=64)
    return root


@pytest.fixture
def tiny_run() -> RunConfig:
    """A few steps of the smallest network that has every part, on scenes drawn without end, with every chance on.

    It draws no pictures for the trackers, which would take longer than its steps.
    """
    return RunConfig(
        model=ModelConfig(
            channels=16,
            word_limit=24,
            vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1),
            language=LanguageConfig(word_channels=8, word_dropout=0.2),
            decoder=DecoderConfig(layers=2, heads=2, feedforward=1, dropout=0.1),
            mask=MaskDecoderConfig(channels=4, upsamplings=1),
        ),
        input=InputConfig(size=32, resize="stretch"),
        data=DataConfig(per_image=4, flip=True),
        train=TrainConfig(
            batch_size=8, steps=8, optimizer="adamw", learning_rate=1e-3, weight_decay=0.01, schedule="cosine",
            warmup=2, dice_weight=1.0, device="cpu", workers=0, threads=1, log_every=1, validate_every=4,
            validate_images=2, save_every=3, tracked_images=0,
        ),
        evaluate=EvaluateConfig(threshold=0.5),
    )  # fmt: skip
