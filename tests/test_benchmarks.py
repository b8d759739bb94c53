"""What the benchmark scripts measure with code of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.pretrained import load_model


@pytest.fixture(scope="module")
def looking(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("looking", repository / "benchmarks" / "looking.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_looking_scores_as_evaluate_does_and_gives_m3att_back(looking: ModuleType) -> None:
    model = load_model("shaperef-tiny")
    with torch.inference_mode():
        figures = looking.look(model, 8)
    data = DataConfig(dataset="shaperef", images=8)
    source = open_source(data, "val")
    scores = evaluate(model.network, model.tokenizer, source, model.config.input, model.config.evaluate, data)
    assert figures["expressions"] == len(scores.expressions)
    assert figures["mean_iou"]["whole"] == pytest.approx(scores.mean_iou, abs=1e-6)
    assert len(figures["centre_r2"]) == len(figures["changing_share"]) == 3


def test_what_is_told_is_found_on_images_that_were_not_fitted_on(looking: ModuleType) -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(300, 4, generator=chance).double().numpy()
    images = torch.arange(300).numpy() // 2
    told = features[:, :2] * 2 + 1
    noise = torch.randn(300, 2, generator=chance).double().numpy()
    assert looking.told_of(features, told, images) > 0.95
    assert looking.told_of(features, noise, images) < 0.1
